//! A topic that comes and goes under one name, beside the one that stays: their records lie in the same slots.
//!
//! Each time it has an id of its own. Records are written under the id, in which their values say where they belong, and
//! go on being written while it is deleted and after that. Checked, over all lives:
//!
//! - ReleaseFinal: nothing is acknowledged after the topic's deletion was; in `audit`, no chain holds anything of a
//!   partition behind its RELEASE;
//! - GoneForEver: a deleted topic is not read any more, neither by its id nor through the name's next one, nobody plans a
//!   read of it, and it is never there again; what is there under its name is new, and begins at 0;
//! - AckedDurable, ReadPrefix and NoDuplicate of each;
//! - liveness: in the end its name is free.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use thalweg::base::clock::sleep;
use thalweg::base::ids::{TopicId, TopicPartition};
use thalweg::base::offset::Offset;
use thalweg::base::rng::Rng;
use thalweg::base::task;
use thalweg::node::Broker;
use thalweg::record::Compression;
use thalweg::record::build::BatchBuilder;
use tokio::task::AbortHandle;

use super::client::{Answer, Client, PARTITIONS, Topic};
use super::producers::read_all;
use super::world::{Log, WALL};

/// Its name.
const PASSING: &str = "passing";
const WRITERS: usize = 2;
/// One in so many batches is for a topic that may be gone for long.
const LATE: u64 = 4;
const TIMEOUT: Duration = Duration::from_secs(30);

const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const UNKNOWN_TOPIC_ID: i16 = 100;

/// What clients know of one time that the topic was there.
#[derive(Debug, Default)]
struct Time {
    /// By partition and offset.
    acked: Log,
    /// By partition and offset.
    read: Log,
    /// Its deletion was acknowledged, or it was said not to be there.
    gone: bool,
}

/// What clients know of it, over all lives.
#[derive(Debug, Default)]
pub(crate) struct Passing {
    times: BTreeMap<TopicId, Time>,
    newest: Option<TopicId>,
    next_number: u64,
}

/// What its clients share.
pub(crate) type SharedPassing = Arc<Mutex<Passing>>;

fn lock(passing: &Mutex<Passing>) -> MutexGuard<'_, Passing> {
    passing.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All ids that its clients saw.
pub(crate) fn ids(passing: &Mutex<Passing>) -> BTreeSet<TopicId> {
    lock(passing).times.keys().copied().collect()
}

/// How often it was deleted.
pub(crate) fn deletions(passing: &Mutex<Passing>) -> usize {
    lock(passing).gone().len()
}

/// Id, partition and offset of every acknowledged record.
pub(crate) fn acked_at(passing: &Mutex<Passing>) -> Vec<(TopicId, i32, i64)> {
    let passing = lock(passing);
    let all = passing.times.iter();
    all.flat_map(|(id, time)| time.acked.keys().map(|(partition, at)| (*id, *partition, *at)))
        .collect()
}

/// A record of the topic: where it belongs, and a number that no other has.
struct Value {
    id: TopicId,
    number: u64,
}

impl Value {
    fn text(&self) -> String {
        format!("{}-{}", self.id.0.simple(), self.number)
    }

    fn parse(text: &str) -> Self {
        let (id, number) = text.split_once('-').expect("id-number");
        Self { id: TopicId(id.parse().expect("an id")), number: number.parse().expect("a number") }
    }
}

impl Passing {
    fn gone(&self) -> BTreeSet<TopicId> {
        self.times.iter().filter(|(_, time)| time.gone).map(|(id, _)| *id).collect()
    }

    fn is_gone(&self, id: TopicId) -> bool {
        self.times.get(&id).is_some_and(|time| time.gone)
    }

    fn time(&mut self, id: TopicId) -> &mut Time {
        self.times.get_mut(&id).expect("only ids that were seen are used")
    }

    /// The name stands for `id`.
    fn is_there(&mut self, id: TopicId) {
        let time = self.times.entry(id).or_default();
        assert!(!time.gone, "GoneForEver: {id} was deleted and is there again");
        self.newest = Some(id);
    }

    /// The next record, and whether its topic was gone before it was sent.
    fn prepare(&mut self, rng: &Rng) -> Option<(Value, bool)> {
        let mut id = self.newest?;
        if rng.below(LATE) == 0 {
            let nth = usize::try_from(rng.below(self.times.len() as u64)).expect("few");
            id = *self.times.keys().nth(nth).expect("one of them");
        }
        self.next_number += 1;
        Some((Value { id, number: self.next_number }, self.is_gone(id)))
    }

    fn acked(&mut self, value: &Value, at: (i32, i64), was_gone: bool) {
        assert!(!was_gone, "ReleaseFinal: acknowledged at {at:?} of {}, which is gone", value.id);
        let before = self.time(value.id).acked.insert(at, value.text());
        assert!(before.is_none(), "inconsistent-offsets: {at:?} for {before:?} and another");
    }

