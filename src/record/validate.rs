//! The rules that a produced batch must pass, in Kafka's order, with Kafka's refusals.
//!
//! The header and the checksum are judged; records stay as they are. They are decoded only where a rule is about
//! single records and the header leaves it open: keys on a compacted topic, timestamps that may be out of range, and a
//! topic with a codec of its own.
//!
//! Source: `ProduceRequest.validateRecords`, `UnifiedLog.analyzeAndValidateRecords`, `LogValidator` in Apache Kafka.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;

use super::assign;
use super::batch::{
    BatchHeader, CRC_START, HEADER_BYTES, LENGTH_OVERHEAD, MAGIC, TimestampType, ValidBatch,
};
use super::build;
use super::compression::{Compression, Target};
use super::crc::crc32c;
use super::error::{Error, Flaw, RecordError, RecordFlaw, Rejections};
use super::records::{RecordView, Records};
use crate::base::clock::Timestamp;
use crate::base::ids::ProducerId;

/// What a topic and a request demand of a batch.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Version of the Produce request: zstd needs 7.
    pub produce_version: i16,
    /// `max.message.bytes`: the most that a batch may take, header included.
    pub max_message_bytes: usize,
    /// `message.timestamp.type`. Under `LogAppendTime` records keep their timestamps here; `restamp` follows at append.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`; `i64::MAX` allows any past.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`; `i64::MAX` allows any future.
    pub timestamp_after_max_ms: i64,
    /// Whether the topic is compacted, so that each record needs a key.
    pub keys_required: bool,
    /// `compression.type`; none is `producer`: as it came.
    pub compression: Option<Target>,
    /// The most that a batch's records may unpack to where they must be looked at.
    pub unpacked_bytes_max: usize,
    /// The leader's wall clock.
    pub now: Timestamp,
}

impl Rules {
    /// Kafka's defaults for a topic, at `now`.
    #[must_use]
    pub fn kafka_defaults(now: Timestamp) -> Self {
        Self {
            produce_version: 13,
            max_message_bytes: 1_048_588,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 3_600_000,
            keys_required: false,
            compression: None,
            unpacked_bytes_max: 256 << 20,
            now,
        }
    }
}

/// Checks one partition's `records` of a Produce request: exactly one batch that keeps `rules`.
///
/// Bytes after the batch that hold no further whole batch are dropped, as Kafka drops them. The checksum is computed
/// once, here.
///
/// # Errors
/// Kafka's refusals in Kafka's order. Nothing was changed.
pub fn validate(records: Bytes, rules: &Rules) -> Result<ValidBatch, Error> {
    let batch = only_batch(records, rules.produce_version)?;
    check_header(&batch, rules)?;
    let codec = batch.header.attributes.compression()?;
    check_client_batch(&batch.header)?;
    let target = rules.compression.filter(|target| target.codec != codec);
    if target.is_none() && !concerns_records(&batch.header, rules) {
        return Ok(batch);
    }
    let records = Records::unpack(&batch, rules.unpacked_bytes_max)?;
    let max_timestamp = check_records(&records, &batch.header, rules)?;
    let batch = settle_timestamps(batch, rules.timestamp_type, max_timestamp);
    match target {
        None => Ok(batch),
        Some(target) => repack(&batch, &records, target, rules.max_message_bytes),
    }
}

/// The first batch of `records`, alone. Its magic is 2; its header is all there.
fn only_batch(records: Bytes, produce_version: i16) -> Result<ValidBatch, Error> {
    let total = next_batch(&records)?.ok_or(Error::Invalid(Flaw::Empty))?;
    let magic = i8::from_be_bytes([records[MAGIC_AT]]);
    if magic != MAGIC {
        return Err(Error::Invalid(Flaw::Magic(magic)));
    }
    if total < HEADER_BYTES {
        return Err(Error::Corrupt(Flaw::Truncated { needed: HEADER_BYTES, got: total }));
    }
    let header = BatchHeader::read(&records)?;
    if produce_version < 7 && header.attributes.compression() == Ok(Compression::Zstd) {
        return Err(Error::UnsupportedCompression { codec: Compression::Zstd.id() });
    }
    if total < records.len() && next_batch(&records[total..])?.is_some() {
        return Err(Error::Invalid(Flaw::SeveralBatches));
    }
    let bytes = if total == records.len() { records } else { records.slice(..total) };
    Ok(ValidBatch { header, bytes })
}

const MAGIC_AT: usize = 16;
/// The least length that Kafka takes for a record: the overhead of its first format.
const LENGTH_MIN: i32 = 14;

