//! DescribeShareGroupOffsets, AlterShareGroupOffsets, DeleteShareGroupOffsets: where a share group begins to read.
//!
//! Source: KIP-932; `GroupCoordinatorService.describeShareGroupOffsets` and its neighbours in Apache Kafka 4.3.1.

use kafka_protocol::messages::alter_share_group_offsets_response as altered;
use kafka_protocol::messages::delete_share_group_offsets_response as deleted;
use kafka_protocol::messages::describe_share_group_offsets_request as asked;
use kafka_protocol::messages::describe_share_group_offsets_response as described;
use kafka_protocol::messages::{
    AlterShareGroupOffsetsRequest, AlterShareGroupOffsetsResponse, DeleteShareGroupOffsetsRequest,
    DeleteShareGroupOffsetsResponse, DescribeShareGroupOffsetsRequest,
    DescribeShareGroupOffsetsResponse, TopicName,
};
use uuid::Uuid;

use crate::base::ids::TopicId;
use crate::cluster::image::Image;
use crate::groups::share::requests::{AlterTopic, AlteredTopic, Failed};
use crate::groups::{Refusal, Summaries, share};
use crate::handlers::answers::Growing;
use crate::handlers::scope::{Refused, text};
use crate::handlers::{Session, error_code};
use crate::protocol::ErrorCode;

/// Of what nothing is known.
const UNKNOWN: i64 = -1;

pub(super) async fn describe(
    session: &Session,
    version: i16,
    request: DescribeShareGroupOffsetsRequest,
    growing: &mut Growing,
) -> DescribeShareGroupOffsetsResponse {
    let mut groups = Vec::with_capacity(request.groups.len());
    for group in request.groups {
        let group = describe_group(session, group).await;
        if !growing.push(&mut groups, version, group) {
            break;
        }
    }
    DescribeShareGroupOffsetsResponse::default().with_groups(groups)
}

async fn describe_group(
    session: &Session,
    group: asked::DescribeShareGroupOffsetsRequestGroup,
) -> described::DescribeShareGroupOffsetsResponseGroup {
    let image = session.context.image();
    let wanted = group.topics.as_ref().map(|topics| {
        let there = topics.iter().filter_map(|topic| {
            let id = image.topic(topic.topic_name.as_str())?.id;
            Some(topic.partitions.iter().map(move |partition| (id, *partition)))
        });
        there.flatten().collect()
    });
    let response = described::DescribeShareGroupOffsetsResponseGroup::default();
    let known = session.context.groups.share_offsets(group.group_id.as_str(), wanted).await;
    let response = match known {
        Ok(known) => response.with_topics(match group.topics {
            Some(topics) => asked_for(&image, topics, &known),
            None => all_known(&image, &known),
        }),
        Err(refusal) => {
            let refused = Refused::standard(error_code::of_group(refusal));
            response.with_error_code(refused.error.code()).with_error_message(refused.message())
        }
    };
    response.with_group_id(group.group_id)
}

fn asked_for(
    image: &Image,
    topics: Vec<asked::DescribeShareGroupOffsetsRequestTopic>,
    known: &Summaries,
) -> Vec<described::DescribeShareGroupOffsetsResponseTopic> {
    let topics = topics.into_iter().map(|topic| {
        let id = image.topic(topic.topic_name.as_str()).map(|topic| topic.id);
        let partitions = topic.partitions.iter().map(|partition| place(known, id, *partition));
        described::DescribeShareGroupOffsetsResponseTopic::default()
            .with_partitions(partitions.collect())
            .with_topic_id(id.map_or(Uuid::nil(), |id| id.0))
            .with_topic_name(topic.topic_name)
    });
    topics.collect()
}

fn all_known(
    image: &Image,
    known: &Summaries,
) -> Vec<described::DescribeShareGroupOffsetsResponseTopic> {
    let mut topics: Vec<described::DescribeShareGroupOffsetsResponseTopic> = Vec::new();
    for (id, partition) in known.keys() {
        let Some(topic) = image.topic_by_id(*id) else { continue };
        let place = place(known, Some(*id), *partition);
        match topics.last_mut().filter(|topic| topic.topic_id == id.0) {
            Some(topic) => topic.partitions.push(place),
            None => topics.push(
                described::DescribeShareGroupOffsetsResponseTopic::default()
                    .with_topic_name(TopicName(text(topic.name.as_str())))
                    .with_topic_id(id.0)
                    .with_partitions(vec![place]),
            ),
        }
    }
    topics
}

