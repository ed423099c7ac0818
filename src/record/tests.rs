//! Batches as Kafka's own library writes them, and as we write them.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::batch::MAGIC;
use super::build::{BatchBuilder, NewRecord};
use super::compression::{Target, compress, decompress};
use super::control::Marker;
use super::records::Records;
use super::unpacked::LARGE_BYTES;
use super::validate::{Rules, validate};
use super::*;
use crate::base::clock::Timestamp;
use crate::base::ids::{LeaderEpoch, ProducerId};
use crate::base::offset::Offset;

const MIB: usize = 1 << 20;

fn golden(name: &str) -> Bytes {
    let path = format!("{}/tests/golden/record/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap().into()
}

/// A record with everything owned: timestamp, key, value, headers.
type Owned = (i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(Vec<u8>, Option<Vec<u8>>)>);

fn owned(batch: &ValidBatch) -> Vec<Owned> {
    let records = Records::unpack(batch, 64 * MIB).unwrap();
    let mut all = Vec::new();
    for (offset, record) in (batch.header.base_offset.0..).zip(&records) {
        let record = record.unwrap();
        assert_eq!(record.offset, Offset(offset));
        let headers =
            record.headers.map(|(name, value)| (name.to_vec(), value.map(<[u8]>::to_vec)));
        let (key, value) = (record.key.map(<[u8]>::to_vec), record.value.map(<[u8]>::to_vec));
        all.push((record.timestamp.0, key, value, headers.collect()));
    }
    all
}

fn built(codec: Compression, records: &[Owned]) -> ValidBatch {
    let mut builder = BatchBuilder::new(codec);
    for (timestamp, key, value, headers) in records {
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_slice(), value.as_deref())).collect();
        builder.push(&NewRecord {
            timestamp: Timestamp(*timestamp),
            key: key.as_deref(),
            value: value.as_deref(),
            headers: &headers,
        });
    }
    builder.build()
}

fn some(bytes: &[u8]) -> Option<Vec<u8>> {
    Some(bytes.to_vec())
}

fn kafkas_records() -> Vec<Owned> {
    let big: Vec<u8> = b"thalweg".iter().copied().cycle().take(40_000).collect();
    let headers = vec![(b"h".to_vec(), some(b"x")), (b"n".to_vec(), None)];
    vec![
        (1_767_225_600_000, some(b"k1"), some(b"v1"), headers),
        (1_767_225_600_005, None, some(b"no key"), vec![]),
        (1_767_225_599_990, some(b"gone"), None, vec![]),
        (1_767_225_600_001, some(b""), Some(big), vec![]),
    ]
}

#[test]
fn batches_of_kafkas_own_library_are_understood() {
    for codec in Compression::ALL {
        let bytes = golden(&format!("batch_{}.bin", codec.name()));
        let rules = Rules::kafka_defaults(Timestamp(1_767_225_600_000));
        let batch = validate(bytes.clone(), &rules).unwrap();
        let header = batch.header;
        assert_eq!(batch.bytes, bytes);
        assert_eq!(header.attributes.compression(), Ok(codec));
        assert_eq!(
            (header.producer_id, header.producer_epoch, header.base_sequence, header.record_count),
            (ProducerId(4242), 7, 100, 4)
        );
        assert_eq!(header.max_timestamp, Timestamp(1_767_225_600_005));
        assert_eq!(owned(&batch), kafkas_records(), "{codec:?}");
    }
}

#[test]
fn an_uncompressed_batch_is_built_byte_for_byte_as_kafka_builds_it() {
    let mut ours = built(Compression::None, &kafkas_records());
    (ours.header.producer_id, ours.header.producer_epoch) = (ProducerId(4242), 7);
    ours.header.base_sequence = 100;
    let ours = build::pack(ours.header, Target::default(), &ours.tail());
    assert_eq!(ours.bytes, golden("batch_none.bin"));
}

#[test]
fn a_marker_is_built_byte_for_byte_as_kafka_builds_it() {
    let now = Timestamp(1_767_225_600_000);
    let marker = control::end_marker(true, (ProducerId(4242), 7), 13, now);
    assert_eq!(marker.bytes, golden("marker_commit.bin"));
    let stored = ValidBatch::read_stored(&marker.bytes).unwrap();
    let expected = Marker { control: ControlType::Commit, coordinator_epoch: 13 };
    assert_eq!(control::read(&stored), Ok(expected));
}

