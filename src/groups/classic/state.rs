//! A classic group's state, and what its steps leave to be done.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::member::Member;
use crate::base::clock::Timestamp;
use crate::groups::{JoinAnswer, MemberProtocol, Refusal, SyncAnswer};
use crate::protocol::embedded;
use crate::protocol::records::offsets::{GroupMetadata, MemberMetadata};

/// Names a request that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::groups) struct Ticket(pub(in crate::groups) u64);

/// What a group waits for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::groups) enum Timer {
    /// The end of the phase of joining.
    Join,
    /// The end of the phase of syncing.
    Sync,
    /// A member's session.
    Session(String),
}

/// A change of a timer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::groups) enum TimerEdit {
    Set(Timer, Duration),
    Cancel(Timer),
}

/// What a step leaves to be done: in this order, the record is written, timers change, answers are sent when it is stable.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::groups) struct Outbox {
    pub(in crate::groups) write: Option<GroupMetadata>,
    pub(in crate::groups) timers: Vec<TimerEdit>,
    pub(in crate::groups) joined: Vec<(Ticket, JoinAnswer)>,
    pub(in crate::groups) synced: Vec<(Ticket, SyncAnswer)>,
}

impl Outbox {
    pub(super) fn set(&mut self, timer: Timer, after: Duration) {
        self.timers.push(TimerEdit::Set(timer, after));
    }

    pub(super) fn cancel(&mut self, timer: Timer) {
        self.timers.push(TimerEdit::Cancel(timer));
    }
}

/// Settings that a group's steps need.
#[derive(Debug, Clone, Copy)]
pub(in crate::groups) struct Limits {
    /// `group.max.size`.
    pub(in crate::groups) max_size: usize,
    /// `group.initial.rebalance.delay.ms`.
    pub(in crate::groups) initial_rebalance_delay: Duration,
}

/// The states. A dead group does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::groups) enum State {
    Empty,
    PreparingRebalance,
    CompletingRebalance,
    Stable,
}

impl State {
    /// Kafka's name.
    pub(in crate::groups) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// The waiting for more members of a new group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InitialDelay {
    /// How long the running round is.
    pub(super) round: Duration,
    /// How much is left of the longest wait.
    pub(super) remaining: Duration,
    /// Somebody came during the round: another follows.
    pub(super) new_member_added: bool,
}

/// One group.
#[derive(Debug, Clone)]
pub(in crate::groups) struct ClassicGroup {
    pub(super) state: State,
    pub(super) state_timestamp: Timestamp,
    pub(super) generation_id: i32,
    pub(super) protocol_type: Option<String>,
    pub(super) protocol_name: Option<String>,
    pub(super) leader: Option<String>,
    pub(super) members: BTreeMap<String, Member>,
    /// Member ids by group instance id.
    pub(super) static_members: BTreeMap<String, String>,
    /// Ids that were given and not joined with yet.
    pub(super) pending_joins: BTreeSet<String>,
    /// Members that were told of the generation and have not synced.
    pub(super) pending_syncs: BTreeSet<String>,
    /// How many members offer a protocol.
    pub(super) offered: BTreeMap<String, usize>,
    /// How many members wait in JoinGroup.
    pub(super) joining: usize,
    /// The first rebalance of an empty group.
    pub(super) initial: Option<InitialDelay>,
    /// What a `consumer` group consumes, as far as its members' metadata can be read.
    pub(super) topics: Option<BTreeSet<String>>,
}

impl ClassicGroup {
    /// An empty group.
    pub(in crate::groups) fn new() -> Self {
        Self {
            state: State::Empty,
            state_timestamp: Timestamp::NONE,
            generation_id: 0,
            protocol_type: None,
            protocol_name: None,
            leader: None,
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            pending_joins: BTreeSet::new(),
            pending_syncs: BTreeSet::new(),
            offered: BTreeMap::new(),
            joining: 0,
            initial: None,
            topics: None,
        }
    }

    /// The group that a record tells of.
    pub(in crate::groups) fn restore(record: GroupMetadata) -> Self {
        let mut group = Self::new();
        group.state = if record.members.is_empty() { State::Empty } else { State::Stable };
        group.state_timestamp = Timestamp(record.current_state_timestamp);
        group.generation_id = record.generation;
        group.protocol_type = Some(record.protocol_type).filter(|kind| !kind.is_empty());
        group.protocol_name = record.protocol;
        group.leader = record.leader;
        let protocol = group.protocol_name.clone().unwrap_or_default();
        for member in record.members {
            group.restore_member(member, &protocol);
        }
        group.topics = group.subscribed_topics();
        group
    }

