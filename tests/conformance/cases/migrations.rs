//! Groups that change their protocol while they have members (KIP-848): from classic to consumer and back.

use bytes::Bytes;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, GroupId, JoinGroupRequest,
    ListGroupsRequest, SyncGroupRequest,
};
use uuid::Uuid;

use super::consumer_groups::{self as modern, Member, owning};
use super::group_offsets;
use super::groups::{await_coordinator, group, join, sync};
use super::memberships::{await_state, beat, describe as describe_classic, leave};
use super::{create_topic, text};
use crate::talk::Talk;

/// The versions of the script: what versions differ in is asked elsewhere.
const BEAT: i16 = 1;
const JOIN: i16 = 9;
const SYNC: i16 = 5;
const CLASSIC_BEAT: i16 = 4;
const LEAVE: i16 = 5;

pub fn script(talk: &mut Talk) {
    await_coordinator(talk);
    let id = create_topic(talk, "shared", 4, &[]);
    there_and_back(talk, id);
    refusals(talk, id);
    while_they_wait(talk);
    statics(talk, id);
    leaves(talk, id);
    not_consumers(talk);
}

/// Partitions of `shared` as the embedded protocol has them.
fn partitions(of: &[i32]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(i32::from(!of.is_empty()).to_be_bytes());
    if !of.is_empty() {
        bytes.extend(b"\x00\x06shared");
        bytes.extend(i32::try_from(of.len()).expect("a few").to_be_bytes());
        bytes.extend(of.iter().flat_map(|partition| partition.to_be_bytes()));
    }
    bytes
}

/// A subscription of version 1 to `shared`, which names what is owned.
fn subscription(owned: &[i32]) -> Bytes {
    let mut bytes = b"\x00\x01\x00\x00\x00\x01\x00\x06shared\xff\xff\xff\xff".to_vec();
    bytes.extend(partitions(owned));
    Bytes::from(bytes)
}

fn assignment(of: &[i32]) -> Bytes {
    let bytes = [b"\x00\x01".to_vec(), partitions(of), b"\xff\xff\xff\xff".to_vec()];
    Bytes::from(bytes.concat())
}

/// A member of the classic protocol that owns these partitions joins.
fn joining(name: &GroupId, member: &str, owned: &[i32]) -> JoinGroupRequest {
    let offer = |assignor: &str| {
        JoinGroupRequestProtocol::default()
            .with_name(text(assignor))
            .with_metadata(subscription(owned))
    };
    join(name, member).with_protocols(vec![offer("range"), offer("roundrobin")])
}

/// A stable classic group of one member that has all partitions. Returns its id.
fn classic(talk: &mut Talk, name: &GroupId) -> String {
    let joined = talk.quiet(3, &joining(name, "", &[])).expect("JoinGroup is answered");
    let id = joined.member_id.to_string();
    let all = SyncGroupRequestAssignment::default()
        .with_member_id(text(&id))
        .with_assignment(assignment(&[0, 1, 2, 3]));
    let synced = talk.quiet(SYNC, &sync(name, SYNC, 1, &id).with_assignments(vec![all]));
    assert_eq!(synced.expect("SyncGroup is answered").error_code, 0);
    id
}

/// What everybody sees of the group, whatever its protocol is.
fn look(talk: &mut Talk, when: &str, name: &GroupId) {
    let see = |what: &str| format!("{when}: {what}");
    talk.ask(&see("as consumers"), 1, &modern::describe(name));
    talk.ask(&see("as a classic group"), 6, &describe_classic(name));
    let listed = talk.quiet(5, &ListGroupsRequest::default()).expect("ListGroups is answered");
    let ours = listed.groups.iter().filter(|group| group.group_id == *name).map(|group| {
        format!("{} {} {}", &*group.group_state, &*group.group_type, &*group.protocol_type)
    });
    talk.record(&see("listed"), 5, serde_json::json!(ours.collect::<Vec<_>>()));
}

