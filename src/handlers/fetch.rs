//! Fetch: reads whole batches of many partitions, waiting for enough bytes or time.
//!
//! Source: KIP-74 (first batch always), KIP-227 (sessions), KIP-320 (epochs), KIP-516 (topic ids), KIP-951;
//! `KafkaApis.handleFetchRequest`, `ReplicaManager.fetchMessages`, `DelayedFetch`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::fetch_sessions::FetchContext;
use super::leaders::Leaders;
use super::patience::PROOF_WITHIN;
use super::{CloseReason, Outcome, Session, error_code};
use crate::base::ids::{LeaderEpoch, TopicPartition};
use crate::base::offset::Offset;
use crate::cluster::image::Image;
use crate::log::{Isolation, Offsets, PartitionHandle, Proofs, Read, ReadBounds, Waiter};
use crate::protocol::ErrorCode;
use crate::protocol::fetch::{
    AbortedTransaction, EpochEndOffset, FetchPartition, FetchPartitionResponse, FetchRequest,
    FetchResponse, FetchTopicResponse,
};
use crate::protocol::header::RequestHeader;
use crate::protocol::hot::{NodeEndpoint, TopicRef};

/// The most record bytes of one answer, whatever is configured: it is a frame below 2 GiB.
const RECORD_BYTES_MAX: usize = 1 << 30;

/// One partition of a fetch.
struct Wanted {
    topic: TopicRef,
    request: FetchPartition,
    found: Result<PartitionHandle, ErrorCode>,
}

/// What all partitions of a fetch share.
#[derive(Clone, Copy)]
struct Terms {
    isolation: Isolation,
    bytes_min: u64,
    bytes_max: usize,
    deadline: Instant,
}

/// Answers a Fetch.
pub(super) async fn handle(session: &Session, header: RequestHeader, body: Bytes) -> Outcome {
    let request = match FetchRequest::read(&body, header.version) {
        Ok(request) => request,
        Err(error) => return Outcome::Close(CloseReason::BadRequest(error)),
    };
    let context = &session.context;
    let terms = Terms::of(&request, context.config.server.fetch_max_bytes.as_usize());
    let fetch = match context.fetch_sessions.context(request) {
        Ok(fetch) => fetch,
        Err(error) => {
            let response = FetchResponse { error, ..FetchResponse::default() };
            return Outcome::Answer(response.frame(header.response()));
        }
    };
    let image = context.image();
    let wanted: Vec<Wanted> = fetch
        .partitions()
        .iter()
        .map(|(topic, request)| {
            let found = find(session, &image, topic, request);
            Wanted { topic: topic.clone(), request: *request, found }
        })
        .collect();
    wait_for_bytes(&wanted, terms).await;
    let mut room = context.answers.room(asked(&wanted).min(terms.bytes_max));
    let bytes_max = terms.bytes_max.min(room.bytes());
    let mut responses = read_all(session, &wanted, Terms { bytes_max, ..terms }).await;
    fetch.tell(&mut responses);
    let node_endpoints = tell_leaders(session, header.version, &mut responses);
    let response = FetchResponse { node_endpoints, ..response_of(&fetch, responses) };
    let answer = response.frame(header.response());
    room.keep(answer.bytes());
    Outcome::Held(answer, room)
}

impl Terms {
    fn of(request: &FetchRequest, fetch_max_bytes: usize) -> Self {
        let max_wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
        Self {
            isolation: match request.isolation_level {
                1 => Isolation::ReadCommitted,
                _ => Isolation::ReadUncommitted,
            },
            bytes_min: u64::try_from(request.min_bytes).unwrap_or(0),
            bytes_max: usize::try_from(request.max_bytes)
                .unwrap_or(0)
                .min(fetch_max_bytes)
                .min(RECORD_BYTES_MAX),
            deadline: Instant::now() + max_wait,
        }
    }
}

fn find(
    session: &Session,
    image: &Image,
    topic: &TopicRef,
    request: &FetchPartition,
) -> Result<PartitionHandle, ErrorCode> {
    let (found, unknown) = match topic {
        TopicRef::Name(name) => (image.topic(name.as_str()), ErrorCode::UnknownTopicOrPartition),
        TopicRef::Id(id) => (image.topic_by_id(*id), ErrorCode::UnknownTopicId),
    };
    let found = found.ok_or(unknown)?;
    let exists = usize::try_from(request.index).is_ok_and(|index| index < found.partitions.len());
    if !exists {
        return Err(ErrorCode::UnknownTopicOrPartition);
    }
    let tp = TopicPartition { topic: found.id, partition: request.index };
    let partition = session.context.log.partition(&tp).ok_or(ErrorCode::NotLeaderOrFollower)?;
    // Every negative epoch is none here, unlike elsewhere: `FetchRequest.optionalEpoch` in Kafka.
    let named = Some(request.current_leader_epoch).filter(|epoch| *epoch >= LeaderEpoch(0));
    let epoch = partition.check_epoch(named);
    epoch.map_err(|error| error_code::of_log(&error))?;
    Ok(partition)
}

