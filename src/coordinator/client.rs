//! The coordinator behind its two seams, for callers in the same process.

use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

use super::event::{Event, Reply, Size};
use super::service::{Coordinator, Successor};
use crate::base::clock::Timestamp;
use crate::base::ids::{ChainId, SlotId, TopicId, TopicPartition};
use crate::base::offset::Offset;
use crate::base::watch;
use crate::cluster::client::{
    ConfigChange, CreateTopics, CreatedTopic, DeletedTopic, Each, MorePartitions, ProducerIdBlock,
    TopicRef,
};
use crate::cluster::{self, ClusterClient, Image};
use crate::manifest::client::{
    Deletion, Extent, Lease, Plan, PlannedRun, Registered, Registration, RetentionDefaults,
    SealedChain, Trimmed,
};
use crate::manifest::row::SlotRow;
use crate::manifest::{self, ManifestClient};

const MATCHED: &str = "an event is answered by its own kind of reply";

impl Coordinator {
    async fn ask_manifest(&self, event: Event) -> Result<Reply, manifest::Error> {
        self.ask(event).await.ok_or_else(|| match self.successor() {
            Some(Successor { broker, incarnation, .. }) => {
                manifest::Error::Superseded { broker, successor: incarnation }
            }
            None => manifest::Error::Unavailable,
        })
    }

    async fn ask_cluster(&self, event: Event) -> Result<Reply, cluster::Error> {
        self.ask(event).await.ok_or_else(|| match self.successor() {
            Some(Successor { broker, incarnation, .. }) => {
                cluster::Error::Superseded { broker, successor: incarnation }
            }
            None => cluster::Error::Unavailable,
        })
    }

    /// How much the manifest holds. None: no answer.
    pub async fn size(&self) -> Option<Size> {
        let Reply::Size(size) = self.ask(Event::Size).await? else { unreachable!("{MATCHED}") };
        Some(size)
    }

    fn successor(&self) -> Option<Successor> {
        self.superseded.borrow().clone()
    }

    async fn done(&self, event: Event) -> Result<(), manifest::Error> {
        let Reply::Done(answer) = self.ask_manifest(event).await? else {
            unreachable!("{MATCHED}")
        };
        answer
    }

    async fn run(&self, event: Event) -> Result<Option<PlannedRun>, manifest::Error> {
        let Reply::Run(answer) = self.ask_manifest(event).await? else { unreachable!("{MATCHED}") };
        answer
    }

    /// A topic's id: random, and its text (base64, as Kafka writes it) does not begin with a dash, which command lines
    /// would take for an option.
    fn topic_id(&self) -> TopicId {
        let starts_with_dash = |id: &Uuid| id.as_bytes()[0] >> 2 == 62;
        let mut id = self.rng.uuid();
        while starts_with_dash(&id) {
            id = self.rng.uuid();
        }
        TopicId(id)
    }
}

#[async_trait]
impl ManifestClient for Coordinator {
    async fn register(&self, registration: Registration) -> Result<Registered, manifest::Error> {
        let reply = self.ask_manifest(Event::Register(registration)).await?;
        let Reply::Registered(answer) = reply else { unreachable!("{MATCHED}") };
        answer
    }

    async fn recovered(&self, chain: ChainId, rows: Vec<SlotRow>) -> Result<(), manifest::Error> {
        self.done(Event::Recovered { chain, rows }).await
    }

    async fn seal(&self, chain: ChainId, sealed_at: SlotId) -> Result<(), manifest::Error> {
        self.done(Event::Seal { chain, sealed_at }).await
    }

    async fn acquire(&self, chain: ChainId) -> Result<Vec<Lease>, manifest::Error> {
        let reply = self.ask_manifest(Event::Acquire { chain }).await?;
        let Reply::Leases(answer) = reply else { unreachable!("{MATCHED}") };
        answer
    }

    async fn commit(&self, chain: ChainId, rows: Vec<SlotRow>) -> Result<(), manifest::Error> {
        self.done(Event::Commit { chain, rows }).await
    }

    async fn released(
        &self,
        chain: ChainId,
        partitions: Vec<TopicPartition>,
    ) -> Result<(), manifest::Error> {
        self.done(Event::Released { chain, partitions }).await
    }

    async fn plan(
        &self,
        tp: TopicPartition,
        from: Offset,
        runs_max: usize,
    ) -> Result<Plan, manifest::Error> {
        let reply = self.ask_manifest(Event::Plan { tp, from, runs_max }).await?;
        let Reply::Plan(answer) = reply else { unreachable!("{MATCHED}") };
        answer
    }

