//! A day and more at 100 records a second on a local store, with an hour of retention: what is left at its end is an hour's
//! worth of data, and a day's of the metadata's own files, which SlateDB keeps so long.
//!
//! The whole broker on a simulated clock, over a disk that forgets what was not synced. A suite of its own: it measures
//! the memory of its process.

#[path = "../sim/client.rs"]
#[allow(dead_code, reason = "the simulator uses all of it")]
mod client;

use std::alloc::System;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use client::{Answer, Client, TOPIC};
use slatedb::{DbReader, DbReaderMode};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use thalweg::base::clock::{SharedClock, Timestamp, TokioClock, sleep};
use thalweg::base::ids::{ProducerId, TopicPartition};
use thalweg::base::rng::Rng;
use thalweg::config::Config;
use thalweg::manifest::client::Endpoint;
use thalweg::node::{Broker, Surroundings};
use thalweg::object::{Store, TestDisk, build, keys};
use thalweg::record::Compression;
use thalweg::record::build::BatchBuilder;
use thalweg::telemetry;

const RECORDS_A_SECOND: usize = 100;
/// A producer that lingers: so many requests a second.
const REQUESTS_A_SECOND: u64 = 1;
const RECORD_BYTES: usize = 100;
const HOUR_SECONDS: u64 = 3600;
/// Beyond a day: SlateDB's files are deleted from then on.
const HOURS: usize = 27;
/// The default of `cluster.id`.
const CLUSTER: &str = "thalweg";

/// What a file's name takes, which is in memory here too: a day of metadata has some 87,000.
const NAME_BYTES: u64 = 273;

/// By which the process may hold more in its last hour than in its fifth, beside what names take: tables grow and shrink by
/// half of that. Fifty bytes that stay of each request are more.
const LEAK_MAX: u64 = 4 << 20;

/// By which it may be larger than its files: what is free between what it holds, and what the machine keeps in memory of a
/// process, differ by tens of megabytes from one run to the next.
const RESIDENT_MAX: u64 = 256 << 20;

/// So what is held is counted, to the byte.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What is there at the end of an hour.
#[derive(Debug, Clone, Copy)]
struct Held {
    data_objects: usize,
    metadata_objects: usize,
    /// Of the manifest, one for each slot that is there: counted where they lie.
    rows: usize,
    /// That a reader from the log's start on would be given.
    runs: usize,
    /// Files, which are in memory here.
    disk_bytes: u64,
    /// What the process holds beside them.
    memory_bytes: u64,
    /// How large it is, all in all.
    resident_bytes: u64,
}

#[test]
fn a_day_leaves_an_hour_behind() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let hours = runtime.block_on(day());
    let slots_an_hour = usize::try_from(HOUR_SECONDS * REQUESTS_A_SECOND).expect("small");
    for (hour, held) in (1..).zip(&hours) {
        // An hour, and the time until retention, trim and sweep have looked: five minutes each at the settings below.
        let bound = slots_an_hour + slots_an_hour / 3;
        assert!(held.data_objects <= bound, "hour {hour}: {held:?}");
        assert!(held.rows <= bound, "hour {hour}: {held:?}");
        assert!(held.runs <= bound, "hour {hour}: {held:?}");
        assert!(held.resident_bytes < held.disk_bytes + RESIDENT_MAX, "hour {hour}: {held:?}");
    }
    let (early, day) = (hours[4], hours[23]);
    let late = *hours.last().expect("hours went by");
    // The data of an hour, twice over for its batches' frames and for what is about to be deleted, and a day of metadata.
    let data = u64::try_from(RECORDS_A_SECOND * RECORD_BYTES).expect("small") * HOUR_SECONDS;
    assert!(late.disk_bytes < 3 * data, "{late:?}");
    // SlateDB keeps its objects for a day: they grow with the commits until then, and no further. An hour lies between two
    // looks, and as long a time is added for what was in use at the first.
    assert!(day.metadata_objects < 24 * 2 * slots_an_hour, "{day:?}");
    assert!(late.metadata_objects < day.metadata_objects * 26 / 24, "{day:?} {late:?}");
    let leaked = late.unnamed_bytes().saturating_sub(early.unnamed_bytes());
    println!("memory grew by {leaked} bytes between hour 5 and hour {}", hours.len());
    assert!(leaked < LEAK_MAX, "memory grew by {leaked}: {early:?} {late:?}");
}

impl Held {
    /// What the process holds beside its files and their names.
    fn unnamed_bytes(&self) -> u64 {
        let names = (self.data_objects + self.metadata_objects) as u64;
        self.memory_bytes.saturating_sub(names * NAME_BYTES)
    }
}

