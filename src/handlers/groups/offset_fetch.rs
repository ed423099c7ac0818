//! OffsetFetch: the committed offsets of one group, or of many.
//!
//! Source: KIP-447 (stable offsets), KIP-709 (many groups); `KafkaApis.handleOffsetFetchRequest`.

use std::collections::HashSet;

use futures::{StreamExt as _, stream};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse, TopicName};

use super::code;
use crate::groups::{Fetcher, TopicOffset};
use crate::handlers::Session;
use crate::handlers::answers::Growing;
use crate::handlers::scope::text;

/// Groups of one request that are read side by side, and so by one proof.
const GROUPS_AT_ONCE: usize = 256;
/// The first version that carries an error of the whole answer.
const WHOLE_ERROR_SINCE: i16 = 2;
/// The first version of many groups.
const MANY_GROUPS_SINCE: i16 = 8;
/// The first version with leader epochs.
const LEADER_EPOCH_SINCE: i16 = 5;

pub(super) async fn handle(
    session: &Session,
    version: i16,
    request: OffsetFetchRequest,
    growing: &mut Growing,
) -> OffsetFetchResponse {
    if version < MANY_GROUPS_SINCE {
        return one_group(session, version, request).await;
    }
    // Side by side: a proof of leadership serves all that arrived before it began (law 9).
    let mut fetching = Vec::with_capacity(request.groups.len());
    for group in request.groups {
        fetching.push(of_many(session, group, request.require_stable));
    }
    let mut fetched = stream::iter(fetching).buffered(GROUPS_AT_ONCE);
    let mut groups = Vec::new();
    while let Some(group) = fetched.next().await {
        if !growing.push(&mut groups, version, group) {
            break;
        }
    }
    OffsetFetchResponse::default().with_groups(groups)
}

/// One group of a request that may name many.
async fn of_many(
    session: &Session,
    group: OffsetFetchRequestGroup,
    require_stable: bool,
) -> OffsetFetchResponseGroup {
    let OffsetFetchRequestGroup { group_id, member_id, member_epoch, topics, .. } = group;
    let wanted = topics
        .map(|all| places(all.into_iter().map(|topic| (topic.name, topic.partition_indexes))));
    let member = Fetcher { member_id: member_id.as_ref().map(|id| id.as_str()), member_epoch };
    let groups = &session.context.groups;
    let fetched =
        groups.fetch_offsets(group_id.as_str(), member, wanted.as_deref(), require_stable).await;
    let response = OffsetFetchResponseGroup::default().with_group_id(group_id);
    match fetched {
        Err(refusal) => response.with_error_code(code(Some(refusal))),
        Ok(offsets) => {
            let topics = by_topic(offsets).into_iter().map(|(topic, offsets)| {
                let partitions = offsets.into_iter().map(partitions_entry).collect();
                OffsetFetchResponseTopics::default().with_name(topic).with_partitions(partitions)
            });
            response.with_topics(topics.collect())
        }
    }
}

async fn one_group(
    session: &Session,
    version: i16,
    request: OffsetFetchRequest,
) -> OffsetFetchResponse {
    let wanted = request.topics.map(|topics| {
        places(topics.into_iter().map(|topic| (topic.name, topic.partition_indexes)))
    });
    let group_id = request.group_id.as_str();
    let fetched = session
        .context
        .groups
        .fetch_offsets(group_id, Fetcher::NOBODY, wanted.as_deref(), request.require_stable)
        .await;
    let offsets = match fetched {
        Ok(offsets) => offsets,
        Err(refusal) if version < WHOLE_ERROR_SINCE => {
            let refused = |(topic, partition)| TopicOffset {
                topic,
                partition,
                offset: -1,
                leader_epoch: -1,
                metadata: String::new(),
                refusal: Some(refusal),
            };
            wanted.unwrap_or_default().into_iter().map(refused).collect()
        }
        Err(refusal) => return OffsetFetchResponse::default().with_error_code(code(Some(refusal))),
    };
    let topics = by_topic(offsets).into_iter().map(|(topic, offsets)| {
        let partitions = offsets.into_iter().map(|offset| partition_entry(version, offset));
        OffsetFetchResponseTopic::default().with_name(topic).with_partitions(partitions.collect())
    });
    OffsetFetchResponse::default().with_topics(topics.collect())
}

/// Each once, in the order of the request: what is asked for may be much larger than its name.
fn places(topics: impl Iterator<Item = (TopicName, Vec<i32>)>) -> Vec<(String, i32)> {
    let mut known = HashSet::new();
    let all = topics.flat_map(|(topic, partitions)| {
        partitions.into_iter().map(move |partition| (topic.as_str().to_owned(), partition))
    });
    all.filter(|place| known.insert(place.clone())).collect()
}

/// Groups neighbours of one topic.
fn by_topic(offsets: Vec<TopicOffset>) -> Vec<(TopicName, Vec<TopicOffset>)> {
    let mut topics: Vec<(TopicName, Vec<TopicOffset>)> = Vec::new();
    for offset in offsets {
        match topics.last_mut() {
            Some((topic, offsets)) if topic.as_str() == offset.topic => offsets.push(offset),
            _ => topics.push((TopicName(text(offset.topic.clone())), vec![offset])),
        }
    }
    topics
}

fn partitions_entry(offset: TopicOffset) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions::default()
        .with_partition_index(offset.partition)
        .with_committed_offset(offset.offset)
        .with_committed_leader_epoch(offset.leader_epoch)
        .with_metadata(Some(text(offset.metadata)))
        .with_error_code(code(offset.refusal))
}

fn partition_entry(version: i16, offset: TopicOffset) -> OffsetFetchResponsePartition {
    let response = OffsetFetchResponsePartition::default()
        .with_partition_index(offset.partition)
        .with_committed_offset(offset.offset)
        .with_metadata(Some(text(offset.metadata)))
        .with_error_code(code(offset.refusal));
    match version {
        LEADER_EPOCH_SINCE.. => response.with_committed_leader_epoch(offset.leader_epoch),
        _ => response,
    }
}
