//! The partitions that this broker leads, as the image says: opened, reconfigured and released in image order.
//!
//! Owns which partitions exist here. Does not own their state (`partition`) or the chain (`wal`). One chain at a time: when
//! it ends, all its partitions end with it, and the node installs the next generation.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::led::Led;
use super::partition::{Partition, PartitionHandle, Start};
use super::producer_state::ProducerStates;
use super::rebuild::Rebuilt;
use super::remote::Remote;
use super::settings::{TopicDefaults, TopicSettings};
use super::txn_index::TransactionIndex;
use super::{Metrics, checkpoint};
use crate::base::backoff::Backoff;
use crate::base::clock::{SharedClock, sleep};
use crate::base::ids::{BrokerId, ChainId, TopicId, TopicPartition};
use crate::base::rng::Rng;
use crate::base::task;
use crate::base::watch;
use crate::cluster::image::{Image, PartitionImage, TopicImage};
use crate::manifest;
use crate::manifest::client::ManifestClient;
use crate::segment::ReleaseReason;
use crate::wal::{BodySource, Wal};

/// What the registry works with.
#[derive(Debug, Clone)]
pub struct RegistryParts {
    /// Who grants and takes back.
    pub manifest: Arc<dyn ManifestClient>,
    /// Reader of what lies in the store.
    pub remote: Remote,
    /// For the expiry of producers.
    pub clock: SharedClock,
    /// Jitter of retries.
    pub rng: Rng,
    /// This broker.
    pub broker: BrokerId,
    /// What topics without overrides use.
    pub defaults: TopicDefaults,
    /// `producer.id.expiration.ms`.
    pub producer_expiration: Duration,
    /// Figures.
    pub metrics: Arc<Metrics>,
}

/// One chain and what it leads.
#[derive(Debug)]
struct Generation {
    wal: Wal,
    partitions: Led,
    /// The topics as last applied, to find what changed.
    topics: BTreeMap<TopicId, Arc<TopicImage>>,
    /// What clients have changed of the defaults of topic configs.
    live: BTreeMap<String, String>,
}

#[derive(Debug)]
struct Inner {
    parts: RegistryParts,
    generation: RwLock<Option<Generation>>,
    applied: watch::Sender<u64>,
    changes: watch::Sender<u64>,
}

/// The partitions led here.
#[derive(Debug, Clone)]
pub struct Registry(Arc<Inner>);

impl Registry {
    /// An empty registry: everything answers that it is not led here.
    #[must_use]
    pub fn new(parts: RegistryParts) -> Self {
        Self(Arc::new(Inner {
            parts,
            generation: RwLock::default(),
            applied: watch::Sender::new(0),
            changes: watch::Sender::new(0),
        }))
    }

    /// News that partitions may have been opened or closed here.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// The reader of the store.
    #[must_use]
    pub fn remote(&self) -> &Remote {
        &self.0.parts.remote
    }

    /// The partition, if it is led here.
    #[must_use]
    pub fn partition(&self, tp: &TopicPartition) -> Option<PartitionHandle> {
        self.read(|generation| generation.partitions.get(tp).cloned()).flatten()
    }

    /// The chain in use.
    #[must_use]
    pub fn wal(&self) -> Option<Wal> {
        self.read(|generation| generation.wal.clone())
    }

    /// Whether a fence ended the chain in use: see [`Wal::is_fenced`].
    #[must_use]
    pub fn is_fenced(&self) -> bool {
        self.read(|generation| generation.wal.is_fenced()).unwrap_or(false)
    }

    /// All partitions, in order.
    #[must_use]
    pub fn partitions(&self) -> Vec<PartitionHandle> {
        self.read(|generation| generation.partitions.iter().cloned().collect()).unwrap_or_default()
    }

    fn read<T>(&self, look: impl FnOnce(&Generation) -> T) -> Option<T> {
        self.0.generation.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(look)
    }

    /// Waits until everything that the image of `version` says is in force here. Cancel-safe.
    pub async fn caught_up(&self, version: u64) {
        let mut applied = self.0.applied.subscribe();
        // The sender lives as long as self.
        let _ = applied.wait_for(|applied| *applied >= version).await;
    }