/// Of a topic that is not there nothing is known, which is no error.
fn place(
    known: &Summaries,
    topic: Option<TopicId>,
    partition: i32,
) -> described::DescribeShareGroupOffsetsResponsePartition {
    let response = described::DescribeShareGroupOffsetsResponsePartition::default()
        .with_partition_index(partition)
        .with_start_offset(UNKNOWN);
    match topic.and_then(|topic| known.get(&(topic, partition))) {
        None => response,
        Some(Ok(summary)) => {
            response.with_start_offset(summary.start_offset).with_leader_epoch(summary.leader_epoch)
        }
        Some(Err(error)) => {
            let refused = Refused::standard(error_code::of_persister(*error));
            response.with_error_code(refused.error.code()).with_error_message(refused.message())
        }
    }
}

/// A failure of a partition, or of a topic.
fn failure(failed: Failed) -> Refused {
    match failed {
        Failed::NoPartition => Refused::standard(ErrorCode::UnknownTopicOrPartition),
        Failed::NoState => Refused::new(
            ErrorCode::UnknownTopicOrPartition,
            "There is no offset information to delete.",
        ),
        Failed::State(error) => Refused::standard(error_code::of_persister(error)),
    }
}

/// Why a whole request is not done.
fn whole<T>(answer: Result<Result<T, share::Error>, Refusal>) -> Result<T, Refused> {
    match answer {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Refused::from(error)),
        Err(refusal) => Err(Refused::standard(error_code::of_group(refusal))),
    }
}

pub(super) async fn alter(
    session: &Session,
    request: AlterShareGroupOffsetsRequest,
) -> AlterShareGroupOffsetsResponse {
    let response = AlterShareGroupOffsetsResponse::default();
    let wanted = request.topics.into_iter().map(|topic| AlterTopic {
        name: topic.topic_name.as_str().to_owned(),
        // Whatever is below it says that nothing is known, too.
        partitions: topic
            .partitions
            .iter()
            .map(|one| (one.partition_index, one.start_offset.max(UNKNOWN)))
            .collect(),
    });
    let group_id = request.group_id.as_str();
    let altered = if group_id.is_empty() {
        Err(Refused::standard(ErrorCode::InvalidGroupId))
    } else {
        let wanted: Vec<AlterTopic> = wanted.collect();
        whole(session.context.groups.share_alter_offsets(group_id, &wanted).await)
    };
    match altered {
        Ok(topics) => response.with_responses(topics.into_iter().map(altered_topic).collect()),
        Err(refused) => {
            response.with_error_code(refused.error.code()).with_error_message(refused.message())
        }
    }
}

fn altered_topic(topic: AlteredTopic) -> altered::AlterShareGroupOffsetsResponseTopic {
    let partitions = topic.partitions.into_iter().map(|(partition, failed)| {
        let response = altered::AlterShareGroupOffsetsResponsePartition::default()
            .with_partition_index(partition);
        match failed.map(failure) {
            None => response,
            Some(refused) => {
                response.with_error_code(refused.error.code()).with_error_message(refused.message())
            }
        }
    });
    altered::AlterShareGroupOffsetsResponseTopic::default()
        .with_partitions(partitions.collect())
        .with_topic_name(TopicName(text(topic.name)))
        .with_topic_id(topic.id.map_or(Uuid::nil(), |id| id.0))
}

pub(super) async fn delete(
    session: &Session,
    request: DeleteShareGroupOffsetsRequest,
) -> DeleteShareGroupOffsetsResponse {
    let response = DeleteShareGroupOffsetsResponse::default();
    let group_id = request.group_id.as_str();
    let deleted = if group_id.is_empty() {
        Err(Refused::standard(ErrorCode::InvalidGroupId))
    } else {
        let names = request.topics.iter().map(|topic| topic.topic_name.as_str().to_owned());
        let names: Vec<String> = names.collect();
        whole(session.context.groups.share_delete_offsets(group_id, &names).await)
    };
    match deleted {
        Ok(topics) => {
            let image = session.context.image();
            let topics = topics.into_iter().map(|(name, result)| {
                let id = image.topic(&name).map(|topic| topic.id);
                deleted_topic(name, id, result.err())
            });
            response.with_responses(topics.collect())
        }
        Err(refused) => {
            response.with_error_code(refused.error.code()).with_error_message(refused.message())
        }
    }
}

fn deleted_topic(
    name: String,
    id: Option<TopicId>,
    failed: Option<Failed>,
) -> deleted::DeleteShareGroupOffsetsResponseTopic {
    let response = deleted::DeleteShareGroupOffsetsResponseTopic::default()
        .with_topic_name(TopicName(text(name)));
    let id = id.map_or(Uuid::nil(), |id| id.0);
    match failed {
        None => response.with_topic_id(id),
        Some(failed) => {
            // Kafka names the id only of a topic whose state was there.
            let id = if matches!(failed, Failed::State(_)) { id } else { Uuid::nil() };
            let refused = failure(failed);
            response
                .with_topic_id(id)
                .with_error_code(refused.error.code())
                .with_error_message(refused.message())
        }
    }
}
