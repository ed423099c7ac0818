//! Keys and values of the consumer groups of KIP-848, as Apache Kafka 4.3.1 writes them to `__consumer_offsets`.
//!
//! A key is its type as INT16 and plain strings; a value is its version as INT16 and a flexible message (KIP-482). What a
//! newer Kafka adds as tagged fields is skipped. Pure bytes and types: what a record means is `groups::consumer`'s.
//!
//! Source: `group-coordinator/src/main/resources/common/message/ConsumerGroup*.json` in Apache Kafka 4.3.1.

use bytes::Bytes;

use super::super::Error;
use super::super::wire::{Cursor, Pieces, Sink as _, Writer, tagged_value};
use super::message::{
    array, body, nullable, owned, read_partitions, read_target, read_target_member, skip_tags,
    tagged_i64, write_partitions, write_strings, write_tagged_i64, write_target, written,
};

mod keys;
#[cfg(test)]
mod tests;

pub use super::message::{TargetValue, TopicPartitions};
pub use keys::Key;

/// `ConsumerGroupMetadataValue`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupValue {
    /// The group epoch.
    pub epoch: i32,
    /// The hash of the metadata of all subscribed topics (KIP-1101); 0 without.
    pub metadata_hash: i64,
}

/// A protocol that a member of the classic protocol supports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassicProtocol {
    /// The assignor's name.
    pub name: String,
    /// The embedded subscription.
    pub metadata: Bytes,
}

/// What a member that speaks the classic protocol brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassicMember {
    /// Its session timeout.
    pub session_timeout_ms: i32,
    /// Its protocols, preferred first.
    pub protocols: Vec<ClassicProtocol>,
}

/// `ConsumerGroupMemberMetadataValue`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberValue {
    /// `group.instance.id`.
    pub instance_id: Option<String>,
    /// `client.rack`.
    pub rack_id: Option<String>,
    /// `client.id`.
    pub client_id: String,
    /// The client's address.
    pub client_host: String,
    /// Topics by name, sorted.
    pub topic_names: Vec<String>,
    /// Topics by pattern.
    pub topic_regex: Option<String>,
    /// How long it may take to give partitions back; -1: not given.
    pub rebalance_timeout_ms: i32,
    /// The assignor that it prefers.
    pub assignor: Option<String>,
    /// Set for a member of the classic protocol.
    pub classic: Option<ClassicMember>,
}

/// `ConsumerGroupCurrentMemberAssignmentValue`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentValue {
    /// The epoch that the member is expected to send.
    pub epoch: i32,
    /// The one before: a retry after a lost answer carries it.
    pub previous_epoch: i32,
    /// `MemberState`.
    pub state: i8,
    /// What the member owns, or may take.
    pub assigned: Vec<TopicPartitions>,
    /// What it must give back.
    pub revoking: Vec<TopicPartitions>,
}

/// `ConsumerGroupRegularExpressionValue`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegexValue {
    /// The topics that it matched, sorted.
    pub topics: Vec<String>,
    /// The version of the metadata that it was matched against.
    pub version: i64,
    /// When, in milliseconds since the Unix epoch.
    pub timestamp: i64,
}

/// A record of a consumer group. A value of `None` is a tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// The group's epoch.
    Group(String, Option<GroupValue>),
    /// What Kafka 4.0 kept of the topics' metadata. Only its presence matters: later versions remove it.
    PartitionMetadata(String, Option<()>),
    /// A member (group, member).
    Member(String, String, Option<MemberValue>),
    /// The target assignment's epoch.
    Target(String, Option<TargetValue>),
    /// A member's target assignment.
    TargetMember(String, String, Option<Vec<TopicPartitions>>),
    /// A member's current assignment.
    Current(String, String, Option<CurrentValue>),
    /// What a pattern matched (group, pattern).
    Regex(String, String, Option<RegexValue>),
}

