//! Leader epochs of a partition whose broker was killed and started again and again: who asks with an old one, for the end of
//! one, and what fetched records and offsets say of theirs.
//!
//! Source: KIP-101, KIP-279, KIP-320, KIP-595.

use kafka_protocol::messages::{
    DescribeTopicPartitionsRequest, FetchRequest, ListOffsetsRequest, MetadataRequest,
    OffsetForLeaderEpochRequest,
    describe_topic_partitions_request::TopicRequest,
    fetch_request::FetchPartition,
    list_offsets_request::ListOffsetsTopic,
    metadata_request::MetadataRequestTopic,
    offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic},
};
use uuid::Uuid;

use super::{
    append, await_leaders, create_topic, fetch, from, offset_at, offsets::before, topic, versions,
};
use crate::{batch::numbered, broker::Broker, talk::Talk};

const TOPIC: &str = "aged";
const PARTITIONS: i32 = 3;
/// Records of each life by partition. The third life has none, and the last partition none at all.
const LIVES: [[i32; 2]; 4] = [[3, 0], [2, 2], [0, 0], [1, 0]];
/// The life in which the script is asked.
const CURRENT: i32 = 4;

/// Writes the records of all lives but the last, and kills the broker behind each.
pub fn live(broker: &mut Broker) {
    let mut next = [0; 2];
    for (life, records) in LIVES.iter().enumerate() {
        let mut talk = Talk::new(broker);
        if life == 0 {
            create_topic(&mut talk, TOPIC, PARTITIONS, &[]);
        }
        await_leaders(&mut talk, TOPIC, PARTITIONS);
        for (partition, (records, next)) in (0..).zip(records.iter().zip(&mut next)) {
            if *records > 0 {
                let base = talk.base_ms() + i64::from(*next) * 10_000;
                append(&mut talk, TOPIC, partition, &numbered(base, *next, *records));
                *next += records;
            }
        }
        broker.restart();
    }
}

/// Epochs are asked for, and told, in lives of the broker: Kafka's controller gives a leader that comes back the second epoch
/// from the last one, and nobody the one between.
fn begin(talk: &mut Talk, conversation: &str) {
    talk.begin(conversation);
    talk.symbols.epochs_a_life = epochs_a_life(talk);
}

fn epochs_a_life(talk: &Talk) -> i32 {
    if talk.is_kafka() { 2 } else { 1 }
}

/// Lives and their epochs: none, all there were, and two that are still to come.
fn every(talk: &Talk) -> impl Iterator<Item = (i32, i32)> + use<> {
    let epochs = epochs_a_life(talk);
    std::iter::once((-1, -1)).chain((0..=CURRENT + 2).map(move |life| (life, life * epochs)))
}

pub fn script(talk: &mut Talk) {
    begin(talk, "lineage");
    await_leaders(talk, TOPIC, PARTITIONS);
    let id = known(talk);
    for version in versions::<MetadataRequest>().filter(|version| *version >= 7) {
        talk.ask("metadata", version, &named());
    }
    let one = TopicRequest::default().with_name(topic(TOPIC));
    let describe = DescribeTopicPartitionsRequest::default()
        .with_topics(vec![one])
        .with_response_partition_limit(2_000);
    talk.ask("partitions", 0, &describe);
    for version in versions::<OffsetForLeaderEpochRequest>() {
        ends(talk, version);
    }
    for version in versions::<ListOffsetsRequest>().filter(|version| *version >= 4) {
        times(talk, version);
    }
    for version in versions::<FetchRequest>().filter(|version| *version >= 9) {
        fetched(talk, version, id);
    }
    shortened(talk, id);
    goes_on(talk, id);
}

fn named() -> MetadataRequest {
    let one = MetadataRequestTopic::default().with_name(Some(topic(TOPIC)));
    MetadataRequest::default().with_topics(Some(vec![one]))
}

/// The topic's id, which the symbols learn on the way.
fn known(talk: &mut Talk) -> Uuid {
    talk.quiet(12, &named()).expect("Metadata is answered").topics[0].topic_id
}

fn end_of(version: i16, partition: i32, current: i32, epoch: i32) -> OffsetForLeaderEpochRequest {
    let one = OffsetForLeaderPartition::default()
        .with_partition(partition)
        .with_current_leader_epoch(current)
        .with_leader_epoch(epoch);
    let one = OffsetForLeaderTopic::default().with_topic(topic(TOPIC)).with_partitions(vec![one]);
    let request = OffsetForLeaderEpochRequest::default().with_topics(vec![one]);
    if version >= 3 { request.with_replica_id((-1).into()) } else { request }
}

