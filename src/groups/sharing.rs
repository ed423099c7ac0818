//! The way in for handlers to share groups: the step in the group's shard, and what it asks of the partitions' state.
//!
//! The coordinator writes first what it is about to ask, then asks, then writes what came of it. What a failover leaves half
//! done is asked for again: by the next heartbeat, or by the administrator.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::StreamExt as _;

use super::Refusal;
use super::machine::{GroupsMachine, Settled};
use super::service::Groups;
use super::share::describe::Description;
use super::share::offsets::{Altering, DeletedTopic, Deleting};
use super::share::outcome::Initialize;
use super::share::requests::{AlterTopic, AlteredTopic, Failed};
use super::share::{self, Heartbeat, HeartbeatAnswer, Partitions};
use crate::base::ids::{SlotId, TopicId};
use crate::base::task;
use crate::share::persister::{self, Persister, Summary};
use crate::state_topic::ShardHandle;

/// Requests about the state of one group's partitions that are under way at once.
const CONCURRENT: usize = 64;

/// What is known of each partition's state, or why not.
pub type Summaries = BTreeMap<(TopicId, i32), Result<Summary, persister::Error>>;

impl Groups {
    /// A member of a share group is alive, joins, or leaves.
    ///
    /// # Errors
    /// [`Refusal`] by the coordinator; within it [`share::Error`] by the group. Nothing was done.
    pub async fn share_heartbeat(
        &self,
        group_id: &str,
        request: &Heartbeat,
    ) -> Result<Result<HeartbeatAnswer, share::Error>, Refusal> {
        let shard = self.topic.shard_of(group_id)?;
        let beat = shard.turn(|machine, turn| machine.share_heartbeat(turn, group_id, request));
        let Settled { answer, after } = beat?;
        let answer = answer.map(|(answer, initialize)| {
            if let Some(initialize) = initialize {
                let state = State { persister: self.persister.clone(), group: group_id.to_owned() };
                state.initialize_beside(Arc::clone(&shard), (initialize, after));
            }
            answer
        });
        shard.stable(after).await?;
        Ok(answer)
    }

    /// Describes a share group.
    ///
    /// # Errors
    /// [`Refusal`] by the coordinator; within it [`share::Error`]: there is no such group.
    pub async fn share_describe(
        &self,
        group_id: &str,
    ) -> Result<Result<Description, share::Error>, Refusal> {
        let described = self.ask(group_id, |machine, _| machine.share_describe(group_id));
        Ok(described.await?.0)
    }

    /// What is known of the state of `wanted`, or of all partitions of the group that have any.
    ///
    /// # Errors
    /// [`Refusal`]. Of a group that is not there, nothing is known.
    pub async fn share_offsets(
        &self,
        group_id: &str,
        wanted: Option<Vec<(TopicId, i32)>>,
    ) -> Result<Summaries, Refusal> {
        let (known, _) =
            self.ask(group_id, |machine, _| machine.share_partitions(group_id)).await?;
        let wanted = wanted.unwrap_or_else(|| each(&known).collect());
        let state = self.state_of(group_id);
        let state = &state;
        let summaries = wanted.into_iter().map(|(topic, partition)| async move {
            let summary = state.persister.read_summary(&state.group, topic, partition).await;
            ((topic, partition), summary)
        });
        Ok(futures::stream::iter(summaries).buffer_unordered(CONCURRENT).collect().await)
    }

    /// Sets start offsets of a group without members: one answer for each partition.
    ///
    /// # Errors
    /// [`Refusal`] by the coordinator; within it [`share::Error`] by the group. Nothing was done.
    pub async fn share_alter_offsets(
        &self,
        group_id: &str,
        wanted: &[AlterTopic],
    ) -> Result<Result<Vec<AlteredTopic>, share::Error>, Refusal> {
        let begun =
            self.ask(group_id, |machine, turn| machine.share_alter_offsets(turn, group_id, wanted));
        let (begun, shard) = begun.await?;
        let Altering { mut topics, epoch, offsets, .. } = match begun {
            Ok(altering) => altering,
            Err(error) => return Ok(Err(error)),
        };
        let failed = self.state_of(group_id).initialize(&shard, epoch, offsets).await?;
        for topic in &mut topics {
            for (partition, failure) in &mut topic.partitions {
                let error = topic.id.and_then(|id| failed.get(&(id, *partition)));
                *failure = failure.or(error.copied().map(Failed::State));
            }
        }
        Ok(Ok(topics))
    }

