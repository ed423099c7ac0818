//! One led partition of a state topic: its machine behind one short lock, and the task that replays it and keeps its time.
//!
//! A lock, not a channel to the task: every turn is synchronous and short, as with the log's partitions.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::machine::{Machine, Now, ReplayedMarker, StateRecord};
use super::topic::Parts;
use super::{Error, compact, replay};
use crate::base::backoff::Backoff;
use crate::base::clock::{sleep, sleep_until};
use crate::base::ids::{ProducerId, SlotId};
use crate::base::offset::Offset;
use crate::log::{self, EndMarker, MarkerAppended, PartitionHandle};
use crate::record::build::BatchBuilder;
use crate::record::{Attributes, Compression, ValidBatch};
use crate::wal::{End, Stable};

/// A shared handle on a shard.
pub type ShardHandle<M> = Arc<Shard<M>>;

/// Who writes records that belong to a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Writer {
    /// The producer.
    pub producer_id: ProducerId,
    /// Its epoch.
    pub producer_epoch: i16,
}

/// Records on their way into the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The offset of the first.
    pub base_offset: Offset,
    /// The slot that must be stable before anybody is told.
    pub slot: SlotId,
}

/// What a marker takes in the log.
const MARKER_BYTES: u64 = 78;

enum Phase<M> {
    Loading,
    Ready(Box<M>),
    Closed,
}

struct Held<M> {
    phase: Phase<M>,
    /// When the task wakes next, as it knows.
    armed: Option<Duration>,
    /// Bytes of batches that the log holds.
    log_bytes: u64,
    /// Live state is not copied forward before the log is this large: the last try could let go of nothing.
    copy_above: u64,
}

/// One led partition.
pub struct Shard<M> {
    index: i32,
    partition: PartitionHandle,
    parts: Arc<Parts>,
    /// What [`Now::elapsed`] counts from.
    start: Instant,
    held: Mutex<Held<M>>,
    /// The deadline came nearer, or the shard was closed.
    wake: Notify,
    /// The log holds more garbage than it should.
    overgrown: Notify,
}

impl<M> std::fmt::Debug for Shard<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shard").field("index", &self.index).finish_non_exhaustive()
    }
}

/// One synchronous step on a machine: the time, and the way to write.
#[derive(Debug)]
pub struct Turn<'a> {
    partition: &'a PartitionHandle,
    now: Now,
    written_bytes: u64,
    failed: bool,
}

impl Turn<'_> {
    /// The time of this step.
    #[must_use]
    pub fn now(&self) -> Now {
        self.now
    }

    /// The partition, for appends that are no records (markers): see [`Turn::appended`].
    #[must_use]
    pub fn partition(&self) -> &PartitionHandle {
        self.partition
    }

    /// Appends `records` as one batch: all of them count, or none. There must be one at least.
    ///
    /// # Errors
    /// [`Error::NotCoordinator`]: nothing was written; the shard is closed when the turn ends.
    pub fn append(&mut self, records: &[StateRecord]) -> Result<Written, Error> {
        self.append_batch(&self.batch(records, None))
    }

    /// Appends `records` as part of a transaction of `writer`.
    ///
    /// # Errors
    /// Those of the log: nothing was written. A refusal by the producer's state leaves the shard open.
    pub fn append_transactional(
        &mut self,
        records: &[StateRecord],
        writer: Writer,
    ) -> Result<Written, log::Error> {
        let batch = self.batch(records, Some(writer));
        self.try_append(&batch)
    }

    /// Ends a transaction in this partition. The offset is none if that had been done before.
    ///
    /// # Errors
    /// Those of the log: nothing was written. A refusal by the producer's state leaves the shard open.
    pub fn append_marker(&mut self, marker: &EndMarker) -> Result<MarkerAppended, log::Error> {
        let appended =
            self.partition.append_marker(marker, self.now.wall).inspect_err(|error| {
                self.failed |= !matches!(error, log::Error::Rejected { .. });
            })?;
        self.written_bytes += appended.offset.map_or(0, |_| MARKER_BYTES);
        Ok(appended)
    }

    fn batch(&self, records: &[StateRecord], writer: Option<Writer>) -> ValidBatch {
        let mut builder = BatchBuilder::new(Compression::None);
        if let Some(Writer { producer_id, producer_epoch }) = writer {
            builder.producer(producer_id, producer_epoch, -1);
            builder.attributes(Attributes::default().transactional());
        }
        for record in records {
            builder.push_value(self.now.wall, Some(&record.key), record.value.as_deref());
        }
        builder.build()
    }

    fn append_batch(&mut self, batch: &ValidBatch) -> Result<Written, Error> {
        self.try_append(batch).map_err(|error| {
            // What the machine has decided cannot be written: it must not go on from there.
            self.failed = true;
            error.into()
        })
    }

    fn try_append(&mut self, batch: &ValidBatch) -> Result<Written, log::Error> {
        let appended = match self.partition.append(batch, log::Terms::coordinator(self.now.wall)) {
            Ok(appended) => appended,
            Err(error) => {
                self.failed |= !matches!(error, log::Error::Rejected { .. });
                return Err(error);
            }
        };
        let stable = appended.stable.expect("a batch without a sequence is no duplicate");
        Ok(self.appended(appended.base_offset, &stable, batch.total_bytes()))
    }

    /// Notes an append that the caller made itself, under this turn.
    pub fn appended(&mut self, base_offset: Offset, stable: &Stable, bytes: usize) -> Written {
        self.written_bytes += bytes as u64;
        Written { base_offset, slot: stable.slot() }
    }
}

