//! ElectLeaders: each partition has the leader that it should have, or none that could be had.
//!
//! Source: KIP-183, KIP-460; `ReplicationControlManager.electLeaders` in Apache Kafka.

use kafka_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use kafka_protocol::messages::{ElectLeadersRequest, ElectLeadersResponse, TopicName};

use super::scope::{Refused, Scope, text};
use crate::cluster::image::TopicImage;
use crate::protocol::ErrorCode;

const PREFERRED: i8 = 0;
const UNCLEAN: i8 = 1;

pub(super) fn handle(
    scope: &Scope<'_>,
    version: i16,
    request: &ElectLeadersRequest,
) -> ElectLeadersResponse {
    let kind = request.election_type;
    let known = matches!(kind, PREFERRED | UNCLEAN);
    let results = match &request.topic_partitions {
        Some(topics) => topics
            .iter()
            .map(|topic| {
                let elected = topic.partitions.iter().map(|index| {
                    let refused = if known {
                        elect(scope, kind, &topic.topic, *index)
                    } else {
                        let message = format!("Unknown election type {kind}");
                        Refused::new(ErrorCode::InvalidRequest, message)
                    };
                    result(*index, &refused)
                });
                election(topic.topic.clone(), elected.collect())
            })
            .collect(),
        None => scope
            .image
            .names
            .keys()
            .filter_map(|name| scope.image.topic(name))
            .map(|topic| election(TopicName(text(topic.name.clone())), without_leader(kind, topic)))
            .collect(),
    };
    // Version 0 has no error of the whole.
    let error = if known || version == 0 { ErrorCode::None } else { ErrorCode::InvalidRequest };
    ElectLeadersResponse::default()
        .with_error_code(error.code())
        .with_replica_election_results(results)
}

fn elect(scope: &Scope<'_>, kind: i8, topic: &str, index: i32) -> Refused {
    let unknown = |message| Refused::new(ErrorCode::UnknownTopicOrPartition, message);
    let Some(image) = scope.image.topic(topic) else {
        return unknown(format!("No such topic as {topic}"));
    };
    let partition = usize::try_from(index).ok().and_then(|index| image.partitions.get(index));
    match partition {
        None => unknown(format!("No such partition as {topic}-{index}")),
        Some(partition) if partition.leader.is_some() => {
            Refused::standard(ErrorCode::ElectionNotNeeded)
        }
        Some(_) => unavailable(kind),
    }
}

/// The coordinator grants a lease as soon as anybody can take it; there is nothing to elect meanwhile.
fn unavailable(kind: i8) -> Refused {
    Refused::standard(if kind == UNCLEAN {
        ErrorCode::EligibleLeadersNotAvailable
    } else {
        ErrorCode::PreferredLeaderNotAvailable
    })
}

/// Asked about everything, only what went wrong is told.
fn without_leader(kind: i8, topic: &TopicImage) -> Vec<PartitionResult> {
    let partitions = (0_i32..).zip(&topic.partitions);
    let without = partitions.filter(|(_, partition)| partition.leader.is_none());
    without.map(|(index, _)| result(index, &unavailable(kind))).collect()
}

fn result(index: i32, refused: &Refused) -> PartitionResult {
    PartitionResult::default()
        .with_partition_id(index)
        .with_error_code(refused.error.code())
        .with_error_message(refused.message())
}

fn election(topic: TopicName, results: Vec<PartitionResult>) -> ReplicaElectionResult {
    ReplicaElectionResult::default().with_topic(topic).with_partition_result(results)
}
