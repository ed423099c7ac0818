//! CreateTopics, DeleteTopics and CreatePartitions, good and bad.

use kafka_protocol::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, MetadataRequest,
    create_partitions_request::{CreatePartitionsAssignment, CreatePartitionsTopic},
    create_topics_request::{CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig},
    delete_topics_request::DeleteTopicState,
    metadata_request::MetadataRequestTopic,
};

use super::{await_leaders, create_topic, foreign_id, new_topic, produce, text, topic, versions};
use crate::{batch::numbered, talk::Talk};

pub fn script(talk: &mut Talk) {
    for version in versions::<CreateTopicsRequest>() {
        create_good(talk, version);
        create_bad(talk, version);
        create_too_many(talk, version);
    }
    for version in versions::<CreatePartitionsRequest>() {
        grow(talk, version);
    }
    for version in versions::<DeleteTopicsRequest>() {
        delete(talk, version);
    }
    internal(talk);
}

fn create(topics: Vec<CreatableTopic>) -> CreateTopicsRequest {
    CreateTopicsRequest::default().with_topics(topics).with_timeout_ms(5_000)
}

fn described(talk: &mut Talk, step: &str, version: i16, name: &str) {
    talk.settle();
    let one = MetadataRequestTopic::default().with_name(Some(topic(name)));
    let request = MetadataRequest::default()
        .with_topics(Some(vec![one]))
        .with_allow_auto_topic_creation(false);
    let answer = talk.quiet(12, &request).expect("Metadata is answered");
    let shown = crate::tree::of(&answer.topics);
    talk.record(step, version, shown);
}

fn assigned(name: &str, assignments: &[(i32, &[i32])]) -> CreatableTopic {
    let assignments = assignments.iter().map(|(index, brokers)| {
        CreatableReplicaAssignment::default()
            .with_partition_index(*index)
            .with_broker_ids(brokers.iter().map(|id| (*id).into()).collect())
    });
    new_topic(name, -1, &[]).with_replication_factor(-1).with_assignments(assignments.collect())
}

fn create_good(talk: &mut Talk, version: i16) {
    talk.begin("create");
    let name = |kind: &str| format!("{kind}-{version}");
    talk.ask("plain", version, &create(vec![new_topic(&name("plain"), 3, &[])]));
    described(talk, "plain, described", version, &name("plain"));
    let configs = [
        ("retention.ms", "1000000"),
        ("cleanup.policy", "compact,delete"),
        ("max.message.bytes", "2000"),
    ];
    talk.ask("with configs", version, &create(vec![new_topic(&name("configs"), 1, &configs)]));
    let two = vec![new_topic(&name("two-a"), 1, &[]), new_topic(&name("two-b"), 2, &[])];
    talk.ask("two", version, &create(two));
    let dry = create(vec![new_topic(&name("dry"), 1, &[])]).with_validate_only(true);
    talk.ask("validate only", version, &dry);
    described(talk, "validate only, described", version, &name("dry"));
    if version >= 4 {
        let defaults = new_topic(&name("defaults"), -1, &[]).with_replication_factor(-1);
        talk.ask("all defaults", version, &create(vec![defaults]));
    }
    talk.ask(
        "assigned",
        version,
        &create(vec![assigned(&name("assigned"), &[(0, &[1]), (1, &[1])])]),
    );
    described(talk, "assigned, described", version, &name("assigned"));
    talk.ask("nothing", version, &create(vec![]));
    talk.ask("again", version, &create(vec![new_topic(&name("plain"), 3, &[])]));
    talk.ask(
        "again, validate only",
        version,
        &create(vec![new_topic(&name("plain"), 3, &[])]).with_validate_only(true),
    );
}

