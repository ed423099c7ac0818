//! Transactions: begin, add, send, commit, abort, zombies, and every refusal on the way.

use kafka_protocol::{
    messages::{
        AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, DescribeProducersRequest,
        DescribeTransactionsRequest, EndTxnRequest, FetchRequest, FindCoordinatorRequest, GroupId,
        InitProducerIdRequest, ListOffsetsRequest, ListTransactionsRequest, ProducerId,
        TransactionalId, WriteTxnMarkersRequest,
        add_partitions_to_txn_request::{AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction},
        describe_producers_request::TopicRequest,
        list_offsets_request::ListOffsetsTopic,
        write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic},
    },
    protocol::StrBytes,
};
use uuid::Uuid;

use super::{create_topic, fetch, from, offset_at, produce, text, topic, versions};
use crate::{
    batch::{Batch, numbered},
    talk::Talk,
};

pub const TRANSACTIONAL: i16 = 0x10;

pub fn script(talk: &mut Talk) {
    make_the_inner_topic(talk);
    for version in versions::<EndTxnRequest>() {
        for commit in [true, false] {
            ends(talk, version, commit);
        }
        refused_ends(talk, version);
    }
    for version in versions::<InitProducerIdRequest>() {
        fences(talk, version);
    }
    comes_back(talk);
    for version in versions::<AddPartitionsToTxnRequest>() {
        adds(talk, version);
    }
    for version in versions::<AddOffsetsToTxnRequest>() {
        adds_offsets(talk, version);
    }
    for version in [9, 10, 11, 12] {
        strays(talk, version);
    }
    markers(talk);
    lists(talk);
}

/// Kafka makes the topic behind its coordinator at the first question, and loads it after it answered.
pub fn make_the_inner_topic(talk: &mut Talk) {
    talk.begin("set-up");
    let find = FindCoordinatorRequest::default().with_key_type(1).with_key(text("first"));
    talk.until(3, &find, |answer| answer.error_code == 0);
    talk.until(4, &init("first"), |answer| answer.error_code == 0);
}

pub fn id(id: &str) -> TransactionalId {
    TransactionalId(text(id))
}

pub fn init(of: &str) -> InitProducerIdRequest {
    InitProducerIdRequest::default()
        .with_transactional_id(Some(id(of)))
        .with_transaction_timeout_ms(60_000)
        .with_producer_id(ProducerId(-1))
        .with_producer_epoch(-1)
}

/// One producer of a conversation.
#[derive(Debug, Clone, Copy)]
pub struct Me<'a> {
    pub id: &'a str,
    pub producer: i64,
    pub epoch: i16,
}

pub fn begin<'a>(talk: &mut Talk, id: &'a str) -> Me<'a> {
    let given = talk.until(4, &init(id), |given| given.error_code == 0);
    Me { id, producer: given.producer_id.0, epoch: given.producer_epoch }
}

pub fn add(me: Me<'_>, version: i16, topics: &[(&str, &[i32])]) -> AddPartitionsToTxnRequest {
    let topics = topics.iter().map(|(name, partitions)| {
        AddPartitionsToTxnTopic::default()
            .with_name(topic(name))
            .with_partitions(partitions.to_vec())
    });
    let topics: Vec<_> = topics.collect();
    if version < 4 {
        return AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(id(me.id))
            .with_v3_and_below_producer_id(ProducerId(me.producer))
            .with_v3_and_below_producer_epoch(me.epoch)
            .with_v3_and_below_topics(topics);
    }
    let one = AddPartitionsToTxnTransaction::default()
        .with_transactional_id(id(me.id))
        .with_producer_id(ProducerId(me.producer))
        .with_producer_epoch(me.epoch)
        .with_topics(topics);
    AddPartitionsToTxnRequest::default().with_transactions(vec![one])
}

pub fn end(me: Me<'_>, commit: bool) -> EndTxnRequest {
    EndTxnRequest::default()
        .with_transactional_id(id(me.id))
        .with_producer_id(ProducerId(me.producer))
        .with_producer_epoch(me.epoch)
        .with_committed(commit)
}

