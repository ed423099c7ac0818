//! Records in, records out.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::ensure;
use bytes::Bytes;
use thalweg::base::clock::{Clock as _, SystemClock, Timestamp};
use thalweg::base::offset::Offset;
use thalweg::client::wire::{Acks, At, Client, Limits, NewTopic};
use thalweg::client::{Received, Record};
use thalweg::record::Compression;

use crate::place::{Place, on_each};

pub(crate) const CODECS: [Compression; 5] = [
    Compression::None,
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];

/// A topic with so many partitions and stock configs.
pub(crate) fn topic(name: &str, partitions: i32) -> NewTopic {
    NewTopic {
        name: name.to_owned(),
        partitions: Some(partitions),
        replication_factor: Some(1),
        configs: Vec::new(),
    }
}

/// A record of now, with `text` as its value.
pub(crate) fn record(text: &str) -> Record {
    Record {
        timestamp: SystemClock.now(),
        key: None,
        value: Some(Bytes::copy_from_slice(text.as_bytes())),
        headers: Vec::new(),
    }
}

/// `count` records, numbered.
pub(crate) fn records(count: usize) -> Vec<Record> {
    (0..count).map(|index| record(&format!("value {index}"))).collect()
}

/// Everything of a topic, by partition and in order; reads until the ends that the partitions have now.
pub(crate) async fn read_all(client: &Client, topic: &str) -> anyhow::Result<Vec<Received>> {
    let known = client.topic(topic, false).await?;
    let partitions: Vec<i32> = known.partitions.iter().map(|partition| partition.index).collect();
    let ends = client.offsets(topic, &partitions, At::End).await?;
    let mut positions = client.offsets(topic, &partitions, At::Start).await?;
    let mut read: BTreeMap<i32, Vec<Received>> = BTreeMap::new();
    loop {
        positions.retain(|partition, position| *position < ends[partition]);
        if positions.is_empty() {
            return Ok(read.into_values().flatten().collect());
        }
        for fetched in client.fetch(topic, &positions, LIMITS).await? {
            positions.insert(fetched.partition, fetched.next);
            let within = |one: &Received| one.offset < ends[&fetched.partition];
            let records = fetched.records.into_iter().filter(within);
            read.entry(fetched.partition).or_default().extend(records);
        }
    }
}

pub(crate) const LIMITS: Limits =
    Limits { wait: Duration::from_millis(500), partition_bytes: 1 << 20, read_committed: false };

