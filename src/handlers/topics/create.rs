//! CreateTopics.
//!
//! Source: KIP-4, KIP-464 (defaults), KIP-525 (configs in the answer), KIP-516 (ids); `ControllerApis.createTopics`,
//! `ReplicationControlManager.createTopics` in Apache Kafka.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult,
};
use kafka_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse, TopicName};

use crate::base::ids::BrokerId;
use crate::cluster::client::{CreateTopics, CreatedTopic, NewTopic, Visible};
use crate::cluster::config::ResourceKind;
use crate::cluster::error::Refusal;
use crate::config::PARTITIONS_MAX;
use crate::handlers::configs;
use crate::handlers::scope::{Refused, Scope, text, within};
use crate::handlers::topics::name_fault;
use crate::protocol::ErrorCode;

/// Kafka's own log of metadata, which is no topic here or there.
const METADATA_TOPIC: &str = "__cluster_metadata";

pub(in crate::handlers) async fn handle(
    scope: &Scope<'_>,
    version: i16,
    request: CreateTopicsRequest,
) -> Visible<CreateTopicsResponse> {
    let mut seen = BTreeSet::new();
    let twice: BTreeSet<TopicName> = request
        .topics
        .iter()
        .filter(|topic| !seen.insert(topic.name.clone()))
        .map(|topic| topic.name.clone())
        .collect();
    let counted = request.topics.iter().filter(|topic| !twice.contains(&topic.name));
    if wanted(scope, counted) > i64::from(PARTITIONS_MAX) {
        let value = refuse_all(&request.topics, &Refusal::TooManyPartitions.into());
        return Visible { value, version: scope.image.version };
    }
    let (mut names, mut parts) = (Vec::new(), Vec::new());
    for topic in &request.topics {
        if twice.contains(&topic.name) {
            continue;
        }
        names.push(topic.name.clone());
        parts.push(part(scope, topic));
    }
    let created = create(scope, parts, request.timeout_ms, request.validate_only).await;
    let results = names.into_iter().zip(created.value).map(|(name, created)| {
        let result = CreatableTopicResult::default().with_name(name);
        match created {
            Ok(created) => described(scope, version, result, &created),
            Err(refused) => refuse(result, &refused),
        }
    });
    let mut results: Vec<CreatableTopicResult> = results.collect();
    results.extend(twice.into_iter().map(|name| {
        let refused = Refused::new(ErrorCode::InvalidRequest, "Duplicate topic name.");
        refuse(CreatableTopicResult::default().with_name(name), &refused)
    }));
    let response = CreateTopicsResponse::default().with_topics(results);
    Visible { value: response, version: created.version }
}

/// How many partitions these topics would have together, whatever else is wrong with them.
///
/// Source: `ReplicationControlManager.validateTotalNumberOfPartitions` in Apache Kafka.
fn wanted<'a>(scope: &Scope<'_>, topics: impl Iterator<Item = &'a CreatableTopic>) -> i64 {
    let asked = topics.filter(|topic| &*topic.name != METADATA_TOPIC).map(|topic| {
        match (topic.assignments.len(), topic.num_partitions) {
            (0, -1) => i64::from(scope.config.topic.num_partitions),
            (0, count) => i64::from(count.max(0)),
            (assigned, _) => i64::try_from(assigned).unwrap_or(i64::MAX),
        }
    });
    asked.fold(0, i64::saturating_add)
}

fn refuse_all(topics: &[CreatableTopic], refused: &Refused) -> CreateTopicsResponse {
    let each = topics.iter().map(|topic| {
        refuse(CreatableTopicResult::default().with_name(topic.name.clone()), refused)
    });
    CreateTopicsResponse::default().with_topics(each.collect())
}

