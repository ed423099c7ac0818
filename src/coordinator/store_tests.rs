//! The coordinator over a store that misbehaves: outages, crashes between any two durable writes, and the same calls twice.

use std::collections::BTreeMap;
use std::time::Duration;

use super::tests::{create, join, open};
use super::{Coordinator, Options};
use crate::base::ids::{BrokerId, SlotId, TopicPartition};
use crate::base::offset::Offset;
use crate::base::rng::Rng;
use crate::cluster::ClusterClient as _;
use crate::cluster::client::{CreateTopics, NewTopic, TopicRef};
use crate::manifest::client::{Registration, RetentionDefaults};
use crate::manifest::tests::{checkpoint, clock, incarnation, run, slot};
use crate::manifest::{Error, ManifestClient as _};
use crate::object::faults::{Fault, Faults, Op, Rates, Script};
use crate::object::{self, Store};

fn faulty(seed: u64) -> (Store, Store, Faults) {
    let faults = Faults::new(Rng::from_seed(seed));
    let sound = object::build::memory(clock());
    let store = sound.wrapped(|raw| faults.wrap(raw));
    (sound, store, faults)
}

/// Far more tries than SlateDB makes of one call.
const OUTAGE: u32 = 200;

#[tokio::test(start_paused = true)]
async fn an_outage_costs_answers_but_no_state() {
    let (_, store, faults) = faulty(1);
    let coordinator = open(&store, 7).await;
    let chain = join(&coordinator, 7).await;
    let tp = TopicPartition { topic: create(&coordinator, "t", 1).await, partition: 0 };
    coordinator.commit(chain, vec![slot(0, vec![run(tp, 0, 0..5)])]).await.expect("committed");
    let term = coordinator.image().borrow().term;
    faults.script(Script::next(Op::Put, "", Fault::Status(503)).times(OUTAGE));
    let rows = vec![slot(1, vec![run(tp, 0, 5..9)])];
    assert_eq!(coordinator.commit(chain, rows.clone()).await, Err(Error::Unavailable));
    assert_eq!(coordinator.plan(tp, Offset(0), 9).await, Err(Error::Unavailable));
    faults.stop();
    // Whoever asks again is answered once the store was opened again, by the same process: nobody took over.
    while coordinator.commit(chain, rows.clone()).await.is_err() {
        crate::base::clock::sleep(Duration::from_secs(1)).await;
    }
    let plan = coordinator.plan(tp, Offset(0), 9).await.expect("planned");
    assert_eq!((plan.runs.len(), plan.committed_end), (2, Offset(9)));
    assert!(coordinator.image().borrow().term > term);
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_that_lost_its_store_never_fences_its_successor() {
    let (sound, store, faults) = faulty(2);
    let old = open(&store, 7).await;
    join(&old, 7).await;
    faults.script(Script::next(Op::Put, "", Fault::Status(503)).times(OUTAGE));
    let lost = old.register(registration(9)).await;
    assert_eq!(lost, Err(Error::Unavailable));
    let new = open(&sound, 8).await;
    faults.stop();
    let successor = tokio::time::timeout(Duration::from_secs(60), old.superseded()).await;
    assert_eq!(successor.expect("it learns").incarnation, incarnation(8));
    join(&new, 8).await;
}

fn registration(process: u128) -> Registration {
    let (broker, incarnation) = (BrokerId(1), incarnation(process));
    Registration { broker, incarnation, ended: None, listeners: BTreeMap::new(), rack: None }
}

/// A life with everything in it; says what was answered before the store failed it.
async fn life(coordinator: &Coordinator) -> Vec<&'static str> {
    let mut done = Vec::new();
    let _ = live(coordinator, &mut done).await;
    done
}

