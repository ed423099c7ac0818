//! ShareFetch and ShareAcknowledge (KIP-932): sessions, who is given which records how often, and what becomes of what is said
//! of them.

use kafka_protocol::messages::share_acknowledge_request::{
    AcknowledgePartition, AcknowledgeTopic, AcknowledgementBatch,
};
use kafka_protocol::messages::share_fetch_request::{
    AcknowledgementBatch as Piggyback, FetchPartition, FetchTopic, ForgottenTopic,
};
use kafka_protocol::messages::{
    DeleteTopicsRequest, GroupId, ShareAcknowledgeRequest, ShareFetchRequest,
    ShareGroupHeartbeatRequest,
};
use uuid::Uuid;

use super::groups::{await_coordinator, group};
use super::{append, configs, consumer_groups, create_topic, foreign_id, offsets, text, topic};
use super::{transactions, versions};
use crate::batch::numbered;
use crate::talk::Talk;

/// The heartbeats beside it have one version only.
const BEAT: i16 = 1;
/// How long a fetch waits for what there is, or is to be.
const PATIENTLY_MS: i32 = 5_000;
/// How long one waits for what is not to be.
const SHORTLY_MS: i32 = 20;

const GAP: i8 = 0;
const ACCEPT: i8 = 1;
const RELEASE: i8 = 2;
const REJECT: i8 = 3;

pub fn script(talk: &mut Talk) {
    await_coordinator(talk);
    transactions::make_the_inner_topic(talk);
    for version in versions::<ShareFetchRequest>() {
        assert!(versions::<ShareAcknowledgeRequest>().contains(&version), "they go together");
        refusals(talk, version);
        sessions(talk, version);
        partitions(talk, version);
        acknowledgements(talk, version);
        piggybacks(talk, version);
        unsound(talk, version);
        bounds(talk, version);
        deliveries(talk, version);
        together(talk, version);
        locks(talk, version);
        ends(talk, version);
        beginnings(talk, version);
        deleted(talk, version);
        isolation(talk, version);
        kinds(talk, version);
    }
}

/// A member as its client knows it, on a connection of its own.
struct Member {
    version: i16,
    group: GroupId,
    id: &'static str,
    topic: Uuid,
    /// Of its next request.
    epoch: i32,
}

/// What groups begin with that are to read from the start.
const EARLIEST: (&str, &str) = ("share.auto.offset.reset", "earliest");

/// A conversation: its topic, of two partitions, and a group that has read nothing.
struct Scene {
    version: i16,
    name: String,
    group: GroupId,
    topic: Uuid,
}

impl Scene {
    fn new(talk: &mut Talk, what: &str, version: i16, settings: &[(&str, &str)]) -> Self {
        talk.begin(what);
        let (name, group) = (format!("{what}-{version}"), group(what, version));
        let topic = create_topic(talk, &name, 2, &[]);
        let set = configs::set_of_group(group.as_str(), settings.iter().copied());
        let answer = talk.quiet(1, &set).expect("IncrementalAlterConfigs is answered");
        assert_eq!(answer.responses[0].error_code, 0, "{answer:?}");
        talk.settle();
        Self { version, name, group, topic }
    }

    /// Somebody who has not joined.
    fn stranger(&self, id: &'static str) -> Member {
        let (version, group, topic) = (self.version, self.group.clone(), self.topic);
        Member { version, group, id, topic, epoch: 0 }
    }

    /// The first joins aside, and waits until both partitions may be read: their state is made beside the heartbeats.
    fn member(&self, talk: &mut Talk, id: &'static str) -> Member {
        self.join(talk, id, 2)
    }

    /// Another one, who shares them: what each is assigned binds nobody.
    fn another(&self, talk: &mut Talk, id: &'static str) -> Member {
        self.join(talk, id, 1)
    }

    fn join(&self, talk: &mut Talk, id: &'static str, partitions: usize) -> Member {
        let join = ShareGroupHeartbeatRequest::default()
            .with_group_id(self.group.clone())
            .with_member_id(text(id))
            .with_rack_id(None)
            .with_subscribed_topic_names(Some(vec![topic(&self.name)]));
        talk.as_speaker(id).until(BEAT, &join, |answer| {
            let assigned = answer.assignment.as_ref();
            assigned.is_some_and(|assigned| {
                let each = assigned.topic_partitions.iter().map(|of| of.partitions.len());
                each.sum::<usize>() == partitions
            })
        });
        self.stranger(id)
    }

