//! AlterPartitionReassignments: the bucket keeps the copies, so a reassignment to where a partition is already is done, and
//! any other is refused until leases can be moved by hand.
//!
//! Source: KIP-455; `ReplicationControlManager.alterPartitionReassignments` in Apache Kafka.

use std::collections::BTreeSet;

use kafka_protocol::messages::alter_partition_reassignments_request::ReassignableTopic;
use kafka_protocol::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse,
};

use super::scope::{Refused, Scope};
use crate::base::ids::BrokerId;
use crate::protocol::ErrorCode;

pub(super) fn handle(
    scope: &Scope<'_>,
    request: AlterPartitionReassignmentsRequest,
) -> AlterPartitionReassignmentsResponse {
    let topic = |topic: ReassignableTopic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let replicas = partition.replicas.as_deref();
            let done = reassign(scope, &topic.name, partition.partition_index, replicas);
            let response = ReassignablePartitionResponse::default()
                .with_partition_index(partition.partition_index);
            match done {
                Ok(()) => response.with_error_message(None),
                Err(refused) => response
                    .with_error_code(refused.error.code())
                    .with_error_message(refused.message()),
            }
        });
        let partitions = partitions.collect();
        ReassignableTopicResponse::default().with_name(topic.name).with_partitions(partitions)
    };
    AlterPartitionReassignmentsResponse::default()
        .with_allow_replication_factor_change(request.allow_replication_factor_change)
        .with_error_message(None)
        .with_responses(request.topics.into_iter().map(topic).collect())
}

fn reassign(
    scope: &Scope<'_>,
    topic: &str,
    index: i32,
    replicas: Option<&[kafka_protocol::messages::BrokerId]>,
) -> Result<(), Refused> {
    let unknown = |message| Refused::new(ErrorCode::UnknownTopicOrPartition, message);
    let image = scope.image.topic(topic);
    let image = image.ok_or_else(|| unknown(format!("Unable to find a topic named {topic}.")))?;
    let partition = usize::try_from(index).ok().and_then(|index| image.partitions.get(index));
    let partition =
        partition.ok_or_else(|| unknown(format!("Unable to find partition {topic}:{index}.")))?;
    let Some(replicas) = replicas else {
        return Err(Refused { error: ErrorCode::NoReassignmentInProgress, message: None });
    };
    let wanted = check(scope, replicas)?;
    let current: BTreeSet<BrokerId> = partition.replicas.iter().copied().collect();
    if wanted == current {
        return Ok(());
    }
    Err(Refused::new(
        ErrorCode::InvalidReplicaAssignment,
        "Partitions are placed by the coordinator and cannot be moved by reassignment yet.",
    ))
}

fn check(
    scope: &Scope<'_>,
    replicas: &[kafka_protocol::messages::BrokerId],
) -> Result<BTreeSet<BrokerId>, Refused> {
    let invalid = |message: String| {
        let message = format!("The manual partition assignment includes {message}");
        Err(Refused::new(ErrorCode::InvalidReplicaAssignment, message))
    };
    let mut wanted = BTreeSet::new();
    for replica in replicas.iter().map(|replica| BrokerId(replica.0)) {
        if !wanted.insert(replica) {
            return invalid(format!("the broker {replica} more than once."));
        }
    }
    if wanted.is_empty() {
        return invalid("an empty replica list.".to_owned());
    }
    match wanted.iter().find(|broker| !scope.image.brokers.contains_key(broker)) {
        Some(broker) => invalid(format!("broker {broker}, but no such broker is registered.")),
        None => Ok(wanted),
    }
}