pub fn batch(talk: &Talk, me: Me<'_>, sequence: i32, count: i32) -> Batch {
    let mut batch = numbered(talk.base_ms(), sequence, count).by(me.producer, me.epoch, sequence);
    batch.attributes = TRANSACTIONAL;
    batch
}

pub fn send(name: &str, me: Me<'_>, batch: &Batch) -> kafka_protocol::messages::ProduceRequest {
    produce(name, 0, batch).with_transactional_id(Some(id(me.id)))
}

/// Waits until all markers of the last transaction are written: Kafka answers before.
pub fn await_markers(talk: &mut Talk, of: &str) {
    let describe = DescribeTransactionsRequest::default().with_transactional_ids(vec![id(of)]);
    talk.until(0, &describe, |told| {
        !told.transaction_states[0].transaction_state.starts_with("Prepare")
    });
}

pub fn committed(name: &str, uuid: Uuid, offset: i64) -> FetchRequest {
    fetch(12, name, uuid, vec![from(0, offset)]).with_isolation_level(1)
}

fn latest(name: &str, isolation: i8) -> ListOffsetsRequest {
    let one =
        ListOffsetsTopic::default().with_name(topic(name)).with_partitions(vec![offset_at(0, -1)]);
    ListOffsetsRequest::default()
        .with_replica_id((-1).into())
        .with_isolation_level(isolation)
        .with_topics(vec![one])
}

/// What everybody sees of a partition and its transaction.
pub fn look(talk: &mut Talk, when: &str, version: i16, me: Me<'_>, (name, uuid): (&str, Uuid)) {
    let see = |what: &str| format!("{when}: {what}");
    let (steps, of) = (
        [see("committed"), see("all"), see("last stable"), see("latest"), see("the producers")],
        see("the transaction"),
    );
    let frame = talk.frame(12, &committed(name, uuid, 0));
    talk.ask_frame_as::<FetchRequest>(&steps[0], (version, 12), &frame);
    let frame = talk.frame(12, &fetch(12, name, uuid, vec![from(0, 0)]));
    talk.ask_frame_as::<FetchRequest>(&steps[1], (version, 12), &frame);
    for (step, isolation) in [(&steps[2], 1), (&steps[3], 0)] {
        let frame = talk.frame(7, &latest(name, isolation));
        talk.ask_frame_as::<ListOffsetsRequest>(step, (version, 7), &frame);
    }
    let one = TopicRequest::default().with_name(topic(name)).with_partition_indexes(vec![0]);
    let frame = talk.frame(0, &DescribeProducersRequest::default().with_topics(vec![one]));
    talk.ask_frame_as::<DescribeProducersRequest>(&steps[4], (version, 0), &frame);
    let describe = DescribeTransactionsRequest::default().with_transactional_ids(vec![id(me.id)]);
    let frame = talk.frame(0, &describe);
    talk.ask_frame_as::<DescribeTransactionsRequest>(&of, (version, 0), &frame);
}

/// A whole transaction, as a client of that version has it.
fn ends(talk: &mut Talk, version: i16, commit: bool) {
    let how = if commit { "commit" } else { "abort" };
    talk.begin(how);
    let name = format!("{how}-{version}");
    let uuid = create_topic(talk, &name, 1, &[]);
    let me_id = format!("{how}-{version}");
    let me = begin(talk, &me_id);
    let own_epoch = version >= 5;
    if !own_epoch {
        let request = add(me, 3, &[(&name, &[0])]);
        let frame = talk.frame(3, &request);
        talk.ask_frame_as::<AddPartitionsToTxnRequest>("add", (version, 3), &frame);
    }
    let produce_version = if own_epoch { 12 } else { 11 };
    for (step, sequence) in [("send 0-1", 0), ("send 2-3", 2), ("send 2-3 again", 2)] {
        let request = send(&name, me, &batch(talk, me, sequence, 2));
        let frame = talk.frame(produce_version, &request);
        let as_versions = (version, produce_version);
        talk.ask_frame_as::<kafka_protocol::messages::ProduceRequest>(step, as_versions, &frame);
    }
    look(talk, "open", version, me, (&name, uuid));
    talk.ask("end", version, &end(me, commit));
    await_markers(talk, &me_id);
    look(talk, "ended", version, me, (&name, uuid));
    talk.ask("end again", version, &end(me, commit));
    talk.ask("end the other way", version, &end(me, !commit));
    let late = send(&name, me, &batch(talk, me, 4, 1));
    let frame = talk.frame(produce_version, &late);
    let as_versions = (version, produce_version);
    talk.ask_frame_as::<kafka_protocol::messages::ProduceRequest>(
        "a late batch",
        as_versions,
        &frame,
    );
    let frame = talk.frame(12, &committed(&name, uuid, 4));
    talk.ask_frame_as::<FetchRequest>("committed, from the marker on", (version, 12), &frame);
}