fn there_and_back(talk: &mut Talk, id: Uuid) {
    modern::begin(talk, "there and back");
    let name = group("there", 0);
    let a = classic(talk, &name);
    let mut b = Member::new(&name, "b");
    let joined = talk.ask("b joins", BEAT, &b.join());
    b.hear(joined);
    look(talk, "upgraded", &name);
    talk.ask("a is alive", CLASSIC_BEAT, &beat(&name, 1, &a));
    talk.ask("a syncs", SYNC, &sync(&name, SYNC, 1, &a));
    talk.ask("a joins", JOIN, &joining(&name, &a, &[0, 1, 2, 3]));
    talk.ask("a is to give back", SYNC, &sync(&name, SYNC, 1, &a));
    talk.ask("a is alive and has not given back", CLASSIC_BEAT, &beat(&name, 1, &a));
    look(talk, "a gives back", &name);
    let waits = talk.ask("b waits", BEAT, &b.beat());
    b.hear(waits);
    talk.ask("a has given back", JOIN, &joining(&name, &a, &[0, 1]));
    talk.ask("a keeps its own", SYNC, &sync(&name, SYNC, 2, &a));
    talk.ask("a is alive with its own", CLASSIC_BEAT, &beat(&name, 2, &a));
    let receives = talk.ask("b receives", BEAT, &b.beat());
    b.hear(receives);
    let owns = b.beat().with_topic_partitions(owning(id, &[2, 3]));
    talk.ask("b owns", BEAT, &owns);
    look(talk, "both have theirs", &name);
    for (who, generation) in
        [("of a", 2), ("of a, of the generation before", 1), ("of a, of a later one", 3)]
    {
        for version in [8, 9] {
            let commit = group_offsets::commit(&name, &[("shared", 0, 5)])
                .with_member_id(text(&a))
                .with_generation_id_or_member_epoch(generation);
            talk.ask(&format!("offsets {who}"), version, &commit);
        }
    }
    talk.ask("offsets of b", 9, &modern::commit(&b, b.epoch));
    talk.ask("b leaves", BEAT, &b.at(-1));
    look(talk, "downgraded", &name);
    talk.ask("b is alive after that", BEAT, &b.beat());
    talk.ask("a is alive in the classic group", CLASSIC_BEAT, &beat(&name, 2, &a));
    talk.ask("a joins the classic group", JOIN, &joining(&name, &a, &[0, 1]));
    talk.ask("a has synced", SYNC, &sync(&name, SYNC, 3, &a));
    look(talk, "stable", &name);
    talk.ask("offsets are kept", 9, &group_offsets::fetch(9, &name, None));
}

/// What members of each protocol may not say in a group of both.
fn refusals(talk: &mut Talk, id: Uuid) {
    modern::begin(talk, "refusals");
    let name = group("both", 0);
    let a = classic(talk, &name);
    let mut b = Member::new(&name, "b");
    let joined = talk.quiet(BEAT, &b.join());
    b.hear(joined);
    talk.quiet(JOIN, &joining(&name, &a, &[0, 1]));
    let ask_join = |talk: &mut Talk, step: &str, request: JoinGroupRequest| {
        talk.ask(step, JOIN, &request);
    };
    ask_join(talk, "another type", joining(&name, "", &[]).with_protocol_type(text("connect")));
    ask_join(talk, "no protocols", joining(&name, "", &[]).with_protocols(Vec::new()));
    let mut other = joining(&name, "", &[]);
    other.protocols.truncate(1);
    other.protocols[0].name = text("sticky");
    ask_join(talk, "a protocol of nobody", other);
    ask_join(talk, "no id", joining(&name, "", &[]));
    let with_instance =
        |member: &str| joining(&name, member, &[]).with_group_instance_id(Some(text("fixed")));
    ask_join(talk, "an id with an instance of nobody", with_instance("x"));
    ask_join(talk, "the id of b", joining(&name, "b", &[]));
    talk.ask("b is alive once its id was joined with", BEAT, &b.beat());
    look(talk, "once the id of b was joined with", &name);
    let sync_of = |generation: i32, member: &str| sync(&name, SYNC, generation, member);
    let ask_sync = |talk: &mut Talk, step: &str, request: SyncGroupRequest| {
        talk.ask(step, SYNC, &request);
    };
    ask_sync(talk, "sync of nobody", sync_of(2, "nobody"));
    ask_sync(talk, "sync of a later generation", sync_of(9, &a));
    ask_sync(
        talk,
        "sync of another type",
        sync_of(2, &a).with_protocol_type(Some(text("connect"))),
    );
    ask_sync(
        talk,
        "sync of another protocol",
        sync_of(2, &a).with_protocol_name(Some(text("sticky"))),
    );
    ask_sync(talk, "sync of an instance", sync_of(2, &a).with_group_instance_id(Some(text("i"))));
    talk.ask("nobody is alive", CLASSIC_BEAT, &beat(&name, 2, "nobody"));
    talk.ask("alive in a later generation", CLASSIC_BEAT, &beat(&name, 9, &a));
    let mut c = Member::new(&name, "c");
    let joined = talk.quiet(BEAT, &c.join());
    c.hear(joined);
    talk.ask("c is alive as a classic member", CLASSIC_BEAT, &beat(&name, c.epoch, "c"));
    ask_sync(talk, "c syncs", sync_of(c.epoch, "c"));
    talk.ask("c leaves as a classic member", LEAVE, &leave(&name, LEAVE, &[("c", None)]));
    let owned = owning(id, &[0, 1, 2, 3]);
    talk.ask("c is alive", BEAT, &c.beat().with_topic_partitions(owned));
}