    /// Deletes the state of topics in a group without members: one answer each, in order.
    ///
    /// # Errors
    /// [`Refusal`] by the coordinator; within it [`share::Error`] by the group. Nothing was done.
    pub async fn share_delete_offsets(
        &self,
        group_id: &str,
        names: &[String],
    ) -> Result<Result<Vec<DeletedTopic>, share::Error>, Refusal> {
        let begun =
            self.ask(group_id, |machine, turn| machine.share_delete_offsets(turn, group_id, names));
        let (begun, shard) = begun.await?;
        let Deleting { mut topics, partitions, .. } = match begun {
            Ok(deleting) => deleting,
            Err(error) => return Ok(Err(error)),
        };
        let failed = self.state_of(group_id).delete(&partitions).await;
        let done: BTreeSet<TopicId> =
            partitions.keys().filter(|topic| !failed.contains_key(topic)).copied().collect();
        let Settled { after, .. } =
            shard.turn(|machine, turn| machine.share_offsets_deleted(turn, group_id, &done))?;
        shard.stable(after).await?;
        for (_, result) in &mut topics {
            if let Some(error) = result.ok().and_then(|topic| failed.get(&topic)) {
                *result = Err(Failed::State(*error));
            }
        }
        Ok(Ok(topics))
    }

    /// Deletes the state of a share group's partitions, so that the group itself can go. Does nothing to others.
    pub(super) async fn delete_share_state(&self, group_id: &str) -> Result<(), Refusal> {
        let begun =
            self.ask_proven(group_id, |machine, turn| machine.share_begin_deletion(turn, group_id));
        let partitions = begun.await?;
        let failed = self.state_of(group_id).delete(&partitions).await;
        failed.into_values().next().map_or(Ok(()), |error| Err(Refusal::ShareState(error)))
    }

    fn state_of(&self, group_id: &str) -> State {
        State { persister: self.persister.clone(), group: group_id.to_owned() }
    }
}

/// The state of one group's partitions.
struct State {
    persister: Persister,
    group: String,
}

impl State {
    /// Initialises state beside the heartbeat that asked for it, once its records are stable.
    fn initialize_beside(
        self,
        shard: ShardHandle<GroupsMachine>,
        (initialize, after): (Initialize, Option<SlotId>),
    ) {
        task::spawn("groups-share-state", async move {
            // A shard that is closed took the group with it: its next leader asks again.
            if shard.stable(after).await.is_err() {
                return;
            }
            let Initialize { epoch, partitions } = initialize;
            let unknown = each(&partitions).map(|place| (place, UNKNOWN_START)).collect();
            let _ = self.initialize(&shard, epoch, unknown).await;
        });
    }

    /// Initialises state and writes what came of it. Returns what failed.
    async fn initialize(
        &self,
        shard: &ShardHandle<GroupsMachine>,
        epoch: i32,
        offsets: BTreeMap<(TopicId, i32), i64>,
    ) -> Result<BTreeMap<(TopicId, i32), persister::Error>, Refusal> {
        if offsets.is_empty() {
            return Ok(BTreeMap::new());
        }
        let (mut there, mut failed) = (Partitions::new(), Partitions::new());
        let mut errors = BTreeMap::new();
        let all = offsets.into_iter().map(|((topic, partition), start)| async move {
            let done =
                self.persister.initialize(&self.group, topic, partition, (epoch, start)).await;
            ((topic, partition), done)
        });
        let mut all = futures::stream::iter(all).buffer_unordered(CONCURRENT);
        while let Some(((topic, partition), done)) = all.next().await {
            let settled = if done.is_ok() { &mut there } else { &mut failed };
            settled.entry(topic).or_default().insert(partition);
            if let Err(error) = done {
                tracing::warn!(
                    group = self.group,
                    %topic,
                    partition,
                    %error,
                    "share partition's state was not initialised"
                );
                errors.insert((topic, partition), error);
            }
        }
        let Settled { after, .. } = shard.turn(|machine, turn| {
            machine.share_initialized(turn, &self.group, (&there, &failed))
        })?;
        shard.stable(after).await?;
        Ok(errors)
    }

    /// Deletes state. Returns the topics of which some could not be deleted.
    async fn delete(&self, partitions: &Partitions) -> BTreeMap<TopicId, persister::Error> {
        let all = each(partitions).map(|(topic, partition)| async move {
            (topic, self.persister.delete(&self.group, topic, partition).await)
        });
        let all = futures::stream::iter(all).buffer_unordered(CONCURRENT);
        all.filter_map(|(topic, done)| async move { Some((topic, done.err()?)) }).collect().await
    }
}

/// A partition is begun where its own state, or else the group's `share.auto.offset.reset` says.
const UNKNOWN_START: i64 = -1;

fn each(partitions: &Partitions) -> impl Iterator<Item = (TopicId, i32)> {
    partitions.iter().flat_map(|(topic, all)| all.iter().map(|partition| (*topic, *partition)))
}
