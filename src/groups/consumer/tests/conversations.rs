//! What one client after the other is told.

use super::super::error::Fenced;
use super::super::group::GroupState;
use super::super::member::{LEAVE_EPOCH, LEAVE_STATIC_EPOCH};
use super::*;

#[test]
fn the_first_member_gets_everything_at_once() {
    let mut world = World::new(&[3]);
    let mut a = Client::new("a", &["t1"]);
    a.beat(&mut world).expect("join");
    assert_eq!((a.epoch, a.partitions()), (2, 3));
    assert_eq!(world.group.state(), GroupState::Stable);
    let kinds: Vec<i16> = world.log.iter().map(|record| record.key().kind()).collect();
    // Member, epoch, target, target's epoch, current assignment: the order in which Kafka writes them.
    assert_eq!(kinds, [5, 3, 7, 6, 8]);
    world.check_replay();
}

#[test]
fn a_heartbeat_without_news_writes_nothing_and_says_nothing() {
    let mut world = World::new(&[3]);
    let mut a = Client::new("a", &["t1"]);
    a.beat(&mut world).expect("join");
    let written = world.log.len();
    let request = Heartbeat {
        member_id: "a".to_owned(),
        epoch: 2,
        rebalance_timeout_ms: -1,
        client_id: "client".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        ..Heartbeat::default()
    };
    let answer = world.send(&request).expect("heartbeat");
    assert_eq!((answer.epoch, answer.assignment), (2, None));
    assert_eq!(world.log.len(), written);
}

#[test]
fn a_second_member_waits_until_the_first_has_given_back() {
    let mut world = World::new(&[4]);
    let (mut a, mut b) = (Client::new("a", &["t1"]), Client::new("b", &["t1"]));
    a.beat(&mut world).expect("join");
    b.beat(&mut world).expect("join");
    assert_eq!((b.epoch, b.partitions()), (3, 0));
    assert_eq!(world.group.members["b"].state, MemberState::UnreleasedPartitions);
    // `a` is told, but stays in its epoch until it says that it has given back.
    let answer = world.send(&a.request()).expect("heartbeat");
    a.hear(answer);
    assert_eq!((a.epoch, world.group.members["a"].state), (2, MemberState::UnrevokedPartitions));
    b.beat(&mut world).expect("heartbeat");
    assert_eq!(b.partitions(), 0);
    a.adopt();
    a.beat(&mut world).expect("heartbeat");
    b.beat(&mut world).expect("heartbeat");
    assert_eq!((a.epoch, a.partitions(), b.epoch, b.partitions()), (3, 2, 3, 2));
    assert_eq!(world.group.state(), GroupState::Stable);
    world.check_replay();
}

#[test]
fn a_member_that_leaves_gives_its_partitions_to_the_others() {
    let mut world = World::new(&[4]);
    let mut clients = [Client::new("a", &["t1"]), Client::new("b", &["t1"])];
    settle(&mut world, &mut clients);
    let [mut a, b] = clients;
    let answer = world.send(&Heartbeat { epoch: LEAVE_EPOCH, ..b.request() }).expect("leave");
    assert_eq!((answer.member_id.as_str(), answer.epoch), ("b", LEAVE_EPOCH));
    a.beat(&mut world).expect("heartbeat");
    assert_eq!((a.epoch, a.partitions()), (4, 4));
    world.send(&Heartbeat { epoch: LEAVE_EPOCH, ..a.request() }).expect("leave");
    assert_eq!(world.group.state(), GroupState::Empty);
    world.check_replay();
}

#[test]
fn a_silent_member_is_fenced_when_its_session_ends() {
    let mut world = World::new(&[2]);
    let mut a = Client::new("a", &["t1"]);
    a.beat(&mut world).expect("join");
    assert_eq!(world.pass(44_999), Vec::<String>::new());
    a.beat(&mut world).expect("heartbeat");
    assert_eq!(world.pass(44_999), Vec::<String>::new());
    assert_eq!(world.pass(1), ["a"]);
    let gone = Error::UnknownMember { member: "a".to_owned(), group: "g".to_owned() };
    assert_eq!(world.send(&a.request()), Err(gone));
}

#[test]
fn a_member_that_does_not_give_back_in_time_is_fenced() {
    let mut world = World::new(&[2]);
    let (mut a, mut b) = (Client::new("a", &["t1"]), Client::new("b", &["t1"]));
    a.beat(&mut world).expect("join");
    b.beat(&mut world).expect("join");
    for _ in 0..6 {
        // It is heard of, but holds on to what it has.
        let answer = world.send(&a.request()).expect("heartbeat");
        a.hear(answer);
        assert_eq!(world.pass(9_999), Vec::<String>::new());
        b.beat(&mut world).expect("heartbeat");
    }
    assert_eq!(world.pass(6), ["a"]);
    b.beat(&mut world).expect("heartbeat");
    assert_eq!(b.partitions(), 2);
}

