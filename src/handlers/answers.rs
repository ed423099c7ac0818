//! The memory that answers may hold on their way to clients, over all connections.
//!
//! A fetch's answer shares the memory of slots and of what was read from the store, and keeps it until the client has taken
//! it: a client that takes nothing would keep it for as long as its connection lives. So an answer is as large as there
//! is room for. The first [`FREE_BYTES`] of each need none, so that whoever holds all of it keeps nobody from going on.
//!
//! Other answers are as large as what they tell, and a small request may ask for the same many times over. They have half as
//! much again to themselves, and none is given in part: one for which there is no memory ends its connection.
//!
//! Invariant: the records of all answers are at most the budget, and for each connection [`FREE_BYTES`] or one batch; all
//! other answers are at most half of it, but [`OTHERS_MIN`] at least, and for each connection [`FREE_BYTES`]. The
//! blocks that records lie in are not counted.

use std::time::Duration;

use kafka_protocol::protocol::Encodable;

use crate::base::budget::{ByteBudget, Held};
use crate::base::units::ByteSize;

/// So much of an answer needs no permit.
const FREE_BYTES: usize = 64 << 10;
/// So much of one that grows: thousands of refused produces of a connection may wait for their turn.
const GROWN_FREE_BYTES: usize = 4 << 10;
/// Room is taken in steps of this size while an answer grows.
const STEP_BYTES: usize = 64 << 10;
/// What an answer takes while it is made, as a multiple of what it is as bytes.
const MADE_OF: usize = 2;
/// The least for answers without records: the metadata of a large cluster are megabytes.
const OTHERS_MIN: ByteSize = ByteSize::mib(16);
/// How long an answer waits for memory: as long as those are borne who do not take theirs.
const PATIENCE: Duration = Duration::from_secs(35);

/// A bound on the bytes of answers that were made and not yet taken. Clones share it.
#[derive(Debug, Clone)]
pub struct AnswerBudget {
    records: ByteBudget,
    others: ByteBudget,
}

/// Room for one answer; dropping it gives the memory back.
#[derive(Debug)]
pub struct Room {
    bytes: usize,
    held: Option<Held>,
}

/// Room for an answer that is made piece by piece.
#[derive(Debug)]
pub(super) struct Growing {
    budget: ByteBudget,
    bytes: usize,
    held: Held,
    held_bytes: usize,
    is_over: bool,
}

impl AnswerBudget {
    /// A budget of so many bytes for records.
    #[must_use]
    pub fn new(bytes: ByteSize) -> Self {
        let others = ByteSize(bytes.0 / 2).max(OTHERS_MIN);
        Self { records: ByteBudget::new(bytes), others: ByteBudget::new(others) }
    }

    /// Room for records that may be so many bytes, or for fewer: half of what is free at most, that the next ones find
    /// some too.
    #[must_use]
    pub fn room(&self, bytes: usize) -> Room {
        let bytes = bytes.min(self.records.free_bytes() / 2);
        let held = if bytes > FREE_BYTES { self.records.try_take(bytes) } else { None };
        // Without it: little was asked for, little is free, or others were faster.
        Room { bytes: if held.is_some() { bytes } else { FREE_BYTES }, held }
    }

    /// Room for another answer of so many bytes, which is there. Waits for it; none: it did not come in time, or there is
    /// never so much. Cancel-safe.
    pub(super) async fn room_for_all(&self, bytes: usize) -> Option<Room> {
        if bytes <= FREE_BYTES {
            return Some(Room { bytes, held: None });
        }
        let held = tokio::time::timeout(PATIENCE, self.others.take(bytes)).await.ok().flatten()?;
        Some(Room { bytes, held: Some(held) })
    }

    /// Room for an answer that is about to be made.
    pub(super) fn growing(&self) -> Growing {
        Growing {
            budget: self.others.clone(),
            bytes: 0,
            held: Held::default(),
            held_bytes: 0,
            is_over: false,
        }
    }

    /// Whether less than half is free.
    #[must_use]
    pub fn is_short(&self) -> bool {
        [&self.records, &self.others].iter().any(|part| part.free_bytes() < part.bytes() / 2)
    }
}

impl Growing {
    /// Makes room for a piece of so many bytes. False: there is none for it, nor for any after it.
    #[must_use]
    pub(super) fn takes(&mut self, bytes: usize) -> bool {
        self.bytes = self.bytes.saturating_add(bytes.saturating_mul(MADE_OF));
        let needed = self.bytes.saturating_sub(GROWN_FREE_BYTES);
        if !self.is_over && needed > self.held_bytes {
            let more = (needed - self.held_bytes).max(STEP_BYTES);
            match self.budget.try_take(more) {
                Some(held) => {
                    self.held.add(held);
                    self.held_bytes += more;
                }
                None => self.is_over = true,
            }
        }
        !self.is_over
    }

    /// Adds a piece to `all`. False: there is no room for it, and so for the answer.
    #[must_use]
    pub(super) fn push<T: Encodable>(&mut self, all: &mut Vec<T>, version: i16, one: T) -> bool {
        let takes = self.takes(one.compute_size(version).unwrap_or(0));
        all.push(one);
        takes
    }

    /// Whether something found no room.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// What the answer, which is made, holds until it is sent.
    pub(super) fn made(mut self, bytes: usize) -> Room {
        self.held.keep(if self.held_bytes == 0 { 0 } else { bytes });
        Room { bytes, held: Some(self.held) }
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
        assert_eq!(budget.records.free_bytes(), 63 * MIB - (4 << 10));
        room.keep(FREE_BYTES);
        assert_eq!(budget.records.free_bytes(), 64 * MIB);
        // A batch that is larger than the room: it goes nonetheless.
        let mut room = budget.room(MIB);
        room.keep(10 * MIB);
        assert_eq!(budget.records.free_bytes(), 63 * MIB);
    }

    #[test]
    fn an_answer_grows_as_far_as_there_is_memory() {
        let budget = AnswerBudget::new(ByteSize::mib(64));
        let free = budget.others.free_bytes();
        let mut small = budget.growing();
        assert!(small.takes(GROWN_FREE_BYTES / MADE_OF));
        assert_eq!(budget.others.free_bytes(), free, "little needs no permit");
        let mut first = budget.growing();
        for _ in 0..10 {
            assert!(first.takes(MIB));
        }
        let first = first.made(10 * MIB);
        assert_eq!(budget.others.free_bytes(), free - 10 * MIB, "as bytes it is smaller");
        let mut second = budget.growing();
        let pieces = (0..).take_while(|_| second.takes(MIB)).count();
        assert_eq!(pieces, 11, "32 MiB, of which 10 are held");
        assert!(second.is_over() && !second.takes(1), "what finds no room is not answered in part");
        assert!(budget.is_short());
        drop((first, second));
        assert_eq!(budget.others.free_bytes(), free, "all of it came back");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_waits_for_memory_and_not_without_end() {
        let budget = AnswerBudget::new(ByteSize::mib(1));
        let held = budget.room_for_all(10 * MIB).await.expect("16 MiB are free");
        let begun = tokio::time::Instant::now();
        assert!(budget.room_for_all(FREE_BYTES).await.is_some(), "little is always there");
        assert!(budget.room_for_all(10 * MIB).await.is_none());
        assert_eq!(begun.elapsed(), PATIENCE);
        drop(held);
        assert!(budget.room_for_all(10 * MIB).await.is_some());
        assert!(budget.room_for_all(17 * MIB).await.is_none(), "there is never so much");
    }
}
