//! Which object holds which offsets: the seam [`client::ManifestClient`], its edits, state and store.
//!
//! Everything below [`crate::coordinator`] knows the coordinator only as [`client::ManifestClient`]: asynchronous, fallible,
//! possibly far away or down.

pub mod client;
pub mod error;
pub mod row;

pub use client::ManifestClient;
pub use error::{Error, Fate, Violation};
