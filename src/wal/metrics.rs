//! What a chain counts.

use crate::telemetry::{BYTES, Counter, Gauge, Histogram, Registry, SECONDS};

/// Figures of the write-ahead chain.
#[derive(Debug, Clone)]
pub struct Metrics {
    pub(super) slot_bytes: Histogram,
    pub(super) upload_seconds: Histogram,
    pub(super) stable_slots: Counter,
    pub(super) in_flight: Gauge,
    pub(super) uncommitted_bytes: Gauge,
}

impl Metrics {
    /// Declares them.
    #[must_use]
    pub fn new(registry: &Registry) -> Self {
        Self {
            slot_bytes: registry.histogram("thalweg_wal_slot_bytes", "Sizes of slots.", BYTES),
            upload_seconds: registry.histogram(
                "thalweg_wal_upload_seconds",
                "From the first put of a slot until it is stored.",
                SECONDS,
            ),
            stable_slots: registry
                .counter("thalweg_wal_stable_slots_total", "Slots that became stable."),
            in_flight: registry.gauge("thalweg_wal_in_flight_slots", "Slots sent and not stable."),
            uncommitted_bytes: registry.gauge(
                "thalweg_wal_uncommitted_bytes",
                "Memory that stable slots take until the manifest has them: rows and indexes.",
            ),
        }
    }
}
