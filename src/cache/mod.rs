//! Caches that save reads of the bucket: bounded, shared by all who ask, and never trusted for correctness.
//!
//! What they keep and forget follows from the order of calls alone, so that a simulation replays.

mod lru;
mod metrics;
mod objects;

pub use lru::Lru;
pub use objects::{Objects, Options};

#[cfg(test)]
mod tests;
