//! Claims about reads of what only the store has: a broker over a store with latency and faults, on a paused clock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::base::clock::{Timestamp, TokioClock, sleep};
use crate::base::offset::Offset;
use crate::cluster::client::{ConfigChange, ConfigEdit, CreateTopics, NewTopic};
use crate::cluster::config::{ConfigOp, ConfigResource};
use crate::log::{Isolation, PartitionHandle, ReadBounds, Terms};
use crate::manifest::store;
use crate::object::build::{memory, test_disk};
use crate::object::faults::{Faults, Op, Rates};
use crate::object::{self, Locality, Store, TestDisk, keys};
use crate::record::build::BatchBuilder;
use crate::record::{BatchHeader, Compression};

const MIB: usize = 1 << 20;
/// What one batch has, about.
const BATCH_BYTES: usize = 64 << 10;

struct Rig {
    store: Store,
    faults: Faults,
    broker: Broker,
    partition: PartitionHandle,
    end: Offset,
}

/// A broker whose log of `mib` MiB lies in the store alone.
async fn rig(mib: usize, set: &[(&'static str, &'static str)]) -> Rig {
    let faults = Faults::new(Rng::from_seed(5));
    let store = Store::new(faults.wrap(memory(clock()).raw()), Locality::Bucket);
    let broker = start(&store, set).await;
    let partition = create(&broker).await;
    let end = fill(&broker, &partition, mib).await;
    let ms = Duration::from_millis;
    faults.set_rates(Rates { latency: (ms(60), ms(60)), ..Rates::default() });
    Rig { store, faults, broker, partition, end }
}

fn clock() -> SharedClock {
    Arc::new(TokioClock::starting_at(Timestamp(1_700_000_000_000)))
}

async fn start(store: &Store, set: &[(&'static str, &'static str)]) -> Broker {
    try_start(store, set).await.expect("the store is well")
}

async fn try_start(store: &Store, set: &[(&'static str, &'static str)]) -> Result<Broker, Error> {
    let settings = [("tail.bytes", "0"), ("wal.flush.ms", "20")];
    let settings = settings.into_iter().chain(set.iter().copied());
    let config = Arc::new(Config::with(settings).expect("settings"));
    let rng = Rng::from_seed(6);
    let surroundings = Surroundings { clock: clock(), rng, store: Some(store.clone()) };
    let metrics = telemetry::Registry::new();
    let starting = Broker::start(config, surroundings, BTreeMap::new(), &metrics);
    Box::pin(starting).await
}

async fn create(broker: &Broker) -> PartitionHandle {
    let topic = NewTopic {
        name: "old".to_owned(),
        partitions: Some(1),
        replication_factor: None,
        assignments: BTreeMap::new(),
        configs: BTreeMap::new(),
    };
    let request = CreateTopics {
        topics: vec![topic],
        validate_only: false,
        default_partitions: 1,
        default_replication_factor: 1,
    };
    let created = broker.context().cluster.create_topics(request).await.expect("it is up");
    broker.registry().caught_up(created.version).await;
    let topic = created.value[0].as_ref().expect("the name is free").id;
    broker.registry().partition(&TopicPartition { topic, partition: 0 }).expect("it is led here")
}

/// Appends `mib` MiB and waits until the manifest knows of them.
async fn fill(broker: &Broker, partition: &PartitionHandle, mib: usize) -> Offset {
    let mut end = Offset::ZERO;
    for number in 0..mib * MIB / BATCH_BYTES {
        let mut builder = BatchBuilder::new(Compression::None);
        let value = vec![number as u8; BATCH_BYTES - 100];
        builder.push_value(Timestamp(1), None, Some(&value));
        let terms = Terms::client(Timestamp(1));
        let appended = partition.append(&builder.build(), terms).expect("it is led here");
        end = Offset(appended.base_offset.0 + 1);
        if number % 16 == 15 {
            let stable = appended.stable.expect("it is new");
            stable.wait().await.expect("the store is well");
        }
    }
    let manifest = &broker.context().manifest;
    while manifest.plan(partition.tp(), end, 1).await.expect("it is up").committed_end < end {
        sleep(Duration::from_millis(20)).await;
    }
    end
}

impl Rig {
    /// Reads everything as a consumer does that takes 1 MiB at a time; panics at an error or a gap.
    async fn read_all(&self) -> usize {
        let (mut next, mut bytes) = (Offset::ZERO, 0);
        while next < self.end {
            let (after, read) = self.read_at(next).await;
            assert!(after > next, "nothing at {next}");
            (next, bytes) = (after, bytes + read);
        }
        bytes
    }

