//! The cluster coordinator: a deterministic state machine over [`crate::manifest`], answering only what is durable.
//!
//! `machine` decides: `apply(event) -> effects`, no clock, no store, one file a concern beside it. `service` owns
//! it: events are taken in order, what a group of them changes is one durable write, and only then are they answered.
//! [`Coordinator`] is the handle, and both seams ([`crate::manifest::ManifestClient`], [`crate::cluster::ClusterClient`]).

mod assignment;
mod client;
mod commit;
mod configs;
mod event;
mod image;
mod leases;
mod machine;
mod members;
mod names;
mod reads;
mod service;
mod space;
mod topics;

pub use event::Size;
pub use service::{Coordinator, Options, Successor};

#[cfg(test)]
mod machine_tests;
#[cfg(test)]
pub(crate) mod tests;
#[cfg(test)]
mod store_tests;
#[cfg(test)]
mod topic_tests;
#[cfg(test)]
mod upkeep_tests;
