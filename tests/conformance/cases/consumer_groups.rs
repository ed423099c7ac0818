//! Groups of KIP-848: members join, move to new epochs, are fenced, come back, commit and go.

use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
    DeleteGroupsRequest, DescribeGroupsRequest, GroupId, ListGroupsRequest, MetadataRequest,
    OffsetCommitRequest, OffsetFetchRequest,
};
use uuid::Uuid;

use super::groups::{await_coordinator, group, join, sync};
use super::{create_topic, text, topic, versions};
use crate::talk::Talk;

/// Starts a conversation that knows the topic by its id.
pub fn begin(talk: &mut Talk, conversation: &str) {
    talk.begin(conversation);
    let by_name = MetadataRequestTopic::default().with_name(Some(topic("shared")));
    talk.quiet(12, &MetadataRequest::default().with_topics(Some(vec![by_name])));
}

/// The newest version: what does not differ by version is asked in it.
const NEWEST: i16 = 1;

pub fn script(talk: &mut Talk) {
    await_coordinator(talk);
    let id = create_topic(talk, "shared", 4, &[]);
    for version in versions::<ConsumerGroupHeartbeatRequest>() {
        refusals(talk, version);
        alone(talk, version, id);
    }
    for version in versions::<ConsumerGroupDescribeRequest>() {
        describes(talk, version, id);
    }
    together(talk, id);
    statics(talk, id);
    offsets(talk);
    patterns(talk);
    kinds(talk);
}

/// A member as its client knows it.
#[derive(Clone)]
pub struct Member {
    pub group: GroupId,
    pub id: &'static str,
    pub epoch: i32,
    pub instance: Option<&'static str>,
}

impl Member {
    pub fn new(group: &GroupId, id: &'static str) -> Self {
        Self { group: group.clone(), id, epoch: 0, instance: None }
    }

    /// Nothing but that it is alive.
    pub fn beat(&self) -> ConsumerGroupHeartbeatRequest {
        ConsumerGroupHeartbeatRequest::default()
            .with_group_id(self.group.clone())
            .with_member_id(text(self.id))
            .with_member_epoch(self.epoch)
            .with_instance_id(self.instance.map(text))
            .with_rebalance_timeout_ms(-1)
    }

    pub fn at(&self, epoch: i32) -> ConsumerGroupHeartbeatRequest {
        self.beat().with_member_epoch(epoch)
    }

    /// All that a client says when it joins.
    pub fn join(&self) -> ConsumerGroupHeartbeatRequest {
        self.at(0)
            .with_rebalance_timeout_ms(60_000)
            .with_subscribed_topic_names(Some(vec![topic("shared")]))
            .with_topic_partitions(Some(Vec::new()))
    }

    pub fn hear(&mut self, answer: Option<ConsumerGroupHeartbeatResponse>) {
        let answer = answer.expect("ConsumerGroupHeartbeat is answered");
        if answer.error_code == 0 {
            self.epoch = answer.member_epoch;
        }
    }
}

pub fn owning(id: Uuid, partitions: &[i32]) -> Option<Vec<TopicPartitions>> {
    let owned = TopicPartitions::default().with_topic_id(id).with_partitions(partitions.to_vec());
    Some(vec![owned])
}

fn refusals(talk: &mut Talk, version: i16) {
    begin(talk, "refusals");
    let name = group("refusals", version);
    let me = Member::new(&name, "me");
    let mut ask = |step: &str, request: ConsumerGroupHeartbeatRequest| {
        talk.ask(step, version, &request);
    };
    ask("no group id", me.join().with_group_id(GroupId(text(""))));
    ask("a blank group id", me.join().with_group_id(GroupId(text(" "))));
    ask("an empty instance id", me.join().with_instance_id(Some(text(""))));
    ask("an empty rack", me.join().with_rack_id(Some(text(""))));
    ask("no rebalance timeout", me.join().with_rebalance_timeout_ms(-1));
    ask("owning when joining", me.join().with_topic_partitions(owning(Uuid::from_u128(7), &[0])));
    ask("not saying what is owned when joining", me.join().with_topic_partitions(None));
    ask("subscribing to nothing", me.join().with_subscribed_topic_names(None));
    ask("no member id at epoch 1", me.at(1).with_member_id(text("")));
    ask("no member id when leaving", me.at(-1).with_member_id(text("")));
    ask("no member id when leaving for now", me.at(-2).with_member_id(text("")));
    ask("leaving for now without an instance", me.at(-2));
    ask("epoch -3", me.at(-3));
    ask("an assignor that is none", me.join().with_server_assignor(Some(text("sticky"))));
    ask("a group that is not there", me.at(5));
    ask("leaving a group that is not there", me.at(-1));
    if version >= 1 {
        ask("no member id when joining", me.join().with_member_id(text("")));
        let pattern = |regex: &str| me.join().with_subscribed_topic_regex(Some(text(regex)));
        ask("a pattern that is none", pattern("[a"));
        ask("a pattern that looks back", pattern("(a)\\1"));
        ask("a pattern that looks ahead", pattern("(?=a)b"));
    }
}

