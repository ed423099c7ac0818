//! DescribeConfigs, AlterConfigs, IncrementalAlterConfigs and ListConfigResources.

use kafka_protocol::messages::{
    AlterConfigsRequest, DescribeConfigsRequest, IncrementalAlterConfigsRequest,
    ListConfigResourcesRequest, alter_configs_request,
    describe_configs_request::DescribeConfigsResource,
    incremental_alter_configs_request as incremental,
};

use super::{create_topic, text, versions};
use crate::talk::Talk;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const BROKER_LOGGER: i8 = 8;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

pub fn script(talk: &mut Talk) {
    list_resources(talk, "nothing set");
    describe(talk);
    for version in versions::<IncrementalAlterConfigsRequest>() {
        alter_incrementally(talk, version);
        alter_incrementally_badly(talk, version);
        alter_brokers(talk, version);
        loggers(talk, version);
    }
    for version in versions::<AlterConfigsRequest>() {
        alter(talk, version);
    }
    list_resources(talk, "after all");
}

fn list_resources(talk: &mut Talk, conversation: &str) {
    for version in versions::<ListConfigResourcesRequest>() {
        talk.begin(&format!("list, {conversation}"));
        talk.ask("all", version, &ListConfigResourcesRequest::default());
        if version >= 1 {
            for kind in [TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, 0, 1, 3, 99] {
                let request = ListConfigResourcesRequest::default().with_resource_types(vec![kind]);
                talk.ask(&format!("type {kind}"), version, &request);
            }
        }
    }
}

fn of(kind: i8, name: &str, keys: Option<&[&str]>) -> DescribeConfigsRequest {
    let keys = keys.map(|keys| keys.iter().map(|key| text(key)).collect());
    let one = DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configuration_keys(keys);
    DescribeConfigsRequest::default().with_resources(vec![one]).with_include_synonyms(true)
}

fn describe(talk: &mut Talk) {
    talk.begin("set-up");
    let configs =
        [("retention.ms", "86400000"), ("cleanup.policy", "compact"), ("min.insync.replicas", "2")];
    create_topic(talk, "described", 1, &configs);
    for version in versions::<DescribeConfigsRequest>() {
        talk.begin("describe");
        let documented =
            |request: DescribeConfigsRequest| request.with_include_documentation(version >= 3);
        talk.ask("a topic", version, &documented(of(TOPIC, "described", None)));
        talk.ask(
            "a topic without synonyms",
            version,
            &of(TOPIC, "described", None).with_include_synonyms(false),
        );
        talk.ask(
            "three keys",
            version,
            &of(TOPIC, "described", Some(&["retention.ms", "segment.bytes", "no.such.key"])),
        );
        talk.ask("no keys", version, &of(TOPIC, "described", Some(&[])));
        talk.ask("an unknown topic", version, &of(TOPIC, "unknown", None));
        talk.ask("an invalid topic", version, &of(TOPIC, "in valid", None));
        talk.ask("no topic", version, &of(TOPIC, "", None));
        talk.ask("a broker's keys", version, &documented(of(BROKER, "1", Some(BROKER_KEYS))));
        talk.ask("the brokers' default", version, &of(BROKER, "", None));
        talk.ask("another broker", version, &of(BROKER, "9", None));
        talk.ask("a broker that is no number", version, &of(BROKER, "one", None));
        talk.ask("loggers of another broker", version, &of(BROKER_LOGGER, "9", None));
        talk.ask("loggers of no broker", version, &of(BROKER_LOGGER, "", None));
        talk.ask("client metrics", version, &of(CLIENT_METRICS, "m", None));
        talk.ask("client metrics without a name", version, &of(CLIENT_METRICS, "", None));
        talk.ask("an unknown type", version, &of(99, "x", None));
        talk.ask("type zero", version, &of(0, "x", None));
        talk.ask("nothing", version, &DescribeConfigsRequest::default());
        let mut twice = of(TOPIC, "described", Some(&["retention.ms"]));
        twice.resources.push(twice.resources[0].clone());
        talk.ask("a topic twice", version, &twice);
    }
}

