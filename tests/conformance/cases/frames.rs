//! Frames that are no requests, or requests of no known kind: an error or a closed connection, the same as Kafka's.

use kafka_protocol::messages::{
    ApiVersionsRequest, CreateTopicsRequest, FetchRequest, ListOffsetsRequest, MetadataRequest,
    ProduceRequest, list_offsets_request::ListOffsetsTopic, metadata_request::MetadataRequestTopic,
};
use thalweg::protocol::api::APIS;

use super::{fetch, from, new_topic, offset_at, produce, topic};
use crate::{batch::numbered, talk::Talk};

pub fn script(talk: &mut Talk) {
    lengths(talk);
    keys(talk);
    versions(talk);
    without_a_body(talk);
    headers(talk);
    counts(talk);
    truncated(talk);
    flipped(talk);
}

/// Sends bytes on a new connection and records how that ended, then that the broker still answers.
fn raw(talk: &mut Talk, conversation: &str, step: &str, frame: &[u8]) {
    talk.begin(conversation);
    let shown = talk.exchange(frame).shown();
    talk.record(step, 0, shown);
    talk.begin(conversation);
    let after = talk.quiet(0, &ApiVersionsRequest::default()).is_some();
    assert!(after, "the broker serves on after {step}");
}

fn lengths(talk: &mut Talk) {
    for length in [-1i32, i32::MIN, i32::MAX, 104_857_601] {
        raw(talk, "lengths", &format!("{length}"), &length.to_be_bytes());
    }
    raw(talk, "lengths", "0", &0i32.to_be_bytes());
    for length in 1..10i32 {
        let bytes = vec![0u8; usize::try_from(length).expect("positive")];
        raw(
            talk,
            "lengths",
            &format!("{length}, all zero"),
            &[&length.to_be_bytes()[..], &bytes].concat(),
        );
    }
}

fn keys(talk: &mut Talk) {
    for key in [4i16, 5, 6, 7, 58, 93, 94, 200, 999, i16::MAX, -1, i16::MIN] {
        let frame = talk.frame_of(key, 0, 1, &[]);
        raw(talk, "unknown keys", &key.to_string(), &frame);
    }
}

fn versions(talk: &mut Talk) {
    for (key, versions) in [
        (0, &[0i16, 1, 2, 14, -1][..]),
        (1, &[0, 3, 19, -1]),
        (2, &[0, 12]),
        (3, &[14, -1]),
        (19, &[0, 1, 8]),
        (20, &[0, 7]),
        (21, &[3]),
        (22, &[6]),
        (23, &[0, 1, 5]),
        (32, &[0, 5]),
        (33, &[3]),
        (35, &[0, 6]),
        (37, &[4]),
        (43, &[3]),
        (44, &[2]),
        (45, &[2]),
        (46, &[1]),
        (60, &[3]),
        (61, &[1]),
        (74, &[2]),
        (75, &[1]),
        (10, &[7]),
    ] {
        for version in versions {
            let frame = talk.frame_of(key, *version, 1, &[0; 32]);
            raw(talk, "unknown versions", &format!("key {key} version {version}"), &frame);
        }
    }
}

/// Every API at every version, of which nothing comes behind the header.
fn without_a_body(talk: &mut Talk) {
    for api in &APIS {
        for version in api.advertised_min..=api.max {
            talk.begin("without a body");
            let header = api.request_header_version(version);
            let frame = talk.frame_of(api.key.code(), version, header, &[]);
            talk.ask_badly(api.name, version, &frame);
        }
    }
}

fn headers(talk: &mut Talk) {
    // A client id that claims more bytes than the frame has.
    let header = [&18i16.to_be_bytes()[..], &0i16.to_be_bytes(), &7i32.to_be_bytes()].concat();
    let with = |rest: &[u8]| {
        let bytes = [&header[..], rest].concat();
        let length = i32::try_from(bytes.len()).expect("a small frame");
        [&length.to_be_bytes()[..], &bytes].concat()
    };
    raw(talk, "headers", "no client id at all", &with(&[]));
    raw(talk, "headers", "half a client id length", &with(&[0]));
    raw(talk, "headers", "a client id longer than the frame", &with(&300i16.to_be_bytes()));
    raw(talk, "headers", "a negative client id length", &with(&(-2i16).to_be_bytes()));
    raw(talk, "headers", "a client id of bad UTF-8", &with(&[0, 2, 0xc3, 0x28]));
    let frame = talk.frame_of(18, 0, 1, &[1, 2, 3, 4]);
    raw(talk, "headers", "bytes after an ApiVersions body", &frame);
    let mut body = Vec::from((-1i32).to_be_bytes());
    body.push(0);
    body.extend([9, 9, 9]);
    let frame = talk.frame_of(3, 4, 1, &body);
    talk.begin("headers");
    talk.ask_frame::<MetadataRequest>("bytes after a Metadata body", 4, &frame);
}

