//! Brokers, topics and leaders, as the cluster tells.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt as _;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::connection::Connection;
use super::{Client, check};
use crate::client::{Code, Error};
use crate::config::Address;

/// A cluster as one of its brokers tells it.
#[derive(Debug, Clone)]
pub struct Metadata {
    /// The cluster's id.
    pub cluster_id: String,
    /// The broker that takes changes, if there is one.
    pub controller: Option<i32>,
    /// Brokers by number.
    pub brokers: Vec<Broker>,
    /// Topics by name; those with an error of their own are not among them.
    pub topics: Vec<Topic>,
}

/// One broker.
#[derive(Debug, Clone)]
pub struct Broker {
    /// Its number.
    pub id: i32,
    /// Where it says that it is.
    pub address: Address,
    /// Its zone.
    pub rack: Option<String>,
}

/// One topic.
#[derive(Debug, Clone)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Its UUID; nil where the broker is too old to tell.
    pub id: uuid::Uuid,
    /// Whether it belongs to the brokers.
    pub is_internal: bool,
    /// Its partitions by number.
    pub partitions: Vec<Partition>,
}

/// One partition.
#[derive(Debug, Clone)]
pub struct Partition {
    /// Its number.
    pub index: i32,
    /// The broker that leads it, if one does.
    pub leader: Option<i32>,
    /// The leader's epoch.
    pub leader_epoch: i32,
    /// Brokers with a copy.
    pub replicas: Vec<i32>,
    /// Those of them that are in sync.
    pub in_sync: Vec<i32>,
}

/// The newest version that names topics in every field that is used here.
const NEWEST: i16 = 12;

pub(super) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(super) fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}

impl Client {
    /// Every topic.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn metadata(&self) -> Result<Metadata, Error> {
        self.retrying(|| self.refresh(None, false).boxed()).await
    }

    /// One topic; `create` lets the broker create it if it does so by itself.
    ///
    /// # Errors
    /// [`Error::Refused`] with UNKNOWN_TOPIC_OR_PARTITION when there is none.
    pub async fn topic(&self, name: &str, create: bool) -> Result<Topic, Error> {
        if let Some(topic) = self.known().topics.get(name) {
            return Ok(topic.clone());
        }
        if create {
            return self.retrying(|| self.find(name, true).boxed()).await;
        }
        // Kafka calls an unknown topic retriable, since it may be about to be created; people want to know at once.
        let once = || {
            async {
                match self.find(name, false).await {
                    Err(error) if error.code() == Some(Code::UNKNOWN_TOPIC) => Ok(Err(error)),
                    other => other.map(Ok),
                }
            }
            .boxed()
        };
        self.retrying(once).await?
    }

    async fn find(&self, name: &str, create: bool) -> Result<Topic, Error> {
        let metadata = self.refresh(Some(&[name]), create).await?;
        let topic = metadata.topics.into_iter().find(|topic| topic.name == name);
        topic.ok_or_else(|| check(Code::UNKNOWN_TOPIC, None).expect_err("a code"))
    }

    /// Asks any broker, and remembers what it says. An error of a topic that was asked for is returned.
    pub(super) async fn refresh(
        &self,
        topics: Option<&[&str]>,
        create: bool,
    ) -> Result<Metadata, Error> {
        let connection = self.any().await?;
        let version = connection.version::<MetadataRequest>(NEWEST)?;
        let asked = topics.map(|names| {
            let one =
                |name: &&str| MetadataRequestTopic::default().with_name(Some(topic_name(name)));
            names.iter().map(one).collect()
        });
        let request = MetadataRequest::default()
            .with_topics(asked)
            .with_allow_auto_topic_creation(create || version < 4);
        let answer = connection.ask(&request, version).await?;
        self.remember(answer, topics.is_some())
    }

    fn remember(&self, answer: MetadataResponse, asked: bool) -> Result<Metadata, Error> {
        let broker = |one: kafka_protocol::messages::metadata_response::MetadataResponseBroker| {
            let port = u16::try_from(one.port).unwrap_or_default();
            Broker {
                id: one.node_id.0,
                address: Address { host: one.host.to_string(), port },
                rack: one.rack.map(|rack| rack.to_string()),
            }
        };
        let mut brokers: Vec<Broker> = answer.brokers.into_iter().map(broker).collect();
        brokers.sort_by_key(|broker| broker.id);
        let controller = Some(answer.controller_id.0).filter(|id| *id >= 0);
        let mut topics = Vec::new();
        let mut failed = None;
        for one in answer.topics {
            match check(one.error_code, None) {
                Ok(()) => topics.push(topic(one)),
                Err(error) => failed = Some(error),
            }
        }
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        let mut known = self.known();
        known.brokers = brokers.iter().map(|one| (one.id, one.address.clone())).collect();
        known.controller = controller;
        known.topics.extend(topics.iter().map(|topic| (topic.name.clone(), topic.clone())));
        drop(known);
        if let Some(error) = failed.filter(|_| asked) {
            return Err(error);
        }
        let cluster_id = answer.cluster_id.map(|id| id.to_string()).unwrap_or_default();
        Ok(Metadata { cluster_id, controller, brokers, topics })
    }

    /// Connections to the leaders of `partitions`, each with those that it leads.
    ///
    /// # Errors
    /// [`Error::NoPartition`]; a retriable one when a partition has no leader now.
    pub(super) async fn leaders<T>(
        &self,
        topic: &Topic,
        partitions: Vec<(i32, T)>,
    ) -> Result<Vec<(Arc<Connection>, Vec<(i32, T)>)>, Error> {
        let mut by_leader: BTreeMap<i32, Vec<(i32, T)>> = BTreeMap::new();
        for (index, what) in partitions {
            let leader = topic.leader(index)?;
            by_leader.entry(leader).or_default().push((index, what));
        }
        let mut all = Vec::new();
        for (leader, partitions) in by_leader {
            let address = self.known().brokers.get(&leader).cloned();
            let address = address.ok_or_else(no_leader)?;
            all.push((self.connection(&address).await?, partitions));
        }
        Ok(all)
    }
}

/// LEADER_NOT_AVAILABLE, as a broker would say it.
fn no_leader() -> Error {
    check(5, None).expect_err("a code")
}

impl Topic {
    fn leader(&self, index: i32) -> Result<i32, Error> {
        let partition = self.partitions.iter().find(|partition| partition.index == index);
        let missing = || Error::NoPartition { topic: self.name.clone(), partition: index };
        partition.ok_or_else(missing)?.leader.ok_or_else(no_leader)
    }
}

fn topic(one: MetadataResponseTopic) -> Topic {
    let numbers =
        |ids: Vec<kafka_protocol::messages::BrokerId>| ids.into_iter().map(|id| id.0).collect();
    let mut partitions: Vec<Partition> = one
        .partitions
        .into_iter()
        .map(|partition| Partition {
            index: partition.partition_index,
            leader: Some(partition.leader_id.0).filter(|id| *id >= 0),
            leader_epoch: partition.leader_epoch,
            replicas: numbers(partition.replica_nodes),
            in_sync: numbers(partition.isr_nodes),
        })
        .collect();
    partitions.sort_by_key(|partition| partition.index);
    Topic {
        name: one.name.map(|name| name.to_string()).unwrap_or_default(),
        id: one.topic_id,
        is_internal: one.is_internal,
        partitions,
    }
}
