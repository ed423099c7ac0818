//! The header of a v2 record batch, and a batch that passed validation.
//!
//! Source: `DefaultRecordBatch` in Apache Kafka (big-endian):
//!
//! ```text
//!  0 base_offset            i64 |
//!  8 batch_length           i32 | bytes after this field
//! 12 partition_leader_epoch i32 | not covered by the CRC: the leader writes these three in place
//! 16 magic                  i8  | 2
//! 17 crc                    u32 | CRC-32C of everything after it
//! 21 attributes             i16 | 0-2 codec, 3 timestamp type, 4 transactional, 5 control, 6 delete horizon
//! 23 last_offset_delta      i32
//! 27 base_timestamp         i64
//! 35 max_timestamp          i64
//! 43 producer_id            i64
//! 51 producer_epoch         i16
//! 53 base_sequence          i32
//! 57 record_count           i32
//! 61 records, compressed as a whole
//! ```

use bytes::{BufMut, Bytes, BytesMut};

use super::compression::Compression;
use super::error::{Error, Flaw};
use crate::base::clock::Timestamp;
use crate::base::ids::{LeaderEpoch, ProducerId};
use crate::base::offset::Offset;

/// Bytes of a batch's header.
pub const HEADER_BYTES: usize = 61;
/// The only magic that is served.
pub const MAGIC: i8 = 2;
/// Bytes before what the CRC covers.
pub const CRC_START: usize = 21;
/// Bytes of base offset and length, which the length does not count.
pub const LENGTH_OVERHEAD: usize = 12;

const CODEC_MASK: i16 = 0x07;
const LOG_APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;

/// What a batch's timestamps mean (`message.timestamp.type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TimestampType {
    /// Each record carries its producer's time.
    #[default]
    CreateTime,
    /// All records carry the time at which the leader appended them: the batch's max timestamp.
    LogAppendTime,
}

/// A batch's attribute bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Attributes(pub i16);

impl Attributes {
    /// How the records are compressed.
    ///
    /// # Errors
    /// A codec number that Kafka does not define.
    pub fn compression(self) -> Result<Compression, Error> {
        Compression::from_id(self.0 & CODEC_MASK)
    }

    /// The same bits with another codec.
    #[must_use]
    pub fn with_compression(self, codec: Compression) -> Self {
        Self((self.0 & !CODEC_MASK) | codec.id())
    }

