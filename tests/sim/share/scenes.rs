//! Scenes of a share group that are the same in every seed: who is given what in turn, who is late, what another broker knows
//! of it; and one in which the store is away.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use thalweg::base::clock::sleep;
use thalweg::base::rng::Rng;
use thalweg::node::Broker;
use thalweg::object::faults::Rates;
use tokio::time::timeout;

use super::super::client::{Client, PARTITIONS};
use super::super::world::{LIVELY, Shown, on_a_runtime};
use super::ledger::{IN_TIME, Say};
use super::member::Member;
use super::{LOCK, SharedLedger, World, append, create_topic, lock};

/// How many records the first member takes.
const SOME: usize = 8;
/// How long the store is away: locks expire meanwhile.
const OUTAGE: Duration = Duration::from_secs(5);

/// A life of a broker over a store that is well: two members, in turn.
pub(super) fn play(world: &mut World) {
    world.stage.faults.stop();
    let (stage, ledger) = (&world.stage, &world.ledger);
    on_a_runtime(async {
        stage.faults.begin_chapter("scenes");
        let whole = async {
            let broker = stage.start().await.expect("a healthy store");
            let (mut first, mut second) = two(&broker, ledger, &stage.rng).await;
            first.take(SOME).await;
            // What the first has is not given out.
            second.take_for(LOCK / 2).await;
            second.say(|| Some(Say::Release)).await;
            let mut words = [Some(Say::Accept), Some(Say::Release), Some(Say::Reject), None]
                .into_iter()
                .cycle();
            first.say(|| words.next().flatten()).await;
            // Too late for the rest, which others have.
            sleep(LOCK + IN_TIME).await;
            second.take_for(LOCK / 2).await;
            let whose = first.who();
            for place in first.held() {
                lock(ledger).came_back(*place, whose, second.held());
            }
            first.say(|| Some(Say::Accept)).await;
            second.say(|| Some(Say::Release)).await;
            broker.shutdown(Duration::from_secs(60)).await.expect("it stops in order");
        };
        timeout(LIVELY, whole).await.expect("liveness once faults stop");
    });
    world.stage.end_of_life();
}

/// Two members of the group, and records for them.
async fn two(broker: &Broker, ledger: &SharedLedger, rng: &Rng) -> (Member, Member) {
    let client = Client::new(broker);
    create_topic(&client).await;
    for number in 0..SOME as u64 {
        let partition = (number % PARTITIONS as u64) as i32;
        assert!(append(&client, partition, (number, 2)).await, "the store is well");
    }
    let number = lock(ledger).another_broker();
    let member = |id| {
        let rng = Rng::from_seed(rng.u64());
        Member::new(broker, (id, number), Arc::clone(ledger), rng)
    };
    let (mut first, mut second) = (member("first"), member("second"));
    first.begin().await;
    second.begin().await;
    (first, second)
}

#[test]
fn what_is_acknowledged_while_the_store_is_away_is_answered_when_it_is_kept() {
    for seed in 0..3 {
        let _shown = Shown::new(seed);
        let mut world = World::new(seed);
        outage(&world);
        world.stage.end_of_life();
        world.last_life();
    }
}

fn outage(world: &World) {
    let (stage, ledger) = (&world.stage, &world.ledger);
    let settled = || lock(ledger).settled();
    on_a_runtime(async {
        stage.faults.begin_chapter("outage");
        stage.calm();
        let broker = stage.start().await.expect("a healthy store");
        let (mut first, mut second) = two(&broker, ledger, &stage.rng).await;
        first.take(SOME).await;
        let away = Rates { only: "/w/".to_owned(), unavailable: 1000, ..Rates::default() };
        stage.faults.set_rates(away);
        let before = settled();
        let whose = first.who();
        let mut words = [Some(Say::Accept), None].into_iter().cycle();
        let accepted = first.held().len().div_ceil(2) as u64;
        let silent: Vec<_> = first.held().iter().skip(1).step_by(2).copied().collect();
        {
            let mut says = pin!(first.say(|| words.next().flatten()));
            assert!(timeout(OUTAGE, &mut says).await.is_err(), "answered, and not kept");
            assert_eq!(settled(), before, "answered, and not kept");
            // The locks of the rest expired, whether that can be kept or not.
            second.take_for(LOCK / 2).await;
            for place in &silent {
                lock(ledger).came_back(*place, whose, second.held());
            }
            stage.calm();
            timeout(LIVELY, says).await.expect("liveness once the store is back");
        }
        assert_eq!(settled(), before + accepted, "kept, and not answered");
        broker.shutdown(Duration::from_secs(60)).await.expect("it stops in order");
    });
}
