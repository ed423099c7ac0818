//! Transactions: listed, described, looked for in partitions, and ended there by hand.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt as _;
use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::write_txn_markers_request::{
    WritableTxnMarker, WritableTxnMarkerTopic,
};
use kafka_protocol::messages::{
    DescribeProducersRequest, DescribeTransactionsRequest, FindCoordinatorRequest,
    ListTransactionsRequest, ProducerId, TransactionalId, WriteTxnMarkersRequest,
};

use super::cluster::{text, topic_name};
use super::connection::Connection;
use super::{Client, Topic, check};
use crate::base::clock::Timestamp;
use crate::base::offset::Offset;
use crate::client::Error;

/// Kafka's number for transactions among the kinds of coordinators.
const TRANSACTION: i8 = 1;

/// A transactional id as its coordinator lists it.
#[derive(Debug, Clone)]
pub struct ListedTransaction {
    /// The id.
    pub id: String,
    /// The broker that coordinates it.
    pub coordinator: i32,
    /// Its producer.
    pub producer_id: i64,
    /// Kafka's name of its state.
    pub state: String,
}

/// A transactional id in full.
#[derive(Debug, Clone)]
pub struct DescribedTransaction {
    /// The id.
    pub id: String,
    /// Its producer.
    pub producer_id: i64,
    /// The producer's epoch.
    pub producer_epoch: i16,
    /// Kafka's name of its state.
    pub state: String,
    /// The longest that a transaction may stay open.
    pub timeout_ms: i32,
    /// When the last transaction began; none before the first.
    pub start: Option<Timestamp>,
    /// What belongs to it.
    pub partitions: BTreeMap<String, Vec<i32>>,
}

/// A transaction that is open in a partition.
#[derive(Debug, Clone)]
pub struct OpenTransaction {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Whose.
    pub producer_id: i64,
    /// The producer's epoch there.
    pub producer_epoch: i16,
    /// The epoch of the coordinator that ended the last one there; -1 for none.
    pub coordinator_epoch: i32,
    /// Its first record.
    pub start_offset: Offset,
    /// When the producer last wrote there.
    pub last_write: Timestamp,
}

