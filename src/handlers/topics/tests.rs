//! Topic APIs against a cluster with two topics, `orders` with three partitions and `stock` with one.

use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::describe_topic_partitions_request::{Cursor, TopicRequest};
use kafka_protocol::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest,
    DescribeTopicPartitionsRequest, TopicName,
};
use uuid::Uuid;

use super::*;
use crate::handlers::fake::Fake;
use crate::handlers::scope::text;
use crate::protocol::ErrorCode;

fn fake() -> Fake {
    Fake::new(&[("orders", 3), ("stock", 1)], &[("retention.ms", "5")])
}

fn name(name: &str) -> TopicName {
    TopicName(text(name))
}

fn topic(called: &str, partitions: i32, configs: &[(&str, Option<&str>)]) -> CreatableTopic {
    let config = |(key, value): &(&str, Option<&str>)| {
        CreatableTopicConfig::default().with_name(text(*key)).with_value(value.map(text))
    };
    CreatableTopic::default()
        .with_name(name(called))
        .with_num_partitions(partitions)
        .with_replication_factor(-1)
        .with_configs(configs.iter().map(config).collect())
}

/// Creates and gives each answer's name, code and message.
async fn created(topics: Vec<CreatableTopic>) -> Vec<(String, i16, String)> {
    let fake = fake();
    let request = CreateTopicsRequest::default().with_topics(topics).with_timeout_ms(1000);
    let response = create::handle(&fake.scope(), 7, request).await.value;
    let message = |message: Option<kafka_protocol::protocol::StrBytes>| {
        message.map(|text| text.to_string()).unwrap_or_default()
    };
    let answers = response.topics.into_iter();
    answers.map(|one| (one.name.to_string(), one.error_code, message(one.error_message))).collect()
}

#[tokio::test]
async fn topics_are_created_or_refused_one_by_one() {
    let answers = created(vec![
        topic("fresh", 2, &[]),
        topic("orders", 1, &[]),
        topic("wrong", 1, &[("retention.ms", Some("x"))]),
        topic("empty", 1, &[("retention.ms", None)]),
        topic("unbuilt", 1, &[("thalweg.durability", Some("local"))]),
        topic("__cluster_metadata", 1, &[]),
        topic("twice", 1, &[]),
        topic("twice", 2, &[]),
    ])
    .await;
    let expected = [
        ("fresh", ErrorCode::None, ""),
        ("orders", ErrorCode::TopicAlreadyExists, "Topic 'orders' already exists."),
        (
            "wrong",
            ErrorCode::InvalidConfig,
            "Invalid value x for configuration retention.ms: Not a number of type LONG",
        ),
        (
            "empty",
            ErrorCode::InvalidConfig,
            "Null value not supported for topic configs: retention.ms",
        ),
        (
            "unbuilt",
            ErrorCode::InvalidConfig,
            "Invalid value for configuration thalweg.durability: the only durability class that is built is object",
        ),
        (
            "__cluster_metadata",
            ErrorCode::InvalidRequest,
            "Creation of internal topic __cluster_metadata is prohibited.",
        ),
        ("twice", ErrorCode::InvalidRequest, "Duplicate topic name."),
    ];
    let expected: Vec<(String, i16, String)> = expected
        .map(|(name, error, message)| (name.to_owned(), error.code(), message.to_owned()))
        .to_vec();
    assert_eq!(answers, expected);
}

