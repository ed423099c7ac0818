//! A partition's state as a slot carries it: in checkpoints and in releases.

use super::codec::{
    malformed, put_count, take_count, take_i64, take_narrow, take_signed, take_u64,
};
use super::error::Error;
use crate::base::clock::Timestamp;
use crate::base::ids::{LeaderEpoch, ProducerId, TopicPartition};
use crate::base::offset::Offset;
use crate::record::varint::{put_i64, put_u64};

/// Batches that are remembered for a producer, as Kafka does.
pub(super) const PRODUCER_BATCHES_MAX: usize = 5;

/// Why a lease was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReleaseReason {
    /// Another broker leads from here on.
    Moved,
    /// The topic is deleted.
    Deleted,
}

/// A lease given up, with all that the next leader needs. Final for its leader epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Why.
    pub reason: ReleaseReason,
    /// The partition, the epoch that ends, and its state.
    pub state: PartitionCheckpoint,
}

/// A partition's state as of `end_offset`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionCheckpoint {
    /// The partition.
    pub tp: TopicPartition,
    /// The leader's term.
    pub leader_epoch: LeaderEpoch,
    /// The offset after the last record that the state knows of.
    pub end_offset: Offset,
    /// Its idempotent producers.
    pub producers: Vec<ProducerSnapshot>,
    /// Its open transactions.
    pub ongoing: Vec<OngoingTxn>,
    /// Its aborted transactions that a reader may still meet.
    pub aborted: Vec<AbortedTxn>,
}

/// What a partition knows of one producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerSnapshot {
    /// The producer.
    pub producer_id: ProducerId,
    /// Its newest epoch.
    pub producer_epoch: i16,
    /// The newest epoch of its transaction coordinator, or -1.
    pub coordinator_epoch: i32,
    /// When it last wrote.
    pub last_timestamp: Timestamp,
    /// Its last batches, oldest first, at most five.
    pub batches: Vec<ProducerBatch>,
    /// Where its open transaction starts.
    pub current_txn_first_offset: Option<Offset>,
}

/// A batch that a producer wrote, for telling a duplicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerBatch {
    /// The first record's sequence number.
    pub base_sequence: i32,
    /// The last record's sequence number.
    pub last_sequence: i32,
    /// The first record's offset.
    pub base_offset: Offset,
    /// The last record's offset.
    pub last_offset: Offset,
    /// The batch's latest timestamp.
    pub timestamp: Timestamp,
}

/// A transaction without its marker yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OngoingTxn {
    /// Whose.
    pub producer_id: ProducerId,
    /// Its first record's offset.
    pub first_offset: Offset,
}

/// A transaction that was aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTxn {
    /// Whose.
    pub producer_id: ProducerId,
    /// Its first record's offset.
    pub first_offset: Offset,
    /// Its marker's offset.
    pub last_offset: Offset,
    /// The last stable offset when the marker was written.
    pub last_stable_offset: Offset,
}

/// The least that one of each takes, for bounding counts before anything is allocated.
const PRODUCER_BYTES: usize = 6;
const PRODUCER_BATCH_BYTES: usize = 5;
const ONGOING_BYTES: usize = 2;
const ABORTED_BYTES: usize = 4;
/// After the partition: epoch, end offset, three counts.
const STATE_BYTES: usize = 5;
/// A checkpoint: topic, partition, state.
pub(super) const CHECKPOINT_BYTES: usize = STATE_BYTES + 2;
/// A release: reason, checkpoint.
pub(super) const RELEASE_BYTES: usize = CHECKPOINT_BYTES + 1;

impl ReleaseReason {
    pub(super) fn put(self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::Moved => 1,
            Self::Deleted => 2,
        });
    }

    pub(super) fn take(from: &mut &[u8]) -> Result<Self, Error> {
        match take_u64(from)? {
            1 => Ok(Self::Moved),
            2 => Ok(Self::Deleted),
            _ => Err(malformed("unknown reason of a release")),
        }
    }
}

impl PartitionCheckpoint {
    /// Appends all but the partition. Timestamps are stored as differences from `created`.
    pub(super) fn put(&self, out: &mut Vec<u8>, created: Timestamp) {
        put_i64(out, self.leader_epoch.0.into());
        put_i64(out, self.end_offset.0);
        put_count(out, self.producers.len());
        for producer in &self.producers {
            producer.put(out, created);
        }
        put_count(out, self.ongoing.len());
        for ongoing in &self.ongoing {
            put_i64(out, ongoing.producer_id.0);
            put_i64(out, ongoing.first_offset.0);
        }
        put_count(out, self.aborted.len());
        for aborted in &self.aborted {
            put_i64(out, aborted.producer_id.0);
            put_i64(out, aborted.first_offset.0);
            put_i64(out, aborted.last_offset.0);
            put_i64(out, aborted.last_stable_offset.0);
        }
    }

