//! One share partition as this broker leads it: its state behind a short lock, who reads for it, and who waits.
//!
//! Owns the order in which changes are kept. Does not own the decisions (`partition`) or which ones exist (`service`).
//! Invariant: a change joins the log in the order in which it was made, and is told of only when it is stable (law 5).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OwnedMutexGuard};

use super::Error;
use super::alarm::Alarm;
use super::partition::{Change, Limits, Loaded, SharePartition};
use super::persister::{self, Persister};
use crate::base::ids::{LeaderEpoch, TopicPartition};
use crate::base::task;
use crate::log::{self, Isolation, PartitionHandle};

/// Which group's view of which partition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) group: Arc<str>,
    pub(super) tp: TopicPartition,
}

/// One share partition.
#[derive(Debug)]
pub(super) struct Led {
    pub(super) key: Key,
    pub(super) log: PartitionHandle,
    leader_epoch: LeaderEpoch,
    state: Mutex<SharePartition>,
    /// Held from a change to its place in the log.
    order: Arc<tokio::sync::Mutex<()>>,
    reading: Mutex<Turn>,
    waiters: Mutex<Vec<Arc<Notify>>>,
    /// When this is looked at.
    alarm: Arc<Alarm>,
    fenced: AtomicBool,
    expiring: AtomicBool,
}

/// Who may read: one at a time, so that no two members read the same records.
#[derive(Debug, Default)]
struct Turn {
    taken: bool,
    /// Somebody came in vain meanwhile.
    missed: bool,
}

/// The right to read for a share partition. Dropping it gives it on.
#[derive(Debug)]
pub(super) struct Reading(Arc<Led>);

