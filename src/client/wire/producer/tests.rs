//! Claims about the time that a batch has, over a broker that answers late or never. The clock is paused.

use bytes::{Buf as _, BufMut as _, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, InitProducerIdResponse, MetadataResponse, ProduceResponse,
    RequestHeader,
};
use kafka_protocol::protocol::{Decodable as _, Encodable as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::base::clock::Timestamp;
use crate::base::rng::Rng;
use crate::client::wire::Options;
use crate::client::wire::cluster::{text, topic_name};
use crate::config::Address;

/// The version of every request but ApiVersions.
const PRODUCE: i16 = 9;
const METADATA: i16 = 9;
const TIMEOUT: Duration = Duration::from_secs(4);
const REQUEST_TIMED_OUT: i16 = 7;

/// How a broker answers each Produce of a connection: after this, with this code; never.
#[derive(Clone, Copy)]
enum Answers {
    Never,
    After(Duration, i16),
}

#[test]
fn sequences_wrap_to_zero() {
    assert_eq!(after(0, 10), 10);
    assert_eq!(after(i32::MAX, 1), 0);
    assert_eq!(after(i32::MAX - 2, 5), 2);
}

/// Serves one connection: one topic, one partition, itself its leader.
async fn serve(mut socket: TcpStream, port: u16, answers: Answers) {
    while let Ok(length) = socket.read_u32().await {
        let mut frame = vec![0; length as usize];
        if socket.read_exact(&mut frame).await.is_err() {
            return;
        }
        let mut frame = Bytes::from(frame);
        let key = ApiKey::try_from(frame.slice(..2).get_i16()).expect("a known API");
        let correlation = frame.slice(4..8).get_i32();
        let mut answer = BytesMut::new();
        answer.put_i32(0);
        answer.put_i32(correlation);
        match key {
            ApiKey::ApiVersions => versions().encode(&mut answer, 3).expect("encodes"),
            ApiKey::Metadata => {
                answer.put_u8(0);
                metadata(port).encode(&mut answer, METADATA).expect("encodes");
            }
            ApiKey::InitProducerId => {
                answer.put_u8(0);
                let id = InitProducerIdResponse::default().with_producer_id(7.into());
                id.encode(&mut answer, INIT_PRODUCER_ID).expect("encodes");
            }
            ApiKey::Produce => {
                let header = RequestHeader::decode(&mut frame, 2).expect("a header");
                assert_eq!(header.request_api_version, PRODUCE);
                let Answers::After(time, code) = answers else { continue };
                sleep(time).await;
                answer.put_u8(0);
                produced(code).encode(&mut answer, PRODUCE).expect("encodes");
            }
            other => panic!("nobody asks for {other:?}"),
        }
        let length = u32::try_from(answer.len() - 4).expect("small");
        answer[..4].copy_from_slice(&length.to_be_bytes());
        if socket.write_all(&answer).await.is_err() {
            return;
        }
    }
}

fn versions() -> ApiVersionsResponse {
    let range = |(key, version): (ApiKey, i16)| {
        ApiVersion::default().with_api_key(key as i16).with_min_version(0).with_max_version(version)
    };
    let known = [
        (ApiKey::ApiVersions, 3),
        (ApiKey::Metadata, METADATA),
        (ApiKey::InitProducerId, INIT_PRODUCER_ID),
        (ApiKey::Produce, PRODUCE),
    ];
    ApiVersionsResponse::default().with_api_keys(known.map(range).to_vec())
}

fn metadata(port: u16) -> MetadataResponse {
    let broker = MetadataResponseBroker::default()
        .with_node_id(1.into())
        .with_host(text("127.0.0.1"))
        .with_port(i32::from(port));
    let partition = MetadataResponsePartition::default().with_leader_id(1.into());
    let topic = MetadataResponseTopic::default()
        .with_name(Some(topic_name("t")))
        .with_partitions(vec![partition]);
    MetadataResponse::default().with_brokers(vec![broker]).with_topics(vec![topic])
}

fn produced(code: i16) -> ProduceResponse {
    let partition = PartitionProduceResponse::default().with_error_code(code);
    let topic = TopicProduceResponse::default()
        .with_name(topic_name("t"))
        .with_partition_responses(vec![partition]);
    ProduceResponse::default().with_responses(vec![topic])
}

/// A paused clock goes on to the next timer when a socket wakes its reader, as when nobody is awake. So there is one each
/// millisecond.
async fn ticks() {
    loop {
        sleep(Duration::from_millis(1)).await;
    }
}

/// Writes `batches` of one record each at once, and gives what became of them and how long it took.
async fn write(
    answers: Answers,
    acks: Acks,
    batches: usize,
) -> (Result<BTreeMap<i32, Written>, Undelivered>, Duration) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(task::spawn("ticks", ticks()));
    drop(task::spawn("broker", async move {
        while let Ok((socket, _)) = listener.accept().await {
            drop(task::spawn("broker-connection", serve(socket, port, answers)));
        }
    }));
    let options = Options {
        bootstrap: vec![Address { host: "127.0.0.1".to_owned(), port }],
        client_id: "test".to_owned(),
        timeout: TIMEOUT,
        rng: Rng::from_seed(1),
    };
    let client = Client::connect(options).await.unwrap();
    let mut producer = Producer::new(&client, "t", (Compression::None, acks)).await.unwrap();
    let begun = Instant::now();
    let record = Record {
        timestamp: Timestamp(1),
        key: None,
        value: Some(Bytes::from_static(b"value")),
        headers: Vec::new(),
    };
    for _ in 0..batches {
        producer.send(0, std::slice::from_ref(&record)).await.unwrap();
    }
    (producer.finish().await, begun.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_nobody_answers_fails_when_its_time_is_over() {
    for acks in [Acks::All, Acks::Leader] {
        let (done, took) = write(Answers::Never, acks, 1).await;
        let error = done.expect_err("nobody acknowledged it");
        assert_eq!(error.records, 1);
        let late = matches!(error.source, Error::Overdue { .. } | Error::Timeout { .. });
        assert!(late, "{acks:?}: {}", error.source);
        assert!(took >= TIMEOUT && took < TIMEOUT + Duration::from_millis(50), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn tries_that_fail_late_do_not_begin_the_time_anew() {
    let slow = Answers::After(Duration::from_secs(3), REQUEST_TIMED_OUT);
    let (done, took) = write(slow, Acks::All, 1).await;
    let error = done.expect_err("every try failed");
    assert_eq!(error.source.code(), Some(REQUEST_TIMED_OUT), "{}", error.source);
    assert!(took >= TIMEOUT && took < TIMEOUT + Duration::from_millis(50), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn waiting_behind_others_counts_and_their_success_gives_no_more_time() {
    // One at a time without an id of its own, so the second is sent after 3 s, and would be acknowledged after 6.
    let slow = Answers::After(Duration::from_secs(3), 0);
    let (done, took) = write(slow, Acks::Leader, 2).await;
    assert_eq!(done.expect_err("the second was late").records, 1);
    assert!(took >= TIMEOUT && took < TIMEOUT + Duration::from_millis(50), "{took:?}");
    let (done, took) = write(slow, Acks::Leader, 1).await;
    assert!(done.is_ok() && took < TIMEOUT, "{done:?} {took:?}");
}
