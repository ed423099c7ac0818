//! A share group: its members, its epochs, its target assignment, and how far the state of its partitions is set up.
//!
//! Nothing changes it but records: a step writes a record and applies it at once, in the very way in which replay applies
//! it later. What is not written (deadlines, when state was asked for) is lost with the group, and can be.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::error::Error;
use super::member::Member;
use super::outcome::{Now, Settings};
use super::topics::Topics;
use crate::base::ids::TopicId;
use crate::groups::consumer::assignment::{
    Assignment, assignment_from_record, assignment_to_record,
};
use crate::groups::consumer::timers::{Timer, Timers};
use crate::protocol::records::consumer::TargetValue;
use crate::protocol::records::share::{GroupValue, Record};

/// What a record takes beside its strings and partitions.
const RECORD_BYTES: usize = 24;
const TOPIC_BYTES: usize = 20;
const PARTITION_BYTES: usize = 4;

fn of_assignment(assignment: &Assignment) -> usize {
    assignment.values().map(|partitions| TOPIC_BYTES + PARTITION_BYTES * partitions.len()).sum()
}

/// A share group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareGroup {
    pub(super) id: String,
    pub(super) epoch: i32,
    pub(super) metadata_hash: i64,
    pub(super) members: BTreeMap<String, Member>,
    /// Members by topic name that they subscribe to.
    pub(super) names: BTreeMap<String, usize>,
    pub(super) targets: BTreeMap<String, Arc<Assignment>>,
    pub(super) target_epoch: i32,
    /// When the target was computed, by the wall clock; 0: never.
    pub(super) target_timestamp: i64,
    pub(super) topics: Topics,
    /// When the state of a topic's partitions was asked for here, in milliseconds of the wall clock.
    pub(super) asked_at: BTreeMap<TopicId, i64>,
    /// The image against which the hash was last computed, by its order.
    pub(super) checked: Option<(u64, u64)>,
    /// Nothing that is initialised waits to be given out, as of the last look.
    pub(super) all_given_out: bool,
    pub(super) timers: Timers,
}

