//! The way in for handlers: finds the shard, takes the step, waits until the answer may be told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::classic::GroupDescription;
use super::consumer::describe::Description;
use super::consumer::{self, Heartbeat, HeartbeatAnswer};
use super::machine::{GroupsMachine, Settings, Settled, ToResolve};
use super::topics::Topics;
use super::{
    CommitRequest, Fetcher, HeartbeatRequest, JoinAnswer, JoinRequest, LeaveRequest, ListedGroup,
    Refusal, SyncAnswer, SyncRequest, TopicOffset, TransactionalCommit,
};
use crate::base::clock::SharedClock;
use crate::base::ids::{BrokerId, TopicId};
use crate::base::rng::Rng;
use crate::base::task;
use crate::base::watch;
use crate::cluster::client::ClusterClient;
use crate::cluster::image::Image;
use crate::cluster::internal::CONSUMER_OFFSETS;
use crate::config::{GroupsConfig, ShareGroupsConfig};
use crate::log::Registry;
use crate::manifest::client::ManifestClient;
use crate::share::persister::Persister;
use crate::state_topic::{self, MarkerTarget, ShardHandle, StateTopic, TopicSpec, Turn, WeakTopic};

/// How long an answer that needs a proof of leadership waits for it (law 9).
const PROOF_WITHIN: Duration = Duration::from_secs(5);
/// Garbage that a partition may hold before its live state is copied forward.
const GARBAGE_BYTES_MIN: u64 = 8 << 20;

/// What groups work with.
#[derive(Debug, Clone)]
pub struct Parts {
    /// Creates the topic, and tells of deleted ones.
    pub cluster: Arc<dyn ClusterClient>,
    /// The partitions led here.
    pub registry: Registry,
    /// Moves log starts.
    pub manifest: Arc<dyn ManifestClient>,
    /// Wall clock.
    pub clock: SharedClock,
    /// Member ids.
    pub rng: Rng,
    /// Settings.
    pub config: GroupsConfig,
    /// Settings of share groups.
    pub share_config: ShareGroupsConfig,
    /// Keeps the state of share groups' partitions.
    pub persister: Persister,
}

/// The groups that this broker coordinates. Clones share them.
#[derive(Debug, Clone)]
pub struct Groups {
    pub(super) topic: StateTopic<GroupsMachine>,
    pub(super) persister: Persister,
    session_timeouts: (Duration, Duration),
}

impl Groups {
    /// Serves groups from now on.
    #[must_use]
    pub fn start(parts: Parts) -> Self {
        let Parts { cluster, registry, manifest, clock, rng, config, share_config, persister } =
            parts;
        let text = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let spec = TopicSpec {
            name: CONSUMER_OFFSETS,
            partitions: config.offsets_partitions,
            replication_factor: config.offsets_replication_factor,
            configs: BTreeMap::from([
                text("cleanup.policy", "compact"),
                text("compression.type", "producer"),
                text("segment.bytes", &config.offsets_segment_bytes.0.to_string()),
            ]),
        };
        let settings = Settings::new(&config, &share_config);
        let ids = rng.clone();
        let images = cluster.image();
        let topics = Topics::new(cluster.image());
        let parts = state_topic::Parts {
            cluster,
            registry,
            manifest,
            clock,
            rng,
            garbage_bytes_min: GARBAGE_BYTES_MIN,
        };
        let seen = topics.clone();
        let topic = StateTopic::start(parts, spec, move |_| {
            GroupsMachine::new(settings.clone(), ids.clone(), seen.clone())
        });
        let session_timeouts = (config.min_session_timeout, config.max_session_timeout);
        task::spawn("groups-topics", follow_topics(topic.downgrade(), images, topics));
        Self { topic, persister, session_timeouts }
    }

    /// How the topic is created.
    #[must_use]
    pub fn topic_spec(&self) -> &TopicSpec {
        self.topic.spec()
    }

    /// Lets go of every request that waits, and answers no more: the broker is about to stop.
    pub fn stop(&self) {
        self.topic.stop();
    }

    /// Who coordinates the group, if anybody. Creates the topic if it does not exist.
    ///
    /// # Errors
    /// [`Refusal::NotAvailable`].
    pub async fn coordinator_of(&self, group_id: &str) -> Result<Option<BrokerId>, Refusal> {
        Ok(self.topic.leader_of(group_id).await?)
    }

