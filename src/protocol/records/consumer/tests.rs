//! Bytes written by Apache Kafka 4.3.1's own classes, and what must hold of any record.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

const TOPIC: Uuid = Uuid::from_u128(0x0123_4567_89ab_cdef_0fed_cba9_8765_4321);

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex"))
        .collect()
}

fn partitions(numbers: &[i32], epochs: Option<&[i32]>) -> TopicPartitions {
    TopicPartitions {
        topic: TOPIC,
        partitions: numbers.to_vec(),
        epochs: epochs.map(<[i32]>::to_vec),
    }
}

fn plain_member() -> MemberValue {
    MemberValue {
        instance_id: None,
        rack_id: None,
        client_id: String::new(),
        client_host: String::new(),
        topic_names: Vec::new(),
        topic_regex: None,
        rebalance_timeout_ms: -1,
        assignor: None,
        classic: None,
    }
}

type Golden = (Record, &'static str, &'static str);

fn goldens() -> Vec<Golden> {
    [goldens_of_groups(), goldens_of_members(), goldens_of_assignments()].concat()
}

fn goldens_of_groups() -> Vec<Golden> {
    let g = || "g".to_owned();
    let regex = RegexValue {
        topics: vec!["a".to_owned(), "ab".to_owned()],
        version: 11,
        timestamp: 1_700_000_000_000,
    };
    vec![
        (
            Record::Group(g(), Some(GroupValue { epoch: 7, metadata_hash: -5 })),
            "0003000167",
            "000000000007010008fffffffffffffffb",
        ),
        (
            Record::Group(g(), Some(GroupValue { epoch: 7, metadata_hash: 0 })),
            "0003000167",
            "00000000000700",
        ),
        (
            Record::Target(g(), Some(TargetValue { epoch: 9, timestamp: 0 })),
            "0006000167",
            "00000000000900",
        ),
        (
            Record::Regex(g(), "a.*".to_owned(), Some(regex)),
            "00100001670003612e2a",
            "0000030261036162000000000000000b0000018bcfe5680000",
        ),
    ]
}

fn goldens_of_members() -> Vec<Golden> {
    let (g, m) = (|| "g".to_owned(), || "m".to_owned());
    let member = MemberValue {
        instance_id: Some("i".to_owned()),
        rack_id: Some("r".to_owned()),
        client_id: "c".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        topic_names: vec!["a".to_owned(), "b".to_owned()],
        topic_regex: Some("a.*".to_owned()),
        rebalance_timeout_ms: 300_000,
        assignor: Some("range".to_owned()),
        classic: None,
    };
    let protocol =
        ClassicProtocol { name: "range".to_owned(), metadata: Bytes::from_static(&[1, 2, 3]) };
    let classic = ClassicMember { session_timeout_ms: 45_000, protocols: vec![protocol] };
    vec![
        (
            Record::Member(g(), m(), Some(member)),
            "000500016700016d",
            "00000269027202630b2f3132372e302e302e31030261026204612e2a000493e00672616e676500",
        ),
        (
            Record::Member(
                g(),
                m(),
                Some(MemberValue { classic: Some(classic), ..plain_member() }),
            ),
            "000500016700016d",
            "0000000001010100ffffffff00010012010000afc8020672616e6765040102030000",
        ),
    ]
}

fn goldens_of_assignments() -> Vec<Golden> {
    let (g, m) = (|| "g".to_owned(), || "m".to_owned());
    let current = CurrentValue {
        epoch: 9,
        previous_epoch: 8,
        state: 1,
        assigned: vec![partitions(&[0, 2], Some(&[5, 9]))],
        revoking: vec![partitions(&[1], None)],
    };
    vec![
        (
            Record::Target(g(), Some(TargetValue { epoch: 9, timestamp: 1_700_000_000_000 })),
            "0006000167",
            "0000000000090100080000018bcfe56800",
        ),
        (
            Record::TargetMember(g(), m(), Some(vec![partitions(&[0, 2], None)])),
            "000700016700016d",
            "0000020123456789abcdef0fedcba9876543210300000000000000020000",
        ),
        (
            Record::Current(g(), m(), Some(current)),
            "000800016700016d",
            "0000000000090000000801020123456789abcdef0fedcba98765432103000000000000000201000903000000\
             0500000009020123456789abcdef0fedcba98765432102000000010000",
        ),
    ]
}

#[test]
fn records_are_written_and_read_as_kafka_writes_them() {
    for (record, key, value) in goldens() {
        let (key, value) = (bytes(key), bytes(value));
        assert_eq!(record.encode(), (key.clone(), Some(value.clone())), "{record:?}");
        assert_eq!(Record::decode(&key, Some(&value)), Ok(Some(record)));
    }
}