    async fn read_at(&self, offset: Offset) -> (Offset, usize) {
        let bounds = ReadBounds {
            offset,
            bytes_max: MIB,
            at_least_one: true,
            isolation: Isolation::ReadUncommitted,
        };
        let read = self.partition.read(self.broker.registry().remote(), bounds).await;
        let whole = read.expect("a client sees no error").slices.concat();
        let (mut next, mut rest) = (offset, &whole[..]);
        while !rest.is_empty() {
            let header = BatchHeader::read(rest).expect("a batch");
            assert!(header.base_offset == next, "gap: {} after {next}", header.base_offset);
            next = header.end_offset();
            rest = &rest[header.total_bytes()..];
        }
        (next, whole.len())
    }

    fn gets(&self) -> usize {
        self.faults.count(Op::Get, "/w/")
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_log_is_read_once_and_ahead_of_its_reader() {
    let mut took = Vec::new();
    // A slot holds about a MiB here. Without reading ahead, what a read of 1 MiB misses lies in two of them.
    for (ahead, gets_max) in [("0", 130), ("33554432", 80)] {
        let rig = rig(64, &[("read.ahead.max.bytes", ahead)]).await;
        let (before, begun) = (rig.gets(), Instant::now());
        let bytes = rig.read_all().await;
        let gets = rig.gets() - before;
        assert!(bytes > 60 * MIB, "only {bytes} bytes were read");
        assert!(gets <= gets_max, "{gets} GETs for 64 MiB with read.ahead.max.bytes={ahead}");
        took.push(begun.elapsed());
    }
    assert!(took[1] * 5 < took[0], "read ahead took {:?}, without it {:?}", took[1], took[0]);
}

#[tokio::test(start_paused = true)]
async fn many_consumers_in_step_cost_no_more_reads_than_one() {
    let rig = rig(16, &[]).await;
    let before = rig.gets();
    rig.read_all().await;
    let one = rig.gets() - before;
    let again = rig.gets();
    rig.read_all().await;
    assert_eq!(rig.gets(), again, "all of it was in the cache");
    let fresh = self::rig(16, &[]).await;
    let before = fresh.gets();
    futures::future::join_all((0..20).map(|_| fresh.read_all())).await;
    let many = fresh.gets() - before;
    // They race for the same reader's place, so that what is read ahead is cut otherwise; nothing is read twice.
    assert!(many <= one * 2, "{many} GETs for twenty, {one} for one");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_throttles_and_stalls_gives_no_client_an_error() {
    let rig = rig(32, &[("read.cache.bytes", "8388608")]).await;
    let ms = Duration::from_millis;
    rig.faults.set_rates(Rates {
        latency: (ms(20), ms(80)),
        unavailable: 50,
        hang: 20,
        hang_max: Duration::from_secs(60),
        ..Rates::default()
    });
    for _ in 0..3 {
        rig.read_all().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_gone_is_planned_anew_once_and_then_an_error() {
    let rig = rig(4, &[]).await;
    let store = rig.broker.store();
    for listed in store.list("").await.expect("it is up") {
        if listed.key.as_str().contains("/w/") {
            store.delete(&listed.key).await.expect("it is up");
        }
    }
    let before = rig.gets();
    let bounds = ReadBounds {
        offset: Offset::ZERO,
        bytes_max: 1,
        at_least_one: true,
        isolation: Isolation::ReadUncommitted,
    };
    let gone = rig.partition.read(rig.broker.registry().remote(), bounds).await;
    let gone = gone.expect_err("there is nothing to read");
    assert!(matches!(gone, log::Error::Object(object::Error::NotFound { .. })), "{gone}");
    assert_eq!(rig.gets() - before, 2);
}

/// Changes one setting of all brokers, as IncrementalAlterConfigs does.
async fn set(broker: &Broker, name: &str, value: &str) {
    let change = ConfigEdit::Incremental(vec![(name.to_owned(), ConfigOp::Set(value.to_owned()))]);
    let change = ConfigChange { resource: ConfigResource::Broker(None), change };
    let done = broker.context().cluster.alter_configs(vec![change], false).await;
    let done = done.expect("it is up");
    assert!(done.value[0].is_ok(), "{:?}", done.value);
    broker.registry().caught_up(done.version).await;
}

#[tokio::test(start_paused = true)]
async fn a_default_that_a_client_changes_is_in_force_at_once_and_after_a_restart() {
    let rig = rig(4, &[("log.cleanup.policy", "compact")]).await;
    let (partition, manifest) = (&rig.partition, &rig.broker.context().manifest);
    let size = |broker: &PartitionHandle| broker.settings().max_message_bytes.0;
    assert_eq!(size(partition), 1_048_588);
    set(&rig.broker, "message.max.bytes", "5000").await;
    assert_eq!(size(partition), 5000);

    let defaults = settings::retention_defaults(&rig.broker.context().config);
    set(&rig.broker, "log.retention.bytes", "1048576").await;
    let moved = manifest.retain(Timestamp(1), defaults).await.expect("it is up");
    assert_eq!(moved, 0, "the broker's policy is to compact: nothing is deleted");
    set(&rig.broker, "log.cleanup.policy", "delete").await;
    let moved = manifest.retain(Timestamp(1), defaults).await.expect("it is up");
    assert_eq!(moved, 1);
    let tp = partition.tp();
    let extent = manifest.extents(vec![tp]).await.expect("it is up")[0].expect("it is there");
    assert!(extent.bytes < 4 << 20, "{} bytes are left", extent.bytes);
    assert_eq!(extent.committed_end, rig.end);

    let store = rig.store.clone();
    rig.broker.shutdown(Duration::from_secs(10)).await.expect("it stops in order");
    let again = start(&store, &[]).await;
    let partition = again.registry().partition(&tp).expect("it is led again");
    assert_eq!(size(&partition), 5000);
}

#[tokio::test(start_paused = true)]
async fn a_superseded_broker_falls_silent_before_it_knows_its_successor() {
    let rig = rig(1, &[]).await;
    let read = async || {
        let bounds = ReadBounds {
            offset: Offset::ZERO,
            bytes_max: 1,
            at_least_one: true,
            isolation: Isolation::ReadUncommitted,
        };
        rig.partition.read(rig.broker.registry().remote(), bounds).await
    };
    assert!(read().await.is_ok());
    // Another process opens the manifest and dies before it has signed its term.
    let manifest = store::Options {
        raw: rig.store.raw(),
        path: keys::meta(&rig.broker.context().config.node.cluster_id),
        locality: Locality::Bucket,
        if_match: true,
        clock: clock(),
        rng: Rng::from_seed(8),
    };
    let (other, _) = Box::pin(store::Store::open(&manifest, None)).await.expect("it is up");
    let begun = Instant::now();
    let refused = loop {
        match read().await {
            Ok(_) => sleep(Duration::from_millis(50)).await,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, log::Error::NotLeader { .. }), "{refused}");
    let silent = begun.elapsed();
    assert!(silent < Duration::from_secs(3), "silent after {silent:?}");
    let error = rig.broker.failed().await;
    assert!(matches!(*error, Error::Superseded { .. }), "{error}");
    let exits = begun.elapsed();
    assert!(exits > silent + Duration::from_secs(2), "silent after {silent:?}, exits {exits:?}");
    drop(other);
}

/// Whether its chain is well, or has ended and the next cannot be had.
#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_a_store_that_is_away_no_longer_than_it_may() {
    for has_a_chain in [true, false] {
        let rig = rig(1, &[]).await;
        rig.faults.set_rates(Rates { unavailable: 1000, ..Rates::default() });
        let mut builder = BatchBuilder::new(Compression::None);
        builder.push_value(Timestamp(1), None, Some(b"value"));
        let terms = Terms::client(Timestamp(1));
        let appended = rig.partition.append(&builder.build(), terms).expect("it is led here");
        if !has_a_chain {
            rig.broker.registry().wal().expect("a chain").abandon();
            sleep(Duration::from_millis(100)).await;
        }
        let grace = Duration::from_secs(10);
        let begun = Instant::now();
        let stopped = tokio::time::timeout(grace + SOON, rig.broker.shutdown(grace)).await;
        assert!(matches!(stopped, Ok(Ok(()))), "{has_a_chain}: {stopped:?}");
        assert!(begun.elapsed() >= grace, "{has_a_chain}: given up after {:?}", begun.elapsed());
        let stable = appended.stable.expect("it is new").wait().await;
        assert!(stable.is_err(), "{has_a_chain}: acknowledged, and not stored");
    }
}

/// Longer than anything takes that ends at all.
const SOON: Duration = Duration::from_secs(5);

/// A broker on a disk, with a partition and nothing on its way.
async fn on_a_disk() -> (TestDisk, Broker, PartitionHandle) {
    let disk = TestDisk::new(clock());
    let broker = start(&test_disk(&disk).expect("a disk that works"), &[]).await;
    let partition = create(&broker).await;
    append(&partition).await.expect("a disk that works");
    // The first checkpoint is behind it, and committed.
    sleep(Duration::from_secs(10)).await;
    (disk, broker, partition)
}

/// Appends one record and waits until it is stable.
async fn append(partition: &PartitionHandle) -> Result<(), log::Error> {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.push_value(Timestamp(1), None, Some(b"value"));
    let appended = partition.append(&builder.build(), Terms::client(Timestamp(1)))?;
    Ok(appended.stable.expect("it is new").wait().await?)
}

/// Waits until the broker gives up, which names a file whose path has `part`, and what to do.
async fn ends_for_want_of_durability(broker: &Broker, part: &str) {
    let failed = tokio::time::timeout(SOON, broker.failed()).await;
    let error = failed.expect("a failed fsync ends the process");
    assert!(matches!(*error, Error::DurabilityLost(_)), "{error}");
    let said = error.to_string();
    assert!(said.contains("fsync of /") && said.contains(part), "{said}");
    assert!(said.contains("check the disk, then start again"), "{said}");
    let verdict = broker.readiness().verdict();
    assert!(!verdict.ready && verdict.lines.contains(part), "{}", verdict.lines);
    assert_eq!(*broker.voice().borrow(), Voice::Lost, "clients are still answered");
}

/// Nobody writes but the coordinator: a broker that is idle, or is only read from, must not go on either.
#[tokio::test(start_paused = true)]
async fn a_failed_fsync_of_metadata_ends_the_process() {
    let (disk, broker, partition) = on_a_disk().await;
    disk.fail_sync(0);
    let asked = broker.context().cluster.allocate_producer_ids();
    let ((), asked) = futures::join!(ends_for_want_of_durability(&broker, "/meta/"), asked);
    assert!(asked.is_err(), "it may not be durable: {asked:?}");
    assert!(append(&partition).await.is_err(), "its chain goes on");
    starts_again_with_what_was_acknowledged(&disk, 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_fsync_of_a_slot_ends_the_process() {
    let (disk, broker, partition) = on_a_disk().await;
    disk.fail_sync(0);
    assert!(append(&partition).await.is_err(), "it may not be durable");
    ends_for_want_of_durability(&broker, "/w/").await;
    starts_again_with_what_was_acknowledged(&disk, 1).await;
}

/// A process that stops is not done before its last write is: it says so, not that all went well.
#[tokio::test(start_paused = true)]
async fn a_stop_fails_when_any_fsync_of_it_fails() {
    for cut in 0.. {
        let (disk, broker, partition) = on_a_disk().await;
        append(&partition).await.expect("a disk that works");
        drop(partition);
        let store = broker.store().clone();
        disk.fail_sync(cut);
        let grace = Duration::from_secs(60);
        let stopped = tokio::time::timeout(SOON, broker.shutdown(grace)).await;
        let stopped = stopped.unwrap_or_else(|_| panic!("it waits: cut at {cut}"));
        let lost = store.health().borrow().durability_lost.clone();
        starts_again_with_what_was_acknowledged(&disk, 2).await;
        match (stopped, lost) {
            (Ok(()), None) => {
                assert!(cut > 0, "a stop has fsyncs");
                return;
            }
            (Err(error), Some(_)) => {
                assert!(matches!(*error, Error::DurabilityLost(_)), "{cut}: {error}");
            }
            (stopped, lost) => panic!("{cut}: {stopped:?} for {lost:?}"),
        }
    }
}

async fn starts_again_with_what_was_acknowledged(disk: &TestDisk, records: i64) {
    disk.crash(None);
    disk.fail_sync(u64::MAX / 2);
    let broker = start(&test_disk(disk).expect("a disk that works"), &[]).await;
    let partitions = broker.registry().partitions();
    let ends = partitions.iter().map(|one| one.offsets().expect("it leads").high_watermark);
    assert_eq!(ends.collect::<Vec<_>>(), [Offset(records)]);
}

/// It waits for no metadata that nobody can write any more, wherever it stands.
#[tokio::test(start_paused = true)]
async fn a_start_ends_when_any_fsync_of_it_fails() {
    for cut in 0.. {
        let disk = TestDisk::new(clock());
        let store = test_disk(&disk).expect("a disk that works");
        disk.fail_sync(cut);
        let started = tokio::time::timeout(SOON, try_start(&store, &[])).await;
        match started.unwrap_or_else(|_| panic!("it waits: cut at {cut}")) {
            // Some of them are left to tasks that go on beside it.
            Ok(_) if store.health().borrow().durability_lost.is_none() => {
                assert!(cut > 10, "a start has more than {cut} fsyncs");
                return;
            }
            Ok(broker) => ends_for_want_of_durability(&broker, "/").await,
            Err(error) => assert!(matches!(error, Error::DurabilityLost(_)), "{cut}: {error}"),
        }
    }
}
