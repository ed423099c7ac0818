//! Each rule of fencing of groups by itself: what a member is told whose time is over, and that nothing of it counts.

use std::collections::BTreeSet;
use std::time::Duration;

use thalweg::base::clock::sleep;
use uuid::Uuid;

use super::super::super::world::on_a_runtime;
use super::super::fencing::a_broker_with;
use super::super::group::{Membership, fetch_offsets};
use super::super::history::Key;
use super::super::link::Link;
use super::super::producer::code;
use super::super::{INPUT, KEYS};
use super::modern::{Beat, JOIN_EPOCH, LEAVE_EPOCH, LEAVE_FOR_NOW_EPOCH, Modern, Naming};
use super::{GROUP, SETTINGS};

/// The group is one of the classic protocol, or there is none.
const GROUP_ID_NOT_FOUND: i16 = 69;

/// Runs a case on a healthy broker that has the input.
fn on_a_broker(case: impl AsyncFn(&Link, Uuid)) {
    on_a_runtime(async {
        let (_store, broker, link) = a_broker_with(SETTINGS).await;
        let topic = broker.context().image().topic(INPUT).expect("it was created").id;
        case(&link, topic.0).await;
    });
}

fn member(topic: Uuid, id: &str, instance: Option<&'static str>) -> Modern {
    Modern::new(Naming { group: GROUP, instance, by_pattern: false }, id.to_owned(), topic)
}

/// A member that has joined.
async fn joined(link: &Link, topic: Uuid, id: &str) -> Modern {
    let mut member = member(topic, id, None);
    member.join(link, || {}).await;
    take(&mut member);
    member
}

fn take(member: &mut Modern) {
    if let Some(told) = member.told.take() {
        member.owned = told;
    }
}

/// A heartbeat of one that takes what it is told.
async fn beat(link: &Link, member: &mut Modern) {
    assert_eq!(member.beat(link).await, Beat::Alive, "{member:?}");
    take(member);
}

/// `first` has all, and gives one partition to `second`, a new member: which.
async fn share(link: &Link, first: &mut Modern, second: &mut Modern) -> i32 {
    let had = first.owned.clone();
    assert_eq!(had, BTreeSet::from([0, 1]), "alone it has all");
    for _ in 0..3 {
        beat(link, first).await;
        beat(link, second).await;
    }
    let lost: Vec<i32> = had.difference(&first.owned).copied().collect();
    assert_eq!(second.owned.iter().copied().collect::<Vec<_>>(), lost, "one each");
    lost[0]
}

async fn commit(link: &Link, member: &Modern, partition: i32, offset: i64) -> i16 {
    member.commit(link, &[((INPUT, partition), offset)]).await.expect("an answer")
}

async fn send(link: &Link, member: &Modern, epoch: i32) -> i16 {
    member.send(link, epoch).await.expect("an answer").error_code
}

/// The offset that counts.
async fn offset(link: &Link, partition: i32) -> i64 {
    let keys: [Key; 1] = [KEYS[partition as usize]];
    fetch_offsets(link, GROUP, &keys).await.expect("an answer")[0].1
}

#[test]
fn nothing_is_given_before_it_is_given_back() {
    on_a_broker(async |link, topic| {
        let mut first = joined(link, topic, "first").await;
        let mut second = joined(link, topic, "second").await;
        for _ in 0..3 {
            beat(link, &mut second).await;
            assert_eq!(second.owned, BTreeSet::new(), "OneOwner: the first has it still");
            // It hears that it is to give back, and does not.
            assert_eq!(first.beat(link).await, Beat::Alive);
        }
        take(&mut first);
        share_rest(link, &mut first, &mut second).await;
    });
}

async fn share_rest(link: &Link, first: &mut Modern, second: &mut Modern) {
    beat(link, first).await;
    beat(link, second).await;
    assert_eq!((first.owned.len(), second.owned.len()), (1, 1), "one each, in the end");
}

#[test]
fn a_member_of_an_older_epoch_commits_only_what_it_kept() {
    on_a_broker(async |link, topic| {
        let mut first = joined(link, topic, "first").await;
        let old = first.clone();
        let mut second = joined(link, topic, "second").await;
        let lost = share(link, &mut first, &mut second).await;
        assert_eq!(commit(link, &second, lost, 5).await, 0, "its owner may");
        let given = commit(link, &old, lost, 1).await;
        assert_eq!(given, code::STALE_MEMBER_EPOCH, "evicted member: of an epoch that is over");
        assert_eq!(offset(link, lost).await, 5, "evicted member: its offset counts");
        assert_eq!(commit(link, &old, 1 - lost, 1).await, 0, "what it has had all the time");
    });
}

#[test]
fn a_member_of_an_epoch_that_never_was_commits_nothing() {
    on_a_broker(async |link, topic| {
        let first = joined(link, topic, "first").await;
        let ahead = first.at(first.epoch + 1);
        let given = commit(link, &ahead, 0, 1).await;
        assert_eq!(given, code::STALE_MEMBER_EPOCH, "evicted member: of a later epoch");
        assert_eq!(offset(link, 0).await, -1, "evicted member: its offset counts");
        let given = send(link, &ahead, ahead.epoch).await;
        assert_eq!(given, code::FENCED_MEMBER_EPOCH, "evicted member: alive in a later epoch");
    });
}

