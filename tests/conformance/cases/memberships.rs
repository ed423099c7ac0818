//! Members of classic groups: they join, sync, are alive, rebalance, come back and leave, and all that is refused.

use bytes::Bytes;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, GroupId, HeartbeatRequest, JoinGroupRequest,
    LeaveGroupRequest, ListGroupsRequest, OffsetCommitRequest, SyncGroupRequest,
};

use super::group_offsets::{commit, delete_offsets, fetch};
use super::groups::{await_coordinator, group, join, sync};
use super::{create_topic, text, versions};
use crate::talk::Talk;

/// The version in which the script speaks where versions do not differ.
const JOIN: i16 = 9;
const SYNC: i16 = 5;
const BEAT: i16 = 4;
const LEAVE: i16 = 5;

pub fn script(talk: &mut Talk) {
    await_coordinator(talk);
    create_topic(talk, "topic", 1, &[]);
    for version in versions::<JoinGroupRequest>() {
        joins(talk, version);
        refused_joins(talk, version);
        two(talk, version);
    }
    for version in versions::<SyncGroupRequest>() {
        syncs(talk, version);
    }
    for version in versions::<HeartbeatRequest>() {
        beats(talk, version);
    }
    for version in versions::<LeaveGroupRequest>() {
        leaves(talk, version);
    }
    for version in 5..=JOIN {
        comes_back(talk, version);
    }
    fenced_while_it_waits(talk);
    changes_its_mind(talk);
    full(talk);
    silent(talk);
    states(talk);
    offsets(talk);
}

pub fn beat(group: &GroupId, generation: i32, member: &str) -> HeartbeatRequest {
    HeartbeatRequest::default()
        .with_group_id(group.clone())
        .with_generation_id(generation)
        .with_member_id(text(member))
        .with_group_instance_id(None)
}

/// Below version 3 one member leaves, whose instance is not named.
pub fn leave(group: &GroupId, version: i16, members: &[(&str, Option<&str>)]) -> LeaveGroupRequest {
    let request = LeaveGroupRequest::default().with_group_id(group.clone());
    if version < 3 {
        return request.with_member_id(text(members.first().map_or("", |(member, _)| member)));
    }
    let members = members.iter().map(|(member, instance)| {
        MemberIdentity::default()
            .with_member_id(text(member))
            .with_group_instance_id(instance.map(text))
            .with_reason(Some(text("enough")))
    });
    request.with_members(members.collect())
}

/// What the leader hands out: to each member its own number.
fn assigning(group: &GroupId, generation: i32, members: &[&str]) -> SyncGroupRequest {
    let assignments = members.iter().zip(1u8..).map(|(member, number)| {
        SyncGroupRequestAssignment::default()
            .with_member_id(text(member))
            .with_assignment(Bytes::from(vec![number]))
    });
    let leader = members.first().expect("the leader comes first");
    sync(group, SYNC, generation, leader).with_assignments(assignments.collect())
}

fn protocols(names: &[&str]) -> Vec<JoinGroupRequestProtocol> {
    let one = |name: &&str| {
        JoinGroupRequestProtocol::default()
            .with_name(text(name))
            .with_metadata(Bytes::from_static(b"\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff"))
    };
    names.iter().map(one).collect()
}

pub fn describe(group: &GroupId) -> DescribeGroupsRequest {
    DescribeGroupsRequest::default().with_groups(vec![group.clone()])
}

pub fn await_state(talk: &mut Talk, group: &GroupId, state: &str) {
    talk.as_speaker("observer");
    talk.until(4, &describe(group), |answer| answer.groups[0].group_state.as_str() == state);
}

/// Alone in its group, and stable in generation 1. Returns its id.
fn settle(talk: &mut Talk, group: &GroupId) -> String {
    let joined = talk.quiet(3, &join(group, "")).expect("JoinGroup is answered");
    assert_eq!((joined.error_code, joined.generation_id), (0, 1), "{joined:?}");
    let id = joined.member_id.to_string();
    talk.quiet(SYNC, &assigning(group, 1, &[&id]));
    id
}

/// An id with which a dynamic member may join.
fn an_id(talk: &mut Talk, group: &GroupId) -> String {
    let answer = talk.quiet(JOIN, &join(group, "")).expect("JoinGroup is answered");
    answer.member_id.to_string()
}

