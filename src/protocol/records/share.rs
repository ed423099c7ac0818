//! Keys and values of share groups (KIP-932), as Apache Kafka 4.3.1 writes them to `__consumer_offsets`.
//!
//! ```text
//! key 10 member: group, member            rack_id?, client_id, client_host, topic names
//!     11 group: group                     epoch i32, metadata hash i64
//!     12 target assignment: group         epoch i32, tagged field 0: timestamp i64
//!     13 target of a member: group, member   topics: id, partitions
//!     14 current assignment: group, member   epoch, previous epoch i32, state i8, topics: id, partitions
//!     15 state of partitions: group       topics being initialised and initialised: id, name, partitions; being deleted: id, name
//! ```
//! Pure bytes and types: what a record means is `groups::share`'s.
//!
//! Source: `group-coordinator/src/main/resources/common/message/ShareGroup*.json` in Apache Kafka 4.3.1.

use uuid::Uuid;

use super::super::Error;
use super::super::wire::{Cursor, Pieces, Sink as _, Writer};
use super::message::{
    TargetValue, TopicPartitions, array, body, nullable, numbers, owned, read_partitions,
    read_target, read_target_member, skip_tags, write_numbers, write_partitions, write_strings,
    write_target, written,
};

#[cfg(test)]
mod tests;

/// `ShareGroupMetadataValue`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupValue {
    /// The group epoch.
    pub epoch: i32,
    /// The hash of the metadata of all subscribed topics (KIP-1101).
    pub metadata_hash: i64,
}

/// `ShareGroupMemberMetadataValue`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberValue {
    /// `client.rack`.
    pub rack_id: Option<String>,
    /// `client.id`.
    pub client_id: String,
    /// The client's address.
    pub client_host: String,
    /// Topics by name, sorted.
    pub topic_names: Vec<String>,
}

/// `ShareGroupCurrentMemberAssignmentValue`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentValue {
    /// The epoch that the member is expected to send.
    pub epoch: i32,
    /// The one before: a retry after a lost answer carries it.
    pub previous_epoch: i32,
    /// `MemberState`: always 0, since nobody has to give anything back.
    pub state: i8,
    /// What the member may read.
    pub assigned: Vec<TopicPartitions>,
}

/// Partitions of a topic with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPartitions {
    /// The topic's UUID.
    pub topic: Uuid,
    /// Its name when that was written.
    pub name: String,
    /// The partitions.
    pub partitions: Vec<i32>,
}

/// `ShareGroupStatePartitionMetadataValue`: how far the state of the group's partitions is set up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StateValue {
    /// Being initialised.
    pub initializing: Vec<NamedPartitions>,
    /// Initialised.
    pub initialized: Vec<NamedPartitions>,
    /// Topics whose state is being deleted: id and name.
    pub deleting: Vec<(Uuid, String)>,
}

/// A record of a share group. A value of `None` is a tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// The group's epoch.
    Group(String, Option<GroupValue>),
    /// A member (group, member).
    Member(String, String, Option<MemberValue>),
    /// The target assignment's epoch.
    Target(String, Option<TargetValue>),
    /// A member's target assignment.
    TargetMember(String, String, Option<Vec<TopicPartitions>>),
    /// A member's current assignment.
    Current(String, String, Option<CurrentValue>),
    /// The state of its partitions.
    State(String, Option<StateValue>),
}

const MEMBER: i16 = 10;
const GROUP: i16 = 11;
const TARGET: i16 = 12;
const TARGET_MEMBER: i16 = 13;
const CURRENT: i16 = 14;
const STATE: i16 = 15;

impl Record {
    /// Its group.
    #[must_use]
    pub fn group(&self) -> &str {
        self.parts().1
    }

    /// The key: its type, the group, the member.
    fn parts(&self) -> (i16, &str, Option<&str>) {
        match self {
            Self::Group(group, _) => (GROUP, group, None),
            Self::Member(group, member, _) => (MEMBER, group, Some(member)),
            Self::Target(group, _) => (TARGET, group, None),
            Self::TargetMember(group, member, _) => (TARGET_MEMBER, group, Some(member)),
            Self::Current(group, member, _) => (CURRENT, group, Some(member)),
            Self::State(group, _) => (STATE, group, None),
        }
    }

    /// Whether it says that something is gone.
    #[must_use]
    pub fn is_tombstone(&self) -> bool {
        match self {
            Self::Group(_, value) => value.is_none(),
            Self::Member(_, _, value) => value.is_none(),
            Self::Target(_, value) => value.is_none(),
            Self::TargetMember(_, _, value) => value.is_none(),
            Self::Current(_, _, value) => value.is_none(),
            Self::State(_, value) => value.is_none(),
        }
    }

