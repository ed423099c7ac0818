//! ShareFetch: acknowledges what a member has done, and gives it more, waiting for enough bytes or time.
//!
//! Source: KIP-932; `KafkaApis.handleShareFetchRequest` in Apache Kafka 4.3.1.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::share_fetch_request as asked;
use kafka_protocol::messages::share_fetch_response as answered;
use kafka_protocol::messages::{BrokerId, ShareFetchRequest, ShareFetchResponse};
use tokio::time::Instant;

use super::share_acknowledge::{Heard, Said, exists, hear, member_of};
use crate::base::ids::{TopicId, TopicPartition};
use crate::base::offset::Offset;
use crate::cluster::ShareSettings;
use crate::handlers::dispatch::answer;
use crate::handlers::leaders::Leaders;
use crate::handlers::scope::Refused;
use crate::handlers::{Outcome, Room, Session};
use crate::log::Isolation;
use crate::protocol::ErrorCode;
use crate::protocol::header::RequestHeader;
use crate::protocol::hot::TopicRef;
use crate::share::fetch::{Fetched, Terms};
use crate::share::partition::Acknowledgement;
use crate::share::sessions::{Context, FINAL_EPOCH, FetchRequest, MemberKey};

/// What is told of partitions, in the order of the answer.
type Told = Vec<(TopicPartition, answered::PartitionData)>;

/// Answers a ShareFetch.
pub(super) async fn handle(session: &Session, header: &RequestHeader, body: Bytes) -> Outcome {
    let mut room = None;
    let outcome = answer(header, body, |request| fetch(session, request, &mut room)).await;
    match (outcome, room) {
        (Outcome::Answer(answer), Some(mut room)) => {
            room.keep(answer.bytes());
            Outcome::Held(answer, room)
        }
        (outcome, _) => outcome,
    }
}

/// Leaves in `room` the memory that the records of the answer hold.
async fn fetch(
    session: &Session,
    request: ShareFetchRequest,
    room: &mut Option<Room>,
) -> ShareFetchResponse {
    let refused =
        |refused: Refused| ShareFetchResponse::default().with_error_code(refused.error.code());
    let key = match member_of(request.group_id.as_ref(), request.member_id.as_ref()) {
        Ok(key) => key,
        Err(error) => return refused(error),
    };
    let share = &session.context.share;
    let said = said(&request.topics);
    let acknowledges = said.values().any(|batches| !batches.is_empty());
    share.released(&key).await;
    let context = share.fetch_session(&key, session_request(session, &request, acknowledges));
    let context = match context {
        Ok(context) => context,
        Err(error) => return refused(Refused::from(error)),
    };
    let settings = share.settings(&key.group);
    let heard = async { if acknowledges { hear(session, &key, said).await } else { Heard::new() } };
    // What is acknowledged is done before more is looked for, but not yet kept: that is waited for beside it.
    let (heard, told) = tokio::join!(
        heard,
        read(session, &key, &context, terms(session, &request, &settings), room)
    );
    let told = tell(session, &key, &context, told);
    if request.share_session_epoch == FINAL_EPOCH {
        share.close_session(&key).await;
    }
    let lock = i32::try_from(settings.record_lock_duration.as_millis()).unwrap_or(i32::MAX);
    response_of(session, with_heard(told, heard)).with_acquisition_lock_timeout_ms(lock)
}

/// What a member acknowledges, by partition. All partitions that are named are there.
fn said(topics: &[asked::FetchTopic]) -> Said {
    let partitions = topics.iter().flat_map(|topic| {
        let id = TopicId(topic.topic_id);
        topic.partitions.iter().map(move |partition| (id, partition))
    });
    let each = partitions.map(|(topic, partition)| {
        let batches = partition.acknowledgement_batches.iter().map(|batch| {
            let (first, last) = (Offset(batch.first_offset), Offset(batch.last_offset));
            Acknowledgement { first, last, types: batch.acknowledge_types.clone() }
        });
        let tp = TopicPartition { topic, partition: partition.partition_index };
        (tp, batches.collect())
    });
    each.collect()
}

fn session_request(
    session: &Session,
    request: &ShareFetchRequest,
    acknowledges: bool,
) -> FetchRequest {
    let wanted = request.topics.iter().flat_map(|topic| {
        let topic_id = TopicId(topic.topic_id);
        let partitions = topic.partitions.iter();
        partitions
            .map(move |one| TopicPartition { topic: topic_id, partition: one.partition_index })
    });
    let forgotten = request.forgotten_topics_data.iter().flat_map(|topic| {
        let topic_id = TopicId(topic.topic_id);
        let partitions = topic.partitions.iter();
        partitions.map(move |partition| TopicPartition { topic: topic_id, partition: *partition })
    });
    FetchRequest {
        epoch: request.share_session_epoch,
        wanted: wanted.collect(),
        forgotten: forgotten.collect(),
        acknowledges,
        connection: session.share_connection().id(),
    }
}

