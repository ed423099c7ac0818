//! Claims about the walk: however the bytes are cut, the same batches come out, and damage is seen.

use proptest::prelude::*;

use super::*;
use crate::base::clock::Timestamp;
use crate::log::Isolation;
use crate::record::Compression;
use crate::record::build::BatchBuilder;

/// A run of batches of these value sizes, one record each, from offset 10 on.
fn run_of(sizes: &[usize]) -> Bytes {
    let mut run = Vec::new();
    for (at, size) in (10_i64..).zip(sizes) {
        let mut builder = BatchBuilder::new(Compression::None);
        builder.push_value(Timestamp(1), None, Some(&vec![7; *size]));
        let batch = builder.build();
        let mut bytes = batch.bytes.to_vec();
        bytes[..8].copy_from_slice(&at.to_be_bytes());
        run.extend_from_slice(&bytes);
    }
    run.into()
}

fn cut(bytes: &Bytes, at: &[usize]) -> Pieces {
    let mut slices = Vec::new();
    let mut rest = bytes.clone();
    for length in at {
        slices.push(rest.split_to((*length).min(rest.len())));
    }
    slices.push(rest);
    Pieces::new(slices)
}

fn bounds(offset: i64, bytes_max: usize) -> ReadBounds {
    ReadBounds {
        offset: Offset(offset),
        bytes_max,
        at_least_one: true,
        isolation: Isolation::ReadUncommitted,
    }
}

/// What a walk takes that is given `step` bytes at first, and then what it asks for.
fn taken(run: &Bytes, step: usize, cuts: &[usize], mut left: ReadBounds) -> (Vec<u8>, Walked) {
    let run_end = run.len() as u64;
    let (mut at, mut upto) = (0_usize, step.min(run.len()));
    let mut out = Vec::new();
    loop {
        let pieces = cut(&run.slice(at..upto), cuts);
        let walked = walk(&pieces, (at as u64, run_end), (&mut left, Offset(1000)), &mut out);
        match walked.expect("the run is whole") {
            Walked::More { at: next, needed } => {
                let next = usize::try_from(next).expect("small");
                assert!(next > at || needed as usize > upto - at, "no progress");
                at = next;
                upto = run.len().min(at + step.max(needed as usize));
            }
            walked => return (out.concat(), walked),
        }
    }
}

proptest! {
    #[test]
    fn however_the_bytes_come_the_same_batches_are_taken(
        sizes in prop::collection::vec(0_usize..400, 1..12),
        cuts in prop::collection::vec(0_usize..150, 0..20),
        step in 61_usize..2000,
        skip in 0_i64..12,
        bytes_max in 0_usize..3000,
    ) {
        let run = run_of(&sizes);
        let skip = skip.min(sizes.len() as i64 - 1);
        let expected = taken(&run, run.len(), &[], bounds(10 + skip, bytes_max));
        let got = taken(&run, step, &cuts, bounds(10 + skip, bytes_max));
        prop_assert_eq!(&got.0, &expected.0);
        prop_assert_eq!(got.1, expected.1);
        prop_assert!(!got.0.is_empty(), "the first batch always comes");
        let first = BatchHeader::read(&got.0).expect("a batch");
        prop_assert_eq!(first.base_offset, Offset(10 + skip));
        prop_assert!(got.0.len() <= bytes_max || got.0.len() == first.total_bytes());
    }
}

#[test]
fn a_batch_that_may_not_be_seen_ends_the_walk_before_it() {
    let run = run_of(&[100, 100, 100]);
    let first = BatchHeader::read(&run).expect("a batch").total_bytes();
    let (mut left, mut out) = (bounds(10, 1 << 20), Vec::new());
    let pieces = Pieces::new(vec![run.clone()]);
    let walked = walk(&pieces, (0, run.len() as u64), (&mut left, Offset(12)), &mut out);
    assert_eq!(walked, Ok(Walked::Full { at: 2 * first as u64 }));
    assert_eq!(out.concat(), run[..2 * first]);
    assert_eq!(left.offset, Offset(12));
}

#[test]
fn damage_is_seen() {
    let run = run_of(&[100, 100]);
    let walked = |run: &Bytes, run_end: u64| {
        let pieces = Pieces::new(vec![run.clone()]);
        walk(&pieces, (0, run_end), (&mut bounds(10, 1 << 20), Offset(99)), &mut Vec::new())
    };
    let mut longer = run.to_vec();
    longer[8..12].copy_from_slice(&i32::MAX.to_be_bytes());
    let mut negative = run.to_vec();
    negative[8..12].copy_from_slice(&(-5_i32).to_be_bytes());
    assert_eq!(walked(&longer.into(), run.len() as u64), Err(Damaged));
    assert_eq!(walked(&negative.into(), run.len() as u64), Err(Damaged));
    assert_eq!(walked(&run, run.len() as u64 - 3), Err(Damaged), "the run ends inside a batch");
}

#[test]
fn the_whole_is_what_the_pieces_are() {
    let bytes = Bytes::from_static(b"abcdefgh");
    assert_eq!(cut(&bytes, &[3, 0, 2]).whole(), bytes);
    let mut out = Vec::new();
    cut(&bytes, &[3, 0, 2]).slices(2, 6, &mut out);
    assert_eq!(out.concat(), b"cdef");
}