impl<M: Machine> Shard<M> {
    /// A shard of `partition` that is still to be replayed.
    pub(super) fn new(
        index: i32,
        partition: PartitionHandle,
        parts: Arc<Parts>,
        start: Instant,
    ) -> ShardHandle<M> {
        let held = Held { phase: Phase::Loading, armed: None, log_bytes: 0, copy_above: 0 };
        let held = Mutex::new(held);
        let (wake, overgrown) = (Notify::new(), Notify::new());
        Arc::new(Self { index, partition, parts, start, held, wake, overgrown })
    }

    /// The partition's number.
    #[must_use]
    pub fn index(&self) -> i32 {
        self.index
    }

    pub(super) fn partition(&self) -> &PartitionHandle {
        &self.partition
    }

    pub(super) fn parts(&self) -> &Parts {
        &self.parts
    }

    fn hold(&self) -> MutexGuard<'_, Held<M>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn new_turn(&self) -> Turn<'_> {
        let now = Now { wall: self.parts.clock.now(), elapsed: self.start.elapsed() };
        Turn { partition: &self.partition, now, written_bytes: 0, failed: false }
    }

    /// Takes one step: `step` decides on the machine, and appends what it decided.
    ///
    /// # Errors
    /// [`Error::Loading`]: the step was not taken. [`Error::NotCoordinator`]: it was not taken, or could not be written.
    pub fn turn<T>(&self, step: impl FnOnce(&mut M, &mut Turn<'_>) -> T) -> Result<T, Error> {
        let mut held = self.hold();
        let machine = match &mut held.phase {
            Phase::Ready(machine) => machine,
            Phase::Loading => return Err(Error::Loading),
            Phase::Closed => return Err(Error::NotCoordinator),
        };
        let mut turn = self.new_turn();
        let answer = step(machine, &mut turn);
        let deadline = machine.deadline();
        let Turn { written_bytes, failed, .. } = turn;
        if failed {
            self.close_held(held);
            return Err(Error::NotCoordinator);
        }
        held.log_bytes += written_bytes;
        let sooner = match (deadline, held.armed) {
            (Some(deadline), Some(armed)) => deadline < armed,
            (deadline, None) => deadline.is_some(),
            (None, Some(_)) => false,
        };
        let overgrown = written_bytes > 0 && self.is_overgrown(&held);
        drop(held);
        if sooner {
            self.wake.notify_one();
        }
        if overgrown {
            self.overgrown.notify_one();
        }
        Ok(answer)
    }

    /// Whether the log holds much more than what lives.
    fn is_overgrown(&self, held: &Held<M>) -> bool {
        let Phase::Ready(machine) = &held.phase else { return false };
        held.log_bytes >= held.copy_above
            && compact::is_due(held.log_bytes, self.parts.garbage_bytes_min, || {
                machine.live_bytes()
            })
    }

    /// Ends a transaction in this partition, in the log and in the machine in one step. A marker that had been written before
    /// changes nothing.
    ///
    /// # Errors
    /// Those of the log; [`log::Error::NotLeader`] also while the machine is being rebuilt: nothing was written.
    pub fn end_transaction(&self, marker: &EndMarker) -> Result<Option<Stable>, log::Error> {
        let ended = self.turn(|machine, turn| {
            let appended = turn.append_marker(marker)?;
            if let Some(offset) = appended.offset {
                machine.replay_marker(&ReplayedMarker {
                    offset,
                    producer: (marker.producer_id, marker.producer_epoch),
                    commit: marker.commit,
                    slot: appended.stable.as_ref().map(Stable::slot),
                });
            }
            Ok(appended.stable)
        });
        ended.unwrap_or_else(|_| Err(log::Error::NotLeader { tp: self.partition.tp() }))
    }

    /// Waits until what was decided on records in `slot` and before may be told. None: at once.
    ///
    /// # Errors
    /// [`Error::NotCoordinator`]: the chain ended first.
    pub async fn stable(&self, slot: Option<SlotId>) -> Result<(), Error> {
        match slot {
            Some(slot) => Ok(self.partition.wal().wait_for(slot).wait().await?),
            None => Ok(()),
        }
    }

    /// Proves that this broker still leads the partition, at a time after the call (law 9).
    ///
    /// # Errors
    /// [`Error::NotCoordinator`], [`Error::Loading`].
    pub async fn prove(&self, within: Duration) -> Result<(), Error> {
        Ok(self.partition.prove(within).await?)
    }

    /// Ends the shard: the machine goes, and with it every request that waits in it.
    pub(super) fn close(&self) {
        self.close_held(self.hold());
    }

    fn close_held(&self, mut held: MutexGuard<'_, Held<M>>) {
        let before = std::mem::replace(&mut held.phase, Phase::Closed);
        drop(held);
        // What waits in the machine is told by being dropped: outside of the lock.
        drop(before);
        self.wake.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self.hold().phase, Phase::Closed)
    }

