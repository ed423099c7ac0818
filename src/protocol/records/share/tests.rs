//! Bytes written by Apache Kafka 4.3.1's own classes, and what must hold of any record.

use proptest::prelude::*;

use super::*;

const TOPIC: Uuid = Uuid::from_u128(0x0123_4567_89ab_cdef_0fed_cba9_8765_4321);

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex"))
        .collect()
}

fn partitions(numbers: &[i32]) -> Vec<TopicPartitions> {
    vec![TopicPartitions { topic: TOPIC, partitions: numbers.to_vec(), epochs: None }]
}

fn named(numbers: &[i32]) -> Vec<NamedPartitions> {
    vec![NamedPartitions { topic: TOPIC, name: "a".to_owned(), partitions: numbers.to_vec() }]
}

fn member(rack_id: Option<&str>, client: &str, host: &str, topics: &[&str]) -> MemberValue {
    MemberValue {
        rack_id: rack_id.map(str::to_owned),
        client_id: client.to_owned(),
        client_host: host.to_owned(),
        topic_names: topics.iter().map(|topic| (*topic).to_owned()).collect(),
    }
}

fn goldens() -> Vec<(Record, &'static str, &'static str)> {
    let (g, m) = (|| "g".to_owned(), || "m".to_owned());
    let current =
        CurrentValue { epoch: 9, previous_epoch: 8, state: 0, assigned: partitions(&[0, 2]) };
    let state = StateValue {
        initializing: named(&[1]),
        initialized: named(&[0, 2]),
        deleting: vec![(TOPIC, "b".to_owned())],
    };
    vec![
        (
            Record::Member(g(), m(), Some(member(Some("r"), "c", "/127.0.0.1", &["a", "b"]))),
            "000a00016700016d",
            "0000027202630b2f3132372e302e302e31030261026200",
        ),
        (
            Record::Member(g(), m(), Some(member(None, "", "", &[]))),
            "000a00016700016d",
            "00000001010100",
        ),
        (
            Record::Group(g(), Some(GroupValue { epoch: 7, metadata_hash: -5 })),
            "000b000167",
            "000000000007fffffffffffffffb00",
        ),
        (
            Record::Target(g(), Some(TargetValue { epoch: 9, timestamp: 1_700_000_000_000 })),
            "000c000167",
            "0000000000090100080000018bcfe56800",
        ),
        (
            Record::Target(g(), Some(TargetValue { epoch: 9, timestamp: 0 })),
            "000c000167",
            "00000000000900",
        ),
        (
            Record::TargetMember(g(), m(), Some(partitions(&[0, 2]))),
            "000d00016700016d",
            "0000020123456789abcdef0fedcba9876543210300000000000000020000",
        ),
        (
            Record::Current(g(), m(), Some(current)),
            "000e00016700016d",
            "0000000000090000000800020123456789abcdef0fedcba9876543210300000000000000020000",
        ),
        (
            Record::State(g(), Some(state)),
            "000f000167",
            "0000020123456789abcdef0fedcba9876543210261020000000100020123456789abcdef0fedcba987654321\
             026103000000000000000200020123456789abcdef0fedcba98765432102620000",
        ),
    ]
}

#[test]
fn records_are_written_and_read_as_kafka_writes_them() {
    for (record, key, value) in goldens() {
        let (key, value) = (bytes(key), bytes(value));
        assert_eq!(record.encode(), (key.clone(), Some(value.clone())), "{record:?}");
        assert_eq!(Record::decode(&key, Some(&value)), Ok(Some(record.clone())));
        let tombstone = Record::decode(&key, None).expect("a key").expect("of this kind");
        assert!(tombstone.is_tombstone() && !record.is_tombstone());
        assert_eq!(tombstone.encode(), (key, None));
    }
}

#[test]
fn keys_of_other_kinds_are_left_to_others() {
    for kind in [0_i16, 3, 8, 9, 16, -1] {
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

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(
        kind in 9..17_i16,
        key in prop::collection::vec(any::<u8>(), 0..12),
        value in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let mut bytes = kind.to_be_bytes().to_vec();
        bytes.extend(key);
        let _ = Record::decode(&bytes, Some(&value));
    }

    #[test]
    fn the_state_of_partitions_comes_back_as_it_was_written(
        all in prop::collection::vec(
            (any::<u128>(), "[a-z]{0,9}", prop::collection::vec(any::<i32>(), 0..5)),
            0..6,
        ),
        split in 0..6_usize,
    ) {
        let topics: Vec<NamedPartitions> = all
            .into_iter()
            .map(|(topic, name, partitions)| NamedPartitions {
                topic: Uuid::from_u128(topic),
                name,
                partitions,
            })
            .collect();
        let (initializing, initialized) = topics.split_at(split.min(topics.len()));
        let value = StateValue {
            initializing: initializing.to_vec(),
            initialized: initialized.to_vec(),
            deleting: topics.iter().map(|topic| (topic.topic, topic.name.clone())).collect(),
        };
        let record = Record::State("g".to_owned(), Some(value));
        let (key, value) = record.encode();
        prop_assert_eq!(Record::decode(&key, value.as_deref()), Ok(Some(record)));
    }
}
