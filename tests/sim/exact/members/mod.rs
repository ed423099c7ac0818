//! Groups whose members speak the consumer protocol of KIP-848, the classic protocol, or both at once: a group changes its
//! protocol whenever the first member of the newer one comes, and whenever the last of them goes.
//!
//! The broker crashes, hands over and is taken over as in all runs, over a store that fails; members crash, sleep, leave,
//! come back as static ones do, and commit when they are long gone. What they were told is held against itself (`ledger`).

mod fencing;
mod ledger;
mod modern;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use thalweg::base::clock::sleep;
use thalweg::base::rng::Rng;
use thalweg::base::task;
use thalweg::node::Broker;

use super::super::producers::Actors;
use super::super::steps::Lived;
use super::super::world::{Crash, LIVELY, Report, Settings, Shown, Stage, WINDOW, on_a_runtime};
use super::group::fetch_offsets;
use super::link::Link;
use super::{INPUT, KEYS, PARTITIONS};
use ledger::Tick;
use worker::{Mood, SharedLedger, Worker, lock};

/// The group of all members.
const GROUP: &str = "members";

const LIVES: u64 = 3;

const SETTINGS: Settings = &[
    ("num.partitions", "2"),
    ("wal.flush.ms", "20"),
    WINDOW,
    ("offsets.topic.num.partitions", "2"),
    ("group.initial.rebalance.delay.ms", "100"),
    ("group.min.session.timeout.ms", "500"),
    ("group.consumer.min.session.timeout.ms", "500"),
    ("group.consumer.session.timeout.ms", "1000"),
    ("group.consumer.min.heartbeat.interval.ms", "100"),
    ("group.consumer.heartbeat.interval.ms", "200"),
    ("group.consumer.assignment.interval.ms", "0"),
];

/// Which protocol a member speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Modern,
    Classic,
}

const MODERN: Worker =
    Worker { kind: Kind::Modern, instance: None, by_pattern: false, mood: Mood::Moody };
const CLASSIC: Worker = Worker { kind: Kind::Classic, ..MODERN };

/// Members of both protocols, one by a pattern, and one instance that a process of either protocol takes in turn.
const ALL: [Worker; 7] = [
    MODERN,
    Worker { by_pattern: true, ..MODERN },
    Worker { instance: Some("both"), ..MODERN },
    Worker { instance: Some("both"), ..MODERN },
    CLASSIC,
    CLASSIC,
    Worker { instance: Some("both"), ..CLASSIC },
];

struct World {
    stage: Stage,
    ledger: SharedLedger,
}

/// Runs one seed to its end; panics when a promise is broken.
pub(crate) fn run(seed: u64) -> Report {
    let _shown = Shown::new(seed);
    let mut world = World::new(seed);
    for _ in 0..LIVES {
        let ledger = Arc::clone(&world.ledger);
        world.stage.life(|broker, rng| actors(broker, &ledger, rng, &ALL));
    }
    world.last_life();
    let acked = lock(&world.ledger).acked();
    world.stage.report(acked)
}

/// Short lives that crash, one after the other, and one that shows what is left; and how the last that crashes went.
pub(crate) fn run_crashing(seed: u64, crashes: &[Crash]) -> (Lived, Report) {
    let _shown = Shown::crashing(seed, crashes);
    let mut world = World::new(seed);
    let ledger = Arc::clone(&world.ledger);
    // The group is a classic one first, then the other, and a classic one again when that member goes; and so on.
    let cast = [
        Worker { mood: Mood::Steady, ..CLASSIC },
        Worker { mood: Mood::Brief, ..CLASSIC },
        Worker { mood: Mood::Brief, ..MODERN },
    ];
    let length = Duration::from_millis(3_000);
    let lived = world
        .stage
        .crashing_lives(crashes, length, |broker, rng| actors(broker, &ledger, rng, &cast));
    world.last_life();
    let acked = lock(&world.ledger).acked();
    (lived, world.stage.report(acked))
}

/// Connects members to a broker.
fn actors(broker: &Broker, ledger: &SharedLedger, rng: &Rng, cast: &[Worker]) -> Actors {
    let mut tasks = Vec::new();
    for worker in cast {
        let link = Link::prompt(Arc::clone(broker.context()));
        let (context, ledger) = (Arc::clone(broker.context()), Arc::clone(ledger));
        let (worker, rng) = (*worker, Rng::from_seed(rng.u64()));
        let run = async move {
            link.create(INPUT).await;
            let topic = context.image().topic(INPUT).expect("it was created").id;
            worker.run(link, topic.0, ledger, rng).await;
        };
        tasks.push(task::spawn("sim-member", run).abort_handle());
    }
    Actors::new(tasks)
}

impl World {
    fn new(seed: u64) -> Self {
        Self { stage: Stage::new(seed, SETTINGS), ledger: SharedLedger::default() }
    }

    /// The life in which nothing fails: members of each protocol serve all partitions, after those of the other and beside
    /// them, and the offsets are what was committed last.
    fn last_life(&mut self) {
        self.stage.faults.stop();
        self.stage.wall_at_its_latest();
        let (stage, ledger) = (&self.stage, &self.ledger);
        on_a_runtime(async {
            stage.faults.begin_chapter("last life");
            let broker = stage.start().await.expect("a healthy store");
            let steady = |kind| Worker { kind, mood: Mood::Steady, ..MODERN };
            for kind in [Kind::Modern, Kind::Classic, Kind::Modern] {
                // Whoever was there before is not heard of any more, and loses what it has.
                let cast = [steady(kind), steady(kind)];
                let _actors = actors(&broker, ledger, &stage.rng, &cast);
                let since = lock(ledger).tick();
                tokio::time::timeout(LIVELY, served_by(ledger, kind, since))
                    .await
                    .unwrap_or_else(|_| panic!("liveness once faults stop: no {kind:?} serves"));
            }
            let link = Link::prompt(Arc::clone(broker.context()));
            let offsets = fetch_offsets(&link, GROUP, &KEYS[..PARTITIONS as usize]).await;
            for ((_, partition), offset) in offsets.expect("a healthy broker") {
                let ledger = lock(ledger);
                ledger.fetched(partition, ledger.known(partition), offset);
            }
            broker.shutdown(Duration::from_secs(60)).await.expect("it stops in order");
        });
        self.stage.end_of_life();
    }
}

/// Waits until members of that protocol have committed to every partition.
async fn served_by(ledger: &SharedLedger, kind: Kind, since: Tick) {
    while !(0..PARTITIONS).all(|partition| lock(ledger).is_served(partition, kind, since)) {
        sleep(Duration::from_millis(100)).await;
    }
}
