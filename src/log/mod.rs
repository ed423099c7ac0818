//! The log: partitions that this broker leads, as plain state behind one short lock each.
//!
//! Assigning offsets and joining the open slot is one synchronous step under the partition's lock, so slot order is offset
//! order. The high watermark is not stored news but derived: the end of the last run whose slot is stable.
//!
//! Invariants (by the names of the simulator): OneSequencer, PrefixAck, NoDuplicate, NoReorder, ReadPrefix.

mod append;
mod checkpoint;
mod delayed_fetch;
mod leader_epochs;
mod led;
mod metrics;
mod offsets;
mod partition;
mod producer_state;
mod producers;
mod proofs;
mod read;
mod read_ahead;
mod rebuild;
mod registry;
mod remote;
mod runs;
mod settings;
mod txn_index;
mod verification;

pub use append::{Appended, MarkerAppended, Terms};
pub use delayed_fetch::Waiter;
pub use metrics::Metrics;
pub use offsets::{FoundOffset, Offsets};
pub use partition::{Partition, PartitionHandle};
pub use producer_state::{EndMarker, Origin, ProducerStates, Rejection};
pub use proofs::Proofs;
pub use read::{Isolation, Read, ReadBounds};
pub use rebuild::{Rebuilder, Rebuilt};
pub use registry::{Registry, RegistryParts};
pub use remote::{Remote, RemoteParts};
pub use settings::{TopicDefaults, TopicSettings};
pub use verification::VerificationGuard;

use crate::base::ids::{LeaderEpoch, SlotId, TopicPartition};
use crate::base::offset::Offset;
use crate::{manifest, object, wal};

/// What a partition can answer besides yes.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// We do not lead the partition (any more): nothing was written.
    #[error("partition {tp} is not led here")]
    NotLeader {
        /// The partition.
        tp: TopicPartition,
    },
    /// The caller knows another leader epoch than ours.
    #[error("partition {tp} is at leader epoch {current}, the request names {requested}")]
    EpochMismatch {
        /// The partition.
        tp: TopicPartition,
        /// Ours.
        current: LeaderEpoch,
        /// The caller's.
        requested: LeaderEpoch,
    },
    /// The idempotent producer's epoch or sequence does not fit: nothing was written.
    #[error("partition {tp}: {rejection}")]
    Rejected {
        /// The partition.
        tp: TopicPartition,
        /// Why.
        rejection: Rejection,
        /// The newest slot that the decision rests on: it must be stable before the answer (law 5).
        after: Option<SlotId>,
    },
    /// The offset lies outside of the log.
    #[error("offset {offset} of partition {tp} is not in {log_start}..={log_end}")]
    OffsetOutOfRange {
        /// The partition.
        tp: TopicPartition,
        /// What was asked for.
        offset: Offset,
        /// The first offset that is kept.
        log_start: Offset,
        /// The log end.
        log_end: Offset,
    },
    /// The chain said no, or ended.
    #[error(transparent)]
    Wal(#[from] wal::Error),
    /// The coordinator said no, or did not answer.
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
    /// Reading an object failed.
    #[error(transparent)]
    Object(#[from] object::Error),
    /// Bytes that were read back are not what was written.
    #[error("partition {tp} at offset {offset}: stored bytes are damaged")]
    Corrupt {
        /// The partition.
        tp: TopicPartition,
        /// Where.
        offset: Offset,
    },
}
