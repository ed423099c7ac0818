//! The coordinator through its two seams, over a store in memory and paused time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;

use super::{Coordinator, Options};
use crate::base::clock::Timestamp;
use crate::base::ids::{
    BrokerId, ChainId, Incarnation, LeaderEpoch, SlotId, TopicId, TopicPartition,
};
use crate::base::offset::Offset;
use crate::base::rng::Rng;
use crate::base::task::assert_no_panics;
use crate::cluster::client::{ConfigChange, ConfigEdit, CreateTopics, NewTopic};
use crate::cluster::config::{AcceptAll, ConfigOp, ConfigResource};
use crate::cluster::error::Refusal;
use crate::cluster::{self, ClusterClient as _};
use crate::manifest::client::{ChainSpan, Deletion, EpochStart, Registration, RetentionDefaults};
use crate::manifest::row::{CheckpointRow, RunRow, SlotRow};
use crate::manifest::tests::{clock, incarnation, run, slot};
use crate::manifest::{Error, ManifestClient as _, Violation};
use crate::object::{self, Store};

pub(super) const NODE: BrokerId = BrokerId(1);

pub(super) fn store() -> Store {
    object::build::memory(clock())
}

pub(crate) fn options(store: &Store, process: u128) -> Options {
    Options {
        cluster_id: "c".to_owned(),
        broker: NODE,
        incarnation: incarnation(process),
        store: store.clone(),
        if_match: false,
        clock: clock(),
        rng: Rng::from_seed(u64::try_from(process).expect("a small number")),
        rules: Arc::new(AcceptAll),
        queue_max: 64,
    }
}

pub(crate) async fn open(store: &Store, process: u128) -> Coordinator {
    Coordinator::open(options(store, process)).await.expect("a healthy store")
}

pub(super) fn registration(process: u128, ended: Option<u64>) -> Registration {
    Registration {
        broker: NODE,
        incarnation: incarnation(process),
        ended: ended.map(ChainId),
        listeners: BTreeMap::new(),
        rack: None,
    }
}

pub(crate) async fn join(coordinator: &Coordinator, process: u128) -> ChainId {
    coordinator.register(registration(process, None)).await.expect("registered").chain
}

pub(super) fn new_topic(name: &str, partitions: i32) -> NewTopic {
    NewTopic {
        name: name.to_owned(),
        partitions: Some(partitions),
        replication_factor: None,
        assignments: BTreeMap::new(),
        configs: BTreeMap::new(),
    }
}

pub(super) fn request(topics: Vec<NewTopic>) -> CreateTopics {
    CreateTopics {
        topics,
        validate_only: false,
        default_partitions: 1,
        default_replication_factor: 1,
    }
}

pub(crate) async fn create(coordinator: &Coordinator, name: &str, partitions: i32) -> TopicId {
    let answer = coordinator.create_topics(request(vec![new_topic(name, partitions)])).await;
    let answer = answer.expect("an answer");
    assert!(coordinator.image().borrow().version >= answer.version);
    answer.value[0].as_ref().expect("created").id
}

pub(super) fn of(topic: TopicId, partition: i32) -> TopicPartition {
    TopicPartition { topic, partition }
}

fn checkpointed(mut row: SlotRow, tp: TopicPartition, epoch: i32) -> SlotRow {
    row.checkpoints.push(CheckpointRow { tp, leader_epoch: LeaderEpoch(epoch) });
    row
}

pub(super) async fn refused(coordinator: &Coordinator, topic: NewTopic) -> Refusal {
    let answer = coordinator.create_topics(request(vec![topic])).await.expect("an answer");
    answer.value[0].clone().expect_err("a refusal")
}

#[tokio::test(start_paused = true)]
async fn a_process_gets_one_chain_however_often_it_asks() {
    let coordinator = open(&store(), 7).await;
    let first = coordinator.register(registration(7, None)).await.expect("registered");
    assert_eq!(coordinator.register(registration(7, None)).await, Ok(first.clone()));
    let second =
        coordinator.register(registration(7, Some(first.chain.0))).await.expect("registered");
    assert!(second.chain > first.chain);
    assert_eq!(second.fencing.iter().map(|f| f.chain).collect::<Vec<_>>(), [first.chain]);
    let again = coordinator.register(registration(7, Some(first.chain.0))).await;
    assert_eq!(again, Ok(second));
    assert_no_panics();
}

