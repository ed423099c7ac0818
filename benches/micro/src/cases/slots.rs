//! Slots: to bytes and back.

use std::hint::black_box;

use bytes::Bytes;
use thalweg::base::ids::{ChainId, Incarnation, LeaderEpoch, SlotId, TopicId, TopicPartition};
use thalweg::base::offset::Offset;
use thalweg::record::control::Marker;
use thalweg::record::crc::{combine, crc32c};
use thalweg::segment::{
    BatchEntry, Kind, Known, SlotBody, SlotHeader, SlotIndex, decode_slot, decode_tail, encode_slot,
};

use crate::case::{Bench, Case, Work};
use crate::fixture::{LARGE_BYTES, batch, joined, now};

/// Partitions, batches of each, values and bytes of a batch.
#[derive(Clone, Copy)]
struct Shape {
    runs: i32,
    batches: usize,
    value_bytes: usize,
    batch_bytes: usize,
}

const LARGE: Shape = Shape { runs: 1, batches: 8, value_bytes: 1_024, batch_bytes: LARGE_BYTES };
const SMALL: Shape = Shape { runs: 1_000, batches: 4, value_bytes: 100, batch_bytes: 0 };

/// The cases.
pub fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "slot/encode-8-batches-of-1mb",
            work: Work::Bytes(8_000_000),
            runs: 200,
            prepare: || encoding(LARGE),
        },
        Case {
            name: "slot/encode-4000-batches-of-1000-partitions",
            work: Work::Items(4_000),
            runs: 20,
            prepare: || encoding(SMALL),
        },
        Case {
            name: "slot/decode-8-batches-of-1mb",
            work: Work::Bytes(8_000_000),
            runs: 10,
            prepare: || {
                let object = object(LARGE);
                Bench::new(move || {
                    black_box(decode_slot(black_box(&object)).expect("a valid slot"));
                })
            },
        },
        Case {
            name: "slot/decode-index-of-4000-batches",
            work: Work::Items(4_000),
            runs: 20,
            prepare: || {
                let object = object(SMALL);
                let bytes = object.len() as u64;
                Bench::new(move || {
                    black_box(decode_tail(black_box(&object), bytes).expect("a valid slot"));
                })
            },
        },
    ]
}

fn header() -> SlotHeader {
    SlotHeader {
        kind: Kind::Data,
        chain: ChainId(3),
        slot: SlotId(9),
        incarnation: Incarnation(uuid::Uuid::from_u128(5)),
        created: now(),
    }
}

fn built(shape: Shape) -> (SlotBody, SlotIndex) {
    let batch = batch(shape.value_bytes, shape.batch_bytes, None);
    let (crc, bytes) = (crc32c(&batch.bytes), batch.bytes.len() as u64);
    let mut body = SlotBody::default();
    let mut index = SlotIndex::default();
    for partition in 0..shape.runs {
        let tp = TopicPartition { topic: TopicId(uuid::Uuid::from_u128(8)), partition };
        let mut end = Offset(0);
        let entries = (0..shape.batches).map(|_| {
            let mut entry = BatchEntry::new(&batch.header, Marker::NONE);
            entry.base_offset = end;
            end = entry.end_offset();
            entry
        });
        index.push_run(tp, LeaderEpoch(1), entries.collect::<Vec<_>>());
        for _ in 0..shape.batches {
            body.pieces.push(batch.bytes.clone());
            body.bytes += bytes;
            body.crc = combine(body.crc, crc, bytes);
        }
    }
    if shape.batch_bytes < 4_096 {
        // Small batches lie in one piece, as in the open slot's arena.
        body.pieces = vec![joined(&body.pieces)];
    }
    (body, index)
}

fn encoding(shape: Shape) -> Bench {
    let (body, index) = built(shape);
    let header = header();
    Bench::new(move || {
        let known = Known::default();
        black_box(encode_slot(&header, black_box(&body).clone(), black_box(&index), &known));
    })
}

fn object(shape: Shape) -> Bytes {
    let (body, index) = built(shape);
    joined(&encode_slot(&header(), body, &index, &Known::default()).payload)
}
