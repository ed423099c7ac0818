//! One seed: lives of brokers over one faulty store, and clients that outlive them.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use thalweg::base::clock::{Clock, SharedClock, Timestamp, TokioClock, sleep};
use thalweg::base::ids::ProducerId;
use thalweg::base::rng::Rng;
use thalweg::base::task;
use thalweg::config::Config;
use thalweg::manifest::client::Endpoint;
use thalweg::node::{Broker, Surroundings};
use thalweg::object::build::memory;
use thalweg::object::faults::{Faults, Rates};
use thalweg::object::{Locality, Store};
use thalweg::record::Compression;
use thalweg::record::build::BatchBuilder;
use thalweg::telemetry;

use super::client::{Answer, Client, PARTITIONS};
use super::history::History;

const LIVES: u64 = 4;
const PRODUCERS: usize = 3;
/// Batches of one producer in flight at once.
const IN_FLIGHT_MAX: u64 = 3;
/// Once faults have stopped everything is answered within this time.
const LIVELY: Duration = Duration::from_secs(300);

/// What a run left behind, to compare two of them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// Every call of the store and its answer, with bytes, names and milliseconds, a line each.
    pub(crate) trace: Vec<String>,
    pub(crate) acked: u64,
}

/// A batch that a producer has yet to see acknowledged.
#[derive(Debug, Clone)]
struct Batch {
    partition: i32,
    base_sequence: i32,
    values: Vec<String>,
}

/// One producer, over all lives.
#[derive(Debug)]
struct Producer {
    name: usize,
    id: Option<i64>,
    next_number: u64,
    next_sequence: Vec<i32>,
    /// Sent or not, not acknowledged, in order.
    waiting: Vec<Batch>,
}

/// What clients keep when a broker dies.
#[derive(Debug)]
struct Clients {
    producers: Vec<Producer>,
    history: History,
    next_offset: Vec<i64>,
}

struct World {
    rng: Rng,
    faults: Faults,
    store: Store,
    clients: Arc<Mutex<Clients>>,
    /// Simulated wall time at the start of the next life.
    wall: Timestamp,
}

/// Runs one seed to its end; panics when a promise is broken.
pub(crate) fn run(seed: u64) -> Report {
    let name = format!("seed {seed}");
    // The harness shows the seed of whatever fails on this thread.
    let _shown = Shown(name);
    let mut world = World::new(seed);
    for _ in 0..LIVES {
        world.life();
    }
    world.last_life();
    let clients = lock(&world.clients);
    Report { trace: world.faults.log(), acked: clients.history.acked_count() }
}

/// The store's own clock, for modification times: it outlives every runtime, so it must not follow one.
#[derive(Debug)]
struct Still(Timestamp);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        self.0
    }
}

struct Shown(String);

impl Drop for Shown {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("simulation failed at {}: replay with SIM_SEED", self.0);
        }
    }
}

fn lock(clients: &Mutex<Clients>) -> MutexGuard<'_, Clients> {
    clients.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `future` on a runtime of its own, with the clock paused. Dropping the runtime ends every task where it stands.
fn on_a_runtime<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(future)
}

impl World {
    fn new(seed: u64) -> Self {
        let rng = Rng::from_seed(seed);
        let faults = Faults::new(Rng::from_seed(rng.u64()));
        let wall = Timestamp(1_700_000_000_000);
        let clock: SharedClock = Arc::new(Still(wall));
        let raw = memory(clock).raw();
        let store = Store::new(faults.wrap(raw), Locality::Bucket);
        let producer = |name| Producer {
            name,
            id: None,
            next_number: 0,
            next_sequence: vec![0; PARTITIONS as usize],
            waiting: Vec::new(),
        };
        let clients = Clients {
            producers: (0..PRODUCERS).map(producer).collect(),
            history: History::default(),
            next_offset: vec![0; PARTITIONS as usize],
        };
        Self { rng, faults, store, clients: Arc::new(Mutex::new(clients)), wall }
    }