fn refused_ends(talk: &mut Talk, version: i16) {
    talk.begin("refused ends");
    let me_id = format!("ends-{version}");
    let me = begin(talk, &me_id);
    talk.ask("commit nothing", version, &end(me, true));
    talk.ask("an unknown id", version, &end(Me { id: "nobody", ..me }, true));
    talk.ask("an empty id", version, &end(Me { id: "", ..me }, true));
    talk.ask("another producer", version, &end(Me { producer: 987_654, ..me }, true));
    talk.ask("a newer epoch", version, &end(Me { epoch: 7, ..me }, true));
    talk.ask("abort nothing", version, &end(me, false));
    await_markers(talk, &me_id);
    talk.ask("abort nothing again", version, &end(me, false));
}

/// A newer producer takes over.
fn fences(talk: &mut Talk, version: i16) {
    talk.begin("fences");
    let name = format!("fences-{version}");
    create_topic(talk, &name, 1, &[]);
    let me_id = format!("fences-{version}");
    talk.ask("first", version, &init(&me_id));
    talk.ask("second", version, &init(&me_id));
    let me = begin(talk, &me_id);
    talk.quiet(3, &add(me, 3, &[(&name, &[0])]));
    let open = send(&name, me, &batch(talk, me, 0, 1));
    talk.quiet(11, &open);
    talk.ask("third, with an open transaction", version, &init(&me_id));
    await_markers(talk, &me_id);
    talk.ask("third again", version, &init(&me_id));
    let frame = talk.frame(3, &add(me, 3, &[(&name, &[0])]));
    talk.ask_frame_as::<AddPartitionsToTxnRequest>("a zombie adds", (version, 3), &frame);
    let frame = talk.frame(11, &send(&name, me, &batch(talk, me, 1, 1)));
    talk.ask_frame_as::<kafka_protocol::messages::ProduceRequest>(
        "a zombie sends",
        (version, 11),
        &frame,
    );
    let frame = talk.frame(4, &end(me, true));
    talk.ask_frame_as::<EndTxnRequest>("a zombie commits", (version, 4), &frame);
    for (step, timeout) in [("no time", 0), ("negative time", -1), ("too long a time", i32::MAX)] {
        talk.ask(step, version, &init(&me_id).with_transaction_timeout_ms(timeout));
    }
}

/// KIP-360: a producer names the epoch that it had.
fn comes_back(talk: &mut Talk) {
    talk.begin("comes back");
    let me = begin(talk, "back");
    let back = |epoch: i16, producer: i64| {
        init("back").with_producer_id(ProducerId(producer)).with_producer_epoch(epoch)
    };
    talk.ask("with its epoch", 5, &back(me.epoch, me.producer));
    talk.ask("once more: its answer was lost", 5, &back(me.epoch, me.producer));
    talk.ask("with the new epoch", 5, &back(me.epoch + 1, me.producer));
    talk.ask("with the first, long gone", 5, &back(me.epoch, me.producer));
    talk.ask("with an epoch to come", 5, &back(me.epoch + 9, me.producer));
    talk.ask("with another's id", 5, &back(me.epoch + 2, 876_543));
    let unknown = init("back-unknown").with_producer_id(ProducerId(765_432));
    talk.ask("an unknown transactional id", 5, &unknown.with_producer_epoch(3));
}

