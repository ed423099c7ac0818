//! The Fetch codec against the crate's.

use kafka_protocol::messages::fetch_response as theirs;
use kafka_protocol::messages::{self as k};
use kafka_protocol::protocol::Decodable as _;

use super::*;
use crate::base::ids::TopicId;
use crate::base::rng::Rng;
use crate::protocol::sample;

fn topic_ref(name: k::TopicName, id: uuid::Uuid, version: i16) -> TopicRef {
    if version >= 13 { TopicRef::Id(TopicId(id)) } else { TopicRef::Name(name.0) }
}

fn theirs_as_ours(request: k::FetchRequest, version: i16) -> FetchRequest {
    let partition = |partition: k::fetch_request::FetchPartition| FetchPartition {
        index: partition.partition,
        current_leader_epoch: LeaderEpoch(partition.current_leader_epoch),
        fetch_offset: Offset(partition.fetch_offset),
        last_fetched_epoch: LeaderEpoch(partition.last_fetched_epoch),
        log_start_offset: Offset(partition.log_start_offset),
        max_bytes: partition.partition_max_bytes,
    };
    let topic = |topic: k::fetch_request::FetchTopic| FetchTopic {
        topic: topic_ref(topic.topic, topic.topic_id, version),
        partitions: topic.partitions.into_iter().map(partition).collect(),
    };
    let forgotten = |topic: k::fetch_request::ForgottenTopic| ForgottenTopic {
        topic: topic_ref(topic.topic, topic.topic_id, version),
        partitions: topic.partitions,
    };
    let replica = if version <= 14 { request.replica_id } else { request.replica_state.replica_id };
    FetchRequest {
        cluster_id: request.cluster_id,
        replica_id: replica.0,
        max_wait_ms: request.max_wait_ms,
        min_bytes: request.min_bytes,
        max_bytes: request.max_bytes,
        isolation_level: request.isolation_level,
        session_id: request.session_id,
        session_epoch: request.session_epoch,
        topics: request.topics.into_iter().map(topic).collect(),
        forgotten_topics: request.forgotten_topics_data.into_iter().map(forgotten).collect(),
        rack_id: request.rack_id,
    }
}

#[test]
fn requests_are_read_as_the_crate_reads_them() {
    let rng = Rng::from_seed(6);
    let api = ApiKey::Fetch.api();
    for version in api.min..=api.max {
        for _ in 0..300 {
            let body = Bytes::from(sample::request(api, version, &rng));
            let theirs = k::FetchRequest::decode(&mut body.clone(), version).expect("valid");
            let ours = FetchRequest::read(&body, version);
            assert_eq!(ours, Ok(theirs_as_ours(theirs, version)), "version {version}");
        }
    }
}

fn vec<T>(rng: &Rng, mut element: impl FnMut() -> T) -> Vec<T> {
    (0..rng.below(4)).map(|_| element()).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "random numbers")]
fn response(rng: &Rng, version: i16) -> FetchResponse {
    let some = || rng.below(2) == 0;
    let offset = || Offset(rng.u64() as i64);
    let partition = || FetchPartitionResponse {
        high_watermark: offset(),
        last_stable_offset: offset(),
        log_start_offset: offset(),
        diverging_epoch: (version >= 12 && some())
            .then_some(EpochEndOffset { epoch: LeaderEpoch(8), end_offset: offset() }),
        current_leader: (version >= 12 && some())
            .then_some(LeaderIdAndEpoch { leader: BrokerId(3), epoch: LeaderEpoch(9) }),
        aborted_transactions: some().then(|| {
            let aborted =
                || AbortedTransaction { producer_id: ProducerId(5), first_offset: offset() };
            vec(rng, aborted)
        }),
        preferred_read_replica: (version >= 11 && some()).then_some(BrokerId(4)),
        // Short and long slices: the short ones are copied, the long ones shared.
        records: vec(rng, || Bytes::from(vec![0xcd; rng.below(1500) as usize])),
        ..FetchPartitionResponse::refused(rng.u64() as i32, ErrorCode::NotLeaderOrFollower)
    };
    let topic = || FetchTopicResponse {
        topic: if version >= 13 {
            TopicRef::Id(TopicId(rng.uuid()))
        } else {
            TopicRef::Name(StrBytes::from_static_str("orders"))
        },
        partitions: vec(rng, partition),
    };
    let endpoint = || NodeEndpoint {
        node: BrokerId(5),
        host: StrBytes::from_static_str("localhost"),
        port: 9092,
        rack: some().then(|| StrBytes::from_static_str("a")),
    };
    FetchResponse {
        throttle_time_ms: 4,
        error: ErrorCode::None,
        session_id: if version >= 7 { 77 } else { 0 },
        topics: vec(rng, topic),
        node_endpoints: if version >= 16 { vec(rng, endpoint) } else { Vec::new() },
    }
}

