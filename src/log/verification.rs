//! Which producers' first batches of a transaction are being verified with their coordinator. Pure.
//!
//! A transactional batch opens a transaction here only under a guard that was taken before its coordinator was asked, and
//! that no marker has withdrawn since: an answer about one transaction never lets a batch into the next.
//!
//! Source: KIP-890; `VerificationStateEntry`, `VerificationGuard` in Apache Kafka.

use std::collections::BTreeMap;

use crate::base::clock::Timestamp;
use crate::base::ids::ProducerId;

/// Verifications under way in one partition at most: of more producers, the oldest asks again.
const GUARDS_MAX: usize = 4096;

/// The right to open a transaction, if the coordinator says so in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct VerificationGuard(u64);

#[derive(Debug, Clone, Copy)]
struct Entry {
    guard: VerificationGuard,
    epoch: i16,
    /// The lowest first sequence that was seen: a batch above it came too early.
    lowest_sequence: i32,
    since: Timestamp,
}

/// The verifications of one partition.
#[derive(Debug, Default)]
pub(super) struct Verifications {
    entries: BTreeMap<ProducerId, Entry>,
    last: u64,
}

impl Verifications {
    pub(super) const fn new() -> Self {
        Self { entries: BTreeMap::new(), last: 0 }
    }

    /// The guard of a producer whose batch is to be verified: the same for all of its batches, until one is appended or a
    /// marker ends the transaction.
    pub(super) fn start(
        &mut self,
        producer_id: ProducerId,
        epoch: i16,
        sequence: i32,
        now: Timestamp,
    ) -> VerificationGuard {
        if let Some(entry) = self.entries.get_mut(&producer_id)
            && entry.epoch >= epoch
        {
            if entry.epoch == epoch {
                entry.lowest_sequence = entry.lowest_sequence.min(sequence);
            }
            return entry.guard;
        }
        if self.entries.len() >= GUARDS_MAX {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.guard);
            if let Some(oldest) = oldest.map(|(producer_id, _)| *producer_id) {
                self.entries.remove(&oldest);
            }
        }
        self.last += 1;
        let guard = VerificationGuard(self.last);
        self.entries
            .insert(producer_id, Entry { guard, epoch, lowest_sequence: sequence, since: now });
        guard
    }

    /// Whether `guard` still holds.
    pub(super) fn holds(&self, producer_id: ProducerId, guard: Option<VerificationGuard>) -> bool {
        let entry = self.entries.get(&producer_id);
        entry.is_some_and(|entry| Some(entry.guard) == guard)
    }

    /// The lowest first sequence of the batches that were verified.
    pub(super) fn lowest_sequence(&self, producer_id: ProducerId) -> Option<i32> {
        self.entries.get(&producer_id).map(|entry| entry.lowest_sequence)
    }

    /// Withdraws the guard: a batch was appended, or a marker.
    pub(super) fn clear(&mut self, producer_id: ProducerId) {
        self.entries.remove(&producer_id);
    }

    /// Whether no guard was ever given: guards are told apart by their number, so what gave one has to be kept.
    pub(super) const fn are_unused(&self) -> bool {
        self.last == 0
    }

    /// Forgets what nobody came back for.
    pub(super) fn expire(&mut self, before: Timestamp) {
        self.entries.retain(|_, entry| entry.since >= before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRODUCER: ProducerId = ProducerId(7);

    #[test]
    fn a_guard_holds_until_a_batch_or_a_marker_takes_it_away() {
        let mut states = Verifications::default();
        let first = states.start(PRODUCER, 0, 5, Timestamp(1));
        assert_eq!(states.start(PRODUCER, 0, 3, Timestamp(2)), first);
        assert_eq!(states.lowest_sequence(PRODUCER), Some(3));
        assert!(states.holds(PRODUCER, Some(first)));
        assert!(!states.holds(PRODUCER, None) && !states.holds(ProducerId(8), Some(first)));
        states.clear(PRODUCER);
        assert!(!states.holds(PRODUCER, Some(first)));
        let second = states.start(PRODUCER, 0, 0, Timestamp(3));
        assert!(second != first && !states.holds(PRODUCER, Some(first)));
    }

    #[test]
    fn a_newer_epoch_takes_a_guard_of_its_own_and_idle_ones_are_forgotten() {
        let mut states = Verifications::default();
        let old = states.start(PRODUCER, 0, 5, Timestamp(1));
        let new = states.start(PRODUCER, 1, 0, Timestamp(9));
        assert!(states.holds(PRODUCER, Some(new)) && !states.holds(PRODUCER, Some(old)));
        states.expire(Timestamp(9));
        assert!(states.holds(PRODUCER, Some(new)));
        states.expire(Timestamp(10));
        assert!(!states.holds(PRODUCER, Some(new)));
    }

    #[test]
    fn many_producers_take_a_bounded_place() {
        let mut states = Verifications::default();
        let first = states.start(ProducerId(0), 0, 0, Timestamp(1));
        for id in 1..=GUARDS_MAX as i64 {
            states.start(ProducerId(id), 0, 0, Timestamp(1));
        }
        assert_eq!(states.entries.len(), GUARDS_MAX);
        assert!(!states.holds(ProducerId(0), Some(first)));
    }
}
