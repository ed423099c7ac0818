//! The script: one file an API family, one function a conversation.
//!
//! Every group runs on a broker of its own, so that its answers do not depend on what ran before.

use std::ops::RangeInclusive;

use bytes::Bytes;
use kafka_protocol::{
    messages::{
        CreateTopicsRequest, FetchRequest, ListOffsetsRequest, MetadataRequest, ProduceRequest,
        TopicName,
        create_topics_request::{CreatableTopic, CreatableTopicConfig},
        fetch_request::{FetchPartition, FetchTopic},
        list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
        metadata_request::MetadataRequestTopic,
        produce_request::{PartitionProduceData, TopicProduceData},
    },
    protocol::{Message, StrBytes},
};
use uuid::Uuid;

use crate::{batch::Batch, normal::FOREIGN_TOPIC_ID, talk::Talk};

pub mod api_versions;
pub mod configs;
pub mod consumer_groups;
pub mod coordinators;
pub mod corners;
pub mod create_topics;
pub mod epochs;
pub mod fetch;
pub mod fetch_sessions;
pub mod frames;
pub mod group_offsets;
pub mod groups;
pub mod lineage;
pub mod list_offsets;
pub mod log_dirs;
pub mod memberships;
pub mod metadata;
pub mod migrations;
pub mod offset_transactions;
pub mod offsets;
pub mod produce;
pub mod produce_errors;
pub mod producers;
pub mod reassignments;
pub mod share_fetches;
pub mod share_groups;
pub mod topic_partitions;
pub mod transactions;
pub mod zombies;

/// All versions that the protocol crate and we have of a request.
pub fn versions<R: Message>() -> RangeInclusive<i16> {
    R::VERSIONS.min..=R::VERSIONS.max
}

pub fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub fn topic(name: &str) -> TopicName {
    TopicName(text(name))
}

/// A topic id that no broker has.
pub fn foreign_id() -> Uuid {
    Uuid::parse_str(FOREIGN_TOPIC_ID).expect("a UUID")
}

/// What CreateTopics is asked for one topic.
pub fn new_topic(name: &str, partitions: i32, configs: &[(&str, &str)]) -> CreatableTopic {
    let configs = configs.iter().map(|(name, value)| {
        CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value)))
    });
    CreatableTopic::default()
        .with_name(topic(name))
        .with_num_partitions(partitions)
        .with_replication_factor(1)
        .with_configs(configs.collect())
}

/// Creates a topic outside the record and waits until every partition answers. Returns its id.
pub fn create_topic(
    talk: &mut Talk,
    name: &str,
    partitions: i32,
    configs: &[(&str, &str)],
) -> Uuid {
    let create = CreateTopicsRequest::default()
        .with_topics(vec![new_topic(name, partitions, configs)])
        .with_timeout_ms(10_000);
    let created = talk.quiet(7, &create).expect("CreateTopics is answered");
    assert_eq!(created.topics[0].error_code, 0, "{name} could not be created: {created:?}");
    let id = created.topics[0].topic_id;
    await_leaders(talk, name, partitions);
    // Kafka names a topic by its id alone in later answers; this teaches the symbols its name.
    let by_name = MetadataRequest::default()
        .with_topics(Some(vec![MetadataRequestTopic::default().with_name(Some(topic(name)))]));
    talk.quiet(12, &by_name);
    id
}

/// Waits until every partition of `name` has a leader that answers.
pub fn await_leaders(talk: &mut Talk, name: &str, partitions: i32) {
    let latest = ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![
        ListOffsetsTopic::default()
            .with_name(topic(name))
            .with_partitions((0..partitions).map(|index| offset_at(index, -1)).collect()),
    ]);
    talk.until(7, &latest, |answer| {
        answer.topics[0].partitions.iter().all(|partition| partition.error_code == 0)
    });
}

pub fn offset_at(partition: i32, timestamp: i64) -> ListOffsetsPartition {
    ListOffsetsPartition::default().with_partition_index(partition).with_timestamp(timestamp)
}

/// A produce request of raw records for one partition, at a version that names topics.
pub fn produce_raw(
    name: &str,
    partition: i32,
    acks: i16,
    records: Option<Vec<u8>>,
) -> ProduceRequest {
    let data = PartitionProduceData::default()
        .with_index(partition)
        .with_records(records.map(Bytes::from));
    ProduceRequest::default().with_acks(acks).with_timeout_ms(5_000).with_topic_data(vec![
        TopicProduceData::default().with_name(topic(name)).with_partition_data(vec![data]),
    ])
}

pub fn produce(name: &str, partition: i32, batch: &Batch) -> ProduceRequest {
    produce_raw(name, partition, -1, Some(batch.encode()))
}

/// The same request as version 13 has it: by topic id.
pub fn by_id(mut request: ProduceRequest, version: i16, id: Uuid) -> ProduceRequest {
    for one in &mut request.topic_data {
        if version >= 13 {
            one.name = TopicName::default();
            one.topic_id = id;
        }
    }
    request
}

/// Appends outside the record.
pub fn append(talk: &mut Talk, name: &str, partition: i32, batch: &Batch) -> i64 {
    let answer = talk.quiet(9, &produce(name, partition, batch)).expect("Produce is answered");
    let partition = &answer.responses[0].partition_responses[0];
    assert_eq!(partition.error_code, 0, "a set-up append failed: {answer:?}");
    partition.base_offset
}

/// One partition of a fetch, as plain consumers send it.
pub fn from(partition: i32, offset: i64) -> FetchPartition {
    FetchPartition::default()
        .with_partition(partition)
        .with_fetch_offset(offset)
        .with_current_leader_epoch(-1)
        .with_last_fetched_epoch(-1)
        .with_log_start_offset(-1)
        .with_partition_max_bytes(1_048_576)
}

/// A fetch without a session; by name below version 13, by id from there.
pub fn fetch(version: i16, name: &str, id: Uuid, partitions: Vec<FetchPartition>) -> FetchRequest {
    let mut one = FetchTopic::default().with_partitions(partitions);
    if version < 13 {
        one.topic = topic(name);
    } else {
        one.topic_id = id;
    }
    let request = FetchRequest::default()
        .with_max_wait_ms(0)
        .with_min_bytes(0)
        .with_max_bytes(10_000_000)
        .with_session_epoch(-1)
        .with_topics(vec![one]);
    if version <= 14 { request.with_replica_id((-1).into()) } else { request }
}
