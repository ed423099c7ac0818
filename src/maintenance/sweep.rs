//! Deletes the objects of queued deletions, a bounded number a tick.
//!
//! Owns nothing: the queue is the coordinator's. A range comes off it only when every object of it is known to be gone; a
//! deletion with an unknown outcome stays and is done again, which is harmless because names are never used twice.

use futures::StreamExt as _;
use futures::stream;

use super::metrics::Metrics;
use crate::base::clock::Timestamp;
use crate::base::ids::SlotId;
use crate::manifest::client::Deletion;
use crate::manifest::{Error, ManifestClient};
use crate::object::{Store, keys};

/// Deletions in flight at once.
const CONCURRENCY: usize = 16;

/// Ranges taken off the queue at once.
const RANGES_MAX: usize = 64;

/// Objects deleted between two reports to the coordinator.
const REPORT_EVERY: u64 = 4096;

/// Deletes objects.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// Where they are.
    pub store: Store,
    /// `cluster.id`.
    pub cluster_id: String,
}

impl Sweep {
    /// Deletes up to `objects_max` objects that were queued at or before `queued_by`, and returns how many are gone.
    ///
    /// # Errors
    /// The coordinator's. The store's are counted and tried again at the next tick.
    pub async fn run(
        &self,
        manifest: &dyn ManifestClient,
        queued_by: Timestamp,
        objects_max: u64,
        metrics: &Metrics,
    ) -> Result<u64, Error> {
        let mut gone = 0;
        for range in manifest.deletions(queued_by, RANGES_MAX).await? {
            let mut left = range;
            while left.from < left.end && gone < objects_max {
                let step = (left.end.0 - left.from.0).min(REPORT_EVERY).min(objects_max - gone);
                let part = Deletion { end: SlotId(left.from.0 + step), ..left };
                let end = self.delete(part).await;
                metrics.deleted.inc_by(end.0 - part.from.0);
                gone += end.0 - part.from.0;
                if end > part.from {
                    manifest.deleted(vec![Deletion { end, ..part }]).await?;
                }
                if end < part.end {
                    metrics.failed.inc();
                    break;
                }
                left.from = end;
            }
        }
        Ok(gone)
    }

    /// Deletes the objects of a range, and returns the first that may still be there.
    async fn delete(&self, range: Deletion) -> SlotId {
        let one = |slot: u64| async move {
            let key = keys::slot(&self.cluster_id, range.chain, SlotId(slot));
            let deleted = self.store.delete(&key).await;
            deleted.inspect_err(|error| tracing::warn!(%key, %error, "object not deleted yet"))
        };
        // In order, so that what is known to be gone is a prefix.
        let mut deleted = stream::iter(range.from.0..range.end.0).map(one).buffered(CONCURRENCY);
        let mut next = range.from;
        while let Some(Ok(())) = deleted.next().await {
            next = next.next();
        }
        next
    }
}