/// Broker keys that both brokers have and that tools read.
const BROKER_KEYS: &[&str] = &[
    "auto.create.topics.enable",
    "num.partitions",
    "default.replication.factor",
    "message.max.bytes",
    "log.retention.ms",
    "log.retention.hours",
    "log.retention.bytes",
    "min.insync.replicas",
    "compression.type",
    "log.message.timestamp.type",
    "log.cleanup.policy",
    "log.segment.bytes",
    "broker.id",
    "broker.rack",
    "delete.topic.enable",
    "socket.request.max.bytes",
    "max.incremental.fetch.session.cache.slots",
    "fetch.max.bytes",
    "group.initial.rebalance.delay.ms",
];

fn operation(name: &str, kind: i8, value: Option<&str>) -> incremental::AlterableConfig {
    incremental::AlterableConfig::default()
        .with_name(text(name))
        .with_config_operation(kind)
        .with_value(value.map(text))
}

fn change(
    kind: i8,
    name: &str,
    operations: Vec<incremental::AlterableConfig>,
) -> IncrementalAlterConfigsRequest {
    let resource = incremental::AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configs(operations);
    IncrementalAlterConfigsRequest::default().with_resources(vec![resource])
}

/// Sets what one group goes by.
pub fn set_of_group<'a>(
    group: &str,
    settings: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> IncrementalAlterConfigsRequest {
    let settings = settings.into_iter().map(|(name, value)| operation(name, SET, Some(value)));
    change(GROUP, group, settings.collect())
}

/// Records the configs of a topic that differ from their defaults.
fn overrides(talk: &mut Talk, step: &str, version: i16, kind: i8, name: &str) {
    talk.settle();
    let answer = talk.quiet(4, &of(kind, name, None)).expect("DescribeConfigs is answered");
    let set =
        answer.results[0].configs.iter().filter(|config| matches!(config.config_source, 1..=3));
    let set: Vec<_> = set
        .filter(|config| config.name.as_str() != "min.insync.replicas" || config.config_source != 3)
        .collect();
    talk.record(step, version, crate::tree::of(&set));
}

fn alter_incrementally(talk: &mut Talk, version: i16) {
    talk.begin("change");
    let name = format!("change-{version}");
    create_topic(talk, &name, 1, &[("retention.ms", "1000"), ("segment.ms", "5000")]);
    let mut step = |step: &str, operations: Vec<incremental::AlterableConfig>| {
        talk.ask(step, version, &change(TOPIC, &name, operations));
        overrides(talk, &format!("{step}, described"), version, TOPIC, &name);
    };
    step(
        "set",
        vec![
            operation("retention.ms", SET, Some("2000")),
            operation("max.message.bytes", SET, Some("5000")),
        ],
    );
    step("delete", vec![operation("segment.ms", DELETE, None)]);
    step("delete with a value", vec![operation("max.message.bytes", DELETE, Some("5"))]);
    step("delete what is not set", vec![operation("flush.ms", DELETE, None)]);
    step("append to a default", vec![operation("cleanup.policy", APPEND, Some("compact"))]);
    step("append what is there", vec![operation("cleanup.policy", APPEND, Some("compact"))]);
    step("subtract one", vec![operation("cleanup.policy", SUBTRACT, Some("delete"))]);
    step("subtract what is not there", vec![operation("cleanup.policy", SUBTRACT, Some("delete"))]);
    step(
        "append two",
        vec![operation("leader.replication.throttled.replicas", APPEND, Some("0:1,1:1"))],
    );
    step("set to the default", vec![operation("retention.ms", SET, Some("604800000"))]);
    step("nothing", vec![]);
    let dry = change(TOPIC, &name, vec![operation("retention.ms", SET, Some("77"))])
        .with_validate_only(true);
    talk.ask("validate only", version, &dry);
    overrides(talk, "validate only, described", version, TOPIC, &name);
}

