//! Why a record batch is refused.

use std::fmt;

/// Why a batch is refused, by Kafka's error codes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// `CORRUPT_MESSAGE`: the bytes are no batch, or not the ones that were sent.
    #[error("corrupt record batch: {0}")]
    Corrupt(Flaw),
    /// `INVALID_RECORD`: a batch that breaks a rule as a whole.
    #[error("invalid record batch: {0}")]
    Invalid(Flaw),
    /// `MESSAGE_TOO_LARGE`.
    #[error("record batch of {bytes} bytes exceeds {max}")]
    TooLarge {
        /// The batch's size, or how much of it was unpacked when the bound was passed.
        bytes: usize,
        /// What is allowed: `max.message.bytes`, or the bound on unpacked records.
        max: usize,
    },
    /// `UNSUPPORTED_COMPRESSION_TYPE`: zstd in a Produce request below version 7, or a codec that does not exist.
    #[error("compression codec {codec} is not supported")]
    UnsupportedCompression {
        /// The codec's number.
        codec: i16,
    },
    /// `INVALID_TIMESTAMP` if a record's timestamp is among the reasons, else `INVALID_RECORD`: some records break a
    /// rule. The only refusal to which Kafka adds record_errors and an error_message.
    #[error("{} records were rejected", .0.total())]
    Rejected(Rejections),
    /// The schemas that the records are held against are not all known yet: nothing is wrong with them.
    #[error("schemas are not known yet")]
    SchemasNotReady,
}

/// Records that break a rule: all are counted, and why is kept of the first [`Rejections::KEPT`]. A batch of a few kilobytes
/// may unpack to millions of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rejections {
    first: Vec<RecordError>,
    total: usize,
    has_timestamp: bool,
}

/// What is wrong with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// No batch where one is due.
    #[error("no batch")]
    Empty,
    /// More than one batch for one partition of one request.
    #[error("more than one batch")]
    SeveralBatches,
    /// Fewer bytes than the batch needs.
    #[error("{got} bytes where {needed} are needed")]
    Truncated {
        /// Bytes that would be enough.
        needed: usize,
        /// Bytes there are.
        got: usize,
    },
    /// A length that no batch can have.
    #[error("length {0} is below the least")]
    Length(i32),
    /// Not the format that is served.
    #[error("magic {0} instead of 2")]
    Magic(i8),
    /// The checksum is another than the header's.
    #[error("CRC {computed:#010x} instead of {stored:#010x}")]
    Crc {
        /// What the header says.
        stored: u32,
        /// What the bytes give.
        computed: u32,
    },
    /// A producer's batch starts at 0.
    #[error("base offset {0} instead of 0")]
    BaseOffset(i64),
    /// The last offset is before the first.
    #[error("last offset delta {0}")]
    OffsetRange(i32),
    /// A batch holds at least one record.
    #[error("record count {0}")]
    Count(i32),
    /// Offsets and records do not agree.
    #[error("{records} records over {offsets} offsets")]
    OffsetsAndCount {
        /// Offsets from first to last.
        offsets: i64,
        /// What the header counts.
        records: i32,
    },
    /// Clients write no control batches.
    #[error("a control batch")]
    Control,
    /// A producer id without a sequence number.
    #[error("sequence {sequence} of producer {producer_id}")]
    Sequence {
        /// The first record's sequence number.
        sequence: i32,
        /// Whose.
        producer_id: i64,
    },
    /// The records could not be unpacked.
    #[error("records do not decompress")]
    Compression,
    /// The records do not follow the format.
    #[error("record {index} is malformed")]
    Record {
        /// Which record, from 0.
        index: i32,
    },
    /// Bytes are left after the last record.
    #[error("bytes remain after the last record")]
    Remaining,
    /// A control record that is none.
    #[error("a control record without a type")]
    ControlRecord,
}

/// One record's fault (Produce's record_errors).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordError {
    /// The record's position in its batch, from 0 (`batch_index`).
    pub index: i32,
    /// What is wrong with it.
    pub flaw: RecordFlaw,
}

/// What is wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordFlaw {
    /// A compacted topic's records need keys.
    NoKey,
    /// The timestamp is outside `message.timestamp.before.max.ms` or `message.timestamp.after.max.ms`.
    TimestampOutOfRange {
        /// The record's timestamp.
        timestamp: i64,
        /// The record's offset in the batch.
        offset: i64,
        /// The earliest that is allowed.
        from: i64,
        /// The latest that is allowed.
        to: i64,
    },
    /// Only a leader stamps the time of append.
    LogAppendTime {
        /// The record's offset in the batch.
        offset: i64,
        /// The record's timestamp.
        timestamp: i64,
        /// Bytes of its key, 0 without one.
        key_bytes: usize,
        /// Bytes of its value, 0 without one.
        value_bytes: usize,
    },
    /// Its key or its value is not of a schema that the topic takes.
    Schema {
        /// `key` or `value`.
        part: &'static str,
        /// What is wrong, in words.
        why: String,
    },
}

