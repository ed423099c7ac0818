//! Offsets that are committed with a transaction: who may, what is told meanwhile, and what is left when it ends.

use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, GroupId, JoinGroupRequest, OffsetFetchRequest, ProducerId,
    TxnOffsetCommitRequest,
};

use super::group_offsets::{commit, delete_offsets, fetch};
use super::groups::{await_coordinator, group, join, sync};
use super::transactions::{Me, await_markers, begin, end, id, make_the_inner_topic};
use super::{create_topic, text, topic, versions};
use crate::talk::Talk;

pub fn script(talk: &mut Talk) {
    await_coordinator(talk);
    make_the_inner_topic(talk);
    create_topic(talk, "kept", 2, &[]);
    for version in versions::<TxnOffsetCommitRequest>() {
        for committed in [true, false] {
            ends(talk, version, committed);
        }
        refused(talk, version);
        if version >= 3 {
            members(talk, version);
        }
    }
    beside(talk);
}

/// The offset of partition 0 of `kept`, from no member.
pub fn within(me: Me<'_>, group: &GroupId, offset: i64) -> TxnOffsetCommitRequest {
    let part = TxnOffsetCommitRequestPartition::default()
        .with_partition_index(0)
        .with_committed_offset(offset)
        .with_committed_leader_epoch(-1)
        .with_committed_metadata(Some(text("note")));
    let topics =
        TxnOffsetCommitRequestTopic::default().with_name(topic("kept")).with_partitions(vec![part]);
    TxnOffsetCommitRequest::default()
        .with_transactional_id(id(me.id))
        .with_group_id(group.clone())
        .with_producer_id(ProducerId(me.producer))
        .with_producer_epoch(me.epoch)
        .with_generation_id(-1)
        .with_group_instance_id(None)
        .with_topics(vec![topics])
}

pub fn add_group(me: Me<'_>, group: &GroupId) -> AddOffsetsToTxnRequest {
    AddOffsetsToTxnRequest::default()
        .with_transactional_id(id(me.id))
        .with_producer_id(ProducerId(me.producer))
        .with_producer_epoch(me.epoch)
        .with_group_id(group.clone())
}

/// What a consumer is told, whether or not it can wait for what is open.
pub fn look(talk: &mut Talk, when: &str, version: i16, group: &GroupId) {
    for (how, stable) in [("any", false), ("stable", true)] {
        let request = fetch(7, group, Some(&[("kept", &[0, 1])])).with_require_stable(stable);
        let frame = talk.frame(7, &request);
        talk.ask_frame_as::<OffsetFetchRequest>(&format!("{when}: {how}"), (version, 7), &frame);
    }
}

/// From version 5 on a client says nothing of its group beforehand.
fn enlist(talk: &mut Talk, version: i16, me: Me<'_>, group: &GroupId) {
    if version < 5 {
        let added = talk.quiet(3, &add_group(me, group)).expect("AddOffsetsToTxn is answered");
        assert_eq!(added.error_code, 0, "{added:?}");
    }
}

/// With version 5 go transactions whose epochs move with each.
fn end_version(version: i16) -> i16 {
    if version >= 5 { 5 } else { 4 }
}

fn ends(talk: &mut Talk, version: i16, committed: bool) {
    let how = if committed { "commit" } else { "abort" };
    talk.begin(how);
    let name = group(how, version);
    talk.quiet(6, &commit(&name, &[("kept", 0, 3)]));
    let me_id = format!("{how}-{version}");
    let me = begin(talk, &me_id);
    enlist(talk, version, me, &name);
    talk.ask("an offset", version, &within(me, &name, 5));
    look(talk, "open", version, &name);
    talk.ask("a later offset", version, &within(me, &name, 6));
    talk.quiet(end_version(version), &end(me, committed));
    await_markers(talk, &me_id);
    look(talk, "ended", version, &name);
    talk.ask("a late offset", version, &within(me, &name, 9));
    look(talk, "after that", version, &name);
}

fn refused(talk: &mut Talk, version: i16) {
    talk.begin("refused");
    let name = group("refused", version);
    let me_id = format!("refused-{version}");
    let me = begin(talk, &me_id);
    if version < 5 {
        talk.ask("of a group that was not added", version, &within(me, &name, 5));
    }
    enlist(talk, version, me, &name);
    talk.ask("of an unknown id", version, &within(Me { id: "nobody", ..me }, &name, 5));
    talk.ask("of no id", version, &within(Me { id: "", ..me }, &name, 5));
    talk.ask("of another producer", version, &within(Me { producer: 987_654, ..me }, &name, 5));
    talk.ask("of a newer epoch", version, &within(Me { epoch: me.epoch + 1, ..me }, &name, 5));
    talk.ask("of no group", version, &within(me, &GroupId(text("")), 5));
    let mut unknown = within(me, &name, 5);
    unknown.topics[0].name = topic("gone");
    talk.ask("of a topic that is not there", version, &unknown);
    let mut long = within(me, &name, 5);
    long.topics[0].partitions[0].committed_metadata = Some(text(&"x".repeat(4097)));
    talk.ask("too much metadata", version, &long);
    talk.ask("nothing", version, &within(me, &name, 5).with_topics(Vec::new()));
    look(talk, "nothing was taken", version, &name);
    let newer = begin(talk, &me_id);
    assert!(newer.epoch > me.epoch, "a newer producer has a newer epoch");
    enlist(talk, version, newer, &name);
    talk.ask("of an older epoch", version, &within(me, &name, 5));
    talk.ask("of the newer epoch", version, &within(newer, &name, 5));
}

