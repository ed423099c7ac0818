//! One client at full speed: rate, and the broker's CPU for each GiB.
//!
//! Owns what the rows have in common: sizes of values, and what of the machine's limits holds for values of a codec.

mod consume;
mod java;
mod produce;

use super::Row;
use crate::report::{Better, Figure};

/// Of the machine, in the same turn: what new pages cost, be they the client's, the broker's or the kernel's.
const FRESH: Figure = Figure::new("fresh memory", "CPU-s/GiB", Better::Neither, 2);

/// A size of values with the volume that makes a turn some seconds long.
#[derive(Debug, Clone, Copy)]
struct Size {
    name: &'static str,
    bytes: usize,
    records: u64,
}

const KIB: Size = Size { name: "1k", bytes: 1_024, records: 1 << 20 };
const SMALL: Size = Size { name: "100b", bytes: 100, records: 6_000_000 };

/// The produce rows.
pub(super) fn produce_rows() -> Vec<Box<dyn Row>> {
    let mut rows = produce::rows();
    rows.push(Box::new(java::JavaProduce));
    rows
}

/// The consume rows.
pub(super) fn consume_rows() -> Vec<Box<dyn Row>> {
    consume::rows()
}

/// Topic settings that let a store of limited size follow a producer at full speed.
fn short_retention(partitions: i32) -> [(&'static str, String); 2] {
    let kept = (256 << 20) / partitions;
    // Kafka deletes whole segments.
    [("retention.bytes", kept.to_string()), ("segment.bytes", (kept / 4).max(1 << 20).to_string())]
}

/// By how much a limit on bytes is greater, and one on the CPU of each byte smaller, for values that a codec packs: half of
/// each value is random and stays. None (0) where values come again within the codec's window, so that even this half goes.
fn of_values(codec: &str, size: Size) -> (f64, f64) {
    match (codec, size.name) {
        ("none", _) => (1.0, 1.0),
        // The pool's thousand values are 100 kB: more than lz4 looks back, less than zstd does.
        ("zstd", "100b") => (0.0, 0.0),
        _ => (2.0, 0.5),
    }
}

/// Thousands of records a second at so many MB/s.
fn record_rate(megabytes: f64, value_bytes: usize) -> f64 {
    megabytes * 1_000.0 / value_bytes as f64
}
