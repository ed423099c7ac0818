//! Groups of the consumer protocol of KIP-848: the coordinator assigns, members reconcile.
//!
//! A heartbeat may change the member and so bump the group's epoch ([`heartbeat`]); a newer group epoch brings a new target
//! assignment ([`target`], by an [`assignor`]); and the member moves toward its target one step a heartbeat ([`reconcile`]):
//! it first gives back what is no longer its own, and receives only what nobody holds. [`group`] is the state, changed by
//! nothing but records, as replay changes it; patterns are read as RE2 does (`base::re2`).
//!
//! Owns no I/O and no clock. Invariant: a partition is in the assignment of at most one member, counting what a member was
//! told to give back and has not yet.
//!
//! Members of the classic protocol live in such a group too ([`classic`]): it was a classic one before, and becomes one
//! again when only they are left ([`migration`]).
//!
//! Source: `org.apache.kafka.coordinator.group.modern.consumer` and `GroupMetadataManager` in Apache Kafka 4.3.1.

pub mod assignment;
pub mod assignor;
pub mod classic;
pub mod commit;
pub mod describe;
pub mod error;
pub mod group;
pub mod hash;
pub mod heartbeat;
pub mod leave;
pub mod member;
pub mod migration;
pub mod outcome;
pub mod reconcile;
mod size;
pub mod subscription;
pub mod target;
#[cfg(test)]
mod tests;
pub mod timers;

pub use assignor::Assignor;
pub use error::Error;
pub use group::ConsumerGroup;
pub use heartbeat::{Heartbeat, HeartbeatAnswer};
pub use member::{Member, MemberState};
pub use migration::ToClassic;
pub use outcome::{Now, Outcome, Settings, View};
