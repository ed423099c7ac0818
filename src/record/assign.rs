//! Writing what only the leader knows into a validated batch, without touching its records.
//!
//! The CRC starts at the attributes, so base offset and leader epoch are patched in place (`DefaultRecordBatch`). A
//! changed timestamp lies under the CRC; the new one follows from the old by linearity.

use bytes::Bytes;

use super::batch::{BatchHeader, CRC_START, HEADER_BYTES, TimestampType, ValidBatch};
use super::crc;
use crate::base::clock::Timestamp;
use crate::base::ids::LeaderEpoch;
use crate::base::offset::Offset;

/// A batch with its offsets: what is stored and fetched is `head`, then `tail`.
#[derive(Debug, Clone)]
pub struct Assigned {
    /// The header's bytes, with base offset and leader epoch.
    pub head: [u8; HEADER_BYTES],
    /// The records: shares the memory of the frame that brought them.
    pub tail: Bytes,
}

/// Gives `batch` its place in the partition. Reads and writes the header only.
#[must_use]
pub fn assign(batch: &ValidBatch, base_offset: Offset, leader_epoch: LeaderEpoch) -> Assigned {
    let header = BatchHeader { base_offset, partition_leader_epoch: leader_epoch, ..batch.header };
    Assigned { head: header.to_bytes(), tail: batch.tail() }
}

/// CRC-32C of the batch's tail alone, from the CRC that validation computed: what a slot's checksum is combined from.
#[must_use]
pub fn tail_crc(batch: &ValidBatch) -> u32 {
    batch.header.crc ^ crc::shift(covered_head(&batch.header), tail_bytes(batch))
}

/// Stamps `batch` with the time of its append (`message.timestamp.type=LogAppendTime`). Copies no record.
#[must_use]
pub fn restamp(batch: &ValidBatch, now: Timestamp) -> ValidBatch {
    with_timestamps(batch, TimestampType::LogAppendTime, now)
}

/// The batch with another timestamp type and max timestamp, and the CRC that these give.
///
/// Source: `DefaultRecordBatch.setMaxTimestamp` in Apache Kafka.
pub(super) fn with_timestamps(
    batch: &ValidBatch,
    kind: TimestampType,
    max_timestamp: Timestamp,
) -> ValidBatch {
    let old = batch.header;
    let attributes = old.attributes.with_timestamp_type(kind);
    let mut header = BatchHeader { attributes, max_timestamp, ..old };
    let difference = covered_head(&old) ^ covered_head(&header);
    header.crc = old.crc ^ crc::shift(difference, tail_bytes(batch));
    ValidBatch { header, bytes: batch.bytes.clone() }
}

fn tail_bytes(batch: &ValidBatch) -> u64 {
    (batch.total_bytes() - HEADER_BYTES) as u64
}

/// The checksum of that part of the header which the batch's CRC covers.
fn covered_head(header: &BatchHeader) -> u32 {
    crc::crc32c(&header.to_bytes()[CRC_START..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::build::BatchBuilder;
    use crate::record::compression::Compression;

    fn batch(value: &[u8]) -> ValidBatch {
        let mut builder = BatchBuilder::new(Compression::None);
        builder.push_value(Timestamp(1_000), Some(b"key"), Some(value));
        builder.build()
    }

    fn whole(assigned: &Assigned) -> Vec<u8> {
        [&assigned.head[..], &assigned.tail].concat()
    }

    proptest! {
        #[test]
        fn an_assigned_batch_has_the_offsets_and_the_checksums_of_its_bytes(
            value in proptest::collection::vec(any::<u8>(), 0..2000),
            offset in 0..i64::MAX,
            epoch in 0..i32::MAX,
            stamp in proptest::option::of(0..i64::MAX),
        ) {
            let mut batch = batch(&value);
            if let Some(stamp) = stamp {
                batch = restamp(&batch, Timestamp(stamp));
            }
            let assigned = assign(&batch, Offset(offset), LeaderEpoch(epoch));
            let bytes = whole(&assigned);
            let read = BatchHeader::read(&bytes).expect("a header that we wrote");
            let (base_offset, partition_leader_epoch) = (Offset(offset), LeaderEpoch(epoch));
            prop_assert_eq!(read, BatchHeader { base_offset, partition_leader_epoch, ..batch.header });
            prop_assert_eq!(read.crc, crc::crc32c(&bytes[CRC_START..]));
            prop_assert_eq!(tail_crc(&batch), crc::crc32c(&assigned.tail));
            if let Some(stamp) = stamp {
                prop_assert_eq!(read.max_timestamp, Timestamp(stamp));
                prop_assert_eq!(read.attributes.timestamp_type(), TimestampType::LogAppendTime);
            }
        }
    }

    #[test]
    fn assigning_copies_no_record() {
        let batch = batch(&[7; 5000]);
        let assigned = assign(&batch, Offset(3), LeaderEpoch(1));
        assert_eq!(assigned.tail.as_ptr(), batch.bytes[HEADER_BYTES..].as_ptr());
    }
}
