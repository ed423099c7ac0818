//! Exactly once: transactions and groups on brokers that crash, hand over and are taken over, over a store that fails.
//!
//! Processes share transactional ids and fence each other; they abort, crash, sleep through their sessions, and what they sent
//! arrives when they have long given up. A bank books every committed amount as a debit and a credit, in one transaction
//! with its offsets. What all of them did and saw is held against the log in the end (`history`): Jepsen's anomalies by their
//! names, TxnAtomic, and that money is neither made nor lost.

mod fencing;
mod group;
mod history;
mod link;
pub(crate) mod members;
mod pipeline;
mod producer;
mod transactor;
mod watcher;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thalweg::base::clock::sleep;
use thalweg::base::rng::Rng;
use thalweg::base::task;
use thalweg::node::Broker;

use super::producers::Actors;
use super::steps::{Lived, clients_look};
use super::world::{Crash, LIVELY, Report, Shown, Stage, WINDOW, on_a_runtime};
use history::{History, Key, Log};
use link::{Isolation, Link, Protocol};
use pipeline::Pipeline;
use transactor::Transactor;

/// What is read and booked; it has [`PARTITIONS`].
const INPUT: &str = "amounts";
const PARTITIONS: i32 = 2;
/// Where it is booked, a partition each side.
const BANK: &str = "bank";
const DEBITS: i32 = 0;
const CREDITS: i32 = 1;
/// All partitions.
const KEYS: [Key; 4] = [(INPUT, 0), (INPUT, 1), (BANK, DEBITS), (BANK, CREDITS)];

const LIVES: u64 = 3;

const SETTINGS: &[(&str, &str)] = &[
    ("num.partitions", "2"),
    ("wal.flush.ms", "20"),
    WINDOW,
    ("offsets.topic.num.partitions", "2"),
    ("transaction.state.log.num.partitions", "2"),
    ("group.initial.rebalance.delay.ms", "100"),
    ("group.min.session.timeout.ms", "500"),
    ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "500"),
];

/// Two processes for each id, two instances of one static member, and both protocols.
const TRANSACTORS: [Transactor; 6] = [
    Transactor { id: "t0", protocol: Protocol::Own },
    Transactor { id: "t0", protocol: Protocol::Own },
    Transactor { id: "t1", protocol: Protocol::Shared },
    Transactor { id: "t1", protocol: Protocol::Shared },
    Transactor { id: "t2", protocol: Protocol::Own },
    Transactor { id: "t2", protocol: Protocol::Shared },
];

const PIPELINES: [Pipeline; 4] = [
    Pipeline { id: "b0", protocol: Protocol::Own, instance: None, moody: true },
    Pipeline { id: "b1", protocol: Protocol::Shared, instance: None, moody: true },
    Pipeline { id: "b2", protocol: Protocol::Own, instance: Some("static"), moody: true },
    Pipeline { id: "b3", protocol: Protocol::Own, instance: Some("static"), moody: true },
];

/// What the clients of a run share.
type SharedHistory = Arc<Mutex<History>>;

fn lock(history: &Mutex<History>) -> MutexGuard<'_, History> {
    clients_look();
    history.lock().unwrap_or_else(PoisonError::into_inner)
}

struct World {
    stage: Stage,
    history: SharedHistory,
}

/// Which clients there are.
struct Cast<'a> {
    transactors: &'a [Transactor],
    pipelines: &'a [Pipeline],
    readers: bool,
}

const ALL: Cast<'static> = Cast { transactors: &TRANSACTORS, pipelines: &PIPELINES, readers: true };

/// Runs one seed to its end; panics when a promise is broken.
pub(crate) fn run(seed: u64) -> Report {
    let _shown = Shown::new(seed);
    let mut world = World::new(seed);
    for _ in 0..LIVES {
        let history = Arc::clone(&world.history);
        world.stage.life(|broker, rng| actors(broker, &history, rng, &ALL));
    }
    world.last_life();
    let acked = lock(&world.history).committed_count();
    world.stage.report(acked)
}

/// Short lives that crash, one after the other, and one that shows what is left; and how the last that crashes went.
pub(crate) fn run_crashing(seed: u64, crashes: &[Crash]) -> (Lived, Report) {
    let _shown = Shown::crashing(seed, crashes);
    let mut world = World::new(seed);
    let few = Cast {
        transactors: &[TRANSACTORS[0], TRANSACTORS[2]],
        pipelines: &[Pipeline { moody: false, ..PIPELINES[0] }],
        readers: false,
    };
    let history = Arc::clone(&world.history);
    let length = Duration::from_millis(1_500);
    let lived = world
        .stage
        .crashing_lives(crashes, length, |broker, rng| actors(broker, &history, rng, &few));
    world.last_life();
    let acked = lock(&world.history).committed_count();
    (lived, world.stage.report(acked))
}

