//! Each rule of fencing by itself: what a producer or a member that was replaced is told, and that nothing of it counts.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use thalweg::base::clock::{TokioClock, sleep};
use thalweg::base::ids::{ProducerId, TopicPartition};
use thalweg::base::rng::Rng;
use thalweg::log::{self, EndMarker, PartitionHandle, Terms};
use thalweg::node::Broker;
use thalweg::object::build::memory;
use thalweg::object::{Locality, Store};
use thalweg::record::build::BatchBuilder;
use thalweg::record::{Attributes, Compression, ValidBatch};

use super::super::stale::plant_fence;
use super::super::world::{Settings, WALL, on_a_runtime, start_with};
use super::group::Membership;
use super::history::Key;
use super::link::{Identity, Isolation, Link, Protocol};
use super::producer::code;
use super::{INPUT, SETTINGS};

const ID: &str = "t";
const KEY: Key = (INPUT, 0);
const GROUP: &str = "g";
const ABORTABLE: i16 = 120;
const INVALID_TXN_STATE: i16 = 48;
const PROTOCOLS: [Protocol; 2] = [Protocol::Shared, Protocol::Own];

/// A healthy broker that has the input, on a store of its own, and a link to it.
pub(super) async fn a_broker_with(settings: Settings) -> (Store, Broker, Link) {
    let clock = Arc::new(TokioClock::starting_at(WALL));
    let store = Store::new(memory(clock).raw(), Locality::Bucket);
    let broker = start_with(settings, &store, WALL, Rng::from_seed(7)).await;
    let broker = broker.expect("a healthy store");
    let link = Link::prompt(Arc::clone(broker.context()));
    link.create(INPUT).await;
    (store, broker, link)
}

/// A healthy broker with all that is needed.
async fn a_broker() -> (Store, Broker, Link) {
    let (store, broker, link) = a_broker_with(SETTINGS).await;
    link.find_coordinator(0, GROUP).await;
    link.find_coordinator(1, ID).await;
    (store, broker, link)
}

/// Runs a case on a healthy broker.
fn on_a_broker(case: impl AsyncFn(&Link)) {
    on_a_runtime(async {
        let (_store, _broker, link) = a_broker().await;
        case(&link).await;
    });
}

async fn init(link: &Link) -> Identity {
    loop {
        match link.init(ID, 60_000, None).await.expect("an answer") {
            Ok(identity) => return identity,
            // A transaction was open: it is aborted first.
            Err(given) => assert_eq!(given, code::CONCURRENT_TRANSACTIONS),
        }
    }
}

fn batch(of: Identity, sequence: i32) -> Bytes {
    valid_batch(of, sequence).bytes
}

fn valid_batch((id, epoch): Identity, sequence: i32) -> ValidBatch {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.producer(ProducerId(id), epoch, sequence);
    builder.attributes(Attributes::default().transactional());
    builder.push_value(WALL, None, Some(b"value"));
    builder.build()
}

/// Begins a transaction, or goes on with it, by one record. Gives the error.
async fn send(link: &Link, protocol: Protocol, from: Identity, sequence: i32) -> i16 {
    if protocol == Protocol::Shared {
        let added = link.add_partition(ID, from, KEY).await.expect("an answer");
        if added != 0 {
            return added;
        }
    }
    produce(link, protocol, from, sequence).await
}

async fn produce(link: &Link, protocol: Protocol, from: Identity, sequence: i32) -> i16 {
    let sent = link.produce((ID, protocol), KEY, batch(from, sequence)).await;
    sent.expect("an answer").err().unwrap_or(0)
}

async fn end(link: &Link, protocol: Protocol, from: Identity, commit: bool) -> i16 {
    link.end((ID, protocol), from, commit).await.expect("an answer").err().unwrap_or(0)
}

/// How many records are committed.
async fn committed(link: &Link) -> usize {
    let fetched = link.fetch(KEY, 0, Isolation::Committed).await.expect("an answer");
    assert_eq!(fetched.last_stable_offset, fetched.high_watermark, "hanging transaction");
    fetched.records.len()
}

