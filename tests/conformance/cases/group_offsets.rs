//! Committed offsets, and the APIs that list, describe and delete groups.

use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, GroupId, ListGroupsRequest, OffsetCommitRequest,
    OffsetDeleteRequest, OffsetFetchRequest,
};

use super::groups::{await_coordinator, group, join, sync};
use super::{create_topic, text, topic, versions};
use crate::talk::Talk;

pub fn script(talk: &mut Talk) {
    await_coordinator(talk);
    create_topic(talk, "kept", 3, &[]);
    for version in versions::<OffsetCommitRequest>() {
        commits(talk, version);
        members(talk, version);
    }
    for version in versions::<OffsetFetchRequest>() {
        fetches(talk, version);
    }
    deletes(talk);
    for version in versions::<DescribeGroupsRequest>() {
        describes(talk, version);
    }
    lists(talk);
}

pub fn commit(group: &GroupId, offsets: &[(&str, i32, i64)]) -> OffsetCommitRequest {
    let topics = offsets.iter().map(|(name, partition, offset)| {
        let part = OffsetCommitRequestPartition::default()
            .with_partition_index(*partition)
            .with_committed_offset(*offset)
            .with_committed_leader_epoch(-1)
            .with_committed_metadata(Some(text("note")));
        OffsetCommitRequestTopic::default().with_name(topic(name)).with_partitions(vec![part])
    });
    OffsetCommitRequest::default()
        .with_group_id(group.clone())
        .with_generation_id_or_member_epoch(-1)
        .with_group_instance_id(None)
        .with_retention_time_ms(-1)
        .with_topics(topics.collect())
}

fn commits(talk: &mut Talk, version: i16) {
    talk.begin("commit");
    let name = group("commit", version);
    let of = |offsets: &[(&str, i32, i64)]| commit(&name, offsets);
    talk.ask("by nobody", version, &of(&[("kept", 0, 5), ("kept", 1, 6)]));
    talk.ask("nothing", version, &of(&[]));
    talk.ask("a topic that is not there", version, &of(&[("gone", 0, 5)]));
    talk.ask("one topic of two", version, &of(&[("gone", 0, 5), ("kept", 0, 7)]));
    talk.ask("a partition that is not there", version, &of(&[("kept", 9, 5)]));
    talk.ask("a negative offset", version, &of(&[("kept", 2, -5)]));
    let mut long = of(&[("kept", 0, 8)]);
    long.topics[0].partitions[0].committed_metadata = Some(text(&"x".repeat(4097)));
    talk.ask("too much metadata", version, &long);
    let mut none = of(&[("kept", 0, 9)]);
    none.topics[0].partitions[0].committed_metadata = None;
    talk.ask("no metadata", version, &none);
    let by = |member: &str, generation: i32| {
        of(&[("kept", 0, 10)])
            .with_member_id(text(member))
            .with_generation_id_or_member_epoch(generation)
    };
    talk.ask("a generation", version, &by("", 1));
    talk.ask("a member", version, &by("somebody", 1));
    talk.ask("a member without a generation", version, &by("somebody", -1));
    let nowhere = group("commit-nowhere", version);
    let first = commit(&nowhere, &[("kept", 0, 1)]).with_generation_id_or_member_epoch(1);
    talk.ask("a generation of a group that is not there", version, &first);
    let unnamed = GroupId(text(""));
    talk.ask("no group id", version, &commit(&unnamed, &[("kept", 0, 1)]));
}

/// What a group with members takes.
fn members(talk: &mut Talk, version: i16) {
    talk.begin("members");
    let name = group("members", version);
    let joined = talk.quiet(3, &join(&name, "")).expect("JoinGroup is answered");
    let me = joined.member_id.as_str();
    let by = |member: &str, generation: i32| {
        commit(&name, &[("kept", 0, 10)])
            .with_member_id(text(member))
            .with_generation_id_or_member_epoch(generation)
    };
    talk.ask("before the sync", version, &by(me, 1));
    talk.quiet(3, &sync(&name, 3, 1, me));
    talk.ask("by a member", version, &by(me, 1));
    talk.ask("of a wrong generation", version, &by(me, 2));
    talk.ask("as another", version, &by("other", 1));
    talk.ask("by nobody", version, &by("", -1));
}

