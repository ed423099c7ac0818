//! Records leave: by request, by age, by size.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::ensure;
use thalweg::base::clock;
use thalweg::base::offset::Offset;
use thalweg::client::wire::{Acks, At, Client, NewTopic};
use thalweg::record::Compression;
use tokio::time::Instant;

use crate::place::{Place, on_each};
use crate::produce_fetch::{LIMITS, read_all, record, records, topic, values};

const OFFSET_OUT_OF_RANGE: i16 = 1;

/// How long retention may take to act on a broker that looks every 100 ms.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn deleted_records_are_hidden_at_once() {
    on_each(Place::all(), &[], async |stand| {
        let client = &stand.client;
        client.create_topic(&topic("deletes", 1)).await?;
        client.produce("deletes", 0, &records(10), (Compression::None, Acks::All)).await?;
        let left = client.delete_records("deletes", 0, Offset(3)).await?;
        ensure!(left == Offset(3), "{left:?}");
        let read = values(&read_all(client, "deletes").await?);
        ensure!(read.len() == 7 && read[0] == "value 3", "{read:?}");
        let before = BTreeMap::from([(0, Offset(1))]);
        let code =
            client.fetch("deletes", &before, LIMITS).await.err().and_then(|error| error.code());
        ensure!(code == Some(OFFSET_OUT_OF_RANGE), "{code:?}");
        // -1 is the high watermark.
        let left = client.delete_records("deletes", 0, Offset(-1)).await?;
        ensure!(left == Offset(10), "{left:?}");
        let beyond = client.delete_records("deletes", 0, Offset(11)).await;
        let code = beyond.err().and_then(|error| error.code());
        ensure!(code == Some(OFFSET_OUT_OF_RANGE), "{code:?}");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_records_leave() {
    let ours = Place::all().into_iter().filter(|place| *place != Place::Named).collect();
    let set = [("log.retention.check.interval.ms", "100")];
    on_each(ours, &set, async |stand| {
        let age = ("retention.ms".to_owned(), "1500".to_owned());
        stand.client.create_topic(&NewTopic { configs: vec![age], ..topic("ages", 1) }).await?;
        stand.client.produce("ages", 0, &records(5), (Compression::None, Acks::All)).await?;
        until_start(&stand.client, "ages", Offset(5)).await?;
        stand.client.produce("ages", 0, &[record("young")], (Compression::None, Acks::All)).await?;
        let read = values(&read_all(&stand.client, "ages").await?);
        ensure!(read == ["young"], "{read:?}");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_over_its_size_loses_its_oldest() {
    let ours = Place::all().into_iter().filter(|place| *place != Place::Named).collect();
    let set = [("log.retention.check.interval.ms", "100")];
    on_each(ours, &set, async |stand| {
        let size = ("retention.bytes".to_owned(), "100000".to_owned());
        stand.client.create_topic(&NewTopic { configs: vec![size], ..topic("sizes", 1) }).await?;
        for _ in 0..30 {
            let large = record(&"x".repeat(10_000));
            stand.client.produce("sizes", 0, &[large], (Compression::None, Acks::All)).await?;
        }
        until_start(&stand.client, "sizes", Offset(15)).await?;
        let left = read_all(&stand.client, "sizes").await?.len();
        ensure!((9..=15).contains(&left), "{left} records of 10 kB are left of a log of 100 kB");
        Ok(())
    })
    .await;
}

/// Waits until the log starts at `offset` or later.
async fn until_start(client: &Client, topic: &str, offset: Offset) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        let start = client.offsets(topic, &[0], At::Start).await?[&0];
        if start >= offset {
            return Ok(());
        }
        ensure!(started.elapsed() < PATIENCE, "the log still starts at {start:?}");
        clock::sleep(Duration::from_millis(50)).await;
    }
}
