//! Law 7: the manifest's own fence says who coordinates, and a coordinator that was superseded never opens it again.
//!
//! Two coordinators over one store and no broker, so that nothing else ends the older process before it could.

use std::sync::Arc;
use std::time::Duration;

use thalweg::base::clock::{SharedClock, TokioClock, sleep};
use thalweg::base::ids::{BrokerId, Incarnation};
use thalweg::base::rng::Rng;
use thalweg::cluster::ClusterClient as _;
use thalweg::cluster::config::AcceptAll;
use thalweg::coordinator::{Coordinator, Options};
use thalweg::object::build::memory;
use thalweg::object::faults::{Fault, Faults, Op, Script};
use thalweg::object::{Locality, Store};
use tokio::time::timeout;

use super::audit::CLUSTER;
use super::world::{WALL, on_a_runtime};

const OLDER: u64 = 7;
const NEWER: u64 = 8;

/// Many times as long as a coordinator waits before it opens its manifest again.
const WATCHED: Duration = Duration::from_secs(120);

/// Far more tries than are made of one call: the database closes itself.
const AWAY: u32 = 200;

fn clock() -> SharedClock {
    Arc::new(TokioClock::starting_at(WALL))
}

fn incarnation(process: u64) -> Incarnation {
    Incarnation(uuid::Uuid::from_u128(process.into()))
}

/// A coordinator in a process of the one node.
async fn coordinator(store: &Store, process: u64) -> Coordinator {
    let options = Options {
        cluster_id: CLUSTER.to_owned(),
        broker: BrokerId(1),
        incarnation: incarnation(process),
        store: store.clone(),
        if_match: true,
        clock: clock(),
        rng: Rng::from_seed(process),
        rules: Arc::new(AcceptAll),
        queue_max: 64,
    };
    Box::pin(Coordinator::open(options)).await.expect("a healthy store")
}

/// The older is superseded while `before` and `after` happen to it: all that the newer is asked to keep is kept.
fn supersede(before: impl AsyncFn(&Coordinator, &Faults), after: impl AsyncFn(&Coordinator)) {
    on_a_runtime(async {
        let sound = Store::new(memory(clock()).raw(), Locality::Bucket);
        let faults = Faults::new(Rng::from_seed(1));
        let older = coordinator(&sound.wrapped(|raw| faults.wrap(raw)), OLDER).await;
        older.allocate_producer_ids().await.expect("it coordinates");
        before(&older, &faults).await;
        let newer = coordinator(&sound, NEWER).await;
        let term = newer.image().borrow().term;
        faults.stop();
        after(&older).await;
        for second in 0..WATCHED.as_secs() {
            let kept = newer.allocate_producer_ids().await;
            assert!(kept.is_ok(), "CoordinatorFence: its successor was fenced after {second} s");
            sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(newer.image().borrow().term, term, "CoordinatorFence: a term began anew");
        let exits = timeout(Duration::from_secs(1), older.superseded()).await;
        let exits = exits.expect("CoordinatorFence: a superseded coordinator goes on");
        assert_eq!(exits.incarnation, incarnation(NEWER));
        let fenced = timeout(Duration::from_secs(1), newer.fenced()).await;
        assert!(fenced.is_err(), "CoordinatorFence: somebody took back");
    });
}

#[test]
fn a_coordinator_superseded_while_idle_never_takes_back() {
    supersede(async |_, _| {}, async |_| {});
}

#[test]
fn a_coordinator_superseded_between_two_writes_never_takes_back() {
    supersede(
        async |_, _| {},
        async |older| {
            let refused = older.allocate_producer_ids().await;
            assert!(refused.is_err(), "CoordinatorFence: {refused:?}");
        },
    );
}

/// It has dropped its state and tries to open the manifest again when its store comes back.
#[test]
fn a_coordinator_superseded_while_its_store_was_away_never_takes_back() {
    supersede(
        async |older, faults| {
            faults.script(Script::next(Op::Put, "", Fault::Status(503)).times(AWAY));
            let lost = older.allocate_producer_ids().await;
            assert!(lost.is_err(), "nothing can be kept: {lost:?}");
        },
        async |_| {},
    );
}