/// The values of records, as text.
pub(crate) fn values(received: &[Received]) -> Vec<String> {
    let value = |one: &Received| {
        let bytes = one.record.value.clone().unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    received.iter().map(value).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn records_come_back_as_they_were() {
    on_each(Place::all(), &[], async |stand| {
        let client = &stand.client;
        client.create_topic(&topic("codecs", 5)).await?;
        let now = SystemClock.now().0;
        let odd = |index: i64| Record {
            timestamp: Timestamp(now + index),
            key: (index % 3 != 0).then(|| Bytes::from(format!("key {index}"))),
            value: (index % 4 != 0).then(|| Bytes::from(vec![b'v'; 1 << (index % 15)])),
            headers: (0..index % 3)
                .map(|one| (Bytes::from("name"), (one > 0).then(Bytes::new)))
                .collect(),
        };
        let written: Vec<Record> = (0..100).map(odd).collect();
        for (partition, codec) in (0..).zip(CODECS) {
            let base = client.produce("codecs", partition, &written, (codec, Acks::All)).await?;
            ensure!(base == Offset(0), "{codec:?}: the first offset is {base:?}");
        }
        let read = read_all(client, "codecs").await?;
        for (partition, codec) in (0..).zip(CODECS) {
            let its = read.iter().filter(|one| one.partition == partition);
            let its: Vec<Record> = its.map(|one| one.record.clone()).collect();
            ensure!(its == written, "{codec:?}: what was read is not what was written");
        }
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fetch_begins_inside_a_batch() {
    on_each(Place::all(), &[], async |stand| {
        let client = &stand.client;
        client.create_topic(&topic("inside", 1)).await?;
        for _ in 0..3 {
            client.produce("inside", 0, &records(10), (Compression::Lz4, Acks::All)).await?;
        }
        for from in [0, 1, 9, 10, 15, 29] {
            let positions = BTreeMap::from([(0, Offset(from))]);
            let fetched = client.fetch("inside", &positions, LIMITS).await?.remove(0);
            let first = fetched.records.first().map(|one| one.offset);
            ensure!(first == Some(Offset(from)), "asked from {from}, got from {first:?}");
            ensure!(fetched.end == Offset(30), "the end is {:?}", fetched.end);
        }
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fetch_waits_for_records() {
    on_each(Place::all(), &[], async |stand| {
        let client = &stand.client;
        client.create_topic(&topic("waits", 1)).await?;
        let positions = BTreeMap::from([(0, Offset(0))]);
        let patient = Limits { wait: Duration::from_secs(10), ..LIMITS };
        // A connection's later requests wait behind its long poll, as with Kafka: the writer has its own.
        let writer = stand.another_client().await?;
        let write =
            async { writer.produce("waits", 0, &records(1), (Compression::None, Acks::All)).await };
        let (fetched, written) = tokio::join!(client.fetch("waits", &positions, patient), write);
        written?;
        let count = fetched?.iter().map(|one| one.records.len()).sum::<usize>();
        ensure!(count == 1, "the waiting fetch gave {count} records");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn times_lead_to_offsets() {
    on_each(Place::all(), &[], async |stand| {
        let client = &stand.client;
        client.create_topic(&topic("times", 1)).await?;
        let start = SystemClock.now().0 - 60_000;
        for batch in 0..5 {
            let at = |index: i64| Timestamp(start + 1000 * batch + 100 * index);
            let records: Vec<Record> =
                (0..10).map(|index| Record { timestamp: at(index), ..record("timed") }).collect();
            client.produce("times", 0, &records, (Compression::None, Acks::All)).await?;
        }
        // Exact to the record; before all is the first, past all is the end.
        for (time, offset) in
            [(-5000, 0), (0, 0), (1, 1), (100, 1), (1050, 11), (4900, 49), (4901, 50)]
        {
            let found = client.offsets("times", &[0], At::Time(Timestamp(start + time))).await?[&0];
            ensure!(found == Offset(offset), "{time} ms lead to {found:?}, not {offset}");
        }
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_to_acknowledge_writes() {
    on_each(Place::all(), &[], async |stand| {
        let client = &stand.client;
        client.create_topic(&topic("acks", 1)).await?;
        client.produce("acks", 0, &[record("none")], (Compression::None, Acks::None)).await?;
        let known = async || anyhow::Ok(client.offsets("acks", &[0], At::End).await?[&0]);
        while known().await? < Offset(1) {}
        let leader = [record("leader")];
        let leader = client.produce("acks", 0, &leader, (Compression::None, Acks::Leader)).await?;
        ensure!(leader == Offset(1), "acks=1 has an offset");
        let all = [record("all")];
        let all = client.produce("acks", 0, &all, (Compression::None, Acks::All)).await?;
        ensure!(all == Offset(2), "acks=all has an offset");
        let read = values(&read_all(client, "acks").await?);
        ensure!(read == ["none", "leader", "all"], "{read:?}");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_over_the_limit_is_refused_and_nothing_is_lost() {
    on_each(Place::all(), &[], async |stand| {
        let client = &stand.client;
        let limit = ("max.message.bytes".to_owned(), "1000".to_owned());
        client.create_topic(&NewTopic { configs: vec![limit], ..topic("limit", 1) }).await?;
        client.produce("limit", 0, &[record("fits")], (Compression::None, Acks::All)).await?;
        let large = record(&"x".repeat(2000));
        let refused = client.produce("limit", 0, &[large], (Compression::None, Acks::All)).await;
        let code = refused.err().and_then(|error| error.code());
        ensure!(code == Some(10), "MESSAGE_TOO_LARGE is 10, not {code:?}");
        client.produce("limit", 0, &[record("fits too")], (Compression::None, Acks::All)).await?;
        let read = values(&read_all(client, "limit").await?);
        ensure!(read == ["fits", "fits too"], "{read:?}");
        Ok(())
    })
    .await;
}
