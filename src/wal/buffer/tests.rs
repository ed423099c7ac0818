//! What joined a slot stands in it.

use proptest::prelude::*;

use super::*;
use crate::base::clock::Timestamp;
use crate::base::ids::{ChainId, Incarnation, TopicId};
use crate::record::assign::restamp;
use crate::record::build::BatchBuilder;
use crate::record::crc::crc32c;
use crate::record::{BatchHeader, Compression};
use crate::segment::{Kind, Known, SlotHeader, decode_slot, encode_slot};

fn batch(value: usize, stamp: Option<i64>) -> ValidBatch {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.push_value(Timestamp(1_000), Some(b"key"), Some(&vec![7; value]));
    let batch = builder.build();
    stamp.map_or_else(|| batch.clone(), |now| restamp(&batch, Timestamp(now)))
}

fn tp(partition: i32) -> TopicPartition {
    TopicPartition { topic: TopicId(uuid::Uuid::from_u128(1)), partition }
}

proptest! {
    /// Small and large batches, as they came or stamped at append: each is in the object under its partition, with its
    /// offset, its stamp and a checksum that holds, and the object's own checksums hold.
    #[test]
    fn every_batch_that_joined_is_read_back(
        joins in proptest::collection::vec((0..4_i32, 0..9_000_usize, proptest::option::of(2_000..9_000_i64)), 1..40),
    ) {
        let now = Instant::now();
        let mut slot = OpenSlot::new(SlotId(3));
        let mut ends = [0_i64; 4];
        let mut joined = vec![Vec::new(); 4];
        for (partition, value, stamp) in joins {
            let batch = batch(value, stamp);
            let place = usize::try_from(partition).expect("from 0");
            let joining = Joining {
                tp: tp(partition),
                leader_epoch: LeaderEpoch(5),
                base_offset: Offset(ends[place]),
                batch: &batch,
                marker: Marker::NONE,
                budget: Budget::WhenIdle,
            };
            slot.join(&joining, now, Duration::from_secs(1));
            joined[place].push((ends[place], batch));
            ends[place] += 1;
        }
        let closed = slot.close();
        let header = SlotHeader {
            kind: Kind::Data,
            chain: ChainId(1),
            slot: closed.slot,
            incarnation: Incarnation(uuid::Uuid::from_u128(9)),
            created: Timestamp(1),
        };
        let encoded = encode_slot(&header, closed.body, &closed.index, &Known::default());
        let slot = decode_slot(&Bytes::from(encoded.payload.concat())).expect("a slot that we wrote");
        for run in &slot.index.runs {
            let expected = &joined[usize::try_from(run.tp.partition).expect("from 0")];
            let entries = slot.index.batches_of(run);
            prop_assert_eq!(entries.len(), expected.len());
            for (entry, (offset, batch)) in entries.iter().zip(expected) {
                let at = usize::try_from(run.position).expect("small") + entry.position as usize;
                let bytes = &slot.object[at..at + entry.bytes as usize];
                let base_offset = Offset(*offset);
                let partition_leader_epoch = LeaderEpoch(5);
                let expected = BatchHeader { base_offset, partition_leader_epoch, ..batch.header };
                prop_assert_eq!(BatchHeader::read(bytes), Ok(expected));
                prop_assert_eq!(crc32c(&bytes[21..]), expected.crc);
                prop_assert_eq!(&bytes[HEADER_BYTES..], &batch.tail()[..]);
            }
        }
    }
}
