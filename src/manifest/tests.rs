//! The manifest as a whole: edits, rows, restart.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::client::Endpoint;
use super::edit::{Broker, ConfigOwner, Edit, NewTopic, Term};
use super::row::{CheckpointRow, ReleaseRow, RunRow, SlotRow};
use super::state::{RowKey, State};
use super::store::{Options, Store, StoreError, read_term};
use super::{codec, invariants, load};
use crate::base::clock::{SharedClock, Timestamp, TokioClock, sleep};
use crate::base::ids::{
    BrokerId, ChainId, Incarnation, LeaderEpoch, ProducerId, SlotId, TopicId, TopicPartition,
};
use crate::base::offset::Offset;
use crate::base::rng::Rng;
use crate::object::{self, Locality};

pub(crate) fn topic_id(n: u128) -> TopicId {
    TopicId(uuid::Uuid::from_u128(n))
}

pub(crate) fn incarnation(n: u128) -> Incarnation {
    Incarnation(uuid::Uuid::from_u128(n))
}

pub(crate) fn tp(topic: u128, partition: i32) -> TopicPartition {
    TopicPartition { topic: topic_id(topic), partition }
}

pub(crate) fn run(tp: TopicPartition, epoch: i32, offsets: std::ops::Range<i64>) -> RunRow {
    let (base_offset, end_offset) = (Offset(offsets.start), Offset(offsets.end));
    let (position, bytes) = (64, 100 * offsets.end.abs_diff(offsets.start));
    let max_timestamp = Timestamp(1000 + offsets.end);
    let leader_epoch = LeaderEpoch(epoch);
    RunRow { tp, leader_epoch, base_offset, end_offset, position, bytes, max_timestamp }
}

pub(crate) fn slot(slot: u64, runs: Vec<RunRow>) -> SlotRow {
    let slot = SlotId(slot);
    let (checkpoints, releases) = (Vec::new(), Vec::new());
    SlotRow { slot, bytes: 500, index_position: 400, index_bytes: 36, runs, checkpoints, releases }
}

pub(crate) fn checkpoint(mut row: SlotRow, tp: TopicPartition, epoch: i32) -> SlotRow {
    row.checkpoints.push(CheckpointRow { tp, leader_epoch: LeaderEpoch(epoch) });
    row
}

pub(crate) fn registered(chain: u64, process: u128) -> Edit {
    registered_as(1, chain, process)
}

fn registered_as(broker: i32, chain: u64, process: u128) -> Edit {
    let id = BrokerId(broker);
    let broker = Broker {
        incarnation: incarnation(process),
        chain: ChainId(chain),
        listeners: BTreeMap::new(),
        rack: None,
    };
    Edit::Registered { id, broker }
}

pub(crate) fn created(topic: u128, name: &str, partitions: usize) -> Edit {
    Edit::TopicCreated(NewTopic {
        id: topic_id(topic),
        name: name.to_owned(),
        replication_factor: 1,
        configs: BTreeMap::new(),
        replicas: vec![vec![BrokerId(1)]; partitions],
    })
}

pub(crate) fn granted(tp: TopicPartition, chain: u64) -> Edit {
    Edit::Granted { tp, chain: ChainId(chain) }
}

pub(crate) fn committed(chain: u64, row: SlotRow) -> Edit {
    Edit::Slot { chain: ChainId(chain), row }
}

/// One broker, chain 1, a topic of two partitions, a slot with both and one with the first.
fn story() -> Vec<Edit> {
    let term = Term { term: 1, broker: BrokerId(1), incarnation: incarnation(7) };
    vec![
        Edit::Term(term),
        registered(1, 7),
        created(1, "orders", 2),
        granted(tp(1, 0), 1),
        granted(tp(1, 1), 1),
        committed(1, checkpoint(slot(0, vec![run(tp(1, 0), 0, 0..10)]), tp(1, 1), 0)),
        committed(1, slot(1, vec![run(tp(1, 0), 0, 10..20), run(tp(1, 1), 0, 0..5)])),
        Edit::LogStart { tp: tp(1, 0), to: Offset(12) },
    ]
}

fn applied(edits: Vec<Edit>) -> State {
    let mut state = State::default();
    edits.into_iter().for_each(|edit| state.apply(edit));
    state
}

/// The state that its own rows make, kept as the store would keep them.
#[derive(Default)]
pub(crate) struct Rows(BTreeMap<Vec<u8>, Vec<u8>>);

impl Rows {
    pub(crate) fn write(&mut self, state: &mut State) {
        self.write_kept(state);
        state.take_changes();
    }