#[test]
fn epochs_fence() {
    let mut world = World::new(&[4]);
    let mut clients = [Client::new("a", &["t1"]), Client::new("b", &["t1"])];
    settle(&mut world, &mut clients);
    let [a, _] = clients;
    let ahead = Fenced::Ahead { received: 9, known: 3 };
    assert_eq!(world.send(&Heartbeat { epoch: 9, ..a.request() }), Err(Error::Fenced(ahead)));
    let behind = Fenced::Behind { received: 1, known: 3 };
    assert_eq!(world.send(&Heartbeat { epoch: 1, ..a.request() }), Err(Error::Fenced(behind)));
    // The epoch before is good for a member that owns no more than it may: its answer was lost.
    let previous = world.group.members["a"].previous_epoch;
    assert_eq!(previous, 2);
    let late = Heartbeat { epoch: previous, ..a.request() };
    let answer = world.send(&late).expect("the answer with the new epoch was lost");
    assert_eq!(answer.epoch, 3);
    let mut greedy = late;
    greedy.owned.as_mut().expect("says").entry(topic_id(1)).or_default().extend(0..4);
    let behind = Fenced::Behind { received: 2, known: 3 };
    assert_eq!(world.send(&greedy), Err(Error::Fenced(behind)));
    assert_eq!(world.send(&Heartbeat { owned: None, ..greedy }), Err(Error::Fenced(behind)),);
}

#[test]
fn a_static_member_comes_back_to_what_it_had() {
    let mut world = World::new(&[4]);
    let mut clients = [Client::new("a", &["t1"]), Client::new("b", &["t1"])];
    clients[0].instance = Some("i".to_owned());
    settle(&mut world, &mut clients);
    let [mut a, mut b] = clients;
    let had = a.owned.clone();
    let mut anew =
        Client { id: "c".to_owned(), instance: Some("i".to_owned()), ..Client::new("c", &["t1"]) };
    let owned = Error::Unreleased {
        member: "c".to_owned(),
        instance: "i".to_owned(),
        owner: "a".to_owned(),
    };
    assert_eq!(anew.beat(&mut world), Err(owned));
    let leave = Heartbeat { epoch: LEAVE_STATIC_EPOCH, ..a.request() };
    assert_eq!(world.send(&leave).expect("leave").epoch, LEAVE_STATIC_EPOCH);
    let epoch = world.group.epoch();
    // Nobody else gets what is kept for it.
    b.beat(&mut world).expect("heartbeat");
    anew.beat(&mut world).expect("rejoin");
    assert_eq!((anew.owned.clone(), world.group.epoch(), anew.epoch), (had, epoch, epoch));
    let fenced = Error::FencedInstance {
        member: "a".to_owned(),
        instance: "i".to_owned(),
        owner: "c".to_owned(),
    };
    a.epoch = epoch;
    assert_eq!(a.beat(&mut world), Err(fenced));
    world.check_replay();
}

#[test]
fn a_static_member_that_stays_away_loses_its_place() {
    let mut world = World::new(&[2]);
    let mut a = Client { instance: Some("i".to_owned()), ..Client::new("a", &["t1"]) };
    a.beat(&mut world).expect("join");
    world.send(&Heartbeat { epoch: LEAVE_STATIC_EPOCH, ..a.request() }).expect("leave");
    assert_eq!(world.pass(45_000), ["a"]);
    let unknown = Error::UnknownInstance("i".to_owned());
    a.epoch = 5;
    assert_eq!(a.beat(&mut world), Err(unknown));
}

#[test]
fn a_full_group_takes_nobody_else() {
    let mut world = World::new(&[2]);
    world.settings.max_size = 1;
    let (mut a, mut b) = (Client::new("a", &["t1"]), Client::new("b", &["t1"]));
    a.beat(&mut world).expect("join");
    assert_eq!(b.beat(&mut world), Err(Error::Full(1)));
    a.beat(&mut world).expect("members stay");
}

#[test]
fn new_partitions_and_topics_bump_the_epoch() {
    let mut world = World::new(&[2]);
    let mut a = Client::new("a", &["t1", "later"]);
    a.beat(&mut world).expect("join");
    assert_eq!((a.epoch, a.partitions()), (2, 2));
    put_topic(&mut world.image, "t1", topic_id(1), vec![partition(&[1]); 5]);
    a.beat(&mut world).expect("heartbeat");
    assert_eq!((a.epoch, a.partitions()), (3, 5));
    put_topic(&mut world.image, "later", topic_id(9), vec![partition(&[1])]);
    a.beat(&mut world).expect("heartbeat");
    assert_eq!((a.epoch, a.partitions()), (4, 6));
    // Any other change of the image is looked at, and changes nothing.
    put_topic(&mut world.image, "other", topic_id(10), vec![partition(&[1])]);
    let written = world.log.len();
    a.beat(&mut world).expect("heartbeat");
    assert_eq!((a.epoch, world.log.len()), (4, written));
    let id = world.image.names.remove("t1").expect("there");
    world.image.topics.remove(&id);
    world.image.version += 1;
    a.beat(&mut world).expect("heartbeat");
    a.beat(&mut world).expect("heartbeat");
    assert_eq!((a.epoch, a.partitions()), (5, 1));
    world.check_replay();
}

