//! Groups that change their protocol, and members of the classic protocol in a group of the other.
//!
//! What takes one group's place and what takes the other away is written at once: no failover finds half of it. Only records
//! beyond one batch (1 MiB) follow in others: of a failover between them, members that are missing join again.
//!
//! Source: `GroupMetadataManager.getOrMaybeCreateConsumerGroup`, `convertToConsumerGroup`, `convertToClassicGroup` in Apache
//! Kafka 4.3.1.

use bytes::Bytes;

use super::consumer::Surroundings;
use super::held::{Group, Held};
use super::{GroupsMachine, Key};
use crate::groups::classic::{ClassicGroup, Outbox, Ticket};
use crate::groups::consumer::error::Missing;
use crate::groups::consumer::member::JOIN_EPOCH;
use crate::groups::consumer::{ConsumerGroup, Outcome, ToClassic};
use crate::groups::{
    HeartbeatRequest, JoinAnswer, JoinRequest, LeaveRequest, Refusal, SyncAnswer, SyncRequest,
};
use crate::protocol::records::consumer::Record;
use crate::protocol::records::offsets::group_metadata_key;
use crate::state_topic::{Now, StateRecord, Turn};

/// A group of the consumer protocol that is to take the place of none, or of a classic one.
pub(super) struct Anew {
    pub(super) group: ConsumerGroup,
    /// What tells of it as it is before its first heartbeat.
    records: Vec<Record>,
}

impl Anew {
    fn empty(group_id: &str) -> Self {
        Self { group: ConsumerGroup::new(group_id), records: Vec::new() }
    }
}

impl GroupsMachine {
    /// The group that a heartbeat of that epoch makes; none if it is there.
    pub(super) fn anew(
        &self,
        group_id: &str,
        epoch: i32,
        (now, surroundings): (Now, &Surroundings),
    ) -> Result<Option<Anew>, Missing> {
        let joins = epoch == JOIN_EPOCH;
        match self.groups.get(group_id) {
            Some(Held { group: Group::Consumer(_), .. }) => Ok(None),
            Some(Held { group: Group::Share(_), .. }) => Err(Missing::IsOther),
            Some(held) if joins && held.is_empty() => Ok(Some(Anew::empty(group_id))),
            Some(Held { group: Group::Classic(group), .. }) if joins => {
                self.upgraded(group_id, group, (now, surroundings)).map(Some)
            }
            Some(_) => Err(Missing::IsOther),
            None if joins => Ok(Some(Anew::empty(group_id))),
            None if epoch < JOIN_EPOCH => Err(Missing::NotThere),
            None => Err(Missing::NoConsumerGroup),
        }
    }

    /// What a classic group with members becomes.
    fn upgraded(
        &self,
        group_id: &str,
        group: &ClassicGroup,
        (now, surroundings): (Now, &Surroundings),
    ) -> Result<Anew, Missing> {
        let view = surroundings.view();
        if !self.settings.consumer.upgrades {
            return Err(Missing::NoUpgrade);
        }
        if !group.uses_consumer_protocol() {
            return Err(Missing::NotConsumers);
        }
        if group.size() > view.settings.max_size {
            return Err(Missing::TooLarge);
        }
        let (id, generation_id) = (group_id, group.generation_id());
        ConsumerGroup::of_migrants(id, generation_id, group.migrants(), (now, view))
            .map(|(group, records)| Anew { group, records })
            .map_err(|_| Missing::Malformed)
    }

    /// Puts a group of the consumer protocol in the place of none, or of a classic one, whose offsets stay.
    pub(super) fn become_consumer(
        &mut self,
        turn: &mut Turn<'_>,
        group_id: &str,
        anew: Anew,
        records: Vec<Record>,
    ) {
        let mut out = Outbox::default();
        let mut all = Vec::new();
        if let Some(held) = self.groups.get_mut(group_id) {
            if held.written.is_some() {
                all = held.tombstones(group_id);
            }
            if let Some(group) = held.classic_mut() {
                group.dissolve(&mut out);
            }
        }
        all.extend(anew.records.into_iter().chain(records).map(StateRecord::from));
        self.put_group(group_id, Group::Consumer(Box::new(anew.group)));
        self.settle_members(turn, group_id, all);
        self.settle(turn, group_id, out);
    }

    /// Makes an empty group of the consumer protocol a classic one: its offsets stay.
    pub(super) fn become_classic(&mut self, turn: &mut Turn<'_>, group_id: &str) {
        let Some(held) = self.groups.get(group_id) else { return };
        let tombstones = held.tombstones(group_id);
        self.write_group(turn, group_id, tombstones);
        self.timers.cancel(Key::Members(group_id.to_owned()));
        let Held { group, .. } = Held::simple();
        self.put_group(group_id, group);
    }

