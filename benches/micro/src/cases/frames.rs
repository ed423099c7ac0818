//! Requests and answers: the walk that bounds a request, its reading, the writing of answers.

use std::hint::black_box;

use bytes::Bytes;
use thalweg::base::ids::LeaderEpoch;
use thalweg::base::offset::Offset;
use thalweg::protocol::bounds::walk;
use thalweg::protocol::error_code::ErrorCode;
use thalweg::protocol::fetch::{
    FetchPartitionResponse, FetchRequest, FetchResponse, FetchTopicResponse,
};
use thalweg::protocol::frame::ResponseHead;
use thalweg::protocol::hot::TopicRef;
use thalweg::protocol::produce::{
    PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse,
};
use thalweg::protocol::{ApiKey, StrBytes};

use crate::case::{Bench, Case, Work};
use crate::fixture::{LARGE_BYTES, batch};

/// The newest versions that name topics.
const VERSION: i16 = 12;
const PARTITIONS: i32 = 100;
const ITEMS: Work = Work::Items(PARTITIONS as u64);
const LARGE: Work = Work::Bytes(LARGE_BYTES as u64);

/// The cases.
pub fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "frame/produce-walk-and-read-1mb",
            work: LARGE,
            runs: 500,
            prepare: || reading_produce(1, LARGE_BYTES),
        },
        Case {
            name: "frame/produce-walk-and-read-100-partitions",
            work: ITEMS,
            runs: 200,
            prepare: || reading_produce(PARTITIONS, 0),
        },
        Case {
            name: "frame/fetch-walk-100-partitions",
            work: ITEMS,
            runs: 200,
            prepare: || {
                let body = fetch_body();
                Bench::new(move || {
                    black_box(walk(ApiKey::Fetch, VERSION, black_box(&body)).expect("valid"));
                })
            },
        },
        Case {
            name: "frame/fetch-read-100-partitions",
            work: ITEMS,
            runs: 200,
            prepare: || {
                let body = fetch_body();
                Bench::new(move || {
                    black_box(FetchRequest::read(black_box(&body), VERSION).expect("valid"));
                })
            },
        },
        Case {
            name: "frame/fetch-write-1mb",
            work: LARGE,
            runs: 500,
            prepare: || writing_fetch(1, LARGE_BYTES),
        },
        Case {
            name: "frame/fetch-write-100-partitions",
            work: ITEMS,
            runs: 200,
            prepare: || writing_fetch(PARTITIONS, 0),
        },
        Case {
            name: "frame/produce-write-100-partitions",
            work: ITEMS,
            runs: 200,
            prepare: writing_produce,
        },
    ]
}

fn head(key: ApiKey) -> ResponseHead {
    ResponseHead { key, version: VERSION, correlation_id: 1 }
}

fn reading_produce(partitions: i32, batch_bytes: usize) -> Bench {
    let body = produce_body(partitions, batch_bytes);
    Bench::new(move || {
        let body = black_box(&body);
        black_box(walk(ApiKey::Produce, VERSION, body).expect("valid"));
        black_box(ProduceRequest::read(body, VERSION).expect("valid"));
    })
}

fn writing_fetch(partitions: i32, batch_bytes: usize) -> Bench {
    let records = batch(if partitions == 1 { 1_024 } else { 100 }, batch_bytes, None).bytes;
    let answer = |index| FetchPartitionResponse {
        high_watermark: Offset(1 << 40),
        last_stable_offset: Offset(1 << 40),
        log_start_offset: Offset(0),
        records: vec![records.slice(..61), records.slice(61..)],
        ..FetchPartitionResponse::refused(index, ErrorCode::None)
    };
    let partitions = (0..partitions).map(answer).collect();
    let topic = TopicRef::Name(StrBytes::from_static_str("orders"));
    let topics = vec![FetchTopicResponse { topic, partitions }];
    let response = FetchResponse { topics, session_id: 7, ..FetchResponse::default() };
    Bench::new(move || {
        black_box(black_box(&response).frame(head(ApiKey::Fetch)));
    })
}

fn writing_produce() -> Bench {
    let answer = |index| PartitionProduceResponse {
        base_offset: Offset(1 << 40),
        log_start_offset: Offset(0),
        ..PartitionProduceResponse::refused(index, ErrorCode::None)
    };
    let partitions = (0..PARTITIONS).map(answer).collect();
    let topic = TopicRef::Name(StrBytes::from_static_str("orders"));
    let topics = vec![TopicProduceResponse { topic, partitions }];
    let response = ProduceResponse { topics, ..ProduceResponse::default() };
    Bench::new(move || {
        black_box(black_box(&response).frame(head(ApiKey::Produce)));
    })
}

fn produce_body(partitions: i32, batch_bytes: usize) -> Bytes {
    let records = batch(if partitions == 1 { 1_024 } else { 100 }, batch_bytes, None).bytes;
    let mut body = vec![0];
    body.extend((-1_i16).to_be_bytes());
    body.extend(30_000_i32.to_be_bytes());
    topic(&mut body, partitions);
    for partition in 0..partitions {
        body.extend(partition.to_be_bytes());
        compact(&mut body, records.len());
        body.extend(&records);
        body.push(0);
    }
    body.extend([0, 0]);
    Bytes::from(body)
}

fn fetch_body() -> Bytes {
    let mut body = Vec::new();
    for field in [-1_i32, 500, 1, 50 << 20] {
        body.extend(field.to_be_bytes());
    }
    body.push(0);
    body.extend(0_i32.to_be_bytes());
    body.extend((-1_i32).to_be_bytes());
    topic(&mut body, PARTITIONS);
    for partition in 0..PARTITIONS {
        body.extend(partition.to_be_bytes());
        body.extend(LeaderEpoch(4).0.to_be_bytes());
        body.extend((1_i64 << 40).to_be_bytes());
        body.extend((-1_i32).to_be_bytes());
        body.extend((-1_i64).to_be_bytes());
        body.extend((1_i32 << 20).to_be_bytes());
        body.push(0);
    }
    // The topic's tags, no forgotten topics, an empty rack, the request's tags.
    body.extend([0, 1, 1, 0]);
    Bytes::from(body)
}

/// An array of one topic, up to its partitions.
fn topic(body: &mut Vec<u8>, partitions: i32) {
    compact(body, 1);
    compact(body, "orders".len());
    body.extend(b"orders");
    compact(body, usize::try_from(partitions).expect("a positive number"));
}

/// A compact length: one more than it, as a varint.
fn compact(body: &mut Vec<u8>, length: usize) {
    let mut rest = length + 1;
    while rest >= 0x80 {
        body.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    body.push(rest as u8);
}
