//! The configs of topics: Kafka's, and ours under `thalweg.`.
//!
//! A pure table, by name. Where a setting of the broker is a topic config's default (`Key::topic` in `config`), the default
//! here is not used.
//!
//! Source: `LogConfig` in Apache Kafka 4.3.1.

use super::kind::{Key, Rule, Type};

const ENDLESS: &str = "9223372036854775807";
const REPORTED: &str = "Accepted and reported; it has nothing to act on here, since data lies in objects, not in local files.";
const TIERED: &str =
    "Accepted and reported; all data lies in the object store already, so there is no second tier.";

const fn key(
    name: &'static str,
    kind: Type,
    rule: Rule,
    default: &'static str,
    doc: &'static str,
) -> Key {
    Key { name, kind, rule, default, doc }
}

/// Confluent's, by the names of their classes.
const STRATEGIES: [&str; 3] = [
    "io.confluent.kafka.serializers.subject.TopicNameStrategy",
    "io.confluent.kafka.serializers.subject.RecordNameStrategy",
    "io.confluent.kafka.serializers.subject.TopicRecordNameStrategy",
];

pub(super) static TOPIC_KEYS: [Key; 40] = [
    key(
        "cleanup.policy",
        Type::List,
        Rule::SomeOf(&["compact", "delete"]),
        "delete",
        "What happens to old records: delete drops them by age or size, compact keeps the last of each key. Compacted \
         topics are accepted and not yet compacted.",
    ),
    key(
        "compression.gzip.level",
        Type::Int,
        Rule::GzipLevel,
        "-1",
        "The level of gzip where the broker compresses.",
    ),
    key(
        "compression.lz4.level",
        Type::Int,
        Rule::Between(1, 17),
        "9",
        "The level of lz4 where the broker compresses.",
    ),
    key(
        "compression.type",
        Type::Text,
        Rule::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]),
        "producer",
        "The codec that batches are brought to; producer leaves each as it came.",
    ),
    key(
        "compression.zstd.level",
        Type::Int,
        Rule::Between(-131_072, 22),
        "3",
        "The level of zstd where the broker compresses.",
    ),
    key(
        "confluent.key.schema.validation",
        Type::Boolean,
        Rule::Any,
        "false",
        "Whether a record is refused whose key is not of a schema that is registered for the topic.",
    ),
    key(
        "confluent.key.subject.name.strategy",
        Type::Text,
        Rule::OneOf(&STRATEGIES),
        STRATEGIES[0],
        "Under which subject the schemas of the topic's keys are registered.",
    ),
    key(
        "confluent.value.schema.validation",
        Type::Boolean,
        Rule::Any,
        "false",
        "Whether a record is refused whose value is not of a schema that is registered for the topic.",
    ),
    key(
        "confluent.value.subject.name.strategy",
        Type::Text,
        Rule::OneOf(&STRATEGIES),
        STRATEGIES[0],
        "Under which subject the schemas of the topic's values are registered.",
    ),
    key(
        "delete.retention.ms",
        Type::Long,
        Rule::AtLeast(0),
        "86400000",
        "How long a tombstone stays readable in a compacted topic.",
    ),
    key("file.delete.delay.ms", Type::Long, Rule::AtLeast(0), "60000", REPORTED),
    key("flush.messages", Type::Long, Rule::AtLeast(1), ENDLESS, REPORTED),
    key("flush.ms", Type::Long, Rule::AtLeast(0), ENDLESS, REPORTED),
    key(
        "follower.replication.throttled.replicas",
        Type::List,
        Rule::Replicas,
        "",
        "Accepted and reported; there are no followers to throttle.",
    ),
    key("index.interval.bytes", Type::Int, Rule::AtLeast(0), "4096", REPORTED),
    key(
        "leader.replication.throttled.replicas",
        Type::List,
        Rule::Replicas,
        "",
        "Accepted and reported; there are no followers to throttle.",
    ),
    key("local.retention.bytes", Type::Long, Rule::AtLeast(-2), "-2", TIERED),
    key("local.retention.ms", Type::Long, Rule::AtLeast(-2), "-2", TIERED),
    key(
        "max.compaction.lag.ms",
        Type::Long,
        Rule::AtLeast(1),
        ENDLESS,
        "How long a record may stay before it must be looked at for compaction.",
    ),
    key(
        "max.message.bytes",
        Type::Int,
        Rule::AtLeast(0),
        "1048588",
        "The largest record batch, compressed as it comes.",
    ),
    key(
        "message.timestamp.after.max.ms",
        Type::Long,
        Rule::AtLeast(0),
        "3600000",
        "How far after the broker's time a record's own time may lie.",
    ),
    key(
        "message.timestamp.before.max.ms",
        Type::Long,
        Rule::AtLeast(0),
        ENDLESS,
        "How far before the broker's time a record's own time may lie.",
    ),
    key(
        "message.timestamp.type",
        Type::Text,
        Rule::OneOf(&["CreateTime", "LogAppendTime"]),
        "CreateTime",
        "Whose time a record bears: its producer's, or the broker's when it came.",
    ),
    key(
        "min.cleanable.dirty.ratio",
        Type::Double,
        Rule::Ratio,
        "0.5",
        "The least share of superseded records before a partition is compacted.",
    ),
    key(
        "min.compaction.lag.ms",
        Type::Long,
        Rule::AtLeast(0),
        "0",
        "How long a record stays as it is before it may be compacted away.",
    ),
    key(
        "min.insync.replicas",
        Type::Int,
        Rule::AtLeast(1),
        "1",
        "Accepted and reported; a record is durable in the bucket before it is acknowledged.",
    ),
    key("preallocate", Type::Boolean, Rule::Any, "false", REPORTED),
    key("remote.log.copy.disable", Type::Boolean, Rule::Any, "false", TIERED),
    key("remote.log.delete.on.disable", Type::Boolean, Rule::Any, "false", TIERED),
    key(
        "remote.storage.enable",
        Type::Boolean,
        Rule::Only(
            "false",
            "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.",
        ),
        "false",
        "Always false: all data lies in the object store already, so there is no second tier.",
    ),
    key(
        "retention.bytes",
        Type::Long,
        Rule::Any,
        "-1",
        "How many bytes of each partition are kept; -1 keeps all.",
    ),
    key(
        "retention.ms",
        Type::Long,
        Rule::AtLeast(-1),
        "604800000",
        "How long records are kept; -1 keeps them for ever.",
    ),
    key("segment.bytes", Type::Int, Rule::AtLeast(1_048_576), "1073741824", REPORTED),
    key("segment.index.bytes", Type::Int, Rule::AtLeast(4), "10485760", REPORTED),
    key("segment.jitter.ms", Type::Long, Rule::AtLeast(0), "0", REPORTED),
    key("segment.ms", Type::Long, Rule::AtLeast(1), "604800000", REPORTED),
    key(
        "thalweg.durability",
        Type::Text,
        Rule::Only(
            "object",
            "Invalid value for configuration thalweg.durability: the only durability class that is built is object",
        ),
        "object",
        "When a record is acknowledged. object: when the bucket has it.",
    ),
    key(
        "thalweg.flush.ms",
        Type::Long,
        Rule::Between(0, 60_000),
        "100",
        "How long a record may wait for company before its object is written; 0 waits for nothing but the write before.",
    ),
    key(
        "thalweg.schema.validation.mode",
        Type::Text,
        Rule::OneOf(&["id", "payload"]),
        "id",
        "What of a record is held against its schema: the id that it begins with, or also the bytes behind it. In Protobuf these begin with message indexes in zigzag; those of clients with use.deprecated.format=true, which no other deserializer reads, are refused.",
    ),
    key(
        "unclean.leader.election.enable",
        Type::Boolean,
        Rule::Any,
        "false",
        "Accepted and reported; a leader is never chosen over records that were acknowledged.",
    ),
];
