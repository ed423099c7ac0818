//! One partition as the manifest knows it: who leads it, where its runs lie, and from where its state can be rebuilt.

use std::num::NonZeroU64;
use std::sync::Arc;

use super::chain::Place;
use super::client::{EpochStart, PlannedRun};
use super::row::RunRow;
use crate::base::clock::Timestamp;
use crate::base::few::Few;
use crate::base::ids::{BrokerId, ChainId, LeaderEpoch, SlotId, TopicPartition};
use crate::base::offset::Offset;

/// A run in memory: there is one for each slot and partition that is retained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) base_offset: Offset,
    pub(crate) end_offset: Offset,
    pub(crate) place: Place,
    pub(crate) position: u64,
    pub(crate) bytes: u64,
    pub(crate) max_timestamp: Timestamp,
    pub(crate) leader_epoch: LeaderEpoch,
}

const _: () = assert!(size_of::<Run>() <= 64, "runs are what the manifest's memory is spent on");

impl Run {
    /// The run of `row` in the slot at `place`.
    pub(crate) fn new(place: Place, row: &RunRow) -> Self {
        Self {
            base_offset: row.base_offset,
            end_offset: row.end_offset,
            place,
            position: row.position,
            bytes: row.bytes,
            max_timestamp: row.max_timestamp,
            leader_epoch: row.leader_epoch,
        }
    }

    /// The run as readers are told of it.
    pub(crate) fn planned(&self, tp: TopicPartition) -> PlannedRun {
        let run = RunRow {
            tp,
            leader_epoch: self.leader_epoch,
            base_offset: self.base_offset,
            end_offset: self.end_offset,
            position: self.position,
            bytes: self.bytes,
            max_timestamp: self.max_timestamp,
        };
        PlannedRun { chain: self.place.chain, slot: self.place.slot, run }
    }
}

/// The partition was led by `chain` from `from` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) epoch: LeaderEpoch,
    pub(crate) chain: ChainId,
    pub(crate) from: SlotId,
    until: Option<NonZeroU64>,
}

impl Grant {
    /// A grant that ended as [`Grant::until`] says.
    pub(crate) fn new(
        epoch: LeaderEpoch,
        chain: ChainId,
        from: SlotId,
        until: Option<SlotId>,
    ) -> Self {
        let mut grant = Self { epoch, chain, from, until: None };
        grant.end(until);
        grant
    }

    /// One past the slot that released it, so never 0; none when the chain's end ended it, or nothing has.
    pub(crate) fn until(&self) -> Option<SlotId> {
        self.until.map(|until| SlotId(until.get()))
    }

    fn end(&mut self, until: Option<SlotId>) {
        self.until = until.and_then(|until| NonZeroU64::new(until.0));
    }
}

/// A place in the history of a partition: its slots are ordered by epoch, then by slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) epoch: LeaderEpoch,
    pub(crate) place: Place,
}

impl Mark {
    /// Sorts as the partition's history went: an epoch is one chain's.
    pub(crate) fn order(&self) -> (LeaderEpoch, SlotId) {
        (self.epoch, self.place.slot)
    }
}

/// What became of a committed run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// It is read from its slot.
    Live,
    /// Its records are all below `log_start`: nothing references it.
    Dead,
    /// It does not fit: kept, and read by nobody.
    Pinned,
}

/// Why a partition is offline: a run did not start where the one before it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offline {
    /// The first run that does not fit.
    pub(crate) since: Mark,
    /// The slots of that run and of all later ones: kept until the topic is deleted.
    pub(crate) pinned: Vec<Place>,
}

/// A partition. One that was written once and is idle costs no more than this: its grant and its run lie in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Partition {
    /// Brokers that may lead it, first choice first; one list for all partitions of the topic that have it alike, and shared
    /// with the image.
    pub(crate) replicas: Arc<[BrokerId]>,
    /// The chain that leads it.
    pub(crate) lease: Option<ChainId>,
    /// The last epoch granted; -1 before the first.
    pub(crate) leader_epoch: LeaderEpoch,
    /// The lowest offset that is kept. May lie above `end`: what it hides may be committed later.
    pub(crate) log_start: Offset,
    /// The committed end when the last epoch was granted.
    pub(crate) start: Offset,
    /// One past the last committed offset.
    pub(crate) end: Offset,
    /// Contradicts the manifest: nobody leads or reads it.
    pub(crate) offline: Option<Box<Offline>>,
    /// Epochs that may have records at or above `log_start`; shared with the image and with the leader's own state.
    pub(crate) epochs: Arc<[EpochStart]>,
    /// Grants from the one that `checkpoint` lies in on; all of them without a checkpoint.
    pub(crate) grants: Few<Grant>,
    /// The last committed checkpoint.
    pub(crate) checkpoint: Option<Box<Mark>>,
    /// Runs with records at or above `log_start`, in offset order.
    pub(crate) runs: Few<Run>,
    /// Bytes of `runs`.
    pub(crate) bytes: u64,
}

