//! Corners of groups and transactions: filters of lists, groups of one kind asked as another, offsets of subscribed topics,
//! what members of each kind may commit within a transaction, settings of groups, full groups.

use kafka_protocol::messages::share_group_heartbeat_request::ShareGroupHeartbeatRequest;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DescribeConfigsRequest, DescribeGroupsRequest,
    DescribeTransactionsRequest, GroupId, HeartbeatRequest, IncrementalAlterConfigsRequest,
    ListGroupsRequest, ListTransactionsRequest, ProducerId, TxnOffsetCommitRequest,
    describe_configs_request::DescribeConfigsResource,
    incremental_alter_configs_request as incremental,
};

use super::consumer_groups::Member;
use super::group_offsets::{commit, delete_offsets, fetch};
use super::groups::{await_coordinator, group, join, sync};
use super::memberships::{beat, leave};
use super::offset_transactions::within;
use super::transactions::{add, begin as begin_transaction, make_the_inner_topic};
use super::{create_topic, text, topic, versions};
use crate::talk::Talk;

pub fn script(talk: &mut Talk) {
    await_coordinator(talk);
    make_the_inner_topic(talk);
    for name in ["shared", "topic", "kept", "other"] {
        create_topic(talk, name, 2, &[]);
    }
    transaction_filters(talk);
    consumers(talk);
    shares(talk);
    opaque(talk);
    within_transactions(talk);
    settings(talk);
    full(talk);
    group_filters(talk);
}

fn transaction_filters(talk: &mut Talk) {
    talk.begin("transactions");
    let open = begin_transaction(talk, "pattern-open.x");
    talk.quiet(3, &add(open, 3, &[("shared", &[0])]));
    let all = ListTransactionsRequest::default()
        .with_producer_id_filters(vec![ProducerId(open.producer)])
        .with_duration_filter(-1)
        .with_transactional_id_pattern(None);
    for pattern in [
        r"\Qpattern-open.x\E",
        r"pattern-open\.x",
        "a)|(?:.*",
        "(?i)PATTERN.*",
        "(?x)pattern .*",
        "[[:alpha:]-]+.x",
        "[a-z&&[^b]]+.*",
        "pattern{1001}.*",
        r"\pL+-open.x",
        "^pattern-open.x$",
        "(?P<n>.*)",
        "(?<n>.*)",
        "(?=p).*",
        r"(.)\1.*",
        "pattern-open",
        "[",
        "*",
        "a**",
        r"\z",
        " ",
        "(?s).*",
        r"\x{70}.*",
        r"\160.*",
        r"\C*",
        "(?U).*",
    ] {
        let like = all.clone().with_transactional_id_pattern(Some(text(pattern)));
        talk.ask(&format!("like {pattern}"), 2, &like);
    }
    for duration in [0, 1_000_000, i64::MAX, i64::MIN] {
        talk.ask(&format!("open for {duration}"), 2, &all.clone().with_duration_filter(duration));
    }
    for state in ["ongoing", "Ongoing", "", "PrepareEpochFence", "Dead", "PrepareCommit"] {
        talk.ask(
            &format!("in state '{state}'"),
            2,
            &all.clone().with_state_filters(vec![text(state)]),
        );
    }
    talk.ask(
        "twice in a state",
        2,
        &all.clone().with_state_filters(vec![
            text("Ongoing"),
            text("Ongoing"),
            text("x"),
            text("x"),
        ]),
    );
    talk.ask("of nobody", 2, &all.clone().with_producer_id_filters(vec![ProducerId(-1)]));
    let ids = ["pattern-open.x", "pattern-open.x"].map(super::transactions::id).to_vec();
    let twice = DescribeTransactionsRequest::default().with_transactional_ids(ids);
    let told = talk.quiet(0, &twice).expect("answered");
    talk.record("described twice", 0, serde_json::json!(told.transaction_states.len()));
}

fn begin(talk: &mut Talk, what: &str) {
    super::consumer_groups::begin(talk, what);
}