fn create_bad(talk: &mut Talk, version: i16) {
    talk.begin("create badly");
    let long = "z".repeat(250);
    for (step, name) in [
        ("an empty name", ""),
        ("a dot", "."),
        ("two dots", ".."),
        ("a space", "in valid"),
        ("a slash", "in/valid"),
        ("an umlaut", "grün"),
        ("a name of 250", long.as_str()),
    ] {
        talk.ask(step, version, &create(vec![new_topic(name, 1, &[])]));
    }
    let name = |kind: &str| format!("bad-{kind}-{version}");
    for (step, partitions) in
        [("no partitions", 0), ("minus two partitions", -2), ("minus one partition", -1)]
    {
        talk.ask(
            step,
            version,
            &create(vec![new_topic(&name(&step.replace(' ', "-")), partitions, &[])]),
        );
    }
    for factor in [0, -2] {
        let wanted = new_topic(&name("factor"), 1, &[]).with_replication_factor(factor);
        talk.ask(&format!("a replication factor of {factor}"), version, &create(vec![wanted]));
    }
    let same = vec![new_topic(&name("same"), 1, &[]), new_topic(&name("same"), 2, &[])];
    talk.ask("the same name twice", version, &create(same));
    let collide = vec![new_topic(&format!("col.lide-{version}"), 1, &[])];
    talk.ask("a name with a dot", version, &create(collide));
    let collide = vec![new_topic(&format!("col_lide-{version}"), 1, &[])];
    talk.ask("a name that collides with it", version, &create(collide));
    bad_configs(talk, version);
    bad_assignments(talk, version);
}

fn bad_configs(talk: &mut Talk, version: i16) {
    for (key, value) in [
        ("no.such.config", "1"),
        ("retention.ms", "abc"),
        ("retention.ms", "-2"),
        ("cleanup.policy", "shred"),
        ("cleanup.policy", ""),
        ("compression.type", "rar"),
        ("max.message.bytes", "-1"),
        ("segment.bytes", "1"),
        ("min.insync.replicas", "0"),
        ("message.timestamp.type", "Later"),
        ("unclean.leader.election.enable", "maybe"),
        ("min.cleanable.dirty.ratio", "1.5"),
        ("message.format.version", "2.8"),
        ("segment.bytes", "99999999999"),
        ("retention.ms", " 1000 "),
        ("cleanup.policy", "delete,delete"),
        ("compression.gzip.level", "42"),
    ] {
        let wanted = new_topic(&format!("bad-config-{version}"), 1, &[(key, value)]).clone();
        let dry = create(vec![wanted]).with_validate_only(true);
        talk.ask(&format!("config {key}={value}"), version, &dry);
    }
    let null = CreatableTopicConfig::default().with_name(text("retention.ms")).with_value(None);
    let wanted = new_topic(&format!("null-config-{version}"), 1, &[]).with_configs(vec![null]);
    talk.ask("a config of null", version, &create(vec![wanted]));
    let twice = [("retention.ms", "1000"), ("retention.ms", "2000")];
    talk.ask(
        "a config twice",
        version,
        &create(vec![new_topic(&format!("twice-config-{version}"), 1, &twice)]),
    );
}

fn bad_assignments(talk: &mut Talk, version: i16) {
    let mut ask = |step: &str, wanted: CreatableTopic| {
        talk.ask(
            &format!("assignment: {step}"),
            version,
            &create(vec![wanted]).with_validate_only(true),
        );
    };
    let name = format!("bad-assignment-{version}");
    ask("an unknown broker", assigned(&name, &[(0, &[77])]));
    ask("a gap", assigned(&name, &[(0, &[1]), (2, &[1])]));
    ask("a partition twice", assigned(&name, &[(0, &[1]), (0, &[1])]));
    ask("no replicas", assigned(&name, &[(0, &[])]));
    ask("a broker twice", assigned(&name, &[(0, &[1, 1])]));
    ask("a negative partition", assigned(&name, &[(-1, &[1])]));
    ask("a negative broker", assigned(&name, &[(0, &[-5])]));
    ask("counts beside it", assigned(&name, &[(0, &[1])]).with_num_partitions(2));
    ask("a factor beside it", assigned(&name, &[(0, &[1])]).with_replication_factor(1));
}

