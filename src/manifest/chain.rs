//! One chain as the manifest knows it: how far it is committed and trimmed, and which slots something still references.

use std::collections::VecDeque;

use crate::base::ids::{BrokerId, ChainId, Incarnation, SlotId};

/// Where a chain stands. It only ever moves to the next of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Its owner commits.
    Open,
    /// Commits are refused; a recoverer looks for the end.
    Fencing,
    /// Ended by the fence in this slot.
    Sealed(SlotId),
}

/// A chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) broker: BrokerId,
    pub(crate) incarnation: Incarnation,
    pub(crate) phase: Phase,
    /// One past the last slot in the manifest.
    pub(crate) committed_end: SlotId,
    /// One past the last trimmed slot.
    pub(crate) trimmed_end: SlotId,
    /// Live runs of each slot in `trimmed_end..committed_end`.
    pub(crate) live: VecDeque<u32>,
}

impl Chain {
    /// A new chain.
    pub(crate) fn open(broker: BrokerId, incarnation: Incarnation) -> Self {
        let zero = SlotId(0);
        let live = VecDeque::new();
        Self {
            broker,
            incarnation,
            phase: Phase::Open,
            committed_end: zero,
            trimmed_end: zero,
            live,
        }
    }

    /// The last committed slot.
    pub(crate) fn committed(&self) -> Option<SlotId> {
        self.committed_end.0.checked_sub(1).map(SlotId)
    }

    /// The last trimmed slot.
    pub(crate) fn trimmed(&self) -> Option<SlotId> {
        self.trimmed_end.0.checked_sub(1).map(SlotId)
    }

    /// One past the last slot that can hold data, if that is known.
    pub(crate) fn sealed_at(&self) -> Option<SlotId> {
        match self.phase {
            Phase::Sealed(end) => Some(end),
            Phase::Open | Phase::Fencing => None,
        }
    }

    /// Appends a committed slot.
    pub(crate) fn push(&mut self, slot: SlotId) {
        assert!(slot == self.committed_end, "slot {slot} committed after {}", self.committed_end);
        self.committed_end = slot.next();
        self.live.push_back(0);
    }

    /// A run of the slot lives.
    pub(crate) fn retain(&mut self, slot: SlotId) {
        let at = self.at(slot);
        self.live[at] += 1;
    }

    /// A run of the slot died.
    pub(crate) fn release(&mut self, slot: SlotId) {
        let at = self.at(slot);
        assert!(self.live[at] > 0, "slot {slot} has no live run to lose");
        self.live[at] -= 1;
    }

    /// Forgets the slots below `end`.
    pub(crate) fn trim(&mut self, end: SlotId) {
        assert!(end <= self.committed_end, "trim to {end} past {}", self.committed_end);
        while self.trimmed_end < end {
            let live = self.live.pop_front();
            assert!(live == Some(0), "slot {} trimmed with live runs", self.trimmed_end);
            self.trimmed_end = self.trimmed_end.next();
        }
        // A burst must not hold its memory for ever.
        if self.live.capacity() > 1024 && self.live.len() < self.live.capacity() / 4 {
            self.live.shrink_to(self.live.len() * 2);
        }
    }

    fn at(&self, slot: SlotId) -> usize {
        let at = slot.0.checked_sub(self.trimmed_end.0).expect("a run outlives its slot's row");
        usize::try_from(at).expect("a chain's rows are counted in memory")
    }
}

/// A place in a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) chain: ChainId,
    pub(crate) slot: SlotId,
}
