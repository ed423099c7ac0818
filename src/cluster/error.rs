//! What a metadata call can answer besides yes.

use super::config::ConfigFault;
use crate::base::ids::{BrokerId, Incarnation, TopicId};

/// Why a whole call was not done. A part of a call that is refused is a [`Refusal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No answer: the coordinator is down, far, loading, or its store does not answer. The call may have taken effect.
    #[error("no answer from the coordinator")]
    Unavailable,
    /// Another process is the coordinator now, or holds this broker's identity: this process exits.
    #[error("superseded by incarnation {successor} of broker {broker}")]
    Superseded {
        /// The node identity that was taken over.
        broker: BrokerId,
        /// Who took over; the nil UUID when it could not be read.
        successor: Incarnation,
    },
}

/// Why one part of a call was refused. Nothing of that part was done. The variants follow Kafka's error codes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// `TOPIC_ALREADY_EXISTS`: also while a topic of that name is being deleted.
    #[error("Topic '{name}' already exists.")]
    TopicExists {
        /// The name.
        name: String,
    },
    /// `INVALID_TOPIC_EXCEPTION`.
    #[error("{0}")]
    InvalidTopicName(TopicNameFault),
    /// `UNKNOWN_TOPIC_OR_PARTITION`, asked for by name.
    #[error("This server does not host this topic-partition.")]
    UnknownTopicName {
        /// The name.
        name: String,
    },
    /// `UNKNOWN_TOPIC_ID`, asked for by id.
    #[error("This server does not host this topic ID.")]
    UnknownTopicId {
        /// The id.
        id: TopicId,
    },
    /// `INVALID_PARTITIONS`.
    #[error("{0}")]
    InvalidPartitions(PartitionsFault),
    /// `POLICY_VIOLATION`: all topics of the request together would have too many.
    #[error("Excessively large number of partitions per request.")]
    TooManyPartitions,
    /// `INVALID_REPLICATION_FACTOR`.
    #[error("Replication factor must be larger than 0, or -1 to use the default value.")]
    InvalidReplicationFactor,
    /// `INVALID_REPLICATION_FACTOR`: far more than there are brokers.
    #[error(
        "Unable to replicate the partition {given} time(s): The target replication factor of {given} cannot be reached because only {brokers} broker(s) are registered."
    )]
    ReplicationFactorTooLarge {
        /// What was asked for.
        given: usize,
        /// Brokers that are registered.
        brokers: usize,
    },
    /// `INVALID_REPLICA_ASSIGNMENT`.
    #[error("{0}")]
    InvalidReplicaAssignment(AssignmentFault),
    /// `INVALID_REQUEST`: the parts of the request contradict each other.
    #[error("{0}")]
    InvalidRequest(RequestFault),
    /// `INVALID_CONFIG`.
    #[error("{0}")]
    InvalidConfig(ConfigFault),
}

/// What is wrong with a topic's name. Source: `Topic.validate` and `Topic.hasCollision` in Apache Kafka.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicNameFault {
    /// No characters.
    #[error("Topic name is invalid: the empty string is not allowed")]
    Empty,
    /// `.` or `..`.
    #[error("Topic name is invalid: '{name}' is not allowed")]
    Dots {
        /// The name.
        name: String,
    },
    /// Over 249 characters.
    #[error(
        "Topic name is invalid: the length of '{name}' is longer than the max allowed length 249"
    )]
    TooLong {
        /// The name.
        name: String,
    },
    /// A character that is not allowed.
    #[error(
        "Topic name is invalid: '{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
    )]
    Characters {
        /// The name.
        name: String,
    },
    /// `.` and `_` meet in metric names.
    #[error("Topic '{name}' collides with existing topic: {existing}")]
    Collision {
        /// The name.
        name: String,
        /// The topic that is there.
        existing: String,
    },
}

/// What is wrong with a number of partitions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PartitionsFault {
    /// Zero or negative at creation.
    #[error("Number of partitions was set to an invalid non-positive value.")]
    NotPositive,
    /// Above the bound of one topic.
    #[error("Number of partitions {given} is above the limit of {limit}.")]
    TooMany {
        /// What was asked for.
        given: i32,
        /// The bound.
        limit: i32,
    },
    /// CreatePartitions below what there is.
    #[error(
        "The topic {topic} currently has {current} partition(s); {given} would not be an increase."
    )]
    NotMore {
        /// The topic's name.
        topic: String,
        /// What there is.
        current: i32,
        /// What was asked for.
        given: i32,
    },
    /// CreatePartitions of a topic in whose partitions a coordinator looks for its keys: it would not find them again.
    #[error("The number of partitions of the internal topic {topic} is fixed when it is created.")]
    Fixed {
        /// The topic's name.
        topic: String,
    },
    /// CreatePartitions to what there is.
    #[error("Topic already has {current} partition(s).")]
    Same {
        /// What there is.
        current: i32,
    },
}

/// What is wrong with a manual assignment of replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AssignmentFault {
    /// A partition without replicas.
    #[error("The manual partition assignment includes an empty replica list.")]
    Empty,
    /// A partition with one broker twice.
    #[error("The manual partition assignment includes the broker {broker} more than once.")]
    Duplicate {
        /// The broker.
        broker: BrokerId,
    },
    /// A broker that is not there.
    #[error(
        "The manual partition assignment includes broker {broker}, but no such broker is registered."
    )]
    UnknownBroker {
        /// The broker.
        broker: BrokerId,
    },
    /// Partitions that are not numbered 0..n.
    #[error("partitions should be a consecutive 0-based integer sequence")]
    NotConsecutive,
    /// Partitions with different numbers of replicas.
    #[error(
        "The manual partition assignment includes a partition with {given} replica(s), but this is not consistent with previous partitions, which have {expected} replica(s)."
    )]
    Uneven {
        /// What this one has.
        given: usize,
        /// What those before it have.
        expected: usize,
    },
    /// CreatePartitions: another number of assignments than of new partitions.
    #[error(
        "Attempted to add {added} additional partition(s), but only {given} assignment(s) were specified."
    )]
    WrongCount {
        /// Assignments given.
        given: usize,
        /// Partitions added.
        added: usize,
    },
}

/// Parts of a request that contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestFault {
    /// A count beside a manual assignment.
    #[error("A manual partition assignment was specified, but numPartitions was not set to -1.")]
    CountBesideAssignment,
    /// A factor beside a manual assignment.
    #[error(
        "A manual partition assignment was specified, but replication factor was not set to -1."
    )]
    FactorBesideAssignment,
    /// A resource that has no configs of this kind.
    #[error("the resource has no such name")]
    ResourceName,
}
