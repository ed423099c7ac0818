//! Law 4: a fence ends a chain whose owner is well. What it has not acknowledged fails at once, with an error after which
//! clients try again; it never writes to that chain again, and goes on with another.
//!
//! Once as a case of its own, and in some seeds by somebody who fences chains while all else goes on ([`fencer`]).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use thalweg::base::clock::{SharedClock, TokioClock, sleep};
use thalweg::base::ids::{ChainId, SlotId};
use thalweg::base::rng::Rng;
use thalweg::base::task;
use thalweg::log::Registry;
use thalweg::node::Broker;
use thalweg::object::build::memory;
use thalweg::object::faults::{Faults, Rates};
use thalweg::object::{Locality, Store};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::audit::{self, WINDOW};
use super::client::Answer;
use super::stale::{batch, idle_leader, plant_fence, plant_fence_in};
use super::world::{WALL, on_a_runtime};

const NOT_LEADER_OR_FOLLOWER: i16 = 6;

/// Fences the chain of a broker now and then: one of the names that it is about to write.
pub(crate) fn fencer(broker: &Broker, store: &Store, rng: &Rng) -> AbortHandle {
    let rng = Rng::from_seed(rng.u64());
    task::spawn("sim-fencer", fence(broker.registry().clone(), store.clone(), rng)).abort_handle()
}

async fn fence(registry: Registry, store: Store, rng: Rng) {
    loop {
        sleep(Duration::from_millis(100 + rng.below(3_000))).await;
        let Some(wal) = registry.wal() else { continue };
        let name = SlotId(wal.stable() + rng.below(WINDOW));
        // Where a slot was faster nothing is fenced.
        let _ = plant_fence_in(&store, wal.chain(), name).await;
    }
}

/// The data in the names of a chain.
async fn data_of(store: &Store, chain: ChainId) -> BTreeSet<SlotId> {
    let objects = audit::objects(store).await;
    let data = objects.iter().filter(|((of, _), object)| *of == chain && !audit::is_fence(object));
    data.map(|((_, slot), _)| *slot).collect()
}

#[test]
fn appends_fail_when_their_chain_ends_and_it_is_not_written_again() {
    on_a_runtime(async {
        let clock: SharedClock = Arc::new(TokioClock::starting_at(WALL));
        let faults = Faults::new(Rng::from_seed(4));
        let sound = Store::new(memory(clock).raw(), Locality::Bucket);
        let store = sound.wrapped(|raw| faults.wrap(raw));
        let (broker, client, producer) = idle_leader(&store).await;
        let chain = || broker.registry().wal().expect("a chain").chain();
        let ms = Duration::from_millis;
        faults.set_rates(Rates { latency: (ms(40), ms(40)), ..Rates::default() });
        let ended = chain();
        plant_fence(&sound, &broker).await;

        // Some are on their way when the fence is found, some wait for a place in the window, some are in the open slot.
        let mut answers = Vec::new();
        for sequence in 3..16 {
            answers.push(client.produce(0, batch(producer, 1, sequence)));
            sleep(ms(8)).await;
        }
        // The put that finds the fence and the look at it; the watch over a chain that stores nothing would take a second.
        let answers = timeout(ms(500), join_all(answers)).await;
        let answers = answers.expect("UnackedFail: an append waits for a chain that has ended");
        let failed = answers.iter().all(|it| *it == Answer::Error(NOT_LEADER_OR_FOLLOWER));
        assert!(failed, "UnackedFail: {answers:?}");
        assert_eq!(chain(), ended, "UnackedFail: they waited for the next chain");

        let next = async {
            while chain() == ended {
                sleep(ms(10)).await;
            }
        };
        let taken = timeout(Duration::from_secs(10), next).await;
        taken.expect("EndedForEver: a process took a chain again that it had ended");
        // What was on its way has landed.
        sleep(ms(200)).await;
        let left = data_of(&sound, ended).await;
        for (sequence, offset) in (3..16).zip(3..) {
            let answer = client.produce(0, batch(producer, 1, sequence)).await;
            assert_eq!(answer, Answer::At(offset), "RecoverTotal: it goes on where it was");
        }
        sleep(Duration::from_secs(10)).await;
        let written: Vec<_> = data_of(&sound, ended).await.difference(&left).copied().collect();
        assert!(written.is_empty(), "EndedForEver: {ended} was written again: {written:?}");
        assert_eq!(client.fetch(0, 0, 0).await.len(), 16, "NoDuplicate");
    });
    task::assert_no_panics();
}
