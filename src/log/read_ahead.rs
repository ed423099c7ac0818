//! Recognises readers that go through a log in order, and how far ahead of each the store is read.
//!
//! A reader is known by where it will read next. Each time that it does come back there its window doubles, from
//! [`WINDOW_BYTES_MIN`] up to the setting, or up to its share of half the cache: what is read ahead must still be there when
//! its reader comes. Owns no bytes (`cache`) and starts no reads (`remote`).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::base::ids::{ChainId, SlotId, TopicPartition};
use crate::base::offset::Offset;
use crate::cache::Lru;

/// The first window.
const WINDOW_BYTES_MIN: u64 = 1 << 20;
/// Readers remembered; one that is forgotten starts again with a small window.
const READERS_MAX: u64 = 4096;
/// A reader that was not seen for so long leaves its share to the others.
const ACTIVE_WITHIN: Duration = Duration::from_secs(10);

/// A place between two batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) chain: ChainId,
    pub(super) slot: SlotId,
    pub(super) position: u64,
}

/// A reader as far as it has come.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    /// Where the next batch begins, if that is in the store.
    pub(super) at: Option<Place>,
    window: u64,
    ahead: Arc<Mutex<Ahead>>,
    seen: Instant,
}

/// What was begun for a reader that it has not come for yet.
#[derive(Debug, Default)]
struct Ahead {
    to: Offset,
    bytes: u64,
    /// Somebody is beginning more.
    busy: bool,
}

/// The order to begin reading ahead.
#[derive(Debug)]
pub(super) struct Order {
    /// From here on.
    pub(super) from: Offset,
    /// About so many bytes.
    pub(super) bytes: u64,
    ahead: Arc<Mutex<Ahead>>,
}

impl Order {
    /// It was begun up to `to`, at a cost of `bytes`.
    pub(super) fn done(self, to: Offset, bytes: u64) {
        let mut ahead = lock(&self.ahead);
        ahead.to = ahead.to.max(to);
        ahead.bytes += bytes;
    }
}

impl Drop for Order {
    fn drop(&mut self) {
        lock(&self.ahead).busy = false;
    }
}

/// The readers of all partitions.
#[derive(Debug)]
pub(super) struct Readers {
    known: Mutex<Lru<(TopicPartition, Offset), Reader>>,
    window_max: u64,
    /// What all windows may have together.
    share: u64,
}

impl Readers {
    /// Windows of up to `window_max` bytes each (0: none), and of half of `cache_bytes` together.
    pub(super) fn new(window_max: u64, cache_bytes: u64) -> Self {
        Self { known: Mutex::new(Lru::new(READERS_MAX)), window_max, share: cache_bytes / 2 }
    }

    /// The reader that is expected at `offset`.
    pub(super) fn resume(&self, tp: TopicPartition, offset: Offset) -> Option<Reader> {
        lock(&self.known).remove(&(tp, offset))
    }

    /// Notes that a reader went on to `next`, having taken `bytes`. Gives an order if it is time to read further ahead.
    pub(super) fn went_on(
        &self,
        (tp, next): (TopicPartition, Offset),
        resumed: Option<Reader>,
        at: Option<Place>,
        bytes: u64,
    ) -> Option<Order> {
        let now = Instant::now();
        let mut known = lock(&self.known);
        let Some(mut reader) = resumed else {
            let reader = Reader { at, window: 0, ahead: Arc::default(), seen: now };
            known.insert((tp, next), reader, 1);
            return None;
        };
        let order = reader.order(next, bytes, || {
            let active = known.values().filter(|one| now - one.seen < ACTIVE_WITHIN).count();
            self.window_max.min(self.share / (active as u64 + 1))
        });
        (reader.at, reader.seen) = (at, now);
        known.insert((tp, next), reader, 1);
        order
    }
}

impl Reader {
    fn order(
        &mut self,
        next: Offset,
        bytes: u64,
        window_max: impl FnOnce() -> u64,
    ) -> Option<Order> {
        let mut ahead = lock(&self.ahead);
        ahead.bytes = if ahead.to > next { ahead.bytes.saturating_sub(bytes) } else { 0 };
        if ahead.busy || ahead.bytes > self.window / 2 {
            return None;
        }
        self.window = (self.window * 2).max(WINDOW_BYTES_MIN).min(window_max());
        let bytes = self.window.saturating_sub(ahead.bytes);
        if bytes == 0 {
            return None;
        }
        ahead.busy = true;
        let from = ahead.to.max(next);
        Some(Order { from, bytes, ahead: Arc::clone(&self.ahead) })
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::TopicId;

    const TP: TopicPartition = TopicPartition { topic: TopicId(uuid::Uuid::nil()), partition: 0 };

    /// The windows ordered while a reader takes steps of 1 MiB, everything ordered being done.
    fn windows(readers: &Readers, steps: i64) -> Vec<u64> {
        let mib = 1 << 20;
        let mut windows = Vec::new();
        for step in 0..steps {
            let resumed = readers.resume(TP, Offset(step));
            let order = readers.went_on((TP, Offset(step + 1)), resumed, None, mib);
            if let Some(order) = order {
                let bytes = order.bytes;
                let to = Offset(order.from.0 + i64::try_from(bytes / mib).expect("small"));
                windows.push(bytes / mib);
                order.done(to, bytes);
            }
        }
        windows
    }

    #[tokio::test]
    async fn a_window_doubles_while_its_reader_comes_back() {
        let readers = Readers::new(8 << 20, 1 << 30);
        let windows = windows(&readers, 20);
        assert_eq!(windows[..3], [1, 2, 3], "one, then two and four less what is left");
        assert!(windows[3..].iter().all(|window| (4..=8).contains(window)), "{windows:?}");
    }

    #[tokio::test]
    async fn readers_share_half_the_cache() {
        let readers = Readers::new(32 << 20, 16 << 20);
        assert!(windows(&readers, 20).iter().all(|window| *window <= 8));
    }

    #[tokio::test]
    async fn somebody_who_reads_here_and_there_gets_no_window() {
        let readers = Readers::new(32 << 20, 1 << 30);
        for offset in [5, 100, 7, 300] {
            let resumed = readers.resume(TP, Offset(offset));
            assert!(resumed.is_none());
            let next = (TP, Offset(offset + 1));
            assert!(readers.went_on(next, resumed, None, 1 << 20).is_none());
        }
    }

    #[tokio::test]
    async fn a_window_of_none_reads_nothing_ahead() {
        assert!(windows(&Readers::new(0, 1 << 30), 10).is_empty());
    }
}
