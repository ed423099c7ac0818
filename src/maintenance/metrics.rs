//! What the jobs in the background measure.

use crate::telemetry::{Counter, Registry};

/// Figures of retention, trimming and deletion.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Partitions whose log start retention moved.
    pub(super) retained: Counter,
    /// Slots whose rows were removed.
    pub(super) trimmed: Counter,
    /// Objects deleted.
    pub(super) deleted: Counter,
    /// Deletions that failed and stay queued.
    pub(super) failed: Counter,
}

impl Metrics {
    /// Registers them.
    #[must_use]
    pub fn new(registry: &Registry) -> Self {
        let counter = |name, help| registry.counter(name, help);
        Self {
            retained: counter(
                "thalweg_retention_moves_total",
                "Partitions whose log_start_offset retention moved.",
            ),
            trimmed: counter("thalweg_gc_trimmed_slots_total", "Slots trimmed from the manifest."),
            deleted: counter("thalweg_gc_deleted_objects_total", "Objects deleted."),
            failed: counter(
                "thalweg_gc_failed_deletions_total",
                "Deletions of objects that failed and are tried again.",
            ),
        }
    }
}
