//! The time that SlateDB sees: it never goes back, not even from one process to the next.
//!
//! SlateDB refuses a write before the last write, a flushed table older than the newest one, and a compaction older than
//! the newest one: its collector reads the time out of objects' names. A wall clock that went back between two starts
//! would shut the coordinator out until it has caught up. So the newest time that the database holds is read first, and
//! the clock stands still there until wall time has passed it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use slatedb::Db;
use slatedb::admin::Admin;
use slatedb_common::{SystemClock, SystemClockTicker};
use tokio::time::Instant;

use super::codec;
use super::store::{Options, StoreError};
use crate::base::clock::{SharedClock, Timestamp, sleep};

/// Wall time at the opening, then tokio's clock: it stands still when tokio's is paused.
#[derive(Debug)]
pub(super) struct Clock {
    opened_at: chrono::DateTime<chrono::Utc>,
    opened: Instant,
    never_before: AtomicI64,
}

impl Clock {
    pub(super) fn starting(wall: &SharedClock) -> Self {
        let opened_at = chrono::DateTime::from_timestamp_millis(wall.now().0).unwrap_or_default();
        Self { opened_at, opened: Instant::now(), never_before: AtomicI64::new(i64::MIN) }
    }

    /// Shows no time before `least` from now on, nor before what it was told earlier.
    pub(super) fn never_before(&self, least: Timestamp) {
        self.never_before.fetch_max(least.0, Ordering::Relaxed);
    }

    /// How far it is ahead of wall time.
    pub(super) fn ahead(&self) -> Duration {
        let ahead = self.now().signed_duration_since(self.wall());
        ahead.to_std().unwrap_or_default()
    }

    fn wall(&self) -> chrono::DateTime<chrono::Utc> {
        self.opened_at + self.opened.elapsed()
    }
}

impl SystemClock for Clock {
    fn now(&self) -> chrono::DateTime<chrono::Utc> {
        let least = self.never_before.load(Ordering::Relaxed);
        let least = chrono::DateTime::from_timestamp_millis(least).unwrap_or_default();
        self.wall().max(least)
    }

    fn sleep<'a>(&'a self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(sleep(duration))
    }

    fn ticker<'a>(&'a self, duration: Duration) -> SystemClockTicker<'a> {
        SystemClockTicker::new(self, duration)
    }
}

/// The newest time in the name of a table or of a compaction. Writes nothing.
pub(super) async fn newest_object(options: &Options) -> Result<Timestamp, StoreError> {
    let admin = Admin::builder(options.path.clone(), Arc::clone(&options.raw))
        .with_system_clock(Arc::new(Clock::starting(&options.clock)))
        .with_seed(options.rng.u64())
        .build();
    let Some(manifest) = admin.read_manifest(None).await? else { return Ok(Timestamp::NONE) };
    let tables = manifest.all_sst_views().flat_map(|view| [view.id, view.sst.id.value()]);
    // With every table compacted away this alone keeps the time of the newest.
    let gone = [manifest.last_compacted_l0_sst_view_id(), manifest.last_compacted_l0_sst_id()];
    let compactions = admin.read_compactions(None).await?;
    let compactions = compactions.iter().flat_map(|compactions| compactions.recent_compactions());
    let compacted = compactions.flat_map(|compaction| {
        let outputs = compaction.output_ssts().into_iter().map(|table| table.id.value());
        outputs.chain([compaction.id()])
    });
    let named = tables.chain(gone.into_iter().flatten()).chain(compacted);
    let newest = named.map(|name| i64::try_from(name.timestamp_ms()).unwrap_or(i64::MAX)).max();
    let newest = newest.unwrap_or(Timestamp::NONE.0).max(manifest.last_l0_clock_tick());
    Ok(Timestamp(newest))
}

/// When the last batch was written, by the clock of who wrote it.
pub(super) async fn last_write(db: &Db) -> Result<Timestamp, StoreError> {
    let flushed = db.manifest().last_l0_clock_tick();
    let meta = db.get_key_value(codec::META).await?;
    Ok(Timestamp(meta.map_or(flushed, |meta| meta.create_ts.max(flushed))))
}
