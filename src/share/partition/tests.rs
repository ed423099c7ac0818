//! Claims about one partition of one group, a step at a time. `model` has what holds under any sequence.

use super::*;

const LIMITS: Limits =
    Limits { lock: Duration::from_secs(30), delivery_count_limit: 3, record_locks_max: 100 };
const START: Duration = Duration::from_secs(1000);

fn partition(start_offset: i64, batches: Vec<StateBatch>) -> SharePartition {
    let loaded = Loaded { start_offset: Offset(start_offset), batches, state_epoch: 7 };
    SharePartition::new(loaded, LIMITS)
}

fn kept(first: i64, last: i64, delivery_state: i8, delivery_count: i16) -> StateBatch {
    StateBatch { first_offset: first, last_offset: last, delivery_state, delivery_count }
}

/// Reads record batches and gives them to `member`: first, last, deliveries.
fn give(
    partition: &mut SharePartition,
    member: &str,
    batches: &[(i64, i64)],
    records_max: usize,
) -> Vec<(i64, i64, i16)> {
    let from = partition.next_fetch_offset();
    let batches: Vec<_> = batches.iter().map(|(f, l)| (Offset(*f), Offset(*l))).collect();
    let fetched = Fetched { from, batches: &batches };
    let given = partition.acquire(START, member, fetched, (records_max, 10));
    given.iter().map(|given| (given.first.0, given.last.0, given.delivery_count)).collect()
}

fn say(first: i64, last: i64, types: &[i8]) -> Acknowledgement {
    Acknowledgement { first: Offset(first), last: Offset(last), types: types.to_vec() }
}

fn ack(partition: &mut SharePartition, first: i64, last: i64, kind: i8) -> Change {
    partition.acknowledge("a", &[say(first, last, &[kind])]).expect("it has them")
}

fn offsets(partition: &SharePartition) -> (i64, i64, i64) {
    (partition.start_offset().0, partition.end_offset().0, partition.next_fetch_offset().0)
}

#[test]
fn record_batches_are_given_out_whole_and_told_in_pieces() {
    let log = [(0, 3), (4, 7), (8, 11), (12, 13), (14, 29)];
    type Given = &'static [(i64, i64, i16)];
    let cases: [(usize, Given); 5] = [
        (0, &[]),
        (1, &[(0, 3, 1)]),
        (5, &[(0, 7, 1)]),
        // A further piece begins with a record batch when the one before has its ten.
        (14, &[(0, 11, 1), (12, 13, 1)]),
        (500, &[(0, 11, 1), (12, 29, 1)]),
    ];
    for (records_max, expected) in cases {
        let mut partition = partition(0, Vec::new());
        assert_eq!(give(&mut partition, "a", &log, records_max), expected, "{records_max}");
        let end = expected.last().map_or(0, |(_, last, _)| last + 1);
        assert_eq!(offsets(&partition), (0, end, end), "{records_max}");
        assert_eq!(
            give(&mut partition, "b", &log[..1], 500),
            if end == 0 { vec![(0, 3, 1)] } else { vec![] }
        );
    }
}

#[test]
fn a_batch_is_given_from_the_start_on() {
    let mut partition = partition(5, Vec::new());
    assert_eq!(give(&mut partition, "a", &[(0, 9)], 1), [(5, 9, 1)]);
    assert_eq!(offsets(&partition), (5, 10, 10));
}

#[test]
fn with_enough_in_flight_only_what_was_begun_is_given_out() {
    let mut partition = partition(0, Vec::new());
    assert_eq!(give(&mut partition, "a", &[(0, 59), (60, 119), (120, 129)], 500).len(), 2);
    assert_eq!(offsets(&partition), (0, 120, 120));
    assert!(!partition.can_acquire());
    assert_eq!(give(&mut partition, "b", &[(120, 129)], 500), []);
    let change = ack(&mut partition, 70, 79, 2);
    partition.written(change.ticket);
    assert!(partition.can_acquire());
    assert_eq!(give(&mut partition, "b", &[(60, 119), (120, 129)], 500), [(70, 79, 2)]);
}

#[test]
fn what_is_not_in_the_log_is_waited_for_by_nobody() {
    let mut partition = partition(2, Vec::new());
    assert_eq!(give(&mut partition, "a", &[(4, 5), (8, 9)], 500), [(4, 5, 1), (8, 9, 1)]);
    assert_eq!(offsets(&partition), (4, 10, 10));
    // The client need not know where record batches end.
    let change = ack(&mut partition, 4, 9, 1);
    assert_eq!(change.batches, [kept(4, 5, 2, 1), kept(8, 9, 2, 1)]);
    assert_eq!(change.delivery_complete_count, 6);
    partition.written(change.ticket);
    assert_eq!(offsets(&partition), (10, 10, 10));
}

