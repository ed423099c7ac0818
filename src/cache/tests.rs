//! Claims about the caches, over a store that fails by seed and a clock that is paused.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::base::clock::{Timestamp, TokioClock};
use crate::base::rng::Rng;
use crate::base::units::ByteSize;
use crate::object::build::memory;
use crate::object::faults::{Fault, Faults, Op, Rates, Script};
use crate::object::retry::{Getter, ReadPolicy};
use crate::object::{Error, Key, Payload, Store};
use crate::telemetry::Registry;

const MIB: u64 = 1 << 20;

struct Rig {
    store: Store,
    faults: Faults,
    objects: Objects,
    key: Key,
    bytes: Bytes,
}

/// A cache of `bytes_max` over one object of 9 MiB and a bit.
async fn rig(bytes_max: u64) -> Rig {
    let clock = Arc::new(TokioClock::starting_at(Timestamp(1)));
    let faults = Faults::new(Rng::from_seed(3));
    let store = memory(clock).wrapped(|raw| faults.wrap(raw));
    let registry = Registry::new();
    let getter = Getter::new(store.clone(), ReadPolicy::default(), Rng::from_seed(4), &registry);
    let options = Options { bytes_max: ByteSize(bytes_max), within: Duration::from_secs(20) };
    let objects = Objects::new(getter, options, &registry);
    let bytes: Vec<u8> = (0..9 * MIB + 17).map(|at| (at % 251) as u8).collect();
    let (key, bytes) = (Key::new("c/w/1"), Bytes::from(bytes));
    store.put_if_absent(&key, Payload::from(bytes.clone())).await.expect("it is free");
    Rig { store, faults, objects, key, bytes }
}

impl Rig {
    fn gets(&self) -> usize {
        self.faults.count(Op::Get, "")
    }

    fn slow(&self, ms: u64) {
        let latency = (Duration::from_millis(ms), Duration::from_millis(ms));
        self.faults.set_rates(Rates { latency, ..Rates::default() });
    }

