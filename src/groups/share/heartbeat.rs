//! A heartbeat: the member's news is taken in, the group's epoch and target follow, and the member has its share at once.
//!
//! Source: `GroupMetadataManager.shareGroupHeartbeat` in Apache Kafka 4.3.1.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::error::Error;
use super::group::ShareGroup;
use super::member::{JOIN_EPOCH, LEAVE_EPOCH, Member};
use super::outcome::{Initialize, Now, Outcome, View};
use super::topics::{Named, partitions_of};
use crate::base::ids::TopicId;
use crate::groups::consumer::assignment::Assignment;
use crate::groups::consumer::hash::group_hash;
use crate::groups::consumer::subscription;
use crate::groups::consumer::timers::Timer;
use crate::protocol::records::share::{GroupValue, Record};

/// What a member says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Heartbeat {
    /// `member.id`: made up by the client.
    pub member_id: String,
    /// The epoch it knows; 0 joins, -1 leaves.
    pub epoch: i32,
    /// `client.rack`; none: as before. So with what follows.
    pub rack_id: Option<String>,
    /// Topics by name.
    pub topic_names: Option<Vec<String>>,
    /// `client.id`.
    pub client_id: String,
    /// The client's address.
    pub client_host: String,
}

/// What a member is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeartbeatAnswer {
    /// `member.id`.
    pub member_id: String,
    /// Its epoch from now on.
    pub epoch: i32,
    /// When to be heard of again; zero when it leaves.
    pub interval: Duration,
    /// What it may read now; none: as before.
    pub assignment: Option<Arc<Assignment>>,
}

impl ShareGroup {
    /// Takes in a heartbeat.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed.
    pub fn heartbeat(
        &mut self,
        now: Now,
        view: View<'_>,
        request: &Heartbeat,
    ) -> Result<Outcome<HeartbeatAnswer>, Error> {
        if request.epoch == LEAVE_EPOCH {
            let records = self.leave(view, &request.member_id)?;
            let answer = HeartbeatAnswer {
                member_id: request.member_id.clone(),
                epoch: LEAVE_EPOCH,
                interval: Duration::ZERO,
                assignment: None,
            };
            return Ok(Outcome { records, answer, initialize: None });
        }
        let max = view.settings.max_size;
        if self.members.len() >= max && !self.members.contains_key(&request.member_id) {
            return Err(Error::Full(max));
        }
        let before = self.member_for(request)?;

        // From here on nothing fails.
        let updated = updated(&before, request);
        let mut records = Vec::new();
        let changed = self.update_member(view, (&before, &updated), &mut records);
        self.update_target(now, view, &mut records);
        let after = self.reconcile(view, updated, changed, &mut records);
        let initialize = self.ask_for_state(now, view, &mut records);
        let session = now.elapsed + view.settings.group.session_timeout;
        self.timers.set(Timer::Session, &after.id, session);

        let tells_all = request.epoch == JOIN_EPOCH
            || request.topic_names.is_some()
            || before.assigned != after.assigned;
        let answer = HeartbeatAnswer {
            member_id: after.id,
            epoch: after.epoch,
            interval: view.settings.group.heartbeat_interval,
            assignment: tells_all.then_some(after.assigned),
        };
        Ok(Outcome { records, answer, initialize })
    }

    /// The member as it is. It must know its epoch; the one before is good too: its answer was lost.
    fn member_for(&self, request: &Heartbeat) -> Result<Member, Error> {
        let id = &request.member_id;
        let received = request.epoch;
        if received == JOIN_EPOCH {
            return Ok(self.members.get(id).cloned().unwrap_or_else(|| Member::new(id)));
        }
        let member = self.member(id)?;
        let (known, previous) = (member.epoch, member.previous_epoch);
        if received > known {
            return Err(Error::Ahead { received, known });
        }
        if received < known && received != previous {
            return Err(Error::Behind { received, known, previous });
        }
        Ok(member.clone())
    }

