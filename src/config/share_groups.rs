//! Share groups: what their coordinator and their partitions go by, and how far one group may depart from it.

use std::time::Duration;

use super::key::Kind::{self, Int, Millis};
use super::key::{FACTOR, Key, PARTITIONS, Section, int_bytes, int_from};
use super::load::Values;
use crate::base::units::ByteSize;

/// Settings of share groups.
#[derive(Debug, Clone)]
pub struct ShareGroupsConfig {
    /// The most members of a group.
    pub max_size: usize,
    /// How long a member may be silent.
    pub session_timeout: Duration,
    /// The bounds of what a group may have in place of it: least and greatest. So with all that follow.
    pub session_bounds: (Duration, Duration),
    /// How often a member is asked to be heard of.
    pub heartbeat_interval: Duration,
    /// Of the heartbeat interval.
    pub heartbeat_bounds: (Duration, Duration),
    /// The least time between two assignments of a group; zero: none.
    pub assignment_interval: Duration,
    /// Of the assignment interval.
    pub assignment_bounds: (Duration, Duration),
    /// How long the state of a partition may take to be initialised before it is asked for again.
    pub initialize_retry: Duration,
    /// How long a record stays with the member that acquired it.
    pub record_lock_duration: Duration,
    /// Of the lock's duration.
    pub record_lock_bounds: (Duration, Duration),
    /// How often a record is delivered at most.
    pub delivery_count_limit: i32,
    /// Of the limit.
    pub delivery_count_bounds: (i32, i32),
    /// The most records of a partition that are acquired at once.
    pub partition_max_record_locks: i32,
    /// Of that number.
    pub partition_max_record_locks_bounds: (i32, i32),
    /// The most share sessions of a broker.
    pub max_share_sessions: usize,
    /// Partitions of `__share_group_state`.
    pub state_partitions: i32,
    /// What `__share_group_state` reports as its replication factor.
    pub state_replication_factor: i16,
    /// What `__share_group_state` reports as its least in-sync replicas.
    pub state_min_isr: i16,
    /// What `__share_group_state` reports as its segment size.
    pub state_segment_bytes: ByteSize,
    /// After how many changes the state of a partition is written whole.
    pub state_updates_per_snapshot: u32,
}

const fn kafkas(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key::kafkas(Section::ShareGroups, name, kind, default, doc)
}

const fn millis(min: i64, max: i64) -> Kind {
    Millis { min, max }
}

const fn short(min: i64) -> Kind {
    millis(min, i32::MAX as i64)
}

