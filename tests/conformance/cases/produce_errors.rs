//! Produce: batches that are wrong in one way each.

use kafka_protocol::messages::ProduceRequest;
use uuid::Uuid;

use super::{by_id, create_topic, fetch, from, produce_raw, versions};
use crate::{
    batch::{Batch, batch, keyed, numbered, value},
    talk::Talk,
};

pub fn script(talk: &mut Talk) {
    for version in versions::<ProduceRequest>() {
        bytes(talk, version);
        fields(talk, version);
        opaque(talk, version);
        policies(talk, version);
        transactional(talk, version);
    }
}

struct Target {
    version: i16,
    name: String,
    id: Uuid,
}

impl Target {
    fn new(talk: &mut Talk, kind: &str, version: i16, configs: &[(&str, &str)]) -> Self {
        let name = format!("{kind}-{version}");
        let id = create_topic(talk, &name, 1, configs);
        Self { version, name, id }
    }

    fn raw(&self, talk: &mut Talk, step: &str, records: Option<Vec<u8>>) {
        let request = by_id(produce_raw(&self.name, 0, -1, records), self.version, self.id);
        talk.ask(step, self.version, &request);
    }

    fn batch(&self, talk: &mut Talk, step: &str, batch: &Batch) {
        self.raw(talk, step, Some(batch.encode()));
    }

    /// Records what got in.
    fn stored(&self, talk: &mut Talk) {
        let request = fetch(12, &self.name, self.id, vec![from(0, 0)]);
        let answer = talk.quiet(12, &request).expect("Fetch is answered");
        talk.record("what got in", self.version, crate::tree::of(&answer.responses));
    }
}

fn bytes(talk: &mut Talk, version: i16) {
    talk.begin("bytes");
    let base = talk.base_ms();
    let good = numbered(base, 0, 3);
    let bytes = good.encode();
    let target = Target::new(talk, "bytes", version, &[]);
    if version == 9 {
        target.raw(talk, "null", None);
    }
    target.raw(talk, "no bytes", Some(vec![]));
    target.raw(talk, "one byte", Some(vec![0]));
    target.raw(talk, "eleven bytes", Some(bytes[..11].to_vec()));
    target.raw(talk, "a header alone", Some(bytes[..61].to_vec()));
    target.raw(talk, "one byte short", Some(bytes[..bytes.len() - 1].to_vec()));
    target.raw(talk, "one byte more", Some([&bytes[..], &[0]].concat()));
    target.raw(talk, "two batches", Some([&bytes[..], &bytes].concat()));
    target.raw(talk, "a batch and a half", Some([&bytes[..], &bytes[..40]].concat()));
    target.raw(talk, "zeroes", Some(vec![0; 100]));
    for (step, error) in [
        ("a length one above", 1),
        ("a length one below", -1),
        ("a length far above", 1_000_000),
        ("a length below the header", -60),
    ] {
        target.batch(talk, step, &Batch { length_error: error, ..good.clone() });
    }
    let length = i32::try_from(bytes.len()).expect("a small batch");
    target.batch(talk, "a negative length", &Batch { length_error: -length, ..good.clone() });
    target.batch(talk, "a wrong CRC", &Batch { crc_error: 1, ..good.clone() });
    for magic in [0, 1, 3, -1] {
        target.batch(talk, &format!("magic {magic}"), &Batch { magic, ..good.clone() });
    }
    old_messages(talk, &target);
    target.stored(talk);
}

/// Message sets of the time before record batches.
fn old_messages(talk: &mut Talk, target: &Target) {
    for magic in [0u8, 1] {
        let mut rest = vec![magic, 0];
        if magic == 1 {
            rest.extend(target_time().to_be_bytes());
        }
        rest.extend((-1i32).to_be_bytes());
        rest.extend(5i32.to_be_bytes());
        rest.extend(b"hello");
        let mut crc = flate2::Crc::new();
        crc.update(&rest);
        let length = i32::try_from(rest.len() + 4).expect("a small message");
        let message =
            [&0i64.to_be_bytes()[..], &length.to_be_bytes(), &crc.sum().to_be_bytes(), &rest]
                .concat();
        target.raw(talk, &format!("an old message of magic {magic}"), Some(message));
    }
}

fn target_time() -> i64 {
    1_600_000_000_000
}

