//! Aborted transactions of a partition, for read_committed fetches. Pure.
//!
//! Source: `TransactionIndex`, `AbortedTxn` in Apache Kafka.

use super::producer_state::{CompletedTxn, ProducerStates};
use crate::base::offset::Offset;
use crate::segment::AbortedTxn;

/// Aborted transactions in the order of their markers.
#[derive(Debug, Clone, Default)]
pub(super) struct TransactionIndex(Vec<AbortedTxn>);

impl TransactionIndex {
    pub(super) const fn new(aborted: Vec<AbortedTxn>) -> Self {
        Self(aborted)
    }

    /// Notes how a transaction ended; `producers` has applied its marker.
    pub(super) fn complete(&mut self, completed: &CompletedTxn, producers: &ProducerStates) {
        if !completed.aborted {
            return;
        }
        let next_open = producers.first_unstable_offset();
        self.0.push(AbortedTxn {
            producer_id: completed.producer_id,
            first_offset: completed.first_offset,
            last_offset: completed.last_offset,
            last_stable_offset: next_open.unwrap_or(completed.last_offset + 1),
        });
    }

    /// Whether some transaction that ended at or after `from` was aborted.
    pub(super) fn any_from(&self, from: Offset) -> bool {
        self.0.last().is_some_and(|last| last.last_offset >= from)
    }

    /// Those that have a record in `from..to`: their markers follow one another, so only their tail is looked at.
    ///
    /// Source: `TransactionIndex.collectAbortedTxns`.
    pub(super) fn between(&self, from: Offset, to: Offset) -> Vec<AbortedTxn> {
        let first = self.0.partition_point(|aborted| aborted.last_offset < from);
        let rest = self.0[first..].iter();
        rest.filter(|aborted| aborted.first_offset < to).copied().collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets those that end below `log_start`.
    pub(super) fn truncate(&mut self, log_start: Offset) {
        self.0.retain(|aborted| aborted.last_offset >= log_start);
    }

    pub(super) fn snapshot(&self) -> Vec<AbortedTxn> {
        self.0.clone()
    }
}
