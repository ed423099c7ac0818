//! Claims about the store that misbehaves.

use std::time::Duration;

use tokio::time::Instant;

use super::super::faults::{Fault, Faults, Op, Rates, Script};
use super::*;
use crate::base::clock::sleep;
use crate::base::rng::Rng;
use crate::base::task;

fn faulty(seed: u64) -> (Store, Faults) {
    let faults = Faults::new(Rng::from_seed(seed));
    (build::memory(clock()).wrapped(|raw| faults.wrap(raw)), faults)
}

fn stormy() -> Rates {
    Rates {
        latency: (Duration::from_millis(1), Duration::from_millis(50)),
        fail_before: 50,
        fail_after: 50,
        conflict: 30,
        throttled: 30,
        unavailable: 30,
        internal_after: 30,
        hang: 20,
        late: 40,
        twice: 40,
        hang_max: Duration::from_secs(5),
        late_max: Duration::from_secs(5),
        unordered_lists: true,
        ..Rates::default()
    }
}

/// Eight writers in a storm; the log of every call.
async fn storm(seed: u64) -> Vec<String> {
    let (store, faults) = faulty(seed);
    faults.set_rates(stormy());
    let writers = (0..8u8).map(|writer| {
        let store = store.clone();
        task::spawn("writer", async move {
            for n in 0..20 {
                let key = Key::new(&format!("w/{writer}/{n}"));
                let body = Payload::from(Bytes::from(vec![writer; n]));
                drop(store.put_if_absent(&key, body).await);
                drop(store.get_suffix(&key, 5).await);
                drop(store.list("w").await);
            }
        })
    });
    futures::future::join_all(writers).await;
    faults.log()
}

#[tokio::test(start_paused = true)]
async fn a_store_in_which_no_put_wins_is_refused() {
    let (store, faults) = faulty(1);
    faults.script(Script::next(Op::Put, "probe/", Fault::Status(412)).times(u32::MAX));
    let refusal = probe::probe(&store, &Rng::from_seed(1)).await.unwrap_err().to_string();
    assert!(refusal.contains("neither succeeded"), "{refusal}");
}

#[tokio::test(start_paused = true)]
async fn one_seed_makes_one_log_and_another_seed_another() {
    let first = storm(7).await;
    assert!(first.len() > 900);
    assert!(first == storm(7).await, "one seed made two logs");
    assert!(first != storm(8).await, "two seeds made one log");
}

#[tokio::test(start_paused = true)]
async fn each_fault_does_to_a_put_what_it_says() {
    let second = Duration::from_secs(1);
    // Applied at once, applied in the end.
    for (fault, at_once, in_the_end) in [
        (Fault::FailBefore, false, false),
        (Fault::FailAfter, true, true),
        (Fault::Status(409), false, false),
        (Fault::Status(503), false, false),
        (Fault::StatusAfter(500), true, true),
        (Fault::Hang { wait: second, applied: true }, true, true),
        (Fault::Hang { wait: second, applied: false }, false, false),
        (Fault::Late(second), false, true),
    ] {
        let (store, faults) = faulty(1);
        faults.script(Script::next(Op::Put, "k", fault));
        let key = Key::new("k");
        let put = store.put_if_absent(&key, payload("x")).await;
        assert!(put.is_err(), "{fault:?}");
        assert_eq!(store.get(&key).await.is_ok(), at_once, "{fault:?}");
        sleep(2 * second).await;
        assert_eq!(store.get(&key).await.is_ok(), in_the_end, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_put_that_lands_twice_brings_back_what_was_deleted() {
    let (store, faults) = faulty(1);
    let key = Key::new("k");
    faults.script(Script::next(Op::Put, "k", Fault::Twice(Duration::from_secs(9))));
    store.put_if_absent(&key, payload("x")).await.unwrap();
    store.delete(&key).await.unwrap();
    sleep(Duration::from_secs(10)).await;
    assert_eq!(store.get(&key).await.unwrap(), "x");
}

#[tokio::test(start_paused = true)]
async fn scripts_hit_their_calls_only_and_stop_ends_them() {
    let (store, faults) = faulty(1);
    faults.script(Script::next(Op::Get, "a/", Fault::Status(503)).after(1).times(2));
    let (a, b) = (Key::new("a/1"), Key::new("b/1"));
    store.put_if_absent(&a, payload("x")).await.unwrap();
    store.put_if_absent(&b, payload("x")).await.unwrap();
    let mut answers = Vec::new();
    for key in [&a, &b, &a, &b, &a, &a] {
        answers.push(store.get(key).await.is_ok());
    }
    assert_eq!(answers, [true, true, false, true, false, true]);
    faults.script(Script::next(Op::Get, "", Fault::FailBefore).times(99));
    faults.stop();
    store.get(&a).await.unwrap();
    assert_eq!(faults.count(Op::Get, "a/"), 5);
}

#[tokio::test(start_paused = true)]
async fn latency_is_what_was_asked_for() {
    let (store, faults) = faulty(3);
    let latency = (Duration::from_millis(20), Duration::from_millis(30));
    faults.set_rates(Rates { latency, ..Rates::default() });
    for n in 0..50 {
        let begun = Instant::now();
        store.put_if_absent(&Key::new(&format!("k/{n}")), payload("x")).await.unwrap();
        let took = begun.elapsed();
        assert!(took >= latency.0 && took <= latency.1 + Duration::from_millis(1), "{took:?}");
    }
}
