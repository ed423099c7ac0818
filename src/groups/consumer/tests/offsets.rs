//! Who may commit, and what.

use super::super::commit::{CommitError, Committer};
use super::*;

fn by(member_id: &str, epoch: i32) -> Committer<'_> {
    Committer { member_id, instance_id: None, epoch, transactional: false, carries_epochs: true }
}

fn settled() -> (World, Vec<Client>) {
    let mut world = World::new(&[4]);
    let mut clients = vec![Client::new("a", &["t1"])];
    settle(&mut world, &mut clients);
    clients.push(Client::new("b", &["t1"]));
    settle(&mut world, &mut clients);
    (world, clients)
}

#[test]
fn a_member_commits_in_its_epoch_and_for_what_it_held_before() {
    let (world, clients) = settled();
    let group = &world.group;
    let kept = *clients[0].owned[&topic_id(1)].first().expect("has");
    let lost = *clients[1].owned[&topic_id(1)].first().expect("has");
    let check = |committer, partition| group.check_commit(committer)?.check(topic_id(1), partition);
    assert_eq!(check(by("a", 3), lost), Ok(()));
    assert_eq!(check(by("a", 2), kept), Ok(()));
    let stale = |received, known| Err(CommitError::StaleEpoch { received, known });
    assert_eq!(check(by("a", 1), kept), stale(1, 2));
    assert_eq!(check(by("a", 2), lost), stale(2, 3));
    assert_eq!(check(by("a", 4), kept), stale(4, 3));
    let unknown = Error::UnknownMember { member: "x".to_owned(), group: "g".to_owned() };
    assert_eq!(check(by("x", 3), kept), Err(CommitError::Member(unknown.clone())));
    assert_eq!(check(by("x", -1), kept), Err(CommitError::Member(unknown)));
    let old_version = Committer { carries_epochs: false, ..by("a", 3) };
    assert_eq!(check(old_version, kept), Err(CommitError::Version));
    let nobody = Committer { transactional: true, ..by("", -1) };
    assert_eq!(check(nobody, kept), Ok(()));
}

#[test]
fn whoever_is_no_member_commits_only_to_an_empty_group() {
    let group = ConsumerGroup::new("g");
    assert!(group.check_commit(by("", -1)).is_ok());
    assert!(group.check_commit(by("a", 1)).is_err());
}

#[test]
fn a_member_fetches_in_its_epoch_alone() {
    let (world, _) = settled();
    assert_eq!(world.group.check_fetch(None, -1), Ok(()));
    assert_eq!(world.group.check_fetch(Some("a"), 3), Ok(()));
    let stale = CommitError::StaleEpoch { received: 2, known: 3 };
    assert_eq!(world.group.check_fetch(Some("a"), 2), Err(stale));
    assert!(world.group.check_fetch(Some("x"), 3).is_err());
}
