//! Lives of groups, step by step: what is answered, what is written, which deadline runs.

use std::time::Duration;

use bytes::Bytes;

use super::{ClassicGroup, Joining, Limits, Outbox, State, Ticket, Timer, TimerEdit};
use crate::base::clock::Timestamp;
use crate::groups::{
    Assigned, HeartbeatRequest, JoinAnswer, JoinRequest, LeavingMember, MemberProtocol, Refusal,
    SyncAnswer, SyncRequest,
};

const SECOND: Duration = Duration::from_secs(1);
const NOW: Timestamp = Timestamp(1000);

struct World {
    group: ClassicGroup,
    limits: Limits,
    tickets: u64,
    out: Outbox,
}

impl World {
    fn new() -> Self {
        let limits = Limits { max_size: 3, initial_rebalance_delay: Duration::ZERO };
        Self { group: ClassicGroup::new(), limits, tickets: 0, out: Outbox::default() }
    }

    /// A group of these members, stable in generation 1; the first leads. Their ids are `id-` and the name.
    fn stable(members: &[&str]) -> Self {
        let mut world = Self::new();
        for name in members {
            world.join(&request("", name));
        }
        world.start();
        let ids: Vec<String> = members.iter().map(|name| format!("id-{name}")).collect();
        for id in ids.iter().skip(1) {
            world.sync(id, 1, &[]);
        }
        let all: Vec<&str> = ids.iter().map(String::as_str).collect();
        world.sync(&ids[0], 1, &all);
        assert_eq!(world.group.state(), State::Stable);
        world.out = Outbox::default();
        world
    }

    fn join(&mut self, request: &JoinRequest) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let new_member_id = format!("id-{}", request.client_id);
        let limits = self.limits;
        let joining = Joining { request, new_member_id: &new_member_id, ticket, limits, now: NOW };
        self.group.join(joining, &mut self.out);
        ticket
    }

    fn sync(&mut self, member_id: &str, generation_id: i32, assigned: &[&str]) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let assignments = assigned.iter().map(|id| Assigned {
            member_id: (*id).to_owned(),
            assignment: Bytes::copy_from_slice(id.as_bytes()),
        });
        let request = SyncRequest {
            group_id: "g".to_owned(),
            generation_id,
            member_id: member_id.to_owned(),
            group_instance_id: None,
            protocol_type: None,
            protocol_name: None,
            assignments: assignments.collect(),
        };
        self.group.sync(&request, ticket, NOW, &mut self.out);
        ticket
    }

    /// The delay of a new group ends. Another round follows if somebody came during the first.
    fn start(&mut self) {
        self.fire(Timer::Join);
        self.fire(Timer::Join);
    }

    fn fire(&mut self, timer: Timer) {
        self.group.on_timer(timer, self.limits, NOW, &mut self.out);
    }

    fn heartbeat(&mut self, member_id: &str, generation_id: i32) -> Result<(), Refusal> {
        let request = HeartbeatRequest {
            group_id: "g".to_owned(),
            generation_id,
            member_id: member_id.to_owned(),
            group_instance_id: None,
        };
        self.group.heartbeat(&request, &mut self.out)
    }

    fn leave(&mut self, member_id: &str, instance: Option<&str>) -> Option<Refusal> {
        let leaving = LeavingMember {
            member_id: member_id.to_owned(),
            group_instance_id: instance.map(str::to_owned),
        };
        self.group.leave(&[leaving], self.limits, NOW, &mut self.out)[0]
    }

    fn joined(&mut self, ticket: Ticket) -> Option<JoinAnswer> {
        let place = self.out.joined.iter().position(|(answered, _)| *answered == ticket)?;
        Some(self.out.joined.remove(place).1)
    }

    fn refused(&mut self, ticket: Ticket) -> Option<Refusal> {
        self.joined(ticket).expect("it was answered").refusal
    }

    fn synced(&mut self, ticket: Ticket) -> Option<SyncAnswer> {
        let place = self.out.synced.iter().position(|(answered, _)| *answered == ticket)?;
        Some(self.out.synced.remove(place).1)
    }
}

