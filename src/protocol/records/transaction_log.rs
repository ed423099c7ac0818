//! Records of `__transaction_state`: a transactional id, and where its transaction stands.
//!
//! Source: `TransactionLogKey.json`, `TransactionLogValue.json` in Apache Kafka; KIP-98, KIP-890, KIP-915.

use crate::protocol::error::Error;
use crate::protocol::wire::{Cursor, Sink, Writer};

/// The only version of a key.
const KEY_VERSION: i16 = 0;
/// The first version with tagged fields (`transaction.version` 1 and above), and the last that is known.
const FLEXIBLE: i16 = 1;
/// The least that a topic of a value takes: name and count.
const TOPIC_BYTES_MIN: usize = 2;

const PREVIOUS_PRODUCER_ID: u32 = 0;
const NEXT_PRODUCER_ID: u32 = 1;
const CLIENT_TRANSACTION_VERSION: u32 = 2;

/// Partitions by topic, as they are listed.
pub type Topics = Vec<(String, Vec<i32>)>;

/// The value of a record. What is absent of older versions has Kafka's defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionLogValue {
    /// The producer id in use.
    pub producer_id: i64,
    /// The one before it, or -1.
    pub previous_producer_id: i64,
    /// The one that the producer goes on with when its transaction is complete, or -1.
    pub next_producer_id: i64,
    /// The producer's epoch.
    pub producer_epoch: i16,
    /// The longest that a transaction may stay open.
    pub timeout_ms: i32,
    /// `TransactionState.id`.
    pub status: i8,
    /// The partitions of the transaction by topic; none in the state Empty.
    pub partitions: Option<Topics>,
    /// When the record was written.
    pub last_update_ms: i64,
    /// When the transaction began, or -1.
    pub start_ms: i64,
    /// The version of transactions that the client speaks.
    pub client_transaction_version: i16,
}

/// The key of a transactional id's records.
#[must_use]
pub fn key(transactional_id: &str) -> Vec<u8> {
    let mut out = Bytes::default();
    let mut writer = Writer::new(&mut out, false);
    writer.i16(KEY_VERSION);
    writer.string(Some(transactional_id));
    out.0
}

/// Reads a key. None: a version that is not known, which is skipped.
///
/// # Errors
/// Bytes that are no key.
pub fn read_key(bytes: &[u8]) -> Result<Option<String>, Error> {
    let mut cursor = Cursor::new(bytes, false);
    if cursor.i16()? != KEY_VERSION {
        return Ok(None);
    }
    let id = cursor.string()?.ok_or_else(|| cursor.invalid("null transactional id"))?;
    at_end(&cursor)?;
    Ok(Some(id.to_owned()))
}

impl TransactionLogValue {
    /// The bytes in version 1, or in version 0, which leaves out what that lacks.
    #[must_use]
    pub fn encode(&self, flexible: bool) -> Vec<u8> {
        let mut out = Bytes::default();
        let version = if flexible { FLEXIBLE } else { 0 };
        Writer::new(&mut out, false).i16(version);
        let mut writer = Writer::new(&mut out, flexible);
        writer.i64(self.producer_id);
        writer.i16(self.producer_epoch);
        writer.i32(self.timeout_ms);
        writer.sink.put(&self.status.to_be_bytes());
        writer.count(self.partitions.as_ref().map(Vec::len));
        for (topic, partitions) in self.partitions.iter().flatten() {
            writer.string(Some(topic));
            writer.count(Some(partitions.len()));
            for partition in partitions {
                writer.i32(*partition);
            }
            writer.tagged(&[]);
        }
        writer.i64(self.last_update_ms);
        writer.i64(self.start_ms);
        let tag = |tag, value: &[u8]| (tag, bytes::Bytes::copy_from_slice(value));
        let mut tagged = Vec::new();
        if self.previous_producer_id != -1 {
            tagged.push(tag(PREVIOUS_PRODUCER_ID, &self.previous_producer_id.to_be_bytes()));
        }
        if self.next_producer_id != -1 {
            tagged.push(tag(NEXT_PRODUCER_ID, &self.next_producer_id.to_be_bytes()));
        }
        if self.client_transaction_version != 0 {
            let version = self.client_transaction_version.to_be_bytes();
            tagged.push(tag(CLIENT_TRANSACTION_VERSION, &version));
        }
        writer.tagged(&tagged);
        out.0
    }