/// What all partitions together may give.
fn asked(wanted: &[Wanted]) -> usize {
    let each = wanted.iter().map(|wanted| usize::try_from(wanted.request.max_bytes).unwrap_or(0));
    each.fold(0, usize::saturating_add)
}

/// Waits until enough bytes are there, something must be said at once, or the time is over.
async fn wait_for_bytes(wanted: &[Wanted], terms: Terms) {
    if enough(wanted, terms) || Instant::now() >= terms.deadline {
        return;
    }
    let partitions = wanted.iter().filter_map(|wanted| wanted.found.as_ref().ok().map(Arc::clone));
    let waiter = Waiter::register(partitions.collect());
    // Looked at again after registering: what became stable in between wakes nobody.
    while !enough(wanted, terms) {
        if tokio::time::timeout_at(terms.deadline, waiter.woken()).await.is_err() {
            return;
        }
    }
}

/// Whether the answer need not wait: bytes enough, an error to tell, or more than memory holds.
fn enough(wanted: &[Wanted], terms: Terms) -> bool {
    let mut bytes = 0;
    for Wanted { request, found, .. } in wanted {
        let Ok(partition) = found else { return true };
        match partition.available(request.fetch_offset, terms.isolation) {
            Ok(Some(available)) => {
                bytes += available.min(u64::try_from(request.max_bytes).unwrap_or(0).max(1))
            }
            Ok(None) | Err(_) => return true,
        }
        if diverging(partition, request).is_some() {
            return true;
        }
        if bytes >= terms.bytes_min {
            return true;
        }
    }
    wanted.is_empty() || terms.bytes_min == 0
}

async fn read_all(
    session: &Session,
    wanted: &[Wanted],
    terms: Terms,
) -> Vec<(TopicRef, FetchPartitionResponse)> {
    warm(session, wanted, terms).await;
    let mut responses = Vec::with_capacity(wanted.len());
    let mut left = terms.bytes_max;
    let mut at_least_one = true;
    for Wanted { topic, request, found } in wanted {
        let response = match found {
            Err(error) => unknown(request.index, *error),
            Ok(partition) => {
                let asked = usize::try_from(request.max_bytes).unwrap_or(0);
                let bounds = ReadBounds {
                    offset: request.fetch_offset,
                    bytes_max: asked.min(left),
                    at_least_one,
                    isolation: terms.isolation,
                };
                read_one(session, partition, request, bounds).await
            }
        };
        let bytes: usize = response.records.iter().map(Bytes::len).sum();
        left = left.saturating_sub(bytes);
        at_least_one &= bytes == 0;
        responses.push((topic.clone(), response));
    }
    prove(wanted, &mut responses).await;
    responses
}

/// Lets OFFSET_OUT_OF_RANGE stand only where this broker leads after it was found (law 9).
async fn prove(wanted: &[Wanted], responses: &mut [(TopicRef, FetchPartitionResponse)]) {
    let mut unproven = Vec::new();
    for (Wanted { found, .. }, (_, response)) in wanted.iter().zip(responses) {
        if let Ok(partition) = found
            && response.error == ErrorCode::OffsetOutOfRange
        {
            unproven.push((partition, response));
        }
    }
    if unproven.is_empty() {
        return;
    }
    let partitions = unproven.iter().map(|(partition, _)| *partition).collect();
    let proofs = Proofs::of(partitions, Instant::now() + PROOF_WITHIN).await;
    for (partition, response) in unproven {
        if let Err(error) = proofs.check(partition) {
            let error = error_code::of_log(&error);
            *response = FetchPartitionResponse::refused(response.index, error);
        }
    }
}

/// Partitions whose old records are waited for side by side.
const WARMED_MAX: usize = 64;

/// Begins to fetch what lies in the store, of as many partitions as the answer has room for.
async fn warm(session: &Session, wanted: &[Wanted], terms: Terms) {
    let mut left = terms.bytes_max;
    for Wanted { request, found, .. } in wanted.iter().take(WARMED_MAX) {
        let asked = usize::try_from(request.max_bytes).unwrap_or(0).min(left);
        if let Ok(partition) = found
            && asked > 0
        {
            left -= asked;
            partition.warm(session.context.log.remote(), request.fetch_offset, asked).await;
        }
    }
}