#[test]
fn a_member_of_an_older_epoch_that_has_what_it_lost_is_fenced() {
    on_a_broker(async |link, topic| {
        let mut first = joined(link, topic, "first").await;
        let old = first.clone();
        let mut second = joined(link, topic, "second").await;
        share(link, &mut first, &mut second).await;
        let given = send(link, &old, old.epoch).await;
        assert_eq!(given, code::FENCED_MEMBER_EPOCH, "evicted member: alive in an older epoch");
        // Had only an answer been lost, it could go on.
        let lagging = first.at(old.epoch);
        assert_eq!(send(link, &lagging, lagging.epoch).await, 0, "it has what it may have");
    });
}

#[test]
fn a_member_that_left_or_was_silent_is_none() {
    for leaves in [true, false] {
        on_a_broker(async |link, topic| {
            let mut other = joined(link, topic, "other").await;
            let gone = joined(link, topic, "gone").await;
            if leaves {
                assert_eq!(gone.leave(link, LEAVE_EPOCH).await, Some(0));
            } else {
                for _ in 0..6 {
                    sleep(Duration::from_millis(300)).await;
                    beat(link, &mut other).await;
                }
            }
            let given = commit(link, &gone, 0, 1).await;
            assert_eq!(given, code::UNKNOWN_MEMBER, "evicted member: leaves {leaves}");
            assert_eq!(offset(link, 0).await, -1, "evicted member: its offset counts");
            let given = send(link, &gone, gone.epoch).await;
            assert_eq!(given, code::UNKNOWN_MEMBER, "evicted member: alive, leaves {leaves}");
        });
    }
}

#[test]
fn an_instance_is_released_before_another_member_is_it() {
    on_a_broker(async |link, topic| {
        let mut first = member(topic, "first", Some("instance"));
        first.join(link, || {}).await;
        take(&mut first);
        let mut second = member(topic, "second", Some("instance"));
        let given = send(link, &second, JOIN_EPOCH).await;
        assert_eq!(given, code::UNRELEASED_INSTANCE, "evicted member: by one of its name");
        assert_eq!(first.leave(link, LEAVE_FOR_NOW_EPOCH).await, Some(0));
        second.join(link, || {}).await;
        take(&mut second);
        assert_eq!(second.owned, first.owned, "it has what its instance had");
        assert_eq!(commit(link, &second, 0, 5).await, 0, "it is the member");
        let given = send(link, &first, first.epoch).await;
        assert_eq!(given, code::FENCED_INSTANCE, "evicted member: its instance was taken");
        let given = commit(link, &first, 0, 1).await;
        assert_eq!(given, code::UNKNOWN_MEMBER, "evicted member: its instance was taken");
        let given = first.leave(link, LEAVE_EPOCH).await;
        assert_eq!(given, Some(code::FENCED_INSTANCE), "evicted member: it takes another along");
        beat(link, &mut second).await;
        assert_eq!(offset(link, 0).await, 5, "evicted member: its offset counts");
    });
}

/// A classic group of one member that becomes one of the consumer protocol, and a classic one again.
#[test]
fn a_member_stays_who_it_is_while_its_group_changes_the_protocol() {
    on_a_broker(async |link, topic| {
        let classic = Membership::join(link, (GROUP, None), None).await;
        let at = |partition: i32, offset: i64| [((INPUT, partition), offset)];
        assert_eq!(classic.commit(link, &at(0, 3)).await, Some(0));
        let mut modern = joined(link, topic, "modern").await;
        assert_eq!(modern.owned, BTreeSet::new(), "OneOwner: the classic member has all");
        assert_eq!(classic.commit(link, &at(0, 4)).await, Some(0), "it has not heard of it");
        assert_eq!(offset(link, 0).await, 4, "its offsets stay");
        assert_eq!(classic.beat(link).await, Some(code::REBALANCE_IN_PROGRESS));
        let later = Membership::join(link, (GROUP, None), Some(classic.clone())).await;
        beat(link, &mut modern).await;
        let lost = *modern.owned.first().expect("a partition");
        assert!(!later.assigned.contains(&(INPUT, lost)), "OneOwner: {later:?} {modern:?}");
        assert_eq!(commit(link, &modern, lost, 9).await, 0, "its owner may");
        let given = classic.commit(link, &at(lost, 1)).await;
        assert_eq!(given, Some(code::ILLEGAL_GENERATION), "evicted member: converted");
        let given = classic.beat(link).await;
        assert_eq!(given, Some(code::ILLEGAL_GENERATION), "evicted member: converted, alive");
        assert_eq!(offset(link, lost).await, 9, "evicted member: its offset counts");
        assert_eq!(modern.leave(link, LEAVE_EPOCH).await, Some(0));
        let given = commit(link, &modern, lost, 1).await;
        assert_eq!(given, code::UNKNOWN_MEMBER, "evicted member: of the other protocol");
        let given = send(link, &modern, modern.epoch).await;
        assert_eq!(given, GROUP_ID_NOT_FOUND, "evicted member: alive in a classic group");
        let last = Membership::join(link, (GROUP, None), Some(later)).await;
        assert_eq!(last.assigned.len(), 2, "alone it has all");
        assert_eq!(offset(link, lost).await, 9, "evicted member: its offset counts");
    });
}
