//! ListOffsets: the offsets that belong to timestamps, and to the marks that negative timestamps name.
//!
//! Source: KIP-79, KIP-207, KIP-734 (max timestamp), KIP-405 and KIP-1005 (tiers); `KafkaApis.handleListOffsetRequest`.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};
use tokio::time::{Instant, timeout_at};

use super::patience::PROOF_WITHIN;
use super::{Session, error_code};
use crate::base::clock::Timestamp;
use crate::base::ids::{LeaderEpoch, TopicPartition};
use crate::base::offset::Offset;
use crate::log::{self, FoundOffset, Isolation, PartitionHandle, Proofs};
use crate::protocol::ErrorCode;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;

/// The current leader epoch of a request that does not check it.
const NO_EPOCH: i32 = -1;

/// Look-ups of one request that read the store side by side. Each may hold a run of its partition in memory.
const LOOK_UPS_AT_ONCE: usize = 16;

/// One request's terms.
struct Terms<'a> {
    session: &'a Session,
    version: i16,
    isolation: Isolation,
    /// For the whole request, however many partitions it names.
    deadline: Instant,
}

/// What was found of one partition.
struct Found {
    offset: Option<FoundOffset>,
    /// Only its leader may say it: it waits for a proof (law 9).
    unproven: Option<PartitionHandle>,
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
    let deadline = Instant::now() + timeout.map_or(PROOF_WITHIN, Duration::from_millis);
    let terms = Terms { session, version, isolation, deadline };
    let doubled: Vec<BTreeSet<i32>> = request.topics.iter().map(doubled).collect();
    let mut looking = Vec::new();
    for (topic, doubled) in request.topics.iter().zip(&doubled) {
        let once = topic.partitions.iter().filter(|part| !doubled.contains(&part.partition_index));
        looking.extend(once.map(|part| terms.find(topic.name.as_str(), part)));
    }
    // All marks are read before the proof begins: what was acknowledged by then is below them.
    let found: Vec<_> = stream::iter(looking).buffered(LOOK_UPS_AT_ONCE).collect().await;
    let unproven = found.iter().flatten().filter_map(|found| found.unproven.as_ref()).collect();
    let proofs = Proofs::of(unproven, deadline).await;
    let mut said = found.into_iter().map(|found| {
        let Found { offset, unproven } = found?;
        let proven = unproven.map_or(Ok(()), |partition| proofs.check(&partition));
        proven.map(|()| offset).map_err(|error| error_code::of_log(&error))
    });
    let topics = request.topics.into_iter().zip(doubled).map(|(topic, doubled)| {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for part in topic.partitions.iter().filter(|one| !doubled.contains(&one.partition_index)) {
            let said = said.next().expect("one for each that is named once");
            partitions.push(response(version, part.partition_index, said));
        }
        let refused = |index| response(version, index, Err(ErrorCode::InvalidRequest));
        partitions.extend(doubled.into_iter().map(refused));
        ListOffsetsTopicResponse::default().with_name(topic.name).with_partitions(partitions)
    });
    ListOffsetsResponse::default().with_topics(topics.collect())
}

/// The partitions that a topic names more than once.
fn doubled(topic: &ListOffsetsTopic) -> BTreeSet<i32> {
    let mut seen = BTreeSet::new();
    let indexes = topic.partitions.iter().map(|part| part.partition_index);
    indexes.filter(|index| !seen.insert(*index)).collect()
}

impl Terms<'_> {
    async fn find(&self, topic: &str, part: &ListOffsetsPartition) -> Result<Found, ErrorCode> {
        let partition = self.partition(topic, part)?;
        self.check_version(part.timestamp)?;
        let looked = timeout_at(self.deadline, self.look_up(&partition, part.timestamp)).await;
        let looked = looked.map_err(|_| ErrorCode::RequestTimedOut)?;
        let offset = looked.map_err(|error| error_code::of_log(&error))?;
        let unproven = (part.timestamp == LATEST || offset.is_none()).then_some(partition);
        Ok(Found { offset, unproven })
    }

    fn partition(
        &self,
        topic: &str,
        part: &ListOffsetsPartition,
    ) -> Result<PartitionHandle, ErrorCode> {
        let context = &self.session.context;
        let image = context.image();
        let found = image.topic(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let tp = TopicPartition { topic: found.id, partition: part.partition_index };
        image.partition(&tp).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let partition = context.log.partition(&tp).ok_or(ErrorCode::NotLeaderOrFollower)?;
        let current = part.current_leader_epoch;
        let epoch = partition.check_epoch((current != NO_EPOCH).then_some(LeaderEpoch(current)));
        epoch.map_err(|error| error_code::of_log(&error))?;
        Ok(partition)
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

    async fn look_up(
        &self,
        partition: &PartitionHandle,
        timestamp: i64,
    ) -> Result<Option<FoundOffset>, log::Error> {
        partition.check_readable()?;
        let remote = self.session.context.log.remote();
        let mark = |offset, leader_epoch| {
            Ok(Some(FoundOffset { offset, timestamp: Timestamp::NONE, leader_epoch }))
        };
        match timestamp {
            LATEST => {
                let offsets = partition.offsets()?;
                // The epoch of the leader, also where the last stable offset lies in an older one: as Kafka has it.
                mark(self.isolation.end(&offsets), offsets.leader_epoch)
            }
            EARLIEST | EARLIEST_LOCAL => {
                let log_start = partition.offsets()?.log_start;
                mark(log_start, partition.epoch_of(log_start)?)
            }
            // Nothing is tiered in Kafka's sense: all of the log is the leader's own.
            LATEST_TIERED => mark(Offset(-1), LeaderEpoch(-1)),
            MAX_TIMESTAMP => partition.offset_of_max_timestamp(remote, self.isolation).await,
            at => partition.offset_for_timestamp(remote, Timestamp(at), self.isolation).await,
        }
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
