//! The topic of a surface inside this broker, straight over the log: what [`TopicLog`] promises.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::base::clock::{SharedClock, sleep};
use crate::base::ids::TopicPartition;
use crate::base::offset::Offset;
use crate::client::local::{Aborted, Extent, LogError, TopicLog, unpack};
use crate::client::{Received, Record};
use crate::cluster::client::{ClusterClient, CreateTopics, NewTopic};
use crate::cluster::error::Refusal;
use crate::cluster::image::TopicImage;
use crate::log::{self, Isolation, PartitionHandle, ReadBounds, Registry, Terms, Waiter};
use crate::record::build::{BatchBuilder, NewRecord};
use crate::record::{Compression, ValidBatch};
use crate::wal;

/// Bytes read at once.
const READ_BYTES_MAX: usize = 4 << 20;
/// How long an append waits for the topic's creation, and for its lease.
const CREATED_WITHIN: Duration = Duration::from_secs(5);
/// How long a proof of leadership may take (law 9).
const PROOF_WITHIN: Duration = Duration::from_secs(5);
/// How often somebody who waits looks again although nothing was said.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Partition 0 of a topic that clients see and write like any other.
#[derive(Debug, Clone)]
pub(super) struct LocalTopic {
    pub(super) cluster: Arc<dyn ClusterClient>,
    pub(super) registry: Registry,
    pub(super) clock: SharedClock,
    pub(super) name: String,
    pub(super) configs: BTreeMap<String, String>,
    pub(super) replication_factor: i16,
    pub(super) record_bytes_max: usize,
}

impl LocalTopic {
    fn topic(&self) -> Option<Arc<TopicImage>> {
        self.cluster.image().borrow().topic(&self.name).cloned()
    }

    fn led(&self, topic: &TopicImage) -> Result<PartitionHandle, LogError> {
        let tp = TopicPartition { topic: topic.id, partition: 0 };
        self.registry.partition(&tp).ok_or(LogError::NotAvailable)
    }

    fn partition(&self) -> Result<PartitionHandle, LogError> {
        self.led(&*self.topic().ok_or(LogError::NotAvailable)?)
    }

    async fn create(&self) -> Result<(), LogError> {
        let topic = NewTopic {
            name: self.name.clone(),
            partitions: Some(1),
            replication_factor: Some(self.replication_factor),
            assignments: BTreeMap::new(),
            configs: self.configs.clone(),
        };
        let request = CreateTopics {
            topics: vec![topic],
            validate_only: false,
            default_partitions: 1,
            default_replication_factor: self.replication_factor,
        };
        let created = self.cluster.create_topics(request).await;
        let created = created.map_err(|_| LogError::NotAvailable)?;
        for refusal in created.value.into_iter().filter_map(Result::err) {
            // Somebody else was faster.
            if !matches!(refusal, Refusal::TopicExists { .. }) {
                tracing::error!(topic = self.name, %refusal, "topic could not be created");
                return Err(LogError::NotAvailable);
            }
        }
        self.registry.caught_up(created.version).await;
        Ok(())
    }

    async fn ensure(&self) -> Result<PartitionHandle, LogError> {
        if self.topic().is_none() {
            let created = tokio::time::timeout(CREATED_WITHIN, self.create()).await;
            created.map_err(|_| LogError::NotAvailable)??;
        }
        self.partition()
    }

    fn batch(&self, records: &[Record]) -> ValidBatch {
        let now = self.clock.now();
        let mut batch = BatchBuilder::new(Compression::None);
        for record in records {
            batch.push(&NewRecord {
                timestamp: now,
                key: record.key.as_deref(),
                value: record.value.as_deref(),
                headers: &[],
            });
        }
        batch.build()
    }
}

#[async_trait]
impl TopicLog for LocalTopic {
    fn extent(&self) -> Result<Option<Extent>, LogError> {
        let Some(topic) = self.topic() else { return Ok(None) };
        let offsets = self.led(&topic)?.offsets().map_err(|_| LogError::NotAvailable)?;
        // What an open transaction holds back is not there yet.
        let (start, end) = (offsets.log_start, offsets.last_stable_offset);
        Ok(Some(Extent { topic: topic.id.0, start, end }))
    }

    async fn read(&self, from: Offset) -> Result<(Vec<Received>, Offset), LogError> {
        let bounds = ReadBounds {
            offset: from,
            bytes_max: READ_BYTES_MAX,
            at_least_one: true,
            isolation: Isolation::ReadCommitted,
        };
        let partition = self.partition()?;
        let read = partition.read(self.registry.remote(), bounds).await.map_err(|error| {
            tracing::warn!(topic = self.name, offset = %from, %error, "topic could not be read");
            LogError::Unreadable
        })?;
        let whole = read.whole();
        let aborted = read.aborted.unwrap_or_default();
        let aborted: Aborted =
            aborted.iter().map(|one| (one.producer_id, one.first_offset)).collect();
        unpack(whole, 0, from, aborted).map_err(|error| {
            tracing::error!(topic = self.name, offset = %from, %error, "stored batch cannot be read");
            LogError::Unreadable
        })
    }

    async fn append(&self, records: &[Record]) -> Result<Offset, LogError> {
        let partition = self.ensure().await?;
        let batch = self.batch(records);
        let appended = partition.append(&batch, Terms::coordinator(self.clock.now()));
        let appended = appended.map_err(|_| LogError::NotAvailable)?;
        let offset = appended.base_offset;
        let Some(stable) = appended.stable else { return Ok(offset) };
        stable.wait().await.map_err(|_| LogError::Unknown { offset })?;
        Ok(offset)
    }

    async fn prove(&self) -> Result<(), LogError> {
        if self.topic().is_none() {
            return Ok(());
        }
        self.partition()?.prove(PROOF_WITHIN).await.map_err(|error| match error {
            log::Error::Wal(wal::Error::Unproven { .. }) => LogError::Unproven,
            _ => LogError::NotAvailable,
        })
    }

    async fn changed(&self, end: Option<Offset>) {
        let (mut image, mut leases) = (self.cluster.image(), self.registry.changes());
        image.borrow_and_update();
        let partition = self.partition().ok();
        let led = partition.is_some();
        // A topic that is not led here is looked at again; one that is not there says so when it comes.
        let is_there = self.topic().is_some();
        let waiter = Waiter::register(partition.iter().cloned().collect());
        let longer = |partition: &PartitionHandle| {
            partition.offsets().is_ok_and(|now| end.is_none_or(|end| now.last_stable_offset > end))
        };
        // What became stable before we were registered wakes nobody.
        if partition.as_ref().is_some_and(longer) {
            return;
        }
        tokio::select! {
            biased;
            () = waiter.woken(), if led => {}
            Ok(()) = leases.changed() => {}
            Ok(()) = image.changed() => {}
            () = sleep(LOOK_AGAIN), if is_there && !led => {}
            // Whoever tells the news is gone: the broker stops, and no more comes.
            else => pending().await,
        }
    }

    fn record_bytes_max(&self) -> usize {
        match self.partition() {
            Ok(partition) => partition.settings().max_message_bytes.as_usize(),
            Err(_) => self.record_bytes_max,
        }
    }
}