impl Record {
    /// The key.
    #[must_use]
    pub fn key(&self) -> Key {
        match self {
            Self::Group(group, _) => Key::Group(group.clone()),
            Self::PartitionMetadata(group, _) => Key::PartitionMetadata(group.clone()),
            Self::Member(group, member, _) => Key::Member(group.clone(), member.clone()),
            Self::Target(group, _) => Key::Target(group.clone()),
            Self::TargetMember(group, member, _) => {
                Key::TargetMember(group.clone(), member.clone())
            }
            Self::Current(group, member, _) => Key::Current(group.clone(), member.clone()),
            Self::Regex(group, regex, _) => Key::Regex(group.clone(), regex.clone()),
        }
    }

    /// Whether it says that something is gone.
    #[must_use]
    pub fn is_tombstone(&self) -> bool {
        match self {
            Self::Group(_, value) => value.is_none(),
            Self::PartitionMetadata(_, value) => value.is_none(),
            Self::Member(_, _, value) => value.is_none(),
            Self::Target(_, value) => value.is_none(),
            Self::TargetMember(_, _, value) => value.is_none(),
            Self::Current(_, _, value) => value.is_none(),
            Self::Regex(_, _, value) => value.is_none(),
        }
    }

    /// Key and value in bytes; no value is a tombstone.
    #[must_use]
    pub fn encode(&self) -> (Vec<u8>, Option<Vec<u8>>) {
        (self.key().encode(), self.encode_value())
    }

    fn encode_value(&self) -> Option<Vec<u8>> {
        match self {
            Self::Group(_, value) => value.as_ref().map(|value| written(|w| write_group(w, value))),
            // Never written: Kafka 4.3.1 only removes them.
            Self::PartitionMetadata(..) => None,
            Self::Member(_, _, value) => {
                value.as_ref().map(|value| written(|w| write_member(w, value)))
            }
            Self::Target(_, value) => {
                value.as_ref().map(|value| written(|w| write_target(w, value)))
            }
            Self::TargetMember(_, _, value) => value.as_ref().map(|value| {
                written(|w| {
                    write_partitions(w, value);
                    w.tagged(&[]);
                })
            }),
            Self::Current(_, _, value) => {
                value.as_ref().map(|value| written(|w| write_current(w, value)))
            }
            Self::Regex(_, _, value) => {
                value.as_ref().map(|value| written(|w| write_regex(w, value)))
            }
        }
    }

    /// The record with that key and value. `None`: the key is of another kind, or of none that is known.
    ///
    /// # Errors
    /// [`Error`]: the bytes are not what Kafka writes under that key.
    pub fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Option<Self>, Error> {
        let Some(key) = Key::decode(key)? else { return Ok(None) };
        let mut body = value.map(body).transpose()?;
        let body = body.as_mut();
        let record = match key {
            Key::Group(group) => Self::Group(group, body.map(read_group).transpose()?),
            // The value's content is of no use any more, so it is not read.
            Key::PartitionMetadata(group) => Self::PartitionMetadata(group, body.map(|_| ())),
            Key::Member(group, member) => {
                Self::Member(group, member, body.map(read_member).transpose()?)
            }
            Key::Target(group) => Self::Target(group, body.map(read_target).transpose()?),
            Key::TargetMember(group, member) => {
                Self::TargetMember(group, member, body.map(read_target_member).transpose()?)
            }
            Key::Current(group, member) => {
                Self::Current(group, member, body.map(read_current).transpose()?)
            }
            Key::Regex(group, regex) => {
                Self::Regex(group, regex, body.map(read_regex).transpose()?)
            }
        };
        Ok(Some(record))
    }
}

fn write_group(w: &mut Writer<'_, Pieces>, value: &GroupValue) {
    w.i32(value.epoch);
    write_tagged_i64(w, value.metadata_hash);
}

