//! Groups of the consumer protocol on a whole broker: what is written, what a restart keeps, what metadata does to them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{World, commit, join, member};
use crate::base::clock::sleep;
use crate::base::ids::{TopicId, TopicPartition};
use crate::base::task::assert_no_panics;
use crate::cluster::client::{CreateTopics, MorePartitions, NewTopic, TopicRef};
use crate::groups::consumer::assignment::{Assignment, without_epochs};
use crate::groups::consumer::group::GroupState;
use crate::groups::consumer::{Error, Heartbeat, HeartbeatAnswer};
use crate::groups::{CommitRequest, Fetcher, Refusal};

pub(super) async fn create(world: &World, name: &str, partitions: i32) -> TopicId {
    let topic = NewTopic {
        name: name.to_owned(),
        partitions: Some(partitions),
        replication_factor: Some(1),
        assignments: BTreeMap::new(),
        configs: BTreeMap::new(),
    };
    let request = CreateTopics {
        topics: vec![topic],
        validate_only: false,
        default_partitions: 1,
        default_replication_factor: 1,
    };
    let context = world.broker().context();
    let created = context.cluster.create_topics(request).await.expect("the coordinator is here");
    context.log.caught_up(created.version).await;
    created.value[0].as_ref().expect("created").id
}

/// A client that owns at once what it is given, and gives back at once what is taken.
struct Client {
    group: &'static str,
    id: String,
    epoch: i32,
    regex: Option<String>,
    names: Option<Vec<String>>,
    instance: Option<String>,
    owned: Assignment,
}

impl Client {
    fn new(group: &'static str, id: &str, topics: &[&str]) -> Self {
        Self {
            group,
            id: id.to_owned(),
            epoch: 0,
            regex: None,
            names: Some(topics.iter().map(|topic| (*topic).to_owned()).collect()),
            instance: None,
            owned: Assignment::new(),
        }
    }

    fn request(&self) -> Heartbeat {
        Heartbeat {
            member_id: self.id.clone(),
            epoch: self.epoch,
            instance_id: self.instance.clone(),
            rebalance_timeout_ms: 60_000,
            topic_names: self.names.clone(),
            topic_regex: self.regex.clone(),
            owned: Some(self.owned.clone()),
            client_id: "c".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            ..Heartbeat::default()
        }
    }

    async fn ask(&self, world: &World) -> Result<HeartbeatAnswer, Error> {
        let groups = world.groups();
        groups.consumer_heartbeat(self.group, self.request()).await.expect("led here")
    }

    async fn beat(&mut self, world: &World) -> Result<(), Error> {
        let answer = self.ask(world).await?;
        self.id = answer.member_id;
        self.epoch = answer.epoch;
        if let Some(told) = answer.assignment {
            self.owned = without_epochs(&told);
        }
        Ok(())
    }

    /// Heartbeats of a second each, so that assignments are not held back.
    async fn settle(&mut self, world: &World) {
        for _ in 0..4 {
            self.beat(world).await.expect("a member");
            sleep(Duration::from_secs(1)).await;
        }
    }

    fn partitions(&self) -> usize {
        self.owned.values().map(std::collections::BTreeSet::len).sum()
    }

    fn commit(&self, topic: TopicId, offset: i64) -> CommitRequest {
        let mut request = CommitRequest {
            generation_id: self.epoch,
            member_id: self.id.clone(),
            ..commit(self.group, 1, offset)
        };
        request.offsets[0].topic_id = topic.0;
        request
    }

    async fn fetch(&self, world: &World) -> Result<usize, Refusal> {
        let fetcher = Fetcher { member_id: Some(&self.id), member_epoch: self.epoch };
        let fetched = world.groups().fetch_offsets(self.group, fetcher, None, true).await;
        fetched.map(|offsets| offsets.len())
    }
}

async fn state(world: &World, group: &str) -> Result<(GroupState, i32, usize), Error> {
    let described = world.groups().consumer_describe(group).await.expect("led here");
    described.map(|group| (group.state, group.epoch, group.members.len()))
}

