//! Metadata: brokers, topics and who leads their partitions, as the client's listener reaches them.
//!
//! Source: KIP-4, KIP-204, KIP-516 (topic ids); `KafkaApis.handleTopicMetadataRequest`.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId, MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::Session;
use crate::base::ids::TopicId;
use crate::cluster::client::{CreateTopics, NewTopic};
use crate::cluster::error::Refusal;
use crate::cluster::image::{Image, TopicImage};
use crate::protocol::ErrorCode;

/// No authorised operations were asked for.
const NOT_ASKED: i32 = i32::MIN;
/// Read, write, create, delete, alter, describe, describe and alter configs: what anybody may do while there are no ACLs.
const TOPIC_OPERATIONS: i32 = 0b1101_1111_1000;
/// The same for the cluster.
const CLUSTER_OPERATIONS: i32 = 0b1_1111_1010_0000;

pub(super) async fn handle(
    session: &Session,
    version: i16,
    request: MetadataRequest,
) -> MetadataResponse {
    let mut image = session.context.image();
    let asked = match (&request.topics, version) {
        // Before version 1 no topics at all stood for all of them.
        (None, _) => None,
        (Some(topics), 0) if topics.is_empty() => None,
        (Some(topics), _) => Some(topics.as_slice()),
    };
    let creates = request.allow_auto_topic_creation || version < 4;
    let refusals = match asked {
        Some(asked) if creates && session.context.config.topic.auto_create => {
            let refusals = create_missing(session, &image, asked).await;
            image = session.context.image();
            refusals
        }
        _ => BTreeMap::new(),
    };
    let operations =
        if request.include_topic_authorized_operations { TOPIC_OPERATIONS } else { NOT_ASKED };
    let topics = match asked {
        None => image
            .names
            .keys()
            .filter_map(|name| image.topic(name))
            .map(|topic| known(topic, operations))
            .collect(),
        Some(asked) => {
            asked.iter().map(|topic| one(&image, topic, &refusals, operations)).collect()
        }
    };
    let cluster_operations =
        if request.include_cluster_authorized_operations { CLUSTER_OPERATIONS } else { NOT_ASKED };
    MetadataResponse::default()
        .with_brokers(brokers(session, &image))
        .with_cluster_id(Some(StrBytes::from_string(image.cluster_id.clone())))
        .with_controller_id(BrokerId(session.context.broker.0))
        .with_cluster_authorized_operations(cluster_operations)
        .with_topics(topics)
}

fn brokers(session: &Session, image: &Image) -> Vec<MetadataResponseBroker> {
    let reached = image.brokers.values().filter_map(|broker| {
        let endpoint = broker.listeners.get(&*session.listener)?;
        Some(
            MetadataResponseBroker::default()
                .with_node_id(BrokerId(broker.id.0))
                .with_host(StrBytes::from_string(endpoint.host.clone()))
                .with_port(i32::from(endpoint.port))
                .with_rack(broker.rack.clone().map(StrBytes::from_string)),
        )
    });
    reached.collect()
}

/// Creates what does not exist, and gives what was refused.
async fn create_missing(
    session: &Session,
    image: &Image,
    asked: &[MetadataRequestTopic],
) -> BTreeMap<String, ErrorCode> {
    let names = asked.iter().filter_map(|topic| topic.name.as_ref()).map(|name| name.to_string());
    let mut missing: Vec<String> = names.filter(|name| image.topic(name).is_none()).collect();
    missing.sort_unstable();
    missing.dedup();
    if missing.is_empty() {
        return BTreeMap::new();
    }
    let context = &session.context;
    let topics = missing.iter().map(|name| NewTopic {
        name: name.clone(),
        internal: false,
        partitions: None,
        replication_factor: None,
        assignments: BTreeMap::new(),
        configs: BTreeMap::new(),
    });
    let request = CreateTopics {
        topics: topics.collect(),
        validate_only: false,
        default_partitions: context.config.topic.num_partitions,
        default_replication_factor: context.config.topic.default_replication_factor,
    };
    match context.cluster.create_topics(request).await {
        Ok(created) => {
            context.log.caught_up(created.version).await;
            let outcomes = missing.into_iter().zip(created.value);
            outcomes.filter_map(|(name, outcome)| Some((name, code(&outcome.err()?)))).collect()
        }
        Err(_) => missing.into_iter().map(|name| (name, ErrorCode::LeaderNotAvailable)).collect(),
    }
}

fn code(refusal: &Refusal) -> ErrorCode {
    match refusal {
        Refusal::InvalidTopicName(_) => ErrorCode::InvalidTopicException,
        // Somebody else created it meanwhile: the client asks again.
        _ => ErrorCode::LeaderNotAvailable,
    }
}

fn one(
    image: &Image,
    asked: &MetadataRequestTopic,
    refusals: &BTreeMap<String, ErrorCode>,
    operations: i32,
) -> MetadataResponseTopic {
    if let Some(name) = &asked.name {
        let name: &str = name;
        return match image.topic(name) {
            Some(topic) => known(topic, operations),
            None => {
                let error =
                    refusals.get(name).copied().unwrap_or(ErrorCode::UnknownTopicOrPartition);
                unknown(error).with_name(Some(TopicName(StrBytes::from_string(name.to_owned()))))
            }
        };
    }
    match image.topic_by_id(TopicId(asked.topic_id)) {
        Some(topic) => known(topic, operations),
        None => unknown(ErrorCode::UnknownTopicId).with_topic_id(asked.topic_id),
    }
}

fn unknown(error: ErrorCode) -> MetadataResponseTopic {
    MetadataResponseTopic::default()
        .with_error_code(error.code())
        .with_name(None)
        .with_topic_authorized_operations(NOT_ASKED)
}

fn known(topic: &Arc<TopicImage>, operations: i32) -> MetadataResponseTopic {
    let partitions = (0_i32..).zip(&topic.partitions).map(|(index, partition)| {
        let replicas: Vec<BrokerId> = partition.replicas.iter().map(|id| BrokerId(id.0)).collect();
        let error = if partition.leader.is_some() && !partition.offline {
            ErrorCode::None
        } else {
            ErrorCode::LeaderNotAvailable
        };
        MetadataResponsePartition::default()
            .with_error_code(error.code())
            .with_partition_index(index)
            .with_leader_id(BrokerId(partition.leader.map_or(-1, |leader| leader.0)))
            .with_leader_epoch(partition.leader_epoch.0)
            .with_replica_nodes(replicas.clone())
            .with_isr_nodes(replicas)
    });
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(StrBytes::from_string(topic.name.clone()))))
        .with_topic_id(topic.id.0)
        .with_is_internal(topic.internal)
        .with_partitions(partitions.collect())
        .with_topic_authorized_operations(operations)
}
