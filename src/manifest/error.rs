//! What a manifest call can answer besides yes, by what the caller does next.

use crate::base::ids::{BrokerId, ChainId, Incarnation, LeaderEpoch, SlotId, TopicPartition};
use crate::base::offset::Offset;

/// Whether a failed call may have taken effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It changed nothing.
    NotWritten,
    /// It may be, or become, durable. Every call is idempotent: try again.
    MaybeWritten,
}

/// Why a call to the manifest did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The chain is not open any more (or not known): irrevocable. Its owner ends it (law 4).
    #[error("chain {chain} is fenced")]
    Fenced {
        /// The chain.
        chain: ChainId,
    },
    /// Another process holds this broker's identity, or is the coordinator now: this process exits and never takes back.
    #[error("superseded by incarnation {successor} of broker {broker}")]
    Superseded {
        /// The node identity that was taken over.
        broker: BrokerId,
        /// Who took over; the nil UUID when it could not be read.
        successor: Incarnation,
    },
    /// No answer: the coordinator is down, far, loading, or its store does not answer. Try again with backoff.
    #[error("no answer from the coordinator")]
    Unavailable,
    /// The rows do not follow the chain's committed slots. Send those from `expected` first.
    #[error("chain {chain} continues at slot {expected}, not at slot {given}")]
    Gap {
        /// The chain.
        chain: ChainId,
        /// The next slot to commit.
        expected: SlotId,
        /// The first slot that was sent, or where the seal was asked for.
        given: SlotId,
    },
    /// The chain is open: it is recovered and sealed only after it was durably marked as fencing.
    #[error("chain {chain} is open and cannot be sealed")]
    StillOpen {
        /// The chain.
        chain: ChainId,
    },
    /// The chain is sealed at another slot than the one asked for: another recoverer was first, and its end holds.
    #[error("chain {chain} is already sealed at slot {sealed_at}")]
    AlreadySealed {
        /// The chain.
        chain: ChainId,
        /// Its end: the slot that holds the fence.
        sealed_at: SlotId,
    },
    /// Leases are granted only after every earlier chain of the broker is sealed; these are not.
    #[error("{} chains of the broker wait for recovery, first chain {first}", .chains)]
    NotSealed {
        /// How many.
        chains: usize,
        /// The lowest of them.
        first: ChainId,
    },
    /// No such partition, or its topic is being deleted.
    #[error("partition {tp} is unknown")]
    UnknownPartition {
        /// The partition.
        tp: TopicPartition,
    },
    /// The offset lies below `log_start_offset`.
    #[error("offset {offset} of partition {tp} is below log_start_offset {log_start}")]
    BelowLogStart {
        /// The partition.
        tp: TopicPartition,
        /// What was asked for.
        offset: Offset,
        /// What is kept.
        log_start: Offset,
    },
    /// A row contradicts the manifest. Rows before it were added, it and those after it were not; stop, keep everything,
    /// raise an alarm (law 8).
    #[error("chain {chain}, slot {slot}: {violation}")]
    Refused {
        /// The chain.
        chain: ChainId,
        /// The slot whose row was refused.
        slot: SlotId,
        /// What is wrong with it.
        violation: Violation,
    },
}

/// How a row contradicts the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The chain does not lead the partition in that epoch, or released it before this slot.
    #[error("a run of {tp} at leader epoch {epoch}, which the chain was not granted")]
    NotGranted {
        /// The partition.
        tp: TopicPartition,
        /// The run's epoch.
        epoch: LeaderEpoch,
    },
    /// A run, checkpoint or release of a partition that never existed.
    #[error("a run of {tp}, which is unknown")]
    UnknownPartition {
        /// The partition.
        tp: TopicPartition,
    },
    /// A run of no records, or one whose end lies before its base.
    #[error("a run of {tp} from offset {base} to {end}")]
    EmptyRun {
        /// The partition.
        tp: TopicPartition,
        /// Its base offset.
        base: Offset,
        /// Its end offset.
        end: Offset,
    },
    /// Two runs of one partition in one slot: runs are contiguous.
    #[error("two runs of {tp} in one slot")]
    Twice {
        /// The partition.
        tp: TopicPartition,
    },
    /// The rows of one call are not consecutive.
    #[error("rows out of order: slot {next} after slot {previous}")]
    OutOfOrder {
        /// The row before.
        previous: SlotId,
        /// The row that does not follow it.
        next: SlotId,
    },
    /// More rows in one call than [`super::client::ROWS_MAX`].
    #[error("{rows} rows in one call")]
    TooMany {
        /// How many.
        rows: usize,
    },
}

impl Error {
    /// Whether the call may have taken effect.
    #[must_use]
    pub fn fate(&self) -> Fate {
        match self {
            Self::Unavailable | Self::Superseded { .. } => Fate::MaybeWritten,
            Self::Fenced { .. }
            | Self::Gap { .. }
            | Self::StillOpen { .. }
            | Self::AlreadySealed { .. }
            | Self::NotSealed { .. }
            | Self::UnknownPartition { .. }
            | Self::BelowLogStart { .. }
            | Self::Refused { .. } => Fate::NotWritten,
        }
    }
}
