//! Transactions that the coordinator ends because their time is over, and producers that do not know that theirs is.

use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, DescribeTransactionsRequest, EndTxnRequest,
    InitProducerIdRequest, ProduceRequest, ProducerId, TxnOffsetCommitRequest,
};

use super::create_topic;
use super::groups::{await_coordinator, group};
use super::offset_transactions::{add_group, look as look_at_offsets, within};
use super::transactions::{
    Me, add, await_markers, batch, begin, end, id, init, look, make_the_inner_topic, send,
};
use crate::talk::Talk;

/// Protocols of transactions: the first has epochs of clients, the second one epoch for each transaction (KIP-890).
const PROTOCOLS: [i16; 2] = [1, 2];

pub fn script(talk: &mut Talk) {
    await_coordinator(talk);
    make_the_inner_topic(talk);
    create_topic(talk, "kept", 2, &[]);
    for protocol in PROTOCOLS {
        timed_out(talk, protocol);
        late(talk, protocol);
        taken_over(talk, protocol);
    }
}

/// A producer with a transaction that is open in one partition and for one group.
fn open<'a>(talk: &mut Talk, protocol: i16, me: Me<'a>, name: &str) -> Me<'a> {
    let offsets = group(name, 0);
    if protocol == 1 {
        talk.quiet(3, &add(me, 3, &[(name, &[0])]));
        talk.quiet(3, &add_group(me, &offsets));
    }
    let first = send(name, me, &batch(talk, me, 0, 2));
    let sent = talk.quiet(of(protocol).produce, &first).expect("Produce is answered");
    assert_eq!(sent.responses[0].partition_responses[0].error_code, 0, "{sent:?}");
    let taken = talk.quiet(of(protocol).commit, &within(me, &offsets, 5)).expect("it is answered");
    assert_eq!(taken.topics[0].partitions[0].error_code, 0, "{taken:?}");
    me
}

/// The versions in which clients speak that protocol.
struct Versions {
    produce: i16,
    commit: i16,
    end: i16,
}

fn of(protocol: i16) -> Versions {
    if protocol == 1 {
        Versions { produce: 11, commit: 4, end: 4 }
    } else {
        Versions { produce: 12, commit: 5, end: 5 }
    }
}

/// Everything that a producer may still say.
fn goes_on(talk: &mut Talk, who: &str, protocol: i16, me: Me<'_>, name: &str) {
    let step = |what: &str| format!("{who}: {what}");
    let Versions { produce, commit, end: end_version } = of(protocol);
    let offsets = group(name, 0);
    if protocol == 1 {
        let frame = talk.frame(3, &add(me, 3, &[(name, &[0])]));
        talk.ask_frame_as::<AddPartitionsToTxnRequest>(&step("adds"), (protocol, 3), &frame);
        let frame = talk.frame(3, &add_group(me, &offsets));
        talk.ask_frame_as::<AddOffsetsToTxnRequest>(&step("adds a group"), (protocol, 3), &frame);
    }
    let request = send(name, me, &batch(talk, me, 2, 1));
    let frame = talk.frame(produce, &request);
    talk.ask_frame_as::<ProduceRequest>(&step("sends"), (protocol, produce), &frame);
    let frame = talk.frame(commit, &within(me, &offsets, 8));
    talk.ask_frame_as::<TxnOffsetCommitRequest>(&step("offsets"), (protocol, commit), &frame);
    for (what, committed) in [("commits", true), ("aborts", false)] {
        let frame = talk.frame(end_version, &end(me, committed));
        talk.ask_frame_as::<EndTxnRequest>(&step(what), (protocol, end_version), &frame);
    }
}

