//! The slot's codec: what is written is read, and nothing else is.

use bytes::Bytes;
use proptest::prelude::*;
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

fn any_timestamp() -> impl Strategy<Value = Timestamp> {
    let near = 1_767_225_000_000..1_767_226_000_000_i64;
    prop_oneof![4 => near, 1 => any::<i64>()].prop_map(Timestamp)
}

fn any_producer() -> impl Strategy<Value = (ProducerId, i16, i32)> {
    prop_oneof![
        Just((ProducerId::NONE, -1, -1)),
        (0..3_i64, 0..2_i16, 0..4_i32).prop_map(|(id, epoch, sequence)| (
            ProducerId(id),
            epoch,
            sequence
        )),
        (any::<i64>(), any::<i16>(), any::<i32>()).prop_map(|(id, epoch, sequence)| (
            ProducerId(id),
            epoch,
            sequence
        )),
    ]
}

fn any_entry() -> impl Strategy<Value = BatchEntry> {
    let control = prop_oneof![
        5 => Just(ControlType::None),
        1 => Just(ControlType::Commit),
        1 => Just(ControlType::Abort),
        1 => Just(ControlType::Other),
    ];
    let attributes = prop_oneof![3 => 0..5_i16, 1 => any::<i16>()];
    let epoch = prop_oneof![Just(-1), any::<i32>()];
    let sizes = (prop_oneof![0..100_i32, 0..i32::MAX], 61..2000_u32);
    (sizes, any_producer(), attributes, any_timestamp(), (control, epoch)).prop_map(
        |((last_offset_delta, bytes), producer, attributes, max_timestamp, marker)| BatchEntry {
            last_offset_delta,
            producer_id: producer.0,
            producer_epoch: producer.1,
            base_sequence: producer.2,
            attributes,
            max_timestamp,
            control: marker.0,
            coordinator_epoch: marker.1,
            ..entry(0, 1, bytes)
        },
    )
}

fn any_tp() -> impl Strategy<Value = TopicPartition> {
    (0..4_u128, prop_oneof![0..4_i32, 0..i32::MAX])
        .prop_map(|(topic, partition)| tp(topic, partition))
}

fn any_snapshot() -> impl Strategy<Value = ProducerSnapshot> {
    let batch =
        (any::<(i32, i32, i64, i64)>(), any_timestamp()).prop_map(|(numbers, timestamp)| {
            let (base_sequence, last_sequence, base_offset, last_offset) = numbers;
            ProducerBatch {
                base_sequence,
                last_sequence,
                base_offset: Offset(base_offset),
                last_offset: Offset(last_offset),
                timestamp,
            }
        });
    let numbers = (any::<(i64, i16, i32)>(), any_timestamp(), any::<Option<i64>>());
    (numbers, proptest::collection::vec(batch, 0..=5)).prop_map(
        |((ids, last_timestamp, txn), batches)| ProducerSnapshot {
            producer_id: ProducerId(ids.0),
            producer_epoch: ids.1,
            coordinator_epoch: ids.2,
            last_timestamp,
            batches,
            current_txn_first_offset: txn.map(Offset),
        },
    )
}

fn any_state() -> impl Strategy<Value = PartitionCheckpoint> {
    let ongoing = any::<(i64, i64)>().prop_map(|(producer, first)| OngoingTxn {
        producer_id: ProducerId(producer),
        first_offset: Offset(first),
    });
    let aborted =
        any::<(i64, i64, i64, i64)>().prop_map(|(producer, first, last, stable)| AbortedTxn {
            producer_id: ProducerId(producer),
            first_offset: Offset(first),
            last_offset: Offset(last),
            last_stable_offset: Offset(stable),
        });
    let lists = (
        proptest::collection::vec(any_snapshot(), 0..3),
        proptest::collection::vec(ongoing, 0..3),
        proptest::collection::vec(aborted, 0..3),
    );
    (any_tp(), any::<(i32, i64)>(), lists).prop_map(
        |(tp, (epoch, end), (producers, ongoing, aborted))| PartitionCheckpoint {
            tp,
            leader_epoch: LeaderEpoch(epoch),
            end_offset: Offset(end),
            producers,
            ongoing,
            aborted,
        },
    )
}

