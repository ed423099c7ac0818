//! Share groups (KIP-932): members share partitions, record by record, so nobody ever has to give one back.
//!
//! A heartbeat may change the member and so bump the group's epoch ([`heartbeat`]); a newer group epoch brings a new target
//! assignment ([`target`], by [`assignor`]), and the member has it at once. Only partitions whose state is initialised are
//! given out: [`topics`] says which are, and a heartbeat asks for what is missing. [`group`] is the state, changed by nothing
//! but records, as replay changes it.
//!
//! Owns no I/O and no clock. Who holds which record is the partitions' affair (`crate::share`).
//!
//! Source: `org.apache.kafka.coordinator.group.modern.share` and the share parts of `GroupMetadataManager` in Apache Kafka 4.3.1.

pub mod assignor;
pub mod describe;
pub mod error;
pub mod group;
pub mod heartbeat;
pub mod leave;
pub mod member;
pub mod offsets;
pub mod outcome;
pub mod requests;
pub mod target;
#[cfg(test)]
mod tests;
pub mod topics;

pub use error::Error;
pub use group::ShareGroup;
pub use heartbeat::{Heartbeat, HeartbeatAnswer};
pub use member::Member;
pub use outcome::{Now, Outcome, Settings, View};
pub use topics::Partitions;
