//! The manifest's rows in SlateDB: log, checkpoint and writer fence, in the same bucket as the data.
//!
//! Owns how SlateDB is set up and what its errors mean. Each `Store::write` is one batch, atomic, and durable before it
//! answers. SlateDB admits one writer: opening fences the one before, whose next write answers [`StoreError::Fenced`].
//! Nothing above the manifest names SlateDB.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use slatedb::config::{
    CompactorOptions, DbReaderOptions, FlushOptions, FlushType, GarbageCollectorDirectoryOptions,
    GarbageCollectorOptions, ScanOptions, Settings,
};
use slatedb::{CloseReason, Db, DbIterator, DbReader, DbReaderMode, ErrorKind, WriteBatch};
use slatedb_common::SystemClock;

use super::clock::{self, Clock};
use super::codec;
use super::edit::{Broker, Term};
use super::load::{Loader, Unloadable};
use super::packed::Packed;
use super::state::{Changes, RowKey, State};
use crate::base::clock::SharedClock;
use crate::base::rng::Rng;
use crate::base::units::ByteSize;
use crate::object::{Locality, RawStore};

/// Younger objects are never collected: SlateDB's cutoffs are wall clocks, so this bounds the clock error that is borne.
const COLLECT_MIN_AGE: Duration = Duration::from_hours(24);

/// How far SlateDB's clock may run ahead of the objects' times before its collector is left off: half of its least age.
const CLOCK_AHEAD_MAX: Duration = Duration::from_hours(12);

/// How long a superseded writer that writes nothing may take to notice.
const FENCE_POLL: Duration = Duration::from_secs(5);

/// Bounds what a restart replays, and what rows that nobody will read before then hold in memory: the log since the last
/// flush of this much.
const MEMTABLE_BYTES: ByteSize = ByteSize::mib(1);

/// Tries of one call to the bucket: about 20 s with SlateDB's backoff. Past it the database closes itself.
const STORE_RETRIES_MAX: u32 = 24;

/// How the database is opened.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Where the objects are.
    pub(crate) raw: RawStore,
    /// The prefix of the database's objects.
    pub(crate) path: String,
    /// What kind of store it is.
    pub(crate) locality: Locality,
    /// The store honours If-Match: the collector guards what it deletes with boundary files.
    pub(crate) if_match: bool,
    /// Wall time; from the opening on it follows tokio's clock.
    pub(crate) clock: SharedClock,
    /// Seeds ids and jitter: each opening draws a seed of its own, or two would name their objects alike while the clock stands
    /// still.
    pub(crate) rng: Rng,
}

/// Why the manifest could not be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A later writer opened it.
    #[error("another coordinator opened the manifest")]
    Fenced,
    /// It closed itself, or the bucket does not answer. What was being written may be durable.
    #[error("the manifest's store failed")]
    Failed(#[source] Cause),
    /// The rows make no state.
    #[error("the manifest cannot be loaded")]
    Unloadable(#[from] Unloadable),
}

/// What SlateDB said.
#[derive(Debug)]
pub struct Cause(Box<slatedb::Error>);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Cause {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.0)
    }
}

impl From<slatedb::Error> for StoreError {
    fn from(error: slatedb::Error) -> Self {
        match error.kind() {
            ErrorKind::Closed(CloseReason::Fenced) => Self::Fenced,
            _ => Self::Failed(Cause(Box::new(error))),
        }
    }
}

