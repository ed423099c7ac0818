//! The handle on a chain: what every other part sees of it.
//!
//! Joining the open slot is one synchronous step under one short lock; the chain's task does everything that waits.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::buffer::{Joining, OpenSlot};
use super::chain::Chain;
use super::commit::Uncommitted;
use super::pending::{Outcome, Stable};
use super::proof::Prover;
use super::tail::{BodySource, Tail};
use super::vigil::{self, Proven};
use super::{End, Error, Metrics, commit};
use crate::base::clock::SharedClock;
use crate::base::ids::{ChainId, Incarnation, SlotId};
use crate::base::rng::Rng;
use crate::base::task;
use crate::base::units::ByteSize;
use crate::base::watch;
use crate::manifest::client::ManifestClient;
use crate::object::Store;
use crate::object::retry::Putter;
use crate::segment::{PartitionCheckpoint, Release};

/// What a chain is built from.
#[derive(Debug, Clone)]
pub struct Parts {
    /// Where slots are looked at.
    pub store: Store,
    /// How they are put.
    pub putter: Putter,
    /// Who learns of them.
    pub manifest: Arc<dyn ManifestClient>,
    /// Wall clock for `created`.
    pub clock: SharedClock,
    /// Jitter of retries.
    pub rng: Rng,
    /// The cluster's prefix in the bucket.
    pub cluster: String,
    /// Figures.
    pub metrics: Metrics,
}

/// Bounds and budgets of a chain.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A slot closes at this size. Default 8 MiB.
    pub slot_bytes_max: ByteSize,
    /// Slots in flight at once, at most 64 (a constant of the format). Default 16.
    pub window: usize,
    /// How long a batch waits for its slot to close when its topic says nothing. Default 100 ms.
    pub flush: Duration,
    /// Joined and not yet stable bytes at which admission stops.
    pub unstable_bytes_max: ByteSize,
    /// Stable slots kept in memory, by size.
    pub tail_bytes: ByteSize,
    /// Index bytes of uncommitted slots at which admission stops. 256 MiB.
    pub uncommitted_bytes_max: ByteSize,
    /// Age of the oldest uncommitted slot at which admission stops. 10 min.
    pub uncommitted_age_max: Duration,
    /// A lock of the operating system proves leadership (a local directory), or nobody else can reach the store.
    pub lock_is_proof: bool,
    /// Without a proof of leadership for so long, readers are refused (law 9). Default 9 s.
    pub session_timeout: Duration,
}

/// How far a chain is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The number of stable slots.
    pub stable: u64,
    /// Why it ended, if it did.
    pub ended: Option<End>,
}

#[derive(Debug)]
pub(super) struct Filling {
    pub(super) slot: OpenSlot,
    pub(super) outcome: watch::Sender<Outcome>,
}

impl Filling {
    fn new(slot: SlotId) -> Self {
        Self { slot: OpenSlot::new(slot), outcome: watch::Sender::new(Outcome::Pending) }
    }
}

/// The slots that are not sent yet.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) current: Filling,
    /// Full slots that wait for a place in the window.
    pub(super) full: VecDeque<Filling>,
    /// Someone waits for what is in the current slot: close it as soon as the window allows.
    pub(super) flush: bool,
    pub(super) ended: Option<End>,
    /// One receiver a slot that is not stable, in slot order.
    pub(super) outcomes: VecDeque<(SlotId, watch::Receiver<Outcome>)>,
}

impl Open {
    /// Closes the current slot to further batches and opens the next.
    pub(super) fn rotate(&mut self) {
        let next = Filling::new(self.current.slot.slot.next());
        self.outcomes.push_back((next.slot.slot, next.outcome.subscribe()));
        self.full.push_back(std::mem::replace(&mut self.current, next));
        self.flush = false;
    }
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) chain: ChainId,
    pub(super) incarnation: Incarnation,
    pub(super) parts: Parts,
    pub(super) settings: Settings,
    open: Mutex<Open>,
    pub(super) tail: Tail,
    pub(super) uncommitted: Uncommitted,
    /// The number of stable slots.
    stable: AtomicU64,
    /// The number of slots whose first put may have begun.
    pub(super) sent: AtomicU64,
    pub(super) progress: watch::Sender<Progress>,
    pub(super) wake: Notify,
    unstable_bytes: AtomicU64,
    admit: Notify,
    pub(super) prover: Prover,
    pub(super) proven: Proven,
}

