//! What a consumer group shows of itself.
//!
//! Source: `ConsumerGroup.asDescribedGroup`, `asListedGroup` in Apache Kafka 4.3.1.

use std::collections::BTreeSet;

use super::assignment::without_epochs;
use super::assignor::Assignor;
use super::group::{ConsumerGroup, GroupState};
use super::member::Member;
use super::outcome::View;
use crate::base::ids::TopicId;
use crate::cluster::image::Image;
use crate::groups::ListedGroup;

/// A group, described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// What it is doing.
    pub state: GroupState,
    /// Its epoch.
    pub epoch: i32,
    /// The epoch of its target assignment.
    pub target_epoch: i32,
    /// The assignor that is used.
    pub assignor: Assignor,
    /// Its members, by id.
    pub members: Vec<MemberDescription>,
}

/// A member, described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberDescription {
    /// The member.
    pub member: Member,
    /// What it owns or may take, and what it has not given back yet.
    pub assigned: Vec<TopicPartitions>,
    /// What it shall have.
    pub target: Vec<TopicPartitions>,
}

/// Partitions of a topic that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPartitions {
    /// The topic's id.
    pub id: TopicId,
    /// Its name.
    pub name: String,
    /// The partitions.
    pub partitions: Vec<i32>,
}

impl ConsumerGroup {
    /// Describes it and its members.
    #[must_use]
    pub fn describe(&self, view: View<'_>) -> Description {
        let members = self.members.values().map(|member| {
            let mut assigned = without_epochs(&member.assigned);
            for (topic, partitions) in without_epochs(&member.revoking) {
                assigned.entry(topic).or_default().extend(partitions);
            }
            let parts =
                |(id, parts): (&TopicId, &BTreeSet<i32>)| (*id, parts.iter().copied().collect());
            let target = self.target(&member.id);
            MemberDescription {
                member: member.clone(),
                assigned: named(view.image, assigned.iter().map(parts)),
                target: named(view.image, target.iter().map(parts)),
            }
        });
        Description {
            state: self.state(),
            epoch: self.epoch,
            target_epoch: self.target_epoch,
            assignor: self.assignor(view.settings),
            members: members.collect(),
        }
    }

    /// Its line in a listing.
    #[must_use]
    pub fn list(&self) -> ListedGroup {
        ListedGroup {
            group_id: self.id.clone(),
            protocol_type: "consumer".to_owned(),
            state: self.state().name(),
            group_type: "consumer",
        }
    }
}

/// Those topics that still exist, with their names.
pub(in crate::groups) fn named(
    image: &Image,
    topics: impl Iterator<Item = (TopicId, Vec<i32>)>,
) -> Vec<TopicPartitions> {
    let named = topics.filter_map(|(id, partitions)| {
        let name = image.topic_by_id(id)?.name.clone();
        Some(TopicPartitions { id, name, partitions })
    });
    named.collect()
}
