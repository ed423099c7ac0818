//! What caches measure.

use crate::telemetry::{Counter, Registry};

/// Figures of one cache.
#[derive(Debug, Clone)]
pub(super) struct Metrics {
    pub(super) hits: Counter,
    pub(super) loads: Counter,
}

impl Metrics {
    pub(super) fn new(registry: &Registry, cache: &str) -> Self {
        let name = "thalweg_cache_requests_total";
        let help = "Requests by cache, and whether the value was there or was loaded.";
        let requests = registry.counters(name, help, &["cache", "result"]);
        Self {
            hits: requests.with_label_values(&[cache, "hit"]),
            loads: requests.with_label_values(&[cache, "load"]),
        }
    }
}
