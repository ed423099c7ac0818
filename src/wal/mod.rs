//! The write-ahead chain of this process: slots written once, in parallel, acknowledged in order.
//!
//! [`Wal::join`] puts a batch into the open slot and returns at once; the [`Stable`] that it gives resolves when the slot
//! and every slot before it are stored. Nothing here knows partitions' state: `log` assigns offsets before it joins.
//!
//! Invariants: a slot's name is written at most once by us and never after the chain ended (laws 2, 4); an append is
//! acknowledged only after slots `0..=n` are stored (law 3, in `pending`); slot n is first sent only when n-64 is stable.

mod buffer;
mod chain;
mod commit;
mod fence;
mod handle;
mod metrics;
mod pending;
mod proof;
pub mod recover;
mod tail;
mod tail_index;
mod upload;
mod vigil;

pub use buffer::{Budget, Joining, is_shared};
pub use handle::{Parts, Progress, Settings, Wal};
pub use metrics::Metrics;
pub use pending::Stable;
pub use tail::{BodySource, TailSlot};
pub use tail_index::{TailIndex, TailRun};

use crate::base::ids::{ChainId, SlotId};

/// Why a chain ended. It never starts again: the process takes a new chain id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// A fence stands in a slot's name: another process took over.
    Fenced {
        /// The name that holds the fence.
        slot: SlotId,
    },
    /// Bytes that are neither ours nor a fence stand under our name: an alarm.
    Foreign {
        /// The name that holds them.
        slot: SlotId,
    },
    /// The store refused a put in a way that retrying cannot change.
    Refused {
        /// The slot that was refused.
        slot: SlotId,
    },
    /// The coordinator refused our commits: the chain is being fenced.
    CommitRefused,
    /// A write's durability is unknown after a failed fsync: the process must end.
    DurabilityLost,
    /// We closed it ourselves after everything in it was stable.
    Closed,
}

/// What can go wrong with an append.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The chain had ended before the batch joined it: nothing was written.
    #[error("chain {chain} has ended ({end:?})")]
    Ended {
        /// The chain.
        chain: ChainId,
        /// Why.
        end: End,
    },
    /// The chain ended with this slot's outcome unknown: the batch may be there.
    #[error("chain {chain} ended ({end:?}) before its slot {slot} was known to be stored")]
    Indeterminate {
        /// The chain.
        chain: ChainId,
        /// The slot that held the batch.
        slot: SlotId,
        /// Why.
        end: End,
    },
    /// The store did not answer in time; leadership is not proven.
    #[error("no proof that chain {chain} is open within {waited_ms} ms")]
    Unproven {
        /// The chain.
        chain: ChainId,
        /// How long we waited.
        waited_ms: u64,
    },
}

/// What an error means for the bytes of the append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// They are not in the log and will not be.
    NotWritten,
    /// They may be in the log.
    MaybeWritten,
}

impl Error {
    /// Whether the append may be in the log.
    #[must_use]
    pub fn fate(&self) -> Fate {
        match self {
            Self::Ended { .. } | Self::Unproven { .. } => Fate::NotWritten,
            Self::Indeterminate { .. } => Fate::MaybeWritten,
        }
    }
}

#[cfg(test)]
mod tests;
