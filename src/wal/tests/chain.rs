//! The window, the order of acknowledgements, and the fail-stop.

use tokio::time::Instant;

use super::*;

#[tokio::test(start_paused = true)]
async fn no_more_than_a_window_of_slots_is_on_its_way() {
    let rig = Rig::new(Settings { window: 2, ..settings() });
    rig.script(Op::Put, 0, stuck(true), 1);
    let filled = rig.fill(6).await;
    assert_eq!(rig.puts(), 2, "slot 0 is not stored: slot 2 may not be sent");
    // The policy gives a try up in time, and finds that it was done.
    for stable in filled {
        stable.wait().await.expect("an open chain");
    }
    assert!(rig.puts() >= 3, "{}", rig.puts());
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "a window above 64")]
async fn a_window_that_recovery_does_not_know_is_refused() {
    drop(Rig::new(Settings { window: 65, ..settings() }));
}

#[tokio::test(start_paused = true)]
async fn acknowledgements_follow_slot_order() {
    let rig = Rig::new(settings());
    rig.script(Op::Put, 0, Fault::Status(503), 6);
    let filled = rig.fill(3).await;
    assert!(rig.store.get(&name(1)).await.is_ok() && rig.store.get(&name(2)).await.is_ok());
    for stable in &filled {
        assert!(!is_stable(stable).await, "slot {} before slot 0", stable.slot());
    }
    assert_eq!(rig.wal.stable(), 0);
    filled[0].clone().wait().await.expect("the store is back");
    assert_eq!(rig.wal.stable(), 3, "all that was stored behind it, at once");
    for stable in &filled {
        assert!(is_stable(stable).await);
    }
}

#[tokio::test(start_paused = true)]
async fn what_joins_one_slot_is_put_once() {
    let rig = Rig::new(settings());
    let joined: Vec<Stable> = (0..50).map(|_| rig.try_join().expect("an open chain")).collect();
    for stable in joined {
        assert_eq!(stable.slot(), SlotId(0));
        stable.wait().await.expect("an open chain");
    }
    assert_eq!(rig.puts(), 1);
}

/// An idle local chain closes a slot at once until a thousand small ones were a burst; then a small one waits for the pace,
/// and one of many batches does not.
#[tokio::test(start_paused = true)]
async fn the_pace_holds_small_slots_and_no_others() {
    let rig = Rig::at(Locality::Memory, Settings { flush: ms(100), ..settings() });
    let begin = Instant::now();
    let taken = async |batches: usize| {
        let before = Instant::now();
        let joined: Vec<Stable> =
            (0..batches).map(|_| rig.try_join().expect("an open chain")).collect();
        for stable in joined {
            stable.wait().await.expect("an open chain");
        }
        before.elapsed()
    };
    for _ in 0..1_000 {
        taken(1).await;
    }
    assert!(begin.elapsed() < ms(10), "a burst took {:?}", begin.elapsed());
    let small = taken(1).await;
    assert!(
        small > Duration::ZERO && small < ms(10),
        "a small slot beyond the burst took {small:?}"
    );
    taken(31).await;
    assert_eq!(taken(32).await, Duration::ZERO, "a slot of 32 batches waited");
}

