//! Groups of the consumer protocol in their shard: heartbeats, deadlines, patterns.
//!
//! Source: `GroupMetadataManager.getOrMaybeCreateConsumerGroup`, `consumerGroupHeartbeat` in Apache Kafka 4.3.1.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::held::{Group, Held};
use super::{GroupsMachine, Key, Settled};
use crate::base::clock::Timestamp;
use crate::cluster::group_config::GroupOverrides;
use crate::cluster::image::Image;
use crate::groups::consumer::describe::Description;
use crate::groups::consumer::error::{Error, Missing};
use crate::groups::consumer::subscription::Resolved;
use crate::groups::consumer::{
    ConsumerGroup, Heartbeat, HeartbeatAnswer, Outcome, Settings, ToClassic, View,
};
use crate::protocol::records::consumer::Record;
use crate::state_topic::{StateRecord, Turn};

/// Records of one step in one batch, by their size.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// Patterns to be matched against the topics, and against which.
#[derive(Debug)]
pub(in crate::groups) struct ToResolve {
    pub(in crate::groups) regexes: BTreeSet<String>,
    pub(in crate::groups) image: Arc<Image>,
    pub(in crate::groups) wall: Timestamp,
}

/// What comes of a heartbeat.
pub(in crate::groups) type Beat = (HeartbeatAnswer, Option<ToResolve>);

/// What a step of a group is decided against, while it lasts.
pub(super) struct Surroundings {
    pub(super) image: Arc<Image>,
    topics_version: i64,
    settings: Settings,
}

impl Surroundings {
    pub(super) fn view(&self) -> View<'_> {
        let Self { image, topics_version, settings } = self;
        View { image, topics_version: *topics_version, settings }
    }
}

impl GroupsMachine {
    pub(super) fn surroundings(&self, group_id: &str) -> Surroundings {
        let (image, topics_version) = self.topics.now();
        let settings = settings_of(&self.settings.consumer, &image, group_id);
        Surroundings { image, topics_version, settings }
    }

    /// A member of the consumer protocol is alive, joins, or leaves.
    pub(in crate::groups) fn consumer_heartbeat(
        &mut self,
        turn: &mut Turn<'_>,
        group_id: &str,
        mut request: Heartbeat,
    ) -> Settled<Result<Beat, Error>> {
        if request.member_id.is_empty() {
            request.member_id = self.rng.uuid().to_string();
        }
        let surroundings = self.surroundings(group_id);
        let now = turn.now();
        let mut anew = match self.anew(group_id, request.epoch, (now, &surroundings)) {
            Ok(anew) => anew,
            Err(why) => {
                let error = Error::GroupNotFound { group: group_id.to_owned(), why };
                return Settled { answer: Err(error), after: self.metadata_slot(group_id) };
            }
        };
        let group = match &mut anew {
            Some(anew) => Some(&mut anew.group),
            None => self.groups.get_mut(group_id).and_then(Held::consumer_mut),
        };
        let group = group.expect("there is a group of this protocol, or one to be");
        let outcome = match group.heartbeat(now, surroundings.view(), &request) {
            Ok(outcome) => outcome,
            Err(error) => {
                return Settled { answer: Err(error), after: self.metadata_slot(group_id) };
            }
        };
        let Outcome { records, answer, resolve, to_classic } = outcome;
        match anew {
            Some(anew) => self.become_consumer(turn, group_id, anew, records),
            None => self.settle_consumer(turn, group_id, (records, to_classic), &surroundings),
        }
        let resolve =
            resolve.map(|regexes| ToResolve { regexes, image: surroundings.image, wall: now.wall });
        Settled { answer: Ok((answer, resolve)), after: self.metadata_slot(group_id) }
    }

    /// Writes what a step of a consumer group wants written, and moves its deadline, or makes it a classic group.
    pub(super) fn settle_consumer(
        &mut self,
        turn: &mut Turn<'_>,
        group_id: &str,
        (records, to_classic): (Vec<Record>, Option<ToClassic>),
        surroundings: &Surroundings,
    ) {
        let records = records.into_iter().map(StateRecord::from).collect();
        match to_classic {
            Some(change) => self.downgrade(turn, group_id, (records, change), surroundings),
            None => self.settle_members(turn, group_id, records),
        }
    }

    /// Writes records of a group whose members are assigned to, and moves its deadline.
    pub(super) fn settle_members(
        &mut self,
        turn: &mut Turn<'_>,
        group_id: &str,
        records: Vec<StateRecord>,
    ) {
        let changed = !records.is_empty();
        self.write_group(turn, group_id, records);
        if changed {
            self.count(group_id);
        }
        let deadline = self.groups.get(group_id).and_then(Held::next_deadline);
        let key = Key::Members(group_id.to_owned());
        match deadline {
            Some(at) => self.timers.set(key, at),
            None => self.timers.cancel(key),
        }
    }