fn adds(talk: &mut Talk, version: i16) {
    talk.begin("adds");
    let name = format!("adds-{version}");
    create_topic(talk, &name, 3, &[]);
    let me_id = format!("adds-{version}");
    let me = begin(talk, &me_id);
    let mut ask = |step: &str, me: Me<'_>, topics: &[(&str, &[i32])]| {
        talk.ask(step, version, &add(me, version, topics));
    };
    ask("one", me, &[(&name, &[0])]);
    ask("it again", me, &[(&name, &[0])]);
    ask("two more", me, &[(&name, &[1, 2])]);
    ask("nothing", me, &[]);
    ask("an unknown topic", me, &[("unknown-topic", &[0])]);
    ask("an unknown partition beside a known", me, &[(&name, &[0, 7])]);
    ask("an unknown id", Me { id: "nobody", ..me }, &[(&name, &[0])]);
    ask("an empty id", Me { id: "", ..me }, &[(&name, &[0])]);
    ask("another producer", Me { producer: 987_654, ..me }, &[(&name, &[0])]);
    ask("a newer epoch", Me { epoch: 7, ..me }, &[(&name, &[0])]);
    if version < 4 {
        return;
    }
    let mut verify = |step: &str, me: Me<'_>, partitions: &[i32]| {
        let mut request = add(me, version, &[(&name, partitions)]);
        request.transactions[0].verify_only = true;
        talk.ask(step, version, &request);
    };
    verify("verify", me, &[0, 1]);
    verify("verify another producer", Me { producer: 987_654, ..me }, &[0]);
    verify("verify a newer epoch", Me { epoch: 7, ..me }, &[0]);
    verify("verify an unknown id", Me { id: "nobody", ..me }, &[0]);
    let fresh_id = format!("fresh-{version}");
    let fresh = begin(talk, &fresh_id);
    let mut request = add(fresh, version, &[(&name, &[0])]);
    request.transactions[0].verify_only = true;
    talk.ask("verify what was not added", version, &request);
    let mut both = add(me, version, &[(&name, &[0])]);
    both.transactions.extend(add(fresh, version, &[(&name, &[1])]).transactions);
    talk.ask("two transactions", version, &both);
}

fn adds_offsets(talk: &mut Talk, version: i16) {
    talk.begin("adds offsets");
    let me_id = format!("offsets-{version}");
    let me = begin(talk, &me_id);
    let request = |me: Me<'_>| {
        AddOffsetsToTxnRequest::default()
            .with_transactional_id(id(me.id))
            .with_producer_id(ProducerId(me.producer))
            .with_producer_epoch(me.epoch)
            .with_group_id(GroupId(StrBytes::from_static_str("group")))
    };
    talk.ask("once", version, &request(me));
    talk.ask("again", version, &request(me));
    talk.ask("an unknown id", version, &request(Me { id: "nobody", ..me }));
    talk.ask("an empty id", version, &request(Me { id: "", ..me }));
    talk.ask("another producer", version, &request(Me { producer: 987_654, ..me }));
    talk.ask("an older epoch", version, &request(Me { epoch: me.epoch - 1, ..me }));
}

/// Batches that belong to no transaction, or to another.
fn strays(talk: &mut Talk, version: i16) {
    talk.begin("strays");
    let name = format!("strays-{version}");
    create_topic(talk, &name, 1, &[]);
    let me_id = format!("strays-{version}");
    let me = begin(talk, &me_id);
    let request = send(&name, me, &batch(talk, me, 0, 1));
    talk.ask("what was not added", version, &request);
    let unknown = Me { id: "nobody", ..me };
    let request = send(&name, unknown, &batch(talk, me, 1, 1));
    talk.ask("of an unknown id", version, &request);
    let nameless = produce(&name, 0, &batch(talk, me, 1, 1)).with_transactional_id(None);
    talk.ask("without an id", version, &nameless);
    talk.quiet(3, &add(me, 3, &[(&name, &[0])]));
    let request = send(&name, me, &batch(talk, me, 2, 1));
    talk.ask("a later one first", version, &request);
    let request = send(&name, me, &batch(talk, me, 1, 1));
    talk.ask("the next", version, &request);
    let outside = numbered(talk.base_ms(), 2, 1).by(me.producer, me.epoch, 2);
    talk.ask("one of no transaction in between", version, &send(&name, me, &outside));
    let newer = Me { epoch: me.epoch + 1, ..me };
    let request = send(&name, newer, &batch(talk, newer, 0, 1));
    talk.ask("a newer epoch", version, &request);
}