    fn restore_member(&mut self, record: MemberMetadata, protocol: &str) {
        let millis = |ms: i32| Duration::from_millis(u64::try_from(ms).unwrap_or(0));
        let session_timeout = millis(record.session_timeout);
        let member = Member {
            group_instance_id: record.group_instance_id,
            client_id: record.client_id,
            client_host: record.client_host,
            session_timeout,
            rebalance_timeout: match record.rebalance_timeout {
                -1 => session_timeout,
                ms => millis(ms),
            },
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocols: vec![MemberProtocol {
                name: protocol.to_owned(),
                metadata: record.subscription,
            }],
            assignment: record.assignment,
            joining: None,
            syncing: None,
            is_new: false,
        };
        self.insert(record.member_id, member);
    }

    /// The record that tells of the group.
    pub(in crate::groups) fn record(&self) -> GroupMetadata {
        let millis = |time: Duration| i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
        let protocol = self.protocol_name.as_deref().unwrap_or_default();
        let members = self.members.iter().map(|(member_id, member)| MemberMetadata {
            member_id: member_id.clone(),
            group_instance_id: member.group_instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout: millis(member.rebalance_timeout),
            session_timeout: millis(member.session_timeout),
            subscription: member.metadata(protocol),
            assignment: member.assignment.clone(),
        });
        GroupMetadata {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation_id,
            protocol: self.protocol_name.clone(),
            leader: self.leader.clone(),
            current_state_timestamp: self.state_timestamp.0,
            members: members.collect(),
        }
    }

    pub(in crate::groups) fn state(&self) -> State {
        self.state
    }

    /// Whether nobody is a member, or about to become one.
    pub(in crate::groups) fn is_deserted(&self) -> bool {
        self.state == State::Empty && self.pending_joins.is_empty()
    }

    pub(super) fn transition(&mut self, state: State, now: Timestamp) {
        self.state = state;
        self.state_timestamp = now;
    }

    /// Adds a member; the first one chooses the protocol's type and leads.
    pub(super) fn insert(&mut self, member_id: String, member: Member) {
        if self.members.is_empty() {
            self.protocol_type = Some(member.protocol_type.clone());
        }
        if let Some(instance) = &member.group_instance_id {
            self.static_members.insert(instance.clone(), member_id.clone());
        }
        if self.leader.is_none() {
            self.leader = Some(member_id.clone());
        }
        self.count_offers(&member.protocols, true);
        self.joining += usize::from(member.joining.is_some());
        self.pending_joins.remove(&member_id);
        self.members.insert(member_id, member);
    }

    pub(super) fn count_offers(&mut self, protocols: &[MemberProtocol], more: bool) {
        for protocol in protocols {
            let count = self.offered.entry(protocol.name.clone()).or_default();
            *count = if more { *count + 1 } else { count.saturating_sub(1) };
            if *count == 0 {
                self.offered.remove(&protocol.name);
            }
        }
    }

    /// Forgets a member, or an id that was given.
    pub(super) fn remove(&mut self, member_id: &str) {
        self.pending_joins.remove(member_id);
        self.pending_syncs.remove(member_id);
        let Some(member) = self.members.remove(member_id) else { return };
        self.count_offers(&member.protocols, false);
        self.joining -= usize::from(member.joining.is_some());
        if let Some(instance) = &member.group_instance_id {
            self.static_members.remove(instance);
        }
        if self.leader.as_deref() == Some(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
    }

    pub(super) fn answer_join(&mut self, member_id: &str, answer: JoinAnswer, out: &mut Outbox) {
        let Some(member) = self.members.get_mut(member_id) else { return };
        if let Some(ticket) = member.joining.take() {
            self.joining -= 1;
            out.joined.push((ticket, answer));
        }
    }

    /// Checks that `member_id` is a member, and still the one behind its instance id.
    pub(super) fn validate_member(
        &self,
        member_id: &str,
        group_instance_id: Option<&str>,
    ) -> Result<(), Refusal> {
        if let Some(instance) = group_instance_id {
            match self.static_members.get(instance) {
                None => return Err(Refusal::UnknownMemberId),
                Some(current) if current != member_id => return Err(Refusal::FencedInstanceId),
                Some(_) => {}
            }
        }
        if self.members.contains_key(member_id) { Ok(()) } else { Err(Refusal::UnknownMemberId) }
    }

    /// The longest rebalance that a member allows.
    pub(super) fn rebalance_timeout(&self) -> Duration {
        self.members.values().map(|member| member.rebalance_timeout).max().unwrap_or_default()
    }

    pub(super) fn has_everybody_joined(&self) -> bool {
        self.members.len() == self.joining && self.pending_joins.is_empty()
    }

    pub(super) fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    /// The protocol that everybody offers and most prefer.
    pub(super) fn select_protocol(&self) -> Option<String> {
        let everybody = self.members.len();
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            let candidate =
                |protocol: &&MemberProtocol| self.offered.get(&protocol.name) == Some(&everybody);
            if let Some(preferred) = member.protocols.iter().find(candidate) {
                *votes.entry(&preferred.name).or_default() += 1;
            }
        }
        let most = votes.values().max().copied()?;
        votes.into_iter().find(|(_, count)| *count == most).map(|(name, _)| name.to_owned())
    }

