//! The memory that requests may hold on their way in, and decoded until they are answered, over all connections.
//!
//! Requests of up to 2 MiB, which are the ordinary ones, and larger ones have a budget each: who begins large requests and does
//! not end them keeps no ordinary one out. Requests below 16 KiB (`server::frames`), and what decodes to [`FREE_BYTES`] or
//! less, need neither: what they hold is bounded by `max.connections`, by 32 KiB for each of them.
//!
//! An ordinary request holds memory for all of its claimed length while it arrives, so that it never waits half-way; a larger
//! one for 2 MiB, and then for twice what has arrived. Who does not bring what memory was granted for, in time, is given up
//! where others wait for it.

use std::time::Duration;

use super::buffers;
use crate::base::budget::{ByteBudget, Held};
use crate::base::units::ByteSize;

/// Requests that decode to so much need no permit.
pub(super) const FREE_BYTES: usize = 16 << 10;
/// The largest request of ordinary size: librdkafka's and the Java client's batches have a megabyte at most.
pub(super) const ORDINARY_BYTES: usize = buffers::LARGEST;
/// A connection that gets no memory for a large request, or to decode one, for so long is closed: others hold it without
/// progress.
const PATIENCE: Duration = Duration::from_secs(30);

/// A bound on the bytes of requests that are being received or decoded, and of large ones until they are answered.
#[derive(Debug, Clone)]
pub struct RequestBudget {
    /// Requests beyond ordinary size, and many answers that wait (`server::allowance`).
    large: ByteBudget,
    /// Requests of ordinary size, and what any decodes to.
    ordinary: ByteBudget,
}

/// Memory granted to one frame; dropping it gives the memory back.
#[derive(Debug, Default)]
pub(super) struct Granted {
    large: Held,
    ordinary: Held,
}

impl RequestBudget {
    /// So many bytes for large requests, and half as much again, but 2 MiB at least, for ordinary ones.
    #[must_use]
    pub fn new(bytes: ByteSize) -> Self {
        let half = ByteSize(bytes.0 / 2).max(ByteSize::mib(2));
        Self { large: ByteBudget::new(bytes), ordinary: ByteBudget::new(half) }
    }

    /// Grants a frame of that length what it begins with: all of it, or as much as an ordinary one has. Waits while there is
    /// none, an ordinary one without end: whoever holds what it waits for has it soon taken away, or is itself not read while
    /// the store is away. None: none came in time, or there is not so much.
    pub(super) async fn begin(&self, length: usize) -> Option<Granted> {
        let mut granted = Granted::default();
        if length > ORDINARY_BYTES {
            let begun = self.grow(&mut granted, ORDINARY_BYTES).await;
            return begun.then_some(granted);
        }
        granted.ordinary = self.ordinary.take(length).await?;
        Some(granted)
    }

    /// Grants `bytes` more to a frame; waits while there is none. False: none came in time, or there is not so much.
    pub(super) async fn grow(&self, granted: &mut Granted, bytes: usize) -> bool {
        let more = within_patience(&self.large, bytes).await;
        more.map(|more| granted.large.add(more)).is_some()
    }

    /// The same without waiting.
    pub(super) fn try_grow(&self, granted: &mut Granted, bytes: usize) -> bool {
        self.large.try_take(bytes).map(|more| granted.large.add(more)).is_some()
    }

    /// Grants what a request that has arrived decodes to; waits while there is none. False: as for `grow`.
    pub(super) async fn decode(&self, granted: &mut Granted, bytes: usize) -> bool {
        let more = within_patience(&self.ordinary, bytes).await;
        more.map(|more| granted.ordinary.add(more)).is_some()
    }

    /// The same without waiting.
    pub(super) fn try_decode(&self, granted: &mut Granted, bytes: usize) -> bool {
        self.ordinary.try_take(bytes).map(|more| granted.ordinary.add(more)).is_some()
    }

    /// Whether others wait for the memory that a frame of that length has.
    pub(super) fn is_wanted(&self, length: usize) -> bool {
        if length > ORDINARY_BYTES { self.large.is_wanted() } else { self.ordinary.is_wanted() }
    }
}

impl Granted {
    /// The frame has arrived: an ordinary one is the log's to account for, or soon answered.
    pub(super) fn arrived(&mut self) {
        self.ordinary = Held::default();
    }
}

async fn within_patience(budget: &ByteBudget, bytes: usize) -> Option<Held> {
    tokio::time::timeout(PATIENCE, budget.take(bytes)).await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

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

    #[tokio::test(start_paused = true)]
    async fn large_requests_keep_no_ordinary_one_out() {
        let budget = RequestBudget::new(ByteSize::mib(4));
        let large = [budget.begin(90 * MIB).await, budget.begin(3 * MIB).await];
        assert!(large.iter().all(Option::is_some) && budget.begin(3 * MIB).await.is_none());
        let mut ordinary = budget.begin(2 * MIB).await.expect("they have memory of their own");
        assert!(budget.begin(20_000).now_or_never().is_none(), "which is bounded, too");
        ordinary.arrived();
        assert!(budget.begin(20_000).await.is_some());
    }
}
