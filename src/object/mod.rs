//! Objects by name: put-if-absent, ranges, retries, and the classification of what a failed put means.
//!
//! Reading order: [`keys`] builds every name; [`Store`] is one store of any kind, one call one try; [`build`] opens one
//! by URL; `retry` is the one place that retries a put, because only it knows whose bytes lie under a name.
//! Invariant: every data object is written once, by put-if-absent, under a name never used before.

pub mod build;
pub mod faults;
pub mod keys;
pub mod probe;
pub mod retry;

mod buckets;
mod credentials;
mod directory;
mod error;
mod health;
mod latency;
mod lock;
mod memory;
mod metrics;
mod payload;
mod store;
mod url;

pub use credentials::NoCredentials;
pub use directory::TestDisk;
pub use error::{Cause, Error, Fate};
pub use health::StoreHealth;
pub use keys::Key;
pub use lock::LockError;
pub use memory::MemoryStore;
pub use payload::Payload;
pub use store::{Listed, Locality, RawStore, Store, Suffix};
pub use url::BadUrl;

#[cfg(test)]
mod tests;
