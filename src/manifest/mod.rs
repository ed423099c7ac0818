//! Which object holds which offsets: the seam [`client::ManifestClient`], its edits, state and store.
//!
//! Everything below [`crate::coordinator`] knows the coordinator only as [`client::ManifestClient`]: asynchronous, fallible,
//! possibly far away or down. The state in memory is a pure function of edits (`state`); each durable write is the rows
//! that a group of edits changed (`codec`, [`store`]); a restart rebuilds the same state from the rows (`load`).

mod alike;
pub(crate) mod chain;
pub mod client;
mod clock;
pub(crate) mod codec;
pub(crate) mod edit;
pub mod error;
pub(crate) mod invariants;
pub(crate) mod load;
mod packed;
pub(crate) mod partition;
pub mod row;
pub(crate) mod state;
pub mod store;
pub(crate) mod wire;

pub use client::ManifestClient;
pub use error::{Error, Fate, Violation};

#[cfg(test)]
pub(crate) mod tests;