/// A stable group of two in generation 2, each on its own connection. Returns their ids; the first leads.
fn settle_two(talk: &mut Talk, group: &GroupId) -> (String, String) {
    let a = settle(talk.as_speaker("a"), group);
    let b = an_id(talk.as_speaker("b"), group);
    let waits = talk.send(JOIN, &join(group, &b));
    await_state(talk, group, "PreparingRebalance");
    talk.as_speaker("a").quiet(JOIN, &join(group, &a));
    let joined = talk.take::<JoinGroupRequest>(waits).expect("JoinGroup is answered");
    assert_eq!((joined.error_code, joined.generation_id), (0, 2), "{joined:?}");
    talk.as_speaker("a").quiet(SYNC, &assigning(group, 2, &[&a, &b]));
    talk.as_speaker("b").quiet(SYNC, &sync(group, SYNC, 2, &b));
    (a, b)
}

fn joins(talk: &mut Talk, version: i16) {
    talk.begin("joins");
    let name = group("joins", version);
    let first = talk.ask("without an id", version, &join(&name, ""));
    let Some(first) = first else { return };
    let id = first.member_id.to_string();
    if version >= 4 {
        talk.ask("with the id that it was given", version, &join(&name, &id));
    }
    talk.ask("again while it is to assign", version, &join(&name, &id));
    talk.quiet(SYNC, &assigning(&name, 1, &[&id]));
    talk.ask("again when all is done", version, &join(&name, &id));
    let other = join(&name, &id).with_protocols(protocols(&["roundrobin"]));
    talk.ask("again with another protocol", version, &other);
    if version >= 4 {
        talk.ask("another without an id", version, &join(&name, ""));
    }
}

fn refused_joins(talk: &mut Talk, version: i16) {
    talk.begin("refused joins");
    let name = group("refused", version);
    let ask = |talk: &mut Talk, step: &str, request: JoinGroupRequest| {
        talk.ask(step, version, &request);
    };
    ask(talk, "no group id", join(&GroupId(text("")), ""));
    ask(talk, "a short session", join(&name, "").with_session_timeout_ms(99));
    ask(talk, "a long session", join(&name, "").with_session_timeout_ms(1_800_001));
    ask(talk, "no protocols", join(&name, "").with_protocols(Vec::new()));
    ask(talk, "no type", join(&name, "").with_protocol_type(text("")));
    ask(talk, "an id of a group that is not there", join(&name, "nobody"));
    let id = settle(talk, &name);
    ask(talk, "an id of nobody", join(&name, "nobody"));
    ask(talk, "another type", join(&name, "").with_protocol_type(text("connect")));
    ask(talk, "another protocol", join(&name, "").with_protocols(protocols(&["sticky"])));
    ask(talk, "no protocols in a group", join(&name, "").with_protocols(Vec::new()));
    ask(talk, "another type of a member", join(&name, &id).with_protocol_type(text("connect")));
    if version >= 5 {
        let unknown = join(&name, "nobody").with_group_instance_id(Some(text("i")));
        ask(talk, "an id of nobody with an instance", unknown);
        let mine = join(&name, &id).with_group_instance_id(Some(text("i")));
        ask(talk, "the id of a dynamic member with an instance", mine);
    }
}

/// A second member comes, both are told, and both receive.
fn two(talk: &mut Talk, version: i16) {
    talk.begin("two");
    let name = group("two", version);
    let a = settle(talk.as_speaker("a"), &name);
    let b = if version >= 4 { an_id(talk.as_speaker("b"), &name) } else { String::new() };
    let waits = talk.as_speaker("b").send(version, &join(&name, &b));
    await_state(talk, &name, "PreparingRebalance");
    let frame = talk.as_speaker("a").frame(BEAT, &beat(&name, 1, &a));
    talk.ask_frame_as::<HeartbeatRequest>("a hears of it", (version, BEAT), &frame);
    let rejoins = talk.send(version, &join(&name, &a));
    let second = talk.hear::<JoinGroupRequest>("b has joined", waits).expect("b is answered");
    talk.hear::<JoinGroupRequest>("a has joined again", rejoins);
    let b = second.member_id.to_string();
    let of_b = talk.as_speaker("b").send(SYNC, &sync(&name, SYNC, 2, &b));
    talk.as_speaker("a").quiet(SYNC, &assigning(&name, 2, &[&a, &b]));
    let synced = talk.take::<SyncGroupRequest>(of_b).expect("b is answered");
    assert_eq!(synced.assignment, Bytes::from_static(&[2]), "b has what a gave it");
}

