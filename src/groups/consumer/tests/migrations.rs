//! A classic group becomes one of the consumer protocol while it has members, and the other way.

use bytes::Bytes;

use super::*;
use crate::groups::{
    HeartbeatRequest, JoinAnswer, JoinRequest, LeavingMember, MemberProtocol, Migrant, Refusal,
    SyncRequest,
};
use crate::protocol::embedded::{NamedPartitions, read_assignment, write_assignment};

fn named(partitions: &[i32]) -> Vec<NamedPartitions> {
    vec![NamedPartitions { topic: "t1".to_owned(), partitions: partitions.to_vec() }]
}

/// A subscription of version 1 to `t1`: behind its version and its topics, what is owned looks as in an assignment.
fn offers(owned: &[i32]) -> Vec<MemberProtocol> {
    let mut bytes = b"\0\x01\0\0\0\x01\0\x02t1\xff\xff\xff\xff".to_vec();
    let owned = write_assignment(1, &named(owned));
    bytes.extend(&owned[2..owned.len() - 4]);
    vec![MemberProtocol { name: "range".to_owned(), metadata: Bytes::from(bytes) }]
}

fn migrant(id: &str, assigned: &[i32]) -> Migrant {
    Migrant {
        member_id: id.to_owned(),
        group_instance_id: None,
        client_id: "client".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        session_timeout: Duration::from_secs(10),
        rebalance_timeout: Duration::from_secs(60),
        protocols: offers(assigned),
        assignment: Bytes::from(write_assignment(1, &named(assigned))),
    }
}

/// A group of one topic of four partitions, all of which the classic member `a` had in generation 7.
fn upgraded() -> World {
    let mut world = World::new(&[4]);
    let view = World::view(&world.image, &world.settings, 0);
    let migrants = vec![migrant("a", &[0, 1, 2, 3])];
    let made = ConsumerGroup::of_migrants("g", 7, migrants, (world.now(), view));
    let (group, records) = made.expect("they are consumers");
    world.group = group;
    world.log = records;
    world
}

impl World {
    fn classic_join(&mut self, request: &JoinRequest) -> Result<JoinAnswer, Refusal> {
        let before = self.group.clone();
        let now = self.now();
        let view = Self::view(&self.image, &self.settings, self.topics_version);
        let joined = self.group.classic_join((now, view), request, "made-up");
        if joined.is_err() {
            assert_eq!(self.group, before, "a refused request changed the group");
        }
        let outcome = joined?;
        self.log.extend(outcome.records);
        Ok(outcome.answer)
    }

    fn classic_sync(&mut self, id: &str, generation_id: i32) -> Result<Vec<i32>, Refusal> {
        let now = self.now();
        let view = Self::view(&self.image, &self.settings, self.topics_version);
        let request = SyncRequest {
            group_id: "g".to_owned(),
            generation_id,
            member_id: id.to_owned(),
            group_instance_id: None,
            protocol_type: Some("consumer".to_owned()),
            protocol_name: Some("range".to_owned()),
            assignments: Vec::new(),
        };
        let answer = self.group.classic_sync((now, view), &request)?;
        let read = read_assignment(&answer.assignment).expect("an assignment");
        Ok(read.into_iter().flat_map(|topic| topic.partitions).collect())
    }

    fn classic_beat(&mut self, id: &str, generation_id: i32) -> Result<(), Refusal> {
        let now = self.now();
        let view = Self::view(&self.image, &self.settings, self.topics_version);
        let request = HeartbeatRequest {
            group_id: "g".to_owned(),
            generation_id,
            member_id: id.to_owned(),
            group_instance_id: None,
        };
        self.group.classic_heartbeat((now, view), &request)
    }
}

fn joining(id: &str, owned: &[i32]) -> JoinRequest {
    JoinRequest {
        group_id: "g".to_owned(),
        member_id: id.to_owned(),
        group_instance_id: None,
        client_id: "client".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        session_timeout: Duration::from_secs(10),
        rebalance_timeout: Duration::from_secs(60),
        protocol_type: "consumer".to_owned(),
        protocols: offers(owned),
        takes_member_id: true,
        skips_assignment: true,
    }
}

