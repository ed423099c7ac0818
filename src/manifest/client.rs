//! The seam to the coordinator for everything that stores, recovers, reads and deletes slots.
//!
//! Owns the calls' meaning; `coordinator` implements them in the process, a peer client will implement them remotely. No
//! caller may assume that the other side is local or up: every call can answer [`Error::Unavailable`] at any time, and the
//! ack of a produce never waits for one (law 1).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::error::Error;
use super::row::{RunRow, SlotRow};
use crate::base::clock::Timestamp;
use crate::base::ids::{BrokerId, ChainId, Incarnation, LeaderEpoch, SlotId, TopicPartition};
use crate::base::offset::Offset;

/// The most rows that one `commit` or `recovered` carries: one durable part (law 7).
pub const ROWS_MAX: usize = 64;

/// A process announces itself (architecture: Identity).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The node identity.
    pub broker: BrokerId,
    /// This process.
    pub incarnation: Incarnation,
    /// The last chain that this process ended, if any.
    pub ended: Option<ChainId>,
    /// Where clients reach it, by listener name.
    pub listeners: BTreeMap<String, Endpoint>,
    /// `broker.rack`.
    pub rack: Option<String>,
}

/// Where a listener is reached.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// Host name or address, as advertised.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// The answer to a registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// The chain to write: open, and this process's own.
    pub chain: ChainId,
    /// Earlier chains of this broker that must be recovered and sealed before [`ManifestClient::acquire`], lowest first.
    pub fencing: Vec<FencingChain>,
}

/// A chain that waits for a recoverer: its commits are refused from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FencingChain {
    /// The chain.
    pub chain: ChainId,
    /// Whose it was: the `put_id` of its slots.
    pub incarnation: Incarnation,
    /// The last slot in the manifest; recovery probes upward from here.
    pub committed: Option<SlotId>,
    /// The last slot that was trimmed: it and those below may be deleted.
    pub trimmed: Option<SlotId>,
}

/// The first offset of a leader epoch. Kafka's leader epoch cache holds the same pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EpochStart {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// The log end offset when it was granted.
    pub start: Offset,
}

/// Slots of one chain, `from..end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainSpan {
    /// The chain.
    pub chain: ChainId,
    /// The first slot.
    pub from: SlotId,
    /// One past the last slot.
    pub end: SlotId,
}

/// The right to lead a partition in one epoch, and what is needed to take it up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The partition.
    pub tp: TopicPartition,
    /// Its topic's name.
    pub topic: String,
    /// The epoch.
    pub leader_epoch: LeaderEpoch,
    /// The log end offset at the grant. A rebuilt end that differs takes the partition offline.
    pub start: Offset,
    /// The lowest offset that is kept.
    pub log_start: Offset,
    /// Epochs with records at or above `log_start`, and this one, ascending.
    pub epochs: Arc<[EpochStart]>,
    /// Where the state is rebuilt from: the indexes of these slots in this order, starting with an empty state and taking
    /// up the partition's checkpoint wherever one lies in a slot. Empty for a partition without history.
    pub replay: Vec<ChainSpan>,
}

/// Where records lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Runs in offset order; the first holds `from`. Empty at or above `committed_end`.
    pub runs: Vec<PlannedRun>,
    /// The lowest offset that is kept.
    pub log_start: Offset,
    /// One past the last offset that the manifest knows; what follows is known to the leader alone.
    pub committed_end: Offset,
}

/// One run and the object that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedRun {
    /// The chain.
    pub chain: ChainId,
    /// The slot.
    pub slot: SlotId,
    /// The run.
    pub run: RunRow,
}

/// Settings for retention that topics override (`log.retention.ms`, `log.retention.bytes`). `None`: no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionDefaults {
    /// `log.retention.ms`.
    pub retention_ms: Option<i64>,
    /// `log.retention.bytes`.
    pub retention_bytes: Option<u64>,
    /// `log.cleanup.policy` names delete.
    pub delete: bool,
}

/// How much of a partition the manifest knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Bytes of its runs, from the one that holds the log start on.
    pub bytes: u64,
    /// One past the last offset that the manifest knows.
    pub committed_end: Offset,
}

/// What one tick of the collector trimmed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trimmed {
    /// Slots whose rows were removed and whose deletion was queued.
    pub slots: u64,
    /// Partitions whose `state_at` alone holds back a trim: their leaders write a checkpoint anew.
    pub checkpoint_anew: Vec<TopicPartition>,
}

/// Objects that nothing references any more: the slots `from..end` of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deletion {
    /// The chain.
    pub chain: ChainId,
    /// The first slot.
    pub from: SlotId,
    /// One past the last slot.
    pub end: SlotId,
    /// When its references were removed.
    pub queued_at: Timestamp,
}

/// A chain that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedChain {
    /// The chain.
    pub chain: ChainId,
    /// One past the last slot that is trimmed and no longer waits for its deletion, all below it alike.
    pub deleted_end: SlotId,
    /// The slot whose fence ended it: data above is void.
    pub sealed_at: SlotId,
}