fn alter_incrementally_badly(talk: &mut Talk, version: i16) {
    talk.begin("change badly");
    let name = format!("change-badly-{version}");
    create_topic(talk, &name, 1, &[]);
    for (step, one) in [
        ("an unknown key", operation("no.such.key", SET, Some("1"))),
        ("delete an unknown key", operation("no.such.key", DELETE, None)),
        ("an empty key", operation("", SET, Some("1"))),
        ("no number", operation("retention.ms", SET, Some("abc"))),
        ("out of range", operation("retention.ms", SET, Some("-2"))),
        ("null", operation("retention.ms", SET, None)),
        ("append null", operation("cleanup.policy", APPEND, None)),
        ("append to no list", operation("retention.ms", APPEND, Some("1"))),
        ("subtract from no list", operation("retention.ms", SUBTRACT, Some("1"))),
        ("append a bad item", operation("cleanup.policy", APPEND, Some("shred"))),
        ("subtract the last", operation("cleanup.policy", SUBTRACT, Some("delete"))),
        ("an unknown operation", operation("retention.ms", 9, Some("1"))),
        ("append to an unknown key", operation("no.such.key", APPEND, Some("1"))),
    ] {
        talk.ask(step, version, &change(TOPIC, &name, vec![one]));
    }
    let set = |value: &str| operation("retention.ms", SET, Some(value));
    talk.ask("a key twice", version, &change(TOPIC, &name, vec![set("1000"), set("2000")]));
    talk.ask(
        "good and bad",
        version,
        &change(TOPIC, &name, vec![set("1000"), operation("no.such.key", SET, Some("1"))]),
    );
    talk.ask("an unknown topic", version, &change(TOPIC, "unknown", vec![set("1000")]));
    talk.ask("an invalid topic", version, &change(TOPIC, "in valid", vec![set("1000")]));
    talk.ask("no topic", version, &change(TOPIC, "", vec![set("1000")]));
    talk.ask("an unknown type", version, &change(99, "x", vec![set("1000")]));
    talk.ask("type zero", version, &change(0, "x", vec![set("1000")]));
    let mut twice = change(TOPIC, &name, vec![set("1000")]);
    twice.resources.push(twice.resources[0].clone());
    talk.ask("a topic twice", version, &twice);
    talk.ask("no resource", version, &IncrementalAlterConfigsRequest::default());
    overrides(talk, "at the end, described", version, TOPIC, &name);
}

fn alter_brokers(talk: &mut Talk, version: i16) {
    talk.begin("change brokers");
    let set = |key: &str, value: &str| vec![operation(key, SET, Some(value))];
    for (step, name, operations) in [
        ("a dynamic key of the default", "", set("log.retention.ms", "500000")),
        ("a dynamic key of one", "1", set("message.max.bytes", "2000000")),
        ("a read-only key", "1", set("num.io.threads.of.mine", "3")),
        ("a read-only known key", "1", set("broker.rack", "r")),
        ("a bad value", "1", set("message.max.bytes", "many")),
        ("another broker", "9", set("message.max.bytes", "2000000")),
        ("a broker that is no number", "one", set("message.max.bytes", "2000000")),
        ("delete of one", "1", vec![operation("message.max.bytes", DELETE, None)]),
        ("delete of the default", "", vec![operation("log.retention.ms", DELETE, None)]),
    ] {
        talk.ask(step, version, &change(BROKER, name, operations));
        talk.settle();
        let keys = of(BROKER, "1", Some(&["message.max.bytes", "log.retention.ms"]));
        let answer = talk.quiet(4, &keys).expect("DescribeConfigs is answered");
        talk.record(
            &format!("{step}, described"),
            version,
            crate::tree::of(&answer.results[0].configs),
        );
    }
}

