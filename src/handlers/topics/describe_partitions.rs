//! DescribeTopicPartitions: partitions of many topics, page by page.
//!
//! Source: KIP-966; `DescribeTopicPartitionsRequestHandler`, `KRaftMetadataCache` in Apache Kafka.

use std::collections::BTreeSet;

use kafka_protocol::messages::describe_topic_partitions_request::TopicRequest;
use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::{
    BrokerId, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, TopicName,
};

use crate::cluster::image::{PartitionImage, TopicImage};
use crate::handlers::scope::{NO_OPERATIONS, Scope, TOPIC_OPERATIONS, text};
use crate::handlers::topics::name_fault;
use crate::protocol::ErrorCode;

/// The most partitions of one page (`max.request.partition.size.limit`).
const PARTITIONS_MAX: i32 = 2000;

pub(in crate::handlers) fn handle(
    scope: &Scope<'_>,
    request: &DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    let cursor =
        request.cursor.as_ref().map(|cursor| (cursor.topic_name.as_str(), cursor.partition_index));
    let all = request.topics.is_empty();
    let named: BTreeSet<&str> = request.topics.iter().map(|topic| topic.name.as_str()).collect();
    let in_place =
        |(topic, partition): (&str, i32)| partition >= 0 && (all || named.contains(topic));
    if !cursor.is_none_or(in_place) {
        let refused = request.topics.iter().map(|topic: &TopicRequest| {
            failed(&topic.name, ErrorCode::InvalidRequest)
                .with_topic_authorized_operations(NO_OPERATIONS)
        });
        return DescribeTopicPartitionsResponse::default().with_topics(refused.collect());
    }
    let from = cursor.map_or("", |(topic, _)| topic);
    let names: Vec<&str> = if all {
        scope.image.names.keys().map(String::as_str).filter(|name| *name >= from).collect()
    } else {
        named.into_iter().filter(|name| *name >= from).collect()
    };
    let limit = request.response_partition_limit.clamp(1, PARTITIONS_MAX).unsigned_abs() as usize;
    let mut page = Page { left: limit, topics: Vec::new(), next: None };
    for name in names {
        let first = cursor.filter(|(topic, _)| *topic == name).map_or(0, |(_, first)| first);
        if !page.add(scope, name, first) {
            break;
        }
    }
    DescribeTopicPartitionsResponse::default().with_topics(page.topics).with_next_cursor(page.next)
}

/// One answer being filled.
struct Page {
    left: usize,
    topics: Vec<DescribeTopicPartitionsResponseTopic>,
    next: Option<Cursor>,
}

impl Page {
    /// Adds a topic's partitions from `first` on. False: the page is full.
    fn add(&mut self, scope: &Scope<'_>, name: &str, first: i32) -> bool {
        if self.left == 0 {
            self.next = Some(cursor(name, 0));
            return false;
        }
        let Some(topic) = scope.image.topic(name) else {
            let error = match name_fault(name) {
                Some(_) => ErrorCode::InvalidTopicException,
                None => ErrorCode::UnknownTopicOrPartition,
            };
            self.topics.push(failed(name, error));
            return true;
        };
        let first = usize::try_from(first).unwrap_or(0).min(topic.partitions.len());
        let last = topic.partitions.len().min(first + self.left);
        self.topics.push(described(topic, first..last));
        self.left -= last - first;
        if last < topic.partitions.len() {
            self.next = Some(cursor(name, last));
            return false;
        }
        true
    }
}

fn cursor(topic: &str, partition: usize) -> Cursor {
    let partition = i32::try_from(partition).expect("partitions are numbered by i32");
    Cursor::default().with_topic_name(TopicName(text(topic))).with_partition_index(partition)
}

fn failed(name: &str, error: ErrorCode) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic::default()
        .with_error_code(error.code())
        .with_name(Some(TopicName(text(name))))
        .with_topic_authorized_operations(TOPIC_OPERATIONS)
}

fn described(
    topic: &TopicImage,
    range: std::ops::Range<usize>,
) -> DescribeTopicPartitionsResponseTopic {
    let partitions = (0_i32..).zip(&topic.partitions).skip(range.start).take(range.len());
    DescribeTopicPartitionsResponseTopic::default()
        .with_name(Some(TopicName(text(topic.name.clone()))))
        .with_topic_id(topic.id.0)
        .with_is_internal(topic.internal)
        .with_partitions(partitions.map(|(index, one)| partition(index, one)).collect())
        .with_topic_authorized_operations(TOPIC_OPERATIONS)
}

fn partition(index: i32, image: &PartitionImage) -> DescribeTopicPartitionsResponsePartition {
    let leader = image.leader.filter(|_| !image.offline);
    let error = if leader.is_some() { ErrorCode::None } else { ErrorCode::LeaderNotAvailable };
    let replicas: Vec<BrokerId> = image.replicas.iter().map(|broker| BrokerId(broker.0)).collect();
    DescribeTopicPartitionsResponsePartition::default()
        .with_error_code(error.code())
        .with_partition_index(index)
        .with_leader_id(BrokerId(leader.map_or(-1, |leader| leader.0)))
        .with_leader_epoch(image.leader_epoch.0)
        .with_replica_nodes(replicas.clone())
        .with_isr_nodes(replicas)
        .with_eligible_leader_replicas(Some(Vec::new()))
        .with_last_known_elr(Some(Vec::new()))
}
