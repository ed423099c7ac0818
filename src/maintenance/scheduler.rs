//! When the jobs in the background run: retention, trimming, the sweep. Bounded work a tick.
//!
//! Owns the task. Knows the coordinator only as [`ManifestClient`]: while it does not answer, ticks pass without work.

use std::sync::Arc;

use tokio::time::Instant;

use super::metrics::Metrics;
use super::orphans::Orphans;
use super::sweep::Sweep;
use crate::base::clock::{SharedClock, Timestamp, sleep};
use crate::base::ids::TopicPartition;
use crate::base::task;
use crate::base::watch;
use crate::config::MaintenanceConfig;
use crate::manifest::client::RetentionDefaults;
use crate::manifest::{Error, ManifestClient};
use crate::object::Store;

/// Rows removed in one durable write.
const TRIM_SLOTS_MAX: u64 = 8192;

/// Durable writes of trims a tick.
const TRIMS_MAX: usize = 16;

/// Objects deleted a tick.
const DELETIONS_MAX: u64 = 65_536;

/// What the jobs need.
#[derive(Debug)]
pub struct Scheduler {
    /// The coordinator.
    pub manifest: Arc<dyn ManifestClient>,
    /// Where the objects are.
    pub store: Store,
    /// `cluster.id`.
    pub cluster_id: String,
    /// Wall time: record timestamps are held against it.
    pub clock: SharedClock,
    /// How often, and the grace of a deletion.
    pub config: MaintenanceConfig,
    /// What topics without overrides get.
    pub defaults: RetentionDefaults,
    /// Figures.
    pub metrics: Metrics,
}

/// The running jobs. Dropping this stops them after the tick they are in.
#[derive(Debug)]
pub struct Jobs {
    /// Partitions whose state alone holds back a trim, anew with each tick that finds some: their leaders write a checkpoint.
    pub checkpoint_anew: watch::Receiver<Arc<Vec<TopicPartition>>>,
    _stop: watch::Sender<()>,
}

impl Scheduler {
    /// Starts the jobs.
    #[must_use]
    pub fn start(self) -> Jobs {
        let (checkpoints, checkpoint_anew) = watch::channel(Arc::default());
        let (stop, stopped) = watch::channel(());
        task::spawn("maintenance", self.run(checkpoints, stopped));
        Jobs { checkpoint_anew, _stop: stop }
    }

    async fn run(
        self,
        checkpoints: watch::Sender<Arc<Vec<TopicPartition>>>,
        mut stopped: watch::Receiver<()>,
    ) {
        let sweep = Sweep { store: self.store.clone(), cluster_id: self.cluster_id.clone() };
        let mut orphans = Orphans::new(self.store.clone(), &self.cluster_id);
        let mut orphans_at = Instant::now() + self.config.orphan_interval;
        let mut retain_at = Instant::now() + self.config.retention_check_interval;
        loop {
            let pause = self.config.gc_interval.min(self.config.retention_check_interval);
            tokio::select! {
                biased;
                _ = stopped.changed() => return,
                () = sleep(pause) => {}
            }
            let retain = Instant::now() >= retain_at;
            if retain {
                retain_at = Instant::now() + self.config.retention_check_interval;
            }
            if Instant::now() >= orphans_at {
                orphans_at = Instant::now() + self.config.orphan_interval;
                if let Err(error) = orphans.run(self.manifest.as_ref(), &self.metrics).await {
                    tracing::debug!(%error, "no look for orphans");
                }
            }
            match self.tick(&sweep, retain).await {
                Ok(anew) if anew.is_empty() => {}
                Ok(anew) => drop(checkpoints.send_replace(Arc::new(anew))),
                Err(error) => tracing::debug!(%error, "maintenance skipped a tick"),
            }
        }
    }

    /// One round of the jobs; returns the partitions to checkpoint anew.
    async fn tick(&self, sweep: &Sweep, retain: bool) -> Result<Vec<TopicPartition>, Error> {
        let now = self.clock.now();
        let manifest = self.manifest.as_ref();
        if retain {
            let moved = manifest.retain(now, self.defaults).await?;
            self.metrics.retained.inc_by(u64::try_from(moved).unwrap_or(u64::MAX));
        }
        let mut checkpoint_anew = Vec::new();
        for _ in 0..TRIMS_MAX {
            let trimmed = manifest.trim(now, TRIM_SLOTS_MAX).await?;
            self.metrics.trimmed.inc_by(trimmed.slots);
            checkpoint_anew = trimmed.checkpoint_anew;
            if trimmed.slots < TRIM_SLOTS_MAX {
                break;
            }
        }
        let grace = i64::try_from(self.config.gc_grace.as_millis()).unwrap_or(i64::MAX);
        let queued_by = Timestamp(now.0.saturating_sub(grace));
        let gone = sweep.run(manifest, queued_by, DELETIONS_MAX, &self.metrics).await?;
        if gone > 0 {
            tracing::debug!(objects = gone, "objects deleted");
        }
        Ok(checkpoint_anew)
    }
}