    /// Takes one step in the group's shard and waits until its answer may be told.
    pub(super) async fn ask<T>(
        &self,
        group_id: &str,
        step: impl FnOnce(&mut GroupsMachine, &mut Turn<'_>) -> Settled<T>,
    ) -> Result<(T, ShardHandle<GroupsMachine>), Refusal> {
        let shard = self.topic.shard_of(group_id)?;
        let Settled { answer, after } = shard.turn(step)?;
        shard.stable(after).await?;
        Ok((answer, shard))
    }

    /// [`Groups::ask`] for answers that may be refusals of law 9's list.
    pub(super) async fn ask_proven<T>(
        &self,
        group_id: &str,
        step: impl FnOnce(&mut GroupsMachine, &mut Turn<'_>) -> Settled<Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        let (answer, shard) = self.ask(group_id, step).await?;
        if let Err(refusal) = &answer
            && refusal.needs_proof()
        {
            shard.prove(PROOF_WITHIN).await?;
        }
        answer
    }

    /// Joins a group. Waits as long as the group's rebalance does.
    pub async fn join(&self, request: JoinRequest) -> JoinAnswer {
        let (shortest, longest) = self.session_timeouts;
        let member_id = request.member_id.clone();
        if request.group_id.is_empty() {
            return JoinAnswer::refused(Refusal::InvalidGroupId, member_id);
        }
        if !(shortest..=longest).contains(&request.session_timeout) {
            return JoinAnswer::refused(Refusal::InvalidSessionTimeout, member_id);
        }
        let (sender, receiver) = oneshot::channel();
        let asked = self.park(&request.group_id, receiver, |machine, turn| {
            machine.join(turn, &request, sender);
        });
        let proven = match asked.await {
            Ok((answer, shard)) => prove_if_needed(answer.refusal, &shard).await.map(|()| answer),
            Err(refusal) => Err(refusal),
        };
        proven.unwrap_or_else(|refusal| JoinAnswer::refused(refusal, ""))
    }

    /// Syncs with a group. Waits until its leader has assigned.
    pub async fn sync(&self, request: SyncRequest) -> SyncAnswer {
        if request.group_id.is_empty() {
            return SyncAnswer::refused(Refusal::InvalidGroupId);
        }
        let (sender, receiver) = oneshot::channel();
        let asked = self.park(&request.group_id, receiver, |machine, turn| {
            machine.sync(turn, &request, sender);
        });
        let proven = match asked.await {
            Ok((answer, shard)) => prove_if_needed(answer.refusal, &shard).await.map(|()| answer),
            Err(refusal) => Err(refusal),
        };
        proven.unwrap_or_else(SyncAnswer::refused)
    }

    /// Takes a step whose answer may come by a later one.
    async fn park<T>(
        &self,
        group_id: &str,
        receiver: oneshot::Receiver<Settled<T>>,
        step: impl FnOnce(&mut GroupsMachine, &mut Turn<'_>),
    ) -> Result<(T, ShardHandle<GroupsMachine>), Refusal> {
        let shard = self.topic.shard_of(group_id)?;
        shard.turn(step)?;
        // The machine went before it answered: its partition is led elsewhere.
        let settled = receiver.await.map_err(|_| Refusal::NotCoordinator)?;
        shard.stable(settled.after).await?;
        Ok((settled.answer, shard))
    }

    /// A member is alive.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn heartbeat(&self, request: &HeartbeatRequest) -> Result<(), Refusal> {
        if request.group_id.is_empty() {
            return Err(Refusal::InvalidGroupId);
        }
        let beat =
            self.ask_proven(&request.group_id, |machine, turn| machine.heartbeat(turn, request));
        match beat.await {
            // The member cannot do anything about it, and its session begins anew afterwards.
            Err(Refusal::Loading) => Ok(()),
            other => other,
        }
    }

    /// Members leave: one answer each, in order.
    ///
    /// # Errors
    /// [`Refusal`]: none of them did.
    pub async fn leave(&self, request: &LeaveRequest) -> Result<Vec<Option<Refusal>>, Refusal> {
        if request.group_id.is_empty() {
            return Err(Refusal::InvalidGroupId);
        }
        let left = self.ask(&request.group_id, |machine, turn| machine.leave(turn, request));
        let (answers, shard) = left.await?;
        let fenced = answers.iter().flatten().find(|refusal| refusal.needs_proof());
        prove_if_needed(fenced.copied(), &shard).await?;
        Ok(answers)
    }

    /// Commits offsets: one answer each, in order.
    ///
    /// # Errors
    /// [`Refusal`]: none of them was.
    pub async fn commit(&self, request: &CommitRequest) -> Result<Vec<Option<Refusal>>, Refusal> {
        self.ask_proven(&request.group_id, |machine, turn| machine.commit(turn, request)).await
    }

    /// Commits offsets within a transaction: one answer each, in order.
    ///
    /// `admit` is given the number of the group's partition of the topic and says whether it is part of the transaction. It
    /// is asked in the same step in which the offsets are written, so no marker comes in between.
    ///
    /// # Errors
    /// That of `admit`, or [`Refusal`]: none of them was.
    pub async fn commit_transactional<E>(
        &self,
        request: &TransactionalCommit,
        admit: impl FnOnce(i32) -> Result<(), E>,
    ) -> Result<Result<Vec<Option<Refusal>>, Refusal>, E> {
        let group_id = request.commit.group_id.as_str();
        if group_id.is_empty() {
            return Ok(Err(Refusal::InvalidGroupId));
        }
        let shard = match self.topic.shard_of(group_id) {
            Ok(shard) => shard,
            Err(error) => return Ok(Err(error.into())),
        };
        let taken = shard.turn(|machine, turn| {
            admit(shard.index())?;
            Ok(machine.commit_transactional(turn, request))
        });
        let Settled { answer, after } = match taken {
            Ok(admitted) => admitted?,
            Err(error) => return Ok(Err(error.into())),
        };
        let told = async {
            shard.stable(after).await?;
            if answer.as_ref().is_err_and(|refusal| refusal.needs_proof()) {
                shard.prove(PROOF_WITHIN).await?;
            }
            answer
        };
        Ok(told.await)
    }

    /// Where markers for the topic's partitions go.
    #[must_use]
    pub fn marker_target(&self) -> Arc<dyn MarkerTarget> {
        Arc::new(self.topic.clone())
    }

    /// Committed offsets of `wanted` (topic, partition), or all of the group.
    ///
    /// # Errors
    /// [`Refusal`]. A group that does not exist has no offsets.
    pub async fn fetch_offsets(
        &self,
        group_id: &str,
        fetcher: Fetcher<'_>,
        wanted: Option<&[(String, i32)]>,
        require_stable: bool,
    ) -> Result<Vec<TopicOffset>, Refusal> {
        let fetched = self
            .ask(group_id, |machine, _| machine.fetch(group_id, fetcher, wanted, require_stable));
        let (offsets, shard) = fetched.await?;
        // An older leader would hand out offsets that are already processed.
        shard.prove(PROOF_WITHIN).await?;
        offsets
    }

    /// Deletes committed offsets: one answer each, in order.
    ///
    /// # Errors
    /// [`Refusal`]: none of them was.
    pub async fn delete_offsets(
        &self,
        group_id: &str,
        places: &[(String, i32)],
    ) -> Result<Vec<Option<Refusal>>, Refusal> {
        if group_id.is_empty() {
            return Err(Refusal::InvalidGroupId);
        }
        self.ask_proven(group_id, |machine, turn| machine.delete_offsets(turn, group_id, places))
            .await
    }

    /// Deletes an empty group.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn delete(&self, group_id: &str) -> Result<(), Refusal> {
        self.delete_share_state(group_id).await?;
        self.ask_proven(group_id, |machine, turn| machine.delete(turn, group_id)).await
    }

    /// Describes a classic group; none: there is no such group.
    ///
    /// # Errors
    /// [`Refusal`]; [`Refusal::NotClassic`]: it is of the consumer protocol.
    pub async fn describe(&self, group_id: &str) -> Result<Option<GroupDescription>, Refusal> {
        let (described, _) = self.ask(group_id, |machine, _| machine.describe(group_id)).await?;
        described
    }

    /// A member of the consumer protocol is alive, joins, or leaves. One without an id is given one.
    ///
    /// # Errors
    /// [`Refusal`] by the coordinator; within it [`consumer::Error`] by the group. Nothing was done.
    pub async fn consumer_heartbeat(
        &self,
        group_id: &str,
        request: Heartbeat,
    ) -> Result<Result<HeartbeatAnswer, consumer::Error>, Refusal> {
        let beat = |machine: &mut GroupsMachine, turn: &mut Turn<'_>| {
            machine.consumer_heartbeat(turn, group_id, request)
        };
        let shard = self.topic.shard_of(group_id)?;
        let Settled { answer, after } = shard.turn(beat)?;
        let answer = answer.map(|(answer, to_resolve)| {
            if let Some(to_resolve) = to_resolve {
                resolve(Arc::clone(&shard), group_id.to_owned(), to_resolve);
            }
            answer
        });
        shard.stable(after).await?;
        // A client gives up for good when its instance id is another's (law 9).
        if matches!(answer, Err(consumer::Error::FencedInstance { .. })) {
            shard.prove(PROOF_WITHIN).await?;
        }
        Ok(answer)
    }

