//! The groups of one shard: what a request does to them, what is written, and who is told when it is stable. Pure.
//!
//! Every step collects what is to be written and who is to be told, appends once, and only then lets go of the answers.

mod commit;
mod consumer;
mod expiry;
mod held;
mod migration;
mod replay;
mod share;
mod transaction;
mod upkeep;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::classic::{GroupDescription, Limits, Outbox, State, Ticket, Timer, TimerEdit};
use super::consumer::{self as modern, Assignor};
use super::offsets::Offsets;
use super::timers::Timers;
use super::topics::Topics;
use super::{
    HeartbeatRequest, JoinAnswer, JoinRequest, LeaveRequest, ListedGroup, Refusal, SyncAnswer,
    SyncRequest,
};
use crate::base::ids::SlotId;
use crate::base::rng::Rng;
use crate::config::{GroupsConfig, ShareGroupsConfig};
use crate::protocol::records::offsets::group_metadata_key;
use crate::state_topic::{StateRecord, Turn};
pub(super) use consumer::ToResolve;
use held::{Group, Held};

/// An answer, and the slot that must be stable before it is told.
#[derive(Debug)]
pub(super) struct Settled<T> {
    pub(super) answer: T,
    pub(super) after: Option<SlotId>,
}

/// Who waits for an answer that comes by a later step.
#[derive(Debug)]
enum Waiting {
    Join(oneshot::Sender<Settled<JoinAnswer>>),
    Sync(oneshot::Sender<Settled<SyncAnswer>>),
}

/// The timers of a shard.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    /// Offsets past their retention are looked for.
    Expiry,
    /// One classic group's.
    Group(String, Timer),
    /// The next deadline of a member of a group whose members are assigned to.
    Members(String),
}

/// Settings of groups of the consumer protocol.
#[derive(Debug, Clone)]
struct ConsumerSettings {
    /// Of a group that has none of its own.
    defaults: modern::Settings,
    /// Whether a classic group may become one while it has members.
    upgrades: bool,
    session_bounds: (Duration, Duration),
    heartbeat_bounds: (Duration, Duration),
    assignment_bounds: (Duration, Duration),
}

impl ConsumerSettings {
    fn new(config: &GroupsConfig) -> Self {
        let assignors = config.consumer_assignors.iter();
        Self {
            defaults: modern::Settings {
                session_timeout: config.consumer_session_timeout,
                heartbeat_interval: config.consumer_heartbeat_interval,
                assignment_interval: config.consumer_assignment_interval,
                regex_refresh_interval: config.consumer_regex_refresh_interval,
                max_size: config.consumer_max_size,
                assignors: assignors.filter_map(|name| Assignor::by_name(name)).collect(),
                downgrade_max: config.consumer_migration.downgrades.then_some(config.max_size),
            },
            upgrades: config.consumer_migration.upgrades,
            session_bounds: config.consumer_session_bounds,
            heartbeat_bounds: config.consumer_heartbeat_bounds,
            assignment_bounds: config.consumer_assignment_bounds,
        }
    }
}

/// Settings that the machine needs.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) limits: Limits,
    consumer: ConsumerSettings,
    shares: ShareGroupsConfig,
    pub(super) retention: Duration,
    pub(super) retention_check: Duration,
    pub(super) metadata_chars_max: usize,
}

impl Settings {
    pub(super) fn new(config: &GroupsConfig, shares: &ShareGroupsConfig) -> Self {
        Self {
            limits: Limits {
                max_size: config.max_size,
                initial_rebalance_delay: config.initial_rebalance_delay,
            },
            consumer: ConsumerSettings::new(config),
            shares: shares.clone(),
            retention: config.offsets_retention,
            retention_check: config.offsets_retention_check,
            metadata_chars_max: config.offset_metadata_max_bytes.as_usize(),
        }
    }
}

/// The state of one shard.
#[derive(Debug)]
pub(super) struct GroupsMachine {
    settings: Settings,
    rng: Rng,
    topics: Topics,
    groups: BTreeMap<String, Held>,
    offsets: Offsets,
    timers: Timers<Key>,
    waiting: BTreeMap<Ticket, Waiting>,
    next_ticket: u64,
    /// Bytes of group records.
    written_bytes: u64,
    /// The newest slot that removed a group: that one is not there rests on it.
    removed_slot: Option<SlotId>,
}

impl GroupsMachine {
    pub(super) fn new(settings: Settings, rng: Rng, topics: Topics) -> Self {
        Self {
            settings,
            rng,
            topics,
            groups: BTreeMap::new(),
            offsets: Offsets::default(),
            timers: Timers::default(),
            waiting: BTreeMap::new(),
            next_ticket: 0,
            written_bytes: 0,
            removed_slot: None,
        }
    }