#[tokio::test(start_paused = true)]
async fn a_newer_process_takes_the_identity_and_the_older_never_takes_it_back() {
    let coordinator = open(&store(), 7).await;
    let old = join(&coordinator, 7).await;
    let new = coordinator.register(registration(8, None)).await.expect("registered");
    assert_eq!(new.fencing.len(), 1);
    assert_eq!(
        coordinator.commit(old, vec![slot(0, vec![])]).await,
        Err(Error::Fenced { chain: old })
    );
    let back = coordinator.register(registration(7, Some(old.0))).await;
    assert_eq!(back, Err(Error::Superseded { broker: NODE, successor: incarnation(8) }));
}

#[tokio::test(start_paused = true)]
async fn a_takeover_grants_everything_in_a_new_epoch_with_what_to_replay() {
    let coordinator = open(&store(), 7).await;
    let old = join(&coordinator, 7).await;
    let topic = create(&coordinator, "orders", 2).await;
    let (a, b) = (of(topic, 0), of(topic, 1));
    let rows = vec![
        checkpointed(slot(0, vec![run(a, 0, 0..10)]), a, 0),
        slot(1, vec![run(a, 0, 10..20), run(b, 0, 0..5)]),
    ];
    coordinator.commit(old, rows).await.expect("committed");

    let new = coordinator.register(registration(8, None)).await.expect("registered");
    assert_eq!(new.fencing[0].committed, Some(SlotId(1)));
    assert_eq!(coordinator.image().borrow().partition(&a).expect("there").leader, None);
    let waits = Error::NotSealed { chains: 1, first: old };
    assert_eq!(coordinator.acquire(new.chain).await, Err(waits));
    let found = checkpointed(slot(2, vec![run(b, 0, 5..9)]), a, 0);
    coordinator.recovered(old, vec![found.clone()]).await.expect("recovered");
    coordinator.recovered(old, vec![found]).await.expect("twice is once");
    let gap = Error::Gap { chain: old, expected: SlotId(3), given: SlotId(4) };
    assert_eq!(coordinator.seal(old, SlotId(4)).await, Err(gap));
    coordinator.seal(old, SlotId(3)).await.expect("sealed");
    coordinator.seal(old, SlotId(3)).await.expect("twice is once");
    let sealed = Error::AlreadySealed { chain: old, sealed_at: SlotId(3) };
    assert_eq!(coordinator.seal(old, SlotId(5)).await, Err(sealed));

    let leases = coordinator.acquire(new.chain).await.expect("granted");
    let facts = |n: usize| {
        (leases[n].tp, leases[n].leader_epoch, leases[n].start, leases[n].replay.clone())
    };
    let span = |from| vec![ChainSpan { chain: old, from: SlotId(from), end: SlotId(3) }];
    assert_eq!(facts(0), (a, LeaderEpoch(1), Offset(20), span(2)));
    assert_eq!(facts(1), (b, LeaderEpoch(1), Offset(9), span(0)));
    let epoch = |epoch, start| EpochStart { epoch: LeaderEpoch(epoch), start: Offset(start) };
    assert_eq!(*leases[0].epochs, [epoch(0, 0), epoch(1, 20)]);
    assert_eq!(coordinator.acquire(new.chain).await.expect("twice is once"), leases);
    let image = coordinator.image().borrow().clone();
    assert_eq!(image.partition(&a).expect("there").chain, Some(new.chain));
    let stale = vec![slot(0, vec![run(a, 0, 20..21)])];
    let violation = Violation::NotGranted { tp: a, epoch: LeaderEpoch(0) };
    let refused = Error::Refused { chain: new.chain, slot: SlotId(0), violation };
    assert_eq!(coordinator.commit(new.chain, stale).await, Err(refused));
}