impl RecordFlaw {
    /// Whether Kafka counts it as `INVALID_TIMESTAMP` rather than `INVALID_RECORD`.
    #[must_use]
    pub fn is_timestamp(&self) -> bool {
        match self {
            Self::NoKey | Self::Schema { .. } => false,
            Self::TimestampOutOfRange { .. } | Self::LogAppendTime { .. } => true,
        }
    }
}

impl Rejections {
    /// Of so many records is kept what is wrong with them.
    pub const KEPT: usize = 1000;

    /// Counts one more.
    pub(super) fn push(&mut self, error: RecordError) {
        self.total += 1;
        self.has_timestamp |= error.flaw.is_timestamp();
        if self.first.len() < Self::KEPT {
            self.first.push(error);
        }
    }

    /// An error, if there is anything to reject.
    pub(super) fn into_result(self) -> Result<(), Error> {
        if self.total == 0 { Ok(()) } else { Err(Error::Rejected(self)) }
    }

    /// The first ones, in the order of the batch.
    #[must_use]
    pub fn first(&self) -> &[RecordError] {
        &self.first
    }

    /// How many there are.
    #[must_use]
    pub fn total(&self) -> usize {
        self.total
    }
}

impl RecordError {
    /// Kafka's text (`batch_index_error_message`); `partition` as Kafka prints it, such as `orders-0`.
    ///
    /// Source: `LogValidator.validateRecord` in Apache Kafka.
    #[must_use]
    pub fn message(&self, partition: &dyn fmt::Display) -> String {
        match &self.flaw {
            RecordFlaw::NoKey => {
                format!(
                    "Compacted topic cannot accept message without key in topic partition {partition}"
                )
            }
            RecordFlaw::TimestampOutOfRange { timestamp, offset, from, to } => format!(
                "Timestamp {timestamp} of message with offset {offset} is out of range. \
                 The timestamp should be within [{from}, {to}]"
            ),
            RecordFlaw::LogAppendTime { offset, timestamp, key_bytes, value_bytes } => format!(
                "Invalid timestamp type in message DefaultRecord(offset={offset}, timestamp={timestamp}, \
                 key={key_bytes} bytes, value={value_bytes} bytes). \
                 Producer should not set timestamp type to LogAppendTime."
            ),
            RecordFlaw::Schema { part, why } => {
                format!("The record's {part} in topic partition {partition} is refused: {why}")
            }
        }
    }
}

impl Error {
    /// Whether this is `INVALID_TIMESTAMP`.
    #[must_use]
    pub fn is_timestamp(&self) -> bool {
        matches!(self, Self::Rejected(rejections) if rejections.has_timestamp)
    }

    /// Whether Kafka finds it only as it appends, and so tells where the log starts beside it: what it sees in the bytes of the
    /// request it refuses before it looks for a log.
    ///
    /// Source: `ProduceRequest.validateRecords`, `ReplicaManager.appendRecordsToLeader` in Apache Kafka.
    #[must_use]
    pub fn is_of_append(&self) -> bool {
        match self {
            Self::Rejected(_) => true,
            Self::Invalid(flaw) => !matches!(
                flaw,
                Flaw::Empty
                    | Flaw::SeveralBatches
                    | Flaw::Truncated { .. }
                    | Flaw::Length(_)
                    | Flaw::Magic(_)
                    | Flaw::Crc { .. }
            ),
            Self::Corrupt(_)
            | Self::TooLarge { .. }
            | Self::UnsupportedCompression { .. }
            | Self::SchemasNotReady => false,
        }
    }

    /// What Kafka writes as the partition's error_message; none where Kafka leaves it null.
    ///
    /// Source: `LogValidator.processRecordErrors`, `ReplicaManager.appendRecordsToLeader` in Apache Kafka.
    #[must_use]
    pub fn message(&self, partition: &dyn fmt::Display) -> Option<String> {
        let Self::Rejected(rejections) = self else { return None };
        if self.is_timestamp() {
            return Some(
                "One or more records have been rejected due to invalid timestamp".to_owned(),
            );
        }
        let shown: Vec<String> = rejections
            .first
            .iter()
            .take(3)
            .map(|error| {
                format!(
                    "RecordError(batchIndex={}, message='{}')",
                    error.index,
                    error.message(partition)
                )
            })
            .collect();
        Some(format!(
            "One or more records have been rejected due to {} record errors in total, \
             and only showing the first three errors at most: [{}]",
            rejections.total,
            shown.join(", ")
        ))
    }
}
