//! The rules of a chain on a whole `Wal`, over a store in memory that fails by script, with paused time.

mod chain;
mod commit;
mod proof;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::{Budget, End, Error, Joining, Metrics, Parts, Settings, Stable, Wal, fence};
use crate::base::clock::{SharedClock, Timestamp, TokioClock, sleep};
use crate::base::ids::{ChainId, Incarnation, LeaderEpoch, SlotId, TopicId, TopicPartition};
use crate::base::offset::Offset;
use crate::base::rng::Rng;
use crate::base::units::ByteSize;
use crate::manifest;
use crate::manifest::client::{
    Deletion, Extent, Lease, ManifestClient, Plan, PlannedRun, Registered, Registration,
    RetentionDefaults, SealedChain, Trimmed,
};
use crate::manifest::row::SlotRow;
use crate::object::build::memory;
use crate::object::faults::{Fault, Faults, Op, Script};
use crate::object::retry::{Policy, Putter};
use crate::object::{Key, Locality, Payload, Store, keys};
use crate::record::Compression;
use crate::record::build::BatchBuilder;
use crate::record::control::Marker;
use crate::telemetry::Registry;

const CHAIN: ChainId = ChainId(7);
const CLUSTER: &str = "test";
const MINUTE: Duration = Duration::from_secs(60);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn me() -> Incarnation {
    Incarnation(uuid::Uuid::from_u128(1))
}

fn name(slot: u64) -> Key {
    keys::slot(CLUSTER, CHAIN, SlotId(slot))
}

/// A manifest that keeps what is committed, and answers or refuses as it is told. Nothing else is asked of it here.
#[derive(Debug, Default)]
struct Ledger {
    state: Mutex<LedgerState>,
}

#[derive(Debug, Default)]
struct LedgerState {
    parts: Vec<Vec<SlotRow>>,
    away: bool,
    fenced: bool,
}

impl Ledger {
    fn with<T>(&self, act: impl FnOnce(&mut LedgerState) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The committed slots, as they came.
    fn slots(&self) -> Vec<u64> {
        self.with(|state| state.parts.iter().flatten().map(|row| row.slot.0).collect())
    }

    fn parts(&self) -> Vec<usize> {
        self.with(|state| state.parts.iter().map(Vec::len).collect())
    }
}

type Answer<T> = Result<T, manifest::Error>;

const AWAY: manifest::Error = manifest::Error::Unavailable;

#[async_trait]
impl ManifestClient for Ledger {
    async fn commit(&self, chain: ChainId, rows: Vec<SlotRow>) -> Answer<()> {
        self.with(|state| {
            if state.fenced {
                return Err(manifest::Error::Fenced { chain });
            }
            if state.away {
                return Err(AWAY);
            }
            state.parts.push(rows);
            Ok(())
        })
    }

    async fn register(&self, _: Registration) -> Answer<Registered> {
        Err(AWAY)
    }

    async fn recovered(&self, _: ChainId, _: Vec<SlotRow>) -> Answer<()> {
        Err(AWAY)
    }

    async fn seal(&self, _: ChainId, _: SlotId) -> Answer<()> {
        Err(AWAY)
    }

    async fn acquire(&self, _: ChainId) -> Answer<Vec<Lease>> {
        Err(AWAY)
    }

    async fn released(&self, _: ChainId, _: Vec<TopicPartition>) -> Answer<()> {
        Err(AWAY)
    }

    async fn plan(&self, _: TopicPartition, _: Offset, _: usize) -> Answer<Plan> {
        Err(AWAY)
    }

    async fn plan_timestamp(&self, _: TopicPartition, _: Timestamp) -> Answer<Option<PlannedRun>> {
        Err(AWAY)
    }

    async fn plan_max_timestamp(&self, _: TopicPartition) -> Answer<Option<PlannedRun>> {
        Err(AWAY)
    }

    async fn extents(&self, _: Vec<TopicPartition>) -> Answer<Vec<Option<Extent>>> {
        Err(AWAY)
    }

    async fn advance_log_start(&self, _: TopicPartition, _: Offset) -> Answer<Offset> {
        Err(AWAY)
    }

    async fn retain(&self, _: Timestamp, _: RetentionDefaults) -> Answer<usize> {
        Err(AWAY)
    }

    async fn trim(&self, _: Timestamp, _: u64) -> Answer<Trimmed> {
        Err(AWAY)
    }

    async fn deletions(&self, _: Timestamp, _: usize) -> Answer<Vec<Deletion>> {
        Err(AWAY)
    }

