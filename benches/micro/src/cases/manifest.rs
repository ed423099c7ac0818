//! The coordinator: commits of slot rows, durable on a store in memory, and plans of fetches.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

use thalweg::base::ids::{
    BrokerId, ChainId, Incarnation, LeaderEpoch, SlotId, TopicId, TopicPartition,
};
use thalweg::base::offset::Offset;
use thalweg::base::rng::Rng;
use thalweg::cluster::ClusterClient as _;
use thalweg::config::Config;
use thalweg::coordinator::{Coordinator, Options};
use thalweg::handlers::Rules;
use thalweg::manifest::ManifestClient as _;
use thalweg::manifest::client::{ROWS_MAX, Registration};
use thalweg::manifest::row::{RunRow, SlotRow};
use tokio::runtime::Runtime;

use crate::case::{Bench, Case, Work};
use crate::fixture::{clock, new_topic, now, runtime, store};

const PARTITIONS: i32 = 1_000;

/// The cases.
pub fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "manifest/commit-64-slots-of-64-runs",
            work: Work::Items(64 * 64),
            runs: 10,
            prepare: || committing(64, 64),
        },
        Case {
            name: "manifest/commit-one-slot-of-one-run",
            work: Work::Items(1),
            runs: 50,
            prepare: || committing(1, 1),
        },
        Case {
            name: "manifest/plan-64-of-1000-runs",
            work: Work::Items(64),
            runs: 100,
            prepare: planning,
        },
    ]
}

/// A coordinator with one broker that leads every partition of one topic.
struct Office {
    runtime: Runtime,
    coordinator: Coordinator,
    chain: ChainId,
    topic: TopicId,
    epochs: BTreeMap<TopicPartition, LeaderEpoch>,
    ends: Vec<Offset>,
    slot: u64,
    partition: i32,
}

impl Office {
    fn new() -> Self {
        let runtime = runtime();
        let incarnation = Incarnation(uuid::Uuid::from_u128(1));
        let broker = BrokerId(1);
        let config = Arc::new(Config::with([]).expect("defaults are valid"));
        let options = Options {
            cluster_id: "micro".to_owned(),
            broker,
            incarnation,
            store: store(),
            if_match: false,
            clock: clock(),
            rng: Rng::from_seed(4),
            rules: Arc::new(Rules::new(config)),
            queue_max: 64,
        };
        let registration = Registration {
            broker,
            incarnation,
            ended: None,
            listeners: BTreeMap::new(),
            rack: None,
        };
        let (coordinator, chain, topic, epochs) = runtime.block_on(async {
            let coordinator = Coordinator::open(options).await.expect("a store in memory works");
            let chain = coordinator.register(registration).await.expect("the first").chain;
            let created = coordinator.create_topics(new_topic("t", PARTITIONS)).await;
            let created = created.expect("the coordinator is here");
            let topic = created.value[0].as_ref().expect("a valid topic").id;
            let leases = coordinator.acquire(chain).await.expect("no earlier chain");
            let epochs = leases.into_iter().map(|lease| (lease.tp, lease.leader_epoch)).collect();
            (coordinator, chain, topic, epochs)
        });
        let ends = vec![Offset(0); PARTITIONS as usize];
        Self { runtime, coordinator, chain, topic, epochs, ends, slot: 0, partition: 0 }
    }

    /// The next rows, over the partitions in turn.
    fn rows(&mut self, slots: usize, runs: u64) -> Vec<SlotRow> {
        (0..slots).map(|_| self.row(runs)).collect()
    }

    fn row(&mut self, runs: u64) -> SlotRow {
        const RUN_BYTES: u64 = 10_000;
        let runs: Vec<RunRow> = (0..runs).map(|place| self.run(64 + place * RUN_BYTES)).collect();
        let index_position = 64 + runs.len() as u64 * RUN_BYTES;
        let slot = SlotId(self.slot);
        self.slot += 1;
        SlotRow {
            slot,
            bytes: index_position + 500 + 64,
            index_position,
            index_bytes: 500,
            runs,
            checkpoints: Vec::new(),
            releases: Vec::new(),
        }
    }

    fn run(&mut self, position: u64) -> RunRow {
        let tp = TopicPartition { topic: self.topic, partition: self.partition };
        let end = &mut self.ends[self.partition as usize];
        let base_offset = *end;
        *end = base_offset + 10;
        self.partition = (self.partition + 1) % PARTITIONS;
        RunRow {
            tp,
            leader_epoch: self.epochs[&tp],
            base_offset,
            end_offset: *end,
            position,
            bytes: 10_000,
            max_timestamp: now(),
        }
    }

    fn commit(&self, rows: Vec<SlotRow>) {
        let commit = self.coordinator.commit(self.chain, rows);
        self.runtime.block_on(commit).expect("the rows are consecutive");
    }
}

fn committing(slots: usize, runs: u64) -> Bench {
    let mut office = Office::new();
    Bench::new(move || {
        let rows = office.rows(slots, runs);
        office.commit(rows);
    })
}

fn planning() -> Bench {
    let mut office = Office::new();
    let tp = TopicPartition { topic: office.topic, partition: 0 };
    let rows: Vec<SlotRow> = (0..1_000)
        .map(|_| {
            office.partition = 0;
            office.row(1)
        })
        .collect();
    for rows in rows.chunks(ROWS_MAX) {
        office.commit(rows.to_vec());
    }
    Bench::new(move || {
        let plan = office.coordinator.plan(tp, black_box(Offset(5_005)), 64);
        let plan = office.runtime.block_on(plan).expect("the coordinator is here");
        assert!(plan.runs.len() == 64, "{} runs planned", plan.runs.len());
        black_box(plan);
    })
}