    /// Writes what changed and leaves it to be taken.
    pub(crate) fn write_kept(&mut self, state: &State) {
        let changes = &state.changes;
        for (chain, row) in &changes.slots {
            let key = RowKey::Slot(*chain, row.slot);
            self.0.insert(codec::key(&key), codec::slot_value(row));
        }
        for key in &changes.rows {
            match codec::value(state, key) {
                Some(value) => self.0.insert(codec::key(key), value),
                None => self.0.remove(&codec::key(key)),
            };
        }
    }

    pub(crate) fn load(&self) -> State {
        let mut loader = load::Loader::default();
        for (key, value) in &self.0 {
            loader.add(key, value).expect("rows that were just written");
        }
        loader.finish().expect("rows of a sound state")
    }
}

/// The collector compares it with the store's times: tests give both the same clock.
pub(crate) fn clock() -> SharedClock {
    Arc::new(TokioClock::starting_at(Timestamp(1_700_000_000_000)))
}

pub(crate) fn options(raw: object::RawStore, locality: Locality) -> Options {
    let clock = clock();
    let rng = Rng::from_seed(1);
    Options { raw, path: "c/meta".to_owned(), locality, if_match: false, clock, rng }
}

fn memory() -> Options {
    options(object::build::memory(clock()).raw(), Locality::Memory)
}

async fn write(store: &Store, state: &mut State) -> Result<(), StoreError> {
    let changes = state.take_changes();
    store.write(state, &changes).await
}

#[test]
fn partitions_that_are_alike_share_their_lists_before_a_restart_and_after_it() {
    let mut rows = Rows::default();
    let mut state = applied(vec![
        Edit::Term(Term { term: 1, broker: BrokerId(1), incarnation: incarnation(7) }),
        registered(1, 7),
        created(1, "orders", 3),
        granted(tp(1, 0), 1),
        granted(tp(1, 1), 1),
        granted(tp(1, 2), 1),
    ]);
    rows.write(&mut state);
    for state in [state, rows.load()] {
        let [first, others @ ..] = &state.topics[&topic_id(1)].partitions[..] else {
            panic!("there are three");
        };
        assert_eq!((first.replicas.len(), first.epochs.len()), (1, 1));
        for other in others {
            assert!(Arc::ptr_eq(&first.replicas, &other.replicas));
            assert!(Arc::ptr_eq(&first.epochs, &other.epochs));
        }
    }
}

