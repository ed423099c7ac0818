//! OffsetForLeaderEpoch: where a leader epoch ended, so that a client can tell whether the log was truncated behind it.
//!
//! Source: KIP-101, KIP-320; `KafkaApis.handleOffsetForLeaderEpochRequest`.

use std::time::Duration;

use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use kafka_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

use super::{Session, error_code};
use crate::base::ids::{LeaderEpoch, TopicPartition};
use crate::base::offset::Offset;
use crate::protocol::ErrorCode;

/// How long an answer about the current epoch waits for its proof of leadership (law 9).
const PROOF_WITHIN: Duration = Duration::from_secs(5);

pub(super) async fn handle(
    session: &Session,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for part in &topic.partitions {
            let result = EpochEndOffset::default().with_partition(part.partition);
            partitions.push(match end_of(session, topic.topic.as_str(), part).await {
                Ok(Some((epoch, end))) => result.with_leader_epoch(epoch.0).with_end_offset(end.0),
                Ok(None) => result.with_leader_epoch(-1).with_end_offset(-1),
                Err(error) => {
                    result.with_error_code(error.code()).with_leader_epoch(-1).with_end_offset(-1)
                }
            });
        }
        let result = OffsetForLeaderTopicResult::default()
            .with_topic(topic.topic)
            .with_partitions(partitions);
        topics.push(result);
    }
    OffsetForLeaderEpochResponse::default().with_topics(topics)
}

async fn end_of(
    session: &Session,
    topic: &str,
    part: &OffsetForLeaderPartition,
) -> Result<Option<(LeaderEpoch, Offset)>, ErrorCode> {
    let context = &session.context;
    let image = context.image();
    let found = image.topic(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let tp = TopicPartition { topic: found.id, partition: part.partition };
    image.partition(&tp).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let partition = context.log.partition(&tp).ok_or(ErrorCode::NotLeaderOrFollower)?;
    let code = |error| error_code::of_log(&error);
    partition.check_epoch(part.current_leader_epoch).map_err(code)?;
    let end = partition.end_offset_for_epoch(LeaderEpoch(part.leader_epoch)).map_err(code)?;
    let current = partition.offsets().map_err(code)?.leader_epoch;
    if end.is_some_and(|(epoch, _)| epoch == current) {
        partition.prove(PROOF_WITHIN).await.map_err(code)?;
    }
    Ok(end)
}
