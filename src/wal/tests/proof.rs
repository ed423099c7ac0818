//! Law 9: what proves leadership, and what does not.

use super::*;
use crate::object::faults::Rates;

async fn prove(rig: &Rig) -> Result<(), Error> {
    rig.wal.prove(Duration::from_secs(5)).await
}

#[tokio::test(start_paused = true)]
async fn an_idle_chain_is_proven_by_a_look_at_its_next_name() {
    let rig = Rig::new(settings());
    rig.fill(2).await.pop().expect("two").wait().await.expect("an open chain");
    prove(&rig).await.expect("no fence");
    assert_eq!(rig.gets(), 1);
    assert_eq!(rig.faults.count(Op::Get, name(2).as_str()), 1);
}

#[tokio::test(start_paused = true)]
async fn a_fence_in_the_next_name_is_the_end() {
    let rig = Rig::new(settings());
    rig.fill(2).await.pop().expect("two").wait().await.expect("an open chain");
    rig.plant_fence(2).await;
    assert!(matches!(prove(&rig).await, Err(Error::Ended { .. })));
    assert_eq!(rig.ended(), Some(End::Fenced { slot: SlotId(2) }));
    assert!(matches!(prove(&rig).await, Err(Error::Ended { .. })), "and stays so");
}

#[tokio::test(start_paused = true)]
async fn with_puts_in_flight_every_name_of_them_is_looked_at() {
    let rig = Rig::new(settings());
    // Its put goes on for as long as a try may take: nothing stands there yet.
    rig.script(Op::Put, 0, stuck(false), 1);
    rig.script(Op::Put, 1, stuck(false), 1);
    rig.fill(2).await;
    prove(&rig).await.expect("no fence");
    let looked: Vec<usize> =
        (0..4).map(|slot| rig.faults.count(Op::Get, name(slot).as_str())).collect();
    assert_eq!(looked, [1, 1, 1, 0], "two in flight and the next, and no other");
}

#[tokio::test(start_paused = true)]
async fn a_fence_under_a_put_in_flight_is_found() {
    let rig = Rig::new(settings());
    rig.script(Op::Put, 0, stuck(false), 1);
    rig.fill(1).await;
    rig.plant_fence(0).await;
    assert!(matches!(prove(&rig).await, Err(Error::Ended { .. })));
    assert_eq!(rig.ended(), Some(End::Fenced { slot: SlotId(0) }));
}

#[tokio::test(start_paused = true)]
async fn a_slot_whose_put_began_after_the_question_is_a_proof() {
    let rig = Rig::new(settings());
    rig.script(Op::Get, 0, stuck(true), u32::MAX);
    let (proof, _) = tokio::join!(prove(&rig), async {
        sleep(ms(1)).await;
        rig.fill(1).await
    });
    proof.expect("the slot became stable");
}

#[tokio::test(start_paused = true)]
async fn a_slot_whose_put_began_before_the_question_is_none() {
    let rig = Rig::new(settings());
    for slot in 0..2 {
        rig.script(Op::Get, slot, stuck(true), u32::MAX);
    }
    // On its way when the question comes, and stable a second later.
    let second = Duration::from_secs(1);
    rig.faults.set_rates(Rates { latency: (second, second), ..Rates::default() });
    let joined = rig.fill(1).await;
    let proof = prove(&rig).await;
    assert!(is_stable(&joined[0]).await, "it became stable meanwhile");
    assert!(matches!(proof, Err(Error::Unproven { .. })), "{proof:?}");
    assert_eq!(rig.ended(), None);
}

#[tokio::test(start_paused = true)]
async fn one_round_serves_all_who_came_before_it() {
    let rig = Rig::new(settings());
    let questions = (0..100).map(|_| prove(&rig));
    for proof in futures::future::join_all(questions).await {
        proof.expect("no fence");
    }
    assert!(rig.gets() <= 2, "{} rounds", rig.gets());
}

#[tokio::test(start_paused = true)]
async fn a_round_that_began_before_serves_nobody_who_comes_later() {
    let rig = Rig::new(settings());
    let slow = Fault::Hang { wait: ms(100), applied: true };
    // The first look fails after a while; it is tried again, and still belongs to the first round.
    rig.script(Op::Get, 0, slow, 1);
    let second = async {
        sleep(ms(50)).await;
        prove(&rig).await
    };
    let (first, second) = tokio::join!(prove(&rig), second);
    first.expect("no fence");
    second.expect("no fence");
    assert_eq!(rig.gets(), 3, "one that failed, its second try, and one for the second round");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_proves_nothing_and_ends_nothing() {
    let rig = Rig::new(settings());
    rig.script(Op::Get, 0, Fault::Status(503), u32::MAX);
    let began = tokio::time::Instant::now();
    assert!(matches!(prove(&rig).await, Err(Error::Unproven { waited_ms: 5_000, .. })));
    assert_eq!((began.elapsed().as_secs(), rig.ended()), (5, None));
    rig.faults.stop();
    prove(&rig).await.expect("the store is back");
}

/// A chain that writes nothing is looked at each second; while the store does not answer, readers are refused from a session
/// timeout after the last proof on, and served again as soon as it answers.
#[tokio::test(start_paused = true)]
async fn without_a_proof_for_a_session_timeout_nobody_reads() {
    let rig = Rig::new(settings());
    sleep(Duration::from_millis(20_500)).await;
    assert!(rig.wal.may_be_read());
    assert!((15..=20).contains(&rig.gets()), "{} looks in 20 s", rig.gets());
    rig.script(Op::Get, 0, Fault::Status(503), u32::MAX);
    sleep(Duration::from_millis(7_900)).await;
    assert!(rig.wal.may_be_read(), "the last proof is less than 9 s old");
    sleep(Duration::from_millis(2_600)).await;
    assert!(!rig.wal.may_be_read(), "the last proof is more than 9 s old");
    assert_eq!(rig.ended(), None, "it is not known that another leads");
    rig.faults.stop();
    sleep(Duration::from_millis(2_100)).await;
    assert!(rig.wal.may_be_read(), "the store is back");
}

/// The look finds a fence though nobody asks, and a chain that writes is not looked at.
#[tokio::test(start_paused = true)]
async fn an_idle_chain_hears_of_its_fence_within_two_seconds() {
    let rig = Rig::new(settings());
    for _ in 0..50 {
        rig.fill(1).await.pop().expect("one").wait().await.expect("an open chain");
        sleep(ms(100)).await;
    }
    assert_eq!(rig.gets(), 0, "each slot is a proof");
    rig.plant_fence(50).await;
    sleep(Duration::from_millis(2_100)).await;
    assert_eq!(rig.ended(), Some(End::Fenced { slot: SlotId(50) }));
}

#[tokio::test(start_paused = true)]
async fn a_lock_is_proof_without_a_look() {
    let rig = Rig::new(Settings { lock_is_proof: true, ..settings() });
    prove(&rig).await.expect("locked");
    rig.wal.abandon();
    assert!(matches!(prove(&rig).await, Err(Error::Ended { .. })), "but not of an ended chain");
    assert_eq!(rig.gets(), 0);
}