/// One member alone, and what it may say wrong.
fn alone(talk: &mut Talk, version: i16, id: Uuid) {
    begin(talk, "alone");
    let name = group("alone", version);
    let mut me = Member::new(&name, "me");
    if version == 0 {
        let made_up = Member::new(&group("made-up", version), "");
        talk.ask("joins without an id", version, &made_up.join());
    }
    let joined = talk.ask("joins", version, &me.join());
    me.hear(joined);
    talk.ask("is alive", version, &me.beat());
    let whole = Member { epoch: me.epoch, ..me.clone() }.join().with_member_epoch(me.epoch);
    let all = whole.with_topic_partitions(owning(id, &[0, 1, 2, 3]));
    talk.ask("says all", version, &all);
    talk.ask("owns less", version, &me.beat().with_topic_partitions(owning(id, &[0])));
    talk.ask("knows a later epoch", version, &me.at(me.epoch + 1));
    talk.ask("knows an earlier epoch", version, &me.at(me.epoch - 1));
    let earlier = me.at(me.epoch - 1).with_topic_partitions(owning(id, &[0, 1]));
    talk.ask("knows an earlier epoch and owns what is its own", version, &earlier);
    talk.ask("another is alive", version, &Member { id: "other", ..me.clone() }.beat());
    talk.ask("an instance is alive", version, &me.beat().with_instance_id(Some(text("who"))));
    talk.ask("joins again", version, &me.join());
    let ranged = me.beat().with_server_assignor(Some(text("range")));
    talk.ask("wants another assignor", version, &ranged);
    let other = me.beat().with_subscribed_topic_names(Some(vec![topic("absent")]));
    let other = talk.ask("wants another topic", version, &other);
    me.hear(other);
    let gave = me.beat().with_topic_partitions(Some(Vec::new()));
    talk.ask("has given back", version, &gave);
    talk.ask("leaves", version, &me.at(-1));
    talk.ask("leaves again", version, &me.at(-1));
    talk.ask("is alive after that", version, &me.beat());
}

pub fn describe(name: &GroupId) -> ConsumerGroupDescribeRequest {
    ConsumerGroupDescribeRequest::default().with_group_ids(vec![name.clone()])
}

fn describes(talk: &mut Talk, version: i16, id: Uuid) {
    begin(talk, "describe");
    let name = group("describe", version);
    talk.ask("a group that is not there", version, &describe(&name));
    talk.ask("no group id", version, &describe(&GroupId(text(""))));
    talk.ask("nothing", version, &ConsumerGroupDescribeRequest::default());
    let mut me = Member::new(&name, "me");
    me.instance = Some("instance");
    let joined = me.join().with_rack_id(Some(text("here")));
    let joined = talk.quiet(NEWEST, &joined.with_server_assignor(Some(text("range"))));
    me.hear(joined);
    talk.ask("a member", version, &describe(&name));
    let operations = describe(&name).with_include_authorized_operations(true);
    talk.ask("operations", version, &operations);
    let mut other = Member::new(&name, "other");
    let joined = talk.quiet(NEWEST, &other.join());
    other.hear(joined);
    talk.ask("two members, one of which has to give back", version, &describe(&name));
    me.hear(talk_on(talk, &me, id, &[0, 1, 2, 3]));
    talk.ask("it was told", version, &describe(&name));
    me.hear(talk_on(talk, &me, id, &[0, 1]));
    let beat = talk.quiet(NEWEST, &other.beat());
    other.hear(beat);
    talk.ask("both have theirs", version, &describe(&name));
    talk.quiet(NEWEST, &me.at(-2));
    talk.ask("one is away", version, &describe(&name));
    talk.quiet(NEWEST, &me.at(-1));
    talk.quiet(NEWEST, &other.at(-1));
    talk.ask("nobody", version, &describe(&name));
    let classic = group("describe-classic", version);
    talk.quiet(3, &join(&classic, ""));
    talk.ask("a classic group", version, &describe(&classic));
    let mut both = describe(&name);
    both.group_ids.push(classic);
    talk.ask("two groups", version, &both);
}