fn consumers(talk: &mut Talk) {
    begin(talk, "consumers");
    let name = group("consumers", 0);
    let mut me = Member::new(&name, "me");
    let joined = talk.quiet(1, &me.join());
    me.hear(joined);
    let as_member = |epoch: i32| {
        commit(&name, &[("shared", 0, 4), ("kept", 0, 6)])
            .with_member_id(text("me"))
            .with_generation_id_or_member_epoch(epoch)
    };
    talk.ask("commits", 9, &as_member(me.epoch));
    talk.ask(
        "delete what is subscribed to and what is not",
        0,
        &delete_offsets(&name, &[("shared", 0), ("kept", 0), ("kept", 1)]),
    );
    talk.ask("what is left", 8, &fetch(8, &name, None));
    let name = group("patterns", 0);
    let mut me = Member::new(&name, "me");
    let like = me.join().with_subscribed_topic_names(None);
    let joined = talk.quiet(1, &like.with_subscribed_topic_regex(Some(text("ke.*"))));
    me.hear(joined);
    let told = talk.until(1, &me.beat(), |answer| answer.assignment.is_some());
    me.hear(Some(told));
    talk.quiet(
        9,
        &commit(&name, &[("kept", 0, 6)])
            .with_member_id(text("me"))
            .with_generation_id_or_member_epoch(me.epoch),
    );
    talk.ask(
        "delete what a pattern matches and what none does",
        0,
        &delete_offsets(&name, &[("shared", 0), ("kept", 0), ("kept", 1)]),
    );
    for version in versions::<DescribeGroupsRequest>() {
        let both = vec![name.clone(), group("nobody", 0)];
        talk.ask("described", version, &DescribeGroupsRequest::default().with_groups(both));
    }
    talk.ask("a heartbeat of the classic kind", 4, &beat(&name, me.epoch, "me"));
    talk.ask("a heartbeat of nobody", 4, &beat(&name, me.epoch, "nobody"));
    talk.ask("leaves in the classic way", 5, &leave(&name, 5, &[("me", None)]));
    talk.ask(
        "nobody leaves in the classic way",
        5,
        &leave(&name, 5, &[("nobody", None), ("", Some("inst"))]),
    );
    talk.ask("commits of nobody", 9, &commit(&name, &[("kept", 0, 6)]));
    talk.ask("commits of nobody, older", 8, &commit(&name, &[("kept", 0, 6)]));
}

fn share_beat(name: &GroupId, member: &str, epoch: i32) -> ShareGroupHeartbeatRequest {
    ShareGroupHeartbeatRequest::default()
        .with_group_id(name.clone())
        .with_member_id(text(member))
        .with_member_epoch(epoch)
        .with_rack_id(None)
        .with_subscribed_topic_names((epoch == 0).then(|| vec![topic("shared")]))
}

fn shares(talk: &mut Talk) {
    begin(talk, "shares");
    let name = group("shares", 0);
    talk.quiet(1, &share_beat(&name, "me", 0));
    for version in versions::<DescribeGroupsRequest>() {
        talk.ask(
            "described",
            version,
            &DescribeGroupsRequest::default().with_groups(vec![name.clone()]),
        );
    }
    talk.ask("commits", 9, &commit(&name, &[("shared", 0, 4)]));
    talk.ask("commits, older", 8, &commit(&name, &[("shared", 0, 4)]));
    talk.ask("fetches", 9, &fetch(9, &name, Some(&[("shared", &[0])])));
    talk.ask("fetches all", 9, &fetch(9, &name, None));
    talk.ask("deletes offsets", 0, &delete_offsets(&name, &[("shared", 0)]));
    talk.ask("a heartbeat", 4, &beat(&name, 1, "me"));
    talk.ask("syncs", 5, &sync(&name, 5, 1, "me"));
    talk.ask("leaves", 5, &leave(&name, 5, &[("me", None)]));
    talk.ask("leaves, older", 2, &leave(&name, 2, &[("me", None)]));
    talk.ask("a classic member comes back", 9, &join(&name, "me"));
    talk.ask("a consumer's heartbeat", 1, &Member::new(&name, "me").at(1));
    talk.ask("a consumer leaves", 1, &Member::new(&name, "me").at(-1));
    let me = begin_transaction(talk, "shares");
    talk.ask("commits within a transaction", 5, &within(me, &name, 5));
    let delete = DeleteGroupsRequest::default().with_groups_names(vec![name.clone()]);
    talk.ask("deleted with a member", 2, &delete);
}

