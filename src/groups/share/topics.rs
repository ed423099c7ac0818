//! How far the state of a group's partitions is set up: being initialised, initialised, being deleted.
//!
//! The state itself (offsets, records in flight) is kept with the partitions (`crate::share`). It is set up before a
//! partition is given out, so that whoever reads it knows where to begin, and goes before the group does.
//!
//! Source: `ShareGroupStatePartitionMetadataInfo`, `GroupMetadataManager.subscribedTopicsChangeMap` and what is around it in
//! Apache Kafka 4.3.1.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::ids::TopicId;
use crate::protocol::records::share::{NamedPartitions, StateValue};

/// Partitions by topic.
pub type Partitions = BTreeMap<TopicId, BTreeSet<i32>>;

/// Partitions of a topic, with its name when that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The topic's name.
    pub name: String,
    /// The partitions.
    pub partitions: BTreeSet<i32>,
}

/// The state of all partitions of a group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Topics {
    /// Asked for.
    pub initializing: BTreeMap<TopicId, Named>,
    /// There.
    pub initialized: BTreeMap<TopicId, Named>,
    /// Topics whose state is to go, by name.
    pub deleting: BTreeMap<TopicId, String>,
}

impl Topics {
    /// Whether nothing was ever set up, or all is gone.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.initializing.is_empty() && self.initialized.is_empty() && self.deleting.is_empty()
    }

    /// As it is written.
    #[must_use]
    pub fn to_value(&self) -> StateValue {
        let named = |topics: &BTreeMap<TopicId, Named>| {
            let topics = topics.iter().map(|(topic, named)| NamedPartitions {
                topic: topic.0,
                name: named.name.clone(),
                partitions: named.partitions.iter().copied().collect(),
            });
            topics.collect()
        };
        StateValue {
            initializing: named(&self.initializing),
            initialized: named(&self.initialized),
            deleting: self.deleting.iter().map(|(topic, name)| (topic.0, name.clone())).collect(),
        }
    }

    /// As it was written.
    #[must_use]
    pub fn from_value(value: StateValue) -> Self {
        let named = |topics: Vec<NamedPartitions>| {
            let topics = topics.into_iter().map(|topic| {
                let partitions = topic.partitions.into_iter().collect();
                (TopicId(topic.topic), Named { name: topic.name, partitions })
            });
            topics.collect()
        };
        let deleting = value.deleting.into_iter().map(|(topic, name)| (TopicId(topic), name));
        Self {
            initializing: named(value.initializing),
            initialized: named(value.initialized),
            deleting: deleting.collect(),
        }
    }

    /// Asks for the state of more partitions.
    #[must_use]
    pub fn with_initializing(mut self, more: BTreeMap<TopicId, Named>) -> Self {
        for topic in more.keys() {
            self.deleting.remove(topic);
        }
        add(&mut self.initializing, more);
        self
    }

    /// The state of partitions is there.
    #[must_use]
    pub fn with_initialized(mut self, there: BTreeMap<TopicId, Named>) -> Self {
        self.forget_initializing(&partitions_of(&there));
        add(&mut self.initialized, there);
        self
    }

    /// The state of partitions could not be had.
    #[must_use]
    pub fn without_initializing(mut self, failed: &Partitions) -> Self {
        self.forget_initializing(failed);
        self
    }

    fn forget_initializing(&mut self, partitions: &Partitions) {
        for (topic, partitions) in partitions {
            if let Some(named) = self.initializing.get_mut(topic) {
                named.partitions.retain(|partition| !partitions.contains(partition));
                if named.partitions.is_empty() {
                    self.initializing.remove(topic);
                }
            }
        }
    }

    /// Topics are gone, and so is the state of their partitions.
    #[must_use]
    pub fn without_topics(mut self, gone: impl Fn(TopicId) -> bool) -> Self {
        self.initializing.retain(|topic, _| !gone(*topic));
        self.initialized.retain(|topic, _| !gone(*topic));
        self.deleting.retain(|topic, _| !gone(*topic));
        self
    }

    /// The state of all that is there, or was asked for, is to go. Topics whose deletion was begun before go on being
    /// deleted while they exist, with as many partitions as `counts` says.
    #[must_use]
    pub fn into_deleting(self, counts: impl Fn(TopicId) -> Option<i32>) -> (Self, Partitions) {
        let mut gone = self.initialized;
        add(&mut gone, self.initializing);
        let retried = self.deleting.into_iter().filter_map(|(topic, name)| {
            let partitions = (0..counts(topic)?).collect();
            Some((topic, Named { name, partitions }))
        });
        add(&mut gone, retried.collect());
        let partitions = partitions_of(&gone);
        let deleting = gone.into_iter().map(|(topic, named)| (topic, named.name)).collect();
        (Self { deleting, ..Self::default() }, partitions)
    }
}

/// Without names.
#[must_use]
pub fn partitions_of(named: &BTreeMap<TopicId, Named>) -> Partitions {
    named.iter().map(|(topic, named)| (*topic, named.partitions.clone())).collect()
}

fn add(to: &mut BTreeMap<TopicId, Named>, more: BTreeMap<TopicId, Named>) {
    for (topic, more) in more {
        match to.get_mut(&topic) {
            Some(named) => {
                named.name = more.name;
                named.partitions.extend(more.partitions);
            }
            None => drop(to.insert(topic, more)),
        }
    }
}