    async fn check(&self, from: u64, to: u64) {
        let read = self.objects.range(&self.key, from..to).await.expect("the store answers");
        let expected = &self.bytes[from as usize..(to as usize).min(self.bytes.len())];
        assert!(read.concat() == expected, "{from}..{to} is something else");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_read_is_not_read_again() {
    let rig = rig(64 * MIB).await;
    rig.check(100, 200).await;
    assert_eq!(rig.gets(), 1);
    rig.check(0, 400_000).await;
    assert_eq!(rig.gets(), 1, "the block was fetched whole");
    rig.check(0, 9 * MIB + 17).await;
    // The rest of the first 4 MiB, the second, and what is left.
    assert_eq!(rig.gets(), 4);
    rig.check(5, 9 * MIB).await;
    assert_eq!(rig.gets(), 4);
}

#[tokio::test(start_paused = true)]
async fn any_range_in_any_order_is_the_object() {
    let rig = rig(3 * MIB).await;
    let rng = Rng::from_seed(9);
    for _ in 0..200 {
        let from = rng.below(9 * MIB);
        let to = (from + 1 + rng.below(2 * MIB)).min(9 * MIB + 17);
        rig.check(from, to).await;
        assert!(rig.objects.bytes() <= 3 * MIB, "{} are kept", rig.objects.bytes());
    }
}

#[tokio::test(start_paused = true)]
async fn many_who_ask_at_a_time_read_once() {
    for bytes_max in [0, 64 * MIB] {
        let rig = rig(bytes_max).await;
        rig.slow(50);
        let readers = (0..30).map(|at| rig.check(at * 1000, at * 1000 + 5000));
        futures::future::join_all(readers).await;
        assert_eq!(rig.gets(), 1, "with {bytes_max} bytes kept");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_goes_away_leaves_its_fetch_to_the_others() {
    let rig = rig(64 * MIB).await;
    rig.slow(50);
    let gone = rig.objects.range(&rig.key, 0..100);
    assert!(tokio::time::timeout(Duration::from_millis(10), gone).await.is_err());
    rig.check(0, 100).await;
    assert_eq!(rig.gets(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_read_survives_throttling_breaks_and_a_stall() {
    let stall = Fault::Hang { wait: Duration::from_secs(300), applied: false };
    for fault in
        [Fault::Status(503), Fault::Status(429), Fault::FailBefore, Fault::FailAfter, stall]
    {
        let rig = rig(64 * MIB).await;
        rig.slow(20);
        rig.faults.script(Script::next(Op::Get, "", fault).times(2));
        rig.check(0, 100).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_read_is_sent_a_second_time_once_it_is_known_what_slow_is() {
    let rig = rig(0).await;
    rig.slow(20);
    for _ in 0..40 {
        rig.check(0, 100).await;
    }
    let wait = Duration::from_secs(300);
    rig.faults.script(Script::next(Op::Get, "", Fault::Hang { wait, applied: false }));
    let begun = tokio::time::Instant::now();
    rig.check(0, 100).await;
    assert!(begun.elapsed() < Duration::from_millis(100), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_is_told_in_time_and_not_kept() {
    let rig = rig(64 * MIB).await;
    rig.faults.set_rates(Rates { unavailable: 1000, ..Rates::default() });
    let begun = tokio::time::Instant::now();
    let away = rig.objects.range(&rig.key, 0..100).await;
    assert!(away.is_err_and(|error| error.is_retriable()));
    assert!(begun.elapsed() <= Duration::from_secs(20));
    rig.faults.stop();
    rig.check(0, 100).await;
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_gone_is_asked_for_once() {
    let rig = rig(64 * MIB).await;
    rig.store.delete(&rig.key).await.expect("the store answers");
    let gone = rig.objects.range(&rig.key, 0..100).await;
    assert!(matches!(gone, Err(Error::NotFound { .. })));
    assert_eq!(rig.gets(), 1);
}

#[tokio::test(start_paused = true)]
async fn reading_ahead_has_a_budget_of_its_own() {
    let rig = rig(16 * MIB).await;
    rig.slow(50);
    assert!(rig.objects.read_ahead(&rig.key, 0..4 * MIB));
    assert!(!rig.objects.read_ahead(&rig.key, 4 * MIB..8 * MIB), "a quarter is on its way");
    rig.check(8 * MIB, 8 * MIB + 5).await;
    rig.check(0, 4 * MIB).await;
    assert_eq!(rig.gets(), 2);
    assert!(rig.objects.read_ahead(&rig.key, 4 * MIB..8 * MIB));
}

#[tokio::test(start_paused = true)]
async fn what_is_forgotten_is_read_again() {
    let rig = rig(64 * MIB).await;
    rig.check(0, 100).await;
    rig.objects.forget(&rig.key);
    assert_eq!(rig.objects.bytes(), 0);
    rig.check(0, 100).await;
    assert_eq!(rig.gets(), 2);
}

#[test]
fn what_was_used_least_recently_is_forgotten_first() {
    let mut lru = Lru::new(100);
    for (key, kept) in [(1, vec![1]), (2, vec![1, 2]), (3, vec![2, 3])] {
        lru.insert(key, key, 40);
        assert_eq!(lru.values().copied().collect::<Vec<_>>(), kept);
    }
    assert_eq!(lru.floor(&2, |key, _| *key == 2), Some((&2, &2)));
    lru.insert(4, 4, 40);
    assert_eq!(lru.values().copied().collect::<Vec<_>>(), [2, 4], "3 was used before 2");
    lru.insert(5, 5, 101);
    assert_eq!(lru.weight(), 80, "what is heavier than all is not kept");
    assert_eq!(lru.floor(&9, |_, _| false), None);
    assert_eq!((lru.below(&4), lru.ceiling(&3)), (Some((&2, &2)), Some(&4)));
}