#[tokio::test]
async fn too_many_partitions_are_refused_before_anything_else_is_looked_at() {
    let refused = |called: &str| {
        let message = "Excessively large number of partitions per request.";
        (called.to_owned(), ErrorCode::PolicyViolation.code(), message.to_owned())
    };
    let codes = |answers: &[(String, i16, String)]| -> Vec<i16> {
        answers.iter().map(|(_, code, _)| *code).collect()
    };
    let names = ["orders", "wrong", "a b", "fresh", "twice", "twice", "__cluster_metadata"];
    let counts = [6_000, 1, 1, 3_999, 9_000, 9_000, 9_000];
    let mut topics: Vec<CreatableTopic> = names
        .iter()
        .zip(counts)
        .map(|(name, count)| {
            topic(name, count, if *name == "wrong" { &[("retention.ms", Some("x"))] } else { &[] })
        })
        .collect();
    assert_eq!(created(topics.clone()).await, names.map(refused));
    // A name that is there twice does not count, nor does what is no topic.
    topics[3].num_partitions = 3_998;
    let answers = created(topics).await;
    let one_by_one = [
        ErrorCode::TopicAlreadyExists,
        ErrorCode::InvalidConfig,
        ErrorCode::None,
        ErrorCode::None,
        ErrorCode::InvalidRequest,
        ErrorCode::InvalidRequest,
    ];
    let mut answered = codes(&answers);
    let mut expected = one_by_one.map(ErrorCode::code);
    answered.sort_unstable();
    expected.sort_unstable();
    assert_eq!(answered, expected);
}

#[tokio::test]
async fn a_created_topic_is_described_with_its_configs_from_version_5_on() {
    for version in 2..=7 {
        let fake = fake();
        let topics = vec![topic("fresh", -1, &[("retention.ms", Some("9"))])];
        let request = CreateTopicsRequest::default().with_topics(topics).with_timeout_ms(1000);
        let answer = create::handle(&fake.scope(), version, request).await;
        assert_eq!(answer.version, 8, "the version that shows it");
        assert_eq!(fake.asked(), ["create fresh None"]);
        let topic = &answer.value.topics[0];
        let configs = topic.configs.clone().unwrap_or_default();
        assert_eq!(topic.num_partitions, if version < 5 { -1 } else { 1 });
        let retention = configs.iter().find(|config| &*config.name == "retention.ms");
        let retention = retention.map(|config| (config.value.as_deref(), config.config_source));
        assert_eq!(retention, (version >= 5).then_some((Some("9"), 1)), "version {version}");
    }
}

#[tokio::test]
async fn topics_are_deleted_by_name_or_id_but_not_both() {
    let state = |called: Option<&str>, id: u128| {
        DeleteTopicState::default().with_name(called.map(name)).with_topic_id(Uuid::from_u128(id))
    };
    let fake = fake();
    let request = DeleteTopicsRequest::default().with_timeout_ms(1000).with_topics(vec![
        state(Some("orders"), 0),
        state(None, 2),
        state(None, 77),
        state(Some("gone"), 0),
        state(None, 0),
        state(Some("stock"), 2),
    ]);
    let answer = delete::handle(&fake.scope(), 6, request).await.value;
    let mut codes: Vec<(Option<String>, i16)> = answer
        .responses
        .iter()
        .map(|one| (one.name.as_ref().map(|name| name.to_string()), one.error_code))
        .collect();
    codes.sort();
    let named = |called: &str, error: ErrorCode| (Some(called.to_owned()), error.code());
    let mut expected = vec![
        named("orders", ErrorCode::None),
        named("stock", ErrorCode::None),
        (None, ErrorCode::UnknownTopicId.code()),
        named("gone", ErrorCode::UnknownTopicOrPartition),
        (None, ErrorCode::InvalidRequest.code()),
        named("stock", ErrorCode::InvalidRequest),
    ];
    expected.sort();
    assert_eq!(codes, expected);
}

