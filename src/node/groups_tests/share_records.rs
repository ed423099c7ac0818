//! Records of share groups on a whole broker: who gets what, what a restart keeps, what comes back in time.

use std::time::Duration;

use tokio::time::Instant;

use super::consumer::create;
use super::{World, clock};
use crate::base::clock::{Timestamp, sleep};
use crate::base::ids::TopicPartition;
use crate::base::offset::Offset;
use crate::base::task::{self, assert_no_panics};
use crate::groups::share::Heartbeat;
use crate::log::{Isolation, Terms as Appending};
use crate::record::Compression;
use crate::record::build::BatchBuilder;
use crate::share::fetch::{Answer, Terms};
use crate::share::partition::{AckError, Acknowledgement};
use crate::share::sessions::{FetchRequest, MemberKey};
use crate::share::{Connection, Error, SharePartitions, persister};

const ACCEPT: i8 = 1;
const RELEASE: i8 = 2;

/// A member as its client knows it.
struct Member {
    shares: SharePartitions,
    connection: Connection,
    key: MemberKey,
    tp: TopicPartition,
    epoch: i32,
}

/// First offset, last offset, delivery count.
type Got = Vec<(i64, i64, i16)>;

impl Member {
    fn new(world: &World, id: &str, tp: TopicPartition) -> Self {
        let shares = world.broker().context().share.clone();
        let connection = shares.connection();
        let key = MemberKey { group: "s".to_owned(), member: id.to_owned() };
        Self { shares, connection, key, tp, epoch: 0 }
    }

    async fn answered(&mut self, wait: Duration) -> Answer {
        let request = FetchRequest {
            epoch: self.epoch,
            wanted: vec![self.tp],
            forgotten: Vec::new(),
            acknowledges: false,
            connection: self.connection.id(),
        };
        let context = self.shares.fetch_session(&self.key, request).expect("its session");
        self.epoch += 1;
        let terms = Terms {
            isolation: Isolation::ReadUncommitted,
            bytes_min: 1,
            bytes_max: 1 << 20,
            records_max: 10,
            batch_size: 100,
            deadline: Instant::now() + wait,
        };
        self.shares.fetch(&self.key, context.partitions(), terms, |bytes| bytes).await
    }

    async fn fetch(&mut self, wait: Duration) -> Got {
        let answered = self.answered(wait).await;
        let fetched = answered.into_iter().map(|(_, fetched)| fetched.expect("records"));
        let all: Vec<_> = fetched.flat_map(|fetched| fetched.acquired).collect();
        all.iter().map(|part| (part.first.0, part.last.0, part.delivery_count)).collect()
    }

    async fn say(&self, said: &[(i64, i64, &[i8])]) -> Result<(), Error> {
        let all = said.iter().map(|(first, last, types)| Acknowledgement {
            first: Offset(*first),
            last: Offset(*last),
            types: types.to_vec(),
        });
        self.shares.acknowledge(&self.key, self.tp, &all.collect::<Vec<_>>()).await
    }
}

const NO_WAIT: Duration = Duration::ZERO;

/// A topic `t` whose only partition is read by the group from its first record on.
async fn begin(world: &World) -> TopicPartition {
    let topic = create(world, "t", 1).await;
    join(world).await;
    TopicPartition { topic, partition: 0 }
}

/// Has the state of the partition made: by a member that subscribes.
async fn join(world: &World) {
    let mut epoch = 0;
    for _ in 0..4 {
        let beat = Heartbeat {
            member_id: "m".to_owned(),
            epoch,
            topic_names: Some(vec!["t".to_owned()]),
            client_id: "c".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            ..Heartbeat::default()
        };
        let answer = world.groups().share_heartbeat("s", &beat).await.expect("led here");
        epoch = answer.expect("a member").epoch;
        sleep(Duration::from_secs(1)).await;
    }
}

/// One batch of so many records.
async fn produce(world: &World, tp: TopicPartition, records: usize) {
    let mut builder = BatchBuilder::new(Compression::None);
    for _ in 0..records {
        builder.push_value(Timestamp(1), None, Some(b"value"));
    }
    append(world, tp, builder).await;
}