fn syncs(talk: &mut Talk, version: i16) {
    talk.begin("syncs");
    let name = group("syncs", version);
    let of = |generation: i32, member: &str| sync(&name, version, generation, member);
    talk.ask("of a group that is not there", version, &of(1, "nobody"));
    talk.ask("no group id", version, &sync(&GroupId(text("")), version, 1, "nobody"));
    let id = an_id(talk, &name);
    talk.ask("of a member that has not joined", version, &of(0, &id));
    talk.quiet(JOIN, &join(&name, &id));
    talk.ask("of nobody", version, &of(1, "nobody"));
    talk.ask("of a later generation", version, &of(2, &id));
    talk.ask("of an earlier generation", version, &of(0, &id));
    if version >= 5 {
        let named = |kind: Option<&str>, protocol: Option<&str>| {
            of(1, &id).with_protocol_type(kind.map(text)).with_protocol_name(protocol.map(text))
        };
        talk.ask("of another type", version, &named(Some("connect"), Some("range")));
        talk.ask("of another protocol", version, &named(Some("consumer"), Some("sticky")));
        talk.ask("without a type", version, &named(None, Some("range")));
        talk.ask("without a protocol", version, &named(Some("consumer"), None));
    }
    let assigning = of(1, &id).with_assignments(assigning(&name, 1, &[&id]).assignments);
    talk.ask("assigns", version, &assigning);
    talk.ask("asks again", version, &of(1, &id));
    let b = an_id(talk.as_speaker("b"), &name);
    let waits = talk.send(JOIN, &join(&name, &b));
    await_state(talk, &name, "PreparingRebalance");
    talk.as_speaker("").ask("while others join", version, &of(1, &id));
    talk.quiet(JOIN, &join(&name, &id));
    talk.take::<JoinGroupRequest>(waits);
    let waits = talk.as_speaker("b").send(version, &of(2, &b));
    talk.as_speaker("").quiet(LEAVE, &leave(&name, LEAVE, &[(&id, None)]));
    talk.hear::<SyncGroupRequest>("of a generation that ends", waits);
}

fn beats(talk: &mut Talk, version: i16) {
    talk.begin("heartbeats");
    let name = group("beats", version);
    talk.ask("of a group that is not there", version, &beat(&name, 1, "nobody"));
    talk.ask("no group id", version, &beat(&GroupId(text("")), 1, "nobody"));
    let id = an_id(talk, &name);
    talk.ask("of an id that has not joined", version, &beat(&name, 0, &id));
    talk.quiet(JOIN, &join(&name, &id));
    talk.ask("before the sync", version, &beat(&name, 1, &id));
    talk.quiet(SYNC, &assigning(&name, 1, &[&id]));
    talk.ask("stable", version, &beat(&name, 1, &id));
    talk.ask("of a later generation", version, &beat(&name, 2, &id));
    talk.ask("of an earlier generation", version, &beat(&name, 0, &id));
    talk.ask("of nobody", version, &beat(&name, 1, "nobody"));
    talk.ask("without an id", version, &beat(&name, 1, ""));
    if version >= 3 {
        let with = beat(&name, 1, &id).with_group_instance_id(Some(text("i")));
        talk.ask("of an instance that is none", version, &with);
    }
    talk.quiet(LEAVE, &leave(&name, LEAVE, &[(&id, None)]));
    talk.ask("after it left", version, &beat(&name, 1, &id));
    talk.ask("of the empty generation", version, &beat(&name, 2, &id));
}

