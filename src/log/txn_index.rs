//! Aborted transactions of a partition, for read_committed fetches. Pure.
//!
//! Source: `TransactionIndex`, `AbortedTxn` in Apache Kafka.

use crate::base::offset::Offset;
use crate::segment::AbortedTxn;

/// Aborted transactions in the order of their markers.
#[derive(Debug, Clone, Default)]
pub(super) struct TransactionIndex(Vec<AbortedTxn>);

impl TransactionIndex {
    pub(super) fn new(aborted: Vec<AbortedTxn>) -> Self {
        Self(aborted)
    }

    pub(super) fn push(&mut self, aborted: AbortedTxn) {
        self.0.push(aborted);
    }

    /// Those that have a record in `from..to`.
    pub(super) fn between(&self, from: Offset, to: Offset) -> Vec<AbortedTxn> {
        self.0
            .iter()
            .filter(|aborted| aborted.last_offset >= from && aborted.first_offset < to)
            .cloned()
            .collect()
    }

    /// Forgets those that end below `log_start`.
    pub(super) fn truncate(&mut self, log_start: Offset) {
        self.0.retain(|aborted| aborted.last_offset >= log_start);
    }

    pub(super) fn snapshot(&self) -> Vec<AbortedTxn> {
        self.0.clone()
    }
}
