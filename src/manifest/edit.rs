//! The changes of the manifest: each is one step of [`super::state::State`], and several make one durable write.
//!
//! An edit says what happens, never why or whether it may: `coordinator` decides, [`super::invariants`] says what holds.

use std::collections::BTreeMap;

use super::client::Endpoint;
use super::row::SlotRow;
use crate::base::clock::Timestamp;
use crate::base::ids::{
    BrokerId, ChainId, Incarnation, ProducerId, SlotId, TopicId, TopicPartition,
};
use crate::base::offset::Offset;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Edit {
    /// A coordinator took over.
    Term(Term),
    /// A process holds a broker's identity and writes `chain`, which this opens.
    Registered { id: BrokerId, broker: Broker },
    /// Commits of the chain are refused from now on. Irrevocable.
    ChainFencing { chain: ChainId },
    /// The chain ends at the fence in this slot. Its leases end too.
    ChainSealed { chain: ChainId, sealed_at: SlotId },
    /// A stored slot, of an open chain or found by a recoverer.
    Slot { chain: ChainId, row: SlotRow },
    /// A topic, with the replicas of each partition.
    TopicCreated(NewTopic),
    /// Partitions, numbered after those that are there.
    PartitionsAdded { topic: TopicId, replicas: Vec<Vec<BrokerId>> },
    /// The topic's overrides, all of them.
    TopicConfigs { topic: TopicId, configs: BTreeMap<String, String> },
    /// Nobody but its leaders sees the topic any more; its name is not free yet.
    TopicDeleting { topic: TopicId },
    /// Every lease is back; the name is free, the data unreferenced.
    TopicGone { topic: TopicId },
    /// The chain leads the partition in the next epoch.
    Granted { tp: TopicPartition, chain: ChainId },
    /// The partition's leader gave its lease back outside a slot.
    Released { tp: TopicPartition },
    /// Overrides of something that is no topic, all of them.
    Configs { owner: ConfigOwner, configs: BTreeMap<String, String> },
    /// Producer ids below `next` are given away.
    ProducerIds { next: ProducerId },
    /// Records below `to` are gone.
    LogStart { tp: TopicPartition, to: Offset },
    /// The rows below `end` are gone and the objects wait for deletion.
    Trimmed { chain: ChainId, end: SlotId, now: Timestamp },
    /// The objects from a queued deletion's start up to `end` are gone.
    Deleted { chain: ChainId, from: SlotId, end: SlotId },
}

/// A coordinator's time in office.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Term {
    /// Grows with each coordinator.
    pub term: u64,
    /// The node that holds it.
    pub broker: BrokerId,
    /// The process that holds it.
    pub incarnation: Incarnation,
}

/// A registered process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broker {
    pub(crate) incarnation: Incarnation,
    pub(crate) chain: ChainId,
    pub(crate) listeners: BTreeMap<String, Endpoint>,
    pub(crate) rack: Option<String>,
}

/// A topic to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewTopic {
    pub(crate) id: TopicId,
    pub(crate) name: String,
    pub(crate) replication_factor: i16,
    pub(crate) configs: BTreeMap<String, String>,
    pub(crate) replicas: Vec<Vec<BrokerId>>,
}

/// What has overrides besides topics.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ConfigOwner {
    /// One broker, or the default of all.
    Broker(Option<BrokerId>),
    /// A group.
    Group(String),
    /// A client metrics subscription.
    ClientMetrics(String),
}