fn talk_on(
    talk: &mut Talk,
    member: &Member,
    id: Uuid,
    owned: &[i32],
) -> Option<ConsumerGroupHeartbeatResponse> {
    talk.quiet(NEWEST, &member.beat().with_topic_partitions(owning(id, owned)))
}

/// A second member comes, and goes.
fn together(talk: &mut Talk, id: Uuid) {
    begin(talk, "together");
    let name = group("together", 0);
    let (mut a, mut b) = (Member::new(&name, "a"), Member::new(&name, "b"));
    let mut ask = |step: &str, member: &mut Member, request: ConsumerGroupHeartbeatRequest| {
        let answer = talk.ask(step, NEWEST, &request);
        member.hear(answer);
    };
    let request = a.join();
    ask("a joins", &mut a, request);
    let request = b.join();
    ask("b joins", &mut b, request);
    let request = b.beat();
    ask("b waits", &mut b, request);
    let request = a.beat();
    ask("a is to give back", &mut a, request);
    let request = a.beat().with_topic_partitions(owning(id, &[0, 1, 2, 3]));
    ask("a still owns all", &mut a, request);
    let request = a.beat().with_topic_partitions(owning(id, &[0, 1]));
    ask("a has given back", &mut a, request);
    let request = b.beat();
    ask("b receives", &mut b, request);
    let request = a.beat();
    ask("a keeps its own", &mut a, request);
    let request = b.at(-1);
    ask("b leaves", &mut b, request);
    let request = a.beat();
    ask("a receives what b had", &mut a, request);
}

fn statics(talk: &mut Talk, id: Uuid) {
    begin(talk, "statics");
    let name = group("statics", 0);
    let with = |id: &'static str, instance: &'static str| Member {
        instance: Some(instance),
        ..Member::new(&name, id)
    };
    let mut first = with("first", "i");
    let joined = talk.ask("joins", NEWEST, &first.join());
    first.hear(joined);
    talk.ask("joins again", NEWEST, &first.join());
    let second = with("second", "i");
    talk.ask("another takes its instance id", NEWEST, &second.join());
    talk.ask("an instance that is none", NEWEST, &with("first", "j").at(first.epoch));
    talk.ask("another's instance", NEWEST, &second.at(first.epoch));
    talk.ask("without its instance", NEWEST, &Member { instance: None, ..first.clone() }.beat());
    talk.ask("another leaves for it", NEWEST, &second.at(-2));
    talk.ask("leaves for now", NEWEST, &first.at(-2));
    talk.ask("is alive while away", NEWEST, &first.beat());
    let mut second = second;
    let joined = talk.ask("comes back as another", NEWEST, &second.join());
    second.hear(joined);
    talk.ask("the old one is alive", NEWEST, &first.beat());
    talk.ask("the old one leaves", NEWEST, &first.at(-1));
    let owned = second.beat().with_topic_partitions(owning(id, &[0, 1, 2, 3]));
    talk.ask("has what it had", NEWEST, &owned);
    talk.ask("leaves", NEWEST, &second.at(-1));
    talk.ask("leaves for now after that", NEWEST, &second.at(-2));
}

pub fn commit(member: &Member, epoch: i32) -> OffsetCommitRequest {
    let part = OffsetCommitRequestPartition::default()
        .with_partition_index(0)
        .with_committed_offset(5)
        .with_committed_leader_epoch(-1)
        .with_committed_metadata(Some(text("note")));
    let topics = OffsetCommitRequestTopic::default().with_name(topic("shared"));
    OffsetCommitRequest::default()
        .with_group_id(member.group.clone())
        .with_generation_id_or_member_epoch(epoch)
        .with_member_id(text(member.id))
        .with_group_instance_id(None)
        .with_retention_time_ms(-1)
        .with_topics(vec![topics.with_partitions(vec![part])])
}

pub fn fetch(member: &Member, id: Option<&str>, epoch: i32) -> OffsetFetchRequest {
    let topics = OffsetFetchRequestTopics::default().with_name(topic("shared"));
    let one = OffsetFetchRequestGroup::default()
        .with_group_id(member.group.clone())
        .with_member_id(id.map(text))
        .with_member_epoch(epoch)
        .with_topics(Some(vec![topics.with_partition_indexes(vec![0])]));
    OffsetFetchRequest::default().with_groups(vec![one])
}

