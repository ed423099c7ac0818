//! The Fetch messages: requests 4 to 18 read, responses written as pieces around shared slices of record data.
//!
//! Source: FetchRequest.json and FetchResponse.json in Apache Kafka; held to the crate's codec by test.

use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;

use super::api::ApiKey;
use super::error::Error;
use super::error_code::ErrorCode;
use super::frame::{ResponseFrame, ResponseHead};
use super::hot::{self, Body, LeaderIdAndEpoch, NodeEndpoint, TopicRef};
use super::wire::{Reader, Sink, Writer, shared, tagged_value};
use crate::base::ids::{BrokerId, LeaderEpoch, ProducerId};
use crate::base::offset::Offset;

/// A request to read records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchRequest {
    /// The cluster that the client believes to talk to.
    pub cluster_id: Option<StrBytes>,
    /// The follower that fetches; -1 for a consumer.
    pub replica_id: i32,
    /// The longest wait for `min_bytes`.
    pub max_wait_ms: i32,
    /// Below this the answer waits.
    pub min_bytes: i32,
    /// Bound of the whole answer, except its first batch.
    pub max_bytes: i32,
    /// 0: read uncommitted; 1: read committed.
    pub isolation_level: i8,
    /// 0 without a session (KIP-227).
    pub session_id: i32,
    /// -1 ends a session, 0 opens one; -1 before version 7.
    pub session_epoch: i32,
    /// In the client's order.
    pub topics: Vec<FetchTopic>,
    /// What leaves the session.
    pub forgotten_topics: Vec<ForgottenTopic>,
    /// The consumer's rack; empty before version 11.
    pub rack_id: StrBytes,
}

/// One topic's part of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchTopic {
    /// By id from version 13.
    pub topic: TopicRef,
    /// In the client's order.
    pub partitions: Vec<FetchPartition>,
}

/// From where one partition is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchPartition {
    /// The partition's number.
    pub index: i32,
    /// What the client knows; -1 where it does not check.
    pub current_leader_epoch: LeaderEpoch,
    /// The first offset wanted.
    pub fetch_offset: Offset,
    /// The epoch of the last record that the client has; -1 where it does not check.
    pub last_fetched_epoch: LeaderEpoch,
    /// A follower's log start; -1 for consumers.
    pub log_start_offset: Offset,
    /// Bound of this partition's part, except the answer's first batch.
    pub max_bytes: i32,
}

/// Partitions that leave a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForgottenTopic {
    /// By id from version 13.
    pub topic: TopicRef,
    /// Their numbers.
    pub partitions: Vec<i32>,
}

/// An empty name, no partitions, no tags; all compact.
const TOPIC_BYTES_LEAST: usize = 3;
/// Index, offset and size: version 4.
const PARTITION_BYTES_LEAST: usize = 16;

impl FetchRequest {
    /// Reads the body of a request; strings share `body`.
    ///
    /// # Errors
    /// `UnsupportedVersion`, or what is wrong with the bytes.
    pub fn read(body: &Bytes, version: i16) -> Result<Self, Error> {
        let api = ApiKey::Fetch.api();
        if !api.serves(version) {
            return Err(Error::UnsupportedVersion { api: api.name, version });
        }
        let mut reader = Reader::new(body, api.is_flexible(version));
        let mut request = Self {
            cluster_id: None,
            replica_id: if version <= 14 { reader.cursor.i32()? } else { -1 },
            max_wait_ms: reader.cursor.i32()?,
            min_bytes: reader.cursor.i32()?,
            max_bytes: reader.cursor.i32()?,
            isolation_level: reader.cursor.i8()?,
            session_id: if version >= 7 { reader.cursor.i32()? } else { 0 },
            session_epoch: if version >= 7 { reader.cursor.i32()? } else { -1 },
            topics: reader.array(TOPIC_BYTES_LEAST, |reader| FetchTopic::read(reader, version))?,
            forgotten_topics: Vec::new(),
            rack_id: StrBytes::new(),
        };
        if version >= 7 {
            request.forgotten_topics =
                reader.array(TOPIC_BYTES_LEAST, |reader| ForgottenTopic::read(reader, version))?;
        }
        if version >= 11 {
            request.rack_id = reader.string()?;
        }
        request.read_tagged(body, &mut reader, version)?;
        Ok(request)
    }

