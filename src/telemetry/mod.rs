//! Metrics and logging: how parts declare what they measure, and how log lines leave the process.
//!
//! Owns the encoding of `/metrics` and the set-up of `tracing`. Does not own any metric but the process's own: each folder
//! declares its metrics in its `metrics.rs`, over a [`Registry`] that it is given.

mod process;
mod registry;
pub mod tracing;

pub use registry::{
    BYTES, Counter, CounterVec, Gauge, GaugeVec, Histogram, HistogramVec, Registry, SECONDS,
    Samples,
};