impl Shared {
    pub(super) fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stable(&self) -> u64 {
        self.stable.load(Ordering::Acquire)
    }

    /// Publishes that slots below `stable` are stable, before anyone who waits for one of them is told.
    pub(super) fn publish_stable(&self, stable: u64, bytes: u64) {
        self.stable.store(stable, Ordering::Release);
        self.unstable_bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.admit.notify_waiters();
        let mut open = self.open();
        while open.outcomes.front().is_some_and(|(slot, _)| slot.0 < stable) {
            open.outcomes.pop_front();
        }
    }

    /// Ends the chain. The first reason stays; every append that is not stable fails.
    pub(super) fn end(&self, end: End) {
        {
            let mut open = self.open();
            if open.ended.is_some() {
                return;
            }
            // Before anybody is told that an append failed: from then on nobody is answered by a chain that is open.
            self.progress.send_modify(|progress| progress.ended = Some(end));
            open.ended = Some(end);
            open.current.outcome.send_replace(Outcome::Ended(end));
            for full in open.full.drain(..) {
                full.outcome.send_replace(Outcome::Ended(end));
            }
        }
        match end {
            End::Closed => tracing::info!(chain = %self.chain, "chain closed"),
            End::Fenced { .. } | End::CommitRefused => {
                tracing::warn!(chain = %self.chain, ?end, "chain ended: another process took over");
            }
            End::Foreign { .. } | End::Refused { .. } | End::DurabilityLost => {
                tracing::error!(chain = %self.chain, ?end, "chain ended: acknowledged data is safe, appends in flight fail");
            }
        }
        self.admit.notify_waiters();
        self.wake.notify_one();
    }

    pub(super) fn ended(&self) -> Option<End> {
        self.progress.borrow().ended
    }
}

/// A chain that this process writes.
#[derive(Debug, Clone)]
pub struct Wal(pub(super) Arc<Shared>);

impl Wal {
    /// Starts the chain's tasks. `chain` was issued to `incarnation` and holds no slot yet.
    #[must_use]
    pub fn start(
        parts: Parts,
        settings: Settings,
        chain: ChainId,
        incarnation: Incarnation,
    ) -> Self {
        let current = Filling::new(SlotId(0));
        let outcomes = VecDeque::from([(SlotId(0), current.outcome.subscribe())]);
        let (prover, requests) = Prover::new();
        let shared = Arc::new(Shared {
            chain,
            incarnation,
            tail: Tail::new(settings.tail_bytes.0),
            uncommitted: Uncommitted::default(),
            parts,
            settings,
            open: Mutex::new(Open {
                current,
                full: VecDeque::new(),
                flush: false,
                ended: None,
                outcomes,
            }),
            stable: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            progress: watch::Sender::new(Progress { stable: 0, ended: None }),
            wake: Notify::new(),
            unstable_bytes: AtomicU64::new(0),
            admit: Notify::new(),
            prover,
            proven: Proven::now(),
        });
        task::spawn("wal-chain", Chain::new(Arc::clone(&shared)).run());
        task::spawn("wal-commit", commit::run(Arc::clone(&shared)));
        task::spawn("wal-proof", super::proof::run(Arc::clone(&shared), requests));
        if !shared.settings.lock_is_proof {
            task::spawn("wal-vigil", vigil::run(Arc::clone(&shared)));
        }
        Self(shared)
    }

    /// The chain's id.
    #[must_use]
    pub fn chain(&self) -> ChainId {
        self.0.chain
    }

