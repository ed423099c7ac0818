//! The memory that records on their way to clients may hold, over all connections.
//!
//! A fetch's answer shares the memory of slots and of what was read from the store, and keeps it until the client has taken
//! it: a client that takes nothing would keep it for as long as its connection lives. So an answer is as large as there
//! is room for. Like requests, the first [`FREE_BYTES`] of each need none, so that whoever holds all of it keeps nobody
//! from going on.
//!
//! Invariant: the records of all answers are at most the budget, and for each connection [`FREE_BYTES`] or one batch. The
//! blocks that records lie in are not counted, nor are those of ShareFetch, which are copies.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::base::units::ByteSize;

/// So much of an answer needs no permit.
const FREE_BYTES: usize = 64 << 10;
/// The budget is kept in units of this size.
const UNIT_BYTES: usize = 4 << 10;

/// A bound on the bytes of answers that were read and not yet taken. Clones share it.
#[derive(Debug, Clone)]
pub struct AnswerBudget {
    free: Arc<Semaphore>,
    units: usize,
}

/// Room for one answer; dropping it gives the memory back.
#[derive(Debug)]
pub struct Room {
    bytes: usize,
    permit: Option<OwnedSemaphorePermit>,
}

impl AnswerBudget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(bytes: ByteSize) -> Self {
        let units = (bytes.as_usize() / UNIT_BYTES).clamp(1, Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(units)), units }
    }

    /// Room for an answer that may be so large, or for a smaller one: half of what is free at most, that the next ones find
    /// some too.
    #[must_use]
    pub fn room(&self, bytes: usize) -> Room {
        let bytes = bytes.min(self.free.available_permits() / 2 * UNIT_BYTES);
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).ok().filter(|_| bytes > FREE_BYTES);
        let permit =
            units.and_then(|units| Arc::clone(&self.free).try_acquire_many_owned(units).ok());
        // Without one: little was asked for, little is free, or others were faster.
        Room { bytes: if permit.is_some() { bytes } else { FREE_BYTES }, permit }
    }

    /// Whether less than half is free.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.free.available_permits() < self.units / 2
    }
}

impl Room {
    /// How large the answer may be; one batch may always be in it.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Gives back what an answer of so many bytes does not need.
    pub fn keep(&mut self, bytes: usize) {
        let needed = if bytes <= FREE_BYTES { 0 } else { bytes.div_ceil(UNIT_BYTES) };
        if let Some(permit) = &mut self.permit {
            drop(permit.split(permit.num_permits().saturating_sub(needed)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn answers_are_as_large_as_there_is_room_for() {
        let budget = AnswerBudget::new(ByteSize::mib(64));
        let first = budget.room(50 * MIB);
        assert_eq!(first.bytes(), 32 * MIB, "half of what is free");
        let second = budget.room(MIB);
        assert_eq!(second.bytes(), MIB);
        assert!(budget.is_short());
        let held: Vec<Room> = (0..40).map(|_| budget.room(50 * MIB)).collect();
        assert_eq!(held.last().map(Room::bytes), Some(FREE_BYTES), "nobody waits");
        drop((first, second, held));
        assert!(!budget.is_short());
        assert_eq!(budget.room(50 * MIB).bytes(), 32 * MIB, "all of it came back");
    }

    #[test]
    fn what_an_answer_does_not_need_comes_back_at_once() {
        let budget = AnswerBudget::new(ByteSize::mib(64));
        let mut room = budget.room(32 * MIB);
        room.keep(MIB + 1);
        assert_eq!(budget.free.available_permits(), (63 * MIB) / UNIT_BYTES - 1);
        room.keep(FREE_BYTES);
        assert_eq!(budget.free.available_permits(), budget.units);
        // A batch that is larger than the room: it goes nonetheless.
        let mut room = budget.room(MIB);
        room.keep(10 * MIB);
        assert_eq!(budget.free.available_permits(), (63 * MIB) / UNIT_BYTES);
    }
}