const _: () = assert!(size_of::<Grant>() <= 32, "every partition has one");
const _: () = assert!(
    size_of::<Partition>() <= 216,
    "its one grant and its one run included: there are many"
);

impl Partition {
    /// A partition that was never led.
    pub(crate) fn new(replicas: Arc<[BrokerId]>) -> Self {
        Self {
            replicas,
            lease: None,
            leader_epoch: LeaderEpoch(-1),
            log_start: Offset::ZERO,
            start: Offset::ZERO,
            end: Offset::ZERO,
            offline: None,
            epochs: Arc::default(),
            grants: Few::default(),
            checkpoint: None,
            runs: Few::default(),
            bytes: 0,
        }
    }

    /// The slot from which on the partition's state can be rebuilt: it is never trimmed.
    pub(crate) fn state_at(&self) -> Option<Place> {
        let first =
            || self.grants.front().map(|grant| Place { chain: grant.chain, slot: grant.from });
        self.checkpoint.as_ref().map(|checkpoint| checkpoint.place).or_else(first)
    }

    /// `chain`, whose next slot to be committed is `from`, leads it in the next epoch.
    pub(crate) fn grant(&mut self, chain: ChainId, from: SlotId) {
        let epoch = LeaderEpoch(self.leader_epoch.0 + 1);
        self.leader_epoch = epoch;
        self.lease = Some(chain);
        self.start = self.end;
        // An epoch without records says nothing that its successor does not.
        let kept = self.epochs.iter().filter(|known| known.start != self.end).copied();
        self.epochs = kept.chain([EpochStart { epoch, start: self.end }]).collect();
        self.grants.push_back(Grant::new(epoch, chain, from, None));
    }

    /// The lease ends; `until` is one past the slot that says so, if a slot does.
    pub(crate) fn release(&mut self, until: Option<SlotId>) {
        self.lease = None;
        if let Some(grant) = self.grants.back_mut() {
            grant.end(until);
        }
    }

    /// Takes up a committed checkpoint, unless a later one is known.
    pub(crate) fn checkpoint(&mut self, mark: Mark) {
        if self.offline.is_some()
            || self.checkpoint.as_ref().is_some_and(|known| known.order() >= mark.order())
        {
            return;
        }
        self.checkpoint = Some(Box::new(mark));
        self.grants.retain(|grant| grant.epoch >= mark.epoch);
    }

    /// Appends a committed run and says what becomes of it.
    pub(crate) fn push(&mut self, run: Run) -> Pushed {
        if run.base_offset != self.end && self.offline.is_none() {
            let since = Mark { epoch: run.leader_epoch, place: run.place };
            self.offline = Some(Box::new(Offline { since, pinned: Vec::new() }));
        }
        if let Some(offline) = &mut self.offline {
            offline.pinned.push(run.place);
            return Pushed::Pinned;
        }
        self.end = run.end_offset;
        if run.end_offset <= self.log_start {
            return Pushed::Dead;
        }
        self.bytes += run.bytes;
        self.runs.push_back(run);
        Pushed::Live
    }

    /// Moves `log_start` up and takes off a run that this leaves without records. Call until it returns none.
    pub(crate) fn pop_below(&mut self, to: Offset) -> Option<Place> {
        self.log_start = self.log_start.max(to);
        if self.runs.front().is_none_or(|run| run.end_offset > self.log_start) {
            self.settle();
            return None;
        }
        let run = self.runs.pop_front()?;
        self.bytes -= run.bytes;
        Some(run.place)
    }

    /// Drops what `log_start` made needless besides runs.
    fn settle(&mut self) {
        // As Kafka's leader epoch cache: the epoch that holds log_start is kept, those before it are not.
        let kept = self.epochs.iter().rposition(|epoch| epoch.start <= self.log_start).unwrap_or(0);
        if kept > 0 {
            self.epochs = self.epochs[kept..].into();
        }
        self.runs.shrink();
    }

    /// Forgets everything but who leads it, and returns the slots that it kept: the topic is being deleted.
    pub(crate) fn abandon(&mut self) -> Vec<Place> {
        let mut bare = Self::new(std::mem::take(&mut self.replicas));
        (bare.lease, bare.leader_epoch) = (self.lease, self.leader_epoch);
        let old = std::mem::replace(self, bare);
        let pinned = old.offline.map(|offline| offline.pinned);
        old.runs.iter().map(|run| run.place).chain(pinned.into_iter().flatten()).collect()
    }

    /// The first run with records above `offset` or at it.
    pub(crate) fn find(&self, offset: Offset) -> usize {
        self.runs.partition_point(|run| run.end_offset <= offset)
    }
}
