//! Record batches as bytes: built by hand, so that they can be wrong in every way, and read back for comparison.

use serde_json::{Value, json};

const CONTROL: i16 = 0x20;

/// One v2 batch to be sent. Every field can be set to what no client would send.
#[derive(Debug, Clone)]
pub struct Batch {
    pub base_offset: i64,
    pub leader_epoch: i32,
    pub magic: i8,
    pub attributes: i16,
    pub last_offset_delta: Option<i32>,
    pub base_timestamp: i64,
    pub max_timestamp: Option<i64>,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub count: Option<i32>,
    pub records: Vec<Record>,
    /// Replaces the encoded records.
    pub body: Option<Vec<u8>>,
    /// Added to the right length field.
    pub length_error: i32,
    /// Xored into the right CRC.
    pub crc_error: u32,
}

/// One record of a batch.
#[derive(Debug, Clone)]
pub struct Record {
    pub timestamp_delta: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub offset_delta: Option<i32>,
}

/// A record without a key.
pub fn value(text: &str) -> Record {
    Record {
        timestamp_delta: 0,
        key: None,
        value: Some(text.as_bytes().to_vec()),
        offset_delta: None,
    }
}

/// A record with a key.
pub fn keyed(key: &str, text: &str) -> Record {
    Record { key: Some(key.as_bytes().to_vec()), ..value(text) }
}

/// A plain batch of `records` at `timestamp`, without a producer.
pub fn batch(timestamp: i64, records: Vec<Record>) -> Batch {
    Batch {
        base_offset: 0,
        leader_epoch: -1,
        magic: 2,
        attributes: 0,
        last_offset_delta: None,
        base_timestamp: timestamp,
        max_timestamp: None,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        count: None,
        records,
        body: None,
        length_error: 0,
        crc_error: 0,
    }
}

/// A batch of the values `first..first + count`, each a second after the other.
pub fn numbered(timestamp: i64, first: i32, count: i32) -> Batch {
    let records = (first..first + count)
        .map(|n| Record {
            timestamp_delta: i64::from(n - first) * 1000,
            ..value(&format!("value-{n:05}"))
        })
        .collect();
    batch(timestamp, records)
}

impl Batch {
    /// The same batch by an idempotent producer.
    pub fn by(mut self, producer_id: i64, producer_epoch: i16, base_sequence: i32) -> Self {
        self.producer_id = producer_id;
        self.producer_epoch = producer_epoch;
        self.base_sequence = base_sequence;
        self
    }

    /// The bytes as they go into a produce request.
    pub fn encode(&self) -> Vec<u8> {
        let body = self.body.clone().unwrap_or_else(|| self.encode_records());
        let count = i32::try_from(self.records.len()).expect("few records");
        let latest = self.records.iter().map(|record| record.timestamp_delta).max().unwrap_or(0);
        let mut tail = Vec::new();
        tail.extend(self.attributes.to_be_bytes());
        tail.extend(self.last_offset_delta.unwrap_or(count - 1).to_be_bytes());
        tail.extend(self.base_timestamp.to_be_bytes());
        tail.extend(self.max_timestamp.unwrap_or(self.base_timestamp + latest).to_be_bytes());
        tail.extend(self.producer_id.to_be_bytes());
        tail.extend(self.producer_epoch.to_be_bytes());
        tail.extend(self.base_sequence.to_be_bytes());
        tail.extend(self.count.unwrap_or(count).to_be_bytes());
        tail.extend(body);
        let length = i32::try_from(tail.len() + 9).expect("a small batch") + self.length_error;
        let mut out = Vec::new();
        out.extend(self.base_offset.to_be_bytes());
        out.extend(length.to_be_bytes());
        out.extend(self.leader_epoch.to_be_bytes());
        out.extend(self.magic.to_be_bytes());
        out.extend((crc32c(&tail) ^ self.crc_error).to_be_bytes());
        out.extend(tail);
        out
    }

