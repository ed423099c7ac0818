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
        assert_eq!(states.admit(batch, Origin::Client), Ok(Admission::New));
        states.apply(batch, Some(SlotId(3)));
    }
    states
}

#[test]
fn unknown_producer_may_start_anywhere() {
    assert_eq!(states(&[]).admit(&batch(0, 42, 1, 0), Origin::Client), Ok(Admission::New));
}

#[test]
fn next_sequence_is_new_and_a_gap_is_out_of_order() {
    let states = states(&[batch(0, 0, 10, 0)]);
    assert_eq!(states.admit(&batch(0, 10, 1, 10), Origin::Client), Ok(Admission::New));
    let rejection = Rejection::OutOfOrderSequence { producer_id: PRODUCER, given: 11, last: 9 };
    assert_eq!(states.admit(&batch(0, 11, 1, 10), Origin::Client), Err(rejection));
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
        assert_eq!(states.admit(original, Origin::Client), Ok(duplicate));
    }
    let rejection = Rejection::OutOfOrderSequence { producer_id: PRODUCER, given: 0, last: 5 };
    assert_eq!(states.admit(&sent[0], Origin::Client), Err(rejection));
}

#[test]
fn a_new_epoch_starts_at_zero_and_an_old_one_is_refused() {
    let states = states(&[batch(3, 0, 2, 0)]);
    assert_eq!(states.admit(&batch(4, 0, 1, 2), Origin::Client), Ok(Admission::New));
    let rejection = Rejection::OutOfOrderSequence { producer_id: PRODUCER, given: 2, last: 1 };
    assert_eq!(states.admit(&batch(4, 2, 1, 2), Origin::Client), Err(rejection));
    let stale = Rejection::StaleEpoch { producer_id: PRODUCER, given: 2, current: 3 };
    assert_eq!(states.admit(&batch(2, 2, 1, 2), Origin::Client), Err(stale));
}

#[test]
fn sequences_wrap_after_the_largest() {
    assert_eq!(sequence_after(i32::MAX, 1), 0);
    assert_eq!(sequence_after(i32::MAX - 1, 3), 1);
    let states = states(&[batch(0, i32::MAX - 1, 2, 0)]);
    assert_eq!(states.admit(&batch(0, 0, 1, 2), Origin::Client), Ok(Admission::New));
    let across = batch(0, i32::MAX, 2, 2);
    let rejection =
        Rejection::OutOfOrderSequence { producer_id: PRODUCER, given: i32::MAX, last: i32::MAX };
    assert_eq!(states.admit(&across, Origin::Client), Err(rejection));
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

fn transactional(batch: BatchEntry) -> BatchEntry {
    BatchEntry { attributes: 0x10, ..batch }
}

fn marker(epoch: i16, coordinator_epoch: i32, bumps_epoch: bool) -> EndMarker {
    EndMarker {
        producer_id: PRODUCER,
        producer_epoch: epoch,
        coordinator_epoch,
        commit: false,
        bumps_epoch,
    }
}

fn abort(epoch: i16, coordinator_epoch: i32, base_offset: i64) -> BatchEntry {
    BatchEntry {
        control: ControlType::Abort,
        coordinator_epoch,
        attributes: 0x30,
        ..batch(epoch, -1, 1, base_offset)
    }
}

#[test]
fn a_batch_outside_of_the_open_transaction_is_refused() {
    let mut states = ProducerStates::default();
    states.apply(&transactional(batch(0, 0, 1, 0)), None);
    assert!(states.has_open(PRODUCER, 0) && !states.has_open(PRODUCER, 1));
    let refused = states.admit(&batch(0, 1, 1, 1), Origin::Client);
    assert_eq!(refused, Err(Rejection::OutsideTransaction { producer_id: PRODUCER }));
    let more = transactional(batch(0, 1, 1, 1));
    assert_eq!(states.admit(&more, Origin::Client), Ok(Admission::New));
}

#[test]
fn a_marker_ends_the_transaction_once_and_the_next_epoch_starts_at_zero() {
    let mut states = ProducerStates::default();
    states.apply(&transactional(batch(0, 0, 3, 10)), None);
    assert_eq!(states.admit_marker(&marker(1, 5, true)), Ok(MarkerAdmission::New));
    let completed = states.apply(&abort(1, 5, 13), None).expect("it had records");
    let expected = (Offset(10), Offset(13), true);
    assert_eq!((completed.first_offset, completed.last_offset, completed.aborted), expected);
    // Sent again, after a crash of the coordinator.
    assert_eq!(states.admit_marker(&marker(1, 6, true)), Ok(MarkerAdmission::Written));
    let late = transactional(batch(0, 3, 1, 14));
    let stale = Rejection::StaleEpoch { producer_id: PRODUCER, given: 0, current: 1 };
    assert_eq!(states.admit(&late, Origin::Client), Err(stale));
    let next = transactional(batch(1, 0, 1, 14));
    assert_eq!(states.admit(&next, Origin::Client), Ok(Admission::New));
    states.apply(&next, None);
    // The old marker must not end the new transaction (KIP-890).
    let stale = Rejection::StaleEpoch { producer_id: PRODUCER, given: 1, current: 1 };
    assert_eq!(states.admit_marker(&marker(1, 6, true)), Err(stale));
}

#[test]
fn markers_of_stale_producers_and_replaced_coordinators_are_refused() {
    let mut states = ProducerStates::default();
    states.apply(&transactional(batch(3, 0, 1, 0)), None);
    let stale = Rejection::StaleEpoch { producer_id: PRODUCER, given: 2, current: 3 };
    assert_eq!(states.admit_marker(&marker(2, 9, false)), Err(stale));
    assert_eq!(states.admit_marker(&marker(3, 9, false)), Ok(MarkerAdmission::New));
    states.apply(&abort(3, 9, 1), None);
    let stale = Rejection::StaleCoordinator { producer_id: PRODUCER, given: 8, current: 9 };
    assert_eq!(states.admit_marker(&marker(3, 8, false)), Err(stale));
    assert_eq!(states.admit_marker(&marker(3, 9, false)), Ok(MarkerAdmission::New));
}

#[test]
fn a_coordinators_batch_has_an_epoch_and_no_sequence() {
    let mut states = states(&[batch(3, 0, 2, 0)]);
    let own = transactional(batch(3, -1, 2, 2));
    assert_eq!(states.admit(&own, Origin::Coordinator), Ok(Admission::New));
    states.apply(&own, None);
    assert_eq!(states.first_unstable_offset(), Some(Offset(2)));
    assert_eq!(states.snapshot()[0].batches.len(), 1, "nothing to recognise it by");
    let stale = Rejection::StaleEpoch { producer_id: PRODUCER, given: 2, current: 3 };
    let zombie = transactional(batch(2, -1, 1, 4));
    assert_eq!(states.admit(&zombie, Origin::Coordinator), Err(stale));
}
