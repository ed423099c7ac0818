//! Time, injected: wall clock for record timestamps, tokio's clock for everything that waits.
//!
//! `tokio::time::Instant` is the only monotonic clock, so that a test or the simulator can pause it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// Milliseconds since the Unix epoch, as in record batches. Negative means none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// No timestamp.
    pub const NONE: Self = Self(-1);
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where wall-clock time comes from. It may jump; nothing that decides safety reads it.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// A clock that many parts share.
pub type SharedClock = Arc<dyn Clock>;

/// The operating system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the operating system's clock"
    )]
    fn now(&self) -> Timestamp {
        let since =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A wall clock that follows tokio's clock from a fixed start: under paused time it is deterministic.
#[derive(Debug, Clone)]
pub struct TokioClock {
    start: Instant,
    at_start: Timestamp,
}

impl TokioClock {
    /// A clock that shows `at_start` now.
    #[must_use]
    pub fn starting_at(at_start: Timestamp) -> Self {
        Self { start: Instant::now(), at_start }
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.start.elapsed().as_millis()).unwrap_or(i64::MAX);
        Timestamp(self.at_start.0.saturating_add(elapsed))
    }
}

/// Waits on tokio's clock. The only sleep in the program.
pub async fn sleep(duration: Duration) {
    sleep_until(Instant::now() + duration).await;
}

/// Waits on tokio's clock until `deadline`.
pub async fn sleep_until(deadline: Instant) {
    tokio::time::sleep_until(deadline).await;
}
