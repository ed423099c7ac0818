//! Metadata: brokers, topics and who leads their partitions, as the client's listener reaches them.
//!
//! Source: KIP-4, KIP-204, KIP-516 (topic ids); `KafkaApis.handleTopicMetadataRequest`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId, MetadataRequest, MetadataResponse, TopicName};
use uuid::Uuid;

use super::scope::{CLUSTER_OPERATIONS, NO_OPERATIONS, Scope, TOPIC_OPERATIONS, text};
use super::topics::name_fault;
use crate::base::ids::TopicId;
use crate::cluster::client::{CreateTopics, NewTopic, Visible};
use crate::cluster::error::Refusal;
use crate::cluster::image::{Image, TopicImage};
use crate::cluster::internal::is_internal;
use crate::protocol::ErrorCode;

/// No topic, though a name of one.
const METADATA_TOPIC: &str = "__cluster_metadata";
/// How long a created topic may take to show in the image.
const VISIBLE_WITHIN: Duration = Duration::from_secs(5);

/// What a request asks about.
enum Asked {
    All,
    Names(BTreeSet<String>),
    Ids(BTreeSet<Uuid>),
}

pub(super) async fn handle(
    scope: &Scope<'_>,
    version: i16,
    request: MetadataRequest,
) -> Visible<MetadataResponse> {
    let asked = match asked(version, request.topics.as_deref()) {
        Ok(asked) => asked,
        Err(error) => {
            let response = refused(version, request.topics.as_deref(), error);
            return Visible { value: response, version: scope.image.version };
        }
    };
    let creates = version < 4 || request.allow_auto_topic_creation;
    let created = match &asked {
        Asked::Names(names) if creates && scope.config.topic.auto_create => {
            create_missing(scope, names).await
        }
        _ => Created::nothing(scope),
    };
    let operations =
        if request.include_topic_authorized_operations { TOPIC_OPERATIONS } else { NO_OPERATIONS };
    let cluster_operations = if request.include_cluster_authorized_operations {
        CLUSTER_OPERATIONS
    } else {
        NO_OPERATIONS
    };
    let response = MetadataResponse::default()
        .with_brokers(brokers(scope))
        .with_cluster_id(Some(text(scope.image.cluster_id.clone())))
        .with_controller_id(BrokerId(scope.broker.0))
        .with_cluster_authorized_operations(cluster_operations)
        .with_topics(topics(&created, &asked, operations));
    Visible { value: response, version: created.version }
}

/// Sorts out what is asked. By id as soon as one topic has an id; every topic once.
fn asked(version: i16, topics: Option<&[MetadataRequestTopic]>) -> Result<Asked, ErrorCode> {
    let Some(topics) = topics else { return Ok(Asked::All) };
    // Before version 1 no topics at all stood for all of them.
    if version == 0 && topics.is_empty() {
        return Ok(Asked::All);
    }
    let ids: BTreeSet<Uuid> =
        topics.iter().map(|topic| topic.topic_id).filter(|id| !id.is_nil()).collect();
    let unnamed = topics.iter().any(|topic| topic.name.is_none());
    // Versions 10 and 11 have a place for ids that Kafka never read.
    if version < 12 && (unnamed || !ids.is_empty()) {
        return Err(ErrorCode::InvalidRequest);
    }
    if !ids.is_empty() {
        return Ok(Asked::Ids(ids));
    }
    if unnamed {
        // Neither name nor id: Kafka stumbles over it, and says only so.
        return Err(ErrorCode::UnknownServerError);
    }
    let names = topics.iter().filter_map(|topic| topic.name.as_ref().map(|name| name.to_string()));
    Ok(Asked::Names(names.collect()))
}

fn refused(
    version: i16,
    topics: Option<&[MetadataRequestTopic]>,
    error: ErrorCode,
) -> MetadataResponse {
    let topics = topics.into_iter().flatten().map(|topic| {
        MetadataResponseTopic::default()
            .with_error_code(error.code())
            .with_name(Some(topic.name.clone().unwrap_or_default()))
            .with_topic_id(topic.topic_id)
    });
    let response = MetadataResponse::default().with_topics(topics.collect());
    if version >= 13 { response.with_error_code(error.code()) } else { response }
}

fn brokers(scope: &Scope<'_>) -> Vec<MetadataResponseBroker> {
    let brokers = scope.brokers().map(|(broker, endpoint)| {
        MetadataResponseBroker::default()
            .with_node_id(BrokerId(broker.id.0))
            .with_host(text(endpoint.host.clone()))
            .with_port(i32::from(endpoint.port))
            .with_rack(broker.rack.clone().map(text))
    });
    brokers.collect()
}

/// The image after what was missing has been created, and what was not.
struct Created {
    image: Arc<Image>,
    version: u64,
    refusals: BTreeMap<String, ErrorCode>,
}

impl Created {
    fn nothing(scope: &Scope<'_>) -> Self {
        let (image, version) = (Arc::clone(&scope.image), scope.image.version);
        Self { image, version, refusals: BTreeMap::new() }
    }
}

