//! What topics start from: the broker-wide defaults of topic configs, and how topics come to be.

use std::time::Duration;

use super::key::Kind::{self, Bool, Bytes, Int, IntOrDefault, Millis, OneOf, Ratio, SomeOf};
use super::key::{FACTOR, Key, PARTITIONS, Section, int_bytes, int_from, millis_from};
use super::load::Values;
use crate::base::units::ByteSize;

/// Settings of new topics, and those that a topic has unless it says another.
///
/// What is only reported to clients has no field: [`super::Config::entry`] gives it.
#[derive(Debug, Clone)]
pub struct TopicConfig {
    /// Partitions of a topic that is created without a number.
    pub num_partitions: i32,
    /// What a topic that is created without a replication factor reports.
    pub default_replication_factor: i16,
    /// A Metadata request for an unknown topic creates it.
    pub auto_create: bool,
    /// Topics can be deleted.
    pub delete_enable: bool,
    /// The largest batch.
    pub message_max_bytes: ByteSize,
    /// How long records are kept; none: for ever.
    pub retention: Option<Duration>,
    /// How many bytes of a partition are kept; none: all.
    pub retention_bytes: Option<ByteSize>,
    /// `delete`, `compact`, or both.
    pub cleanup_policy: Vec<String>,
    /// `producer`, or the codec that every batch is brought to.
    pub compression_type: String,
    /// The level of each codec, where the broker compresses.
    pub compression_levels: CompressionLevels,
    /// `CreateTime` or `LogAppendTime`.
    pub timestamp_type: String,
    /// How far before now a record's time may lie.
    pub timestamp_before_max: Duration,
    /// How far after now.
    pub timestamp_after_max: Duration,
    /// What clients are told of how many replicas must be in sync.
    pub min_insync_replicas: i32,
    /// The least share of a partition that may be rewritten when it is compacted.
    pub min_cleanable_ratio: f64,
}

/// Levels of compression by codec. snappy has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompressionLevels {
    /// `compression.gzip.level`; -1 is the codec's own default.
    pub gzip: i32,
    /// `compression.lz4.level`.
    pub lz4: i32,
    /// `compression.zstd.level`.
    pub zstd: i32,
}

/// A setting of the broker that is the default of a topic config, and that clients may change while the broker runs: its
/// name, and the topic config's. None: what a client says of it is refused, or only reported.
///
/// Source: `DynamicLogConfig`, `ServerTopicConfigSynonyms` in Apache Kafka.
#[must_use]
pub fn live_default(name: &str) -> Option<(&'static str, &'static str)> {
    let key = KEYS.iter().find(|key| key.name == name && key.in_kafka)?;
    Some((key.name, key.topic?))
}

const fn ours(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key::ours(Section::Topic, name, kind, default, doc)
}

const fn kafkas(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key::kafkas(Section::Topic, name, kind, default, doc)
}

/// The greatest `i64`: as good as no limit, and what Kafka reports.
const ENDLESS: &str = "9223372036854775807";

const HOUR: i64 = 3_600_000;