fn request(member_id: &str, name: &str) -> JoinRequest {
    let protocol = |name: &str| MemberProtocol {
        name: name.to_owned(),
        metadata: Bytes::from_static(b"\0\0\0\0\0\x01\0\x01t\xff\xff\xff\xff"),
    };
    JoinRequest {
        group_id: "g".to_owned(),
        member_id: member_id.to_owned(),
        group_instance_id: None,
        client_id: name.to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        session_timeout: SECOND * 10,
        rebalance_timeout: SECOND * 60,
        protocol_type: "consumer".to_owned(),
        protocols: vec![protocol("range"), protocol("sticky")],
        takes_member_id: false,
        skips_assignment: true,
    }
}

fn static_request(member_id: &str, name: &str, instance: &str) -> JoinRequest {
    JoinRequest { group_instance_id: Some(instance.to_owned()), ..request(member_id, name) }
}

#[test]
fn the_first_to_join_leads_and_is_told_of_everybody() {
    let mut world = World::new();
    let a = world.join(&request("", "a"));
    let b = world.join(&request("", "b"));
    assert_eq!((world.joined(a), world.joined(b)), (None, None), "a new group waits");
    world.start();
    let (a, b) = (world.joined(a).expect("answered"), world.joined(b).expect("answered"));
    assert_eq!((a.generation_id, a.leader.as_str(), a.members.len()), (1, "id-a", 2));
    assert_eq!((b.generation_id, b.leader.as_str(), b.members.len()), (1, "id-a", 0));
    assert_eq!(a.protocol_name.as_deref(), Some("range"));
    let b = world.sync("id-b", 1, &[]);
    assert_eq!(world.synced(b), None, "it waits for the leader");
    let a = world.sync("id-a", 1, &["id-a", "id-b"]);
    assert_eq!(world.synced(a).expect("answered").assignment, "id-a");
    assert_eq!(world.synced(b).expect("answered").assignment, "id-b");
    let written = world.out.write.take().expect("the generation is written");
    assert_eq!((written.generation, written.members.len()), (1, 2));
    assert_eq!(written.members[1].assignment, "id-b");
}

#[test]
fn a_dynamic_member_is_given_its_id_before_it_is_one() {
    let mut world = World::new();
    let asked = JoinRequest { takes_member_id: true, ..request("", "a") };
    let first = world.join(&asked);
    let answer = world.joined(first).expect("answered");
    assert_eq!(answer.refusal, Some(Refusal::MemberIdRequired));
    assert_eq!(world.group.state(), State::Empty);
    let second =
        world.join(&JoinRequest { takes_member_id: true, ..request(&answer.member_id, "a") });
    world.fire(Timer::Join);
    assert_eq!(world.joined(second).expect("answered").member_id, "id-a");
    let static_one = JoinRequest { takes_member_id: true, ..static_request("", "s", "i") };
    let mut world = World::new();
    let joined = world.join(&static_one);
    world.fire(Timer::Join);
    assert_eq!(world.refused(joined), None, "a static member needs no second step");
}

#[test]
fn an_id_that_is_not_joined_with_lapses() {
    let mut world = World::new();
    world.join(&JoinRequest { takes_member_id: true, ..request("", "a") });
    world.fire(Timer::Session("id-a".to_owned()));
    let late = world.join(&request("id-a", "a"));
    assert_eq!(world.refused(late), Some(Refusal::UnknownMemberId));
}

#[test]
fn joins_that_do_not_fit_are_refused() {
    let mut world = World::stable(&["a", "b"]);
    let connect = JoinRequest { protocol_type: "connect".to_owned(), ..request("", "c") };
    let other = MemberProtocol { name: "x".to_owned(), metadata: Bytes::new() };
    let strange = JoinRequest { protocols: vec![other], ..request("", "c") };
    for (wrong, refusal) in [
        (connect, Refusal::InconsistentProtocol),
        (strange, Refusal::InconsistentProtocol),
        (request("nobody", "c"), Refusal::UnknownMemberId),
        (static_request("id-a", "c", "i"), Refusal::UnknownMemberId),
    ] {
        let ticket = world.join(&wrong);
        assert_eq!(world.refused(ticket), Some(refusal), "{wrong:?}");
    }
    world.join(&request("", "c"));
    assert_eq!(world.group.state(), State::PreparingRebalance);
    let mut full = World::stable(&["a", "b", "c"]);
    let ticket = full.join(&request("", "d"));
    assert_eq!(full.refused(ticket), Some(Refusal::GroupMaxSizeReached));
}