#[tokio::test]
async fn deletion_can_be_switched_off() {
    let fake = fake().with_settings(&[("delete.topic.enable", "false")]);
    for (version, error) in [(1, ErrorCode::InvalidRequest), (5, ErrorCode::TopicDeletionDisabled)]
    {
        let request = DeleteTopicsRequest::default().with_topic_names(vec![name("orders")]);
        let answer = delete::handle(&fake.scope(), version, request).await.value;
        assert_eq!(answer.responses[0].error_code, error.code(), "version {version}");
    }
    assert_eq!(fake.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn partitions_are_added_to_topics_named_once() {
    let fake = fake();
    let more =
        |called, count| CreatePartitionsTopic::default().with_name(name(called)).with_count(count);
    let topics = vec![more("orders", 5), more("gone", 2), more("stock", 2), more("stock", 3)];
    let request = CreatePartitionsRequest::default().with_topics(topics).with_timeout_ms(1000);
    let answer = create_partitions::handle(&fake.scope(), request).await.value;
    let codes: Vec<(&str, i16)> =
        answer.results.iter().map(|one| (one.name.as_str(), one.error_code)).collect();
    assert_eq!(
        codes,
        [
            ("stock", ErrorCode::InvalidRequest.code()),
            ("orders", 0),
            ("gone", ErrorCode::UnknownTopicOrPartition.code()),
        ]
    );
    assert_eq!(fake.asked(), ["grow orders to 5", "grow gone to 2"]);
}

/// What a page names: topics with error code and partitions, and where the next page starts.
type Page<'a> = (&'a [(&'a str, i16, &'a [i32])], Option<(&'a str, i32)>);

/// Asks for one page.
fn check_page(limit: i32, topics: &[&str], cursor: Option<(&str, i32)>, expected: Page<'_>) {
    let fake = fake();
    let asked = |called: &&str| TopicRequest::default().with_name(name(called));
    let at = |(called, index): (&str, i32)| {
        Cursor::default().with_topic_name(name(called)).with_partition_index(index)
    };
    let request = DescribeTopicPartitionsRequest::default()
        .with_topics(topics.iter().map(asked).collect())
        .with_response_partition_limit(limit)
        .with_cursor(cursor.map(at));
    let response = describe_partitions::handle(&fake.scope(), &request);
    let page: Vec<(String, i16, Vec<i32>)> = response
        .topics
        .iter()
        .map(|topic| {
            let partitions = topic.partitions.iter().map(|one| one.partition_index).collect();
            (
                topic.name.as_ref().map(|name| name.to_string()).unwrap_or_default(),
                topic.error_code,
                partitions,
            )
        })
        .collect();
    let next = response.next_cursor.as_ref();
    let next = next.map(|next| (next.topic_name.as_str(), next.partition_index));
    let (topics, cursor) = expected;
    let topics: Vec<(String, i16, Vec<i32>)> =
        topics.iter().map(|(name, code, at)| ((*name).to_owned(), *code, at.to_vec())).collect();
    assert_eq!((page, next), (topics, cursor), "limit {limit}");
}

#[test]
fn partitions_are_described_page_by_page() {
    let unknown = ErrorCode::UnknownTopicOrPartition.code();
    let invalid = ErrorCode::InvalidRequest.code();
    let all: &[(&str, i16, &[i32])] = &[("orders", 0, &[0, 1, 2]), ("stock", 0, &[0])];
    check_page(2000, &[], None, (all, None));
    check_page(2, &[], None, (&[("orders", 0, &[0, 1])], Some(("orders", 2))));
    check_page(0, &[], None, (&[("orders", 0, &[0])], Some(("orders", 1))));
    check_page(3, &[], None, (&[("orders", 0, &[0, 1, 2])], Some(("stock", 0))));
    check_page(9, &[], Some(("orders", 2)), (&[("orders", 0, &[2]), ("stock", 0, &[0])], None));
    check_page(9, &[], Some(("p", 2)), (&[("stock", 0, &[0])], None));
    check_page(9, &["stock", "gone"], None, (&[("gone", unknown, &[]), ("stock", 0, &[0])], None));
    check_page(9, &["orders"], Some(("orders", -1)), (&[("orders", invalid, &[])], None));
    check_page(9, &["stock"], Some(("orders", 0)), (&[("stock", invalid, &[])], None));
}

#[test]
fn names_are_refused_in_kafka_s_words() {
    assert_eq!(name_fault("a.B_c-9"), None);
    assert_eq!(name_fault(&"x".repeat(249)), None);
    for (name, expected) in [
        ("", "the empty string is not allowed"),
        ("..", "'..' is not allowed"),
        (
            "a b",
            "'a b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
        ),
    ] {
        assert_eq!(name_fault(name), Some(format!("Topic name is invalid: {expected}")));
    }
    assert!(name_fault(&"x".repeat(250)).is_some_and(|fault| fault.ends_with("length 249")));
}