    /// Puts a rebuilt machine into service.
    pub(super) fn install(&self, mut machine: M, log_bytes: u64) {
        let mut held = self.hold();
        if !matches!(held.phase, Phase::Loading) {
            return;
        }
        let mut turn = self.new_turn();
        machine.loaded(&mut turn);
        if turn.failed {
            return self.close_held(held);
        }
        held.log_bytes = log_bytes + turn.written_bytes;
        held.phase = Phase::Ready(Box::new(machine));
    }

    /// Replays the log, then wakes the machine at its deadlines, until the partition is not led here any more.
    pub(super) async fn run(self: Arc<Self>, make: impl Fn() -> M + Send) {
        let work = async {
            if self.is_loading() {
                self.load(make).await;
            }
            // Copying goes on beside the timers: deadlines do not wait for it.
            tokio::select! {
                biased;
                () = self.keep_time() => {}
                () = self.keep_small() => {}
            }
        };
        tokio::select! {
            biased;
            () = self.chain_ended() => {}
            () = work => {}
        }
        self.close();
    }

    fn is_loading(&self) -> bool {
        matches!(self.hold().phase, Phase::Loading)
    }

    async fn chain_ended(&self) {
        let mut progress = self.partition.wal().progress();
        let ended = progress.wait_for(|progress| progress.ended.is_some()).await;
        let end = ended.map_or(End::Closed, |progress| progress.ended.unwrap_or(End::Closed));
        tracing::debug!(tp = %self.partition.tp(), ?end, "state closed with its chain");
    }

    /// Replays until it succeeds, or the partition is not led here any more.
    async fn load(&self, make: impl Fn() -> M) {
        let (first, longest) = (Duration::from_millis(50), Duration::from_secs(5));
        let mut backoff = Backoff::new(first, longest, self.parts.rng.clone());
        loop {
            let mut machine = make();
            let began = Instant::now();
            let remote = self.parts.registry.remote();
            match replay::replay(&mut machine, &self.partition, remote).await {
                Ok(log_bytes) => {
                    let took_ms = began.elapsed().as_millis();
                    tracing::info!(tp = %self.partition.tp(), log_bytes, took_ms, "state replayed");
                    return self.install(machine, log_bytes);
                }
                Err(log::Error::NotLeader { .. }) => return self.close(),
                Err(error) => {
                    tracing::warn!(tp = %self.partition.tp(), %error, "state could not be replayed yet");
                    sleep(backoff.next_delay()).await;
                }
            }
        }
    }

    async fn keep_time(&self) {
        loop {
            let deadline = {
                let mut held = self.hold();
                let Phase::Ready(machine) = &held.phase else { return };
                let deadline = machine.deadline();
                held.armed = deadline;
                deadline
            };
            let timer = async {
                match deadline {
                    Some(deadline) => sleep_until(self.start + deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.wake.notified() => {}
                // An error says that the shard is closed: the next round ends.
                () = timer => drop(self.turn(|machine, turn| machine.on_time(turn))),
            }
        }
    }

    /// Copies the live state forward whenever garbage outweighs it.
    async fn keep_small(self: &Arc<Self>) {
        loop {
            let due = self.is_overgrown(&self.hold());
            if !due {
                self.overgrown.notified().await;
                continue;
            }
            let copied = compact::copy_forward(self).await;
            let mut held = self.hold();
            match copied {
                Ok(Some(log_bytes)) => {
                    held.log_bytes = log_bytes;
                    held.copy_above = 0;
                }
                Ok(None) => held.copy_above = held.log_bytes + self.parts.garbage_bytes_min,
                Err(error) => {
                    held.copy_above = held.log_bytes + self.parts.garbage_bytes_min;
                    tracing::debug!(tp = %self.partition.tp(), %error, "state was not copied forward");
                }
            }
        }
    }

    pub(super) fn log_bytes(&self) -> u64 {
        self.hold().log_bytes
    }
}
