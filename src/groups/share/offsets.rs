//! What administrators do with the state of a share group's partitions: set where they begin, delete it, all or by topic.
//!
//! A change is written before it is asked of the partitions, and written again when it is done: what a failover leaves half
//! done can be asked for again.
//!
//! Source: `GroupMetadataManager.initializeShareGroupState`, `uninitializeShareGroupState`, `alterShareGroupOffsets`,
//! `sharePartitionsEligibleForOffsetDeletion`, `completeDeleteShareGroupOffsets`, `shareGroupBuildPartitionDeleteRequest`,
//! `maybeCleanupShareGroupState` in Apache Kafka 4.3.1.

use std::collections::{BTreeMap, BTreeSet};

use super::error::Error;
use super::group::ShareGroup;
use super::requests::{AlterTopic, AlteredTopic, Failed};
use super::topics::{Named, Partitions, partitions_of};
use crate::base::ids::TopicId;
use crate::cluster::image::{Image, TopicImage};
use crate::protocol::records::share::Record;

/// Start offsets that are to be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Altering {
    /// To be written first.
    pub records: Vec<Record>,
    /// The answer, if all goes well.
    pub topics: Vec<AlteredTopic>,
    /// The epoch of the state.
    pub epoch: i32,
    /// Where each partition is to begin.
    pub offsets: BTreeMap<(TopicId, i32), i64>,
}

/// A topic whose state is to be deleted, by name.
pub type DeletedTopic = (String, Result<TopicId, Failed>);

/// State that is to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deleting {
    /// To be written first.
    pub records: Vec<Record>,
    /// The answer, if all goes well.
    pub topics: Vec<DeletedTopic>,
    /// What is to go.
    pub partitions: Partitions,
}

impl ShareGroup {
    fn refuse_unless_empty(&self) -> Result<(), Error> {
        if self.is_empty() { Ok(()) } else { Err(Error::NotEmpty) }
    }

    /// The state of partitions that were asked for is there. Those that nobody waits for any more stay as they are.
    pub fn initialized(&mut self, image: &Image, there: &Partitions) -> Vec<Record> {
        let still = there.iter().filter_map(|(topic, partitions)| {
            let asked = self.topics.initializing.get(topic)?;
            let name = image.topic_by_id(*topic)?.name.clone();
            let partitions = partitions.intersection(&asked.partitions).copied().collect();
            Some((*topic, Named { name, partitions }))
        });
        let still: BTreeMap<TopicId, Named> =
            still.filter(|(_, named)| !named.partitions.is_empty()).collect();
        let topics = self.topics.clone().with_initialized(still);
        self.settle_topics(&topics)
    }

    /// The state of partitions that were asked for could not be had.
    pub fn not_initialized(&mut self, failed: &Partitions) -> Vec<Record> {
        let topics = self.topics.clone().without_initializing(failed);
        self.settle_topics(&topics)
    }

    /// Topics are gone. The state of their partitions goes with them.
    pub fn topics_gone(&mut self, gone: &BTreeSet<TopicId>) -> Vec<Record> {
        let topics = self.topics.clone().without_topics(|topic| gone.contains(&topic));
        self.settle_topics(&topics)
    }

    fn settle_topics(&mut self, topics: &super::topics::Topics) -> Vec<Record> {
        let mut records = Vec::new();
        self.write_topics(&mut records, topics);
        records
    }

    /// Begins to set start offsets.
    ///
    /// # Errors
    /// [`Error::NotEmpty`].
    pub fn alter_offsets(
        &mut self,
        image: &Image,
        wanted: &[AlterTopic],
    ) -> Result<Altering, Error> {
        self.refuse_unless_empty()?;
        let mut offsets = BTreeMap::new();
        let mut initializing = BTreeMap::new();
        let mut topics = Vec::with_capacity(wanted.len());
        for AlterTopic { name, partitions } in wanted {
            let topic = image.topic(name);
            let has = |partition: i32| topic.is_some_and(|topic| has(topic, partition));
            let answers = partitions.iter().map(|(partition, _)| {
                (*partition, (!has(*partition)).then_some(Failed::NoPartition))
            });
            let id = topic.map(|topic| topic.id);
            topics.push(AlteredTopic { name: name.clone(), id, partitions: answers.collect() });
            let Some(id) = id else { continue };
            let there = partitions.iter().filter(|(partition, _)| has(*partition));
            offsets.extend(there.clone().map(|(partition, offset)| ((id, *partition), *offset)));
            let partitions: BTreeSet<i32> = there.map(|(partition, _)| *partition).collect();
            if !partitions.is_empty() {
                initializing.insert(id, Named { name: name.clone(), partitions });
            }
        }
        let changed = self.topics.clone().with_initializing(initializing);
        let records = self.settle_topics(&changed);
        Ok(Altering { records, topics, epoch: self.epoch, offsets })
    }

    /// Begins to delete the state of topics.
    ///
    /// # Errors
    /// [`Error::NotEmpty`].
    pub fn delete_offsets(&mut self, image: &Image, names: &[String]) -> Result<Deleting, Error> {
        self.refuse_unless_empty()?;
        let mut changed = self.topics.clone();
        let mut partitions = Partitions::new();
        let mut topics: Vec<DeletedTopic> = Vec::with_capacity(names.len());
        for name in names {
            let Some(topic) = image.topic(name) else {
                topics.push((name.clone(), Err(Failed::NoPartition)));
                continue;
            };
            let there = match changed.initialized.remove(&topic.id) {
                Some(named) => Some(named.partitions),
                // Asked for before, and not done then.
                None if changed.deleting.contains_key(&topic.id) => {
                    Some((0..count(topic)).collect())
                }
                None => None,
            };
            topics.push((name.clone(), there.as_ref().map(|_| topic.id).ok_or(Failed::NoState)));
            if let Some(there) = there {
                changed.deleting.insert(topic.id, name.clone());
                partitions.insert(topic.id, there);
            }
        }
        let records = self.settle_topics(&changed);
        Ok(Deleting { records, topics, partitions })
    }

    /// The state of topics is deleted.
    pub fn offsets_deleted(&mut self, deleted: &BTreeSet<TopicId>) -> Vec<Record> {
        let mut topics = self.topics.clone();
        topics.deleting.retain(|topic, _| !deleted.contains(topic));
        self.settle_topics(&topics)
    }

    /// Begins to delete the group: the state of all its partitions goes first.
    ///
    /// # Errors
    /// [`Error::NotEmpty`].
    pub fn begin_deletion(&mut self, image: &Image) -> Result<(Vec<Record>, Partitions), Error> {
        self.refuse_unless_empty()?;
        let counts = |topic| image.topic_by_id(topic).map(|topic| count(topic));
        let (topics, partitions) = self.topics.clone().into_deleting(counts);
        Ok((self.settle_topics(&topics), partitions))
    }

    /// The partitions whose state is there.
    #[must_use]
    pub fn initialized_partitions(&self) -> Partitions {
        partitions_of(&self.topics.initialized)
    }
}

fn count(topic: &TopicImage) -> i32 {
    i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX)
}

fn has(topic: &TopicImage, partition: i32) -> bool {
    (0..count(topic)).contains(&partition)
}