    /// Takes in the member's news, and bumps the epoch if they, the topics or initialised partitions ask for it. Returns
    /// whether the member's share must be looked at anew.
    fn update_member(
        &mut self,
        view: View<'_>,
        (before, updated): (&Member, &Member),
        records: &mut Vec<Record>,
    ) -> bool {
        if updated != before {
            let value = updated.to_value();
            self.write(records, Record::Member(self.id.clone(), updated.id.clone(), Some(value)));
        }
        let is_assigned = self.target_epoch >= self.epoch;
        let bump = updated.topic_names != before.topic_names
            || (is_assigned && self.waits_to_be_given_out());
        if bump || self.checked != Some(view.image.order()) {
            let metadata_hash = group_hash(self.names.keys(), view.image);
            if bump || metadata_hash != self.metadata_hash {
                let value = GroupValue { epoch: self.epoch + 1, metadata_hash };
                self.write(records, Record::Group(self.id.clone(), Some(value)));
            }
            self.checked = Some(view.image.order());
        }
        bump
    }

    /// Gives the member what its target says, of the topics that it subscribes to.
    fn reconcile(
        &mut self,
        view: View<'_>,
        member: Member,
        changed: bool,
        records: &mut Vec<Record>,
    ) -> Member {
        if !changed && member.epoch == self.target_epoch {
            return member;
        }
        let mut assigned = self.target(&member.id);
        let subscribed = subscription::ids(&member.topic_names, view.image);
        if !assigned.keys().all(|topic| subscribed.contains(topic)) {
            Arc::make_mut(&mut assigned).retain(|topic, _| subscribed.contains(topic));
        }
        let mut after = Member { assigned, ..member.clone() };
        if after.epoch != self.target_epoch {
            (after.previous_epoch, after.epoch) = (after.epoch, self.target_epoch);
        }
        if after != member {
            let current = Some(after.to_current());
            self.write(records, Record::Current(self.id.clone(), after.id.clone(), current));
        }
        after
    }

    /// Asks for the state of partitions that somebody subscribes to and that have none, nor were asked for of late.
    fn ask_for_state(
        &mut self,
        now: Now,
        view: View<'_>,
        records: &mut Vec<Record>,
    ) -> Option<Initialize> {
        let retry = i64::try_from(view.settings.initialize_retry.as_millis()).unwrap_or(i64::MAX);
        let mut missing: BTreeMap<TopicId, Named> = BTreeMap::new();
        for topic in self.names.keys().filter_map(|name| view.image.topic(name)) {
            let there = self.topics.initialized.get(&topic.id).map(|named| &named.partitions);
            if there.map_or(0, BTreeSet::len) >= topic.partitions.len() {
                continue;
            }
            let asked_at = self.asked_at.get(&topic.id);
            let is_fresh = asked_at.is_some_and(|at| (0..retry).contains(&(now.wall.0 - at)));
            let asked = self.topics.initializing.get(&topic.id).filter(|_| is_fresh);
            let is_known = |partition: &i32| {
                there.is_some_and(|there| there.contains(partition))
                    || asked.is_some_and(|asked| asked.partitions.contains(partition))
            };
            let count = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
            let partitions: BTreeSet<i32> =
                (0..count).filter(|partition| !is_known(partition)).collect();
            if !partitions.is_empty() {
                missing.insert(topic.id, Named { name: topic.name.clone(), partitions });
            }
        }
        if missing.is_empty() {
            return None;
        }
        let partitions = partitions_of(&missing);
        let topics = self.topics.clone().with_initializing(missing);
        self.write_topics(records, &topics);
        self.asked_at.extend(partitions.keys().map(|topic| (*topic, now.wall.0)));
        Some(Initialize { epoch: self.epoch, partitions })
    }
}

fn updated(member: &Member, request: &Heartbeat) -> Member {
    let mut updated = member.clone();
    updated.rack_id = request.rack_id.clone().or(updated.rack_id);
    if let Some(names) = &request.topic_names {
        let names: BTreeSet<String> = names.iter().cloned().collect();
        if names != *updated.topic_names {
            updated.topic_names = Arc::new(names);
        }
    }
    updated.client_id.clone_from(&request.client_id);
    updated.client_host.clone_from(&request.client_host);
    updated
}