fn any_index() -> impl Strategy<Value = SlotIndex> {
    let run =
        ((any_tp(), any::<i32>(), 0..1_i64 << 50), proptest::collection::vec(any_entry(), 1..6));
    let reason = prop_oneof![Just(ReleaseReason::Moved), Just(ReleaseReason::Deleted)];
    let release = (reason, any_state()).prop_map(|(reason, state)| Release { reason, state });
    (
        proptest::collection::vec(run, 0..8),
        proptest::collection::vec(release, 0..3),
        proptest::collection::vec(any_state(), 0..3),
    )
        .prop_map(|(runs, releases, checkpoint)| {
            let mut index = SlotIndex { releases, checkpoint, ..SlotIndex::default() };
            for ((tp, epoch, base), batches) in runs {
                let mut end = Offset(base);
                let batches = batches.into_iter().map(|batch| {
                    let batch = BatchEntry { base_offset: end, ..batch };
                    end = batch.end_offset();
                    batch
                });
                index.push_run(tp, LeaderEpoch(epoch), batches);
            }
            index
        })
}

proptest! {
    #[test]
    fn every_index_round_trips(index in any_index()) {
        let (encoded, object) = encode(&index);
        let slot = decode_slot(&object).unwrap();
        prop_assert_eq!(&slot.index, &index);
        prop_assert_eq!(slot.footer, encoded.footer);
        let tail = decode_tail(&object[encoded.footer.index_position as usize..], encoded.bytes);
        prop_assert_eq!(tail, Ok(Tail::Decoded { header: slot.header, footer: slot.footer, index }));
    }

    #[test]
    fn headers_and_footers_round_trip(
        (chain, slot, incarnation, created) in any::<(u64, u64, u128, i64)>(),
        numbers in any::<[u32; 6]>(),
        (committed, trimmed) in any::<(Option<u64>, Option<u64>)>(),
        body in 0..u64::MAX / 2,
    ) {
        let header = SlotHeader {
            kind: Kind::Fence,
            chain: ChainId(chain),
            slot: SlotId(slot),
            incarnation: Incarnation(Uuid::from_u128(incarnation)),
            created: Timestamp(created),
        };
        prop_assert_eq!(SlotHeader::from_bytes(&header.to_bytes()), Ok(header));
        let [index_bytes, runs, batches, body_crc, index_crc, previous_index_crc] = numbers;
        let footer = SlotFooter {
            index_position: body + HEADER_BYTES as u64,
            index_bytes,
            runs,
            batches,
            body_crc,
            index_crc,
            previous_index_crc,
            committed: committed.filter(|slot| *slot != u64::MAX).map(SlotId),
            trimmed: trimmed.filter(|slot| *slot != u64::MAX).map(SlotId),
        };
        let object_bytes = footer.index_position + footer.tail_bytes();
        prop_assert_eq!(SlotFooter::from_bytes(&footer.to_bytes(), object_bytes), Ok(footer));
        let other_size = SlotFooter::from_bytes(&footer.to_bytes(), object_bytes + 1);
        prop_assert!(other_size.is_err());
    }

    #[test]
    fn an_index_whose_checksum_holds_may_still_be_anything(
        index in any_index(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let (encoded, object) = encode(&index);
        let position = encoded.footer.index_position as usize;
        let mut bytes = object[position..object.len() - FOOTER_BYTES].to_vec();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let _ = index::decode(&bytes);
    }

    #[test]
    fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), size in any::<u64>()) {
        let _ = index::decode(&[&header(Kind::Data).to_bytes()[..], &bytes].concat());
        prop_assert!(decode_slot(&Bytes::from(bytes.clone())).is_err());
        prop_assert!(read_header(&bytes).is_err());
        let _ = decode_tail(&bytes, size);
        let _ = decode_tail(&bytes, bytes.len() as u64);
    }
}

/// What of a slot a reader may be given, damaged.
fn is_refused(object: &[u8]) -> bool {
    decode_slot(&Bytes::copy_from_slice(object)).is_err()
}

#[test]
fn every_cut_of_a_slot_is_refused() {
    let (encoded, object) = encode(&sample());
    for cut in 0..object.len() {
        assert!(is_refused(&object[..cut]), "cut at {cut}");
        assert!(is_refused(&object[object.len() - cut..]), "{cut} bytes of the end");
        let tail = decode_tail(&object[..cut], cut as u64);
        assert!(
            !matches!(tail, Ok(Tail::Decoded { .. } | Tail::Fence(_))),
            "cut at {cut}: {tail:?}"
        );
    }
    let longer = [&object[..], &[0]].concat();
    assert!(is_refused(&longer));
    let fence = encode_fence(&header(Kind::Fence));
    for cut in 0..fence.len() {
        assert!(read_header(&fence[..cut]).is_err());
        assert!(decode_tail(&fence[..cut], cut as u64).is_err() || cut == 0);
    }
    assert_eq!(encoded.bytes, object.len() as u64);
}