impl Reading {
    pub(super) fn led(&self) -> &Arc<Led> {
        &self.0
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let missed = {
            let mut turn = lock(&self.0.reading);
            std::mem::take(&mut *turn).missed
        };
        if missed {
            self.0.wake();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Led {
    pub(super) fn new(
        key: Key,
        log: PartitionHandle,
        leader_epoch: LeaderEpoch,
        (loaded, limits): (Loaded, Limits),
        alarm: Arc<Alarm>,
    ) -> Arc<Self> {
        Arc::new(Self {
            key,
            log,
            leader_epoch,
            state: Mutex::new(SharePartition::new(loaded, limits)),
            order: Arc::default(),
            reading: Mutex::default(),
            waiters: Mutex::default(),
            alarm,
            fenced: AtomicBool::new(false),
            expiring: AtomicBool::new(false),
        })
    }

    /// The state, for a step that nothing has to be kept of.
    pub(super) fn state(&self) -> MutexGuard<'_, SharePartition> {
        lock(&self.state)
    }

    /// Takes the right to read, unless somebody has it.
    pub(super) fn read(self: &Arc<Self>) -> Option<Reading> {
        let mut turn = lock(&self.reading);
        if turn.taken {
            turn.missed = true;
            return None;
        }
        turn.taken = true;
        Some(Reading(Arc::clone(self)))
    }

    /// How many bytes a member could be given by these limits, if any; `u64::MAX`: more than memory holds.
    ///
    /// # Errors
    /// [`log::Error`].
    pub(super) fn available(
        &self,
        isolation: Isolation,
        limits: Limits,
    ) -> Result<Option<u64>, log::Error> {
        let log_start = self.log.offsets()?.log_start;
        let from = {
            let mut state = self.state();
            state.set_limits(limits);
            if log_start > state.start_offset() {
                // Need not be kept: whoever loads the state moves it again.
                let _ = state.log_start_moved(log_start);
            }
            if !state.can_acquire() {
                return Ok(None);
            }
            state.next_fetch_offset()
        };
        match self.log.available(from, isolation) {
            Ok(bytes) => Ok(Some(bytes.unwrap_or(u64::MAX))),
            // Somebody has moved the group to where no records are yet.
            Err(log::Error::OffsetOutOfRange { .. }) => Ok(Some(0)),
            Err(error) => Err(error),
        }
    }

    /// Whether this is not the state of the partition any more: who needs it loads it anew.
    pub(super) fn is_fenced(&self) -> bool {
        self.fenced.load(Ordering::Acquire)
    }

    pub(super) fn fence(&self) {
        self.fenced.store(true, Ordering::Release);
        self.wake();
    }

    /// Lets go of it in turn: what was changed before has its place in the log, so whoever loads it anew reads that, and
    /// nothing is changed any more.
    pub(super) async fn close(&self) {
        let _order = self.order.lock().await;
        self.fence();
    }

    /// Registers somebody who waits for records to be given back, or for the right to read.
    pub(super) fn await_news(&self, waiter: &Arc<Notify>) {
        lock(&self.waiters).push(Arc::clone(waiter));
    }

    pub(super) fn forget_waiter(&self, waiter: &Arc<Notify>) {
        lock(&self.waiters).retain(|waiting| !Arc::ptr_eq(waiting, waiter));
    }

    fn wake(&self) {
        for waiter in lock(&self.waiters).iter() {
            waiter.notify_one();
        }
    }

    /// Changes the state by `step`, and resolves when that is kept. Dropping the future does not undo it.
    ///
    /// # Errors
    /// Of `step`; [`Error::NotLeader`], [`Error::State`]: nobody may count on the change.
    pub(super) async fn change(
        self: &Arc<Self>,
        persister: &Persister,
        step: impl FnOnce(&mut SharePartition) -> Result<Option<Change>, Error>,
    ) -> Result<(), Error> {
        let order = Arc::clone(&self.order).lock_owned().await;
        if self.is_fenced() {
            return Err(Error::NotLeader);
        }
        let Some(change) = step(&mut self.state())? else { return Ok(()) };
        let keep = Arc::clone(self).keep(persister.clone(), change, order);
        match task::spawn("share-keep", keep).await {
            Ok(Some(kept)) => kept,
            // The program ends, by a panic or because it is told to.
            Ok(None) | Err(_) => Err(Error::NotLeader),
        }
    }

    async fn keep(
        self: Arc<Self>,
        persister: Persister,
        change: Change,
        order: OwnedMutexGuard<()>,
    ) -> Result<(), Error> {
        let ticket = change.ticket;
        // Also if nothing is new in it: a member may count on what others changed, and that must be kept first (law 5).
        let kept = self.write(&persister, &change, order).await;
        match kept {
            Ok(()) => self.state().written(ticket),
            Err(error) => {
                self.state().failed(ticket);
                tracing::debug!(group = %self.key.group, tp = %self.key.tp, %error, "share state not kept");
                if must_reload(error) {
                    self.fence();
                }
                // What was in transition is with its member again, until its lock expires; or this is let go of.
                self.alarm.look_now(&self.key);
            }
        }
        self.wake();
        kept.map_err(Error::State)
    }

    async fn write(
        &self,
        persister: &Persister,
        change: &Change,
        order: OwnedMutexGuard<()>,
    ) -> Result<(), persister::Error> {
        let Key { group, tp } = &self.key;
        let epochs = (self.leader_epoch.0, self.state().state_epoch());
        let begun = persister.begin_write(group, *tp, epochs, change).await?;
        drop(order);
        begun.stable().await
    }

    /// Whether this call is the one that has the expired locks given back.
    pub(super) fn begin_expiring(&self) -> bool {
        !self.expiring.swap(true, Ordering::AcqRel)
    }

    pub(super) fn end_expiring(&self) {
        self.expiring.store(false, Ordering::Release);
    }
}

/// Whether the state may be another than what is known here.
fn must_reload(error: persister::Error) -> bool {
    match error {
        // Nothing was written.
        persister::Error::NotAvailable | persister::Error::Loading => false,
        // It may have been, or somebody else goes on, or the group is gone.
        persister::Error::NotCoordinator
        | persister::Error::Fenced { .. }
        | persister::Error::FencedLeader { .. }
        | persister::Error::NotInitialized => true,
    }
}
