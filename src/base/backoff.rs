//! Waiting times between tries: doubled from a first to a longest, with jitter.

use std::time::Duration;

use super::rng::Rng;

/// A schedule of waits. Not a bound on tries: the caller decides when to stop.
#[derive(Debug, Clone)]
pub struct Backoff {
    next: Duration,
    longest: Duration,
    rng: Rng,
}

impl Backoff {
    /// Waits from `first` up to `longest`.
    #[must_use]
    pub fn new(first: Duration, longest: Duration, rng: Rng) -> Self {
        Self { next: first, longest, rng }
    }

    /// The wait before the next try.
    pub fn next_delay(&mut self) -> Duration {
        let delay = self.rng.jitter(self.next);
        self.next = (self.next * 2).min(self.longest);
        delay
    }
}
