//! A new target assignment, when the group's epoch is ahead of the one it has.
//!
//! Source: `GroupMetadataManager.maybeUpdateTargetAssignment`, `initializedAssignmentPending` in Apache Kafka 4.3.1.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::assignor::{self, Subscriber};
use super::group::ShareGroup;
use super::outcome::{Now, View};
use super::topics::{Partitions, partitions_of};
use crate::base::ids::TopicId;
use crate::groups::consumer::assignment::assignment_to_record;
use crate::groups::consumer::subscription;
use crate::protocol::records::consumer::TargetValue;
use crate::protocol::records::share::Record;

impl ShareGroup {
    /// Computes a new target if the group has changed since the last, and that is not too recent (KIP-1263).
    pub(super) fn update_target(&mut self, now: Now, view: View<'_>, records: &mut Vec<Record>) {
        if self.target_epoch >= self.epoch || !self.may_assign(now, view) {
            return;
        }
        // Members with the same names share one set of ids, which makes comparing them cheap.
        let mut shared: BTreeMap<Arc<BTreeSet<String>>, Arc<BTreeSet<TopicId>>> = BTreeMap::new();
        let subscribers = self.members.values().map(|member| {
            let names = Arc::clone(&member.topic_names);
            let topics = shared
                .entry(names)
                .or_insert_with_key(|names| Arc::new(subscription::ids(names, view.image)));
            Subscriber { topics: Arc::clone(topics), target: self.target(&member.id) }
        });
        let subscribers: Vec<Subscriber> = subscribers.collect();
        let targets = assignor::assign(&subscribers, &partitions_of(&self.topics.initialized));
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for (id, target) in ids.into_iter().zip(targets) {
            if self.targets.get(&id).is_some_and(|old| *old == target) {
                continue;
            }
            let topics = assignment_to_record(&target);
            self.write(records, Record::TargetMember(self.id.clone(), id, Some(topics)));
        }
        let value = TargetValue { epoch: self.epoch, timestamp: now.wall.0 };
        self.write(records, Record::Target(self.id.clone(), Some(value)));
    }

    fn may_assign(&self, now: Now, view: View<'_>) -> bool {
        let interval = i64::try_from(view.settings.group.assignment_interval.as_millis());
        let interval = interval.unwrap_or(i64::MAX);
        let since = now.wall.0.saturating_sub(self.target_timestamp);
        // A clock that went back must not hold the group up for longer than the interval.
        self.target_timestamp == 0 || since >= interval || since < -interval
    }

    /// Whether partitions of topics that somebody subscribes to are initialised, and not just those are given out.
    pub(super) fn waits_to_be_given_out(&mut self) -> bool {
        if self.all_given_out || self.members.is_empty() {
            return false;
        }
        let subscribed = self
            .topics
            .initialized
            .iter()
            .filter(|(_, named)| self.names.contains_key(&named.name));
        let mut given: Partitions = BTreeMap::new();
        for (topic, partitions) in self.targets.values().flat_map(|target| target.iter()) {
            given.entry(*topic).or_default().extend(partitions);
        }
        let mut subscribed = subscribed;
        self.all_given_out =
            subscribed.all(|(topic, named)| given.get(topic) == Some(&named.partitions));
        !self.all_given_out
    }
}
