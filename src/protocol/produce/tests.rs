//! The Produce codec against the crate's.

use bytes::BytesMut;
use kafka_protocol::messages::produce_response as theirs;
use kafka_protocol::messages::{self as k};
use kafka_protocol::protocol::{Decodable as _, Encodable as _};
use uuid::Uuid;

use super::*;
use crate::base::ids::{BrokerId, LeaderEpoch, TopicId};
use crate::base::rng::Rng;
use crate::protocol::sample;

fn theirs_as_ours(request: k::ProduceRequest, version: i16) -> ProduceRequest {
    let topic = |topic: k::produce_request::TopicProduceData| TopicProduce {
        topic: if version >= 13 {
            TopicRef::Id(TopicId(topic.topic_id))
        } else {
            TopicRef::Name(topic.name.0)
        },
        partitions: topic
            .partition_data
            .into_iter()
            .map(|partition| PartitionProduce {
                index: partition.index,
                records: partition.records,
            })
            .collect(),
    };
    ProduceRequest {
        transactional_id: request.transactional_id.map(|id| id.0),
        acks: request.acks,
        timeout_ms: request.timeout_ms,
        topics: request.topic_data.into_iter().map(topic).collect(),
    }
}

#[test]
fn requests_are_read_as_the_crate_reads_them() {
    let rng = Rng::from_seed(3);
    let api = ApiKey::Produce.api();
    for version in api.min..=api.max {
        for _ in 0..300 {
            let body = Bytes::from(sample::request(api, version, &rng));
            let theirs = k::ProduceRequest::decode(&mut body.clone(), version).expect("valid");
            let ours = ProduceRequest::read(&body, version);
            assert_eq!(ours, Ok(theirs_as_ours(theirs, version)), "version {version}");
        }
    }
}

#[test]
fn records_share_the_frame() {
    let mut body = BytesMut::new();
    let partition = k::produce_request::PartitionProduceData::default()
        .with_records(Some(Bytes::from_static(&[7; 1000])));
    let topic = k::produce_request::TopicProduceData::default()
        .with_topic_id(Uuid::from_u128(1))
        .with_partition_data(vec![partition]);
    let request = k::ProduceRequest::default().with_topic_data(vec![topic]);
    request.encode(&mut body, 13).expect("encodes");
    let body = body.freeze();
    let read = ProduceRequest::read(&body, 13).expect("reads");
    let records = read.topics[0].partitions[0].records.clone().expect("records");
    let frame = body.as_ptr_range();
    assert_eq!(records, vec![7; 1000]);
    assert!(frame.contains(&records.as_ptr()), "the records were copied");
}

fn text(rng: &Rng) -> Option<StrBytes> {
    (rng.below(2) == 0).then(|| StrBytes::from_string("x".repeat(rng.below(300) as usize)))
}

fn vec<T>(rng: &Rng, mut element: impl FnMut() -> T) -> Vec<T> {
    (0..rng.below(4)).map(|_| element()).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "random numbers")]
fn response(rng: &Rng, version: i16) -> (ProduceResponse, k::ProduceResponse) {
    let number = || rng.u64() as i64;
    let partition = || {
        let index = rng.u64() as i32;
        let error = ErrorCode::from_code(rng.below(100) as i16).expect("a known code");
        PartitionProduceResponse {
            base_offset: Offset(number()),
            log_append_time: Timestamp(number()),
            log_start_offset: Offset(number()),
            record_errors: if version < 8 {
                Vec::new()
            } else {
                vec(rng, || RecordError { batch_index: 7, message: text(rng) })
            },
            error_message: text(rng).filter(|_| version >= 8),
            current_leader: (version >= 10 && rng.below(2) == 0)
                .then_some(LeaderIdAndEpoch { leader: BrokerId(3), epoch: LeaderEpoch(index) }),
            ..PartitionProduceResponse::refused(index, error)
        }
    };
    let topic = || TopicProduceResponse {
        topic: if version >= 13 {
            TopicRef::Id(TopicId(rng.uuid()))
        } else {
            TopicRef::Name(text(rng).unwrap_or_default())
        },
        partitions: vec(rng, partition),
    };
    let ours = ProduceResponse {
        topics: vec(rng, topic),
        throttle_time_ms: rng.u64() as i32,
        node_endpoints: if version < 10 { Vec::new() } else { vec(rng, || endpoint(rng)) },
    };
    let theirs = as_theirs(&ours);
    (ours, theirs)
}

fn endpoint(rng: &Rng) -> NodeEndpoint {
    NodeEndpoint {
        node: BrokerId(5),
        host: text(rng).unwrap_or_default(),
        port: u16::MAX,
        rack: text(rng),
    }
}

fn as_theirs(ours: &ProduceResponse) -> k::ProduceResponse {
    let partition = |partition: &PartitionProduceResponse| {
        let error = |error: &RecordError| {
            theirs::BatchIndexAndErrorMessage::default()
                .with_batch_index(error.batch_index)
                .with_batch_index_error_message(error.message.clone())
        };
        let leader = partition.current_leader.map(|leader| {
            theirs::LeaderIdAndEpoch::default()
                .with_leader_id(leader.leader.0.into())
                .with_leader_epoch(leader.epoch.0)
        });
        theirs::PartitionProduceResponse::default()
            .with_index(partition.index)
            .with_error_code(partition.error.code())
            .with_base_offset(partition.base_offset.0)
            .with_log_append_time_ms(partition.log_append_time.0)
            .with_log_start_offset(partition.log_start_offset.0)
            .with_record_errors(partition.record_errors.iter().map(error).collect())
            .with_error_message(partition.error_message.clone())
            .with_current_leader(leader.unwrap_or_default())
    };
    let topic = |topic: &TopicProduceResponse| {
        let filled = theirs::TopicProduceResponse::default()
            .with_partition_responses(topic.partitions.iter().map(partition).collect());
        match &topic.topic {
            TopicRef::Name(name) => filled.with_name(name.clone().into()),
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
    k::ProduceResponse::default()
        .with_responses(ours.topics.iter().map(topic).collect())
        .with_throttle_time_ms(ours.throttle_time_ms)
        .with_node_endpoints(ours.node_endpoints.iter().map(endpoint).collect())
}

#[test]
fn responses_are_written_as_the_crate_writes_them() {
    let rng = Rng::from_seed(4);
    let api = ApiKey::Produce.api();
    for version in api.min..=api.max {
        for _ in 0..200 {
            let (ours, theirs) = response(&rng, version);
            let head = ResponseHead { key: ApiKey::Produce, version, correlation_id: 9 };
            let expected = head.frame(&theirs).expect("the crate encodes it");
            assert_eq!(ours.frame(head), expected, "version {version}");
        }
    }
}

#[test]
fn fields_of_later_versions_are_left_out() {
    let (ours, _) = response(&Rng::from_seed(5), 10);
    for version in [3, 5, 8, 9] {
        let head = ResponseHead { key: ApiKey::Produce, version, correlation_id: 9 };
        let frame = ours.frame(head).pieces.concat();
        let header_bytes = if version >= 9 { 9 } else { 8 };
        let mut body = Bytes::from(frame).slice(header_bytes..);
        k::ProduceResponse::decode(&mut body, version).expect("valid at this version");
        assert!(body.is_empty(), "version {version}");
    }
}
