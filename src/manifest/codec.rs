//! Rows as bytes: keys that sort, and values that begin with their version.
//!
//! ```text
//! key      tag (1 byte), then the fields, big-endian so that rows sort by them; signed numbers with the sign bit flipped
//!          m            meta                    t topic(16)            g topic(16)   deleted topic
//!          b broker(4)  broker                  p topic(16) number(4)  partition
//!          c chain(8)   chain                   s chain(8) slot(8)     slot          d chain(8) slot(8)   deletion
//!          o kind(1) [broker(4) | name]  overrides of what is no topic
//! value    version (1 byte), then the fields, little-endian; lists and texts with a u32 count, options with a flag byte
//! ```
//! There is one row a slot, never one a slot and partition. Values of an old version stay readable; a golden file
//! (`tests/golden`) holds each version ever written.

use std::collections::BTreeMap;

use super::chain::{Chain, Phase, Place};
use super::client::{Endpoint, EpochStart};
use super::edit::{Broker, ConfigOwner, Term};
use super::partition::{Grant, Mark, Offline, Partition};
use super::row::{CheckpointRow, ReleaseRow, RunRow, SlotRow};
use super::state::{Queued, RowKey, State, Topic};
use super::wire::{Malformed, Reader, Writer};
use crate::base::ids::{BrokerId, ChainId, ProducerId, SlotId, TopicId, TopicPartition};

/// The version that this build writes.
const VERSION: u8 = 1;

/// The one row that says who holds the coordinator's term.
pub(crate) const META: &[u8] = b"m";

/// A row's key as bytes.
pub(crate) fn key(key: &RowKey) -> Vec<u8> {
    let mut out = Vec::with_capacity(32);
    match key {
        RowKey::Meta => out.push(b'm'),
        RowKey::Broker(broker) => tagged(&mut out, b'b', &[&ordered(broker.0)]),
        RowKey::Chain(chain) => tagged(&mut out, b'c', &[&chain.0.to_be_bytes()]),
        RowKey::Topic(topic) => tagged(&mut out, b't', &[topic.0.as_bytes()]),
        RowKey::Partition(tp) => {
            tagged(&mut out, b'p', &[tp.topic.0.as_bytes(), &ordered(tp.partition)])
        }
        RowKey::Slot(chain, slot) => {
            tagged(&mut out, b's', &[&chain.0.to_be_bytes(), &slot.0.to_be_bytes()])
        }
        RowKey::Configs(owner) => owner_key(&mut out, owner),
        RowKey::Gone(topic) => tagged(&mut out, b'g', &[topic.0.as_bytes()]),
        RowKey::Deletion(chain, slot) => {
            tagged(&mut out, b'd', &[&chain.0.to_be_bytes(), &slot.0.to_be_bytes()]);
        }
    }
    out
}

fn tagged(out: &mut Vec<u8>, tag: u8, fields: &[&[u8]]) {
    out.push(tag);
    for field in fields {
        out.extend_from_slice(field);
    }
}

fn ordered(number: i32) -> [u8; 4] {
    (number.cast_unsigned() ^ (1 << 31)).to_be_bytes()
}

fn owner_key(out: &mut Vec<u8>, owner: &ConfigOwner) {
    match owner {
        ConfigOwner::Broker(None) => tagged(out, b'o', &[&[0]]),
        ConfigOwner::Broker(Some(broker)) => tagged(out, b'o', &[&[1], &ordered(broker.0)]),
        ConfigOwner::Group(name) => tagged(out, b'o', &[&[2], name.as_bytes()]),
        ConfigOwner::ClientMetrics(name) => tagged(out, b'o', &[&[3], name.as_bytes()]),
    }
}

