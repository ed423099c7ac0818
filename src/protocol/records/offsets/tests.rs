//! Round trips, and what a real Kafka wrote.

use bytes::Bytes;
use proptest::prelude::*;
use uuid::Uuid;

use super::{
    GroupMetadata, Key, MemberMetadata, OffsetCommit, group_metadata_key, offset_commit_key,
};

fn texts() -> impl Strategy<Value = String> {
    "[a-z\u{e9}\u{1d11e}-]{0,12}"
}

prop_compose! {
    fn members()(
        member_id in texts(),
        group_instance_id in prop::option::of(texts()),
        client_id in texts(),
        client_host in texts(),
        rebalance_timeout: i32,
        session_timeout: i32,
        subscription: Vec<u8>,
        assignment: Vec<u8>,
    ) -> MemberMetadata {
        MemberMetadata {
            member_id,
            group_instance_id,
            client_id,
            client_host,
            rebalance_timeout,
            session_timeout,
            subscription: Bytes::from(subscription),
            assignment: Bytes::from(assignment),
        }
    }
}

prop_compose! {
    fn groups()(
        protocol_type in texts(),
        generation: i32,
        protocol in prop::option::of(texts()),
        leader in prop::option::of(texts()),
        current_state_timestamp: i64,
        members in prop::collection::vec(members(), 0..3),
    ) -> GroupMetadata {
        GroupMetadata { protocol_type, generation, protocol, leader, current_state_timestamp, members }
    }
}

prop_compose! {
    fn commits()(
        offset: i64,
        leader_epoch: i32,
        metadata in texts(),
        commit_timestamp: i64,
        expires in prop::option::of(0..i64::MAX),
        topic: u128,
    ) -> OffsetCommit {
        // The version with a time to expire has no room for an epoch and an id.
        let leader_epoch = if expires.is_some() { -1 } else { leader_epoch };
        let topic_id = if expires.is_some() { Uuid::nil() } else { Uuid::from_u128(topic) };
        let expire_timestamp = expires;
        OffsetCommit { offset, leader_epoch, metadata, commit_timestamp, expire_timestamp, topic_id }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(group in groups(), commit in commits(), name in texts(), number: i32) {
        prop_assert_eq!(GroupMetadata::read(&group.write()), Ok(group));
        prop_assert_eq!(OffsetCommit::read(&commit.write()), Ok(commit));
        let key = Key::read(&offset_commit_key(&name, "t", number));
        let expected = Key::OffsetCommit { group: name.clone(), topic: "t".to_owned(), partition: number };
        prop_assert_eq!(key, Ok(expected));
        prop_assert_eq!(Key::read(&group_metadata_key(&name)), Ok(Key::GroupMetadata { group: name }));
    }

    #[test]
    fn truncated_bytes_are_refused(group in groups(), commit in commits(), part in 0.0..1.0_f64) {
        let cut = |bytes: &[u8]| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a part of a length")]
            let kept = (part * bytes.len() as f64) as usize;
            bytes[..kept].to_vec()
        };
        prop_assert!(OffsetCommit::read(&cut(&commit.write())).is_err());
        prop_assert!(GroupMetadata::read(&cut(&group.write())).is_err());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let _ = Key::read(&bytes);
        let _ = OffsetCommit::read(&bytes);
        let _ = GroupMetadata::read(&bytes);
    }
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| {
        let text = std::str::from_utf8(pair).expect("hex digits");
        u8::from_str_radix(text, 16).expect("hex digits")
    };
    digits.chunks(2).map(pair).collect()
}

/// Records that Apache Kafka 4.3.1 wrote into `__consumer_offsets`: key, then value or `null`, in hex.
const KAFKAS: &str =
    include_str!("../../../../tests/golden/records/consumer_offsets-kafka-4.3.1.txt");

#[test]
fn bytes_are_those_of_kafka() {
    let (mut commits, mut groups, mut tombstones) = (0, 0, 0);
    for line in KAFKAS.lines().filter(|line| !line.starts_with('#')) {
        let (key, value) = line.split_once(' ').expect("a key and a value");
        let key = hex(key);
        let value = (value != "null").then(|| hex(value));
        let written = match Key::read(&key).expect("a key") {
            Key::OffsetCommit { group, topic, partition } => {
                assert_eq!(offset_commit_key(&group, &topic, partition), key);
                commits += 1;
                value.as_ref().map(|value| OffsetCommit::read(value).expect("a value").write())
            }
            Key::GroupMetadata { group } => {
                assert_eq!(group_metadata_key(&group), key);
                groups += 1;
                value.as_ref().map(|value| GroupMetadata::read(value).expect("a value").write())
            }
            Key::Other(version) => panic!("key version {version}"),
        };
        tombstones += i32::from(value.is_none());
        assert_eq!(written, value, "{line}");
    }
    assert!(commits > 2 && groups > 2 && tombstones > 1, "{commits} {groups} {tombstones}");
}

#[test]
fn older_and_newer_versions_are_read() {
    let plain = hex("0003 0000000000000005 00000003 0001 6d 000000000000000a");
    let read = OffsetCommit::read(&plain).expect("version 3, of Kafka before 4.1");
    assert_eq!((read.leader_epoch, read.metadata.as_str()), (3, "m"));
    let old = hex("0001 0000000000000005 0001 6d 000000000000000a 0000000000000014");
    let read = OffsetCommit::read(&old).expect("version 1");
    assert_eq!((read.offset, read.metadata.as_str(), read.expire_timestamp), (5, "m", Some(20)));
    let flexible = hex("0004 0000000000000005 00000003 02 6d 000000000000000a 01 05 02 abcd");
    let read = OffsetCommit::read(&flexible).expect("version 4, with a tagged field");
    assert_eq!((read.leader_epoch, read.metadata.as_str()), (3, "m"));
    let old = hex("0000 0000 00000002 ffff ffff 00000000");
    assert_eq!(GroupMetadata::read(&old).map(|group| group.generation), Ok(2));
    assert!(OffsetCommit::read(&hex("0005 0000")).is_err(), "a version that is not known");
}