#[test]
fn a_classic_member_gives_back_what_a_new_one_receives() {
    let mut world = upgraded();
    assert_eq!(world.classic_beat("a", 7), Ok(()), "nothing has changed for it yet");
    let mut b = Client::new("b", &["t1"]);
    b.beat(&mut world).expect("join");
    assert_eq!((b.epoch, b.partitions()), (8, 0));
    assert_eq!(world.classic_beat("a", 7), Err(Refusal::RebalanceInProgress));
    assert_eq!(world.classic_sync("a", 7), Err(Refusal::RebalanceInProgress));
    let answer = world.classic_join(&joining("a", &[0, 1, 2, 3])).expect("it is a member");
    assert_eq!(answer.generation_id, 7, "it has to give back first");
    let kept = world.classic_sync("a", 7).expect("it is told what to keep");
    assert_eq!(kept.len(), 2);
    assert_eq!(world.classic_beat("a", 7), Err(Refusal::RebalanceInProgress));
    b.beat(&mut world).expect("heartbeat");
    assert_eq!(b.partitions(), 0, "a has not given back");
    let answer = world.classic_join(&joining("a", &kept)).expect("it is a member");
    assert_eq!(answer.generation_id, 8);
    assert_eq!(world.classic_sync("a", 8), Ok(kept));
    assert_eq!(world.classic_beat("a", 8), Ok(()));
    b.beat(&mut world).expect("heartbeat");
    assert_eq!(b.partitions(), 2);
    world.check_replay();
}

#[test]
fn an_upgraded_group_comes_back_from_its_records() {
    let mut world = upgraded();
    world.check_replay();
    // As it is copied forward, not only as it was written.
    world.copy_forward();
    world.check_replay();
    assert_eq!(world.replayed().target_epoch(), 7);
}

#[test]
fn when_only_classic_members_are_left_the_group_is_to_be_a_classic_one() {
    let mut world = upgraded();
    let mut b = Client::new("b", &["t1"]);
    b.beat(&mut world).expect("join");
    let leave = Heartbeat { epoch: -1, ..b.request() };
    let before = world.group.clone();
    let now = world.now();
    let view = World::view(&world.image, &world.settings, 0);
    let outcome = world.group.heartbeat(now, view, &leave).expect("it leaves");
    let change = ToClassic { without: vec!["b".to_owned()], settled: false };
    assert_eq!((outcome.to_classic, outcome.records), (Some(change), Vec::new()));
    assert_eq!(world.group, before, "whoever keeps the group sees to it");
    let migrants = world.group.migrants(&["b".to_owned()], &world.image);
    let read = read_assignment(&migrants[0].assignment).expect("an assignment");
    assert_eq!((migrants.len(), migrants[0].member_id.as_str()), (1, "a"));
    assert_eq!(read[0].partitions.len(), 2, "it has what it was to have");

    // Where that is not allowed, it stays.
    world.settings.downgrade_max = None;
    let view = World::view(&world.image, &world.settings, 0);
    let outcome = world.group.heartbeat(now, view, &leave).expect("it leaves");
    assert_eq!(outcome.to_classic, None);
    assert_eq!(world.group.members().len(), 1);
}

#[test]
fn a_silent_classic_member_is_fenced_and_so_is_one_that_does_not_sync() {
    let mut world = upgraded();
    let mut b = Client::new("b", &["t1"]);
    b.beat(&mut world).expect("join");
    assert_eq!(world.pass(10_001), ["a"], "its own session, not the group's");
    let mut world = upgraded();
    b = Client::new("b", &["t1"]);
    b.beat(&mut world).expect("join");
    world.classic_join(&joining("a", &[0, 1, 2, 3])).expect("it is a member");
    for _ in 0..12 {
        assert_eq!(world.classic_beat("a", 7), Err(Refusal::RebalanceInProgress));
        b.beat(&mut world).expect("heartbeat");
        if world.pass(5_001) == ["a"] {
            return;
        }
    }
    panic!("it never synced and is still there");
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut world = upgraded();
    Client::new("b", &["t1"]).beat(&mut world).expect("join");
    let other = JoinRequest { protocol_type: "connect".to_owned(), ..joining("", &[]) };
    let mut strange = joining("", &[]);
    strange.protocols[0].name = "sticky".to_owned();
    let mut odd = joining("x", &[]);
    odd.protocols[0].metadata = Bytes::from_static(b"\0");
    for request in [other, strange, odd] {
        assert_eq!(world.classic_join(&request), Err(Refusal::InconsistentProtocol));
    }
    let given = world.classic_join(&joining("", &[])).expect("an id");
    assert_eq!(given.refusal, Some(Refusal::MemberIdRequired));
    assert_eq!(world.classic_beat("a", 9), Err(Refusal::IllegalGeneration));
    assert_eq!(world.classic_beat("b", 8), Err(Refusal::UnknownMemberId));
    assert_eq!(world.classic_sync("nobody", 8), Err(Refusal::UnknownMemberId));
    let leaving = |id: &str| LeavingMember { member_id: id.to_owned(), group_instance_id: None };
    let view = World::view(&world.image, &world.settings, 0);
    let outcome = world.group.classic_leave(view, &[leaving("nobody"), leaving("a")]);
    assert_eq!(outcome.answer, [Some(Refusal::UnknownMemberId), None]);
    assert_eq!(world.group.members().keys().collect::<Vec<_>>(), ["b"]);
}