/// KIP-447: the consumer that the offsets come from must still be what it says it is.
fn members(talk: &mut Talk, version: i16) {
    talk.begin("members");
    let name = group("members", version);
    let me_id = format!("members-{version}");
    let me = begin(talk, &me_id);
    enlist(talk, version, me, &name);
    let of = |member: &str, generation: i32, instance: Option<&str>| {
        within(me, &name, 5)
            .with_member_id(text(member))
            .with_generation_id(generation)
            .with_group_instance_id(instance.map(text))
    };
    let ask = |talk: &mut Talk, step: &str, request: TxnOffsetCommitRequest| {
        talk.ask(step, version, &request);
    };
    ask(talk, "of a group that is not there", of("nobody", 1, None));
    let fixed = join(&name, "").with_group_instance_id(Some(text("fixed")));
    let old = talk.quiet(9, &fixed).expect("JoinGroup is answered").member_id.to_string();
    ask(talk, "before the sync", of(&old, 1, Some("fixed")));
    talk.quiet(5, &sync(&name, 5, 1, &old).with_group_instance_id(Some(text("fixed"))));
    ask(talk, "of the member", of(&old, 1, Some("fixed")));
    ask(talk, "of the member without its instance", of(&old, 1, None));
    ask(talk, "of nobody", of("nobody", 1, None));
    ask(talk, "of a later generation", of(&old, 2, None));
    ask(talk, "of an earlier generation", of(&old, 0, None));
    ask(talk, "of a generation of nobody", of("", 1, None));
    ask(talk, "of a member without a generation", of(&old, -1, None));
    ask(talk, "of an instance that is none", of(&old, 1, Some("loose")));
    ask(talk, "of an instance alone", of("", -1, Some("fixed")));
    ask(talk, "of no member", of("", -1, None));
    let new = talk.quiet(9, &fixed).expect("JoinGroup is answered").member_id.to_string();
    ask(talk, "of the old process", of(&old, 1, Some("fixed")));
    ask(talk, "of the new process", of(&new, 1, Some("fixed")));
    let waits = talk.as_speaker("other").quiet(9, &join(&name, "")).expect("it is answered");
    let waits = talk.send(9, &join(&name, &waits.member_id));
    let describe =
        kafka_protocol::messages::DescribeGroupsRequest::default().with_groups(vec![name.clone()]);
    talk.as_speaker("").until(4, &describe, |answer| {
        answer.groups[0].group_state.as_str() == "PreparingRebalance"
    });
    ask(talk, "while others join", of(&new, 1, Some("fixed")));
    talk.quiet(9, &join(&name, &new).with_group_instance_id(Some(text("fixed"))));
    talk.take::<JoinGroupRequest>(waits);
    ask(talk, "of the generation before", of(&new, 1, Some("fixed")));
    ask(talk, "of the new generation before the sync", of(&new, 2, Some("fixed")));
}

/// Two transactions and a plain commit to one partition; offsets that are deleted while one is open.
fn beside(talk: &mut Talk) {
    talk.begin("beside");
    let name = group("beside", 0);
    let (one, other) = (begin(talk, "beside-one"), begin(talk, "beside-other"));
    talk.ask("one", 5, &within(one, &name, 5));
    talk.ask("the other", 5, &within(other, &name, 6));
    talk.ask("of none", 6, &commit(&name, &[("kept", 0, 7)]));
    look(talk, "both are open", 0, &name);
    talk.quiet(5, &end(one, true));
    await_markers(talk, one.id);
    look(talk, "one is committed", 0, &name);
    talk.quiet(5, &end(other, false));
    await_markers(talk, other.id);
    look(talk, "the other is aborted", 0, &name);
    let one = Me { epoch: one.epoch + 1, ..one };
    talk.quiet(5, &within(one, &name, 8));
    talk.ask("deleted while it is open", 0, &delete_offsets(&name, &[("kept", 0)]));
    look(talk, "deleted", 0, &name);
    talk.quiet(5, &end(one, true));
    await_markers(talk, one.id);
    look(talk, "committed once deleted", 0, &name);
}