async fn day() -> Vec<Held> {
    let clock: SharedClock = Arc::new(TokioClock::starting_at(Timestamp(1_700_000_000_000)));
    let disk = TestDisk::new(Arc::clone(&clock));
    let store = build::test_disk(&disk).expect("an empty disk");
    let metrics = telemetry::Registry::new();
    let broker = start(&store, &clock, &metrics).await;
    let client = Client::new(&broker);
    assert!(client.create_topic().await);
    let producer = client.init_producer_id().await.expect("an id");
    let topic = broker.context().image().topic(TOPIC).expect("created").id;
    let tp = TopicPartition { topic, partition: 0 };
    let (mut hours, mut sequence, mut read) = (Vec::new(), 0, 0);
    // `DAY_HOURS=50` looks on for another day.
    let asked = std::env::var("DAY_HOURS").ok().and_then(|hours| hours.parse().ok());
    for _ in 0..asked.map_or(HOURS, |hours: usize| hours.max(HOURS)) {
        for _ in 0..HOUR_SECONDS * REQUESTS_A_SECOND {
            sleep(Duration::from_secs(1) / u32::try_from(REQUESTS_A_SECOND).expect("small")).await;
            let batch = batch(clock.now(), producer, &mut sequence);
            let answer = client.produce(0, batch).await;
            let Answer::At(base) = answer else { panic!("{answer:?} at {:?}", clock.now()) };
            // A reader at the tail, too.
            let last = client.fetch(0, read, 0).await.last().map(|(offset, _)| *offset);
            read = last.expect("what was acknowledged can be read") + 1;
            assert!(read > base);
        }
        let held = held(&broker, &store, &disk, tp).await;
        println!("hour {}: {held:?}", hours.len() + 1);
        hours.push(held);
    }
    broker.shutdown(Duration::from_secs(60)).await.expect("it stops in order");
    hours
}

async fn start(store: &Store, clock: &SharedClock, metrics: &telemetry::Registry) -> Broker {
    let config = Config::with([
        ("num.partitions", "2"),
        ("log.retention.ms", "3600000"),
        ("log.retention.check.interval.ms", "300000"),
        ("tail.bytes", "4MiB"),
    ])
    .expect("settings");
    let surroundings = Surroundings {
        clock: Arc::clone(clock),
        rng: Rng::from_seed(1),
        store: Some(store.clone()),
    };
    let endpoint = Endpoint { host: "day".to_owned(), port: 9092 };
    let endpoints = BTreeMap::from([("PLAINTEXT".to_owned(), endpoint)]);
    let starting = Broker::start(Arc::new(config), surroundings, endpoints, metrics);
    Box::pin(starting).await.expect("an empty store")
}

fn batch(now: Timestamp, producer: i64, sequence: &mut i32) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.producer(ProducerId(producer), 0, *sequence);
    let records = RECORDS_A_SECOND / usize::try_from(REQUESTS_A_SECOND).expect("small");
    for _ in 0..records {
        builder.push_value(now, None, Some(&[b'x'; RECORD_BYTES]));
    }
    *sequence += i32::try_from(records).expect("small");
    builder.build().bytes
}

/// The manifest's rows of slots, as an inspector reads them beside the broker.
async fn rows(store: &Store) -> usize {
    let reader = DbReader::builder(keys::meta(CLUSTER), store.raw())
        .with_reader_mode(DbReaderMode::FollowLatest)
        .with_db_cache_disabled();
    let reader = Box::pin(reader.build()).await.expect("a manifest");
    // By their keys' first byte (`manifest::codec`).
    let mut rows = reader.scan_prefix(b"s", ..).await.expect("a scan");
    let mut count = 0;
    while rows.next().await.expect("a row").is_some() {
        count += 1;
    }
    reader.close().await.expect("closed");
    count
}

async fn held(broker: &Broker, store: &Store, disk: &TestDisk, tp: TopicPartition) -> Held {
    let mut runs = 0;
    let context = broker.context();
    let mut from = context.image().partition(&tp).expect("there").log_start;
    loop {
        let plan = context.manifest.plan(tp, from, 1000).await.expect("planned");
        let Some(last) = plan.runs.last() else { break };
        from = last.run.end_offset;
        runs += plan.runs.len();
    }
    let count = async |prefix: &str| store.list(prefix).await.expect("listed").len();
    Held {
        data_objects: count(&keys::slots_prefix(CLUSTER)).await,
        metadata_objects: count(&keys::meta(CLUSTER)).await,
        rows: rows(store).await,
        runs,
        disk_bytes: disk.bytes(),
        memory_bytes: allocated_bytes().saturating_sub(disk.bytes()),
        resident_bytes: resident_bytes(),
    }
}

fn allocated_bytes() -> u64 {
    let stats = ALLOCATOR.stats();
    (stats.bytes_allocated - stats.bytes_deallocated) as u64
}

/// Linux only, as the tests' machines are: pages of 4 KiB.
fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("the process' memory");
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.expect("a number of pages") * 4096
}
