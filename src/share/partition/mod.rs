//! One share group's view of one partition: which records it has in flight, who has acquired them, what became of them. Pure.
//!
//! The records from `start_offset` to `end_offset` are in flight; before them all is done, behind them nothing is begun.
//! What a member is given is acquired: locked for it until it acknowledges, its session ends or the lock expires. What must be
//! kept is a [`Change`]: records that a member gives back are in transition, neither given out nor acknowledged again, until
//! the caller says [`SharePartition::written`] or [`SharePartition::failed`]. Locks are not kept: another leader gives the
//! records out anew.
//!
//! Invariants: the runs cover `start_offset..end_offset` without a gap; at most one member has a record; the start moves
//! only over records that need not be delivered any more.
//!
//! Source: KIP-932; `SharePartition`, `InFlightBatch` and `InFlightState` in Apache Kafka 4.3.1.

mod acknowledge;
mod acquire;
#[cfg(test)]
mod model;
mod release;
mod runs;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use acknowledge::{AckError, Acknowledgement};
pub use acquire::{Acquired, Fetched};

use self::runs::{Kind, Run, Runs, State};
use super::combine::combined;
use crate::base::offset::Offset;
use crate::protocol::records::share_state::StateBatch;

/// What is kept of a partition, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// Where reading begins; -1: the caller decides, by `share.auto.offset.reset`, before it makes a [`SharePartition`].
    pub start_offset: Offset,
    /// What was done behind the start.
    pub batches: Vec<StateBatch>,
    /// The epoch at which the state was initialised; it goes with every write.
    pub state_epoch: i32,
}

/// What a group goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long a record stays with the member that acquired it.
    pub lock: Duration,
    /// How often a record is delivered at most.
    pub delivery_count_limit: i16,
    /// With so many records in flight no further ones are begun.
    pub record_locks_max: usize,
}

/// Names a change that is being kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// A change that must be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where reading begins.
    pub start_offset: Offset,
    /// What changed, ascending; nothing in them overlaps.
    pub batches: Vec<StateBatch>,
    /// How many records behind the start need not be delivered any more, when this is kept.
    pub delivery_complete_count: i32,
    /// For [`SharePartition::written`] and [`SharePartition::failed`], one of which must follow.
    pub ticket: Ticket,
}

impl Change {
    /// Where reading begins was decided; nothing was given out yet. Nobody waits for its ticket.
    #[must_use]
    pub fn beginning(start_offset: Offset) -> Self {
        let batches = Vec::new();
        Self { start_offset, batches, delivery_complete_count: 0, ticket: Ticket(0) }
    }
}

/// One group's view of one partition.
#[derive(Debug)]
pub struct SharePartition {
    runs: Runs,
    limits: Limits,
    state_epoch: i32,
    next_ticket: u64,
}

impl SharePartition {
    /// From what is kept. `loaded.start_offset` is known.
    #[must_use]
    pub fn new(loaded: Loaded, limits: Limits) -> Self {
        let start = loaded.start_offset.0.max(0);
        let mut runs = Runs::new(start);
        // What was kept need not be what Kafka or this program writes: it may overlap.
        for batch in combined(&[], &loaded.batches, start) {
            // Between batches: records that were given out and not acknowledged, or are not in the log.
            runs.extend(batch.first_offset, Run::of(State::Available, 0));
            let state = State::kept(batch.delivery_state);
            let end = batch.last_offset.saturating_add(1);
            runs.extend(end, Run::of(state, batch.delivery_count.max(0)));
        }
        let mut partition = Self { runs, limits, state_epoch: loaded.state_epoch, next_ticket: 0 };
        partition.runs.move_start();
        partition
    }

    /// The group's settings changed. Locks that are held keep their deadlines.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// The epoch at which the state was initialised.
    #[must_use]
    pub fn state_epoch(&self) -> i32 {
        self.state_epoch
    }

    /// The first record in flight: all before it is done.
    #[must_use]
    pub fn start_offset(&self) -> Offset {
        Offset(self.runs.start())
    }

    /// The first record that is not in flight; the start if none is.
    #[must_use]
    pub fn end_offset(&self) -> Offset {
        Offset(self.runs.end())
    }

    /// Where reading the log must begin: at the first available record in flight, else past the last in flight.
    #[must_use]
    pub fn next_fetch_offset(&self) -> Offset {
        let available = self.runs.iter().find(|(_, _, run)| run.is_available());
        Offset(available.map_or_else(|| self.runs.end(), |(first, _, _)| first))
    }

    /// Whether reading the log is worth while: a record in flight is available, or a further one may be begun.
    #[must_use]
    pub fn can_acquire(&self) -> bool {
        self.room() > 0 || self.next_fetch_offset() < self.end_offset()
    }

    /// How many further records may be begun.
    fn room(&self) -> u64 {
        let in_flight = self.runs.end().abs_diff(self.runs.start());
        u64::try_from(self.limits.record_locks_max).unwrap_or(u64::MAX).saturating_sub(in_flight)
    }

    /// The change is kept.
    pub fn written(&mut self, ticket: Ticket) {
        self.runs.settle(ticket, true);
        self.runs.move_start();
    }

    /// The change is not kept, or nobody knows: what was in transition is with its member again, under the lock that it had.
    pub fn failed(&mut self, ticket: Ticket) {
        self.runs.settle(ticket, false);
        self.runs.move_start();
    }

    fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    /// The change by which records become what `changed` says: first and last offset, what, how often delivered.
    fn change(&self, ticket: Ticket, changed: Vec<(i64, i64, Kind, i16)>) -> Change {
        let start_offset = self.start_offset();
        let batches = changed.into_iter().map(|(first, last, to, count)| StateBatch {
            first_offset: first,
            last_offset: last,
            delivery_state: to.number(),
            delivery_count: count,
        });
        let batches: Vec<StateBatch> = batches.collect();
        // Other changes that are on their way count too: if this one is kept last, it tells of them as well.
        let done = self.runs.iter().filter(|(_, _, run)| run.kind_to_be().is_done());
        let complete: i64 = done.map(|(first, last, _)| last - first + 1).sum();
        Change {
            start_offset,
            batches: combined(&[], &batches, start_offset.0),
            delivery_complete_count: i32::try_from(complete).unwrap_or(i32::MAX),
            ticket,
        }
    }

    /// What a record becomes that is given back: it is not delivered again once it was delivered often enough.
    fn given_back(&self, count: i16) -> Kind {
        if count >= self.limits.delivery_count_limit { Kind::Archived } else { Kind::Available }
    }
}
