//! One partition that this broker leads: plain state behind one lock that is never held across an await.
//!
//! A lock, not an owner task: every step on it is synchronous and short, and a task would cost two wake-ups a request.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::delayed_fetch::Waiters;
use super::leader_epochs::LeaderEpochs;
use super::producer_state::ProducerStates;
use super::producers::Producers;
use super::settings::TopicSettings;
use super::txn_index::TransactionIndex;
use super::{Error, Metrics, Offsets};
use crate::base::clock::Timestamp;
use crate::base::few::Few;
use crate::base::ids::{LeaderEpoch, SlotId, TopicPartition};
use crate::base::offset::Offset;
use crate::manifest::client::EpochStart;
use crate::segment::{PartitionCheckpoint, ProducerSnapshot, Release, ReleaseReason};
use crate::wal::{Stable, Wal};

/// A shared handle on a partition.
pub type PartitionHandle = Arc<Partition>;

/// The records of one slot, as the partition's tail knows them.
#[derive(Debug, Clone, Copy)]
pub(super) struct TailRun {
    pub(super) slot: SlotId,
    pub(super) end: Offset,
    /// Bytes appended since this process leads, up to here.
    pub(super) bytes_end: u64,
}

/// What a partition starts from.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) log_start: Offset,
    pub(super) end: Offset,
    pub(super) epochs: Arc<[EpochStart]>,
    pub(super) leader_epoch: LeaderEpoch,
    pub(super) producers: ProducerStates,
    pub(super) aborted: TransactionIndex,
    pub(super) settings: Arc<TopicSettings>,
    pub(super) offline: bool,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) log_start: Offset,
    /// The next offset to assign: speculative, ahead of the high watermark.
    pub(super) log_end: Offset,
    /// The first offset of this process's own runs: lower ones are in the manifest alone.
    tail_base: Offset,
    /// Bytes below `tail_base`, of those that this process appended.
    bytes_base: u64,
    /// Runs of this chain from `tail_base` on, in order, without gaps.
    pub(super) tail: Few<TailRun>,
    /// How many of `tail` are known to be stable.
    stable_runs: usize,
    pub(super) high_watermark: Offset,
    pub(super) epochs: LeaderEpochs,
    pub(super) producers: Producers,
    pub(super) settings: Arc<TopicSettings>,
    pub(super) waiters: Waiters,
    /// RELEASE has entered the open slot, or the state could not be rebuilt: nothing is led here any more.
    pub(super) closed: bool,
}

/// One partition.
#[derive(Debug)]
pub struct Partition {
    pub(super) tp: TopicPartition,
    pub(super) wal: Wal,
    pub(super) metrics: Arc<Metrics>,
    state: Mutex<State>,
}

const _: () =
    assert!(size_of::<Partition>() <= 176, "192 with its counts: idle partitions are many");

impl Partition {
    pub(super) fn new(
        tp: TopicPartition,
        wal: Wal,
        metrics: Arc<Metrics>,
        start: Start,
    ) -> PartitionHandle {
        let state = State {
            log_start: start.log_start,
            log_end: start.end,
            tail_base: start.end,
            bytes_base: 0,
            tail: Few::default(),
            stable_runs: 0,
            high_watermark: start.end,
            epochs: LeaderEpochs::new(start.epochs, start.leader_epoch, start.end),
            producers: Producers::new(start.producers, start.aborted),
            settings: start.settings,
            waiters: Waiters::default(),
            closed: start.offline,
        };
        Arc::new(Self { tp, wal, metrics, state: Mutex::new(state) })
    }

    /// The partition's name.
    #[must_use]
    pub fn tp(&self) -> TopicPartition {
        self.tp
    }

    /// The chain that holds its records.
    #[must_use]
    pub fn wal(&self) -> &Wal {
        &self.wal
    }

    /// The topic's settings in force.
    #[must_use]
    pub fn settings(&self) -> Arc<TopicSettings> {
        Arc::clone(&self.lock().settings)
    }

