//! The way in to what is kept of share groups' partitions: finds the shard, takes the step, waits until it may be told.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use super::machine::{Settled, ShareStates};
use super::partition::{Change, Loaded};
use crate::base::ids::{BrokerId, SlotId, TopicId, TopicPartition};
use crate::base::task;
use crate::base::watch;
use crate::cluster::image::Image;
use crate::protocol::records::share_state::{Key, Snapshot};
use crate::state_topic::{self, Parts, ShardHandle, StateTopic, TopicSpec, Turn, WeakTopic};

/// How long an answer that needs a proof of leadership waits for it (law 9).
const PROOF_WITHIN: Duration = Duration::from_secs(5);

/// Why a state is not read or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// `COORDINATOR_NOT_AVAILABLE`.
    #[error("the share coordinator is not available")]
    NotAvailable,
    /// `NOT_COORDINATOR`. The change may have been made.
    #[error("another broker coordinates the share partition")]
    NotCoordinator,
    /// `COORDINATOR_LOAD_IN_PROGRESS`.
    #[error("the share coordinator is loading")]
    Loading,
    /// `FENCED_STATE_EPOCH`.
    #[error("the state is of epoch {known}, which is above {received}")]
    Fenced {
        /// As asked for.
        received: i32,
        /// As kept.
        known: i32,
    },
    /// `FENCED_LEADER_EPOCH`.
    #[error("the partition was led at epoch {known}, which is above {received}")]
    FencedLeader {
        /// The reader's or writer's.
        received: i32,
        /// As kept.
        known: i32,
    },
    /// `INVALID_REQUEST`.
    #[error("the state was not initialised, or was deleted")]
    NotInitialized,
}

impl From<state_topic::Error> for Error {
    fn from(error: state_topic::Error) -> Self {
        match error {
            state_topic::Error::NotAvailable => Self::NotAvailable,
            state_topic::Error::NotCoordinator => Self::NotCoordinator,
            state_topic::Error::Loading => Self::Loading,
        }
    }
}

/// What is known of a partition that a share group reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// The epoch at which its state was initialised; 0: it was not.
    pub state_epoch: i32,
    /// The leader epoch of the partition's leader that wrote last.
    pub leader_epoch: i32,
    /// Where reading begins; -1: not decided yet.
    pub start_offset: i64,
    /// How many records behind the start need not be delivered any more; -1: not known.
    pub delivery_complete_count: i32,
}

impl Summary {
    pub(super) const UNKNOWN: Self =
        Self { state_epoch: 0, leader_epoch: 0, start_offset: -1, delivery_complete_count: -1 };

    pub(super) fn of(snapshot: &Snapshot) -> Self {
        Self {
            state_epoch: snapshot.state_epoch,
            leader_epoch: snapshot.leader_epoch,
            start_offset: snapshot.start_offset,
            delivery_complete_count: snapshot.delivery_complete_count,
        }
    }
}

/// A change that was taken, or refused, and is not stable yet.
#[derive(Debug)]
#[must_use]
pub struct Written {
    shard: ShardHandle<ShareStates>,
    result: Result<(), Error>,
    after: Option<SlotId>,
}

impl Written {
    /// Resolves when the change is kept.
    ///
    /// # Errors
    /// [`Error`]. After [`Error::NotCoordinator`] it may have been kept.
    pub async fn stable(self) -> Result<(), Error> {
        self.shard.stable(self.after).await?;
        if self.result.is_err() {
            // What it was refused for may be over.
            self.shard.prove(PROOF_WITHIN).await?;
        }
        self.result
    }
}

/// Keeps the state of share groups' partitions. Clones share it.
#[derive(Debug, Clone)]
pub struct Persister {
    topic: StateTopic<ShareStates>,
}

impl Persister {
    /// Serves `__share_group_state`, as `spec` has it, from now on.
    ///
    /// A state is written whole after `updates_per_snapshot` changes.
    #[must_use]
    pub fn start(parts: Parts, spec: TopicSpec, updates_per_snapshot: u32) -> Self {
        let images = parts.cluster.image();
        let topic = StateTopic::start(parts, spec, move |_| ShareStates::new(updates_per_snapshot));
        task::spawn("share-topics", follow_topics(topic.downgrade(), images));
        Self { topic }
    }

    /// How the topic is created.
    #[must_use]
    pub fn topic_spec(&self) -> &TopicSpec {
        self.topic.spec()
    }

    /// Who keeps the state of a partition, if anybody: its key is `group:topic id:partition`, the id in base 64. Creates the
    /// topic if it does not exist.
    ///
    /// # Errors
    /// [`Error::NotAvailable`].
    pub async fn coordinator_of(&self, key: &str) -> Result<Option<BrokerId>, Error> {
        Ok(self.topic.leader_of(key).await?)
    }

