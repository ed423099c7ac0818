//! DeleteRecords and OffsetForLeaderEpoch.

use kafka_protocol::messages::{
    DeleteRecordsRequest, FindCoordinatorRequest, ListOffsetsRequest, OffsetForLeaderEpochRequest,
    delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic},
    list_offsets_request::ListOffsetsTopic,
    offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic},
};

use super::{append, create_topic, fetch, from, offset_at, text, topic, versions};
use crate::{batch::numbered, talk::Talk};

pub fn script(talk: &mut Talk) {
    for version in versions::<DeleteRecordsRequest>() {
        delete_records(talk, version);
    }
    inner_topics(talk);
    talk.begin("set-up");
    let base = talk.base_ms();
    create_topic(talk, "epochs", 2, &[]);
    append(talk, "epochs", 0, &numbered(base, 0, 7));
    for version in versions::<OffsetForLeaderEpochRequest>() {
        leader_epochs(talk, version);
    }
}

pub fn before(name: &str, partition: i32, offset: i64) -> DeleteRecordsRequest {
    let partition =
        DeleteRecordsPartition::default().with_partition_index(partition).with_offset(offset);
    let one = DeleteRecordsTopic::default().with_name(topic(name)).with_partitions(vec![partition]);
    DeleteRecordsRequest::default().with_topics(vec![one]).with_timeout_ms(5_000)
}

fn delete_records(talk: &mut Talk, version: i16) {
    talk.begin("delete records");
    let name = format!("shrink-{version}");
    let id = create_topic(talk, &name, 1, &[]);
    let compacted = format!("shrink-compacted-{version}");
    create_topic(talk, &compacted, 1, &[("cleanup.policy", "compact")]);
    let base = talk.base_ms();
    append(talk, &name, 0, &numbered(base, 0, 5));
    append(talk, &name, 0, &numbered(base + 10_000, 5, 5));
    for (step, partition, offset) in [
        ("to 2", 0, 2),
        ("to 0", 0, 0),
        ("past the end", 0, 11),
        ("a negative offset", 0, -2),
        ("an unknown partition", 4, 1),
        ("a negative partition", -1, 1),
        ("to 7", 0, 7),
    ] {
        talk.ask(step, version, &before(&name, partition, offset));
        shown(talk, step, version, &name);
    }
    let below = fetch(12, &name, id, vec![from(0, 3)]);
    let answer = talk.quiet(12, &below).expect("Fetch is answered");
    talk.record("fetch below the start, answer", version, crate::tree::of(&answer.responses));
    let inside = fetch(12, &name, id, vec![from(0, 7)]);
    let answer = talk.quiet(12, &inside).expect("Fetch is answered");
    talk.record("fetch at the start, answer", version, crate::tree::of(&answer.responses));
    for (step, timeout, offset) in [("no time", 0, 8), ("negative time", -1, 8), ("1 ms", 1, 9)] {
        talk.ask(step, version, &before(&name, 0, offset).with_timeout_ms(timeout));
    }
    talk.ask("to the high watermark", version, &before(&name, 0, -1));
    shown(talk, "to the high watermark", version, &name);
    talk.ask("again", version, &before(&name, 0, -1));
    talk.ask("an unknown topic", version, &before("unknown", 0, 1));
    talk.ask("an invalid topic", version, &before("in valid", 0, 1));
    talk.ask("a compacted topic", version, &before(&compacted, 0, -1));
    let mut twice = before(&name, 0, 1);
    let again = twice.topics[0].partitions[0].clone();
    twice.topics[0].partitions.push(again);
    talk.ask("a partition twice", version, &twice);
}

/// The topics behind the coordinators, before and after these were asked for.
fn inner_topics(talk: &mut Talk) {
    let shared = format!("group:{}:0", "A".repeat(22));
    let topics = [
        ("__consumer_offsets", 0, "group"),
        ("__transaction_state", 1, "id"),
        ("__share_group_state", 2, shared.as_str()),
    ];
    talk.begin("inner topics");
    for version in versions::<DeleteRecordsRequest>() {
        for (name, _, _) in topics {
            talk.ask(&format!("{name}, not there"), version, &before(name, 0, 0));
        }
    }
    for (_, kind, key) in topics {
        let find = FindCoordinatorRequest::default()
            .with_key_type(kind)
            .with_coordinator_keys(vec![text(key)]);
        talk.until(6, &find, |answer| answer.coordinators[0].error_code == 0);
    }
    for version in versions::<DeleteRecordsRequest>() {
        for (name, _, _) in topics {
            for offset in [0, -1, 9] {
                let step = format!("{name} to {offset}");
                talk.ask(&step, version, &before(name, 0, offset));
            }
            talk.ask(&format!("{name}, no such partition"), version, &before(name, 99, 0));
        }
    }
}

/// Records the earliest and latest offset, and what a time before all finds.
fn shown(talk: &mut Talk, step: &str, version: i16, name: &str) {
    for (what, timestamp) in [("earliest", -2), ("latest", -1), ("by time", talk.base_ms())] {
        let one = ListOffsetsTopic::default()
            .with_name(topic(name))
            .with_partitions(vec![offset_at(0, timestamp)]);
        let request =
            ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![one]);
        let answer = talk.quiet(7, &request).expect("ListOffsets is answered");
        talk.record(&format!("{step}, {what}"), version, crate::tree::of(&answer.topics));
    }
}

fn leader_epochs(talk: &mut Talk, version: i16) {
    talk.begin("leader epochs");
    let of = |name: &str, partition: i32, current: i32, epoch: i32| {
        let partition = OffsetForLeaderPartition::default()
            .with_partition(partition)
            .with_current_leader_epoch(current)
            .with_leader_epoch(epoch);
        let one = OffsetForLeaderTopic::default()
            .with_topic(topic(name))
            .with_partitions(vec![partition]);
        let request = OffsetForLeaderEpochRequest::default().with_topics(vec![one]);
        if version >= 3 { request.with_replica_id((-1).into()) } else { request }
    };
    for epoch in [0, 1, 5, -1, -2, i32::MAX] {
        talk.ask(&format!("epoch {epoch}"), version, &of("epochs", 0, -1, epoch));
        talk.ask(
            &format!("epoch {epoch} of an empty partition"),
            version,
            &of("epochs", 1, -1, epoch),
        );
    }
    for current in [0, 1, 9, -2] {
        talk.ask(&format!("current epoch {current}"), version, &of("epochs", 0, current, 0));
    }
    talk.ask("an unknown topic", version, &of("unknown", 0, -1, 0));
    talk.ask("an unknown partition", version, &of("epochs", 8, -1, 0));
    talk.ask("nothing", version, &OffsetForLeaderEpochRequest::default());
}
