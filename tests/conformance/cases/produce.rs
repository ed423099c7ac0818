//! Produce: what is accepted, and what is then there to fetch.

use bytes::Bytes;
use kafka_protocol::messages::{
    ProduceRequest,
    produce_request::{PartitionProduceData, TopicProduceData},
};
use uuid::Uuid;

use super::{
    append, by_id, create_topic, fetch, foreign_id, from, produce, produce_raw, topic, versions,
};
use crate::{
    batch::{Record, batch, keyed, numbered, value},
    talk::Talk,
};

pub fn script(talk: &mut Talk) {
    for version in versions::<ProduceRequest>() {
        good(talk, version);
        acks(talk, version);
        many(talk, version);
        strangers(talk, version);
        timestamps(talk, version);
        compressed(talk, version);
    }
    on_sight(talk);
}

/// Records everything from `offset` of partition 0 on.
fn stored(talk: &mut Talk, step: &str, version: i16, name: &str, offset: i64) {
    let answer = talk
        .quiet(12, &fetch(12, name, Uuid::nil(), vec![from(0, offset)]))
        .expect("Fetch is answered");
    talk.record(&format!("{step}, fetched"), version, crate::tree::of(&answer.responses));
}

fn good(talk: &mut Talk, version: i16) {
    talk.begin("good");
    let base = talk.base_ms();
    let name = format!("good-{version}");
    let id = create_topic(talk, &name, 2, &[]);
    let mut ask = |step: &str, partition, batch: &crate::batch::Batch| {
        talk.ask(step, version, &by_id(produce(&name, partition, batch), version, id));
    };
    ask("one record", 0, &numbered(base, 0, 1));
    ask("five records", 0, &numbered(base + 1_000, 1, 5));
    ask("another partition", 1, &numbered(base, 0, 2));
    ask("keys", 0, &batch(base, vec![keyed("k", "v"), keyed("", "")]));
    let tombstone = Record { value: None, ..keyed("k", "") };
    ask("a null value", 0, &batch(base, vec![tombstone]));
    let mut shifted = numbered(base, 9, 2);
    shifted.base_offset = 1234;
    shifted.leader_epoch = 55;
    ask("a base offset and an epoch of its own", 0, &shifted);
    stored(talk, "all", version, &name, 0);
}

fn acks(talk: &mut Talk, version: i16) {
    talk.begin("acks");
    let base = talk.base_ms();
    let name = format!("acks-{version}");
    let id = create_topic(talk, &name, 1, &[]);
    let with = |acks: i16, first: i32| {
        by_id(produce_raw(&name, 0, acks, Some(numbered(base, first, 1).encode())), version, id)
    };
    talk.ask("acks 1", version, &with(1, 0));
    talk.ask_nothing("acks 0", version, &with(0, 1));
    talk.ask("acks 2", version, &with(2, 2));
    talk.ask("acks -2", version, &with(-2, 3));
    talk.ask("acks -1", version, &with(-1, 4));
    for (acks, timeout) in [(1, 0), (1, -1), (-1, 0), (-1, 1), (-1, -1)] {
        let request = with(acks, 6).with_timeout_ms(timeout);
        talk.ask(&format!("acks {acks} within {timeout} ms"), version, &request);
    }
    let bad = by_id(produce_raw(&name, 7, 0, Some(numbered(base, 5, 1).encode())), version, id);
    talk.ask_nothing("acks 0 to an unknown partition", version, &bad);
    stored(talk, "all", version, &name, 0);
}

fn many(talk: &mut Talk, version: i16) {
    talk.begin("many");
    let base = talk.base_ms();
    let names = [format!("many-a-{version}"), format!("many-b-{version}")];
    let ids = names.clone().map(|name| create_topic(talk, &name, 3, &[]));
    let data = |partition: i32| {
        let records = Bytes::from(numbered(base, partition * 10, 2).encode());
        PartitionProduceData::default().with_index(partition).with_records(Some(records))
    };
    let of = |index: usize, partitions: &[i32]| {
        let one = TopicProduceData::default()
            .with_partition_data(partitions.iter().map(|index| data(*index)).collect());
        if version < 13 {
            one.with_name(topic(&names[index]))
        } else {
            one.with_topic_id(ids[index])
        }
    };
    let request = |topics| {
        ProduceRequest::default().with_acks(-1).with_timeout_ms(5_000).with_topic_data(topics)
    };
    talk.ask("two topics", version, &request(vec![of(0, &[0, 1, 2]), of(1, &[2, 0])]));
    talk.ask("good and unknown partitions", version, &request(vec![of(0, &[0, 9])]));
    talk.ask("a partition twice", version, &request(vec![of(0, &[1, 1])]));
    talk.ask("a topic twice", version, &request(vec![of(0, &[1]), of(0, &[2])]));
    talk.ask("no topics", version, &request(vec![]));
    talk.ask("no partitions", version, &request(vec![of(0, &[])]));
    stored(talk, "all", version, &names[0], 0);
}

fn strangers(talk: &mut Talk, version: i16) {
    talk.begin("strangers");
    let base = talk.base_ms();
    let one = numbered(base, 0, 1);
    if version < 13 {
        for (step, name) in [("an invalid name", "in valid"), ("an empty name", "")] {
            talk.ask(step, version, &produce(name, 0, &one));
        }
        talk.ask("an unknown topic", version, &produce("unknown", 0, &one));
    } else {
        talk.ask("an unknown id", version, &by_id(produce("", 0, &one), version, foreign_id()));
        talk.ask("no id", version, &by_id(produce("", 0, &one), version, Uuid::nil()));
    }
    let name = format!("strangers-{version}");
    let id = create_topic(talk, &name, 1, &[]);
    talk.ask("an unknown partition", version, &by_id(produce(&name, 1, &one), version, id));
    talk.ask("a negative partition", version, &by_id(produce(&name, -1, &one), version, id));
    let minus = i32::MIN;
    talk.ask("the least partition", version, &by_id(produce(&name, minus, &one), version, id));
}

