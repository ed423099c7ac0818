//! Caches that save reads of the bucket; never trusted for correctness.
//!
//! What is cached never changes under its name (objects are written once), so nothing here is ever invalidated, only
//! forgotten.

mod metrics;
mod ordered;
mod read_through;

pub use read_through::{Kind, Options, ReadThrough};
