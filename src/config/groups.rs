//! Consumer groups and their topic.

use std::time::Duration;

use super::key::Kind::{self, Millis};
use super::key::{FACTOR, Key, PARTITIONS, Section, int_bytes, int_from};
use super::load::Values;
use crate::base::units::ByteSize;

/// Settings of consumer groups and their topic.
#[derive(Debug, Clone)]
pub struct GroupsConfig {
    /// How long a new group waits for more members.
    pub initial_rebalance_delay: Duration,
    /// The shortest session that a member may ask for.
    pub min_session_timeout: Duration,
    /// The longest.
    pub max_session_timeout: Duration,
    /// The most members of a group.
    pub max_size: usize,
    /// How long a consumer of the newer protocol may be silent.
    pub consumer_session_timeout: Duration,
    /// How often it is asked to be heard of.
    pub consumer_heartbeat_interval: Duration,
    /// The bounds of what a group may have in place of the session timeout: least and greatest.
    pub consumer_session_bounds: (Duration, Duration),
    /// The bounds of what a group may have in place of the heartbeat interval.
    pub consumer_heartbeat_bounds: (Duration, Duration),
    /// The least time between two assignments of a group; zero: none.
    pub consumer_assignment_interval: Duration,
    /// The bounds of what a group may have in place of it.
    pub consumer_assignment_bounds: (Duration, Duration),
    /// How often patterns are matched anew although no topic came.
    pub consumer_regex_refresh_interval: Duration,
    /// The most members of a group of the newer protocol.
    pub consumer_max_size: usize,
    /// Assignors that its members may ask for, the default first.
    pub consumer_assignors: Vec<String>,
    /// Whether a group may change its protocol while it has members.
    pub consumer_migration: Migration,
    /// Partitions of `__consumer_offsets`.
    pub offsets_partitions: i32,
    /// What `__consumer_offsets` reports as its replication factor.
    pub offsets_replication_factor: i16,
    /// How long the offsets of an empty group are kept.
    pub offsets_retention: Duration,
    /// How often such offsets are looked for.
    pub offsets_retention_check: Duration,
    /// What `__consumer_offsets` reports as its segment size.
    pub offsets_segment_bytes: ByteSize,
    /// The most metadata with one committed offset.
    pub offset_metadata_max_bytes: ByteSize,
}

/// Whether a group of consumers may change its protocol while it has members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// From the classic protocol to the newer.
    pub upgrades: bool,
    /// And back.
    pub downgrades: bool,
}

impl Migration {
    fn named(policy: &str) -> Self {
        let both = policy == "bidirectional";
        Self { upgrades: both || policy == "upgrade", downgrades: both || policy == "downgrade" }
    }
}

const fn kafkas(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key::kafkas(Section::Groups, name, kind, default, doc)
}

/// A time that Kafka keeps in an `i32`.
const fn short(min: i64) -> Kind {
    Millis { min, max: i32::MAX as i64 }
}

/// The assignors that are built in.
const ASSIGNORS: &[&str] = &["uniform", "range"];

