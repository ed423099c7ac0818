//! A new target assignment, when the group's epoch is ahead of the one it has.
//!
//! Source: `TargetAssignmentBuilder`, `GroupMetadataManager.maybeUpdateTargetAssignment` in Apache Kafka 4.3.1.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::assignment::assignment_to_record;
use super::assignor::{GroupSpec, Subscriber};
use super::group::ConsumerGroup;
use super::outcome::{Now, View};
use super::subscription;
use crate::base::ids::TopicId;
use crate::protocol::records::consumer::{Record, TargetValue};

impl ConsumerGroup {
    /// Computes a new target if the group has changed since the last, and that is not too recent (KIP-1263).
    pub(super) fn update_target(&mut self, now: Now, view: View<'_>, records: &mut Vec<Record>) {
        if self.target_epoch >= self.epoch || !self.may_assign(now, view) {
            return;
        }
        let spec = self.spec(view);
        let targets = self.assignor(view.settings).assign(&spec);
        for (subscriber, target) in spec.subscribers.into_iter().zip(targets) {
            let old = self.targets.get(&subscriber.member_id);
            if old.is_some_and(|old| *old == target) {
                continue;
            }
            let topics = assignment_to_record(&target);
            self.write(
                records,
                Record::TargetMember(self.id.clone(), subscriber.member_id, Some(topics)),
            );
        }
        let value = TargetValue { epoch: self.epoch, timestamp: now.wall.0 };
        self.write(records, Record::Target(self.id.clone(), Some(value)));
    }

    fn may_assign(&self, now: Now, view: View<'_>) -> bool {
        let interval = i64::try_from(view.settings.assignment_interval.as_millis());
        let interval = interval.unwrap_or(i64::MAX);
        let since = now.wall.0.saturating_sub(self.target_timestamp);
        // A clock that went back must not hold the group up for longer than the interval.
        self.target_timestamp == 0 || since >= interval || since < -interval
    }

    fn spec(&self, view: View<'_>) -> GroupSpec {
        // Members with the same names or the same pattern share one set of ids, which makes comparing them cheap.
        let mut shared: BTreeMap<Arc<BTreeSet<String>>, Arc<BTreeSet<TopicId>>> = BTreeMap::new();
        let mut partitions = BTreeMap::new();
        let mut subscribers = Vec::with_capacity(self.members.len());
        for member in self.members.values() {
            let names = self.subscriptions.topics_of(member);
            let topics = shared.entry(names).or_insert_with_key(|names| {
                let ids = subscription::ids(names, view.image);
                for topic in ids.iter().filter_map(|id| view.image.topic_by_id(*id)) {
                    let count = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
                    partitions.insert(topic.id, count);
                }
                Arc::new(ids)
            });
            subscribers.push(Subscriber {
                member_id: member.id.clone(),
                instance_id: member.instance_id.clone(),
                topics: Arc::clone(topics),
                target: self.target(&member.id),
            });
        }
        GroupSpec { subscribers, partitions }
    }
}