#[tokio::test(start_paused = true)]
async fn members_and_their_partitions_outlive_the_broker() {
    for orderly in [true, false] {
        let mut world = World::new().await;
        let topic = create(&world, "t", 6).await;
        let (mut a, mut b) = (Client::new("g", "a", &["t"]), Client::new("g", "b", &["t"]));
        a.settle(&world).await;
        assert_eq!(a.partitions(), 6);
        b.beat(&world).await.expect("joins");
        for _ in 0..3 {
            sleep(Duration::from_secs(1)).await;
            a.beat(&world).await.expect("gives back");
            b.beat(&world).await.expect("takes");
        }
        assert_eq!((a.partitions(), b.partitions()), (3, 3));
        assert_eq!(world.groups().commit(&a.commit(topic, 5)).await, Ok(vec![None]));
        let before = state(&world, "g").await;
        assert_eq!(before.clone().map(|(state, ..)| state), Ok(GroupState::Stable));
        world.succeed(orderly).await;
        world.ready("h").await;
        assert_eq!(state(&world, "g").await, before);
        let owned = (a.owned.clone(), b.owned.clone());
        a.settle(&world).await;
        b.settle(&world).await;
        assert_eq!((a.owned.clone(), b.owned.clone()), owned, "nobody has to move");
        assert_eq!(a.fetch(&world).await, Ok(1));
        let too_new = Client { epoch: a.epoch + 1, ..Client::new("g", "a", &["t"]) };
        assert_eq!(too_new.fetch(&world).await, Err(Refusal::StaleMemberEpoch));
        let stale = world.groups().commit(&too_new.commit(topic, 6)).await;
        assert_eq!(stale, Err(Refusal::StaleMemberEpoch));
        let stranger = Client::new("g", "x", &["t"]);
        let unknown = world.groups().commit(&stranger.commit(topic, 6)).await;
        assert_eq!(unknown, Err(Refusal::UnknownMemberId));
    }
    assert_no_panics();
}

#[tokio::test(start_paused = true)]
async fn metadata_moves_the_group() {
    let world = World::new().await;
    create(&world, "t", 2).await;
    let mut a = Client::new("g", "a", &["t", "later"]);
    a.settle(&world).await;
    assert_eq!(a.partitions(), 2);
    create(&world, "later", 3).await;
    a.settle(&world).await;
    assert_eq!(a.partitions(), 5);
    let context = world.broker().context();
    let more = MorePartitions { topic: "t".to_owned(), count: 4, assignments: None };
    let grown = context.cluster.create_partitions(vec![more], false).await;
    let grown = grown.expect("the coordinator is here");
    context.log.caught_up(grown.version).await;
    a.settle(&world).await;
    assert_eq!(a.partitions(), 7);
    context.cluster.delete_topics(vec![TopicRef::Name("t".to_owned())]).await.expect("deleted");
    sleep(Duration::from_secs(1)).await;
    a.settle(&world).await;
    assert_eq!(a.partitions(), 3);
    assert_no_panics();
}

