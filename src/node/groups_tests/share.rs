//! Share groups on a whole broker: what is written, what a restart keeps, what other protocols are told of them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::consumer::create;
use super::{World, commit, join};
use crate::base::clock::sleep;
use crate::base::task::assert_no_panics;
use crate::cluster::client::TopicRef;
use crate::groups::share::member::LEAVE_EPOCH;
use crate::groups::share::requests::{AlterTopic, Failed};
use crate::groups::share::{Error, Heartbeat, Partitions};
use crate::groups::{Fetcher, Refusal, consumer};

/// A client that remembers what it is told.
struct Client {
    group: &'static str,
    id: &'static str,
    epoch: i32,
    assigned: Partitions,
}

impl Client {
    fn new(group: &'static str, id: &'static str) -> Self {
        Self { group, id, epoch: 0, assigned: Partitions::new() }
    }

    async fn beat(&mut self, world: &World) -> Result<(), Error> {
        let request = Heartbeat {
            member_id: self.id.to_owned(),
            epoch: self.epoch,
            topic_names: (self.epoch == 0).then(|| vec!["t".to_owned()]),
            client_id: "c".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            ..Heartbeat::default()
        };
        let answer =
            world.groups().share_heartbeat(self.group, &request).await.expect("led here")?;
        self.epoch = answer.epoch;
        if let Some(assigned) = answer.assignment {
            self.assigned = (*assigned).clone();
        }
        Ok(())
    }

    /// Heartbeats of a second each, so that state is there and assignments are not held back.
    async fn settle(&mut self, world: &World) {
        for _ in 0..4 {
            self.beat(world).await.expect("a member");
            sleep(Duration::from_secs(1)).await;
        }
    }

    async fn leave(&mut self, world: &World) {
        self.epoch = LEAVE_EPOCH;
        self.beat(world).await.expect("a member");
    }
}

async fn shown(world: &World, group: &str) -> Result<(&'static str, i32, usize), Error> {
    let described = world.groups().share_describe(group).await.expect("led here");
    described.map(|group| (group.state, group.epoch, group.members.len()))
}

fn starts_at(partition: i32, offset: i64) -> Vec<AlterTopic> {
    vec![AlterTopic { name: "t".to_owned(), partitions: vec![(partition, offset)] }]
}

#[tokio::test(start_paused = true)]
async fn members_and_their_shares_outlive_the_broker() {
    for orderly in [true, false] {
        let mut world = World::new().await;
        let topic = create(&world, "t", 4).await;
        let (mut a, mut b) = (Client::new("s", "a"), Client::new("s", "b"));
        a.settle(&world).await;
        assert_eq!(a.assigned, Partitions::from([(topic, (0..4).collect())]));
        b.settle(&world).await;
        a.settle(&world).await;
        let sizes = [&a, &b].map(|one| one.assigned.values().flatten().count());
        assert_eq!(sizes, [2, 2]);
        let before = shown(&world, "s").await;
        world.succeed(orderly).await;
        world.ready("s").await;
        assert_eq!(shown(&world, "s").await, before);
        a.beat(&world).await.expect("still a member, in the same epoch");
        assert_eq!(a.assigned.values().flatten().count(), 2);
        sleep(Duration::from_secs(30)).await;
        a.beat(&world).await.expect("heard of in time");
        sleep(Duration::from_secs(30)).await;
        a.beat(&world).await.expect("heard of in time");
        assert_eq!(shown(&world, "s").await.expect("there").2, 1, "b was silent");
        assert_no_panics();
    }
}

