//! What a slot's index says of its body: runs and their batches.

use super::format::HEADER_BYTES;
use super::state::{PartitionCheckpoint, Release};
use crate::base::clock::Timestamp;
use crate::base::ids::{LeaderEpoch, ProducerId, TopicPartition};
use crate::base::offset::Offset;
use crate::record::control::Marker;
use crate::record::{BatchHeader, ControlType};

/// The batches of one partition and leader epoch in a slot: contiguous in bytes and in offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The partition.
    pub tp: TopicPartition,
    /// The leader's term when it appended them.
    pub leader_epoch: LeaderEpoch,
    /// The first record's offset.
    pub base_offset: Offset,
    /// The offset after the last record.
    pub end_offset: Offset,
    /// Where the run starts in the object.
    pub position: u64,
    /// Bytes of its batches.
    pub bytes: u64,
    /// Its first batch's place in [`SlotIndex::batches`].
    pub first_batch: u32,
    /// How many batches it has.
    pub batches: u32,
    /// The latest timestamp among its batches.
    pub max_timestamp: Timestamp,
}

/// One batch of a run: all that a partition's state needs of it, so that a rebuild reads no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchEntry {
    /// The first record's offset.
    pub base_offset: Offset,
    /// Offset of the last record less the base offset.
    pub last_offset_delta: i32,
    /// Where the batch starts in its run.
    pub position: u32,
    /// Its bytes.
    pub bytes: u32,
    /// The idempotent producer, or [`ProducerId::NONE`].
    pub producer_id: ProducerId,
    /// The producer's epoch, or -1.
    pub producer_epoch: i16,
    /// The first record's sequence number, or -1.
    pub base_sequence: i32,
    /// The batch's attribute bits.
    pub attributes: i16,
    /// The batch's latest timestamp.
    pub max_timestamp: Timestamp,
    /// What it is to its producer's transaction.
    pub control: ControlType,
    /// For a marker the epoch of the coordinator that wrote it, else -1.
    pub coordinator_epoch: i32,
}

impl BatchEntry {
    /// The entry of a batch with this header. Its place in the run is given by [`SlotIndex::push_run`].
    ///
    /// # Panics
    /// If the header's length is negative: it was never validated.
    #[must_use]
    pub fn new(header: &BatchHeader, marker: Marker) -> Self {
        Self {
            base_offset: header.base_offset,
            last_offset_delta: header.last_offset_delta,
            position: 0,
            bytes: u32::try_from(header.total_bytes()).expect("a batch's length is 31 bits"),
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
            attributes: header.attributes.0,
            max_timestamp: header.max_timestamp,
            control: marker.control,
            coordinator_epoch: marker.coordinator_epoch,
        }
    }

    /// The offset after the last record.
    #[must_use]
    pub fn end_offset(&self) -> Offset {
        self.base_offset + i64::from(self.last_offset_delta) + 1
    }
}

/// The index of a slot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SlotIndex {
    /// The body's runs, in the order of their bytes, without gaps.
    pub runs: Vec<Run>,
    /// The batches of all runs, in the same order.
    pub batches: Vec<BatchEntry>,
    /// Leases that the chain gave up with this slot.
    pub releases: Vec<Release>,
    /// States of partitions as of their end offsets; replay applies every batch entry past these, this slot's included.
    pub checkpoint: Vec<PartitionCheckpoint>,
}

impl SlotIndex {
    /// Bytes of the body that the runs make up.
    #[must_use]
    pub fn body_bytes(&self) -> u64 {
        self.runs.last().map_or(0, |run| run.position + run.bytes - HEADER_BYTES as u64)
    }

    /// The batches of `run`, which is one of this index.
    #[must_use]
    pub fn batches_of(&self, run: &Run) -> &[BatchEntry] {
        let first = run.first_batch as usize;
        &self.batches[first..first + run.batches as usize]
    }

    /// Adds a run after the last, with `batches` in offset order; their positions are set here.
    ///
    /// # Panics
    /// If there is no batch, or the batches leave a gap in offsets: the slot would lose or reorder records.
    pub fn push_run(
        &mut self,
        tp: TopicPartition,
        leader_epoch: LeaderEpoch,
        batches: impl IntoIterator<Item = BatchEntry>,
    ) {
        let first_batch = self.batches.len();
        let position = self.body_bytes() + HEADER_BYTES as u64;
        let mut bytes: u32 = 0;
        let mut max_timestamp = Timestamp(i64::MIN);
        for mut batch in batches {
            batch.position = bytes;
            bytes = bytes.checked_add(batch.bytes).expect("a run is bounded far below 4 GiB");
            max_timestamp = max_timestamp.max(batch.max_timestamp);
            if self.batches.len() > first_batch {
                let end = self.batches[self.batches.len() - 1].end_offset();
                assert!(batch.base_offset == end, "gap in {tp}: {} after {end}", batch.base_offset);
            }
            self.batches.push(batch);
        }
        let added = &self.batches[first_batch..];
        let (Some(first), Some(last)) = (added.first(), added.last()) else {
            panic!("a run of {tp} without batches");
        };
        self.runs.push(Run {
            tp,
            leader_epoch,
            base_offset: first.base_offset,
            end_offset: last.end_offset(),
            position,
            bytes: u64::from(bytes),
            first_batch: count(first_batch),
            batches: count(added.len()),
            max_timestamp,
        });
    }
}

fn count(entries: usize) -> u32 {
    u32::try_from(entries).expect("a slot is bounded far below 2^32 batches")
}
