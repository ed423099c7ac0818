//! Record batches built once and stamped for each request.

use crc_fast::{CrcAlgorithm, checksum};

use super::Writer;

const CRC_AT: usize = 17;
const ATTRIBUTES_AT: usize = 21;
const PRODUCER_AT: usize = 43;

/// An idempotent producer's identity.
#[derive(Debug, Clone, Copy)]
pub struct Producer {
    /// Its id.
    pub id: i64,
    /// Its epoch.
    pub epoch: i16,
}

/// One v2 batch, uncompressed.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The 61-byte header and the records.
    pub bytes: Vec<u8>,
    /// How many records.
    pub records: i32,
}

impl Batch {
    /// A batch of records with these values and no keys, of no producer.
    pub fn new<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut body = Writer::default();
        let mut records = 0;
        for value in values {
            let mut record = Writer::default();
            record.i8(0).varint(0).varint(i64::from(records)).varint(-1);
            record.varint(value.len() as i64);
            record.0.extend_from_slice(value);
            record.varint(0);
            body.varint(record.0.len() as i64);
            body.0.extend_from_slice(&record.0);
            records += 1;
        }
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as i64);
        let mut batch = Writer::default();
        batch.i64(0).length(body.0.len() + 49).i32(-1).i8(2).i32(0).i16(0).i32(records - 1);
        batch.i64(now).i64(now).i64(-1).i16(-1).i32(-1).i32(records);
        batch.0.extend_from_slice(&body.0);
        let mut batch = Self { bytes: batch.0, records };
        batch.seal();
        batch
    }

    /// Makes it the producer's batch with this sequence.
    pub fn stamp(&mut self, producer: Producer, sequence: i32) {
        let mut fields = Writer::default();
        fields.i64(producer.id).i16(producer.epoch).i32(sequence);
        self.bytes[PRODUCER_AT..PRODUCER_AT + fields.0.len()].copy_from_slice(&fields.0);
        self.seal();
    }

    fn seal(&mut self) {
        let crc = checksum(CrcAlgorithm::Crc32Iscsi, &self.bytes[ATTRIBUTES_AT..]) as u32;
        self.bytes[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&crc.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_states_its_own_length_and_checksum() {
        let mut batch = Batch::new([&b"one"[..], b"two"]);
        batch.stamp(Producer { id: 7, epoch: 1 }, 40);
        let length = i32::from_be_bytes(batch.bytes[8..12].try_into().expect("four bytes"));
        assert_eq!(length as usize, batch.bytes.len() - 12);
        let crc = u32::from_be_bytes(batch.bytes[17..21].try_into().expect("four bytes"));
        assert_eq!(u64::from(crc), checksum(CrcAlgorithm::Crc32Iscsi, &batch.bytes[21..]));
        assert_eq!(i32::from_be_bytes(batch.bytes[53..57].try_into().expect("four bytes")), 40);
    }
}