#[tokio::test(start_paused = true)]
async fn other_protocols_are_told_that_there_is_no_such_group() {
    let world = World::new().await;
    create(&world, "t", 1).await;
    Client::new("s", "a").settle(&world).await;
    let groups = world.groups();
    let joined = groups.join(join("s", "")).await;
    assert_eq!(joined.refusal, Some(Refusal::InconsistentProtocol));
    assert_eq!(groups.commit(&commit("s", 1, 5)).await, Err(Refusal::GroupIdNotFound));
    let fetched = groups.fetch_offsets("s", Fetcher::NOBODY, None, true).await;
    assert_eq!(fetched, Ok(Vec::new()), "which is no error");
    let places = [("t".to_owned(), 0)];
    assert_eq!(groups.delete_offsets("s", &places).await, Err(Refusal::GroupIdNotFound));
    assert_eq!(groups.describe("s").await, Err(Refusal::NotClassic));
    let beat = consumer::Heartbeat { member_id: "c".to_owned(), ..consumer::Heartbeat::default() };
    let refused = groups.consumer_heartbeat("s", beat).await.expect("led here").err();
    let told = refused.map(|error| error.to_string());
    assert_eq!(told.as_deref(), Some("Group s is not a consumer group."));
    let listed = groups.list(|group| group.group_type == "share").await.expect("led here");
    assert_eq!(listed.iter().map(|group| group.state).collect::<Vec<_>>(), ["Stable"]);
    // And the other way round, even if the group only commits.
    assert_eq!(groups.commit(&commit("h", 1, 5)).await, Ok(vec![None]));
    let of_another_kind = || Err(Error::OfAnotherKind("h".to_owned()));
    assert_eq!(Client::new("h", "a").beat(&world).await, of_another_kind());
    assert_eq!(shown(&world, "h").await, of_another_kind().map(|()| ("", 0, 0)));
    let altered = groups.share_alter_offsets("h", &starts_at(0, 7)).await.expect("led here");
    assert_eq!(altered.map(|_| ()), of_another_kind());
    let nobody = Err(Error::NotFound("n".to_owned()));
    assert_eq!(shown(&world, "n").await, nobody);
    let mut late = Client { epoch: 3, ..Client::new("n", "a") };
    assert_eq!(late.beat(&world).await, Err(Error::NoShareGroup("n".to_owned())));
    assert_no_panics();
}

#[tokio::test(start_paused = true)]
async fn start_offsets_are_set_shown_and_deleted() {
    let mut world = World::new().await;
    let topic = create(&world, "t", 2).await;
    let altered = world.groups().share_alter_offsets("s", &starts_at(1, 7)).await;
    let altered = altered.expect("led here").expect("a new group");
    assert_eq!(altered[0].partitions, [(1, None)]);
    let starts = async |world: &World| -> BTreeMap<i32, i64> {
        let known = world.groups().share_offsets("s", None).await.expect("led here");
        let start = |summary: Result<crate::share::persister::Summary, _>| {
            summary.expect("readable").start_offset
        };
        known.into_iter().map(|((_, partition), known)| (partition, start(known))).collect()
    };
    assert_eq!(starts(&world).await, BTreeMap::from([(1, 7)]));
    let mut a = Client::new("s", "a");
    a.settle(&world).await;
    assert_eq!(a.assigned, Partitions::from([(topic, (0..2).collect())]));
    assert_eq!(starts(&world).await.len(), 2);
    let names = ["t".to_owned(), "gone".to_owned()];
    let refused = world.groups().share_delete_offsets("s", &names).await.expect("led here");
    assert_eq!(refused, Err(Error::NotEmpty));
    assert_eq!(world.groups().delete("s").await, Err(Refusal::NonEmptyGroup));
    a.leave(&world).await;
    let deleted = world.groups().share_delete_offsets("s", &names).await.expect("led here");
    let expected = [("t".to_owned(), Ok(topic)), ("gone".to_owned(), Err(Failed::NoPartition))];
    assert_eq!(deleted, Ok(expected.to_vec()));
    assert_eq!(starts(&world).await, BTreeMap::new());
    a.epoch = 0;
    a.settle(&world).await;
    a.leave(&world).await;
    assert_eq!(world.groups().delete("s").await, Ok(()));
    assert_eq!(world.groups().delete("s").await, Err(Refusal::GroupIdNotFound));
    world.succeed(true).await;
    world.ready("s").await;
    assert_eq!(shown(&world, "s").await, Err(Error::NotFound("s".to_owned())));
    assert_no_panics();
}

#[tokio::test(start_paused = true)]
async fn a_deleted_topic_is_read_no_more() {
    let world = World::new().await;
    let topic = create(&world, "t", 2).await;
    let mut a = Client::new("s", "a");
    a.settle(&world).await;
    let state_epoch = async || {
        let known = world.groups().share_offsets("s", Some(vec![(topic, 0)])).await;
        known.expect("led here")[&(topic, 0)].expect("readable").state_epoch
    };
    assert_eq!(state_epoch().await, 2);
    let cluster = &world.broker().context().cluster;
    cluster.delete_topics(vec![TopicRef::Name("t".to_owned())]).await.expect("deleted");
    sleep(Duration::from_secs(1)).await;
    a.settle(&world).await;
    assert!(a.assigned.is_empty());
    assert_eq!(state_epoch().await, 0, "nothing is kept of it");
    assert!(world.groups().share_offsets("s", None).await.expect("led here").is_empty());
    let again = create(&world, "t", 1).await;
    a.settle(&world).await;
    assert_eq!(a.assigned, Partitions::from([(again, [0].into())]));
    assert_no_panics();
}
