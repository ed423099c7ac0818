//! CreatePartitions.
//!
//! Source: KIP-195; `ControllerApis.createPartitions`, `ReplicationControlManager.createPartitions` in Apache Kafka.

use std::collections::BTreeSet;

use kafka_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse, TopicName};

use crate::base::ids::BrokerId;
use crate::cluster::client::{MorePartitions, Visible};
use crate::cluster::error::Refusal;
use crate::handlers::scope::{Refused, Scope, within};
use crate::protocol::ErrorCode;

pub(in crate::handlers) async fn handle(
    scope: &Scope<'_>,
    request: CreatePartitionsRequest,
) -> Visible<CreatePartitionsResponse> {
    let mut seen = BTreeSet::new();
    let again = request.topics.iter().filter(|topic| !seen.insert(&topic.name));
    let twice: BTreeSet<TopicName> = again.map(|topic| topic.name.clone()).collect();
    let mut results: Vec<CreatePartitionsTopicResult> = twice
        .iter()
        .map(|name| {
            let refused = Refused::new(ErrorCode::InvalidRequest, "Duplicate topic name.");
            result(name.clone(), Err(refused))
        })
        .collect();
    let fine: Vec<&CreatePartitionsTopic> =
        request.topics.iter().filter(|topic| !twice.contains(&topic.name)).collect();
    let mut version = scope.image.version;
    if !fine.is_empty() {
        let parts = fine.iter().map(|topic| part(topic)).collect();
        let call = scope.cluster.create_partitions(parts, request.validate_only);
        match within(request.timeout_ms, call).await {
            Ok(done) => {
                version = done.version;
                results.extend(fine.iter().zip(done.value).map(|(topic, done)| {
                    result(topic.name.clone(), done.map(|_| ()).map_err(refused))
                }));
            }
            Err(error) => results.extend(
                fine.iter().map(|topic| result(topic.name.clone(), Err(Refused::standard(error)))),
            ),
        }
    }
    let response = CreatePartitionsResponse::default().with_results(results);
    Visible { value: response, version }
}

fn part(topic: &CreatePartitionsTopic) -> MorePartitions {
    let brokers = |assignment: &CreatePartitionsAssignment| {
        assignment.broker_ids.iter().map(|broker| BrokerId(broker.0)).collect()
    };
    MorePartitions {
        topic: topic.name.to_string(),
        count: topic.count,
        assignments: topic.assignments.as_ref().map(|all| all.iter().map(brokers).collect()),
    }
}

fn refused(refusal: Refusal) -> Refused {
    match refusal {
        // Kafka says nothing more about it here.
        Refusal::UnknownTopicName { .. } => {
            Refused { error: ErrorCode::UnknownTopicOrPartition, message: None }
        }
        other => other.into(),
    }
}

fn result(name: TopicName, done: Result<(), Refused>) -> CreatePartitionsTopicResult {
    let result = CreatePartitionsTopicResult::default().with_name(name);
    match done {
        Ok(()) => result.with_error_message(None),
        Err(refused) => {
            result.with_error_code(refused.error.code()).with_error_message(refused.message())
        }
    }
}
