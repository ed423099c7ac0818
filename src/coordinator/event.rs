//! What the coordinator is asked, and what it answers: plain values, so that a sequence of them is a test.

use crate::base::clock::Timestamp;
use crate::base::ids::{ChainId, SlotId, TopicId, TopicPartition};
use crate::base::offset::Offset;
use crate::cluster::client::{
    ConfigChange, CreateTopics, CreatedTopic, DeletedTopic, Each, MorePartitions, ProducerIdBlock,
    TopicRef,
};
use crate::manifest;
use crate::manifest::client::{
    Deletion, Extent, Lease, Plan, PlannedRun, Registered, Registration, RetentionDefaults,
    SealedChain, Trimmed,
};
use crate::manifest::row::SlotRow;

/// Ties an answer to its question.
pub(super) type Ticket = u64;

/// One question.
#[derive(Debug, Clone)]
pub(super) enum Event {
    Register(Registration),
    Recovered {
        chain: ChainId,
        rows: Vec<SlotRow>,
    },
    Seal {
        chain: ChainId,
        sealed_at: SlotId,
    },
    Acquire {
        chain: ChainId,
    },
    Commit {
        chain: ChainId,
        rows: Vec<SlotRow>,
    },
    Released {
        chain: ChainId,
        partitions: Vec<TopicPartition>,
    },
    Plan {
        tp: TopicPartition,
        from: Offset,
        runs_max: usize,
    },
    PlanTimestamp {
        tp: TopicPartition,
        at: Timestamp,
    },
    PlanMaxTimestamp {
        tp: TopicPartition,
    },
    Extents {
        partitions: Vec<TopicPartition>,
    },
    AdvanceLogStart {
        tp: TopicPartition,
        to: Offset,
    },
    Retain {
        as_of: Timestamp,
        defaults: RetentionDefaults,
    },
    Trim {
        as_of: Timestamp,
        slots_max: u64,
    },
    Deletions {
        queued_by: Timestamp,
        ranges_max: usize,
    },
    SealedChains {
        after: Option<ChainId>,
        chains_max: usize,
    },
    Deleted {
        done: Vec<Deletion>,
    },
    /// With an id drawn for each topic.
    CreateTopics {
        request: CreateTopics,
        ids: Vec<TopicId>,
    },
    DeleteTopics {
        topics: Vec<TopicRef>,
    },
    CreatePartitions {
        parts: Vec<MorePartitions>,
        validate_only: bool,
    },
    AlterConfigs {
        parts: Vec<ConfigChange>,
        validate_only: bool,
    },
    AllocateProducerIds,
    Size,
}

/// How much the manifest holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Size {
    /// Chains ever issued.
    pub chains: usize,
    /// Slots with a row.
    pub slots: usize,
    /// Runs in memory.
    pub runs: usize,
    /// Partitions.
    pub partitions: usize,
    /// Ranges of objects that wait for deletion.
    pub deletions: usize,
}

/// One answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reply {
    Registered(Result<Registered, manifest::Error>),
    Done(Result<(), manifest::Error>),
    Leases(Result<Vec<Lease>, manifest::Error>),
    Plan(Result<Plan, manifest::Error>),
    Run(Result<Option<PlannedRun>, manifest::Error>),
    Extents(Vec<Option<Extent>>),
    LogStart(Result<Offset, manifest::Error>),
    Retained(usize),
    Trimmed(Trimmed),
    Deletions(Vec<Deletion>),
    SealedChains(Vec<SealedChain>),
    Created(Each<CreatedTopic>),
    TopicsDeleted(Each<DeletedTopic>),
    Partitions(Each<i32>),
    Configs(Each<()>),
    ProducerIds(ProducerIdBlock),
    Size(Size),
}

/// What follows from an event. Nothing of it happens before the changes of the event are durable.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Effect {
    Answer(Ticket, Reply),
    Alarm(Alarm),
}

/// Data may be at risk: for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Alarm {
    /// A run does not start at the previous end.
    Offline { tp: TopicPartition, chain: ChainId, slot: SlotId },
    /// Rows contradict the manifest.
    Refused { error: manifest::Error },
}
