//! Law 7, case by case: where a chain ends, what a recoverer leaves behind, and what stops it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use thalweg::base::clock::{SharedClock, Timestamp, TokioClock};
use thalweg::base::ids::{BrokerId, ChainId, Incarnation, SlotId};
use thalweg::base::rng::Rng;
use thalweg::manifest;
use thalweg::manifest::client::{FencingChain, Registration};
use thalweg::manifest::row::SlotRow;
use thalweg::node::Broker;
use thalweg::object::build::memory;
use thalweg::object::faults::{Faults, Rates};
use thalweg::object::{Key, Payload, Store, keys};
use thalweg::segment::{Kind, Known, SlotBody, SlotHeader, SlotIndex, encode_slot, read_header};
use thalweg::wal::recover::{Error, Recoverer};

use super::audit::CLUSTER;
use super::world::{WALL, on_a_runtime, start};

const OLD: u128 = 1;
const NEW: u128 = 2;

fn incarnation(number: u128) -> Incarnation {
    Incarnation(uuid::Uuid::from_u128(number))
}

/// A running coordinator, and a chain of another broker whose process is dead.
struct Rig {
    store: Store,
    faults: Faults,
    clock: SharedClock,
    broker: Broker,
    chain: ChainId,
}

impl Rig {
    async fn new() -> Self {
        let clock: SharedClock = Arc::new(TokioClock::starting_at(WALL));
        let faults = Faults::new(Rng::from_seed(3));
        let store = memory(Arc::clone(&clock)).wrapped(|raw| faults.wrap(raw));
        let broker = start(&store, WALL, Rng::from_seed(7)).await.expect("a healthy store");
        let registered = broker.context().manifest.register(registration(OLD)).await;
        let chain = registered.expect("registered").chain;
        Self { store, faults, clock, broker, chain }
    }

    fn key(&self, slot: u64) -> Key {
        keys::slot(CLUSTER, self.chain, SlotId(slot))
    }

    /// Stores a slot as the process `writer` wrote it, with one byte of it changed if asked for.
    async fn store_slot(&self, slot: u64, writer: u128, damaged: bool) {
        let header = SlotHeader {
            kind: Kind::Data,
            chain: self.chain,
            slot: SlotId(slot),
            incarnation: incarnation(writer),
            created: Timestamp(1),
        };
        let encoded =
            encode_slot(&header, SlotBody::default(), &SlotIndex::default(), &Known::default());
        let mut bytes = encoded.payload.concat();
        if damaged {
            let end = bytes.len() - 1;
            bytes[end - 20] ^= 1;
        }
        let payload = Payload::from(bytes::Bytes::from(bytes));
        self.store.put_if_absent(&self.key(slot), payload).await.expect("a free name");
    }

    async fn fencing(&self) -> FencingChain {
        let registered = self.broker.context().manifest.register(registration(NEW)).await;
        let fencing = registered.expect("registered").fencing;
        assert_eq!(fencing.len(), 1);
        fencing[0]
    }

    fn recoverer(&self, seed: u64) -> Recoverer {
        Recoverer {
            store: self.store.clone(),
            manifest: Arc::clone(&self.broker.context().manifest),
            clock: Arc::clone(&self.clock),
            rng: Rng::from_seed(seed),
            cluster: CLUSTER.to_owned(),
            incarnation: incarnation(NEW),
        }
    }

    /// What stands in a name. None: nothing.
    async fn kind(&self, slot: u64) -> Option<Kind> {
        let object = self.store.get(&self.key(slot)).await.ok()?;
        Some(read_header(&object).expect("a header").kind)
    }
}

fn registration(process: u128) -> Registration {
    Registration {
        broker: BrokerId(2),
        incarnation: incarnation(process),
        ended: None,
        listeners: BTreeMap::new(),
        rack: None,
    }
}

/// Takes over a chain that holds `slots`; then checks that it ends at `end`, and that doing it again changes nothing.
fn ends(slots: impl IntoIterator<Item = u64>, end: u64, stop: u64) {
    on_a_runtime(async {
        let rig = Rig::new().await;
        for slot in slots {
            rig.store_slot(slot, OLD, false).await;
        }
        let chain = rig.fencing().await;
        rig.recoverer(1).take_over(&chain).await.expect("taken over");
        assert_eq!(rig.kind(end).await, Some(Kind::Fence), "the end");
        assert_eq!(rig.kind(stop).await, Some(Kind::Fence), "the stop fence");
        let before = super::audit::objects(&rig.store).await;
        rig.recoverer(2).take_over(&chain).await.expect("taken over again");
        assert_eq!(super::audit::objects(&rig.store).await, before, "IdempotentRecovery");
    });
}

