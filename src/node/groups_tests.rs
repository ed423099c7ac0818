//! Groups on a whole broker over a store in memory, with paused time: what is stable, what a restart keeps, what does not grow.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

mod consumer;
mod share;
mod share_records;
mod share_state;

use super::Surroundings;
use super::broker::Broker;
use crate::base::clock::{SharedClock, Timestamp, TokioClock, sleep};
use crate::base::ids::ProducerId;
use crate::base::rng::Rng;
use crate::base::task::{self, assert_no_panics};
use crate::config::Config;
use crate::groups::{
    Assigned, CommitRequest, Fetcher, Groups, HeartbeatRequest, JoinAnswer, JoinRequest,
    MemberProtocol, OffsetToCommit, Refusal, SyncRequest, TransactionalCommit,
};
use crate::log::EndMarker;
use crate::manifest::client::Endpoint;
use crate::object::{self, Store};
use crate::telemetry;

struct World {
    store: Store,
    broker: Option<Broker>,
    /// Every process is another: its identity is drawn from this.
    seed: u64,
}

const SETTINGS: [(&str, &str); 3] = [
    ("group.initial.rebalance.delay.ms", "0"),
    ("offsets.topic.num.partitions", "1"),
    ("offsets.retention.minutes", "10"),
];

fn clock() -> SharedClock {
    Arc::new(TokioClock::starting_at(Timestamp(1_700_000_000_000)))
}

async fn broker(store: &Store, seed: u64) -> Broker {
    let config = Config::with(SETTINGS).expect("valid settings");
    let surroundings =
        Surroundings { clock: clock(), rng: Rng::from_seed(seed), store: Some(store.clone()) };
    let endpoint = Endpoint { host: "test".to_owned(), port: 9092 };
    let endpoints = BTreeMap::from([("PLAINTEXT".to_owned(), endpoint)]);
    let metrics = telemetry::Registry::new();
    let starting = Broker::start(Arc::new(config), surroundings, endpoints, &metrics);
    Box::pin(starting).await.expect("a broker starts")
}

impl World {
    async fn new() -> Self {
        let store = object::build::memory(clock());
        let broker = Some(broker(&store, 1).await);
        let world = Self { store, broker, seed: 1 };
        let leader = world.groups().coordinator_of("g").await.expect("the topic is created");
        assert!(leader.is_some(), "it is led as soon as it exists");
        world
    }

    fn broker(&self) -> &Broker {
        self.broker.as_ref().expect("it is taken only to be replaced")
    }

    fn groups(&self) -> &Groups {
        &self.broker().context().groups
    }

    /// Another process takes over; the first has stopped, or may not even have noticed.
    async fn succeed(&mut self, orderly: bool) {
        if orderly {
            let before = self.broker.take().expect("there is one");
            before.shutdown(Duration::from_secs(10)).await.expect("it stops in order");
        }
        self.seed += 1;
        self.broker = Some(broker(&self.store, self.seed).await);
    }