    /// Starts to lead `rebuilt` on a new chain, in place of whatever was led before.
    ///
    /// `image` is one that was taken before the leases were acquired, or after; it is applied before this returns.
    pub fn install(&self, wal: &Wal, rebuilt: Vec<Rebuilt>, image: &Image) {
        let defaults = &self.0.parts.defaults;
        let live = image.live_defaults(self.0.parts.broker);
        let partitions = rebuilt.into_iter().map(|rebuilt| {
            let tp = rebuilt.lease.tp;
            let settings = Arc::new(match image.topics.get(&tp.topic) {
                Some(topic) => TopicSettings::over(&live, &topic.configs, topic.internal, defaults),
                None => TopicSettings::over(&live, &BTreeMap::new(), false, defaults),
            });
            let metrics = Arc::clone(&self.0.parts.metrics);
            Partition::new(tp, wal.clone(), metrics, start_of(rebuilt, settings))
        });
        let generation = Generation {
            wal: wal.clone(),
            partitions: partitions.collect(),
            topics: BTreeMap::new(),
            live: live.clone(),
        };
        let mut current = self.0.generation.write().unwrap_or_else(PoisonError::into_inner);
        let before = current.replace(generation);
        drop(current);
        if let Some(before) = before {
            before.close();
        }
        self.apply(image);
        task::spawn("log-wake", self.clone().follow_chain(wal.clone()));
        task::spawn("log-checkpoint", checkpoint::run(self.clone(), wal.clone()));
    }

    /// Applies images as they come, until their source is gone.
    pub async fn follow_images(self, mut images: watch::Receiver<Arc<Image>>) {
        loop {
            let image = Arc::clone(&images.borrow_and_update());
            self.apply(&image);
            if images.changed().await.is_err() {
                return;
            }
        }
    }

    fn apply(&self, image: &Image) {
        let mut current = self.0.generation.write().unwrap_or_else(PoisonError::into_inner);
        let Some(generation) = current.as_mut() else { return };
        let mut deleting = Vec::new();
        let live = image.live_defaults(self.0.parts.broker);
        let all_anew = live != generation.live;
        generation.live = live;
        for (id, topic) in &image.topics {
            let before = generation.topics.get(id);
            if !all_anew && before.is_some_and(|before| Arc::ptr_eq(before, topic)) {
                continue;
            }
            let newly_deleting = topic.deleting && before.is_none_or(|before| !before.deleting);
            if newly_deleting {
                deleting.extend(generation.led_of(topic));
            } else if !topic.deleting {
                generation.apply_topic(topic, &self.0.parts);
            }
            generation.topics.insert(*id, Arc::clone(topic));
        }
        generation.forget_topics(image);
        self.0
            .parts
            .metrics
            .partitions
            .set(i64::try_from(generation.partitions.len()).unwrap_or(i64::MAX));
        let wal = generation.wal.clone();
        drop(current);
        if !deleting.is_empty() {
            task::spawn("log-release", self.clone().give_back(wal, deleting));
        }
        self.0.applied.send_if_modified(|applied| {
            let newer = image.version > *applied;
            *applied = image.version.max(*applied);
            newer
        });
        self.0.changes.send_modify(|changes| *changes += 1);
    }

    /// Ends the leases of partitions whose topic is being deleted, and tells the coordinator once that is stable.
    async fn give_back(self, wal: Wal, partitions: Vec<TopicPartition>) {
        let mut released = Vec::new();
        for tp in &partitions {
            // A partition that was never opened here has nothing to release.
            let Some(partition) = self.partition(tp) else { continue };
            if let Ok(stable) = partition.release(ReleaseReason::Deleted) {
                released.push(stable);
            }
        }
        for stable in released {
            if stable.wait().await.is_err() {
                // The chain ended: its recovery gives the leases back.
                return;
            }
        }
        let parts = &self.0.parts;
        let mut backoff =
            Backoff::new(Duration::from_millis(50), Duration::from_secs(5), parts.rng.clone());
        while let Err(error) = parts.manifest.released(wal.chain(), partitions.clone()).await {
            if error != manifest::Error::Unavailable {
                tracing::warn!(%error, "release of deleted partitions was refused");
                return;
            }
            sleep(backoff.next_delay()).await;
        }
    }

    /// Wakes fetches that wait on partitions with news, slot by slot, until the chain ends.
    async fn follow_chain(self, wal: Wal) {
        let mut progress = wal.progress();
        let mut seen = 0;
        loop {
            let now = *progress.borrow_and_update();
            for slot in seen..now.stable {
                self.wake(&wal, crate::base::ids::SlotId(slot));
            }
            seen = now.stable;
            if now.ended.is_some() {
                self.close_with(&wal);
                return;
            }
            if progress.changed().await.is_err() {
                return;
            }
        }
    }