/// `root` is the one logger that two brokers can share.
fn loggers(talk: &mut Talk, version: i16) {
    talk.begin("loggers");
    let shown = |talk: &mut Talk, step: &str| {
        let root = of(BROKER_LOGGER, "1", Some(&["root"]));
        let answer = talk.quiet(4, &root).expect("DescribeConfigs is answered");
        talk.record(&format!("{step}, described"), version, crate::tree::of(&answer.results));
    };
    let set = |level| operation("root", SET, level);
    talk.ask("set", version, &change(BROKER_LOGGER, "1", vec![set(Some("WARN"))]));
    shown(talk, "set");
    let dry = change(BROKER_LOGGER, "1", vec![set(Some("ERROR"))]).with_validate_only(true);
    talk.ask("validate only", version, &dry);
    shown(talk, "validate only");
    for (step, name, operations) in [
        ("a level in small letters", "1", vec![set(Some("info"))]),
        ("an unknown level", "1", vec![set(Some("LOUD"))]),
        ("an empty level", "1", vec![set(Some(""))]),
        ("null", "1", vec![set(None)]),
        ("an unknown logger", "1", vec![operation("no.such.logger", SET, Some("INFO"))]),
        ("delete", "1", vec![operation("root", DELETE, None)]),
        ("delete an unknown logger", "1", vec![operation("no.such.logger", DELETE, None)]),
        ("append", "1", vec![operation("root", APPEND, Some("INFO"))]),
        ("subtract", "1", vec![operation("root", SUBTRACT, Some("INFO"))]),
        ("an unknown operation", "1", vec![operation("root", 9, Some("INFO"))]),
        ("a key twice", "1", vec![set(Some("INFO")), set(Some("INFO"))]),
        ("good and bad", "1", vec![set(Some("INFO")), operation("x", SET, Some("INFO"))]),
        ("nothing", "1", vec![]),
        ("another broker", "9", vec![set(Some("INFO"))]),
        ("a broker that is no number", "one", vec![set(Some("INFO"))]),
        ("no broker", "", vec![set(Some("INFO"))]),
    ] {
        talk.ask(step, version, &change(BROKER_LOGGER, name, operations));
    }
    shown(talk, "at the end");
}

fn alter(talk: &mut Talk, version: i16) {
    talk.begin("replace");
    let name = format!("replace-{version}");
    create_topic(talk, &name, 1, &[("retention.ms", "1000"), ("segment.ms", "5000")]);
    let one = |kind: i8, name: &str, configs: &[(&str, Option<&str>)]| {
        let configs = configs.iter().map(|(key, value)| {
            alter_configs_request::AlterableConfig::default()
                .with_name(text(key))
                .with_value(value.map(text))
        });
        let resource = alter_configs_request::AlterConfigsResource::default()
            .with_resource_type(kind)
            .with_resource_name(text(name))
            .with_configs(configs.collect());
        AlterConfigsRequest::default().with_resources(vec![resource])
    };
    talk.ask(
        "validate only",
        version,
        &one(TOPIC, &name, &[("flush.ms", Some("9"))]).with_validate_only(true),
    );
    overrides(talk, "validate only, described", version, TOPIC, &name);
    talk.ask("one key", version, &one(TOPIC, &name, &[("flush.ms", Some("9"))]));
    overrides(talk, "one key, described", version, TOPIC, &name);
    talk.ask("a bad value", version, &one(TOPIC, &name, &[("flush.ms", Some("soon"))]));
    talk.ask("an unknown key", version, &one(TOPIC, &name, &[("no.such.key", Some("1"))]));
    talk.ask("null", version, &one(TOPIC, &name, &[("flush.ms", None)]));
    talk.ask(
        "a key twice",
        version,
        &one(TOPIC, &name, &[("flush.ms", Some("1")), ("flush.ms", Some("2"))]),
    );
    talk.ask("an unknown topic", version, &one(TOPIC, "unknown", &[("flush.ms", Some("1"))]));
    talk.ask("an unknown type", version, &one(99, "x", &[("flush.ms", Some("1"))]));
    talk.ask("a broker's logger", version, &one(BROKER_LOGGER, "1", &[("root", Some("INFO"))]));
    talk.ask("nothing", version, &AlterConfigsRequest::default());
    talk.ask("no keys", version, &one(TOPIC, &name, &[]));
    overrides(talk, "no keys, described", version, TOPIC, &name);
}
