//! Transactions and their topic.

use std::time::Duration;

use super::key::Kind::{self, Bool, Int, Millis};
use super::key::{FACTOR, Key, PARTITIONS, Section, int_bytes};
use super::load::Values;
use crate::base::units::ByteSize;

/// Settings of transactions and their topic.
#[derive(Debug, Clone)]
pub struct TransactionsConfig {
    /// The longest transaction that a producer may ask for.
    pub max_timeout: Duration,
    /// A transactional id that was unused for so long is forgotten.
    pub id_expiration: Duration,
    /// Partitions of `__transaction_state`.
    pub state_partitions: i32,
    /// What `__transaction_state` reports as its replication factor.
    pub state_replication_factor: i16,
    /// What `__transaction_state` reports as its least in-sync replicas.
    pub state_min_isr: i32,
    /// What `__transaction_state` reports as its segment size.
    pub state_segment_bytes: ByteSize,
    /// Whether older clients' batches are checked with the coordinator.
    pub partition_verification: bool,
    /// How often transactions past their timeout are looked for.
    pub abort_every: Duration,
    /// How often ids past their expiration are looked for.
    pub expire_every: Duration,
}

const fn kafkas(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key::kafkas(Section::Transactions, name, kind, default, doc)
}

const SHORT: Kind = Millis { min: 1, max: i32::MAX as i64 };

pub(super) const KEYS: &[Key] = &[
    kafkas(
        "transaction.max.timeout.ms",
        SHORT,
        "900000",
        "The longest transaction timeout that a producer may ask for.",
    ),
    kafkas(
        "transactional.id.expiration.ms",
        SHORT,
        "604800000",
        "A transactional id that was unused for so long is forgotten.",
    ),
    kafkas(
        "transaction.state.log.num.partitions",
        PARTITIONS,
        "50",
        "Partitions of `__transaction_state`, fixed when it is created.",
    ),
    kafkas(
        "transaction.state.log.replication.factor",
        FACTOR,
        "1",
        "What `__transaction_state` reports as its replication factor; the bucket keeps the copies.",
    ),
    kafkas(
        "transaction.state.log.min.isr",
        Int { min: 1, max: i16::MAX as i64 },
        "1",
        "Accepted and reported; a record is durable in the bucket before it is acknowledged.",
    ),
    kafkas(
        "transaction.state.log.segment.bytes",
        int_bytes(1),
        "104857600",
        "Accepted and reported; objects are cut by `wal.slot.bytes`.",
    ),
    kafkas(
        "transaction.partition.verification.enable",
        Bool,
        "true",
        "Older clients' transactional writes are checked with the coordinator.",
    ),
    kafkas(
        "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        SHORT,
        "10000",
        "How often transactions past their timeout are looked for.",
    ),
    kafkas(
        "transaction.remove.expired.transaction.cleanup.interval.ms",
        SHORT,
        "3600000",
        "How often transactional ids past their expiration are looked for.",
    ),
];

impl TransactionsConfig {
    pub(super) fn read(values: &Values) -> Self {
        Self {
            max_timeout: values.time("transaction.max.timeout.ms"),
            id_expiration: values.time("transactional.id.expiration.ms"),
            state_partitions: values.int("transaction.state.log.num.partitions"),
            state_replication_factor: values.int("transaction.state.log.replication.factor"),
            state_min_isr: values.int("transaction.state.log.min.isr"),
            state_segment_bytes: values.size("transaction.state.log.segment.bytes"),
            partition_verification: values.flag("transaction.partition.verification.enable"),
            abort_every: values.time("transaction.abort.timed.out.transaction.cleanup.interval.ms"),
            expire_every: values.time("transaction.remove.expired.transaction.cleanup.interval.ms"),
        }
    }
}
