//! AddOffsetsToTxn: makes the partition of a group's offsets part of a transaction.
//!
//! Source: KIP-98; `KafkaApis.handleAddOffsetsToTxnRequest`.

use kafka_protocol::messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};

use super::{code, producer};
use crate::cluster::internal::CONSUMER_OFFSETS;
use crate::handlers::Session;
use crate::state_topic::partition_for;
use crate::transactions::Partitions;

/// The first version that knows PRODUCER_FENCED.
const FENCED_SINCE: i16 = 2;

pub(in crate::handlers) async fn handle(
    session: &Session,
    version: i16,
    request: AddOffsetsToTxnRequest,
) -> AddOffsetsToTxnResponse {
    let context = &session.context;
    let partitions = match context.image().topic(CONSUMER_OFFSETS) {
        Some(topic) => i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX),
        None => context.config.groups.offsets_partitions,
    };
    let partition = partition_for(request.group_id.as_str(), partitions.max(1));
    let added = Partitions::from([(CONSUMER_OFFSETS.to_owned(), [partition].into())]);
    let from = producer(request.producer_id, request.producer_epoch);
    let added = context.transactions.add(request.transactional_id.as_str(), from, &added).await;
    let response = AddOffsetsToTxnResponse::default();
    match added {
        Ok(()) => response,
        Err(error) => response.with_error_code(code(&error, version, FENCED_SINCE).code()),
    }
}