#[test]
fn headers_are_cut_or_foreign_or_read() {
    let bytes = golden("batch_gzip.bin");
    for cut in 0..HEADER_BYTES {
        assert!(BatchHeader::read(&bytes[..cut]).is_err(), "{cut}");
    }
    let header = BatchHeader::read(&bytes).unwrap();
    let mut written = BytesMut::new();
    header.write_to(&mut written);
    assert_eq!(written, bytes[..HEADER_BYTES]);
    let with = |at: usize, value: &[u8]| {
        let mut changed = bytes.to_vec();
        changed[at..at + value.len()].copy_from_slice(value);
        BatchHeader::read(&changed)
    };
    assert_eq!(with(16, &[1]), Err(Error::Corrupt(Flaw::Magic(1))));
    assert_eq!(with(8, &48_i32.to_be_bytes()), Err(Error::Corrupt(Flaw::Length(48))));
    assert_eq!(with(8, &(-1_i32).to_be_bytes()), Err(Error::Corrupt(Flaw::Length(-1))));
    assert!(with(8, &49_i32.to_be_bytes()).is_ok());
}

#[test]
fn raw_and_concatenated_snappy_are_read() {
    let raw = snap::raw::Encoder::new().compress_vec(b"as librdkafka writes it").unwrap();
    let unpacked = decompress(Compression::Snappy, &raw.into(), MIB).unwrap();
    assert_eq!(unpacked.bytes(), b"as librdkafka writes it");
    let framed = compress(Target { codec: Compression::Snappy, level: None }, b"twice ");
    let unpacked = decompress(Compression::Snappy, &framed.repeat(2).into(), MIB).unwrap();
    assert_eq!(unpacked.bytes(), b"twice twice ");
}

fn unpacked(codec: Compression, packed: &Bytes, bytes_max: usize) -> Result<Vec<u8>, Error> {
    decompress(codec, packed, bytes_max).map(|unpacked| unpacked.bytes().to_vec())
}

/// Of what is large there is one at a time, and nothing of it is lost.
#[test]
fn large_batches_take_turns() {
    let content = vec![7; LARGE_BYTES + 1];
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let packed = Bytes::from(compress(Target { codec, level: None }, &content));
        let (begin, held) = (Barrier::new(4), AtomicUsize::new(0));
        let unpack_in_turn = || {
            begin.wait();
            let unpacked = decompress(codec, &packed, content.len()).unwrap();
            assert_eq!(held.fetch_add(1, Ordering::SeqCst), 0, "{codec:?}: two at a time");
            assert_eq!(unpacked.bytes(), content, "{codec:?}");
            held.fetch_sub(1, Ordering::SeqCst);
        };
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(unpack_in_turn);
            }
        });
        let refused = unpacked(codec, &packed, LARGE_BYTES);
        assert!(matches!(refused, Err(Error::TooLarge { .. })), "{codec:?}");
    }
}

#[test]
fn unpacking_stops_at_its_bound() {
    let zeros = vec![0; MIB];
    for codec in Compression::ALL {
        let packed = Bytes::from(compress(Target { codec, level: None }, &zeros));
        assert_eq!(unpacked(codec, &packed, MIB).map(|bytes| bytes.len()), Ok(MIB), "{codec:?}");
        let refused = unpacked(codec, &packed, MIB - 1);
        assert!(matches!(refused, Err(Error::TooLarge { max, .. }) if max == MIB - 1), "{codec:?}");
    }
    // A raw block of five bytes that claims 4 GiB.
    let lie = Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0]);
    let refused = unpacked(Compression::Snappy, &lie, usize::MAX);
    assert_eq!(refused, Err(Error::Invalid(Flaw::Compression)));
}

#[test]
fn cut_compression_gives_no_other_content() {
    let content: Vec<u8> = (0..2000_u32).flat_map(|n| (n * n).to_le_bytes()).collect();
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let packed = Bytes::from(compress(Target { codec, level: None }, &content));
        for cut in 1..packed.len() {
            match unpacked(codec, &packed.slice(..cut), MIB) {
                // A stream cut between two blocks: the record count tells.
                Ok(less) => assert!(content.starts_with(&less), "{codec:?} cut at {cut}"),
                Err(refused) => assert_eq!(refused, Error::Invalid(Flaw::Compression)),
            }
        }
    }
}

