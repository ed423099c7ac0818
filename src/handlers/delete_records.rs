//! DeleteRecords: moves log starts up, durably, before it answers.
//!
//! Source: KIP-107; `KafkaApis.handleDeleteRecordsRequest`.

use std::time::Duration;

use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use kafka_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

use super::{Session, error_code};
use crate::base::ids::TopicPartition;
use crate::base::offset::Offset;
use crate::protocol::ErrorCode;

/// Names the high watermark.
const HIGH_WATERMARK: i64 = -1;

pub(super) async fn handle(
    session: &Session,
    request: DeleteRecordsRequest,
) -> DeleteRecordsResponse {
    let within = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for part in &topic.partitions {
            let delete = delete(session, topic.name.as_str(), part.partition_index, part.offset);
            let moved = tokio::time::timeout(within, delete).await;
            let (low_watermark, error) = match moved.unwrap_or(Err(ErrorCode::RequestTimedOut)) {
                Ok(log_start) => (log_start.0, ErrorCode::None),
                Err(error) => (-1, error),
            };
            let result = DeleteRecordsPartitionResult::default()
                .with_partition_index(part.partition_index)
                .with_low_watermark(low_watermark)
                .with_error_code(error.code());
            partitions.push(result);
        }
        let result =
            DeleteRecordsTopicResult::default().with_name(topic.name).with_partitions(partitions);
        topics.push(result);
    }
    DeleteRecordsResponse::default().with_topics(topics)
}

async fn delete(
    session: &Session,
    topic: &str,
    index: i32,
    before: i64,
) -> Result<Offset, ErrorCode> {
    let context = &session.context;
    let image = context.image();
    let found = image.topic(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let tp = TopicPartition { topic: found.id, partition: index };
    image.partition(&tp).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let partition = context.log.partition(&tp).ok_or(ErrorCode::NotLeaderOrFollower)?;
    if partition.settings().compacted && !partition.settings().deletes {
        return Err(ErrorCode::PolicyViolation);
    }
    let before = (before != HIGH_WATERMARK).then_some(Offset(before));
    let moved = partition.delete_records(context.manifest.as_ref(), before).await;
    moved.map_err(|error| error_code::of_log(&error))
}
