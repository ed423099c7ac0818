//! The one place that retries. Puts: the same bytes under the same name, until it is known what became of them; reads: in
//! `get`, within their reader's time.
//!
//! Owns the ambiguity of a put (law 6): a reply that says "exists", or no reply, is settled by reading the object's header.
//! Throttling, timeouts and outages are retried without end (law 4); the caller bounds what it admits, not what it stores.
//! Does not know what a header means: the caller's `classify` does. The store client below does not retry.

mod get;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use object_store::PutPayload;
use tokio::time::Instant;

use super::error::{Error, Fate};
use super::keys::Key;
use super::latency::Latency;
use super::metrics::Metrics;
use super::payload::Payload;
use super::store::{Locality, Store};
use crate::base::backoff::Backoff;
use crate::base::clock::{sleep, sleep_until};
use crate::base::rng::Rng;
use crate::telemetry::Registry;

pub use get::{Getter, ReadPolicy};

/// So much of an object is read to learn whose it is.
pub const HEADER_BYTES: u64 = 64;

/// Whose object lies under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// What this put wanted to write.
    Ours,
    /// A fence: nobody will ever write here.
    Fence,
    /// Neither.
    Foreign,
}

/// Says whose object begins with these bytes, at most [`HEADER_BYTES`] of them; the object may be shorter.
pub type Classify = dyn Fn(&[u8]) -> Ownership + Send + Sync;

/// What became of a put. Nothing else ever happens to it.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The bytes are there, durably.
    Stored,
    /// A fence has the name; this is how it begins.
    Fenced {
        /// The first bytes of the fence.
        header: Bytes,
    },
    /// Something else has the name; this is how it begins.
    Foreign {
        /// The first bytes of the object.
        header: Bytes,
    },
    /// The store will not take it however often it is asked, or durability is lost.
    Refused(Error),
}

/// How puts are tried again.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The longest that one try may take. A local directory has no such bound: a file call cannot be cancelled.
    pub try_timeout: Duration,
    /// Whether a slow put is sent once more. Never on a local directory.
    pub hedge: bool,
    /// The first and the longest wait between tries.
    pub backoff: (Duration, Duration),
    /// How long a refusal (no permission, no such bucket) is believed to pass by itself.
    pub refusal_patience: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            try_timeout: Duration::from_secs(30),
            hedge: true,
            backoff: (Duration::from_millis(20), Duration::from_secs(2)),
            refusal_patience: Duration::from_secs(30),
        }
    }
}

/// Tries of one put that are on their way at the same time at most.
const TRIES_AT_ONCE: u32 = 3;

/// A hedge before this would only race the network, or be spent on a store that is about to refuse.
const HEDGE_AFTER_MIN: Duration = Duration::from_millis(10);

/// Puts objects until it is known what became of them. Clones share what they learnt about the store.
#[derive(Debug, Clone)]
pub struct Putter {
    store: Store,
    policy: Policy,
    rng: Rng,
    latency: Arc<Mutex<Latency>>,
    metrics: Metrics,
}

/// What is known after one step.
enum Step {
    Done(Outcome),
    /// The name was free when it was read.
    Absent(Error),
    Failed(Error),
}

/// What to ask next.
#[derive(Clone, Copy)]
enum Ask {
    Put,
    Read,
}

impl Putter {
    /// Puts into `store`.
    #[must_use]
    pub fn new(store: Store, policy: Policy, rng: Rng, registry: &Registry) -> Self {
        let metrics = Metrics::new(registry);
        Self { store, policy, rng, latency: Arc::default(), metrics }
    }

    /// Puts one object under a name that only this put, a fence or a mistake can take, and resolves when its fate is
    /// settled: while the store throttles or is away, that is never.
    ///
    /// Dropping the future stops the tries and settles nothing: a try on its way may still land. The same bytes may then be
    /// put again under the same name, never others.
    pub async fn put_once(&self, key: &Key, payload: Payload, classify: &Classify) -> Outcome {
        let begun = Instant::now();
        let mut under_way = self.store.report().write_began();
        let payload = payload.into_put();
        let (first, longest) = self.policy.backoff;
        let mut backoff = Backoff::new(first, longest, self.rng.clone());
        let mut refused_since = None;
        let mut ask = Ask::Put;
        loop {
            let step = match ask {
                Ask::Put => self.put(key, &payload, classify, begun).await,
                Ask::Read => self.read(key, classify, None).await,
            };
            let error = match (step, ask) {
                (Step::Done(outcome), _) => {
                    self.metrics.put_seconds.observe(begun.elapsed().as_secs_f64());
                    self.store.report().write_succeeded();
                    return outcome;
                }
                (Step::Absent(_), Ask::Read) => {
                    ask = Ask::Put;
                    continue;
                }
                (Step::Absent(error) | Step::Failed(error), _) => error,
            };
            self.note_failure(key, &error);
            under_way.failed(&error);
            if self.is_final(&error, &mut refused_since) {
                return Outcome::Refused(error);
            }
            ask = match ask {
                Ask::Put if is_settled_by_read(&error) => Ask::Read,
                _ => Ask::Put,
            };
            sleep(backoff.next_delay()).await;
        }
    }

    /// One try, hedged when it is slow, settled by a read when the name turns out to be taken.
    async fn put(
        &self,
        key: &Key,
        payload: &PutPayload,
        classify: &Classify,
        wanted_since: Instant,
    ) -> Step {
        let begun = Instant::now();
        match self.put_hedged(key, payload, wanted_since).await {
            Ok(()) => {
                self.latency().observe(payload.content_length() as u64, begun.elapsed());
                Step::Done(Outcome::Stored)
            }
            Err(error @ Error::AlreadyExists { .. }) => self.read(key, classify, Some(error)).await,
            Err(error) => Step::Failed(error),
        }
    }

