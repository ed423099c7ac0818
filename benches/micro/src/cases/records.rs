//! Record batches: what a produced batch goes through before it is appended.

use std::hint::black_box;

use thalweg::base::ids::LeaderEpoch;
use thalweg::base::offset::Offset;
use thalweg::record::assign::assign;
use thalweg::record::crc::{combine, crc32c};
use thalweg::record::records::Records;
use thalweg::record::validate::{Rules, validate};

use crate::case::{Bench, Case, Work};
use crate::fixture::{LARGE_BYTES, batch, now};

const LARGE: Work = Work::Bytes(LARGE_BYTES as u64);

/// The cases.
pub fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "record/validate-1mb-of-1k",
            work: LARGE,
            runs: 50,
            prepare: || validating(1_024, LARGE_BYTES),
        },
        Case {
            name: "record/validate-1mb-of-100b",
            work: LARGE,
            runs: 50,
            prepare: || validating(100, LARGE_BYTES),
        },
        Case {
            name: "record/validate-one-100b",
            work: Work::Items(1),
            runs: 1_000,
            prepare: || validating(100, 0),
        },
        Case {
            name: "record/iterate-1mb-of-100b",
            work: LARGE,
            runs: 20,
            prepare: || {
                let batch = batch(100, LARGE_BYTES, None);
                let records = Records::unpack(&batch, 2 * LARGE_BYTES).expect("a valid batch");
                Bench::new(move || {
                    let sum: usize = black_box(&records)
                        .iter()
                        .map(|record| record.expect("a valid record").value.map_or(0, <[u8]>::len))
                        .sum();
                    black_box(sum);
                })
            },
        },
        Case {
            name: "record/assign-offset",
            work: Work::Items(1),
            runs: 1_000,
            prepare: || {
                let batch = batch(1_024, LARGE_BYTES, None);
                Bench::new(move || {
                    black_box(assign(black_box(&batch), Offset(77), LeaderEpoch(3)));
                })
            },
        },
        Case {
            name: "record/crc-1mb",
            work: LARGE,
            runs: 50,
            prepare: || {
                let bytes = batch(1_024, LARGE_BYTES, None).bytes;
                Bench::new(move || {
                    black_box(crc32c(black_box(&bytes)));
                })
            },
        },
        Case {
            name: "record/crc-combine",
            work: Work::Items(1),
            runs: 1_000,
            prepare: || {
                Bench::new(|| {
                    black_box(combine(black_box(0x1234_5678), black_box(0x9abc_def0), 999_939));
                })
            },
        },
    ]
}

fn validating(value_bytes: usize, bytes: usize) -> Bench {
    let bytes = batch(value_bytes, bytes, None).bytes;
    let rules = Rules::kafka_defaults(now());
    Bench::new(move || {
        black_box(validate(black_box(&bytes).clone(), &rules).expect("a valid batch"));
    })
}
