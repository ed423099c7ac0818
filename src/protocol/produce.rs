//! The Produce messages: requests 3 to 13 read, responses written, without a copy of record data.
//!
//! Source: ProduceRequest.json and ProduceResponse.json in Apache Kafka; held to the crate's codec by test.

use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;

use super::api::ApiKey;
use super::error::Error;
use super::error_code::ErrorCode;
use super::frame::{ResponseFrame, ResponseHead};
use super::hot::{self, Body, LeaderIdAndEpoch, NodeEndpoint, TopicRef};
use super::wire::{Reader, Sink, Writer};
use crate::base::clock::Timestamp;
use crate::base::offset::Offset;

/// A request to append records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProduceRequest {
    /// Set by transactional producers.
    pub transactional_id: Option<StrBytes>,
    /// 0: no answer; 1 and -1: an answer when the records are stable. Not checked here.
    pub acks: i16,
    /// How long the client waits.
    pub timeout_ms: i32,
    /// In the client's order.
    pub topics: Vec<TopicProduce>,
}

/// One topic's part of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicProduce {
    /// By id from version 13.
    pub topic: TopicRef,
    /// In the client's order.
    pub partitions: Vec<PartitionProduce>,
}

/// One partition's records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionProduce {
    /// The partition's number.
    pub index: i32,
    /// A slice of the frame; `None` where the client sent null.
    pub records: Option<Bytes>,
}

impl ProduceRequest {
    /// Reads the body of a request; records and strings share `body`.
    ///
    /// # Errors
    /// `UnsupportedVersion`, or what is wrong with the bytes.
    pub fn read(body: &Bytes, version: i16) -> Result<Self, Error> {
        let api = ApiKey::Produce.api();
        if !api.serves(version) {
            return Err(Error::UnsupportedVersion { api: api.name, version });
        }
        let mut reader = Reader::new(body, api.is_flexible(version));
        let transactional_id = reader.nullable_string()?;
        let acks = reader.cursor.i16()?;
        let timeout_ms = reader.cursor.i32()?;
        let topics =
            reader.array(TOPIC_BYTES_LEAST, |reader| TopicProduce::read(reader, version))?;
        reader.skip_tags()?;
        Ok(Self { transactional_id, acks, timeout_ms, topics })
    }
}

/// An empty name, no partitions, no tags; all compact.
const TOPIC_BYTES_LEAST: usize = 3;
/// An index and null.
const PARTITION_BYTES_LEAST: usize = 5;

impl TopicProduce {
    fn read(reader: &mut Reader<'_>, version: i16) -> Result<Self, Error> {
        let topic = TopicRef::read(reader, version >= 13)?;
        let partitions = reader.array(PARTITION_BYTES_LEAST, PartitionProduce::read)?;
        reader.skip_tags()?;
        Ok(Self { topic, partitions })
    }
}

impl PartitionProduce {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let index = reader.cursor.i32()?;
        let records = reader.nullable_bytes()?;
        reader.skip_tags()?;
        Ok(Self { index, records })
    }
}

/// The answer to a [`ProduceRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProduceResponse {
    /// In the request's order.
    pub topics: Vec<TopicProduceResponse>,
    /// For how long the client should pause.
    pub throttle_time_ms: i32,
    /// Where the leaders named below listen; sent from version 10.
    pub node_endpoints: Vec<NodeEndpoint>,
}

/// One topic's part of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicProduceResponse {
    /// As the request named it.
    pub topic: TopicRef,
    /// In the request's order.
    pub partitions: Vec<PartitionProduceResponse>,
}

/// What became of one partition's records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionProduceResponse {
    /// The partition's number.
    pub index: i32,
    /// `None` when the records are stable.
    pub error: ErrorCode,
    /// The first record's offset; -1 with an error.
    pub base_offset: Offset,
    /// The time given to the records under LogAppendTime, else none.
    pub log_append_time: Timestamp,
    /// Sent from version 5; -1 where unknown.
    pub log_start_offset: Offset,
    /// The records that were refused; sent from version 8.
    pub record_errors: Vec<RecordError>,
    /// More about `error`; sent from version 8.
    pub error_message: Option<StrBytes>,
    /// Who leads instead; sent from version 10.
    pub current_leader: Option<LeaderIdAndEpoch>,
}

impl PartitionProduceResponse {
    /// A refusal that carries nothing but its code.
    #[must_use]
    pub fn refused(index: i32, error: ErrorCode) -> Self {
        Self {
            index,
            error,
            base_offset: Offset(-1),
            log_append_time: Timestamp::NONE,
            log_start_offset: Offset(-1),
            record_errors: Vec::new(),
            error_message: None,
            current_leader: None,
        }
    }
}

/// One record that a batch was refused for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordError {
    /// Its place in the batch.
    pub batch_index: i32,
    /// Why.
    pub message: Option<StrBytes>,
}

impl ProduceResponse {
    /// The whole frame of this answer to the request of `head`.
    ///
    /// # Panics
    /// When `head` is another API's.
    #[must_use]
    pub fn frame(&self, head: ResponseHead) -> ResponseFrame {
        assert!(head.key == ApiKey::Produce, "a Produce answer to {}", head.key.name());
        ResponseFrame { pieces: hot::frame(head, self) }
    }
}

impl Body for ProduceResponse {
    fn write<S: Sink>(&self, writer: &mut Writer<'_, S>, version: i16) {
        writer.count(Some(self.topics.len()));
        for topic in &self.topics {
            topic.topic.write(writer);
            writer.count(Some(topic.partitions.len()));
            for partition in &topic.partitions {
                partition.write(writer, version);
            }
            writer.tagged(&[]);
        }
        writer.i32(self.throttle_time_ms);
        let endpoints = if version >= 10 { self.node_endpoints.as_slice() } else { &[] };
        writer.tagged(hot::tagged_endpoints(endpoints).as_slice());
    }
}

impl PartitionProduceResponse {
    fn write<S: Sink>(&self, writer: &mut Writer<'_, S>, version: i16) {
        writer.i32(self.index);
        writer.i16(self.error.code());
        writer.i64(self.base_offset.0);
        writer.i64(self.log_append_time.0);
        if version >= 5 {
            writer.i64(self.log_start_offset.0);
        }
        if version >= 8 {
            writer.count(Some(self.record_errors.len()));
            for record in &self.record_errors {
                writer.i32(record.batch_index);
                writer.string(record.message.as_deref());
                writer.tagged(&[]);
            }
            writer.string(self.error_message.as_deref());
        }
        let leader = self.current_leader.filter(|_| version >= 10);
        writer.tagged(leader.map(|leader| leader.tagged(0)).as_slice());
    }
}

#[cfg(test)]
mod tests;