#[test]
fn whoever_takes_an_id_over_has_a_higher_epoch() {
    on_a_broker(async |link| {
        let (old, new) = (init(link).await, init(link).await);
        assert_eq!(new, (old.0, old.1 + 1), "fenced producer: its epoch");
    });
}

#[test]
fn a_fenced_producer_cannot_come_back() {
    on_a_broker(async |link| {
        let old = init(link).await;
        let back = link.init(ID, 60_000, Some(old)).await.expect("an answer");
        assert_eq!(back, Ok((old.0, old.1 + 1)), "it may, until somebody else comes");
        assert_eq!(link.init(ID, 60_000, Some(old)).await, Some(back), "and ask again");
        init(link).await;
        let given = link.init(ID, 60_000, Some(old)).await.expect("an answer");
        assert_eq!(given, Err(code::PRODUCER_FENCED), "fenced producer: it came back");
    });
}

#[test]
fn a_fenced_producer_cannot_append() {
    for protocol in PROTOCOLS {
        on_a_broker(async |link| {
            let old = init(link).await;
            let new = init(link).await;
            let fenced = [code::INVALID_PRODUCER_EPOCH, code::PRODUCER_FENCED];
            let given = send(link, protocol, old, 0).await;
            assert!(fenced.contains(&given), "fenced producer: {protocol:?} is told {given}");
            assert_eq!(send(link, protocol, new, 0).await, 0);
            let given = produce(link, protocol, old, 0).await;
            assert_eq!(given, code::INVALID_PRODUCER_EPOCH, "fenced producer: {protocol:?}");
            assert_eq!(end(link, protocol, new, true).await, 0);
            assert_eq!(committed(link).await, 1, "fenced producer: {protocol:?} wrote");
        });
    }
}

#[test]
fn a_fenced_producer_cannot_end_what_its_successor_began() {
    for protocol in PROTOCOLS {
        for commit in [true, false] {
            on_a_broker(async |link| {
                let old = init(link).await;
                assert_eq!(send(link, protocol, old, 0).await, 0);
                let new = init(link).await;
                assert_eq!(send(link, protocol, new, 0).await, 0);
                let given = end(link, protocol, old, commit).await;
                assert_eq!(given, code::PRODUCER_FENCED, "fenced producer: {protocol:?} {commit}");
                assert_eq!(end(link, protocol, new, !commit).await, 0);
                assert_eq!(committed(link).await, usize::from(!commit));
            });
        }
    }
}

#[test]
fn each_transaction_has_an_epoch_of_its_own() {
    on_a_broker(async |link| {
        let first = init(link).await;
        assert_eq!(send(link, Protocol::Own, first, 0).await, 0);
        let ended = link.end((ID, Protocol::Own), first, false).await.expect("an answer");
        let second = ended.expect("it is aborted").expect("the next epoch");
        assert_eq!(second, (first.0, first.1 + 1), "fenced producer: its next epoch");
        // What comes late of the first joins no other.
        let given = produce(link, Protocol::Own, first, 1).await;
        assert_eq!(given, code::INVALID_PRODUCER_EPOCH, "fenced producer: a late batch");
        assert_eq!(send(link, Protocol::Own, second, 0).await, 0);
        let given = end(link, Protocol::Own, first, true).await;
        assert_eq!(given, code::PRODUCER_FENCED, "fenced producer: a late end");
        assert_eq!(end(link, Protocol::Own, second, false).await, 0);
        assert_eq!(committed(link).await, 0);
    });
}

#[test]
fn the_end_of_a_transaction_may_be_asked_for_twice_and_not_changed() {
    on_a_broker(async |link| {
        let first = init(link).await;
        assert_eq!(send(link, Protocol::Own, first, 0).await, 0);
        assert_eq!(end(link, Protocol::Own, first, true).await, 0);
        assert_eq!(end(link, Protocol::Own, first, true).await, 0);
        assert_eq!(end(link, Protocol::Own, first, false).await, INVALID_TXN_STATE);
        assert_eq!(committed(link).await, 1);
    });
}