impl ShareGroup {
    /// A group of which nothing is known yet.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            // The first change makes it 2.
            epoch: 1,
            metadata_hash: 0,
            members: BTreeMap::new(),
            names: BTreeMap::new(),
            targets: BTreeMap::new(),
            // Kafka's first target is of the first epoch: nothing for nobody.
            target_epoch: 1,
            target_timestamp: 0,
            topics: Topics::default(),
            asked_at: BTreeMap::new(),
            checked: None,
            all_given_out: false,
            timers: Timers::default(),
        }
    }

    /// Its epoch.
    #[must_use]
    pub fn epoch(&self) -> i32 {
        self.epoch
    }

    /// About how much its records take in batches.
    #[must_use]
    pub fn live_bytes(&self) -> u64 {
        let key = self.id.len() + RECORD_BYTES;
        let members = self.members.values().map(|member| {
            let names: usize = member.topic_names.iter().map(|name| name.len() + 1).sum();
            let texts = member.client_id.len() + member.client_host.len() + names;
            2 * (key + member.id.len()) + texts + of_assignment(&member.assigned)
        });
        let targets = self.targets.iter();
        let targets = targets.map(|(id, target)| key + id.len() + of_assignment(target));
        let topics = [&self.topics.initializing, &self.topics.initialized];
        let topics = topics.into_iter().flat_map(BTreeMap::values);
        let topics = topics
            .map(|named| TOPIC_BYTES + named.name.len() + PARTITION_BYTES * named.partitions.len());
        let deleting = self.topics.deleting.values().map(|name| TOPIC_BYTES + name.len());
        let bytes: usize =
            3 * key + members.chain(targets).chain(topics).chain(deleting).sum::<usize>();
        u64::try_from(bytes).unwrap_or(u64::MAX)
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

    /// How far the state of its partitions is set up.
    #[must_use]
    pub fn topics(&self) -> &Topics {
        &self.topics
    }

    /// What it is doing, for people.
    #[must_use]
    pub fn state(&self) -> &'static str {
        if self.members.is_empty() { "Empty" } else { "Stable" }
    }

    /// Whether a member subscribes to the topic.
    #[must_use]
    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        self.names.contains_key(topic)
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

    /// Sets the deadlines of members that replay has brought: they have a whole session to be heard of.
    pub fn loaded(&mut self, now: Now, settings: &Settings) {
        for member in self.members.keys() {
            self.timers.set(Timer::Session, member, now.elapsed + settings.group.session_timeout);
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

    /// Writes how far the state of partitions is set up, if that has changed.
    pub(super) fn write_topics(&mut self, records: &mut Vec<Record>, topics: &Topics) {
        if *topics != self.topics {
            self.write(records, Record::State(self.id.clone(), Some(topics.to_value())));
        }
    }

    /// Takes over a record of this group, in the order of the log.
    pub fn apply(&mut self, record: Record) {
        // Epochs and what members have say nothing of it.
        self.all_given_out &=
            matches!(record, Record::Group(..) | Record::Target(..) | Record::Current(..));
        match record {
            Record::Group(_, Some(value)) => {
                self.epoch = value.epoch;
                self.metadata_hash = value.metadata_hash;
            }
            // The group goes: whoever keeps it forgets it.
            Record::Group(_, None) => {}
            Record::Member(_, id, Some(value)) => {
                let member = self.members.get(&id).cloned().unwrap_or_else(|| Member::new(&id));
                self.put(member.with_value(value));
            }
            Record::Member(_, id, None) => {
                if let Some(old) = self.members.remove(&id) {
                    self.count(&old, false);
                }
            }
            Record::Target(_, value) => {
                self.target_epoch = value.map_or(-1, |value| value.epoch);
                self.target_timestamp = value.map_or(0, |value| value.timestamp);
            }
            Record::TargetMember(_, id, Some(topics)) => {
                self.targets.insert(id, Arc::new(assignment_from_record(topics)));
            }
            Record::TargetMember(_, id, None) => drop(self.targets.remove(&id)),
            Record::Current(_, id, value) => {
                let member = match (self.members.get(&id), &value) {
                    (Some(member), _) => member.clone(),
                    (None, Some(_)) => Member::new(&id),
                    (None, None) => return,
                };
                self.put(member.with_current(value));
            }
            Record::State(_, value) => {
                self.topics = value.map(Topics::from_value).unwrap_or_default();
                let topics = &self.topics;
                self.asked_at.retain(|topic, _| topics.initializing.contains_key(topic));
            }
        }
    }

    fn put(&mut self, member: Member) {
        self.count(&member, true);
        if let Some(old) = self.members.insert(member.id.clone(), member) {
            self.count(&old, false);
        }
    }

    /// Counts the names that a member subscribes to, or no longer does.
    fn count(&mut self, member: &Member, comes: bool) {
        for name in member.topic_names.iter() {
            match self.names.get_mut(name) {
                Some(count) if comes => *count += 1,
                Some(count) if *count > 1 => *count -= 1,
                Some(_) => drop(self.names.remove(name)),
                None => drop(self.names.insert(name.clone(), 1)),
            }
        }
    }

    /// The records that rebuild it, in an order in which they can be replayed.
    pub fn to_records(&self) -> impl Iterator<Item = Record> {
        let id = || self.id.clone();
        let value = GroupValue { epoch: self.epoch, metadata_hash: self.metadata_hash };
        let target = TargetValue { epoch: self.target_epoch, timestamp: self.target_timestamp };
        // What a new group has anyway is not written.
        let has_target = (self.target_epoch, self.target_timestamp) != (1, 0);
        let state = (!self.topics.is_empty()).then(|| self.topics.to_value());
        let members = self.members.values();
        members
            .clone()
            .map(move |member| Record::Member(id(), member.id.clone(), Some(member.to_value())))
            .chain([Record::Group(id(), Some(value))])
            .chain(self.targets.iter().map(move |(member, target)| {
                let topics = assignment_to_record(target);
                Record::TargetMember(id(), member.clone(), Some(topics))
            }))
            .chain(has_target.then(|| Record::Target(id(), Some(target))))
            .chain(members.map(move |member| {
                Record::Current(id(), member.id.clone(), Some(member.to_current()))
            }))
            .chain(state.map(|state| Record::State(id(), Some(state))))
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
            .chain([Record::State(id(), None), Record::Group(id(), None)])
            .collect()
    }
}