    /// The records alone, uncompressed.
    pub fn encode_records(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (index, record) in self.records.iter().enumerate() {
            let index = i32::try_from(index).expect("few records");
            let mut bytes = vec![0u8];
            varint(&mut bytes, record.timestamp_delta);
            varint(&mut bytes, i64::from(record.offset_delta.unwrap_or(index)));
            blob(&mut bytes, record.key.as_deref());
            blob(&mut bytes, record.value.as_deref());
            varint(&mut bytes, 0);
            varint(&mut out, i64::try_from(bytes.len()).expect("a small record"));
            out.extend(bytes);
        }
        out
    }
}

fn blob(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    let Some(bytes) = bytes else { return varint(out, -1) };
    varint(out, i64::try_from(bytes.len()).expect("a small blob"));
    out.extend(bytes);
}

fn varint(out: &mut Vec<u8>, value: i64) {
    let mut left = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while left >= 0x80 {
        out.push(u8::try_from(left & 0x7f).expect("seven bits") | 0x80);
        left >>= 7;
    }
    out.push(u8::try_from(left).expect("seven bits"));
}

/// CRC-32C, bit by bit: slow, short, and independent of the product's.
pub fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & 0u32.wrapping_sub(crc & 1));
        }
    }
    !crc
}

/// The batches of a fetch answer. A batch cut off at the end is left out: Kafka cuts by bytes, clients skip it.
///
/// Coordinator epochs in markers are told from `first_epoch` on.
pub fn describe(mut bytes: &[u8], first_epoch: i32) -> Value {
    let mut batches = Vec::new();
    while let Some((one, rest)) = split(bytes) {
        batches.push(describe_one(one, first_epoch));
        bytes = rest;
    }
    Value::Array(batches)
}

fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = i32::from_be_bytes(bytes.get(8..12)?.try_into().ok()?);
    let total = usize::try_from(length).ok()? + 12;
    (total >= 61 && bytes.len() >= total).then(|| bytes.split_at(total))
}

fn describe_one(one: &[u8], first_epoch: i32) -> Value {
    let int = |at: usize| i32::from_be_bytes(one[at..at + 4].try_into().expect("four bytes"));
    let long = |at: usize| i64::from_be_bytes(one[at..at + 8].try_into().expect("eight bytes"));
    let short = |at: usize| i16::from_be_bytes(one[at..at + 2].try_into().expect("two bytes"));
    let crc = crc32c(&one[21..]) == int(17).cast_unsigned();
    let records = if short(21) & CONTROL == 0 {
        one[61..].to_vec()
    } else {
        marker_from(&one[61..], first_epoch)
    };
    json!({
        "base_offset": long(0),
        "bytes": one.len(),
        "partition_leader_epoch": int(12),
        "magic": one[16],
        "crc": if crc { "right" } else { "wrong" },
        "attributes": short(21),
        "last_offset_delta": int(23),
        "base_timestamp": long(27),
        "max_timestamp": long(35),
        "producer_id": long(43),
        "producer_epoch": short(51),
        "base_sequence": int(53),
        "count": int(57),
        "records_crc": format!("{:08x}", crc32c(&records)),
    })
}

/// The record of a marker with its coordinator epoch told from `first` on: the last field of the value, before no headers.
fn marker_from(record: &[u8], first: i32) -> Vec<u8> {
    let mut out = record.to_vec();
    let at = out.len().checked_sub(5);
    if let Some(epoch) = at.and_then(|at| out[at..].first_chunk_mut::<4>()) {
        *epoch = i32::from_be_bytes(*epoch).wrapping_sub(first).to_be_bytes();
    }
    out
}

#[test]
fn a_built_batch_reads_back() {
    let bytes = numbered(1000, 0, 3).by(9, 1, 5).encode();
    let described = describe(&[bytes.clone(), bytes[..70].to_vec()].concat(), 0);
    assert_eq!(described.as_array().map(Vec::len), Some(1), "the cut batch is left out");
    assert_eq!(described[0]["crc"], "right");
    assert_eq!(described[0]["max_timestamp"], 3000);
    assert_eq!(described[0]["producer_id"], 9);
}
