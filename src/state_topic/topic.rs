//! A state topic: created on first use, its led partitions opened and closed as the registry's leases change.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::Error;
use super::machine::Machine;
use super::place::partition_for;
use super::shard::{Shard, ShardHandle};
use crate::base::clock::SharedClock;
use crate::base::ids::{BrokerId, TopicId, TopicPartition};
use crate::base::rng::Rng;
use crate::base::task;
use crate::base::watch;
use crate::cluster::client::{ClusterClient, CreateTopics, NewTopic};
use crate::cluster::error::Refusal;
use crate::cluster::image::{Image, TopicImage};
use crate::log::{self, EndMarker, PartitionHandle, Registry};
use crate::manifest::client::ManifestClient;
use crate::wal::Stable;

/// How long a request waits for the topic's creation.
const CREATED_WITHIN: Duration = Duration::from_secs(5);

/// What a state topic works with.
#[derive(Debug, Clone)]
pub struct Parts {
    /// Creates the topic, and shows who leads it.
    pub cluster: Arc<dyn ClusterClient>,
    /// The partitions led here.
    pub registry: Registry,
    /// Moves log starts.
    pub manifest: Arc<dyn ManifestClient>,
    /// Wall clock.
    pub clock: SharedClock,
    /// Jitter of retries.
    pub rng: Rng,
    /// A partition's log may hold at least so many bytes of garbage before its live state is copied forward.
    pub garbage_bytes_min: u64,
}

/// How the topic is created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: &'static str,
    /// How many partitions.
    pub partitions: i32,
    /// As it is reported.
    pub replication_factor: i16,
    /// Its overrides.
    pub configs: BTreeMap<String, String>,
}

impl TopicSpec {
    /// What the coordinator is asked for.
    #[must_use]
    pub fn new_topic(&self) -> NewTopic {
        NewTopic {
            name: self.name.to_owned(),
            partitions: Some(self.partitions),
            replication_factor: Some(self.replication_factor),
            assignments: BTreeMap::new(),
            configs: self.configs.clone(),
        }
    }
}

struct Inner<M> {
    parts: Arc<Parts>,
    spec: TopicSpec,
    make: Box<dyn Fn(i32) -> M + Send + Sync>,
    start: Instant,
    shards: Mutex<BTreeMap<i32, ShardHandle<M>>>,
    stopped: AtomicBool,
}

/// A state topic. Clones share it.
pub struct StateTopic<M>(Arc<Inner<M>>);

/// A state topic, for tasks that must not keep it.
pub struct WeakTopic<M>(Weak<Inner<M>>);

impl<M> WeakTopic<M> {
    /// The topic, if anybody still serves it.
    #[must_use]
    pub fn upgrade(&self) -> Option<StateTopic<M>> {
        self.0.upgrade().map(StateTopic)
    }
}

impl<M> std::fmt::Debug for WeakTopic<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WeakTopic")
    }
}

impl<M> Clone for StateTopic<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M> std::fmt::Debug for StateTopic<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("StateTopic").field(&self.0.spec.name).finish()
    }
}

impl<M: Machine> StateTopic<M> {
    /// Serves the topic of `spec`, whose partitions' machines `make` makes empty.
    ///
    /// Partitions that are led here already, or will be, are opened without being asked for: their timers run.
    #[must_use]
    pub fn start(
        parts: Parts,
        spec: TopicSpec,
        make: impl Fn(i32) -> M + Send + Sync + 'static,
    ) -> Self {
        let topic = Self(Arc::new(Inner {
            parts: Arc::new(parts),
            spec,
            make: Box::new(make),
            start: Instant::now(),
            shards: Mutex::default(),
            stopped: AtomicBool::new(false),
        }));
        let changes = topic.0.parts.registry.changes();
        task::spawn("state-topic", follow_leases(Arc::downgrade(&topic.0), changes));
        topic
    }

    /// The topic, for tasks that must not keep it.
    #[must_use]
    pub fn downgrade(&self) -> WeakTopic<M> {
        WeakTopic(Arc::downgrade(&self.0))
    }

    /// Lets go of every request that waits, and answers no more: the broker is about to stop.
    pub fn stop(&self) {
        self.0.stopped.store(true, Ordering::SeqCst);
        for shard in std::mem::take(&mut *self.shards_mut()).into_values() {
            shard.close();
        }
    }

