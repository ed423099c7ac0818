//! The fuzz targets on the stable toolchain: a saved corpus, and a bounded number of seeded mutations of it.
//!
//! `cargo +nightly fuzz run TARGET` searches further; what it finds is kept as a file in `fuzz/corpus/TARGET`.

#[path = "../../fuzz/src/targets.rs"]
#[expect(unreachable_pub, reason = "the file is a library's, too")]
mod targets;

#[path = "../../fuzz/src/mutations.rs"]
mod mutations;

use std::panic::{AssertUnwindSafe, catch_unwind};

use mutations::{corpus, mutated};
use thalweg::base::rng::Rng;

/// Mutated inputs a target.
const MUTATIONS: u64 = 40_000;
const SEED: u64 = 1;

fn run(target: fn(&[u8]), input: &[u8], name: &str) {
    if catch_unwind(AssertUnwindSafe(|| target(input))).is_err() {
        let hex: String = input.iter().take(4096).map(|byte| format!("{byte:02x}")).collect();
        panic!("{name} failed on {} bytes: {hex}", input.len());
    }
}

fn fuzz(name: &str, target: fn(&[u8]), folders: &[&str]) {
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    for (path, seed) in folders.iter().flat_map(|folder| corpus(folder)) {
        run(target, &seed, &path.display().to_string());
        seeds.push(seed);
    }
    run(target, &[], "no bytes");
    seeds.retain(|seed| seed.len() <= mutations::BYTES_MAX);
    let rng = Rng::from_seed(SEED);
    for number in 0..MUTATIONS {
        let input = mutated(&seeds, &rng);
        run(target, &input, &format!("{name}, mutation {number} of seed {SEED}"));
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
