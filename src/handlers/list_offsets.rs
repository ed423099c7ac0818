//! ListOffsets: the offsets that belong to timestamps, and to the marks that negative timestamps name.
//!
//! Source: KIP-79, KIP-207, KIP-734 (max timestamp), KIP-405 and KIP-1005 (tiers); `KafkaApis.handleListOffsetRequest`.

use std::collections::BTreeSet;
use std::time::Duration;

use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};

use super::{Session, error_code};
use crate::base::clock::Timestamp;
use crate::base::ids::{LeaderEpoch, TopicPartition};
use crate::base::offset::Offset;
use crate::log::{self, FoundOffset, Isolation, PartitionHandle};
use crate::protocol::ErrorCode;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;

/// How long an answer that needs a proof of leadership waits for it when the request names no time (law 9).
const PROOF_WITHIN: Duration = Duration::from_secs(5);

/// One request's terms.
struct Terms<'a> {
    session: &'a Session,
    version: i16,
    isolation: Isolation,
    within: Duration,
}

pub(super) async fn handle(
    session: &Session,
    version: i16,
    request: ListOffsetsRequest,
) -> ListOffsetsResponse {
    let isolation = match request.isolation_level {
        1 => Isolation::ReadCommitted,
        _ => Isolation::ReadUncommitted,
    };
    let timeout = u64::try_from(request.timeout_ms).ok().filter(|ms| *ms > 0);
    let within = timeout.map_or(PROOF_WITHIN, Duration::from_millis);
    let terms = Terms { session, version, isolation, within };
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        topics.push(terms.topic(topic).await);
    }
    ListOffsetsResponse::default().with_topics(topics)
}

impl Terms<'_> {
    async fn topic(&self, topic: ListOffsetsTopic) -> ListOffsetsTopicResponse {
        let mut seen = BTreeSet::new();
        let doubled: BTreeSet<i32> = topic
            .partitions
            .iter()
            .map(|part| part.partition_index)
            .filter(|index| !seen.insert(*index))
            .collect();
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for part in &topic.partitions {
            if !doubled.contains(&part.partition_index) {
                let found = self.partition(topic.name.as_str(), part).await;
                partitions.push(response(self.version, part.partition_index, found));
            }
        }
        let refused = |index| response(self.version, index, Err(ErrorCode::InvalidRequest));
        partitions.extend(doubled.into_iter().map(refused));
        ListOffsetsTopicResponse::default().with_name(topic.name).with_partitions(partitions)
    }

    async fn partition(
        &self,
        topic: &str,
        part: &ListOffsetsPartition,
    ) -> Result<Option<FoundOffset>, ErrorCode> {
        let context = &self.session.context;
        let image = context.image();
        let found = image.topic(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let tp = TopicPartition { topic: found.id, partition: part.partition_index };
        image.partition(&tp).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let partition = context.log.partition(&tp).ok_or(ErrorCode::NotLeaderOrFollower)?;
        let epoch = partition.check_epoch(part.current_leader_epoch);
        epoch.map_err(|error| error_code::of_log(&error))?;
        self.check_version(part.timestamp)?;
        let offset = self.find(&partition, part.timestamp).await;
        offset.map_err(|error| error_code::of_log(&error))
    }

    /// Marks came with versions.
    fn check_version(&self, timestamp: i64) -> Result<(), ErrorCode> {
        let since = match timestamp {
            MAX_TIMESTAMP => 7,
            EARLIEST_LOCAL => 8,
            LATEST_TIERED => 9,
            other if other < LATEST_TIERED => return Err(ErrorCode::UnsupportedVersion),
            _ => 0,
        };
        if self.version < since { Err(ErrorCode::UnsupportedVersion) } else { Ok(()) }
    }

    async fn find(
        &self,
        partition: &PartitionHandle,
        timestamp: i64,
    ) -> Result<Option<FoundOffset>, log::Error> {
        partition.check_readable()?;
        let remote = self.session.context.log.remote();
        let mark = |offset| -> Result<Option<FoundOffset>, log::Error> {
            let leader_epoch = partition.epoch_of(offset)?;
            Ok(Some(FoundOffset { offset, timestamp: Timestamp::NONE, leader_epoch }))
        };
        let found = match timestamp {
            LATEST => {
                // The mark is read before the proof: what was acknowledged by then is below it.
                let end = self.isolation.end(&partition.offsets()?);
                partition.prove(self.within).await?;
                return mark(end);
            }
            EARLIEST | EARLIEST_LOCAL => return mark(partition.offsets()?.log_start),
            // Nothing is tiered in Kafka's sense: all of the log is the leader's own.
            LATEST_TIERED => {
                return Ok(Some(FoundOffset {
                    offset: Offset(-1),
                    timestamp: Timestamp::NONE,
                    leader_epoch: LeaderEpoch(-1),
                }));
            }
            MAX_TIMESTAMP => partition.offset_of_max_timestamp(remote).await?,
            at => partition.offset_for_timestamp(remote, Timestamp(at), self.isolation).await?,
        };
        if found.is_none() {
            partition.prove(self.within).await?;
        }
        Ok(found)
    }
}

/// The first version that carries leader epochs.
const LEADER_EPOCHS_SINCE: i16 = 4;

fn response(
    version: i16,
    index: i32,
    found: Result<Option<FoundOffset>, ErrorCode>,
) -> ListOffsetsPartitionResponse {
    let nothing = FoundOffset {
        offset: Offset(-1),
        timestamp: Timestamp::NONE,
        leader_epoch: LeaderEpoch(-1),
    };
    let (found, error) = match found {
        Ok(found) => (found.unwrap_or(nothing), ErrorCode::None),
        Err(error) => (nothing, error),
    };
    let response = ListOffsetsPartitionResponse::default()
        .with_partition_index(index)
        .with_error_code(error.code())
        .with_offset(found.offset.0)
        .with_timestamp(found.timestamp.0);
    if version < LEADER_EPOCHS_SINCE {
        return response;
    }
    response.with_leader_epoch(found.leader_epoch.0)
}
