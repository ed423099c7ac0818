//! A request that passes `protocol::bounds` never makes its decoder allocate more than was reported; and records are
//! passed on without an allocation for each.
//!
//! A binary of its own, because it counts every allocation of the process.

#[path = "../../fuzz/src/mutations.rs"]
mod mutations;
mod records;

use std::alloc::System;
use std::fmt::Debug;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use kafka_protocol::protocol::{Decodable, Encodable};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use thalweg::base::rng::Rng;
use thalweg::protocol::api::{APIS, ApiKey};
use thalweg::protocol::bounds;
use thalweg::protocol::fetch::FetchRequest;
use thalweg::protocol::header::RequestHeader;
use thalweg::protocol::produce::ProduceRequest;
use thalweg::protocol::sample::{self, Visitor};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Held by a test while it counts: what runs beside it would be counted too.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What decoding `body` allocates in all, freed or not. Another thread's noise only adds, so the least of three counts.
fn allocated(key: ApiKey, version: i16, body: &Bytes) -> usize {
    (0..3).map(|_| allocated_once(key, version, body)).min().expect("three")
}

fn allocated_once(key: ApiKey, version: i16, body: &Bytes) -> usize {
    struct Decode {
        version: i16,
        body: Bytes,
    }
    impl Visitor for Decode {
        fn visit<T: Decodable + Encodable + Default + Debug + PartialEq>(&mut self) {
            T::decode(&mut self.body, self.version).expect("what passes is decoded");
        }
    }
    let mut decode = Decode { version, body: body.clone() };
    let region = Region::new(ALLOCATOR);
    match key {
        ApiKey::Produce => drop(ProduceRequest::read(body, version)),
        ApiKey::Fetch => drop(FetchRequest::read(body, version)),
        key => sample::visit(key, &mut decode),
    }
    region.change().bytes_allocated
}

#[test]
fn a_decoder_allocates_no_more_than_reported() {
    let _alone = alone();
    what_passes_allocates_no_more_than_reported();
    what_was_found_allocates_no_more_than_reported();
    the_worst_requests_stay_within_what_is_reported();
}

fn what_passes_allocates_no_more_than_reported() {
    let rng = Rng::from_seed(8);
    let mut passed = 0;
    for api in &APIS {
        for version in api.min..=api.max {
            for round in 0..300 {
                let mut body = sample::request(api, version, &rng);
                for _ in 0..round % 4 {
                    sample::damage(&mut body, &rng);
                }
                // As frames come from a socket: a slice of a shared buffer.
                let body = Bytes::from(body);
                let Ok(walked) = bounds::walk(api.key, version, &body) else { continue };
                passed += 1;
                let allocated = allocated(api.key, version, &body);
                assert!(
                    allocated <= walked.heap_bytes,
                    "{} {version} allocated {allocated} bytes where {} were reported",
                    api.name,
                    walked.heap_bytes
                );
            }
        }
    }
    assert!(passed > 10_000, "only {passed} requests passed");
}

/// Mutated inputs of the fuzzer's corpus: some seconds.
const MUTATIONS: u64 = 30_000;

/// What the fuzzer saved, whose target looks at no allocation, and mutations of it.
fn what_was_found_allocates_no_more_than_reported() {
    let seeds = mutations::corpus("fuzz/corpus/request").into_iter().map(|(_, seed)| seed);
    let mut seeds: Vec<Vec<u8>> = seeds.collect();
    let passed = seeds.iter().filter(|seed| check_frame(seed)).count();
    assert!(passed > seeds.len() / 2, "only {passed} of {} saved requests passed", seeds.len());
    seeds.retain(|seed| seed.len() <= mutations::BYTES_MAX);
    let rng = Rng::from_seed(9);
    let mutated = (0..MUTATIONS).map(|_| mutations::mutated(&seeds, &rng));
    let passed = mutated.filter(|frame| check_frame(frame)).count();
    println!("{passed} of {MUTATIONS} mutations passed");
    assert!(passed > 1000, "only {passed} mutations passed");
}

/// Whether a frame's content passes the walk; if so, it is held to what was reported.
fn check_frame(frame: &[u8]) -> bool {
    let mut body = Bytes::copy_from_slice(frame);
    let Ok(RequestHeader { key, version, .. }) = RequestHeader::take(&mut body) else {
        return false;
    };
    let Ok(walked) = bounds::walk(key, version, &body) else { return false };
    let allocated = allocated(key, version, &body);
    assert!(
        allocated <= walked.heap_bytes,
        "{} {version} allocated {allocated} bytes where {} were reported: {frame:02x?}",
        key.name(),
        walked.heap_bytes
    );
    true
}

/// Hundreds of tagged fields in one map, and the largest arrays for their bytes.
fn the_worst_requests_stay_within_what_is_reported() {
    for tags in [1, 2, 11, 12, 13, 100, 5000] {
        for ascending in [true, false] {
            // Metadata 9 without topics, three flags, then the tags.
            let mut body = vec![0, 0, 0, 0];
            varint(&mut body, tags);
            for at in 0..tags {
                varint(&mut body, if ascending { at } else { tags - at });
                body.push(0);
            }
            check(ApiKey::Metadata, 9, body);
        }
    }
    for topics in [1, 100, 10_000] {
        let mut body = Vec::new();
        varint(&mut body, topics + 1);
        body.extend(std::iter::repeat_n([1, 0], topics as usize).flatten());
        body.extend([0, 0, 0, 0]);
        check(ApiKey::Metadata, 9, body);
    }
}

fn check(key: ApiKey, version: i16, body: Vec<u8>) {
    let body = Bytes::from(body);
    let walked = bounds::walk(key, version, &body).expect("a valid request");
    assert_eq!(walked.bytes, body.len());
    let allocated = allocated(key, version, &body);
    assert!(
        allocated <= walked.heap_bytes,
        "{} {version} allocated {allocated} bytes where {} were reported",
        key.name(),
        walked.heap_bytes
    );
}

fn varint(body: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        body.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    body.push(value.to_le_bytes()[0]);
}