    /// Whether a fence ended the chain: another process may have taken over, and has at once what the chain had.
    #[must_use]
    pub fn is_fenced(&self) -> bool {
        matches!(self.0.ended(), Some(End::Fenced { .. }))
    }

    /// Ends the chain at once: an fsync of something else failed, and nothing that is written from here on can be trusted.
    pub fn lose_durability(&self) {
        self.0.end(End::DurabilityLost);
    }

    /// Joins one batch to the open slot. Synchronous: the caller holds its partition's lock, so slot order is offset order.
    ///
    /// # Errors
    /// [`Error::Ended`]: nothing was written.
    pub fn join(&self, joining: &Joining<'_>) -> Result<Stable, Error> {
        let shared = &*self.0;
        let now = Instant::now();
        let bytes = joining.batch.bytes.len() as u64;
        let mut open = shared.open();
        self.check_open(&open)?;
        let full = shared.settings.slot_bytes_max.0;
        let mut wake = false;
        if !open.current.slot.is_empty() && open.current.slot.bytes() + bytes > full {
            open.rotate();
            wake = true;
        }
        let before = (open.current.slot.deadline(), open.current.slot.is_small());
        open.current.slot.join(joining, now, shared.settings.flush);
        wake |= (open.current.slot.deadline(), open.current.slot.is_small()) != before;
        let stable = self.waiting_for(open.current.slot.slot, &open);
        if open.current.slot.bytes() >= full {
            open.rotate();
            wake = true;
        }
        // Before the slot can be sent, let alone stable.
        shared.unstable_bytes.fetch_add(bytes, Ordering::AcqRel);
        drop(open);
        if wake {
            shared.wake.notify_one();
        }
        Ok(stable)
    }

    /// Counts memory that batches which joined just now keep beyond their own bytes: whatever else is in the frame that they
    /// are slices of.
    pub fn pin(&self, bytes: usize) {
        let bytes = bytes as u64;
        let mut open = self.0.open();
        let slot = match open.current.slot.is_empty() {
            false => &mut open.current.slot,
            true => match open.full.back_mut() {
                Some(filling) => &mut filling.slot,
                // They filled their slot, which is on its way: at most one frame a slot is not counted.
                None => return,
            },
        };
        slot.pin(bytes);
        self.0.unstable_bytes.fetch_add(bytes, Ordering::AcqRel);
    }

    /// Joins a partition's whole state to the open slot.
    ///
    /// # Errors
    /// [`Error::Ended`]: nothing was written.
    pub fn checkpoint(&self, checkpoint: PartitionCheckpoint) -> Result<Stable, Error> {
        self.join_state(|slot, now, latest| slot.join_checkpoint(checkpoint, now, latest))
    }

    /// Joins the end of a lease to the open slot: final for its epoch from this moment (law 8).
    ///
    /// # Errors
    /// [`Error::Ended`]: nothing was written.
    pub fn release(&self, release: Release) -> Result<Stable, Error> {
        self.join_state(|slot, now, latest| slot.join_release(release, now, latest))
    }

    fn join_state(
        &self,
        join: impl FnOnce(&mut OpenSlot, Instant, Duration),
    ) -> Result<Stable, Error> {
        let mut open = self.0.open();
        self.check_open(&open)?;
        join(&mut open.current.slot, Instant::now(), self.0.settings.flush);
        let stable = self.waiting_for(open.current.slot.slot, &open);
        drop(open);
        self.0.wake.notify_one();
        Ok(stable)
    }

    fn check_open(&self, open: &Open) -> Result<(), Error> {
        match open.ended {
            Some(end) => Err(Error::Ended { chain: self.0.chain, end }),
            None => Ok(()),
        }
    }

    fn waiting_for(&self, slot: SlotId, open: &Open) -> Stable {
        let first = open.outcomes.front().map_or(u64::MAX, |(first, _)| first.0);
        let outcome = slot
            .0
            .checked_sub(first)
            .and_then(|place| open.outcomes.get(usize::try_from(place).ok()?))
            .map(|(_, outcome)| outcome.clone());
        Stable { chain: self.0.chain, slot, outcome }
    }