#[test]
fn a_tombstone_has_its_records_key_and_no_value() {
    let record = Record::PartitionMetadata("g".to_owned(), None);
    assert_eq!(record.encode(), (bytes("0004000167"), None));
    assert_eq!(Record::decode(&bytes("0004000167"), None), Ok(Some(record)));
}

#[test]
fn keys_of_other_kinds_are_left_to_others() {
    for kind in [0_i16, 1, 2, 9, 15, 17, -1] {
        assert_eq!(Record::decode(&kind.to_be_bytes(), None), Ok(None), "{kind}");
    }
}

#[test]
fn a_cut_record_and_an_unknown_version_are_refused() {
    for (_, key, value) in goldens() {
        let (key, value) = (bytes(key), bytes(value));
        for cut in 0..value.len() {
            assert!(Record::decode(&key, Some(&value[..cut])).is_err(), "{key:?} at {cut}");
        }
        for cut in 2..key.len() {
            assert!(Record::decode(&key[..cut], Some(&value)).is_err(), "{key:?} at {cut}");
        }
        let mut newer = value.clone();
        newer[1] = 1;
        assert!(Record::decode(&key, Some(&newer)).is_err());
    }
}

fn text() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9._é-]{0,12}"
}

fn topics(with_epochs: bool) -> impl Strategy<Value = Vec<TopicPartitions>> {
    let one = (any::<u128>(), prop::collection::vec((any::<i32>(), any::<i32>()), 0..4)).prop_map(
        move |(topic, partitions)| TopicPartitions {
            topic: Uuid::from_u128(topic),
            epochs: with_epochs.then(|| partitions.iter().map(|(_, epoch)| *epoch).collect()),
            partitions: partitions.into_iter().map(|(partition, _)| partition).collect(),
        },
    );
    prop::collection::vec(one, 0..3)
}

fn record() -> impl Strategy<Value = Record> {
    let member = (
        prop::option::of(text()),
        text(),
        prop::collection::vec(text(), 0..4),
        prop::option::of(text()),
        any::<i32>(),
        prop::option::of(prop::collection::vec(
            (text(), prop::collection::vec(any::<u8>(), 0..9)),
            0..3,
        )),
    )
        .prop_map(|(instance_id, client_id, topic_names, topic_regex, number, protocols)| {
            MemberValue {
                instance_id,
                client_id,
                topic_names,
                topic_regex,
                rebalance_timeout_ms: number,
                classic: protocols.map(|protocols| ClassicMember {
                    session_timeout_ms: number,
                    protocols: protocols
                        .into_iter()
                        .map(|(name, metadata)| ClassicProtocol { name, metadata: metadata.into() })
                        .collect(),
                }),
                ..plain_member()
            }
        });
    let current = (any::<i32>(), any::<i32>(), any::<i8>(), topics(true), topics(false)).prop_map(
        |(epoch, previous_epoch, state, assigned, revoking)| CurrentValue {
            epoch,
            previous_epoch,
            state,
            assigned,
            revoking,
        },
    );
    let regex = (prop::collection::vec(text(), 0..3), any::<i64>(), any::<i64>())
        .prop_map(|(topics, version, timestamp)| RegexValue { topics, version, timestamp });
    prop_oneof![
        (text(), any::<i32>(), any::<i64>()).prop_map(|(group, epoch, metadata_hash)| {
            Record::Group(group, Some(GroupValue { epoch, metadata_hash }))
        }),
        (text(), any::<i32>(), any::<i64>()).prop_map(|(group, epoch, timestamp)| {
            Record::Target(group, Some(TargetValue { epoch, timestamp }))
        }),
        (text(), text(), prop::option::of(member)).prop_map(|(g, m, v)| Record::Member(g, m, v)),
        (text(), text(), prop::option::of(topics(false)))
            .prop_map(|(g, m, v)| Record::TargetMember(g, m, v)),
        (text(), text(), prop::option::of(current)).prop_map(|(g, m, v)| Record::Current(g, m, v)),
        (text(), text(), prop::option::of(regex)).prop_map(|(g, r, v)| Record::Regex(g, r, v)),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(record in record()) {
        let (key, value) = record.encode();
        prop_assert_eq!(Record::decode(&key, value.as_deref()), Ok(Some(record)));
    }

    #[test]
    fn any_bytes_are_an_answer_or_an_error(
        kind in 3_i16..=16,
        key in prop::collection::vec(any::<u8>(), 0..24),
        value in prop::collection::vec(any::<u8>(), 0..48),
    ) {
        let key = [kind.to_be_bytes().to_vec(), key].concat();
        let _ = Record::decode(&key, Some(&value));
    }
}