    /// The topic's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.spec.name
    }

    /// How the topic is created.
    #[must_use]
    pub fn spec(&self) -> &TopicSpec {
        &self.0.spec
    }

    fn image(&self) -> Arc<Image> {
        Arc::clone(&self.0.parts.cluster.image().borrow())
    }

    fn shards_mut(&self) -> MutexGuard<'_, BTreeMap<i32, ShardHandle<M>>> {
        self.0.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The topic, created if it does not exist.
    ///
    /// # Errors
    /// [`Error::NotAvailable`]: the coordinator did not answer in time; the topic may come into being yet.
    pub async fn ensure(&self) -> Result<Arc<TopicImage>, Error> {
        if let Some(topic) = self.image().topic(self.0.spec.name) {
            return Ok(Arc::clone(topic));
        }
        let created = tokio::time::timeout(CREATED_WITHIN, self.create()).await;
        created.map_err(|_| Error::NotAvailable)??;
        self.image().topic(self.0.spec.name).cloned().ok_or(Error::NotAvailable)
    }

    async fn create(&self) -> Result<(), Error> {
        let Inner { parts, spec, .. } = &*self.0;
        let request = CreateTopics {
            topics: vec![spec.new_topic()],
            validate_only: false,
            default_partitions: spec.partitions,
            default_replication_factor: spec.replication_factor,
        };
        let created =
            parts.cluster.create_topics(request).await.map_err(|_| Error::NotAvailable)?;
        for refusal in created.value.into_iter().filter_map(Result::err) {
            // Another request was faster.
            if !matches!(refusal, Refusal::TopicExists { .. }) {
                tracing::error!(topic = spec.name, %refusal, "internal topic could not be created");
                return Err(Error::NotAvailable);
            }
        }
        parts.registry.caught_up(created.version).await;
        Ok(())
    }

    /// Who leads the partition of `key`, if anybody. The topic is created if it does not exist.
    ///
    /// # Errors
    /// [`Error::NotAvailable`].
    pub async fn leader_of(&self, key: &str) -> Result<Option<BrokerId>, Error> {
        let topic = self.ensure().await?;
        let index = place(&topic, key);
        let place = usize::try_from(index).ok().and_then(|index| topic.partitions.get(index));
        Ok(place.and_then(|partition| partition.leader))
    }

    /// The shard that holds `key`.
    ///
    /// # Errors
    /// [`Error::NotCoordinator`]: it is not led here.
    pub fn shard_of(&self, key: &str) -> Result<ShardHandle<M>, Error> {
        let image = self.image();
        let topic = image.topic(self.0.spec.name).ok_or(Error::NotCoordinator)?;
        self.shard(topic, place(topic, key))
    }

    /// The shard of the partition of that number.
    ///
    /// # Errors
    /// [`Error::NotCoordinator`]: it is not led here.
    pub fn shard_at(&self, index: i32) -> Result<ShardHandle<M>, Error> {
        let image = self.image();
        let topic = image.topic(self.0.spec.name).ok_or(Error::NotCoordinator)?;
        self.shard(topic, index)
    }

    fn shard(&self, topic: &TopicImage, index: i32) -> Result<ShardHandle<M>, Error> {
        let tp = TopicPartition { topic: topic.id, partition: index };
        let partition = self.0.parts.registry.partition(&tp).ok_or(Error::NotCoordinator)?;
        self.open(index, partition)
    }

    /// The shards that are led here, in the order of their numbers.
    #[must_use]
    pub fn shards(&self) -> Vec<ShardHandle<M>> {
        self.shards_mut().values().filter(|shard| !shard.is_closed()).cloned().collect()
    }

    /// The shard of a partition that is led here: the one that exists, or a new one.
    fn open(&self, index: i32, partition: PartitionHandle) -> Result<ShardHandle<M>, Error> {
        let offsets = partition.offsets().map_err(Error::from)?;
        let mut shards = self.shards_mut();
        if self.0.stopped.load(Ordering::SeqCst) {
            return Err(Error::NotCoordinator);
        }
        let before = shards.get(&index);
        if let Some(shard) = before.filter(|shard| Arc::ptr_eq(shard.partition(), &partition))
            && !shard.is_closed()
        {
            return Ok(Arc::clone(shard));
        }
        let shard = Shard::new(index, partition, Arc::clone(&self.0.parts), self.0.start);
        let before = shards.insert(index, Arc::clone(&shard));
        if offsets.log_start == offsets.log_end {
            // There is nothing to replay: whoever just created the topic need not try again.
            shard.install((self.0.make)(index), 0);
        }
        drop(shards);
        if let Some(before) = before {
            before.close();
        }
        let make = self.clone();
        task::spawn("state-shard", Arc::clone(&shard).run(move || (make.0.make)(index)));
        Ok(shard)
    }

    /// Opens what is led here, and closes what is not.
    fn apply_leases(&self) {
        let image = self.image();
        let Some(topic) = image.topic(self.0.spec.name) else { return };
        let mut led = Vec::new();
        for index in (0_i32..).take(topic.partitions.len()) {
            if self.shard(topic, index).is_ok() {
                led.push(index);
            }
        }
        let mut shards = self.shards_mut();
        let gone: Vec<i32> =
            shards.keys().filter(|index| led.binary_search(index).is_err()).copied().collect();
        let gone: Vec<_> = gone.iter().filter_map(|index| shards.remove(index)).collect();
        drop(shards);
        for shard in gone {
            shard.close();
        }
    }
}

/// Follows the registry until it or the topic is gone. Holds neither: a stopped node lets its store go.
async fn follow_leases<M: Machine>(topic: Weak<Inner<M>>, mut changes: watch::Receiver<u64>) {
    loop {
        changes.borrow_and_update();
        match topic.upgrade() {
            Some(topic) => StateTopic(topic).apply_leases(),
            None => return,
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// A state topic whose machines take part in clients' transactions.
pub trait MarkerTarget: std::fmt::Debug + Send + Sync {
    /// The topic's name.
    fn topic(&self) -> &'static str;

    /// Ends a transaction in a partition, in the log and in its machine in one step. Resolves when that is stable; none: it
    /// has been for long.
    ///
    /// # Errors
    /// Those of the log; [`log::Error::NotLeader`] also while the machine is being rebuilt: nothing was written.
    fn end_transaction(
        &self,
        partition: i32,
        marker: &EndMarker,
    ) -> Result<Option<Stable>, log::Error>;
}

impl<M: Machine> MarkerTarget for StateTopic<M> {
    fn topic(&self) -> &'static str {
        self.name()
    }

    fn end_transaction(
        &self,
        partition: i32,
        marker: &EndMarker,
    ) -> Result<Option<Stable>, log::Error> {
        let shard = self.shard_at(partition).map_err(|_| {
            let topic = self.image().topic(self.name()).map_or(TopicId(Uuid::nil()), |t| t.id);
            log::Error::NotLeader { tp: TopicPartition { topic, partition } }
        })?;
        shard.end_transaction(marker)
    }
}

fn place(topic: &TopicImage, key: &str) -> i32 {
    let partitions = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
    partition_for(key, partitions.max(1))
}
