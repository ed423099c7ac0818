//! A consumer group: its members, its epochs, its target assignment, and who holds what.
//!
//! Nothing changes it but records: a step writes a record and applies it at once, in the very way in which replay applies
//! it later. What is not written (deadlines, whether patterns are being matched) is lost with the state, and can be.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::assignment::{Assignment, Held, assignment_from_record, assignment_to_record};
use super::assignor::Assignor;
use super::error::Error;
use super::leave::millis;
use super::member::{Member, MemberState};
use super::outcome::{Now, Settings};
use super::size;
use super::subscription::{Resolved, Subscriptions};
use super::timers::{Timer, Timers};
use crate::base::ids::TopicId;
use crate::protocol::records::consumer::{GroupValue, Record, TargetValue};

/// What the group is doing, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupState {
    /// No members.
    Empty,
    /// The target is of an older epoch than the group.
    Assigning,
    /// Members are on their way to the target.
    Reconciling,
    /// All members have their targets.
    Stable,
}

impl GroupState {
    /// As Kafka shows it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Assigning => "Assigning",
            Self::Reconciling => "Reconciling",
            Self::Stable => "Stable",
        }
    }
}

/// A consumer group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerGroup {
    pub(super) id: String,
    pub(super) epoch: i32,
    pub(super) metadata_hash: i64,
    pub(super) members: BTreeMap<String, Member>,
    /// Members by instance id.
    static_members: BTreeMap<String, String>,
    pub(super) subscriptions: Subscriptions,
    pub(super) targets: BTreeMap<String, Arc<Assignment>>,
    pub(super) target_epoch: i32,
    /// When the target was computed, by the wall clock; 0: never.
    pub(super) target_timestamp: i64,
    /// Who holds each partition, or was told to give it back and has not.
    holders: BTreeMap<TopicId, BTreeMap<i32, Arc<str>>>,
    /// A record of Kafka 4.0 that is to be removed.
    pub(super) has_partition_metadata: bool,
    /// The image against which the hash was last computed, by its order.
    pub(super) checked: Option<(u64, u64)>,
    /// Patterns are being matched.
    pub(super) resolving: bool,
    pub(super) timers: Timers,
    /// About how much its records take.
    bytes: u64,
}