async fn create_missing(scope: &Scope<'_>, names: &BTreeSet<String>) -> Created {
    let missing = |name: &&String| {
        scope.image.topic(name).is_none() && *name != METADATA_TOPIC && name_fault(name).is_none()
    };
    let missing: Vec<String> = names.iter().filter(missing).cloned().collect();
    let mut created = Created::nothing(scope);
    if missing.is_empty() {
        return created;
    }
    let request = CreateTopics {
        topics: missing.iter().map(|name| new_topic(scope, name)).collect(),
        validate_only: false,
        default_partitions: scope.config.topic.num_partitions,
        default_replication_factor: scope.config.topic.default_replication_factor,
    };
    match scope.cluster.create_topics(request).await {
        Ok(done) => {
            created.version = done.version;
            let outcomes = missing.into_iter().zip(done.value);
            created.refusals = outcomes
                .filter_map(|(name, outcome)| Some((name, code(&outcome.err()?))))
                .collect();
            let mut images = scope.cluster.image();
            let visible = images.wait_for(|image| image.version >= done.version);
            if let Ok(Ok(image)) = tokio::time::timeout(VISIBLE_WITHIN, visible).await {
                created.image = Arc::clone(&image);
            }
        }
        Err(_) => {
            let later = missing.into_iter().map(|name| (name, ErrorCode::LeaderNotAvailable));
            created.refusals = later.collect();
        }
    }
    created
}

/// A coordinator's own topic is made as the coordinator would, whoever names it first.
fn new_topic(scope: &Scope<'_>, name: &str) -> NewTopic {
    let internal = scope.internal.iter().find(|spec| spec.name == name);
    internal.map_or_else(
        || NewTopic {
            name: name.to_owned(),
            partitions: None,
            replication_factor: None,
            assignments: BTreeMap::new(),
            configs: BTreeMap::new(),
        },
        |spec| spec.new_topic(),
    )
}

fn code(refusal: &Refusal) -> ErrorCode {
    match refusal {
        Refusal::InvalidTopicName(_) => ErrorCode::InvalidTopicException,
        // The same request fails again; one that names fewer may not.
        Refusal::TooManyPartitions => ErrorCode::UnknownTopicOrPartition,
        // Somebody else created it meanwhile: the client asks again.
        _ => ErrorCode::LeaderNotAvailable,
    }
}

fn topics(created: &Created, asked: &Asked, operations: i32) -> Vec<MetadataResponseTopic> {
    let image = &created.image;
    match asked {
        Asked::All => {
            let all = image.names.keys().filter_map(|name| image.topic(name));
            all.map(|topic| known(topic, operations)).collect()
        }
        Asked::Ids(ids) => {
            let one = |id: &Uuid| match image.topic_by_id(TopicId(*id)) {
                Some(topic) => known(topic, operations),
                None => MetadataResponseTopic::default()
                    .with_error_code(ErrorCode::UnknownTopicId.code())
                    .with_name(None)
                    .with_topic_id(*id),
            };
            ids.iter().map(one).collect()
        }
        Asked::Names(names) => {
            let one = |name: &String| match image.topic(name) {
                Some(topic) => known(topic, operations),
                None => unknown(name, created.refusals.get(name).copied()),
            };
            names.iter().map(one).collect()
        }
    }
}

fn unknown(name: &str, refusal: Option<ErrorCode>) -> MetadataResponseTopic {
    let error = match (refusal, name_fault(name)) {
        (Some(error), _) => error,
        (None, Some(_)) => ErrorCode::InvalidTopicException,
        (None, None) => ErrorCode::UnknownTopicOrPartition,
    };
    MetadataResponseTopic::default()
        .with_error_code(error.code())
        .with_name(Some(TopicName(text(name))))
        .with_is_internal(is_internal(name))
}

fn known(topic: &TopicImage, operations: i32) -> MetadataResponseTopic {
    let partitions = (0_i32..).zip(&topic.partitions).map(|(index, partition)| {
        let replicas: Vec<BrokerId> = partition.replicas.iter().map(|id| BrokerId(id.0)).collect();
        let leader = partition.leader.filter(|_| !partition.offline);
        let error = if leader.is_some() { ErrorCode::None } else { ErrorCode::LeaderNotAvailable };
        MetadataResponsePartition::default()
            .with_error_code(error.code())
            .with_partition_index(index)
            .with_leader_id(BrokerId(leader.map_or(-1, |leader| leader.0)))
            .with_leader_epoch(partition.leader_epoch.0)
            .with_replica_nodes(replicas.clone())
            .with_isr_nodes(replicas)
    });
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(text(topic.name.clone()))))
        .with_topic_id(topic.id.0)
        .with_is_internal(topic.internal)
        .with_partitions(partitions.collect())
        .with_topic_authorized_operations(operations)
}

#[cfg(test)]
mod tests;
