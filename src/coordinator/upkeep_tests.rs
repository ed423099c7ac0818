//! The jobs of [`crate::maintenance`] against a coordinator and a store that counts. What a day leaves behind is bounded by the retention.

use std::sync::Arc;
use std::time::Duration;

use super::tests::{create, join, open, options};
use super::{Coordinator, Options};
use crate::base::clock::{Timestamp, sleep};
use crate::base::ids::{ChainId, SlotId, TopicPartition};
use crate::base::rng::Rng;
use crate::base::task::assert_no_panics;
use crate::cluster::ClusterClient as _;
use crate::config::MaintenanceConfig;
use crate::maintenance::sweep::Sweep;
use crate::maintenance::{Jobs, Metrics, Scheduler};
use crate::manifest::ManifestClient as _;
use crate::manifest::client::RetentionDefaults;
use crate::manifest::row::{RunRow, SlotRow};
use crate::manifest::tests::{checkpoint, clock, run, slot};
use crate::object::faults::{Fault, Faults, Op, Script};
use crate::object::{self, Payload, Store, keys};
use crate::telemetry::Registry;

const HOUR: Duration = Duration::from_hours(1);

struct Rig {
    store: Store,
    coordinator: Coordinator,
    jobs: Jobs,
    chain: ChainId,
    tp: TopicPartition,
}

impl Rig {
    async fn new(store: Store) -> Self {
        let coordinator = open(&store, 7).await;
        let chain = join(&coordinator, 7).await;
        let tp = TopicPartition { topic: create(&coordinator, "t", 1).await, partition: 0 };
        let minute = Duration::from_mins(1);
        let scheduler = Scheduler {
            manifest: Arc::new(coordinator.clone()),
            store: store.clone(),
            cluster_id: "c".to_owned(),
            clock: clock(),
            config: MaintenanceConfig {
                retention_check_interval: minute,
                gc_interval: minute,
                gc_grace: minute,
                orphan_interval: minute,
            },
            defaults: RetentionDefaults {
                retention_ms: Some(3_600_000),
                retention_bytes: None,
                delete: true,
            },
            metrics: Metrics::new(&Registry::new()),
        };
        let jobs = scheduler.start();
        Self { store, coordinator, jobs, chain, tp }
    }

    /// Stores and commits slots `from..end`, of one record each, stamped now; the last holds a checkpoint if asked for.
    async fn append(&self, slots: std::ops::Range<u64>, now: Timestamp, checkpointed: bool) {
        let last = slots.end - 1;
        let row = |n: u64| {
            let base = n.cast_signed();
            let run = RunRow { max_timestamp: now, ..run(self.tp, 0, base..base + 1) };
            let row = slot(n, vec![run]);
            if checkpointed && n == last { checkpoint(row, self.tp, 0) } else { row }
        };
        for n in slots.clone() {
            let payload = Payload::from(bytes::Bytes::from_static(b"slot"));
            let key = keys::slot("c", self.chain, SlotId(n));
            self.store.put_if_absent(&key, payload).await.expect("stored");
        }
        let rows: Vec<SlotRow> = slots.map(row).collect();
        for part in rows.chunks(64) {
            self.coordinator.commit(self.chain, part.to_vec()).await.expect("committed");
        }
    }

    async fn slots(&self) -> usize {
        self.store.list(&keys::slots_prefix("c")).await.expect("listed").len()
    }
}