    /// Describes a group of the consumer protocol.
    ///
    /// # Errors
    /// [`Refusal`] by the coordinator; within it [`consumer::Error`]: there is no such group.
    pub async fn consumer_describe(
        &self,
        group_id: &str,
    ) -> Result<Result<Description, consumer::Error>, Refusal> {
        let described = self.ask(group_id, |machine, _| machine.consumer_describe(group_id));
        Ok(described.await?.0)
    }

    /// The groups coordinated here that `wanted` holds for.
    ///
    /// # Errors
    /// [`Refusal::Loading`].
    pub async fn list(
        &self,
        wanted: impl Fn(&ListedGroup) -> bool,
    ) -> Result<Vec<ListedGroup>, Refusal> {
        let mut all = Vec::new();
        for shard in self.topic.shards() {
            let Settled { answer, after } = match shard.turn(|machine, _| machine.list(&wanted)) {
                Ok(listed) => listed,
                // It went elsewhere between the two calls.
                Err(state_topic::Error::NotCoordinator) => continue,
                Err(error) => return Err(error.into()),
            };
            shard.stable(after).await?;
            all.extend(answer);
        }
        Ok(all)
    }
}

/// Matches a group's patterns beside its steps, which it would hold up where topics are many.
fn resolve(shard: ShardHandle<GroupsMachine>, group_id: String, to_resolve: ToResolve) {
    task::spawn("groups-regex", async move {
        let ToResolve { regexes, image, wall } = to_resolve;
        let resolved = consumer::subscription::resolve(&regexes, &image, wall.0);
        // A shard that is closed took the group with it.
        let _ = shard.turn(|machine, turn| machine.regexes_resolved(turn, &group_id, resolved));
    });
}

