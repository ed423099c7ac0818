//! DescribeProducers: the producers that a partition knows.
//!
//! Source: KIP-664; `KafkaApis.handleDescribeProducersRequest`.

use kafka_protocol::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use kafka_protocol::messages::{DescribeProducersRequest, DescribeProducersResponse};
use kafka_protocol::protocol::StrBytes;

use super::answers::Growing;
use super::topics::name_fault;
use super::{Session, error_code};
use crate::base::ids::TopicPartition;
use crate::protocol::ErrorCode;
use crate::segment::ProducerSnapshot;

pub(super) async fn handle(
    session: &Session,
    version: i16,
    request: DescribeProducersRequest,
    growing: &mut Growing,
) -> DescribeProducersResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partition_indexes.len());
        let fault = name_fault(topic.name.as_str());
        let known = session.context.image().topic(topic.name.as_str()).is_some();
        for index in &topic.partition_indexes {
            let response = PartitionResponse::default().with_partition_index(*index);
            let response = match producers(session, topic.name.as_str(), *index).await {
                Ok(producers) => {
                    response.with_active_producers(producers.iter().map(state).collect())
                }
                Err(error) => refused(response, error, known, fault.as_deref()),
            };
            if !growing.push(&mut partitions, version, response) {
                return DescribeProducersResponse::default();
            }
        }
        topics.push(TopicResponse::default().with_name(topic.name).with_partitions(partitions));
    }
    DescribeProducersResponse::default().with_topics(topics)
}

/// A partition that a known topic lacks needs no words.
fn refused(
    response: PartitionResponse,
    error: ErrorCode,
    known: bool,
    name_fault: Option<&str>,
) -> PartitionResponse {
    let (error, message) = match name_fault {
        Some(fault) => (ErrorCode::InvalidTopicException, Some(fault)),
        None if known && error == ErrorCode::UnknownTopicOrPartition => (error, None),
        None => (error, Some(error.message())),
    };
    let message = message.map(|message| StrBytes::from_string(message.to_owned()));
    response.with_error_code(error.code()).with_error_message(message)
}

async fn producers(
    session: &Session,
    topic: &str,
    index: i32,
) -> Result<Vec<ProducerSnapshot>, ErrorCode> {
    let context = &session.context;
    let image = context.image();
    let found = image.topic(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let tp = TopicPartition { topic: found.id, partition: index };
    image.partition(&tp).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let partition = context.log.partition(&tp).ok_or(ErrorCode::NotLeaderOrFollower)?;
    // The list may rest on batches that are not stable yet (law 5).
    let stable = partition.stable_producers().await;
    stable.map_err(|error| error_code::of_log(&error))
}

fn state(producer: &ProducerSnapshot) -> ProducerState {
    let last_sequence = producer.batches.last().map_or(-1, |batch| batch.last_sequence);
    ProducerState::default()
        .with_producer_id(kafka_protocol::messages::ProducerId(producer.producer_id.0))
        .with_producer_epoch(i32::from(producer.producer_epoch))
        .with_last_sequence(last_sequence)
        .with_last_timestamp(producer.last_timestamp.0)
        .with_coordinator_epoch(producer.coordinator_epoch)
        .with_current_txn_start_offset(
            producer.current_txn_first_offset.map_or(-1, |first| first.0),
        )
}