async fn append(world: &World, tp: TopicPartition, builder: BatchBuilder) {
    let partition = world.broker().registry().partition(&tp).expect("led here");
    let appended = partition.append(&builder.build(), Appending::client(clock().now()));
    let stable = appended.expect("it is led here").stable.expect("it is new");
    stable.wait().await.expect("the store is well");
}

#[tokio::test(start_paused = true)]
async fn what_is_acknowledged_never_comes_again_and_the_rest_does() {
    for orderly in [true, false] {
        let mut world = World::new().await;
        let tp = begin(&world).await;
        let mut a = Member::new(&world, "a", tp);
        assert_eq!(a.fetch(NO_WAIT).await, [], "it begins at the end of the log");
        produce(&world, tp, 5).await;
        produce(&world, tp, 5).await;
        assert_eq!(a.fetch(NO_WAIT).await, [(0, 9, 1)]);
        a.say(&[(0, 3, &[ACCEPT]), (4, 5, &[RELEASE, ACCEPT])]).await.expect("its own");
        let late = a.say(&[(0, 0, &[ACCEPT])]).await;
        late.expect("it is done with");
        world.succeed(orderly).await;
        world.ready("s").await;
        let mut b = Member::new(&world, "b", tp);
        let got = retried(&mut b).await;
        assert_eq!(got, [(4, 4, 2), (6, 9, 1)], "orderly: {orderly}");
        b.say(&[(4, 4, &[ACCEPT]), (6, 9, &[ACCEPT])]).await.expect("its own");
        sleep(Duration::from_secs(60)).await;
        assert_eq!(b.fetch(NO_WAIT).await, []);
        assert_no_panics();
    }
}

/// Until the state is there: the shards of a new leader are replayed first.
async fn retried(member: &mut Member) -> Got {
    for _ in 0..100 {
        let got = member.fetch(Duration::from_millis(100)).await;
        if !got.is_empty() {
            return got;
        }
    }
    Vec::new()
}

fn not_theirs(said: Result<(), Error>) -> bool {
    matches!(said, Err(Error::Acknowledgement(AckError::InvalidRecordState)))
}

#[tokio::test(start_paused = true)]
async fn records_are_with_one_member_until_its_lock_or_its_session_ends() {
    let world = World::new().await;
    let tp = begin(&world).await;
    let [mut a, mut b, mut c] = ["a", "b", "c"].map(|id| Member::new(&world, id, tp));
    assert_eq!(a.fetch(NO_WAIT).await, []);
    produce(&world, tp, 3).await;
    assert_eq!(a.fetch(NO_WAIT).await, [(0, 2, 1)]);
    assert_eq!(b.fetch(Duration::from_secs(20)).await, []);
    assert!(not_theirs(b.say(&[(0, 2, &[ACCEPT])]).await));
    let waits = Instant::now();
    assert_eq!(b.fetch(Duration::from_secs(20)).await, [(0, 2, 2)], "woken as the lock ends");
    assert_eq!(waits.elapsed().as_secs(), 10);
    assert!(not_theirs(a.say(&[(0, 2, &[ACCEPT])]).await));
    // The connection of the one that has them ends.
    let waiting = task::spawn("test", async move { (c.fetch(Duration::from_secs(20)).await, c) });
    sleep(Duration::from_secs(1)).await;
    drop(b);
    let (got, c) = waiting.await.expect("runs").expect("no panic");
    assert_eq!(got, [(0, 2, 3)]);
    c.say(&[(0, 1, &[ACCEPT])]).await.expect("its own");
    c.shares.close_session(&c.key).await;
    assert_eq!(a.fetch(NO_WAIT).await, [(2, 2, 4)]);
    assert_no_panics();
}