fn markers(talk: &mut Talk) {
    talk.begin("markers");
    let uuid = create_topic(talk, "marked", 1, &[]);
    let me = begin(talk, "marked");
    talk.quiet(3, &add(me, 3, &[("marked", &[0])]));
    let request = send("marked", me, &batch(talk, me, 0, 1));
    talk.quiet(11, &request);
    let mark = |epoch: i16, coordinator_epoch: i32, topics: &[(&str, &[i32])]| {
        let topics = topics.iter().map(|(name, partitions)| {
            WritableTxnMarkerTopic::default()
                .with_name(topic(name))
                .with_partition_indexes(partitions.to_vec())
        });
        let marker = WritableTxnMarker::default()
            .with_producer_id(ProducerId(me.producer))
            .with_producer_epoch(epoch)
            .with_coordinator_epoch(coordinator_epoch)
            .with_topics(topics.collect());
        WriteTxnMarkersRequest::default().with_markers(vec![marker])
    };
    talk.ask("nothing", 1, &WriteTxnMarkersRequest::default());
    talk.ask("an older epoch", 1, &mark(me.epoch - 1, 9, &[("marked", &[0])]));
    talk.ask("an unknown topic", 1, &mark(me.epoch, 9, &[("unknown-topic", &[0])]));
    talk.ask("an unknown partition", 1, &mark(me.epoch, 9, &[("marked", &[5])]));
    talk.ask("abort", 1, &mark(me.epoch, 9, &[("marked", &[0])]));
    talk.ask("abort again", 1, &mark(me.epoch, 9, &[("marked", &[0])]));
    talk.ask("of an older coordinator", 1, &mark(me.epoch, 8, &[("marked", &[0])]));
    talk.ask("committed", 12, &committed("marked", uuid, 0));
}

fn lists(talk: &mut Talk) {
    for version in versions::<ListTransactionsRequest>() {
        talk.begin("lists");
        let me_id = format!("listed-{version}");
        let me = begin(talk, &me_id);
        let of_me = ListTransactionsRequest::default()
            .with_producer_id_filters(vec![ProducerId(me.producer)])
            .with_duration_filter(-1)
            .with_transactional_id_pattern(None);
        talk.ask("of one producer", version, &of_me);
        let state = |names: &[&str]| names.iter().map(|name| text(name)).collect::<Vec<_>>();
        let in_state = |names: &[&str]| of_me.clone().with_state_filters(state(names));
        talk.ask("in its state", version, &in_state(&["Empty"]));
        talk.ask("in another state", version, &in_state(&["Ongoing", "Dead"]));
        talk.ask("in a state that is none", version, &in_state(&["Nonsense", "Empty"]));
        talk.ask("only in a state that is none", version, &in_state(&["Nonsense"]));
        if version >= 1 {
            talk.ask("long open", version, &of_me.clone().with_duration_filter(1000));
        }
        if version >= 2 {
            let like =
                |pattern: &str| of_me.clone().with_transactional_id_pattern(Some(text(pattern)));
            talk.ask("like it", version, &like("listed-.*"));
            talk.ask("like a part of it", version, &like("listed"));
            talk.ask("like anything", version, &like(""));
            talk.ask("no pattern", version, &like("("));
        }
    }
    talk.begin("describes");
    let ids = ["nobody", ""].map(id).to_vec();
    talk.ask("unknown", 0, &DescribeTransactionsRequest::default().with_transactional_ids(ids));
    talk.ask("nothing", 0, &DescribeTransactionsRequest::default());
}
