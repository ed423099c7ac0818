//! Reads of what lies in the store: the manifest's plan, then ranges of slots, both through caches.
//!
//! A plan is kept until an object that it names is gone: then it is asked for anew, once.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::read_ahead::{Order, Place, Readers};
use super::runs::{Damaged, Pieces, Walked, walk};
use super::{Error, ReadBounds};
use crate::base::clock::Timestamp;
use crate::base::ids::{ChainId, SlotId, TopicPartition};
use crate::base::offset::Offset;
use crate::base::task;
use crate::base::units::ByteSize;
use crate::cache::{Lru, Objects};
use crate::manifest::client::{ManifestClient, PlannedRun};
use crate::object::{self, keys};
use crate::record::HEADER_BYTES;

/// Runs asked for in the plan of a reader that is new.
const RUNS_PLANNED: usize = 64;
/// Runs asked for in the plan of one that goes through the log in order.
const RUNS_PLANNED_AHEAD: usize = 1024;
/// Runs fetched side by side for one read.
const RUNS_AT_ONCE: usize = 64;

/// A reader of the store, shared by all partitions.
#[derive(Debug, Clone)]
pub struct Remote(Arc<Inner>);

/// What a reader of the store is made of.
#[derive(Debug)]
pub struct RemoteParts {
    /// The bytes.
    pub objects: Objects,
    /// Who knows where they are.
    pub manifest: Arc<dyn ManifestClient>,
    /// `cluster.id`.
    pub cluster: String,
    /// The most bytes of plans that are kept.
    pub plan_bytes_max: ByteSize,
    /// The most bytes that are read ahead of one reader.
    pub read_ahead_max: ByteSize,
    /// The most bytes that `objects` keeps.
    pub cache_bytes: ByteSize,
}

/// Plans by partition and the first offset of their first run.
type Plans = Lru<(TopicPartition, Offset), Arc<[PlannedRun]>>;

#[derive(Debug)]
struct Inner {
    objects: Objects,
    manifest: Arc<dyn ManifestClient>,
    cluster: String,
    plans: Mutex<Plans>,
    readers: Readers,
}

impl Remote {
    /// A reader whose caches are empty.
    #[must_use]
    pub fn new(parts: RemoteParts) -> Self {
        let RemoteParts { objects, manifest, cluster, plan_bytes_max, .. } = parts;
        let readers = Readers::new(parts.read_ahead_max.0, parts.cache_bytes.0);
        let plans = Mutex::new(Lru::new(plan_bytes_max.0));
        Self(Arc::new(Inner { objects, manifest, cluster, plans, readers }))
    }

    /// Runs from the one that holds `from` on, as the manifest knows them now.
    pub(super) async fn plan(
        &self,
        tp: TopicPartition,
        from: Offset,
    ) -> Result<Vec<PlannedRun>, Error> {
        Ok(self.0.manifest.plan(tp, from, RUNS_PLANNED).await?.runs)
    }

    pub(super) async fn plan_timestamp(
        &self,
        tp: TopicPartition,
        at: Timestamp,
    ) -> Result<Option<PlannedRun>, Error> {
        Ok(self.0.manifest.plan_timestamp(tp, at).await?)
    }

    pub(super) async fn plan_max_timestamp(
        &self,
        tp: TopicPartition,
    ) -> Result<Option<PlannedRun>, Error> {
        Ok(self.0.manifest.plan_max_timestamp(tp).await?)
    }

    /// A range of a slot, as shared slices.
    pub(super) async fn slot_range(
        &self,
        chain: ChainId,
        slot: SlotId,
        range: Range<u64>,
    ) -> Result<Pieces, Error> {
        let key = keys::slot(&self.0.cluster, chain, slot);
        Ok(Pieces::new(self.0.objects.range(&key, range).await?))
    }

    /// The bytes of a whole run.
    pub(super) async fn run(&self, planned: &PlannedRun) -> Result<Bytes, Error> {
        let PlannedRun { chain, slot, run } = *planned;
        let range = run.position..run.position + run.bytes;
        Ok(self.slot_range(chain, slot, range).await?.whole())
    }

