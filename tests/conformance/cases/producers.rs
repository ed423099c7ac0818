//! Idempotent producers: InitProducerId, sequences, epochs, DescribeProducers.

use kafka_protocol::messages::{
    DescribeProducersRequest, InitProducerIdRequest, ProduceRequest, ProducerId, TransactionalId,
    describe_producers_request::TopicRequest,
};

use super::{by_id, create_topic, produce, text, topic, versions};
use crate::{batch::numbered, talk::Talk};

pub fn script(talk: &mut Talk) {
    // Kafka's first producer ids come with its second answer.
    talk.begin("set-up");
    talk.until(4, &plain(), |answer| answer.error_code == 0);
    for version in versions::<InitProducerIdRequest>() {
        init(talk, version);
    }
    for version in versions::<ProduceRequest>() {
        sequences(talk, version);
        epochs(talk, version);
        strangers(talk, version);
        wrap(talk, version);
    }
    describe(talk);
}

fn plain() -> InitProducerIdRequest {
    // The crate's default for a nullable string is the empty one.
    InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_transaction_timeout_ms(60_000)
        .with_producer_id(ProducerId(-1))
        .with_producer_epoch(-1)
}

fn init(talk: &mut Talk, version: i16) {
    talk.begin("init");
    talk.ask("first", version, &plain());
    talk.ask("second", version, &plain());
    talk.ask("a time-out of zero", version, &plain().with_transaction_timeout_ms(0));
    talk.ask("a negative time-out", version, &plain().with_transaction_timeout_ms(-1));
    talk.ask("the longest time-out", version, &plain().with_transaction_timeout_ms(i32::MAX));
    let empty = plain().with_transactional_id(Some(TransactionalId(text(""))));
    talk.ask("an empty transactional id", version, &empty);
    if version < 3 {
        return;
    }
    let known = talk.quiet(version, &plain()).expect("InitProducerId is answered").producer_id;
    let again =
        |id: i64, epoch: i16| plain().with_producer_id(ProducerId(id)).with_producer_epoch(epoch);
    talk.ask("its own id and epoch", version, &again(known.0, 0));
    talk.ask("its own id, a newer epoch", version, &again(known.0, 5));
    talk.ask("its own id, no epoch", version, &again(known.0, -1));
    talk.ask("no id, an epoch", version, &again(-1, 5));
    talk.ask("an unknown id", version, &again(777_777, 0));
    talk.ask("its own id, the last epoch", version, &again(known.0, i16::MAX - 1));
}

fn producer(talk: &mut Talk) -> i64 {
    talk.quiet(4, &plain()).expect("InitProducerId is answered").producer_id.0
}

fn sequences(talk: &mut Talk, version: i16) {
    talk.begin("sequences");
    let base = talk.base_ms();
    let name = format!("sequences-{version}");
    let id = create_topic(talk, &name, 1, &[]);
    let me = producer(talk);
    let mut ask = |step: &str, sequence: i32, count: i32| {
        let batch = numbered(base, sequence, count).by(me, 0, sequence);
        talk.ask(step, version, &by_id(produce(&name, 0, &batch), version, id));
    };
    ask("0-1", 0, 2);
    ask("0-1 again", 0, 2);
    ask("2-4", 2, 3);
    ask("0-1 once more", 0, 2);
    ask("a gap: 6", 6, 1);
    ask("an overlap: 4-5", 4, 2);
    ask("within: 3", 3, 1);
    ask("5", 5, 1);
    ask("6", 6, 1);
    ask("7", 7, 1);
    ask("8", 8, 1);
    ask("9", 9, 1);
    ask("2-4 again, older than five batches", 2, 3);
    ask("5 again, the fifth last", 5, 1);
    ask("6 again", 6, 1);
    ask("5-6 as one", 5, 2);
    ask("10", 10, 1);
    ask("5 again, now the sixth last", 5, 1);
}

