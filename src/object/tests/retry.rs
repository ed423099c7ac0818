//! Claims about the one place that retries puts: every outcome of every fault, on a paused clock.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::super::faults::{Fault, Faults, Op, Rates, Script};
use super::super::retry::{Getter, Outcome, Ownership, Policy, Putter, ReadPolicy, read_within};
use super::*;
use crate::base::clock::sleep;
use crate::base::rng::Rng;
use crate::base::task;
use crate::telemetry::Registry;

const HOUR: Duration = Duration::from_secs(3600);

fn classify(header: &[u8]) -> Ownership {
    match header {
        b"ours" => Ownership::Ours,
        b"fence" => Ownership::Fence,
        _ => Ownership::Foreign,
    }
}

struct Rig {
    store: Store,
    faults: Faults,
    putter: Putter,
    registry: Registry,
    key: Key,
}

fn rig_over(store: &Store, seed: u64) -> Rig {
    let faults = Faults::new(Rng::from_seed(seed));
    let store = store.wrapped(|raw| faults.wrap(raw));
    let registry = Registry::new();
    let putter = Putter::new(store.clone(), Policy::default(), Rng::from_seed(seed), &registry);
    Rig { store, faults, putter, registry, key: Key::new("w/7/1") }
}

fn rig(seed: u64) -> Rig {
    rig_over(&build::memory(clock()), seed)
}

impl Rig {
    async fn put(&self) -> Outcome {
        self.putter.put_once(&self.key, payload("ours"), &classify).await
    }

    fn next(&self, op: Op, fault: Fault) {
        self.faults.script(Script::next(op, "", fault));
    }

    fn puts(&self) -> usize {
        self.faults.count(Op::Put, "")
    }