fn part(scope: &Scope<'_>, topic: &CreatableTopic) -> Result<NewTopic, Refused> {
    let name: &str = &topic.name;
    if name == METADATA_TOPIC {
        let message = format!("Creation of internal topic {METADATA_TOPIC} is prohibited.");
        return Err(Refused::new(ErrorCode::InvalidRequest, message));
    }
    // The coordinator says what is wrong with a name, before anything is said about the rest.
    let named = name_fault(name).is_none() && scope.image.topic(name).is_none();
    let configs = if named { configs_of(topic)? } else { BTreeMap::new() };
    if let (true, Some(index)) = (named, assigned_twice(topic)) {
        let message = format!("Found multiple manual partition assignments for partition {index}");
        return Err(Refused::new(ErrorCode::InvalidReplicaAssignment, message));
    }
    let assignment = |assignment: &kafka_protocol::messages::create_topics_request::CreatableReplicaAssignment| {
        let brokers = assignment.broker_ids.iter().map(|broker| BrokerId(broker.0));
        (assignment.partition_index, brokers.collect())
    };
    Ok(NewTopic {
        name: name.to_owned(),
        partitions: Some(topic.num_partitions).filter(|count| *count != -1),
        replication_factor: Some(topic.replication_factor).filter(|factor| *factor != -1),
        assignments: topic.assignments.iter().map(assignment).collect(),
        configs,
    })
}

fn assigned_twice(topic: &CreatableTopic) -> Option<i32> {
    let mut seen = BTreeSet::new();
    let indexes = topic.assignments.iter().map(|assignment| assignment.partition_index);
    indexes.into_iter().find(|index| !seen.insert(*index))
}

fn configs_of(topic: &CreatableTopic) -> Result<BTreeMap<String, String>, Refused> {
    let invalid = |message: String| Refused::new(ErrorCode::InvalidConfig, message);
    let null = topic.configs.iter().filter(|config| config.value.is_none());
    let null: Vec<&str> = null.map(|config| &*config.name).collect();
    if !null.is_empty() {
        let null = null.join(",");
        return Err(invalid(format!("Null value not supported for topic configs: {null}")));
    }
    let value = |config: &kafka_protocol::messages::create_topics_request::CreatableTopicConfig| {
        Some((config.name.to_string(), config.value.as_ref()?.to_string()))
    };
    // The last one of a key counts.
    let configs: BTreeMap<String, String> = topic.configs.iter().filter_map(value).collect();
    let pairs = configs.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    configs::check_all(ResourceKind::Topic, pairs).map_err(|fault| invalid(fault.reason))?;
    configs::warn_if_compacted(&topic.name, &configs);
    Ok(configs)
}

async fn create(
    scope: &Scope<'_>,
    parts: Vec<Result<NewTopic, Refused>>,
    timeout_ms: i32,
    validate_only: bool,
) -> Visible<Vec<Result<CreatedTopic, Refused>>> {
    let topics: Vec<NewTopic> =
        parts.iter().filter_map(|part| part.as_ref().ok()).cloned().collect();
    let unchanged = scope.image.version;
    if topics.is_empty() {
        let value = parts.into_iter().filter_map(Result::err).map(Err).collect();
        return Visible { value, version: unchanged };
    }
    let call = scope.cluster.create_topics(CreateTopics {
        topics,
        validate_only,
        default_partitions: scope.config.topic.num_partitions,
        default_replication_factor: scope.config.topic.default_replication_factor,
    });
    let (mut done, version) = match within(timeout_ms, call).await {
        Ok(done) => (Ok(done.value.into_iter()), done.version),
        Err(error) => (Err(error), unchanged),
    };
    let value = parts.into_iter().map(|part| {
        part?;
        match &mut done {
            Ok(done) => done.next().expect("one answer for each topic").map_err(Refused::from),
            Err(error) => Err(Refused::standard(*error)),
        }
    });
    Visible { value: value.collect(), version }
}

fn described(
    scope: &Scope<'_>,
    version: i16,
    result: CreatableTopicResult,
    created: &CreatedTopic,
) -> CreatableTopicResult {
    let result = result.with_error_message(None);
    if version < 5 {
        return result;
    }
    let configs = configs::topic_entries(scope, &created.configs).into_iter().map(|config| {
        CreatableTopicConfigs::default()
            .with_config_source(config.source())
            .with_name(text(config.name))
            .with_value(config.value.map(text))
            .with_read_only(config.read_only)
    });
    result
        .with_topic_id(created.id.0)
        .with_num_partitions(created.partitions)
        .with_replication_factor(created.replication_factor)
        .with_configs(Some(configs.collect()))
}

fn refuse(result: CreatableTopicResult, refused: &Refused) -> CreatableTopicResult {
    result
        .with_error_code(refused.error.code())
        .with_error_message(refused.message())
        .with_configs(Some(Vec::new()))
}