pub(super) const KEYS: &[Key] = &[
    kafkas(
        "group.initial.rebalance.delay.ms",
        short(0),
        "3000",
        "How long a new group waits for more members before it first shares out partitions.",
    ),
    kafkas(
        "group.min.session.timeout.ms",
        short(1),
        "6000",
        "The shortest session timeout that a member may ask for.",
    ),
    kafkas(
        "group.max.session.timeout.ms",
        short(1),
        "1800000",
        "The longest session timeout that a member may ask for.",
    ),
    kafkas("group.max.size", int_from(1), "2147483647", "The most members of a group."),
    kafkas(
        "group.consumer.session.timeout.ms",
        short(1),
        "45000",
        "How long a member of the newer protocol may be silent.",
    ),
    kafkas(
        "group.consumer.heartbeat.interval.ms",
        short(1),
        "5000",
        "How often a member of the newer protocol is heard of.",
    ),
    kafkas(
        "group.consumer.min.session.timeout.ms",
        short(1),
        "45000",
        "The least that a group may set as its `consumer.session.timeout.ms`.",
    ),
    kafkas(
        "group.consumer.max.session.timeout.ms",
        short(1),
        "60000",
        "The greatest that a group may set as its `consumer.session.timeout.ms`.",
    ),
    kafkas(
        "group.consumer.min.heartbeat.interval.ms",
        short(1),
        "5000",
        "The least that a group may set as its `consumer.heartbeat.interval.ms`.",
    ),
    kafkas(
        "group.consumer.max.heartbeat.interval.ms",
        short(1),
        "15000",
        "The greatest that a group may set as its `consumer.heartbeat.interval.ms`.",
    ),
    kafkas(
        "group.consumer.assignment.interval.ms",
        short(0),
        "1000",
        "The least time between two assignments of a group of the newer protocol; 0 for none.",
    ),
    kafkas(
        "group.consumer.min.assignment.interval.ms",
        short(0),
        "0",
        "The least that a group may set as its `consumer.assignment.interval.ms`.",
    ),
    kafkas(
        "group.consumer.max.assignment.interval.ms",
        short(0),
        "15000",
        "The greatest that a group may set as its `consumer.assignment.interval.ms`.",
    ),
    kafkas(
        "group.consumer.regex.refresh.interval.ms",
        short(10_000),
        "600000",
        "How often the patterns of groups are matched anew although no topic was created.",
    ),
    kafkas(
        "group.consumer.max.size",
        int_from(1),
        "2147483647",
        "The most members of a group of the newer protocol.",
    ),
    kafkas(
        "group.consumer.assignors",
        Kind::SomeOf(ASSIGNORS),
        "uniform,range",
        "The assignors that members of the newer protocol may ask for, the default first.",
    ),
    kafkas(
        "group.consumer.migration.policy",
        Kind::OneOf(&["bidirectional", "upgrade", "downgrade", "disabled"]),
        "bidirectional",
        "Whether a group of consumers may change its protocol while it has members: to the newer protocol, back, or both. A group without members always may.",
    ),
    kafkas(
        "offsets.topic.num.partitions",
        PARTITIONS,
        "50",
        "Partitions of `__consumer_offsets`, fixed when it is created.",
    ),
    kafkas(
        "offsets.topic.replication.factor",
        FACTOR,
        "1",
        "What `__consumer_offsets` reports as its replication factor; the bucket keeps the copies.",
    ),
    kafkas(
        "offsets.topic.segment.bytes",
        int_bytes(1),
        "104857600",
        "Accepted and reported; objects are cut by `wal.slot.bytes`.",
    ),
    kafkas(
        "offsets.retention.minutes",
        int_from(1),
        "10080",
        "Minutes that the offsets of a group without members are kept.",
    ),
    kafkas(
        "offsets.retention.check.interval.ms",
        Millis { min: 1, max: i64::MAX },
        "600000",
        "How often such offsets are looked for.",
    ),
    kafkas(
        "offset.metadata.max.bytes",
        int_bytes(0),
        "4096",
        "The most metadata with one committed offset.",
    ),
];

impl GroupsConfig {
    pub(super) fn read(values: &Values) -> Self {
        let minutes: u64 = values.int("offsets.retention.minutes");
        let bounds = |least, greatest| (values.time(least), values.time(greatest));
        Self {
            initial_rebalance_delay: values.time("group.initial.rebalance.delay.ms"),
            min_session_timeout: values.time("group.min.session.timeout.ms"),
            max_session_timeout: values.time("group.max.session.timeout.ms"),
            max_size: values.int("group.max.size"),
            consumer_session_timeout: values.time("group.consumer.session.timeout.ms"),
            consumer_heartbeat_interval: values.time("group.consumer.heartbeat.interval.ms"),
            consumer_session_bounds: bounds(
                "group.consumer.min.session.timeout.ms",
                "group.consumer.max.session.timeout.ms",
            ),
            consumer_heartbeat_bounds: bounds(
                "group.consumer.min.heartbeat.interval.ms",
                "group.consumer.max.heartbeat.interval.ms",
            ),
            consumer_assignment_interval: values.time("group.consumer.assignment.interval.ms"),
            consumer_assignment_bounds: bounds(
                "group.consumer.min.assignment.interval.ms",
                "group.consumer.max.assignment.interval.ms",
            ),
            consumer_regex_refresh_interval: values
                .time("group.consumer.regex.refresh.interval.ms"),
            consumer_max_size: values.int("group.consumer.max.size"),
            consumer_assignors: values.words("group.consumer.assignors"),
            consumer_migration: Migration::named(&values.text("group.consumer.migration.policy")),
            offsets_partitions: values.int("offsets.topic.num.partitions"),
            offsets_replication_factor: values.int("offsets.topic.replication.factor"),
            offsets_retention: Duration::from_secs(minutes * 60),
            offsets_retention_check: values.time("offsets.retention.check.interval.ms"),
            offsets_segment_bytes: values.size("offsets.topic.segment.bytes"),
            offset_metadata_max_bytes: values.size("offset.metadata.max.bytes"),
        }
    }
}