impl ConsumerGroup {
    /// A group of which nothing is known yet.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            // The first change makes it 2.
            epoch: 1,
            metadata_hash: 0,
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            subscriptions: Subscriptions::default(),
            targets: BTreeMap::new(),
            // Kafka's first target is of the first epoch: nothing for nobody.
            target_epoch: 1,
            target_timestamp: 0,
            holders: BTreeMap::new(),
            has_partition_metadata: false,
            checked: None,
            resolving: false,
            timers: Timers::default(),
            bytes: size::of_group(id),
        }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its epoch.
    #[must_use]
    pub fn epoch(&self) -> i32 {
        self.epoch
    }

    /// The epoch of its target assignment.
    #[must_use]
    pub fn target_epoch(&self) -> i32 {
        self.target_epoch
    }

    /// About how much its records take in batches.
    #[must_use]
    pub fn live_bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether it has no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Its members, by id.
    #[must_use]
    pub fn members(&self) -> &BTreeMap<String, Member> {
        &self.members
    }

    /// What it subscribes to.
    #[must_use]
    pub fn subscriptions(&self) -> &Subscriptions {
        &self.subscriptions
    }

    /// What it is doing.
    #[must_use]
    pub fn state(&self) -> GroupState {
        if self.members.is_empty() {
            GroupState::Empty
        } else if self.epoch > self.target_epoch {
            GroupState::Assigning
        } else if self.members.values().all(|member| member.is_reconciled_to(self.target_epoch)) {
            GroupState::Stable
        } else {
            GroupState::Reconciling
        }
    }

    /// A member's target.
    #[must_use]
    pub fn target(&self, member: &str) -> Arc<Assignment> {
        self.targets.get(member).cloned().unwrap_or_default()
    }

    /// The member.
    ///
    /// # Errors
    /// [`Error::UnknownMember`].
    pub fn member(&self, id: &str) -> Result<&Member, Error> {
        self.members
            .get(id)
            .ok_or_else(|| Error::UnknownMember { member: id.to_owned(), group: self.id.clone() })
    }

    /// The member with that instance id.
    #[must_use]
    pub fn static_member(&self, instance: &str) -> Option<&Member> {
        self.members.get(self.static_members.get(instance)?)
    }

    /// Whether nobody holds the partition.
    pub(super) fn is_free(&self, topic: TopicId, partition: i32) -> bool {
        self.holders.get(&topic).is_none_or(|holders| !holders.contains_key(&partition))
    }

    /// The assignor that most members ask for; of equals the last by name; the default if none asks.
    #[must_use]
    pub fn assignor(&self, settings: &Settings) -> Assignor {
        let mut votes: BTreeMap<Assignor, usize> = BTreeMap::new();
        for name in self.members.values().filter_map(|member| member.assignor.as_deref()) {
            if let Some(assignor) = Assignor::by_name(name) {
                *votes.entry(assignor).or_default() += 1;
            }
        }
        let most = votes.into_iter().max_by_key(|(_, votes)| *votes);
        most.map(|(assignor, _)| assignor)
            .or_else(|| settings.assignors.first().copied())
            .unwrap_or(Assignor::Uniform)
    }

    /// Sets the deadlines of members that replay has brought: they have a whole timeout to be heard of.
    pub fn loaded(&mut self, now: Now, settings: &Settings) {
        for member in self.members.values() {
            let timeout = session_timeout(member, settings);
            self.timers.set(Timer::Session, &member.id, now.elapsed + timeout);
            if member.state == MemberState::UnrevokedPartitions {
                let at = now.elapsed + millis(member.rebalance_timeout_ms);
                self.timers.set(Timer::Rebalance, &member.id, at);
            }
        }
    }

    /// When [`Self::expire`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.timers.next()
    }

    /// Writes a record: it is applied, and kept to be appended.
    pub(super) fn write(&mut self, records: &mut Vec<Record>, record: Record) {
        self.apply(record.clone());
        records.push(record);
    }

    /// Takes over a record of this group, in the order of the log.
    pub fn apply(&mut self, record: Record) {
        match record {
            Record::Group(_, Some(value)) => {
                self.epoch = value.epoch;
                self.metadata_hash = value.metadata_hash;
            }
            // The group goes: whoever keeps it forgets it.
            Record::Group(_, None) => {}
            Record::PartitionMetadata(_, value) => self.has_partition_metadata = value.is_some(),
            Record::Member(_, id, Some(value)) => {
                let member = self.members.get(&id).cloned().unwrap_or_else(|| Member::new(&id));
                self.put(member.with_value(value));
            }
            Record::Member(_, id, None) => self.remove(&id),
            Record::Target(_, value) => {
                self.target_epoch = value.map_or(-1, |value| value.epoch);
                self.target_timestamp = value.map_or(0, |value| value.timestamp);
            }
            Record::TargetMember(_, id, topics) => {
                self.set_target(id, topics.map(|topics| Arc::new(assignment_from_record(topics))));
            }
            Record::Current(_, id, value) => {
                let member = match (self.members.get(&id), &value) {
                    (Some(member), _) => member.clone(),
                    (None, Some(_)) => Member::new(&id),
                    (None, None) => return,
                };
                self.put(member.with_current(value));
            }
            Record::Regex(_, regex, value) => {
                self.set_resolved(&regex, value.map(Resolved::from_value));
            }
        }
    }

    fn set_target(&mut self, id: String, target: Option<Arc<Assignment>>) {
        if let Some(old) = self.targets.remove(&id) {
            self.bytes -= size::of_target(&self.id, &id, &old);
        }
        if let Some(target) = target {
            self.bytes += size::of_target(&self.id, &id, &target);
            self.targets.insert(id, target);
        }
    }

    fn set_resolved(&mut self, regex: &str, resolved: Option<Resolved>) {
        if let Some(old) = self.subscriptions.resolved().get(regex) {
            self.bytes -= size::of_regex(&self.id, regex, old);
        }
        if let Some(new) = &resolved {
            self.bytes += size::of_regex(&self.id, regex, new);
        }
        self.subscriptions.set_resolved(regex, resolved);
    }

    fn put(&mut self, member: Member) {
        let old = self.members.get(&member.id);
        self.subscriptions.replace(old, Some(&member));
        if let Some(instance) = &member.instance_id {
            self.static_members.insert(instance.clone(), member.id.clone());
        }
        self.bytes += size::of_member(&self.id, &member);
        let old = self.members.insert(member.id.clone(), member.clone());
        if let Some(old) = &old {
            self.bytes -= size::of_member(&self.id, old);
        }
        self.rehold(old.as_ref(), Some(&member));
    }

    fn remove(&mut self, id: &str) {
        let Some(old) = self.members.remove(id) else { return };
        self.bytes -= size::of_member(&self.id, &old);
        self.subscriptions.replace(Some(&old), None);
        self.rehold(Some(&old), None);
        if let Some(instance) = &old.instance_id
            && self.static_members.get(instance).is_some_and(|owner| owner == id)
        {
            self.static_members.remove(instance);
        }
    }

    /// Brings [`Self::holders`] up to a member's change.
    fn rehold(&mut self, old: Option<&Member>, new: Option<&Member>) {
        if let (Some(old), Some(new)) = (old, new)
            && Arc::ptr_eq(&old.assigned, &new.assigned)
            && Arc::ptr_eq(&old.revoking, &new.revoking)
        {
            return;
        }
        for (topic, partition) in old.into_iter().flat_map(all_held) {
            let Some(holders) = self.holders.get_mut(&topic) else { continue };
            let is_holder = holders
                .get(&partition)
                .is_some_and(|holder| old.is_some_and(|old| **holder == *old.id));
            if is_holder {
                holders.remove(&partition);
            }
            if holders.is_empty() {
                self.holders.remove(&topic);
            }
        }
        let Some(new) = new else { return };
        let id: Arc<str> = Arc::from(new.id.as_str());
        for (topic, partition) in all_held(new) {
            self.holders.entry(topic).or_default().insert(partition, Arc::clone(&id));
        }
    }

    /// The records that rebuild it, in an order in which they can be replayed.
    pub fn to_records(&self) -> impl Iterator<Item = Record> {
        let id = || self.id.clone();
        let value = GroupValue { epoch: self.epoch, metadata_hash: self.metadata_hash };
        let target = TargetValue { epoch: self.target_epoch, timestamp: self.target_timestamp };
        // What a new group has anyway is not written. One that was a classic group has a target of no time.
        let has_target = (self.target_epoch, self.target_timestamp) != (1, 0);
        let members = self.members.values();
        members
            .clone()
            .map(move |member| Record::Member(id(), member.id.clone(), Some(member.to_value())))
            .chain(self.subscriptions.resolved().iter().map(move |(regex, resolved)| {
                Record::Regex(id(), regex.clone(), Some(resolved.to_value()))
            }))
            .chain([Record::Group(id(), Some(value))])
            .chain(self.targets.iter().map(move |(member, target)| {
                let topics = assignment_to_record(target);
                Record::TargetMember(id(), member.clone(), Some(topics))
            }))
            .chain(has_target.then(|| Record::Target(id(), Some(target))))
            .chain(members.map(move |member| {
                Record::Current(id(), member.id.clone(), Some(member.to_current()))
            }))
    }

    /// The tombstones of all its records, in the order in which they can be replayed.
    #[must_use]
    pub fn tombstones(&self) -> Vec<Record> {
        let id = || self.id.clone();
        let members = || self.members.keys().cloned();
        members()
            .map(|member| Record::Current(id(), member, None))
            .chain(members().map(|member| Record::TargetMember(id(), member, None)))
            .chain([Record::Target(id(), None)])
            .chain(members().map(|member| Record::Member(id(), member, None)))
            .chain(
                self.subscriptions
                    .resolved()
                    .keys()
                    .map(|regex| Record::Regex(id(), regex.clone(), None)),
            )
            .chain([Record::PartitionMetadata(id(), None), Record::Group(id(), None)])
            .collect()
    }
}

/// How long the member may be silent: one of the classic protocol says so itself.
pub(super) fn session_timeout(member: &Member, settings: &Settings) -> Duration {
    match &member.classic {
        Some(classic) => millis(classic.session_timeout_ms),
        None => settings.session_timeout,
    }
}

fn all_held(member: &Member) -> impl Iterator<Item = (TopicId, i32)> {
    [&member.assigned, &member.revoking].into_iter().flat_map(|held| each(held))
}

fn each(held: &Held) -> impl Iterator<Item = (TopicId, i32)> {
    held.iter().flat_map(|(topic, parts)| parts.keys().map(|partition| (*topic, *partition)))
}