/// One request makes at most ten thousand partitions, whatever else is wrong with its topics.
fn create_too_many(talk: &mut Talk, version: i16) {
    talk.begin("create too many");
    let name = |kind: &str| format!("many-{kind}-{version}");
    let there = name("there");
    talk.quiet(version, &create(vec![new_topic(&there, 1, &[])]));
    let of = |kind: &str, partitions: i32| new_topic(&name(kind), partitions, &[]);
    let ask = |talk: &mut Talk, step: &str, topics: Vec<CreatableTopic>| {
        talk.ask(step, version, &create(topics));
    };
    ask(talk, "one of 10,001", vec![of("one", 10_001)]);
    ask(talk, "two of 10,001", vec![of("a", 5_000), of("b", 5_001)]);
    ask(talk, "beside an invalid name", vec![of("a", 5_000), new_topic("in valid", 5_001, &[])]);
    ask(talk, "beside one that is there", vec![of("a", 1), new_topic(&there, 10_000, &[])]);
    ask(talk, "beside bad configs", {
        let bad = new_topic(&name("b"), 5_001, &[("retention.ms", "abc")]);
        vec![of("a", 5_000), bad]
    });
    ask(talk, "beside an assignment", {
        vec![of("a", 9_999), assigned(&name("b"), &[(0, &[77]), (1, &[1])])]
    });
    ask(talk, "beside no partitions", vec![of("a", 10_001), of("b", 0), of("c", -2)]);
    ask(talk, "beside the log of metadata", {
        vec![of("a", 10_001), new_topic("__cluster_metadata", 1, &[])]
    });
    ask(talk, "beside a name twice", vec![of("a", 10_001), of("b", 1), of("b", 2)]);
    ask(talk, "in a name twice", vec![of("c", 1), of("b", 10_001), of("b", 10_001)]);
    ask(talk, "in the log of metadata", {
        vec![of("d", 1), new_topic("__cluster_metadata", 10_001, &[])]
    });
    if version >= 4 {
        ask(talk, "with the default", vec![of("a", 10_000), of("b", -1)]);
    }
    let dry = create(vec![of("one", 10_001)]).with_validate_only(true);
    talk.ask("validate only", version, &dry);
}

fn grow(talk: &mut Talk, version: i16) {
    talk.begin("grow");
    let name = format!("grow-{version}");
    create_topic(talk, &name, 2, &[]);
    let wanted = |name: &str, count: i32| {
        CreatePartitionsTopic::default()
            .with_name(topic(name))
            .with_count(count)
            .with_assignments(None)
    };
    let request = |topics: Vec<CreatePartitionsTopic>| {
        CreatePartitionsRequest::default().with_topics(topics).with_timeout_ms(5_000)
    };
    talk.ask("validate only", version, &request(vec![wanted(&name, 5)]).with_validate_only(true));
    described(talk, "validate only, described", version, &name);
    talk.ask("to three", version, &request(vec![wanted(&name, 3)]));
    described(talk, "to three, described", version, &name);
    talk.ask("to three again", version, &request(vec![wanted(&name, 3)]));
    talk.ask("to two", version, &request(vec![wanted(&name, 2)]));
    talk.ask("to none", version, &request(vec![wanted(&name, 0)]));
    talk.ask("to minus one", version, &request(vec![wanted(&name, -1)]));
    // Kafka would add a part of them, and says that it failed.
    let far = request(vec![wanted(&name, 20_000)]).with_validate_only(true);
    talk.ask("to 20,000, validate only", version, &far);
    talk.ask("an unknown topic", version, &request(vec![wanted("grow-unknown", 3)]));
    talk.ask("an invalid name", version, &request(vec![wanted("in valid", 3)]));
    talk.ask("an empty name", version, &request(vec![wanted("", 3)]));
    talk.ask("a topic twice", version, &request(vec![wanted(&name, 4), wanted(&name, 5)]));
    talk.ask("nothing", version, &request(vec![]));
    let on = |brokers: &[i32]| {
        CreatePartitionsAssignment::default()
            .with_broker_ids(brokers.iter().map(|id| (*id).into()).collect())
    };
    let with = |count, lists: &[&[i32]]| {
        wanted(&name, count).with_assignments(Some(lists.iter().map(|list| on(list)).collect()))
    };
    talk.ask("assigned", version, &request(vec![with(4, &[&[1]])]));
    talk.ask("assigned: too few", version, &request(vec![with(6, &[&[1]])]));
    talk.ask("assigned: an unknown broker", version, &request(vec![with(5, &[&[77]])]));
    talk.ask("assigned: no replicas", version, &request(vec![with(5, &[&[]])]));
    talk.ask("assigned: a broker twice", version, &request(vec![with(5, &[&[1, 1]])]));
    talk.ask("assigned: none at all", version, &request(vec![with(5, &[])]));
}