    async fn ready(&self, group_id: &str) {
        while self.groups().describe(group_id).await == Err(Refusal::Loading) {
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn committed(&self, group_id: &str) -> Vec<(String, i32, i64)> {
        let offsets = self
            .groups()
            .fetch_offsets(group_id, Fetcher::NOBODY, None, true)
            .await
            .expect("led here");
        offsets.into_iter().map(|o| (o.topic, o.partition, o.offset)).collect()
    }
}

fn join(group_id: &str, member_id: &str) -> JoinRequest {
    JoinRequest {
        group_id: group_id.to_owned(),
        member_id: member_id.to_owned(),
        group_instance_id: None,
        client_id: "c".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        session_timeout: Duration::from_secs(10),
        rebalance_timeout: Duration::from_secs(60),
        protocol_type: "consumer".to_owned(),
        protocols: vec![MemberProtocol { name: "range".to_owned(), metadata: Bytes::new() }],
        takes_member_id: false,
        skips_assignment: true,
    }
}

fn sync(group_id: &str, joined: &JoinAnswer) -> SyncRequest {
    SyncRequest {
        group_id: group_id.to_owned(),
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        group_instance_id: None,
        protocol_type: None,
        protocol_name: None,
        assignments: vec![Assigned {
            member_id: joined.member_id.clone(),
            assignment: Bytes::from_static(b"all"),
        }],
    }
}

fn heartbeat(group_id: &str, joined: &JoinAnswer) -> HeartbeatRequest {
    HeartbeatRequest {
        group_id: group_id.to_owned(),
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        group_instance_id: None,
    }
}

fn commit(group_id: &str, partitions: i32, offset: i64) -> CommitRequest {
    let offsets = (0..partitions).map(|partition| OffsetToCommit {
        topic: "t".to_owned(),
        topic_id: uuid::Uuid::nil(),
        partition,
        offset,
        leader_epoch: -1,
        metadata: String::new(),
    });
    CommitRequest {
        group_id: group_id.to_owned(),
        generation_id: -1,
        member_id: String::new(),
        group_instance_id: None,
        retention: None,
        knows_group_id_not_found: true,
        offsets: offsets.collect(),
    }
}

async fn member(world: &World, group_id: &str) -> JoinAnswer {
    let joined = world.groups().join(join(group_id, "")).await;
    assert_eq!(joined.refusal, None);
    let synced = world.groups().sync(sync(group_id, &joined)).await;
    assert_eq!((synced.refusal, synced.assignment), (None, Bytes::from_static(b"all")));
    joined
}

#[tokio::test(start_paused = true)]
async fn many_megabytes_of_commits_are_replayed_from_the_store() {
    // A replay reads them in pieces that end within a batch.
    const COMMITS: i64 = 128;
    let mut world = World::new().await;
    let groups = world.groups();
    let commits: Vec<_> = (1..=COMMITS).map(|offset| commit("g", 1_000, offset)).collect();
    let commits = commits.iter().map(|commit| groups.commit(commit));
    for committed in futures::future::join_all(commits).await {
        assert!(committed.expect("led here").iter().all(Option::is_none));
    }
    world.succeed(true).await;
    let ready = tokio::time::timeout(Duration::from_secs(60), world.ready("g"));
    ready.await.expect("it is replayed");
    let committed = world.committed("g").await;
    assert_eq!(committed.len(), 1_000);
    assert!(committed.iter().all(|(.., offset)| *offset == COMMITS));
    assert_no_panics();
}

#[tokio::test(start_paused = true)]
async fn members_and_offsets_outlive_the_broker() {
    for orderly in [true, false] {
        let mut world = World::new().await;
        let joined = member(&world, "g").await;
        assert_eq!(world.groups().heartbeat(&heartbeat("g", &joined)).await, Ok(()));
        let by_member = CommitRequest {
            generation_id: joined.generation_id,
            member_id: joined.member_id.clone(),
            ..commit("g", 2, 5)
        };
        assert_eq!(world.groups().commit(&by_member).await, Ok(vec![None, None]));
        assert_eq!(world.groups().commit(&commit("h", 1, 9)).await, Ok(vec![None]));
        world.succeed(orderly).await;
        world.ready("g").await;
        let t = || "t".to_owned();
        assert_eq!(world.committed("g").await, [(t(), 0, 5), (t(), 1, 5)]);
        assert_eq!(world.committed("h").await, [(t(), 0, 9)]);
        assert_eq!(world.groups().heartbeat(&heartbeat("g", &joined)).await, Ok(()));
        let synced = world.groups().sync(sync("g", &joined)).await;
        assert_eq!(synced.assignment, Bytes::from_static(b"all"));
    }
    assert_no_panics();
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_was_superseded_hands_out_nothing() {
    let world = World::new().await;
    member(&world, "g").await;
    assert_eq!(world.groups().commit(&commit("h", 1, 5)).await, Ok(vec![None]));
    let groups = world.groups().clone();
    let waiting = task::spawn("test-join", async move { groups.join(join("g", "")).await });
    sleep(Duration::from_secs(1)).await;
    let next = broker(&world.store, 2).await;
    while next.context().groups.describe("h").await == Err(Refusal::Loading) {
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(next.context().groups.commit(&commit("h", 1, 6)).await, Ok(vec![None]));
    assert_eq!(world.groups().commit(&commit("h", 1, 7)).await, Err(Refusal::NotCoordinator));
    let let_go = waiting.await.expect("not cancelled").expect("no panic");
    assert_eq!(let_go.refusal, Some(Refusal::NotCoordinator));
    let stale = world.groups().fetch_offsets("h", Fetcher::NOBODY, None, false).await;
    assert_eq!(stale, Err(Refusal::NotCoordinator));
    assert_no_panics();
}

#[tokio::test(start_paused = true)]
async fn a_silent_member_is_out_and_expired_offsets_go() {
    let world = World::new().await;
    let joined = member(&world, "g").await;
    assert_eq!(world.groups().commit(&commit("h", 3, 5)).await, Ok(vec![None; 3]));
    sleep(Duration::from_secs(11)).await;
    let silent = world.groups().heartbeat(&heartbeat("g", &joined)).await;
    assert_eq!(silent, Err(Refusal::UnknownMemberId));
    let described = world.groups().describe("g").await.expect("led here").expect("it exists");
    assert_eq!((described.state, described.members.len()), ("Empty", 0));
    sleep(Duration::from_secs(30 * 60)).await;
    assert_eq!(world.committed("h").await, []);
    assert_eq!(world.groups().list(|_| true).await, Ok(Vec::new()), "empty groups go too");
    assert_no_panics();
}

/// An offset whose time has come stays while a transaction may still replace it, and goes when that was aborted.
#[tokio::test(start_paused = true)]
async fn a_pending_offset_holds_back_the_expiry_of_the_one_before() {
    let world = World::new().await;
    assert_eq!(world.groups().commit(&commit("h", 1, 5)).await, Ok(vec![None]));
    let pending = TransactionalCommit { producer: (ProducerId(7), 0), commit: commit("h", 1, 9) };
    let admitted = world.groups().commit_transactional(&pending, |_| Ok::<(), ()>(()));
    assert_eq!(admitted.await, Ok(Ok(vec![None])));
    let told = async || {
        let told = world.groups().fetch_offsets("h", Fetcher::NOBODY, None, false).await;
        told.expect("led here").iter().map(|one| one.offset).collect::<Vec<_>>()
    };
    sleep(Duration::from_secs(30 * 60)).await;
    assert_eq!(told().await, [5], "it may be replaced");
    let marker = EndMarker {
        producer_id: ProducerId(7),
        producer_epoch: 0,
        coordinator_epoch: 0,
        commit: false,
        bumps_epoch: false,
    };
    let target = world.groups().marker_target();
    target.end_transaction(0, &marker).expect("led here").expect("it is new");
    sleep(Duration::from_secs(30 * 60)).await;
    assert_eq!(told().await, Vec::<i64>::new());
    assert_no_panics();
}

#[tokio::test(start_paused = true)]
async fn deleted_groups_stay_deleted() {
    let mut world = World::new().await;
    assert_eq!(world.groups().commit(&commit("g", 2, 5)).await, Ok(vec![None, None]));
    assert_eq!(world.groups().delete("g").await, Ok(()));
    assert_eq!(world.groups().delete("g").await, Err(Refusal::GroupIdNotFound));
    assert_eq!(world.groups().commit(&commit("h", 2, 5)).await, Ok(vec![None, None]));
    let places = [("t".to_owned(), 0), ("t".to_owned(), 9)];
    assert_eq!(world.groups().delete_offsets("h", &places).await, Ok(vec![None, None]));
    let _busy = member(&world, "busy").await;
    assert_eq!(world.groups().delete("busy").await, Err(Refusal::NonEmptyGroup));
    world.succeed(false).await;
    world.ready("g").await;
    assert_eq!(world.groups().describe("g").await, Ok(None));
    assert_eq!(world.committed("g").await, []);
    assert_eq!(world.committed("h").await, [("t".to_owned(), 1, 5)]);
    assert_no_panics();
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_only_commits_does_not_grow() {
    const PARTITIONS: i32 = 1000;
    let mut world = World::new().await;
    member(&world, "g").await;
    // Some 60 bytes a commit: far more than the 8 MiB of garbage that are tolerated.
    for offset in 1..=400 {
        let committed = world.groups().commit(&commit("h", PARTITIONS, offset)).await;
        assert_eq!(committed.map(|each| each.len()), Ok(1000));
    }
    sleep(Duration::from_secs(5)).await;
    let log = &world.broker().context().log;
    let offsets = log.partitions()[0].offsets().expect("led here");
    let kept = offsets.log_end - offsets.log_start;
    assert!(offsets.log_start.0 > 0 && kept < 250_000, "{kept} records are kept");
    world.succeed(false).await;
    world.ready("h").await;
    let committed = world.committed("h").await;
    assert_eq!(committed.len(), 1000);
    assert!(committed.iter().all(|(_, _, offset)| *offset == 400));
    let described = world.groups().describe("g").await.expect("led here").expect("it exists");
    assert_eq!(described.members.len(), 1, "groups are carried forward too");
    assert_no_panics();
}

#[tokio::test(start_paused = true)]
async fn offsets_of_a_deleted_topic_go() {
    use crate::cluster::client::{CreateTopics, NewTopic, TopicRef};
    let world = World::new().await;
    let cluster = &world.broker().context().cluster;
    let topic = NewTopic {
        name: "t".to_owned(),
        partitions: Some(1),
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
    cluster.create_topics(request).await.expect("created");
    sleep(Duration::from_secs(1)).await;
    let mut other = commit("h", 1, 5);
    other.offsets[0].topic = "u".to_owned();
    assert_eq!(world.groups().commit(&commit("h", 1, 5)).await, Ok(vec![None]));
    assert_eq!(world.groups().commit(&other).await, Ok(vec![None]));
    cluster.delete_topics(vec![TopicRef::Name("t".to_owned())]).await.expect("deleted");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(world.committed("h").await, [("u".to_owned(), 0, 5)]);
    assert_no_panics();
}

#[tokio::test(start_paused = true)]
async fn many_members_of_many_groups_are_cheap() {
    const GROUPS: usize = 1000;
    const MEMBERS: usize = 10;
    let world = World::new().await;
    let mut joins = Vec::new();
    for group in 0..GROUPS {
        let group_id = format!("g{group}");
        for _ in 0..MEMBERS {
            let groups = world.groups().clone();
            let request = join(&group_id, "");
            joins.push(task::spawn("test-join", async move {
                (request.group_id.clone(), groups.join(request).await)
            }));
        }
    }
    let mut joined = Vec::new();
    for join in joins {
        joined.push(join.await.expect("not cancelled").expect("no panic"));
    }
    let in_generations = joined.iter().filter(|(_, answer)| answer.refusal.is_none()).count();
    assert_eq!(in_generations, GROUPS * MEMBERS);
    for (group_id, answer) in &joined {
        assert_eq!(world.groups().heartbeat(&heartbeat(group_id, answer)).await, Ok(()));
    }
    assert_eq!(world.groups().list(|_| true).await.map(|all| all.len()), Ok(GROUPS));
    assert_no_panics();
}
