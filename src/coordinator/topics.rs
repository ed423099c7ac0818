//! Topics: made, grown, deleted.
//!
//! A deletion has two phases. First nobody but its leaders sees the topic and nothing references its data; when every lease
//! has come back the topic is gone, its name free, and the call answered.
//! Source: `ReplicationControlManager` in Apache Kafka.

use std::collections::BTreeSet;

use super::event::{Effect, Reply, Ticket};
use super::machine::{Machine, Waiting};
use super::names;
use crate::base::ids::{BrokerId, ChainId, TopicId, TopicPartition};
use crate::cluster::client::{
    CreateTopics, CreatedTopic, DeletedTopic, Each, MorePartitions, NewTopic, TopicRef,
};
use crate::cluster::config::ResourceKind;
use crate::cluster::error::{AssignmentFault, PartitionsFault, Refusal};
use crate::cluster::internal::is_internal;
use crate::config::{FACTOR_MAX, PARTITIONS_MAX};
use crate::manifest::edit::{self, Edit};
use crate::manifest::state::Topic;

impl Machine {
    pub(super) fn create_topics(
        &mut self,
        request: CreateTopics,
        ids: Vec<TopicId>,
    ) -> Each<CreatedTopic> {
        let CreateTopics { topics, validate_only, default_partitions, default_replication_factor } =
            request;
        if wanted(&topics, default_partitions) > i64::from(PARTITIONS_MAX) {
            let answers = topics.iter().map(|_| Err(Refusal::TooManyPartitions)).collect();
            return self.visible(answers);
        }
        let mut answers = Vec::with_capacity(topics.len());
        for (topic, id) in topics.into_iter().zip(ids) {
            let defaults = (default_partitions, default_replication_factor);
            let checked = self.check_new(topic, id, defaults);
            answers.push(checked.map(|topic| self.create(topic, validate_only)));
        }
        self.visible(answers)
    }

    fn check_new(
        &self,
        topic: NewTopic,
        id: TopicId,
        defaults: (i32, i16),
    ) -> Result<edit::NewTopic, Refusal> {
        let NewTopic { name, partitions, replication_factor, assignments, configs } = topic;
        names::check(&name).map_err(Refusal::InvalidTopicName)?;
        if self.state.names.contains_key(&name) {
            return Err(Refusal::TopicExists { name });
        }
        names::check_collision(&name, &self.state.names).map_err(Refusal::InvalidTopicName)?;
        let configs = self.check_configs(ResourceKind::Topic, configs)?;
        let factor = replication_factor.unwrap_or(defaults.1);
        let replicas = if assignments.is_empty() {
            let width = usize::try_from(factor).ok().filter(|factor| *factor > 0);
            let width = width.filter(|_| !self.state.brokers.is_empty());
            let width = width.ok_or(Refusal::InvalidReplicationFactor)?;
            self.check_width(width)?;
            self.spread(0, count(partitions.unwrap_or(defaults.0))?, width)
        } else {
            self.check_manuals(assignments, (partitions, replication_factor))?
        };
        let width = replicas.first().map_or(0, Vec::len);
        let replication_factor = i16::try_from(width).unwrap_or(i16::MAX);
        Ok(edit::NewTopic { id, name, replication_factor, configs, replicas })
    }

    /// Replicas beyond the brokers only stand in the metadata, where they are to take little room.
    fn check_width(&self, given: usize) -> Result<(), Refusal> {
        let brokers = self.state.brokers.len();
        if given <= brokers.max(FACTOR_MAX.unsigned_abs().into()) {
            return Ok(());
        }
        Err(Refusal::ReplicationFactorTooLarge { given, brokers })
    }

    fn create(&mut self, topic: edit::NewTopic, validate_only: bool) -> CreatedTopic {
        let id = topic.id;
        let partitions = i32::try_from(topic.replicas.len()).expect("bounded when it was checked");
        let created = CreatedTopic {
            name: topic.name.clone(),
            id: if validate_only { TopicId(uuid::Uuid::nil()) } else { id },
            partitions,
            replication_factor: topic.replication_factor,
            configs: topic.configs.clone(),
        };
        if !validate_only {
            self.state.apply(Edit::TopicCreated(topic));
            self.grant_new(id, 0);
        }
        created
    }

    /// Grants partitions from `first` on to the chains that their first replicas write.
    fn grant_new(&mut self, id: TopicId, first: usize) {
        let Some(topic) = self.state.topics.get(&id) else {
            return;
        };
        let chain =
            |replicas: &[BrokerId]| self.open_chain(*replicas.first()?).map(|(chain, _)| chain);
        let new = topic.partitions.iter().zip(0..).skip(first);
        let granted = new.filter_map(|(partition, number)| {
            let tp = TopicPartition { topic: id, partition: number };
            chain(&partition.replicas).map(|chain| (tp, chain))
        });
        for (tp, chain) in granted.collect::<Vec<(TopicPartition, ChainId)>>() {
            self.state.apply(Edit::Granted { tp, chain });
        }
    }

