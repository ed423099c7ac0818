//! When a chain was last proven open, and a question each second in which nothing else proves it (law 9).
//!
//! A process that cannot reach its bucket hears of no successor. Without a proof for a session timeout its chain may have
//! been taken over long ago, so readers are refused until there is one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::Error;
use super::handle::Shared;
use crate::base::clock::sleep;

/// A chain that stored nothing for so long is asked about.
const EVERY: Duration = Duration::from_secs(1);

/// The latest time at which a chain is known to have been open: when the put, or the round of looks, that showed it began.
#[derive(Debug)]
pub(super) struct Proven {
    origin: Instant,
    /// Microseconds from `origin` on.
    at: AtomicU64,
}

impl Proven {
    /// A chain that was just granted.
    pub(super) fn now() -> Self {
        Self { origin: Instant::now(), at: AtomicU64::new(0) }
    }

    /// Something that began at `began` shows that the chain was open.
    pub(super) fn by(&self, began: Instant) {
        let at = began.saturating_duration_since(self.origin).as_micros();
        self.at.fetch_max(u64::try_from(at).unwrap_or(u64::MAX), Ordering::AcqRel);
    }

    /// How long ago that is.
    pub(super) fn age(&self) -> Duration {
        let at = Duration::from_micros(self.at.load(Ordering::Acquire));
        self.origin.elapsed().saturating_sub(at)
    }
}

/// Asks until the chain ends. A store that does not answer is asked without end; one question is under way at a time.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut progress = shared.progress.subscribe();
    let watch = async {
        loop {
            match EVERY.checked_sub(shared.proven.age()) {
                Some(left) if !left.is_zero() => sleep(left).await,
                // What it finds is dated by the round itself, and silence is asked again.
                _ => match shared.prover.prove(&shared, EVERY).await {
                    Ok(()) | Err(Error::Unproven { .. }) => {}
                    Err(_) => return,
                },
            }
        }
    };
    tokio::select! {
        biased;
        _ = progress.wait_for(|progress| progress.ended.is_some()) => {}
        () = watch => {}
    }
}
