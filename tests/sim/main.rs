//! The broker, its clients and a faulty store in one process on one thread, from one seed.
//!
//! A run is a few lives of a broker over one store. A life ends in a crash at any await (its runtime is dropped), in an
//! orderly stop, or because a second process takes over while the first still runs. Data, metadata, both or neither
//! misbehave, and the wall clock is another in each life. Clients produce idempotently with requests in flight, and read
//! all the while. Checked, by the names of the design:
//!
//! - what clients see (`history`): AckedDurable, NoDuplicate, NoReorder, ReadPrefix, and RecoverTotal in that a retried
//!   batch is recognised after any recovery;
//! - the objects (`audit`): WriteOnce, FencePermanent, OneSequencer, PrefixAck at the end of each life, and CommitOnce and
//!   NoDanglingReference of the manifest against them; NoLeak where records were deleted;
//! - IdempotentRecovery: a recovery that crashed after any call of the store, or at any await, is done again and finds the
//!   same log;
//! - law 7 case by case (`recovery`): where a chain ends, and what stops a recovery;
//! - CoordinatorFence (`succession`): a superseded coordinator never opens the manifest again;
//! - law 9 (`stale`): a superseded leader says nothing that only a leader may say;
//! - the upload window (`audit`): no slot lies further behind a hole than recovery looks;
//! - laws 7 and 8 of what is deleted (`passing`): ReleaseFinal, GoneForEver, over a topic that comes and goes;
//! - law 4 (`ended`): a chain that is fenced while its owner is well acknowledges nothing more and is not written again;
//! - transactions and groups (`exact`): TxnAtomic, GroupOffsetsMonotone and Jepsen's anomalies, over processes that fence each
//!   other and a bank whose money is neither made nor lost; and each rule of fencing;
//! - groups of both protocols (`exact::members`), and of both at once: OneOwner, FencedCommit, GroupOffsetsMonotone;
//! - share groups (`share`): AcceptedAgain, TwoHolders, StolenAck, CountForgotten, TooManyDeliveries, LostRecord;
//! - transactions and groups of both kinds crashed after every call of the store, and at every await (`steps`);
//! - liveness once faults stop, and law 1: an outage of the metadata stops no acknowledgement.
//!
//! Stores that lie are in here too: each lie must break a promise, or the checks would be worth nothing. Mutations of the
//! program itself are in `mutations/`, run on demand by `tests/sim/mutate`.
//!
//! A seed replays byte for byte: same calls of the store, same bytes, same milliseconds, in any process. A failure names
//! its seed; `SIM_SEED=17 cargo test --test sim no_seed` replays it, `SIM_TRACE=file` with it writes every call of the store
//! down, `SIM_SEEDS=5000` runs more seeds, `SIM_REPLAYS=200` compares more traces, `SIM_AWAITS=20` crashes so many at every
//! await; for transactions the test is `no_seed_breaks_a_transaction`, for groups `no_seed_breaks_a_group`, for share groups
//! `no_seed_breaks_a_share_group`.

mod audit;
mod client;
mod ended;
mod exact;
mod history;
mod marks;
mod outage;
mod passing;
mod producers;
mod recovery;
mod share;
mod stale;
mod steps;
mod succession;
mod world;

use std::process::{Command, Stdio};
use std::sync::PoisonError;
use std::time::Duration;
use std::{env, fs};

use thalweg::base::task;
use thalweg::object::faults::Fault;

use steps::Lived;
use world::{Crash, Log, Report};

/// Seeds that every run of the tests goes through.
const SEEDS: u64 = 200;

/// Seeds of transactions and groups.
const EXACT: u64 = 100;

/// Seeds of groups of both protocols.
const GROUPS: u64 = 200;

/// Seeds of share groups.
const SHARES: u64 = 20;

/// Seeds whose transactions and groups are crashed after every call.
const CRASHES: u64 = 2;

