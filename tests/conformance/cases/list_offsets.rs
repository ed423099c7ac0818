//! ListOffsets: every special timestamp, exact look-ups, epochs and errors.

use kafka_protocol::messages::{
    ListOffsetsRequest,
    list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
};

use super::transactions::{TRANSACTIONAL, add, begin, make_the_inner_topic, send};
use super::{append, create_topic, offset_at, topic, versions};
use crate::{
    batch::{Record, batch, numbered, value},
    talk::Talk,
};

pub fn script(talk: &mut Talk) {
    open(talk);
    set_up(talk);
    for version in versions::<ListOffsetsRequest>() {
        special(talk, version);
        by_time(talk, version);
        wrong(talk, version);
        if version >= 4 {
            epochs(talk, version);
        }
    }
}

fn set_up(talk: &mut Talk) {
    talk.begin("set-up");
    create_topic(talk, "times", 3, &[]);
    create_topic(talk, "stamped", 1, &[("message.timestamp.type", "LogAppendTime")]);
    let base = talk.base_ms();
    // Offsets 0-2 at base+0, 1000, 2000; 3-5 at base+10000..; 6-8 out of order; 9 the same as the latest.
    append(talk, "times", 0, &numbered(base, 0, 3));
    append(talk, "times", 0, &numbered(base + 10_000, 3, 3));
    let late = |delta: i64| Record { timestamp_delta: delta, ..value("late") };
    append(talk, "times", 0, &batch(base + 5_000, vec![late(0), late(45_000), late(100)]));
    append(talk, "times", 0, &batch(base + 50_000, vec![late(0)]));
    append(talk, "stamped", 0, &numbered(base, 0, 3));
}

fn one(name: &str, partition: ListOffsetsPartition) -> ListOffsetsRequest {
    let one = ListOffsetsTopic::default().with_name(topic(name)).with_partitions(vec![partition]);
    ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![one])
}

fn at(name: &str, partition: i32, timestamp: i64) -> ListOffsetsRequest {
    one(name, offset_at(partition, timestamp).with_current_leader_epoch(-1))
}

/// What a transaction that is open hides: it ends by time, so this comes first.
fn open(talk: &mut Talk) {
    make_the_inner_topic(talk);
    create_topic(talk, "open", 1, &[]);
    let base = talk.base_ms();
    append(talk, "open", 0, &numbered(base, 0, 2));
    let me = begin(talk, "open");
    talk.quiet(3, &add(me, 3, &[("open", &[0])]));
    let mut late = numbered(base + 60_000, 0, 1).by(me.producer, me.epoch, 0);
    late.attributes = TRANSACTIONAL;
    let sent = talk.quiet(11, &send("open", me, &late)).expect("Produce is answered");
    assert_eq!(sent.responses[0].partition_responses[0].error_code, 0, "{sent:?}");
    talk.begin("open");
    for version in versions::<ListOffsetsRequest>().filter(|version| *version >= 2) {
        for (what, timestamp) in [("-1", -1), ("-2", -2), ("-3", -3), ("base+60000", base + 60_000)]
        {
            talk.ask(&format!("{what}, read uncommitted"), version, &at("open", 0, timestamp));
            let committed = at("open", 0, timestamp).with_isolation_level(1);
            talk.ask(&format!("{what}, read committed"), version, &committed);
        }
    }
}

fn special(talk: &mut Talk, version: i16) {
    talk.begin("special");
    for timestamp in [-1, -2, -3, -4, -5, -6, -7, i64::MIN] {
        talk.ask(&format!("{timestamp}"), version, &at("times", 0, timestamp));
        talk.ask(
            &format!("{timestamp} of an empty partition"),
            version,
            &at("times", 1, timestamp),
        );
        if version >= 2 {
            let committed = at("times", 0, timestamp).with_isolation_level(1);
            talk.ask(&format!("{timestamp}, read committed"), version, &committed);
        }
    }
    if version >= 7 {
        talk.ask("-3 with LogAppendTime", version, &at("stamped", 0, -3));
    }
}

fn by_time(talk: &mut Talk, version: i16) {
    talk.begin("by time");
    let base = talk.base_ms();
    for delta in [
        -5_000, 0, 1, 1_000, 1_500, 2_000, 2_001, 5_000, 10_001, 12_000, 12_001, 49_999, 50_000,
        50_001,
    ] {
        talk.ask(&format!("base{delta:+}"), version, &at("times", 0, base + delta));
    }
    talk.ask("zero", version, &at("times", 0, 0));
    talk.ask("far ahead", version, &at("times", 0, i64::MAX));
    talk.ask("of an empty partition", version, &at("times", 1, base));
    talk.ask("LogAppendTime", version, &at("stamped", 0, base));
}

fn wrong(talk: &mut Talk, version: i16) {
    talk.begin("wrong");
    talk.ask("an unknown topic", version, &at("unknown", 0, -1));
    talk.ask("an unknown partition", version, &at("times", 9, -1));
    talk.ask("a negative partition", version, &at("times", -1, -1));
    talk.ask("an invalid name", version, &at("in valid", 0, -1));
    talk.ask("an empty name", version, &at("", 0, -1));
    talk.ask("nothing", version, &ListOffsetsRequest::default().with_replica_id((-1).into()));
    let mut twice = at("times", 0, -1);
    let again = twice.topics[0].partitions[0].clone();
    twice.topics[0].partitions.push(again);
    talk.ask("a partition twice", version, &twice);
    if version >= 2 {
        talk.ask("isolation level 7", version, &at("times", 0, -1).with_isolation_level(7));
    }
    let debug = at("times", 0, -1).with_replica_id((-2).into());
    talk.ask("as a debugging consumer", version, &debug);
    let replica = at("times", 0, -1).with_replica_id(5.into());
    talk.ask("as a replica", version, &replica);
}

fn epochs(talk: &mut Talk, version: i16) {
    talk.begin("epochs");
    for epoch in [-1, 0, 1, 77, -2, i32::MIN] {
        let request = one("times", offset_at(0, -1).with_current_leader_epoch(epoch));
        talk.ask(&format!("current epoch {epoch}"), version, &request);
    }
}
