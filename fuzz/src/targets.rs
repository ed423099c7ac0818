//! One function a target: reads foreign bytes and holds what comes out to its promises.
//!
//! Shared by cargo-fuzz (`fuzz/targets`) and by `tests/fuzz`, which runs a saved corpus and seeded mutations of it on
//! the stable toolchain. Checksums stop random bytes at the door, so each target also mends them and goes on inside.

use std::fmt::Debug;
use std::sync::OnceLock;

use bytes::Bytes;
use kafka_protocol::protocol::{Decodable, Encodable};
use thalweg::base::clock::Timestamp;
use thalweg::base::ids::{ChainId, Incarnation, LeaderEpoch, SlotId};
use thalweg::base::offset::Offset;
use thalweg::protocol::fetch::FetchRequest;
use thalweg::protocol::header::RequestHeader;
use thalweg::protocol::produce::ProduceRequest;
use thalweg::protocol::{ApiKey, bounds, frame as frames, sample};
use thalweg::record::assign::{Assigned, assign, restamp, tail_crc};
use thalweg::record::batch::CRC_START;
use thalweg::record::compression::Target;
use thalweg::record::crc::crc32c;
use thalweg::record::records::Records;
use thalweg::record::validate::{Rules, validate};
use thalweg::record::{self, BatchHeader, Compression, ValidBatch, control};
use thalweg::schema_registry::any::{AnySchema, Format, Rules as SchemaRules};
use thalweg::schema_registry::{avro, json, protobuf};
use thalweg::segment::format::{FOOTER_BYTES, HEADER_BYTES};
use thalweg::segment::{
    Kind, Known, Slot, SlotBody, SlotFooter, SlotHeader, SlotIndex, Tail, decode_slot, decode_tail,
    encode_slot, read_header,
};

const UNPACKED_BYTES_MAX: usize = 1 << 20;

/// What a socket brings: frames, one after another.
pub fn frame(bytes: &[u8]) {
    let mut rest = bytes;
    while let Some((prefix, after)) = rest.split_first_chunk() {
        let Ok(length) = frames::length(*prefix, FRAME_BYTES_MAX) else { return };
        assert!(length <= FRAME_BYTES_MAX, "a frame of {length} bytes");
        let Some((content, after)) = after.split_at_checked(length) else { return };
        request(content);
        rest = after;
    }
}

const FRAME_BYTES_MAX: usize = 1 << 20;

/// The content of one frame: what passes the walk is decoded.
pub fn request(bytes: &[u8]) {
    let mut body = Bytes::copy_from_slice(bytes);
    let Ok(RequestHeader { key, version, .. }) = RequestHeader::take(&mut body) else { return };
    if bounds::walk(key, version, &body).is_err() {
        return;
    }
    match key {
        ApiKey::Produce => drop(ProduceRequest::read(&body, version).expect("it passed the walk")),
        ApiKey::Fetch => drop(FetchRequest::read(&body, version).expect("it passed the walk")),
        key => sample::visit(key, &mut Decode { version, body }),
    }
}

struct Decode {
    version: i16,
    body: Bytes,
}

impl sample::Visitor for Decode {
    fn visit<T: Decodable + Encodable + Default + Debug + PartialEq>(&mut self) {
        T::decode(&mut self.body, self.version).expect("it passed the walk");
    }
}

/// Records as a Produce request brings them.
pub fn record_batch(bytes: &[u8]) {
    let rules = Rules {
        unpacked_bytes_max: UNPACKED_BYTES_MAX,
        ..Rules::kafka_defaults(Timestamp(1_767_225_600_000))
    };
    if let Ok(batch) = validate(Bytes::copy_from_slice(bytes), &rules) {
        check_batch(&batch);
    }
    let Some(mended) = mend_batch(bytes) else { return };
    if let Ok(batch) = validate(mended.clone(), &rules) {
        check_batch(&batch);
    }
    let codec = Compression::ALL[usize::from(bytes[0]) % Compression::ALL.len()];
    let strict = Rules {
        keys_required: bytes[1] & 1 == 1,
        timestamp_before_max_ms: 1 << 40,
        compression: (codec != Compression::Zstd).then_some(Target { codec, level: None }),
        ..rules
    };
    if let Ok(batch) = validate(mended.clone(), &strict) {
        let records =
            Records::unpack(&batch, UNPACKED_BYTES_MAX).expect("they were unpacked before");
        let read = records.iter().filter(Result::is_ok).count();
        assert_eq!(usize::try_from(batch.header.record_count), Ok(read));
        check_batch(&batch);
    }
    if let Ok(stored) = ValidBatch::read_stored(&mended) {
        let _ = control::read(&stored);
    }
}

