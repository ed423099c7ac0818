//! Which partitions: as a target, and as held with the epoch of each.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::ids::TopicId;
use crate::protocol::records::consumer::TopicPartitions;

/// Partitions by topic. Topics without partitions are left out.
pub type Assignment = BTreeMap<TopicId, BTreeSet<i32>>;

/// Partitions by topic, each with the member epoch at which the member received it.
pub type Held = BTreeMap<TopicId, BTreeMap<i32, i32>>;

/// A target as it is written.
#[must_use]
pub fn assignment_to_record(assignment: &Assignment) -> Vec<TopicPartitions> {
    let topics = assignment.iter();
    let topics = topics.map(|(topic, partitions)| TopicPartitions {
        topic: topic.0,
        partitions: partitions.iter().copied().collect(),
        epochs: None,
    });
    topics.collect()
}

/// A target as it was written.
#[must_use]
pub fn assignment_from_record(topics: Vec<TopicPartitions>) -> Assignment {
    let topics = topics.into_iter();
    topics.map(|topic| (TopicId(topic.topic), topic.partitions.into_iter().collect())).collect()
}

/// What is held, as it is written.
#[must_use]
pub fn held_to_record(held: &Held) -> Vec<TopicPartitions> {
    let topics = held.iter();
    let topics = topics.map(|(topic, partitions)| TopicPartitions {
        topic: topic.0,
        partitions: partitions.keys().copied().collect(),
        epochs: Some(partitions.values().copied().collect()),
    });
    topics.collect()
}

/// What is held, as it was written: by a Kafka that wrote no epochs yet, at the member's own epoch.
#[must_use]
pub fn held_from_record(topics: Vec<TopicPartitions>, member_epoch: i32) -> Held {
    let topics = topics.into_iter().map(|topic| {
        let count = topic.partitions.len();
        let epochs = topic.epochs.filter(|epochs| epochs.len() == count);
        let epochs = epochs.unwrap_or_else(|| vec![member_epoch.max(0); count]);
        (TopicId(topic.topic), topic.partitions.into_iter().zip(epochs).collect())
    });
    topics.collect()
}

/// Partitions held, without their epochs.
#[must_use]
pub fn without_epochs(held: &Held) -> Assignment {
    held.iter().map(|(topic, parts)| (*topic, parts.keys().copied().collect())).collect()
}

/// Whether all of `owned`, which a member claims, is held. A claim that is missing is none of it.
#[must_use]
pub fn is_within(owned: Option<&Assignment>, held: &Held) -> bool {
    owned.is_some_and(|owned| {
        owned.iter().all(|(topic, partitions)| {
            held.get(topic)
                .is_some_and(|held| partitions.iter().all(|partition| held.contains_key(partition)))
        })
    })
}