    fn read_tagged(
        &mut self,
        body: &Bytes,
        reader: &mut Reader<'_>,
        version: i16,
    ) -> Result<(), Error> {
        reader.cursor.tagged(|tag, value| {
            match tag {
                0 => self.cluster_id = value.string()?.map(|text| shared(body, text)),
                1 if version >= 15 => {
                    self.replica_id = value.i32()?;
                    // The replica's epoch: followers are none of our clients.
                    value.i64()?;
                    value.tagged(|_, _| Ok(false))?;
                }
                1 => return Err(value.invalid("tag of a later version")),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(())
    }
}

impl FetchTopic {
    fn read(reader: &mut Reader<'_>, version: i16) -> Result<Self, Error> {
        let topic = TopicRef::read(reader, version >= 13)?;
        let partitions =
            reader.array(PARTITION_BYTES_LEAST, |reader| FetchPartition::read(reader, version))?;
        reader.skip_tags()?;
        Ok(Self { topic, partitions })
    }
}

impl FetchPartition {
    fn read(reader: &mut Reader<'_>, version: i16) -> Result<Self, Error> {
        let cursor = &mut reader.cursor;
        let partition = Self {
            index: cursor.i32()?,
            current_leader_epoch: LeaderEpoch(if version >= 9 { cursor.i32()? } else { -1 }),
            fetch_offset: Offset(cursor.i64()?),
            last_fetched_epoch: LeaderEpoch(if version >= 12 { cursor.i32()? } else { -1 }),
            log_start_offset: Offset(if version >= 5 { cursor.i64()? } else { -1 }),
            max_bytes: cursor.i32()?,
        };
        // Both fields are for followers: checked, not kept.
        cursor.tagged(|tag, value| {
            match tag {
                0 if version >= 17 => value.uuid().map(|_| ())?,
                1 if version >= 18 => value.i64().map(|_| ())?,
                0 | 1 => return Err(value.invalid("tag of a later version")),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(partition)
    }
}

impl ForgottenTopic {
    fn read(reader: &mut Reader<'_>, version: i16) -> Result<Self, Error> {
        let topic = TopicRef::read(reader, version >= 13)?;
        let partitions = reader.array(4, |reader| reader.cursor.i32())?;
        reader.skip_tags()?;
        Ok(Self { topic, partitions })
    }
}

/// The answer to a [`FetchRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FetchResponse {
    /// For how long the client should pause.
    pub throttle_time_ms: i32,
    /// An error of the whole request, such as a stale session; sent from version 7.
    pub error: ErrorCode,
    /// 0 without a session; sent from version 7.
    pub session_id: i32,
    /// Topics with something to say.
    pub topics: Vec<FetchTopicResponse>,
    /// Where the leaders named below listen; sent from version 16.
    pub node_endpoints: Vec<NodeEndpoint>,
}

/// One topic's part of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchTopicResponse {
    /// As the request named it.
    pub topic: TopicRef,
    /// Its partitions with something to say.
    pub partitions: Vec<FetchPartitionResponse>,
}

/// One partition's records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchPartitionResponse {
    /// The partition's number.
    pub index: i32,
    /// `None` when `records` is valid.
    pub error: ErrorCode,
    /// -1 where unknown, here and below.
    pub high_watermark: Offset,
    /// Where a reader of committed records must stop.
    pub last_stable_offset: Offset,
    /// Sent from version 5.
    pub log_start_offset: Offset,
    /// Where the client's log and ours part; sent from version 12.
    pub diverging_epoch: Option<EpochEndOffset>,
    /// Who leads instead; sent from version 12.
    pub current_leader: Option<LeaderIdAndEpoch>,
    /// `None` is sent as null: the request read uncommitted.
    pub aborted_transactions: Option<Vec<AbortedTransaction>>,
    /// Which replica to read from instead; sent from version 11.
    pub preferred_read_replica: Option<BrokerId>,
    /// Whole batches, sent one after another. Empty is sent as no bytes, never as null.
    pub records: Vec<Bytes>,
}

impl FetchPartitionResponse {
    /// A refusal that carries nothing but its code.
    #[must_use]
    pub fn refused(index: i32, error: ErrorCode) -> Self {
        Self {
            index,
            error,
            high_watermark: Offset(-1),
            last_stable_offset: Offset(-1),
            log_start_offset: Offset(-1),
            diverging_epoch: None,
            current_leader: None,
            aborted_transactions: None,
            preferred_read_replica: None,
            records: Vec::new(),
        }
    }
}

/// The largest epoch at or below the client's, and where it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochEndOffset {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// Its end.
    pub end_offset: Offset,
}

/// A transaction whose records a reader of committed ones must skip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// Whose.
    pub producer_id: ProducerId,
    /// Its first offset.
    pub first_offset: Offset,
}

impl FetchResponse {
    /// The whole frame of this answer to the request of `head`; larger slices of records are shared, not copied.
    ///
    /// # Panics
    /// When `head` is another API's.
    #[must_use]
    pub fn frame(&self, head: ResponseHead) -> ResponseFrame {
        assert!(head.key == ApiKey::Fetch, "a Fetch answer to {}", head.key.name());
        ResponseFrame { pieces: hot::frame(head, self) }
    }
}

impl Body for FetchResponse {
    fn write<S: Sink>(&self, writer: &mut Writer<'_, S>, version: i16) {
        writer.i32(self.throttle_time_ms);
        if version >= 7 {
            writer.i16(self.error.code());
            writer.i32(self.session_id);
        }
        writer.count(Some(self.topics.len()));
        for topic in &self.topics {
            topic.topic.write(writer);
            writer.count(Some(topic.partitions.len()));
            for partition in &topic.partitions {
                partition.write(writer, version);
            }
            writer.tagged(&[]);
        }
        let endpoints = if version >= 16 { self.node_endpoints.as_slice() } else { &[] };
        writer.tagged(hot::tagged_endpoints(endpoints).as_slice());
    }
}

impl FetchPartitionResponse {
    fn write<S: Sink>(&self, writer: &mut Writer<'_, S>, version: i16) {
        writer.i32(self.index);
        writer.i16(self.error.code());
        writer.i64(self.high_watermark.0);
        writer.i64(self.last_stable_offset.0);
        if version >= 5 {
            writer.i64(self.log_start_offset.0);
        }
        writer.count(self.aborted_transactions.as_ref().map(Vec::len));
        for aborted in self.aborted_transactions.iter().flatten() {
            writer.i64(aborted.producer_id.0);
            writer.i64(aborted.first_offset.0);
            writer.tagged(&[]);
        }
        if version >= 11 {
            writer.i32(self.preferred_read_replica.map_or(-1, |replica| replica.0));
        }
        writer.count(Some(self.records.iter().map(Bytes::len).sum()));
        for slice in &self.records {
            writer.sink.share(slice);
        }
        self.write_tagged(writer);
    }

    fn write_tagged<S: Sink>(&self, writer: &mut Writer<'_, S>) {
        match (self.diverging_epoch, self.current_leader) {
            (None, None) => writer.tagged(&[]),
            (Some(diverging), None) => writer.tagged(&[diverging.tagged()]),
            (None, Some(leader)) => writer.tagged(&[leader.tagged(1)]),
            (Some(diverging), Some(leader)) => {
                writer.tagged(&[diverging.tagged(), leader.tagged(1)]);
            }
        }
    }
}

impl EpochEndOffset {
    fn tagged(self) -> (u32, Bytes) {
        let value = tagged_value(|writer| {
            writer.i32(self.epoch.0);
            writer.i64(self.end_offset.0);
            writer.tagged(&[]);
        });
        (0, value)
    }
}

#[cfg(test)]
mod tests;