/// The open database.
pub(crate) struct Store {
    db: Db,
    epoch: u64,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database, which fences every earlier writer, and loads the state.
    ///
    /// With `expected_epoch` it opens only if that was the last writer: the way back for one that lost its connection, as
    /// it must not fence a successor.
    ///
    /// # Errors
    /// `Fenced`: somebody else is or became the writer.
    pub(crate) async fn open(
        options: &Options,
        expected_epoch: Option<u64>,
    ) -> Result<(Self, State), StoreError> {
        let clock = Arc::new(Clock::starting(&options.clock));
        // Replaying the log already makes objects that carry the time.
        clock.never_before(clock::newest_object(options).await?);
        let mut db = build(options, &clock, expected_epoch, true).await?;
        clock.never_before(clock::last_write(&db).await?);
        let ahead = clock.ahead();
        if ahead > CLOCK_AHEAD_MAX {
            // Against the objects' own times the collector's cutoffs would lie in the future.
            tracing::warn!(
                ?ahead,
                "the clock went back since the last start: the manifest's collector stays off"
            );
            let epoch = db.manifest().writer_epoch();
            db.close().await?;
            db = build(options, &clock, Some(epoch), false).await?;
        }
        let epoch = db.manifest().writer_epoch();
        let rows = db.scan_with_options(.., &scan()).await?;
        let state = Box::pin(load(rows)).await?;
        Ok((Self { db, epoch }, state))
    }

    /// The writer's epoch, for opening again.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Writes the changed rows as `state` has them now. On `Ok` they are durable; on `Err` they may be.
    pub(crate) async fn write(&self, state: &State, changes: &Changes) -> Result<(), StoreError> {
        let mut rows = Packed::default();
        for (chain, row) in &changes.slots {
            let key = codec::key(&RowKey::Slot(*chain, row.slot));
            rows.push(&key, Some(&codec::slot_value(row)));
        }
        // Every write tells the time of the last one: the meta row is in each.
        for key in changes.rows.iter().chain([&RowKey::Meta]) {
            rows.push(&codec::key(key), codec::value(state, key).as_deref());
        }
        let mut batch = WriteBatch::new();
        for (key, value) in rows.into_rows() {
            match value {
                Some(value) => batch.put_bytes(key, value),
                None => batch.delete(key),
            }
        }
        let written = self.db.write(batch).await?;
        // The interval is off: the log is flushed here, once a batch, and nothing waits for a timer.
        self.db.flush_with_options(FlushOptions { flush_type: FlushType::Wal }).await?;
        Ok(written.await_durable().await?)
    }

    /// Resolves when the database has closed itself: it was fenced, or its store failed.
    pub(crate) async fn closed(&self) -> StoreError {
        let mut status = self.db.subscribe();
        loop {
            let reason = status.borrow_and_update().close_reason;
            match reason {
                Some(CloseReason::Fenced) => return StoreError::Fenced,
                Some(_) => return self.failure().await,
                None => {}
            }
            if status.changed().await.is_err() {
                return self.failure().await;
            }
        }
    }

    async fn failure(&self) -> StoreError {
        match self.db.flush().await {
            Err(error) => StoreError::from(error),
            Ok(()) => StoreError::Fenced, // It cannot be open: treat it as the graver of the two.
        }
    }

    /// Writes the tables of what is in memory, as the database does by itself when they are full.
    #[cfg(test)]
    pub(super) async fn flush(&self) -> Result<(), StoreError> {
        let whole = FlushOptions { flush_type: FlushType::MemTable };
        Ok(self.db.flush_with_options(whole).await?)
    }

    /// Closes the database; a clean close leaves little to replay.
    pub(crate) async fn close(self) {
        if let Err(error) = self.db.close().await {
            tracing::debug!(%error, "manifest closed after a failure");
        }
    }
}

/// Who holds the term, and that node's registration: readable for a coordinator that was fenced. Writes nothing.
pub(crate) async fn read_term(
    options: &Options,
) -> Result<Option<(Term, Option<Broker>)>, StoreError> {
    let reader = follow(options).await?;
    let unreadable = |key: &[u8]| {
        let key = key.to_vec();
        move |source| StoreError::Unloadable(Unloadable::Row { key, source })
    };
    let Some(meta) = reader.get(codec::META).await? else {
        return Ok(None);
    };
    let term = codec::read_meta(&meta).map_err(unreadable(codec::META))?.term;
    let key = codec::key(&RowKey::Broker(term.broker));
    let broker = match reader.get(&key).await? {
        Some(row) => Some(codec::read_broker(&row).map_err(unreadable(&key))?),
        None => None,
    };
    if let Err(error) = reader.close().await {
        tracing::debug!(%error, "manifest reader closed");
    }
    Ok(Some((term, broker)))
}

