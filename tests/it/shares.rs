//! Share groups: Kafka's own client, with the broker killed amid it, and the codes of requests that cannot be.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{
    CreateTopicsRequest, GroupId, RequestHeader, ResponseHeader, ShareAcknowledgeRequest,
    ShareFetchRequest, TopicName, create_topics_request, share_acknowledge_request,
    share_fetch_request,
};
use kafka_protocol::protocol::{
    Decodable as _, Encodable as _, HeaderVersion as _, Request, StrBytes,
};
use uuid::Uuid;

use crate::broker::Settings;
use crate::kafka_client;
use crate::parts;
use crate::ports::free_port;

/// Twenty seconds, most of them the client's.
#[test]
fn kafkas_share_consumer_is_served() -> anyhow::Result<()> {
    let jars = kafka_client::jars(kafka_client::NEWEST);
    if !jars.exists() {
        ensure!(!parts::are_demanded(), "{} is absent", jars.display());
        println!("skipped: {} is absent; ./test installs it", jars.display());
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let mut settings =
        Settings::directory(folder.path()).set("group.share.min.record.lock.duration.ms", "3000");
    settings.listen = format!("127.0.0.1:{}", free_port()?);
    let mut broker = Some(settings.start()?);
    let mut client = kafka_client::program(kafka_client::NEWEST)
        .args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "Shares"])
        .args([&settings.listen, "implicit", "explicit", "expired", "committed", "killed"])
        .stdout(Stdio::piped())
        .spawn()
        .context("could not start java")?;
    let said = BufReader::new(client.stdout.take().expect("piped above"));
    let mut done = Vec::new();
    for line in said.lines() {
        match line?.split_once(' ') {
            Some(("done", story)) => done.push(story.to_owned()),
            None => {
                broker.take().context("killed before")?.kill()?;
                broker = Some(settings.start()?);
            }
            Some(other) => bail!("{other:?}"),
        }
    }
    let status = client.wait()?;
    ensure!(status.success(), "{status} after {done:?}\n{}", settings.log_tail());
    ensure!(done == ["implicit", "explicit", "expired", "committed", "killed"], "{done:?}");
    Ok(())
}

/// A connection that asks one thing after the other.
struct Talk(TcpStream);

impl Talk {
    fn to(address: &str) -> anyhow::Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(Self(socket))
    }

    fn ask<Q: Request>(&mut self, version: i16, request: &Q) -> anyhow::Result<Q::Response> {
        let header =
            RequestHeader::default().with_request_api_key(Q::KEY).with_request_api_version(version);
        let mut body = BytesMut::new();
        header.encode(&mut body, Q::header_version(version))?;
        request.encode(&mut body, version)?;
        self.0.write_all(&u32::try_from(body.len())?.to_be_bytes())?;
        self.0.write_all(&body)?;
        let mut length = [0; 4];
        self.0.read_exact(&mut length)?;
        let mut answer = vec![0; usize::try_from(u32::from_be_bytes(length))?];
        self.0.read_exact(&mut answer)?;
        let mut answer = Bytes::from(answer);
        ResponseHeader::decode(&mut answer, Q::Response::header_version(version))?;
        Q::Response::decode(&mut answer, version)
    }

    /// The code of the whole, and of each partition what fetching and acknowledging came to.
    fn fetch(&mut self, request: &ShareFetchRequest) -> anyhow::Result<(i16, Vec<(i16, i16)>)> {
        let answer = self.ask(1, request)?;
        let partitions = answer.responses.iter().flat_map(|topic| &topic.partitions);
        let codes = partitions.map(|one| (one.error_code, one.acknowledge_error_code));
        Ok((answer.error_code, codes.collect()))
    }

    fn acknowledge(
        &mut self,
        epoch: i32,
        batches: &[(Uuid, i64, i64, i8)],
    ) -> anyhow::Result<(i16, Vec<i16>)> {
        let topics = batches.iter().map(|(topic, first, last, kind)| {
            let batch = share_acknowledge_request::AcknowledgementBatch::default()
                .with_first_offset(*first)
                .with_last_offset(*last)
                .with_acknowledge_types(vec![*kind]);
            let partition = share_acknowledge_request::AcknowledgePartition::default()
                .with_acknowledgement_batches(vec![batch]);
            share_acknowledge_request::AcknowledgeTopic::default()
                .with_topic_id(*topic)
                .with_partitions(vec![partition])
        });
        let request = ShareAcknowledgeRequest::default()
            .with_group_id(Some(GroupId(StrBytes::from_static_str("raw"))))
            .with_member_id(Some(StrBytes::from_static_str("m")))
            .with_share_session_epoch(epoch)
            .with_topics(topics.collect());
        let answer = self.ask(1, &request)?;
        let partitions = answer.responses.iter().flat_map(|topic| &topic.partitions);
        Ok((answer.error_code, partitions.map(|one| one.error_code).collect()))
    }
}