    /// One put, and more of the same as long as none is answered: each time that it has been slow once more there is
    /// another, if hedges are left. The first success counts; an error counts once no try is left that may succeed.
    ///
    /// The object is slow, not the try: what follows a failed try is late from the start, and all that wait for it wait
    /// once.
    async fn put_hedged(
        &self,
        key: &Key,
        payload: &PutPayload,
        wanted_since: Instant,
    ) -> Result<(), Error> {
        let begun = Instant::now();
        let mut first = Box::pin(self.try_put(key, payload));
        let slow =
            self.latency().p95(payload.content_length() as u64).map(|p95| p95.max(HEDGE_AFTER_MIN));
        let Some(slow) = slow.filter(|_| self.may_hedge()) else { return first.await };
        tokio::select! {
            biased;
            done = &mut first => return done,
            () = sleep_until((wanted_since + slow).max(begun + HEDGE_AFTER_MIN)) => {}
        }
        let mut tries = FuturesUnordered::from_iter([first]);
        loop {
            let under_way = tries.len() as u32;
            if under_way < TRIES_AT_ONCE && self.latency().take_hedge(under_way) {
                self.metrics.hedges.inc();
                tries.push(Box::pin(self.try_put(key, payload)));
            }
            tokio::select! {
                biased;
                Some(done) = tries.next() => match done {
                    // "Exists" is another one's doing, or older: the read that follows tells.
                    Ok(()) | Err(Error::AlreadyExists { .. }) => return done,
                    Err(error) if tries.is_empty() => return Err(error),
                    Err(_) => {}
                },
                () = sleep(slow) => {}
            }
        }
    }

    fn may_hedge(&self) -> bool {
        self.policy.hedge && self.store.locality() != Locality::Directory
    }

    async fn try_put(&self, key: &Key, payload: &PutPayload) -> Result<(), Error> {
        self.bounded(key, self.store.put_shared(key, payload.clone())).await
    }

    /// Learns whose object has the name. `taken` is the answer that said so.
    async fn read(&self, key: &Key, classify: &Classify, taken: Option<Error>) -> Step {
        let header = match self.bounded(key, self.store.get_range(key, 0..HEADER_BYTES)).await {
            Ok(header) => header,
            Err(Error::OutOfRange { .. }) => Bytes::new(),
            // 409 means no more than that another put was under way.
            Err(absent @ Error::NotFound { .. }) => return Step::Absent(taken.unwrap_or(absent)),
            Err(error) => return Step::Failed(error),
        };
        match classify(&header) {
            Ownership::Fence => Step::Done(Outcome::Fenced { header }),
            Ownership::Foreign => Step::Done(Outcome::Foreign { header }),
            // On a directory what is visible is not durable: the sync must begin after it was seen.
            Ownership::Ours => match self.store.make_durable(key).await {
                Ok(()) => {
                    self.metrics.found.inc();
                    Step::Done(Outcome::Stored)
                }
                Err(error) => Step::Failed(error),
            },
        }
    }

    /// Bounds one request in time, where it can be cancelled.
    async fn bounded<T>(
        &self,
        key: &Key,
        request: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        if self.store.locality() == Locality::Directory {
            return request.await;
        }
        let bound = self.policy.try_timeout;
        let done = tokio::time::timeout(bound, request).await;
        done.unwrap_or_else(|_| Err(Error::timed_out(key, bound)))
    }

    fn note_failure(&self, key: &Key, error: &Error) {
        tracing::warn!(%key, %error, "put not settled yet");
        self.metrics.failures.with_label_values(&[error.kind_name()]).inc();
        self.store.report().write_failed(error.clone());
    }

    /// Whether trying again cannot change the answer.
    fn is_final(&self, error: &Error, refused_since: &mut Option<Instant>) -> bool {
        match error {
            Error::DurabilityLost { .. } => true,
            // Permissions and buckets are mended by people, and credentials are replaced while they run out.
            Error::Denied { .. }
            | Error::Refused { .. }
            | Error::NotFound { .. }
            | Error::OutOfRange { .. } => {
                let since = refused_since.get_or_insert_with(Instant::now);
                since.elapsed() >= self.policy.refusal_patience
            }
            Error::AlreadyExists { .. }
            | Error::Throttled { .. }
            | Error::Timeout { .. }
            | Error::Unavailable { .. }
            | Error::Full { .. } => {
                *refused_since = None;
                false
            }
        }
    }

    fn latency(&self) -> MutexGuard<'_, Latency> {
        // A panic between two pushes leaves nothing half done.
        self.latency.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a read is what a put that failed with this should be followed by: it is cheaper than a put, and after an unknown
/// fate it often settles the matter. Not after a refusal to serve just now, which says that nothing was done: the fate is
/// unknown only as far as it cannot be relied on, and the put that follows finds out as well. Nor after "exists", which was
/// read already.
fn is_settled_by_read(error: &Error) -> bool {
    let answered = matches!(error, Error::AlreadyExists { .. } | Error::Throttled { .. });
    error.fate() == Fate::MaybeWritten && !answered
}

/// Tries a read until it succeeds, fails for good, or `budget` is used up; then the last error.
///
/// # Errors
/// The first that is not retriable, or the last.
pub async fn read_within<T, F>(
    budget: Duration,
    rng: &Rng,
    mut read: impl FnMut() -> F,
) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let deadline = Instant::now() + budget;
    let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1), rng.clone());
    loop {
        let error = match read().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let delay = backoff.next_delay();
        if !error.is_retriable() || Instant::now() + delay >= deadline {
            return Err(error);
        }
        sleep(delay).await;
    }
}
