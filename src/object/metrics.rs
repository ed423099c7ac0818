//! What the retry of puts measures.

use crate::telemetry::{Counter, CounterVec, Histogram, Registry, SECONDS};

/// Figures of one store's puts.
#[derive(Debug, Clone)]
pub(super) struct Metrics {
    /// From the first try to the outcome.
    pub(super) put_seconds: Histogram,
    /// Tries that failed, by kind.
    pub(super) failures: CounterVec,
    /// Puts sent a second time because the first was slow.
    pub(super) hedges: Counter,
    /// Puts whose success was learnt by reading the object.
    pub(super) found: Counter,
}

impl Metrics {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            put_seconds: registry.histogram(
                "thalweg_object_put_seconds",
                "From the first try of a put to its outcome.",
                SECONDS,
            ),
            failures: registry.counters(
                "thalweg_object_put_failures_total",
                "Tries of puts that failed, by kind.",
                &["kind"],
            ),
            hedges: registry.counter(
                "thalweg_object_put_hedges_total",
                "Puts sent a second time because the first was slow.",
            ),
            found: registry.counter(
                "thalweg_object_put_found_total",
                "Puts whose success was learnt by reading the object.",
            ),
        }
    }
}
