//! What the manifest knows of one slot: one row a slot, never one per slot and partition.
//!
//! Rows have types of their own, so that the manifest does not depend on the slot's byte layout (`segment`).

use crate::base::clock::Timestamp;
use crate::base::ids::{LeaderEpoch, SlotId, TopicPartition};
use crate::base::offset::Offset;

/// One stored slot of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotRow {
    /// Its position in the chain.
    pub slot: SlotId,
    /// The whole object's size.
    pub bytes: u64,
    /// Where the index starts in the object.
    pub index_position: u64,
    /// The index's size.
    pub index_bytes: u32,
    /// The runs, in the order in which they lie in the body.
    pub runs: Vec<RunRow>,
    /// The partitions whose whole state this slot holds: `state_at` moves here.
    pub checkpoints: Vec<CheckpointRow>,
    /// Leases that the chain gave back in this slot. Final for their epoch; no later slot holds a run of them.
    pub releases: Vec<ReleaseRow>,
}

/// The batches of one partition in one slot: contiguous in the body and in offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunRow {
    /// The partition.
    pub tp: TopicPartition,
    /// The epoch in which the offsets were assigned.
    pub leader_epoch: LeaderEpoch,
    /// The first record's offset.
    pub base_offset: Offset,
    /// One past the last record's offset.
    pub end_offset: Offset,
    /// Where the run starts in the object.
    pub position: u64,
    /// Its size.
    pub bytes: u64,
    /// The largest timestamp of its records.
    pub max_timestamp: Timestamp,
}

/// A partition's whole state lies in the slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckpointRow {
    /// The partition.
    pub tp: TopicPartition,
    /// The epoch of the leader that wrote it.
    pub leader_epoch: LeaderEpoch,
}

/// A lease given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReleaseRow {
    /// The partition.
    pub tp: TopicPartition,
    /// The epoch that ends.
    pub leader_epoch: LeaderEpoch,
}