pub(super) const KEYS: &[Key] = &[
    kafkas(
        "num.partitions",
        PARTITIONS,
        "1",
        "Partitions of a topic that is created without a number.",
    ),
    kafkas(
        "default.replication.factor",
        FACTOR,
        "1",
        "What a topic that is created without a replication factor reports. The bucket keeps the copies.",
    ),
    kafkas(
        "auto.create.topics.enable",
        Bool,
        "true",
        "A Metadata request that names an unknown topic creates it.",
    ),
    kafkas("delete.topic.enable", Bool, "true", "Topics can be deleted."),
    kafkas(
        "message.max.bytes",
        int_bytes(0),
        "1048588",
        "The largest record batch, compressed as it comes.",
    )
    .of_topics("max.message.bytes"),
    kafkas("log.retention.ms", millis_from(-1), "604800000", "How long records are kept.")
        .also(&[("log.retention.minutes", 60_000), ("log.retention.hours", HOUR)])
        .of_topics("retention.ms"),
    kafkas(
        "log.retention.bytes",
        Bytes { min: -1, max: i64::MAX },
        "-1",
        "How many bytes of each partition are kept.",
    )
    .of_topics("retention.bytes"),
    kafkas(
        "log.cleanup.policy",
        SomeOf(&["delete", "compact"]),
        "delete",
        "What happens to old records. Topics with `compact` are accepted, and not yet compacted.",
    )
    .of_topics("cleanup.policy"),
    ours(
        "thalweg.durability",
        OneOf(&["object"]),
        "object",
        "When a record is acknowledged. object: when the bucket has it.",
    )
    .of_topics("thalweg.durability"),
    kafkas(
        "compression.type",
        OneOf(&["producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"]),
        "producer",
        "The codec that batches are brought to; producer leaves each as it came.",
    )
    .of_topics("compression.type"),
    kafkas(
        "compression.gzip.level",
        IntOrDefault { min: 1, max: 9 },
        "-1",
        "The level of gzip, where the broker compresses; by default the codec's own, 6.",
    )
    .of_topics("compression.gzip.level"),
    kafkas(
        "compression.lz4.level",
        Int { min: 1, max: 17 },
        "9",
        "The level of lz4, where the broker compresses.",
    )
    .of_topics("compression.lz4.level"),
    kafkas(
        "compression.zstd.level",
        Int { min: -131_072, max: 22 },
        "3",
        "The level of zstd, where the broker compresses.",
    )
    .of_topics("compression.zstd.level"),
    kafkas(
        "log.message.timestamp.type",
        OneOf(&["CreateTime", "LogAppendTime"]),
        "CreateTime",
        "Whose time a record bears: its producer's, or the broker's when it came.",
    )
    .of_topics("message.timestamp.type"),
    kafkas(
        "log.message.timestamp.before.max.ms",
        millis_from(0),
        ENDLESS,
        "How far before now a record's own time may lie.",
    )
    .of_topics("message.timestamp.before.max.ms"),
    kafkas(
        "log.message.timestamp.after.max.ms",
        millis_from(0),
        "3600000",
        "How far after now a record's own time may lie.",
    )
    .of_topics("message.timestamp.after.max.ms"),
    kafkas(
        "min.insync.replicas",
        int_from(1),
        "1",
        "Accepted and reported; a record is durable in the bucket before it is acknowledged.",
    )
    .of_topics("min.insync.replicas"),
    kafkas(
        "unclean.leader.election.enable",
        Bool,
        "false",
        "Accepted and reported; a leader is never chosen over records that were acknowledged.",
    )
    .of_topics("unclean.leader.election.enable"),
    kafkas(
        "log.cleaner.delete.retention.ms",
        millis_from(0),
        "86400000",
        "How long a tombstone stays readable in a compacted topic.",
    )
    .of_topics("delete.retention.ms"),
    kafkas(
        "log.cleaner.min.compaction.lag.ms",
        millis_from(0),
        "0",
        "How long a record stays as it is before it may be compacted away.",
    )
    .of_topics("min.compaction.lag.ms"),
    kafkas(
        "log.cleaner.max.compaction.lag.ms",
        millis_from(1),
        ENDLESS,
        "How long a record may stay before it must be looked at for compaction.",
    )
    .of_topics("max.compaction.lag.ms"),
    kafkas(
        "log.cleaner.min.cleanable.ratio",
        Ratio,
        "0.5",
        "The least share of superseded records before a partition is compacted.",
    )
    .of_topics("min.cleanable.dirty.ratio"),
    kafkas(
        "log.segment.bytes",
        int_bytes(1 << 20),
        "1073741824",
        "Accepted and reported; objects are cut by `wal.slot.bytes`.",
    )
    .of_topics("segment.bytes"),
    kafkas(
        "log.roll.ms",
        Millis { min: 1, max: i64::MAX },
        "604800000",
        "Accepted and reported; objects are cut by `wal.flush.ms`.",
    )
    .also(&[("log.roll.hours", HOUR)])
    .of_topics("segment.ms"),
    kafkas(
        "log.roll.jitter.ms",
        millis_from(0),
        "0",
        "Accepted and reported; there is nothing to spread.",
    )
    .also(&[("log.roll.jitter.hours", HOUR)])
    .of_topics("segment.jitter.ms"),
    kafkas(
        "log.segment.delete.delay.ms",
        millis_from(0),
        "60000",
        "Accepted and reported; see `gc.grace.ms`.",
    )
    .of_topics("file.delete.delay.ms"),
    kafkas(
        "log.flush.interval.messages",
        Int { min: 1, max: i64::MAX },
        ENDLESS,
        "Accepted and reported; a record is durable before it is acknowledged.",
    )
    .of_topics("flush.messages"),
    kafkas(
        "log.flush.interval.ms",
        millis_from(0),
        ENDLESS,
        "Accepted and reported; a record is durable before it is acknowledged.",
    )
    .of_topics("flush.ms"),
    kafkas(
        "log.index.interval.bytes",
        int_bytes(0),
        "4096",
        "Accepted and reported; every batch is in an index.",
    )
    .of_topics("index.interval.bytes"),
    kafkas(
        "log.index.size.max.bytes",
        int_bytes(4),
        "10485760",
        "Accepted and reported; an index is as large as its object needs.",
    )
    .of_topics("segment.index.bytes"),
    kafkas(
        "log.preallocate",
        Bool,
        "false",
        "Accepted and reported; there are no files to allocate.",
    )
    .of_topics("preallocate"),
];

impl TopicConfig {
    pub(super) fn read(values: &Values) -> Self {
        Self {
            num_partitions: values.int("num.partitions"),
            default_replication_factor: values.int("default.replication.factor"),
            auto_create: values.flag("auto.create.topics.enable"),
            delete_enable: values.flag("delete.topic.enable"),
            message_max_bytes: values.size("message.max.bytes"),
            retention: values.time_limit("log.retention.ms"),
            retention_bytes: values.size_limit("log.retention.bytes"),
            cleanup_policy: values.words("log.cleanup.policy"),
            compression_type: values.text("compression.type"),
            compression_levels: CompressionLevels {
                gzip: values.int("compression.gzip.level"),
                lz4: values.int("compression.lz4.level"),
                zstd: values.int("compression.zstd.level"),
            },
            timestamp_type: values.text("log.message.timestamp.type"),
            timestamp_before_max: values.time("log.message.timestamp.before.max.ms"),
            timestamp_after_max: values.time("log.message.timestamp.after.max.ms"),
            min_insync_replicas: values.int("min.insync.replicas"),
            min_cleanable_ratio: values.ratio("log.cleaner.min.cleanable.ratio"),
        }
    }
}