    fn read(&mut self, id: TopicId, at: (i32, i64), value: String) {
        assert!(Value::parse(&value).id == id, "GoneForEver: {value} was read of {id} at {at:?}");
        if let Some(before) = self.time(id).read.insert(at, value.clone()) {
            assert_eq!(before, value, "ReadPrefix: {id} {at:?} was read with two values");
        }
    }
}

impl Time {
    /// Holds everything against the log as it is in the end.
    fn check(&self, id: TopicId, log: &Log) {
        for (at, value) in &self.acked {
            assert_eq!(log.get(at), Some(value), "AckedDurable: {id} acknowledged at {at:?}");
        }
        for (at, value) in &self.read {
            assert_eq!(log.get(at), Some(value), "ReadPrefix: {id} read at {at:?}");
        }
        let mut places = BTreeMap::new();
        for (at, value) in log {
            assert!(Value::parse(value).id == id, "GoneForEver: {value} is in {id} at {at:?}");
            let other = places.insert(value, at);
            assert!(other.is_none(), "NoDuplicate: {value} is at {other:?} and at {at:?}");
        }
        for partition in 0..PARTITIONS {
            let offsets = log.keys().filter(|at| at.0 == partition).map(|at| at.1);
            let without_gaps = 0..offsets.clone().count() as i64;
            assert!(offsets.eq(without_gaps), "AckedDurable: {id} has a gap in {partition}");
        }
    }
}

/// Its clients at one broker.
pub(crate) fn actors(broker: &Broker, passing: &SharedPassing, rng: &Rng) -> Vec<AbortHandle> {
    let client = Client::new(broker);
    let mut tasks = Vec::new();
    let run = come_and_go(client.clone(), Arc::clone(passing), Rng::from_seed(rng.u64()));
    tasks.push(task::spawn("sim-passing", run).abort_handle());
    for _ in 0..WRITERS {
        let run = write(client.clone(), Arc::clone(passing), Rng::from_seed(rng.u64()));
        tasks.push(task::spawn("sim-passing-writer", run).abort_handle());
    }
    let run = read(Client::new(broker), Arc::clone(passing));
    tasks.push(task::spawn("sim-passing-reader", run).abort_handle());
    tasks
}

async fn come_and_go(client: Client, passing: SharedPassing, rng: Rng) {
    loop {
        let id = come(&client, &passing).await;
        sleep(Duration::from_millis(rng.below(600))).await;
        let named = if rng.below(2) == 0 { Topic::Id(id) } else { Topic::Name(PASSING) };
        go(&client, &passing, id, named).await;
        sleep(Duration::from_millis(rng.below(100))).await;
    }
}

/// Waits until the topic is there: made anew, or as an earlier life left it.
async fn come(client: &Client, passing: &Mutex<Passing>) -> TopicId {
    let id = loop {
        match client.id_of(PASSING).await {
            Some(id) => break id,
            None => sleep(Duration::from_millis(50)).await,
        }
    };
    if !ids(passing).contains(&id) {
        // Nobody writes before the id is known.
        for partition in 0..PARTITIONS {
            let (error, end) = client.list_offset_of(PASSING, partition, -1).await;
            assert!(error != 0 || end == 0, "GoneForEver: {id} is new and ends at {end}");
        }
    }
    lock(passing).is_there(id);
    id
}

/// Deletes the topic and waits until it is gone.
async fn go(client: &Client, passing: &Mutex<Passing>, id: TopicId, named: Topic) {
    loop {
        match client.delete_topic(named).await {
            // What an earlier try deletes is not there, though its name is taken still.
            Some(0 | UNKNOWN_TOPIC_OR_PARTITION | UNKNOWN_TOPIC_ID) => break,
            _ => sleep(Duration::from_millis(50)).await,
        }
    }
    lock(passing).time(id).gone = true;
}

async fn write(client: Client, passing: SharedPassing, rng: Rng) {
    loop {
        sleep(Duration::from_millis(rng.below(60))).await;
        let partition = rng.below(PARTITIONS as u64) as i32;
        let Some((value, was_gone)) = lock(&passing).prepare(&rng) else { continue };
        let answer = send(&client, partition, &value).await;
        if let Answer::At(offset) = answer {
            lock(&passing).acked(&value, (partition, offset), was_gone);
        }
    }
}

async fn send(client: &Client, partition: i32, value: &Value) -> Answer {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.push_value(WALL, None, Some(value.text().as_bytes()));
    let batch: Bytes = builder.build().bytes;
    client.produce_to(Topic::Id(value.id), partition, batch, TIMEOUT).await
}

async fn read(client: Client, passing: SharedPassing) {
    loop {
        for partition in 0..PARTITIONS {
            let newest = lock(&passing).newest;
            if let Some(id) = newest {
                read_on(&client, &passing, id, partition).await;
            }
            read_by_name(&client, &passing, partition).await;
        }
        sleep(Duration::from_millis(40)).await;
    }
}

