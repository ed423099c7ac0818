//! Share groups (KIP-932) at their coordinator: members join, get what they read, are fenced and leave; and where a group
//! begins to read is told, set and forgotten.

use kafka_protocol::messages::alter_share_group_offsets_request::{
    AlterShareGroupOffsetsRequestPartition, AlterShareGroupOffsetsRequestTopic,
};
use kafka_protocol::messages::delete_share_group_offsets_request::DeleteShareGroupOffsetsRequestTopic;
use kafka_protocol::messages::describe_share_group_offsets_request::{
    DescribeShareGroupOffsetsRequestGroup, DescribeShareGroupOffsetsRequestTopic,
};
use kafka_protocol::messages::{
    AlterShareGroupOffsetsRequest, DeleteGroupsRequest, DeleteShareGroupOffsetsRequest,
    DescribeShareGroupOffsetsRequest, GroupId, ListGroupsRequest, ShareGroupDescribeRequest,
    ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse,
};

use super::consumer_groups::{self as modern, begin};
use super::groups::{await_coordinator, group, join};
use super::{create_topic, text, topic};
use crate::talk::Talk;

/// The only versions that there are.
const BEAT: i16 = 1;
const DESCRIBE: i16 = 1;
const OFFSETS: i16 = 0;

/// A topic and how many partitions it has.
type Reads = (&'static str, i32);

const SHARED: Reads = ("shared", 2);
/// Who has which of two partitions is by chance in Kafka; one is read by both members.
const SINGLE: Reads = ("single", 1);

pub fn script(talk: &mut Talk) {
    await_coordinator(talk);
    for (name, partitions) in [SHARED, SINGLE] {
        create_topic(talk, name, partitions, &[]);
    }
    refusals(talk);
    members(talk);
    offsets(talk);
    kinds(talk);
}

/// A member as its client knows it.
struct Member {
    group: GroupId,
    id: &'static str,
    reads: Reads,
    epoch: i32,
}

impl Member {
    fn new(group: &GroupId, id: &'static str) -> Self {
        Self { group: group.clone(), id, reads: SHARED, epoch: 0 }
    }

    fn reading(self, reads: Reads) -> Self {
        Self { reads, ..self }
    }

    fn at(&self, epoch: i32) -> ShareGroupHeartbeatRequest {
        ShareGroupHeartbeatRequest::default()
            .with_group_id(self.group.clone())
            .with_member_id(text(self.id))
            .with_member_epoch(epoch)
            .with_rack_id(None)
            .with_subscribed_topic_names(None)
    }

    fn beat(&self) -> ShareGroupHeartbeatRequest {
        self.at(self.epoch)
    }

    fn join(&self) -> ShareGroupHeartbeatRequest {
        self.at(0).with_subscribed_topic_names(Some(vec![topic(self.reads.0)]))
    }

    fn hear(&mut self, answer: Option<ShareGroupHeartbeatResponse>) {
        let answer = answer.expect("ShareGroupHeartbeat is answered");
        if answer.error_code == 0 {
            self.epoch = answer.member_epoch;
        }
    }

    /// Joins aside, until it may read all partitions: their state is made beside the heartbeats.
    fn settle(&mut self, talk: &mut Talk) {
        let all = usize::try_from(self.reads.1).expect("few");
        let told = talk.until(BEAT, &self.join(), |answer| {
            let assigned = answer.assignment.as_ref();
            let assigned = assigned.map_or(&[][..], |assigned| &assigned.topic_partitions);
            assigned.iter().map(|of| of.partitions.len()).sum::<usize>() == all
        });
        self.hear(Some(told));
    }
}

fn describe(name: &GroupId) -> ShareGroupDescribeRequest {
    ShareGroupDescribeRequest::default().with_group_ids(vec![name.clone()])
}

fn refusals(talk: &mut Talk) {
    begin(talk, "refusals");
    let name = group("refusals", 0);
    let me = Member::new(&name, "me");
    let mut ask = |step: &str, request: ShareGroupHeartbeatRequest| {
        talk.ask(step, BEAT, &request);
    };
    ask("no group id", me.join().with_group_id(GroupId(text(""))));
    ask("a blank group id", me.join().with_group_id(GroupId(text(" "))));
    ask("no member id", me.join().with_member_id(text("")));
    ask("a blank member id", me.join().with_member_id(text(" ")));
    ask("a member id of 36 characters", Member::new(&name, LONG).at(3));
    ask("a member id of 37 characters", me.join().with_member_id(text(&format!("{LONG}x"))));
    ask("an empty rack", me.join().with_rack_id(Some(text(""))));
    ask("subscribing to nothing said", me.at(0));
    ask("subscribing to no topic", me.at(0).with_subscribed_topic_names(Some(Vec::new())));
    ask("epoch -2", me.at(-2));
    ask("a group that is not there", me.at(5));
    ask("leaving a group that is not there", me.at(-1));
    talk.ask("described, not there", DESCRIBE, &describe(&name));
    talk.ask("described without a name", DESCRIBE, &describe(&GroupId(text(""))));
    talk.ask("offsets of no name", OFFSETS, &told(&GroupId(text("")), None));
}

/// As long as a member's id may be.
const LONG: &str = "012345678901234567890123456789012345";

fn members(talk: &mut Talk) {
    begin(talk, "members");
    let name = group("members", 0);
    let mut a = Member::new(&name, "a").reading(SINGLE);
    a.settle(talk);
    talk.ask("alone", DESCRIBE, &describe(&name));
    talk.ask("alive", BEAT, &a.beat());
    let all = a.beat().with_subscribed_topic_names(Some(vec![topic(SINGLE.0)]));
    talk.ask("says all", BEAT, &all);
    talk.ask("of a later epoch", BEAT, &a.at(a.epoch + 1));
    talk.ask("of the epoch before", BEAT, &a.at(a.epoch - 1));
    talk.ask("of an epoch long over", BEAT, &a.at(1));
    talk.ask("somebody else", BEAT, &Member::new(&name, "x").at(a.epoch));
    let mut b = Member::new(&name, "b").reading(SINGLE);
    let joined = talk.ask("another joins", BEAT, &b.join());
    b.hear(joined);
    let hears = talk.ask("the first hears of it", BEAT, &a.beat());
    a.hear(hears);
    talk.ask("together", DESCRIBE, &describe(&name));
    let other = b.beat().with_subscribed_topic_names(Some(vec![topic("not-there")]));
    let changed = talk.ask("subscribes to what is not there", BEAT, &other);
    b.hear(changed);
    let with = describe(&name).with_include_authorized_operations(true);
    talk.ask("each on its own", DESCRIBE, &with);
    let again = talk.ask("joins again", BEAT, &b.join());
    b.hear(again);
    talk.ask("leaves", BEAT, &b.at(-1));
    talk.ask("leaves again", BEAT, &b.at(-1));
    talk.ask("alive after that", BEAT, &b.beat());
    talk.ask("one is left", DESCRIBE, &describe(&name));
    talk.ask("the last leaves", BEAT, &a.at(-1));
    talk.ask("nobody is left", DESCRIBE, &describe(&name));
}

/// DescribeShareGroupOffsets; none: of all topics.
fn told(name: &GroupId, of: Option<&[(&str, &[i32])]>) -> DescribeShareGroupOffsetsRequest {
    let topics = of.map(|of| {
        let topics = of.iter().map(|(name, partitions)| {
            DescribeShareGroupOffsetsRequestTopic::default()
                .with_topic_name(topic(name))
                .with_partitions(partitions.to_vec())
        });
        topics.collect()
    });
    let group = DescribeShareGroupOffsetsRequestGroup::default()
        .with_group_id(name.clone())
        .with_topics(topics);
    DescribeShareGroupOffsetsRequest::default().with_groups(vec![group])
}

fn set(name: &GroupId, of: &str, offsets: &[(i32, i64)]) -> AlterShareGroupOffsetsRequest {
    let partitions = offsets.iter().map(|(partition, offset)| {
        AlterShareGroupOffsetsRequestPartition::default()
            .with_partition_index(*partition)
            .with_start_offset(*offset)
    });
    let one = AlterShareGroupOffsetsRequestTopic::default()
        .with_topic_name(topic(of))
        .with_partitions(partitions.collect());
    AlterShareGroupOffsetsRequest::default().with_group_id(name.clone()).with_topics(vec![one])
}

fn forget(name: &GroupId, of: &str) -> DeleteShareGroupOffsetsRequest {
    let one = DeleteShareGroupOffsetsRequestTopic::default().with_topic_name(topic(of));
    DeleteShareGroupOffsetsRequest::default().with_group_id(name.clone()).with_topics(vec![one])
}

fn offsets(talk: &mut Talk) {
    begin(talk, "offsets");
    let name = group("offsets", 0);
    talk.ask("of no group", OFFSETS, &told(&name, None));
    talk.ask("of no group, one topic", OFFSETS, &told(&name, Some(&[("shared", &[0])])));
    talk.ask("set, of no group", OFFSETS, &set(&name, "shared", &[(0, 5)]));
    talk.ask("forgotten, of no group", OFFSETS, &forget(&name, "shared"));
    let mut me = Member::new(&name, "me");
    me.settle(talk);
    talk.ask("of all", OFFSETS, &told(&name, None));
    talk.ask("of one", OFFSETS, &told(&name, Some(&[("shared", &[1])])));
    talk.ask("of a partition that is not there", OFFSETS, &told(&name, Some(&[("shared", &[7])])));
    talk.ask("of a topic that is not there", OFFSETS, &told(&name, Some(&[("none", &[0])])));
    talk.ask("set while it has members", OFFSETS, &set(&name, "shared", &[(0, 5)]));
    talk.ask("forgotten while it has members", OFFSETS, &forget(&name, "shared"));
    let delete = DeleteGroupsRequest::default().with_groups_names(vec![name.clone()]);
    talk.ask("deleted while it has members", 2, &delete);
    talk.ask("the last leaves", BEAT, &me.at(-1));
    talk.ask("set", OFFSETS, &set(&name, "shared", &[(0, 5), (1, 7)]));
    talk.ask("after that", OFFSETS, &told(&name, None));
    talk.ask("set, a partition not there", OFFSETS, &set(&name, "shared", &[(7, 5)]));
    talk.ask("set, a topic not there", OFFSETS, &set(&name, "none", &[(0, 5)]));
    talk.ask("forgotten, a topic not there", OFFSETS, &forget(&name, "none"));
    talk.ask("forgotten", OFFSETS, &forget(&name, "shared"));
    talk.ask("nothing is left", OFFSETS, &told(&name, None));
    talk.ask("forgotten again", OFFSETS, &forget(&name, "shared"));
    talk.ask("deleted", 2, &delete);
    talk.ask("described, deleted", DESCRIBE, &describe(&name));
}

/// What other APIs say of such a group, and it of groups of the other kinds.
fn kinds(talk: &mut Talk) {
    begin(talk, "kinds");
    let name = group("kinds", 0);
    let mut me = Member::new(&name, "me");
    me.settle(talk);
    let share = ListGroupsRequest::default().with_types_filter(vec![text("share")]);
    let listed = talk.quiet(5, &share).expect("ListGroups is answered");
    let ours = listed.groups.iter().filter(|group| group.group_id == name).map(|group| {
        format!("{} {} {}", &*group.group_state, &*group.group_type, &*group.protocol_type)
    });
    talk.record("listed", 5, serde_json::json!(ours.collect::<Vec<_>>()));
    talk.ask("a consumer joins", 1, &modern::Member::new(&name, "c").join());
    talk.ask("a classic member joins", 9, &join(&name, ""));
    talk.ask("described as consumers", 1, &modern::describe(&name));
    let consumers = group("consumers", 0);
    talk.quiet(1, &modern::Member::new(&consumers, "c").join());
    talk.ask("joins consumers", BEAT, &Member::new(&consumers, "me").join());
    talk.ask("consumers described", DESCRIBE, &describe(&consumers));
    talk.ask("offsets of consumers", OFFSETS, &told(&consumers, None));
    talk.ask("set, of consumers", OFFSETS, &set(&consumers, "shared", &[(0, 5)]));
    talk.ask("forgotten, of consumers", OFFSETS, &forget(&consumers, "shared"));
}
