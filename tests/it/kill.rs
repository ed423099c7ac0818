//! `kill -9` under load: every acknowledged record is there, at its offset, once.

use std::collections::BTreeMap;
use std::env;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use thalweg::base::clock;
use thalweg::base::rng::Rng;
use thalweg::client::wire::NewTopic;
use tokio::time::Instant;

use crate::load::{Acked, Writer};
use crate::parts;
use crate::place::{Place, Stand, on_each};
use crate::produce_fetch::read_all;

const TOPIC: &str = "killed";
const PARTITIONS: i32 = 4;
const WRITERS: usize = 3;

/// How long the broker may take to acknowledge one more record after a restart.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_records_outlive_kills() {
    let seed = parts::seed(9);
    println!("THALWEG_TEST_SEED={seed}");
    // A named broker is not ours to kill; the writers and the check run against it all the same.
    let mut places = Place::lasting();
    places.extend(Place::all().into_iter().filter(|place| *place == Place::Named));
    on_each(places, &[], async |stand| {
        let topic = NewTopic {
            name: TOPIC.to_owned(),
            partitions: Some(PARTITIONS),
            replication_factor: Some(1),
            configs: Vec::new(),
        };
        stand.client.create_topic(&topic).await?;
        let rng = Rng::from_seed(seed);
        let stop = Arc::new(AtomicBool::new(false));
        let acked = Arc::new(Mutex::new(Vec::new()));
        let writer = |index| Writer {
            name: format!("writer{index}"),
            address: String::new(),
            topic: TOPIC.to_owned(),
            partitions: PARTITIONS,
            rng: Rng::from_seed(rng.u64()),
            is_patient: true,
            stop: Arc::clone(&stop),
            acked: Arc::clone(&acked),
        };
        let address = stand.address()?;
        let mut threads = Vec::new();
        for index in 0..WRITERS {
            let writer = Writer { address: address.clone(), ..writer(index) };
            threads.push(thread::spawn(move || writer.run()));
        }
        let killed = kill_repeatedly(stand, &acked, &rng).await;
        stop.store(true, Ordering::Relaxed);
        killed?;
        let mut written = 0;
        for thread in threads {
            written += thread.join().expect("a writer does not panic")?;
        }
        let acked = snapshot(&acked);
        ensure!(acked.len() as u64 == written, "{written} written, {} acknowledged", acked.len());
        check(&acked, &read_values(stand, TOPIC).await?, true)?;
        println!("{:?}: {written} records", stand.place);
        Ok(())
    })
    .await;
}

async fn kill_repeatedly(
    stand: &mut Stand,
    acked: &Mutex<Vec<Acked>>,
    rng: &Rng,
) -> anyhow::Result<()> {
    let kills = env::var("THALWEG_TEST_KILLS").ok().and_then(|kills| kills.parse().ok());
    for kill in 0..kills.unwrap_or(8) {
        wait_for_progress(acked).await?;
        clock::sleep(Duration::from_millis(rng.below(400))).await;
        if stand.place == Place::Named {
            continue;
        }
        stand.stop(false)?;
        // What was acknowledged by now must be there after the next start.
        let before = snapshot(acked);
        if rng.below(3) == 0 {
            // A recovery that is cut short, too.
            stand.settings.start_and_kill(Duration::from_millis(rng.below(150)))?;
        }
        stand.start().await.with_context(|| format!("after kill {kill}"))?;
        let found = check(&before, &read_values(stand, TOPIC).await?, false);
        found.with_context(|| format!("after kill {kill}"))?;
    }
    Ok(())
}

pub(crate) async fn wait_for_progress(acked: &Mutex<Vec<Acked>>) -> anyhow::Result<()> {
    let before = acked.lock().unwrap_or_else(PoisonError::into_inner).len();
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        if acked.lock().unwrap_or_else(PoisonError::into_inner).len() > before {
            return Ok(());
        }
        clock::sleep(Duration::from_millis(2)).await;
    }
    bail!("nothing was acknowledged for {PATIENCE:?}")
}

pub(crate) fn snapshot(acked: &Mutex<Vec<Acked>>) -> Vec<Acked> {
    acked.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Values by partition and offset.
pub(crate) type Log = BTreeMap<(i32, i64), String>;

pub(crate) async fn read_values(stand: &Stand, topic: &str) -> anyhow::Result<Log> {
    let records = read_all(&stand.client, topic).await?;
    let value = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let read = records.into_iter().map(|one| {
        let place = (one.partition, one.offset.0);
        (place, one.record.value.as_deref().map(value).unwrap_or_default())
    });
    Ok(read.collect())
}

/// Whether every acknowledged record is at its offset, and nothing is there twice.
pub(crate) fn check(acked: &[Acked], log: &Log, is_final: bool) -> anyhow::Result<()> {
    for Acked { partition, offset, value } in acked {
        let found = log.get(&(*partition, *offset));
        let brief = &value[..value.len().min(30)];
        ensure!(
            found == Some(value),
            "{brief} was acknowledged at {partition}/{offset}; there is {:?}",
            found.map(|found| &found[..found.len().min(30)])
        );
    }
    let mut places: BTreeMap<&str, (i32, i64)> = BTreeMap::new();
    for (place, value) in log {
        let brief = &value[..value.len().min(30)];
        if let Some(other) = places.insert(value, *place) {
            bail!("{brief} is at {other:?} and at {place:?}");
        }
    }
    for (partition, count) in counts(log) {
        let last = log.range((partition, 0)..(partition + 1, 0)).next_back();
        let end = last.map_or(0, |((_, offset), _)| offset + 1);
        ensure!(end == count, "partition {partition} ends at {end} but holds {count} records");
    }
    let surplus = log.len() - acked.len().min(log.len());
    ensure!(!is_final || surplus == 0, "{surplus} records that nobody wrote");
    Ok(())
}

fn counts(log: &Log) -> BTreeMap<i32, i64> {
    let mut counts = BTreeMap::new();
    for (partition, _) in log.keys() {
        *counts.entry(*partition).or_default() += 1;
    }
    counts
}