pub fn fetch(
    version: i16,
    group: &GroupId,
    topics: Option<&[(&str, &[i32])]>,
) -> OffsetFetchRequest {
    if version < 8 {
        let topics = topics.map(|topics| {
            let topics = topics.iter().map(|(name, partitions)| {
                OffsetFetchRequestTopic::default()
                    .with_name(topic(name))
                    .with_partition_indexes(partitions.to_vec())
            });
            topics.collect()
        });
        return OffsetFetchRequest::default().with_group_id(group.clone()).with_topics(topics);
    }
    let topics = topics.map(|topics| {
        let topics = topics.iter().map(|(name, partitions)| {
            OffsetFetchRequestTopics::default()
                .with_name(topic(name))
                .with_partition_indexes(partitions.to_vec())
        });
        topics.collect()
    });
    let one = OffsetFetchRequestGroup::default()
        .with_group_id(group.clone())
        .with_member_id(None)
        .with_topics(topics);
    let one = if version >= 9 { one.with_member_epoch(-1) } else { one };
    OffsetFetchRequest::default().with_groups(vec![one])
}

fn fetches(talk: &mut Talk, version: i16) {
    talk.begin("fetch");
    let name = group("fetch", version);
    let mut request = commit(&name, &[("kept", 0, 5), ("kept", 2, 7)]);
    request.topics[1].partitions[0].committed_leader_epoch = 3;
    talk.quiet(6, &request);
    let mut ask = |step: &str, request: OffsetFetchRequest| {
        talk.ask(step, version, &request);
    };
    ask("committed", fetch(version, &name, Some(&[("kept", &[0, 2])])));
    ask("not committed", fetch(version, &name, Some(&[("kept", &[1, 9])])));
    ask("a topic that is not there", fetch(version, &name, Some(&[("gone", &[0])])));
    ask("nothing", fetch(version, &name, Some(&[])));
    let nowhere = group("fetch-nowhere", version);
    ask("a group that is not there", fetch(version, &nowhere, Some(&[("kept", &[0])])));
    ask("no group id", fetch(version, &GroupId(text("")), Some(&[("kept", &[0])])));
    if version >= 2 {
        ask("all", fetch(version, &name, None));
        ask("all of a group that is not there", fetch(version, &nowhere, None));
    }
    if version >= 7 {
        let stable = fetch(version, &name, Some(&[("kept", &[0, 1])]));
        ask("stable", stable.with_require_stable(true));
    }
    if version >= 8 {
        let mut both = fetch(version, &name, Some(&[("kept", &[0])]));
        both.groups.extend(fetch(version, &nowhere, None).groups);
        ask("two groups", both);
        ask("no groups", OffsetFetchRequest::default());
    }
}

pub fn delete_offsets(group: &GroupId, offsets: &[(&str, i32)]) -> OffsetDeleteRequest {
    let topics = offsets.iter().map(|(name, partition)| {
        let part = OffsetDeleteRequestPartition::default().with_partition_index(*partition);
        OffsetDeleteRequestTopic::default().with_name(topic(name)).with_partitions(vec![part])
    });
    OffsetDeleteRequest::default().with_group_id(group.clone()).with_topics(topics.collect())
}