/// Reads one partition. An OFFSET_OUT_OF_RANGE in it is not proven yet.
async fn read_one(
    session: &Session,
    partition: &PartitionHandle,
    request: &FetchPartition,
    bounds: ReadBounds,
) -> FetchPartitionResponse {
    if let Some(end) = diverging(partition, request) {
        if end.epoch < LeaderEpoch(0) {
            // The client's last epoch is none of ours: there is no offset to go back to.
            let error = ErrorCode::OffsetOutOfRange;
            return FetchPartitionResponse::refused(request.index, error);
        }
        let response = without_records(request.index, partition);
        return FetchPartitionResponse { diverging_epoch: Some(end), ..response };
    }
    match partition.read(session.context.log.remote(), bounds).await {
        Ok(read) => found(request.index, read),
        Err(error) => FetchPartitionResponse::refused(request.index, error_code::of_log(&error)),
    }
}

fn found(index: i32, read: Read) -> FetchPartitionResponse {
    let Read { slices, offsets, aborted, .. } = read;
    FetchPartitionResponse {
        high_watermark: offsets.high_watermark,
        last_stable_offset: offsets.last_stable_offset,
        log_start_offset: offsets.log_start,
        aborted_transactions: aborted.map(|aborted| {
            let listed = aborted.into_iter().map(|aborted| AbortedTransaction {
                producer_id: aborted.producer_id,
                first_offset: aborted.first_offset,
            });
            listed.collect()
        }),
        records: slices,
        ..FetchPartitionResponse::refused(index, ErrorCode::None)
    }
}

/// A response for a partition that was not found, or not at the client's epoch.
fn unknown(index: i32, error: ErrorCode) -> FetchPartitionResponse {
    let mut response = FetchPartitionResponse::refused(index, error);
    if matches!(error, ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId) {
        // An empty list here, and none beside other errors, as Kafka has it.
        response.aborted_transactions = Some(Vec::new());
    }
    response
}

/// A response without records, and with the partition's marks where they are known.
fn without_records(index: i32, partition: &PartitionHandle) -> FetchPartitionResponse {
    let mut response = FetchPartitionResponse::refused(index, ErrorCode::None);
    if let Ok(Offsets { log_start, high_watermark, last_stable_offset, .. }) = partition.offsets() {
        response.high_watermark = high_watermark;
        response.last_stable_offset = last_stable_offset;
        response.log_start_offset = log_start;
    }
    response
}

/// The first version that names leaders.
const LEADERS_SINCE: i16 = 16;

/// Says beside errors that say "not here" who leads, and gives where they listen.
///
/// Source: KIP-951.
fn tell_leaders(
    session: &Session,
    version: i16,
    responses: &mut [(TopicRef, FetchPartitionResponse)],
) -> Vec<NodeEndpoint> {
    let elsewhere =
        |(_, response): &(TopicRef, FetchPartitionResponse)| Leaders::are_told_with(response.error);
    if version < LEADERS_SINCE || !responses.iter().any(elsewhere) {
        return Vec::new();
    }
    let image = session.context.image();
    let mut leaders = Leaders::new(&image, &session.listener);
    for (topic, response) in responses {
        response.current_leader = leaders.told(topic, response.index, response.error);
    }
    leaders.endpoints()
}

/// Where the client's last epoch ended here, if its log and ours part before what it asks for (KIP-595).
fn diverging(partition: &PartitionHandle, request: &FetchPartition) -> Option<EpochEndOffset> {
    if request.last_fetched_epoch < LeaderEpoch(0) {
        return None;
    }
    let (epoch, end_offset) = match partition.end_offset_for_epoch(request.last_fetched_epoch) {
        Ok(Some(found)) => found,
        Ok(None) => (LeaderEpoch(-1), Offset(-1)),
        Err(_) => return None,
    };
    let parts = epoch < request.last_fetched_epoch || end_offset < request.fetch_offset;
    // Below the start there is nothing to part from.
    let is_there = || partition.offsets().is_ok_and(|all| request.fetch_offset >= all.log_start);
    (parts && is_there()).then_some(EpochEndOffset { epoch, end_offset })
}

fn response_of(
    fetch: &FetchContext,
    responses: Vec<(TopicRef, FetchPartitionResponse)>,
) -> FetchResponse {
    let mut topics: Vec<FetchTopicResponse> = Vec::new();
    for (topic, response) in responses {
        match topics.last_mut() {
            Some(last) if last.topic == topic => last.partitions.push(response),
            _ => topics.push(FetchTopicResponse { topic, partitions: vec![response] }),
        }
    }
    FetchResponse { session_id: fetch.session_id(), topics, ..FetchResponse::default() }
}
