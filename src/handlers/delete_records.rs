//! DeleteRecords: moves log starts up, durably, before it answers.
//!
//! All moves of a request begin at once, so that the coordinator makes many durable in one write, and share a deadline.
//!
//! Source: KIP-107; `KafkaApis.handleDeleteRecordsRequest`, `ReplicaManager.deleteRecordsOnLocalLog`.

use futures::future::join_all;
use kafka_protocol::messages::delete_records_request::DeleteRecordsPartition;
use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use kafka_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};
use tokio::time::{Instant, timeout_at};

use super::{Session, error_code, patience};
use crate::base::ids::TopicPartition;
use crate::base::offset::Offset;
use crate::cluster::image::Image;
use crate::cluster::internal::is_internal;
use crate::log::{self, PartitionHandle};
use crate::protocol::ErrorCode;

/// Names the high watermark.
const HIGH_WATERMARK: i64 = -1;

pub(super) async fn handle(
    session: &Session,
    request: DeleteRecordsRequest,
) -> DeleteRecordsResponse {
    let deadline = patience::deadline(request.timeout_ms);
    let image = session.context.image();
    let mut moves = Vec::new();
    for topic in &request.topics {
        let each = topic.partitions.iter();
        moves.extend(each.map(|part| {
            let found = find(session, &image, topic.name.as_str(), part);
            delete(session, found, part.offset, deadline)
        }));
    }
    let mut moved = join_all(moves).await.into_iter();
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|part| {
            let (low_watermark, error) = match moved.next().expect("one for each that is asked") {
                Ok(log_start) => (log_start.0, ErrorCode::None),
                Err(error) => (-1, error),
            };
            DeleteRecordsPartitionResult::default()
                .with_partition_index(part.partition_index)
                .with_low_watermark(low_watermark)
                .with_error_code(error.code())
        });
        let partitions = partitions.collect();
        DeleteRecordsTopicResult::default().with_name(topic.name).with_partitions(partitions)
    });
    DeleteRecordsResponse::default().with_topics(topics.collect())
}

fn find(
    session: &Session,
    image: &Image,
    topic: &str,
    part: &DeleteRecordsPartition,
) -> Result<PartitionHandle, ErrorCode> {
    let found = image.topic(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let tp = TopicPartition { topic: found.id, partition: part.partition_index };
    image.partition(&tp).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    if is_internal(topic) {
        return Err(ErrorCode::InvalidTopicException);
    }
    let partition = session.context.log.partition(&tp).ok_or(ErrorCode::NotLeaderOrFollower)?;
    let settings = partition.settings();
    if settings.compacted && !settings.deletes {
        return Err(ErrorCode::PolicyViolation);
    }
    Ok(partition)
}

/// Moves one log start, in time. What is not answered in time may still move.
async fn delete(
    session: &Session,
    found: Result<PartitionHandle, ErrorCode>,
    before: i64,
    deadline: Instant,
) -> Result<Offset, ErrorCode> {
    let partition = found?;
    let before = (before != HIGH_WATERMARK).then_some(Offset(before));
    let moving = async {
        let moved = partition.delete_records(session.context.manifest.as_ref(), before).await;
        if let Err(log::Error::OffsetOutOfRange { .. }) = moved {
            // Another that leads by now may have it (law 9). Those of one request share a round.
            let within = deadline.saturating_duration_since(Instant::now());
            partition.prove(within).await?;
        }
        moved
    };
    match timeout_at(deadline, moving).await {
        Ok(moved) => moved.map_err(|error| error_code::of_log(&error)),
        Err(_) => Err(ErrorCode::RequestTimedOut),
    }
}