    /// Reads a value of any known version. Unknown tagged fields are skipped (KIP-915).
    ///
    /// # Errors
    /// An unknown version, or bytes that are no value.
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let version = Cursor::new(bytes, false).i16()?;
        if !(0..=FLEXIBLE).contains(&version) {
            return Err(Cursor::new(bytes, false).invalid("version of a transaction's record"));
        }
        let mut cursor = Cursor::new(bytes, version == FLEXIBLE);
        cursor.i16()?;
        let producer_id = cursor.i64()?;
        let producer_epoch = cursor.i16()?;
        let timeout_ms = cursor.i32()?;
        let status = cursor.i8()?;
        let partitions = read_topics(&mut cursor)?;
        let last_update_ms = cursor.i64()?;
        let start_ms = cursor.i64()?;
        let (mut previous, mut next, mut client) = (-1, -1, 0);
        cursor.tagged(|tag, field| {
            match tag {
                PREVIOUS_PRODUCER_ID => previous = field.i64()?,
                NEXT_PRODUCER_ID => next = field.i64()?,
                CLIENT_TRANSACTION_VERSION => client = field.i16()?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        at_end(&cursor)?;
        Ok(Self {
            producer_id,
            previous_producer_id: previous,
            next_producer_id: next,
            producer_epoch,
            timeout_ms,
            status,
            partitions,
            last_update_ms,
            start_ms,
            client_transaction_version: client,
        })
    }
}

fn read_topics(cursor: &mut Cursor<'_>) -> Result<Option<Topics>, Error> {
    let Some(count) = cursor.count(TOPIC_BYTES_MIN)? else { return Ok(None) };
    let mut topics = Vec::with_capacity(count);
    for _ in 0..count {
        let topic = cursor.string()?.ok_or_else(|| cursor.invalid("null topic"))?.to_owned();
        let partitions = cursor.count(4)?.ok_or_else(|| cursor.invalid("null partitions"))?;
        let numbers: Result<Vec<i32>, Error> = (0..partitions).map(|_| cursor.i32()).collect();
        cursor.tagged(|_, _| Ok(false))?;
        topics.push((topic, numbers?));
    }
    Ok(Some(topics))
}

fn at_end(cursor: &Cursor<'_>) -> Result<(), Error> {
    if cursor.left() > 0 { Err(cursor.invalid("bytes after a record")) } else { Ok(()) }
}

/// Record bytes while they are written.
#[derive(Debug, Default)]
struct Bytes(Vec<u8>);

impl Sink for Bytes {
    fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn share(&mut self, bytes: &bytes::Bytes) {
        self.put(bytes);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = TransactionLogValue> {
        let topic = ("[a-z]{1,9}", proptest::collection::vec(any::<i32>(), 0..4));
        let partitions = proptest::option::of(proptest::collection::vec(topic, 0..4));
        let ids = (any::<i64>(), -1..5_i64, -1..5_i64, any::<i16>());
        (ids, any::<i32>(), 0..6_i8, partitions, any::<(i64, i64)>(), 0..3_i16).prop_map(
            |(ids, timeout_ms, status, partitions, times, client_transaction_version)| {
                TransactionLogValue {
                    producer_id: ids.0,
                    previous_producer_id: ids.1,
                    next_producer_id: ids.2,
                    producer_epoch: ids.3,
                    timeout_ms,
                    status,
                    partitions,
                    last_update_ms: times.0,
                    start_ms: times.1,
                    client_transaction_version,
                }
            },
        )
    }

    proptest! {
        #[test]
        fn values_are_read_back_and_no_part_of_one_is(value in value()) {
            let bytes = value.encode(true);
            prop_assert_eq!(TransactionLogValue::read(&bytes), Ok(value.clone()));
            for end in 0..bytes.len() {
                prop_assert!(TransactionLogValue::read(&bytes[..end]).is_err(), "{} bytes", end);
            }
            let old = TransactionLogValue {
                previous_producer_id: -1,
                next_producer_id: -1,
                client_transaction_version: 0,
                ..value.clone()
            };
            prop_assert_eq!(TransactionLogValue::read(&value.encode(false)), Ok(old));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..99)) {
            let _ = (TransactionLogValue::read(&bytes), read_key(&bytes));
        }
    }

    /// What Apache Kafka 4.3.1 wrote for a transaction of two topics: begun, ended, completed.
    #[test]
    fn records_of_kafka_are_read_and_written_alike() {
        let key_of_golden = [0, 0, 0, 6, b'g', b'o', b'l', b'd', b'e', b'n'];
        assert_eq!(key("golden"), key_of_golden);
        assert_eq!(read_key(&key_of_golden), Ok(Some("golden".to_owned())));
        let golden = [
            (
                "0001000000000000000000000000ea600000000001a2107e6d50ffffffffffffffff0100080000000000000000",
                (0, 0, -1),
            ),
            (
                "0001000000000000000000000000ea60010308746f7069632d6102000000000008746f7069632d6202000000\
                 0000000001a2107e6f0b000001a2107e6e5e020008000000000000000002020002",
                (1, 0, 1_795_573_050_974),
            ),
            (
                "0001000000000000000000010000ea60020308746f7069632d6102000000000008746f7069632d6202000000\
                 0000000001a2107e6f1d000001a2107e6e5e020008000000000000000002020002",
                (2, 1, 1_795_573_050_974),
            ),
            (
                "0001000000000000000000010000ea600401000001a2107e6f25000001a2107e6e5e02000800000000000000\
                 0002020002",
                (4, 1, 1_795_573_050_974),
            ),
        ];
        for (hex, (status, epoch, start_ms)) in golden {
            let digits = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
            let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(digits).collect();
            let value = TransactionLogValue::read(&bytes).expect("Kafka wrote it");
            assert_eq!((value.status, value.producer_epoch), (status, epoch));
            assert_eq!((value.timeout_ms, value.start_ms), (60_000, start_ms));
            assert_eq!(value.encode(true), bytes);
        }
    }

    #[test]
    fn keys_are_read_back_and_unknown_versions_are_skipped() {
        assert_eq!(key("tx"), [0, 0, 0, 2, b't', b'x']);
        assert_eq!(read_key(&key("tx")), Ok(Some("tx".to_owned())));
        assert_eq!(read_key(&[0, 9, 1, 2, 3]), Ok(None));
        assert!(read_key(&[0, 0, 0, 2, b't']).is_err());
    }
}