#[test]
fn records_that_were_compacted_away_meanwhile_are_done() {
    let mut partition = partition(0, vec![kept(0, 9, 0, 1)]);
    assert_eq!(give(&mut partition, "a", &[(6, 9)], 500), [(6, 9, 2)]);
    assert_eq!(offsets(&partition), (6, 10, 10));
}

#[test]
fn an_acknowledgement_that_cannot_be_right_changes_nothing() {
    use AckError::{InvalidRecordState as State, InvalidRequest as Request};
    let cases: [(&str, Vec<Acknowledgement>, Result<(), AckError>); 16] = [
        ("a", vec![say(10, 19, &[1])], Ok(())),
        ("a", vec![say(10, 19, &[1, 2, 3, 0, 1, 1, 1, 1, 1, 1])], Ok(())),
        ("a", vec![say(10, 11, &[1]), say(12, 12, &[3])], Ok(())),
        // Of what is before the start nothing is checked but the shape.
        ("x", vec![say(3, 9, &[1])], Ok(())),
        ("a", vec![say(3, 12, &[1])], Ok(())),
        ("a", vec![say(3, 9, &[])], Err(Request)),
        ("a", vec![say(10, 19, &[1, 1])], Err(Request)),
        ("a", vec![say(10, 19, &[4])], Err(Request)),
        ("a", vec![say(10, 19, &[-1])], Err(Request)),
        ("a", vec![say(19, 10, &[1])], Err(Request)),
        ("a", vec![say(i64::MIN, i64::MAX, &[1])], Err(Request)),
        ("a", vec![say(10, 12, &[1]), say(12, 13, &[1])], Err(State)),
        ("a", vec![say(15, 35, &[1])], Err(Request)),
        ("b", vec![say(10, 19, &[1])], Err(State)),
        // The last of them belongs to another.
        ("a", vec![say(10, 12, &[1]), say(18, 20, &[1])], Err(State)),
        ("a", vec![say(30, 34, &[1])], Err(State)),
    ];
    for (member, batches, expected) in cases {
        let mut partition = partition(10, Vec::new());
        give(&mut partition, "a", &[(10, 19)], 500);
        give(&mut partition, "b", &[(20, 29)], 500);
        give(&mut partition, "a", &[(30, 34)], 500);
        let change = ack(&mut partition, 30, 34, 1);
        let before = format!("{:?}", partition.runs);
        let done = partition.acknowledge(member, &batches);
        assert_eq!(done.as_ref().map(|_| ()).map_err(|error| *error), expected, "{batches:?}");
        if done.is_err() {
            assert_eq!(format!("{:?}", partition.runs), before, "{batches:?}");
        }
        partition.written(change.ticket);
    }
    let mut empty = partition(10, Vec::new());
    assert_eq!(empty.acknowledge("a", &[say(10, 10, &[1])]), Err(State));
}

#[test]
fn each_word_has_its_end() {
    let mut partition = partition(0, Vec::new());
    give(&mut partition, "a", &[(0, 3)], 500);
    let said = [say(0, 3, &[0, 1, 2, 3])];
    let change = partition.acknowledge("a", &said).expect("it has them");
    let expected = [kept(0, 0, 4, 1), kept(1, 1, 2, 1), kept(2, 2, 0, 1), kept(3, 3, 4, 1)];
    assert_eq!(change.batches, expected);
    assert_eq!((change.start_offset, change.delivery_complete_count), (Offset(0), 3));
    partition.written(change.ticket);
    assert_eq!(offsets(&partition), (2, 4, 2));
    assert_eq!(give(&mut partition, "b", &[(0, 3)], 500), [(2, 2, 2)]);
    assert_eq!(offsets(&partition), (2, 4, 4));
}

#[test]
fn the_start_waits_for_the_first_that_is_not_done() {
    let mut partition = partition(0, Vec::new());
    give(&mut partition, "a", &[(0, 9)], 500);
    let later = ack(&mut partition, 5, 9, 1);
    partition.written(later.ticket);
    assert_eq!(offsets(&partition), (0, 10, 10));
    let (first, second) = (ack(&mut partition, 0, 2, 1), ack(&mut partition, 3, 4, 3));
    assert_eq!((first.delivery_complete_count, second.delivery_complete_count), (8, 10));
    partition.written(second.ticket);
    assert_eq!(offsets(&partition), (0, 10, 10));
    partition.written(first.ticket);
    assert_eq!(offsets(&partition), (10, 10, 10));
}

