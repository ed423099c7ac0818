//! What is asked of a share group's offsets and what it answers.

use crate::base::ids::TopicId;
use crate::share::persister;

/// Start offsets that an administrator sets: of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlterTopic {
    /// The topic's name.
    pub name: String,
    /// Partitions and the offsets from which they are to be read.
    pub partitions: Vec<(i32, i64)>,
}

/// What became of one topic's start offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlteredTopic {
    /// The topic's name.
    pub name: String,
    /// Its id; none: there is no such topic.
    pub id: Option<TopicId>,
    /// Each partition, in the order asked, and why its offset was not set.
    pub partitions: Vec<(i32, Option<Failed>)>,
}

/// Why the state of a partition was not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failed {
    /// There is no such partition.
    NoPartition,
    /// Nothing is kept of it.
    NoState,
    /// Its state could not be changed.
    State(persister::Error),
}