fn deletes(talk: &mut Talk) {
    talk.begin("delete");
    let name = group("delete", 0);
    talk.quiet(6, &commit(&name, &[("kept", 0, 5), ("kept", 1, 6)]));
    talk.ask("one offset", 0, &delete_offsets(&name, &[("kept", 0)]));
    talk.ask("it again", 0, &delete_offsets(&name, &[("kept", 0)]));
    talk.ask("of a topic that is not there", 0, &delete_offsets(&name, &[("gone", 0)]));
    talk.ask(
        "of a group that is not there",
        0,
        &delete_offsets(&group("nowhere", 0), &[("kept", 0)]),
    );
    talk.ask("of no group id", 0, &delete_offsets(&GroupId(text("")), &[("kept", 0)]));
    talk.ask("what is left", 7, &fetch(7, &name, None));
    let connect = group("delete-connect", 0);
    let other = join(&connect, "").with_protocol_type(text("connect"));
    talk.quiet(3, &other);
    talk.ask("of a group of another type", 0, &delete_offsets(&connect, &[("kept", 0)]));
    let busy = group("delete-busy", 0);
    let joined = talk.quiet(3, &join(&busy, "")).expect("JoinGroup is answered");
    talk.quiet(3, &sync(&busy, 3, 1, &joined.member_id));
    create_topic(talk, "topic", 1, &[]);
    talk.ask("of a topic that is consumed", 0, &delete_offsets(&busy, &[("topic", 0)]));
    talk.ask("of a topic that is not consumed", 0, &delete_offsets(&busy, &[("kept", 0)]));
    for version in versions::<DeleteGroupsRequest>() {
        let name = group("delete", version);
        talk.quiet(6, &commit(&name, &[("kept", 0, 5)]));
        let groups = |names: &[&GroupId]| {
            let names = names.iter().map(|name| (*name).clone());
            DeleteGroupsRequest::default().with_groups_names(names.collect())
        };
        talk.ask("a group", version, &groups(&[&name]));
        talk.ask("the group again", version, &groups(&[&name]));
        talk.ask("a group with members", version, &groups(&[&busy]));
        talk.ask("no group id", version, &groups(&[&GroupId(text(""))]));
        talk.ask("no groups", version, &groups(&[]));
        talk.ask("what is left of it", version + 3, &fetch(version + 3, &name, None));
    }
}

fn describes(talk: &mut Talk, version: i16) {
    talk.begin("describe");
    let simple = group("describe", version);
    talk.quiet(6, &commit(&simple, &[("kept", 0, 5)]));
    let mut ask = |step: &str, groups: Vec<GroupId>, operations: bool| {
        let request = DescribeGroupsRequest::default().with_groups(groups);
        talk.ask(step, version, &request.with_include_authorized_operations(operations));
    };
    ask("a group that only commits", vec![simple.clone()], false);
    ask("a group that is not there", vec![group("nowhere", version)], false);
    ask("no group id", vec![GroupId(text(""))], false);
    ask("no groups", vec![], false);
    if version >= 3 {
        ask("its operations", vec![simple], true);
        ask("operations of nothing", vec![group("nowhere", version)], true);
    }
}

/// Lists come last: they show every group of the script, so a filter picks a few where there are filters.
fn lists(talk: &mut Talk) {
    for version in versions::<ListGroupsRequest>() {
        talk.begin("list");
        if version < 4 {
            talk.ask("all groups", version, &ListGroupsRequest::default());
            continue;
        }
        let of = |states: &[&str], types: &[&str]| {
            let texts = |names: &[&str]| names.iter().map(|name| text(name)).collect();
            ListGroupsRequest::default()
                .with_states_filter(texts(states))
                .with_types_filter(texts(types))
        };
        talk.ask("stable groups", version, &of(&["stable"], &[]));
        talk.ask("dead groups", version, &of(&["Dead"], &[]));
        talk.ask("a state that is none", version, &of(&["nonsense"], &[]));
        talk.ask("groups that complete", version, &of(&["CompletingRebalance"], &[]));
        if version >= 5 {
            talk.ask("classic stable groups", version, &of(&["Stable"], &["CLASSIC"]));
            talk.ask("consumer groups", version, &of(&[], &["consumer"]));
            talk.ask("a type that is none", version, &of(&[], &["nonsense"]));
        }
    }
}