    fn rates(&self) -> Rates {
        let ms = Duration::from_millis;
        // Half of the lives are calm: then only the end of the life is a fault.
        let some = |most: u64| u16::try_from(self.rng.below(most + 1)).expect("small");
        if self.rng.below(2) == 0 {
            return Rates { latency: (ms(1), ms(40)), ..Rates::default() };
        }
        Rates {
            latency: (ms(1), ms(80)),
            only: "/w/".to_owned(),
            fail_before: some(60),
            fail_after: some(60),
            conflict: some(20),
            precondition: some(20),
            throttled: some(40),
            unavailable: some(60),
            internal_after: some(40),
            hang: some(20),
            late: some(40),
            twice: some(40),
            hang_max: ms(5_000),
            late_max: ms(10_000),
            unordered_lists: true,
        }
    }

    /// One life of a broker, or two that overlap.
    fn life(&mut self) {
        self.faults.set_rates(self.rates());
        let length = Duration::from_millis(100 + self.rng.below(8_000));
        let end = self.rng.below(4);
        on_a_runtime(async {
            self.faults.begin_chapter("life");
            let whole = async {
                let broker = self.start().await;
                let actors = self.actors(&broker);
                match end {
                    // A crash: the runtime is dropped with everything on it.
                    0 | 1 => std::future::pending().await,
                    2 => {
                        sleep(length / 2).await;
                        drop(actors);
                        broker.shutdown(Duration::from_secs(5)).await;
                    }
                    _ => {
                        sleep(length / 2).await;
                        let successor = self.start().await;
                        drop(actors);
                        let _actors = self.actors(&successor);
                        broker.failed().await;
                        std::future::pending().await
                    }
                }
            };
            // An error is the crash that was meant.
            let _ = tokio::time::timeout(length, whole).await;
        });
        task::assert_no_panics();
        self.wall = Timestamp(self.wall.0 + 3_600_000);
    }

    /// The life in which nothing fails: all is acknowledged, and the log is read from end to end.
    fn last_life(&mut self) {
        self.faults.stop();
        let log = on_a_runtime(async {
            self.faults.begin_chapter("last life");
            let whole = async {
                let broker = self.start().await;
                let client = Client::new(&broker);
                self.settle(&client).await;
                let log = read_all(&client).await;
                broker.shutdown(Duration::from_secs(60)).await;
                log
            };
            tokio::time::timeout(LIVELY, whole).await.expect("liveness once faults stop")
        });
        task::assert_no_panics();
        lock(&self.clients).history.check(&log);
    }

    async fn start(&self) -> Broker {
        let clock: SharedClock = Arc::new(TokioClock::starting_at(self.wall));
        let config =
            Config::with([("num.partitions", "2"), ("wal.flush.ms", "20")]).expect("settings");
        let rng = Rng::from_seed(self.rng.u64());
        let surroundings = Surroundings { clock, rng, store: Some(self.store.clone()) };
        let endpoint = Endpoint { host: "sim".to_owned(), port: 9092 };
        let endpoints = BTreeMap::from([("PLAINTEXT".to_owned(), endpoint)]);
        let metrics = telemetry::Registry::new();
        let starting = Broker::start(Arc::new(config), surroundings, endpoints, &metrics);
        Box::pin(starting).await.expect("a broker starts over any store that recovers")
    }

    fn actors(&self, broker: &Broker) -> Actors {
        let mut tasks = Vec::new();
        let client = Client::new(broker);
        for producer in 0..PRODUCERS {
            let rng = Rng::from_seed(self.rng.u64());
            let run = produce(client.clone(), Arc::clone(&self.clients), producer, rng);
            tasks.push(task::spawn("sim-producer", run).abort_handle());
        }
        let run = consume(Client::new(broker), Arc::clone(&self.clients));
        tasks.push(task::spawn("sim-consumer", run).abort_handle());
        Actors(tasks)
    }