#[tokio::test(start_paused = true)]
async fn a_day_at_one_hour_of_retention_leaves_an_hour_behind() {
    let rig = Rig::new(object::build::memory(clock())).await;
    let wall = clock();
    let per_minute = 120;
    let (mut most_objects, mut most_rows) = (0, 0);
    for minute in 0..24 * 60 {
        // As the log does: a checkpoint when one is wanted.
        let wanted = !rig.jobs.checkpoint_anew.borrow().is_empty();
        rig.append(minute * per_minute..(minute + 1) * per_minute, wall.now(), wanted).await;
        sleep(Duration::from_mins(1)).await;
        if minute % 60 == 59 {
            let size = rig.coordinator.size().await.expect("counted");
            (most_objects, most_rows) =
                (most_objects.max(rig.slots().await), most_rows.max(size.slots));
            assert!(size.runs <= size.slots && size.deletions < 3, "{size:?}");
        }
    }
    // An hour, and the minutes of the check, of the grace and of the checkpoint that was waited for.
    let bound = usize::try_from(per_minute).expect("small") * (60 + 6);
    assert!(most_objects <= bound, "{most_objects} objects");
    assert!(most_rows <= bound, "{most_rows} rows");
    rig.coordinator.shutdown().await;
    let again = Coordinator::open(Options { clock: wall, ..options(&rig.store, 7) }).await;
    let again = again.expect("the same store");
    let log_start = again.image().borrow().partition(&rig.tp).expect("there").log_start;
    let plan = again.plan(rig.tp, log_start, 1).await.expect("planned");
    assert_eq!(plan.committed_end.0, 24 * 60 * per_minute.cast_signed());
    assert_no_panics();
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_fails_stays_queued_and_is_done_again() {
    let faults = Faults::new(Rng::from_seed(1));
    let store = object::build::memory(clock()).wrapped(|raw| faults.wrap(raw));
    let rig = Rig::new(store).await;
    let old = Timestamp(clock().now().0 - 2 * 3_600_000);
    rig.append(0..100, old, true).await;
    for (skip, fault) in [(10, Fault::FailBefore), (40, Fault::FailAfter), (20, Fault::Status(503))]
    {
        faults.script(Script::next(Op::Delete, "/w/", fault).after(skip));
    }
    sleep(HOUR).await;
    // The last slot holds the checkpoint.
    assert_eq!(rig.slots().await, 1);
    assert_eq!(rig.coordinator.deletions(Timestamp(i64::MAX), 9).await, Ok(vec![]));
    assert!(faults.count(Op::Delete, "/w/") > 99);
}

#[tokio::test(start_paused = true)]
async fn a_sweep_does_bounded_work() {
    let rig = Rig::new(object::build::memory(clock())).await;
    let old = Timestamp(clock().now().0 - 2 * 3_600_000);
    rig.append(0..50, old, true).await;
    let Rig { store, coordinator, jobs, .. } = rig;
    drop(jobs);
    let defaults = RetentionDefaults { retention_ms: Some(0), retention_bytes: None, delete: true };
    coordinator.retain(clock().now(), defaults).await.expect("retained");
    coordinator.trim(Timestamp(5), 100).await.expect("trimmed");
    let sweep = Sweep { store, cluster_id: "c".to_owned() };
    let metrics = Metrics::new(&Registry::new());
    for expected in [20, 20, 9, 0] {
        let gone = sweep.run(&coordinator, Timestamp(5), 20, &metrics).await;
        assert_eq!(gone, Ok(expected));
    }
    assert_eq!(sweep.run(&coordinator, Timestamp(4), 20, &metrics).await, Ok(0));
}

#[tokio::test(start_paused = true)]
async fn late_slots_of_an_ended_chain_go_however_often_they_come() {
    let store = object::build::memory(clock());
    let rig = Rig::new(store.clone()).await;
    rig.append(0..10, clock().now(), true).await;
    let chain = rig.chain;
    let put = async |slot: u64, bytes: usize| {
        let payload = Payload::from(bytes::Bytes::from(vec![1; bytes]));
        store.put_if_absent(&keys::slot("c", chain, SlotId(slot)), payload).await.expect("stored");
    };
    // Its own fence, a stop fence far above, and a slot that was on its way when it ended.
    put(10, 64).await;
    put(266, 64).await;
    put(12, 500).await;
    sleep(Duration::from_mins(3)).await;
    assert_eq!(rig.slots().await, 13, "an open chain is left alone");
    join(&rig.coordinator, 8).await;
    rig.coordinator.seal(chain, SlotId(10)).await.expect("sealed");
    for _ in 0..2 {
        sleep(Duration::from_mins(3)).await;
        assert_eq!(rig.slots().await, 12, "ten slots and two fences");
        put(12, 500).await;
    }
    assert_no_panics();
}