    async fn plan_timestamp(
        &self,
        tp: TopicPartition,
        at: Timestamp,
    ) -> Result<Option<PlannedRun>, manifest::Error> {
        self.run(Event::PlanTimestamp { tp, at }).await
    }

    async fn plan_max_timestamp(
        &self,
        tp: TopicPartition,
    ) -> Result<Option<PlannedRun>, manifest::Error> {
        self.run(Event::PlanMaxTimestamp { tp }).await
    }

    async fn extents(
        &self,
        partitions: Vec<TopicPartition>,
    ) -> Result<Vec<Option<Extent>>, manifest::Error> {
        let reply = self.ask_manifest(Event::Extents { partitions }).await?;
        let Reply::Extents(answer) = reply else { unreachable!("{MATCHED}") };
        Ok(answer)
    }

    async fn advance_log_start(
        &self,
        tp: TopicPartition,
        to: Offset,
    ) -> Result<Offset, manifest::Error> {
        let reply = self.ask_manifest(Event::AdvanceLogStart { tp, to }).await?;
        let Reply::LogStart(answer) = reply else { unreachable!("{MATCHED}") };
        answer
    }

    async fn retain(
        &self,
        now: Timestamp,
        defaults: RetentionDefaults,
    ) -> Result<usize, manifest::Error> {
        let reply = self.ask_manifest(Event::Retain { as_of: now, defaults }).await?;
        let Reply::Retained(answer) = reply else { unreachable!("{MATCHED}") };
        Ok(answer)
    }

    async fn trim(&self, now: Timestamp, slots_max: u64) -> Result<Trimmed, manifest::Error> {
        let reply = self.ask_manifest(Event::Trim { as_of: now, slots_max }).await?;
        let Reply::Trimmed(answer) = reply else { unreachable!("{MATCHED}") };
        Ok(answer)
    }

    async fn deletions(
        &self,
        queued_by: Timestamp,
        ranges_max: usize,
    ) -> Result<Vec<Deletion>, manifest::Error> {
        let reply = self.ask_manifest(Event::Deletions { queued_by, ranges_max }).await?;
        let Reply::Deletions(answer) = reply else { unreachable!("{MATCHED}") };
        Ok(answer)
    }

    async fn sealed_chains(
        &self,
        after: Option<ChainId>,
        chains_max: usize,
    ) -> Result<Vec<SealedChain>, manifest::Error> {
        let reply = self.ask_manifest(Event::SealedChains { after, chains_max }).await?;
        let Reply::SealedChains(answer) = reply else { unreachable!("{MATCHED}") };
        Ok(answer)
    }

    async fn deleted(&self, done: Vec<Deletion>) -> Result<(), manifest::Error> {
        self.done(Event::Deleted { done }).await
    }
}

#[async_trait]
impl ClusterClient for Coordinator {
    fn image(&self) -> watch::Receiver<Arc<Image>> {
        self.image.clone()
    }

    async fn create_topics(
        &self,
        request: CreateTopics,
    ) -> Result<Each<CreatedTopic>, cluster::Error> {
        let ids = request.topics.iter().map(|_| self.topic_id()).collect();
        let reply = self.ask_cluster(Event::CreateTopics { request, ids }).await?;
        let Reply::Created(answer) = reply else { unreachable!("{MATCHED}") };
        Ok(answer)
    }

    async fn delete_topics(
        &self,
        topics: Vec<TopicRef>,
    ) -> Result<Each<DeletedTopic>, cluster::Error> {
        let reply = self.ask_cluster(Event::DeleteTopics { topics }).await?;
        let Reply::TopicsDeleted(answer) = reply else { unreachable!("{MATCHED}") };
        Ok(answer)
    }

    async fn create_partitions(
        &self,
        parts: Vec<MorePartitions>,
        validate_only: bool,
    ) -> Result<Each<i32>, cluster::Error> {
        let reply = self.ask_cluster(Event::CreatePartitions { parts, validate_only }).await?;
        let Reply::Partitions(answer) = reply else { unreachable!("{MATCHED}") };
        Ok(answer)
    }

    async fn alter_configs(
        &self,
        parts: Vec<ConfigChange>,
        validate_only: bool,
    ) -> Result<Each<()>, cluster::Error> {
        let reply = self.ask_cluster(Event::AlterConfigs { parts, validate_only }).await?;
        let Reply::Configs(answer) = reply else { unreachable!("{MATCHED}") };
        Ok(answer)
    }

    async fn allocate_producer_ids(&self) -> Result<ProducerIdBlock, cluster::Error> {
        let reply = self.ask_cluster(Event::AllocateProducerIds).await?;
        let Reply::ProducerIds(answer) = reply else { unreachable!("{MATCHED}") };
        Ok(answer)
    }
}
