//! Kafka's tables: who may do what to a transaction, and what becomes of it.

use super::*;

const ID: ProducerId = ProducerId(40);
const FRESH: ProducerId = ProducerId(41);
const NOW: Timestamp = Timestamp(5000);

fn producer(epoch: i16) -> Producer {
    Producer { id: ID, epoch }
}

fn asked(expected: Option<Producer>, fresh: Option<ProducerId>) -> Init {
    Init { timeout_ms: 1000, expected, fresh, now: NOW }
}

fn begun(epoch: i16) -> Transaction {
    Transaction { producer: producer(epoch), ..Transaction::new(producer(0), &asked(None, None)) }
}

fn in_status(epoch: i16, status: Status) -> Transaction {
    let partitions = match status {
        Status::Ongoing | Status::PrepareCommit | Status::PrepareAbort => parts("t", 1),
        _ => Partitions::new(),
    };
    Transaction { status, partitions, start: Timestamp(4000), ..begun(epoch) }
}

fn parts(topic: &str, partition: i32) -> Partitions {
    Partitions::from([(topic.to_owned(), [partition].into())])
}

fn written(decision: Result<Decision, Refusal>) -> Transaction {
    match decision {
        Ok(Decision::Write(next)) => *next,
        other => panic!("something else than a record: {other:?}"),
    }
}

fn end(epoch: i16, commit: bool, protocol: Protocol) -> End {
    End { producer: producer(epoch), commit, protocol, fresh: Some(FRESH), now: NOW }
}

#[test]
fn a_new_id_needs_a_producer_id_and_starts_at_epoch_0() {
    assert_eq!(init(None, &asked(None, None)), Ok(Decision::NeedsProducerId));
    for expected in [None, Some(Producer { id: ProducerId(9), epoch: 3 })] {
        let next = written(init(None, &asked(expected, Some(FRESH))));
        assert_eq!(next.producer, Producer { id: FRESH, epoch: 0 });
        assert_eq!((next.status, next.last_epoch), (Status::Empty, -1));
    }
}

#[test]
fn each_init_raises_the_epoch_and_fences_the_one_before() {
    for status in [Status::Empty, Status::CompleteCommit, Status::CompleteAbort] {
        let next = written(init(Some(&in_status(3, status)), &asked(None, None)));
        assert_eq!((next.producer, next.status), (producer(4), Status::Empty));
        assert_eq!(next.add(producer(3), &parts("t", 0), NOW), Err(Refusal::ProducerFenced));
    }
}

#[test]
fn a_producer_that_comes_back_names_its_epoch() {
    let known = begun(3);
    let next = written(init(Some(&known), &asked(Some(producer(3)), None)));
    assert_eq!((next.producer, next.last_epoch), (producer(4), 3));
    // The same request again: its first answer was lost.
    let again = written(init(Some(&next), &asked(Some(producer(3)), None)));
    assert_eq!(again.producer, producer(4));
    for stranger in [producer(2), Producer { id: ProducerId(9), epoch: 3 }] {
        let refused = init(Some(&known), &asked(Some(stranger), None));
        assert_eq!(refused, Err(Refusal::ProducerFenced), "{stranger:?}");
    }
    // A newer producer came in between.
    let newer = written(init(Some(&next), &asked(None, None)));
    let refused = init(Some(&newer), &asked(Some(producer(3)), None));
    assert_eq!(refused, Err(Refusal::ProducerFenced));
}

#[test]
fn used_up_epochs_bring_a_new_producer_id() {
    let known = begun(EPOCH_MAX);
    assert_eq!(init(Some(&known), &asked(None, None)), Ok(Decision::NeedsProducerId));
    let expected = Some(producer(EPOCH_MAX));
    let next = written(init(Some(&known), &asked(expected, Some(FRESH))));
    assert_eq!(next.producer, Producer { id: FRESH, epoch: 0 });
    assert_eq!((next.previous_id, next.last_epoch), (ID, EPOCH_MAX));
    let again = written(init(Some(&next), &asked(expected, None)));
    assert_eq!(again.producer, next.producer, "the request came again");
}