    /// Key and value in bytes; no value is a tombstone.
    #[must_use]
    pub fn encode(&self) -> (Vec<u8>, Option<Vec<u8>>) {
        let (kind, group, member) = self.parts();
        let mut pieces = Pieces::with_capacity(64);
        let mut writer = Writer::new(&mut pieces, false);
        writer.i16(kind);
        writer.string(Some(group));
        if let Some(member) = member {
            writer.string(Some(member));
        }
        (pieces.finish().concat(), self.encode_value())
    }

    fn encode_value(&self) -> Option<Vec<u8>> {
        match self {
            Self::Group(_, value) => value.map(|value| written(|w| write_group(w, value))),
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
            Self::State(_, value) => value.as_ref().map(|value| written(|w| write_state(w, value))),
        }
    }

    /// The record with that key and value. `None`: the key is of another kind, or of none that is known.
    ///
    /// # Errors
    /// [`Error`]: the bytes are not what Kafka writes under that key.
    pub fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Option<Self>, Error> {
        let mut cursor = Cursor::new(key, false);
        let kind = cursor.i16()?;
        if !(MEMBER..=STATE).contains(&kind) {
            return Ok(None);
        }
        let group = owned(&mut cursor)?;
        let mut member = || owned(&mut cursor);
        let mut body = value.map(body).transpose()?;
        let body = body.as_mut();
        Ok(Some(match kind {
            MEMBER => Self::Member(group, member()?, body.map(read_member).transpose()?),
            GROUP => Self::Group(group, body.map(read_group).transpose()?),
            TARGET => Self::Target(group, body.map(read_target).transpose()?),
            TARGET_MEMBER => {
                Self::TargetMember(group, member()?, body.map(read_target_member).transpose()?)
            }
            CURRENT => Self::Current(group, member()?, body.map(read_current).transpose()?),
            _ => Self::State(group, body.map(read_state).transpose()?),
        }))
    }
}

fn write_group(w: &mut Writer<'_, Pieces>, value: GroupValue) {
    w.i32(value.epoch);
    w.i64(value.metadata_hash);
    w.tagged(&[]);
}

fn read_group(cursor: &mut Cursor<'_>) -> Result<GroupValue, Error> {
    let value = GroupValue { epoch: cursor.i32()?, metadata_hash: cursor.i64()? };
    skip_tags(cursor)?;
    Ok(value)
}

fn write_member(w: &mut Writer<'_, Pieces>, value: &MemberValue) {
    w.string(value.rack_id.as_deref());
    w.string(Some(&value.client_id));
    w.string(Some(&value.client_host));
    write_strings(w, &value.topic_names);
    w.tagged(&[]);
}

fn read_member(cursor: &mut Cursor<'_>) -> Result<MemberValue, Error> {
    let value = MemberValue {
        rack_id: nullable(cursor)?,
        client_id: owned(cursor)?,
        client_host: owned(cursor)?,
        topic_names: array(cursor, 1, owned)?,
    };
    skip_tags(cursor)?;
    Ok(value)
}

fn write_current(w: &mut Writer<'_, Pieces>, value: &CurrentValue) {
    w.i32(value.epoch);
    w.i32(value.previous_epoch);
    w.sink.put(&value.state.to_be_bytes());
    write_partitions(w, &value.assigned);
    w.tagged(&[]);
}

fn read_current(cursor: &mut Cursor<'_>) -> Result<CurrentValue, Error> {
    let value = CurrentValue {
        epoch: cursor.i32()?,
        previous_epoch: cursor.i32()?,
        state: cursor.i8()?,
        assigned: read_partitions(cursor)?,
    };
    skip_tags(cursor)?;
    Ok(value)
}

fn write_named(w: &mut Writer<'_, Pieces>, topics: &[NamedPartitions]) {
    w.count(Some(topics.len()));
    for topic in topics {
        w.uuid(topic.topic);
        w.string(Some(&topic.name));
        write_numbers(w, &topic.partitions);
        w.tagged(&[]);
    }
}

fn read_named(cursor: &mut Cursor<'_>) -> Result<Vec<NamedPartitions>, Error> {
    array(cursor, 19, |cursor| {
        let topic = cursor.uuid()?;
        let named = NamedPartitions { topic, name: owned(cursor)?, partitions: numbers(cursor)? };
        skip_tags(cursor)?;
        Ok(named)
    })
}

fn write_state(w: &mut Writer<'_, Pieces>, value: &StateValue) {
    write_named(w, &value.initializing);
    write_named(w, &value.initialized);
    w.count(Some(value.deleting.len()));
    for (topic, name) in &value.deleting {
        w.uuid(*topic);
        w.string(Some(name));
        w.tagged(&[]);
    }
    w.tagged(&[]);
}

fn read_state(cursor: &mut Cursor<'_>) -> Result<StateValue, Error> {
    let value = StateValue {
        initializing: read_named(cursor)?,
        initialized: read_named(cursor)?,
        deleting: array(cursor, 18, |cursor| {
            let topic = (cursor.uuid()?, owned(cursor)?);
            skip_tags(cursor)?;
            Ok(topic)
        })?,
    };
    skip_tags(cursor)?;
    Ok(value)
}
