//! Who shall hold which partitions: `uniform`, the default, and `range`.
//!
//! Assignors see a group as it will be, and its present target, to which `uniform` sticks. Neither looks at racks: Apache
//! Kafka 4.3.1's do not either (a rack only counts for when an assignment is computed anew, see [`super::hash`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::assignment::Assignment;
use crate::base::ids::TopicId;

mod heterogeneous;
mod homogeneous;
mod loads;
mod range;
#[cfg(test)]
mod tests;

/// A member, as an assignor sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscriber {
    /// `member.id`.
    pub member_id: String,
    /// `group.instance.id`.
    pub instance_id: Option<String>,
    /// The topics that it subscribes to, of those that exist. Members with the same share one.
    pub topics: Arc<BTreeSet<TopicId>>,
    /// Its present target.
    pub target: Arc<Assignment>,
}

/// A group, as an assignor sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupSpec {
    /// The members, sorted by id.
    pub subscribers: Vec<Subscriber>,
    /// How many partitions each topic has: of every topic that a member subscribes to.
    pub partitions: BTreeMap<TopicId, i32>,
}

impl GroupSpec {
    /// Whether all members subscribe to the same topics.
    #[must_use]
    pub fn is_homogeneous(&self) -> bool {
        self.subscribers.windows(2).all(|pair| pair[0].topics == pair[1].topics)
    }

    /// 0 for a topic that is not there.
    fn count(&self, topic: TopicId) -> i32 {
        self.partitions.get(&topic).copied().unwrap_or_default()
    }
}

/// A built-in assignor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Assignor {
    /// As even as possible, moving as little as possible.
    Uniform,
    /// Contiguous ranges of every topic, so that co-partitioned topics stay together.
    Range,
}

impl Assignor {
    /// All, the default first.
    pub const ALL: [Self; 2] = [Self::Uniform, Self::Range];

    /// As clients name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }

    /// The assignor of that name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|assignor| assignor.name() == name)
    }

    /// The new target, in the order of the subscribers. One that has not changed is the same allocation.
    #[must_use]
    pub fn assign(self, group: &GroupSpec) -> Vec<Arc<Assignment>> {
        match self {
            Self::Range => range::assign(group),
            Self::Uniform if group.is_homogeneous() => homogeneous::assign(group),
            Self::Uniform => heterogeneous::assign(group),
        }
    }
}

/// Who has which partitions, while an assignment is made.
#[derive(Debug)]
struct Draft {
    /// By subscriber.
    targets: Vec<Arc<Assignment>>,
}

impl Draft {
    fn add(&mut self, subscriber: usize, topic: TopicId, partition: i32) {
        Arc::make_mut(&mut self.targets[subscriber]).entry(topic).or_default().insert(partition);
    }

    fn remove(&mut self, subscriber: usize, topic: TopicId, partition: i32) {
        let target = Arc::make_mut(&mut self.targets[subscriber]);
        if let Some(partitions) = target.get_mut(&topic) {
            partitions.remove(&partition);
            if partitions.is_empty() {
                target.remove(&topic);
            }
        }
    }

    /// Starts from the present targets without topics that the member no longer subscribes to, or that are gone.
    fn of(group: &GroupSpec) -> Self {
        let targets = group.subscribers.iter().map(|subscriber| {
            let mut target = Arc::clone(&subscriber.target);
            if !target.keys().all(|topic| subscriber.topics.contains(topic)) {
                Arc::make_mut(&mut target).retain(|topic, _| subscriber.topics.contains(topic));
            }
            target
        });
        Self { targets: targets.collect() }
    }

    /// The partitions of a topic that nobody has, ascending.
    fn unassigned(&self, topic: TopicId, count: i32) -> Vec<i32> {
        let mut taken = vec![false; usize::try_from(count).unwrap_or_default()];
        for partition in self.targets.iter().filter_map(|target| target.get(&topic)).flatten() {
            if let Some(taken) = usize::try_from(*partition).ok().and_then(|at| taken.get_mut(at)) {
                *taken = true;
            }
        }
        (0..count)
            .zip(taken)
            .filter_map(|(partition, taken)| (!taken).then_some(partition))
            .collect()
    }
}

fn size(assignment: &Assignment) -> usize {
    assignment.values().map(BTreeSet::len).sum()
}
