//! What counts, and when.

use uuid::Uuid;

use super::{Committed, Offsets, Place};
use crate::base::ids::ProducerId;
use crate::base::offset::Offset;
use crate::protocol::records::offsets::OffsetCommit;

fn committed(offset: i64, record: i64) -> Committed {
    let commit = OffsetCommit {
        offset,
        leader_epoch: -1,
        metadata: String::new(),
        commit_timestamp: 0,
        expire_timestamp: None,
        topic_id: Uuid::nil(),
    };
    Committed { commit, record_offset: Offset(record) }
}

fn place() -> Place {
    ("t".to_owned(), 0)
}

const PRODUCER: ProducerId = ProducerId(7);

fn counted(offsets: &Offsets) -> Option<i64> {
    offsets.get("g", &place()).map(|there| there.commit.offset)
}

#[test]
fn a_transactions_offsets_count_when_it_commits() {
    for (commit, expected) in [(true, Some(20)), (false, Some(10))] {
        let mut offsets = Offsets::default();
        offsets.put("g", place(), committed(10, 1));
        offsets.put_pending(PRODUCER, "g", place(), committed(20, 2));
        assert!(offsets.is_pending("g", &place()) && offsets.has_transactions("g"));
        assert_eq!(counted(&offsets), Some(10));
        assert_eq!(offsets.end_transaction(PRODUCER, commit), ["g"]);
        assert_eq!(counted(&offsets), expected);
        assert!(!offsets.has_transactions("g"));
        assert_eq!(offsets.end_transaction(PRODUCER, commit), Vec::<String>::new());
    }
}

#[test]
fn the_newer_record_counts_not_the_later_marker() {
    let mut offsets = Offsets::default();
    offsets.put_pending(PRODUCER, "g", place(), committed(20, 2));
    offsets.put("g", place(), committed(30, 3));
    offsets.end_transaction(PRODUCER, true);
    assert_eq!(counted(&offsets), Some(30));
}

#[test]
fn a_tombstone_takes_pending_offsets_with_it() {
    let mut offsets = Offsets::default();
    offsets.put("g", place(), committed(10, 1));
    offsets.put_pending(PRODUCER, "g", place(), committed(20, 2));
    offsets.remove("g", &place());
    offsets.end_transaction(PRODUCER, true);
    assert_eq!(counted(&offsets), None);
    assert_eq!(offsets.bytes(), 0);
}

#[test]
fn what_a_transaction_disputes_is_not_copied_but_kept() {
    let mut offsets = Offsets::default();
    offsets.put("g", place(), committed(10, 4));
    offsets.put("g", ("t".to_owned(), 1), committed(11, 5));
    assert_eq!((offsets.live("g").len(), offsets.oldest_pending()), (2, None));
    offsets.put_pending(PRODUCER, "g", place(), committed(20, 9));
    assert_eq!((offsets.live("g").len(), offsets.oldest_pending()), (1, Some(Offset(4))));
    offsets.put_pending(PRODUCER, "h", place(), committed(1, 3));
    assert_eq!(offsets.oldest_pending(), Some(Offset(3)));
}

#[test]
fn bytes_follow_what_is_there() {
    let mut offsets = Offsets::default();
    offsets.put("g", place(), committed(10, 1));
    let one = offsets.bytes();
    offsets.put("g", place(), committed(11, 2));
    assert_eq!(offsets.bytes(), one);
    offsets.put("h", place(), committed(11, 3));
    assert_eq!(offsets.bytes(), 2 * one);
    let places = offsets.places(|(topic, _)| topic == "t");
    assert_eq!(places, [("g".to_owned(), place()), ("h".to_owned(), place())]);
}
