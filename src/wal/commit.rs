//! Tells the manifest of stable slots, in order, in ranges; never in the path of an ack (law 1).
//!
//! The coordinator may be down: slots then gather here up to a cap in time and in bytes, after which admission stops. What
//! counts is all that is in memory of a slot until it is committed: its row, and the index by which `tail` has it read.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::End;
use super::handle::{Settings, Shared, Wal};
use crate::base::backoff::Backoff;
use crate::base::clock::sleep;
use crate::base::ids::{ChainId, SlotId};
use crate::base::watch;
use crate::manifest;
use crate::manifest::client::ROWS_MAX;
use crate::manifest::row::{CheckpointRow, ReleaseRow, RunRow, SlotRow};
use crate::object::Locality;
use crate::segment::SlotFooter;
use crate::segment::SlotIndex;
use crate::telemetry::Gauge;

/// How long a first row waits for others to share its commit, on a local store.
const GATHER_LOCAL: Duration = Duration::from_millis(100);
/// The same on a bucket, where a commit is a request that is paid for. A takeover looks at so much more of the chain.
const GATHER_BUCKET: Duration = Duration::from_secs(2);
/// So many rows wait for no more: a takeover stays short however fast slots come.
const GATHER_ROWS: usize = 128;

/// Stable slots that the manifest does not have yet.
#[derive(Debug)]
pub(super) struct Uncommitted {
    rows: Mutex<Rows>,
    committed: watch::Sender<u64>,
    arrived: Notify,
    /// Somebody waits for the commit of what is here.
    wanted: Notify,
    /// What is held for the waiting slots.
    bytes: AtomicU64,
}

#[derive(Debug, Default)]
struct Rows {
    waiting: VecDeque<Waiting>,
    oldest: Option<Instant>,
}

#[derive(Debug)]
struct Waiting {
    row: SlotRow,
    /// What it takes in memory, with its slot's index.
    bytes: u64,
}

impl Default for Uncommitted {
    fn default() -> Self {
        Self {
            rows: Mutex::default(),
            committed: watch::Sender::new(0),
            arrived: Notify::new(),
            wanted: Notify::new(),
            bytes: AtomicU64::new(0),
        }
    }
}

impl Uncommitted {
    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the next slot. Its index, of so many bytes, is held until it is committed.
    pub(super) fn push(&self, row: SlotRow, index_bytes: u64) {
        let bytes = memory_bytes(&row) + index_bytes;
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
        let mut rows = self.rows();
        rows.oldest.get_or_insert_with(Instant::now);
        rows.waiting.push_back(Waiting { row, bytes });
        let many = rows.waiting.len() >= GATHER_ROWS;
        drop(rows);
        self.arrived.notify_one();
        if many {
            self.wanted.notify_one();
        }
    }

    /// The number of committed slots.
    pub(super) fn committed(&self) -> u64 {
        *self.committed.borrow()
    }

    /// Waits until slots below `slots` are committed, which then waits for no more of them.
    pub(super) async fn drained(&self, slots: u64) {
        self.wanted.notify_one();
        let mut committed = self.committed.subscribe();
        // The sender lives as long as self, so this ends only by reaching it.
        let _ = committed.wait_for(|committed| *committed >= slots).await;
    }

    pub(super) fn has_room(&self, settings: &Settings) -> bool {
        self.bytes.load(Ordering::Acquire) < settings.uncommitted_bytes_max.0
            && self
                .rows()
                .oldest
                .is_none_or(|oldest| oldest.elapsed() < settings.uncommitted_age_max)
    }

    fn next_part(&self) -> Vec<SlotRow> {
        self.rows().waiting.iter().take(ROWS_MAX).map(|waiting| waiting.row.clone()).collect()
    }

    fn done(&self, part: &[SlotRow]) {
        let Some(last) = part.last() else { return };
        let mut rows = self.rows();
        let bytes: u64 = rows.waiting.drain(..part.len()).map(|done| done.bytes).sum();
        rows.oldest = (!rows.waiting.is_empty()).then(Instant::now);
        drop(rows);
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.committed.send_replace(last.slot.0 + 1);
    }

    /// Shows what is held.
    pub(super) fn show(&self, gauge: &Gauge) {
        let bytes = self.bytes.load(Ordering::Acquire);
        gauge.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
}

/// What a waiting row holds in memory.
fn memory_bytes(row: &SlotRow) -> u64 {
    let lists = size_of_val(&row.runs[..])
        + size_of_val(&row.checkpoints[..])
        + size_of_val(&row.releases[..]);
    (size_of::<SlotRow>() + lists) as u64
}

/// The manifest's row for a slot.
pub(super) fn row_of(slot: SlotId, index: &SlotIndex, bytes: u64, footer: &SlotFooter) -> SlotRow {
    let runs = index.runs.iter().map(|run| RunRow {
        tp: run.tp,
        leader_epoch: run.leader_epoch,
        base_offset: run.base_offset,
        end_offset: run.end_offset,
        position: run.position,
        bytes: run.bytes,
        max_timestamp: run.max_timestamp,
    });
    let checkpoints = index.checkpoint.iter().map(|checkpoint| CheckpointRow {
        tp: checkpoint.tp,
        leader_epoch: checkpoint.leader_epoch,
    });
    let releases = index.releases.iter().map(|release| ReleaseRow {
        tp: release.state.tp,
        leader_epoch: release.state.leader_epoch,
    });
    SlotRow {
        slot,
        bytes,
        index_position: footer.index_position,
        index_bytes: footer.index_bytes,
        runs: runs.collect(),
        checkpoints: checkpoints.collect(),
        releases: releases.collect(),
    }
}

/// Commits until the chain has ended and nothing is left, or the coordinator refuses.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut progress = shared.progress.subscribe();
    let gather = match shared.parts.store.locality() {
        Locality::Bucket => GATHER_BUCKET,
        Locality::Memory | Locality::Directory => GATHER_LOCAL,
    };
    loop {
        let part = shared.uncommitted.next_part();
        if !part.is_empty() {
            if !commit_part(&shared, shared.chain, part).await {
                return;
            }
            continue;
        }
        if shared.ended().is_some() {
            return;
        }
        let arrived = tokio::select! {
            biased;
            () = shared.uncommitted.arrived.notified() => true,
            _ = progress.wait_for(|progress| progress.ended.is_some()) => false,
        };
        if arrived && shared.ended().is_none() {
            tokio::select! {
                biased;
                () = shared.uncommitted.wanted.notified() => {}
                _ = progress.wait_for(|progress| progress.ended.is_some()) => {}
                () = sleep(gather) => {}
            }
        }
    }
}

/// Commits one part, trying again while the coordinator is away. False: it refused, or the chain ended meanwhile.
async fn commit_part(shared: &Shared, chain: ChainId, part: Vec<SlotRow>) -> bool {
    let mut backoff =
        Backoff::new(Duration::from_millis(50), Duration::from_secs(5), shared.parts.rng.clone());
    loop {
        match shared.parts.manifest.commit(chain, part.clone()).await {
            Ok(()) => {
                shared.uncommitted.done(&part);
                shared.tail.committed(shared.uncommitted.committed());
                shared.uncommitted.show(&shared.parts.metrics.uncommitted_bytes);
                Wal::wake_admission(shared);
                return true;
            }
            Err(manifest::Error::Unavailable) if shared.ended().is_none() => {
                sleep(backoff.next_delay()).await;
            }
            Err(error) => {
                tracing::warn!(%chain, %error, "commit refused");
                shared.end(End::CommitRefused);
                return false;
            }
        }
    }
}