/// Requests that wait in the classic group end when it becomes another.
fn while_they_wait(talk: &mut Talk) {
    modern::begin(talk, "while they wait");
    let name = group("waiting", 0);
    let a = classic(talk.as_speaker("a"), &name);
    let c = talk.as_speaker("c").quiet(JOIN, &joining(&name, "", &[]));
    let c = c.expect("JoinGroup is answered").member_id.to_string();
    let waits = talk.send(JOIN, &joining(&name, &c, &[]));
    await_state(talk, &name, "PreparingRebalance");
    let b = Member::new(&name, "b");
    let joined = talk.as_speaker("b").ask("b joins while another waits", BEAT, &b.join());
    talk.hear::<JoinGroupRequest>("c waited to join", waits);
    talk.as_speaker("c").ask("c joins", JOIN, &joining(&name, &c, &[]));
    let b = Member { epoch: joined.map_or(0, |joined| joined.member_epoch), ..b };
    talk.as_speaker("b").ask("b leaves", BEAT, &b.at(-1));
    // Both join the classic group, and the one that does not lead waits for its assignment.
    let of_a = talk.as_speaker("a").send(JOIN, &joining(&name, &a, &[]));
    let of_c = talk.as_speaker("c").send(JOIN, &joining(&name, &c, &[]));
    let joined = talk.as_speaker("a").take::<JoinGroupRequest>(of_a).expect("it is answered");
    talk.take::<JoinGroupRequest>(of_c);
    assert_eq!(joined.error_code, 0, "{joined:?}");
    let follower = if joined.leader.as_str() == a { &c } else { &a };
    let speaker = if joined.leader.as_str() == a { "c" } else { "a" };
    let waits =
        talk.as_speaker(speaker).send(SYNC, &sync(&name, SYNC, joined.generation_id, follower));
    let joined = talk.as_speaker("b").quiet(BEAT, &Member::new(&name, "b").join());
    assert_eq!(joined.expect("it is answered").error_code, 0);
    talk.hear::<SyncGroupRequest>("it waited to sync", waits);
}

