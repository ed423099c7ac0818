//! OffsetForLeaderEpoch: where a leader epoch ended, so that a client can tell whether the log was truncated behind it.
//!
//! Source: KIP-101, KIP-320; `KafkaApis.handleOffsetForLeaderEpochRequest`.

use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use kafka_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};
use tokio::time::Instant;

use super::patience::PROOF_WITHIN;
use super::{Session, error_code};
use crate::base::ids::{LeaderEpoch, TopicPartition};
use crate::base::offset::Offset;
use crate::log::{PartitionHandle, Proofs};
use crate::protocol::ErrorCode;

/// The current leader epoch of a request that does not check it.
const NO_EPOCH: i32 = -1;

/// What was found of one partition.
struct Found {
    /// None: an epoch that is not known here.
    end: Option<(LeaderEpoch, Offset)>,
    /// Only its leader may say it: it waits for a proof (law 9).
    unproven: Option<PartitionHandle>,
}

pub(super) async fn handle(
    session: &Session,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let deadline = Instant::now() + PROOF_WITHIN;
    let mut found = Vec::new();
    for topic in &request.topics {
        let name = topic.topic.as_str();
        found.extend(topic.partitions.iter().map(|part| end_of(session, name, part)));
    }
    // All ends are read before the proof begins: what was acknowledged by then is below them.
    let unproven = found.iter().flatten().filter_map(|found| found.unproven.as_ref()).collect();
    let proofs = Proofs::of(unproven, deadline).await;
    let mut said = found.into_iter().map(|found| {
        let Found { end, unproven } = found?;
        let proven = unproven.map_or(Ok(()), |partition| proofs.check(&partition));
        proven.map(|()| end).map_err(|error| error_code::of_log(&error))
    });
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic
            .partitions
            .iter()
            .map(|part| response(part.partition, said.next().expect("one for each that is asked")));
        let partitions = partitions.collect();
        OffsetForLeaderTopicResult::default().with_topic(topic.topic).with_partitions(partitions)
    });
    OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
}

fn response(
    partition: i32,
    said: Result<Option<(LeaderEpoch, Offset)>, ErrorCode>,
) -> EpochEndOffset {
    let (end, error) = match said {
        Ok(end) => (end, ErrorCode::None),
        Err(error) => (None, error),
    };
    let (epoch, end) = end.unwrap_or((LeaderEpoch(-1), Offset(-1)));
    EpochEndOffset::default()
        .with_partition(partition)
        .with_error_code(error.code())
        .with_leader_epoch(epoch.0)
        .with_end_offset(end.0)
}

fn end_of(
    session: &Session,
    topic: &str,
    part: &OffsetForLeaderPartition,
) -> Result<Found, ErrorCode> {
    let context = &session.context;
    let image = context.image();
    let found = image.topic(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let tp = TopicPartition { topic: found.id, partition: part.partition };
    image.partition(&tp).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let partition = context.log.partition(&tp).ok_or(ErrorCode::NotLeaderOrFollower)?;
    let code = |error| error_code::of_log(&error);
    let current = part.current_leader_epoch;
    let named = (current != NO_EPOCH).then_some(LeaderEpoch(current));
    partition.check_epoch(named).map_err(code)?;
    let end = partition.end_offset_for_epoch(LeaderEpoch(part.leader_epoch)).map_err(code)?;
    let current = partition.offsets().map_err(code)?.leader_epoch;
    // An epoch that is not known may be a successor's.
    let is_past = end.is_some_and(|(epoch, _)| epoch != current);
    Ok(Found { end, unproven: (!is_past).then_some(partition) })
}
