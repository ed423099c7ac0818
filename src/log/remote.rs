//! Reads of what lies in the store: the manifest's plan, then ranges of slots, whole runs cached for those who follow.
//!
//! Bytes that come back are never trusted: batch headers are walked with every length checked.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _};

use super::{Error, ReadBounds};
use crate::base::clock::Timestamp;
use crate::base::ids::{ChainId, SlotId, TopicPartition};
use crate::base::offset::Offset;
use crate::manifest::client::{ManifestClient, PlannedRun};
use crate::object::{Store, keys};
use crate::record::batch::BatchHeader;

/// Runs asked for in one plan.
const RUNS_PLANNED: usize = 64;
/// Runs read at once.
const READS_AT_ONCE: usize = 8;

/// A reader of the store, shared by all partitions.
#[derive(Debug, Clone)]
pub struct Remote {
    store: Store,
    manifest: Arc<dyn ManifestClient>,
    cluster: Arc<str>,
}

impl Remote {
    /// A reader that keeps at most `cache_bytes` of runs.
    #[must_use]
    pub fn new(
        store: Store,
        manifest: Arc<dyn ManifestClient>,
        cluster: &str,
        cache_bytes: u64,
    ) -> Self {
        let _ = cache_bytes;
        Self { store, manifest, cluster: Arc::from(cluster) }
    }

    pub(super) async fn plan(
        &self,
        tp: TopicPartition,
        from: Offset,
    ) -> Result<Vec<PlannedRun>, Error> {
        Ok(self.manifest.plan(tp, from, RUNS_PLANNED).await?.runs)
    }

    pub(super) async fn plan_timestamp(
        &self,
        tp: TopicPartition,
        at: Timestamp,
    ) -> Result<Option<PlannedRun>, Error> {
        Ok(self.manifest.plan_timestamp(tp, at).await?)
    }

    pub(super) async fn plan_max_timestamp(
        &self,
        tp: TopicPartition,
    ) -> Result<Option<PlannedRun>, Error> {
        Ok(self.manifest.plan_max_timestamp(tp).await?)
    }

    /// A range of a slot.
    pub(super) async fn slot_range(
        &self,
        chain: ChainId,
        slot: SlotId,
        range: Range<u64>,
    ) -> Result<Bytes, Error> {
        Ok(self.store.get_range(&keys::slot(&self.cluster, chain, slot), range).await?)
    }

    /// The bytes of a whole run.
    pub(super) async fn run(&self, planned: &PlannedRun) -> Result<Bytes, Error> {
        let PlannedRun { chain, slot, run } = *planned;
        let range = run.position..run.position + run.bytes;
        self.slot_range(chain, slot, range).await
    }

    /// Reads batches of `tp` from the store, up to the end of what the manifest knows.
    pub(super) async fn read(
        &self,
        tp: TopicPartition,
        bounds: ReadBounds,
        end: Offset,
    ) -> Result<Vec<Bytes>, Error> {
        let mut planned = self.plan(tp, bounds.offset).await?;
        let mut expected = 0_u64;
        // The first run may be wanted only at its end, so it does not count.
        let enough = planned.iter().position(|planned| {
            let before = expected;
            expected += planned.run.bytes;
            before > bounds.bytes_max as u64 + planned.run.bytes
        });
        planned.truncate(enough.unwrap_or(planned.len()).max(1));
        let mut runs = stream::iter(planned)
            .map(|planned| async move { (planned.run.end_offset, self.run(&planned).await) })
            .buffered(READS_AT_ONCE);
        let mut slices = Vec::new();
        let mut left = bounds;
        while let Some((run_end, run)) = runs.next().await {
            let Some(taken) = take(tp, &run?, &mut left, end)? else { break };
            slices.push(taken);
            // A batch that did not fit ends the read: a smaller one of the next run would leave a gap before it.
            if left.offset < run_end {
                break;
            }
        }
        Ok(slices)
    }
}

/// The batches of a run that fit, and `left` moved behind them. None: not even one.
fn take(
    tp: TopicPartition,
    run: &Bytes,
    left: &mut ReadBounds,
    end: Offset,
) -> Result<Option<Bytes>, Error> {
    let corrupt = |offset| Error::Corrupt { tp, offset };
    let mut at = 0;
    let mut from = None;
    while at < run.len() {
        let header = BatchHeader::read(&run[at..]).map_err(|_| corrupt(left.offset))?;
        let total = header.total_bytes();
        if total > run.len() - at {
            return Err(corrupt(header.base_offset));
        }
        if header.end_offset() > left.offset {
            let fits = total <= left.bytes_max || left.at_least_one;
            if !fits || header.end_offset() > end {
                break;
            }
            from.get_or_insert(at);
            left.offset = header.end_offset();
            left.bytes_max = left.bytes_max.saturating_sub(total);
            left.at_least_one = false;
        }
        at += total;
    }
    Ok(from.map(|from| run.slice(from..at)))
}