fn write_member(w: &mut Writer<'_, Pieces>, value: &MemberValue) {
    w.string(value.instance_id.as_deref());
    w.string(value.rack_id.as_deref());
    w.string(Some(&value.client_id));
    w.string(Some(&value.client_host));
    write_strings(w, &value.topic_names);
    w.string(value.topic_regex.as_deref());
    w.i32(value.rebalance_timeout_ms);
    w.string(value.assignor.as_deref());
    match &value.classic {
        None => w.tagged(&[]),
        Some(classic) => w.tagged(&[(0, tagged_value(|w| write_classic(w, classic)))]),
    }
}

fn write_classic(w: &mut Writer<'_, Pieces>, classic: &ClassicMember) {
    // A nullable struct in a tagged field begins with a presence byte.
    w.sink.put(&[1]);
    w.i32(classic.session_timeout_ms);
    w.count(Some(classic.protocols.len()));
    for protocol in &classic.protocols {
        w.string(Some(&protocol.name));
        w.count(Some(protocol.metadata.len()));
        w.sink.put(&protocol.metadata);
        w.tagged(&[]);
    }
    w.tagged(&[]);
}

fn write_current(w: &mut Writer<'_, Pieces>, value: &CurrentValue) {
    w.i32(value.epoch);
    w.i32(value.previous_epoch);
    w.sink.put(&value.state.to_be_bytes());
    write_partitions(w, &value.assigned);
    write_partitions(w, &value.revoking);
    w.tagged(&[]);
}

fn write_regex(w: &mut Writer<'_, Pieces>, value: &RegexValue) {
    write_strings(w, &value.topics);
    w.i64(value.version);
    w.i64(value.timestamp);
    w.tagged(&[]);
}

fn read_group(cursor: &mut Cursor<'_>) -> Result<GroupValue, Error> {
    Ok(GroupValue { epoch: cursor.i32()?, metadata_hash: tagged_i64(cursor)? })
}

fn read_member(cursor: &mut Cursor<'_>) -> Result<MemberValue, Error> {
    let mut value = MemberValue {
        instance_id: nullable(cursor)?,
        rack_id: nullable(cursor)?,
        client_id: owned(cursor)?,
        client_host: owned(cursor)?,
        topic_names: array(cursor, 1, owned)?,
        topic_regex: nullable(cursor)?,
        rebalance_timeout_ms: cursor.i32()?,
        assignor: nullable(cursor)?,
        classic: None,
    };
    cursor.tagged(|tag, field| {
        if tag == 0 && field.i8()? >= 0 {
            value.classic = Some(read_classic(field)?);
        }
        Ok(tag == 0)
    })?;
    Ok(value)
}

fn read_classic(cursor: &mut Cursor<'_>) -> Result<ClassicMember, Error> {
    let session_timeout_ms = cursor.i32()?;
    let protocols = array(cursor, 3, |cursor| {
        let name = owned(cursor)?;
        let metadata = cursor.bytes()?.map(Bytes::copy_from_slice);
        let metadata = metadata.ok_or_else(|| cursor.invalid("null bytes"))?;
        skip_tags(cursor)?;
        Ok(ClassicProtocol { name, metadata })
    })?;
    skip_tags(cursor)?;
    Ok(ClassicMember { session_timeout_ms, protocols })
}

fn read_current(cursor: &mut Cursor<'_>) -> Result<CurrentValue, Error> {
    let value = CurrentValue {
        epoch: cursor.i32()?,
        previous_epoch: cursor.i32()?,
        state: cursor.i8()?,
        assigned: read_partitions(cursor)?,
        revoking: read_partitions(cursor)?,
    };
    skip_tags(cursor)?;
    Ok(value)
}

fn read_regex(cursor: &mut Cursor<'_>) -> Result<RegexValue, Error> {
    let value = RegexValue {
        topics: array(cursor, 1, owned)?,
        version: cursor.i64()?,
        timestamp: cursor.i64()?,
    };
    skip_tags(cursor)?;
    Ok(value)
}