/// A key's bytes as what they are about.
pub(crate) fn read_key(bytes: &[u8]) -> Result<RowKey, Malformed> {
    let (tag, rest) = bytes.split_first().ok_or(Malformed::Truncated)?;
    let mut rest = KeyReader(rest);
    let key = match tag {
        b'm' => RowKey::Meta,
        b'b' => RowKey::Broker(BrokerId(rest.number()?)),
        b'c' => RowKey::Chain(ChainId(rest.u64()?)),
        b't' => RowKey::Topic(rest.topic()?),
        b'p' => {
            RowKey::Partition(TopicPartition { topic: rest.topic()?, partition: rest.number()? })
        }
        b's' => RowKey::Slot(ChainId(rest.u64()?), SlotId(rest.u64()?)),
        b'o' => RowKey::Configs(rest.owner()?),
        b'g' => RowKey::Gone(rest.topic()?),
        b'd' => RowKey::Deletion(ChainId(rest.u64()?), SlotId(rest.u64()?)),
        _ => return Err(Malformed::Value("a key's tag")),
    };
    if rest.0.is_empty() { Ok(key) } else { Err(Malformed::Trailing(rest.0.len())) }
}

struct KeyReader<'a>(&'a [u8]);

impl KeyReader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) = self.0.split_first_chunk().ok_or(Malformed::Truncated)?;
        self.0 = rest;
        Ok(*head)
    }

    fn u64(&mut self) -> Result<u64, Malformed> {
        self.take().map(u64::from_be_bytes)
    }

    fn number(&mut self) -> Result<i32, Malformed> {
        self.take().map(|bytes| (u32::from_be_bytes(bytes) ^ (1 << 31)).cast_signed())
    }

    fn topic(&mut self) -> Result<TopicId, Malformed> {
        self.take().map(|bytes| TopicId(uuid::Uuid::from_bytes(bytes)))
    }

    fn owner(&mut self) -> Result<ConfigOwner, Malformed> {
        match self.take()? {
            [0] => Ok(ConfigOwner::Broker(None)),
            [1] => Ok(ConfigOwner::Broker(Some(BrokerId(self.number()?)))),
            [2] => self.name().map(ConfigOwner::Group),
            [3] => self.name().map(ConfigOwner::ClientMetrics),
            _ => Err(Malformed::Value("a config owner")),
        }
    }

    fn name(&mut self) -> Result<String, Malformed> {
        let name = String::from_utf8(self.0.to_vec()).map_err(|_| Malformed::Value("text"))?;
        self.0 = &[];
        Ok(name)
    }
}

/// A row as the state has it now; none if it is not there (any more). Slot rows are not kept in the state.
pub(crate) fn value(state: &State, key: &RowKey) -> Option<Vec<u8>> {
    let mut out = Writer(vec![VERSION]);
    match key {
        RowKey::Meta => write_meta(&mut out, state),
        RowKey::Broker(id) => write_broker(&mut out, state.brokers.get(id)?),
        RowKey::Chain(id) => write_chain(&mut out, state.chains.get(id)?),
        RowKey::Topic(id) => write_topic(&mut out, state.topics.get(id)?),
        RowKey::Partition(tp) => write_partition(&mut out, state.partition(tp)?),
        RowKey::Slot(..) => return None,
        RowKey::Configs(owner) => write_configs(&mut out, state.configs.get(owner)?),
        RowKey::Gone(id) => {
            out.chain(*state.gone.get(id)?);
        }
        RowKey::Deletion(chain, from) => {
            let queued = state.deletions.get(&(*chain, *from))?;
            out.slot(queued.end).i64(queued.queued_at.0);
        }
    }
    Some(out.0)
}

/// Checks the version and hands the rest to `read`, which must use all of it.
fn versioned<T>(
    bytes: &[u8],
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, Malformed>,
) -> Result<T, Malformed> {
    let mut reader = Reader(bytes);
    match reader.u8()? {
        VERSION => {}
        other => return Err(Malformed::Version(other)),
    }
    let row = read(&mut reader)?;
    reader.end()?;
    Ok(row)
}

fn write_meta(out: &mut Writer, state: &State) {
    let Term { term, broker, incarnation } = state.term;
    out.u64(term).i32(broker.0).incarnation(incarnation);
    out.chain(state.next_chain).i64(state.next_producer.0);
}

/// What the meta row holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) term: Term,
    pub(crate) next_chain: ChainId,
    pub(crate) next_producer: ProducerId,
}