    /// Whether a member of these protocols fits the others.
    pub(super) fn supports(&self, protocol_type: &str, protocols: &[MemberProtocol]) -> bool {
        if self.state == State::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        let everybody = self.members.len();
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols
                .iter()
                .any(|protocol| self.offered.get(&protocol.name).copied().unwrap_or(0) == everybody)
    }

    /// Whether the group consumes the topic, as far as is known.
    pub(in crate::groups) fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.topics {
            Some(topics) => topics.contains(topic),
            None => self.uses_consumer_protocol(),
        }
    }

    pub(in crate::groups) fn uses_consumer_protocol(&self) -> bool {
        self.protocol_type.as_deref() == Some("consumer")
    }

    /// The topics in the members' metadata. None: not a `consumer` group, or metadata that is not Kafka's.
    pub(super) fn subscribed_topics(&self) -> Option<BTreeSet<String>> {
        if !self.uses_consumer_protocol() {
            return None;
        }
        if self.members.is_empty() {
            return Some(BTreeSet::new());
        }
        let protocol = self.protocol_name.as_deref()?;
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            topics.extend(embedded::read_topics(&member.metadata(protocol)).ok()?);
        }
        Some(topics)
    }

    /// From when on the retention of an offset runs. None: it does not.
    pub(in crate::groups) fn retention_from(&self, committed: Timestamp) -> Option<Timestamp> {
        match (&self.protocol_type, self.state) {
            (None, _) => Some(committed),
            (Some(_), State::Empty) if self.state_timestamp == Timestamp::NONE => Some(committed),
            (Some(_), State::Empty) => Some(self.state_timestamp),
            (Some(_), State::Stable) if self.uses_consumer_protocol() && self.topics.is_some() => {
                Some(committed)
            }
            (Some(_), _) => None,
        }
    }

    /// Whether a commit of offsets is accepted, and whose session it keeps alive.
    ///
    /// Source: `ClassicGroup.validateOffsetCommit`.
    pub(in crate::groups) fn validate_commit(
        &self,
        (generation_id, member_id): (i32, &str),
        group_instance_id: Option<&str>,
        transactional: bool,
    ) -> Result<(), Refusal> {
        if generation_id < 0 && self.state == State::Empty {
            return Ok(());
        }
        if generation_id >= 0 || !member_id.is_empty() || group_instance_id.is_some() {
            self.validate_member(member_id, group_instance_id)?;
            if generation_id != self.generation_id {
                return Err(Refusal::IllegalGeneration);
            }
        } else if !transactional && self.state != State::Empty {
            return Err(Refusal::UnknownMemberId);
        }
        if !transactional && self.state == State::CompletingRebalance {
            return Err(Refusal::RebalanceInProgress);
        }
        Ok(())
    }

    /// A commit keeps the member's session alive.
    pub(in crate::groups) fn committed(&self, member_id: &str, out: &mut Outbox) {
        if matches!(self.state, State::Stable | State::PreparingRebalance) {
            self.extend_session(member_id, out);
        }
    }

    pub(super) fn extend_session(&self, member_id: &str, out: &mut Outbox) {
        if let Some(member) = self.members.get(member_id) {
            out.set(Timer::Session(member_id.to_owned()), member.session_timeout);
        }
    }

    /// The group was replayed: sessions begin anew, and a group above its size shrinks by a rebalance.
    pub(in crate::groups) fn loaded(&mut self, limits: Limits, now: Timestamp, out: &mut Outbox) {
        for member_id in self.members.keys() {
            self.extend_session(member_id, out);
        }
        if self.members.len() > limits.max_size {
            self.prepare_rebalance(limits, now, out);
        }
    }
}
