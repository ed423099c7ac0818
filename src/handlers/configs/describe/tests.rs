//! What DescribeConfigs tells of a topic with one override, of this broker, and of what it does not know.

use super::*;
use crate::base::units::ByteSize;
use crate::handlers::AnswerBudget;
use crate::handlers::fake::Fake;

fn fake() -> Fake {
    Fake::new(&[("orders", 1)], &[("cleanup.policy", "compact")])
        .with_settings(&[("message.max.bytes", "5000"), ("num.partitions", "4")])
}

fn ask(kind: i8, name: &str, keys: &[&str]) -> DescribeConfigsResult {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configuration_keys(Some(keys.iter().map(|key| text(*key)).collect()));
    let request = DescribeConfigsRequest::default()
        .with_resources(vec![resource])
        .with_include_synonyms(true)
        .with_include_documentation(true);
    let mut growing = AnswerBudget::new(ByteSize::mib(64)).growing();
    let mut results = handle(&fake().scope(), 4, request, &mut growing).results;
    results.remove(0)
}

/// One config: value, source, type, and each synonym with its source.
fn check(kind: i8, name: &str, key: &str, expected: (&str, i8, i8, &[(&str, &str, i8)])) {
    let result = ask(kind, name, &[key]);
    assert_eq!(result.error_code, 0);
    let [config] = result.configs.as_slice() else { panic!("{key}: {:?}", result.configs) };
    let synonyms: Vec<(&str, &str, i8)> = config
        .synonyms
        .iter()
        .map(|one| (&*one.name, one.value.as_deref().unwrap_or("null"), one.source))
        .collect();
    let value = config.value.as_deref().unwrap_or("null");
    let (wanted, source, type_, names) = expected;
    assert_eq!((value, config.config_source, config.config_type), (wanted, source, type_), "{key}");
    assert_eq!(synonyms, names, "{key}");
    assert!(config.documentation.as_ref().is_some_and(|doc| !doc.is_empty()), "{key}");
}

#[test]
fn values_come_with_where_they_were_said() {
    check(
        TOPIC,
        "orders",
        "cleanup.policy",
        ("compact", 1, 7, &[("cleanup.policy", "compact", 1), ("log.cleanup.policy", "delete", 5)]),
    );
    check(
        TOPIC,
        "orders",
        "max.message.bytes",
        ("5000", 4, 3, &[("message.max.bytes", "5000", 4), ("message.max.bytes", "1048588", 5)]),
    );
    check(TOPIC, "orders", "retention.ms", ("604800000", 5, 5, &[]));
    check(TOPIC, "orders", "remote.storage.enable", ("false", 5, 1, &[]));
    check(TOPIC, "orders", "thalweg.flush.ms", ("100", 5, 5, &[("wal.flush.ms", "100", 5)]));
    check(
        BROKER,
        "1",
        "num.partitions",
        ("4", 4, 3, &[("num.partitions", "4", 4), ("num.partitions", "1", 5)]),
    );
    check(BROKER, "1", "node.id", ("1", 5, 3, &[("node.id", "1", 5)]));
    check(BROKER, "1", "background.threads", ("10", 5, 3, &[("background.threads", "10", 5)]));
    check(
        GROUP,
        "g",
        "consumer.session.timeout.ms",
        ("45000", 5, 3, &[("group.consumer.session.timeout.ms", "45000", 5)]),
    );
}

#[test]
fn no_keys_ask_for_all_and_unknown_keys_for_none() {
    assert_eq!(ask(TOPIC, "orders", &[]).configs.len(), 40);
    assert_eq!(ask(TOPIC, "orders", &["no.such.key"]).configs.len(), 0);
    assert_eq!(ask(BROKER, "", &[]).configs.len(), 0);
    assert!(ask(BROKER, "1", &[]).configs.iter().any(|config| &*config.name == "listeners"));
    assert_eq!(ask(BROKER_LOGGER, "1", &[]).configs.len(), 1);
    assert_eq!(ask(CLIENT_METRICS, "m", &[]).configs.len(), 3);
}

#[test]
fn resources_that_are_not_there_are_refused_in_kafka_s_words() {
    let invalid = ErrorCode::InvalidRequest;
    for (kind, name, error, message) in [
        (TOPIC, "gone", ErrorCode::UnknownTopicOrPartition, ""),
        (
            TOPIC,
            "",
            ErrorCode::InvalidTopicException,
            "Topic name is invalid: the empty string is not allowed",
        ),
        (BROKER, "2", invalid, "Unexpected broker id, expected 1 or empty string, but received 2"),
        (BROKER, "x", invalid, "Broker id must be an integer, but it is: x"),
        (BROKER_LOGGER, "2", invalid, "Unexpected broker id, expected 1 but received 2"),
        (BROKER_LOGGER, "", invalid, "Broker id must not be empty"),
        (GROUP, "", invalid, "Group name must not be empty"),
        (7, "x", invalid, ErrorCode::InvalidRequest.message()),
    ] {
        let result = ask(kind, name, &[]);
        assert_eq!(result.error_code, error.code(), "{kind} {name}");
        assert_eq!(result.error_message.as_deref(), Some(message), "{kind} {name}");
    }
}
