//! OffsetCommit and OffsetDelete.
//!
//! Source: KIP-211 (retention), KIP-496 (OffsetDelete); `KafkaApis.handleOffsetCommitRequest`, `handleOffsetDeleteRequest`.

use std::collections::VecDeque;
use std::time::Duration;

use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use kafka_protocol::messages::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse,
};

use super::{code, exists, owned};
use crate::base::ids::TopicId;
use crate::groups::{CommitRequest, OffsetToCommit, Refusal};
use crate::handlers::Session;
use crate::protocol::ErrorCode;

/// The versions whose requests say how long offsets are kept.
const RETENTION_UNTIL: i16 = 4;
const GROUP_ID_NOT_FOUND_SINCE: i16 = 9;
/// The first version with leader epochs.
const LEADER_EPOCH_SINCE: i16 = 6;

pub(super) async fn commit(
    session: &Session,
    version: i16,
    request: OffsetCommitRequest,
) -> OffsetCommitResponse {
    let retention = u64::try_from(request.retention_time_ms).ok();
    let image = session.context.image();
    let known = |topic: &OffsetCommitRequestTopic, partition: i32| {
        let found = image.topic(topic.name.as_str())?;
        usize::try_from(partition).is_ok_and(|at| at < found.partitions.len()).then_some(found.id)
    };
    let mut offsets = Vec::new();
    for topic in &request.topics {
        for part in &topic.partitions {
            if let Some(id) = known(topic, part.partition_index) {
                offsets.push(to_commit(version, (topic.name.as_str(), id), part));
            }
        }
    }
    let commit = CommitRequest {
        group_id: request.group_id.as_str().to_owned(),
        generation_id: request.generation_id_or_member_epoch,
        member_id: request.member_id.as_str().to_owned(),
        group_instance_id: owned(request.group_instance_id.clone()),
        retention: retention.filter(|_| version <= RETENTION_UNTIL).map(Duration::from_millis),
        knows_group_id_not_found: version >= GROUP_ID_NOT_FOUND_SINCE,
        offsets,
    };
    let committed = if commit.offsets.is_empty() && !request.topics.is_empty() {
        // Kafka asks nobody about partitions that do not exist.
        Ok(Vec::new())
    } else {
        session.context.groups.commit(&commit).await
    };
    let mut answers = Answers::new(committed);
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let partitions = topic.partitions.iter().map(|part| {
            let known = known(&topic, part.partition_index).is_some();
            OffsetCommitResponsePartition::default()
                .with_partition_index(part.partition_index)
                .with_error_code(if known { answers.next() } else { UNKNOWN })
        });
        let response = OffsetCommitResponseTopic::default().with_partitions(partitions.collect());
        topics.push(response.with_name(topic.name));
    }
    OffsetCommitResponse::default().with_topics(topics)
}

const UNKNOWN: i16 = ErrorCode::UnknownTopicOrPartition as i16;

fn to_commit(
    version: i16,
    (topic, topic_id): (&str, TopicId),
    part: &OffsetCommitRequestPartition,
) -> OffsetToCommit {
    let metadata = part.committed_metadata.as_ref();
    OffsetToCommit {
        topic: topic.to_owned(),
        topic_id: topic_id.0,
        partition: part.partition_index,
        offset: part.committed_offset,
        leader_epoch: match version {
            LEADER_EPOCH_SINCE.. => part.committed_leader_epoch,
            _ => -1,
        },
        metadata: metadata.map(|metadata| metadata.as_str().to_owned()).unwrap_or_default(),
    }
}

/// The codes of what the coordinator was asked, in order: one each, or one for all.
struct Answers {
    each: VecDeque<Option<Refusal>>,
    all: Option<Refusal>,
}

impl Answers {
    fn new(result: Result<Vec<Option<Refusal>>, Refusal>) -> Self {
        match result {
            Ok(each) => Self { each: each.into(), all: None },
            Err(refusal) => Self { each: VecDeque::new(), all: Some(refusal) },
        }
    }

    fn next(&mut self) -> i16 {
        code(self.all.or_else(|| self.each.pop_front().flatten()))
    }
}

pub(super) async fn delete(
    session: &Session,
    request: OffsetDeleteRequest,
) -> OffsetDeleteResponse {
    let known: Vec<bool> =
        request.topics.iter().map(|topic| exists(session, &topic.name)).collect();
    let wanted = request.topics.iter().zip(&known).filter(|(_, known)| **known);
    let places: Vec<(String, i32)> = wanted
        .flat_map(|(topic, _)| {
            let name = topic.name.as_str();
            topic.partitions.iter().map(|part| (name.to_owned(), part.partition_index))
        })
        .collect();
    let group_id = request.group_id.as_str();
    let deleted = session.context.groups.delete_offsets(group_id, &places).await;
    let mut answers = match deleted {
        Ok(each) => Answers::new(Ok(each)),
        Err(refusal) => {
            return OffsetDeleteResponse::default().with_error_code(code(Some(refusal)));
        }
    };
    let topics = request.topics.into_iter().zip(known).map(|(topic, known)| {
        let partitions = topic.partitions.iter().map(|part| {
            OffsetDeleteResponsePartition::default()
                .with_partition_index(part.partition_index)
                .with_error_code(if known { answers.next() } else { UNKNOWN })
        });
        let partitions = partitions.collect();
        OffsetDeleteResponseTopic::default().with_name(topic.name).with_partitions(partitions)
    });
    OffsetDeleteResponse::default().with_topics(topics.collect())
}
