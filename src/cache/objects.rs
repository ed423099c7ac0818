//! Pieces of objects, read through: what is missing is fetched once for all who want it, what is there is shared.
//!
//! Owns which pieces are here and which are on their way. Pieces of one object never overlap. A fetch is a task of its own:
//! a reader that goes away leaves it to the others. Does not own tries and hedges (`object::retry`).

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::lru::Lru;
use super::metrics::Metrics;
use crate::base::task;
use crate::base::units::ByteSize;
use crate::base::watch;
use crate::object::retry::Getter;
use crate::object::{Error, Key};
use crate::telemetry::Registry;

/// A fetch is widened to blocks of this size: the neighbours in a slot are partitions of the same topic, which the same
/// consumers read.
pub(crate) const BLOCK_BYTES: u64 = 512 << 10;
/// The most that one fetch asks for: more goes in several, side by side.
const FETCH_BYTES_MAX: u64 = 4 << 20;
/// Budgets are kept in units of this size.
const UNIT_BYTES: u64 = 64 << 10;
/// The least that may be on its way for readers that wait, so that the smallest cache still works.
const DEMAND_BYTES_MIN: u64 = 16 << 20;

/// How large the cache may grow and how long its reads may take.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The most bytes kept. As much as half of it again may be on its way.
    pub bytes_max: ByteSize,
    /// How long a reader waits for the store.
    pub within: Duration,
}

/// A cache of pieces of objects. Clones share it.
#[derive(Clone)]
pub struct Objects(Arc<Shared>);

struct Shared {
    getter: Getter,
    within: Duration,
    state: Mutex<State>,
    /// Bytes on their way for readers that wait.
    demand: Arc<Semaphore>,
    /// Bytes on their way for nobody yet.
    ahead: Arc<Semaphore>,
    metrics: Metrics,
}

/// An object and a position in it.
type Place = (Key, u64);

struct State {
    here: Lru<Place, Piece>,
    coming: BTreeMap<Place, Coming>,
}

#[derive(Clone)]
struct Piece {
    end: u64,
    bytes: Bytes,
}

#[derive(Clone)]
struct Coming {
    end: u64,
    done: watch::Receiver<Option<Result<Bytes, Error>>>,
}

/// Where a part of what is wanted is.
enum Part {
    Here { start: u64, piece: Piece },
    Coming { start: u64, coming: Coming },
}

/// Whose budget a fetch is on.
enum Budget {
    Demand,
    Ahead(OwnedSemaphorePermit),
}

impl std::fmt::Debug for Objects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Objects").finish_non_exhaustive()
    }
}

impl Objects {
    /// An empty cache that reads by `getter`.
    #[must_use]
    pub fn new(getter: Getter, options: Options, registry: &Registry) -> Self {
        let bytes_max = options.bytes_max.0;
        let state = State { here: Lru::new(bytes_max), coming: BTreeMap::new() };
        let budget = |bytes: u64| Arc::new(Semaphore::new(units(bytes) as usize));
        Self(Arc::new(Shared {
            getter,
            within: options.within,
            state: Mutex::new(state),
            demand: budget((bytes_max / 4).max(DEMAND_BYTES_MIN)),
            ahead: budget(bytes_max / 4),
            metrics: Metrics::new(registry),
        }))
    }

    /// The bytes of a range, as shared slices in order; those past the object's end are left out. Waits at most the time
    /// that the options give.
    ///
    /// # Errors
    /// Those of the store, after retries.
    pub async fn range(&self, key: &Key, range: Range<u64>) -> Result<Vec<Bytes>, Error> {
        let within = self.0.within;
        let read = async {
            match self.resolve(key, range.clone()).await {
                // What was on its way for others may have begun long ago: once more, with all of our own time.
                Err(error) if error.is_retriable() => self.resolve(key, range.clone()).await,
                read => read,
            }
        };
        let read = tokio::time::timeout(within, read).await;
        let slices = read.unwrap_or_else(|_| Err(Error::timed_out(key, within)))?;
        let bytes: usize = slices.iter().map(Bytes::len).sum();
        self.0.metrics.served_bytes.inc_by(bytes as u64);
        Ok(slices)
    }

    /// Begins to fetch what is missing of a range for a reader who will come for it at once.
    pub fn begin(&self, key: &Key, range: Range<u64>) {
        self.parts(key, range);
    }

    /// Begins to fetch what is missing of a range for a reader who may come for it. False: the budget of read-ahead is
    /// used up, and nothing more was begun.
    pub fn read_ahead(&self, key: &Key, range: Range<u64>) -> bool {
        let mut state = self.0.state();
        for gap in state.gaps(key, range) {
            let permits = units(gap.end - gap.start);
            let Ok(permit) = Arc::clone(&self.0.ahead).try_acquire_many_owned(permits) else {
                return false;
            };
            self.0.metrics.ahead.inc();
            self.fetch(&mut state, key, gap, Budget::Ahead(permit));
        }
        true
    }

    /// Forgets what is kept of an object: it was not what it should be.
    pub fn forget(&self, key: &Key) {
        let mut state = self.0.state();
        state.here.remove_between(&(key.clone(), 0), &(key.clone(), u64::MAX));
        self.0.note_bytes(&state);
    }