#[test]
fn a_batch_joins_only_a_transaction_that_knows_its_partition() {
    on_a_broker(async |link| {
        let producer = init(link).await;
        let given = produce(link, Protocol::Shared, producer, 0).await;
        assert_eq!(given, ABORTABLE, "fenced producer: a partition that was not added");
        // After an end the partition is to be added again: a late batch does not hang for ever.
        assert_eq!(send(link, Protocol::Shared, producer, 0).await, 0);
        assert_eq!(end(link, Protocol::Shared, producer, true).await, 0);
        let given = produce(link, Protocol::Shared, producer, 1).await;
        assert_eq!(given, ABORTABLE, "fenced producer: a batch after the end");
        assert_eq!(committed(link).await, 1);
    });
}

/// The partition that cases write to, as its leader has it.
fn led(broker: &Broker) -> PartitionHandle {
    let topic = broker.context().image().topic(INPUT).expect("it was created").id;
    let tp = TopicPartition { topic, partition: KEY.1 };
    broker.registry().partition(&tp).expect("it is led here")
}

/// The marker that a coordinator of that epoch sends for a transaction.
fn marker((id, epoch): Identity, coordinator_epoch: i32, commit: bool) -> EndMarker {
    EndMarker {
        producer_id: ProducerId(id),
        producer_epoch: epoch,
        coordinator_epoch,
        commit,
        bumps_epoch: false,
    }
}

/// A batch is verified, and before it is appended its transaction ends, in a partition that has no record of it yet: on
/// another thread, or because its client gave up on it.
#[test]
fn a_marker_withdraws_the_right_to_open_a_transaction() {
    on_a_runtime(async {
        let (_store, broker, link) = a_broker().await;
        let producer = init(&link).await;
        let partition = led(&broker);
        let late = valid_batch(producer, 0);
        let guard = partition.start_verification(&late, 0, WALL).expect("it is led here");
        partition.append_marker(&marker(producer, 0, false), WALL).expect("an open chain");
        let appended = partition.append(&late, Terms { guard, ..Terms::client(WALL) });
        let refused = matches!(appended, Err(log::Error::Rejected { .. }));
        assert!(refused, "fenced producer: a batch opened a transaction that had ended");
    });
}

/// A coordinator that was superseded has its markers on their way.
#[test]
fn a_marker_of_an_older_coordinator_ends_nothing() {
    on_a_runtime(async {
        let (_store, broker, link) = a_broker().await;
        let producer = init(&link).await;
        let partition = led(&broker);
        partition.append_marker(&marker(producer, 7, false), WALL).expect("an open chain");
        assert_eq!(send(&link, Protocol::Shared, producer, 0).await, 0);
        let refused = partition.append_marker(&marker(producer, 6, true), WALL);
        let refused = matches!(refused, Err(log::Error::Rejected { .. }));
        assert!(refused, "fenced producer: an older coordinator committed");
        let ended = partition.append_marker(&marker(producer, 7, false), WALL);
        let ended = ended.expect("an open chain").stable.expect("it is new");
        ended.wait().await.expect("a healthy store");
        assert_eq!(committed(&link).await, 0, "fenced producer: an older coordinator committed");
    });
}

/// What a member is told that commits an offset in a transaction after `replaced`.
fn evicted(instance: Option<&'static str>, replaced: impl AsyncFn(&Link, &Membership)) -> i16 {
    let told = std::cell::Cell::new(-1);
    on_a_broker(async |link| {
        let member = Membership::join(link, (GROUP, instance), None).await;
        let producer = init(link).await;
        let version = Protocol::Own.commit_offsets();
        let commit = async |member: &Membership, offset| {
            let answer = member.commit_in(link, (ID, version), producer, &[(KEY, offset)]).await;
            answer.expect("an answer")
        };
        assert_eq!(commit(&member, 5).await, 0, "a member may");
        replaced(link, &member).await;
        told.set(commit(&member, 1).await);
        assert_eq!(end(link, Protocol::Own, producer, true).await, 0);
        let offsets = super::group::fetch_offsets(link, GROUP, &[KEY]).await;
        assert_eq!(offsets, Some(vec![(KEY, 5)]), "evicted member: its offset counts");
    });
    told.get()
}