    /// Takes what [`Self::put`] wrote for `tp`.
    pub(super) fn take(
        from: &mut &[u8],
        tp: TopicPartition,
        created: Timestamp,
    ) -> Result<Self, Error> {
        let leader_epoch = LeaderEpoch(take_signed(from)?);
        let end_offset = Offset(take_i64(from)?);
        let producers = (0..take_count(from, PRODUCER_BYTES)?)
            .map(|_| ProducerSnapshot::take(from, created))
            .collect::<Result<_, _>>()?;
        let ongoing = (0..take_count(from, ONGOING_BYTES)?)
            .map(|_| {
                let producer_id = ProducerId(take_i64(from)?);
                Ok(OngoingTxn { producer_id, first_offset: Offset(take_i64(from)?) })
            })
            .collect::<Result<_, _>>()?;
        let aborted = (0..take_count(from, ABORTED_BYTES)?)
            .map(|_| AbortedTxn::take(from))
            .collect::<Result<_, _>>()?;
        Ok(Self { tp, leader_epoch, end_offset, producers, ongoing, aborted })
    }
}

impl AbortedTxn {
    fn take(from: &mut &[u8]) -> Result<Self, Error> {
        Ok(Self {
            producer_id: ProducerId(take_i64(from)?),
            first_offset: Offset(take_i64(from)?),
            last_offset: Offset(take_i64(from)?),
            last_stable_offset: Offset(take_i64(from)?),
        })
    }
}

impl ProducerSnapshot {
    fn put(&self, out: &mut Vec<u8>, created: Timestamp) {
        assert!(
            self.batches.len() <= PRODUCER_BATCHES_MAX,
            "{} batches of producer {}: no reader takes them",
            self.batches.len(),
            self.producer_id
        );
        put_i64(out, self.producer_id.0);
        put_i64(out, self.producer_epoch.into());
        put_i64(out, self.coordinator_epoch.into());
        put_timestamp(out, self.last_timestamp, created);
        match self.current_txn_first_offset {
            None => put_u64(out, 0),
            Some(offset) => {
                put_u64(out, 1);
                put_i64(out, offset.0);
            }
        }
        put_count(out, self.batches.len());
        for batch in &self.batches {
            put_i64(out, batch.base_sequence.into());
            put_i64(out, batch.last_sequence.into());
            put_i64(out, batch.base_offset.0);
            put_i64(out, batch.last_offset.0.wrapping_sub(batch.base_offset.0));
            put_timestamp(out, batch.timestamp, created);
        }
    }

    fn take(from: &mut &[u8], created: Timestamp) -> Result<Self, Error> {
        let producer_id = ProducerId(take_i64(from)?);
        let producer_epoch = take_signed(from)?;
        let coordinator_epoch = take_signed(from)?;
        let last_timestamp = take_timestamp(from, created)?;
        let current_txn_first_offset = match take_narrow::<u8>(from)? {
            0 => None,
            1 => Some(Offset(take_i64(from)?)),
            _ => return Err(malformed("neither a transaction nor none")),
        };
        let count = take_count(from, PRODUCER_BATCH_BYTES)?;
        if count > PRODUCER_BATCHES_MAX {
            return Err(malformed("too many batches of one producer"));
        }
        let batches =
            (0..count).map(|_| ProducerBatch::take(from, created)).collect::<Result<_, _>>()?;
        Ok(Self {
            producer_id,
            producer_epoch,
            coordinator_epoch,
            last_timestamp,
            batches,
            current_txn_first_offset,
        })
    }
}

impl ProducerBatch {
    fn take(from: &mut &[u8], created: Timestamp) -> Result<Self, Error> {
        let base_sequence = take_signed(from)?;
        let last_sequence = take_signed(from)?;
        let base_offset = Offset(take_i64(from)?);
        let last_offset = Offset(base_offset.0.wrapping_add(take_i64(from)?));
        let timestamp = take_timestamp(from, created)?;
        Ok(Self { base_sequence, last_sequence, base_offset, last_offset, timestamp })
    }
}

/// A timestamp near the slot's creation takes few bytes as a difference.
fn put_timestamp(out: &mut Vec<u8>, timestamp: Timestamp, created: Timestamp) {
    put_i64(out, timestamp.0.wrapping_sub(created.0));
}

fn take_timestamp(from: &mut &[u8], created: Timestamp) -> Result<Timestamp, Error> {
    Ok(Timestamp(created.0.wrapping_add(take_i64(from)?)))
}