async fn live(coordinator: &Coordinator, done: &mut Vec<&'static str>) -> Option<()> {
    let chain = coordinator.register(registration(7)).await.ok()?.chain;
    done.push("registered");
    let topic = |name: &str| NewTopic {
        name: name.to_owned(),
        partitions: Some(2),
        replication_factor: None,
        assignments: BTreeMap::new(),
        configs: BTreeMap::new(),
    };
    let (topics, validate_only) = (vec![topic("a"), topic("b")], false);
    let request = CreateTopics {
        topics,
        validate_only,
        default_partitions: 1,
        default_replication_factor: 1,
    };
    let created = coordinator.create_topics(request).await.ok()?.value;
    done.push("created");
    let a = created[0].as_ref().ok()?.id;
    let tp = |partition| TopicPartition { topic: a, partition };
    let first = checkpoint(checkpoint(slot(0, vec![run(tp(0), 0, 0..5)]), tp(0), 0), tp(1), 0);
    coordinator.commit(chain, vec![first]).await.ok()?;
    done.push("committed");
    let second = checkpoint(checkpoint(slot(1, vec![run(tp(0), 0, 5..9)]), tp(0), 0), tp(1), 0);
    coordinator.commit(chain, vec![second]).await.ok()?;
    done.push("committed more");
    coordinator.advance_log_start(tp(0), Offset(5)).await.ok()?;
    done.push("moved");
    let b = created[1].as_ref().ok()?.id;
    let led = [0, 1].map(|partition| TopicPartition { topic: b, partition });
    let release = async {
        // Only what is being deleted is released.
        let mut image = coordinator.image();
        image
            .wait_for(|image| image.topics.get(&b).is_none_or(|topic| topic.deleting))
            .await
            .ok()?;
        coordinator.released(chain, led.to_vec()).await.ok()
    };
    let (deleted, _) = tokio::join!(coordinator.delete_topics(vec![TopicRef::Id(b)]), async {
        tokio::select! { biased; done = release => done, _ = coordinator.superseded() => None }
    });
    deleted.ok()?;
    done.push("deleted");
    let trimmed = coordinator.trim(clock().now(), 9).await.ok()?;
    assert_eq!(trimmed.slots, 1);
    done.push("trimmed");
    let next =
        coordinator.register(Registration { ended: Some(chain), ..registration(7) }).await.ok()?;
    coordinator.seal(chain, SlotId(2)).await.ok()?;
    done.push("sealed");
    let defaults = RetentionDefaults { retention_ms: None, retention_bytes: Some(0), delete: true };
    coordinator.retain(clock().now(), defaults).await.ok()?;
    assert_eq!(coordinator.acquire(next.chain).await.ok()?.len(), 2);
    done.push("acquired");
    Some(())
}

/// What of the life is to be seen in a coordinator that was opened after it.
async fn seen(coordinator: &Coordinator) -> Vec<&'static str> {
    let image = coordinator.image().borrow().clone();
    let a = image.topic("a").cloned();
    let end = match &a {
        Some(a) => {
            let tp = TopicPartition { topic: a.id, partition: 0 };
            let plan = coordinator.plan(tp, a.partitions[0].log_start, 9).await.expect("planned");
            plan.committed_end.0
        }
        None => 0,
    };
    let first = a.as_ref().map(|a| &a.partitions[0]);
    let size = coordinator.size().await.expect("counted");
    let facts = [
        ("registered", !image.brokers.is_empty()),
        ("created", a.is_some()),
        ("committed", end >= 5),
        ("committed more", end >= 9),
        ("moved", first.is_some_and(|p| p.log_start >= Offset(5))),
        ("deleted", a.is_some() && image.topic("b").is_none() && image.topics.len() == 1),
        ("trimmed", size.deletions == 1),
        ("sealed", first.is_some_and(|p| p.leader_epoch.0 >= 1)),
        ("acquired", first.is_some_and(|p| p.leader_epoch.0 >= 1)),
    ];
    facts.iter().filter(|(_, seen)| *seen).map(|(fact, _)| *fact).collect()
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_write_keeps_every_answered_change() {
    let whole = {
        let (_, store, faults) = faulty(3);
        let coordinator = open(&store, 7).await;
        assert_eq!(life(&coordinator).await.len(), 9);
        faults.count(Op::Put, "")
    };
    for fault in [Fault::FailBefore, Fault::FailAfter] {
        for write in 0..u32::try_from(whole).expect("small") {
            let (sound, store, faults) = faulty(3);
            faults.script(Script::next(Op::Put, "", fault).times(u32::MAX).after(write));
            let options = options(&store, 7);
            let crash = async {
                let coordinator = Coordinator::open(options).await.ok()?;
                Some(life(&coordinator).await)
            };
            let limit = Duration::from_secs(40);
            let done = tokio::time::timeout(limit, crash).await.ok().flatten().unwrap_or_default();
            faults.stop();
            let again = open(&sound, 8).await;
            let seen = seen(&again).await;
            assert!(
                done.iter().all(|fact| seen.contains(fact)),
                "{write} {fault:?}: {done:?} {seen:?}"
            );
            join(&again, 8).await;
        }
    }
}

fn options(store: &Store, process: u128) -> Options {
    super::tests::options(store, process)
}

#[tokio::test(start_paused = true)]
async fn one_seed_makes_the_same_calls_twice() {
    let trace = |seed: u64| async move {
        let (_, store, faults) = faulty(seed);
        let rates = Rates {
            latency: (Duration::from_millis(1), Duration::from_millis(60)),
            throttled: 20,
            fail_after: 10,
            ..Rates::default()
        };
        faults.set_rates(rates);
        let start = tokio::time::Instant::now();
        for process in 7..9 {
            let coordinator = open(&store, process).await;
            life(&coordinator).await;
        }
        (start.elapsed(), faults.log())
    };
    let (first, second, other) = (trace(5).await, trace(5).await, trace(6).await);
    assert!(first.1.len() > 40, "{}", first.1.len());
    assert_eq!(first.0, second.0);
    assert_ne!(first.1, other.1);
    for (a, b) in first.1.iter().zip(&second.1) {
        // Each line begins with its time since the runtime began; these two ran one after the other.
        assert_eq!(a.split_once(' ').map(|x| x.1), b.split_once(' ').map(|x| x.1));
    }
    assert_eq!(first.1.len(), second.1.len());
}
