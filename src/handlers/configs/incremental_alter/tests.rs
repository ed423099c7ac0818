//! Changes of overrides, refused where Kafka refuses them and handed on otherwise.

use super::*;
use crate::handlers::configs::resource::{CLIENT_METRICS, GROUP, TOPIC};
use crate::handlers::fake::Fake;
use crate::handlers::scope::text;

type Change<'a> = (&'a str, i8, Option<&'a str>);

async fn check(kind: i8, name: &str, changes: &[Change<'_>], expected: (ErrorCode, &str)) {
    let fake = Fake::new(&[("orders", 1)], &[("min.compaction.lag.ms", "10")]);
    let config = |(key, op, value): &Change<'_>| {
        AlterableConfig::default()
            .with_name(text(*key))
            .with_config_operation(*op)
            .with_value(value.map(text))
    };
    let resource = AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configs(changes.iter().map(config).collect());
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    let answer = handle(&fake.scope(), request).await.value;
    let [response] = answer.responses.as_slice() else { panic!("one answer for one resource") };
    let message = response.error_message.as_deref().unwrap_or_default();
    let (error, wanted) = expected;
    assert_eq!((response.error_code, message), (error.code(), wanted), "{kind} {name} {changes:?}");
}

#[tokio::test]
async fn changes_are_refused_in_kafka_s_words() {
    use ErrorCode::{InvalidConfig as Config, InvalidRequest as Request};
    let none = (ErrorCode::None, "");
    let five = Some("5");
    check(TOPIC, "orders", &[("retention.ms", SET, five)], none).await;
    check(TOPIC, "orders", &[("cleanup.policy", APPEND, Some("compact"))], none).await;
    check(TOPIC, "orders", &[("foo", DELETE, None)], none).await;
    check(TOPIC, "orders", &[], none).await;
    check(TOPIC, "orders", &[("foo", SET, five)], (Config, "Unknown topic config name: foo")).await;
    check(
        TOPIC,
        "orders",
        &[("max.compaction.lag.ms", SET, five)],
        (
            Config,
            "conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5)",
        ),
    )
    .await;
    check(
        TOPIC,
        "orders",
        &[("retention.ms", SET, None)],
        (Request, "Null value not supported for : retention.ms"),
    )
    .await;
    check(
        TOPIC,
        "orders",
        &[("retention.ms", SET, five), ("retention.ms", DELETE, None)],
        (Request, "Error due to duplicate config keys"),
    )
    .await;
    check(
        TOPIC,
        "gone",
        &[("retention.ms", SET, five)],
        (ErrorCode::UnknownTopicOrPartition, "The topic 'gone' does not exist."),
    )
    .await;
    check(TOPIC, "", &[], (Request, "Default topic resources are not allowed.")).await;
    check(TOPIC, "orders", &[("retention.ms", 9, five)], (ErrorCode::UnknownServerError, "")).await;
    check(7, "x", &[], (Request, "Unknown resource type 7")).await;
    check(GROUP, "g", &[("foo", SET, five)], (Config, "Unknown group config name: foo")).await;
    check(
        CLIENT_METRICS,
        "m",
        &[("foo", SET, five)],
        (Request, "Unknown client metrics configuration: foo"),
    )
    .await;
}

#[tokio::test]
async fn a_broker_s_settings_are_fixed_and_others_are_taken() {
    use ErrorCode::InvalidRequest as Request;
    let none = (ErrorCode::None, "");
    check(BROKER, "1", &[("background.threads", SET, Some("9"))], none).await;
    check(BROKER, "", &[("background.threads", SET, Some("9"))], none).await;
    check(BROKER, "1", &[("plug.in", SET, Some("x"))], none).await;
    check(
        BROKER,
        "1",
        &[("background.threads", SET, Some("x"))],
        (Request, "Invalid value x for configuration background.threads: Not a number of type INT"),
    )
    .await;
    check(
        BROKER,
        "1",
        &[("socket.request.max.bytes", SET, Some("5000"))],
        (Request, "Cannot update these configs dynamically: [socket.request.max.bytes]"),
    )
    .await;
    check(BROKER, "2", &[], (Request, "Unexpected broker id, expected 1, but received 2")).await;
    check(BROKER, "x", &[], (Request, "Node id must be an integer, but it is: x")).await;
}

/// That a level takes effect is for a process to show: here nobody takes its lines.
#[tokio::test]
async fn a_broker_has_one_logger_with_kafka_s_levels() {
    use ErrorCode::{InvalidConfig as Config, InvalidRequest as Request};
    let of = async |changes: &[Change<'_>], expected: (ErrorCode, &str)| {
        check(BROKER_LOGGER, "1", changes, expected).await;
    };
    let loud = Some("LOUD");
    let levels = "Cannot set the log level of root to LOUD as it is not a supported log level. \
                  Valid log levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN";
    of(&[("root", SET, loud)], (Config, levels)).await;
    of(&[("kafka", SET, Some("INFO"))], (Config, "Logger kafka does not exist!")).await;
    of(&[("kafka", DELETE, None)], (Config, "Logger kafka does not exist!")).await;
    let kept = "Removing the log level of the root logger is not allowed";
    of(&[("root", DELETE, None)], (Request, kept)).await;
    for (operation, name) in [(APPEND, "APPEND"), (SUBTRACT, "SUBTRACT")] {
        let said = format!("{name} operation is not allowed for the BROKER_LOGGER resource");
        of(&[("root", operation, Some("INFO"))], (Request, &said)).await;
    }
    of(&[], (ErrorCode::None, "")).await;
    let other = "Unexpected node id. Expected 1, but received 2";
    check(BROKER_LOGGER, "2", &[("root", SET, Some("INFO"))], (Request, other)).await;
    let other = "Node id must be an integer, but it is: x";
    check(BROKER_LOGGER, "x", &[], (Request, other)).await;
}

#[tokio::test]
async fn a_resource_named_twice_is_refused_twice() {
    let fake = Fake::new(&[("orders", 1)], &[]);
    let resource = || {
        AlterConfigsResource::default().with_resource_type(TOPIC).with_resource_name(text("orders"))
    };
    let request =
        IncrementalAlterConfigsRequest::default().with_resources(vec![resource(), resource()]);
    let answer = handle(&fake.scope(), request).await.value;
    let codes: Vec<i16> = answer.responses.iter().map(|one| one.error_code).collect();
    assert_eq!(codes, [ErrorCode::InvalidRequest.code(); 2]);
    assert_eq!(fake.asked(), Vec::<String>::new());
}
