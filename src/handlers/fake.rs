//! A cluster for the tests of handlers: an image to show, and a record of what was asked of the coordinator.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use uuid::Uuid;

use super::scope::Scope;
use crate::base::ids::{BrokerId, Incarnation, LeaderEpoch, ProducerId, TopicId};
use crate::base::offset::Offset;
use crate::base::watch;
use crate::cluster::client::{
    ClusterClient, ConfigChange, CreateTopics, CreatedTopic, DeletedTopic, Each, MorePartitions,
    ProducerIdBlock, TopicRef, Visible,
};
use crate::cluster::error::{Error, Refusal};
use crate::cluster::image::{BrokerImage, Image, PartitionImage, TopicImage};
use crate::cluster::internal::{CONSUMER_OFFSETS, SHARE_GROUP_STATE, TRANSACTION_STATE};
use crate::config::Config;
use crate::manifest::client::Endpoint;
use crate::state_topic::TopicSpec;

/// Says yes to what the image allows.
#[derive(Debug)]
pub(super) struct Fake {
    image: watch::Sender<Arc<Image>>,
    config: Config,
    internal: [TopicSpec; 3],
    asked: Mutex<Vec<String>>,
}

impl Fake {
    /// Broker 1 with a listener PLAINTEXT, and topics of these names and partitions; the first has the overrides.
    pub(super) fn new(topics: &[(&str, usize)], overrides: &[(&str, &str)]) -> Self {
        let mut image = Image { cluster_id: "test".to_owned(), version: 7, ..Image::default() };
        let endpoint = Endpoint { host: "localhost".to_owned(), port: 9092 };
        let broker = BrokerImage {
            id: BrokerId(1),
            rack: None,
            listeners: BTreeMap::from([("PLAINTEXT".to_owned(), endpoint)]),
            incarnation: Incarnation(Uuid::nil()),
        };
        image.brokers.insert(BrokerId(1), broker);
        let mut overrides: BTreeMap<String, String> =
            overrides.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        for (number, (name, partitions)) in (1..).zip(topics) {
            let id = TopicId(Uuid::from_u128(number));
            let topic = TopicImage {
                id,
                name: (*name).to_owned(),
                internal: false,
                deleting: false,
                configs: std::mem::take(&mut overrides),
                replication_factor: 1,
                partitions: vec![partition(); *partitions],
            };
            image.topics.insert(id, Arc::new(topic));
            image.names.insert((*name).to_owned(), id);
        }
        let config = Config::with([]).expect("defaults are valid");
        let internal = [CONSUMER_OFFSETS, TRANSACTION_STATE, SHARE_GROUP_STATE].map(|name| {
            let configs = BTreeMap::new();
            TopicSpec { name, partitions: 50, replication_factor: 1, configs }
        });
        let image = watch::Sender::new(Arc::new(image));
        Self { image, config, internal, asked: Mutex::default() }
    }

    pub(super) fn with_settings(mut self, settings: &[(&str, &str)]) -> Self {
        self.config = Config::with(settings.iter().copied()).expect("valid settings");
        self
    }

    /// What broker 1 answers a client of its listener with.
    pub(super) fn scope(&self) -> Scope<'_> {
        Scope {
            cluster: self,
            config: &self.config,
            broker: BrokerId(1),
            listener: "PLAINTEXT",
            image: Arc::clone(&self.image.borrow()),
            internal: self.internal.each_ref(),
        }
    }

    /// What the coordinator was asked, since the last call.
    pub(super) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, what: String) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    fn each<A, T>(
        &self,
        asked: Vec<A>,
        answer: impl Fn(&Image, A) -> Result<T, Refusal>,
    ) -> Result<Each<T>, Error> {
        let image = Arc::clone(&self.image.borrow());
        let value = asked.into_iter().map(|one| answer(&image, one)).collect();
        Ok(Visible { value, version: image.version + 1 })
    }
}

fn partition() -> PartitionImage {
    PartitionImage {
        leader: Some(BrokerId(1)),
        chain: None,
        leader_epoch: LeaderEpoch(4),
        replicas: [BrokerId(1)].into(),
        offline: false,
        log_start: Offset::ZERO,
        start: Offset::ZERO,
        epochs: [].into(),
    }
}

fn known(image: &Image, name: &str) -> Result<(), Refusal> {
    let unknown = || Refusal::UnknownTopicName { name: name.to_owned() };
    image.topic(name).map(|_| ()).ok_or_else(unknown)
}

#[async_trait]
impl ClusterClient for Fake {
    fn image(&self) -> watch::Receiver<Arc<Image>> {
        self.image.subscribe()
    }

    async fn create_topics(&self, request: CreateTopics) -> Result<Each<CreatedTopic>, Error> {
        self.each(request.topics, |image, topic| {
            self.note(format!("create {} {:?}", topic.name, topic.partitions));
            if known(image, &topic.name).is_ok() {
                return Err(Refusal::TopicExists { name: topic.name });
            }
            Ok(CreatedTopic {
                name: topic.name,
                id: TopicId(Uuid::from_u128(99)),
                partitions: topic.partitions.unwrap_or(request.default_partitions),
                replication_factor: topic.replication_factor.unwrap_or(1),
                configs: topic.configs,
            })
        })
    }

    async fn delete_topics(&self, topics: Vec<TopicRef>) -> Result<Each<DeletedTopic>, Error> {
        self.each(topics, |image, topic| {
            self.note(format!("delete {topic:?}"));
            match topic {
                TopicRef::Name(name) => {
                    known(image, &name)?;
                    Ok(DeletedTopic { id: image.names[&name], name })
                }
                TopicRef::Id(id) => {
                    let topic = image.topic_by_id(id).ok_or(Refusal::UnknownTopicId { id })?;
                    Ok(DeletedTopic { name: topic.name.clone(), id })
                }
            }
        })
    }

    async fn create_partitions(
        &self,
        parts: Vec<MorePartitions>,
        _validate_only: bool,
    ) -> Result<Each<i32>, Error> {
        self.each(parts, |image, part| {
            self.note(format!("grow {} to {}", part.topic, part.count));
            known(image, &part.topic).map(|()| part.count)
        })
    }

    async fn alter_configs(
        &self,
        parts: Vec<ConfigChange>,
        _validate_only: bool,
    ) -> Result<Each<()>, Error> {
        self.each(parts, |image, part| {
            self.note(format!("alter {:?} {:?}", part.resource, part.change));
            match &part.resource {
                crate::cluster::config::ConfigResource::Topic(name) => known(image, name),
                _ => Ok(()),
            }
        })
    }

    async fn allocate_producer_ids(&self) -> Result<ProducerIdBlock, Error> {
        Ok(ProducerIdBlock { first: ProducerId(1000), count: 1000 })
    }
}