#[test]
fn a_pattern_is_matched_outside_the_heartbeat() {
    let mut world = World::new(&[2, 2]);
    let mut a = Client { names: None, regex: Some("t.*".to_owned()), ..Client::new("a", &[]) };
    a.beat(&mut world).expect("join");
    assert_eq!(a.partitions(), 0);
    assert_eq!(world.resolve, Some(BTreeSet::from(["t.*".to_owned()])));
    world.match_patterns();
    a.beat(&mut world).expect("heartbeat");
    assert_eq!(a.partitions(), 4);
    // A new topic is seen, but not more often than every ten seconds.
    put_topic(&mut world.image, "t9", topic_id(9), vec![partition(&[1])]);
    world.topics_version = i64::try_from(world.image.version).expect("small");
    a.beat(&mut world).expect("heartbeat");
    assert_eq!(world.resolve, None);
    world.pass(10_001);
    a.beat(&mut world).expect("heartbeat");
    world.match_patterns();
    a.beat(&mut world).expect("heartbeat");
    assert_eq!(a.partitions(), 5);
    // The member gives its pattern up: what was matched goes with it.
    a.regex = Some(String::new());
    a.names = Some(vec!["t1".to_owned()]);
    a.beat(&mut world).expect("heartbeat");
    a.beat(&mut world).expect("heartbeat");
    assert_eq!((a.partitions(), world.group.subscriptions().resolved().len()), (2, 0));
    world.check_replay();
}

#[test]
fn a_pattern_that_is_none_is_refused() {
    let mut world = World::new(&[1]);
    let mut a = Client { names: None, regex: Some("(a".to_owned()), ..Client::new("a", &[]) };
    let reason = crate::base::re2::WholePattern::new("(a").expect_err("unclosed");
    let refused = Error::InvalidRegex { regex: "(a".to_owned(), reason };
    assert_eq!(
        refused.to_string(),
        "SubscribedTopicRegex `(a` is not a valid regular expression: missing closing )."
    );
    assert_eq!(a.beat(&mut world), Err(refused));
}

#[test]
fn members_choose_the_assignor_by_majority() {
    let mut world = World::new(&[4, 4]);
    let mut clients = ["a", "b", "c"]
        .map(|id| Client { assignor: Some("range".to_owned()), ..Client::new(id, &["t1", "t2"]) });
    clients[2].assignor = Some("uniform".to_owned());
    settle(&mut world, &mut clients);
    assert_eq!(world.group.assignor(&world.settings), Assignor::Range);
    for client in &clients {
        let parts: Vec<_> = client.owned.values().collect();
        assert_eq!(parts[0], parts[1], "co-partitioned");
    }
}

#[test]
fn a_target_is_not_computed_more_often_than_allowed() {
    let mut world = World::new(&[4]);
    world.settings.assignment_interval = Duration::from_secs(1);
    let (mut a, mut b) = (Client::new("a", &["t1"]), Client::new("b", &["t1"]));
    a.beat(&mut world).expect("join");
    b.beat(&mut world).expect("join");
    // It joined, and waits in the target's epoch with nothing.
    assert_eq!((b.epoch, b.partitions(), world.group.state()), (2, 0, GroupState::Assigning));
    world.pass(1_000);
    b.beat(&mut world).expect("heartbeat");
    assert_eq!((b.epoch, world.group.target_epoch()), (3, 3));
}

#[test]
fn a_deleted_group_leaves_no_record() {
    let mut world = World::new(&[4]);
    let mut clients = [Client::new("a", &["t1"]), Client::new("b", &["t1"])];
    clients[0].regex = Some("t.*".to_owned());
    settle(&mut world, &mut clients);
    let mut live: BTreeMap<_, _> = BTreeMap::new();
    for record in world.log.iter().chain(&world.group.tombstones()) {
        let (key, value) = record.encode();
        match value {
            Some(value) => live.insert(key, value),
            None => live.remove(&key),
        };
    }
    assert!(live.is_empty(), "{live:?}");
}

#[test]
fn the_records_of_a_group_rebuild_it() {
    let mut world = World::new(&[4, 3]);
    let mut clients = [Client::new("a", &["t1"]), Client::new("b", &["t2"])];
    clients[0].regex = Some("t.*".to_owned());
    settle(&mut world, &mut clients);
    let mut rebuilt = ConsumerGroup::new("g");
    for record in world.group.to_records() {
        rebuilt.apply(record);
    }
    assert_eq!(
        rebuilt.to_records().collect::<Vec<_>>(),
        world.group.to_records().collect::<Vec<_>>()
    );
    assert_eq!(rebuilt.members, world.group.members);
}
