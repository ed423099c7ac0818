//! The memory that records on their way to clients may hold, over all connections.
//!
//! A fetch's answer shares the memory of slots and of what was read from the store, and keeps it until the client has taken
//! it: a client that takes nothing would keep it for as long as its connection lives. So an answer is as large as there
//! is room for. The first [`FREE_BYTES`] of each need none, so that whoever holds all of it keeps nobody from going on.
//!
//! Invariant: the records of all answers are at most the budget, and for each connection [`FREE_BYTES`] or one batch. The
//! blocks that records lie in are not counted, nor are those of ShareFetch, which are copies.

use crate::base::budget::{ByteBudget, Held};
use crate::base::units::ByteSize;

/// So much of an answer needs no permit.
const FREE_BYTES: usize = 64 << 10;

/// A bound on the bytes of answers that were read and not yet taken. Clones share it.
#[derive(Debug, Clone)]
pub struct AnswerBudget(ByteBudget);

/// Room for one answer; dropping it gives the memory back.
#[derive(Debug)]
pub struct Room {
    bytes: usize,
    held: Option<Held>,
}

impl AnswerBudget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(bytes: ByteSize) -> Self {
        Self(ByteBudget::new(bytes))
    }

    /// Room for an answer that may be so large, or for a smaller one: half of what is free at most, that the next ones find
    /// some too.
    #[must_use]
    pub fn room(&self, bytes: usize) -> Room {
        let bytes = bytes.min(self.0.free_bytes() / 2);
        let held = if bytes > FREE_BYTES { self.0.try_take(bytes) } else { None };
        // Without it: little was asked for, little is free, or others were faster.
        Room { bytes: if held.is_some() { bytes } else { FREE_BYTES }, held }
    }

    /// Whether less than half is free.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.0.free_bytes() < self.0.bytes() / 2
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
        if let Some(held) = &mut self.held {
            held.keep(if bytes <= FREE_BYTES { 0 } else { bytes });
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
        assert_eq!(budget.0.free_bytes(), 63 * MIB - (4 << 10));
        room.keep(FREE_BYTES);
        assert_eq!(budget.0.free_bytes(), 64 * MIB);
        // A batch that is larger than the room: it goes nonetheless.
        let mut room = budget.room(MIB);
        room.keep(10 * MIB);
        assert_eq!(budget.0.free_bytes(), 63 * MIB);
    }
}