#[test]
fn an_open_transaction_is_aborted_in_an_epoch_that_nobody_has() {
    let known = in_status(3, Status::Ongoing);
    let Ok(Decision::AbortFirst(aborted)) = init(Some(&known), &asked(None, None)) else {
        panic!("the transaction is open");
    };
    assert_eq!((aborted.producer, aborted.status), (producer(4), Status::PrepareAbort));
    assert_eq!(aborted.partitions, known.partitions);
    let early = init(Some(&aborted), &asked(None, None));
    assert_eq!(early, Err(Refusal::ConcurrentTransactions));
    let completed = aborted.completed(NOW);
    let next = written(init(Some(&completed), &asked(None, None)));
    assert_eq!(next.producer, producer(5));
}

/// No client is ever given the epoch above the last: above that one nobody could be fenced.
#[test]
fn who_is_fenced_in_the_last_epoch_is_followed_by_a_new_producer_id() {
    let known = in_status(EPOCH_MAX, Status::Ongoing);
    assert_eq!(init(Some(&known), &asked(None, None)), Ok(Decision::NeedsProducerId));
    let Ok(Decision::AbortFirst(aborted)) = init(Some(&known), &asked(None, Some(FRESH))) else {
        panic!("the transaction is open");
    };
    assert_eq!((aborted.producer, aborted.next_id), (producer(i16::MAX), FRESH));
    let completed = aborted.completed(NOW);
    let next = Producer { id: FRESH, epoch: 0 };
    assert_eq!((completed.producer, completed.previous_id), (next, ID));
    // Whoever was fenced may have been cut off from the answer to its own request, as in Kafka.
    let back = written(init(Some(&completed), &asked(Some(producer(EPOCH_MAX)), None)));
    assert_eq!(back.producer, next);
    let beyond = init(Some(&completed), &asked(Some(producer(i16::MAX)), None));
    assert_eq!(beyond, Err(Refusal::ProducerFenced));
    let fences = init(Some(&completed), &asked(None, None)).map(|decided| match decided {
        Decision::Write(next) => next.producer,
        other => panic!("{other:?}"),
    });
    assert_eq!(fences, Ok(Producer { id: FRESH, epoch: 1 }));
}

#[test]
fn partitions_are_added_to_the_transaction_that_they_begin() {
    let first = written(begun(3).add(producer(3), &parts("t", 0), NOW));
    assert_eq!((first.status, first.start), (Status::Ongoing, NOW));
    assert_eq!(first.add(producer(3), &parts("t", 0), NOW), Ok(Decision::Unchanged));
    let later = Timestamp(9000);
    let second = written(first.add(producer(3), &parts("u", 7), later));
    assert_eq!((second.start, second.partitions.len()), (NOW, 2));
    assert_eq!(second.verify(producer(3), "u", 7), Ok(()));
    assert_eq!(second.verify(producer(3), "u", 6), Err(Refusal::TransactionAbortable));
    let stranger = Producer { id: FRESH, epoch: 3 };
    let unknown = Err(Refusal::InvalidProducerIdMapping);
    assert_eq!(second.verify(stranger, "u", 7), unknown);
    assert_eq!(second.verify(producer(2), "u", 7), Err(Refusal::ProducerFenced));
    let ending = in_status(3, Status::PrepareCommit);
    let refused = ending.add(producer(3), &parts("t", 9), NOW);
    assert_eq!(refused, Err(Refusal::ConcurrentTransactions));
    // The next transaction starts without the partitions of the last.
    let next = written(in_status(3, Status::CompleteCommit).add(producer(3), &parts("v", 1), NOW));
    assert_eq!(next.partitions, parts("v", 1));
}

/// The end of a transaction in every state, as older clients ask for it.
#[test]
fn ends_of_transactions_that_share_an_epoch() {
    use Status::{CompleteAbort, CompleteCommit, Empty, PrepareAbort, PrepareCommit};
    let again = Ok(Decision::Unchanged);
    let (busy, invalid) = (Err(Refusal::ConcurrentTransactions), Err(Refusal::InvalidTxnState));
    for (status, abort, commit) in [
        (Empty, &invalid, &invalid),
        (CompleteAbort, &again, &invalid),
        (CompleteCommit, &invalid, &again),
        (PrepareAbort, &busy, &invalid),
        (PrepareCommit, &invalid, &busy),
    ] {
        let known = in_status(3, status);
        let ask = |epoch, commit| known.end(&end(epoch, commit, Protocol::SharedEpoch));
        assert_eq!((&ask(3, false), &ask(3, true)), (abort, commit), "{status:?}");
        assert_eq!(ask(2, false), Err(Refusal::ProducerFenced));
        assert_eq!(ask(4, true), Err(Refusal::ProducerFenced));
    }
    for commit in [false, true] {
        let known = in_status(3, Status::Ongoing);
        let next = written(known.end(&end(3, commit, Protocol::SharedEpoch)));
        assert_eq!((next.producer, next.status), (producer(3), Status::ending(commit)));
        assert_eq!(next.start, known.start);
    }
}