    /// Waits for a slot that was joined earlier (law 5: an answer computed from it waits for it).
    #[must_use]
    pub fn wait_for(&self, slot: SlotId) -> Stable {
        self.waiting_for(slot, &self.0.open())
    }

    /// Closes the open slot as soon as the window allows and waits until everything joined so far is stable.
    ///
    /// # Errors
    /// [`Error::Indeterminate`]: the chain ended first.
    pub async fn flush(&self) -> Result<(), Error> {
        let stable = {
            let mut open = self.0.open();
            if open.current.slot.is_empty() {
                let last = open.current.slot.slot.0.checked_sub(1);
                last.map(|last| self.waiting_for(SlotId(last), &open))
            } else {
                open.flush = true;
                Some(self.waiting_for(open.current.slot.slot, &open))
            }
        };
        self.0.wake.notify_one();
        match stable {
            Some(stable) => stable.wait().await,
            None => Ok(()),
        }
    }

    /// Flushes, commits what is stable (waiting at most `within` for the coordinator) and ends the chain.
    pub async fn close(&self, within: Duration) {
        let orderly = async {
            if self.flush().await.is_ok() {
                self.0.uncommitted.drained(self.0.stable()).await;
            }
        };
        let mut progress = self.progress();
        tokio::select! {
            biased;
            // An error means that its time is over.
            _ = tokio::time::timeout(within, orderly) => {}
            // What is not committed by now, another commits: the next process, or nobody needs it any more.
            _ = progress.wait_for(|progress| progress.ended.is_some()) => {}
        }
        self.0.end(End::Closed);
    }

    /// Ends the chain at once: nothing more is acknowledged. For a process that is about to exit.
    pub fn abandon(&self) {
        self.0.end(End::CommitRefused);
    }

    /// Waits until there is room for more bytes. Cancel-safe; returns at once when the chain has ended.
    pub async fn admitted(&self) {
        // As nearly always: nobody needs to be woken.
        if self.has_room() {
            return;
        }
        loop {
            let notified = self.0.admit.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if self.has_room() || self.0.ended().is_some() {
                return;
            }
            notified.await;
        }
    }

    /// Whether there is room for more bytes now.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let shared = &*self.0;
        shared.unstable_bytes.load(Ordering::Acquire) < shared.settings.unstable_bytes_max.0
            && shared.uncommitted.has_room(&shared.settings)
    }

    pub(super) fn wake_admission(shared: &Shared) {
        shared.admit.notify_waiters();
    }

    /// The number of stable slots: slots below it are stored, as are all before them.
    #[must_use]
    pub fn stable(&self) -> u64 {
        self.0.stable()
    }

    /// News of stability and of the chain's end, in that order.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.0.progress.subscribe()
    }

    /// Where the bytes of a stable slot are.
    #[must_use]
    pub fn source(&self, slot: SlotId) -> BodySource {
        self.0.tail.source(slot)
    }

    /// The first slot that memory still knows: lower ones are in the manifest.
    #[must_use]
    pub fn tail_first(&self) -> SlotId {
        self.0.tail.first()
    }

    /// Bytes of slot bodies in memory.
    #[must_use]
    pub fn tail_bytes(&self) -> u64 {
        self.0.tail.bytes()
    }

    /// The number of slots that the manifest has.
    #[must_use]
    pub fn committed(&self) -> u64 {
        self.0.uncommitted.committed()
    }

    /// Proves that the chain is open at a time after this call (law 9).
    ///
    /// # Errors
    /// [`Error::Ended`]: a fence was found. [`Error::Unproven`]: no answer from the store in time.
    pub async fn prove(&self, within: Duration) -> Result<(), Error> {
        self.0.prover.prove(&self.0, within).await
    }

    /// Whether readers may be answered: the chain was proven open within a session timeout (law 9).
    #[must_use]
    pub fn may_be_read(&self) -> bool {
        let settings = &self.0.settings;
        settings.lock_is_proof || self.0.proven.age() <= settings.session_timeout
    }
}
