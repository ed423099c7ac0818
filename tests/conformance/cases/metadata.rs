//! Metadata: all, some, unknown, by id, created on sight, and DescribeCluster beside it.

use kafka_protocol::messages::{
    DescribeClusterRequest, MetadataRequest, metadata_request::MetadataRequestTopic,
};
use uuid::Uuid;

use super::{await_leaders, create_topic, foreign_id, new_topic, topic, versions};
use crate::talk::Talk;

pub fn script(talk: &mut Talk) {
    empty(talk);
    known_and_unknown(talk);
    by_id(talk);
    created_on_sight(talk);
    internal_on_sight(talk);
    three_replicas(talk);
    cluster(talk);
}

fn request(version: i16) -> MetadataRequest {
    // Before version 4 the flag does not exist and means yes.
    MetadataRequest::default().with_allow_auto_topic_creation(version < 4)
}

fn names(version: i16, names: &[&str]) -> MetadataRequest {
    let topics =
        names.iter().map(|name| MetadataRequestTopic::default().with_name(Some(topic(name))));
    request(version).with_topics(Some(topics.collect()))
}

fn empty(talk: &mut Talk) {
    for version in versions::<MetadataRequest>() {
        talk.begin("no topics yet");
        let all = if version == 0 {
            request(version).with_topics(Some(vec![]))
        } else {
            request(version).with_topics(None)
        };
        talk.ask("all", version, &all);
        if version >= 1 {
            talk.ask("none", version, &request(version).with_topics(Some(vec![])));
        }
    }
}

fn known_and_unknown(talk: &mut Talk) {
    talk.begin("set-up");
    create_topic(talk, "known", 3, &[]);
    for version in versions::<MetadataRequest>() {
        talk.begin("some topics");
        talk.ask("known", version, &names(version, &["known"]));
        talk.ask("twice the same", version, &names(version, &["known", "known"]));
        if version >= 4 {
            talk.ask("known and unknown", version, &names(version, &["known", "unknown"]));
        }
        talk.ask("an invalid name", version, &names(version, &["in valid"]));
        talk.ask("an empty name", version, &names(version, &[""]));
        talk.ask("a dot", version, &names(version, &["."]));
        talk.ask("two dots", version, &names(version, &[".."]));
        if version >= 4 {
            // Below version 4 it would be created on sight.
            talk.ask("a name of 249", version, &names(version, &[&"x".repeat(249)]));
        }
        talk.ask("a name of 250", version, &names(version, &[&"y".repeat(250)]));
        if version >= 8 {
            let operations =
                names(version, &["known"]).with_include_topic_authorized_operations(true);
            let operations = if version <= 10 {
                operations.with_include_cluster_authorized_operations(true)
            } else {
                operations
            };
            talk.ask("authorised operations", version, &operations);
        }
    }
}

fn by_id(talk: &mut Talk) {
    talk.begin("set-up");
    let id = create_topic(talk, "by-id", 1, &[]);
    let one = |id: Uuid, name: Option<&str>| {
        MetadataRequestTopic::default().with_topic_id(id).with_name(name.map(topic))
    };
    for version in 10..=13 {
        talk.begin("by id");
        talk.quiet(12, &names(12, &["by-id"]));
        let ask = |topics| request(version).with_topics(Some(topics));
        // Below version 12 the name may not be null.
        let name = (version < 12).then_some("");
        talk.ask("known id", version, &ask(vec![one(id, name)]));
        talk.ask("unknown id", version, &ask(vec![one(foreign_id(), name)]));
        talk.ask(
            "known and unknown id",
            version,
            &ask(vec![one(foreign_id(), name), one(id, name)]),
        );
        talk.ask("id and name", version, &ask(vec![one(id, Some("by-id"))]));
        talk.ask("no id and no name", version, &ask(vec![one(Uuid::nil(), name)]));
    }
}

fn created_on_sight(talk: &mut Talk) {
    for version in versions::<MetadataRequest>() {
        let name = format!("on-sight-{version}");
        talk.begin("created on sight");
        let wanted = names(version, &[&name]).with_allow_auto_topic_creation(true);
        talk.ask("first sight", version, &wanted);
        talk.settle();
        await_leaders(talk, &name, 1);
        talk.ask("second sight", version, &wanted);
    }
    talk.begin("created on sight");
    talk.ask("internal name", 12, &names(12, &["__consumer_offsets"]));
    talk.ask(
        "a name that collides",
        12,
        &names(12, &["on_sight.1", "on.sight_1"]).with_allow_auto_topic_creation(true),
    );
}

/// A coordinator's own topic comes as the coordinator would have it.
fn internal_on_sight(talk: &mut Talk) {
    talk.begin("internal on sight");
    for name in ["__consumer_offsets", "__transaction_state", "__share_group_state"] {
        let wanted = names(12, &[name]).with_allow_auto_topic_creation(true);
        talk.ask(&format!("{name}, first sight"), 12, &wanted);
        talk.settle();
        await_leaders(talk, name, 1);
        talk.ask(&format!("{name}, second sight"), 12, &wanted);
    }
}

/// One broker can't hold three replicas in Apache Kafka; ours accepts the number as clients send it.
fn three_replicas(talk: &mut Talk) {
    talk.begin("three replicas");
    let mut wanted = new_topic("three", 1, &[]);
    wanted.replication_factor = 3;
    let create = kafka_protocol::messages::CreateTopicsRequest::default()
        .with_topics(vec![wanted])
        .with_timeout_ms(5_000);
    talk.ask("create", 7, &create);
    talk.settle();
    talk.ask("describe", 12, &names(12, &["three"]));
}

fn cluster(talk: &mut Talk) {
    for version in versions::<DescribeClusterRequest>() {
        talk.begin("DescribeCluster");
        let request = DescribeClusterRequest::default();
        talk.ask("plain", version, &request);
        talk.ask(
            "with operations",
            version,
            &request.clone().with_include_cluster_authorized_operations(true),
        );
        if version >= 1 {
            talk.ask(
                "controllers, asked of a broker",
                version,
                &request.clone().with_endpoint_type(2),
            );
            talk.ask("an unknown endpoint type", version, &request.clone().with_endpoint_type(9));
        }
        if version >= 2 {
            talk.ask(
                "with fenced brokers",
                version,
                &request.clone().with_include_fenced_brokers(true),
            );
        }
    }
}