impl Client {
    /// The transactional ids of all brokers; only those in one of `states`, unless that is empty.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn transactions(&self, states: &[String]) -> Result<Vec<ListedTransaction>, Error> {
        self.retrying(|| self.list_transactions(states).boxed()).await
    }

    async fn list_transactions(&self, states: &[String]) -> Result<Vec<ListedTransaction>, Error> {
        let request = ListTransactionsRequest::default()
            .with_state_filters(states.iter().map(|state| text(state)).collect());
        let mut all = Vec::new();
        for broker in self.refresh(Some(&[]), false).await?.brokers {
            let connection = self.connection(&broker.address).await?;
            let version = connection.version::<ListTransactionsRequest>(0)?;
            let answer = connection.ask(&request, version).await?;
            check(answer.error_code, None)?;
            all.extend(answer.transaction_states.into_iter().map(|one| ListedTransaction {
                id: one.transactional_id.to_string(),
                coordinator: broker.id,
                producer_id: one.producer_id.0,
                state: one.transaction_state.to_string(),
            }));
        }
        all.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(all)
    }

    /// One transactional id.
    ///
    /// # Errors
    /// [`Error::Refused`] with TRANSACTIONAL_ID_NOT_FOUND when there is none.
    pub async fn transaction(&self, id: &str) -> Result<DescribedTransaction, Error> {
        self.retrying(|| self.describe_transaction(id).boxed()).await
    }

    async fn describe_transaction(&self, id: &str) -> Result<DescribedTransaction, Error> {
        let connection = self.transaction_coordinator(id).await?;
        let version = connection.version::<DescribeTransactionsRequest>(0)?;
        let ids = vec![TransactionalId(text(id))];
        let request = DescribeTransactionsRequest::default().with_transactional_ids(ids);
        let mut answer = connection.ask(&request, version).await?;
        let one = answer.transaction_states.pop().unwrap_or_default();
        check(one.error_code, None)?;
        let topics = one.topics.into_iter();
        Ok(DescribedTransaction {
            id: id.to_owned(),
            producer_id: one.producer_id.0,
            producer_epoch: one.producer_epoch,
            state: one.transaction_state.to_string(),
            timeout_ms: one.transaction_timeout_ms,
            start: Some(Timestamp(one.transaction_start_time_ms)).filter(|start| start.0 >= 0),
            partitions: topics.map(|topic| (topic.topic.to_string(), topic.partitions)).collect(),
        })
    }

    async fn transaction_coordinator(&self, id: &str) -> Result<Arc<Connection>, Error> {
        let connection = self.any().await?;
        let version = connection.version::<FindCoordinatorRequest>(3)?;
        let request =
            FindCoordinatorRequest::default().with_key(text(id)).with_key_type(TRANSACTION);
        let answer = connection.ask(&request, version).await?;
        check(answer.error_code, answer.error_message.as_deref())?;
        let port = u16::try_from(answer.port).unwrap_or_default();
        let address = crate::config::Address { host: answer.host.to_string(), port };
        self.connection(&address).await
    }

    /// The transactions that are open in a topic's partitions.
    ///
    /// # Errors
    /// [`Error::Refused`] with Kafka's reason.
    pub async fn open_transactions(&self, topic: &Topic) -> Result<Vec<OpenTransaction>, Error> {
        self.retrying(|| self.find_open(topic).boxed()).await
    }

    async fn find_open(&self, topic: &Topic) -> Result<Vec<OpenTransaction>, Error> {
        let all = topic.partitions.iter().map(|partition| (partition.index, ())).collect();
        let mut open = Vec::new();
        for (connection, partitions) in self.leaders(topic, all).await? {
            let version = connection.version::<DescribeProducersRequest>(0)?;
            let indexes = partitions.into_iter().map(|(index, ())| index).collect();
            let asked = TopicRequest::default()
                .with_name(topic_name(&topic.name))
                .with_partition_indexes(indexes);
            let request = DescribeProducersRequest::default().with_topics(vec![asked]);
            let answer = connection.ask(&request, version).await?;
            for partition in answer.topics.into_iter().flat_map(|topic| topic.partitions) {
                check(partition.error_code, partition.error_message.as_deref())?;
                let index = partition.partition_index;
                let producers = partition.active_producers.into_iter();
                let producers = producers.filter(|one| one.current_txn_start_offset >= 0);
                open.extend(producers.map(|one| OpenTransaction {
                    topic: topic.name.clone(),
                    partition: index,
                    producer_id: one.producer_id.0,
                    producer_epoch: i16::try_from(one.producer_epoch).unwrap_or(-1),
                    coordinator_epoch: one.coordinator_epoch,
                    start_offset: Offset(one.current_txn_start_offset),
                    last_write: Timestamp(one.last_timestamp),
                }));
            }
        }
        open.sort_by_key(|one| (one.partition, one.start_offset));
        Ok(open)
    }

    /// Aborts a transaction in one partition, past its coordinator: for one that nobody will end.
    ///
    /// # Errors
    /// [`Error::Refused`] with Kafka's reason.
    pub async fn abort_in_partition(&self, open: &OpenTransaction) -> Result<(), Error> {
        let topic = self.topic(&open.topic, false).await?;
        let marked = WritableTxnMarkerTopic::default()
            .with_name(topic_name(&open.topic))
            .with_partition_indexes(vec![open.partition]);
        let marker = WritableTxnMarker::default()
            .with_producer_id(ProducerId(open.producer_id))
            .with_producer_epoch(open.producer_epoch)
            .with_coordinator_epoch(open.coordinator_epoch.max(0))
            .with_topics(vec![marked]);
        let request = WriteTxnMarkersRequest::default().with_markers(vec![marker]);
        for (connection, _) in self.leaders(&topic, vec![(open.partition, ())]).await? {
            let version = connection.version::<WriteTxnMarkersRequest>(1)?;
            let answer = connection.ask(&request, version).await?;
            let topics = answer.markers.into_iter().flat_map(|marker| marker.topics);
            for partition in topics.flat_map(|topic| topic.partitions) {
                check(partition.error_code, None)?;
            }
        }
        Ok(())
    }
}
