//! Parts that the two hot messages, Produce and Fetch, have in common.

use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;

use super::error::Error;
use super::wire::{Count, Pieces, Reader, Sink, Writer, tagged_value};
use crate::base::ids::{BrokerId, LeaderEpoch, TopicId};

/// How a message names a topic: older versions by name, newer ones by id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TopicRef {
    /// By name.
    Name(StrBytes),
    /// By id (KIP-516).
    Id(TopicId),
}

impl TopicRef {
    /// The same without the frame that its name is a slice of.
    #[must_use]
    pub fn detached(&self) -> Self {
        match self {
            Self::Name(name) => Self::Name(StrBytes::from_string(name.as_str().to_owned())),
            Self::Id(id) => Self::Id(*id),
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>, by_id: bool) -> Result<Self, Error> {
        if by_id {
            return Ok(Self::Id(TopicId(reader.cursor.uuid()?)));
        }
        reader.string().map(Self::Name)
    }

    pub(super) fn write<S: Sink>(&self, writer: &mut Writer<'_, S>) {
        match self {
            Self::Name(name) => writer.string(Some(name)),
            Self::Id(id) => writer.uuid(id.0),
        }
    }
}

/// Who leads a partition: sent with errors that say "not here" (KIP-951).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaderIdAndEpoch {
    /// The leader.
    pub leader: BrokerId,
    /// Its epoch.
    pub epoch: LeaderEpoch,
}

impl LeaderIdAndEpoch {
    pub(super) fn tagged(self, tag: u32) -> (u32, Bytes) {
        let value = tagged_value(|writer| {
            writer.i32(self.leader.0);
            writer.i32(self.epoch.0);
            writer.tagged(&[]);
        });
        (tag, value)
    }
}

/// Where a leader named in [`LeaderIdAndEpoch`] listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeEndpoint {
    /// Which broker.
    pub node: BrokerId,
    /// Its advertised host.
    pub host: StrBytes,
    /// Its advertised port.
    pub port: u16,
    /// Its rack.
    pub rack: Option<StrBytes>,
}

/// The tagged field 0 of both responses; none where there is no endpoint.
pub(super) fn tagged_endpoints(endpoints: &[NodeEndpoint]) -> Option<(u32, Bytes)> {
    if endpoints.is_empty() {
        return None;
    }
    let value = tagged_value(|writer| {
        writer.count(Some(endpoints.len()));
        for endpoint in endpoints {
            writer.i32(endpoint.node.0);
            writer.string(Some(&endpoint.host));
            writer.i32(i32::from(endpoint.port));
            writer.string(endpoint.rack.as_deref());
            writer.tagged(&[]);
        }
    });
    Some((0, value))
}

/// A response of one of the two messages.
pub(super) trait Body {
    fn write<S: Sink>(&self, writer: &mut Writer<'_, S>, version: i16);
}

/// Counts `body`, then writes it after `head`'s prefix into one buffer of exactly that size, cut by shared slices.
pub(super) fn frame(head: super::frame::ResponseHead, body: &impl Body) -> Vec<Bytes> {
    let compact = head.key.api().is_flexible(head.version);
    let mut count = Count::default();
    body.write(&mut Writer::new(&mut count, compact), head.version);
    let prefix = head.prefix(count.total);
    let allocated = prefix.as_slice().len() + count.allocated();
    let mut pieces = Pieces::with_capacity(allocated);
    pieces.put(prefix.as_slice());
    body.write(&mut Writer::new(&mut pieces, compact), head.version);
    pieces.finish()
}