/// Bytes of the whole batch that `bytes` start with; none if they do not hold a whole one.
///
/// Source: `ByteBufferLogInputStream.nextBatch` in Apache Kafka.
fn next_batch(bytes: &[u8]) -> Result<Option<usize>, Error> {
    let Some(length) = bytes.get(8..LENGTH_OVERHEAD).and_then(<[u8]>::first_chunk) else {
        return Ok(None);
    };
    let length = i32::from_be_bytes(*length);
    if length < LENGTH_MIN {
        return Err(Error::Corrupt(Flaw::Length(length)));
    }
    let Some(&magic) = bytes.get(MAGIC_AT) else { return Ok(None) };
    let magic = i8::from_be_bytes([magic]);
    if !(0..=MAGIC).contains(&magic) {
        return Err(Error::Corrupt(Flaw::Magic(magic)));
    }
    let total = usize::try_from(length).map_or(usize::MAX, |length| length + LENGTH_OVERHEAD);
    Ok(Some(total).filter(|total| *total <= bytes.len()))
}

fn check_header(batch: &ValidBatch, rules: &Rules) -> Result<(), Error> {
    let header = &batch.header;
    if header.base_offset.0 != 0 {
        return Err(Error::Invalid(Flaw::BaseOffset(header.base_offset.0)));
    }
    if batch.total_bytes() > rules.max_message_bytes {
        return Err(Error::TooLarge { bytes: batch.total_bytes(), max: rules.max_message_bytes });
    }
    let computed = crc32c(&batch.bytes[CRC_START..]);
    if computed != header.crc {
        return Err(Error::Corrupt(Flaw::Crc { stored: header.crc, computed }));
    }
    Ok(())
}

fn check_client_batch(header: &BatchHeader) -> Result<(), Error> {
    let offsets = i64::from(header.last_offset_delta) + 1;
    let flaw = if offsets <= 0 {
        Flaw::OffsetRange(header.last_offset_delta)
    } else if header.record_count <= 0 {
        Flaw::Count(header.record_count)
    } else if offsets != i64::from(header.record_count) {
        Flaw::OffsetsAndCount { offsets, records: header.record_count }
    } else if header.attributes.is_control() {
        Flaw::Control
    } else if header.producer_id > ProducerId::NONE && header.base_sequence < 0 {
        Flaw::Sequence { sequence: header.base_sequence, producer_id: header.producer_id.0 }
    } else {
        return Ok(());
    };
    Err(Error::Invalid(flaw))
}

/// Whether a rule can fail, or hold, only record by record.
fn concerns_records(header: &BatchHeader, rules: &Rules) -> bool {
    if rules.keys_required || header.attributes.timestamp_type() == TimestampType::LogAppendTime {
        return true;
    }
    // Deltas may be negative, so the header bounds timestamps from above only.
    rules.timestamp_type == TimestampType::CreateTime
        && (rules.timestamp_before_max_ms != i64::MAX
            || after_range(header.max_timestamp, rules)
            || header.max_timestamp.0 < header.base_timestamp.0)
}

fn before_range(timestamp: Timestamp, rules: &Rules) -> bool {
    rules.now.0.wrapping_sub(timestamp.0) > rules.timestamp_before_max_ms
}

fn after_range(timestamp: Timestamp, rules: &Rules) -> bool {
    timestamp.0.wrapping_sub(rules.now.0) > rules.timestamp_after_max_ms
}

/// Judges each record; answers the latest timestamp among them.
fn check_records(
    records: &Records,
    header: &BatchHeader,
    rules: &Rules,
) -> Result<Timestamp, Error> {
    let mut rejections = Rejections::default();
    let mut max_timestamp = Timestamp::NONE;
    for (index, record) in (0..).zip(records) {
        let record = record?;
        max_timestamp = max_timestamp.max(record.timestamp);
        if let Some(flaw) = record_flaw(&record, header, rules) {
            rejections.push(RecordError { index, flaw });
        }
    }
    rejections.into_result().map(|()| max_timestamp)
}

fn record_flaw(record: &RecordView<'_>, header: &BatchHeader, rules: &Rules) -> Option<RecordFlaw> {
    let (timestamp, offset) = (record.timestamp, record.offset.0);
    if rules.keys_required && record.key.is_none() {
        return Some(RecordFlaw::NoKey);
    }
    if rules.timestamp_type == TimestampType::CreateTime && timestamp != Timestamp::NONE {
        return (before_range(timestamp, rules) || after_range(timestamp, rules)).then(|| {
            RecordFlaw::TimestampOutOfRange {
                timestamp: timestamp.0,
                offset,
                from: rules.now.0.wrapping_sub(rules.timestamp_before_max_ms),
                to: rules.now.0.wrapping_add(rules.timestamp_after_max_ms),
            }
        });
    }
    let stamped = header.attributes.timestamp_type() == TimestampType::LogAppendTime;
    stamped.then(|| RecordFlaw::LogAppendTime {
        offset,
        timestamp: timestamp.0,
        key_bytes: record.key.map_or(0, <[u8]>::len),
        value_bytes: record.value.map_or(0, <[u8]>::len),
    })
}

