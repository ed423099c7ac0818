//! Producers whose epochs are used up: 32,766 is the last that a client is given, and then comes another producer id.
//!
//! Kafka's come to the edge by as many InitProducerId as that takes, ours begin there (`seed`); only what follows is kept.

use std::io::Write as _;
use std::net::SocketAddr;

use kafka_protocol::messages::{
    DescribeTransactionsRequest, EndTxnRequest, EndTxnResponse, InitProducerIdRequest,
    InitProducerIdResponse, ProduceRequest, ProducerId, ResponseHeader,
};
use kafka_protocol::protocol::Decodable as _;
use uuid::Uuid;

use super::create_topic;
use super::transactions::{
    Me, add, await_markers, batch, end, id, init, look, make_the_inner_topic, send,
};
use crate::talk::{Talk, connect, read_frame};

/// The last epoch of a client.
const LAST: i16 = i16::MAX - 1;
/// Where a conversation finds its producer: one request before the last epoch but one, with which it begins.
pub const FIRST: i16 = LAST - 2;
/// All steps are asked at one version of each API: what they decide on is the same for all.
const INIT: i16 = 5;
/// How clients end that have an epoch for each transaction, and those before them.
const OWN: i16 = 5;
const SHARED: i16 = 4;
/// Requests of one producer on their way at once.
const PIPELINED: i16 = 128;
/// How often one may be told to come again.
const REFUSED_MAX: usize = 1_000;

const TOPIC: &str = "epochs";

type Conversation = fn(&mut Talk, Me<'_>, Uuid);

/// Each has a producer of its own, of that transactional id.
const CONVERSATIONS: [(&str, Conversation); 7] = [
    ("begun anew", begun_anew),
    ("comes back", comes_back),
    ("ends its own", ends_its_own),
    ("aborts nothing", aborts_nothing),
    ("ends what is shared", ends_what_is_shared),
    ("is taken over", is_taken_over),
    ("is too slow", is_too_slow),
];

/// The transactional ids of all.
pub fn ids() -> [&'static str; 7] {
    CONVERSATIONS.map(|(id, _)| id)
}

pub fn script(talk: &mut Talk) {
    make_the_inner_topic(talk);
    let uuid = create_topic(talk, TOPIC, 1, &[]);
    if talk.is_kafka() {
        raise(talk);
    }
    for (id, converse) in CONVERSATIONS {
        talk.begin(id);
        let begun = talk.until(INIT, &init(id), |given| given.error_code == 0);
        assert_eq!(begun.producer_epoch, LAST - 1, "{id} is not where it should be");
        converse(talk, Me { id, producer: begun.producer_id.0, epoch: LAST - 1 }, uuid);
    }
}

/// Has each producer come to [`FIRST`], all at the same time.
fn raise(talk: &mut Talk) {
    let address = talk.address();
    let frames = ids().map(|id| talk.frame(INIT, &init(id)));
    std::thread::scope(|scope| {
        for frame in &frames {
            scope.spawn(|| raise_one(address, frame));
        }
    });
}

fn raise_one(address: SocketAddr, frame: &[u8]) {
    let mut stream = connect(address);
    let (mut epoch, mut refused) = (-1, 0);
    while epoch < FIRST {
        let count = (FIRST - epoch).min(PIPELINED);
        let frames = frame.repeat(usize::try_from(count).expect("above zero"));
        stream.write_all(&frames).expect("the connection is open");
        for _ in 0..count {
            let mut bytes = read_frame(&mut stream).expect("an answer");
            ResponseHeader::decode(&mut bytes, 1).expect("a header");
            let given = InitProducerIdResponse::decode(&mut bytes, INIT).expect("a body");
            if given.error_code == 0 {
                epoch = given.producer_epoch;
            } else {
                refused += 1;
            }
        }
        assert!(refused < REFUSED_MAX, "its coordinator is never there");
    }
}

fn back(me: Me<'_>) -> InitProducerIdRequest {
    init(me.id).with_producer_id(ProducerId(me.producer)).with_producer_epoch(me.epoch)
}

/// The producer that was given last, with the epoch of an answer.
fn given<'a>(me: Me<'a>, answer: Option<InitProducerIdResponse>) -> Me<'a> {
    let answer = answer.expect("InitProducerId is answered");
    Me { producer: answer.producer_id.0, epoch: answer.producer_epoch, ..me }
}

