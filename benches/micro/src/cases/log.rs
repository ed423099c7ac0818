//! The partition log over a chain: appends into the open slot and to stable, reads of the tail in memory.

use std::hint::black_box;
use std::rc::Rc;

use futures::FutureExt as _;
use thalweg::base::ids::ProducerId;
use thalweg::base::offset::Offset;
use thalweg::log::{Isolation, ReadBounds, Terms};

use crate::case::{Bench, Case, Work};
use crate::fixture::{LARGE_BYTES, Node, batch, now};

/// The cases.
pub fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "log/append-1mb",
            work: Work::Bytes(LARGE_BYTES as u64),
            runs: 200,
            prepare: || appending(1_024, LARGE_BYTES, false),
        },
        Case {
            name: "log/append-1mb-idempotent",
            work: Work::Bytes(LARGE_BYTES as u64),
            runs: 200,
            prepare: || appending(1_024, LARGE_BYTES, true),
        },
        Case {
            name: "log/append-one-100b",
            work: Work::Items(1),
            runs: 1_000,
            prepare: || appending(100, 0, false),
        },
        Case {
            name: "log/append-to-stable-8-of-1mb",
            work: Work::Bytes(8 * LARGE_BYTES as u64),
            runs: 100,
            prepare: || to_stable(1_024, LARGE_BYTES, 8),
        },
        Case {
            name: "log/append-to-stable-1000-of-100b",
            work: Work::Items(1_000),
            runs: 20,
            prepare: || to_stable(100, 0, 1_000),
        },
        Case {
            name: "log/read-tail-1mb",
            work: Work::Bytes(LARGE_BYTES as u64),
            runs: 200,
            prepare: || reading(1_024, LARGE_BYTES, 8),
        },
        Case {
            name: "log/read-tail-1mb-in-batches-of-100b",
            work: Work::Bytes(LARGE_BYTES as u64),
            runs: 20,
            prepare: || reading(100, 0, 20_000),
        },
    ]
}

/// Into the open slot; what was joined is made stable between runs.
fn appending(value_bytes: usize, batch_bytes: usize, idempotent: bool) -> Bench {
    let node = Rc::new(Node::new(1));
    let partition = node.partition(0);
    let producer = idempotent.then_some(ProducerId(7));
    let mut batch = batch(value_bytes, batch_bytes, producer);
    let now = now();
    Bench {
        between: Box::new(move || node.flush()),
        run: Box::new(move || {
            black_box(
                partition.append(black_box(&batch), Terms::client(now)).expect("it is led here"),
            );
            if idempotent {
                batch.header.base_sequence += batch.header.record_count;
            }
        }),
    }
}

/// Encoding, the put into memory and the acknowledgement included.
fn to_stable(value_bytes: usize, batch_bytes: usize, batches: usize) -> Bench {
    let node = Node::new(1);
    let partition = node.partition(0);
    let batch = batch(value_bytes, batch_bytes, None);
    let now = now();
    Bench::new(move || {
        for _ in 0..batches {
            black_box(
                partition.append(black_box(&batch), Terms::client(now)).expect("it is led here"),
            );
        }
        node.flush();
    })
}

fn reading(value_bytes: usize, batch_bytes: usize, batches: usize) -> Bench {
    let node = Node::new(1);
    let partition = node.partition(0);
    let batch = batch(value_bytes, batch_bytes, None);
    for _ in 0..batches {
        partition.append(&batch, Terms::client(now())).expect("it is led here");
    }
    node.flush();
    let bounds = ReadBounds {
        offset: Offset(0),
        bytes_max: LARGE_BYTES,
        at_least_one: true,
        isolation: Isolation::ReadUncommitted,
    };
    Bench::new(move || {
        let remote = node.broker.registry().remote();
        let read = partition.read(remote, black_box(bounds)).now_or_never();
        let read = read.expect("the tail is in memory").expect("it is led here");
        assert!(read.bytes > LARGE_BYTES / 2, "the tail has let go of it");
        black_box(read);
    })
}
