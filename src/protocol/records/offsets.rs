//! `__consumer_offsets`: committed offsets and the metadata of classic groups.
//!
//! ```text
//! key    0, 1: offset commit: group string, topic string, partition i32
//!        2:    group metadata: group string
//! value of an offset commit: offset i64 | leader_epoch i32 (3+) | metadata string | commit_timestamp i64
//!        | expire_timestamp i64 (1 only) | tagged field 0: topic_id uuid (4+)
//! value of group metadata: protocol_type string | generation i32 | protocol, leader nullable string
//!        | current_state_timestamp i64 (2+) | members: member_id string, group_instance_id nullable string (3+),
//!        client_id, client_host string, rebalance_timeout i32 (1+), session_timeout i32, subscription, assignment bytes
//! ```
//! Version 4 of both values has compact types and tagged fields.
//!
//! Source: `OffsetCommitKey`, `OffsetCommitValue`, `GroupMetadataKey`, `GroupMetadataValue` in Apache Kafka 4.3.1.

use bytes::Bytes;
use uuid::Uuid;

use super::out::Out;
use crate::protocol::error::Error;
use crate::protocol::wire::Cursor;

/// A key of the topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// The value is an [`OffsetCommit`].
    OffsetCommit {
        /// `group_id`.
        group: String,
        /// The topic's name.
        topic: String,
        /// The partition's number.
        partition: i32,
    },
    /// The value is a [`GroupMetadata`].
    GroupMetadata {
        /// `group_id`.
        group: String,
    },
    /// A record of another kind.
    Other(i16),
}

/// A committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetCommit {
    /// The next record to be consumed.
    pub offset: i64,
    /// The epoch of the record before it; -1 is unknown.
    pub leader_epoch: i32,
    /// What the consumer said with it.
    pub metadata: String,
    /// When it was committed, in ms since the Unix epoch.
    pub commit_timestamp: i64,
    /// When it expires, if the commit said so (OffsetCommit 2-4).
    pub expire_timestamp: Option<i64>,
    /// The topic's id; nil where it is not known.
    pub topic_id: Uuid,
}

/// A classic group in one generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMetadata {
    /// `consumer`, `connect`, ...; empty for a group without members.
    pub protocol_type: String,
    /// `generation_id`.
    pub generation: i32,
    /// The chosen protocol.
    pub protocol: Option<String>,
    /// The leader's member id.
    pub leader: Option<String>,
    /// When the group came into its state; -1 is unknown.
    pub current_state_timestamp: i64,
    /// Its members.
    pub members: Vec<MemberMetadata>,
}

/// One member of a classic group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberMetadata {
    /// `member_id`.
    pub member_id: String,
    /// `group.instance.id` of a static member.
    pub group_instance_id: Option<String>,
    /// The client's name for itself.
    pub client_id: String,
    /// Its address, as Kafka shows it.
    pub client_host: String,
    /// How long a rebalance waits for it; -1: as long as its session.
    pub rebalance_timeout: i32,
    /// How long it may be silent, in ms.
    pub session_timeout: i32,
    /// Its metadata in the chosen protocol.
    pub subscription: Bytes,
    /// What the leader gave it.
    pub assignment: Bytes,
}

impl Key {
    /// Reads a key.
    ///
    /// # Errors
    /// Bytes that are no key; a key of a kind that is not known is [`Key::Other`].
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let mut cursor = Cursor::new(bytes, false);
        match cursor.i16()? {
            0 | 1 => Ok(Self::OffsetCommit {
                group: text(&mut cursor)?,
                topic: text(&mut cursor)?,
                partition: cursor.i32()?,
            }),
            2 => Ok(Self::GroupMetadata { group: text(&mut cursor)? }),
            other => Ok(Self::Other(other)),
        }
    }
}

/// The key of an offset commit.
#[must_use]
pub fn offset_commit_key(group: &str, topic: &str, partition: i32) -> Vec<u8> {
    Out::default().i16(1).string(group).string(topic).i32(partition).0
}

/// The key of a group's metadata.
#[must_use]
pub fn group_metadata_key(group: &str) -> Vec<u8> {
    Out::default().i16(2).string(group).0
}

