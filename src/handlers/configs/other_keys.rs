//! The configs of brokers that can be changed while they run, of groups, and of client metrics.
//!
//! A pure table. A broker's own settings are read once, when it starts (`config`), and cannot be changed by a client. What
//! stands here are settings of Kafka's that tools change and that mean nothing to this broker: accepted and reported.
//!
//! Source: `DynamicBrokerConfig`, `GroupConfig`, `ClientMetricsConfigs` in Apache Kafka 4.3.1.

use super::kind::{Key, Rule, Type};

const REPORTED: &str = "Accepted and reported; this broker has nothing that it would act on.";
const NOT_YET: &str =
    "Accepted and reported; it takes effect when this kind of group is coordinated.";
const NO_TELEMETRY: &str = "Accepted and reported; client metrics are not collected.";

const fn key(
    name: &'static str,
    kind: Type,
    rule: Rule,
    default: &'static str,
    doc: &'static str,
) -> Key {
    Key { name, kind, rule, default, doc }
}

const fn int(name: &'static str, least: i64, default: &'static str) -> Key {
    key(name, Type::Int, Rule::AtLeast(least), default, REPORTED)
}

const fn group(name: &'static str, default: &'static str) -> Key {
    key(name, Type::Int, Rule::AtLeast(0), default, NOT_YET)
}

const fn of_groups(
    name: &'static str,
    least: i64,
    default: &'static str,
    doc: &'static str,
) -> Key {
    key(name, Type::Int, Rule::AtLeast(least), default, doc)
}

const MANY: &str = "2147483647";

pub(super) static BROKER_KEYS: [Key; 21] = [
    int("background.threads", 1, "10"),
    key(
        "follower.replication.throttled.rate",
        Type::Long,
        Rule::AtLeast(0),
        "9223372036854775807",
        REPORTED,
    ),
    key(
        "leader.replication.throttled.rate",
        Type::Long,
        Rule::AtLeast(0),
        "9223372036854775807",
        REPORTED,
    ),
    key("log.cleaner.backoff.ms", Type::Long, Rule::AtLeast(0), "15000", REPORTED),
    key("log.cleaner.dedupe.buffer.size", Type::Long, Rule::Any, "134217728", REPORTED),
    key("log.cleaner.io.buffer.load.factor", Type::Double, Rule::Any, "0.9", REPORTED),
    int("log.cleaner.io.buffer.size", 0, "524288"),
    key(
        "log.cleaner.io.max.bytes.per.second",
        Type::Double,
        Rule::Any,
        "1.7976931348623157E308",
        REPORTED,
    ),
    int("log.cleaner.threads", 0, "1"),
    int("max.connection.creation.rate", 0, MANY),
    int("max.connections.per.ip", 0, MANY),
    key("max.connections.per.ip.overrides", Type::Text, Rule::Any, "", REPORTED),
    key("metric.reporters", Type::List, Rule::Any, "", REPORTED),
    int("num.io.threads", 1, "8"),
    int("num.network.threads", 1, "3"),
    int("num.recovery.threads.per.data.dir", 1, "2"),
    int("num.replica.fetchers", 1, "1"),
    key(
        "replica.alter.log.dirs.io.max.bytes.per.second",
        Type::Long,
        Rule::AtLeast(0),
        "9223372036854775807",
        REPORTED,
    ),
    key("sasl.kerberos.kinit.cmd", Type::Text, Rule::Any, "/usr/bin/kinit", REPORTED),
    key("sasl.kerberos.min.time.before.relogin", Type::Long, Rule::Any, "60000", REPORTED),
    key("sasl.kerberos.ticket.renew.jitter", Type::Double, Rule::Any, "0.05", REPORTED),
];

pub(super) static GROUP_KEYS: [Key; 17] = [
    of_groups(
        "consumer.assignment.interval.ms",
        0,
        "1000",
        "The least time between two assignments of the group; 0 for none.",
    ),
    of_groups(
        "consumer.heartbeat.interval.ms",
        1,
        "5000",
        "How often a member of the group is heard of.",
    ),
    of_groups(
        "consumer.session.timeout.ms",
        1,
        "45000",
        "How long a member of the group may be silent.",
    ),
    of_groups(
        "share.assignment.interval.ms",
        0,
        "1000",
        "The least time between two assignments of the share group; 0 for none.",
    ),
    key(
        "share.auto.offset.reset",
        Type::Text,
        Rule::AutoOffsetReset,
        "latest",
        "Where the share group begins to read a partition: `earliest`, `latest`, or `by_duration:` and an ISO 8601 duration.",
    ),
    of_groups(
        "share.delivery.count.limit",
        2,
        "5",
        "How often a record is delivered to the share group at most.",
    ),
    of_groups(
        "share.heartbeat.interval.ms",
        1,
        "5000",
        "How often a member of the share group is heard of.",
    ),
    key(
        "share.isolation.level",
        Type::Text,
        Rule::OneOf(&["read_committed", "read_uncommitted"]),
        "read_uncommitted",
        "Whether the share group is given records of transactions before they are committed.",
    ),
    of_groups(
        "share.partition.max.record.locks",
        100,
        "2000",
        "The most records of a partition that the share group has acquired at once.",
    ),
    of_groups(
        "share.record.lock.duration.ms",
        1000,
        "30000",
        "How long a record stays with the member of the share group that acquired it.",
    ),
    key(
        "share.renew.acknowledge.enable",
        Type::Boolean,
        Rule::Any,
        "true",
        "Accepted and reported; acknowledgements that renew a lock are not served.",
    ),
    of_groups(
        "share.session.timeout.ms",
        1,
        "45000",
        "How long a member of the share group may be silent.",
    ),
    group("streams.assignment.interval.ms", "1000"),
    group("streams.heartbeat.interval.ms", "5000"),
    group("streams.initial.rebalance.delay.ms", "3000"),
    group("streams.num.standby.replicas", "0"),
    group("streams.session.timeout.ms", "45000"),
];

pub(super) static CLIENT_METRICS_KEYS: [Key; 3] = [
    key("interval.ms", Type::Int, Rule::Between(100, 3_600_000), "300000", NO_TELEMETRY),
    key("match", Type::List, Rule::Any, "", NO_TELEMETRY),
    key("metrics", Type::List, Rule::Any, "", NO_TELEMETRY),
];