    async fn sealed_chains(&self, _: Option<ChainId>, _: usize) -> Answer<Vec<SealedChain>> {
        Err(AWAY)
    }

    async fn deleted(&self, _: Vec<Deletion>) -> Answer<()> {
        Err(AWAY)
    }
}

/// A chain, and everything around it.
struct Rig {
    wal: Wal,
    store: Store,
    faults: Faults,
    ledger: Arc<Ledger>,
    next_offset: Mutex<i64>,
}

fn settings() -> Settings {
    Settings {
        slot_bytes_max: ByteSize(1 << 20),
        window: 4,
        flush: ms(10),
        unstable_bytes_max: ByteSize(16 << 20),
        tail_bytes: ByteSize(16 << 20),
        uncommitted_bytes_max: ByteSize(16 << 20),
        uncommitted_age_max: 10 * MINUTE,
        lock_is_proof: false,
        session_timeout: Duration::from_secs(9),
    }
}

impl Rig {
    fn new(settings: Settings) -> Self {
        Self::at(Locality::Bucket, settings)
    }

    fn at(locality: Locality, settings: Settings) -> Self {
        let clock: SharedClock = Arc::new(TokioClock::starting_at(Timestamp(1_700_000_000_000)));
        let faults = Faults::new(Rng::from_seed(1));
        let store = Store::new(faults.wrap(memory(Arc::clone(&clock)).raw()), locality);
        let ledger = Arc::new(Ledger::default());
        let registry = Registry::new();
        // Without hedges a slot has one put at a time, which scripts can count.
        let policy = Policy { hedge: false, ..Policy::default() };
        let parts = Parts {
            store: store.clone(),
            putter: Putter::new(store.clone(), policy, Rng::from_seed(2), &registry),
            manifest: Arc::clone(&ledger) as Arc<dyn ManifestClient>,
            clock,
            rng: Rng::from_seed(3),
            cluster: CLUSTER.to_owned(),
            metrics: Metrics::new(&registry),
        };
        let wal = Wal::start(parts, settings, CHAIN, me());
        Self { wal, store, faults, ledger, next_offset: Mutex::new(0) }
    }

    /// Joins a batch to the open slot.
    fn try_join(&self) -> Result<Stable, Error> {
        self.join_with(Budget::Within(ms(10)))
    }

    fn join_with(&self, budget: Budget) -> Result<Stable, Error> {
        let mut builder = BatchBuilder::new(Compression::None);
        builder.push_value(Timestamp(1), None, Some(b"value"));
        let batch = builder.build();
        let mut next = self.next_offset.lock().unwrap_or_else(PoisonError::into_inner);
        let stable = self.wal.join(&Joining {
            tp: TopicPartition { topic: TopicId(uuid::Uuid::from_u128(5)), partition: 0 },
            leader_epoch: LeaderEpoch(0),
            base_offset: Offset(*next),
            batch: &batch,
            marker: Marker::NONE,
            budget,
        })?;
        *next += 1;
        Ok(stable)
    }

    /// Fills `slots` slots with a batch each, and lets their puts begin.
    async fn fill(&self, slots: usize) -> Vec<Stable> {
        let mut filled = Vec::new();
        for _ in 0..slots {
            filled.push(self.try_join().expect("an open chain"));
            sleep(ms(11)).await;
        }
        filled
    }

    /// Something goes wrong with the next puts or gets of a slot.
    fn script(&self, op: Op, slot: u64, fault: Fault, times: u32) {
        self.faults.script(Script::next(op, name(slot).as_str(), fault).times(times));
    }

    async fn plant_fence(&self, slot: u64) {
        let planter = Incarnation(uuid::Uuid::from_u128(2));
        let fence = fence::payload(CHAIN, SlotId(slot), planter, Timestamp(1));
        self.store.put_if_absent(&name(slot), fence).await.expect("a free name");
    }

    fn puts(&self) -> usize {
        self.faults.count(Op::Put, "/w/")
    }

    fn gets(&self) -> usize {
        self.faults.count(Op::Get, "/w/")
    }

    fn ended(&self) -> Option<End> {
        self.wal.progress().borrow().ended
    }
}

/// Whether a slot is stable by now.
async fn is_stable(stable: &Stable) -> bool {
    matches!(tokio::time::timeout(Duration::ZERO, stable.clone().wait()).await, Ok(Ok(())))
}

fn stuck(applied: bool) -> Fault {
    Fault::Hang { wait: MINUTE, applied }
}