    /// The bytes that are kept.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.state().here.weight()
    }

    async fn resolve(&self, key: &Key, range: Range<u64>) -> Result<Vec<Bytes>, Error> {
        let mut slices = Vec::new();
        for part in self.parts(key, range.clone()) {
            let (start, end, bytes) = match part {
                Part::Here { start, piece } => (start, piece.end, piece.bytes),
                Part::Coming { start, mut coming } => {
                    let done = coming.done.wait_for(Option::is_some).await;
                    let done = done.ok().and_then(|done| done.clone());
                    let bytes = done.unwrap_or_else(|| Err(Error::interrupted(key)))?;
                    (start, coming.end, bytes)
                }
            };
            let within = |at: u64| {
                let at = at.clamp(start, end) - start;
                usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len())
            };
            let slice = bytes.slice(within(range.start)..within(range.end));
            if !slice.is_empty() {
                slices.push(slice);
            }
        }
        Ok(slices)
    }

    /// The parts that cover a range, in order. What is missing is on its way when this returns.
    fn parts(&self, key: &Key, range: Range<u64>) -> Vec<Part> {
        let metrics = &self.0.metrics;
        let mut state = self.0.state();
        let missing = state.gaps(key, range.clone());
        for gap in &missing {
            metrics.loads.inc();
            self.fetch(&mut state, key, gap.clone(), Budget::Demand);
        }
        let mut parts = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let place = (key.clone(), at);
            if let Some((start, piece)) = state.kept(&place) {
                metrics.hits.inc();
                at = piece.end;
                parts.push(Part::Here { start, piece });
                continue;
            }
            let (start, coming) = state.on_its_way(&place).expect("every gap was begun");
            if !missing.iter().any(|gap| gap.start == start) {
                metrics.joins.inc();
            }
            at = coming.end;
            parts.push(Part::Coming { start, coming });
        }
        parts
    }

    fn fetch(&self, state: &mut State, key: &Key, range: Range<u64>, budget: Budget) {
        let (tell, done) = watch::channel(None);
        state.coming.insert((key.clone(), range.start), Coming { end: range.end, done });
        let (shared, key) = (Arc::clone(&self.0), key.clone());
        task::spawn("cache-fetch", async move {
            let permits = units(range.end - range.start);
            let _permit = match budget {
                Budget::Ahead(permit) => Some(permit),
                Budget::Demand => Arc::clone(&shared.demand).acquire_many_owned(permits).await.ok(),
            };
            let read = shared.getter.get_range(&key, range.clone(), shared.within).await;
            shared.arrived((key, range.start), range.end, &read);
            tell.send_replace(Some(read));
        });
    }
}

impl Shared {
    fn arrived(&self, place: Place, end: u64, read: &Result<Bytes, Error>) {
        let mut state = self.state();
        state.coming.remove(&place);
        if let Ok(bytes) = read {
            let piece = Piece { end, bytes: bytes.clone() };
            state.here.insert(place, piece, bytes.len() as u64);
            self.note_bytes(&state);
        }
    }

    fn note_bytes(&self, state: &State) {
        self.metrics.bytes.set(i64::try_from(state.here.weight()).unwrap_or(i64::MAX));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn kept(&mut self, place: &Place) -> Option<(u64, Piece)> {
        let covers = |found: &Place, piece: &Piece| found.0 == place.0 && piece.end > place.1;
        let (found, piece) = self.here.floor(place, covers)?;
        Some((found.1, piece.clone()))
    }

    fn on_its_way(&self, place: &Place) -> Option<(u64, Coming)> {
        let (found, coming) = self.coming.range(..=place).next_back()?;
        (found.0 == place.0 && coming.end > place.1).then(|| (found.1, coming.clone()))
    }

    /// What neither is here nor on its way, widened to whole blocks as far as the neighbours leave room, and cut.
    fn gaps(&mut self, key: &Key, range: Range<u64>) -> Vec<Range<u64>> {
        let mut gaps = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let place = (key.clone(), at);
            let known = self.kept(&place).map(|(_, piece)| piece.end);
            let known = known.or_else(|| self.on_its_way(&place).map(|(_, coming)| coming.end));
            if let Some(end) = known {
                at = end;
                continue;
            }
            let (floor, ceiling) = self.room(&place);
            let start = (at / BLOCK_BYTES * BLOCK_BYTES).max(floor);
            let end = range.end.div_ceil(BLOCK_BYTES).saturating_mul(BLOCK_BYTES).min(ceiling);
            gaps.extend(cut(start..end));
            at = end;
        }
        gaps
    }

    /// The end of the piece before a free place, and the start of the one behind it.
    fn room(&self, place: &Place) -> (u64, u64) {
        let same = |found: &&Place| found.0 == place.0;
        let before_here = self.here.below(place).filter(|(found, _)| same(found));
        let before_coming = self.coming.range(..place).next_back();
        let before_coming = before_coming.filter(|(found, _)| same(found));
        let floor = before_here.map_or(0, |(_, piece)| piece.end);
        let floor = floor.max(before_coming.map_or(0, |(_, coming)| coming.end));
        let after_here = self.here.ceiling(place).filter(same).map_or(u64::MAX, |found| found.1);
        let after_coming = self.coming.range(place..).next().map(|(found, _)| found);
        let after_coming = after_coming.filter(same).map_or(u64::MAX, |found| found.1);
        (floor, after_here.min(after_coming))
    }
}

/// Cuts a range at whole multiples of [`FETCH_BYTES_MAX`]: they are ends of blocks, so that no part begins behind what
/// was wanted, where the object may have ended.
fn cut(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let mut at = range.start;
    std::iter::from_fn(move || {
        let from = at;
        at = range.end.min((from / FETCH_BYTES_MAX + 1) * FETCH_BYTES_MAX);
        (from < range.end).then_some(from..at)
    })
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX).min(Semaphore::MAX_PERMITS as u32)
}
