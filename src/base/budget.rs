//! A bound on bytes in memory, of which many hold parts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::units::ByteSize;

/// Parts are kept in units of this size.
const UNIT_BYTES: usize = 4 << 10;

/// What may be held at the same time. Clones share it.
#[derive(Debug, Clone)]
pub struct ByteBudget {
    free: Arc<Semaphore>,
    units: usize,
    waiting: Arc<AtomicUsize>,
}

/// A part of one budget; dropping it gives it back.
#[derive(Debug, Default)]
pub struct Held(Option<OwnedSemaphorePermit>);

/// One that waits, until this is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl ByteBudget {
    /// So many bytes, rounded down to units of 4 KiB, at least one.
    #[must_use]
    pub fn new(bytes: ByteSize) -> Self {
        let units = (bytes.as_usize() / UNIT_BYTES).clamp(1, Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(units)), units, waiting: Arc::default() }
    }

    /// Takes a part as soon as there is so much, in the order of the calls. None, at once: there never is. Cancel-safe.
    pub async fn take(&self, bytes: usize) -> Option<Held> {
        let units = self.units_of(bytes)?;
        if let Ok(permit) = Arc::clone(&self.free).try_acquire_many_owned(units) {
            return Some(Held(Some(permit)));
        }
        let _waiting = Waiting::new(&self.waiting);
        Arc::clone(&self.free).acquire_many_owned(units).await.ok().map(|permit| Held(Some(permit)))
    }

    /// The same without waiting.
    #[must_use]
    pub fn try_take(&self, bytes: usize) -> Option<Held> {
        let units = self.units_of(bytes)?;
        Arc::clone(&self.free).try_acquire_many_owned(units).ok().map(|permit| Held(Some(permit)))
    }

    /// How much nobody holds.
    #[must_use]
    pub fn free_bytes(&self) -> usize {
        self.free.available_permits() * UNIT_BYTES
    }

    /// All of it.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.units * UNIT_BYTES
    }

    /// Whether somebody waits for a part.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    fn units_of(&self, bytes: usize) -> Option<u32> {
        let units = bytes.div_ceil(UNIT_BYTES);
        if units > self.units { None } else { u32::try_from(units).ok() }
    }
}

impl Held {
    /// Adds another part of the same budget.
    pub fn add(&mut self, more: Self) {
        match (&mut self.0, more.0) {
            (Some(permit), Some(more)) => permit.merge(more),
            (none, more) => *none = none.take().or(more),
        }
    }

    /// Gives back what so many bytes do not need.
    pub fn keep(&mut self, bytes: usize) {
        if let Some(permit) = &mut self.0 {
            let needed = bytes.div_ceil(UNIT_BYTES);
            drop(permit.split(permit.num_permits().saturating_sub(needed)));
        }
    }
}

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn parts_are_bounded_kept_added_and_given_back() {
        let budget = ByteBudget::new(ByteSize::kib(64));
        let mut held = budget.try_take(40 << 10).expect("it is free");
        assert!(budget.try_take(30 << 10).is_none());
        held.add(budget.try_take(1).expect("a unit is free"));
        assert_eq!(budget.free_bytes(), 20 << 10);
        held.keep(4097);
        assert_eq!(budget.free_bytes(), 56 << 10, "two units are kept");
        drop(held);
        assert_eq!(budget.free_bytes(), budget.bytes());
        assert!(budget.take((64 << 10) + 1).now_or_never().expect("at once").is_none());
    }

    #[tokio::test]
    async fn it_is_wanted_while_one_waits() {
        let budget = ByteBudget::new(ByteSize::kib(64));
        let held = budget.try_take(64 << 10);
        let mut next = Box::pin(budget.take(1));
        assert!(!budget.is_wanted());
        assert!(next.as_mut().now_or_never().is_none() && budget.is_wanted());
        drop(held);
        assert!(next.await.is_some() && !budget.is_wanted());
        let _held = budget.try_take(64 << 10);
        assert!(budget.take(1).now_or_never().is_none() && !budget.is_wanted(), "it gave up");
    }
}