fn terms(session: &Session, request: &ShareFetchRequest, settings: &ShareSettings) -> Terms {
    let most = session.context.config.server.fetch_max_bytes.as_usize();
    let bytes_max = usize::try_from(request.max_bytes).unwrap_or(0).min(most);
    let bytes_min = usize::try_from(request.min_bytes).unwrap_or(0).min(bytes_max);
    let max_wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
    Terms {
        isolation: if settings.read_committed {
            Isolation::ReadCommitted
        } else {
            Isolation::ReadUncommitted
        },
        bytes_min: bytes_min as u64,
        bytes_max,
        records_max: usize::try_from(request.max_records).unwrap_or(0),
        batch_size: usize::try_from(request.batch_size).unwrap_or(0),
        deadline: Instant::now() + max_wait,
    }
}

/// Reads what the session reads.
async fn read(
    session: &Session,
    key: &MemberKey,
    context: &Context,
    terms: Terms,
    room: &mut Option<Room>,
) -> Told {
    let image = session.context.image();
    let mut told = Told::new();
    let mut wants = Vec::new();
    for tp in context.partitions() {
        match exists(&image, *tp) {
            Ok(()) => wants.push(*tp),
            Err(refused) => {
                told.push((*tp, refusal(*tp, &refused)));
            }
        }
    }
    let room_for = |bytes| {
        // What an earlier look did not use is free before more is asked for.
        *room = None;
        room.insert(session.context.answers.room(bytes)).bytes()
    };
    let fetched = session.context.share.fetch(key, &wants, terms, room_for).await;
    told.extend(fetched.into_iter().map(|(tp, fetched)| match fetched {
        Ok(fetched) => (tp, found(tp, fetched)),
        Err(error) => (tp, refusal(tp, &Refused::from(error))),
    }));
    told
}

/// Of which nothing was read. Clients take no answer whose records are null.
fn nothing(tp: TopicPartition) -> answered::PartitionData {
    answered::PartitionData::default()
        .with_partition_index(tp.partition)
        .with_records(Some(Bytes::new()))
}

fn refusal(tp: TopicPartition, refused: &Refused) -> answered::PartitionData {
    nothing(tp).with_error_code(refused.error.code()).with_error_message(refused.message())
}

fn found(tp: TopicPartition, fetched: Fetched) -> answered::PartitionData {
    let acquired = fetched.acquired.iter().map(|range| {
        answered::AcquiredRecords::default()
            .with_first_offset(range.first.0)
            .with_last_offset(range.last.0)
            .with_delivery_count(range.delivery_count)
    });
    let acquired = acquired.collect();
    nothing(tp).with_records(Some(fetched.records)).with_acquired_records(acquired)
}

/// Leaves what the session must tell.
fn tell(session: &Session, key: &MemberKey, context: &Context, mut told: Told) -> Told {
    if matches!(context, Context::Incremental(_)) {
        told.retain(|(tp, partition)| {
            let records = partition.records.as_ref().is_some_and(|records| !records.is_empty());
            session.context.share.must_tell(key, *tp, (records, partition.error_code != 0))
        });
    }
    told
}

/// Says beside what was read what became of the acknowledgements.
fn with_heard(mut told: Told, mut heard: Heard) -> Told {
    for (tp, partition) in &mut told {
        if let Some(refused) = heard.remove(tp) {
            partition.acknowledge_error_code = refused.error.code();
            partition.acknowledge_error_message = refused.message();
        }
    }
    told.extend(heard.into_iter().map(|(tp, refused)| {
        let partition = nothing(tp)
            .with_acknowledge_error_code(refused.error.code())
            .with_acknowledge_error_message(refused.message());
        (tp, partition)
    }));
    told
}

fn response_of(session: &Session, told: Told) -> ShareFetchResponse {
    let image = session.context.image();
    let mut leaders = Leaders::new(&image, &session.listener);
    let mut topics: Vec<answered::ShareFetchableTopicResponse> = Vec::new();
    let mut places: BTreeMap<TopicId, usize> = BTreeMap::new();
    for (tp, mut partition) in told {
        let error = ErrorCode::from_code(partition.error_code);
        let topic = TopicRef::Id(tp.topic);
        if let Some(told) = error.and_then(|error| leaders.told(&topic, tp.partition, error)) {
            partition.current_leader = answered::LeaderIdAndEpoch::default()
                .with_leader_id(told.leader.0)
                .with_leader_epoch(told.epoch.0);
        }
        let place = *places.entry(tp.topic).or_insert_with(|| {
            let topic = answered::ShareFetchableTopicResponse::default();
            topics.push(topic.with_topic_id(tp.topic.0));
            topics.len() - 1
        });
        topics[place].partitions.push(partition);
    }
    let endpoints = leaders.endpoints().into_iter().map(|endpoint| {
        answered::NodeEndpoint::default()
            .with_node_id(BrokerId(endpoint.node.0))
            .with_host(endpoint.host)
            .with_port(i32::from(endpoint.port))
            .with_rack(endpoint.rack)
    });
    let endpoints = endpoints.collect();
    ShareFetchResponse::default().with_responses(topics).with_node_endpoints(endpoints)
}
