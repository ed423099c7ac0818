//! Tables of what Kafka's producer state admits, and that a snapshot loses nothing.

use super::*;

const PRODUCER: ProducerId = ProducerId(7);

fn batch(epoch: i16, base_sequence: i32, records: i32, base_offset: i64) -> BatchEntry {
    BatchEntry {
        base_offset: Offset(base_offset),
        last_offset_delta: records - 1,
        position: 0,
        bytes: 100,
        producer_id: PRODUCER,
        producer_epoch: epoch,
        base_sequence,
        attributes: 0,
        max_timestamp: Timestamp(1000 + base_offset),
        control: ControlType::None,
        coordinator_epoch: -1,
    }
}

fn states(batches: &[BatchEntry]) -> ProducerStates {
    let mut states = ProducerStates::default();
    for batch in batches {
        assert_eq!(states.admit(batch), Ok(Admission::New));
        states.apply(batch, Some(SlotId(3)));
    }
    states
}

#[test]
fn unknown_producer_may_start_anywhere() {
    assert_eq!(states(&[]).admit(&batch(0, 42, 1, 0)), Ok(Admission::New));
}

#[test]
fn next_sequence_is_new_and_a_gap_is_out_of_order() {
    let states = states(&[batch(0, 0, 10, 0)]);
    assert_eq!(states.admit(&batch(0, 10, 1, 10)), Ok(Admission::New));
    let rejection = Rejection::OutOfOrderSequence { producer_id: PRODUCER, given: 11, last: 9 };
    assert_eq!(states.admit(&batch(0, 11, 1, 10)), Err(rejection));
}

#[test]
fn the_last_five_batches_are_recognised_and_older_ones_are_out_of_order() {
    let sent: Vec<_> = (0..6).map(|n| batch(0, n, 1, i64::from(n))).collect();
    let states = states(&sent);
    for original in &sent[1..] {
        let duplicate = Admission::Duplicate {
            base_offset: original.base_offset,
            timestamp: original.max_timestamp,
            slot: Some(SlotId(3)),
        };
        assert_eq!(states.admit(original), Ok(duplicate));
    }
    let rejection = Rejection::OutOfOrderSequence { producer_id: PRODUCER, given: 0, last: 5 };
    assert_eq!(states.admit(&sent[0]), Err(rejection));
}

#[test]
fn a_new_epoch_starts_at_zero_and_an_old_one_is_refused() {
    let states = states(&[batch(3, 0, 2, 0)]);
    assert_eq!(states.admit(&batch(4, 0, 1, 2)), Ok(Admission::New));
    let rejection = Rejection::OutOfOrderSequence { producer_id: PRODUCER, given: 2, last: 1 };
    assert_eq!(states.admit(&batch(4, 2, 1, 2)), Err(rejection));
    let stale = Rejection::StaleEpoch { producer_id: PRODUCER, given: 2, current: 3 };
    assert_eq!(states.admit(&batch(2, 2, 1, 2)), Err(stale));
}

#[test]
fn sequences_wrap_after_the_largest() {
    assert_eq!(sequence_after(i32::MAX, 1), 0);
    assert_eq!(sequence_after(i32::MAX - 1, 3), 1);
    let states = states(&[batch(0, i32::MAX - 1, 2, 0)]);
    assert_eq!(states.admit(&batch(0, 0, 1, 2)), Ok(Admission::New));
    let across = batch(0, i32::MAX, 2, 2);
    let rejection =
        Rejection::OutOfOrderSequence { producer_id: PRODUCER, given: i32::MAX, last: i32::MAX };
    assert_eq!(states.admit(&across), Err(rejection));
}

#[test]
fn a_snapshot_restores_everything_but_the_slots() {
    let mut live = states(&[batch(0, 0, 5, 0), batch(0, 5, 5, 5)]);
    live.apply(&BatchEntry { attributes: 0x10, ..batch(0, 10, 1, 10) }, None);
    assert_eq!(live.first_unstable_offset(), Some(Offset(10)));
    let restored = ProducerStates::restore(&live.snapshot());
    assert_eq!(restored.snapshot(), live.snapshot());
    let marker =
        BatchEntry { control: ControlType::Commit, base_sequence: -1, ..batch(0, 0, 1, 11) };
    live.apply(&marker, None);
    assert_eq!(live.first_unstable_offset(), None);
}

#[test]
fn expiry_forgets_idle_producers_without_a_transaction() {
    let mut states = states(&[batch(0, 0, 1, 0)]);
    states.expire(Timestamp(1000));
    assert!(!states.is_empty());
    states.expire(Timestamp(1001));
    assert!(states.is_empty());
}
