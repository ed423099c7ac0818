//! Building batches from records: for our own client, for control batches, for tests.

use bytes::{Bytes, BytesMut};

use super::batch::{
    Attributes, BatchHeader, CRC_START, HEADER_BYTES, LENGTH_OVERHEAD, MAGIC, ValidBatch,
};
use super::compression::{self, Compression, Target};
use super::{crc, varint};
use crate::base::clock::Timestamp;
use crate::base::ids::{LeaderEpoch, ProducerId};
use crate::base::offset::Offset;

/// A record to be written.
#[derive(Debug, Clone, Copy)]
pub struct NewRecord<'a> {
    /// Its timestamp.
    pub timestamp: Timestamp,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value; none is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Its headers: name, value.
    pub headers: &'a [(&'a [u8], Option<&'a [u8]>)],
}

/// Collects records into one v2 batch with base offset 0.
#[derive(Debug, Clone)]
pub struct BatchBuilder {
    target: Target,
    attributes: Attributes,
    producer: (ProducerId, i16, i32),
    base_timestamp: Option<Timestamp>,
    max_timestamp: Timestamp,
    records: i32,
    body: Vec<u8>,
}

impl BatchBuilder {
    /// An empty batch.
    #[must_use]
    pub fn new(codec: Compression) -> Self {
        Self {
            target: Target { codec, level: None },
            attributes: Attributes::default(),
            producer: (ProducerId::NONE, -1, -1),
            base_timestamp: None,
            max_timestamp: Timestamp::NONE,
            records: 0,
            body: Vec::new(),
        }
    }

    /// Names the idempotent producer, its epoch and the first record's sequence number.
    pub fn producer(&mut self, id: ProducerId, epoch: i16, base_sequence: i32) {
        self.producer = (id, epoch, base_sequence);
    }

    /// Sets the attribute bits; the codec's stay those of [`Self::new`].
    pub fn attributes(&mut self, attributes: Attributes) {
        self.attributes = attributes;
    }

    /// Adds a record without headers.
    pub fn push_value(&mut self, timestamp: Timestamp, key: Option<&[u8]>, value: Option<&[u8]>) {
        self.push(&NewRecord { timestamp, key, value, headers: &[] });
    }

    /// Adds a record.
    pub fn push(&mut self, record: &NewRecord<'_>) {
        let base = *self.base_timestamp.get_or_insert(record.timestamp);
        self.max_timestamp = self.max_timestamp.max(record.timestamp);
        let mut content = vec![0];
        varint::put_i64(&mut content, record.timestamp.0.wrapping_sub(base.0));
        varint::put_i64(&mut content, i64::from(self.records));
        put_nullable(&mut content, record.key);
        put_nullable(&mut content, record.value);
        put_length(&mut content, record.headers.len());
        for (name, value) in record.headers {
            put_nullable(&mut content, Some(name));
            put_nullable(&mut content, *value);
        }
        put_length(&mut self.body, content.len());
        self.body.extend_from_slice(&content);
        self.records += 1;
    }

    /// Records so far.
    #[must_use]
    pub fn records(&self) -> i32 {
        self.records
    }

    /// Bytes of the batch so far, before compression.
    #[must_use]
    pub fn total_bytes(&self) -> usize {
        HEADER_BYTES + self.body.len()
    }

    /// The batch.
    ///
    /// # Panics
    /// Above 2 GiB, which no broker takes.
    #[must_use]
    pub fn build(self) -> ValidBatch {
        let (producer_id, producer_epoch, base_sequence) = self.producer;
        let header = BatchHeader {
            base_offset: Offset::ZERO,
            batch_length: 0,
            partition_leader_epoch: LeaderEpoch(-1),
            magic: MAGIC,
            crc: 0,
            attributes: self.attributes,
            last_offset_delta: self.records - 1,
            base_timestamp: self.base_timestamp.unwrap_or(Timestamp::NONE),
            max_timestamp: self.max_timestamp,
            producer_id,
            producer_epoch,
            base_sequence,
            record_count: self.records,
        };
        pack(header, self.target, &self.body)
    }
}

/// The batch of `header` with the records of `body`, compressed anew: codec bits, length and CRC follow from that.
pub(super) fn pack(mut header: BatchHeader, target: Target, body: &[u8]) -> ValidBatch {
    let packed = compression::compress(target, body);
    header.attributes = header.attributes.with_compression(target.codec);
    header.batch_length = i32::try_from(HEADER_BYTES - LENGTH_OVERHEAD + packed.len())
        .expect("a batch is bounded far below 2 GiB");
    let covered_head = crc::crc32c(&header.to_bytes()[CRC_START..]);
    header.crc = crc::extend(covered_head, &packed);
    let mut bytes = BytesMut::with_capacity(header.total_bytes());
    header.write_to(&mut bytes);
    bytes.extend_from_slice(&packed);
    ValidBatch { header, bytes: Bytes::from(bytes) }
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    varint::put_i64(out, i64::try_from(length).expect("lengths in memory fit 63 bits"));
}

fn put_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => varint::put_i64(out, -1),
        Some(bytes) => {
            put_length(out, bytes.len());
            out.extend_from_slice(bytes);
        }
    }
}
