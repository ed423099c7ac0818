//! Clients that outlive brokers: producers with requests in flight, and a reader.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use thalweg::base::clock::sleep;
use thalweg::base::ids::ProducerId;
use thalweg::base::rng::Rng;
use thalweg::base::task;
use thalweg::node::Broker;
use thalweg::record::Compression;
use thalweg::record::build::BatchBuilder;

use super::client::{Answer, Client, PARTITIONS, Topic};
use super::history::History;
use super::world::WALL;

const PRODUCERS: usize = 3;
/// How long a producer waits for answers.
const PATIENCE: Duration = Duration::from_secs(60);
/// Batches of one producer in flight at once.
const IN_FLIGHT_MAX: u64 = 3;

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
pub(crate) struct Clients {
    producers: Vec<Producer>,
    pub(crate) history: History,
    next_offset: Vec<i64>,
}

/// What every client of a run shares.
pub(crate) type SharedClients = Arc<Mutex<Clients>>;

impl Clients {
    pub(crate) fn new() -> SharedClients {
        let producer = |name| Producer {
            name,
            id: None,
            next_number: 0,
            next_sequence: vec![0; PARTITIONS as usize],
            waiting: Vec::new(),
        };
        Arc::new(Mutex::new(Self {
            producers: (0..PRODUCERS).map(producer).collect(),
            history: History::default(),
            next_offset: vec![0; PARTITIONS as usize],
        }))
    }
}

pub(crate) fn lock(clients: &Mutex<Clients>) -> MutexGuard<'_, Clients> {
    clients.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Clients of one broker; dropping this disconnects them.
pub(crate) struct Actors(Vec<tokio::task::AbortHandle>);

impl Drop for Actors {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

impl Actors {
    /// Clients that run until they are dropped.
    pub(crate) fn new(tasks: Vec<tokio::task::AbortHandle>) -> Self {
        Self(tasks)
    }

    /// Others that end with these.
    pub(crate) fn join(&mut self, tasks: impl IntoIterator<Item = tokio::task::AbortHandle>) {
        self.0.extend(tasks);
    }

    /// Connects all clients to `broker`.
    pub(crate) fn of(broker: &Broker, clients: &SharedClients, rng: &Rng) -> Self {
        let mut tasks = Vec::new();
        let client = Client::new(broker);
        for producer in 0..PRODUCERS {
            let rng = Rng::from_seed(rng.u64());
            let run = produce(client.clone(), Arc::clone(clients), producer, rng);
            tasks.push(task::spawn("sim-producer", run).abort_handle());
        }
        let run = consume(Client::new(broker), Arc::clone(clients));
        tasks.push(task::spawn("sim-consumer", run).abort_handle());
        Self(tasks)
    }
}

/// Sends what is waiting until all of it is acknowledged.
pub(crate) async fn settle(client: &Client, clients: &Mutex<Clients>) {
    while !client.create_topic().await {
        sleep(Duration::from_millis(100)).await;
    }
    for producer in 0..PRODUCERS {
        while send_waiting(client, clients, producer).await {
            sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn produce(client: Client, clients: SharedClients, producer: usize, rng: Rng) {
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
        // Now and then it does not wait for its answers: what it sends again is on its way still.
        let patience = match rng.below(4) {
            0 => Duration::from_millis(rng.below(80)),
            _ => PATIENCE,
        };
        let sending = send_waiting(&client, &clients, producer);
        if tokio::time::timeout(patience, sending).await == Ok(true) {
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
            // Younger than the expiration of producer ids, whatever clock the life has.
            builder.push_value(WALL, None, Some(value.as_bytes()));
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

/// NOT_LEADER_OR_FOLLOWER, UNKNOWN_TOPIC_OR_PARTITION, REQUEST_TIMED_OUT.
fn is_retriable(code: i16) -> bool {
    matches!(code, 3 | 6 | 7)
}

async fn consume(client: Client, clients: SharedClients) {
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

/// The whole log of a topic by partition and offset.
pub(crate) async fn read_all(client: &Client, topic: Topic) -> BTreeMap<(i32, i64), String> {
    let mut log = BTreeMap::new();
    for partition in 0..PARTITIONS {
        let mut next = 0;
        loop {
            let records = client.fetch_of(topic, partition, next, 0).await;
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