/// In a bucket, those who are answered by one put and go on at once share the next, though the first of them comes to an
/// idle chain; who comes to a chain that has been idle for a while waits for nobody.
#[tokio::test(start_paused = true)]
async fn what_follows_an_answer_takes_one_put() {
    let rig = Rig::new(Settings { flush: ms(100), ..settings() });
    let slow = Fault::Hang { wait: ms(64), applied: true };
    rig.script(Op::Put, 0, slow, 1);
    let first = rig.join_with(Budget::WhenIdle).expect("an open chain");
    first.wait().await.expect("an open chain");
    let begin = Instant::now();
    let followers: Vec<Stable> = {
        let mut followers = vec![rig.join_with(Budget::WhenIdle).expect("an open chain")];
        sleep(ms(1)).await;
        followers.push(rig.join_with(Budget::WhenIdle).expect("an open chain"));
        followers
    };
    for stable in followers {
        stable.wait().await.expect("an open chain");
    }
    assert_eq!(rig.puts(), 2, "the two share a put");
    let waited = begin.elapsed();
    assert!(ms(2) <= waited && waited <= ms(3), "a thirty-second part of the last put: {waited:?}");
    sleep(ms(10)).await;
    let begin = Instant::now();
    rig.join_with(Budget::WhenIdle).expect("open").wait().await.expect("an open chain");
    assert_eq!(begin.elapsed(), Duration::ZERO, "an idle chain waits for nobody");
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_waited_for_under_the_same_name() {
    let rig = Rig::new(settings());
    rig.script(Op::Put, 0, Fault::FailBefore, 20);
    let stable = rig.try_join().expect("an open chain");
    sleep(Duration::from_secs(5)).await;
    assert!(!is_stable(&stable).await && rig.ended().is_none());
    stable.wait().await.expect("the store is back");
    assert_eq!(rig.puts(), 21);
    assert_eq!(rig.faults.count(Op::Put, name(0).as_str()), 21, "no other name");
}

/// The chain's end when something else stands in slot 1's name: what was stable stays, all else fails.
async fn ended_by(rig: &Rig, found: Payload) -> Option<End> {
    rig.store.put_if_absent(&name(1), found).await.expect("a free name");
    let stored = rig.try_join().expect("an open chain");
    stored.clone().wait().await.expect("slot 0 is free");
    let refused = rig.try_join().expect("an open chain");
    assert!(matches!(refused.wait().await, Err(Error::Indeterminate { .. })));
    assert!(is_stable(&stored).await, "what was acknowledged stays so");
    let puts = rig.puts();
    assert!(matches!(rig.try_join(), Err(Error::Ended { .. })));
    sleep(MINUTE).await;
    assert_eq!(rig.puts(), puts, "an ended chain puts nothing");
    rig.ended()
}

#[tokio::test(start_paused = true)]
async fn a_fence_ends_the_chain() {
    let rig = Rig::new(settings());
    let planter = Incarnation(uuid::Uuid::from_u128(2));
    let fence = fence::payload(CHAIN, SlotId(1), planter, Timestamp(1));
    assert_eq!(ended_by(&rig, fence).await, Some(End::Fenced { slot: SlotId(1) }));
}

#[tokio::test(start_paused = true)]
async fn foreign_bytes_end_the_chain() {
    let rig = Rig::new(settings());
    let bytes = Payload::from(bytes::Bytes::from_static(&[7; 100]));
    assert_eq!(ended_by(&rig, bytes).await, Some(End::Foreign { slot: SlotId(1) }));
}

#[tokio::test(start_paused = true)]
async fn a_fence_behind_a_hole_acknowledges_nothing_above_it() {
    let rig = Rig::new(settings());
    rig.plant_fence(0).await;
    // It learns of the fence when the slots behind it are stored.
    rig.script(Op::Put, 0, Fault::Hang { wait: ms(100), applied: false }, 1);
    let filled = rig.fill(3).await;
    assert!(rig.store.get(&name(2)).await.is_ok(), "slot 2 is stored, and void");
    for stable in filled {
        assert!(matches!(stable.wait().await, Err(Error::Indeterminate { .. })));
    }
    assert_eq!(rig.wal.stable(), 0, "nothing above the fence");
    assert_eq!(rig.ended(), Some(End::Fenced { slot: SlotId(0) }));
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_is_closed_has_stored_and_committed_everything() {
    let rig = Rig::new(settings());
    let stable = rig.try_join().expect("an open chain");
    rig.wal.close(MINUTE).await;
    assert!(is_stable(&stable).await);
    assert_eq!((rig.ended(), rig.ledger.slots()), (Some(End::Closed), vec![0]));
}