fn leaves(talk: &mut Talk, version: i16) {
    talk.begin("leaves");
    let name = group("leaves", version);
    let of = |members: &[(&str, Option<&str>)]| leave(&name, version, members);
    talk.ask("a group that is not there", version, &of(&[("nobody", None)]));
    talk.ask("no group id", version, &leave(&GroupId(text("")), version, &[("nobody", None)]));
    let (a, b) = settle_two(talk, &name);
    talk.as_speaker("a");
    talk.ask("nobody", version, &of(&[("nobody", None)]));
    talk.ask("without an id", version, &of(&[("", None)]));
    talk.ask("b", version, &of(&[(&b, None)]));
    let frame = talk.frame(BEAT, &beat(&name, 2, &a));
    talk.ask_frame_as::<HeartbeatRequest>("a hears of it", (version, BEAT), &frame);
    let rejoined = talk.quiet(JOIN, &join(&name, &a)).expect("JoinGroup is answered");
    assert_eq!((rejoined.error_code, rejoined.generation_id), (0, 3), "{rejoined:?}");
    talk.ask("b again", version, &of(&[(&b, None)]));
    let given = an_id(talk.as_speaker("c"), &name);
    talk.ask("an id that has not joined", version, &of(&[(&given, None)]));
    talk.ask("it again", version, &of(&[(&given, None)]));
    if version >= 3 {
        talk.ask("nobody at all", version, &of(&[]));
        let fixed = join(&name, "").with_group_instance_id(Some(text("fixed")));
        let waits = talk.as_speaker("d").send(JOIN, &fixed);
        await_state(talk, &name, "PreparingRebalance");
        talk.as_speaker("a").quiet(JOIN, &join(&name, &a));
        let fixed = talk.take::<JoinGroupRequest>(waits).expect("it is answered").member_id;
        talk.ask("another in place of an instance", version, &of(&[("x", Some("fixed"))]));
        talk.ask("an instance that is none", version, &of(&[("", Some("loose"))]));
        talk.ask("an instance that is none, by id", version, &of(&[(&fixed, Some("loose"))]));
        let many = [("nobody", None), (a.as_str(), None), ("", Some("fixed")), (a.as_str(), None)];
        talk.ask("several at once", version, &of(&many));
    } else {
        talk.ask("the last", version, &of(&[(&a, None)]));
    }
    let frame = talk.frame(5, &describe(&name));
    talk.ask_frame_as::<DescribeGroupsRequest>("what is left", (version, 5), &frame);
}

/// A static member comes back as another process.
fn comes_back(talk: &mut Talk, version: i16) {
    talk.begin("comes back");
    let name = group("comes-back", version);
    let fixed = |member: &str| join(&name, member).with_group_instance_id(Some(text("fixed")));
    let first = talk.as_speaker("fixed").ask("needs no id", version, &fixed(""));
    let old = first.expect("JoinGroup is answered").member_id.to_string();
    talk.quiet(SYNC, &assigning(&name, 1, &[&old]).with_group_instance_id(Some(text("fixed"))));
    talk.ask("again with its id", version, &fixed(&old));
    let second = talk.ask("as another process", version, &fixed(""));
    let new = second.expect("JoinGroup is answered").member_id.to_string();
    let as_fixed =
        |member: &str| beat(&name, 1, member).with_group_instance_id(Some(text("fixed")));
    for (who, id) in [("the old one", &old), ("the new one", &new)] {
        let frame = talk.frame(BEAT, &as_fixed(id));
        let step = format!("{who} is alive");
        talk.ask_frame_as::<HeartbeatRequest>(&step, (version, BEAT), &frame);
        let sync = sync(&name, SYNC, 1, id).with_group_instance_id(Some(text("fixed")));
        let frame = talk.frame(SYNC, &sync);
        talk.ask_frame_as::<SyncGroupRequest>(&format!("{who} syncs"), (version, SYNC), &frame);
        let commit = commit(&name, &[("topic", 0, 3)])
            .with_member_id(text(id))
            .with_generation_id_or_member_epoch(1)
            .with_group_instance_id(Some(text("fixed")));
        let frame = talk.frame(7, &commit);
        let step = format!("{who} commits");
        talk.ask_frame_as::<OffsetCommitRequest>(&step, (version, 7), &frame);
    }
    talk.ask("the old one joins", version, &fixed(&old));
    let frame = talk.frame(BEAT, &beat(&name, 1, &old));
    talk.ask_frame_as::<HeartbeatRequest>("the old id alone", (version, BEAT), &frame);
    let frame = talk.frame(LEAVE, &leave(&name, LEAVE, &[(&old, Some("fixed"))]));
    talk.ask_frame_as::<LeaveGroupRequest>("the old one leaves", (version, LEAVE), &frame);
    let frame = talk.frame(5, &describe(&name));
    talk.ask_frame_as::<DescribeGroupsRequest>("described", (version, 5), &frame);
    let other = fixed("").with_protocols(protocols(&["roundrobin"]));
    talk.ask("as another process with another protocol", version, &other);
    let frame = talk.frame(LEAVE, &leave(&name, LEAVE, &[("", Some("fixed"))]));
    talk.ask_frame_as::<LeaveGroupRequest>("an administrator", (version, LEAVE), &frame);
}