pub(crate) fn read_meta(bytes: &[u8]) -> Result<Meta, Malformed> {
    versioned(bytes, |r| {
        let term = Term { term: r.u64()?, broker: r.broker()?, incarnation: r.incarnation()? };
        Ok(Meta { term, next_chain: r.chain()?, next_producer: ProducerId(r.i64()?) })
    })
}

fn write_broker(out: &mut Writer, broker: &Broker) {
    out.incarnation(broker.incarnation).chain(broker.chain);
    out.option(broker.rack.as_deref(), |out, rack| {
        out.text(rack);
    });
    out.list(broker.listeners.iter(), |out, (name, endpoint)| {
        out.text(name).text(&endpoint.host).u16(endpoint.port);
    });
}

pub(crate) fn read_broker(bytes: &[u8]) -> Result<Broker, Malformed> {
    versioned(bytes, |r| {
        let (incarnation, chain) = (r.incarnation()?, r.chain()?);
        let rack = r.option(Reader::text)?;
        let listeners =
            r.list(10, |r| Ok((r.text()?, Endpoint { host: r.text()?, port: r.u16()? })))?;
        Ok(Broker { incarnation, chain, listeners: listeners.into_iter().collect(), rack })
    })
}

fn write_chain(out: &mut Writer, chain: &Chain) {
    out.i32(chain.broker.0).incarnation(chain.incarnation);
    match chain.phase {
        Phase::Open => out.u8(0),
        Phase::Fencing => out.u8(1),
        Phase::Sealed(end) => out.u8(2).slot(end),
    };
    out.slot(chain.committed_end).slot(chain.trimmed_end);
}

pub(crate) fn read_chain(bytes: &[u8]) -> Result<Chain, Malformed> {
    versioned(bytes, |r| {
        let mut chain = Chain::open(r.broker()?, r.incarnation()?);
        chain.phase = match r.u8()? {
            0 => Phase::Open,
            1 => Phase::Fencing,
            2 => Phase::Sealed(r.slot()?),
            _ => return Err(Malformed::Value("a chain's phase")),
        };
        (chain.committed_end, chain.trimmed_end) = (r.slot()?, r.slot()?);
        Ok(chain)
    })
}

/// The place of what rows once said, whether a topic is internal: its name says so.
const INTERNAL: bool = false;

fn write_topic(out: &mut Writer, topic: &Topic) {
    out.text(&topic.name).bool(INTERNAL).bool(topic.deleting).i16(topic.replication_factor);
    out.list(topic.configs.iter(), |out, (key, value)| {
        out.text(key).text(value);
    });
}

pub(crate) fn read_topic(bytes: &[u8]) -> Result<Topic, Malformed> {
    versioned(bytes, |r| {
        let (name, _internal, deleting) = (r.text()?, r.bool()?, r.bool()?);
        let (replication_factor, configs) = (r.i16()?, read_pairs(r)?);
        Ok(Topic { name, deleting, replication_factor, configs, partitions: Vec::new() })
    })
}

fn write_configs(out: &mut Writer, configs: &BTreeMap<String, String>) {
    out.list(configs.iter(), |out, (key, value)| {
        out.text(key).text(value);
    });
}

pub(crate) fn read_configs(bytes: &[u8]) -> Result<BTreeMap<String, String>, Malformed> {
    versioned(bytes, read_pairs)
}

fn read_pairs(r: &mut Reader<'_>) -> Result<BTreeMap<String, String>, Malformed> {
    Ok(r.list(8, |r| Ok((r.text()?, r.text()?)))?.into_iter().collect())
}

fn write_mark(out: &mut Writer, mark: Mark) {
    out.i32(mark.epoch.0).chain(mark.place.chain).slot(mark.place.slot);
}

fn read_mark(r: &mut Reader<'_>) -> Result<Mark, Malformed> {
    Ok(Mark { epoch: r.epoch()?, place: Place { chain: r.chain()?, slot: r.slot()? } })
}

