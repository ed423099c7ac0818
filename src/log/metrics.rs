//! What the log counts. Nothing is labelled by partition: gauges of partitions are computed at scrape.

use crate::telemetry::{Counter, Gauge, Registry};

/// Figures of the partitions led here.
#[derive(Debug, Clone)]
pub struct Metrics {
    pub(super) partitions: Gauge,
    pub(super) appended_batches: Counter,
    pub(super) appended_bytes: Counter,
    pub(super) duplicates: Counter,
    pub(super) rejected: Counter,
}

impl Metrics {
    /// Declares them.
    #[must_use]
    pub fn new(registry: &Registry) -> Self {
        Self {
            partitions: registry.gauge("thalweg_log_partitions", "Partitions led by this broker."),
            appended_batches: registry.counter(
                "thalweg_log_appended_batches_total",
                "Record batches that joined a slot.",
            ),
            appended_bytes: registry.counter(
                "thalweg_log_appended_bytes_total",
                "Bytes of record batches that joined a slot.",
            ),
            duplicates: registry.counter(
                "thalweg_log_duplicate_batches_total",
                "Batches of idempotent producers that were in the log already.",
            ),
            rejected: registry.counter(
                "thalweg_log_rejected_batches_total",
                "Batches refused for the producer's epoch or sequence.",
            ),
        }
    }
}