#[tokio::test(start_paused = true)]
async fn commits_are_consecutive_and_idempotent_in_parts_of_64() {
    let coordinator = open(&store(), 7).await;
    let chain = join(&coordinator, 7).await;
    let tp = of(create(&coordinator, "t", 1).await, 0);
    let row = |n: u64| {
        let base = i64::try_from(n).expect("small");
        slot(n, vec![run(tp, 0, base..base + 1)])
    };
    let rows = |range: std::ops::Range<u64>| range.map(row).collect::<Vec<_>>();
    coordinator.commit(chain, rows(0..64)).await.expect("committed");
    coordinator.commit(chain, rows(32..70)).await.expect("the known ones are skipped");
    let gap = Error::Gap { chain, expected: SlotId(70), given: SlotId(71) };
    assert_eq!(coordinator.commit(chain, rows(71..72)).await, Err(gap));
    let refused = |slot, violation| Err(Error::Refused { chain, slot: SlotId(slot), violation });
    let many = refused(70, Violation::TooMany { rows: 65 });
    assert_eq!(coordinator.commit(chain, rows(70..135)).await, many);
    let mixed = refused(72, Violation::OutOfOrder { previous: SlotId(70), next: SlotId(72) });
    assert_eq!(coordinator.commit(chain, vec![row(70), row(72)]).await, mixed);
    let empty = Violation::EmptyRun { tp, base: Offset(70), end: Offset(70) };
    assert_eq!(
        coordinator.commit(chain, vec![slot(70, vec![run(tp, 0, 70..70)])]).await,
        refused(70, empty)
    );
    let unknown = of(TopicId(uuid::Uuid::from_u128(99)), 0);
    let stranger = vec![slot(70, vec![run(unknown, 0, 0..1)])];
    let violation = Violation::UnknownPartition { tp: unknown };
    assert_eq!(coordinator.commit(chain, stranger).await, refused(70, violation));
    let plan = coordinator.plan(tp, Offset(68), 10).await.expect("planned");
    assert_eq!(plan.runs.iter().map(|r| r.slot.0).collect::<Vec<_>>(), [68, 69]);
    assert_eq!((plan.committed_end, plan.log_start), (Offset(70), Offset(0)));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_does_not_follow_takes_its_partition_offline_and_nothing_else() {
    let store = store();
    let coordinator = open(&store, 7).await;
    let chain = join(&coordinator, 7).await;
    let topic = create(&coordinator, "t", 2).await;
    let (bad, good) = (of(topic, 0), of(topic, 1));
    let rows = vec![
        slot(0, vec![run(bad, 0, 0..5), run(good, 0, 0..5)]),
        slot(1, vec![run(bad, 0, 6..7), run(good, 0, 5..6)]),
        slot(2, vec![run(bad, 0, 7..8)]),
    ];
    coordinator.commit(chain, rows).await.expect("committed");
    let image = coordinator.image().borrow().clone();
    let shown = |tp: &TopicPartition| image.partition(tp).map(|p| (p.offline, p.leader.is_some()));
    assert_eq!((shown(&bad), shown(&good)), (Some((true, false)), Some((false, true))));
    let end =
        |plan: Result<crate::manifest::client::Plan, Error>| plan.expect("planned").committed_end;
    assert_eq!(end(coordinator.plan(bad, Offset(0), 9).await), Offset(5));
    coordinator.shutdown().await;
    let again = open(&store, 7).await;
    assert_eq!(end(again.plan(bad, Offset(0), 9).await), Offset(5));
    assert_eq!(end(again.plan(good, Offset(0), 9).await), Offset(6));
}

#[tokio::test(start_paused = true)]
async fn overrides_are_set_taken_back_and_listed() {
    let coordinator = open(&store(), 7).await;
    join(&coordinator, 7).await;
    create(&coordinator, "t", 1).await;
    let topic = || ConfigResource::Topic("t".to_owned());
    let alter = |resource, change| {
        let part = ConfigChange { resource, change };
        coordinator
            .alter_configs(vec![part], false)
            .map(|answer| answer.expect("an answer").value.remove(0))
    };
    let op = |key: &str, op| ConfigEdit::Incremental(vec![(key.to_owned(), op)]);
    let shown = |resource: &ConfigResource| {
        let image = coordinator.image().borrow().clone();
        let overrides = image.overrides(resource).cloned().unwrap_or_default();
        overrides
            .into_iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    alter(topic(), op("a", ConfigOp::Set("x,y".to_owned()))).await.expect("altered");
    alter(topic(), op("a", ConfigOp::Append("y,z".to_owned()))).await.expect("altered");
    assert_eq!(shown(&topic()), "a=x,y,z");
    alter(topic(), op("a", ConfigOp::Subtract("x,q".to_owned()))).await.expect("altered");
    alter(topic(), op("b", ConfigOp::Set("1".to_owned()))).await.expect("altered");
    assert_eq!(shown(&topic()), "a=y,z b=1");
    alter(topic(), op("b", ConfigOp::Delete)).await.expect("altered");
    alter(topic(), ConfigEdit::Replace([("c".to_owned(), "2".to_owned())].into()))
        .await
        .expect("altered");
    assert_eq!(shown(&topic()), "c=2");
    let broker = ConfigResource::Broker(Some(NODE));
    alter(broker.clone(), op("d", ConfigOp::Set("3".to_owned()))).await.expect("altered");
    assert_eq!(shown(&broker), "d=3");
    let unknown = alter(ConfigResource::Topic("u".to_owned()), op("a", ConfigOp::Delete)).await;
    assert!(matches!(unknown, Err(Refusal::UnknownTopicName { .. })));
}

#[tokio::test(start_paused = true)]
async fn producer_ids_are_given_once_across_restarts() {
    let store = store();
    let mut next = 0;
    for process in 1..5 {
        let coordinator = open(&store, process).await;
        for _ in 0..3 {
            let block = coordinator.allocate_producer_ids().await.expect("a block");
            assert_eq!(block.first.0, next);
            next += i64::from(block.count);
        }
        coordinator.shutdown().await;
        assert_eq!(coordinator.allocate_producer_ids().await, Err(cluster::Error::Unavailable));
    }
}

#[tokio::test(start_paused = true)]
async fn an_older_coordinator_answers_nothing_further_and_names_its_successor() {
    let store = store();
    let old = open(&store, 7).await;
    join(&old, 7).await;
    let new = open(&store, 8).await;
    new.register(registration(8, None)).await.expect("registered");
    let superseded = Error::Superseded { broker: NODE, successor: incarnation(8) };
    assert_eq!(
        old.register(registration(7, None)).await,
        Err(Error::Unavailable).or(Err(superseded))
    );
    let late = old.create_topics(request(vec![new_topic("late", 1)])).await;
    assert!(late.is_err(), "{late:?}");
    let successor = old.superseded().await;
    assert_eq!((successor.broker, successor.incarnation), (NODE, incarnation(8)));
    assert_eq!(successor.registered.expect("registered").incarnation, incarnation(8));
    let asked = old.plan(of(TopicId(uuid::Uuid::nil()), 0), Offset(0), 1).await;
    assert_eq!(asked, Err(Error::Superseded { broker: NODE, successor: incarnation(8) }));
    create(&new, "fine", 1).await;
    assert!(new.superseded().now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn an_idle_coordinator_learns_that_it_was_superseded() {
    let store = store();
    let old = open(&store, 7).await;
    let _new = open(&store, 8).await;
    let successor = tokio::time::timeout(Duration::from_secs(30), old.superseded()).await;
    assert_eq!(successor.expect("within a few polls").incarnation, incarnation(8));
}

#[tokio::test(start_paused = true)]
async fn a_restart_shows_the_same_image_in_a_later_term() {
    let store = store();
    let coordinator = open(&store, 7).await;
    let chain = join(&coordinator, 7).await;
    let topic = create(&coordinator, "orders", 3).await;
    coordinator
        .commit(chain, vec![slot(0, vec![run(of(topic, 1), 0, 0..7)])])
        .await
        .expect("committed");
    coordinator.advance_log_start(of(topic, 1), Offset(4)).await.expect("advanced");
    let before = coordinator.image().borrow().clone();
    drop(coordinator);
    let again = open(&store, 8).await;
    let after = again.image().borrow().clone();
    assert!(after.order() > before.order());
    assert_eq!(
        (&after.topics, &after.names, &after.brokers),
        (&before.topics, &before.names, &before.brokers)
    );
    assert_eq!(again.advance_log_start(of(topic, 1), Offset(2)).await, Ok(Offset(4)));
    let below = Error::BelowLogStart { tp: of(topic, 1), offset: Offset(3), log_start: Offset(4) };
    assert_eq!(again.plan(of(topic, 1), Offset(3), 1).await, Err(below));
}

#[tokio::test(start_paused = true)]
async fn log_start_may_run_ahead_of_what_is_committed() {
    let store = store();
    let coordinator = open(&store, 7).await;
    let chain = join(&coordinator, 7).await;
    let tp = of(create(&coordinator, "t", 1).await, 0);
    coordinator.advance_log_start(tp, Offset(15)).await.expect("advanced");
    let rows = vec![
        checkpointed(slot(0, vec![run(tp, 0, 0..10)]), tp, 0),
        slot(1, vec![run(tp, 0, 10..20)]),
    ];
    coordinator.commit(chain, rows).await.expect("committed");
    let plan = coordinator.plan(tp, Offset(15), 9).await.expect("planned");
    assert_eq!(plan.runs.iter().map(|run| run.run.base_offset.0).collect::<Vec<_>>(), [10]);
    drop(coordinator);
    let again = open(&store, 7).await;
    assert_eq!(again.plan(tp, Offset(15), 9).await, Ok(plan));
    again
        .commit(chain, vec![slot(2, vec![run(tp, 0, 20..21)])])
        .await
        .expect("it goes on at the same end");
}

#[tokio::test(start_paused = true)]
async fn retention_trims_what_no_state_needs_and_queues_its_deletion() {
    let coordinator = open(&store(), 7).await;
    let chain = join(&coordinator, 7).await;
    let topic = create(&coordinator, "t", 2).await;
    let (busy, idle) = (of(topic, 0), of(topic, 1));
    let aged = |n: i64| RunRow { max_timestamp: Timestamp(n * 1000), ..run(busy, 0, n..n + 1) };
    let mut rows: Vec<SlotRow> =
        (0..10_i64).map(|n| slot(n.unsigned_abs(), vec![aged(n)])).collect();
    rows[0] = checkpointed(rows[0].clone(), idle, 0);
    rows[8] = checkpointed(rows[8].clone(), busy, 0);
    coordinator.commit(chain, rows).await.expect("committed");
    let defaults =
        RetentionDefaults { retention_ms: Some(2000), retention_bytes: None, delete: true };
    assert_eq!(coordinator.retain(Timestamp(8000), defaults).await, Ok(1));
    assert_eq!(coordinator.image().borrow().partition(&busy).expect("there").log_start, Offset(6));
    let held = coordinator.trim(Timestamp(8000), 100).await.expect("an answer");
    assert_eq!((held.slots, held.checkpoint_anew), (0, vec![idle]));
    coordinator
        .commit(chain, vec![checkpointed(slot(10, vec![]), idle, 0)])
        .await
        .expect("committed");
    let trimmed = coordinator.trim(Timestamp(8001), 4).await.expect("an answer");
    assert_eq!((trimmed.slots, trimmed.checkpoint_anew), (4, vec![]));
    assert_eq!(coordinator.trim(Timestamp(8002), 4).await.expect("an answer").slots, 2);
    let range = |from, end, at| Deletion {
        chain,
        from: SlotId(from),
        end: SlotId(end),
        queued_at: Timestamp(at),
    };
    assert_eq!(coordinator.deletions(Timestamp(8001), 9).await, Ok(vec![range(0, 4, 8001)]));
    coordinator.deleted(vec![range(0, 3, 8001)]).await.expect("taken off");
    let left = vec![range(3, 4, 8001), range(4, 6, 8002)];
    assert_eq!(coordinator.deletions(Timestamp(9000), 9).await, Ok(left.clone()));
    coordinator.deleted(left).await.expect("taken off");
    assert_eq!(coordinator.deletions(Timestamp(9000), 9).await, Ok(vec![]));
}

#[tokio::test(start_paused = true)]
async fn timestamps_find_their_run() {
    let coordinator = open(&store(), 7).await;
    let chain = join(&coordinator, 7).await;
    let tp = of(create(&coordinator, "t", 1).await, 0);
    assert_eq!(coordinator.plan_max_timestamp(tp).await, Ok(None));
    let at = |n: u64, ts: i64| {
        let base = n.cast_signed();
        slot(n, vec![RunRow { max_timestamp: Timestamp(ts), ..run(tp, 0, base..base + 1) }])
    };
    coordinator
        .commit(chain, vec![at(0, 10), at(1, 30), at(2, 20), at(3, 30)])
        .await
        .expect("committed");
    let slot_of = |found: Result<Option<crate::manifest::client::PlannedRun>, Error>| {
        found.expect("an answer").map(|run| run.slot.0)
    };
    for (ts, expected) in [(0, Some(0)), (11, Some(1)), (20, Some(1)), (30, Some(1)), (31, None)] {
        assert_eq!(slot_of(coordinator.plan_timestamp(tp, Timestamp(ts)).await), expected, "{ts}");
    }
    assert_eq!(slot_of(coordinator.plan_max_timestamp(tp).await), Some(1));
}

#[tokio::test(start_paused = true)]
async fn unread_answers_hurt_nobody() {
    let coordinator = open(&store(), 7).await;
    let asked = coordinator.register(registration(7, None)).now_or_never();
    assert!(asked.is_none());
    let incarnation: Incarnation = incarnation(7);
    let registered = coordinator.register(registration(7, None)).await.expect("registered");
    assert_eq!((registered.chain, registered.fencing), (ChainId(1), vec![]));
    assert_eq!(coordinator.image().borrow().brokers[&NODE].incarnation, incarnation);
}