    /// Closes what `wal` led, unless the next generation is installed already.
    fn close_with(&self, wal: &Wal) {
        let generation = self.0.generation.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(generation) = generation.as_ref().filter(|now| now.wal.chain() == wal.chain()) {
            generation.close();
            tracing::info!(chain = %wal.chain(), "partitions closed with their chain");
        }
    }

    fn wake(&self, wal: &Wal, slot: crate::base::ids::SlotId) {
        let index = match wal.source(slot) {
            BodySource::Memory(tail) => Arc::clone(&tail.index),
            BodySource::Store(index) => index,
            // This task is far behind: waiting fetches time out, and look again by themselves.
            BodySource::Manifest => return,
        };
        for tp in index.partitions() {
            if let Some(partition) = self.partition(&tp) {
                partition.lock().waiters.wake();
            }
        }
    }

    /// Writes checkpoints of `partitions` anew: their old ones hold back the collector.
    pub fn checkpoint(&self, partitions: &[TopicPartition]) {
        for partition in partitions.iter().filter_map(|tp| self.partition(tp)) {
            if let Err(error) = partition.checkpoint() {
                tracing::debug!(tp = %partition.tp, %error, "no checkpoint");
            }
        }
    }

    /// Forgets producers that have been idle for longer than `producer.id.expiration.ms`.
    pub(super) fn expire_producers(&self) {
        let idle = i64::try_from(self.0.parts.producer_expiration.as_millis()).unwrap_or(i64::MAX);
        let before = crate::base::clock::Timestamp(self.0.parts.clock.now().0.saturating_sub(idle));
        for partition in self.partitions() {
            partition.expire_producers(before);
        }
    }
}

impl Generation {
    /// The partitions of `topic` that this chain leads.
    fn led_of(&self, topic: &TopicImage) -> Vec<TopicPartition> {
        led(topic, self.wal.chain()).map(|(tp, _)| tp).collect()
    }

    fn apply_topic(&mut self, topic: &TopicImage, parts: &RegistryParts) {
        let (configs, internal) = (&topic.configs, topic.internal);
        let settings = TopicSettings::over(&self.live, configs, internal, &parts.defaults);
        let settings = Arc::new(settings);
        for (tp, image) in led(topic, self.wal.chain()) {
            if let Some(partition) = self.partitions.get(&tp) {
                partition.set_settings(Arc::clone(&settings));
                partition.advance_log_start(image.log_start);
                continue;
            }
            // Leases with a history come with `install`; what an image alone brings is new and empty.
            if image.start.0 != 0 || image.offline {
                tracing::error!(%tp, start = %image.start, "partition with a history was granted without its state");
                continue;
            }
            let start = Start {
                log_start: image.log_start,
                end: image.start,
                epochs: Arc::clone(&image.epochs),
                leader_epoch: image.leader_epoch,
                producers: ProducerStates::default(),
                aborted: TransactionIndex::default(),
                settings: Arc::clone(&settings),
                offline: false,
            };
            let metrics = Arc::clone(&parts.metrics);
            self.partitions.insert(Partition::new(tp, self.wal.clone(), metrics, start));
        }
    }

    /// Drops the partitions of topics that are gone.
    fn forget_topics(&mut self, image: &Image) {
        let gone: Vec<TopicId> =
            self.topics.keys().filter(|id| !image.topics.contains_key(id)).copied().collect();
        for id in gone {
            self.topics.remove(&id);
            self.partitions.remove_topic(id).for_each(|partition| partition.close());
        }
    }

    fn close(&self) {
        for partition in self.partitions.iter() {
            partition.close();
        }
    }
}

fn led(
    topic: &TopicImage,
    chain: ChainId,
) -> impl Iterator<Item = (TopicPartition, &PartitionImage)> {
    (0_i32..)
        .zip(&topic.partitions)
        .filter(move |(_, image)| image.chain == Some(chain))
        .map(|(number, image)| (TopicPartition { topic: topic.id, partition: number }, image))
}

fn start_of(rebuilt: Rebuilt, settings: Arc<TopicSettings>) -> Start {
    let whole = rebuilt.is_whole();
    let Rebuilt { lease, producers, aborted, .. } = rebuilt;
    if !whole {
        tracing::error!(tp = %lease.tp, start = %lease.start, "rebuilt end differs from the granted one: partition is offline");
    }
    Start {
        log_start: lease.log_start,
        end: lease.start,
        epochs: lease.epochs,
        leader_epoch: lease.leader_epoch,
        producers,
        aborted,
        settings,
        offline: !whole,
    }
}