    fn append(&self, talk: &mut Talk, partition: i32, (first, count): (i32, i32)) {
        let batch = numbered(talk.base_ms(), first, count);
        append(talk, &self.name, partition, &batch);
    }
}

/// What is said of a range of records.
type Said<'a> = (i64, i64, &'a [i8]);

impl Member {
    /// Reads nothing more than what the session has.
    fn goes_on(&self) -> ShareFetchRequest {
        ShareFetchRequest::default()
            .with_group_id(Some(self.group.clone()))
            .with_member_id(Some(text(self.id)))
            .with_share_session_epoch(self.epoch)
            .with_max_wait_ms(PATIENTLY_MS)
            .with_min_bytes(1)
            .with_max_bytes(1_048_576)
            .with_max_records(500)
            .with_batch_size(500)
    }

    fn fetch(&self, partitions: &[i32]) -> ShareFetchRequest {
        let said: Vec<_> = partitions.iter().map(|partition| (*partition, &[][..])).collect();
        self.fetch_saying(&said)
    }

    fn fetch_saying(&self, said: &[(i32, &[Said<'_>])]) -> ShareFetchRequest {
        let partitions = said.iter().map(|(partition, said)| {
            let batches = said.iter().map(|(first, last, types)| {
                Piggyback::default()
                    .with_first_offset(*first)
                    .with_last_offset(*last)
                    .with_acknowledge_types(types.to_vec())
            });
            FetchPartition::default()
                .with_partition_index(*partition)
                .with_acknowledgement_batches(batches.collect())
        });
        let of =
            FetchTopic::default().with_topic_id(self.topic).with_partitions(partitions.collect());
        self.goes_on().with_topics(vec![of])
    }

    fn forget(&self, partitions: &[i32]) -> ShareFetchRequest {
        let of = ForgottenTopic::default()
            .with_topic_id(self.topic)
            .with_partitions(partitions.to_vec());
        self.goes_on().with_forgotten_topics_data(vec![of])
    }

    fn says(&self, partition: i32, said: &[Said<'_>]) -> ShareAcknowledgeRequest {
        let batches = said.iter().map(|(first, last, types)| {
            AcknowledgementBatch::default()
                .with_first_offset(*first)
                .with_last_offset(*last)
                .with_acknowledge_types(types.to_vec())
        });
        let one = AcknowledgePartition::default()
            .with_partition_index(partition)
            .with_acknowledgement_batches(batches.collect());
        let of = AcknowledgeTopic::default().with_topic_id(self.topic).with_partitions(vec![one]);
        self.says_nothing().with_topics(vec![of])
    }

    fn says_nothing(&self) -> ShareAcknowledgeRequest {
        ShareAcknowledgeRequest::default()
            .with_group_id(Some(self.group.clone()))
            .with_member_id(Some(text(self.id)))
            .with_share_session_epoch(self.epoch)
    }

    /// Asks for what there is.
    fn ask(&mut self, talk: &mut Talk, step: &str, request: &ShareFetchRequest) {
        let answer = talk.as_speaker(self.id).ask(step, self.version, request);
        if answer.is_some_and(|answer| answer.error_code == 0) {
            self.epoch = request.share_session_epoch + 1;
        }
    }

    /// Asks for what is not there.
    fn ask_shortly(&mut self, talk: &mut Talk, step: &str, request: ShareFetchRequest) {
        self.ask(talk, step, &request.with_max_wait_ms(SHORTLY_MS));
    }

    /// Asks aside, for a moment. Whether there was anything.
    fn is_given(&mut self, talk: &mut Talk) -> bool {
        let request = self.goes_on().with_max_wait_ms(10 * SHORTLY_MS);
        let answer = talk.as_speaker(self.id).quiet(self.version, &request);
        let answer = answer.expect("ShareFetch is answered");
        assert_eq!(answer.error_code, 0, "{answer:?}");
        self.epoch += 1;
        let mut partitions = answer.responses.iter().flat_map(|topic| &topic.partitions);
        partitions.any(|partition| !partition.acquired_records.is_empty())
    }

    fn say(&mut self, talk: &mut Talk, step: &str, request: &ShareAcknowledgeRequest) {
        let answer = talk.as_speaker(self.id).ask(step, self.version, request);
        if answer.is_some_and(|answer| answer.error_code == 0) {
            self.epoch = request.share_session_epoch + 1;
        }
    }

    fn at(&mut self, epoch: i32) {
        self.epoch = epoch;
    }
}

/// What no session is opened by.
fn refusals(talk: &mut Talk, version: i16) {
    const LONG: &str = "0123456789012345678901234567890123456";
    let scene = Scene::new(talk, "refusals", version, &[EARLIEST]);
    scene.append(talk, 0, (0, 2));
    let mut me = scene.stranger("me");
    for (step, group) in [("no group", None), ("an empty group id", Some(GroupId::default()))] {
        let request = me.fetch(&[0]).with_group_id(group.clone());
        me.ask_shortly(talk, step, request);
        me.epoch = 0;
        let request = me.says(0, &[(0, 0, &[ACCEPT])]).with_group_id(group);
        me.say(talk, &format!("{step}, acknowledges"), &request);
    }
    for (step, id) in [
        ("no member id", None),
        ("an empty member id", Some(text(""))),
        ("a member id of 37 characters", Some(text(LONG))),
    ] {
        let request = me.fetch(&[0]).with_member_id(id.clone());
        me.ask_shortly(talk, step, request);
        let request = me.says(0, &[(0, 0, &[ACCEPT])]).with_member_id(id);
        me.say(talk, &format!("{step}, acknowledges"), &request);
    }
    for epoch in [1, -1, -2, 7] {
        me.at(epoch);
        let request = me.fetch(&[0]);
        me.ask_shortly(talk, &format!("no session, epoch {epoch}"), request);
        let request = me.says(0, &[(0, 0, &[ACCEPT])]);
        me.say(talk, &format!("no session, epoch {epoch}, acknowledges"), &request);
    }
    me.at(0);
    me.say(talk, "acknowledges at epoch 0", &me.says(0, &[(0, 0, &[ACCEPT])]));
    let request = me.fetch_saying(&[(0, &[(0, 0, &[ACCEPT])])]);
    me.ask_shortly(talk, "acknowledges as it opens", request);
    me.ask_shortly(talk, "opens with nothing to read", me.goes_on());
    me.ask_shortly(talk, "and goes on", me.goes_on());
    let mut other = scene.stranger("who never joined");
    other.ask(talk, "who never joined", &other.fetch(&[0]));
}

/// Epochs, right and wrong.
fn sessions(talk: &mut Talk, version: i16) {
    let scene = Scene::new(talk, "sessions", version, &[EARLIEST]);
    scene.append(talk, 0, (0, 3));
    let mut me = scene.member(talk, "me");
    me.ask(talk, "opens", &me.fetch(&[0]));
    me.ask_shortly(talk, "nothing more", me.goes_on());
    for epoch in [5, 1, -2] {
        me.at(epoch);
        me.ask_shortly(talk, &format!("epoch {epoch} in place of 2"), me.goes_on());
        me.at(epoch);
        me.say(talk, &format!("epoch {epoch} in place of 2, acknowledges"), &me.says_nothing());
    }
    me.at(0);
    me.say(talk, "epoch 0, acknowledges", &me.says_nothing());
    me.at(2);
    me.say(talk, "says nothing", &me.says_nothing());
    me.say(talk, "says nothing of a partition", &me.says(0, &[]));
    me.ask_shortly(talk, "the right one", me.goes_on());
    me.at(0);
    me.ask_shortly(talk, "opens anew", me.fetch(&[0]));
    me.ask_shortly(talk, "goes on", me.goes_on());
    me.say(talk, "accepts what it had before", &me.says(0, &[(0, 2, &[ACCEPT])]));
    me.at(-1);
    me.ask_shortly(talk, "closes", me.goes_on());
    me.at(-1);
    me.ask_shortly(talk, "closes again", me.goes_on());
    me.at(3);
    me.ask_shortly(talk, "goes on after that", me.goes_on());
}

/// What a session reads changes.
fn partitions(talk: &mut Talk, version: i16) {
    let scene = Scene::new(talk, "partitions", version, &[EARLIEST]);
    scene.append(talk, 0, (0, 1));
    let mut me = scene.member(talk, "me");
    me.ask(talk, "one", &me.fetch(&[0]));
    me.ask_shortly(talk, "another, empty", me.fetch(&[1]));
    scene.append(talk, 1, (0, 1));
    me.ask(talk, "not empty any more", &me.goes_on());
    me.ask_shortly(talk, "a third, not there", me.fetch(&[2]));
    me.ask_shortly(talk, "still not there", me.goes_on());
    me.ask_shortly(talk, "it is forgotten", me.forget(&[2]));
    me.ask_shortly(talk, "after that", me.goes_on());
    me.ask_shortly(talk, "what was never read is forgotten", me.forget(&[7]));
    me.ask_shortly(talk, "the first is forgotten", me.forget(&[0]));
    scene.append(talk, 0, (1, 1));
    me.ask_shortly(talk, "and not told of", me.goes_on());
    me.say(talk, "what is forgotten is accepted", &me.says(0, &[(0, 0, &[ACCEPT])]));
    me.ask(talk, "it comes back", &me.fetch(&[0]));
    let mut both = me.forget(&[0]);
    both.topics = me.fetch(&[0]).topics;
    me.ask_shortly(talk, "asked for and forgotten at once", both);
    me.say(talk, "of a partition that is not there", &me.says(5, &[(0, 0, &[ACCEPT])]));
    let mut strange = me.says(0, &[(0, 0, &[ACCEPT])]);
    strange.topics[0].topic_id = foreign_id();
    me.say(talk, "of a topic that is not there", &strange);
    let mut strange = me.fetch_saying(&[(0, &[(0, 0, &[ACCEPT])])]);
    strange.topics[0].topic_id = foreign_id();
    me.ask_shortly(talk, "a topic that is not there", strange);
    let mut other = scene.another(talk, "other");
    let mut strange = other.fetch(&[0, 1]);
    strange.topics[0].topic_id = foreign_id();
    other.ask_shortly(talk, "opened with a topic that is not there", strange);
    other.at(0);
    other.ask_shortly(talk, "opened with a partition that is not there", other.fetch(&[3]));
}

/// By requests of their own.
fn acknowledgements(talk: &mut Talk, version: i16) {
    let scene = Scene::new(talk, "acknowledgements", version, &[EARLIEST]);
    scene.append(talk, 0, (0, 4));
    scene.append(talk, 0, (4, 6));
    let mut me = scene.member(talk, "me");
    me.ask(talk, "is given", &me.fetch(&[0]));
    me.say(talk, "accepts one", &me.says(0, &[(0, 0, &[ACCEPT])]));
    me.say(talk, "accepts it again", &me.says(0, &[(0, 0, &[ACCEPT])]));
    me.say(talk, "releases it then", &me.says(0, &[(0, 0, &[RELEASE])]));
    me.say(talk, "one of each", &me.says(0, &[(1, 3, &[ACCEPT, RELEASE, REJECT])]));
    me.ask(talk, "is given the released", &me.goes_on());
    me.say(talk, "a gap", &me.says(0, &[(4, 4, &[GAP])]));
    me.say(
        talk,
        "two batches, a hole between",
        &me.says(0, &[(2, 2, &[ACCEPT]), (5, 6, &[ACCEPT])]),
    );
    me.say(talk, "across what is done", &me.says(0, &[(5, 7, &[ACCEPT])]));
    me.say(talk, "past the end", &me.says(0, &[(9, 10, &[ACCEPT])]));
    me.say(talk, "after the end", &me.says(0, &[(90, 91, &[ACCEPT])]));
    me.say(talk, "one fine, one not", &me.says(0, &[(7, 7, &[ACCEPT]), (90, 91, &[ACCEPT])]));
    me.say(talk, "the fine one alone", &me.says(0, &[(7, 7, &[REJECT])]));
    me.say(talk, "the last are released", &me.says(0, &[(8, 9, &[RELEASE])]));
    me.ask(talk, "is given those", &me.goes_on());
    me.say(talk, "a gap and an acceptance", &me.says(0, &[(8, 9, &[GAP, ACCEPT])]));
    me.ask_shortly(talk, "all is done", me.goes_on());
    me.say(talk, "of what nothing was read", &me.says(1, &[(0, 0, &[ACCEPT])]));
    let mut twice = me.says(0, &[(0, 0, &[ACCEPT])]);
    let more = me.says(1, &[(0, 0, &[ACCEPT])]);
    twice.topics.extend(more.topics);
    me.say(talk, "of two partitions", &twice);
    scene.append(talk, 0, (10, 2));
    me.ask(talk, "is given more", &me.goes_on());
}

/// With the next fetch.
fn piggybacks(talk: &mut Talk, version: i16) {
    let scene = Scene::new(talk, "piggybacks", version, &[EARLIEST]);
    scene.append(talk, 0, (0, 6));
    let mut me = scene.member(talk, "me");
    me.ask(talk, "is given", &me.fetch(&[0]).with_max_records(3).with_batch_size(3));
    me.ask_shortly(talk, "another partition, empty", me.fetch(&[1]));
    let accepts = me.fetch_saying(&[(0, &[(0, 2, &[ACCEPT])])]);
    me.ask_shortly(talk, "accepts", accepts);
    let accepts = me.fetch_saying(&[(0, &[(0, 2, &[ACCEPT])])]);
    me.ask_shortly(talk, "accepts again", accepts);
    let releases = me.fetch_saying(&[(0, &[(3, 5, &[RELEASE, ACCEPT, RELEASE])])]);
    me.ask(talk, "releases, and is given those again", &releases);
    scene.append(talk, 1, (0, 2));
    let rejects = me.fetch_saying(&[(0, &[(3, 3, &[REJECT]), (5, 5, &[GAP])])]);
    me.ask(talk, "rejects, and is given another's", &rejects);
    let both = me.fetch_saying(&[(0, &[(5, 5, &[ACCEPT])]), (1, &[(0, 1, &[ACCEPT])])]);
    me.ask_shortly(talk, "of both", both);
    scene.append(talk, 0, (6, 1));
    let wrong = me.fetch_saying(&[(0, &[(60, 60, &[ACCEPT])])]);
    me.ask(talk, "wrong, and is given all the same", &wrong);
    me.at(-1);
    let last = me.goes_on().with_topics(me.fetch_saying(&[(0, &[(6, 6, &[ACCEPT])])]).topics);
    me.ask_shortly(talk, "accepts as it closes", last);
    let mut other = scene.another(talk, "other");
    other.ask_shortly(talk, "nothing is left", other.fetch(&[0, 1]));
}

/// Acknowledgements that cannot be meant, by both ways.
fn unsound(talk: &mut Talk, version: i16) {
    let scene = Scene::new(talk, "unsound", version, &[EARLIEST]);
    scene.append(talk, 0, (0, 10));
    let mut me = scene.member(talk, "me");
    me.ask(talk, "is given", &me.fetch(&[0]));
    let cases: &[(&str, &[Said<'_>])] = &[
        ("backwards", &[(5, 4, &[ACCEPT])]),
        ("a negative first", &[(-1, 4, &[ACCEPT])]),
        ("no types", &[(0, 4, &[])]),
        ("too few types", &[(0, 4, &[ACCEPT, ACCEPT])]),
        ("too many types", &[(0, 1, &[ACCEPT, ACCEPT, ACCEPT])]),
        ("type 4", &[(0, 0, &[4])]),
        ("type -1", &[(0, 0, &[-1])]),
        ("one wrong type of three", &[(0, 2, &[ACCEPT, 9, ACCEPT])]),
        ("not in order", &[(4, 6, &[ACCEPT]), (2, 3, &[ACCEPT])]),
        ("overlapping", &[(0, 3, &[ACCEPT]), (2, 5, &[ACCEPT])]),
        ("touching", &[(6, 7, &[RELEASE]), (7, 8, &[RELEASE])]),
        ("the whole of what can be", &[(0, i64::MAX, &[ACCEPT])]),
    ];
    for (what, said) in cases {
        me.say(talk, what, &me.says(0, said));
        let beside = me.fetch_saying(&[(0, said)]);
        me.ask_shortly(talk, &format!("{what}, with a fetch"), beside);
    }
    me.say(talk, "all is still its own", &me.says(0, &[(0, 9, &[ACCEPT])]));
}

/// How much one is given.
fn bounds(talk: &mut Talk, version: i16) {
    let scene = Scene::new(talk, "bounds", version, &[EARLIEST]);
    for batch in 0..5 {
        scene.append(talk, 0, (batch * 4, 4));
    }
    let mut me = scene.member(talk, "me");
    me.ask(talk, "one record", &me.fetch(&[0]).with_max_records(1));
    me.ask(talk, "batches of three", &me.goes_on().with_max_records(6).with_batch_size(3));
    me.ask(talk, "one byte", &me.goes_on().with_max_bytes(1));
    me.say(talk, "gives all back", &me.says(0, &[(0, 3, &[RELEASE])]));
    me.ask_shortly(talk, "no records", me.goes_on().with_max_records(0));
    me.ask_shortly(talk, "records -1", me.goes_on().with_max_records(-1));
    me.ask_shortly(talk, "batches of none", me.goes_on().with_batch_size(0));
    me.ask_shortly(talk, "batches of -1", me.goes_on().with_batch_size(-1));
    me.ask_shortly(talk, "bytes 0", me.goes_on().with_max_bytes(0));
    me.ask_shortly(talk, "at least -1 bytes", me.goes_on().with_min_bytes(-1));
    me.ask_shortly(talk, "more at least than at most", {
        me.goes_on().with_min_bytes(1_000).with_max_bytes(10)
    });
    me.ask_shortly(talk, "the rest", me.goes_on());
    me.ask_shortly(talk, "nothing is left", me.goes_on());
}

/// A record is delivered only so often.
fn deliveries(talk: &mut Talk, version: i16) {
    let scene =
        Scene::new(talk, "deliveries", version, &[EARLIEST, ("share.delivery.count.limit", "3")]);
    scene.append(talk, 0, (0, 4));
    let mut me = scene.member(talk, "me");
    me.ask(talk, "the first time", &me.fetch(&[0]));
    me.say(talk, "gives back", &me.says(0, &[(0, 3, &[RELEASE])]));
    me.ask(talk, "the second time", &me.goes_on());
    me.say(talk, "gives back again", &me.says(0, &[(0, 3, &[RELEASE, ACCEPT, GAP, RELEASE])]));
    for time in ["the third time", "the third time, what is left"] {
        me.ask_shortly(talk, time, me.goes_on());
    }
    me.say(talk, "gives back a third time", &me.says(0, &[(0, 0, &[RELEASE])]));
    me.say(talk, "and the last", &me.says(0, &[(3, 3, &[RELEASE])]));
    me.ask_shortly(talk, "never again", me.goes_on());
    scene.append(talk, 0, (4, 1));
    me.ask(talk, "what comes after", &me.goes_on());
}

/// Two members of a group, and one of another.
fn together(talk: &mut Talk, version: i16) {
    let scene = Scene::new(talk, "together", version, &[EARLIEST]);
    scene.append(talk, 0, (0, 3));
    scene.append(talk, 0, (3, 3));
    let (mut a, mut b) = (scene.member(talk, "a"), scene.another(talk, "b"));
    a.ask(talk, "a is given some", &a.fetch(&[0]).with_max_records(2).with_batch_size(2));
    b.ask(talk, "b is given others", &b.fetch(&[0]));
    a.ask_shortly(talk, "nothing is left for a", a.goes_on());
    b.say(talk, "b accepts what a has", &b.says(0, &[(0, 0, &[ACCEPT])]));
    a.say(talk, "a accepts what b has", &a.says(0, &[(3, 3, &[ACCEPT])]));
    a.say(talk, "a accepts its own and b's", &a.says(0, &[(0, 5, &[ACCEPT])]));
    b.say(talk, "b releases", &b.says(0, &[(3, 5, &[RELEASE])]));
    a.ask(talk, "a is given those", &a.goes_on());
    let sent = talk.as_speaker("b").send(version, &b.goes_on());
    let releases = a.says(0, &[(3, 5, &[ACCEPT, ACCEPT, RELEASE])]);
    a.say(talk, "a releases while b waits", &releases);
    talk.as_speaker("b");
    talk.hear::<ShareFetchRequest>("b waited", sent);
}

/// What is not acknowledged in time is another's.
fn locks(talk: &mut Talk, version: i16) {
    let second = [EARLIEST, ("share.record.lock.duration.ms", "1000")];
    let scene = Scene::new(talk, "locks", version, &second);
    scene.append(talk, 0, (0, 3));
    let (mut a, mut b) = (scene.member(talk, "a"), scene.another(talk, "b"));
    a.ask(talk, "a is given all", &a.fetch(&[0]));
    b.ask(talk, "b waits until the lock expires", &b.fetch(&[0]));
    a.say(talk, "a accepts too late", &a.says(0, &[(0, 2, &[ACCEPT])]));
    b.say(talk, "b accepts in time", &b.says(0, &[(0, 2, &[ACCEPT])]));
    a.ask_shortly(talk, "nothing is left", a.goes_on());
}

/// The end of a session gives back what its member has.
fn ends(talk: &mut Talk, version: i16) {
    let scene = Scene::new(talk, "ends", version, &[EARLIEST]);
    scene.append(talk, 0, (0, 3));
    let (mut a, mut b) = (scene.member(talk, "a"), scene.another(talk, "b"));
    a.ask(talk, "a is given all", &a.fetch(&[0]));
    a.at(-1);
    a.ask_shortly(talk, "a closes by a fetch", a.goes_on());
    b.ask(talk, "b is given all", &b.fetch(&[0]));
    b.at(-1);
    b.say(talk, "b closes as it accepts one", &b.says(0, &[(0, 0, &[ACCEPT])]));
    a.at(0);
    a.ask(talk, "a is given the others", &a.fetch(&[0]));
    a.at(-1);
    a.ask_shortly(talk, "a closes, naming what to read", a.fetch(&[0, 1]));
    a.at(-1);
    a.say(talk, "a closes what is closed", &a.says_nothing());
    b.at(0);
    b.ask(talk, "b is given one of the others", &b.fetch(&[0]));
    // So that there is nothing for a before all of it is given back.
    b.ask(talk, "b is given the last", &b.goes_on());
    talk.hang_up("b");
    a.at(0);
    a.ask(talk, "a is given what b had when its connection ended", &a.fetch(&[0]));
    b.at(2);
    b.ask_shortly(talk, "b's session is over", b.goes_on());
}

/// Where a group begins.
fn beginnings(talk: &mut Talk, version: i16) {
    let latest = [("share.auto.offset.reset", "latest")];
    let scene = Scene::new(talk, "beginnings", version, &latest);
    scene.append(talk, 0, (0, 3));
    let mut me = scene.member(talk, "me");
    me.ask_shortly(talk, "at the end", me.fetch(&[0]).with_max_wait_ms(500));
    scene.append(talk, 0, (3, 2));
    me.ask(talk, "what came after", &me.goes_on());
}

/// Records and topics go.
fn deleted(talk: &mut Talk, version: i16) {
    let scene = Scene::new(talk, "deleted", version, &[EARLIEST]);
    scene.append(talk, 0, (0, 3));
    scene.append(talk, 0, (3, 3));
    let mut me = scene.member(talk, "me");
    me.ask(talk, "is given some", &me.fetch(&[0]).with_max_records(2).with_batch_size(2));
    talk.quiet(2, &offsets::before(&scene.name, 0, 4));
    // Kafka's first look only finds out that the records are gone.
    assert!((0..20).any(|_| me.is_given(talk)), "what is left is never given");
    me.say(talk, "accepts what is gone", &me.says(0, &[(0, 1, &[ACCEPT])]));
    me.say(talk, "accepts what is left", &me.says(0, &[(4, 5, &[ACCEPT])]));
    let delete = DeleteTopicsRequest::default()
        .with_topic_names(vec![topic(&scene.name)])
        .with_timeout_ms(5_000);
    talk.quiet(5, &delete);
    talk.settle();
    me.say(talk, "accepts of a topic that is gone", &me.says(0, &[(5, 5, &[ACCEPT])]));
    me.ask_shortly(talk, "the topic is gone", me.goes_on());
}

/// Transactions, as groups of both kinds see them.
fn isolation(talk: &mut Talk, version: i16) {
    let level = [EARLIEST, ("share.isolation.level", "read_committed")];
    let scene = Scene::new(talk, "isolation", version, &level);
    let other = group("uncommitted", version);
    talk.quiet(1, &configs::set_of_group(other.as_str(), [EARLIEST]));
    talk.settle();
    scene.append(talk, 0, (0, 2));
    for (id, commit) in [("aborts", false), ("commits", true)] {
        let producer = begin_transaction(talk, &scene.name, id);
        talk.quiet(3, &transactions::end(producer, commit));
        transactions::await_markers(talk, id);
    }
    let open = begin_transaction(talk, &scene.name, "stays open");
    let mut me = scene.member(talk, "me");
    me.ask(talk, "what is committed", &me.fetch(&[0]));
    me.say(talk, "accepts what was aborted", &me.says(0, &[(2, 3, &[ACCEPT])]));
    me.say(talk, "accepts all up to a marker", &me.says(0, &[(0, 7, &[ACCEPT])]));
    me.say(talk, "accepts records and gaps", &me.says(0, &[(0, 1, &[ACCEPT]), (5, 6, &[ACCEPT])]));
    me.say(talk, "the markers are gaps", &me.says(0, &[(7, 7, &[GAP])]));
    me.ask_shortly(talk, "nothing of what is open", me.goes_on());
    let mut all = Scene { group: other, ..scene }.member(talk, "all");
    all.ask(talk, "uncommitted, all", &all.fetch(&[0]));
    all.ask_shortly(talk, "uncommitted, all the rest", all.goes_on());
    all.say(talk, "uncommitted, all accepted", &all.says(0, &[(0, 9, &[ACCEPT])]));
    talk.quiet(3, &transactions::end(open, true));
    transactions::await_markers(talk, "stays open");
    me.ask(talk, "what was open is committed", &me.goes_on());
    me.say(talk, "and accepted", &me.says(0, &[(8, 9, &[ACCEPT])]));
    me.ask_shortly(talk, "nothing is left", me.goes_on());
}

/// Sends two records in a transaction.
fn begin_transaction<'a>(talk: &mut Talk, name: &str, id: &'a str) -> transactions::Me<'a> {
    let producer = transactions::begin(talk, id);
    talk.quiet(3, &transactions::add(producer, 3, &[(name, &[0])]));
    let batch = transactions::batch(talk, producer, 0, 2);
    let sent = talk.quiet(9, &transactions::send(name, producer, &batch));
    let sent = sent.expect("Produce is answered");
    assert_eq!(sent.responses[0].partition_responses[0].error_code, 0, "{sent:?}");
    producer
}

/// Groups of other kinds.
fn kinds(talk: &mut Talk, version: i16) {
    let scene = Scene::new(talk, "kinds", version, &[EARLIEST]);
    scene.append(talk, 0, (0, 1));
    let consumers = consumer_groups::Member::new(&group("kinds-consumers", version), "c");
    let join = consumers.join().with_subscribed_topic_names(Some(vec![topic(&scene.name)]));
    let joined = talk.quiet(1, &join).expect("ConsumerGroupHeartbeat is answered");
    assert_eq!(joined.error_code, 0, "{joined:?}");
    let scene = Scene { group: consumers.group, ..scene };
    let mut me = scene.stranger("c");
    me.ask_shortly(talk, "a group of consumers", me.fetch(&[0]).with_max_wait_ms(500));
    me.say(talk, "a group of consumers, acknowledges", &me.says(0, &[(0, 0, &[ACCEPT])]));
}