fn fields(talk: &mut Talk, version: i16) {
    talk.begin("fields");
    let base = talk.base_ms();
    let good = numbered(base, 0, 3);
    let target = Target::new(talk, "fields", version, &[]);
    let mut ask = |step: &str, change: &dyn Fn(&mut Batch)| {
        let mut wrong = good.clone();
        change(&mut wrong);
        target.batch(talk, step, &wrong);
    };
    ask("a count one above", &|batch| batch.count = Some(4));
    ask("a count one below", &|batch| batch.count = Some(2));
    ask("a count of zero", &|batch| batch.count = Some(0));
    ask("a count of minus one", &|batch| batch.count = Some(-1));
    ask("a count of two thousand million", &|batch| batch.count = Some(2_000_000_000));
    ask("a last offset one above", &|batch| batch.last_offset_delta = Some(3));
    ask("a last offset one below", &|batch| batch.last_offset_delta = Some(1));
    ask("a negative last offset", &|batch| batch.last_offset_delta = Some(-1));
    ask("no records, count zero", &|batch| batch.records.clear());
    ask("record offsets with a gap", &|batch| batch.records[1].offset_delta = Some(2));
    ask("record offsets all zero", &|batch| {
        batch.records.iter_mut().for_each(|record| record.offset_delta = Some(0))
    });
    for codec in [5, 6, 7] {
        ask(&format!("codec {codec}"), &|batch| batch.attributes = codec);
    }
    ask("the bit of LogAppendTime", &|batch| batch.attributes = 8);
    ask("the bit of a delete horizon", &|batch| batch.attributes = 64);
    ask("an unused attribute bit", &|batch| batch.attributes = 128);
    ask("all upper attribute bits", &|batch| batch.attributes = -256);
    ask("the bit of a control batch", &|batch| batch.attributes = 32);
    ask("a negative base offset", &|batch| batch.base_offset = -7);
    target.stored(talk);
}

/// Headers that agree with themselves around bytes that are not the records they promise.
fn opaque(talk: &mut Talk, version: i16) {
    talk.begin("opaque");
    let base = talk.base_ms();
    let good = numbered(base, 0, 3);
    let target = Target::new(talk, "opaque", version, &[]);
    let mut ask = |step: &str, change: &dyn Fn(&mut Batch)| {
        let mut wrong = good.clone();
        change(&mut wrong);
        target.batch(talk, step, &wrong);
    };
    ask("a count and last offset one above", &|batch| {
        (batch.count, batch.last_offset_delta) = (Some(4), Some(3))
    });
    ask("a body of noise", &|batch| batch.body = Some(vec![0xff; 40]));
    ask("a body one byte long", &|batch| {
        batch.body = Some([batch.encode_records(), vec![0]].concat())
    });
    for codec in [1, 2, 3, 4] {
        ask(&format!("codec {codec} on plain bytes"), &|batch| batch.attributes = codec);
    }
}

fn policies(talk: &mut Talk, version: i16) {
    talk.begin("policies");
    let base = talk.base_ms();
    let compacted = Target::new(talk, "compacted", version, &[("cleanup.policy", "compact")]);
    compacted.batch(
        talk,
        "keys to a compacted topic",
        &batch(base, vec![keyed("a", "1"), keyed("b", "2")]),
    );
    compacted.batch(talk, "no key to a compacted topic", &batch(base, vec![value("1")]));
    compacted.batch(
        talk,
        "one key missing",
        &batch(base, vec![keyed("a", "1"), value("2"), keyed("c", "3"), value("4")]),
    );
    compacted.stored(talk);
    talk.begin("policies, size");
    let small = Target::new(talk, "small", version, &[("max.message.bytes", "200")]);
    let of = |bytes: usize| batch(base, vec![value(&"x".repeat(bytes))]);
    let empty = of(100).encode().len() - 100;
    small.batch(talk, "just small enough", &of(200 - empty));
    small.batch(talk, "one byte too large", &of(201 - empty));
    small.stored(talk);
    talk.begin("policies, default size");
    let plain = Target::new(talk, "plain", version, &[]);
    plain.batch(talk, "above the default", &of(1_048_588 - empty + 4));
}

fn transactional(talk: &mut Talk, version: i16) {
    talk.begin("transactional");
    let base = talk.base_ms();
    let target = Target::new(talk, "transactional", version, &[]);
    let mut one = numbered(base, 0, 1);
    one.attributes = 16;
    target.batch(talk, "without a producer id", &one);
}