#[test]
fn what_is_in_transition_is_nobodys() {
    let mut partition = partition(0, Vec::new());
    give(&mut partition, "a", &[(0, 9)], 500);
    let change = ack(&mut partition, 0, 9, 2);
    assert_eq!(offsets(&partition), (0, 10, 10));
    assert_eq!(give(&mut partition, "b", &[(0, 9)], 500), []);
    let again = partition.acknowledge("a", &[say(0, 9, &[1])]);
    assert_eq!(again, Err(AckError::InvalidRecordState));
    assert_eq!(partition.release("a"), None);
    assert_eq!(partition.next_deadline(), None);
    assert_eq!(partition.expire_locks(START + LIMITS.lock), None);
    partition.failed(change.ticket);
    // It is with its member again, and the lock goes on.
    assert_eq!(partition.next_deadline(), Some(START + LIMITS.lock));
    let change = ack(&mut partition, 0, 9, 1);
    partition.failed(change.ticket);
    let expired = partition.expire_locks(START + LIMITS.lock).expect("it is over");
    assert_eq!(expired.batches, [kept(0, 9, 0, 1)]);
    // Whatever becomes of the change.
    partition.failed(expired.ticket);
    assert_eq!(give(&mut partition, "b", &[(0, 9)], 500), [(0, 9, 2)]);
}

#[test]
fn a_record_is_delivered_so_often_and_not_more() {
    let release = |partition: &mut SharePartition| ack(partition, 0, 0, 2);
    let expire =
        |partition: &mut SharePartition| partition.expire_locks(START + LIMITS.lock).expect("due");
    let leave = |partition: &mut SharePartition| partition.release("a").expect("it has some");
    for give_back in [release, expire, leave] {
        let mut partition = partition(0, Vec::new());
        for count in 1..=LIMITS.delivery_count_limit {
            assert_eq!(give(&mut partition, "a", &[(0, 0)], 500), [(0, 0, count)]);
            let change = give_back(&mut partition);
            let state = if count < LIMITS.delivery_count_limit { 0 } else { 4 };
            assert_eq!(change.batches, [kept(0, 0, state, count)]);
            partition.written(change.ticket);
        }
        assert_eq!(offsets(&partition), (1, 1, 1));
    }
}

/// The limit is five deliveries: from the third on they are told apart.
#[test]
fn what_was_delivered_often_is_given_out_in_ever_smaller_pieces() {
    let log = [(0, 9), (10, 15), (16, 19), (20, 29)];
    let mut partition = partition(0, vec![kept(0, 1, 0, 2), kept(2, 17, 0, 3), kept(18, 19, 0, 4)]);
    partition.set_limits(Limits { delivery_count_limit: 5, ..LIMITS });
    // Not with others, and not with what is new.
    assert_eq!(give(&mut partition, "a", &log, 500), [(0, 1, 3)]);
    // Half of the pieces of ten that they came in.
    for first in [2, 7, 12] {
        assert_eq!(give(&mut partition, "a", &log, 500), [(first, first + 4, 4)]);
    }
    assert_eq!(give(&mut partition, "a", &log, 500), [(17, 17, 4)]);
    for alone in [18, 19] {
        assert_eq!(give(&mut partition, "a", &log, 500), [(alone, alone, 5)]);
    }
    assert_eq!(give(&mut partition, "a", &log, 500), [(20, 29, 1)]);
}

#[test]
fn what_a_session_had_when_it_ended_counts_as_delivered() {
    let mut partition = partition(0, vec![kept(0, 4, 0, 1)]);
    assert_eq!(give(&mut partition, "a", &[(0, 4), (5, 9)], 500), [(0, 4, 2), (5, 9, 1)]);
    assert_eq!(partition.release("b"), None);
    let change = partition.release("a").expect("it has some");
    assert_eq!(change.batches, [kept(0, 4, 0, 2), kept(5, 9, 0, 1)]);
    partition.written(change.ticket);
    assert_eq!(offsets(&partition).0, 0);
}