/// The bytes as one batch whose frame is right: base offset, length, magic, CRC.
fn mend_batch(bytes: &[u8]) -> Option<Bytes> {
    if bytes.len() < record::HEADER_BYTES {
        return None;
    }
    let mut mended = bytes.to_vec();
    mended[..8].fill(0);
    let length = i32::try_from(bytes.len() - 12).ok()?;
    mended[8..12].copy_from_slice(&length.to_be_bytes());
    mended[16] = 2;
    let crc = crc32c(&mended[CRC_START..]);
    mended[17..CRC_START].copy_from_slice(&crc.to_be_bytes());
    Some(mended.into())
}

/// A valid batch can be assigned and stamped, and its checksums follow.
fn check_batch(batch: &ValidBatch) {
    for batch in [batch.clone(), restamp(batch, Timestamp(7))] {
        let Assigned { head, tail } = assign(&batch, Offset(1 << 40), LeaderEpoch(3));
        let whole = [&head[..], &tail].concat();
        let header = BatchHeader::read(&whole).expect("a header that we wrote");
        assert_eq!(header.crc, crc32c(&whole[CRC_START..]));
        assert_eq!(tail_crc(&batch), crc32c(&tail));
        assert_eq!((header.base_offset, header.total_bytes()), (Offset(1 << 40), whole.len()));
        if let Ok(records) = Records::unpack(&batch, UNPACKED_BYTES_MAX) {
            let _ = records.iter().flatten().flat_map(|record| record.headers).count();
        }
    }
}

/// An object in a slot's name.
pub fn slot(bytes: &[u8]) {
    read_slot(bytes);
    if let Some(mended) = mend_slot(bytes) {
        read_slot(&mended);
    }
}

fn read_slot(bytes: &[u8]) {
    let _ = read_header(bytes);
    let size = bytes.len() as u64;
    for from in [0, bytes.len() / 2, bytes.len().saturating_sub(FOOTER_BYTES)] {
        if let Ok(Tail::NeedMore(needed)) = decode_tail(&bytes[from..], size) {
            assert!(needed > size - from as u64 && needed <= size, "{needed} of {size}");
        }
    }
    if let Ok(Slot { header, footer, index, object }) = decode_slot(&Bytes::copy_from_slice(bytes))
    {
        let end = object.len() as u64 - footer.tail_bytes();
        assert_eq!((footer.index_position, index.body_bytes()), (end, footer.body_bytes()));
        let tail = decode_tail(bytes, size);
        assert_eq!(tail, Ok(Tail::Decoded { header, footer, index: index.clone() }));
        check_index(&header, &index);
    }
}

/// The bytes with magics and checksums that hold, as far as they are long enough.
fn mend_slot(bytes: &[u8]) -> Option<Vec<u8>> {
    let index_from = HEADER_BYTES + usize::from(*bytes.get(2 * HEADER_BYTES)?) % 64;
    let index_to = bytes.len().checked_sub(FOOTER_BYTES).filter(|to| *to >= index_from)?;
    let mut mended = bytes.to_vec();
    mended[..HEADER_BYTES].copy_from_slice(&header().to_bytes());
    if index_to - index_from >= HEADER_BYTES {
        mended[index_from..index_from + HEADER_BYTES].copy_from_slice(&header().to_bytes());
    }
    let number =
        |at: usize| mended[index_to + at..].first_chunk().map(|four| u32::from_le_bytes(*four));
    let footer = SlotFooter {
        index_position: index_from as u64,
        index_bytes: u32::try_from(index_to - index_from).ok()?,
        runs: number(28)?,
        batches: number(32)?,
        body_crc: crc32c(&mended[HEADER_BYTES..index_from]),
        index_crc: crc32c(&mended[index_from..index_to]),
        previous_index_crc: 0,
        committed: None,
        trimmed: Some(SlotId(3)),
    };
    mended[index_to..].copy_from_slice(&footer.to_bytes());
    Some(mended)
}

