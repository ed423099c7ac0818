//! Each of Kafka's refusals, and what is let through.

use super::*;
use crate::record::batch::Attributes;
use crate::record::build::{BatchBuilder, NewRecord};

const NOW: i64 = 1_767_225_600_000;

fn rules() -> Rules {
    Rules::kafka_defaults(Timestamp(NOW))
}

fn builder(codec: Compression) -> BatchBuilder {
    let mut builder = BatchBuilder::new(codec);
    builder.push_value(Timestamp(NOW), Some(b"key"), Some(b"value"));
    builder.push_value(Timestamp(NOW - 5), None, Some(b"no key"));
    builder.push_value(Timestamp(NOW + 5), Some(b"another"), None);
    builder
}

fn good() -> ValidBatch {
    builder(Compression::None).build()
}

/// The good batch with another header and the checksum that it gives.
fn with(change: impl FnOnce(&mut BatchHeader)) -> Bytes {
    let batch = good();
    let mut header = batch.header;
    change(&mut header);
    let covered = [&header.to_bytes()[CRC_START..], &batch.tail()].concat();
    header.crc = crc32c(&covered);
    [&header.to_bytes()[..], &batch.tail()].concat().into()
}

fn check(records: impl Into<Bytes>, expected: &Error) {
    assert_eq!(
        validate(records.into(), &rules()).map(|batch| batch.header).as_ref(),
        Err(expected)
    );
}

#[test]
fn a_good_batch_passes_as_it_is() {
    for codec in Compression::ALL {
        let batch = builder(codec).build();
        let valid = validate(batch.bytes.clone(), &rules()).unwrap();
        assert_eq!(valid.header, batch.header);
        assert_eq!(valid.bytes.as_ptr(), batch.bytes.as_ptr(), "shared, not copied");
        assert_eq!(valid.offsets(), 3);
    }
}

#[test]
fn records_without_exactly_one_batch_are_refused() {
    let batch = good().bytes;
    check(Bytes::new(), &Error::Invalid(Flaw::Empty));
    for cut in [1, 11, 16, 17, 60, 61, batch.len() - 1] {
        check(batch.slice(..cut), &Error::Invalid(Flaw::Empty));
    }
    check(batch.repeat(2), &Error::Invalid(Flaw::SeveralBatches));
    // What follows the batch and is no whole batch is dropped, as Kafka drops it.
    for more in [&[0; 5][..], &batch[..20], &batch[..batch.len() - 1]] {
        let valid = validate([&batch[..], more].concat().into(), &rules()).unwrap();
        assert_eq!(valid.bytes, batch);
    }
    check([&batch[..], &[0; 17]].concat(), &Error::Corrupt(Flaw::Length(0)));
}

#[test]
fn formats_other_than_v2_are_refused() {
    for magic in [0, 1] {
        check(with(|header| header.magic = magic), &Error::Invalid(Flaw::Magic(magic)));
    }
    for magic in [3, -1] {
        check(with(|header| header.magic = magic), &Error::Corrupt(Flaw::Magic(magic)));
    }
    for length in [-1, 0, 13] {
        check(with(|header| header.batch_length = length), &Error::Corrupt(Flaw::Length(length)));
    }
    let short = with(|header| header.batch_length = 48);
    check(short, &Error::Corrupt(Flaw::Truncated { needed: 61, got: 60 }));
}

#[test]
fn headers_that_break_a_rule_are_refused() {
    type Change = fn(&mut BatchHeader);
    let table: [(Change, Flaw); 10] = [
        (|header| header.base_offset.0 = 1, Flaw::BaseOffset(1)),
        (|header| header.base_offset.0 = -1, Flaw::BaseOffset(-1)),
        (|header| header.last_offset_delta = -1, Flaw::OffsetRange(-1)),
        (|header| header.record_count = 0, Flaw::Count(0)),
        (|header| header.record_count = -1, Flaw::Count(-1)),
        (|header| header.record_count = 2, Flaw::OffsetsAndCount { offsets: 3, records: 2 }),
        (|header| header.last_offset_delta = 0, Flaw::OffsetsAndCount { offsets: 1, records: 3 }),
        (
            |header| header.last_offset_delta = i32::MAX,
            Flaw::OffsetsAndCount { offsets: 1 << 31, records: 3 },
        ),
        (|header| header.attributes = Attributes::default().control(), Flaw::Control),
        (|header| header.producer_id.0 = 7, Flaw::Sequence { sequence: -1, producer_id: 7 }),
    ];
    for (change, flaw) in table {
        check(with(change), &Error::Invalid(flaw));
    }
}