/// Its instance is taken over while its JoinGroup, or its SyncGroup, waits.
fn fenced_while_it_waits(talk: &mut Talk) {
    talk.begin("fenced while it waits");
    let name = group("fenced", 0);
    let a = settle(talk.as_speaker("a"), &name);
    let fixed = join(&name, "").with_group_instance_id(Some(text("fixed")));
    let first = talk.as_speaker("first").send(JOIN, &fixed);
    await_state(talk, &name, "PreparingRebalance");
    let second = talk.as_speaker("second").send(JOIN, &fixed);
    talk.hear::<JoinGroupRequest>("the first", first);
    talk.as_speaker("a").ask("a joins", JOIN, &join(&name, &a));
    let joined = talk.hear::<JoinGroupRequest>("the second", second);
    let id = joined.expect("JoinGroup is answered").member_id.to_string();
    let of_fixed = sync(&name, SYNC, 2, &id).with_group_instance_id(Some(text("fixed")));
    let syncs = talk.as_speaker("second").send(SYNC, &of_fixed);
    let third = talk.as_speaker("third").send(JOIN, &fixed);
    talk.hear::<SyncGroupRequest>("its sync", syncs);
    await_state(talk, &name, "PreparingRebalance");
    talk.as_speaker("a").ask("a hears of it", BEAT, &beat(&name, 2, &a));
    talk.ask("a joins again", JOIN, &join(&name, &a));
    talk.hear::<JoinGroupRequest>("the third", third);
}

/// A member that joins again with other metadata begins a rebalance; one that says the same does not.
fn changes_its_mind(talk: &mut Talk) {
    talk.begin("changes its mind");
    let name = group("mind", 0);
    let (a, b) = settle_two(talk, &name);
    talk.as_speaker("b").ask("b says the same", JOIN, &join(&name, &b));
    let other = join(&name, &b).with_protocols(protocols(&["range"]));
    let waits = talk.send(JOIN, &other);
    await_state(talk, &name, "PreparingRebalance");
    talk.as_speaker("a").ask("a hears of it", BEAT, &beat(&name, 2, &a));
    talk.ask("a joins", JOIN, &join(&name, &a));
    talk.hear::<JoinGroupRequest>("b has joined", waits);
    talk.ask(
        "what everybody offers is left",
        JOIN,
        &join(&name, "").with_protocols(protocols(&["roundrobin"])),
    );
    talk.ask("the leader joins again", JOIN, &join(&name, &a));
}

/// A fourth member comes to a group of at most three.
fn full(talk: &mut Talk) {
    talk.begin("full");
    let name = group("full", 0);
    let (a, b) = settle_two(talk, &name);
    let c = an_id(talk.as_speaker("c"), &name);
    let waits = talk.send(JOIN, &join(&name, &c));
    await_state(talk, &name, "PreparingRebalance");
    let of_a = talk.as_speaker("a").send(JOIN, &join(&name, &a));
    let of_b = talk.as_speaker("b").send(JOIN, &join(&name, &b));
    for waits in [of_a, of_b, waits] {
        talk.take::<JoinGroupRequest>(waits);
    }
    for version in [3, JOIN] {
        talk.as_speaker("d").ask("another while they sync", version, &join(&name, ""));
    }
    talk.as_speaker("a").quiet(SYNC, &assigning(&name, 3, &[&a, &b, &c]));
    for version in [3, JOIN] {
        talk.as_speaker("d").ask("another", version, &join(&name, ""));
    }
    let fixed = join(&name, "").with_group_instance_id(Some(text("fixed")));
    talk.ask("another with an instance", JOIN, &fixed);
    talk.ask("an id that was not given", JOIN, &join(&name, "nobody"));
    talk.as_speaker("a").ask("the others are not disturbed", BEAT, &beat(&name, 3, &a));
}