#[tokio::test(start_paused = true)]
async fn a_record_comes_so_often_and_the_broker_s_end_does_not_change_it() {
    let mut world = World::new().await;
    let tp = begin(&world).await;
    let mut a = Member::new(&world, "a", tp);
    assert_eq!(a.fetch(NO_WAIT).await, []);
    produce(&world, tp, 1).await;
    for delivery in 1..=3 {
        assert_eq!(a.fetch(NO_WAIT).await, [(0, 0, delivery)]);
        a.say(&[(0, 0, &[RELEASE])]).await.expect("its own");
    }
    world.succeed(false).await;
    world.ready("s").await;
    let mut a = Member::new(&world, "a", tp);
    assert_eq!(retried(&mut a).await, [(0, 0, 4)]);
    a.say(&[(0, 0, &[RELEASE])]).await.expect("its own");
    assert_eq!(a.fetch(NO_WAIT).await, [(0, 0, 5)]);
    a.say(&[(0, 0, &[RELEASE])]).await.expect("its own");
    assert_eq!(a.fetch(NO_WAIT).await, [], "it was delivered five times");
    let summary = world.groups().share_offsets("s", Some(vec![(tp.topic, 0)])).await;
    let summary = summary.expect("led here")[&(tp.topic, 0)].expect("readable");
    // The start is kept with the next change; until then it is told how much behind it is done.
    assert_eq!((summary.start_offset, summary.delivery_complete_count), (0, 1));
    assert_no_panics();
}

#[tokio::test(start_paused = true)]
async fn where_a_group_begins_is_kept_before_anything_is_given_out() {
    let mut world = World::new().await;
    let tp = begin(&world).await;
    produce(&world, tp, 2).await;
    let mut a = Member::new(&world, "a", tp);
    assert_eq!(a.fetch(Duration::from_secs(1)).await, [], "it begins at the end of the log");
    produce(&world, tp, 3).await;
    world.succeed(false).await;
    let mut a = Member::new(&world, "a", tp);
    // What is kept is being replayed: that is waited for, not told.
    assert_eq!(a.fetch(Duration::from_secs(5)).await, [(2, 4, 1)]);
    assert_no_panics();
}

#[tokio::test(start_paused = true)]
async fn a_superseded_broker_acknowledges_nothing() {
    let mut world = World::new().await;
    let tp = begin(&world).await;
    let mut old = Member::new(&world, "a", tp);
    assert_eq!(old.fetch(NO_WAIT).await, []);
    produce(&world, tp, 3).await;
    assert_eq!(old.fetch(NO_WAIT).await, [(0, 2, 1)]);
    let before = world.broker.take().expect("there is one");
    world.succeed(false).await;
    world.ready("s").await;
    assert!(old.say(&[(0, 2, &[ACCEPT])]).await.is_err(), "its chain is fenced");
    let mut new = Member::new(&world, "b", tp);
    assert_eq!(retried(&mut new).await, [(0, 2, 1)]);
    drop(before);
    assert_no_panics();
}

#[tokio::test(start_paused = true)]
async fn what_was_not_begun_and_what_is_not_there_is_refused() {
    let world = World::new().await;
    let topic = create(&world, "t", 1).await;
    let tp = |partition| TopicPartition { topic, partition };
    let mut member = Member::new(&world, "a", tp(0));
    let answered = member.answered(Duration::from_secs(1)).await;
    assert!(matches!(answered[..], [(_, Err(Error::State(persister::Error::NotInitialized)))]));
    assert!(matches!(member.say(&[(0, 0, &[ACCEPT])]).await, Err(Error::NotLoaded)));
    let mut member = Member::new(&world, "b", tp(1));
    assert!(matches!(member.answered(NO_WAIT).await[..], [(_, Err(Error::NotLeader))]));
    assert_no_panics();
}

/// Of 100 share partitions two have locks that expire: each is looked at when they do and once that is kept, no other ever.
#[tokio::test(start_paused = true)]
async fn locks_that_expire_cost_no_look_at_other_partitions() {
    let world = World::new().await;
    let topic = create(&world, "t", 100).await;
    join(&world).await;
    let mut members = Vec::new();
    for partition in 0..100 {
        let tp = TopicPartition { topic, partition };
        let mut member = Member::new(&world, &format!("m{partition}"), tp);
        assert_eq!(member.fetch(NO_WAIT).await, []);
        members.push(member);
    }
    let shares = members[0].shares.clone();
    let looks = shares.looks();
    for member in &mut members[..2] {
        produce(&world, member.tp, 1).await;
        assert_eq!(member.fetch(NO_WAIT).await, [(0, 0, 1)]);
        sleep(Duration::from_secs(1)).await;
    }
    sleep(Duration::from_secs(60)).await;
    assert_eq!(shares.looks() - looks, 4);
    for member in &mut members[..2] {
        assert_eq!(member.fetch(NO_WAIT).await, [(0, 0, 2)], "its lock expired");
    }
    assert_no_panics();
}
