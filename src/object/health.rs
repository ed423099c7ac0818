//! Whether the store answers: what `/readyz` shows, and the one failure that a process must not survive.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::error::Error;
use crate::base::watch;

/// After so many failures in a row a store counts as not answering.
const UNREADY_AFTER: u32 = 3;

/// How long failed reads say that the store fails. Writes are tried until they succeed; a reader may give up, and then
/// nobody asks again before the store is known as ready.
const READS_SAY_SO_FOR: Duration = Duration::from_secs(30);

/// Tries of one kind that failed since the last one that did not.
#[derive(Debug, Clone, Default)]
pub struct Failures {
    /// How many, one after the other.
    pub in_a_row: u32,
    /// The last of them, and when it was.
    pub last: Option<(Error, Instant)>,
}

impl Failures {
    fn add(&mut self, error: Error) {
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.last = Some((error, Instant::now()));
    }

    /// False: there were none.
    fn clear(&mut self) -> bool {
        std::mem::take(self).in_a_row > 0
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
    /// Writes that failed or stalled.
    pub writes: Failures,
    /// Reads that failed or took too long.
    pub reads: Failures,
    /// An fsync failed. Nothing is written any more and the process must end: a restart finds out what is there.
    pub durability_lost: bool,
}

impl StoreHealth {
    /// Whether the store takes writes and gives them back, as far as is known.
    ///
    /// # Errors
    /// What speaks against it, for an operator.
    pub fn verdict(&self) -> Result<(), String> {
        if self.durability_lost {
            return Err("a flush to the disk failed: nothing is written any more".to_owned());
        }
        if self.writes.are_many() {
            return Err(said("writes", &self.writes));
        }
        if self.reads.are_many() && self.reads.are_recent() {
            return Err(said("reads", &self.reads));
        }
        Ok(())
    }
}

fn said(kind: &str, failures: &Failures) -> String {
    let why = failures.last.as_ref().map_or_else(String::new, |(error, _)| error.to_string());
    format!("{} {kind} in a row failed: {why}", failures.in_a_row)
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

    pub(super) fn write_succeeded(&self) {
        self.0.send_if_modified(|health| health.writes.clear());
    }

    pub(super) fn write_failed(&self, error: Error) {
        self.0.send_modify(|health| health.writes.add(error));
    }

    pub(super) fn read_succeeded(&self) {
        self.0.send_if_modified(|health| health.reads.clear());
    }

    pub(super) fn read_failed(&self, error: Error) {
        self.0.send_modify(|health| health.reads.add(error));
    }

    pub(super) fn durability_lost(&self) {
        self.0.send_modify(|health| health.durability_lost = true);
    }
}