fn epochs(talk: &mut Talk, version: i16) {
    talk.begin("producer epochs");
    let base = talk.base_ms();
    let name = format!("producer-epochs-{version}");
    let id = create_topic(talk, &name, 1, &[]);
    let me = producer(talk);
    let mut ask = |step: &str, epoch: i16, sequence: i32| {
        let batch = numbered(base, sequence, 1).by(me, epoch, sequence);
        talk.ask(step, version, &by_id(produce(&name, 0, &batch), version, id));
    };
    ask("epoch 0, sequence 0", 0, 0);
    ask("epoch 1, sequence 5", 1, 5);
    ask("epoch 1, sequence 1", 1, 1);
    ask("epoch 1, sequence 0", 1, 0);
    ask("epoch 0, sequence 1: an old epoch", 0, 1);
    ask("epoch 0, sequence 0: an old duplicate", 0, 0);
    ask("epoch 1, sequence 1 now", 1, 1);
    ask("epoch 9, sequence 0", 9, 0);
    ask("epoch -1", -1, 1);
}

fn strangers(talk: &mut Talk, version: i16) {
    talk.begin("unknown producers");
    let base = talk.base_ms();
    let name = format!("unknown-producers-{version}");
    let id = create_topic(talk, &name, 1, &[]);
    let mut ask = |step: &str, producer: i64, epoch: i16, sequence: i32| {
        let batch = numbered(base, 0, 1).by(producer, epoch, sequence);
        talk.ask(step, version, &by_id(produce(&name, 0, &batch), version, id));
    };
    ask("sequence 0", 500_000, 0, 0);
    ask("sequence 40 of another", 500_001, 3, 40);
    ask("sequence 41 of it", 500_001, 3, 41);
    ask("a negative sequence", 500_002, 0, -1);
    ask("a negative epoch", 500_003, -1, 0);
    ask("an id below minus one", -7, 0, 0);
    ask("a sequence without an id", -1, -1, 5);
    ask("an epoch without an id", -1, 4, -1);
}

fn wrap(talk: &mut Talk, version: i16) {
    talk.begin("wrap");
    let base = talk.base_ms();
    let name = format!("wrap-{version}");
    let id = create_topic(talk, &name, 1, &[]);
    let mut ask = |step: &str, sequence: i32, count: i32| {
        let batch = numbered(base, 0, count).by(600_000, 0, sequence);
        talk.ask(step, version, &by_id(produce(&name, 0, &batch), version, id));
    };
    ask("up to the last", i32::MAX - 1, 2);
    ask("zero after the last", 0, 1);
    ask("one", 1, 1);
    let mut ask = |step: &str, sequence: i32, count: i32| {
        let batch = numbered(base, 0, count).by(600_001, 0, sequence);
        talk.ask(step, version, &by_id(produce(&name, 0, &batch), version, id));
    };
    ask("across the last", i32::MAX - 1, 4);
    ask("across the last again", i32::MAX - 1, 4);
    ask("after it", 2, 1);
}

fn describe(talk: &mut Talk) {
    talk.begin("describe");
    let base = talk.base_ms();
    create_topic(talk, "described", 2, &[]);
    let me = producer(talk);
    for (producer, sequence, count) in [(me, 0, 3), (me, 3, 1), (700_000, 10, 2)] {
        super::append(talk, "described", 0, &numbered(base, 0, count).by(producer, 0, sequence));
    }
    let of = |name: &str, partitions: &[i32]| {
        let one = TopicRequest::default()
            .with_name(topic(name))
            .with_partition_indexes(partitions.to_vec());
        DescribeProducersRequest::default().with_topics(vec![one])
    };
    talk.ask("both partitions", 0, &of("described", &[0, 1]));
    talk.ask("an unknown partition", 0, &of("described", &[0, 9]));
    talk.ask("an unknown topic", 0, &of("unknown", &[0]));
    talk.ask("an invalid topic", 0, &of("in valid", &[0]));
    talk.ask("no partitions", 0, &of("described", &[]));
    talk.ask("nothing", 0, &DescribeProducersRequest::default());
}