    pub(super) fn create_partitions(
        &mut self,
        parts: Vec<MorePartitions>,
        validate_only: bool,
    ) -> Each<i32> {
        let mut answers = Vec::with_capacity(parts.len());
        let mut room = PARTITIONS_MAX.unsigned_abs() as usize;
        for part in parts {
            let checked = self.check_more(&part, room);
            room -= checked.as_ref().map_or(0, |(_, _, added)| added.len());
            answers.push(checked.map(|(topic, first, replicas)| {
                if !validate_only {
                    self.state.apply(Edit::PartitionsAdded { topic, replicas });
                    self.grant_new(topic, first);
                }
                part.count
            }));
        }
        self.visible(answers)
    }

    /// `room`: how many partitions the call may yet add.
    fn check_more(
        &self,
        part: &MorePartitions,
        room: usize,
    ) -> Result<(TopicId, usize, Vec<Vec<BrokerId>>), Refusal> {
        let (id, topic) = self.named(&part.topic)?;
        let (first, given) = (topic.partitions.len(), part.count);
        let current = i32::try_from(first).expect("bounded when it was checked");
        if given == current {
            return Err(Refusal::InvalidPartitions(PartitionsFault::Same { current }));
        }
        if given < current {
            let topic = topic.name.clone();
            return Err(Refusal::InvalidPartitions(PartitionsFault::NotMore {
                topic,
                current,
                given,
            }));
        }
        if is_internal(&topic.name) {
            let topic = topic.name.clone();
            return Err(Refusal::InvalidPartitions(PartitionsFault::Fixed { topic }));
        }
        let added = count(given)? - first;
        if added > room {
            return Err(Refusal::TooManyPartitions);
        }
        let width = topic.partitions.first().map_or(1, |partition| partition.replicas.len());
        let Some(assignments) = &part.assignments else {
            return Ok((id, first, self.spread(first, added, width)));
        };
        if assignments.len() != added {
            let fault = AssignmentFault::WrongCount { given: assignments.len(), added };
            return Err(Refusal::InvalidReplicaAssignment(fault));
        }
        for replicas in assignments {
            self.check_manual(replicas, Some(width)).map_err(Refusal::InvalidReplicaAssignment)?;
        }
        Ok((id, first, assignments.clone()))
    }

    /// A topic that is not being deleted, by name.
    pub(super) fn named(&self, name: &str) -> Result<(TopicId, &Topic), Refusal> {
        let id = self.state.names.get(name).copied();
        let found = id.and_then(|id| self.state.topics.get(&id).map(|topic| (id, topic)));
        found
            .filter(|(_, topic)| !topic.deleting)
            .ok_or_else(|| Refusal::UnknownTopicName { name: name.to_owned() })
    }

    /// Answers later, when the last lease is back; at once if none is out.
    pub(super) fn delete_topics(&mut self, ticket: Ticket, topics: Vec<TopicRef>) -> Option<Reply> {
        let mut left = BTreeSet::new();
        let answer = topics.into_iter().map(|topic| {
            let (id, name) = self.find(topic)?;
            self.state.apply(Edit::TopicDeleting { topic: id });
            left.insert(id);
            Ok(DeletedTopic { name, id })
        });
        let answer = answer.collect();
        self.waiting.push(Waiting { ticket, left, answer });
        self.finish_deletions();
        None
    }

    fn find(&self, topic: TopicRef) -> Result<(TopicId, String), Refusal> {
        match topic {
            TopicRef::Name(name) => self.named(&name).map(|(id, _)| (id, name.clone())),
            TopicRef::Id(id) => {
                let topic = self.state.topics.get(&id).filter(|topic| !topic.deleting);
                topic.map(|topic| (id, topic.name.clone())).ok_or(Refusal::UnknownTopicId { id })
            }
        }
    }

    /// Ends every deletion whose leases are all back, and answers who waited for it.
    pub(super) fn finish_deletions(&mut self) {
        let released =
            |topic: &Topic| topic.deleting && topic.partitions.iter().all(|p| p.lease.is_none());
        let done = self.state.topics.iter().filter(|(_, topic)| released(topic)).map(|(id, _)| *id);
        for topic in done.collect::<Vec<TopicId>>() {
            self.state.apply(Edit::TopicGone { topic });
        }
        let topics = &self.state.topics;
        let gone = |waiting: &mut Waiting| !waiting.left.iter().any(|id| topics.contains_key(id));
        let answered: Vec<Waiting> = self.waiting.extract_if(.., gone).collect();
        for waiting in answered {
            let reply = Reply::TopicsDeleted(self.visible(waiting.answer));
            self.effects.push(Effect::Answer(waiting.ticket, reply));
        }
    }
}

/// How many partitions the topics of a request ask for together.
///
/// Source: `ReplicationControlManager.validateTotalNumberOfPartitions` in Apache Kafka.
fn wanted(topics: &[NewTopic], default_partitions: i32) -> i64 {
    let counts = topics.iter().map(|topic| match topic.assignments.len() {
        0 => i64::from(topic.partitions.unwrap_or(default_partitions).max(0)),
        assigned => i64::try_from(assigned).unwrap_or(i64::MAX),
    });
    counts.fold(0, i64::saturating_add)
}

fn count(partitions: i32) -> Result<usize, Refusal> {
    let fault = match partitions {
        ..=0 => PartitionsFault::NotPositive,
        1..=PARTITIONS_MAX => return Ok(partitions.unsigned_abs() as usize),
        given => PartitionsFault::TooMany { given, limit: PARTITIONS_MAX },
    };
    Err(Refusal::InvalidPartitions(fault))
}
