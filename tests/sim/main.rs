//! The broker, its clients and a faulty store in one process on one thread, from one seed.
//!
//! A run is a few lives of a broker over one store. A life ends in a crash at any await (its runtime is dropped), in an
//! orderly stop, or because a second process takes over while the first still runs. Clients produce idempotently with
//! requests in flight, and read all the while. Checked, by the names of the design: AckedDurable, NoDuplicate, NoReorder,
//! ReadPrefix, WriteOnce, FencePermanent, RecoverTotal (a retried batch is recognised after any recovery), and liveness
//! once faults stop.
//!
//! A seed replays byte for byte: same calls of the store, same bytes, same milliseconds, in any process. A failure names
//! its seed; `SIM_SEED=17 cargo test --test sim no_seed` replays it, `SIM_TRACE=file` with it writes every call of the store
//! down, `SIM_SEEDS=5000` runs more seeds, `SIM_REPLAYS=200` compares more traces.

mod client;
mod history;
mod outage;
mod world;

use std::process::{Command, Stdio};
use std::{env, fs};

/// Seeds that every run of the tests goes through.
const SEEDS: u64 = 200;

/// Seeds that are run twice.
const REPLAYS: u64 = 12;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok()?.parse().ok()
}

/// The first difference between two traces, with what led to it.
fn difference(first: &[String], second: &[String]) -> Option<String> {
    let same = first.iter().zip(second).take_while(|(a, b)| a == b).count();
    if same == first.len().max(second.len()) {
        return None;
    }
    let before = first[same.saturating_sub(5)..same].join("\n  ");
    let line = |trace: &[String]| trace.get(same).map_or("(nothing)", String::as_str).to_owned();
    Some(format!("line {same}, after\n  {before}\n- {}\n+ {}", line(first), line(second)))
}

fn assert_same(seed: u64, first: &[String], second: &[String], which: &str) {
    if let Some(difference) = difference(first, second) {
        panic!("seed {seed} did not replay in {which}: {difference}");
    }
}

/// The trace of a seed as another process sees it: its addresses, hashers and threads are others.
fn in_another_process(seed: u64) -> Vec<String> {
    let file = env::temp_dir().join(format!("sim-trace-{}-{seed}", std::process::id()));
    let status = Command::new(env::current_exe().expect("this program"))
        .args(["--exact", "no_seed_breaks_a_promise"])
        .env("SIM_SEED", seed.to_string())
        .env("SIM_TRACE", &file)
        .stdout(Stdio::null())
        .status()
        .expect("a second process");
    assert!(status.success(), "seed {seed} in another process: {status}");
    let trace = fs::read_to_string(&file).expect("its trace");
    fs::remove_file(&file).expect("removed");
    trace.lines().map(str::to_owned).collect()
}

/// The first test that runs: without this the others find what nobody can look at again.
#[test]
fn a_seed_replays_byte_for_byte() {
    for seed in 0..number("SIM_REPLAYS").unwrap_or(REPLAYS) {
        let (first, second) = (world::run(seed), world::run(seed));
        assert_same(seed, &first.trace, &second.trace, "this process");
        assert_same(seed, &first.trace, &in_another_process(seed), "another process");
        assert_eq!(first.acked, second.acked, "seed {seed}");
    }
    let (one, other) = (world::run(1).trace, world::run(2).trace);
    assert!(difference(&one, &other).is_some(), "two seeds made the same calls");
}

#[test]
fn no_seed_breaks_a_promise() {
    if let Some(seed) = number("SIM_SEED") {
        let report = world::run(seed);
        if let Ok(file) = env::var("SIM_TRACE") {
            fs::write(file, report.trace.join("\n")).expect("the trace is written");
        }
        return;
    }
    let mut acked = 0;
    for seed in 0..number("SIM_SEEDS").unwrap_or(SEEDS) {
        acked += world::run(seed).acked;
    }
    // A simulation in which nothing is acknowledged proves nothing.
    assert!(acked > 0, "no record was acknowledged in any seed");
}