#[test]
fn a_codec_that_does_not_exist_is_refused() {
    for codec in 5..8 {
        let bytes = with(|header| header.attributes = Attributes(codec));
        check(bytes, &Error::UnsupportedCompression { codec });
    }
}

#[test]
fn zstd_needs_produce_version_7() {
    let batch = builder(Compression::Zstd).build();
    let at = |produce_version| {
        validate(batch.bytes.clone(), &Rules { produce_version, ..rules() })
            .map(|batch| batch.header)
    };
    assert_eq!(at(6), Err(Error::UnsupportedCompression { codec: 4 }));
    assert_eq!(at(7), Ok(batch.header));
}

#[test]
fn every_flipped_bit_that_the_checksum_covers_is_found() {
    let batch = good().bytes;
    for bit in CRC_START * 8..batch.len() * 8 {
        let mut flipped = batch.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let refused = validate(flipped.into(), &rules());
        assert!(matches!(refused, Err(Error::Corrupt(Flaw::Crc { .. }))), "bit {bit}");
    }
}

#[test]
fn a_batch_may_take_max_message_bytes_and_no_more() {
    let batch = good().bytes;
    let at = |max| {
        let rules = Rules { max_message_bytes: max, ..rules() };
        validate(batch.clone(), &rules).map(|batch| batch.total_bytes())
    };
    assert_eq!(at(batch.len()), Ok(batch.len()));
    let (bytes, max) = (batch.len(), batch.len() - 1);
    assert_eq!(at(max), Err(Error::TooLarge { bytes, max }));
}

fn rejected(records: Bytes, rules: &Rules) -> (bool, Vec<(i32, String)>, String) {
    let error = validate(records, rules).map(|batch| batch.header).unwrap_err();
    let Error::Rejected(rejections) = &error else { panic!("{error:?}") };
    let first = rejections.first().iter();
    let texts = first.map(|error| (error.index, error.message(&"orders-3"))).collect();
    (error.is_timestamp(), texts, error.message(&"orders-3").unwrap())
}

/// 100,000 records without a key are a few hundred bytes of zstd.
#[test]
fn what_is_wrong_is_counted_and_kept_of_the_first_records_alone() {
    let mut batch = BatchBuilder::new(Compression::Zstd);
    for _ in 0..100_000 {
        batch.push_value(Timestamp(NOW), None, None);
    }
    let rules = Rules { keys_required: true, ..rules() };
    let error = validate(batch.build().bytes, &rules).map(|batch| batch.header).unwrap_err();
    let Error::Rejected(rejections) = &error else { panic!("{error:?}") };
    assert_eq!((rejections.total(), rejections.first().len()), (100_000, Rejections::KEPT));
    let message = error.message(&"orders-3").unwrap();
    assert!(message.contains("due to 100000 record errors in total"), "{message}");
}

#[test]
fn a_compacted_topic_needs_keys() {
    let rules = Rules { keys_required: true, ..rules() };
    for codec in Compression::ALL {
        let text = "Compacted topic cannot accept message without key in topic partition orders-3";
        let message = format!(
            "One or more records have been rejected due to 1 record errors in total, and only showing \
             the first three errors at most: [RecordError(batchIndex=1, message='{text}')]"
        );
        let expected = (false, vec![(1, text.to_owned())], message);
        assert_eq!(rejected(builder(codec).build().bytes, &rules), expected);
    }
    let mut keyed = BatchBuilder::new(Compression::Lz4);
    keyed.push_value(Timestamp(NOW), Some(b""), None);
    assert!(validate(keyed.build().bytes, &rules).is_ok(), "an empty key is a key");
}

