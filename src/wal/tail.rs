//! The newest stable slots in memory, by size: tail reads never touch the store.
//!
//! A slot that leaves memory keeps its index here until it is committed, so that it stays readable by a range GET.
//! Slots are kept in slot order without gaps.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;

use super::tail_index::TailIndex;
use crate::base::ids::SlotId;
use crate::segment::SlotIndex;
use crate::segment::format::HEADER_BYTES;

/// One slot as readers see it.
#[derive(Debug)]
pub struct TailSlot {
    /// Its position in the chain.
    pub slot: SlotId,
    /// Its runs and their batches.
    pub index: Arc<TailIndex>,
    body: Body,
    /// Memory that the body keeps beyond its bytes.
    pinned: u64,
}

#[derive(Debug)]
struct Body {
    /// The position in the object behind each piece, ascending.
    ends: Vec<u64>,
    pieces: Vec<Bytes>,
}

/// Where a slot's bytes are.
#[derive(Debug, Clone)]
pub enum BodySource {
    /// In memory, with the index.
    Memory(Arc<TailSlot>),
    /// In the store; the index is here.
    Store(Arc<TailIndex>),
    /// Committed and out of memory: the manifest knows it.
    Manifest,
}

impl TailSlot {
    pub(super) fn new(slot: SlotId, index: &SlotIndex, pieces: Vec<Bytes>, pinned: u64) -> Self {
        let mut end = HEADER_BYTES as u64;
        let ends = pieces
            .iter()
            .map(|piece| {
                end += piece.len() as u64;
                end
            })
            .collect();
        let index = Arc::new(TailIndex::new(index));
        Self { slot, index, body: Body { ends, pieces }, pinned }
    }

    /// The bytes `from..to` of the object as shared slices, appended to `out`. The range lies within the body.
    pub fn slices(&self, from: u64, to: u64, out: &mut Vec<Bytes>) {
        let mut place = self.body.ends.partition_point(|&end| end <= from);
        let mut at = from;
        while at < to {
            let piece = &self.body.pieces[place];
            let start = self.body.ends[place] - piece.len() as u64;
            let end = self.body.ends[place].min(to);
            let range = usize::try_from(at - start).expect("in a piece")
                ..usize::try_from(end - start).expect("in a piece");
            out.push(piece.slice(range));
            at = end;
            place += 1;
        }
    }

    /// What it takes in memory: of small batches the index and the places of the pieces are no less than the bodies.
    fn bytes(&self) -> u64 {
        let body = self.body.ends.last().copied().unwrap_or_default();
        let places = size_of_val(&self.body.ends[..]) + size_of_val(&self.body.pieces[..]);
        body + self.pinned + places as u64 + self.index.memory_bytes()
    }

    /// What it counted as until it was stable.
    pub(super) fn unstable_bytes(&self) -> u64 {
        self.index.bytes() + self.pinned
    }
}

#[derive(Debug)]
enum Kept {
    Whole(Arc<TailSlot>),
    IndexOnly(Arc<TailIndex>),
}

#[derive(Debug, Default)]
struct Slots {
    first: u64,
    kept: VecDeque<Kept>,
    /// How many of `kept`, from the front, are without their body.
    bare: usize,
    bytes: u64,
    committed: u64,
}

/// The slots kept in memory.
#[derive(Debug)]
pub(super) struct Tail {
    bytes_max: u64,
    slots: RwLock<Slots>,
}

impl Tail {
    pub(super) fn new(bytes_max: u64) -> Self {
        Self { bytes_max, slots: RwLock::default() }
    }

    /// Adds the slot after the last, and lets the oldest bodies go past the size.
    pub(super) fn push(&self, slot: Arc<TailSlot>) {
        let mut dropped = Vec::new();
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        assert!(
            slot.slot.0 == slots.first + slots.kept.len() as u64,
            "tail has a gap before {}",
            slot.slot
        );
        slots.bytes += slot.bytes();
        slots.kept.push_back(Kept::Whole(slot));
        while slots.bytes > self.bytes_max && slots.bare + 1 < slots.kept.len() {
            let place = slots.bare;
            let Kept::Whole(whole) = &slots.kept[place] else {
                unreachable!("bare slots come first")
            };
            let (index, bytes) = (Arc::clone(&whole.index), whole.bytes());
            dropped.push(std::mem::replace(&mut slots.kept[place], Kept::IndexOnly(index)));
            slots.bytes -= bytes;
            slots.bare += 1;
        }
        slots.release();
        drop(slots);
        // Freed outside the lock: a body may be megabytes in many pieces.
        drop(dropped);
    }

    /// Notes that the slots below `committed` are in the manifest.
    pub(super) fn committed(&self, committed: u64) {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        slots.committed = slots.committed.max(committed);
        slots.release();
    }

    /// The first slot that this still knows: everything below is committed and out of memory.
    pub(super) fn first(&self) -> SlotId {
        SlotId(self.slots.read().unwrap_or_else(PoisonError::into_inner).first)
    }

    /// Where the bytes of a stable slot are.
    pub(super) fn source(&self, slot: SlotId) -> BodySource {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        let Some(place) = slot.0.checked_sub(slots.first) else { return BodySource::Manifest };
        match slots.kept.get(usize::try_from(place).unwrap_or(usize::MAX)) {
            Some(Kept::Whole(whole)) => BodySource::Memory(Arc::clone(whole)),
            Some(Kept::IndexOnly(index)) => BodySource::Store(Arc::clone(index)),
            None => BodySource::Manifest,
        }
    }

    /// Bytes of slots that are whole in memory.
    pub(super) fn bytes(&self) -> u64 {
        self.slots.read().unwrap_or_else(PoisonError::into_inner).bytes
    }
}

impl Slots {
    fn release(&mut self) {
        while self.bare > 0 && self.first < self.committed {
            self.kept.pop_front();
            self.bare -= 1;
            self.first += 1;
        }
    }
}