#[test]
fn a_chain_that_was_never_written_ends_at_its_first_name() {
    ends([], 0, 255);
}

#[test]
fn a_chain_ends_behind_its_last_slot() {
    ends(0..100, 100, 255);
}

#[test]
fn a_chain_ends_at_its_first_hole() {
    ends([0, 1, 2, 4, 5], 3, 255);
}

#[test]
fn a_stop_fence_goes_where_the_owner_has_not_been() {
    ends(0..300, 300, 511);
}

/// The error that stops a recovery of six slots, the fourth of which `store` puts there.
fn stopped_by(store: impl AsyncFn(&Rig)) -> Error {
    on_a_runtime(async {
        let rig = Rig::new().await;
        for slot in [0, 1, 2, 4, 5] {
            rig.store_slot(slot, OLD, false).await;
        }
        store(&rig).await;
        let chain = rig.fencing().await;
        let before = rig.store.get(&rig.key(3)).await.expect("stored");
        let error = rig.recoverer(1).take_over(&chain).await.expect_err("an alarm");
        // Never skipped, never fenced over: the name is as it was, and the chain has no end yet.
        assert_eq!(rig.store.get(&rig.key(3)).await.expect("stored"), before);
        assert_eq!(rig.kind(6).await, None);
        error
    })
}

#[test]
fn a_slot_that_cannot_be_read_stops_the_recovery() {
    let error = stopped_by(async |rig| rig.store_slot(3, OLD, true).await);
    assert!(matches!(error, Error::Unreadable { slot: SlotId(3), .. }), "{error}");
}

#[test]
fn a_slot_of_another_process_stops_the_recovery() {
    let error = stopped_by(async |rig| rig.store_slot(3, 77, false).await);
    assert!(matches!(error, Error::Foreign { slot: SlotId(3), .. }), "{error}");
}

fn empty_row(slot: u64) -> SlotRow {
    SlotRow {
        slot: SlotId(slot),
        bytes: 1000,
        index_position: 500,
        index_bytes: 400,
        runs: Vec::new(),
        checkpoints: Vec::new(),
        releases: Vec::new(),
    }
}

/// Irrevocably: neither while the recoverer works nor after it. What the owner has stored the recoverer finds.
#[test]
fn what_a_chain_commits_is_refused_from_when_it_is_fenced() {
    on_a_runtime(async {
        let rig = Rig::new().await;
        for slot in 0..4 {
            rig.store_slot(slot, OLD, false).await;
        }
        let commit = async |slot| {
            let manifest = &rig.broker.context().manifest;
            manifest.commit(rig.chain, vec![empty_row(slot)]).await
        };
        assert_eq!(commit(0).await, Ok(()), "the chain is open");
        let chain = rig.fencing().await;
        let refused = Err(manifest::Error::Fenced { chain: rig.chain });
        assert_eq!(commit(1).await, refused, "FencingCommits: before its recovery");
        rig.recoverer(1).take_over(&chain).await.expect("taken over");
        assert_eq!(commit(4).await, refused, "FencingCommits: after its end");
    });
}

#[test]
fn recoverers_at_once_find_the_same_end() {
    on_a_runtime(async {
        let rig = Rig::new().await;
        for slot in 0..20 {
            rig.store_slot(slot, OLD, false).await;
        }
        let chain = rig.fencing().await;
        let ms = Duration::from_millis;
        let latency = (ms(1), ms(50));
        rig.faults.set_rates(Rates { latency, fail_after: 100, ..Rates::default() });
        let recoverers = (0..5).map(|seed| {
            let recoverer = rig.recoverer(seed);
            async move { recoverer.take_over(&chain).await }
        });
        for done in futures::future::join_all(recoverers).await {
            done.expect("taken over");
        }
        rig.faults.stop();
        assert_eq!(rig.kind(20).await, Some(Kind::Fence));
        assert_eq!(rig.kind(21).await, None, "one end");
    });
}