/// Sets right what the producer claimed of the records' timestamps, now that they are known.
fn settle_timestamps(
    batch: ValidBatch,
    kind: TimestampType,
    max_timestamp: Timestamp,
) -> ValidBatch {
    let header = &batch.header;
    let settled = kind == TimestampType::LogAppendTime
        || (header.attributes.timestamp_type() == kind && header.max_timestamp == max_timestamp);
    if settled { batch } else { assign::with_timestamps(&batch, kind, max_timestamp) }
}

/// The same records under the topic's own codec.
fn repack(
    batch: &ValidBatch,
    records: &Records,
    target: Target,
    max_message_bytes: usize,
) -> Result<ValidBatch, Error> {
    let packed = build::pack(batch.header, target, records.body());
    if packed.total_bytes() > max_message_bytes {
        return Err(Error::TooLarge { bytes: packed.total_bytes(), max: max_message_bytes });
    }
    Ok(packed)
}

/// Which subjects a record's schema may be registered under.
///
/// Source: `SubjectNameStrategy` of Confluent's serializers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubjectNames {
    /// The topic's name with `-key` or `-value`.
    Topic,
    /// The record's full name.
    Record,
    /// The topic's name, and the record's full name.
    TopicRecord,
}

/// What of a topic's records is held against schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaChecks {
    /// Keys.
    pub key: Option<SubjectNames>,
    /// Values.
    pub value: Option<SubjectNames>,
    /// The bytes behind the schema's id too, not the id alone.
    pub payload: bool,
}

/// A key or a value to be held against its schema.
#[derive(Debug, Clone, Copy)]
pub struct RecordPart<'a> {
    /// The topic's name.
    pub topic: &'a str,
    /// Whether it is a key.
    pub is_key: bool,
    /// Where its schema is registered.
    pub names: SubjectNames,
    /// Whether its bytes count, not its schema's id alone.
    pub payload: bool,
    /// Itself.
    pub bytes: &'a [u8],
    /// What the record's headers say of its schema.
    pub header: Option<&'a [u8]>,
}

/// Why a key or a value was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaFault {
    /// The schemas are not all known yet: later it may be accepted.
    NotReady,
    /// It does not fit.
    Refused(String),
}

/// Knows schemas. Law: it answers at once, from what it knows; a refusal is said only when it is confirmed.
#[async_trait]
pub trait RecordValidator: fmt::Debug + Send + Sync {
    /// Holds a key or a value against its schema.
    ///
    /// # Errors
    /// [`SchemaFault`].
    fn check(&self, part: &RecordPart<'_>) -> Result<(), SchemaFault>;

    /// Proves that what it knew when this was called was all that there was to know, so that what it refused before fits
    /// nobody's schemas (law 9).
    ///
    /// # Errors
    /// [`SchemaFault::NotReady`]: another process may know more.
    async fn confirm(&self) -> Result<(), SchemaFault>;
}

/// The headers that name the schemas of key and value, where the bytes do not begin with its id.
const SCHEMA_HEADERS: [&[u8]; 2] = [b"__key_schema_id", b"__value_schema_id"];

/// Holds the records of a batch of `topic` against their schemas. What is null has none.
///
/// # Errors
/// [`Error::Rejected`] with every record that does not fit; [`Error::SchemasNotReady`].
pub fn validate_schemas(
    batch: &ValidBatch,
    topic: &str,
    checks: SchemaChecks,
    validator: &dyn RecordValidator,
    unpacked_bytes_max: usize,
) -> Result<(), Error> {
    let mut rejections = Rejections::default();
    for (index, record) in (0..).zip(&Records::unpack(batch, unpacked_bytes_max)?) {
        let record = record?;
        let parts = [("key", record.key, checks.key), ("value", record.value, checks.value)];
        for (part, bytes, names) in parts {
            let (Some(bytes), Some(names)) = (bytes, names) else { continue };
            let is_key = part == "key";
            let name = SCHEMA_HEADERS[usize::from(!is_key)];
            let mut headers = record.headers;
            let header = headers.find(|(known, _)| *known == name).and_then(|(_, value)| value);
            let payload = checks.payload;
            match validator.check(&RecordPart { topic, is_key, names, payload, bytes, header }) {
                Ok(()) => {}
                Err(SchemaFault::NotReady) => return Err(Error::SchemasNotReady),
                Err(SchemaFault::Refused(why)) => {
                    rejections.push(RecordError { index, flaw: RecordFlaw::Schema { part, why } });
                    break;
                }
            }
        }
    }
    rejections.into_result()
}

#[cfg(test)]
mod tests;
