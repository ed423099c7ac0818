//! A share group on brokers that crash, hand over and are taken over, over a store that fails.
//!
//! Members read the same partitions, accept, release and reject what they are given, by requests of their own and with the
//! next fetch; they say nothing in time, close their sessions, lose their connections, and are late. What each was given and
//! said is held against the others' (`ledger`): AcceptedAgain, TwoHolders, StolenAck, CountForgotten, TooManyDeliveries; and
//! against the log in the end: LostRecord.

mod ledger;
mod member;
mod scenes;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thalweg::base::clock::sleep;
use thalweg::base::rng::Rng;
use thalweg::base::task;
use thalweg::node::Broker;
use thalweg::record::Compression;
use thalweg::record::build::BatchBuilder;

use super::client::{Answer, Client, PARTITIONS, TOPIC, Topic};
use super::producers::{Actors, read_all};
use super::steps::{Lived, clients_look};
use super::world::{Crash, LIVELY, Report, Settings, Shown, Stage, WALL, WINDOW, on_a_runtime};
use ledger::Ledger;
use member::{Member, Mood};

const LIVES: u64 = 3;
/// [`LOCK`] and [`LIMIT`] as settings.
const SETTINGS: Settings = &[
    ("num.partitions", "2"),
    ("wal.flush.ms", "20"),
    WINDOW,
    ("offsets.topic.num.partitions", "1"),
    ("share.coordinator.state.topic.num.partitions", "1"),
    ("group.share.assignment.interval.ms", "0"),
    ("group.share.record.lock.duration.ms", "1000"),
    ("group.share.delivery.count.limit", "4"),
];
/// How long a record stays with who was given it.
const LOCK: Duration = Duration::from_millis(1_000);
/// How often one is given at most.
const LIMIT: i16 = 4;

/// Longer than a lock, so that some expire.
const CRASHING_LIFE: Duration = Duration::from_millis(1_500);

const MEMBERS: [&str; 3] = ["m0", "m1", "m2"];

/// What the clients of a run share.
type SharedLedger = Arc<Mutex<Ledger>>;

fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    clients_look();
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

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
        world.stage.life(|broker, rng| actors(broker, &ledger, rng));
        // What nobody heard is never heard of.
        lock(&world.ledger).end_of_life();
    }
    scenes::play(&mut world);
    world.last_life();
    let acked = lock(&world.ledger).settled();
    world.stage.report(acked)
}

/// Short lives that crash, one after the other, and one that shows what is left; and how the last that crashes went.
pub(crate) fn run_crashing(seed: u64, crashes: &[Crash]) -> (Lived, Report) {
    let _shown = Shown::crashing(seed, crashes);
    let mut world = World::new(seed);
    let ledger = Arc::clone(&world.ledger);
    let lived = world.stage.crashing_lives(crashes, CRASHING_LIFE, |broker, rng| {
        // What nobody heard in the life before is never heard of.
        lock(&ledger).end_of_life();
        actors(broker, &ledger, rng)
    });
    lock(&ledger).end_of_life();
    world.last_life();
    let acked = lock(&world.ledger).settled();
    (lived, world.stage.report(acked))
}

/// Connects clients to a broker.
fn actors(broker: &Broker, ledger: &SharedLedger, rng: &Rng) -> Actors {
    let broker_number = lock(ledger).another_broker();
    let fresh = || Rng::from_seed(rng.u64());
    let mut tasks = Vec::new();
    for id in MEMBERS {
        let member = Member::new(broker, (id, broker_number), Arc::clone(ledger), fresh());
        let run = member.run(Mood::Fickle);
        tasks.push(task::spawn("sim-share-member", run).abort_handle());
    }
    let run = produce(Client::new(broker), fresh());
    tasks.push(task::spawn("sim-producer", run).abort_handle());
    Actors::new(tasks)
}

/// Appends small batches for ever: whether each is there is seen in the end.
async fn produce(client: Client, rng: Rng) {
    create_topic(&client).await;
    for number in 0_u64.. {
        let records = 1 + rng.below(4);
        let partition = rng.below(PARTITIONS as u64) as i32;
        if !append(&client, partition, (number, records)).await {
            sleep(Duration::from_millis(100)).await;
        }
        sleep(Duration::from_millis(rng.below(200))).await;
    }
}

async fn create_topic(client: &Client) {
    while !client.create_topic().await {
        sleep(Duration::from_millis(100)).await;
    }
}

/// Appends a batch of so many records. False: who knows.
async fn append(client: &Client, partition: i32, (number, records): (u64, u64)) -> bool {
    let mut builder = BatchBuilder::new(Compression::None);
    for record in 0..records {
        builder.push_value(WALL, None, Some(format!("{number}-{record}").as_bytes()));
    }
    matches!(client.produce(partition, builder.build().bytes).await, Answer::At(_))
}

impl World {
    fn new(seed: u64) -> Self {
        Self { stage: Stage::new(seed, SETTINGS), ledger: SharedLedger::default() }
    }

    /// The life in which nothing fails: one member accepts all that is left, until nothing is given any more.
    fn last_life(&mut self) {
        self.stage.faults.stop();
        let (stage, ledger) = (&self.stage, &self.ledger);
        let log = on_a_runtime(async {
            stage.faults.begin_chapter("last life");
            let whole = async {
                let broker = stage.start().await.expect("a healthy store");
                let number = lock(ledger).another_broker();
                let client = Client::new(&broker);
                create_topic(&client).await;
                let rng = Rng::from_seed(stage.rng.u64());
                let last = Member::new(&broker, ("last", number), Arc::clone(ledger), rng);
                last.run(Mood::Steady).await;
                let log = read_all(&client, Topic::Name(TOPIC)).await;
                broker.shutdown(Duration::from_secs(60)).await.expect("it stops in order");
                log
            };
            tokio::time::timeout(LIVELY, whole).await.expect("liveness once faults stop")
        });
        self.stage.end_of_life();
        lock(&self.ledger).check(&log);
    }
}
