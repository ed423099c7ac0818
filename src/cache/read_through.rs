//! A cache that loads what it does not have, once for all who ask at a time.
//!
//! Bounded by the bytes that the caller says a value has. Errors are not kept.

use std::hash::Hash;
use std::sync::Arc;

use super::metrics::Metrics;
use super::ordered::Ordered;
use crate::base::units::ByteSize;
use crate::telemetry::Registry;

/// How a cache decides what to forget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// By use, on its own clock and hasher: quick, and never the same twice.
    Concurrent,
    /// By the order of calls alone: for the simulator.
    Deterministic,
}

enum Values<K, V> {
    Concurrent(moka::future::Cache<K, V>),
    Deterministic(Ordered<K, V>),
}

/// A cache of values that cost a read of the bucket. Clones share it; `V` is cheap to clone.
pub struct ReadThrough<K, V> {
    shared: Arc<Shared<K, V>>,
}

struct Shared<K, V> {
    values: Values<K, V>,
    weigh: fn(&V) -> u64,
    metrics: Metrics,
}

impl<K, V> Clone for ReadThrough<K, V> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<K, V> std::fmt::Debug for ReadThrough<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadThrough").finish_non_exhaustive()
    }
}

/// What to call a cache, how large it may grow and how.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Its name in metrics.
    pub name: &'static str,
    /// The bytes that all values may have together.
    pub bytes_max: ByteSize,
    /// How it decides what to forget.
    pub kind: Kind,
}

impl<K, V> ReadThrough<K, V>
where
    K: Ord + Hash + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// An empty cache. `weigh` says how many bytes a value has.
    #[must_use]
    pub fn new(options: Options, weigh: fn(&V) -> u64, registry: &Registry) -> Self {
        let bytes_max = options.bytes_max.0;
        let values = match options.kind {
            Kind::Deterministic => Values::Deterministic(Ordered::new(bytes_max)),
            Kind::Concurrent => Values::Concurrent(
                moka::future::Cache::builder()
                    .max_capacity(bytes_max)
                    .weigher(move |_, value| u32::try_from(weigh(value)).unwrap_or(u32::MAX))
                    .build(),
            ),
        };
        let metrics = Metrics::new(registry, options.name);
        Self { shared: Arc::new(Shared { values, weigh, metrics }) }
    }

    /// The value of `key`, by `load` if it is not here. Callers that ask meanwhile wait for that one load; if it fails they
    /// get its error, or load themselves. Dropping the caller that loads lets the next one load.
    ///
    /// # Errors
    /// What `load` failed with.
    pub async fn get<E, F>(&self, key: K, load: F) -> Result<V, E>
    where
        F: Future<Output = Result<V, E>> + Send,
        E: Clone + Send + Sync + 'static,
    {
        let metrics = &self.shared.metrics;
        let mut loaded = false;
        let load = async {
            loaded = true;
            metrics.loads.inc();
            load.await
        };
        let value = match &self.shared.values {
            Values::Concurrent(values) => {
                values.try_get_with(key, load).await.map_err(|error| (*error).clone())
            }
            Values::Deterministic(values) => values.get(&key, self.shared.weigh, load).await,
        };
        if !loaded && value.is_ok() {
            metrics.hits.inc();
        }
        value
    }

    /// The bytes of all values, as far as they are counted yet.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        match &self.shared.values {
            Values::Concurrent(values) => values.weighted_size(),
            Values::Deterministic(values) => values.weight(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::excessive_nesting, reason = "a case a loop, a load a case")]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::base::clock::sleep;

    fn cache(kind: Kind, bytes_max: u64) -> ReadThrough<u32, Arc<Vec<u8>>> {
        let options = Options { name: "test", bytes_max: ByteSize(bytes_max), kind };
        ReadThrough::new(options, |value| value.len() as u64, &Registry::new())
    }

    const KINDS: [Kind; 2] = [Kind::Concurrent, Kind::Deterministic];

    #[tokio::test]
    async fn many_who_ask_at_a_time_load_once() {
        for kind in KINDS {
            let (cache, loads) = (cache(kind, 1000), AtomicU32::new(0));
            let ask = || {
                cache.get(7, async {
                    loads.fetch_add(1, Ordering::SeqCst);
                    sleep(Duration::from_millis(5)).await;
                    Ok::<_, String>(Arc::new(vec![1, 2, 3]))
                })
            };
            let got = futures::future::join_all((0..20).map(|_| ask())).await;
            assert!(got.iter().all(|value| value.as_ref().unwrap().as_slice() == [1, 2, 3]));
            assert_eq!(loads.load(Ordering::SeqCst), 1, "{kind:?}");
        }
    }

    #[tokio::test]
    async fn an_error_is_told_and_not_kept() {
        for kind in KINDS {
            let cache = cache(kind, 1000);
            let failed = cache.get(1, async { Err::<Arc<Vec<u8>>, _>("away".to_owned()) }).await;
            assert_eq!(failed, Err("away".to_owned()));
            let loaded = cache.get(1, async { Ok::<_, String>(Arc::new(vec![9])) }).await;
            assert_eq!(*loaded.unwrap(), [9]);
        }
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_leaves_the_load_to_the_next() {
        for kind in KINDS {
            let cache = cache(kind, 1000);
            let never = cache.get(1, std::future::pending::<Result<Arc<Vec<u8>>, String>>());
            assert!(tokio::time::timeout(Duration::from_millis(5), never).await.is_err());
            let loaded = cache.get(1, async { Ok::<_, String>(Arc::new(vec![9])) }).await;
            assert_eq!(*loaded.unwrap(), [9]);
        }
    }

    #[tokio::test]
    async fn the_deterministic_cache_forgets_what_was_used_least_recently() {
        let cache = cache(Kind::Deterministic, 100);
        let loads = AtomicU32::new(0);
        let ask = |key| {
            cache.get(key, async {
                loads.fetch_add(1, Ordering::SeqCst);
                Ok::<_, String>(Arc::new(vec![0; 40]))
            })
        };
        for (key, loads_after) in [(1, 1), (2, 2), (1, 2), (3, 3), (1, 3), (2, 4)] {
            ask(key).await.unwrap();
            assert_eq!(loads.load(Ordering::SeqCst), loads_after, "after {key}");
            assert!(cache.bytes() <= 100);
        }
    }
}
