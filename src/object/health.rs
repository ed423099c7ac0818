//! Whether the store answers: what `/readyz` shows, and the one failure that a process must not survive.

use std::sync::Arc;

use super::error::Error;
use crate::base::watch;

/// After so many failures in a row a store counts as not answering.
const UNREADY_AFTER: u32 = 3;

/// The state of a store as its writers see it.
#[derive(Debug, Clone, Default)]
pub struct StoreHealth {
    /// Tries that failed or stalled since the last one that did not.
    pub consecutive_failures: u32,
    /// The last failure of that row.
    pub last_error: Option<Error>,
    /// An fsync failed. Nothing is written any more and the process must end: a restart finds out what is there.
    pub durability_lost: bool,
}

impl StoreHealth {
    /// Whether the store takes writes as far as is known.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.durability_lost && self.consecutive_failures < UNREADY_AFTER
    }
}

/// Where writers report. Clones report to the same watch.
#[derive(Debug, Clone)]
pub(super) struct Health(Arc<watch::Sender<StoreHealth>>);

impl Health {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(StoreHealth::default())))
    }

    pub(super) fn watch(&self) -> watch::Receiver<StoreHealth> {
        self.0.subscribe()
    }

    pub(super) fn succeeded(&self) {
        self.0.send_if_modified(|health| {
            let failed = health.consecutive_failures > 0;
            health.consecutive_failures = 0;
            health.last_error = None;
            failed
        });
    }

    pub(super) fn failed(&self, error: Error) {
        self.0.send_modify(|health| {
            health.consecutive_failures = health.consecutive_failures.saturating_add(1);
            health.last_error = Some(error);
        });
    }

    pub(super) fn durability_lost(&self) {
        self.0.send_modify(|health| health.durability_lost = true);
    }
}
