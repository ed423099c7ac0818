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
    /// Late slots of sealed chains that were deleted.
    pub(super) orphans: Counter,
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
            orphans: counter(
                "thalweg_gc_orphans_total",
                "Slots deleted that landed after their chain had ended or they had been trimmed.",
            ),
            failed: counter(
                "thalweg_gc_failed_deletions_total",
                "Deletions of objects that failed and are tried again.",
            ),
        }
    }
}
