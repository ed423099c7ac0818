//! What the cache of objects measures.

use crate::telemetry::{Counter, Gauge, Registry};

/// Figures of the cache.
#[derive(Debug, Clone)]
pub(super) struct Metrics {
    pub(super) hits: Counter,
    pub(super) joins: Counter,
    pub(super) loads: Counter,
    pub(super) ahead: Counter,
    pub(super) served_bytes: Counter,
    pub(super) bytes: Gauge,
}

impl Metrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let requests = registry.counters(
            "thalweg_cache_requests_total",
            "Pieces of objects: found (hit), on their way already (join), read for somebody who waits (load), read ahead \
             (ahead).",
            &["result"],
        );
        Self {
            hits: requests.with_label_values(&["hit"]),
            joins: requests.with_label_values(&["join"]),
            loads: requests.with_label_values(&["load"]),
            ahead: requests.with_label_values(&["ahead"]),
            served_bytes: registry.counter(
                "thalweg_cache_served_bytes_total",
                "Bytes of objects that readers were given, from the cache or through it.",
            ),
            bytes: registry.gauge("thalweg_cache_bytes", "Bytes of objects in the cache."),
        }
    }
}