impl OffsetCommit {
    /// Writes version 4, or version 1 if the offset has a time to expire at.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        match self.expire_timestamp {
            None => {
                let out = Out::default().i16(4).i64(self.offset).i32(self.leader_epoch);
                let out = out.compact_string(&self.metadata).i64(self.commit_timestamp);
                if self.topic_id.is_nil() {
                    return out.varint(0).0;
                }
                out.varint(1).varint(TOPIC_ID_TAG).varint(16).raw(self.topic_id.as_bytes()).0
            }
            Some(expires) => {
                let out = Out::default().i16(1).i64(self.offset).string(&self.metadata);
                out.i64(self.commit_timestamp).i64(expires).0
            }
        }
    }

    /// Reads any version.
    ///
    /// # Errors
    /// Bytes that are no value, or of a version that is not known.
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let (mut cursor, version) = value(bytes)?;
        let read = Self {
            offset: cursor.i64()?,
            leader_epoch: if version >= 3 { cursor.i32()? } else { -1 },
            metadata: text(&mut cursor)?,
            commit_timestamp: cursor.i64()?,
            expire_timestamp: if version == 1 {
                Some(cursor.i64()?).filter(|at| *at != -1)
            } else {
                None
            },
            topic_id: Uuid::nil(),
        };
        let mut topic_id = Uuid::nil();
        if version >= FLEXIBLE {
            cursor.tagged(|tag, field| {
                if tag == TOPIC_ID_TAG {
                    topic_id = field.uuid()?;
                }
                Ok(tag == TOPIC_ID_TAG)
            })?;
        }
        Ok(Self { topic_id, ..read })
    }
}

impl GroupMetadata {
    /// Writes version 3.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let count = i32::try_from(self.members.len()).expect("members are counted in 31 bits");
        let mut out = Out::default().i16(3).string(&self.protocol_type).i32(self.generation);
        out = out.nullable_string(self.protocol.as_deref());
        out = out.nullable_string(self.leader.as_deref());
        out = out.i64(self.current_state_timestamp).i32(count);
        for member in &self.members {
            out = out.string(&member.member_id);
            out = out.nullable_string(member.group_instance_id.as_deref());
            out = out.string(&member.client_id).string(&member.client_host);
            out = out.i32(member.rebalance_timeout).i32(member.session_timeout);
            out = out.bytes(&member.subscription).bytes(&member.assignment);
        }
        out.0
    }

    /// Reads any version.
    ///
    /// # Errors
    /// Bytes that are no value, or of a version that is not known.
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let (mut cursor, version) = value(bytes)?;
        let mut read = Self {
            protocol_type: text(&mut cursor)?,
            generation: cursor.i32()?,
            protocol: cursor.string()?.map(str::to_owned),
            leader: cursor.string()?.map(str::to_owned),
            current_state_timestamp: if version >= 2 { cursor.i64()? } else { -1 },
            members: Vec::new(),
        };
        // Each member takes far more than 8 bytes: the count cannot make us reserve what is not there.
        let count = cursor.count(8)?.ok_or_else(|| cursor.invalid("array"))?;
        for _ in 0..count {
            read.members.push(member(&mut cursor, version)?);
        }
        end(&mut cursor, version)?;
        Ok(read)
    }
}

fn member(cursor: &mut Cursor<'_>, version: i16) -> Result<MemberMetadata, Error> {
    let read = MemberMetadata {
        member_id: text(cursor)?,
        group_instance_id: match version {
            3.. => cursor.string()?.map(str::to_owned),
            _ => None,
        },
        client_id: text(cursor)?,
        client_host: text(cursor)?,
        rebalance_timeout: if version >= 1 { cursor.i32()? } else { -1 },
        session_timeout: cursor.i32()?,
        subscription: blob(cursor)?,
        assignment: blob(cursor)?,
    };
    end(cursor, version)?;
    Ok(read)
}

/// The topic's id among the tagged fields of an offset commit.
const TOPIC_ID_TAG: u32 = 0;

/// The first flexible version of both values.
const FLEXIBLE: i16 = 4;

fn value(bytes: &[u8]) -> Result<(Cursor<'_>, i16), Error> {
    let mut head = Cursor::new(bytes, false);
    let version = head.i16()?;
    if !(0..=FLEXIBLE).contains(&version) {
        return Err(head.invalid("value version"));
    }
    Ok((Cursor::new(&bytes[head.at()..], version >= FLEXIBLE), version))
}

fn end(cursor: &mut Cursor<'_>, version: i16) -> Result<(), Error> {
    if version >= FLEXIBLE {
        cursor.tagged(|_, _| Ok(false))?;
    }
    Ok(())
}

fn text(cursor: &mut Cursor<'_>) -> Result<String, Error> {
    Ok(cursor.string()?.ok_or_else(|| cursor.invalid("string"))?.to_owned())
}

fn blob(cursor: &mut Cursor<'_>) -> Result<Bytes, Error> {
    Ok(Bytes::copy_from_slice(cursor.bytes()?.ok_or_else(|| cursor.invalid("bytes"))?))
}

#[cfg(test)]
mod tests;
