//! Batches, and a broker without sockets over a store in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use thalweg::base::clock::{Clock as _, SharedClock, SystemClock, Timestamp};
use thalweg::base::ids::{ProducerId, TopicId, TopicPartition};
use thalweg::base::rng::Rng;
use thalweg::cluster::client::{CreateTopics, NewTopic};
use thalweg::config::Config;
use thalweg::log::PartitionHandle;
use thalweg::manifest::client::Endpoint;
use thalweg::node::{Broker, Surroundings};
use thalweg::object::{self, Store};
use thalweg::record::build::BatchBuilder;
use thalweg::record::{Compression, ValidBatch};
use thalweg::telemetry;
use tokio::runtime::Runtime;

/// A batch's size that librdkafka and Kafka's own client fill at full speed with a `batch.size` of 1,000,000.
pub const LARGE_BYTES: usize = 1_000_000;

/// The wall clock.
pub fn clock() -> SharedClock {
    Arc::new(SystemClock)
}

/// Now.
pub fn now() -> Timestamp {
    SystemClock.now()
}

/// As many records with values of `value_bytes` as `bytes` hold, at least one; half of a value is random, as in the
/// harness.
pub fn batch(value_bytes: usize, bytes: usize, producer: Option<ProducerId>) -> ValidBatch {
    let rng = Rng::from_seed(3);
    let mut builder = BatchBuilder::new(Compression::None);
    if let Some(id) = producer {
        builder.producer(id, 0, 0);
    }
    let now = now();
    loop {
        let value: Vec<u8> = (0..value_bytes)
            .map(|at| if at < value_bytes / 2 { rng.u64().to_le_bytes()[0] } else { 0 })
            .collect();
        builder.push_value(now, None, Some(&value));
        if builder.total_bytes() + value_bytes + 16 > bytes {
            return builder.build();
        }
    }
}

/// A store in memory.
pub fn store() -> Store {
    object::build::memory(clock())
}

/// A runtime with one thread: this one.
pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime needs nothing but memory")
}

/// A topic request.
pub fn new_topic(name: &str, partitions: i32) -> CreateTopics {
    let topic = NewTopic {
        name: name.to_owned(),
        partitions: Some(partitions),
        replication_factor: None,
        assignments: BTreeMap::new(),
        configs: BTreeMap::new(),
    };
    CreateTopics {
        topics: vec![topic],
        validate_only: false,
        default_partitions: 1,
        default_replication_factor: 1,
    }
}

/// A broker in this thread.
pub struct Node {
    /// Where its tasks run.
    pub runtime: Runtime,
    /// The broker.
    pub broker: Broker,
    topic: TopicId,
}

impl Node {
    /// A broker with a topic of so many partitions.
    pub fn new(partitions: i32) -> Self {
        let runtime = runtime();
        let (broker, topic) = runtime.block_on(async {
            let surroundings =
                Surroundings { clock: clock(), rng: Rng::from_seed(5), store: Some(store()) };
            let endpoint = Endpoint { host: "micro".to_owned(), port: 9092 };
            let endpoints = BTreeMap::from([("PLAINTEXT".to_owned(), endpoint)]);
            let config = Arc::new(Config::with([]).expect("defaults are valid"));
            let metrics = telemetry::Registry::new();
            let starting = Broker::start(config, surroundings, endpoints, &metrics);
            let broker = Box::pin(starting).await.expect("a store in memory works");
            let context = Arc::clone(broker.context());
            let created = context.cluster.create_topics(new_topic("t", partitions)).await;
            let created = created.expect("the coordinator is here");
            context.log.caught_up(created.version).await;
            let topic = created.value[0].as_ref().expect("a valid topic").id;
            (broker, topic)
        });
        Self { runtime, broker, topic }
    }

    /// A partition's name.
    pub fn tp(&self, partition: i32) -> TopicPartition {
        TopicPartition { topic: self.topic, partition }
    }

    /// A partition.
    pub fn partition(&self, partition: i32) -> PartitionHandle {
        let found = self.broker.registry().partition(&self.tp(partition));
        found.expect("it is led here")
    }

    /// Makes everything appended so far stable.
    pub fn flush(&self) {
        let wal = self.broker.registry().wal().expect("a running broker has a chain");
        self.runtime.block_on(async { wal.flush().await.expect("a store in memory works") });
    }

    /// Waits for what takes its steps at once and is then answered when they are stable.
    pub fn stable<T>(&self, work: impl Future<Output = T>) -> T {
        let wal = self.broker.registry().wal().expect("a running broker has a chain");
        let flush = async { wal.flush().await.expect("a store in memory works") };
        self.runtime.block_on(async { futures::future::join(work, flush).await.0 })
    }
}

/// One piece.
pub fn joined(pieces: &[Bytes]) -> Bytes {
    Bytes::from(pieces.concat())
}