#[test]
fn locks_expire_each_at_its_time() {
    let mut partition = partition(0, Vec::new());
    give(&mut partition, "a", &[(0, 4)], 500);
    let fetched = Fetched { from: Offset(5), batches: &[(Offset(5), Offset(9))] };
    partition.acquire(START + Duration::from_secs(10), "a", fetched, (500, 10));
    let first = START + LIMITS.lock;
    assert_eq!(partition.next_deadline(), Some(first));
    assert_eq!(partition.expire_locks(first - Duration::from_millis(1)), None);
    let change = partition.expire_locks(first).expect("due");
    assert_eq!(change.batches, [kept(0, 4, 0, 1)]);
    assert_eq!(partition.next_deadline(), Some(first + Duration::from_secs(10)));
}

#[test]
fn aborted_records_are_given_to_nobody() {
    let mut partition = partition(0, Vec::new());
    let change = partition.archive(Offset(5), Offset(9)).expect("new");
    assert_eq!(change.batches, [kept(5, 9, 4, 0)]);
    assert_eq!(offsets(&partition), (0, 10, 0));
    let log = [(0, 4), (5, 9), (10, 14)];
    assert_eq!(give(&mut partition, "a", &log, 500), [(0, 4, 1), (10, 14, 1)]);
    assert_eq!(partition.archive(Offset(5), Offset(9)), None);
    let change = ack(&mut partition, 0, 4, 1);
    partition.written(change.ticket);
    assert_eq!(offsets(&partition), (10, 15, 15));
    partition.archive(Offset(15), Offset(19)).expect("new");
    // Found when they were given out already.
    partition.archive(Offset(11), Offset(12)).expect("new");
    let refused = partition.acknowledge("a", &[say(10, 14, &[1])]);
    assert_eq!(refused, Err(AckError::InvalidRecordState));
    let said = [say(10, 10, &[1]), say(13, 14, &[1])];
    let change = partition.acknowledge("a", &said).expect("it has them");
    partition.written(change.ticket);
    assert_eq!(offsets(&partition), (20, 20, 20));
}

#[test]
fn what_the_log_lost_is_done_whoever_had_it() {
    let mut partition = partition(0, Vec::new());
    give(&mut partition, "a", &[(0, 9), (10, 19)], 500);
    let change = ack(&mut partition, 0, 3, 1);
    assert_eq!(partition.log_start_moved(Offset(0)), None);
    let moved = partition.log_start_moved(Offset(6)).expect("it moved");
    assert_eq!(
        (moved.start_offset, moved.batches, moved.delivery_complete_count),
        (Offset(6), vec![], 0)
    );
    partition.written(change.ticket);
    assert_eq!(offsets(&partition), (6, 20, 20));
    let change = ack(&mut partition, 0, 9, 1);
    assert_eq!(change.batches, [kept(6, 9, 2, 1)]);
    partition.log_start_moved(Offset(40)).expect("it moved");
    partition.written(change.ticket);
    assert_eq!(offsets(&partition), (40, 40, 40));
    assert_eq!(partition.next_deadline(), None);
}

#[test]
fn another_leader_goes_on_where_it_was_kept() {
    // 4..=5 were given out and not acknowledged; 8..=9 are on their way out in a version of Kafka to come.
    let kept_batches = vec![kept(2, 3, 2, 1), kept(6, 7, 0, 1), kept(8, 9, 3, 1), kept(0, 1, 4, 1)];
    let mut partition = partition(0, kept_batches);
    assert_eq!(offsets(&partition), (4, 10, 4));
    assert_eq!(partition.state_epoch(), 7);
    assert_eq!(
        give(&mut partition, "a", &[(0, 9), (10, 11)], 500),
        [(4, 5, 1), (6, 7, 2), (10, 11, 1)]
    );
}

#[test]
fn a_damaged_state_is_read_as_far_as_it_goes() {
    let damaged =
        vec![kept(9, 2, 2, 1), kept(i64::MIN, 3, 4, -5), kept(8, i64::MAX, 9, 1), kept(1, 5, 2, 1)];
    let partition = partition(2, damaged);
    assert_eq!(offsets(&partition), (6, i64::MAX, 6));
    assert!(partition.can_acquire());
}

#[test]
fn smaller_limits_hold_for_what_comes() {
    let mut partition = partition(0, Vec::new());
    give(&mut partition, "a", &[(0, 9)], 500);
    partition.set_limits(Limits { delivery_count_limit: 1, record_locks_max: 5, ..LIMITS });
    assert!(!partition.can_acquire());
    let change = ack(&mut partition, 0, 9, 2);
    assert_eq!(change.batches, [kept(0, 9, 4, 1)]);
}