#[tokio::test(start_paused = true)]
async fn patterns_are_matched_on_the_server() {
    let mut world = World::new().await;
    create(&world, "in.one", 2).await;
    create(&world, "out", 2).await;
    let mut a = Client::new("g", "a", &[]);
    (a.names, a.regex) = (None, Some("in[.].*".to_owned()));
    a.settle(&world).await;
    assert_eq!(a.partitions(), 2);
    create(&world, "in.two", 3).await;
    for _ in 0..12 {
        a.beat(&world).await.expect("a member");
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(a.partitions(), 5);
    world.succeed(false).await;
    world.ready("h").await;
    a.settle(&world).await;
    assert_eq!(a.partitions(), 5);
    a.regex = Some("in[".to_owned());
    assert!(matches!(a.ask(&world).await, Err(Error::InvalidRegex { .. })));
    assert_no_panics();
}

#[tokio::test(start_paused = true)]
async fn silent_members_go_and_empty_groups_with_them() {
    let mut world = World::new().await;
    let topic = create(&world, "t", 2).await;
    let mut a = Client::new("g", "a", &["t"]);
    let mut fixed = Client::new("g", "s", &["t"]);
    fixed.instance = Some("i".to_owned());
    a.settle(&world).await;
    fixed.settle(&world).await;
    assert_eq!(world.groups().delete("g").await, Err(Refusal::NonEmptyGroup));
    assert_eq!(world.groups().describe("g").await, Err(Refusal::NotClassic));
    let refused = world.groups().join(join("g", "")).await;
    assert_eq!(refused.refusal, Some(Refusal::InconsistentProtocol));
    assert_eq!(world.groups().commit(&a.commit(topic, 5)).await, Ok(vec![None]));
    // Its sessions begin anew with the next leader.
    sleep(Duration::from_secs(30)).await;
    world.succeed(false).await;
    world.ready("h").await;
    sleep(Duration::from_secs(40)).await;
    assert!(a.beat(&world).await.is_ok(), "it was heard of within its session");
    sleep(Duration::from_secs(46)).await;
    assert!(matches!(a.ask(&world).await, Err(Error::UnknownMember { .. })));
    assert_eq!(state(&world, "g").await.map(|(state, ..)| state), Ok(GroupState::Empty));
    sleep(Duration::from_secs(30 * 60)).await;
    assert_eq!(world.groups().list(|_| true).await, Ok(Vec::new()));
    assert!(matches!(state(&world, "g").await, Err(Error::GroupNotFound { .. })));
    assert_no_panics();
}

#[tokio::test(start_paused = true)]
async fn an_empty_group_changes_its_protocol_and_keeps_its_offsets() {
    let mut world = World::new().await;
    let topic = create(&world, "t", 2).await;
    let kind = async |world: &World| {
        let listed = world.groups().list(|group| group.group_id == "g").await.expect("led here");
        (listed[0].group_type, listed[0].state)
    };
    assert_eq!(world.groups().commit(&commit("g", 1, 5)).await, Ok(vec![None]));
    assert_eq!(kind(&world).await, ("classic", "Empty"));
    let mut a = Client::new("g", "a", &["t"]);
    a.settle(&world).await;
    assert_eq!(kind(&world).await, ("consumer", "Stable"));
    assert_eq!(a.fetch(&world).await, Ok(1));
    assert_eq!(world.groups().commit(&a.commit(topic, 6)).await, Ok(vec![None]));
    a.epoch = -1;
    a.beat(&world).await.expect("leaves");
    assert_eq!(kind(&world).await, ("consumer", "Empty"));
    member(&world, "g").await;
    assert_eq!(kind(&world).await, ("classic", "Stable"));
    world.succeed(false).await;
    world.ready("g").await;
    assert_eq!(kind(&world).await, ("classic", "Stable"));
    assert_eq!(world.committed("g").await, [("t".to_owned(), 0, 6)]);
    sleep(Duration::from_secs(11)).await;
    let mut b = Client::new("g", "b", &["t"]);
    b.settle(&world).await;
    assert_eq!(kind(&world).await, ("consumer", "Stable"));
    world.succeed(true).await;
    world.ready("h").await;
    assert_eq!(kind(&world).await, ("consumer", "Stable"));
    b.epoch = -1;
    b.beat(&world).await.expect("leaves");
    assert_eq!(world.groups().delete("g").await, Ok(()));
    world.succeed(false).await;
    world.ready("h").await;
    assert_eq!(world.groups().list(|_| true).await, Ok(Vec::new()));
    assert_eq!(world.committed("g").await, []);
    assert_no_panics();
}

#[tokio::test(start_paused = true)]
async fn heartbeats_that_change_nothing_write_nothing_and_garbage_is_let_go() {
    let mut world = World::new().await;
    create(&world, "t", 1000).await;
    let mut a = Client::new("g", "a", &["t"]);
    a.settle(&world).await;
    let kept = |world: &World| {
        let context = world.broker().context();
        let image = context.image();
        let topic = image.topic("__consumer_offsets").expect("it exists").id;
        let shard = context.log.partition(&TopicPartition { topic, partition: 0 });
        let offsets = shard.expect("it is led here").offsets().expect("led here");
        (offsets.log_end, offsets.log_start)
    };
    let (end, _) = kept(&world);
    for _ in 0..10 {
        a.beat(&world).await.expect("a member");
    }
    assert_eq!(kept(&world).0, end);
    // Joining and leaving writes the whole assignment: some 12 KB each time.
    for _ in 0..900 {
        a.epoch = -1;
        a.beat(&world).await.expect("leaves");
        (a.epoch, a.owned) = (0, Assignment::new());
        sleep(Duration::from_secs(1)).await;
        a.beat(&world).await.expect("joins");
    }
    sleep(Duration::from_secs(5)).await;
    assert!(kept(&world).1.0 > 0, "the log was let go of");
    assert_eq!(a.partitions(), 1000);
    world.succeed(false).await;
    world.ready("h").await;
    a.settle(&world).await;
    assert_eq!(a.partitions(), 1000);
    assert_no_panics();
}
