//! Consumer groups and their topic.

use std::time::Duration;

use super::key::Kind::{self, Int, Millis};
use super::key::{Key, Section, int_bytes, int_from};
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

const fn kafkas(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key::kafkas(Section::Groups, name, kind, default, doc)
}

/// A time that Kafka keeps in an `i32`.
const fn short(min: i64) -> Kind {
    Millis { min, max: i32::MAX as i64 }
}

const FACTOR: Kind = Int { min: 1, max: i16::MAX as i64 };

const PARTITIONS: Kind = Int { min: 1, max: 100_000 };

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
        "group.share.record.lock.duration.ms",
        short(1000),
        "30000",
        "How long a record of a share group stays with one member.",
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
        Self {
            initial_rebalance_delay: values.time("group.initial.rebalance.delay.ms"),
            min_session_timeout: values.time("group.min.session.timeout.ms"),
            max_session_timeout: values.time("group.max.session.timeout.ms"),
            max_size: values.int("group.max.size"),
            consumer_session_timeout: values.time("group.consumer.session.timeout.ms"),
            consumer_heartbeat_interval: values.time("group.consumer.heartbeat.interval.ms"),
            offsets_partitions: values.int("offsets.topic.num.partitions"),
            offsets_replication_factor: values.int("offsets.topic.replication.factor"),
            offsets_retention: Duration::from_secs(minutes * 60),
            offsets_retention_check: values.time("offsets.retention.check.interval.ms"),
            offsets_segment_bytes: values.size("offsets.topic.segment.bytes"),
            offset_metadata_max_bytes: values.size("offset.metadata.max.bytes"),
        }
    }
}