#[test]
fn every_flipped_bit_of_a_slot_is_found() {
    let (encoded, object) = encode(&sample());
    let index_position = encoded.footer.index_position as usize;
    for bit in 0..object.len() * 8 {
        let mut flipped = object.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(is_refused(&flipped), "bit {bit}");
        let tail = decode_tail(&flipped[index_position..], encoded.bytes);
        assert_eq!(tail.is_err(), bit / 8 >= index_position, "bit {bit}: {tail:?}");
        assert_eq!(read_header(&flipped).is_err(), bit / 8 < HEADER_BYTES, "bit {bit}");
    }
    let fence = encode_fence(&header(Kind::Fence));
    for bit in 0..fence.len() * 8 {
        let mut flipped = fence.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(read_header(&flipped).is_err() && decode_tail(&flipped, 64).is_err(), "bit {bit}");
    }
}

#[test]
fn the_header_of_another_slot_is_noticed() {
    let (_, object) = encode(&sample());
    let other = SlotHeader { slot: SlotId(43), ..header(Kind::Data) };
    let mixed = [&other.to_bytes()[..], &object[HEADER_BYTES..]].concat();
    let what = "it is of another slot";
    assert_eq!(decode_slot(&mixed.into()), Err(Error::Malformed { part: Part::Index, what }));
}

#[test]
fn a_format_from_the_future_is_named() {
    let mut bytes = header(Kind::Data).to_bytes();
    bytes[4] = 2;
    let crc = crc32c(&bytes[..60]);
    bytes[60..].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(
        read_header(&bytes),
        Err(Error::Version { part: Part::Header, found: 2, newest: 1 })
    );
}

#[test]
fn counts_are_not_believed_beyond_the_bytes_that_are_left() {
    for count in [9, 1 << 30, u64::MAX] {
        let mut bytes = header(Kind::Data).to_bytes().to_vec();
        bytes.push(0);
        crate::record::varint::put_u64(&mut bytes, count);
        bytes.extend_from_slice(&[0; 40]);
        assert!(index::decode(&bytes).is_err());
    }
}

#[test]
#[should_panic(expected = "gap in")]
fn a_run_with_a_gap_is_not_written() {
    SlotIndex::default().push_run(tp(1, 1), LeaderEpoch(0), [entry(0, 2, 70), entry(3, 1, 70)]);
}

#[test]
#[should_panic(expected = "is not what its batches make")]
fn an_index_that_contradicts_itself_is_not_written() {
    let mut index = sample();
    index.runs[0].end_offset = Offset(13);
    let _ = encode(&index);
}

#[test]
#[should_panic(expected = "a body of")]
fn a_body_that_is_not_the_indexs_is_not_written() {
    let index = sample();
    let body = SlotBody { bytes: 1, ..body_of(&index) };
    let _ = encode_slot(&header(Kind::Data), body, &index, &Known::default());
}

#[test]
fn runs_lie_one_behind_the_other_with_their_batches() {
    let index = sample();
    assert_eq!(index.runs[1].position, HEADER_BYTES as u64 + 90 + 90 + 78);
    assert_eq!(index.batches_of(&index.runs[2]), [entry(12, 2, 71)]);
}

#[test]
fn a_slot_of_many_small_runs_stays_small() {
    let mut index = SlotIndex::default();
    for partition in 0..10_000 {
        let batch = BatchEntry {
            producer_id: ProducerId(i64::from(partition % 50) + 4000),
            producer_epoch: 0,
            base_sequence: partition * 3,
            ..entry(1_000_000 + i64::from(partition), 10, 1100)
        };
        index.push_run(
            tp(u128::from(partition as u32 / 100), partition % 100),
            LeaderEpoch(12),
            [batch],
        );
    }
    let (encoded, _) = encode(&index);
    assert!(encoded.footer.index_bytes < 20 * 10_000, "{} bytes", encoded.footer.index_bytes);
}

/// The slot and the fence as format version 1 wrote them for the first time.
///
/// A change of these bytes is a new version: it keeps this file, adds its own and reads both.
#[test]
fn version_1_stays_what_it_was() {
    let golden = |name: &str| {
        let path = format!("{}/tests/golden/segment/{name}", env!("CARGO_MANIFEST_DIR"));
        Bytes::from(std::fs::read(path).unwrap())
    };
    let (encoded, object) = encode(&sample());
    let slot = golden("slot_v1.bin");
    assert_eq!(slot, object);
    let read = decode_slot(&slot).unwrap();
    assert_eq!(
        (read.header, read.footer, read.index),
        (header(Kind::Data), encoded.footer, sample())
    );
    let fence = golden("fence_v1.bin");
    assert_eq!(fence, encode_fence(&header(Kind::Fence)));
    assert_eq!(read_header(&fence), Ok(header(Kind::Fence)));
}