    /// Locks the state, with the high watermark brought up to what is stable.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.follow(self.wal.stable());
        state
    }

    /// Locks the state of a partition that is led here.
    ///
    /// # Errors
    /// [`Error::NotLeader`].
    pub(super) fn lead(&self) -> Result<MutexGuard<'_, State>, Error> {
        let state = self.lock();
        if state.closed { Err(Error::NotLeader { tp: self.tp }) } else { Ok(state) }
    }

    /// Checks that readers may be answered: this broker leads, and has had a proof of it within a session timeout (law 9).
    ///
    /// # Errors
    /// [`Error::NotLeader`].
    pub fn check_readable(&self) -> Result<(), Error> {
        if self.wal.may_be_read() { Ok(()) } else { Err(Error::NotLeader { tp: self.tp }) }
    }

    /// Checks the leader epoch that a request names, if it names one.
    ///
    /// # Errors
    /// [`Error::NotLeader`], [`Error::EpochMismatch`].
    ///
    /// Source: `Partition.checkCurrentLeaderEpoch` in Apache Kafka.
    pub fn check_epoch(&self, requested: Option<LeaderEpoch>) -> Result<(), Error> {
        let current = self.lead()?.epochs.current();
        match requested.filter(|requested| *requested != current) {
            None => Ok(()),
            Some(requested) => Err(Error::EpochMismatch { tp: self.tp, current, requested }),
        }
    }

    /// Where the log begins and ends.
    ///
    /// # Errors
    /// [`Error::NotLeader`].
    pub fn offsets(&self) -> Result<Offsets, Error> {
        Ok(self.lead()?.offsets())
    }

    /// The producers that the partition knows, once everything that this says is stable (law 5).
    ///
    /// # Errors
    /// [`Error::NotLeader`]; [`Error::Wal`]: the chain ended first.
    pub async fn stable_producers(&self) -> Result<Vec<ProducerSnapshot>, Error> {
        let (producers, newest) = {
            let state = self.lead()?;
            let newest = state.tail.back().map(|run| self.wal.wait_for(run.slot));
            (state.producers.known().states.snapshot(), newest)
        };
        if let Some(newest) = newest {
            newest.wait().await?;
        }
        Ok(producers)
    }

    /// Moves the start of the log up, as the coordinator durably says.
    pub(super) fn advance_log_start(&self, to: Offset) {
        let mut state = self.lock();
        // The manifest never knows more than is stable, and never moves down.
        state.log_start = state.log_start.max(to.min(state.high_watermark));
        let log_start = state.log_start;
        state.producers.truncate(log_start);
    }

    pub(super) fn set_settings(&self, settings: Arc<TopicSettings>) {
        self.lock().settings = settings;
    }

    /// Forgets producers that have been idle since `before`; never one with an open transaction.
    pub(super) fn expire_producers(&self, before: Timestamp) {
        self.lock().producers.expire(before);
    }

    /// Writes the partition's whole state into the open slot.
    ///
    /// # Errors
    /// [`Error::NotLeader`]; [`Error::Wal`]: nothing was written.
    pub fn checkpoint(&self) -> Result<Stable, Error> {
        // Under the lock: every batch below the checkpoint's end is in this slot or before, every other in it or behind.
        let state = self.lead()?;
        Ok(self.wal.checkpoint(state.checkpoint(self.tp))?)
    }

    /// Ends the lease for good: from here nothing is admitted in this epoch (law 8).
    ///
    /// # Errors
    /// [`Error::NotLeader`]: it had ended. [`Error::Wal`]: nothing was written.
    pub(super) fn release(&self, reason: ReleaseReason) -> Result<Stable, Error> {
        let mut state = self.lead()?;
        let release = Release { reason, state: state.checkpoint(self.tp) };
        let stable = self.wal.release(release)?;
        state.closed = true;
        state.waiters.wake();
        Ok(stable)
    }

    /// Ends the partition without a word to the chain: the chain itself has ended.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.waiters.wake();
    }
}

impl State {
    /// Brings the high watermark up to the runs in slots below `stable`.
    fn follow(&mut self, stable: u64) {
        while let Some(run) = self.tail.get(self.stable_runs)
            && run.slot.0 < stable
        {
            assert!(run.end >= self.high_watermark, "high watermark moves down to {}", run.end);
            self.high_watermark = run.end;
            self.stable_runs += 1;
        }
        self.producers.follow(self.high_watermark);
    }