/// A ShareFetch of partition 0 of each topic, which waits for nothing.
fn share_fetch(epoch: i32, topics: &[Uuid]) -> ShareFetchRequest {
    let topics = topics.iter().map(|topic| {
        share_fetch_request::FetchTopic::default()
            .with_topic_id(*topic)
            .with_partitions(vec![share_fetch_request::FetchPartition::default()])
    });
    ShareFetchRequest::default()
        .with_group_id(Some(GroupId(StrBytes::from_static_str("raw"))))
        .with_member_id(Some(StrBytes::from_static_str("m")))
        .with_share_session_epoch(epoch)
        .with_max_bytes(1 << 20)
        .with_max_records(100)
        .with_batch_size(100)
        .with_topics(topics.collect())
}

/// The codes are those of Apache Kafka 4.3.1. Half a second.
#[test]
fn requests_that_go_with_no_session_are_told_so() -> anyhow::Result<()> {
    const INVALID_REQUEST: i16 = 42;
    const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
    const UNKNOWN_TOPIC_ID: i16 = 100;
    const NOT_FOUND: i16 = 122;
    const INVALID_EPOCH: i16 = 123;
    let folder = tempfile::tempdir()?;
    let broker = Settings::directory(folder.path()).start()?;
    let mut talk = Talk::to(&broker.address)?;
    let nowhere = Uuid::from_u128(7);
    let whole = |code| (code, Vec::new());
    ensure!(talk.fetch(&share_fetch(0, &[]).with_group_id(None))? == whole(INVALID_REQUEST));
    let nobody = share_fetch(0, &[]).with_member_id(Some(StrBytes::from_static_str("")));
    ensure!(talk.fetch(&nobody)? == whole(INVALID_REQUEST));
    ensure!(talk.fetch(&share_fetch(1, &[nowhere]))? == whole(NOT_FOUND));
    ensure!(talk.fetch(&share_fetch(-1, &[]))? == whole(NOT_FOUND));
    ensure!(talk.acknowledge(1, &[])? == (NOT_FOUND, vec![]));
    let mut early = share_fetch(0, &[nowhere]);
    let batch =
        share_fetch_request::AcknowledgementBatch::default().with_acknowledge_types(vec![1]);
    early.topics[0].partitions[0].acknowledgement_batches.push(batch);
    ensure!(talk.fetch(&early)? == whole(INVALID_REQUEST));
    ensure!(talk.fetch(&share_fetch(0, &[nowhere]))? == (0, vec![(UNKNOWN_TOPIC_ID, 0)]));
    ensure!(talk.fetch(&share_fetch(2, &[]))? == whole(INVALID_EPOCH));
    ensure!(talk.acknowledge(0, &[])? == (INVALID_EPOCH, vec![]));
    ensure!(talk.acknowledge(1, &[(nowhere, 0, 0, 1)])? == (0, vec![UNKNOWN_TOPIC_ID]));
    early.share_session_epoch = 2;
    ensure!(talk.fetch(&early)? == (0, vec![(UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_ID)]));
    let topic = created(&mut talk)?;
    ensure!(talk.acknowledge(3, &[(topic, 0, 0, 9)])? == (0, vec![INVALID_REQUEST]));
    ensure!(talk.acknowledge(4, &[(topic, 4, 0, 1)])? == (0, vec![INVALID_REQUEST]));
    let unread = talk.acknowledge(5, &[(topic, 0, 0, 1)])?;
    ensure!(unread == (0, vec![UNKNOWN_TOPIC_OR_PARTITION]), "{unread:?}");
    ensure!(talk.acknowledge(-1, &[])? == (0, vec![]));
    ensure!(talk.fetch(&share_fetch(6, &[]))? == whole(NOT_FOUND));
    // The session ends with the connection that opened it.
    Talk::to(&broker.address)?.fetch(&share_fetch(0, &[]))?;
    for _ in 0..500 {
        match talk.acknowledge(9, &[])? {
            (INVALID_EPOCH, _) => std::thread::sleep(Duration::from_millis(10)),
            (NOT_FOUND, _) => return Ok(()),
            other => bail!("{other:?}"),
        }
    }
    bail!("the session is still there")
}

/// A topic of one partition, by id.
fn created(talk: &mut Talk) -> anyhow::Result<Uuid> {
    let topic = create_topics_request::CreatableTopic::default()
        .with_name(TopicName(StrBytes::from_static_str("raw")))
        .with_num_partitions(1)
        .with_replication_factor(1);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
    let answer = talk.ask(7, &request)?;
    Ok(answer.topics.first().context("one topic was asked for")?.topic_id)
}
