//! Where the markers of a transaction go: into partitions that this broker leads, those of state topics through their
//! machines, which learn of it in the same step.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::state::Partitions;
use crate::base::clock::SharedClock;
use crate::base::ids::TopicPartition;
use crate::cluster::client::ClusterClient;
use crate::log::{self, EndMarker, Registry, Rejection};
use crate::state_topic::MarkerTarget;
use crate::wal::Stable;

/// Why a marker was not written.
#[derive(Debug, thiserror::Error)]
pub enum NotWritten {
    /// There is no such partition, or no longer.
    #[error("the partition does not exist")]
    UnknownPartition,
    /// The partition said no.
    #[error(transparent)]
    Log(#[from] log::Error),
}

/// Writes markers.
#[derive(Debug)]
pub struct MarkerWriter {
    cluster: Arc<dyn ClusterClient>,
    registry: Registry,
    clock: SharedClock,
    /// State topics whose machines take part in transactions.
    targets: Vec<Arc<dyn MarkerTarget>>,
}

impl MarkerWriter {
    /// Markers for the partitions of `targets` go through them, all others into the log at once.
    #[must_use]
    pub fn new(
        cluster: Arc<dyn ClusterClient>,
        registry: Registry,
        clock: SharedClock,
        targets: Vec<Arc<dyn MarkerTarget>>,
    ) -> Self {
        Self { cluster, registry, clock, targets }
    }

    /// Ends a transaction in one partition. Resolves when the marker is stable; none: it has been for long.
    ///
    /// # Errors
    /// [`NotWritten`]: nothing was written.
    pub fn write(
        &self,
        topic: &str,
        partition: i32,
        marker: &EndMarker,
    ) -> Result<Option<Stable>, NotWritten> {
        let image = Arc::clone(&self.cluster.image().borrow());
        let found = image.topic(topic).ok_or(NotWritten::UnknownPartition)?;
        let tp = TopicPartition { topic: found.id, partition };
        image.partition(&tp).ok_or(NotWritten::UnknownPartition)?;
        if let Some(target) = self.targets.iter().find(|target| target.topic() == topic) {
            return Ok(target.end_transaction(partition, marker)?);
        }
        let partition = self.registry.partition(&tp).ok_or(log::Error::NotLeader { tp })?;
        Ok(partition.append_marker(marker, self.clock.now())?.stable)
    }

    /// Ends a transaction in all of `partitions`, and gives those that are left to try again.
    pub(super) fn write_all(&self, partitions: Partitions, marker: &EndMarker) -> Partitions {
        let mut left = Partitions::new();
        for (topic, numbers) in partitions {
            let again = numbers.into_iter().filter(|number| {
                let written = self.write(&topic, *number, marker);
                written.is_err_and(|error| must_try_again(&topic, *number, &error))
            });
            let again: BTreeSet<i32> = again.collect();
            if !again.is_empty() {
                left.insert(topic, again);
            }
        }
        left
    }
}

fn must_try_again(topic: &str, partition: i32, error: &NotWritten) -> bool {
    match error {
        // Deleted, and with it the transaction's records.
        NotWritten::UnknownPartition => false,
        // Only a later marker tells a partition of a later epoch: the transaction has ended there.
        NotWritten::Log(log::Error::Rejected {
            rejection: Rejection::StaleEpoch { .. }, ..
        }) => {
            tracing::warn!(topic, partition, %error, "marker was written before");
            false
        }
        NotWritten::Log(_) => {
            tracing::debug!(topic, partition, %error, "marker is not written yet");
            true
        }
    }
}