    /// Begins to fetch what a read with these bounds will want, and does not wait for it.
    pub(super) async fn warm(&self, tp: TopicPartition, offset: Offset, bytes: usize) {
        // Whatever is wrong is told by the read itself.
        if let Ok(runs) = self.planned(tp, offset, RUNS_PLANNED).await {
            self.begin(&runs, offset, None, bytes);
        }
    }

    /// Reads batches of `tp` from the store, up to the end of what the manifest knows.
    pub(super) async fn read(
        &self,
        tp: TopicPartition,
        bounds: ReadBounds,
        end: Offset,
    ) -> Result<Vec<Bytes>, Error> {
        match self.read_planned(tp, bounds, end).await {
            Err(error) if may_be_stale(&error) => {
                self.plans().remove_between(&(tp, Offset(i64::MIN)), &(tp, Offset(i64::MAX)));
                self.read_planned(tp, bounds, end).await
            }
            read => read,
        }
    }

    async fn read_planned(
        &self,
        tp: TopicPartition,
        bounds: ReadBounds,
        end: Offset,
    ) -> Result<Vec<Bytes>, Error> {
        let reader = self.0.readers.resume(tp, bounds.offset);
        let runs_max = if reader.is_some() { RUNS_PLANNED_AHEAD } else { RUNS_PLANNED };
        let mut reading = Reading {
            remote: self,
            tp,
            left: bounds,
            end,
            at: reader.as_ref().and_then(|reader| reader.at),
            slices: Vec::new(),
        };
        while reading.wants_more() {
            let runs = self.planned(tp, reading.left.offset, runs_max).await;
            let more = match runs {
                Ok(runs) if runs.is_empty() => Ok(false),
                Ok(runs) => reading.runs(&runs).await,
                Err(error) => Err(error),
            };
            match more {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) if reading.slices.is_empty() => return Err(error),
                // What was read is good; the next read meets the fault again.
                Err(_) => break,
            }
        }
        let Reading { left, at, slices, .. } = reading;
        let bytes: usize = slices.iter().map(Bytes::len).sum();
        let order = self.0.readers.went_on((tp, left.offset), reader, at, bytes as u64);
        if let Some(order) = order {
            task::spawn("log-read-ahead", self.clone().read_ahead(tp, order));
        }
        Ok(slices)
    }

    /// Begins to fetch the runs from the ordered offset on.
    async fn read_ahead(self, tp: TopicPartition, order: Order) {
        let (mut at, mut bytes) = (order.from, 0);
        while bytes < order.bytes {
            let Ok(runs) = self.planned(tp, at, RUNS_PLANNED_AHEAD).await else { break };
            if runs.is_empty() {
                break;
            }
            for planned in runs.iter() {
                let PlannedRun { chain, slot, run } = *planned;
                let key = keys::slot(&self.0.cluster, chain, slot);
                let range = run.position..run.position + run.bytes;
                if bytes >= order.bytes || !self.0.objects.read_ahead(&key, range) {
                    return order.done(at, bytes);
                }
                (at, bytes) = (run.end_offset, bytes + run.bytes);
            }
        }
        order.done(at, bytes);
    }

    /// Runs from the one that holds `from` on; empty above what the manifest knows.
    async fn planned(
        &self,
        tp: TopicPartition,
        from: Offset,
        runs_max: usize,
    ) -> Result<Arc<[PlannedRun]>, Error> {
        if let Some(kept) = self.kept_plan(tp, from) {
            return Ok(kept);
        }
        let plan = self.0.manifest.plan(tp, from, runs_max).await?;
        let runs: Arc<[PlannedRun]> = plan.runs.into();
        if let Some(first) = runs.first() {
            let weight = size_of_val(&*runs) as u64;
            self.plans().insert((tp, first.run.base_offset), Arc::clone(&runs), weight);
        }
        Ok(runs)
    }

    fn kept_plan(&self, tp: TopicPartition, from: Offset) -> Option<Arc<[PlannedRun]>> {
        let mut plans = self.plans();
        let (_, runs) = plans.floor(&(tp, from), |(of, _), runs| {
            *of == tp && runs.last().is_some_and(|last| last.run.end_offset > from)
        })?;
        let skipped = runs.partition_point(|planned| planned.run.end_offset <= from);
        Some(if skipped == 0 { Arc::clone(runs) } else { Arc::from(&runs[skipped..]) })
    }

    /// Begins to fetch, side by side, what a read of `bytes` from `offset` on will want of `runs`.
    fn begin(&self, runs: &[PlannedRun], offset: Offset, at: Option<Place>, bytes: usize) {
        let mut wanted = bytes as u64;
        for (number, planned) in runs.iter().take(RUNS_AT_ONCE).enumerate() {
            let at = at.filter(|_| number == 0);
            let range = first_range(planned, offset, at, wanted);
            wanted = wanted.saturating_sub(range.end - range.start);
            self.0.objects.begin(&keys::slot(&self.0.cluster, planned.chain, planned.slot), range);
            if wanted == 0 {
                return;
            }
        }
    }

    fn plans(&self) -> MutexGuard<'_, Plans> {
        self.0.plans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One read on its way.