/// A `consumer` group whose members' metadata is not Kafka's, and one of no metadata.
fn opaque(talk: &mut Talk) {
    begin(talk, "opaque");
    for (index, (what, bytes)) in [
        ("without metadata", &b""[..]),
        (
            "of a later version",
            b"\x00\x09\x00\x00\x00\x01\x00\x05topic\xff\xff\xff\xff\x00\x00\x00\x00",
        ),
        ("negative", b"\xff\xff\x00\x00\x00\x01\x00\x05topic\xff\xff\xff\xff"),
        ("trailing", b"\x00\x00\x00\x00\x00\x01\x00\x05topic\xff\xff\xff\xffmore"),
        ("cut short", b"\x00\x00\x00\x00\x00\x01\x00\x05topic"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = group("opaque", i16::try_from(index).expect("short"));
        let mut request = join(&name, "");
        for one in &mut request.protocols {
            one.metadata = bytes::Bytes::copy_from_slice(bytes);
        }
        let Some(joined) = talk.ask(&format!("{what}: joins"), 3, &request) else { continue };
        talk.quiet(3, &sync(&name, 3, 1, &joined.member_id));
        talk.quiet(
            3,
            &HeartbeatRequest::default()
                .with_group_id(name.clone())
                .with_generation_id(1)
                .with_member_id(joined.member_id.clone())
                .with_group_instance_id(None),
        );
        let mine = commit(&name, &[("topic", 0, 5), ("kept", 0, 5)])
            .with_member_id(joined.member_id.clone())
            .with_generation_id_or_member_epoch(1);
        talk.ask(&format!("{what}: commits"), 6, &mine);
        talk.ask(
            &format!("{what}: deletes offsets"),
            0,
            &delete_offsets(&name, &[("topic", 0), ("kept", 0)]),
        );
        talk.ask(&format!("{what}: a consumer joins"), 1, &Member::new(&name, "me").join());
    }
}

fn within_transactions(talk: &mut Talk) {
    for version in 3..=5 {
        begin(talk, "within");
        let name = group("within", version);
        let mut member = Member::new(&name, "me");
        let joined = talk.quiet(1, &member.join());
        member.hear(joined);
        let id = format!("within-{version}");
        let me = begin_transaction(talk, &id);
        if version < 5 {
            talk.quiet(3, &super::offset_transactions::add_group(me, &name));
        }
        let of = |member: &str, generation: i32, instance: Option<&str>| {
            within(me, &name, 5)
                .with_member_id(text(member))
                .with_generation_id(generation)
                .with_group_instance_id(instance.map(text))
        };
        let mut ask = |step: &str, request: TxnOffsetCommitRequest| {
            talk.ask(step, version, &request);
        };
        ask("of the member", of("me", member.epoch, None));
        ask("of a later epoch", of("me", member.epoch + 1, None));
        ask("of an earlier epoch", of("me", member.epoch - 1, None));
        ask("of epoch 0", of("me", 0, None));
        ask("of no epoch", of("me", -1, None));
        ask("of nobody", of("nobody", member.epoch, None));
        ask("of nobody at all", of("", -1, None));
        ask("of no member", of("", member.epoch, None));
        ask("of an instance", of("me", member.epoch, Some("instance")));
        ask("of an instance alone", of("", -1, Some("instance")));
        talk.quiet(1, &member.at(-1));
        let mut ask = |step: &str, request: TxnOffsetCommitRequest| {
            talk.ask(step, version, &request);
        };
        ask("after it left", of("me", member.epoch, None));
        ask("after it left, of nobody", of("", -1, None));
        ask("after it left, of an epoch of nobody", of("", 3, None));
    }
}

const GROUP: i8 = 32;
const SESSION: &str = "consumer.session.timeout.ms";

/// One setting of a group: its name, the kind of change, its value.
type Change<'a> = (&'a str, i8, Option<&'a str>);

fn change(of: &str, each: &[Change<'_>]) -> IncrementalAlterConfigsRequest {
    let configs = each.iter().map(|(name, kind, value)| {
        incremental::AlterableConfig::default()
            .with_name(text(name))
            .with_config_operation(*kind)
            .with_value(value.map(text))
    });
    let resource = incremental::AlterConfigsResource::default()
        .with_resource_type(GROUP)
        .with_resource_name(text(of))
        .with_configs(configs.collect());
    IncrementalAlterConfigsRequest::default().with_resources(vec![resource])
}

fn told(of: &str) -> DescribeConfigsRequest {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(GROUP)
        .with_resource_name(text(of))
        .with_configuration_keys(None);
    DescribeConfigsRequest::default().with_resources(vec![resource]).with_include_synonyms(true)
}

/// What is fine and what is not, each after the other.
const VALUES: &[(&str, &str)] = &[
    ("consumer.session.timeout.ms", "-1"),
    ("consumer.session.timeout.ms", "0"),
    ("consumer.session.timeout.ms", "1"),
    ("consumer.session.timeout.ms", "44999"),
    ("consumer.session.timeout.ms", "60001"),
    ("consumer.session.timeout.ms", "x"),
    ("consumer.session.timeout.ms", ""),
    ("consumer.session.timeout.ms", " 50000 "),
    ("consumer.session.timeout.ms", "50000"),
    ("consumer.heartbeat.interval.ms", "4999"),
    ("consumer.heartbeat.interval.ms", "15001"),
    ("consumer.heartbeat.interval.ms", "6000"),
    ("consumer.heartbeat.interval.ms", "-1"),
    ("consumer.assignment.interval.ms", "-1"),
    ("consumer.assignment.interval.ms", "15001"),
    ("consumer.assignment.interval.ms", "5"),
    ("consumer.assignor.offload.enable", "maybe"),
    ("consumer.assignor.offload.enable", "true"),
    ("share.session.timeout.ms", "1"),
    ("share.session.timeout.ms", "50000"),
    ("share.heartbeat.interval.ms", "1"),
    ("share.heartbeat.interval.ms", "6000"),
    ("share.record.lock.duration.ms", "1"),
    ("share.record.lock.duration.ms", "20000"),
    ("share.delivery.count.limit", "1"),
    ("share.delivery.count.limit", "3"),
    ("share.delivery.count.limit", "99"),
    ("share.partition.max.record.locks", "1"),
    ("share.partition.max.record.locks", "500"),
    ("share.auto.offset.reset", "nonsense"),
    ("share.auto.offset.reset", "earliest"),
    ("share.auto.offset.reset", "by_duration:PT1H"),
    ("share.auto.offset.reset", "by_duration:-PT1H"),
    ("share.auto.offset.reset", "by_duration:1h"),
    ("share.isolation.level", "x"),
    ("share.isolation.level", "READ_COMMITTED"),
    ("share.isolation.level", "read_committed"),
    ("share.assignment.interval.ms", "5"),
    ("share.renew.acknowledge.enable", "false"),
    ("streams.session.timeout.ms", "50000"),
    ("streams.num.standby.replicas", "1"),
    ("no.such", "1"),
    ("retention.ms", "1"),
];

fn settings(talk: &mut Talk) {
    begin(talk, "settings");
    talk.ask("nothing set", 4, &told("settings"));
    talk.ask("of no name", 4, &told(""));
    for (name, value) in VALUES {
        talk.ask(&format!("{name} '{value}'"), 1, &change("settings", &[(name, 0, Some(value))]));
    }
    talk.settle();
    talk.ask("after that", 4, &told("settings"));
    let other = |each: &[Change<'_>]| change("settings-2", each);
    let both = [("consumer.heartbeat.interval.ms", 0, Some("15000")), (SESSION, 0, Some("45000"))];
    talk.ask("heartbeat and session", 1, &other(&both));
    talk.ask("no value", 1, &other(&[(SESSION, 0, None)]));
    for (step, kind) in [("append", 2), ("subtract", 3), ("operation 9", 9)] {
        talk.ask(step, 1, &other(&[(SESSION, kind, Some("50000"))]));
    }
    talk.ask("twice", 1, &other(&[(SESSION, 0, Some("50000")), (SESSION, 0, Some("51000"))]));
    talk.ask("nothing", 1, &other(&[]));
    talk.ask("no group", 1, &change("", &[(SESSION, 0, Some("50000"))]));
    let third = |each: &[Change<'_>]| change("settings-3", each);
    let validated = third(&[(SESSION, 0, Some("50000"))]).with_validate_only(true);
    talk.ask("only validated", 1, &validated);
    talk.ask("delete what is not set", 1, &third(&[(SESSION, 1, None)]));
    talk.ask("delete what is none", 1, &third(&[("no.such", 1, None)]));
    let two = [(SESSION, 1, None), ("share.auto.offset.reset", 1, None)];
    talk.ask("delete", 1, &change("settings", &two));
    talk.settle();
    talk.ask("at the end", 4, &told("settings"));
    talk.ask("of what was only validated", 4, &told("settings-3"));
}

/// A third member comes where two are the most.
fn full(talk: &mut Talk) {
    begin(talk, "full");
    let name = group("full", 0);
    for member in ["a", "b"] {
        talk.quiet(1, &Member::new(&name, member).join());
    }
    talk.ask("a third consumer", 1, &Member::new(&name, "c").join());
    talk.ask("a second consumer again", 1, &Member::new(&name, "b").join());
    let mut fixed = Member::new(&name, "d");
    fixed.instance = Some("fixed");
    talk.ask("a third, static consumer", 1, &fixed.join());
    talk.ask("a classic member", 9, &join(&name, "").with_group_instance_id(Some(text("one"))));
    let name = group("full-share", 0);
    for member in ["a", "b"] {
        talk.quiet(1, &share_beat(&name, member, 0));
    }
    talk.ask("a third share member", 1, &share_beat(&name, "c", 0));
}

fn group_filters(talk: &mut Talk) {
    begin(talk, "lists");
    talk.quiet(6, &commit(&group("simple", 0), &[("kept", 0, 5)]));
    for states in
        [&[""][..], &[" Stable"], &["EMPTY"], &["assigning"], &["Unknown"], &["stable", "nonsense"]]
    {
        list(talk, 5, states, &[]);
    }
    for types in [
        &["classic"][..],
        &["Consumer "],
        &["SHARE"],
        &["share", "consumer"],
        &["streams"],
        &["unknown"],
        &["classic", "nonsense"],
        &[""],
    ] {
        list(talk, 5, &[], types);
        list(talk, 5, &["Stable"], types);
    }
    for version in versions::<ListGroupsRequest>() {
        list(talk, version, &[], &[]);
    }
}

/// Groups are listed in no order.
fn list(talk: &mut Talk, version: i16, states: &[&str], types: &[&str]) {
    let texts = |names: &[&str]| names.iter().map(|name| text(name)).collect();
    let request = ListGroupsRequest::default()
        .with_states_filter(texts(states))
        .with_types_filter(texts(types));
    let told = talk.quiet(version, &request).expect("ListGroups is answered");
    let mut groups: Vec<_> = told
        .groups
        .iter()
        .map(|one| {
            format!(
                "{} {} {} {}",
                &*one.group_id, &*one.group_state, &*one.group_type, &*one.protocol_type
            )
        })
        .collect();
    groups.sort();
    let step = format!("in {states:?} of {types:?}");
    talk.record(&step, version, serde_json::json!([told.error_code, groups]));
}