#[test]
fn a_rebalance_waits_for_everybody_and_then_for_nobody() {
    let mut world = World::stable(&["a", "b"]);
    let c = world.join(&request("", "c"));
    assert!(world.out.timers.contains(&TimerEdit::Set(Timer::Join, SECOND * 60)));
    assert_eq!(world.heartbeat("id-a", 1), Err(Refusal::RebalanceInProgress));
    let a = world.join(&request("id-a", "a"));
    assert_eq!(world.joined(a), None);
    // b never comes: the deadline goes on without it.
    world.fire(Timer::Join);
    assert_eq!(world.joined(a).expect("answered").members.len(), 2);
    assert_eq!(world.joined(c).expect("answered").generation_id, 2);
    assert_eq!(world.heartbeat("id-b", 1), Err(Refusal::UnknownMemberId));
}

#[test]
fn the_delay_of_a_new_group_grows_while_members_come() {
    let mut world = World::new();
    world.limits.initial_rebalance_delay = SECOND * 3;
    let a = world.join(&request("", "a"));
    world.join(&request("", "b"));
    world.fire(Timer::Join);
    assert_eq!(world.joined(a), None, "b came during the round");
    assert_eq!(world.out.timers.pop(), Some(TimerEdit::Set(Timer::Join, SECOND * 3)));
    world.fire(Timer::Join);
    assert_eq!(world.joined(a).expect("nobody came").generation_id, 1);
}

#[test]
fn members_that_do_not_sync_are_out() {
    let mut world = World::new();
    let a = world.join(&request("", "a"));
    world.join(&request("", "b"));
    world.start();
    assert_eq!(world.refused(a), None);
    let a = world.sync("id-a", 1, &["id-a"]);
    assert_eq!(world.synced(a).expect("answered").refusal, None);
    world.fire(Timer::Sync);
    assert_eq!(world.heartbeat("id-b", 1), Err(Refusal::UnknownMemberId));
    assert_eq!(world.heartbeat("id-a", 1), Err(Refusal::RebalanceInProgress));
}

#[test]
fn a_member_that_is_silent_is_out_unless_it_is_owed_an_answer() {
    let mut world = World::stable(&["a", "b"]);
    let b = world.join(&request("id-b", "b"));
    assert_eq!(world.refused(b), None, "nothing has changed: it is told the generation");
    let a = world.join(&request("id-a", "a"));
    world.fire(Timer::Session("id-a".to_owned()));
    assert_eq!(world.joined(a), None, "its join waits: it cannot send heartbeats");
    world.fire(Timer::Session("id-b".to_owned()));
    let answer = world.joined(a).expect("everybody who is left has joined");
    assert_eq!((answer.generation_id, answer.members.len()), (2, 1));
}

#[test]
fn a_join_again_ends_the_syncs_of_its_generation() {
    let mut world = World::new();
    world.join(&request("", "a"));
    world.join(&request("", "b"));
    world.start();
    let b = world.sync("id-b", 1, &[]);
    let other =
        JoinRequest { protocols: request("", "").protocols[..1].to_vec(), ..request("id-a", "a") };
    world.join(&other);
    assert_eq!(world.synced(b).expect("answered").refusal, Some(Refusal::RebalanceInProgress));
}

#[test]
fn syncs_that_do_not_fit_are_refused() {
    let mut world = World::stable(&["a", "b"]);
    for (member_id, generation_id, refusal) in [
        ("nobody", 1, Some(Refusal::UnknownMemberId)),
        ("id-a", 0, Some(Refusal::IllegalGeneration)),
        ("id-a", 1, None),
    ] {
        let ticket = world.sync(member_id, generation_id, &[]);
        assert_eq!(world.synced(ticket).expect("answered").refusal, refusal, "{member_id}");
    }
    world.join(&request("", "c"));
    let ticket = world.sync("id-a", 1, &[]);
    assert_eq!(world.synced(ticket).expect("answered").refusal, Some(Refusal::RebalanceInProgress));
}