    /// Notes that the records up to `end` joined `slot`.
    pub(super) fn joined(&mut self, slot: SlotId, end: Offset, bytes: u64) {
        let bytes_end = self.bytes_end() + bytes;
        match self.tail.back_mut() {
            Some(last) if last.slot == slot => {
                last.end = end;
                last.bytes_end = bytes_end;
            }
            last => {
                assert!(
                    last.is_none_or(|last| last.slot < slot),
                    "slot {slot} joined after a later one"
                );
                self.tail.push_back(TailRun { slot, end, bytes_end });
            }
        }
        self.log_end = end;
    }

    /// Lets go of runs in slots below `first`: memory does not know them any more, the manifest does.
    pub(super) fn forget_below(&mut self, first: SlotId) {
        while self.stable_runs > 0 && self.tail.front().is_some_and(|run| run.slot < first) {
            let run = self.tail.pop_front().expect("front was there");
            self.stable_runs -= 1;
            self.tail_base = run.end;
            self.bytes_base = run.bytes_end;
        }
    }

    fn bytes_end(&self) -> u64 {
        self.tail.back().map_or(self.bytes_base, |run| run.bytes_end)
    }

    /// The place in `tail` of the run that holds `offset`; none below the tail.
    pub(super) fn place_of(&self, offset: Offset) -> Option<usize> {
        (offset >= self.tail_base).then(|| self.tail.partition_point(|run| run.end <= offset))
    }

    /// How many bytes lie in the runs from the one with `offset` up to `end`, at most; `None` below the tail: plenty.
    pub(super) fn bytes_between(&self, offset: Offset, end: Offset) -> Option<u64> {
        let from = self.place_of(offset)?;
        let before = match from.checked_sub(1) {
            Some(before) => self.tail[before].bytes_end,
            None => self.bytes_base,
        };
        // A bound within a run lies between its batches, so a part of it can be read: all of it is counted.
        let to = self.tail.partition_point(|run| run.end < end) + 1;
        let upto =
            to.min(self.tail.len()).checked_sub(1).map_or(before, |last| self.tail[last].bytes_end);
        Some(upto.saturating_sub(before))
    }

    /// The end of what a read_committed consumer sees: below every transaction without a stable marker.
    pub(super) fn last_stable_offset(&self) -> Offset {
        let open = self.producers.known().first_open();
        open.map_or(self.high_watermark, |open| open.min(self.high_watermark))
    }

    pub(super) fn offsets(&self) -> Offsets {
        Offsets {
            log_start: self.log_start,
            high_watermark: self.high_watermark,
            last_stable_offset: self.last_stable_offset(),
            log_end: self.log_end,
            leader_epoch: self.epochs.current(),
        }
    }

    fn checkpoint(&self, tp: TopicPartition) -> PartitionCheckpoint {
        let known = self.producers.known();
        PartitionCheckpoint {
            tp,
            leader_epoch: self.epochs.current(),
            end_offset: self.log_end,
            producers: known.states.snapshot(),
            ongoing: known.states.ongoing(),
            aborted: known.aborted.snapshot(),
        }
    }
}

impl Partition {
    /// Waits until a refusal may be said: the state that it rests on is stable, and leadership is proven after it
    /// (laws 5 and 9).
    ///
    /// # Errors
    /// [`Error::Wal`]: the chain ended, or no proof came in time; this is said instead of the refusal.
    pub async fn confirm(&self, refusal: &Error, within: Duration) -> Result<(), Error> {
        if let Error::Rejected { after: Some(slot), .. } = refusal {
            self.wal.wait_for(*slot).wait().await?;
        }
        self.prove(within).await
    }

    /// Proves that this broker still leads, at a time after the call (law 9).
    ///
    /// # Errors
    /// [`Error::Wal`]: the chain ended, or no proof came in time.
    pub async fn prove(&self, within: Duration) -> Result<(), Error> {
        Ok(self.wal.prove(within).await?)
    }
}