/// Whoever is not heard of is out.
fn silent(talk: &mut Talk) {
    talk.begin("silent");
    let name = group("silent", 0);
    let short = join(&name, "").with_session_timeout_ms(100);
    let joined = talk.quiet(3, &short).expect("JoinGroup is answered");
    let id = joined.member_id.to_string();
    talk.quiet(SYNC, &assigning(&name, 1, &[&id]));
    await_state(talk, &name, "Empty");
    talk.ask("alive after all", BEAT, &beat(&name, 1, &id));
    talk.ask("joins with its old id", JOIN, &join(&name, &id));
    talk.ask("described", 5, &describe(&name));
    let never = group("never", 0);
    let quick = join(&never, "").with_rebalance_timeout_ms(100);
    let joined = talk.quiet(3, &quick).expect("JoinGroup is answered");
    await_state(talk, &never, "Empty");
    talk.ask("did not sync in time", SYNC, &assigning(&never, 1, &[&joined.member_id]));
}

/// What is told of a group in each of its states, and whether it can be deleted.
fn states(talk: &mut Talk) {
    talk.begin("states");
    let name = group("states", 0);
    let look = |talk: &mut Talk, state: &str| {
        let see = |what: &str| format!("{state}: {what}");
        talk.as_speaker("observer").ask(&see("described"), 6, &describe(&name));
        let list = ListGroupsRequest::default().with_states_filter(vec![text(state)]);
        let listed = talk.quiet(5, &list).expect("ListGroups is answered");
        let ours = |group: &&kafka_protocol::messages::list_groups_response::ListedGroup| {
            group.group_id == name
        };
        let ours: Vec<String> = listed
            .groups
            .iter()
            .filter(ours)
            .map(|group| {
                format!(
                    "{} {} {}",
                    group.group_state.as_str(),
                    group.group_type.as_str(),
                    group.protocol_type.as_str()
                )
            })
            .collect();
        talk.record(&see("listed"), 5, serde_json::json!(ours));
        let delete = DeleteGroupsRequest::default().with_groups_names(vec![name.clone()]);
        talk.ask(&see("deleted"), 2, &delete);
    };
    look(talk, "Dead");
    let a = an_id(talk.as_speaker("a"), &name);
    talk.as_speaker("a").quiet(JOIN, &join(&name, &a));
    look(talk, "CompletingRebalance");
    talk.as_speaker("a").quiet(SYNC, &assigning(&name, 1, &[&a]));
    look(talk, "Stable");
    let b = an_id(talk.as_speaker("b"), &name);
    let waits = talk.send(JOIN, &join(&name, &b));
    await_state(talk, &name, "PreparingRebalance");
    look(talk, "PreparingRebalance");
    let gone = [(a.as_str(), None), (b.as_str(), None)];
    talk.as_speaker("a").quiet(LEAVE, &leave(&name, LEAVE, &gone));
    talk.hear::<JoinGroupRequest>("b, which was made to leave", waits);
    await_state(talk, &name, "Empty");
    look(talk, "Empty");
}

/// Offsets of a group with members.
fn offsets(talk: &mut Talk) {
    talk.begin("offsets");
    let name = group("offsets", 0);
    let (a, b) = settle_two(talk, &name);
    let by = |member: &str, generation: i32| {
        commit(&name, &[("topic", 0, 7)])
            .with_member_id(text(member))
            .with_generation_id_or_member_epoch(generation)
    };
    talk.as_speaker("a").ask("of a member", 9, &by(&a, 2));
    talk.ask("of the generation before", 9, &by(&a, 1));
    talk.ask("of a generation to come", 9, &by(&a, 3));
    talk.ask("of nobody", 9, &by("nobody", 2));
    talk.ask("without a generation", 9, &by(&a, -1));
    let instance = by(&a, 2).with_group_instance_id(Some(text("i")));
    talk.ask("of an instance that is none", 9, &instance);
    talk.ask("deleted while consumed", 0, &delete_offsets(&name, &[("topic", 0)]));
    let other = join(&name, &b).with_protocols(protocols(&["range"]));
    let waits = talk.as_speaker("b").send(JOIN, &other);
    await_state(talk, &name, "PreparingRebalance");
    talk.as_speaker("a").ask("while others join", 9, &by(&a, 2));
    talk.quiet(JOIN, &join(&name, &a));
    talk.take::<JoinGroupRequest>(waits);
    talk.as_speaker("a").ask("before the sync", 9, &by(&a, 3));
    talk.ask("of the generation before, before the sync", 9, &by(&a, 2));
    talk.quiet(SYNC, &assigning(&name, 3, &[&a, &b]));
    talk.ask("after the sync", 9, &by(&a, 3));
    talk.ask("fetched", 9, &fetch(9, &name, None));
}
