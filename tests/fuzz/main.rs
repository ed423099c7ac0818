//! The fuzz targets on the stable toolchain: a saved corpus, and a bounded number of seeded mutations of it.
//!
//! `cargo +nightly fuzz run TARGET` searches further; what it finds is kept as a file in `fuzz/corpus/TARGET`.

#[path = "../../fuzz/src/targets.rs"]
#[expect(unreachable_pub, reason = "the file is a library's, too")]
mod targets;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use thalweg::base::rng::Rng;

/// Mutated inputs a target.
const MUTATIONS: u64 = 40_000;
/// A seed longer than this is run as it is and not mutated: it would take its time from thousands of small ones.
const MUTATED_BYTES_MAX: usize = 8 << 10;
const SEED: u64 = 1;

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(&folder).expect("a readable folder");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a readable entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "bin"));
    files.sort();
    files
}

fn run(target: fn(&[u8]), input: &[u8], name: &str) {
    if catch_unwind(AssertUnwindSafe(|| target(input))).is_err() {
        let hex: String = input.iter().take(4096).map(|byte| format!("{byte:02x}")).collect();
        panic!("{name} failed on {} bytes: {hex}", input.len());
    }
}

fn fuzz(name: &str, target: fn(&[u8]), folders: &[&str]) {
    let paths: Vec<PathBuf> = folders.iter().flat_map(|folder| files(folder)).collect();
    assert!(!paths.is_empty(), "no corpus in {folders:?}");
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    for path in paths {
        let seed = fs::read(&path).expect("a readable file");
        run(target, &seed, &path.display().to_string());
        seeds.push(seed);
    }
    run(target, &[], "no bytes");
    seeds.retain(|seed| seed.len() <= MUTATED_BYTES_MAX);
    let rng = Rng::from_seed(SEED);
    for number in 0..MUTATIONS {
        let input = mutated(&seeds, &rng);
        run(target, &input, &format!("{name}, mutation {number} of seed {SEED}"));
    }
}

fn below(rng: &Rng, bound: usize) -> usize {
    usize::try_from(rng.below(bound as u64)).expect("below a length in memory")
}

fn mutated(seeds: &[Vec<u8>], rng: &Rng) -> Vec<u8> {
    let mut input = seeds[below(rng, seeds.len())].clone();
    for _ in 0..=rng.below(6) {
        mutate(&mut input, seeds, rng);
    }
    input
}

fn mutate(input: &mut Vec<u8>, seeds: &[Vec<u8>], rng: &Rng) {
    if input.is_empty() {
        input.push(rng.u64().to_le_bytes()[0]);
        return;
    }
    let at = below(rng, input.len());
    let to = at + below(rng, (input.len() - at).min(40) + 1);
    match rng.below(7) {
        0 => input[at] ^= 1 << rng.below(8),
        1 => input[at] = rng.u64().to_le_bytes()[0],
        2 => input[at] = [0, 1, 0x7f, 0x80, 0xff][below(rng, 5)],
        3 => input.truncate(at),
        4 => drop(input.drain(at..to)),
        5 => {
            let again = input[at..to].to_vec();
            input.splice(at..at, again);
        }
        _ => {
            let other = &seeds[below(rng, seeds.len())];
            let from = below(rng, other.len() + 1);
            let piece = other[from..other.len().min(from + 40)].to_vec();
            input.splice(at..to, piece);
        }
    }
}

#[test]
fn frame() {
    fuzz("frame", targets::frame, &["fuzz/corpus/frame"]);
}

#[test]
fn request() {
    fuzz("request", targets::request, &["fuzz/corpus/request"]);
}

#[test]
fn record_batch() {
    fuzz(
        "record_batch",
        targets::record_batch,
        &["tests/golden/record", "fuzz/corpus/record_batch"],
    );
}

#[test]
fn slot() {
    fuzz("slot", targets::slot, &["tests/golden/segment", "fuzz/corpus/slot"]);
}

#[test]
fn slot_index() {
    fuzz("slot_index", targets::slot_index, &["fuzz/corpus/slot_index"]);
}

#[test]
fn json_schema() {
    fuzz("json_schema", targets::json_schema, &["fuzz/corpus/json_schema"]);
}

#[test]
fn proto_schema() {
    fuzz("proto_schema", targets::proto_schema, &["fuzz/corpus/proto_schema"]);
}

#[test]
fn avro_schema() {
    fuzz("avro_schema", targets::avro_schema, &["fuzz/corpus/avro_schema"]);
}

/// Costs 2 s.
#[test]
fn schema_payload() {
    fuzz("schema_payload", targets::schema_payload, &["fuzz/corpus/schema_payload"]);
}