    /// Initialises the state of a group's partition, or begins it anew. `start` is the epoch of the state and the offset where
    /// reading begins, -1 if that is not known yet.
    ///
    /// # Errors
    /// [`Error`]. After [`Error::NotCoordinator`] it may have been done.
    pub async fn initialize(
        &self,
        group: &str,
        topic: TopicId,
        partition: i32,
        start: (i32, i64),
    ) -> Result<(), Error> {
        let key = key_of(group, topic, partition);
        self.ask(&key, |machine, turn| machine.initialize(turn, &key, start)).await?.0
    }

    /// Deletes the state of a group's partition.
    ///
    /// # Errors
    /// [`Error`]. After [`Error::NotCoordinator`] it may have been done.
    pub async fn delete(&self, group: &str, topic: TopicId, partition: i32) -> Result<(), Error> {
        let key = key_of(group, topic, partition);
        self.ask(&key, |machine, turn| machine.delete(turn, &key)).await?.0
    }

    /// What is known of a group's partition; nothing is no error.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn read_summary(
        &self,
        group: &str,
        topic: TopicId,
        partition: i32,
    ) -> Result<Summary, Error> {
        let key = key_of(group, topic, partition);
        let (summary, shard) = self.ask(&key, |machine, _| machine.summary(&key)).await?;
        // An older leader would tell what was changed long ago.
        shard.prove(PROOF_WITHIN).await?;
        Ok(summary)
    }

    /// What is kept of a group's partition, for its leader of `leader_epoch`: leaders before it read and write no more. -1 for
    /// who does not lead it.
    ///
    /// # Errors
    /// [`Error`]. Nothing that it changes matters to who asks again.
    pub async fn read(
        &self,
        group: &str,
        tp: TopicPartition,
        leader_epoch: i32,
    ) -> Result<Loaded, Error> {
        let key = key_of(group, tp.topic, tp.partition);
        let step =
            |machine: &mut ShareStates, turn: &mut Turn<'_>| machine.read(turn, &key, leader_epoch);
        let (loaded, shard) = self.ask(&key, step).await?;
        // An older leader of the shard would tell what was changed long ago.
        shard.prove(PROOF_WITHIN).await?;
        loaded
    }

    /// Writes a change of a group's partition. `epochs` are the leader epoch of the partition and the epoch of the state that
    /// was read. When this resolves the change has its place among the others, and [`Written::stable`] waits until it is kept.
    ///
    /// # Errors
    /// [`Error`]. After [`Error::NotCoordinator`] it may have been kept.
    pub async fn begin_write(
        &self,
        group: &str,
        tp: TopicPartition,
        epochs: (i32, i32),
        change: &Change,
    ) -> Result<Written, Error> {
        self.topic.ensure().await?;
        let key = key_of(group, tp.topic, tp.partition);
        let shard = self.topic.shard_of(&place_of(&key))?;
        let (result, after) =
            shard.turn(|machine, turn| machine.write(turn, &key, epochs, change))?;
        Ok(Written { shard, result, after })
    }

    async fn ask<T>(
        &self,
        key: &Key,
        step: impl FnOnce(&mut ShareStates, &mut Turn<'_>) -> Settled<T>,
    ) -> Result<(T, ShardHandle<ShareStates>), Error> {
        self.topic.ensure().await?;
        let shard = self.topic.shard_of(&place_of(key))?;
        let (answer, after) = shard.turn(step)?;
        shard.stable(after).await?;
        Ok((answer, shard))
    }
}

/// Deletes what is kept of topics that go. Holds no part: a stopped node lets its store go.
async fn follow_topics(topic: WeakTopic<ShareStates>, mut images: watch::Receiver<Arc<Image>>) {
    let mut before = Arc::clone(&images.borrow_and_update());
    while images.changed().await.is_ok() {
        let image = Arc::clone(&images.borrow_and_update());
        let gone: BTreeSet<Uuid> = image.gone_since(&before).values().map(|id| id.0).collect();
        let Some(topic) = topic.upgrade() else { return };
        if !gone.is_empty() {
            for shard in topic.shards() {
                // A shard that is loading or closed is left alone: its next owner has no such news either, as in Kafka.
                let _ = shard.turn(|machine, turn| machine.topics_gone(turn, &gone));
            }
        }
        before = image;
    }
}

fn key_of(group: &str, topic: TopicId, partition: i32) -> Key {
    Key { group: group.to_owned(), topic: topic.0, partition }
}

/// The text that says which partition of the topic keeps the state.
///
/// Source: `SharePartitionKey.asCoordinatorKey` in Apache Kafka 4.3.1.
fn place_of(key: &Key) -> String {
    format!("{}:{}:{}", key.group, URL_SAFE_NO_PAD.encode(key.topic), key.partition)
}