#[test]
fn malformed_records_end_the_iteration_with_an_error() {
    let good = built(Compression::None, &kafkas_records()[..3]);
    let with = |count: i32, body: &[u8]| {
        let header = BatchHeader { record_count: count, ..good.header };
        let batch = build::pack(header, Target::default(), body);
        let records = Records::unpack(&batch, MIB).unwrap();
        records.iter().map(|record| record.map(drop)).collect::<Vec<_>>()
    };
    let body = good.tail();
    let fault = |flaw| Err(Error::Invalid(flaw));
    assert_eq!(with(3, &body), [Ok(()), Ok(()), Ok(())]);
    assert_eq!(with(2, &body), [Ok(()), fault(Flaw::Remaining)]);
    assert_eq!(with(4, &body)[3..], [fault(Flaw::Record { index: 3 })]);
    assert_eq!(with(i32::MAX, &[]), [fault(Flaw::Record { index: 0 })]);
    assert_eq!(with(0, &[]), []);
    // Length -1, a header count beyond the bytes, a negative one, a key beyond its record.
    for record in
        [&[1][..], &[14, 0, 0, 0, 1, 1, 200, 1], &[12, 0, 0, 0, 1, 1, 1], &[8, 0, 0, 0, 20]]
    {
        assert_eq!(with(1, record), [fault(Flaw::Record { index: 0 })], "{record:?}");
    }
}

fn any_bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..most)
}

fn any_record() -> impl Strategy<Value = Owned> {
    let optional = || proptest::option::of(any_bytes(50));
    let headers = proptest::collection::vec((any_bytes(8), optional()), 0..4);
    (0..1_i64 << 40, optional(), optional(), headers)
}

fn any_codec() -> impl Strategy<Value = Compression> {
    proptest::sample::select(&Compression::ALL[..])
}

proptest! {
    #[test]
    fn built_batches_are_valid_and_hold_their_records(
        codec in any_codec(),
        records in proptest::collection::vec(any_record(), 1..20),
    ) {
        let batch = built(codec, &records);
        let rules = Rules { timestamp_after_max_ms: i64::MAX, ..Rules::kafka_defaults(Timestamp(0)) };
        let validated = validate(batch.bytes.clone(), &rules).unwrap();
        prop_assert_eq!(validated.header, batch.header);
        prop_assert_eq!(owned(&validated), records);
    }

    #[test]
    fn codecs_round_trip(codec in any_codec(), content in any_bytes(100_000), level in 1..9_i32) {
        let packed = Bytes::from(compress(Target { codec, level: Some(level) }, &content));
        prop_assert_eq!(&unpacked(codec, &packed, MIB).unwrap()[..], &content[..]);
    }

    #[test]
    fn foreign_bytes_never_panic(codec in any_codec(), bytes in any_bytes(300), count in any::<i32>()) {
        let _ = decompress(codec, &Bytes::from(bytes.clone()), MIB);
        let header = BatchHeader { record_count: count, ..built(codec, &[]).header };
        let batch = ValidBatch { header, bytes: [&header.to_bytes()[..], &bytes].concat().into() };
        if let Ok(records) = Records::unpack(&batch, MIB) {
            let _ = records.iter().count();
        }
        let _ = control::read(&ValidBatch {
            header: BatchHeader { attributes: header.attributes.control(), ..header },
            ..batch
        });
    }

    #[test]
    fn header_fields_round_trip(
        (base, length, epoch, crc) in (any::<i64>(), 49..i32::MAX, any::<i32>(), any::<u32>()),
        (attributes, delta, from, to) in (any::<i16>(), any::<i32>(), any::<i64>(), any::<i64>()),
        (producer, producer_epoch, sequence) in (any::<i64>(), any::<i16>(), any::<i32>()),
        count in any::<i32>(),
    ) {
        let header = BatchHeader {
            base_offset: Offset(base),
            batch_length: length,
            partition_leader_epoch: LeaderEpoch(epoch),
            magic: MAGIC,
            crc,
            attributes: Attributes(attributes),
            last_offset_delta: delta,
            base_timestamp: Timestamp(from),
            max_timestamp: Timestamp(to),
            producer_id: ProducerId(producer),
            producer_epoch,
            base_sequence: sequence,
            record_count: count,
        };
        prop_assert_eq!(BatchHeader::read(&header.to_bytes()), Ok(header));
    }
}