/// It was slower than its own `transaction.timeout.ms`.
fn timed_out(talk: &mut Talk, protocol: i16) {
    talk.begin("timed out");
    let name = format!("timed-out-{protocol}");
    let uuid = create_topic(talk, &name, 1, &[]);
    let quick = init(&name).with_transaction_timeout_ms(300);
    let given = talk.quiet(4, &quick).expect("InitProducerId is answered");
    let me = Me { id: &name, producer: given.producer_id.0, epoch: given.producer_epoch };
    let me = open(talk, protocol, me, &name);
    let describe = DescribeTransactionsRequest::default().with_transactional_ids(vec![id(&name)]);
    talk.until(0, &describe, |told| {
        told.transaction_states[0].transaction_state.as_str() == "CompleteAbort"
    });
    look(talk, "over", protocol, me, (&name, uuid));
    look_at_offsets(talk, "over", protocol, &group(&name, 0));
    goes_on(talk, "the zombie", protocol, me, &name);
    look(talk, "after the zombie", protocol, me, (&name, uuid));
    let back = init(&name).with_producer_id(ProducerId(me.producer)).with_producer_epoch(me.epoch);
    let frame = talk.frame(5, &back);
    talk.ask_frame_as::<InitProducerIdRequest>("comes back with its epoch", (protocol, 5), &frame);
    let frame = talk.frame(5, &init(&name));
    let anew = talk.ask_frame_as::<InitProducerIdRequest>("begins anew", (protocol, 5), &frame);
    let anew = anew.expect("InitProducerId is answered");
    let me = Me { producer: anew.producer_id.0, epoch: anew.producer_epoch, ..me };
    open(talk, protocol, me, &name);
    talk.quiet(of(protocol).end, &end(me, true));
    await_markers(talk, &name);
    look(talk, "the next", protocol, me, (&name, uuid));
    look_at_offsets(talk, "the next", protocol, &group(&name, 0));
}

/// What belongs to a transaction that is over comes when the next of the same producer is open.
fn late(talk: &mut Talk, protocol: i16) {
    talk.begin("late");
    let name = format!("late-{protocol}");
    let uuid = create_topic(talk, &name, 1, &[]);
    let first = begin(talk, &name);
    open(talk, protocol, first, &name);
    let ended = talk.quiet(of(protocol).end, &end(first, true)).expect("EndTxn is answered");
    await_markers(talk, &name);
    if protocol == 1 {
        // Its epoch stays: nothing tells what is late from what is next.
        return look(talk, "ended", protocol, first, (&name, uuid));
    }
    let second = Me { producer: ended.producer_id.0, epoch: ended.producer_epoch, ..first };
    open(talk, protocol, second, &name);
    goes_on(talk, "of the first", protocol, first, &name);
    look(talk, "the second is open", protocol, second, (&name, uuid));
    talk.quiet(of(protocol).end, &end(second, false));
    await_markers(talk, &name);
    look(talk, "the second is aborted", protocol, second, (&name, uuid));
    look_at_offsets(talk, "the second is aborted", protocol, &group(&name, 0));
    let frame = talk.frame(5, &end(first, true));
    talk.ask_frame_as::<EndTxnRequest>("the first ends again", (protocol, 5), &frame);
}

/// Another process takes the transactional id while a transaction is open.
fn taken_over(talk: &mut Talk, protocol: i16) {
    talk.begin("taken over");
    let name = format!("taken-over-{protocol}");
    let uuid = create_topic(talk, &name, 1, &[]);
    let zombie = begin(talk, &name);
    open(talk, protocol, zombie, &name);
    let heir = begin(talk, &name);
    goes_on(talk, "the zombie", protocol, zombie, &name);
    look(talk, "taken over", protocol, heir, (&name, uuid));
    open(talk, protocol, heir, &name);
    goes_on(talk, "the zombie again", protocol, zombie, &name);
    look(talk, "the heir is open", protocol, heir, (&name, uuid));
    let frame = talk.frame(of(protocol).end, &end(heir, true));
    talk.ask_frame_as::<EndTxnRequest>("the heir commits", (protocol, of(protocol).end), &frame);
    await_markers(talk, &name);
    look(talk, "the heir has committed", protocol, heir, (&name, uuid));
    look_at_offsets(talk, "the heir has committed", protocol, &group(&name, 0));
}