async fn build(
    options: &Options,
    clock: &Arc<Clock>,
    expected_epoch: Option<u64>,
    collects: bool,
) -> Result<Db, StoreError> {
    let mut settings = settings(options);
    if !collects {
        settings.garbage_collector_options = None;
    }
    let builder = Db::builder(options.path.clone(), Arc::clone(&options.raw))
        .with_settings(settings)
        .with_system_clock(Arc::clone(clock) as Arc<dyn SystemClock>)
        .with_db_cache_disabled()
        .with_seed(options.rng.u64());
    let builder = match expected_epoch {
        Some(epoch) => builder.with_expected_epoch(epoch),
        None => builder,
    };
    Ok(Box::pin(builder.build()).await?)
}

/// The state as the writer last made it durable, for inspectors. Writes nothing, so it fences nobody.
pub(crate) async fn read_state(options: &Options) -> Result<State, StoreError> {
    let reader = follow(options).await?;
    let state = load(reader.scan_with_options(.., &scan()).await?).await?;
    if let Err(error) = reader.close().await {
        tracing::debug!(%error, "manifest reader closed");
    }
    Ok(state)
}

/// A reader beside the writer. Any other mode than this would write.
async fn follow(options: &Options) -> Result<DbReader, StoreError> {
    let reader = DbReader::builder(options.path.clone(), Arc::clone(&options.raw))
        .with_reader_mode(DbReaderMode::FollowLatest)
        .with_options(DbReaderOptions::default())
        .with_system_clock(Arc::new(Clock::starting(&options.clock)))
        .with_db_cache_disabled()
        .with_seed(options.rng.u64());
    Ok(Box::pin(reader.build()).await?)
}

fn scan() -> ScanOptions {
    ScanOptions {
        read_ahead_bytes: ByteSize::mib(1).as_usize(),
        max_fetch_tasks: 4,
        ..ScanOptions::default()
    }
}

async fn load(mut rows: DbIterator) -> Result<State, StoreError> {
    let mut loader = Loader::default();
    while let Some(row) = rows.next().await? {
        loader.add(&row.key, &row.value)?;
    }
    Ok(loader.finish()?)
}

fn settings(options: &Options) -> Settings {
    let collect = GarbageCollectorDirectoryOptions {
        interval: Some(Duration::from_hours(1)),
        min_age: COLLECT_MIN_AGE,
        dry_run: false,
    };
    // A collected fence would let the writer that it stopped write again.
    let keep = GarbageCollectorDirectoryOptions { dry_run: true, ..collect };
    let collector = GarbageCollectorOptions {
        manifest_options: Some(collect),
        wal_options: Some(collect),
        wal_fence_options: Some(keep),
        compacted_options: Some(collect),
        compactions_options: Some(collect),
        detach_options: None,
        // In a directory the process's lock stands in for them.
        boundary_files_enabled: options.if_match && options.locality == Locality::Bucket,
        object_store_max_retries: Some(STORE_RETRIES_MAX),
        ..GarbageCollectorOptions::default()
    };
    Settings {
        flush_interval: None,
        manifest_poll_interval: FENCE_POLL,
        l0_sst_size_bytes: MEMTABLE_BYTES.as_usize(),
        max_unflushed_bytes: 16 * MEMTABLE_BYTES.as_usize(),
        compression_codec: None,
        object_store_max_retries: Some(STORE_RETRIES_MAX),
        compactor_options: Some(CompactorOptions::default()),
        garbage_collector_options: Some(collector),
        ..Settings::default()
    }
}