#[test]
fn a_member_that_left_commits_nothing() {
    let given = evicted(None, async |link, member| member.leave(link).await);
    assert_eq!(given, code::UNKNOWN_MEMBER, "evicted member");
}

#[test]
fn a_member_of_another_generation_commits_nothing() {
    let given = evicted(None, async |link, member| {
        Membership::join(link, (GROUP, None), Some(member.clone())).await;
    });
    assert_eq!(given, code::ILLEGAL_GENERATION, "evicted member");
}

#[test]
fn a_member_whose_instance_was_taken_commits_nothing() {
    let given = evicted(Some("static"), async |link, _| {
        Membership::join(link, (GROUP, Some("static")), None).await;
    });
    assert_eq!(given, code::FENCED_INSTANCE, "evicted member");
}

#[test]
fn a_member_of_another_generation_is_not_alive_and_has_nothing() {
    on_a_broker(async |link| {
        let old = Membership::join(link, (GROUP, None), None).await;
        assert_eq!(old.beat(link).await, Some(0), "it is alive");
        assert_eq!(old.sync_again(link).await, Some(0), "it may ask again");
        let new = Membership::join(link, (GROUP, None), Some(old.clone())).await;
        let given = old.beat(link).await;
        assert_eq!(given, Some(code::ILLEGAL_GENERATION), "evicted member: it is alive");
        let given = old.sync_again(link).await;
        assert_eq!(given, Some(code::ILLEGAL_GENERATION), "evicted member: it has partitions");
        assert_eq!(new.beat(link).await, Some(0), "it is alive");
    });
}

#[test]
fn a_member_whose_instance_was_taken_cannot_join_again() {
    on_a_broker(async |link| {
        let old = Membership::join(link, (GROUP, Some("static")), None).await;
        let new = Membership::join(link, (GROUP, Some("static")), None).await;
        let given = old.join_again(link).await;
        assert_eq!(given, Some(code::FENCED_INSTANCE), "evicted member: it joined again");
        assert_eq!(new.beat(link).await, Some(0), "it is alive");
    });
}

/// A transactional id belongs to one producer id.
#[test]
fn another_producers_id_neither_adds_nor_ends() {
    for protocol in PROTOCOLS {
        on_a_broker(async |link| {
            let producer = init(link).await;
            let other = (producer.0 + 1_000, producer.1);
            let given = link.add_partition(ID, other, KEY).await.expect("an answer");
            let mapping = code::INVALID_PRODUCER_ID_MAPPING;
            assert_eq!(given, mapping, "fenced producer: another's id adds");
            assert_eq!(send(link, protocol, producer, 0).await, 0);
            let given = end(link, protocol, other, true).await;
            assert_eq!(given, mapping, "fenced producer: another's id ends {protocol:?}");
            assert_eq!(end(link, protocol, producer, false).await, 0);
            assert_eq!(committed(link).await, 0, "fenced producer: another's id committed");
        });
    }
}

/// What the leader of a partition on another chain is told that asks whether it is in a transaction (law 9).
fn verified(superseded: bool) -> i16 {
    on_a_runtime(async {
        let (store, broker, link) = a_broker().await;
        let producer = init(&link).await;
        assert_eq!(send(&link, Protocol::Shared, producer, 0).await, 0);
        // The first checkpoint is behind it: nothing is on its way any more.
        sleep(Duration::from_secs(10)).await;
        if superseded {
            plant_fence(&store, &broker).await;
        }
        link.verify(ID, producer, KEY).await.expect("an answer")
    })
}

#[test]
fn only_a_coordinator_says_that_a_partition_is_in_a_transaction() {
    assert_eq!(verified(false), 0, "a leader says it");
    assert_eq!(verified(true), code::NOT_COORDINATOR, "a superseded leader does not");
}