/// A static member changes its protocol by its instance id.
fn statics(talk: &mut Talk, id: Uuid) {
    modern::begin(talk, "statics");
    let name = group("statics", 0);
    let fixed = joining(&name, "", &[]).with_group_instance_id(Some(text("fixed")));
    let old = talk.ask("joins", JOIN, &fixed).expect("it is answered").member_id.to_string();
    let all = SyncGroupRequestAssignment::default()
        .with_member_id(text(&old))
        .with_assignment(assignment(&[0, 1, 2, 3]));
    let sync_fixed = |generation: i32, member: &str| {
        sync(&name, SYNC, generation, member).with_group_instance_id(Some(text("fixed")))
    };
    talk.quiet(SYNC, &sync_fixed(1, &old).with_assignments(vec![all]));
    let mut new = Member { instance: Some("fixed"), ..Member::new(&name, "new") };
    let joined = talk.ask("comes back with the other protocol", BEAT, &new.join());
    new.hear(joined);
    look(talk, "it alone", &name);
    let alive = beat(&name, 1, &old).with_group_instance_id(Some(text("fixed")));
    talk.ask("the old one is alive", CLASSIC_BEAT, &alive);
    talk.ask("the old one syncs", SYNC, &sync_fixed(1, &old));
    let owned = new.beat().with_topic_partitions(owning(id, &[0, 1, 2, 3]));
    talk.ask("has what it had", BEAT, &owned);
    let back = talk.ask("comes back as it was", JOIN, &fixed).expect("it is answered");
    look(talk, "as it was", &name);
    talk.ask("the new one is alive", BEAT, &new.beat());
    let sync = sync_fixed(back.generation_id, &back.member_id);
    talk.ask("syncs as it was", SYNC, &sync);
    let alive = beat(&name, back.generation_id, &back.member_id);
    talk.ask("is alive as it was", CLASSIC_BEAT, &alive);
    // With another classic member beside it.
    let mut other = Member::new(&name, "other");
    let joined = talk.ask("another joins", BEAT, &other.join());
    other.hear(joined);
    let again = talk.ask("comes back once more", JOIN, &fixed).expect("it is answered");
    look(talk, "both", &name);
    let admin = leave(&name, LEAVE, &[("", Some("fixed"))]);
    talk.ask("is removed by its instance", LEAVE, &admin);
    talk.ask("is gone", CLASSIC_BEAT, &beat(&name, again.generation_id, &again.member_id));
    look(talk, "the other alone", &name);
}

/// Members of the classic protocol leave a group of both.
fn leaves(talk: &mut Talk, id: Uuid) {
    modern::begin(talk, "leaves");
    let name = group("leaves", 0);
    let a = classic(talk, &name);
    let mut b = Member { instance: Some("b"), ..Member::new(&name, "b") };
    let joined = talk.quiet(BEAT, &b.join());
    b.hear(joined);
    let many = [("nobody", None), ("", Some("nobody")), (a.as_str(), Some("b")), ("", Some("b"))];
    talk.ask("none of them", LEAVE, &leave(&name, LEAVE, &many));
    look(talk, "none has left", &name);
    talk.ask("a leaves", LEAVE, &leave(&name, LEAVE, &[(a.as_str(), None)]));
    talk.ask("a leaves again", LEAVE, &leave(&name, LEAVE, &[(a.as_str(), None)]));
    look(talk, "a has left", &name);
    let beat: ConsumerGroupHeartbeatRequest = b.beat();
    talk.ask("b is alive", BEAT, &beat.with_topic_partitions(owning(id, &[])));
}

/// Groups that cannot be upgraded.
fn not_consumers(talk: &mut Talk) {
    modern::begin(talk, "not consumers");
    let name = group("malformed", 0);
    let mut odd = joining(&name, "", &[]);
    for protocol in &mut odd.protocols {
        protocol.metadata = Bytes::from_static(b"\x00");
    }
    let joined = talk.quiet(3, &odd).expect("JoinGroup is answered");
    talk.quiet(SYNC, &sync(&name, SYNC, 1, &joined.member_id));
    talk.ask("a subscription that is none", BEAT, &Member::new(&name, "b").join());
    let name = group("unassigned", 0);
    let joined = talk.quiet(3, &joining(&name, "", &[])).expect("JoinGroup is answered");
    talk.ask("nothing is assigned yet", BEAT, &Member::new(&name, "b").join());
    talk.ask("the classic member", CLASSIC_BEAT, &beat(&name, 1, &joined.member_id));
    let describe: ConsumerGroupDescribeRequest = modern::describe(&name);
    talk.ask("described", 1, &describe);
}