#[test]
fn timestamps_out_of_range_are_refused_record_by_record() {
    let range = |before, after| Rules {
        timestamp_before_max_ms: before,
        timestamp_after_max_ms: after,
        ..rules()
    };
    let bytes = good().bytes;
    assert!(validate(bytes.clone(), &range(5, 5)).is_ok());
    let text = |timestamp: i64, offset: i64, from: i64, to: i64| {
        format!(
            "Timestamp {timestamp} of message with offset {offset} is out of range. \
             The timestamp should be within [{from}, {to}]"
        )
    };
    let summary = "One or more records have been rejected due to invalid timestamp".to_owned();
    assert_eq!(
        rejected(bytes.clone(), &range(4, 4)),
        (
            true,
            vec![(1, text(NOW - 5, 1, NOW - 4, NOW + 4)), (2, text(NOW + 5, 2, NOW - 4, NOW + 4)),],
            summary.clone()
        )
    );
    // Java's arithmetic wraps.
    let from = NOW.wrapping_sub(i64::MAX);
    let expected = (true, vec![(2, text(NOW + 5, 2, from, NOW + 4))], summary);
    assert_eq!(rejected(bytes, &range(i64::MAX, 4)), expected);
}

#[test]
fn records_without_a_timestamp_are_of_any_time() {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.push_value(Timestamp::NONE, None, None);
    let rules = Rules { timestamp_before_max_ms: 1, timestamp_after_max_ms: 1, ..rules() };
    assert!(validate(builder.build().bytes, &rules).is_ok());
}

#[test]
fn log_append_time_ignores_the_producers_clock() {
    let rules = Rules {
        timestamp_type: TimestampType::LogAppendTime,
        timestamp_before_max_ms: 0,
        timestamp_after_max_ms: 0,
        ..rules()
    };
    assert_eq!(validate(good().bytes, &rules).unwrap().header, good().header);
}

#[test]
fn producers_do_not_stamp_the_time_of_append() {
    let stamped = || {
        with(|header| {
            header.attributes = header.attributes.with_timestamp_type(TimestampType::LogAppendTime);
        })
    };
    let rules = Rules { timestamp_type: TimestampType::LogAppendTime, ..rules() };
    let (timestamp, errors, _) = rejected(stamped(), &rules);
    assert!(timestamp);
    let text = format!(
        "Invalid timestamp type in message DefaultRecord(offset=1, timestamp={}, key=0 bytes, \
         value=6 bytes). Producer should not set timestamp type to LogAppendTime.",
        NOW + 5
    );
    assert_eq!((errors.len(), &errors[1]), (3, &(1, text)));
    // Under CreateTime Kafka takes such a batch and clears the bit.
    let cleared = validate(stamped(), &Rules::kafka_defaults(Timestamp(NOW))).unwrap();
    assert_eq!(cleared.header, good().header);
}

#[test]
fn a_false_max_timestamp_is_set_right_once_the_records_are_known() {
    let lie = with(|header| header.max_timestamp = Timestamp(i64::MAX));
    assert_eq!(validate(lie, &rules()).unwrap().header, good().header);
}

#[test]
fn a_topics_own_codec_repacks_the_records() {
    for from in Compression::ALL {
        for to in Compression::ALL {
            let mut builder = builder(from);
            builder.producer(ProducerId(9), 2, 30);
            let batch = builder.build();
            let rules = Rules { compression: Some(Target { codec: to, level: None }), ..rules() };
            let packed = validate(batch.bytes.clone(), &rules).unwrap();
            let header = BatchHeader::read(&packed.bytes).unwrap();
            assert_eq!(header, packed.header);
            assert_eq!(header.attributes.compression(), Ok(to));
            assert_eq!(header.crc, crc32c(&packed.bytes[CRC_START..]));
            assert_eq!((header.producer_id, header.base_sequence), (ProducerId(9), 30));
            let body =
                |batch: &ValidBatch| Records::unpack(batch, 1 << 20).unwrap().body().to_vec();
            assert_eq!(body(&packed), body(&batch));
            assert_eq!(from == to, packed.bytes.as_ptr() == batch.bytes.as_ptr());
        }
    }
}

