//! Share groups where their partitions are (KIP-932): what is kept of each, in the shards of `__share_group_state`, and what
//! a group does with one.
//!
//! A group's coordinator has the state of a partition initialised before it gives the partition out, and deleted before the
//! group goes. [`persister`] is the way in, `machine` one shard's state. [`partition`] decides who is given which records.
//!
//! Source: `ShareCoordinatorShard`, `DefaultStatePersister`, `SharePartition` in Apache Kafka 4.3.1.

mod combine;
mod machine;
pub mod partition;
pub mod persister;
