//! What the sockets count.

use crate::telemetry::{Counter, Gauge, Registry};

/// Figures of all listeners.
#[derive(Debug, Clone)]
pub struct Metrics {
    pub(super) connections: Gauge,
    pub(super) accepted: Counter,
    pub(super) refused: Counter,
    pub(super) requests: Counter,
    pub(super) request_bytes: Counter,
    pub(super) response_bytes: Counter,
}

impl Metrics {
    /// Declares them.
    #[must_use]
    pub fn new(registry: &Registry) -> Self {
        Self {
            connections: registry.gauge("thalweg_server_connections", "Open client connections."),
            accepted: registry.counter("thalweg_server_accepted_total", "Connections accepted."),
            refused: registry.counter(
                "thalweg_server_refused_total",
                "Connections closed at the limit of max.connections.",
            ),
            requests: registry.counter("thalweg_server_requests_total", "Request frames received."),
            request_bytes: registry
                .counter("thalweg_server_request_bytes_total", "Bytes of request frames received."),
            response_bytes: registry
                .counter("thalweg_server_response_bytes_total", "Bytes of responses sent."),
        }
    }
}