    /// Appends records of a group, in batches that are not too large. All of a step's answers wait for the last.
    pub(super) fn write_group(
        &mut self,
        turn: &mut Turn<'_>,
        group_id: &str,
        records: Vec<StateRecord>,
    ) {
        let size =
            |record: &StateRecord| record.key.len() + record.value.as_ref().map_or(0, Vec::len);
        let mut rest = records.as_slice();
        while !rest.is_empty() {
            let mut bytes = 0;
            let fitting = rest.iter().take_while(|record| {
                bytes += size(record);
                bytes <= BATCH_BYTES_MAX
            });
            let (batch, later) = rest.split_at(fitting.count().max(1));
            // The turn fails, and with it this machine, if nothing can be written.
            let Ok(written) = turn.append(batch) else { return };
            if let Some(held) = self.groups.get_mut(group_id) {
                held.metadata_slot = Some(written.slot);
            } else {
                self.removed_slot = self.removed_slot.max(Some(written.slot));
            }
            rest = later;
        }
    }

    /// The deadlines of members of a group have come.
    pub(super) fn consumer_deadline(&mut self, turn: &mut Turn<'_>, group_id: &str) {
        let surroundings = self.surroundings(group_id);
        let now = turn.now();
        let Some(group) = self.groups.get_mut(group_id).and_then(Held::consumer_mut) else {
            return;
        };
        let Outcome { records, to_classic, .. } = group.expire(now, surroundings.view());
        self.settle_consumer(turn, group_id, (records, to_classic), &surroundings);
    }

    /// A group was replayed: its members have whole sessions from now on.
    pub(super) fn consumer_loaded(&mut self, turn: &mut Turn<'_>, group_id: &str) {
        let surroundings = self.surroundings(group_id);
        let now = turn.now();
        if let Some(group) = self.groups.get_mut(group_id).and_then(Held::consumer_mut) {
            group.loaded(now, &surroundings.settings);
            self.settle_members(turn, group_id, Vec::new());
        }
    }

    /// Takes in what patterns matched.
    pub(in crate::groups) fn regexes_resolved(
        &mut self,
        turn: &mut Turn<'_>,
        group_id: &str,
        resolved: BTreeMap<String, Resolved>,
    ) {
        let surroundings = self.surroundings(group_id);
        if let Some(group) = self.groups.get_mut(group_id).and_then(Held::consumer_mut) {
            let Outcome { records, .. } = group.regexes_resolved(surroundings.view(), resolved);
            let records = records.into_iter().map(StateRecord::from);
            self.settle_members(turn, group_id, records.collect());
        }
    }

    /// Describes a group of the consumer protocol.
    pub(in crate::groups) fn consumer_describe(
        &self,
        group_id: &str,
    ) -> Settled<Result<Description, Error>> {
        let missing = |why| Error::GroupNotFound { group: group_id.to_owned(), why };
        let answer = match self.groups.get(group_id).map(Held::consumer) {
            Some(Some(group)) => Ok(group.describe(self.surroundings(group_id).view())),
            Some(None) => Err(missing(Missing::IsOther)),
            None => Err(missing(Missing::NotThere)),
        };
        Settled { answer, after: self.metadata_slot(group_id) }
    }

    /// Takes up a record of a consumer group that is in the log. A tombstone of what is not there says nothing new.
    pub(super) fn replay_consumer(&mut self, record: Record) {
        let key = record.key();
        let group_id = key.group();
        let there = self.groups.get(group_id).is_some_and(|held| held.consumer().is_some());
        if record.is_tombstone() && !there {
            return;
        }
        if matches!(record, Record::Group(_, None)) {
            return self.forget(group_id, None);
        }
        if !there {
            self.put_group(group_id, Group::Consumer(Box::new(ConsumerGroup::new(group_id))));
        }
        if let Some(group) = self.groups.get_mut(group_id).and_then(Held::consumer_mut) {
            group.apply(record);
        }
        self.count(group_id);
    }
}

/// The broker's settings, with the group's own over them, within the broker's bounds.
fn settings_of(broker: &super::ConsumerSettings, image: &Image, group_id: &str) -> Settings {
    let own = GroupOverrides::of(image, group_id);
    let defaults = &broker.defaults;
    let (session_timeout, heartbeat_interval) = own.liveness(
        ("consumer.session.timeout.ms", broker.session_bounds),
        ("consumer.heartbeat.interval.ms", broker.heartbeat_bounds),
        (defaults.session_timeout, defaults.heartbeat_interval),
    );
    let assignment = own.millis("consumer.assignment.interval.ms", broker.assignment_bounds);
    Settings {
        session_timeout,
        heartbeat_interval,
        assignment_interval: assignment.unwrap_or(defaults.assignment_interval),
        ..defaults.clone()
    }
}