    async fn stand(&self, text: &'static str) {
        self.store.put_if_absent(&self.key, payload(text)).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_put_that_goes_well_is_one_call() {
    let rig = rig(1);
    assert!(matches!(rig.put().await, Outcome::Stored));
    assert_eq!(rig.faults.log().len(), 2, "{:?}", rig.faults.log());
}

#[tokio::test(start_paused = true)]
async fn whatever_happens_to_the_first_try_the_bytes_are_stored_once() {
    let wait = Duration::from_secs(40);
    for fault in [
        Fault::FailBefore,
        Fault::FailAfter,
        Fault::Status(409),
        Fault::Status(412),
        Fault::Status(429),
        Fault::Status(500),
        Fault::Status(503),
        Fault::StatusAfter(409),
        Fault::StatusAfter(412),
        Fault::StatusAfter(429),
        Fault::StatusAfter(500),
        Fault::StatusAfter(503),
        Fault::Hang { wait, applied: false },
        Fault::Hang { wait, applied: true },
        Fault::Late(Duration::from_millis(1)),
        Fault::Late(Duration::from_secs(20)),
        Fault::Twice(Duration::from_secs(5)),
    ] {
        let rig = rig(1);
        rig.next(Op::Put, fault);
        let outcome = timeout(HOUR, rig.put()).await.unwrap();
        assert!(matches!(outcome, Outcome::Stored), "{fault:?}: {outcome:?}");
        sleep(HOUR).await;
        assert_eq!(rig.store.get(&rig.key).await.unwrap(), "ours", "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_is_settled_by_a_read_without_a_second_upload() {
    let rig = rig(1);
    rig.next(Op::Put, Fault::FailAfter);
    assert!(matches!(rig.put().await, Outcome::Stored));
    assert_eq!((rig.puts(), rig.faults.count(Op::Get, "")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_fence_and_foreign_bytes_are_told_apart_and_never_overwritten() {
    for (standing, fenced) in [("fence", true), ("theirs", false), ("", false)] {
        let rig = rig(1);
        rig.stand(standing).await;
        match rig.put().await {
            Outcome::Fenced { header } if fenced => assert_eq!(header, standing),
            Outcome::Foreign { header } if !fenced => assert_eq!(header, standing),
            other => panic!("{standing}: {other:?}"),
        }
        assert_eq!(rig.store.get(&rig.key).await.unwrap(), standing);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fence_that_comes_between_two_tries_wins() {
    for fault in [Fault::FailBefore, Fault::Status(503), Fault::Status(409)] {
        let rig = rig(1);
        rig.next(Op::Put, fault);
        // In the wait after the first try.
        let (store, key) = (rig.store.clone(), rig.key.clone());
        drop(task::spawn("fencer", async move {
            sleep(Duration::from_millis(5)).await;
            store.put_if_absent(&key, payload("fence")).await.unwrap();
        }));
        assert!(matches!(rig.put().await, Outcome::Fenced { .. }), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_hours_is_waited_out() {
    for fault in [
        Fault::FailBefore,
        Fault::Status(503),
        Fault::Status(429),
        Fault::Status(409),
        Fault::Status(500),
    ] {
        let rig = rig(1);
        for op in [Op::Put, Op::Get] {
            rig.faults.script(Script::next(op, "", fault).times(u32::MAX));
        }
        let faults = rig.faults.clone();
        drop(task::spawn("repair", async move {
            sleep(5 * HOUR).await;
            faults.stop();
        }));
        let begun = Instant::now();
        let outcome = rig.put().await;
        assert!(matches!(outcome, Outcome::Stored), "{fault:?}: {outcome:?}");
        let after = begun.elapsed().saturating_sub(5 * HOUR);
        assert!(after < Duration::from_secs(3), "{fault:?}: stored {after:?} after the repair");
        // Two seconds between tries at most, and at least half of that; where a read settles the matter, every other is one.
        assert!(rig.puts() > 5 * 3600 / 4 && rig.puts() < 5 * 3600, "{} tries", rig.puts());
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_asked_again_after_the_try_timeout() {
    let rig = rig(1);
    rig.next(Op::Put, Fault::Hang { wait: HOUR, applied: false });
    let begun = Instant::now();
    assert!(matches!(rig.put().await, Outcome::Stored));
    let policy = Policy::default();
    assert!(
        begun.elapsed() >= policy.try_timeout
            && begun.elapsed() < policy.try_timeout + Duration::from_secs(1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_final_only_when_it_lasts() {
    for status in [400, 401, 403, 404] {
        let passing = rig(1);
        passing.faults.script(Script::next(Op::Put, "", Fault::Status(status)).times(5));
        assert!(matches!(passing.put().await, Outcome::Stored), "{status}");

        let lasting = rig(1);
        lasting.faults.script(Script::next(Op::Put, "", Fault::Status(status)).times(u32::MAX));
        let begun = Instant::now();
        let Outcome::Refused(error) = lasting.put().await else { panic!("{status}") };
        assert!(!error.is_retriable() && error.fate() == Fate::NotWritten, "{error}");
        let (patience, took) = (Policy::default().refusal_patience, begun.elapsed());
        assert!(took >= patience && took < 2 * patience, "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn health_falls_while_the_store_fails_or_stalls_and_recovers() {
    for fault in [Fault::Status(503), Fault::Hang { wait: HOUR, applied: false }] {
        let rig = rig(1);
        let health = rig.store.health();
        rig.faults.script(Script::next(Op::Put, "", fault).times(u32::MAX));
        rig.faults.script(Script::next(Op::Get, "", fault).times(u32::MAX));
        let (putter, key) = (rig.putter.clone(), rig.key.clone());
        let put =
            task::spawn(
                "put",
                async move { putter.put_once(&key, payload("ours"), &classify).await },
            );
        // Time for three tries that fail at once.
        sleep(Duration::from_secs(1)).await;
        let hangs = matches!(fault, Fault::Hang { .. });
        assert_eq!(health.borrow().verdict().is_ok(), hangs, "{fault:?}");
        sleep(Duration::from_secs(4)).await;
        let said = health.borrow().verdict().expect_err("not ready");
        let why = if hangs { "no write has succeeded for 5 s" } else { "writes in a row failed" };
        assert!(said.contains(why), "{fault:?}: {said}");
        rig.faults.stop();
        assert!(matches!(put.await.unwrap(), Some(Outcome::Stored)));
        assert!(health.borrow().verdict().is_ok() && health.borrow().writes.in_a_row == 0);
    }
}

#[tokio::test(start_paused = true)]
async fn failed_reads_show_until_one_succeeds_or_nobody_reads_any_more() {
    let rig = rig(1);
    let health = rig.store.health();
    let getter =
        Getter::new(rig.store.clone(), ReadPolicy::default(), Rng::from_seed(1), &Registry::new());
    assert!(matches!(rig.put().await, Outcome::Stored));
    let read = || getter.get_range(&rig.key, 0..4, Duration::from_secs(3));
    for succeeds in [true, false] {
        rig.faults.script(Script::next(Op::Get, "", Fault::Status(503)).times(u32::MAX));
        read().await.expect_err("the store fails");
        let said = health.borrow().verdict().expect_err("not ready");
        assert!(said.contains("reads in a row failed"), "{said}");
        rig.faults.stop();
        if succeeds {
            assert_eq!(read().await.expect("the store is back"), "ours");
        } else {
            sleep(Duration::from_secs(31)).await;
        }
        assert!(health.borrow().verdict().is_ok());
    }
    read().await.expect("the store is back");
    // What is not there is no failure of the store's.
    for _ in 0..5 {
        let absent = Key::new("absent");
        getter.get_range(&absent, 0..4, Duration::from_secs(1)).await.expect_err("not there");
    }
    assert!(health.borrow().verdict().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_shows_while_nothing_else_succeeds() {
    let rig = rig(1);
    let (health, stall) = (rig.store.health(), Duration::from_secs(10));
    let ready = || health.borrow().verdict().is_ok();
    let hang = Fault::Hang { wait: stall, applied: true };
    let put = |name| {
        let (putter, key) = (rig.putter.clone(), Key::new(name));
        async move { putter.put_once(&key, payload("ours"), &classify).await }
    };
    // A write, and one that gives up.
    for patient in [true, false] {
        rig.next(Op::Put, hang);
        let stuck = task::spawn("stuck", put(if patient { "w/a" } else { "w/b" }));
        sleep(Duration::from_millis(3900)).await;
        assert!(ready(), "so long may a write take");
        sleep(Duration::from_millis(200)).await;
        assert!(!ready(), "no write has succeeded for 4 s");
        let other = if patient { "w/c" } else { "w/d" };
        assert!(matches!(put(other).await, Outcome::Stored));
        assert!(ready(), "another write succeeds: the store answers");
        sleep(Duration::from_millis(4100)).await;
        assert!(!ready(), "and does not any more");
        if patient {
            assert!(matches!(stuck.await.unwrap(), Some(Outcome::Stored)));
        } else {
            stuck.abort();
            sleep(Duration::from_millis(1)).await;
        }
        assert!(ready(), "nothing waits any more");
    }
    let getter =
        Getter::new(rig.store.clone(), ReadPolicy::default(), Rng::from_seed(1), &Registry::new());
    rig.next(Op::Get, Fault::Hang { wait: HOUR, applied: false });
    let key = Key::new("w/a");
    let read = task::spawn("read", async move { getter.get_range(&key, 0..4, stall).await });
    sleep(Duration::from_millis(4100)).await;
    let said = health.borrow().verdict().expect_err("not ready");
    assert!(said.contains("no read has succeeded for 4 s"), "{said}");
    // The second try.
    assert_eq!(read.await.unwrap().unwrap().expect("the store is back"), "ours");
    assert!(ready());
}

/// Puts `count` objects, each of which takes about 20 ms.
async fn warm_up(rig: &Rig, count: u32) {
    let latency = (Duration::from_millis(19), Duration::from_millis(21));
    rig.faults.set_rates(Rates { latency, ..Rates::default() });
    for n in 0..count {
        let key = Key::new(&format!("warm/{n}"));
        rig.putter.put_once(&key, payload("ours"), &classify).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_put_is_sent_twice_after_the_95th_and_the_first_answer_counts() {
    let rig = rig(1);
    warm_up(&rig, 40).await;
    let (before, begun) = (rig.puts(), Instant::now());
    rig.next(Op::Put, Fault::Hang { wait: HOUR, applied: false });
    assert!(matches!(rig.put().await, Outcome::Stored));
    assert!(begun.elapsed() < Duration::from_millis(60), "{:?}", begun.elapsed());
    assert_eq!(rig.puts() - before, 2);
    assert!(rig.registry.encode().contains("thalweg_object_put_hedges_total 1"));
}

#[tokio::test(start_paused = true)]
async fn a_hedge_that_fails_or_stalls_too_is_followed_by_another() {
    for second in [Fault::Status(503), Fault::Hang { wait: HOUR, applied: false }] {
        let rig = rig(1);
        warm_up(&rig, 40).await;
        let begun = Instant::now();
        rig.next(Op::Put, Fault::Hang { wait: HOUR, applied: false });
        rig.next(Op::Put, second);
        assert!(matches!(rig.put().await, Outcome::Stored));
        assert!(begun.elapsed() < Duration::from_millis(90), "{second:?}: {:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn what_follows_a_failed_try_is_late_from_the_start() {
    let rig = rig(1);
    warm_up(&rig, 40).await;
    let (before, begun) = (rig.puts(), Instant::now());
    rig.next(Op::Put, Fault::Status(503));
    rig.next(Op::Put, Fault::Hang { wait: HOUR, applied: false });
    assert!(matches!(rig.put().await, Outcome::Stored));
    // A try, a wait of 20 ms at most, 10 ms, and the hedge: one more p95 would be 83.
    assert!(begun.elapsed() < Duration::from_millis(76), "{:?}", begun.elapsed());
    assert_eq!((rig.puts() - before, rig.faults.count(Op::Get, "")), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn stalls_do_not_reach_the_caller_of_a_store_that_fails_now_and_then() {
    let rig = rig(1);
    let latency = (Duration::from_millis(60), Duration::from_millis(200));
    let hang_max = Duration::from_secs(4);
    // In 1,000.
    let rates = Rates { latency, unavailable: 50, hang: 10, hang_max, ..Rates::default() };
    rig.faults.set_rates(rates);
    let (mut stalled, puts) = (0, 2_000);
    for n in 0..puts {
        let (key, begun) = (Key::new(&format!("w/{n}")), Instant::now());
        rig.putter.put_once(&key, payload("ours"), &classify).await;
        stalled += u32::from(begun.elapsed() > Duration::from_secs(1));
    }
    // 20 of them stalled; the first come before enough is known of the store.
    assert!(stalled <= 2, "{stalled} of {puts} puts took over a second");
}

#[tokio::test(start_paused = true)]
async fn a_hedge_that_finds_the_first_ones_bytes_is_a_success() {
    let rig = rig(1);
    warm_up(&rig, 40).await;
    // The first is done but its reply hangs: the second finds the name taken.
    rig.next(Op::Put, Fault::Hang { wait: HOUR, applied: true });
    let begun = Instant::now();
    assert!(matches!(rig.put().await, Outcome::Stored));
    assert!(begun.elapsed() < Duration::from_millis(90), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_slow_as_a_whole_does_not_get_twice_the_load() {
    let rig = rig(1);
    warm_up(&rig, 40).await;
    let latency = (Duration::from_millis(200), Duration::from_millis(900));
    rig.faults.set_rates(Rates { latency, ..Rates::default() });
    let before = rig.puts();
    for n in 0..100 {
        let key = Key::new(&format!("slow/{n}"));
        assert!(matches!(
            rig.putter.put_once(&key, payload("ours"), &classify).await,
            Outcome::Stored
        ));
    }
    let puts = rig.puts() - before;
    assert!((100..=115).contains(&puts), "{puts} puts for 100 objects");
}

#[tokio::test(start_paused = true)]
async fn a_local_directory_is_neither_hedged_nor_timed_out() {
    let rig = rig_over(&build::test_disk(&TestDisk::new(clock())).unwrap(), 1);
    warm_up(&rig, 40).await;
    let before = rig.puts();
    let latency = (Duration::from_secs(100), Duration::from_secs(101));
    rig.faults.set_rates(Rates { latency, ..Rates::default() });
    assert!(matches!(rig.put().await, Outcome::Stored));
    assert_eq!(rig.puts() - before, 1);
}

#[tokio::test(start_paused = true)]
async fn on_a_directory_what_a_read_finds_is_made_durable_before_it_counts() {
    let disk = TestDisk::new(clock());
    let rig = rig_over(&build::test_disk(&disk).unwrap(), 1);
    rig.next(Op::Put, Fault::FailAfter);
    let before = disk.syncs();
    assert!(matches!(rig.put().await, Outcome::Stored));
    // Three for the new directories, two for the put; then the file, its directory and two above it.
    assert_eq!(disk.syncs() - before, 3 + 2 + 4);

    // The same, and that sync fails: not stored, and final.
    let disk = TestDisk::new(clock());
    let rig = rig_over(&build::test_disk(&disk).unwrap(), 1);
    rig.next(Op::Put, Fault::FailAfter);
    disk.fail_sync(5);
    let outcome = rig.put().await;
    assert!(matches!(outcome, Outcome::Refused(Error::DurabilityLost { .. })), "{outcome:?}");
    assert!(rig.store.health().borrow().durability_lost.is_some());
}

/// Nothing is acknowledged past it, whatever fits behind it.
#[tokio::test(start_paused = true)]
async fn a_put_that_fails_again_and_again_shows_though_others_succeed() {
    let rig = rig(1);
    rig.faults.script(Script::next(Op::Put, "w/7/1", Fault::Status(503)).times(8));
    let verdict = || rig.store.health().borrow().verdict();
    let others = async {
        while rig.faults.count(Op::Put, "w/7/1") < 3 {
            sleep(Duration::from_millis(1)).await;
        }
        for slot in 2..6 {
            let key = Key::new(&format!("w/7/{slot}"));
            let outcome = rig.putter.put_once(&key, payload("ours"), &classify).await;
            assert!(matches!(outcome, Outcome::Stored));
            let why = verdict().expect_err("one of them is stuck");
            assert!(why.starts_with("a write fails again and again: "), "{why}");
        }
    };
    let (outcome, ()) = futures::join!(rig.put(), others);
    assert!(matches!(outcome, Outcome::Stored));
    assert_eq!(verdict(), Ok(()));
    // Nobody waits for one that was given up.
    rig.faults.script(Script::next(Op::Put, "w/7/9", Fault::Status(503)).times(u32::MAX));
    let given_up = Key::new("w/7/9");
    let tried = rig.putter.put_once(&given_up, payload("ours"), &classify);
    timeout(Duration::from_secs(20), tried).await.expect_err("it fails");
    let key = Key::new("w/7/8");
    rig.putter.put_once(&key, payload("ours"), &classify).await;
    assert_eq!(verdict(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_is_waited_out() {
    let disk = TestDisk::new(clock());
    let rig = rig_over(&build::test_disk(&disk).unwrap(), 1);
    rig.store.prepare_dir(rig.key.dir()).await.unwrap();
    disk.set_full(true);
    drop(task::spawn("repair", async move {
        sleep(HOUR).await;
        disk.set_full(false);
    }));
    assert!(matches!(rig.put().await, Outcome::Stored));
}

#[tokio::test(start_paused = true)]
async fn a_storm_stores_everything_once_and_replays_call_by_call() {
    let run = |seed| async move {
        let rig = rig(seed);
        rig.faults.set_rates(Rates {
            latency: (Duration::from_millis(5), Duration::from_millis(60)),
            fail_before: 60,
            fail_after: 60,
            conflict: 40,
            precondition: 20,
            throttled: 40,
            unavailable: 40,
            internal_after: 40,
            hang: 30,
            late: 40,
            twice: 40,
            ..Rates::default()
        });
        let puts = (0..100).map(|n| {
            let (putter, key) = (rig.putter.clone(), Key::new(&format!("storm/{n}")));
            task::spawn(
                "put",
                async move { putter.put_once(&key, payload("ours"), &classify).await },
            )
        });
        for outcome in futures::future::join_all(puts).await {
            assert!(matches!(outcome.unwrap(), Some(Outcome::Stored)));
        }
        rig.faults.stop();
        assert_eq!(rig.store.list("storm").await.unwrap().len(), 100);
        rig.faults.log()
    };
    for seed in 0..5 {
        assert!(run(seed).await == run(seed).await, "seed {seed} made two logs");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_put_may_be_put_again_with_the_same_bytes() {
    let rig = rig(1);
    rig.next(Op::Put, Fault::Late(Duration::from_millis(100)));
    assert!(timeout(Duration::from_millis(1), rig.put()).await.is_err());
    assert!(matches!(rig.put().await, Outcome::Stored));
    sleep(HOUR).await;
    assert_eq!(rig.store.get(&rig.key).await.unwrap(), "ours");
}

#[tokio::test(start_paused = true)]
async fn a_read_is_tried_within_its_budget() {
    let rig = rig(1);
    rig.stand("ours").await;
    rig.faults.script(Script::next(Op::Get, "", Fault::Status(503)).times(3));
    let rng = Rng::from_seed(1);
    let second = Duration::from_secs(1);
    assert_eq!(read_within(second, &rng, || rig.store.get(&rig.key)).await.unwrap(), "ours");
    rig.faults.script(Script::next(Op::Get, "", Fault::Status(503)).times(u32::MAX));
    let begun = Instant::now();
    let failed = read_within(second, &rng, || rig.store.get(&rig.key)).await;
    assert!(matches!(failed, Err(Error::Throttled { .. })));
    assert!(begun.elapsed() <= second);
}
