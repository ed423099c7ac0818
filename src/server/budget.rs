//! The memory that requests may hold on their way in, and decoded until they are answered, over all connections.
//!
//! Only what has arrived counts, so a claimed length costs nothing. The first 2 MiB of a frame (`server::frames`), and
//! requests that decode to [`FREE_BYTES`] or less, are exempt, so that a few large requests never keep others out.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::base::units::ByteSize;

/// Requests that decode to so much need no permit.
pub(super) const FREE_BYTES: usize = 64 << 10;
/// The budget is kept in units of this size.
const UNIT_BYTES: usize = 4 << 10;
/// A connection that gets no memory for so long is closed: others hold it without progress.
const PATIENCE: Duration = Duration::from_secs(30);

/// A bound on the bytes of requests that are being received.
#[derive(Debug, Clone)]
pub struct RequestBudget {
    free: Arc<Semaphore>,
    units: usize,
}

/// Memory granted to one frame; dropping it gives the memory back.
#[derive(Debug, Default)]
pub(super) struct Granted(Option<OwnedSemaphorePermit>);

impl RequestBudget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(bytes: ByteSize) -> Self {
        let units = (bytes.as_usize() / UNIT_BYTES).clamp(1, Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(units)), units }
    }

    /// Grants `bytes` more to a frame; waits while there is none. False: none came in time, or there is not so much.
    pub(super) async fn grow(&self, granted: &mut Granted, bytes: usize) -> bool {
        let Some(units) = self.units_of(bytes) else { return false };
        let acquire = Arc::clone(&self.free).acquire_many_owned(units);
        let Ok(Ok(more)) = tokio::time::timeout(PATIENCE, acquire).await else { return false };
        granted.add(more);
        true
    }

    /// The same without waiting.
    pub(super) fn try_grow(&self, granted: &mut Granted, bytes: usize) -> bool {
        let Some(units) = self.units_of(bytes) else { return false };
        let acquired = Arc::clone(&self.free).try_acquire_many_owned(units);
        acquired.is_ok_and(|more| {
            granted.add(more);
            true
        })
    }

    /// None: more than there is.
    fn units_of(&self, bytes: usize) -> Option<u32> {
        let units = bytes.div_ceil(UNIT_BYTES);
        if units > self.units { None } else { u32::try_from(units).ok() }
    }
}

impl Granted {
    fn add(&mut self, more: OwnedSemaphorePermit) {
        match &mut self.0 {
            Some(permit) => permit.merge(more),
            none => *none = Some(more),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_memory_waits_for_it() {
        let budget = RequestBudget::new(ByteSize::mib(4));
        let mut first = Granted::default();
        assert!(budget.try_grow(&mut first, 3 * MIB));
        assert!(!budget.try_grow(&mut Granted::default(), 2 * MIB));
        let mut second = Granted::default();
        let (freed, grown) = tokio::join!(
            async {
                crate::base::clock::sleep(Duration::from_secs(1)).await;
                drop(first);
            },
            budget.grow(&mut second, 2 * MIB)
        );
        assert_eq!((freed, grown), ((), true));
        assert!(!budget.try_grow(&mut Granted::default(), 3 * MIB), "the second holds its own");
    }

    #[tokio::test(start_paused = true)]
    async fn memory_that_does_not_come_is_not_waited_for_without_end() {
        let budget = RequestBudget::new(ByteSize::mib(1));
        let mut held = Granted::default();
        assert!(budget.try_grow(&mut held, MIB));
        let begun = tokio::time::Instant::now();
        assert!(!budget.grow(&mut Granted::default(), 1).await);
        assert_eq!(begun.elapsed(), PATIENCE);
        assert!(!budget.grow(&mut Granted::default(), MIB + 1).await);
        assert_eq!(begun.elapsed(), PATIENCE, "what can never be had is refused at once");
    }
}