pub(super) const KEYS: &[Key] = &[
    kafkas(
        "group.share.max.size",
        Int { min: 1, max: 1000 },
        "200",
        "The most members of a share group.",
    ),
    kafkas(
        "group.share.session.timeout.ms",
        short(1),
        "45000",
        "How long a member of a share group may be silent.",
    ),
    kafkas(
        "group.share.min.session.timeout.ms",
        short(1),
        "45000",
        "The least that a group may set as its `share.session.timeout.ms`.",
    ),
    kafkas(
        "group.share.max.session.timeout.ms",
        short(1),
        "60000",
        "The greatest that a group may set as its `share.session.timeout.ms`.",
    ),
    kafkas(
        "group.share.heartbeat.interval.ms",
        short(1),
        "5000",
        "How often a member of a share group is heard of.",
    ),
    kafkas(
        "group.share.min.heartbeat.interval.ms",
        short(1),
        "5000",
        "The least that a group may set as its `share.heartbeat.interval.ms`.",
    ),
    kafkas(
        "group.share.max.heartbeat.interval.ms",
        short(1),
        "15000",
        "The greatest that a group may set as its `share.heartbeat.interval.ms`.",
    ),
    kafkas(
        "group.share.assignment.interval.ms",
        short(0),
        "1000",
        "The least time between two assignments of a share group; 0 for none.",
    ),
    kafkas(
        "group.share.min.assignment.interval.ms",
        short(0),
        "0",
        "The least that a group may set as its `share.assignment.interval.ms`.",
    ),
    kafkas(
        "group.share.max.assignment.interval.ms",
        short(0),
        "15000",
        "The greatest that a group may set as its `share.assignment.interval.ms`.",
    ),
    kafkas(
        "group.share.assignors",
        Kind::OneOf(&["simple"]),
        "simple",
        "How the partitions of a share group are shared out.",
    ),
    kafkas(
        "group.share.initialize.retry.interval.ms",
        short(1),
        "30000",
        "How long the state of a share group's partition may take to be initialised before that is asked for again.",
    ),
    kafkas(
        "group.share.record.lock.duration.ms",
        millis(1000, 3_600_000),
        "30000",
        "How long a record of a share group stays with the member that acquired it.",
    ),
    kafkas(
        "group.share.min.record.lock.duration.ms",
        millis(1000, 30_000),
        "15000",
        "The least that a group may set as its `share.record.lock.duration.ms`.",
    ),
    kafkas(
        "group.share.max.record.lock.duration.ms",
        millis(30_000, 3_600_000),
        "60000",
        "The greatest that a group may set as its `share.record.lock.duration.ms`.",
    ),
    kafkas(
        "group.share.delivery.count.limit",
        Int { min: 2, max: 10 },
        "5",
        "How often a record of a share group is delivered at most.",
    ),
    kafkas(
        "group.share.min.delivery.count.limit",
        Int { min: 2, max: 5 },
        "2",
        "The least that a group may set as its `share.delivery.count.limit`.",
    ),
    kafkas(
        "group.share.max.delivery.count.limit",
        Int { min: 5, max: 25 },
        "10",
        "The greatest that a group may set as its `share.delivery.count.limit`.",
    ),
    kafkas(
        "group.share.partition.max.record.locks",
        Int { min: 100, max: 10_000 },
        "2000",
        "The most records of a partition that a share group has acquired at once.",
    ),
    kafkas(
        "group.share.min.partition.max.record.locks",
        Int { min: 100, max: 2000 },
        "100",
        "The least that a group may set as its `share.partition.max.record.locks`.",
    ),
    kafkas(
        "group.share.max.partition.max.record.locks",
        Int { min: 2000, max: 10_000 },
        "4000",
        "The greatest that a group may set as its `share.partition.max.record.locks`.",
    ),
    kafkas(
        "group.share.max.share.sessions",
        int_from(1),
        "2000",
        "The most share sessions of a broker.",
    ),
    kafkas(
        "share.coordinator.state.topic.num.partitions",
        PARTITIONS,
        "50",
        "Partitions of `__share_group_state`, fixed when it is created.",
    ),
    kafkas(
        "share.coordinator.state.topic.replication.factor",
        FACTOR,
        "1",
        "What `__share_group_state` reports as its replication factor; the bucket keeps the copies.",
    ),
    kafkas(
        "share.coordinator.state.topic.min.isr",
        Int { min: 1, max: i16::MAX as i64 },
        "1",
        "Accepted and reported; a record is durable in the bucket before it is acknowledged.",
    ),
    kafkas(
        "share.coordinator.state.topic.segment.bytes",
        int_bytes(1),
        "104857600",
        "Accepted and reported; objects are cut by `wal.slot.bytes`.",
    ),
    kafkas(
        "share.coordinator.snapshot.update.records.per.snapshot",
        Int { min: 0, max: 500 },
        "500",
        "After how many changes the state of a share group's partition is written whole.",
    ),
];

impl ShareGroupsConfig {
    pub(super) fn read(values: &Values) -> Self {
        let times = |least, greatest| (values.time(least), values.time(greatest));
        let numbers = |least, greatest| (values.int(least), values.int(greatest));
        Self {
            max_size: values.int("group.share.max.size"),
            session_timeout: values.time("group.share.session.timeout.ms"),
            session_bounds: times(
                "group.share.min.session.timeout.ms",
                "group.share.max.session.timeout.ms",
            ),
            heartbeat_interval: values.time("group.share.heartbeat.interval.ms"),
            heartbeat_bounds: times(
                "group.share.min.heartbeat.interval.ms",
                "group.share.max.heartbeat.interval.ms",
            ),
            assignment_interval: values.time("group.share.assignment.interval.ms"),
            assignment_bounds: times(
                "group.share.min.assignment.interval.ms",
                "group.share.max.assignment.interval.ms",
            ),
            initialize_retry: values.time("group.share.initialize.retry.interval.ms"),
            record_lock_duration: values.time("group.share.record.lock.duration.ms"),
            record_lock_bounds: times(
                "group.share.min.record.lock.duration.ms",
                "group.share.max.record.lock.duration.ms",
            ),
            delivery_count_limit: values.int("group.share.delivery.count.limit"),
            delivery_count_bounds: numbers(
                "group.share.min.delivery.count.limit",
                "group.share.max.delivery.count.limit",
            ),
            partition_max_record_locks: values.int("group.share.partition.max.record.locks"),
            partition_max_record_locks_bounds: numbers(
                "group.share.min.partition.max.record.locks",
                "group.share.max.partition.max.record.locks",
            ),
            max_share_sessions: values.int("group.share.max.share.sessions"),
            state_partitions: values.int("share.coordinator.state.topic.num.partitions"),
            state_replication_factor: values
                .int("share.coordinator.state.topic.replication.factor"),
            state_min_isr: values.int("share.coordinator.state.topic.min.isr"),
            state_segment_bytes: values.size("share.coordinator.state.topic.segment.bytes"),
            state_updates_per_snapshot: values
                .int("share.coordinator.snapshot.update.records.per.snapshot"),
        }
    }
}
