//! The seam to the coordinator for everything that changes or shows metadata.
//!
//! No caller may assume that the other side is local or up. A call's answer names the image version in which its effect is
//! visible: a handler waits for its broker to have caught up with that version before it answers its client (law 5).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::config::{ConfigOp, ConfigResource};
use super::error::{Error, Refusal};
use super::image::Image;
use crate::base::ids::{BrokerId, ProducerId, TopicId};
use crate::base::watch;

/// An answer and the image version from which on its effect is visible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visible<T> {
    /// The answer.
    pub value: T,
    /// Images of this version and above show it.
    pub version: u64,
}

/// A topic to create (CreateTopics, automatic creation, internal topics).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; `None`: the broker's default, which the caller fills in `defaults`.
    pub partitions: Option<i32>,
    /// Replicas of each partition; `None`: the default.
    pub replication_factor: Option<i16>,
    /// Replicas by partition; empty: assigned by the coordinator. Excludes counts.
    pub assignments: BTreeMap<i32, Vec<BrokerId>>,
    /// Overrides.
    pub configs: BTreeMap<String, String>,
}

/// Topics to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateTopics {
    /// The topics; names are unique.
    pub topics: Vec<NewTopic>,
    /// Only checks.
    pub validate_only: bool,
    /// `num.partitions`.
    pub default_partitions: i32,
    /// `default.replication.factor`.
    pub default_replication_factor: i16,
}

/// A topic that was created, or would have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its name.
    pub name: String,
    /// Its id; the nil UUID when only checked.
    pub id: TopicId,
    /// How many partitions.
    pub partitions: i32,
    /// As asked for.
    pub replication_factor: i16,
    /// Its overrides.
    pub configs: BTreeMap<String, String>,
}

/// A topic by either of its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopicRef {
    /// By name.
    Name(String),
    /// By id.
    Id(TopicId),
}

/// A topic that was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedTopic {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: TopicId,
}

/// Partitions to add (CreatePartitions).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MorePartitions {
    /// The topic's name.
    pub topic: String,
    /// How many it is to have in all.
    pub count: i32,
    /// Replicas of each new partition, in order; `None`: assigned by the coordinator.
    pub assignments: Option<Vec<Vec<BrokerId>>>,
}

/// A change of one resource's overrides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigChange {
    /// Whose.
    pub resource: ConfigResource,
    /// What.
    pub change: ConfigEdit,
}

/// How overrides change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigEdit {
    /// AlterConfigs: these and no others.
    Replace(BTreeMap<String, String>),
    /// IncrementalAlterConfigs: these keys.
    Incremental(Vec<(String, ConfigOp)>),
}

/// Producer ids that nobody else is given: `first..first + count`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerIdBlock {
    /// The first.
    pub first: ProducerId,
    /// How many.
    pub count: i32,
}

/// The answer for each part of a call, in the order asked.
pub type Each<T> = Visible<Vec<Result<T, Refusal>>>;

/// The coordinator, as seen by those who change metadata.
///
/// Laws: an answer is given only after its effect, and everything that it was computed from, is durable. After
/// [`Error::Unavailable`] the call may have taken effect. Parts of a call are independent: one may be refused and another
/// done. Dropping a future does not undo the call.
///
/// # Errors
/// Every call: `Unavailable` and `Superseded`.
#[async_trait]
pub trait ClusterClient: fmt::Debug + Send + Sync {
    /// The metadata as last heard. Changes only after they are durable.
    fn image(&self) -> watch::Receiver<Arc<Image>>;

    /// Creates topics; their partitions are granted to open chains at once.
    async fn create_topics(&self, request: CreateTopics) -> Result<Each<CreatedTopic>, Error>;

    /// Deletes topics. Answers when every lease was taken back and the names are free again, which waits for the leaders
    /// ([`crate::manifest::ManifestClient::released`]) and may take as long as they do: bound it with a timeout. Dropped or
    /// timed out, the deletion still goes on.
    async fn delete_topics(&self, topics: Vec<TopicRef>) -> Result<Each<DeletedTopic>, Error>;

    /// Adds partitions; each part answers with the number that the topic then has.
    async fn create_partitions(
        &self,
        parts: Vec<MorePartitions>,
        validate_only: bool,
    ) -> Result<Each<i32>, Error>;

    /// Changes overrides.
    async fn alter_configs(
        &self,
        parts: Vec<ConfigChange>,
        validate_only: bool,
    ) -> Result<Each<()>, Error>;

    /// A block of producer ids, never given again.
    async fn allocate_producer_ids(&self) -> Result<ProducerIdBlock, Error>;
}