/// Who may commit and fetch.
fn offsets(talk: &mut Talk) {
    begin(talk, "offsets");
    let name = group("offsets", 0);
    let mut me = Member::new(&name, "me");
    let joined = talk.quiet(NEWEST, &me.join());
    me.hear(joined);
    talk.ask("commit", 9, &commit(&me, me.epoch));
    talk.ask("commit of a later epoch", 9, &commit(&me, me.epoch + 1));
    talk.ask("commit of an earlier epoch", 9, &commit(&me, me.epoch - 1));
    talk.ask("commit of another", 9, &commit(&Member::new(&name, "other"), me.epoch));
    talk.ask("commit of nobody", 9, &commit(&Member::new(&name, ""), -1));
    talk.ask("commit without an epoch", 9, &commit(&me, -1));
    for version in [2, 5, 8] {
        talk.ask("commit of an old version", version, &commit(&me, me.epoch));
        talk.ask(
            "commit of an old version by nobody",
            version,
            &commit(&Member::new(&name, ""), -1),
        );
    }
    talk.ask("fetch", 9, &fetch(&me, Some("me"), me.epoch));
    talk.ask("fetch by nobody", 9, &fetch(&me, None, -1));
    talk.ask("fetch of an epoch of nobody", 9, &fetch(&me, None, me.epoch));
    talk.ask("fetch of a later epoch", 9, &fetch(&me, Some("me"), me.epoch + 1));
    talk.ask("fetch of an earlier epoch", 9, &fetch(&me, Some("me"), me.epoch - 1));
    talk.ask("fetch of another", 9, &fetch(&me, Some("other"), me.epoch));
    talk.quiet(NEWEST, &me.at(-1));
    talk.ask("commit to the empty group", 9, &commit(&Member::new(&name, ""), -1));
    talk.ask("commit of who has left", 9, &commit(&me, me.epoch));
    talk.ask("what is left", 9, &fetch(&me, None, -1));
}

/// Patterns are matched beside the heartbeats, so the script waits until that is done.
fn patterns(talk: &mut Talk) {
    begin(talk, "patterns");
    let name = group("patterns", 0);
    let mut me = Member::new(&name, "me");
    let subscribe = me.join().with_subscribed_topic_names(None);
    let joined = talk.quiet(NEWEST, &subscribe.with_subscribed_topic_regex(Some(text("sha.*d"))));
    me.hear(joined);
    let told = talk.until(NEWEST, &me.beat(), |answer| answer.assignment.is_some());
    me.hear(Some(told));
    talk.ask("matched", NEWEST, &describe(&name));
    let empty = me.beat().with_subscribed_topic_regex(Some(text("")));
    talk.ask("no pattern any more", NEWEST, &empty);
    talk.ask("after that", NEWEST, &describe(&name));
}

/// What other APIs say of such a group, and it of groups of the other kind.
fn kinds(talk: &mut Talk) {
    begin(talk, "kinds");
    let name = group("kinds", 0);
    let mut me = Member::new(&name, "me");
    let joined = talk.quiet(NEWEST, &me.join());
    me.hear(joined);
    let groups = DescribeGroupsRequest::default().with_groups(vec![name.clone()]);
    for version in versions::<DescribeGroupsRequest>() {
        talk.ask("described as a classic group", version, &groups);
    }
    let list = |kind: &str, state: &str| {
        ListGroupsRequest::default()
            .with_types_filter(vec![text(kind)])
            .with_states_filter(vec![text(state)])
    };
    talk.ask("empty groups of consumers", 5, &list("Consumer", "empty"));
    let delete = DeleteGroupsRequest::default().with_groups_names(vec![name.clone()]);
    talk.ask("deleted with a member", 2, &delete);
    talk.ask("joined by another protocol", 9, &join(&name, "").with_protocol_type(text("connect")));
    talk.ask("synced by a member", 5, &sync(&name, 5, me.epoch, "me"));
    talk.quiet(NEWEST, &me.at(-1));
    talk.ask("deleted", 2, &delete);
    talk.ask("described once deleted", NEWEST, &describe(&name));
    let classic = group("kinds-classic", 0);
    let connect = join(&classic, "").with_protocol_type(text("connect"));
    let joined = talk.quiet(3, &connect).expect("JoinGroup is answered");
    talk.ask("a classic group of another type", NEWEST, &Member::new(&classic, "me").join());
    talk.ask("alive in a classic group", NEWEST, &Member::new(&classic, "me").at(3));
    talk.ask("leaves a classic group", NEWEST, &Member::new(&classic, "me").at(-1));
    drop(joined);
}
