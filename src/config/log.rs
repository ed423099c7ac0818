//! Partitions and reads.

use std::time::Duration;

use super::key::Kind::{self, Bytes, Millis};
use super::key::{Key, Section};
use super::load::Values;
use crate::base::units::ByteSize;

/// Settings of partitions and of reads.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// The most memory for the newest records of all partitions.
    pub tail_bytes: ByteSize,
    /// A producer that was silent for so long is forgotten.
    pub producer_id_expiration: Duration,
    /// The most memory for read plans.
    pub index_cache_bytes: ByteSize,
    /// The most memory for pieces of objects that were read.
    pub read_cache_bytes: ByteSize,
    /// The most that is read ahead of one consumer.
    pub read_ahead_max_bytes: ByteSize,
}

const fn key(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key::ours(Section::Log, name, kind, default, doc)
}

pub(super) const KEYS: &[Key] = &[
    key(
        "tail.bytes",
        Bytes { min: 0, max: 1 << 40 },
        "134217728",
        "The most memory for the newest records of all partitions. Consumers that keep up are served from it.",
    ),
    Key::kafkas(
        Section::Log,
        "producer.id.expiration.ms",
        Millis { min: 1, max: i32::MAX as i64 },
        "86400000",
        "A producer that wrote nothing to a partition for so long is forgotten there, and with it what tells its duplicates.",
    ),
    key(
        "index.cache.bytes",
        Bytes { min: 0, max: 1 << 40 },
        "33554432",
        "The most memory for read plans: which objects hold which offsets.",
    ),
    key(
        "read.cache.bytes",
        Bytes { min: 0, max: 1 << 40 },
        "134217728",
        "The most memory for pieces of objects that were read from the store; as much as half of it again may be on its way. \
         The newest records of `tail.bytes` are apart: readers of old ones never push them out.",
    ),
    key(
        "read.ahead.max.bytes",
        Bytes { min: 0, max: 1 << 30 },
        "33554432",
        "The most that is read from the store ahead of a consumer that goes through a partition in order; 0 is nothing. \
         All consumers together use at most half of `read.cache.bytes`.",
    ),
];

impl LogConfig {
    pub(super) fn read(values: &Values) -> Self {
        Self {
            tail_bytes: values.size("tail.bytes"),
            producer_id_expiration: values.time("producer.id.expiration.ms"),
            index_cache_bytes: values.size("index.cache.bytes"),
            read_cache_bytes: values.size("read.cache.bytes"),
            read_ahead_max_bytes: values.size("read.ahead.max.bytes"),
        }
    }
}