fn timestamps(talk: &mut Talk, version: i16) {
    talk.begin("timestamps");
    let base = talk.base_ms();
    let stamped = format!("stamped-{version}");
    let id = create_topic(talk, &stamped, 1, &[("message.timestamp.type", "LogAppendTime")]);
    talk.ask(
        "LogAppendTime",
        version,
        &by_id(produce(&stamped, 0, &numbered(base, 0, 3)), version, id),
    );
    stored(talk, "LogAppendTime", version, &stamped, 0);
    let bounds = [
        ("message.timestamp.before.max.ms", "600000"),
        ("message.timestamp.after.max.ms", "600000"),
    ];
    let bounded = format!("bounded-{version}");
    let id = create_topic(talk, &bounded, 1, &bounds);
    let now = base + 3_600_000;
    let mut mixed = batch(now, vec![value("good"), value("old"), value("good"), value("early")]);
    mixed.records[1].timestamp_delta = -3_600_000;
    mixed.records[3].timestamp_delta = 3_600_000;
    for (step, batch) in [
        ("in bounds", numbered(now, 0, 2)),
        ("too old", numbered(base, 0, 2)),
        ("too early", numbered(now + 3_600_000, 0, 2)),
        ("some of both", mixed),
        ("no timestamp", numbered(-1, 0, 1)),
    ] {
        let answer = talk
            .quiet(version, &by_id(produce(&bounded, 0, &batch), version, id))
            .expect("Produce is answered");
        let mut shown = crate::tree::of(&answer);
        mask_times(&mut shown);
        talk.record(step, version, shown);
    }
    let plain = format!("plain-{version}");
    let id = create_topic(talk, &plain, 1, &[]);
    talk.ask(
        "no timestamp at all",
        version,
        &by_id(produce(&plain, 0, &numbered(-1, 0, 1)), version, id),
    );
    let mut lying = numbered(base, 0, 2);
    lying.max_timestamp = Some(base + 77);
    talk.ask("a wrong max timestamp", version, &by_id(produce(&plain, 0, &lying), version, id));
    stored(talk, "no timestamp", version, &plain, 0);
}

/// Error messages name wall-clock times; digits of such length become `<time>`.
fn mask_times(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Array(items) => items.iter_mut().for_each(mask_times),
        serde_json::Value::Object(fields) => fields.values_mut().for_each(mask_times),
        serde_json::Value::String(text) => {
            let times = regex::Regex::new("[0-9]{12,}").expect("a regular expression");
            *text = times.replace_all(text, "<time>").into_owned();
        }
        _ => {}
    }
}

fn compressed(talk: &mut Talk, version: i16) {
    talk.begin("compressed");
    let base = talk.base_ms();
    let name = format!("codecs-{version}");
    let id = create_topic(talk, &name, 1, &[]);
    let plain = numbered(base, 0, 3);
    for (codec, body) in bodies(&plain.encode_records()) {
        let mut packed = plain.clone();
        packed.attributes = codec;
        packed.body = Some(body);
        talk.ask(
            &format!("codec {codec}"),
            version,
            &by_id(produce(&name, 0, &packed), version, id),
        );
    }
    stored(talk, "codecs", version, &name, 0);
    for (codec, wanted) in
        [(1, "gzip"), (2, "snappy"), (3, "lz4"), (4, "zstd"), (0, "uncompressed")]
    {
        let name = format!("re-{wanted}-{version}");
        let id = create_topic(talk, &name, 1, &[("compression.type", wanted)]);
        talk.ask(
            &format!("to be {wanted}"),
            version,
            &by_id(produce(&name, 0, &numbered(base, 0, 50)), version, id),
        );
        let answer =
            talk.quiet(12, &fetch(12, &name, id, vec![from(0, 0)])).expect("Fetch is answered");
        let records = answer.responses[0].partitions[0].records.clone().unwrap_or_default();
        let attributes = records.get(21..23).map(<[u8]>::to_vec);
        talk.record(
            &format!("to be {wanted}, attributes"),
            version,
            serde_json::json!({"codec": codec, "stored": attributes}),
        );
    }
}

/// The same records under each codec.
pub fn bodies(records: &[u8]) -> Vec<(i16, Vec<u8>)> {
    use std::io::Write;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(records).expect("memory takes all");
    let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
    lz4.write_all(records).expect("memory takes all");
    let snappy = snap::raw::Encoder::new().compress_vec(records).expect("small input");
    vec![
        (1, gzip.finish().expect("memory takes all")),
        (2, snappy),
        (3, lz4.finish().expect("memory takes all")),
        (4, zstd::encode_all(records, 3).expect("memory takes all")),
    ]
}

/// Produce creates no topic: only Metadata does.
fn on_sight(talk: &mut Talk) {
    talk.begin("on sight");
    let base = talk.base_ms();
    talk.ask("produce to a new name", 9, &produce("never-seen", 0, &numbered(base, 0, 1)));
    create_topic(talk, "never-seen", 1, &[]);
    let offset = append(talk, "never-seen", 0, &numbered(base, 0, 1));
    talk.record("then created", 9, serde_json::json!({"base_offset": offset}));
}