/// Seeds whose recoveries, transactions, groups and share groups are crashed at every await: seconds each.
const AWAITS: u64 = 1;

/// After so many polls crashes a life before the one that crashes at every await: in the middle of what its clients do.
const FIRST_POLLS: u64 = 200;

/// Seeds that are run in another process too. In this one, all are run twice.
const REPLAYS: u64 = 12;

/// Seeds on a disk that loses power.
const DISKS: u64 = 20;

/// Seeds whose recovery is crashed after every call.
const RECOVERIES: u64 = 4;

/// Puts of a life of which each fails in its turn.
const EACH_PUT: u32 = 12;

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
fn in_another_process(seed: u64, test: &str) -> Vec<String> {
    let file = env::temp_dir().join(format!("sim-trace-{}-{test}-{seed}", std::process::id()));
    let status = Command::new(env::current_exe().expect("this program"))
        .args(["--exact", test])
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

/// Without this the others find what nobody can look at again.
fn assert_replays(run: fn(u64) -> Report, test: &str) {
    for seed in 0..number("SIM_REPLAYS").unwrap_or(REPLAYS) {
        assert_same(seed, &run(seed).trace, &in_another_process(seed, test), "another process");
    }
    let (one, other) = (run(1).trace, run(2).trace);
    assert!(difference(&one, &other).is_some(), "two seeds made the same calls");
}

#[test]
fn a_seed_replays_byte_for_byte() {
    assert_replays(world::run, "no_seed_breaks_a_promise");
}

#[test]
fn a_seed_of_transactions_replays_byte_for_byte() {
    assert_replays(exact::run, "no_seed_breaks_a_transaction");
}

#[test]
fn a_seed_of_groups_replays_byte_for_byte() {
    assert_replays(exact::members::run, "no_seed_breaks_a_group");
}

/// Runs `seeds` seeds, or the one that is asked for, whose trace is written down.
fn run_seeds(run: fn(u64) -> Report, seeds: u64) {
    if let Some(seed) = number("SIM_SEED") {
        let report = run(seed);
        if let Ok(file) = env::var("SIM_TRACE") {
            fs::write(file, report.trace.join("\n")).expect("the trace is written");
        }
        return;
    }
    let mut acked = 0;
    let replays = number("SIM_REPLAYS") != Some(0);
    for seed in 0..number("SIM_SEEDS").unwrap_or(seeds) {
        let report = run(seed);
        if replays {
            let again = run(seed);
            assert_same(seed, &report.trace, &again.trace, "this process");
            assert_eq!(report.acked, again.acked, "seed {seed}");
        }
        acked += report.acked;
    }
    // A simulation in which nothing is acknowledged proves nothing.
    assert!(acked > seeds, "little was acknowledged: {acked} in {seeds} seeds");
}

#[test]
fn no_seed_breaks_a_promise() {
    run_seeds(world::run, SEEDS);
}

/// Or what is claimed of deleted topics would be claimed of none.
#[test]
fn a_topic_comes_and_goes() {
    let (deletions, acked) = world::passed(0);
    assert!(deletions > 5 && acked > 50, "{deletions} deletions, {acked} records");
}

#[test]
fn no_seed_breaks_a_transaction() {
    run_seeds(exact::run, EXACT);
}

#[test]
fn no_seed_breaks_a_group() {
    run_seeds(exact::members::run, GROUPS);
}

/// Runs a seed whose lives crash one after the other, and looks at what is left.
type RunCrashing = fn(u64, &[Crash]) -> (Lived, Report);

/// Lives that crash after one call, after two, and so on: until one takes fewer.
fn crash_everywhere(seed: u64, run: RunCrashing) {
    let mut acked = 0;
    for calls in 0.. {
        let (lived, report) = run(seed, &[Crash::AfterCalls(calls)]);
        if lived.undisturbed {
            break;
        }
        assert!(calls < 2000, "seed {seed}: no life so short takes so many calls");
        acked += report.acked;
    }
    assert!(acked > 0, "seed {seed}: nothing was committed");
}

/// Lives that crash at each await that makes a difference (`steps`): the first of a store, and one that takes over what
/// another left when it crashed.
fn crash_at_awaits(run: RunCrashing) {
    for seed in 0..number("SIM_AWAITS").unwrap_or(AWAITS) {
        crash_last_at_awaits(seed, &[], run);
        crash_last_at_awaits(seed, &[Crash::AfterPolls(FIRST_POLLS)], run);
    }
}

/// The last of some lives crashes at each await; those before crash as they are told.
fn crash_last_at_awaits(seed: u64, before: &[Crash], run: RunCrashing) {
    let run = |polls| run(seed, &[before, &[Crash::AfterPolls(polls)]].concat());
    let (Lived { points, .. }, whole) = run(u64::MAX);
    assert!(points.len() > 60, "seed {seed}: {} polls changed something", points.len());
    assert!(whole.acked > 0, "seed {seed}: nothing was committed");
    for point in &points {
        let (lived, _) = run(*point);
        assert!(!lived.undisturbed, "seed {seed} did not come to poll {point} again");
    }
    // Between two points a crash is the same as at the first.
    let apart = points.windows(2).rev().find(|pair| pair[1] > pair[0] + 1);
    let &[point, next] = apart.expect("polls that change nothing") else { unreachable!() };
    let [early, late] = [point, next - 1].map(|polls| run(polls).1);
    assert_same(seed, &early.trace, &late.trace, "a crash some polls later");
}

#[test]
fn a_seed_of_share_groups_replays_byte_for_byte() {
    assert_replays(share::run, "no_seed_breaks_a_share_group");
}

#[test]
fn no_seed_breaks_a_share_group() {
    run_seeds(share::run, SHARES);
}

#[test]
fn a_transaction_crashed_anywhere_is_whole_or_not_there() {
    for seed in 0..number("SIM_CRASHES").unwrap_or(CRASHES) {
        crash_everywhere(seed, exact::run_crashing);
    }
}

#[test]
fn a_group_crashed_anywhere_goes_on() {
    for seed in 0..number("SIM_CRASHES").unwrap_or(CRASHES) {
        crash_everywhere(seed, exact::members::run_crashing);
    }
}

#[test]
fn a_share_group_crashed_anywhere_goes_on() {
    for seed in 0..number("SIM_CRASHES").unwrap_or(CRASHES) {
        crash_everywhere(seed, share::run_crashing);
    }
}

#[test]
fn a_transaction_crashed_at_any_await_is_whole_or_not_there() {
    crash_at_awaits(exact::run_crashing);
}

#[test]
fn a_group_crashed_at_any_await_goes_on() {
    crash_at_awaits(exact::members::run_crashing);
}

#[test]
fn a_share_group_crashed_at_any_await_goes_on() {
    crash_at_awaits(share::run_crashing);
}

#[test]
fn a_recovery_crashed_anywhere_ends_the_same() {
    for seed in 0..number("SIM_RECOVERIES").unwrap_or(RECOVERIES) {
        let mut whole = None;
        for calls in 0.. {
            let (lived, found) = world::recover_twice(seed, Crash::AfterCalls(calls));
            if lived.undisturbed {
                break;
            }
            assert!(calls < 2000, "seed {seed}: no recovery takes so many calls");
            assert_recovered(seed, whole.get_or_insert_with(|| found.clone()), &found);
        }
        assert!(whole.is_some(), "seed {seed}: nothing to recover");
    }
}

#[test]
fn a_recovery_crashed_at_any_await_ends_the_same() {
    for seed in 0..number("SIM_AWAITS").unwrap_or(AWAITS) {
        let (Lived { points, .. }, whole) = world::recover_twice(seed, Crash::AfterPolls(u64::MAX));
        assert!(points.len() > 60, "seed {seed}: {} polls changed something", points.len());
        for point in points {
            let (lived, found) = world::recover_twice(seed, Crash::AfterPolls(point));
            assert!(!lived.undisturbed, "seed {seed} did not come to poll {point} again");
            assert_recovered(seed, &whole, &found);
        }
    }
}

fn assert_recovered(seed: u64, whole: &Log, found: &Log) {
    assert!(!whole.is_empty(), "seed {seed}: nothing to recover");
    assert_eq!(found, whole, "IdempotentRecovery: seed {seed}");
}

/// Not drawn but each in its turn.
#[test]
fn each_put_may_fail_in_each_way() {
    const LATER: Duration = Duration::from_millis(500);
    let hang = |applied| Fault::Hang { wait: LATER, applied };
    let faults = [
        Fault::FailBefore,
        Fault::FailAfter,
        Fault::Twice(LATER),
        Fault::Late(LATER),
        Fault::Status(409),
        Fault::Status(412),
        Fault::Status(503),
        Fault::StatusAfter(500),
        hang(false),
        hang(true),
    ];
    for fault in faults {
        for nth in 0..EACH_PUT {
            assert!(world::run_with_a_fault(1, fault, nth), "there is no put {nth}");
        }
    }
}

#[test]
fn acknowledgements_go_on_while_the_metadata_is_away() {
    for seed in 0..5 {
        let [before, during, after] = world::outlive_an_outage_of_the_metadata(seed);
        // Twelve times as long as the time before: no less than half of its rate is asked for.
        assert!(during > 6 * before, "seed {seed}: {before} in 5 s, then {during} in 60 s");
        assert!(after > 3 * before, "seed {seed}: {before} in 5 s, at the end {after} in 30 s");
    }
}

#[test]
fn a_superseded_node_exits_and_never_takes_back() {
    for seed in 0..3 {
        world::supersede(seed);
    }
}

#[test]
fn what_was_acknowledged_outlives_the_power() {
    let seeds = 0..number("SIM_DISKS").unwrap_or(DISKS);
    let acked: u64 = seeds.map(|seed| world::run_on_a_disk(seed).acked).sum();
    assert!(acked > 0, "no record was acknowledged");
    let [one, other] = [0; 2].map(|seed| world::run_on_a_disk(seed).trace);
    assert_same(0, &one, &other, "this process");
}

/// The first promise that breaks within some seeds, by its name.
fn broken_by(lie: Fault) -> Option<String> {
    // What panics in here must fail no other test.
    let _alone = world::ALONE.write().unwrap_or_else(PoisonError::into_inner);
    let broken = (0..20).find_map(|seed| {
        let run = || world::run_with_a_lie(seed, lie, 5);
        let panic = std::panic::catch_unwind(run).err()?;
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
    });
    let _ = std::panic::catch_unwind(task::assert_no_panics);
    broken
}

/// Whether a message names a promise, or is the alarm of a recovery that found less than it must.
fn is_named(broken: &str) -> bool {
    const NAMES: [&str; 12] = [
        "AckedDurable",
        "CommitOnce",
        "FencePermanent",
        "NoDuplicate",
        "NoDanglingReference",
        "OneSequencer",
        "PrefixAck",
        "ReadPrefix",
        "RecoverTotal",
        "WriteOnce",
        "inconsistent-offsets",
        "is missing",
    ];
    NAMES.iter().any(|name| broken.contains(name))
}

#[test]
fn a_store_that_loses_what_it_acknowledged_is_noticed() {
    let broken = broken_by(Fault::Lose).expect("some promise breaks");
    assert!(is_named(&broken), "{broken}");
}

#[test]
fn a_store_that_overwrites_is_noticed() {
    let broken = broken_by(Fault::Overwrite).expect("some promise breaks");
    assert!(is_named(&broken), "{broken}");
}
