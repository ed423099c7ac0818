//! The slot's codec: what is written is read, and nothing else is.

use bytes::Bytes;
use uuid::Uuid;

use super::format::{FOOTER_BYTES, HEADER_BYTES};
use super::*;
use crate::base::clock::Timestamp;
use crate::base::ids::{
    ChainId, Incarnation, LeaderEpoch, ProducerId, SlotId, TopicId, TopicPartition,
};
use crate::base::offset::Offset;
use crate::record::ControlType;
use crate::record::crc::crc32c;

fn header(kind: Kind) -> SlotHeader {
    SlotHeader {
        kind,
        chain: ChainId(7),
        slot: SlotId(42),
        incarnation: Incarnation(Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff)),
        created: Timestamp(1_767_225_600_000),
    }
}

fn tp(topic: u128, partition: i32) -> TopicPartition {
    TopicPartition { topic: TopicId(Uuid::from_u128(topic)), partition }
}

fn entry(base_offset: i64, records: i32, bytes: u32) -> BatchEntry {
    BatchEntry {
        base_offset: Offset(base_offset),
        last_offset_delta: records - 1,
        position: 0,
        bytes,
        producer_id: ProducerId::NONE,
        producer_epoch: -1,
        base_sequence: -1,
        attributes: 0,
        max_timestamp: Timestamp(1_767_225_599_990),
        control: ControlType::None,
        coordinator_epoch: -1,
    }
}

fn body_of(index: &SlotIndex) -> SlotBody {
    let whole: Bytes = (0..index.body_bytes()).map(|at| u8::try_from(at % 251).unwrap()).collect();
    let pieces = whole.chunks(1000).map(|piece| whole.slice_ref(piece)).collect();
    SlotBody { pieces, bytes: whole.len() as u64, crc: crc32c(&whole) }
}

fn encode(index: &SlotIndex) -> (EncodedSlot, Bytes) {
    let known = Known {
        committed: Some(SlotId(40)),
        trimmed: Some(SlotId(3)),
        previous_index_crc: 0x0102_0304,
    };
    let slot = encode_slot(&header(Kind::Data), body_of(index), index, &known);
    let object = Bytes::from(slot.payload.concat());
    assert_eq!(object.len() as u64, slot.bytes);
    (slot, object)
}

/// A slot with one of everything.
fn sample() -> SlotIndex {
    let mut index = SlotIndex::default();
    let idempotent =
        BatchEntry { producer_id: ProducerId(1000), producer_epoch: 2, ..entry(5, 3, 90) };
    index.push_run(
        tp(1, 0),
        LeaderEpoch(4),
        [
            BatchEntry { base_sequence: 17, attributes: 2, ..idempotent },
            BatchEntry { base_offset: Offset(8), base_sequence: 20, attributes: 2, ..idempotent },
            BatchEntry {
                base_offset: Offset(11),
                last_offset_delta: 0,
                bytes: 78,
                base_sequence: -1,
                attributes: 0x30,
                control: ControlType::Commit,
                coordinator_epoch: 6,
                ..idempotent
            },
        ],
    );
    index.push_run(tp(2, 9), LeaderEpoch(0), [entry(0, 1, 70)]);
    index.push_run(tp(1, 0), LeaderEpoch(5), [entry(12, 2, 71)]);
    let state = PartitionCheckpoint {
        tp: tp(3, 1),
        leader_epoch: LeaderEpoch(2),
        end_offset: Offset(500),
        producers: vec![ProducerSnapshot {
            producer_id: ProducerId(77),
            producer_epoch: 1,
            coordinator_epoch: 3,
            last_timestamp: Timestamp(1_767_225_000_000),
            batches: vec![ProducerBatch {
                base_sequence: 0,
                last_sequence: 9,
                base_offset: Offset(490),
                last_offset: Offset(499),
                timestamp: Timestamp(1_767_225_000_000),
            }],
            current_txn_first_offset: Some(Offset(490)),
        }],
        ongoing: vec![OngoingTxn { producer_id: ProducerId(77), first_offset: Offset(490) }],
        aborted: vec![AbortedTxn {
            producer_id: ProducerId(76),
            first_offset: Offset(10),
            last_offset: Offset(12),
            last_stable_offset: Offset(13),
        }],
    };
    index.releases.push(Release { reason: ReleaseReason::Moved, state: state.clone() });
    index.checkpoint.push(PartitionCheckpoint { tp: tp(1, 0), producers: vec![], ..state });
    index
}

#[test]
fn a_slot_is_read_as_it_was_written() {
    let index = sample();
    let (encoded, object) = encode(&index);
    let slot = decode_slot(&object).unwrap();
    assert_eq!(
        (slot.header, slot.footer, &slot.index),
        (header(Kind::Data), encoded.footer, &index)
    );
    assert_eq!(slot.body(), body_of(&index).pieces.concat());
    assert_eq!(read_header(&object), Ok(header(Kind::Data)));
}

#[test]
fn the_end_of_an_object_is_enough_for_its_index() {
    let index = sample();
    let (encoded, object) = encode(&index);
    let size = object.len() as u64;
    let tail = |bytes: u64| decode_tail(&object[object.len() - bytes as usize..], size);
    let needed = encoded.footer.tail_bytes();
    assert_eq!(tail(FOOTER_BYTES as u64 - 1), Ok(Tail::NeedMore(FOOTER_BYTES as u64)));
    assert_eq!(tail(FOOTER_BYTES as u64), Ok(Tail::NeedMore(needed)));
    assert_eq!(tail(needed - 1), Ok(Tail::NeedMore(needed)));
    let decoded = Tail::Decoded { header: header(Kind::Data), footer: encoded.footer, index };
    for bytes in [needed, needed + 1, size] {
        assert_eq!(tail(bytes).as_ref(), Ok(&decoded), "{bytes}");
    }
}

#[test]
fn a_fence_is_a_header_alone() {
    let fence = encode_fence(&header(Kind::Fence));
    assert_eq!(fence.len(), HEADER_BYTES);
    assert_eq!(read_header(&fence), Ok(header(Kind::Fence)));
    assert_eq!(decode_tail(&fence, 64), Ok(Tail::Fence(header(Kind::Fence))));
    assert!(decode_slot(&fence).is_err());
}