    /// Sends what is waiting until all of it is acknowledged.
    async fn settle(&self, client: &Client) {
        while !client.create_topic().await {
            sleep(Duration::from_millis(100)).await;
        }
        for producer in 0..PRODUCERS {
            while send_waiting(client, &self.clients, producer).await {
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Clients of one broker; dropping this disconnects them.
struct Actors(Vec<tokio::task::AbortHandle>);

impl Drop for Actors {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

async fn produce(client: Client, clients: Arc<Mutex<Clients>>, producer: usize, rng: Rng) {
    while !client.create_topic().await {
        sleep(Duration::from_millis(100)).await;
    }
    loop {
        let id = lock(&clients).producers[producer].id;
        if id.is_none() {
            let fresh = client.init_producer_id().await;
            lock(&clients).producers[producer].id = fresh;
            sleep(Duration::from_millis(20)).await;
            continue;
        }
        {
            let mut clients = lock(&clients);
            let producer = &mut clients.producers[producer];
            while (producer.waiting.len() as u64) < 1 + rng.below(IN_FLIGHT_MAX) {
                producer.prepare(&rng);
            }
        }
        if send_waiting(&client, &clients, producer).await {
            sleep(Duration::from_millis(20)).await;
        }
        sleep(Duration::from_millis(rng.below(60))).await;
    }
}

impl Producer {
    fn prepare(&mut self, rng: &Rng) {
        let partition = rng.below(PARTITIONS as u64) as i32;
        let records = 1 + rng.below(3);
        let values = (0..records).map(|n| format!("p{}-{}", self.name, self.next_number + n));
        let values: Vec<String> = values.collect();
        self.next_number += records;
        let sequence = &mut self.next_sequence[partition as usize];
        self.waiting.push(Batch { partition, base_sequence: *sequence, values });
        *sequence += records as i32;
    }
}

impl Batch {
    fn encode(&self, producer: i64) -> Bytes {
        let mut builder = BatchBuilder::new(Compression::None);
        builder.producer(ProducerId(producer), 0, self.base_sequence);
        for value in &self.values {
            builder.push_value(Timestamp(1), None, Some(value.as_bytes()));
        }
        builder.build().bytes
    }
}

/// Sends all waiting batches in order, at once, and takes up the answers. True: some are still waiting.
async fn send_waiting(client: &Client, clients: &Mutex<Clients>, producer: usize) -> bool {
    let (id, batches) = {
        let clients = lock(clients);
        let producer = &clients.producers[producer];
        let Some(id) = producer.id else { return false };
        (id, producer.waiting.clone())
    };
    let answers: Vec<_> =
        batches.iter().map(|batch| client.produce(batch.partition, batch.encode(id))).collect();
    for (batch, answer) in batches.iter().zip(answers) {
        match answer.await {
            Answer::At(base) => {
                let mut clients = lock(clients);
                clients.history.acked(batch.partition, base, &batch.values);
                clients.producers[producer].waiting.retain(|kept| {
                    (kept.partition, kept.base_sequence) != (batch.partition, batch.base_sequence)
                });
            }
            Answer::Error(code) => {
                assert!(
                    is_retriable(code),
                    "RecoverTotal: an idempotent batch in order got error {code}"
                );
            }
            Answer::Gone => {}
        }
    }
    !lock(clients).producers[producer].waiting.is_empty()
}

/// NOT_LEADER_OR_FOLLOWER, UNKNOWN_TOPIC_OR_PARTITION, REQUEST_TIMED_OUT; and OUT_OF_ORDER_SEQUENCE_NUMBER after one of
/// these hit a batch before it in the same volley.
fn is_retriable(code: i16) -> bool {
    matches!(code, 3 | 6 | 7)
}

async fn consume(client: Client, clients: Arc<Mutex<Clients>>) {
    loop {
        for partition in 0..PARTITIONS {
            let next = lock(&clients).next_offset[partition as usize];
            for (offset, value) in client.fetch(partition, next, 100).await {
                let mut clients = lock(&clients);
                assert_eq!(
                    offset, clients.next_offset[partition as usize],
                    "poll-skip in {partition}"
                );
                clients.next_offset[partition as usize] = offset + 1;
                clients.history.read(partition, offset, value);
            }
        }
        sleep(Duration::from_millis(30)).await;
    }
}

async fn read_all(client: &Client) -> BTreeMap<(i32, i64), String> {
    let mut log = BTreeMap::new();
    for partition in 0..PARTITIONS {
        let mut next = 0;
        loop {
            let records = client.fetch(partition, next, 0).await;
            if records.is_empty() {
                break;
            }
            for (offset, value) in records {
                next = offset + 1;
                log.insert((partition, offset), value);
            }
        }
    }
    log
}
