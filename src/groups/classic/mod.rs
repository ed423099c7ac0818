//! The classic protocol: members join, a leader assigns, everybody syncs. Pure.
//!
//! Source: `ClassicGroup`, `GroupMetadataManager.classicGroup*` in Apache Kafka 4.3.1; KIP-62 (rebalance timeout), KIP-134
//! (initial delay), KIP-345 (static members), KIP-394 (member id required), KIP-814 (skipped assignment).

mod describe;
mod join;
mod member;
mod migration;
mod rebalance;
mod state;
mod sync;

pub use describe::{GroupDescription, MemberDescription};
pub(super) use join::Joining;
pub(super) use state::{ClassicGroup, Limits, Outbox, State, Ticket, Timer, TimerEdit};

#[cfg(test)]
mod tests;