fn ends(talk: &mut Talk, version: i16) {
    begin(talk, "ends");
    for (life, epoch) in every(talk) {
        for partition in 0..PARTITIONS {
            let step = format!("of life {life} in {partition}");
            talk.ask(&step, version, &end_of(version, partition, -1, epoch));
        }
        let step = format!("of life 1, asked in {life}");
        talk.ask(&step, version, &end_of(version, 0, epoch, epochs_a_life(talk)));
    }
}

fn times(talk: &mut Talk, version: i16) {
    begin(talk, "times");
    let base = talk.base_ms();
    let at = |partition: i32, timestamp: i64, current: i32| {
        let one = offset_at(partition, timestamp).with_current_leader_epoch(current);
        let one = ListOffsetsTopic::default().with_name(topic(TOPIC)).with_partitions(vec![one]);
        ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![one])
    };
    let special = [("latest", -1), ("earliest", -2), ("max timestamp", -3)];
    let special = special.map(|(what, at)| (what.to_owned(), at));
    let spread = [0, 10_000, 30_000, 31_000, 50_000, 60_000];
    let spread = spread.map(|delta| (format!("base+{delta}"), base + delta));
    for (what, timestamp) in special.into_iter().chain(spread) {
        for partition in 0..PARTITIONS {
            talk.ask(&format!("{what} of {partition}"), version, &at(partition, timestamp, -1));
        }
    }
    for (life, epoch) in every(talk) {
        talk.ask(&format!("latest, asked in {life}"), version, &at(0, -1, epoch));
    }
}

fn fetched(talk: &mut Talk, version: i16, id: Uuid) {
    begin(talk, "fetch");
    known(talk);
    let ask = |talk: &mut Talk, step: &str, one: FetchPartition| {
        talk.ask(step, version, &fetch(version, TOPIC, id, vec![one]));
    };
    for partition in 0..PARTITIONS {
        ask(talk, &format!("all of {partition}"), from(partition, 0));
    }
    for (life, epoch) in every(talk) {
        let asked = from(0, 5).with_current_leader_epoch(epoch);
        ask(talk, &format!("asked in {life}"), asked);
    }
    if version < 12 {
        return;
    }
    // Where a consumer stands, and in which epoch it says that it read what is before.
    for (partition, offsets) in [(0, [0, 2, 3, 4, 5, 6].as_slice()), (1, &[0, 2]), (2, &[0])] {
        for offset in offsets {
            for (life, epoch) in every(talk) {
                let step = format!("from {offset} of {partition}, read in {life}");
                ask(talk, &step, from(partition, *offset).with_last_fetched_epoch(epoch));
            }
        }
    }
    let [second, fourth] = [1, 3].map(|life| life * epochs_a_life(talk));
    let beyond = from(0, 7).with_last_fetched_epoch(fourth);
    ask(talk, "from beyond the end, read in 3", beyond);
    let fenced = from(0, 5).with_last_fetched_epoch(second).with_current_leader_epoch(fourth);
    ask(talk, "asked in 3, read in 1", fenced);
}

/// What is left of epochs whose records were deleted.
fn shortened(talk: &mut Talk, id: Uuid) {
    begin(talk, "shortened");
    known(talk);
    for (step, offset) in [("inside the second", 4), ("all but the last", 5), ("all", -1)] {
        talk.quiet(2, &before(TOPIC, 0, offset)).expect("DeleteRecords is answered");
        for (life, epoch) in every(talk) {
            let of = end_of(4, 0, -1, epoch);
            talk.ask(&format!("{step}: end of life {life}"), 4, &of);
            for offset in 3..6 {
                let one = from(0, offset).with_last_fetched_epoch(epoch);
                let step = format!("{step}: from {offset}, read in {life}");
                talk.ask(&step, 16, &fetch(16, TOPIC, id, vec![one]));
            }
        }
        for (what, timestamp) in [("latest", -1), ("earliest", -2), ("max timestamp", -3)] {
            let one = offset_at(0, timestamp).with_current_leader_epoch(-1);
            let one =
                ListOffsetsTopic::default().with_name(topic(TOPIC)).with_partitions(vec![one]);
            let request =
                ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![one]);
            talk.ask(&format!("{step}: {what}"), 7, &request);
        }
    }
}

/// What is written from here on is of this epoch.
fn goes_on(talk: &mut Talk, id: Uuid) {
    begin(talk, "goes on");
    known(talk);
    let base = talk.base_ms() + 100_000;
    for (partition, begins) in (0..).zip([6, 2, 0]) {
        append(talk, TOPIC, partition, &numbered(base, 50, 2));
        for (life, epoch) in every(talk) {
            let of = end_of(4, partition, -1, epoch);
            talk.ask(&format!("end of life {life} in {partition}"), 4, &of);
        }
        let all = fetch(16, TOPIC, id, vec![from(partition, begins)]);
        talk.ask(&format!("its records in {partition}"), 16, &all);
    }
}