#[test]
fn a_repacked_batch_may_have_become_too_large() {
    let mut builder = BatchBuilder::new(Compression::Zstd);
    builder.push_value(Timestamp(NOW), None, Some(&[0; 10_000]));
    let rules = Rules {
        compression: Some(Target { codec: Compression::None, level: None }),
        max_message_bytes: 5_000,
        ..rules()
    };
    let refused = validate(builder.build().bytes, &rules).map(|batch| batch.header);
    assert!(matches!(refused, Err(Error::TooLarge { max: 5_000, .. })), "{refused:?}");
}

#[test]
fn a_bomb_is_refused_where_records_must_be_seen() {
    let mut builder = BatchBuilder::new(Compression::Gzip);
    builder.push_value(Timestamp(NOW), Some(b"k"), Some(&vec![0; 1 << 20]));
    let bytes = builder.build().bytes;
    let rules = Rules { keys_required: true, unpacked_bytes_max: 1 << 20, ..rules() };
    let refused = validate(bytes, &rules).map(|batch| batch.header);
    assert!(matches!(refused, Err(Error::TooLarge { .. })), "{refused:?}");
}

/// Takes what begins with a zero byte, in front of the bytes or in the header.
#[derive(Debug)]
struct Zeros;

#[async_trait]
impl RecordValidator for Zeros {
    fn check(&self, part: &RecordPart<'_>) -> Result<(), SchemaFault> {
        assert_eq!(part.topic, "orders");
        match part.header.unwrap_or(part.bytes) {
            [0, ..] => Ok(()),
            b"later" => Err(SchemaFault::NotReady),
            _ => Err(SchemaFault::Refused("no zero".to_owned())),
        }
    }

    async fn confirm(&self) -> Result<(), SchemaFault> {
        Ok(())
    }
}

#[test]
fn records_that_do_not_fit_schemas_are_told_by_index() {
    let record = |key, value, headers| NewRecord { timestamp: Timestamp(NOW), key, value, headers };
    let (zero, other): (Option<&[u8]>, Option<&[u8]>) = (Some(b"\0x"), Some(b"x"));
    let [in_header, of_key, later] = [
        [(b"__value_schema_id".as_slice(), zero)],
        [(b"__key_schema_id".as_slice(), zero)],
        [(b"__value_schema_id".as_slice(), Some(b"later".as_slice()))],
    ];
    let records = [
        record(other, zero, &[]),
        record(zero, other, &[]),
        record(zero, None, &[]),
        record(zero, other, &in_header),
        record(other, other, &of_key),
    ];
    let both = SchemaChecks {
        key: Some(SubjectNames::Topic),
        value: Some(SubjectNames::Topic),
        payload: false,
    };
    let refused = |records: &[NewRecord<'_>], checks| {
        let mut batch = BatchBuilder::new(Compression::Gzip);
        records.iter().for_each(|record| batch.push(record));
        match validate_schemas(&batch.build(), "orders", checks, &Zeros, 1 << 20) {
            Err(Error::Rejected(rejections)) => Ok(rejections
                .first()
                .iter()
                .map(|error| match &error.flaw {
                    RecordFlaw::Schema { part, .. } => (error.index, *part),
                    other => panic!("{other:?}"),
                })
                .collect::<Vec<_>>()),
            Err(error) => Err(error),
            Ok(()) => Ok(Vec::new()),
        }
    };
    // One reason a record, the key's first; null needs no schema; headers speak for their own part alone.
    assert_eq!(refused(&records, both), Ok(vec![(0, "key"), (1, "value"), (4, "value")]));
    let values = SchemaChecks { key: None, ..both };
    assert_eq!(refused(&records, values), Ok(vec![(1, "value"), (4, "value")]));
    let keys = SchemaChecks { value: None, ..both };
    assert_eq!(refused(&records, keys), Ok(vec![(0, "key")]));
    let waits = [record(other, zero, &[]), record(zero, other, &later)];
    assert_eq!(refused(&waits, values), Err(Error::SchemasNotReady));
}
