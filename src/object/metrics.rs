//! What the retries of puts and reads measure.

use crate::telemetry::{Counter, CounterVec, Histogram, Registry, SECONDS};

/// Figures of one store's puts.
#[derive(Debug, Clone)]
pub(super) struct Metrics {
    /// From the first try to the outcome.
    pub(super) put_seconds: Histogram,
    /// Tries that failed, by kind.
    pub(super) failures: CounterVec,
    /// Puts sent once more because they were slow.
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
                "Puts sent once more because they were slow.",
            ),
            found: registry.counter(
                "thalweg_object_put_found_total",
                "Puts whose success was learnt by reading the object.",
            ),
        }
    }
}

/// Figures of one store's reads of ranges.
#[derive(Debug, Clone)]
pub(super) struct GetMetrics {
    /// Of the try that succeeded.
    pub(super) seconds: Histogram,
    /// Bytes that came.
    pub(super) bytes: Counter,
    /// Tries that failed, by kind.
    pub(super) failures: CounterVec,
    /// Reads sent a second time because the first was slow.
    pub(super) hedges: Counter,
}

impl GetMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            seconds: registry.histogram(
                "thalweg_object_get_seconds",
                "Of reads of ranges: the try that succeeded.",
                SECONDS,
            ),
            bytes: registry.counter(
                "thalweg_object_get_bytes_total",
                "Bytes of ranges that were read from the store.",
            ),
            failures: registry.counters(
                "thalweg_object_get_failures_total",
                "Tries of reads that failed, by kind.",
                &["kind"],
            ),
            hedges: registry.counter(
                "thalweg_object_get_hedges_total",
                "Reads sent a second time because the first was slow.",
            ),
        }
    }
}