fn ended<'a>(me: Me<'a>, answer: Option<EndTxnResponse>) -> Me<'a> {
    let answer = answer.expect("EndTxn is answered");
    Me { producer: answer.producer_id.0, epoch: answer.producer_epoch, ..me }
}

/// Opens a transaction that is not part of the script.
fn open(talk: &mut Talk, me: Me<'_>, version: i16) {
    let request = send(TOPIC, me, &batch(talk, me, 0, 1));
    if version == SHARED {
        talk.quiet(3, &add(me, 3, &[(TOPIC, &[0])]));
    }
    let sent = talk.quiet(if version == OWN { 12 } else { 11 }, &request).expect("an answer");
    assert_eq!(sent.responses[0].partition_responses[0].error_code, 0, "{me:?}: {sent:?}");
}

/// What the producer of an id that is used up may still say.
fn goes_on(talk: &mut Talk, who: &str, me: Me<'_>) {
    let step = |what: &str| format!("{who}: {what}");
    talk.ask(&step("adds"), 3, &add(me, 3, &[(TOPIC, &[0])]));
    for version in [11, 12] {
        let request = send(TOPIC, me, &batch(talk, me, 1, 1));
        talk.ask::<ProduceRequest>(&step("sends"), version, &request);
    }
    for version in [SHARED, OWN] {
        for (what, commit) in [("commits", true), ("aborts", false)] {
            talk.ask::<EndTxnRequest>(&step(what), version, &end(me, commit));
        }
    }
    talk.ask(&step("comes back"), INIT, &back(me));
    let before = Me { epoch: me.epoch - 1, ..me };
    talk.ask(&step("comes back with the epoch before"), INIT, &back(before));
}

/// Processes that name no epoch.
fn begun_anew(talk: &mut Talk, before: Me<'_>, uuid: Uuid) {
    let last = given(before, talk.ask("the last", INIT, &init(before.id)));
    let next = given(before, talk.ask("the next", INIT, &init(before.id)));
    look(talk, "the next", INIT, next, (TOPIC, uuid));
    goes_on(talk, "the last", last);
    goes_on(talk, "the last but one", before);
    talk.ask("the one after", INIT, &init(before.id));
}

/// A process that names its epoch (KIP-360).
fn comes_back(talk: &mut Talk, before: Me<'_>, uuid: Uuid) {
    let last = given(before, talk.ask("for the last", INIT, &back(before)));
    talk.ask("for the last again", INIT, &back(before));
    let next = given(before, talk.ask("with the last", INIT, &back(last)));
    talk.ask("with the last again", INIT, &back(last));
    look(talk, "the next", INIT, next, (TOPIC, uuid));
    talk.ask("with the last but one", INIT, &back(before));
    let beyond = Me { epoch: i16::MAX, ..last };
    talk.ask("with one beyond the last", INIT, &back(beyond));
    talk.ask("with the next", INIT, &back(next));
    talk.ask("with the next again", INIT, &back(next));
    talk.ask("with the last, long gone", INIT, &back(last));
}

/// A client that has an epoch for each transaction goes over the edge by ending one (KIP-890).
fn ends_its_own(talk: &mut Talk, before: Me<'_>, uuid: Uuid) {
    open(talk, before, OWN);
    let last = ended(before, talk.ask("to the last", OWN, &end(before, true)));
    await_markers(talk, before.id);
    open(talk, last, OWN);
    look(talk, "the last is open", OWN, last, (TOPIC, uuid));
    let next = ended(before, talk.ask("over the last", OWN, &end(last, true)));
    await_markers(talk, before.id);
    look(talk, "over the last", OWN, next, (TOPIC, uuid));
    talk.ask("over the last again", OWN, &end(last, true));
    talk.ask("over the last, the other way", OWN, &end(last, false));
    open(talk, next, OWN);
    look(talk, "the next is open", OWN, next, (TOPIC, uuid));
    talk.ask("over the last, while the next is open", OWN, &end(last, true));
    talk.ask("the next aborts", OWN, &end(next, false));
    await_markers(talk, before.id);
    look(talk, "the next has aborted", OWN, next, (TOPIC, uuid));
    goes_on(talk, "the last", last);
}