fn partition_as_theirs(ours: &FetchPartitionResponse) -> theirs::PartitionData {
    let aborted = |aborted: &AbortedTransaction| {
        theirs::AbortedTransaction::default()
            .with_producer_id(aborted.producer_id.0.into())
            .with_first_offset(aborted.first_offset.0)
    };
    let aborted = ours.aborted_transactions.as_ref().map(|all| all.iter().map(aborted).collect());
    let diverging = ours.diverging_epoch.map(|diverging| {
        theirs::EpochEndOffset::default()
            .with_epoch(diverging.epoch.0)
            .with_end_offset(diverging.end_offset.0)
    });
    let leader = ours.current_leader.map(|leader| {
        theirs::LeaderIdAndEpoch::default()
            .with_leader_id(leader.leader.0.into())
            .with_leader_epoch(leader.epoch.0)
    });
    theirs::PartitionData::default()
        .with_partition_index(ours.index)
        .with_error_code(ours.error.code())
        .with_high_watermark(ours.high_watermark.0)
        .with_last_stable_offset(ours.last_stable_offset.0)
        .with_log_start_offset(ours.log_start_offset.0)
        .with_diverging_epoch(diverging.unwrap_or_default())
        .with_current_leader(leader.unwrap_or_default())
        .with_aborted_transactions(aborted)
        .with_preferred_read_replica(ours.preferred_read_replica.map_or(-1, |id| id.0).into())
        .with_records(Some(ours.records.concat().into()))
}

fn as_theirs(ours: &FetchResponse) -> k::FetchResponse {
    let topic = |topic: &FetchTopicResponse| {
        let filled = theirs::FetchableTopicResponse::default()
            .with_partitions(topic.partitions.iter().map(partition_as_theirs).collect());
        match &topic.topic {
            TopicRef::Name(name) => filled.with_topic(name.clone().into()),
            TopicRef::Id(id) => filled.with_topic_id(id.0),
        }
    };
    let endpoint = |endpoint: &NodeEndpoint| {
        theirs::NodeEndpoint::default()
            .with_node_id(endpoint.node.0.into())
            .with_host(endpoint.host.clone())
            .with_port(i32::from(endpoint.port))
            .with_rack(endpoint.rack.clone())
    };
    k::FetchResponse::default()
        .with_throttle_time_ms(ours.throttle_time_ms)
        .with_error_code(ours.error.code())
        .with_session_id(ours.session_id)
        .with_responses(ours.topics.iter().map(topic).collect())
        .with_node_endpoints(ours.node_endpoints.iter().map(endpoint).collect())
}

#[test]
fn responses_are_written_as_the_crate_writes_them() {
    let rng = Rng::from_seed(7);
    let api = ApiKey::Fetch.api();
    for version in api.min..=api.max {
        for _ in 0..200 {
            let ours = response(&rng, version);
            let head = ResponseHead { key: ApiKey::Fetch, version, correlation_id: 9 };
            let expected = head.frame(&as_theirs(&ours)).expect("the crate encodes it");
            let frame = ours.frame(head);
            assert_eq!(frame.bytes(), expected.bytes());
            assert_eq!(frame.pieces.concat(), expected.pieces.concat(), "version {version}");
            assert!(frame.pieces.iter().all(|piece| !piece.is_empty()));
        }
    }
}

#[test]
fn records_are_shared_not_copied() {
    let records = Bytes::from(vec![1; 4096]);
    let partition = FetchPartitionResponse {
        records: vec![records.clone(), records.clone()],
        ..FetchPartitionResponse::refused(0, ErrorCode::None)
    };
    let topic = FetchTopicResponse {
        topic: TopicRef::Name(StrBytes::from_static_str("orders")),
        partitions: vec![partition],
    };
    let response = FetchResponse { topics: vec![topic], ..FetchResponse::default() };
    let head = ResponseHead { key: ApiKey::Fetch, version: 12, correlation_id: 9 };
    let pieces = response.frame(head).pieces;
    assert_eq!(pieces.len(), 4, "head, two slices, tail");
    assert!(pieces[1].as_ptr() == records.as_ptr() && pieces[2].as_ptr() == records.as_ptr());
}