#[test]
fn the_last_to_leave_leaves_an_empty_generation() {
    let mut world = World::stable(&["a"]);
    assert_eq!(world.leave("nobody", None), Some(Refusal::UnknownMemberId));
    assert_eq!(world.leave("id-a", None), None);
    let written = world.out.write.take().expect("the empty generation is written");
    assert_eq!((written.generation, written.members.len(), written.leader), (2, 0, None));
    assert_eq!(world.group.state(), State::Empty);
    assert_eq!(world.heartbeat("id-a", 2), Err(Refusal::UnknownMemberId));
}

#[test]
fn a_static_member_is_replaced_without_a_rebalance_and_its_old_id_is_fenced() {
    let mut world = World::new();
    world.join(&static_request("", "old", "i"));
    world.fire(Timer::Join);
    world.sync("id-old", 1, &["id-old"]);
    world.out = Outbox::default();
    let new = world.join(&static_request("", "new", "i"));
    let answer = world.joined(new).expect("answered at once");
    assert_eq!((answer.generation_id, answer.skip_assignment), (1, true));
    assert_eq!((answer.leader.as_str(), answer.members.len()), ("id-new", 1));
    let written = world.out.write.take().expect("the new id is written");
    assert_eq!(written.members[0].assignment, "id-old", "what was assigned stays");
    let old = world.join(&static_request("id-old", "old", "i"));
    assert_eq!(world.refused(old), Some(Refusal::FencedInstanceId));
    assert_eq!(world.leave("id-old", Some("i")), Some(Refusal::FencedInstanceId));
    assert_eq!(world.leave("", Some("i")), None, "an administrator names the instance alone");
}

#[test]
fn a_static_member_that_is_away_keeps_its_place_in_a_rebalance() {
    let mut world = World::new();
    world.join(&static_request("", "s", "i"));
    world.join(&request("", "b"));
    world.start();
    world.sync("id-b", 1, &[]);
    world.sync("id-s", 1, &["id-s", "id-b"]);
    world.join(&request("", "c"));
    let b = world.join(&request("id-b", "b"));
    world.fire(Timer::Join);
    let answer = world.joined(b).expect("answered");
    assert_eq!((answer.leader.as_str(), answer.members.len()), ("id-b", 3), "s is still a member");
}

#[test]
fn commits_are_checked_against_the_generation() {
    let mut world = World::stable(&["a"]);
    let check = |world: &World, generation, member: &str, transactional| {
        world.group.validate_commit((generation, member), None, transactional)
    };
    assert_eq!(check(&world, 1, "id-a", false), Ok(()));
    assert_eq!(check(&world, 2, "id-a", false), Err(Refusal::IllegalGeneration));
    assert_eq!(check(&world, 1, "id-b", false), Err(Refusal::UnknownMemberId));
    assert_eq!(check(&world, -1, "", false), Err(Refusal::UnknownMemberId));
    assert_eq!(check(&world, -1, "", true), Ok(()), "older producers do not say who consumes");
    world.join(&request("id-a", "a"));
    assert_eq!(world.group.state(), State::CompletingRebalance);
    assert_eq!(check(&world, 2, "id-a", false), Err(Refusal::RebalanceInProgress));
    assert_eq!(check(&world, 2, "id-a", true), Ok(()));
    assert_eq!(check(&World::new(), -1, "", false), Ok(()));
}

#[test]
fn a_group_comes_back_from_its_record() {
    let mut world = World::stable(&["a", "b"]);
    let before = world.group.record();
    let mut restored = ClassicGroup::restore(before.clone());
    assert_eq!(restored.record(), before);
    assert!(restored.is_subscribed_to("t") && !restored.is_subscribed_to("u"));
    let mut out = Outbox::default();
    restored.loaded(world.limits, NOW, &mut out);
    let session = |id: &str| TimerEdit::Set(Timer::Session(id.to_owned()), SECOND * 10);
    assert_eq!(out.timers, [session("id-a"), session("id-b")]);
    world.group = restored;
    assert_eq!(world.heartbeat("id-b", 1), Ok(()));
    let small = Limits { max_size: 1, ..world.limits };
    world.group.loaded(small, NOW, &mut out);
    assert_eq!(world.group.state(), State::PreparingRebalance, "it must shrink");
}