    /// What the timestamps mean.
    #[must_use]
    pub fn timestamp_type(self) -> TimestampType {
        if self.0 & LOG_APPEND_TIME == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    /// The same bits with another timestamp type.
    #[must_use]
    pub fn with_timestamp_type(self, kind: TimestampType) -> Self {
        match kind {
            TimestampType::CreateTime => Self(self.0 & !LOG_APPEND_TIME),
            TimestampType::LogAppendTime => Self(self.0 | LOG_APPEND_TIME),
        }
    }

    /// Whether the batch belongs to a transaction.
    #[must_use]
    pub fn is_transactional(self) -> bool {
        self.0 & TRANSACTIONAL != 0
    }

    /// The same bits, marked as of a transaction.
    #[must_use]
    pub fn transactional(self) -> Self {
        Self(self.0 | TRANSACTIONAL)
    }

    /// Whether the batch holds a control record instead of data.
    #[must_use]
    pub fn is_control(self) -> bool {
        self.0 & CONTROL != 0
    }

    /// The same bits, marked as a control batch.
    #[must_use]
    pub fn control(self) -> Self {
        Self(self.0 | CONTROL)
    }
}

/// A batch's header, decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record.
    pub base_offset: Offset,
    /// Bytes after this field: the batch's size less 12.
    pub batch_length: i32,
    /// The leader's term when it appended the batch.
    pub partition_leader_epoch: LeaderEpoch,
    /// Format version.
    pub magic: i8,
    /// CRC-32C of everything after this field.
    pub crc: u32,
    /// Codec, timestamp type, transactional, control.
    pub attributes: Attributes,
    /// Offset of the last record less the base offset.
    pub last_offset_delta: i32,
    /// What the records' timestamp deltas start from.
    pub base_timestamp: Timestamp,
    /// The latest timestamp of a record, or the time of append.
    pub max_timestamp: Timestamp,
    /// The idempotent producer, or [`ProducerId::NONE`].
    pub producer_id: ProducerId,
    /// The producer's epoch, or -1.
    pub producer_epoch: i16,
    /// The first record's sequence number, or -1.
    pub base_sequence: i32,
    /// Records in the batch.
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the header that `bytes` start with. Of its fields only magic and length are judged: the length is at
    /// least what a header needs; whether so many bytes are there is for the caller to see.
    ///
    /// # Errors
    /// [`Error::Corrupt`]: too few bytes for a header, a length that holds none, or a magic other than 2.
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let head: &[u8; HEADER_BYTES] = bytes
            .first_chunk()
            .ok_or(Error::Corrupt(Flaw::Truncated { needed: HEADER_BYTES, got: bytes.len() }))?;
        let header = Self {
            base_offset: Offset(i64::from_be_bytes(field(head, 0))),
            batch_length: i32::from_be_bytes(field(head, 8)),
            partition_leader_epoch: LeaderEpoch(i32::from_be_bytes(field(head, 12))),
            magic: i8::from_be_bytes(field(head, 16)),
            crc: u32::from_be_bytes(field(head, 17)),
            attributes: Attributes(i16::from_be_bytes(field(head, 21))),
            last_offset_delta: i32::from_be_bytes(field(head, 23)),
            base_timestamp: Timestamp(i64::from_be_bytes(field(head, 27))),
            max_timestamp: Timestamp(i64::from_be_bytes(field(head, 35))),
            producer_id: ProducerId(i64::from_be_bytes(field(head, 43))),
            producer_epoch: i16::from_be_bytes(field(head, 51)),
            base_sequence: i32::from_be_bytes(field(head, 53)),
            record_count: i32::from_be_bytes(field(head, 57)),
        };
        if header.magic != MAGIC {
            return Err(Error::Corrupt(Flaw::Magic(header.magic)));
        }
        if header.total_bytes() < HEADER_BYTES {
            return Err(Error::Corrupt(Flaw::Length(header.batch_length)));
        }
        Ok(header)
    }

    /// Bytes of the whole batch, header included; 0 for a negative length.
    #[must_use]
    pub fn total_bytes(&self) -> usize {
        usize::try_from(self.batch_length).map_or(0, |length| length + LENGTH_OVERHEAD)
    }

    /// Offset of the last record.
    #[must_use]
    pub fn last_offset(&self) -> Offset {
        self.base_offset + i64::from(self.last_offset_delta)
    }

    /// The offset after the last record.
    #[must_use]
    pub fn end_offset(&self) -> Offset {
        self.last_offset() + 1
    }

    /// The header's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_BYTES] {
        let mut head = [0; HEADER_BYTES];
        head[0..8].copy_from_slice(&self.base_offset.0.to_be_bytes());
        head[8..12].copy_from_slice(&self.batch_length.to_be_bytes());
        head[12..16].copy_from_slice(&self.partition_leader_epoch.0.to_be_bytes());
        head[16..17].copy_from_slice(&self.magic.to_be_bytes());
        head[17..21].copy_from_slice(&self.crc.to_be_bytes());
        head[21..23].copy_from_slice(&self.attributes.0.to_be_bytes());
        head[23..27].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        head[27..35].copy_from_slice(&self.base_timestamp.0.to_be_bytes());
        head[35..43].copy_from_slice(&self.max_timestamp.0.to_be_bytes());
        head[43..51].copy_from_slice(&self.producer_id.0.to_be_bytes());
        head[51..53].copy_from_slice(&self.producer_epoch.to_be_bytes());
        head[53..57].copy_from_slice(&self.base_sequence.to_be_bytes());
        head[57..61].copy_from_slice(&self.record_count.to_be_bytes());
        head
    }

    /// Appends the header's bytes to `out`.
    pub fn write_to(&self, out: &mut BytesMut) {
        out.put_slice(&self.to_bytes());
    }
}

fn field<const N: usize>(head: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&head[at..at + N]);
    bytes
}

/// One batch that passed [`super::validate::validate`], or that this process built.
///
/// `header` speaks for the batch: its CRC matches its other fields and the tail. Whoever writes the batch writes
/// [`super::assign::assign`]'s head and tail, never `bytes` as they are: their first 61 bytes may be older than the header.
#[derive(Debug, Clone)]
pub struct ValidBatch {
    /// The header, as it will be stored but for base offset and leader epoch.
    pub header: BatchHeader,
    /// The whole batch as it arrived: [`BatchHeader::total_bytes`] of them.
    pub bytes: Bytes,
}

impl ValidBatch {
    /// The records after the header, still compressed; shares the batch's memory.
    #[must_use]
    pub fn tail(&self) -> Bytes {
        self.bytes.slice(HEADER_BYTES..)
    }

    /// Bytes of the whole batch.
    #[must_use]
    pub fn total_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Offsets that the batch takes.
    #[must_use]
    pub fn offsets(&self) -> i64 {
        i64::from(self.header.last_offset_delta) + 1
    }

    /// Reads a batch that was stored, trusting what its object's checksum vouches for.
    ///
    /// `bytes` start with the batch; what follows it is ignored.
    ///
    /// # Errors
    /// [`Error::Corrupt`]: no header, or fewer bytes than it says.
    pub fn read_stored(bytes: &Bytes) -> Result<Self, Error> {
        let header = BatchHeader::read(bytes)?;
        let needed = header.total_bytes();
        if bytes.len() < needed {
            return Err(Error::Corrupt(Flaw::Truncated { needed, got: bytes.len() }));
        }
        Ok(Self { header, bytes: bytes.slice(..needed) })
    }
}