/// What a topic of one of these names is, whoever creates it.
fn internal(talk: &mut Talk) {
    for name in ["__consumer_offsets", "__transaction_state", "__share_group_state"] {
        talk.begin(&format!("internal {name}"));
        let kept = [("cleanup.policy", "compact")];
        talk.ask("create", 7, &create(vec![new_topic(name, 2, &kept)]));
        described(talk, "described", 12, name);
        await_leaders(talk, name, 2);
        talk.ask("write to it", 9, &produce(name, 0, &numbered(talk.base_ms(), 0, 1)));
        let more = CreatePartitionsTopic::default()
            .with_name(topic(name))
            .with_count(3)
            .with_assignments(None);
        let more = CreatePartitionsRequest::default()
            .with_topics(vec![more])
            .with_timeout_ms(5_000)
            .with_validate_only(true);
        talk.ask("grow", 3, &more);
    }
}

fn delete(talk: &mut Talk, version: i16) {
    talk.begin("delete");
    let name = format!("delete-{version}");
    let id = create_topic(talk, &name, 2, &[]);
    let names = |names: &[&str]| {
        let request = DeleteTopicsRequest::default().with_timeout_ms(5_000);
        if version < 6 {
            return request.with_topic_names(names.iter().map(|name| topic(name)).collect());
        }
        request.with_topics(
            names
                .iter()
                .map(|name| DeleteTopicState::default().with_name(Some(topic(name))))
                .collect(),
        )
    };
    talk.ask("unknown", version, &names(&["delete-unknown"]));
    talk.ask("an invalid name", version, &names(&["in valid"]));
    talk.ask("an empty name", version, &names(&[""]));
    talk.ask("nothing", version, &names(&[]));
    talk.ask("twice in one request", version, &names(&[&name, &name]));
    talk.ask("known", version, &names(&[&name]));
    talk.settle();
    talk.ask("deleted", version, &names(&[&name]));
    described(talk, "deleted, described", version, &name);
    create_topic(talk, &name, 1, &[]);
    described(talk, "made anew, described", version, &name);
    if version < 6 {
        return;
    }
    let ids = |ids: Vec<DeleteTopicState>| {
        DeleteTopicsRequest::default().with_timeout_ms(5_000).with_topics(ids)
    };
    let by_id = |id| DeleteTopicState::default().with_topic_id(id).with_name(None);
    talk.ask("the id of the deleted one", version, &ids(vec![by_id(id)]));
    talk.ask("an unknown id", version, &ids(vec![by_id(foreign_id())]));
    talk.ask("no id and no name", version, &ids(vec![by_id(uuid::Uuid::nil())]));
    let again = create_topic(talk, "delete-by-id", 1, &[]);
    talk.ask(
        "id and name",
        version,
        &ids(vec![by_id(again).with_name(Some(topic("delete-by-id")))]),
    );
    talk.ask(
        "a name and its id beside",
        version,
        &ids(vec![
            by_id(again),
            DeleteTopicState::default().with_name(Some(topic("delete-by-id"))),
        ]),
    );
    talk.ask("by id", version, &ids(vec![by_id(again)]));
    talk.settle();
    talk.ask("by id again", version, &ids(vec![by_id(again)]));
}