    /// Makes a group in which only members of the classic protocol are left a classic one.
    pub(super) fn downgrade(
        &mut self,
        turn: &mut Turn<'_>,
        group_id: &str,
        (mut records, change): (Vec<StateRecord>, ToClassic),
        surroundings: &Surroundings,
    ) {
        let now = turn.now().wall;
        let Some(held) = self.groups.get(group_id) else { return };
        let Some(group) = held.consumer() else { return };
        let migrants = group.migrants(&change.without, &surroundings.image);
        let mut classic = ClassicGroup::of_migrants(group.epoch(), migrants, now);
        let value = classic.record().write();
        records.extend(held.tombstones(group_id));
        let key = group_metadata_key(group_id);
        records.push(StateRecord { key, value: Some(value.to_vec()) });
        let mut out = Outbox::default();
        classic.begin(change.settled, self.settings.limits, now, &mut out);
        self.write_group(turn, group_id, records);
        self.timers.cancel(Key::Members(group_id.to_owned()));
        self.put_group(group_id, Group::Classic(Box::new(classic)));
        self.note_written(group_id, Bytes::from(value), None);
        tracing::info!(group = group_id, "consumer group became a classic one");
        self.settle(turn, group_id, out);
    }

    /// Whether requests of the classic protocol go to a group of the other.
    pub(super) fn has_consumers(&self, group_id: &str) -> bool {
        let consumer = self.groups.get(group_id).and_then(Held::consumer);
        consumer.is_some_and(|group| !group.is_empty())
    }

    pub(super) fn join_consumers(
        &mut self,
        turn: &mut Turn<'_>,
        request: &JoinRequest,
        ticket: Ticket,
    ) {
        let group_id = request.group_id.as_str();
        let surroundings = self.surroundings(group_id);
        let now = turn.now();
        let new_member_id = self.rng.uuid().to_string();
        let mut out = Outbox::default();
        let Some(group) = self.groups.get_mut(group_id).and_then(Held::consumer_mut) else {
            return;
        };
        let joined = group.classic_join((now, surroundings.view()), request, &new_member_id);
        match joined {
            Err(refusal) => {
                out.joined.push((ticket, JoinAnswer::refused(refusal, "")));
            }
            // Patterns of its members are matched when one of the other protocol is heard of.
            Ok(Outcome { records, answer, to_classic, .. }) => {
                out.joined.push((ticket, answer));
                self.settle_consumer(turn, group_id, (records, to_classic), &surroundings);
            }
        }
        self.settle(turn, group_id, out);
    }

    pub(super) fn sync_consumers(
        &mut self,
        turn: &mut Turn<'_>,
        request: &SyncRequest,
    ) -> Result<SyncAnswer, Refusal> {
        let group_id = request.group_id.as_str();
        let surroundings = self.surroundings(group_id);
        let now = turn.now();
        let group = self.groups.get_mut(group_id).and_then(Held::consumer_mut);
        let group = group.ok_or(Refusal::UnknownMemberId)?;
        let answer = group.classic_sync((now, surroundings.view()), request);
        self.settle_members(turn, group_id, Vec::new());
        answer
    }

    pub(super) fn consumers_heartbeat(
        &mut self,
        turn: &mut Turn<'_>,
        request: &HeartbeatRequest,
    ) -> Result<(), Refusal> {
        let group_id = request.group_id.as_str();
        let surroundings = self.surroundings(group_id);
        let now = turn.now();
        let group = self.groups.get_mut(group_id).and_then(Held::consumer_mut);
        let group = group.ok_or(Refusal::UnknownMemberId)?;
        let answer = group.classic_heartbeat((now, surroundings.view()), request);
        self.settle_members(turn, group_id, Vec::new());
        answer
    }

    pub(super) fn leave_consumers(
        &mut self,
        turn: &mut Turn<'_>,
        request: &LeaveRequest,
    ) -> Vec<Option<Refusal>> {
        let group_id = request.group_id.as_str();
        let surroundings = self.surroundings(group_id);
        let Some(group) = self.groups.get_mut(group_id).and_then(Held::consumer_mut) else {
            return vec![Some(Refusal::UnknownMemberId); request.members.len()];
        };
        let outcome = group.classic_leave(surroundings.view(), &request.members);
        let Outcome { records, answer, to_classic, .. } = outcome;
        self.settle_consumer(turn, group_id, (records, to_classic), &surroundings);
        answer
    }
}