fn write_partition(out: &mut Writer, partition: &Partition) {
    out.list(partition.replicas.iter(), |out, broker| {
        out.i32(broker.0);
    });
    out.option(partition.lease, |out, chain| {
        out.chain(chain);
    });
    out.i32(partition.leader_epoch.0);
    out.i64(partition.log_start.0).i64(partition.start.0).i64(partition.end.0);
    out.option(partition.offline.as_ref(), |out, offline| write_mark(out, offline.since));
    out.list(partition.epochs.iter(), |out, epoch| {
        out.i32(epoch.epoch.0).i64(epoch.start.0);
    });
    out.list((0..partition.grants.len()).map(|place| &partition.grants[place]), |out, grant| {
        out.i32(grant.epoch.0).chain(grant.chain).slot(grant.from);
        out.option(grant.until(), |out, until| {
            out.slot(until);
        });
    });
}

/// The partition without what its slots' rows tell: runs, checkpoint, pins. `end` is the committed end when the row was
/// written.
pub(crate) fn read_partition(bytes: &[u8]) -> Result<Partition, Malformed> {
    versioned(bytes, |r| {
        let mut partition = Partition::new(r.list(4, Reader::broker)?.into());
        partition.lease = r.option(Reader::chain)?;
        partition.leader_epoch = r.epoch()?;
        (partition.log_start, partition.start, partition.end) =
            (r.offset()?, r.offset()?, r.offset()?);
        let since = r.option(read_mark)?;
        partition.offline = since.map(|since| Box::new(Offline { since, pinned: Vec::new() }));
        partition.epochs =
            r.list(12, |r| Ok(EpochStart { epoch: r.epoch()?, start: r.offset()? }))?.into();
        let grants = r.list(21, |r| {
            let (epoch, chain, from) = (r.epoch()?, r.chain()?, r.slot()?);
            Ok(Grant::new(epoch, chain, from, r.option(Reader::slot)?))
        })?;
        partition.grants = grants.into_iter().collect();
        Ok(partition)
    })
}

pub(crate) fn read_gone(bytes: &[u8]) -> Result<ChainId, Malformed> {
    versioned(bytes, |r| r.chain())
}

pub(crate) fn read_deletion(bytes: &[u8]) -> Result<Queued, Malformed> {
    versioned(bytes, |r| Ok(Queued { end: r.slot()?, queued_at: r.timestamp()? }))
}

/// A slot's row. Its number is in the key.
pub(crate) fn slot_value(row: &SlotRow) -> Vec<u8> {
    let mut out = Writer(Vec::with_capacity(32 + 68 * row.runs.len()));
    out.u8(VERSION).u64(row.bytes).u64(row.index_position).u32(row.index_bytes);
    out.list(row.runs.iter(), |out, run| {
        out.partition(run.tp).i32(run.leader_epoch.0).i64(run.base_offset.0).i64(run.end_offset.0);
        out.u64(run.position).u64(run.bytes).i64(run.max_timestamp.0);
    });
    out.list(row.checkpoints.iter(), |out, row| {
        out.partition(row.tp).i32(row.leader_epoch.0);
    });
    out.list(row.releases.iter(), |out, row| {
        out.partition(row.tp).i32(row.leader_epoch.0);
    });
    out.0
}

pub(crate) fn read_slot(slot: SlotId, bytes: &[u8]) -> Result<SlotRow, Malformed> {
    versioned(bytes, |r| {
        let (bytes, index_position, index_bytes) = (r.u64()?, r.u64()?, r.u32()?);
        let runs = r.list(64, |r| {
            let (tp, leader_epoch) = (r.partition()?, r.epoch()?);
            let (base_offset, end_offset) = (r.offset()?, r.offset()?);
            let (position, bytes, max_timestamp) = (r.u64()?, r.u64()?, r.timestamp()?);
            Ok(RunRow { tp, leader_epoch, base_offset, end_offset, position, bytes, max_timestamp })
        })?;
        let checkpoints =
            r.list(24, |r| Ok(CheckpointRow { tp: r.partition()?, leader_epoch: r.epoch()? }))?;
        let releases =
            r.list(24, |r| Ok(ReleaseRow { tp: r.partition()?, leader_epoch: r.epoch()? }))?;
        Ok(SlotRow { slot, bytes, index_position, index_bytes, runs, checkpoints, releases })
    })
}