/// Connects clients to a broker.
fn actors(broker: &Broker, history: &SharedHistory, rng: &Rng, cast: &Cast<'_>) -> Actors {
    let mut tasks = Vec::new();
    let fresh = || Rng::from_seed(rng.u64());
    let context = broker.context();
    for transactor in cast.transactors {
        let (links, own) = (fresh(), fresh());
        let context = Arc::clone(context);
        let link = move || Link::new(Arc::clone(&context), Rng::from_seed(links.u64()));
        let run = transactor.run(link, Arc::clone(history), own);
        tasks.push(task::spawn("sim-transactor", run).abort_handle());
    }
    for pipeline in cast.pipelines {
        let (links, own) = (fresh(), fresh());
        let context = Arc::clone(context);
        let link = move || Link::new(Arc::clone(&context), Rng::from_seed(links.u64()));
        let run = pipeline.run(link, Arc::clone(history), own);
        tasks.push(task::spawn("sim-pipeline", run).abort_handle());
    }
    let link = || Link::new(Arc::clone(context), fresh());
    for _ in 0..2 * i32::from(cast.readers) {
        let run = watcher::watch(link(), Arc::clone(history), fresh());
        tasks.push(task::spawn("sim-watcher", run).abort_handle());
    }
    let isolations: &[Isolation] =
        if cast.readers { &[Isolation::Committed, Isolation::Uncommitted] } else { &[] };
    for isolation in isolations {
        let run = watcher::read(link(), Arc::clone(history), *isolation);
        tasks.push(task::spawn("sim-reader", run).abort_handle());
    }
    let creator = link();
    let create = async move {
        creator.create(INPUT).await;
        creator.create(BANK).await;
    };
    tasks.push(task::spawn("sim-admin", create).abort_handle());
    Actors::new(tasks)
}

impl World {
    fn new(seed: u64) -> Self {
        Self { stage: Stage::new(seed, SETTINGS), history: SharedHistory::default() }
    }

    /// The life in which nothing fails: what was open ends, all is booked, and the logs are read from end to end.
    fn last_life(&mut self) {
        self.stage.faults.stop();
        // Transactions time out by the wall clock: it must have come to when they began.
        self.stage.wall_at_its_latest();
        let history = Arc::clone(&self.history);
        let stage = &self.stage;
        let logs = on_a_runtime(async {
            stage.faults.begin_chapter("last life");
            let begun = tokio::time::Instant::now();
            let whole = async {
                let broker = stage.start().await.expect("a healthy store");
                let steady = Pipeline { id: "settler", moody: false, ..PIPELINES[0] };
                let cast = Cast { transactors: &[], pipelines: &[steady], readers: false };
                let actors = actors(&broker, &history, &stage.rng, &cast);
                let link = Link::new(Arc::clone(broker.context()), Rng::from_seed(stage.rng.u64()));
                link.create(INPUT).await;
                link.create(BANK).await;
                while let Some(unsettled) = unsettled(&link).await {
                    let since = tokio::time::Instant::now().duration_since(begun);
                    assert!(since < LIVELY, "liveness once faults stop: {unsettled}");
                    sleep(Duration::from_millis(200)).await;
                }
                drop(actors);
                let mut logs = BTreeMap::new();
                for key in KEYS {
                    let all = read_all(&link, key, Isolation::Uncommitted).await;
                    lock(&history).read(key, &all);
                    let log: Log =
                        read_all(&link, key, Isolation::Committed).await.into_iter().collect();
                    logs.insert(key, log);
                }
                broker.shutdown(Duration::from_secs(60)).await.expect("it stops in order");
                logs
            };
            tokio::time::timeout(LIVELY * 2, whole).await.expect("liveness once faults stop")
        });
        self.stage.end_of_life();
        lock(&self.history).check(&logs);
        let inputs = [&logs[&KEYS[0]], &logs[&KEYS[1]]];
        History::check_transfers(&inputs, &logs[&(BANK, DEBITS)], &logs[&(BANK, CREDITS)]);
    }
}

/// What is still to come: a transaction is open, or something is not booked.
async fn unsettled(link: &Link) -> Option<String> {
    for key in KEYS {
        let Some(fetched) = link.fetch(key, 0, Isolation::Committed).await else {
            return Some(format!("{key:?} cannot be read"));
        };
        let (stable, end) = (fetched.last_stable_offset, fetched.high_watermark);
        if stable != end {
            return Some(format!("hanging transaction in {key:?}: {stable} of {end}"));
        }
    }
    let Some(offsets) = group::fetch_offsets(link, pipeline::GROUP, &KEYS[..2]).await else {
        return Some("the bank's offsets are not known".to_owned());
    };
    for (key, offset) in offsets {
        let fetched = link.fetch(key, offset.max(0), Isolation::Committed).await;
        if fetched.is_none_or(|fetched| !fetched.records.is_empty()) {
            return Some(format!("{key:?} is not booked from {offset} on"));
        }
    }
    None
}

async fn read_all(link: &Link, key: Key, isolation: Isolation) -> Vec<(i64, String)> {
    let (mut all, mut next) = (Vec::new(), 0);
    loop {
        let fetched = link.fetch(key, next, isolation).await.expect("a healthy broker");
        if fetched.next == next {
            return all;
        }
        all.extend(fetched.records);
        next = fetched.next;
    }
}
