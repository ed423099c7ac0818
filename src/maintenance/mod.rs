//! Retention and garbage collection: pure policies, and the sweep that deletes what nothing references.
//!
//! What to keep is decided by [`retention`] and [`gc`], without clock and store; the coordinator calls them on its state.
//! [`scheduler`] says when, through the seam to the coordinator, and [`sweep`] deletes what came off it.
//! [`orphans`] looks for what landed late in chains that have ended.
//! Invariants: an object is deleted only after the removal of its last reference is durable; a fence never.

pub mod gc;
mod metrics;
pub mod orphans;
pub mod retention;
pub mod scheduler;
pub mod sweep;

pub use metrics::Metrics;
pub use scheduler::{Jobs, Scheduler};
