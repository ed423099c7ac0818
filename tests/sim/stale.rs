//! Law 9: a leader that was superseded while it was idle does not know it, and must not answer as if it were one.
//!
//! A fence is planted in the next name of an idle broker's chain, as a recoverer does. Each question is asked of a broker
//! of its own, once without the fence, so that the answer that must not come is known to be the one that would.

use std::sync::Arc;
use std::time::Duration;

use thalweg::base::clock::{SharedClock, TokioClock, sleep};
use thalweg::base::ids::{ChainId, Incarnation, SlotId};
use thalweg::base::rng::Rng;
use thalweg::node::Broker;
use thalweg::object::build::memory;
use thalweg::object::faults::{Faults, Rates};
use thalweg::object::{self, Locality, Payload, Store, keys};
use thalweg::record::Compression;
use thalweg::record::build::BatchBuilder;
use thalweg::segment::{Kind, SlotHeader, encode_fence};

use super::audit::CLUSTER;
use super::client::{Answer, Client};
use super::world::{WALL, on_a_runtime, start};

const NOT_LEADER_OR_FOLLOWER: i16 = 6;

pub(crate) fn batch(producer: i64, epoch: i16, sequence: i32) -> bytes::Bytes {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.producer(thalweg::base::ids::ProducerId(producer), epoch, sequence);
    builder.push_value(WALL, None, Some(b"value"));
    builder.build().bytes
}

/// Does as a recoverer: the broker's chain is at its end, and it does not know.
pub(crate) async fn plant_fence(store: &Store, broker: &Broker) {
    let wal = broker.registry().wal().expect("a chain");
    let (chain, slot) = (wal.chain(), SlotId(wal.stable()));
    plant_fence_in(store, chain, slot).await.expect("a free name");
}

/// Puts a fence into a name, unless it is taken.
pub(crate) async fn plant_fence_in(
    store: &Store,
    chain: ChainId,
    slot: SlotId,
) -> Result<(), object::Error> {
    let incarnation = Incarnation(Rng::from_seed(99).uuid());
    let header = SlotHeader { kind: Kind::Fence, chain, slot, incarnation, created: WALL };
    let fence = Payload::from(encode_fence(&header));
    store.put_if_absent(&keys::slot(CLUSTER, chain, slot), fence).await
}

/// A leader of three records that is idle, a client of it, and the producer of the records.
pub(crate) async fn idle_leader(store: &Store) -> (Broker, Client, i64) {
    let broker = start(store, WALL, Rng::from_seed(7)).await.expect("a healthy store");
    let client = Client::new(&broker);
    assert!(client.create_topic().await);
    let producer = client.init_producer_id().await.expect("an id");
    for sequence in 0..3 {
        let answer = client.produce(0, batch(producer, 1, sequence)).await;
        assert_eq!(answer, Answer::At(i64::from(sequence)));
    }
    // The first checkpoint is behind it: nothing is on its way any more.
    sleep(Duration::from_secs(10)).await;
    (broker, client, producer)
}

/// What an idle leader answers, with or without a fence in its way.
fn asked(fenced: bool, question: impl AsyncFn(&Client, i64) -> i16) -> i16 {
    on_a_runtime(async {
        let store = Store::new(memory(clock()).raw(), Locality::Bucket);
        let (broker, client, producer) = idle_leader(&store).await;
        if fenced {
            plant_fence(&store, &broker).await;
        }
        question(&client, producer).await
    })
}

fn clock() -> SharedClock {
    Arc::new(TokioClock::starting_at(WALL))
}

/// A leader that its bucket does not answer hears of no successor. It goes on for a session timeout, nine seconds, after it
/// last knew that it leads.
#[test]
fn records_and_offsets_without_a_proof_for_a_session_timeout() {
    on_a_runtime(async {
        let faults = Faults::new(Rng::from_seed(8));
        let store = Store::new(faults.wrap(memory(clock()).raw()), Locality::Bucket);
        let (_broker, client, _) = idle_leader(&store).await;
        let answers = async || [client.fetch_error(0, 0).await, client.list_offset(0, -2).await.0];
        faults.set_rates(Rates { unavailable: 1000, ..Rates::default() });
        sleep(Duration::from_secs(7)).await;
        assert_eq!(answers().await, [0; 2], "a leader says it");
        sleep(Duration::from_secs(4)).await;
        let refused = [NOT_LEADER_OR_FOLLOWER; 2];
        assert_eq!(answers().await, refused, "a superseded leader does not: it would not know");
        faults.stop();
        sleep(Duration::from_secs(3)).await;
        assert_eq!(answers().await, [0; 2], "the bucket answers: it leads still");
    });
}

fn only_a_leader_says(what: i16, question: impl AsyncFn(&Client, i64) -> i16 + Copy) {
    assert_eq!(asked(false, question), what, "a leader says it");
    assert_eq!(asked(true, question), NOT_LEADER_OR_FOLLOWER, "a superseded leader does not");
}

fn error_of(answer: Answer) -> i16 {
    match answer {
        Answer::Error(code) => code,
        other => panic!("a refusal was due, not {other:?}"),
    }
}

#[test]
fn the_end_of_the_log() {
    only_a_leader_says(0, async |client, _| {
        let (error, offset) = client.list_offset(0, -1).await;
        assert!(error != 0 || offset == 3, "{offset}");
        error
    });
}

#[test]
fn that_no_record_is_so_new() {
    only_a_leader_says(0, async |client, _| {
        let (error, offset) = client.list_offset(0, WALL.0 + 1).await;
        assert!(error != 0 || offset == -1, "{offset}");
        error
    });
}

#[test]
fn the_end_of_the_current_epoch() {
    only_a_leader_says(0, async |client, _| {
        let (error, end) = client.epoch_end(0, 0).await;
        assert!(error != 0 || end == 3, "{end}");
        error
    });
}

/// An epoch that is not known may be a successor's.
#[test]
fn that_an_epoch_is_not_known() {
    only_a_leader_says(0, async |client, _| {
        let (error, end) = client.epoch_end(0, 1).await;
        assert!(error != 0 || end == -1, "{end}");
        error
    });
}

#[test]
fn offset_out_of_range() {
    only_a_leader_says(1, async |client, _| client.fetch_error(0, 4).await);
    only_a_leader_says(1, async |client, _| {
        client.delete_records_error(0, 4).await.expect("an answer")
    });
}

#[test]
fn out_of_order_sequence_number() {
    only_a_leader_says(45, async |client, producer| {
        error_of(client.produce(0, batch(producer, 1, 7)).await)
    });
}

#[test]
fn invalid_producer_epoch() {
    only_a_leader_says(47, async |client, producer| {
        error_of(client.produce(0, batch(producer, 0, 3)).await)
    });
}
