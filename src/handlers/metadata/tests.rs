//! Metadata of a cluster with `orders` of three partitions and `stock` of one.

use bytes::BytesMut;
use kafka_protocol::protocol::Encodable as _;

use super::*;
use crate::handlers::fake::Fake;

fn fake() -> Fake {
    Fake::new(&[("orders", 3), ("stock", 1)], &[])
}

fn by_name(name: &str) -> MetadataRequestTopic {
    MetadataRequestTopic::default().with_name(Some(TopicName(text(name))))
}

fn by_id(id: u128, name: Option<&str>) -> MetadataRequestTopic {
    let name = name.map(|name| TopicName(text(name)));
    MetadataRequestTopic::default().with_name(name).with_topic_id(Uuid::from_u128(id))
}

/// Each topic's name, code and partitions, without automatic creation.
async fn check(
    version: i16,
    topics: Option<Vec<MetadataRequestTopic>>,
    expected: &[(&str, ErrorCode, usize)],
) {
    let fake = fake();
    let request =
        MetadataRequest::default().with_topics(topics).with_allow_auto_topic_creation(version < 4);
    let fake = fake.with_settings(&[("auto.create.topics.enable", "false")]);
    let response = handle(&fake.scope(), version, request).await.value;
    let mut frame = BytesMut::new();
    response.encode(&mut frame, version).expect("fits its version");
    let topics: Vec<(&str, i16, usize)> = response
        .topics
        .iter()
        .map(|topic| {
            let name = topic.name.as_ref().map_or("null", |name| name.as_str());
            (name, topic.error_code, topic.partitions.len())
        })
        .collect();
    let expected: Vec<(&str, i16, usize)> = expected
        .iter()
        .map(|(name, error, partitions)| (*name, error.code(), *partitions))
        .collect();
    assert_eq!(topics, expected, "version {version}");
    assert_eq!(fake.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn every_version_names_its_topics() {
    use ErrorCode::{InvalidRequest, InvalidTopicException, None as Fine, UnknownTopicOrPartition};
    let all: &[(&str, ErrorCode, usize)] = &[("orders", Fine, 3), ("stock", Fine, 1)];
    for version in 0..=13 {
        check(version, Some(vec![by_name("orders"), by_name("orders")]), &all[..1]).await;
        check(version, Some(vec![by_name("gone")]), &[("gone", UnknownTopicOrPartition, 0)]).await;
        check(version, Some(vec![by_name("a b")]), &[("a b", InvalidTopicException, 0)]).await;
    }
    check(0, Some(vec![]), all).await;
    check(1, Some(vec![]), &[]).await;
    check(1, None, all).await;
    check(13, None, all).await;
    for version in [10, 11] {
        check(version, Some(vec![by_id(1, None)]), &[("", InvalidRequest, 0)]).await;
        check(version, Some(vec![by_id(1, Some("orders"))]), &[("orders", InvalidRequest, 0)])
            .await;
    }
    for version in [12, 13] {
        check(version, Some(vec![by_id(2, None)]), &[("stock", Fine, 1)]).await;
        let unknown: &[_] = &[("null", ErrorCode::UnknownTopicId, 0)];
        check(version, Some(vec![by_id(9, Some("orders")), by_name("stock")]), unknown).await;
        let stumbled: &[_] = &[("", ErrorCode::UnknownServerError, 0)];
        check(version, Some(vec![by_id(0, None)]), stumbled).await;
    }
}

#[tokio::test(start_paused = true)]
async fn unknown_topics_are_created_where_client_and_broker_agree() {
    for (version, allowed, enabled, creates) in [
        (3, false, "true", true),
        (4, true, "true", true),
        (4, false, "true", false),
        (12, true, "false", false),
    ] {
        let fake = fake().with_settings(&[("auto.create.topics.enable", enabled)]);
        let asked = ["fresh", "orders", "a b", "__consumer_offsets", "__cluster_metadata"];
        let request = MetadataRequest::default()
            .with_topics(Some(asked.map(by_name).to_vec()))
            .with_allow_auto_topic_creation(allowed);
        handle(&fake.scope(), version, request).await;
        let made = ["create __consumer_offsets Some(50)", "create fresh None"];
        let expected: &[&str] = if creates { &made } else { &[] };
        assert_eq!(fake.asked(), expected, "version {version}");
    }
}

#[tokio::test]
async fn brokers_are_shown_where_the_client_s_listener_reaches_them() {
    let fake = fake();
    let mut scope = fake.scope();
    let request = || MetadataRequest::default().with_topics(Some(vec![]));
    let response = handle(&scope, 12, request()).await.value;
    let broker = &response.brokers[0];
    assert_eq!((broker.node_id.0, &*broker.host, broker.port), (1, "localhost", 9092));
    scope.listener = "EXTERNAL";
    assert_eq!(handle(&scope, 12, request()).await.value.brokers, []);
}
