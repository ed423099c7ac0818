//! Whether the store answers: what `/readyz` shows, and the one failure that a process must not survive.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::error::{Cause, Error};
use crate::base::watch;

/// After so many failures in a row a store counts as not answering.
const UNREADY_AFTER: u32 = 3;

/// A store counts as not answering, too, when calls of one kind are under way and none has succeeded for so long. A call that
/// hangs fails late or never: without this a stall would show only after three of the longest tries. Longer than the slowest
/// of a sound store's answers, shorter than clients wait.
const UNREADY_AFTER_WAITING: Duration = Duration::from_secs(4);

/// How long failed reads say that the store fails. Writes are tried until they succeed; a reader may give up, and then
/// nobody asks again before the store is known as ready.
const READS_SAY_SO_FOR: Duration = Duration::from_secs(30);

/// What became of calls of one kind.
#[derive(Debug, Clone, Default)]
pub struct Calls {
    /// How many tries failed, one after the other, since the last that did not.
    pub in_a_row: u32,
    /// The last failure, and when it was.
    pub last: Option<(Error, Instant)>,
    /// Calls that began and have not ended, whatever became of their tries.
    under_way: u32,
    /// Since when some are under way and none has succeeded.
    waiting_since: Option<Instant>,
    /// Calls under way of which [`UNREADY_AFTER`] tries have failed, and the last failure of one. Others may succeed meanwhile,
    /// as smaller ones do on a disk that is full: nothing is acknowledged past it.
    stuck: u32,
    stuck_on: Option<Error>,
}

impl Calls {
    fn begin(&mut self) {
        self.waiting_since.get_or_insert_with(Instant::now);
        self.under_way += 1;
    }

    fn end(&mut self) {
        self.under_way -= 1;
        if self.under_way == 0 {
            self.waiting_since = None;
        }
    }

    fn fail(&mut self, error: Error) {
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.last = Some((error, Instant::now()));
    }

    fn end_stuck(&mut self) {
        self.stuck -= 1;
        if self.stuck == 0 {
            self.stuck_on = None;
        }
    }

    /// False: none had failed.
    fn succeed(&mut self) -> bool {
        if self.under_way > 0 {
            self.waiting_since = Some(Instant::now());
        }
        self.last = None;
        std::mem::take(&mut self.in_a_row) > 0
    }

    /// How long no call has succeeded, if that is too long.
    fn stalled_for(&self) -> Option<Duration> {
        self.waiting_since
            .map(|since| since.elapsed())
            .filter(|time| *time >= UNREADY_AFTER_WAITING)
    }

    fn are_many(&self) -> bool {
        self.in_a_row >= UNREADY_AFTER
    }

    fn are_recent(&self) -> bool {
        self.last.as_ref().is_some_and(|(_, at)| at.elapsed() < READS_SAY_SO_FOR)
    }
}

/// The state of a store as those find it who use it.
#[derive(Debug, Clone, Default)]
pub struct StoreHealth {
    /// Writes that failed or take too long.
    pub writes: Calls,
    /// Reads that failed or take too long.
    pub reads: Calls,
    /// The first fsync that failed, with its path. Nothing is written any more and the process must end: a restart finds out
    /// what is there.
    pub durability_lost: Option<Cause>,
}

impl StoreHealth {
    /// Whether the store takes writes and gives them back, as far as is known.
    ///
    /// # Errors
    /// What speaks against it, for an operator.
    pub fn verdict(&self) -> Result<(), String> {
        if let Some(cause) = &self.durability_lost {
            return Err(format!("nothing is written any more: {cause}"));
        }
        if self.writes.are_many() {
            return Err(said("writes", &self.writes));
        }
        if let Some(error) = &self.writes.stuck_on {
            return Err(format!("a write fails again and again: {error}"));
        }
        if self.reads.are_many() && self.reads.are_recent() {
            return Err(said("reads", &self.reads));
        }
        for (kind, calls) in [("write", &self.writes), ("read", &self.reads)] {
            if let Some(time) = calls.stalled_for() {
                return Err(format!("no {kind} has succeeded for {} s", time.as_secs()));
            }
        }
        Ok(())
    }
}

fn said(kind: &str, calls: &Calls) -> String {
    let why = calls.last.as_ref().map_or_else(String::new, |(error, _)| error.to_string());
    format!("{} {kind} in a row failed: {why}", calls.in_a_row)
}

/// Which calls of a store are meant.
type Kind = fn(&mut StoreHealth) -> &mut Calls;

/// A call that is under way until this is dropped.
#[derive(Debug)]
pub(super) struct UnderWay<'a> {
    health: &'a Health,
    kind: Kind,
    failures: u32,
}

impl UnderWay<'_> {
    /// One more try of this call failed.
    pub(super) fn failed(&mut self, error: &Error) {
        self.failures = self.failures.saturating_add(1);
        if self.failures < UNREADY_AFTER {
            return;
        }
        self.health.0.send_modify(|health| {
            let calls = (self.kind)(health);
            calls.stuck += u32::from(self.failures == UNREADY_AFTER);
            calls.stuck_on = Some(error.clone());
        });
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.health.note(|health| (self.kind)(health).end());
        if self.failures >= UNREADY_AFTER {
            self.health.0.send_modify(|health| (self.kind)(health).end_stuck());
        }
    }
}

/// Where those report who use the store. Clones report to the same watch.
#[derive(Debug, Clone)]
pub(super) struct Health(Arc<watch::Sender<StoreHealth>>);

impl Health {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(StoreHealth::default())))
    }

    pub(super) fn watch(&self) -> watch::Receiver<StoreHealth> {
        self.0.subscribe()
    }

    pub(super) fn write_began(&self) -> UnderWay<'_> {
        self.began(|health| &mut health.writes)
    }

    pub(super) fn write_succeeded(&self) {
        self.0.send_if_modified(|health| health.writes.succeed());
    }

    pub(super) fn write_failed(&self, error: Error) {
        self.0.send_modify(|health| health.writes.fail(error));
    }

    pub(super) fn read_began(&self) -> UnderWay<'_> {
        self.began(|health| &mut health.reads)
    }

    pub(super) fn read_succeeded(&self) {
        self.0.send_if_modified(|health| health.reads.succeed());
    }

    pub(super) fn read_failed(&self, error: Error) {
        self.0.send_modify(|health| health.reads.fail(error));
    }

    fn began(&self, kind: Kind) -> UnderWay<'_> {
        self.note(|health| kind(health).begin());
        UnderWay { health: self, kind, failures: 0 }
    }

    /// A change that is no news by itself: only time makes it one.
    fn note(&self, change: impl FnOnce(&mut StoreHealth)) {
        self.0.send_if_modified(|health| {
            change(health);
            false
        });
    }

    /// The first reason stays.
    pub(super) fn durability_lost(&self, cause: Cause) {
        self.0.send_modify(|health| {
            health.durability_lost.get_or_insert(cause);
        });
    }
}
