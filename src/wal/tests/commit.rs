//! Commits: of what is stable, in order, each slot once, and never in the way of an acknowledgement.

use super::*;
use crate::manifest::client::ROWS_MAX;

async fn stable(filled: Vec<Stable>) {
    for stable in filled {
        stable.wait().await.expect("an open chain");
    }
}

#[tokio::test(start_paused = true)]
async fn only_what_is_stable_is_committed() {
    let rig = Rig::new(settings());
    rig.script(Op::Put, 1, Fault::Status(503), 12);
    let filled = rig.fill(3).await;
    sleep(Duration::from_secs(4)).await;
    assert_eq!(rig.ledger.slots(), [0], "slot 2 is stored, but slot 1 is not");
    stable(filled).await;
    sleep(Duration::from_secs(4)).await;
    assert_eq!(rig.ledger.slots(), [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn slots_gather_and_are_committed_together() {
    let rig = Rig::new(settings());
    stable(rig.fill(20).await).await;
    assert!(rig.ledger.slots().is_empty(), "a commit is a request that is paid for");
    sleep(Duration::from_secs(2)).await;
    assert_eq!(rig.ledger.parts(), [20]);
}

#[tokio::test(start_paused = true)]
async fn while_the_coordinator_is_away_slots_are_acknowledged_and_then_come_in_order() {
    let rig = Rig::new(settings());
    rig.ledger.with(|ledger| ledger.away = true);
    let slots = 2 * ROWS_MAX + 10;
    stable(rig.fill(slots).await).await;
    assert_eq!(rig.wal.stable(), slots as u64);
    assert_eq!((rig.wal.committed(), rig.ended()), (0, None));
    rig.ledger.with(|ledger| ledger.away = false);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(rig.ledger.slots(), (0..slots as u64).collect::<Vec<_>>(), "each once");
    assert_eq!(rig.ledger.parts(), [ROWS_MAX, ROWS_MAX, 10]);
    assert_eq!(rig.wal.committed(), slots as u64);
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_is_refused_ends_the_chain() {
    let rig = Rig::new(settings());
    stable(rig.fill(1).await).await;
    rig.ledger.with(|ledger| ledger.fenced = true);
    sleep(Duration::from_secs(3)).await;
    assert_eq!(rig.ended(), Some(End::CommitRefused));
    assert!(matches!(rig.try_join(), Err(Error::Ended { end: End::CommitRefused, .. })));
}

#[tokio::test(start_paused = true)]
async fn admission_stops_when_uncommitted_slots_are_too_old() {
    let rig = Rig::new(Settings { uncommitted_age_max: Duration::from_secs(20), ..settings() });
    rig.ledger.with(|ledger| ledger.away = true);
    stable(rig.fill(1).await).await;
    sleep(Duration::from_secs(19)).await;
    assert!(rig.wal.has_room());
    sleep(Duration::from_secs(2)).await;
    assert!(!rig.wal.has_room());
    rig.ledger.with(|ledger| ledger.away = false);
    tokio::time::timeout(MINUTE, rig.wal.admitted()).await.expect("admission goes on");
}

#[tokio::test(start_paused = true)]
async fn admission_stops_when_uncommitted_slots_take_too_much() {
    let rig = Rig::new(Settings { uncommitted_bytes_max: ByteSize(2_000), ..settings() });
    rig.ledger.with(|ledger| ledger.away = true);
    for slots in 1.. {
        stable(rig.fill(1).await).await;
        if !rig.wal.has_room() {
            break;
        }
        assert!(slots < 100, "the bound is not kept");
    }
    rig.ledger.with(|ledger| ledger.away = false);
    tokio::time::timeout(MINUTE, rig.wal.admitted()).await.expect("admission goes on");
    assert!(rig.wal.has_room());
}

/// One partition, many small batches: what a slot holds in memory is an entry for each of them, not one for its run.
#[tokio::test(start_paused = true)]
async fn each_batch_of_an_uncommitted_slot_counts() {
    const BATCHES: u64 = 5_000;
    let cap = ByteSize(3 * 16 * BATCHES);
    let rig = Rig::new(Settings {
        uncommitted_bytes_max: cap,
        tail_bytes: ByteSize(0),
        flush: ms(100),
        ..settings()
    });
    rig.ledger.with(|ledger| ledger.away = true);
    let mut slots = 0;
    while rig.wal.has_room() {
        assert!(
            slots < 3,
            "{slots} slots hold {BATCHES} batches each, at most {cap} are asked for"
        );
        for _ in 0..BATCHES {
            drop(rig.try_join().expect("an open chain"));
        }
        rig.wal.flush().await.expect("a store that works");
        slots += 1;
        assert_eq!(rig.wal.stable(), slots);
    }
    assert_eq!(slots, 3, "it stops at the cap, not long before");
    rig.ledger.with(|ledger| ledger.away = false);
    tokio::time::timeout(MINUTE, rig.wal.admitted()).await.expect("admission goes on");
    assert!(rig.wal.has_room());
}

#[tokio::test(start_paused = true)]
async fn whoever_closes_waits_for_the_coordinator_only_so_long() {
    let rig = Rig::new(settings());
    rig.ledger.with(|ledger| ledger.away = true);
    let joined = rig.try_join().expect("an open chain");
    let began = tokio::time::Instant::now();
    rig.wal.close(Duration::from_secs(7)).await;
    assert_eq!(began.elapsed().as_secs(), 7);
    assert!(is_stable(&joined).await, "the takeover finds it without a commit");
}