#[test]
fn rows_make_the_state_that_wrote_them() {
    let (mut state, mut rows) = (State::default(), Rows::default());
    for edit in story() {
        state.apply(edit);
        rows.write(&mut state);
        assert_eq!(rows.load(), state);
    }
    assert_eq!(invariants::check(&state), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_restart_finds_the_same_state() {
    let options = memory();
    let mut state = State::default();
    let (store, loaded) = Store::open(&options, None).await.expect("an empty store");
    assert_eq!(loaded, state);
    for edit in story() {
        state.apply(edit);
        write(&store, &mut state).await.expect("a healthy store");
    }
    drop(store);
    let (_, again) = Store::open(&options, None).await.expect("the same store");
    assert_eq!(again, state);
}

#[tokio::test(start_paused = true)]
async fn an_older_writer_is_fenced_and_can_name_its_successor() {
    let options = memory();
    let (old, mut state) = Store::open(&options, None).await.expect("an empty store");
    story().into_iter().for_each(|edit| state.apply(edit));
    write(&old, &mut state).await.expect("the only writer");
    let (new, mut next) = Store::open(&options, None).await.expect("taking over");
    let holder = Term { term: 2, broker: BrokerId(1), incarnation: incarnation(8) };
    next.apply(Edit::Term(holder));
    write(&new, &mut next).await.expect("the writer");
    state.apply(created(9, "late", 1));
    assert!(matches!(write(&old, &mut state).await, Err(StoreError::Fenced)));
    assert!(matches!(old.closed().await, StoreError::Fenced));
    assert!(matches!(Store::open(&options, Some(old.epoch())).await, Err(StoreError::Fenced)));
    let (term, broker) = read_term(&options).await.expect("readable").expect("a term");
    assert_eq!((term, broker.map(|b| b.chain)), (holder, Some(ChainId(1))));
    next.apply(created(2, "still", 1));
    write(&new, &mut next).await.expect("readers and refused openers fence nobody");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_went_back_shuts_nobody_out() {
    let back = |options: &Options, by: i64| {
        let clock = Arc::new(TokioClock::starting_at(Timestamp(clock().now().0 - by)));
        Options { clock, ..options.clone() }
    };
    let options = memory();
    let mut known = State::default();
    for (n, hours) in [0, 1, 30, 2].into_iter().enumerate() {
        let options = back(&options, hours * 3_600_000);
        let (store, mut state) = Store::open(&options, None).await.expect("opened");
        assert_eq!(state, known);
        let next = ProducerId(i64::try_from(n).expect("small") + 1);
        state.apply(Edit::ProducerIds { next });
        write(&store, &mut state).await.expect("written");
        known = state;
    }
}

/// Every life ends with a flushed table, whose name holds the time of the flush: later than that of the last write.
#[tokio::test(start_paused = true)]
async fn a_clock_that_went_back_lets_tables_be_flushed() {
    let options = memory();
    let mut known = State::default();
    for (n, hours) in (1..).zip([0, 24, 30, 1, 48, 0]) {
        let clock = TokioClock::starting_at(Timestamp(clock().now().0 - hours * 3_600_000));
        let options = Options { clock: Arc::new(clock), ..options.clone() };
        let (store, mut state) = Store::open(&options, None).await.expect("opened");
        assert_eq!(state, known, "life {n}");
        for part in 0..3 {
            state.apply(Edit::ProducerIds { next: ProducerId(n * 10 + part) });
            write(&store, &mut state).await.expect("written");
            sleep(Duration::from_secs(1)).await;
            store.flush().await.expect("flushed");
        }
        known = state;
        // Odd lives end in a crash: the next one replays the log and flushes what it finds.
        if n % 2 == 0 {
            store.close().await;
        }
    }
}

/// While the clock stands still tables have their names by chance alone, in each opening of one process: none may be written
/// over another that holds what no log has any more.
#[tokio::test(start_paused = true)]
async fn a_clock_that_stands_still_names_no_two_tables_alike() {
    // Which name comes next depends on how much was written before.
    for writes in 1..20 {
        let options = memory();
        let (store, mut state) = Store::open(&options, None).await.expect("an empty store");
        story().into_iter().for_each(|edit| state.apply(edit));
        write(&store, &mut state).await.expect("written");
        drop(store);
        // So long ago that the collector stays off: it is opened twice, and the first time flushes what is in the log.
        let clock = TokioClock::starting_at(Timestamp(clock().now().0 - 30 * 3_600_000));
        let options = Options { clock: Arc::new(clock), ..options };
        let (store, mut again) = Store::open(&options, None).await.expect("opened");
        assert_eq!(again, state);
        for n in 0..writes {
            again.apply(Edit::ProducerIds { next: ProducerId(n) });
            write(&store, &mut again).await.expect("written");
        }
        store.flush().await.expect("flushed");
        store.close().await;
        let (_, last) = Store::open(&options, None).await.expect("every row is there still");
        assert_eq!(last, again, "after {writes} writes");
    }
}

#[tokio::test]
async fn opening_an_empty_directory_takes_under_40_ms() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = object::build::directory(dir.path()).expect("a directory store");
    let options = options(store.raw(), store.locality());
    let start = tokio::time::Instant::now();
    let (store, mut state) = Store::open(&options, None).await.expect("an empty directory");
    let opened = start.elapsed();
    story().into_iter().for_each(|edit| state.apply(edit));
    write(&store, &mut state).await.expect("a healthy store");
    eprintln!("opened in {opened:?}, first write after {:?}", start.elapsed());
    // Measured at 10 to 20 ms; the bound leaves room for a loaded machine.
    assert!(opened < Duration::from_millis(400), "{opened:?}");
}

/// A state with a row of every kind, and with everything in it that a row can hold.
fn everything() -> (State, Rows) {
    let (mut state, mut rows) = (applied(story()), Rows::default());
    let endpoint = Endpoint { host: "broker-2.example".to_owned(), port: 9092 };
    let other = Broker {
        incarnation: incarnation(9),
        chain: ChainId(2),
        listeners: [("PLAINTEXT".to_owned(), endpoint)].into(),
        rack: Some("a".to_owned()),
    };
    let pair = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
    let broker = ConfigOwner::Broker(Some(BrokerId(-2)));
    let mut release = slot(2, vec![run(tp(1, 1), 0, 7..8)]);
    release.releases.push(ReleaseRow { tp: tp(1, 0), leader_epoch: LeaderEpoch(0) });
    let edits = vec![
        Edit::Registered { id: BrokerId(2), broker: other },
        committed(1, release),
        granted(tp(1, 0), 2),
        created(2, "doomed", 1),
        Edit::TopicDeleting { topic: topic_id(2) },
        Edit::TopicGone { topic: topic_id(2) },
        created(3, "going", 1),
        Edit::TopicDeleting { topic: topic_id(3) },
        Edit::TopicConfigs { topic: topic_id(1), configs: pair("retention.ms", "60000") },
        Edit::Configs { owner: ConfigOwner::Broker(None), configs: pair("a", "1") },
        Edit::Configs { owner: broker, configs: pair("b", "") },
        Edit::Configs { owner: ConfigOwner::Group("g".to_owned()), configs: pair("c", "2") },
        Edit::Configs {
            owner: ConfigOwner::ClientMetrics("m".to_owned()),
            configs: pair("d", "ü"),
        },
        Edit::ProducerIds { next: ProducerId(3000) },
        registered_as(3, 3, 11),
        committed(3, slot(0, vec![])),
        Edit::Trimmed { chain: ChainId(3), end: SlotId(1), now: Timestamp(1_700_000_000_000) },
        Edit::ChainFencing { chain: ChainId(3) },
        Edit::ChainSealed { chain: ChainId(3), sealed_at: SlotId(1) },
        registered_as(4, 4, 12),
        Edit::ChainFencing { chain: ChainId(4) },
    ];
    edits.into_iter().for_each(|edit| state.apply(edit));
    rows.write(&mut state);
    (state, rows)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn rows_of_version_1_are_written_and_read_as_ever() {
    let (state, rows) = everything();
    let text: String = rows.0.iter().map(|(k, v)| format!("{} {}\n", hex(k), hex(v))).collect();
    let path = format!("{}/tests/golden/manifest/rows_v1.txt", env!("CARGO_MANIFEST_DIR"));
    let golden = std::fs::read_to_string(&path).expect("the golden file");
    assert_eq!(text, golden);
    let byte =
        |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("hex"), 16).expect("hex");
    let bytes = |text: &str| text.as_bytes().chunks(2).map(byte).collect::<Vec<u8>>();
    let mut loader = load::Loader::default();
    for line in golden.lines() {
        let (key, value) = line.split_once(' ').expect("a key and a value");
        loader.add(&bytes(key), &bytes(value)).expect("readable");
    }
    assert_eq!(loader.finish().expect("a sound state"), state);
}

#[test]
fn a_row_cut_short_is_refused_and_no_byte_is_trusted() {
    let (_, rows) = everything();
    for (key, value) in &rows.0 {
        for length in 0..value.len() {
            let cut = load::Loader::default().add(key, &value[..length]);
            assert!(cut.is_err(), "{} cut to {length}", hex(key));
        }
        let mut longer = value.clone();
        longer.push(0);
        assert!(load::Loader::default().add(key, &longer).is_err());
        for at in 0..value.len() {
            for bit in 0..8 {
                let mut flipped = value.clone();
                flipped[at] ^= 1 << bit;
                // The store's own checksums see flipped bits; here they must only do no harm.
                let _ = load::Loader::default().add(key, &flipped);
            }
        }
    }
}

#[test]
fn rows_that_contradict_each_other_are_no_state() {
    let (_, rows) = everything();
    let without = |tag: u8| {
        let mut loader = load::Loader::default();
        let mut kept = rows.0.iter().filter(|(key, _)| key[0] != tag);
        kept.try_for_each(|(key, value)| loader.add(key, value)).expect("readable");
        loader.finish()
    };
    assert!(matches!(without(b's'), Err(load::Unloadable::Hole { .. })));
    assert!(matches!(without(b'c'), Err(load::Unloadable::Orphan { .. })));
    assert!(matches!(without(b't'), Err(load::Unloadable::Orphan { .. })));
    assert!(matches!(
        without(b'b'),
        Err(load::Unloadable::Broken { invariant: "OneOpenChainPerBroker", .. })
    ));
}

#[test]
fn keys_sort_by_what_they_are_about() {
    let partition = |n| codec::key(&RowKey::Partition(tp(1, n)));
    assert!(
        partition(-1) < partition(0)
            && partition(0) < partition(1)
            && partition(255) < partition(256)
    );
    let slot = |chain, slot| codec::key(&RowKey::Slot(ChainId(chain), SlotId(slot)));
    assert!(slot(1, u64::MAX) < slot(2, 0) && slot(2, 255) < slot(2, 256));
    let (_, rows) = everything();
    for key in rows.0.keys() {
        let read = codec::read_key(key).expect("readable");
        assert_eq!(codec::key(&read), key.as_slice());
    }
}