/// What stands in an index behind its copy of the header, under a checksum that holds.
pub fn slot_index(bytes: &[u8]) {
    let content = [&header().to_bytes()[..], bytes].concat();
    // The counts and the body's size are in the footer too: ask for what the index would have.
    for (runs, batches) in [(0, 0), (1, 1), (1, 2), (2, 3), (3, 5)] {
        let mut body_bytes = 0;
        for _ in 0..2 {
            body_bytes = read_index(&content, (runs, batches), body_bytes);
        }
    }
}

fn read_index(content: &[u8], (runs, batches): (u32, u32), body_bytes: u64) -> u64 {
    let footer = SlotFooter {
        index_position: HEADER_BYTES as u64 + body_bytes,
        index_bytes: u32::try_from(content.len()).expect("inputs are small"),
        runs,
        batches,
        body_crc: 0,
        index_crc: crc32c(content),
        previous_index_crc: 0,
        committed: None,
        trimmed: None,
    };
    let tail = [content, &footer.to_bytes()].concat();
    match decode_tail(&tail, footer.index_position + footer.tail_bytes()) {
        Ok(Tail::Decoded { header, index, .. }) => {
            check_index(&header, &index);
            index.body_bytes()
        }
        _ => 0,
    }
}

/// What was read can be written and is read again.
fn check_index(header: &SlotHeader, index: &SlotIndex) {
    let header = SlotHeader { kind: Kind::Data, ..*header };
    let body = SlotBody { pieces: vec![], bytes: index.body_bytes(), crc: 0 };
    let encoded = encode_slot(&header, body, index, &Known::default());
    let tail = encoded.payload.last().expect("index and footer");
    let expected = Tail::Decoded { header, footer: encoded.footer, index: index.clone() };
    assert_eq!(decode_tail(tail, encoded.bytes), Ok(expected));
}

fn header() -> SlotHeader {
    SlotHeader {
        kind: Kind::Data,
        chain: ChainId(7),
        slot: SlotId(42),
        incarnation: Incarnation(UUID),
        created: Timestamp(1_767_225_600_000),
    }
}

const UUID: uuid::Uuid = uuid::Uuid::from_u128(9);

/// A JSON Schema as a client registers it: what is printed of it means the same, and it reads what it wrote.
pub fn json_schema(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(schema) = json::Schema::parse(text, &[]) else { return };
    let [canonical, normalized] = [schema.canonical(), schema.normalized()].map(|printed| {
        json::Schema::parse(&printed, &[]).unwrap_or_else(|error| panic!("{printed}: {error}"))
    });
    assert_eq!(canonical.canonical(), schema.canonical());
    assert_eq!(normalized.normalized(), schema.normalized());
    assert_eq!(canonical.check_reads(&schema), []);
    for payload in ["{}", "[1, \"a\"]", "null"] {
        let held = schema.validate_payload(payload.as_bytes()).is_ok();
        assert_eq!(canonical.validate_payload(payload.as_bytes()).is_ok(), held, "{payload}");
    }
}

/// A Protobuf schema as a client registers it, and records written with it.
pub fn proto_schema(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(schema) = protobuf::Schema::parse(text, &[]) else { return };
    let [canonical, normalized] = [schema.canonical(), schema.normalized()].map(|printed| {
        protobuf::Schema::parse(&printed, &[]).unwrap_or_else(|error| panic!("{printed}: {error}"))
    });
    assert_eq!(canonical.canonical(), schema.canonical());
    assert_eq!(normalized.normalized(), schema.normalized());
    assert_eq!(canonical.check_reads(&schema), []);
    assert_eq!(normalized.check_reads(&schema), []);
    for start in [0, bytes.len() / 2] {
        let payload = [&[0], &bytes[start..]].concat();
        let _ = schema.validate_payload(&payload);
    }
}