/// KIP-890's table: each end raises the epoch; `again` is the request before that.
#[test]
fn ends_of_transactions_that_have_their_own_epochs() {
    use Status::{CompleteAbort, CompleteCommit, Empty, PrepareAbort, PrepareCommit};
    let (fenced, invalid) = (Err(Refusal::ProducerFenced), Err(Refusal::InvalidTxnState));
    let (done, busy) = (Ok(Decision::Unchanged), Err(Refusal::ConcurrentTransactions));
    // Of epoch 3, with the request of epoch 2 coming again: abort, commit.
    for (status, abort, commit) in [
        (Empty, &fenced, &fenced),
        (CompleteAbort, &done, &invalid),
        (CompleteCommit, &invalid, &done),
        (PrepareAbort, &busy, &invalid),
        (PrepareCommit, &invalid, &busy),
    ] {
        let known = in_status(3, status);
        let ask = |commit| known.end(&end(2, commit, Protocol::OwnEpoch));
        assert_eq!((&ask(false), &ask(true)), (abort, commit), "{status:?} again");
    }
    for status in [Empty, CompleteAbort, CompleteCommit] {
        let known = in_status(3, status);
        let aborted = written(known.end(&end(3, false, Protocol::OwnEpoch)));
        assert_eq!((aborted.producer, aborted.status), (producer(4), PrepareAbort));
        assert_eq!(known.end(&end(3, true, Protocol::OwnEpoch)), invalid);
        assert_eq!(known.end(&end(4, false, Protocol::OwnEpoch)), fenced);
    }
    for status in [PrepareAbort, PrepareCommit] {
        assert_eq!(in_status(3, status).end(&end(3, false, Protocol::OwnEpoch)), fenced);
    }
    let committed = in_status(3, Status::Ongoing).end(&end(3, true, Protocol::OwnEpoch));
    let committed = written(committed);
    assert_eq!((committed.producer, committed.last_epoch), (producer(4), 3));
    assert_eq!(committed.completed(NOW).status, CompleteCommit);
}

#[test]
fn an_end_in_the_last_epoch_goes_over_to_a_new_producer_id() {
    let known = in_status(EPOCH_MAX, Status::Ongoing);
    let request = end(EPOCH_MAX, true, Protocol::OwnEpoch);
    let without = End { fresh: None, ..request };
    assert_eq!(known.end(&without), Ok(Decision::NeedsProducerId));
    let ending = written(known.end(&request));
    assert_eq!((ending.producer, ending.next_id), (producer(i16::MAX), FRESH));
    let next = Producer { id: FRESH, epoch: 0 };
    assert_eq!(ending.after_markers(), next);
    let completed = ending.completed(NOW);
    assert_eq!((completed.producer, completed.previous_id), (next, ID));
    assert_eq!(completed.end(&request), Ok(Decision::Unchanged), "the request came again");
}

#[test]
fn timeouts_and_expiry() {
    let open = in_status(3, Status::Ongoing);
    assert!(!open.is_timed_out(Timestamp(5000)) && open.is_timed_out(Timestamp(5001)));
    assert!(!in_status(3, Status::PrepareAbort).is_timed_out(Timestamp(9000)));
    assert!(!open.is_idle(Timestamp(9000)));
    let rest = in_status(3, Status::CompleteCommit);
    assert!(rest.is_idle(NOW) && !rest.is_idle(Timestamp(NOW.0 - 1)));
}

#[test]
fn records_tell_everything_but_the_last_epoch() {
    for status in Status::ALL {
        let known =
            Transaction { protocol: Protocol::OwnEpoch, next_id: FRESH, ..in_status(3, status) };
        assert_eq!(Transaction::from_record(known.to_record()), Some(known));
    }
    let unknown = TransactionLogValue { status: 9, ..begun(0).to_record() };
    assert_eq!(Transaction::from_record(unknown), None);
}