/// An abort of nothing takes another epoch too.
fn aborts_nothing(talk: &mut Talk, before: Me<'_>, uuid: Uuid) {
    let last = ended(before, talk.ask("to the last", OWN, &end(before, false)));
    await_markers(talk, before.id);
    let next = ended(before, talk.ask("over the last", OWN, &end(last, false)));
    await_markers(talk, before.id);
    look(talk, "over the last", OWN, next, (TOPIC, uuid));
    talk.ask("over the last again", OWN, &end(last, false));
    talk.ask("over the last, the other way", OWN, &end(last, true));
    goes_on(talk, "the last", last);
}

/// A client whose transactions share an epoch stays at the last.
fn ends_what_is_shared(talk: &mut Talk, before: Me<'_>, uuid: Uuid) {
    let last = given(before, talk.quiet(INIT, &init(before.id)));
    for commit in [true, false] {
        open(talk, last, SHARED);
        let how = if commit { "commits" } else { "aborts" };
        talk.ask(how, SHARED, &end(last, commit));
        await_markers(talk, before.id);
        talk.ask(&format!("{how} again"), SHARED, &end(last, commit));
        look(talk, how, SHARED, last, (TOPIC, uuid));
    }
    let next = given(before, talk.ask("comes back", INIT, &back(last)));
    open(talk, next, SHARED);
    look(talk, "the next is open", SHARED, next, (TOPIC, uuid));
    talk.ask("the next commits", SHARED, &end(next, true));
    await_markers(talk, before.id);
}

/// Another process comes while a transaction is open: it is aborted in the epoch that nobody has.
fn is_taken_over(talk: &mut Talk, before: Me<'_>, uuid: Uuid) {
    let last = given(before, talk.quiet(INIT, &init(before.id)));
    open(talk, last, OWN);
    talk.ask("another comes", INIT, &init(before.id));
    await_markers(talk, before.id);
    look(talk, "it is aborted", INIT, last, (TOPIC, uuid));
    goes_on(talk, "the last", last);
    let beyond = Me { epoch: i16::MAX, ..last };
    talk.ask("comes back with an epoch that nobody has", INIT, &back(beyond));
    let next = given(before, talk.ask("another comes again", INIT, &init(before.id)));
    look(talk, "the next", INIT, next, (TOPIC, uuid));
    let step = "comes back with an epoch that nobody had";
    talk.ask(step, INIT, &back(beyond));
}

/// Its transaction is aborted by time, in the epoch that nobody has.
fn is_too_slow(talk: &mut Talk, before: Me<'_>, uuid: Uuid) {
    let quick = init(before.id).with_transaction_timeout_ms(300);
    let last = given(before, talk.quiet(INIT, &quick));
    open(talk, last, OWN);
    let describe =
        DescribeTransactionsRequest::default().with_transactional_ids(vec![id(before.id)]);
    talk.until(0, &describe, |told| {
        told.transaction_states[0].transaction_state.as_str() == "CompleteAbort"
    });
    look(talk, "it is aborted", INIT, last, (TOPIC, uuid));
    for (what, commit) in [("commits", true), ("aborts", false)] {
        talk.ask(what, OWN, &end(last, commit));
    }
    let next = given(before, talk.ask("comes back", INIT, &back(last)));
    look(talk, "the next", INIT, next, (TOPIC, uuid));
    talk.ask("comes back again", INIT, &back(last));
    goes_on(talk, "the last", last);
}