/// An Avro schema as a client registers it, and a payload: what is read is written, read again and compared.
pub fn avro_schema(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(schema) = avro::Schema::parse_stored(text, &[]) else {
        assert!(avro::Schema::parse(text, &[]).is_err(), "a new schema is one that may be stored");
        return;
    };
    let canonical = schema.canonical();
    let again =
        avro::Schema::parse_stored(&canonical, &[]).expect("the canonical text is a schema");
    assert_eq!(again.canonical(), canonical, "the canonical text is its own");
    if let Ok(new) = avro::Schema::parse(text, &[]) {
        assert_eq!(new.canonical(), canonical);
    }
    avro::Schema::parse_stored(&schema.normalized(), &[]).expect("the normal form is a schema");
    let differences = schema.check_reads(&again);
    assert_eq!(differences, again.check_reads(&schema), "the same schema twice");
    // What is a value may be anything; only what it costs is promised.
    let _ = schema.validate_payload(bytes);
}

/// A schema of each format with everything that a payload of it can hold.
const RECORDS: [(Format, &str); 3] = [
    (
        Format::Avro,
        r#"{"type":"record","name":"All","fields":[
            {"name":"b","type":"boolean"},{"name":"i","type":"int"},{"name":"l","type":"long"},
            {"name":"f","type":"float"},{"name":"d","type":"double"},{"name":"s","type":"string"},
            {"name":"y","type":"bytes"},{"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"]}},
            {"name":"x","type":{"type":"fixed","name":"X","size":2}},
            {"name":"a","type":{"type":"array","items":"int"}},
            {"name":"m","type":{"type":"map","values":"string"}},
            {"name":"n","type":["null","All"]}]}"#,
    ),
    (
        Format::Json,
        r##"{"type":"object","required":["id"],"properties":{"id":{"type":"integer"},
            "tags":{"type":"array","items":{"type":"string","pattern":"^[a-z]+$"},"uniqueItems":true},
            "next":{"$ref":"#"}},"additionalProperties":{"type":"number","minimum":0}}"##,
    ),
    (
        Format::Protobuf,
        r#"syntax = "proto2"; message Other {} message M { required int32 a = 1; optional string s = 2;
            repeated int64 r = 3 [packed = true]; map<string, M> m = 4; optional group G = 5 { optional fixed32 f = 1; }
            oneof o { bytes b = 6; double d = 7; } enum E { Z = 0; ONE = 1; } optional E e = 8; optional N n = 9;
            message N { optional sint32 z = 1; } }"#,
    ),
];

/// What a producer writes: the format's number, how much of the rest stands in a header, and what follows the id.
pub fn schema_payload(bytes: &[u8]) {
    static SCHEMAS: OnceLock<Vec<AnySchema>> = OnceLock::new();
    let schemas = SCHEMAS.get_or_init(|| {
        let parse = |(format, text)| {
            AnySchema::parse(format, text, &[], SchemaRules::New).expect("it is a schema")
        };
        RECORDS.into_iter().map(parse).collect()
    });
    let [format, header, rest @ ..] = bytes else { return };
    let schema = &schemas[usize::from(*format) % schemas.len()];
    let (header, value) = match rest.split_at_checked(usize::from(*header)) {
        Some((header, value)) if *format >= 3 => (Some(header), value),
        _ => (None, rest),
    };
    let Ok(payload) = schema.payload(header, value) else { return };
    assert!(payload.bytes.len() <= value.len());
    let _ = schema.record_name(&payload);
    if schema.validate(&payload).is_err() {
        return;
    }
    match schema {
        // A value's bytes tell its end: no start of them is a value too, nor what has more.
        AnySchema::Avro(schema) => {
            let (_, cut) = payload.bytes.split_last().expect("no value of it is empty");
            assert!(schema.validate_payload(cut).is_err());
            assert!(schema.validate_payload(&[payload.bytes, &[0]].concat()).is_err());
        }
        AnySchema::Json(schema) => {
            let spaced = [b" ", payload.bytes, b"\n"].concat();
            assert_eq!(schema.validate_payload(&spaced), Ok(()));
        }
        // A message followed by a message is their union.
        AnySchema::Protobuf(schema) => {
            let twice = payload.bytes.repeat(2);
            assert_eq!(schema.validate_message(&payload.message, &twice), Ok(()));
        }
    }
}