/// Notes new topics, and deletes the offsets of those that go. Holds no part: a stopped node lets its store go.
async fn follow_topics(
    topic: WeakTopic<GroupsMachine>,
    mut images: watch::Receiver<Arc<Image>>,
    topics: Topics,
) {
    let mut before = Arc::clone(&images.borrow_and_update());
    while images.changed().await.is_ok() {
        let image = Arc::clone(&images.borrow_and_update());
        topics.note(&before, &image);
        let gone = image.gone_since(&before);
        let Some(topic) = topic.upgrade() else { return };
        if !gone.is_empty() {
            topics_deleted(&topic, &gone);
        }
        before = image;
    }
}

fn topics_deleted(topic: &StateTopic<GroupsMachine>, gone: &BTreeMap<&str, TopicId>) {
    let ids = gone.values().copied().collect();
    for shard in topic.shards() {
        // A shard that is loading or closed is left alone: its next owner has no such news either, as in Kafka.
        let _ = shard.turn(|machine, turn| {
            machine.topics_deleted(turn, |topic| gone.contains_key(topic));
            machine.share_topics_gone(turn, &ids);
        });
    }
}

async fn prove_if_needed(
    refusal: Option<Refusal>,
    shard: &ShardHandle<GroupsMachine>,
) -> Result<(), Refusal> {
    if refusal.is_some_and(Refusal::needs_proof) {
        shard.prove(PROOF_WITHIN).await?;
    }
    Ok(())
}