/// Reads what nobody has read yet.
async fn read_on(client: &Client, passing: &Mutex<Passing>, id: TopicId, partition: i32) {
    let (next, was_gone) = {
        let mut passing = lock(passing);
        let read = passing.time(id).read.range((partition, 0)..(partition + 1, 0));
        (read.count() as i64, passing.is_gone(id))
    };
    let records = client.fetch_of(Topic::Id(id), partition, next, 50).await;
    assert!(records.is_empty() || !was_gone, "GoneForEver: {id} is read");
    for ((offset, value), expected) in records.into_iter().zip(next..) {
        assert_eq!(offset, expected, "poll-skip in {id} {partition}");
        lock(passing).read(id, (partition, offset), value);
    }
}

/// Reads whatever has the name now, from its start.
async fn read_by_name(client: &Client, passing: &Mutex<Passing>, partition: i32) {
    let gone = lock(passing).gone();
    for (offset, value) in client.fetch_of(Topic::Name(PASSING), partition, 0, 0).await {
        let id = Value::parse(&value).id;
        assert!(!gone.contains(&id), "GoneForEver: {value} is read by its topic's name");
        lock(passing).read(id, (partition, offset), value);
    }
}

/// In a life in which nothing fails: what is left is whole, what was deleted is gone. Gives the id of what is there.
pub(crate) async fn settle(broker: &Broker, client: &Client, passing: &Mutex<Passing>) -> TopicId {
    let id = come(client, passing).await;
    let log = read_all(client, Topic::Id(id)).await;
    let gone = {
        let mut passing = lock(passing);
        passing.time(id).check(id, &log);
        for (_, time) in passing.times.iter_mut().filter(|(other, _)| **other != id) {
            time.gone = true;
        }
        passing.gone()
    };
    for id in gone {
        for partition in 0..PARTITIONS {
            let records = client.fetch_of(Topic::Id(id), partition, 0, 0).await;
            assert!(records.is_empty(), "GoneForEver: {id} is read: {records:?}");
            let answer = send(client, partition, &Value { id, number: 0 }).await;
            assert!(matches!(answer, Answer::Error(_)), "ReleaseFinal: {id} said {answer:?}");
            let tp = TopicPartition { topic: id, partition };
            let plan = broker.context().manifest.plan(tp, Offset::ZERO, 1).await;
            assert!(plan.is_err(), "GoneForEver: {tp} lies in {plan:?}");
        }
    }
    id
}

/// Deletes what is there.
pub(crate) async fn go_for_good(client: &Client, passing: &Mutex<Passing>) {
    let id = come(client, passing).await;
    go(client, passing, id, Topic::Id(id)).await;
}

/// Claims about the checks themselves.
mod tests {
    use super::*;

    const OLD: TopicId = TopicId(uuid::Uuid::from_u128(1));
    const NEW: TopicId = TopicId(uuid::Uuid::from_u128(2));

    /// What is said of a history in which one topic was deleted and another is there.
    fn verdict(lie: impl FnOnce(&mut Passing)) -> String {
        let check = std::panic::AssertUnwindSafe(|| {
            let mut passing = Passing::default();
            passing.is_there(OLD);
            passing.acked(&Value { id: OLD, number: 1 }, (0, 0), false);
            passing.time(OLD).gone = true;
            passing.is_there(NEW);
            passing.acked(&Value { id: NEW, number: 2 }, (0, 0), false);
            passing.read(NEW, (0, 0), Value { id: NEW, number: 2 }.text());
            lie(&mut passing);
            let log = Log::from([((0, 0), Value { id: NEW, number: 2 }.text())]);
            passing.time(NEW).check(NEW, &log);
        });
        let Err(panic) = std::panic::catch_unwind(check) else { return "sound".to_owned() };
        panic.downcast_ref::<String>().cloned().expect("a message with values")
    }

    #[test]
    fn every_lie_about_a_deleted_topic_has_a_name() {
        let old = || Value { id: OLD, number: 3 };
        assert_eq!(verdict(|_| {}), "sound");
        let lies = [
            ("GoneForEver", verdict(|passing| passing.is_there(OLD))),
            ("GoneForEver", verdict(|passing| passing.read(NEW, (0, 1), old().text()))),
            ("ReleaseFinal", verdict(|passing| passing.acked(&old(), (0, 1), true))),
            (
                "AckedDurable",
                verdict(|passing| passing.acked(&Value { id: NEW, number: 3 }, (0, 1), false)),
            ),
            (
                "inconsistent-offsets",
                verdict(|passing| passing.acked(&Value { id: NEW, number: 3 }, (0, 0), false)),
            ),
        ];
        for (name, verdict) in lies {
            assert!(verdict.contains(name), "{name}: {verdict}");
        }
    }
}
