//! DeleteTopics, by name and by id.
//!
//! Source: KIP-4, KIP-322, KIP-516; `ControllerApis.deleteTopics` in Apache Kafka.

use std::collections::BTreeSet;

use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse, TopicName};
use uuid::Uuid;

use crate::base::ids::TopicId;
use crate::cluster::client::{TopicRef, Visible};
use crate::handlers::scope::{Refused, Scope, text, within};
use crate::protocol::ErrorCode;

/// A topic as the request names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Asked {
    name: Option<TopicName>,
    id: Uuid,
}

pub(in crate::handlers) async fn handle(
    scope: &Scope<'_>,
    version: i16,
    request: DeleteTopicsRequest,
) -> Visible<DeleteTopicsResponse> {
    let by_name = request.topic_names.iter().cloned();
    let by_name = by_name.map(|name| Asked { name: Some(name), id: Uuid::nil() });
    let state = |topic: &DeleteTopicState| Asked { name: topic.name.clone(), id: topic.topic_id };
    let asked: Vec<Asked> = by_name.chain(request.topics.iter().map(state)).collect();
    let deleted = delete(scope, version, &asked, request.timeout_ms).await;
    let response = DeleteTopicsResponse::default().with_responses(deleted.value);
    Visible { value: response, version: deleted.version }
}

async fn delete(
    scope: &Scope<'_>,
    version: i16,
    asked: &[Asked],
    timeout_ms: i32,
) -> Visible<Vec<DeletableTopicResult>> {
    let unchanged = scope.image.version;
    if !scope.config.topic.delete_enable {
        let refused = disabled(version);
        let value = asked.iter().map(|asked| answer(asked, Err(refused.clone()))).collect();
        return Visible { value, version: unchanged };
    }
    let (mut fine, mut results) = (Vec::new(), Vec::new());
    let doubled = named_both_ways(scope, asked);
    for (asked, times) in counted(asked) {
        let id = asked.name.as_ref().and_then(|name| Some(scope.image.topic(name)?.id.0));
        match (id, asked.name.is_none() && doubled.contains(&asked.id)) {
            (_, true) => continue,
            (Some(id), false) if asked.id.is_nil() && doubled.contains(&id) => {
                let message = "The provided topic name maps to an ID that was already supplied.";
                let refused = Refused::new(ErrorCode::InvalidRequest, message);
                results.push(answer(&Asked { id, ..asked }, Err(refused)));
                continue;
            }
            _ => {}
        }
        match check(scope, &asked, times) {
            Ok(topic) => fine.push((asked, topic)),
            Err(refused) => results.push(answer(&asked, Err(refused))),
        }
    }
    if fine.is_empty() {
        return Visible { value: results, version: unchanged };
    }
    let topics = fine.iter().map(|(_, topic)| topic.clone()).collect();
    let version = match within(timeout_ms, scope.cluster.delete_topics(topics)).await {
        Ok(done) => {
            let answers = fine.into_iter().zip(done.value);
            results.extend(answers.map(|((asked, _), done)| {
                answer(&asked, done.map(|done| (done.name, done.id)).map_err(Refused::from))
            }));
            done.version
        }
        Err(error) => {
            let refused = |(asked, _)| answer(&asked, Err(Refused::standard(error)));
            results.extend(fine.into_iter().map(refused));
            unchanged
        }
    };
    Visible { value: results, version }
}

/// The ids of topics that are asked for by name and by id in one request.
fn named_both_ways(scope: &Scope<'_>, asked: &[Asked]) -> BTreeSet<Uuid> {
    let ids: BTreeSet<Uuid> = asked.iter().map(|asked| asked.id).collect();
    let by_name = asked.iter().filter(|asked| asked.id.is_nil());
    let named = by_name.filter_map(|asked| Some(scope.image.topic(asked.name.as_ref()?)?.id.0));
    named.filter(|id| ids.contains(id)).collect()
}

fn disabled(version: i16) -> Refused {
    if version < 3 {
        return Refused::new(ErrorCode::InvalidRequest, "Topic deletion is disabled.");
    }
    Refused::standard(ErrorCode::TopicDeletionDisabled)
}

/// Each topic once, and how often it was named.
fn counted(asked: &[Asked]) -> Vec<(Asked, usize)> {
    let mut seen = BTreeSet::new();
    let first = asked.iter().filter(|asked| seen.insert((*asked).clone()));
    let times = |one: &Asked| asked.iter().filter(|other| *other == one).count();
    first.map(|one| (one.clone(), times(one))).collect()
}

fn check(scope: &Scope<'_>, asked: &Asked, times: usize) -> Result<TopicRef, Refused> {
    let invalid = |message: &str| Err(Refused::new(ErrorCode::InvalidRequest, message));
    match (&asked.name, asked.id.is_nil()) {
        (None, true) => invalid("Neither topic name nor id were specified."),
        (Some(_), false) => invalid("You may not specify both topic name and topic id."),
        (Some(_), true) if times > 1 => invalid("Duplicate topic name."),
        (None, false) if times > 1 => invalid("Duplicate topic id."),
        (Some(name), true) => match scope.image.topic(name) {
            Some(_) => Ok(TopicRef::Name(name.to_string())),
            None => Err(Refused::standard(ErrorCode::UnknownTopicOrPartition)),
        },
        (None, false) => Ok(TopicRef::Id(TopicId(asked.id))),
    }
}

fn answer(asked: &Asked, done: Result<(String, TopicId), Refused>) -> DeletableTopicResult {
    match done {
        Ok((name, id)) => DeletableTopicResult::default()
            .with_name(Some(TopicName(text(name))))
            .with_topic_id(id.0)
            .with_error_message(None),
        Err(refused) => DeletableTopicResult::default()
            .with_name(asked.name.clone())
            .with_topic_id(asked.id)
            .with_error_code(refused.error.code())
            .with_error_message(refused.message()),
    }
}