fn counts(talk: &mut Talk) {
    for count in [500_000_000i32, i32::MAX, -2, i32::MIN, 2] {
        let frame = talk.frame_of(3, 1, 1, &count.to_be_bytes());
        raw(talk, "counts", &format!("Metadata of {count} topics"), &frame);
        let frame =
            talk.frame_of(2, 1, 1, &[&(-1i32).to_be_bytes()[..], &count.to_be_bytes()].concat());
        raw(talk, "counts", &format!("ListOffsets of {count} topics"), &frame);
        let frame = talk.frame_of(19, 2, 1, &count.to_be_bytes());
        raw(talk, "counts", &format!("CreateTopics of {count} topics"), &frame);
    }
    // Compact counts: unsigned varints, one above the count.
    for (step, varint) in [
        ("the largest", &[0xff, 0xff, 0xff, 0xff, 0x0f][..]),
        ("endless", &[0xff; 9]),
        ("500 million", &[0x81, 0xca, 0xb5, 0xee, 0x01]),
    ] {
        let frame = talk.frame_of(3, 9, 2, varint);
        raw(talk, "counts", &format!("compact Metadata, {step}"), &frame);
    }
    let frame = talk.frame_of(18, 3, 2, &[2, b'a', 2, b'1', 0xff, 0xff, 0xff, 0x7f]);
    raw(talk, "counts", "many tagged fields", &frame);
}

/// Requests cut at every byte.
fn truncated(talk: &mut Talk) {
    let base = talk.base_ms();
    talk.begin("truncated");
    let list = ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![
        ListOffsetsTopic::default().with_name(topic("cut")).with_partitions(vec![offset_at(0, -1)]),
    ]);
    let create = CreateTopicsRequest::default()
        .with_topics(vec![new_topic("cut", 1, &[("retention.ms", "1")])])
        .with_validate_only(true);
    let some =
        MetadataRequest::default().with_topics(Some(vec![])).with_allow_auto_topic_creation(false);
    for (name, frame) in [
        ("ListOffsets 5", talk.frame(5, &list)),
        ("ListOffsets 7", talk.frame(7, &list)),
        ("CreateTopics 4", talk.frame(4, &create)),
        ("CreateTopics 7", talk.frame(7, &create)),
        ("Metadata 12", talk.frame(12, &some)),
        ("Produce 8", talk.frame::<ProduceRequest>(8, &produce("cut", 0, &numbered(base, 0, 1)))),
        ("Produce 9", talk.frame::<ProduceRequest>(9, &produce("cut", 0, &numbered(base, 0, 1)))),
        (
            "Fetch 11",
            talk.frame::<FetchRequest>(11, &fetch(11, "cut", uuid::Uuid::nil(), vec![from(0, 0)])),
        ),
        (
            "Fetch 12",
            talk.frame::<FetchRequest>(12, &fetch(12, "cut", uuid::Uuid::nil(), vec![from(0, 0)])),
        ),
    ] {
        for end in (8..frame.len() - 4).step_by(3) {
            let length = i32::try_from(end).expect("a small frame");
            let cut = [&length.to_be_bytes()[..], &frame[4..4 + end]].concat();
            raw(talk, "truncated", &format!("{name}, {end} bytes"), &cut);
        }
    }
}

/// Requests with one bit of the body wrong. Bits of the header are left alone: they make it another request.
fn flipped(talk: &mut Talk) {
    talk.begin("flipped");
    let some = |version: i16| {
        let one = MetadataRequestTopic::default().with_name(Some(topic("cut")));
        MetadataRequest::default()
            .with_topics(Some(vec![one]))
            .with_allow_auto_topic_creation(version < 4)
    };
    let list = ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![
        ListOffsetsTopic::default().with_name(topic("cut")).with_partitions(vec![offset_at(0, -1)]),
    ]);
    let fetched = |version| fetch(version, "cut", uuid::Uuid::nil(), vec![from(0, 0)]);
    for (name, body, frame) in [
        ("Metadata 4", 4, talk.frame(4, &some(4))),
        ("Metadata 9", 5, talk.frame(9, &some(9))),
        ("ListOffsets 5", 4, talk.frame(5, &list)),
        ("ListOffsets 7", 5, talk.frame(7, &list)),
        ("Fetch 11", 4, talk.frame::<FetchRequest>(11, &fetched(11))),
        ("Fetch 12", 5, talk.frame::<FetchRequest>(12, &fetched(12))),
    ] {
        // Length, key, version, correlation id, client id and its length; the flexible header ends in a tag count.
        let start = 4 + 8 + 2 + "conformance".len() + (body - 4);
        for byte in start..frame.len() {
            for bit in [0, 3, 7] {
                let mut wrong = frame.clone();
                wrong[byte] ^= 1 << bit;
                raw(talk, "flipped", &format!("{name}, byte {} bit {bit}", byte - start), &wrong);
            }
        }
    }
}
