//! Rebuilds partitions' state from slot indexes: the newest checkpoint, then every batch entry at or past it.
//!
//! Batch bodies are never read (RecoverTotal). A rebuilt end that is not the granted one takes the partition offline.

use std::collections::BTreeMap;

use super::producer_state::ProducerStates;
use super::txn_index::TransactionIndex;
use crate::base::ids::{ChainId, SlotId, TopicPartition};
use crate::base::offset::Offset;
use crate::manifest::client::{ChainSpan, Lease};
use crate::segment::{BatchEntry, PartitionCheckpoint, SlotIndex};
use crate::wal::recover::{self, Recoverer};

/// A partition's state while it is rebuilt, and after.
#[derive(Debug)]
pub struct Rebuilt {
    pub(super) lease: Lease,
    pub(super) producers: ProducerStates,
    pub(super) aborted: TransactionIndex,
    /// One past the last batch that was applied; none before the first.
    end: Option<Offset>,
}

impl Rebuilt {
    fn new(lease: Lease) -> Self {
        Self {
            lease,
            producers: ProducerStates::default(),
            aborted: TransactionIndex::default(),
            end: None,
        }
    }

    /// Whether the state reaches exactly the granted end.
    pub(super) fn is_whole(&self) -> bool {
        self.end.is_none_or(|end| end == self.lease.start)
    }

    fn take_up(&mut self, checkpoint: &PartitionCheckpoint) {
        self.producers = ProducerStates::restore(&checkpoint.producers);
        self.aborted = TransactionIndex::new(checkpoint.aborted.clone());
        self.end = Some(checkpoint.end_offset);
    }

    /// Applies the batches at or past what is known. Entries below a checkpoint's end are in it already.
    fn apply(&mut self, batches: &[BatchEntry]) {
        for batch in batches {
            if self.end.is_some_and(|end| batch.base_offset < end) {
                continue;
            }
            if let Some(completed) = self.producers.apply(batch, None) {
                self.aborted.complete(&completed, &self.producers);
            }
            self.end = Some(batch.end_offset());
        }
    }
}

/// Rebuilds the partitions of a set of leases, reading each slot index once.
#[derive(Debug)]
pub struct Rebuilder {
    partitions: BTreeMap<TopicPartition, Rebuilt>,
}

impl Rebuilder {
    /// Starts with empty states.
    #[must_use]
    pub fn new(leases: Vec<Lease>) -> Self {
        let partitions = leases.into_iter().map(|lease| (lease.tp, Rebuilt::new(lease)));
        Self { partitions: partitions.collect() }
    }

    /// Reads what the leases' spans name and applies it.
    ///
    /// # Errors
    /// Those of reading an index: nothing is led on a state that could not be read.
    pub async fn run(mut self, recoverer: &Recoverer) -> Result<Vec<Rebuilt>, recover::Error> {
        for span in self.spans() {
            recoverer.replay(span, |slot, index| self.apply(span.chain, slot, index)).await?;
        }
        Ok(self.partitions.into_values().collect())
    }

    /// The union of all spans, one a chain, lowest chain first: chains of a partition follow one another by id.
    fn spans(&self) -> Vec<ChainSpan> {
        let mut union: BTreeMap<ChainId, ChainSpan> = BTreeMap::new();
        for span in self.partitions.values().flat_map(|rebuilt| &rebuilt.lease.replay) {
            let whole = union.entry(span.chain).or_insert(*span);
            whole.from = whole.from.min(span.from);
            whole.end = whole.end.max(span.end);
        }
        union.into_values().collect()
    }

    /// Applies one slot's index. Checkpoints come first: a batch of the same slot may lie past one.
    pub fn apply(&mut self, chain: ChainId, slot: SlotId, index: &SlotIndex) {
        let wanted = |lease: &Lease| {
            lease
                .replay
                .iter()
                .any(|span| span.chain == chain && (span.from..span.end).contains(&slot))
        };
        for checkpoint in &index.checkpoint {
            if let Some(rebuilt) = self.partitions.get_mut(&checkpoint.tp)
                && wanted(&rebuilt.lease)
            {
                rebuilt.take_up(checkpoint);
            }
        }
        for run in &index.runs {
            if let Some(rebuilt) = self.partitions.get_mut(&run.tp)
                && wanted(&rebuilt.lease)
            {
                rebuilt.apply(index.batches_of(run));
            }
        }
    }
}

#[cfg(test)]
mod tests;