    fn ticket(&mut self, waiting: Waiting) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.waiting.insert(ticket, waiting);
        ticket
    }

    /// What "there is no such group" rests on, or what the group's metadata does.
    fn metadata_slot(&self, group_id: &str) -> Option<SlotId> {
        self.groups.get(group_id).map_or(self.removed_slot, |held| held.metadata_slot)
    }

    pub(super) fn join(
        &mut self,
        turn: &mut Turn<'_>,
        request: &JoinRequest,
        sender: oneshot::Sender<Settled<JoinAnswer>>,
    ) {
        use super::classic::Joining;
        let ticket = self.ticket(Waiting::Join(sender));
        let mut out = Outbox::default();
        let now = turn.now().wall;
        if self.has_consumers(&request.group_id) {
            return self.join_consumers(turn, request, ticket);
        }
        let classic = self.groups.get(&request.group_id).map(|held| held.classic().is_some());
        if let Some(refused) = self.refuse_join(request) {
            out.joined.push((ticket, refused));
            return self.settle(turn, &request.group_id, out);
        }
        if classic == Some(false) {
            self.become_classic(turn, &request.group_id);
        }
        let named = request.group_instance_id.as_deref().unwrap_or(&request.client_id);
        let new_member_id = format!("{named}-{}", self.rng.uuid());
        let limits = self.settings.limits;
        let held = self.groups.entry(request.group_id.clone()).or_insert_with(Held::simple);
        if let Some(group) = held.classic_mut() {
            if classic != Some(true) {
                // A group that is only in memory would be gone after a failover while its first member holds an id.
                out.write = Some(group.record());
            }
            let joining = Joining { request, new_member_id: &new_member_id, ticket, limits, now };
            group.join(joining, &mut out);
        }
        self.settle(turn, &request.group_id, out);
    }

    /// Why a JoinGroup goes to no classic group.
    fn refuse_join(&self, request: &JoinRequest) -> Option<JoinAnswer> {
        let held = self.groups.get(&request.group_id);
        if held.is_some_and(|held| held.share().is_some()) {
            return Some(JoinAnswer::refused(Refusal::InconsistentProtocol, ""));
        }
        let made_anew = held.is_none_or(|held| held.consumer().is_some());
        let unknown = made_anew && !request.member_id.is_empty();
        unknown.then(|| JoinAnswer::refused(Refusal::UnknownMemberId, request.member_id.clone()))
    }

    pub(super) fn sync(
        &mut self,
        turn: &mut Turn<'_>,
        request: &SyncRequest,
        sender: oneshot::Sender<Settled<SyncAnswer>>,
    ) {
        let ticket = self.ticket(Waiting::Sync(sender));
        let mut out = Outbox::default();
        if self.has_consumers(&request.group_id) {
            let answer = self.sync_consumers(turn, request);
            out.synced.push((ticket, answer.unwrap_or_else(SyncAnswer::refused)));
            return self.settle(turn, &request.group_id, out);
        }
        match self.classic_mut(&request.group_id) {
            Some(group) if group.state() != State::Empty => {
                group.sync(request, ticket, turn.now().wall, &mut out);
            }
            _ => out.synced.push((ticket, SyncAnswer::refused(Refusal::UnknownMemberId))),
        }
        self.settle(turn, &request.group_id, out);
    }

    pub(super) fn heartbeat(
        &mut self,
        turn: &mut Turn<'_>,
        request: &HeartbeatRequest,
    ) -> Settled<Result<(), Refusal>> {
        if self.has_consumers(&request.group_id) {
            let answer = self.consumers_heartbeat(turn, request);
            return Settled { answer, after: self.metadata_slot(&request.group_id) };
        }
        let mut out = Outbox::default();
        let answer = match self.groups.get(&request.group_id).and_then(Held::classic) {
            Some(group) => group.heartbeat(request, &mut out),
            None => Err(Refusal::UnknownMemberId),
        };
        self.settle(turn, &request.group_id, out);
        Settled { answer, after: self.metadata_slot(&request.group_id) }
    }

    pub(super) fn leave(
        &mut self,
        turn: &mut Turn<'_>,
        request: &LeaveRequest,
    ) -> Settled<Vec<Option<Refusal>>> {
        if self.has_consumers(&request.group_id) {
            let answer = self.leave_consumers(turn, request);
            return Settled { answer, after: self.metadata_slot(&request.group_id) };
        }
        let mut out = Outbox::default();
        let limits = self.settings.limits;
        let answer = match self.classic_mut(&request.group_id) {
            Some(group) => group.leave(&request.members, limits, turn.now().wall, &mut out),
            None => vec![Some(Refusal::UnknownMemberId); request.members.len()],
        };
        self.settle(turn, &request.group_id, out);
        Settled { answer, after: self.metadata_slot(&request.group_id) }
    }

    pub(super) fn describe(
        &self,
        group_id: &str,
    ) -> Settled<Result<Option<GroupDescription>, Refusal>> {
        let answer = match self.groups.get(group_id).map(Held::classic) {
            None => Ok(None),
            Some(Some(group)) => Ok(Some(group.describe())),
            Some(None) => Err(Refusal::NotClassic),
        };
        Settled { answer, after: self.metadata_slot(group_id) }
    }

    /// The groups that `wanted` holds for.
    pub(super) fn list(&self, wanted: impl Fn(&ListedGroup) -> bool) -> Settled<Vec<ListedGroup>> {
        let all = self.groups.iter().map(|(group_id, held)| held.list(group_id));
        let slots = self.groups.values().map(Held::newest_slot);
        let after = slots.max().flatten().max(self.removed_slot);
        Settled { answer: all.filter(wanted).collect(), after }
    }

    fn classic_mut(&mut self, group_id: &str) -> Option<&mut super::classic::ClassicGroup> {
        self.groups.get_mut(group_id).and_then(Held::classic_mut)
    }

    /// Writes what a step of a classic group wants written, moves its timers, and lets its answers go.
    fn settle(&mut self, turn: &mut Turn<'_>, group_id: &str, out: Outbox) {
        if let Some(metadata) = out.write {
            let value = Bytes::from(metadata.write());
            let record =
                StateRecord { key: group_metadata_key(group_id), value: Some(value.to_vec()) };
            // The turn fails, and with it this machine, if nothing can be written.
            let Ok(written) = turn.append(&[record]) else { return };
            self.note_written(group_id, value, Some(written.slot));
        }
        let elapsed = turn.now().elapsed;
        for edit in out.timers {
            match edit {
                TimerEdit::Set(timer, after) => {
                    self.timers.set(Key::Group(group_id.to_owned(), timer), elapsed + after);
                }
                TimerEdit::Cancel(timer) => {
                    self.timers.cancel(Key::Group(group_id.to_owned(), timer));
                }
            }
        }
        let after = self.metadata_slot(group_id);
        // Whoever does not listen any more has gone.
        for (ticket, answer) in out.joined {
            if let Some(Waiting::Join(sender)) = self.waiting.remove(&ticket) {
                drop(sender.send(Settled { answer, after }));
            }
        }
        for (ticket, answer) in out.synced {
            if let Some(Waiting::Sync(sender)) = self.waiting.remove(&ticket) {
                drop(sender.send(Settled { answer, after }));
            }
        }
    }

    fn note_written(&mut self, group_id: &str, value: Bytes, slot: Option<SlotId>) {
        let Some(held) = self.groups.get_mut(group_id) else { return };
        held.written = Some(value);
        held.metadata_slot = slot.or(held.metadata_slot);
        self.count(group_id);
    }

    /// Brings the shard's live bytes up to a change of the group.
    fn count(&mut self, group_id: &str) {
        let Some(held) = self.groups.get_mut(group_id) else { return };
        let counted = held.live_bytes(group_id);
        self.written_bytes += counted;
        self.written_bytes -= std::mem::replace(&mut held.counted, counted);
    }

    /// Puts a group in the place of another, or of none. What answers rest on stays.
    fn put_group(&mut self, group_id: &str, group: Group) {
        match self.groups.get_mut(group_id) {
            Some(held) => {
                held.group = group;
                held.written = None;
            }
            None => drop(self.groups.insert(group_id.to_owned(), Held::new(group))),
        }
        self.count(group_id);
    }

    /// Forgets a group whose tombstone was written.
    fn forget(&mut self, group_id: &str, slot: Option<SlotId>) {
        if let Some(held) = self.groups.remove(group_id) {
            self.written_bytes -= held.counted;
            let slots = [slot, held.newest_slot()];
            self.removed_slot = slots.into_iter().flatten().max().max(self.removed_slot);
            for timer in [Timer::Join, Timer::Sync] {
                self.timers.cancel(Key::Group(group_id.to_owned(), timer));
            }
            self.timers.cancel(Key::Members(group_id.to_owned()));
        }
    }

    /// The ids of the groups, for walks that change them.
    fn group_ids(&self) -> Vec<String> {
        self.groups.keys().cloned().collect()
    }
}