struct Reading<'a> {
    remote: &'a Remote,
    tp: TopicPartition,
    left: ReadBounds,
    end: Offset,
    /// Where the batch at `left.offset` begins, if that is known.
    at: Option<Place>,
    slices: Vec<Bytes>,
}

impl Reading<'_> {
    fn wants_more(&self) -> bool {
        self.left.offset < self.end && (self.left.bytes_max > 0 || self.left.at_least_one)
    }

    /// Reads a plan's runs; false: the read is over.
    async fn runs(&mut self, runs: &[PlannedRun]) -> Result<bool, Error> {
        self.remote.begin(runs, self.left.offset, self.at, self.left.bytes_max);
        for planned in runs {
            if !self.wants_more() || !self.run(planned).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads one run; false: a batch did not fit. A smaller one of the next run would leave a gap before it.
    async fn run(&mut self, planned: &PlannedRun) -> Result<bool, Error> {
        let PlannedRun { chain, slot, run } = *planned;
        let run_end = run.position + run.bytes;
        let mut range =
            first_range(planned, self.left.offset, self.at.take(), self.left.bytes_max as u64);
        loop {
            let start = range.start;
            let expected = range.end - start;
            let pieces = self.remote.slot_range(chain, slot, range).await?;
            if (pieces.len() as u64) < expected {
                return Err(self.damaged(planned));
            }
            let bounds = (&mut self.left, self.end);
            let walked = walk(&pieces, (start, run_end), bounds, &mut self.slices);
            match walked.map_err(|Damaged| self.damaged(planned))? {
                Walked::Run if self.left.offset < run.end_offset => {
                    return Err(self.damaged(planned));
                }
                Walked::Run => {
                    self.at = None;
                    return Ok(true);
                }
                Walked::Full { at } => {
                    self.at = Some(Place { chain, slot, position: at });
                    return Ok(false);
                }
                Walked::More { at, needed } => {
                    let more = needed.max(self.left.bytes_max as u64);
                    range = at..run_end.min(at.saturating_add(more));
                    if range.end - at < needed {
                        return Err(self.damaged(planned));
                    }
                }
            }
        }
    }

    /// What is cached of the object goes: the fault may lie in the copy.
    fn damaged(&self, planned: &PlannedRun) -> Error {
        let remote = &self.remote.0;
        remote.objects.forget(&keys::slot(&remote.cluster, planned.chain, planned.slot));
        Error::Corrupt { tp: self.tp, offset: self.left.offset }
    }
}

/// What to fetch of a run first: from where the batch is known to begin as much as is wanted; all of it, if the batch has
/// yet to be found inside.
fn first_range(planned: &PlannedRun, offset: Offset, at: Option<Place>, wanted: u64) -> Range<u64> {
    let PlannedRun { chain, slot, run } = *planned;
    let run_end = run.position + run.bytes;
    let inside = run.position..run_end;
    let known =
        at.filter(|at| at.chain == chain && at.slot == slot && inside.contains(&at.position));
    match known {
        None if offset > run.base_offset => inside,
        known => {
            let from = known.map_or(run.position, |at| at.position);
            // A header at least, or there is nothing to go by.
            let wanted = wanted.max(HEADER_BYTES as u64);
            from..run_end.min(from.saturating_add(wanted))
        }
    }
}

/// Whether the plan may be older than the objects, or the copy of them bad.
fn may_be_stale(error: &Error) -> bool {
    matches!(
        error,
        Error::Object(object::Error::NotFound { .. } | object::Error::OutOfRange { .. })
            | Error::Corrupt { .. }
    )
}