/// The manifest, as seen by brokers and maintenance.
///
/// Laws: an answer is given only after its effect, and everything that it was computed from, is durable. Every call is
/// idempotent, so [`Error::Unavailable`] is always answered by trying again. Dropping a future does not undo the call.
/// Every call can fail with `Unavailable` and `Superseded`; the others are named at each.
#[async_trait]
pub trait ManifestClient: fmt::Debug + Send + Sync {
    /// Announces a process and gives it a chain.
    ///
    /// Returns the process's open chain if that is not the one it ended; else marks the ended one, and any open chain of
    /// another process of the same broker, as fencing, and issues a new one.
    ///
    /// # Errors
    /// `Superseded`: a later process holds this broker's identity.
    async fn register(&self, registration: Registration) -> Result<Registered, Error>;

    /// Adds slots that a recoverer found in a fencing chain: at most [`ROWS_MAX`], consecutive. Rows already there are skipped.
    ///
    /// # Errors
    /// `Gap`, `StillOpen`, `Refused`; `Fenced` for an unknown chain. On a sealed chain, rows below its end are accepted.
    async fn recovered(&self, chain: ChainId, rows: Vec<SlotRow>) -> Result<(), Error>;

    /// Ends a fencing chain at the fence in slot `sealed_at`, after every row below it was submitted. In the same durable
    /// write the partitions that it led go, each in a new epoch, to the open chain of the same broker, if there is one.
    ///
    /// # Errors
    /// `Gap`, `StillOpen`, `AlreadySealed` (at another slot); `Fenced` for an unknown chain.
    async fn seal(&self, chain: ChainId, sealed_at: SlotId) -> Result<(), Error>;

    /// Everything that `chain` leads, after all earlier chains of its broker are sealed. Partitions of the broker that
    /// nobody leads are granted first.
    ///
    /// # Errors
    /// `NotSealed`, `Fenced`.
    async fn acquire(&self, chain: ChainId) -> Result<Vec<Lease>, Error>;

    /// Adds stable slots of an open chain: at most [`ROWS_MAX`], consecutive. Rows already there are skipped.
    ///
    /// # Errors
    /// `Fenced`, `Gap`, `Refused`.
    async fn commit(&self, chain: ChainId, rows: Vec<SlotRow>) -> Result<(), Error>;

    /// Says that the chain has stopped leading these partitions of topics that are being deleted, for good, and that
    /// everything about them in its slots is stable. When every partition of a topic is released the topic is gone and its
    /// name free. Slots that hold runs of them may still be committed later; the runs are then ignored.
    ///
    /// # Errors
    /// `Fenced` for an unknown chain. Partitions that the chain does not lead are skipped.
    async fn released(&self, chain: ChainId, partitions: Vec<TopicPartition>) -> Result<(), Error>;

    /// The runs from the one that holds `from` on, at most `runs_max`.
    ///
    /// # Errors
    /// `BelowLogStart`, `UnknownPartition`.
    async fn plan(&self, tp: TopicPartition, from: Offset, runs_max: usize) -> Result<Plan, Error>;

    /// The first run at or above `log_start` that holds a record with a timestamp of at least `at`; none if only the
    /// uncommitted tail may.
    ///
    /// # Errors
    /// `UnknownPartition`.
    async fn plan_timestamp(
        &self,
        tp: TopicPartition,
        at: Timestamp,
    ) -> Result<Option<PlannedRun>, Error>;

    /// The first of the runs with the largest timestamp; none if nothing is committed.
    ///
    /// # Errors
    /// `UnknownPartition`.
    async fn plan_max_timestamp(&self, tp: TopicPartition) -> Result<Option<PlannedRun>, Error>;

    /// How much the manifest knows of each of these; none for what is no partition.
    ///
    /// # Errors
    /// None of its own.
    async fn extents(&self, partitions: Vec<TopicPartition>) -> Result<Vec<Option<Extent>>, Error>;

    /// Moves `log_start_offset` up to `to` and returns where it is now: it never moves down.
    ///
    /// # Errors
    /// `UnknownPartition`.
    async fn advance_log_start(&self, tp: TopicPartition, to: Offset) -> Result<Offset, Error>;

    /// Applies `retention.ms` and `retention.bytes` to all partitions, as of `now`, and returns how many moved.
    ///
    /// # Errors
    /// None of its own.
    async fn retain(&self, now: Timestamp, defaults: RetentionDefaults) -> Result<usize, Error>;

    /// Removes up to `slots_max` rows that nothing references and queues the deletion of their objects, in one commit.
    ///
    /// # Errors
    /// None of its own.
    async fn trim(&self, now: Timestamp, slots_max: u64) -> Result<Trimmed, Error>;

    /// Up to `ranges_max` queued deletions, oldest first, that were queued at or before `queued_by`. The coordinator gives
    /// them only after a durable write in its own term.
    ///
    /// # Errors
    /// None of its own.
    async fn deletions(
        &self,
        queued_by: Timestamp,
        ranges_max: usize,
    ) -> Result<Vec<Deletion>, Error>;

    /// Up to `chains_max` sealed chains above `after`, lowest first.
    ///
    /// # Errors
    /// None of its own.
    async fn sealed_chains(
        &self,
        after: Option<ChainId>,
        chains_max: usize,
    ) -> Result<Vec<SealedChain>, Error>;

    /// Takes deletions off the queue whose every object is known to be gone. A part of a queued range, from its start, is
    /// allowed.
    ///
    /// # Errors
    /// None of its own. Ranges that are not queued are skipped.
    async fn deleted(&self, done: Vec<Deletion>) -> Result<(), Error>;
}
