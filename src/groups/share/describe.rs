//! What a share group shows of itself.
//!
//! Source: `ShareGroup.asDescribedGroup`, `ShareGroupMember.asShareGroupDescribeMember` in Apache Kafka 4.3.1.

use super::group::ShareGroup;
use super::member::Member;
use crate::cluster::image::Image;
use crate::groups::ListedGroup;
use crate::groups::consumer::describe::{TopicPartitions, named};

/// A group, described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// What it is doing.
    pub state: &'static str,
    /// Its epoch.
    pub epoch: i32,
    /// The epoch of its target assignment.
    pub target_epoch: i32,
    /// Its members, by id, each with the partitions that it may read.
    pub members: Vec<(Member, Vec<TopicPartitions>)>,
}

impl ShareGroup {
    /// Describes it and its members.
    #[must_use]
    pub fn describe(&self, image: &Image) -> Description {
        let members = self.members.values().map(|member| {
            let assigned = member.assigned.iter();
            let assigned =
                assigned.map(|(topic, partitions)| (*topic, partitions.iter().copied().collect()));
            (member.clone(), named(image, assigned))
        });
        Description {
            state: self.state(),
            epoch: self.epoch,
            target_epoch: self.target_epoch,
            members: members.collect(),
        }
    }

    /// Its line in a listing.
    #[must_use]
    pub fn list(&self) -> ListedGroup {
        ListedGroup {
            group_id: self.id.clone(),
            protocol_type: "share".to_owned(),
            state: self.state(),
            group_type: "share",
        }
    }
}
