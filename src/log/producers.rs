//! All that a partition knows of producers: which there are, what of their transactions is open, ending or aborted, and
//! which are being verified.
//!
//! Most partitions of a broker with many have none, and nothing of this takes memory there: [`Producers::known`] is a shared
//! nothing until [`Producers::change`] is first called.

use std::collections::BTreeMap;

use super::producer_state::ProducerStates;
use super::txn_index::TransactionIndex;
use super::verification::Verifications;
use crate::base::clock::Timestamp;
use crate::base::ids::{ProducerId, SlotId};
use crate::base::offset::Offset;
use crate::record::ControlType;
use crate::segment::BatchEntry;

/// What is known of the producers of one partition.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) states: ProducerStates,
    pub(super) aborted: TransactionIndex,
    /// Transactions whose marker is not stable yet, by their first offset: to readers they are open still.
    ending: BTreeMap<Offset, Offset>,
    pub(super) verifications: Verifications,
}

static NOTHING: Known = Known::new(ProducerStates::new(), TransactionIndex::new(Vec::new()));

impl Known {
    const fn new(states: ProducerStates, aborted: TransactionIndex) -> Self {
        Self { states, aborted, ending: BTreeMap::new(), verifications: Verifications::new() }
    }

    fn is_nothing(&self) -> bool {
        self.states.is_empty()
            && self.aborted.is_empty()
            && self.ending.is_empty()
            && self.verifications.are_unused()
    }

    /// The first offset of the earliest transaction without a stable marker.
    pub(super) fn first_open(&self) -> Option<Offset> {
        let ending = self.ending.first_key_value().map(|(first, _)| *first);
        [self.states.first_unstable_offset(), ending].into_iter().flatten().min()
    }
}

/// The producers of one partition.
#[derive(Debug)]
pub(super) struct Producers(Option<Box<Known>>);

impl Producers {
    /// As rebuilt.
    pub(super) fn new(states: ProducerStates, aborted: TransactionIndex) -> Self {
        let mut producers = Self(Some(Box::new(Known::new(states, aborted))));
        producers.forget_nothing();
        producers
    }

    pub(super) fn known(&self) -> &Known {
        self.0.as_deref().unwrap_or(&NOTHING)
    }

    /// To add what there was not before.
    pub(super) fn change(&mut self) -> &mut Known {
        self.0.get_or_insert_with(|| {
            Box::new(Known::new(ProducerStates::new(), TransactionIndex::new(Vec::new())))
        })
    }

    /// Takes up what has joined `slot`.
    pub(super) fn take_up(&mut self, entry: &BatchEntry, slot: SlotId) {
        if entry.producer_id == ProducerId::NONE {
            return;
        }
        let known = self.change();
        if let Some(completed) = known.states.apply(entry, Some(slot)) {
            known.aborted.complete(&completed, &known.states);
            known.ending.insert(completed.first_offset, completed.last_offset);
        }
        // A marker withdraws the right to open a transaction also where the one that ended has no record yet.
        let ends = matches!(entry.control, ControlType::Commit | ControlType::Abort);
        if ends || known.states.has_open(entry.producer_id, entry.producer_epoch) {
            known.verifications.clear(entry.producer_id);
        }
    }

    /// Notes that markers below `high_watermark` are stable.
    pub(super) fn follow(&mut self, high_watermark: Offset) {
        if let Some(known) = &mut self.0
            && !known.ending.is_empty()
        {
            known.ending.retain(|_, marker| *marker >= high_watermark);
        }
    }

    /// Forgets aborted transactions that end below `log_start`.
    pub(super) fn truncate(&mut self, log_start: Offset) {
        if let Some(known) = &mut self.0 {
            known.aborted.truncate(log_start);
        }
        self.forget_nothing();
    }

    /// Forgets producers that have been idle since `before`; never one with an open transaction.
    pub(super) fn expire(&mut self, before: Timestamp) {
        if let Some(known) = &mut self.0 {
            known.states.expire(before);
            known.verifications.expire(before);
        }
        self.forget_nothing();
    }

    fn forget_nothing(&mut self) {
        if self.0.as_ref().is_some_and(|known| known.is_nothing()) {
            self.0 = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Attributes;
    use crate::record::control::Marker;

    #[test]
    fn a_partition_without_producers_keeps_nothing_and_lets_go_of_those_that_were() {
        let mut producers = Producers::new(ProducerStates::new(), TransactionIndex::default());
        let mut entry = BatchEntry {
            base_offset: Offset(0),
            last_offset_delta: 0,
            position: 0,
            bytes: 100,
            producer_id: ProducerId::NONE,
            producer_epoch: -1,
            base_sequence: -1,
            attributes: Attributes(0).0,
            max_timestamp: Timestamp(5),
            control: Marker::NONE.control,
            coordinator_epoch: -1,
        };
        producers.take_up(&entry, SlotId(0));
        producers.follow(Offset(1));
        assert!(producers.0.is_none());
        assert_eq!(producers.known().first_open(), None);
        (entry.producer_id, entry.producer_epoch, entry.base_sequence) = (ProducerId(3), 0, 0);
        producers.take_up(&entry, SlotId(1));
        assert_eq!(producers.known().states.snapshot().len(), 1);
        producers.expire(Timestamp(5));
        assert!(producers.0.is_some(), "not idle yet");
        producers.expire(Timestamp(6));
        assert!(producers.0.is_none());
    }
}
