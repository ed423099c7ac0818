//! Decides when a slot is stable, and releases everything that waited for it, in order.
//!
//! The only place where stored, stable and acknowledged meet. Does not own offset assignment (`log::append`) or the
//! retry of one put (`wal::upload`).
//! Invariant (PrefixAck): an append is acknowledged only after slots `0..=n` of its chain are stored.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::time::Instant;

use super::tail::TailSlot;
use super::{End, Error};
use crate::base::ids::{ChainId, SlotId};
use crate::base::watch;
use crate::manifest::row::SlotRow;

/// What became of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Pending,
    Stable,
    Ended(End),
}

/// Resolves when a slot is stable. Clones wait for the same slot; dropping one undoes nothing.
#[derive(Debug, Clone)]
pub struct Stable {
    pub(super) chain: ChainId,
    pub(super) slot: SlotId,
    /// None: it was stable already.
    pub(super) outcome: Option<watch::Receiver<Outcome>>,
}

impl Stable {
    /// The slot that this waits for.
    #[must_use]
    pub fn slot(&self) -> SlotId {
        self.slot
    }

    /// Waits until slots `0..=slot` are stored. Cancel-safe.
    ///
    /// # Errors
    /// [`Error::Indeterminate`]: the chain ended first; the batch may be in the log.
    pub async fn wait(mut self) -> Result<(), Error> {
        let Some(outcome) = &mut self.outcome else { return Ok(()) };
        let end = match outcome.wait_for(|outcome| *outcome != Outcome::Pending).await.as_deref() {
            Ok(Outcome::Stable) => return Ok(()),
            Ok(Outcome::Ended(end)) => *end,
            // The sender lives until it has sent, so a closed channel means that the chain's task is gone.
            Ok(Outcome::Pending) | Err(_) => End::Closed,
        };
        Err(Error::Indeterminate { chain: self.chain, slot: self.slot, end })
    }
}

/// A slot on its way to the store.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) slot: SlotId,
    /// When it was sent.
    pub(super) at: Instant,
    pub(super) outcome: watch::Sender<Outcome>,
    pub(super) tail: Arc<TailSlot>,
    pub(super) row: SlotRow,
    pub(super) stored: bool,
}

/// The slots that were sent and are not stable, in order.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// The number of stable slots: the next slot to become stable.
    stable: u64,
    sent: VecDeque<Sent>,
}

impl Pending {
    /// Takes a slot that is about to be sent: always the one after the last.
    pub(super) fn sent(&mut self, sent: Sent) {
        assert!(
            sent.slot.0 == self.stable + self.sent.len() as u64,
            "slot {} sent out of order, {} are stable and {} in flight",
            sent.slot,
            self.stable,
            self.sent.len()
        );
        self.sent.push_back(sent);
    }

    /// Slots sent and not yet stable.
    pub(super) fn in_flight(&self) -> usize {
        self.sent.len()
    }

    /// Notes that `slot` is stored, and gives the slots that became stable by it, in slot order.
    pub(super) fn stored(&mut self, slot: SlotId) -> Vec<Sent> {
        let place = usize::try_from(slot.0 - self.stable).expect("the window is small");
        self.sent[place].stored = true;
        let mut stable = Vec::new();
        while self.sent.front().is_some_and(|front| front.stored) {
            let front = self.sent.pop_front().expect("front was there");
            assert!(
                front.slot.0 == self.stable,
                "slot {} stable after {}",
                front.slot,
                self.stable
            );
            self.stable += 1;
            stable.push(front);
        }
        stable
    }

    /// The chain ended: nothing that is left will ever be acknowledged.
    pub(super) fn end(&mut self, end: End) {
        for sent in self.sent.drain(..) {
            sent.outcome.send_replace(Outcome::Ended(end));
        }
    }
}
