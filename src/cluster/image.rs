//! The cluster's metadata as last heard from a coordinator: one immutable snapshot, shared by everything that answers.
//!
//! Images are applied only in the order of [`Image::order`], from whichever coordinator they come (law 8).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::config::{ConfigResource, live_defaults};
use crate::base::ids::{BrokerId, ChainId, Incarnation, LeaderEpoch, TopicId, TopicPartition};
use crate::base::offset::Offset;
use crate::manifest::client::{Endpoint, EpochStart};

/// A snapshot of the metadata.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Image {
    /// `cluster.id`.
    pub cluster_id: String,
    /// The coordinator's term: grows with each coordinator.
    pub term: u64,
    /// Grows with each change, across terms too: a call that returns version v is visible in images of v and above.
    pub version: u64,
    /// Registered brokers, by id.
    pub brokers: BTreeMap<BrokerId, BrokerImage>,
    /// All topics, those being deleted included: their leaders must see them. [`Image::topic_by_id`] hides them.
    pub topics: BTreeMap<TopicId, Arc<TopicImage>>,
    /// Names of the topics that are not being deleted.
    pub names: BTreeMap<String, TopicId>,
    /// Overrides of resources other than topics.
    pub configs: BTreeMap<ConfigResource, Arc<BTreeMap<String, String>>>,
}

/// A registered broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerImage {
    /// Its id.
    pub id: BrokerId,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// Where clients reach it, by listener name.
    pub listeners: BTreeMap<String, Endpoint>,
    /// The process that holds the identity.
    pub incarnation: Incarnation,
}

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicImage {
    /// Its UUID.
    pub id: TopicId,
    /// Its name.
    pub name: String,
    /// One of Kafka's own topics: see [`super::internal`].
    pub internal: bool,
    /// Being deleted: its leader releases it; nobody else sees it.
    pub deleting: bool,
    /// Overrides only.
    pub configs: BTreeMap<String, String>,
    /// As asked for at creation.
    pub replication_factor: i16,
    /// Partitions by number.
    pub partitions: Vec<PartitionImage>,
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionImage {
    /// Who leads it, if anybody.
    pub leader: Option<BrokerId>,
    /// The chain that leads it: leader, epoch and chain together are the lease.
    pub chain: Option<ChainId>,
    /// The last epoch that was granted; -1 before the first.
    pub leader_epoch: LeaderEpoch,
    /// As Kafka shows replicas; a broker that stands for several is repeated.
    pub replicas: Arc<[BrokerId]>,
    /// Contradicts the manifest: taken offline with an alarm.
    pub offline: bool,
    /// `log_start_offset` as far as the manifest knows it.
    pub log_start: Offset,
    /// The log end offset when the last epoch was granted.
    pub start: Offset,
    /// Epochs with records at or above `log_start`, ascending.
    pub epochs: Arc<[EpochStart]>,
}

const _: () = assert!(size_of::<PartitionImage>() <= 80, "idle partitions are many");

impl Image {
    /// Images and grants apply in this order only.
    #[must_use]
    pub fn order(&self) -> (u64, u64) {
        (self.term, self.version)
    }

    /// The topics of the image `before` that this one does not have any more, by name: they may be there anew.
    #[must_use]
    pub fn gone_since<'a>(&self, before: &'a Self) -> BTreeMap<&'a str, TopicId> {
        let gone = before.names.iter().filter(|(name, id)| self.names.get(*name) != Some(id));
        gone.map(|(name, id)| (name.as_str(), *id)).collect()
    }

    /// The topic of that name, unless it is being deleted.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<&Arc<TopicImage>> {
        self.topics.get(self.names.get(name)?)
    }

    /// The topic with that id, unless it is being deleted.
    #[must_use]
    pub fn topic_by_id(&self, id: TopicId) -> Option<&Arc<TopicImage>> {
        self.topics.get(&id).filter(|topic| !topic.deleting)
    }

    /// The partition, unless its topic is being deleted.
    #[must_use]
    pub fn partition(&self, tp: &TopicPartition) -> Option<&PartitionImage> {
        self.topic_by_id(tp.topic)?.partitions.get(usize::try_from(tp.partition).ok()?)
    }

    /// What clients have changed of a broker's defaults of topic configs, by topic config.
    #[must_use]
    pub fn live_defaults(&self, broker: BrokerId) -> BTreeMap<String, String> {
        let layers = [ConfigResource::Broker(None), ConfigResource::Broker(Some(broker))];
        live_defaults(layers.iter().filter_map(|layer| self.overrides(layer)))
    }

    /// The overrides of a resource: of a topic, or any other.
    #[must_use]
    pub fn overrides(&self, resource: &ConfigResource) -> Option<&BTreeMap<String, String>> {
        match resource {
            ConfigResource::Topic(name) => self.topic(name).map(|topic| &topic.configs),
            other => self.configs.get(other).map(Arc::as_ref),
        }
    }
}
