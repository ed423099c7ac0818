//! Partitions by their names: for each topic a list by number, in which a partition costs one pointer.

use std::collections::BTreeMap;

use super::partition::PartitionHandle;
use crate::base::ids::{TopicId, TopicPartition};

/// The partitions that one chain leads. Walked in the order of their names.
#[derive(Debug, Default)]
pub(super) struct Led {
    topics: BTreeMap<TopicId, Vec<Option<PartitionHandle>>>,
    count: usize,
}

impl Led {
    pub(super) fn get(&self, tp: &TopicPartition) -> Option<&PartitionHandle> {
        self.topics.get(&tp.topic)?.get(usize::try_from(tp.partition).ok()?)?.as_ref()
    }

    /// Adds a partition of which the coordinator has spoken: numbers are never far apart.
    pub(super) fn insert(&mut self, partition: PartitionHandle) {
        let TopicPartition { topic, partition: number } = partition.tp;
        let number = usize::try_from(number).expect("the coordinator counts from 0");
        let numbers = self.topics.entry(topic).or_default();
        if numbers.len() <= number {
            numbers.resize(number + 1, None);
        }
        let before = numbers[number].replace(partition);
        self.count += usize::from(before.is_none());
    }

    /// Takes a topic's partitions out.
    pub(super) fn remove_topic(&mut self, topic: TopicId) -> impl Iterator<Item = PartitionHandle> {
        let removed: Vec<_> = self.topics.remove(&topic).into_iter().flatten().flatten().collect();
        self.count -= removed.len();
        removed.into_iter()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &PartitionHandle> {
        self.topics.values().flatten().flatten()
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }
}

impl FromIterator<PartitionHandle> for Led {
    fn from_iter<I: IntoIterator<Item = PartitionHandle>>(partitions: I) -> Self {
        let mut led = Self::default();
        partitions.into_iter().for_each(|partition| led.insert(partition));
        led
    }
}
