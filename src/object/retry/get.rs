//! Reads of ranges: tried again within the reader's time, and sent a second time when they are slow.
//!
//! A read changes nothing, so unlike a put it has no ambiguity to settle: whichever reply comes first counts.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::future::{Either, select};
use tokio::time::{Instant, timeout};

use super::HEDGE_AFTER_MIN;
use crate::base::backoff::Backoff;
use crate::base::clock::sleep;
use crate::base::rng::Rng;
use crate::object::error::Error;
use crate::object::keys::Key;
use crate::object::latency::Latency;
use crate::object::metrics::GetMetrics;
use crate::object::store::{Locality, Store};
use crate::telemetry::Registry;

/// How reads are tried again.
#[derive(Debug, Clone)]
pub struct ReadPolicy {
    /// The longest that one try may take; a slow one must leave time for another.
    pub try_timeout: Duration,
    /// Whether a slow read is sent a second time. Never on a local directory.
    pub hedge: bool,
    /// The first and the longest wait between tries.
    pub backoff: (Duration, Duration),
}

impl Default for ReadPolicy {
    fn default() -> Self {
        Self {
            try_timeout: Duration::from_secs(5),
            hedge: true,
            backoff: (Duration::from_millis(20), Duration::from_secs(1)),
        }
    }
}

/// Reads ranges of objects. Clones share what they learnt about the store.
#[derive(Debug, Clone)]
pub struct Getter {
    store: Store,
    policy: ReadPolicy,
    rng: Rng,
    latency: Arc<Mutex<Latency>>,
    metrics: GetMetrics,
}

impl Getter {
    /// Reads from `store`.
    #[must_use]
    pub fn new(store: Store, policy: ReadPolicy, rng: Rng, registry: &Registry) -> Self {
        let metrics = GetMetrics::new(registry);
        Self { store, policy, rng, latency: Arc::default(), metrics }
    }

    /// Reads a range; bytes past the object's end are left out. Tries again until `within` is used up.
    ///
    /// # Errors
    /// The first that is not retriable, or the last.
    pub async fn get_range(
        &self,
        key: &Key,
        range: Range<u64>,
        within: Duration,
    ) -> Result<Bytes, Error> {
        let deadline = Instant::now() + within;
        let _under_way = self.store.report().read_began();
        let (first, longest) = self.policy.backoff;
        let mut backoff = Backoff::new(first, longest, self.rng.clone());
        loop {
            let begun = Instant::now();
            let bound = self.policy.try_timeout.min(deadline.saturating_duration_since(begun));
            let error = match timeout(bound, self.hedged(key, range.clone())).await {
                Ok(Ok(bytes)) => {
                    self.store.report().read_succeeded();
                    self.metrics.seconds.observe(begun.elapsed().as_secs_f64());
                    self.metrics.bytes.inc_by(bytes.len() as u64);
                    return Ok(bytes);
                }
                Ok(Err(error)) => error,
                Err(_) => Error::timed_out(key, bound),
            };
            self.metrics.failures.with_label_values(&[error.kind_name()]).inc();
            // An object that is gone or shorter than thought says nothing of the store.
            if !matches!(error, Error::NotFound { .. } | Error::OutOfRange { .. }) {
                self.store.report().read_failed(error.clone());
            }
            let delay = backoff.next_delay();
            if !error.is_retriable() || Instant::now() + delay >= deadline {
                return Err(error);
            }
            tracing::debug!(%key, %error, "read is tried again");
            sleep(delay).await;
        }
    }

    async fn hedged(&self, key: &Key, range: Range<u64>) -> Result<Bytes, Error> {
        let bytes = range.end - range.start;
        let mut first = Box::pin(self.timed(key, range.clone()));
        let slow = self.latency().p95(bytes).map(|p95| p95.max(HEDGE_AFTER_MIN));
        let Some(slow) = slow.filter(|_| self.may_hedge()) else { return first.await };
        tokio::select! {
            biased;
            done = &mut first => return done,
            () = sleep(slow) => {}
        }
        if !self.latency().take_hedge(1) {
            return first.await;
        }
        self.metrics.hedges.inc();
        match select(first, Box::pin(self.timed(key, range))).await {
            Either::Left((done @ Ok(_), _)) | Either::Right((done @ Ok(_), _)) => done,
            Either::Left((Err(_), second)) => second.await,
            Either::Right((Err(_), first)) => first.await,
        }
    }

    async fn timed(&self, key: &Key, range: Range<u64>) -> Result<Bytes, Error> {
        let (begun, bytes) = (Instant::now(), range.end - range.start);
        let read = self.store.get_range(key, range).await?;
        self.latency().observe(bytes, begun.elapsed());
        Ok(read)
    }

    fn may_hedge(&self) -> bool {
        self.policy.hedge && self.store.locality() != Locality::Directory
    }

    fn latency(&self) -> MutexGuard<'_, Latency> {
        // A panic between two pushes leaves nothing half done.
        self.latency.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
