//! Committed offsets through `kill -9`, and the command line over groups.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use thalweg::base::clock;
use thalweg::base::rng::Rng;
use thalweg::base::task;
use thalweg::client::wire::{Client, GroupOffset, NewTopic};

use crate::parts;
use crate::place::{Place, Stand, on_each};

const GROUP: &str = "killed-group";
const TOPIC: &str = "consumed";
const PARTITIONS: i32 = 4;
const KILLS: u64 = 6;

fn offsets(offset: i64) -> Vec<GroupOffset> {
    let one = |partition| GroupOffset {
        topic: TOPIC.to_owned(),
        partition,
        offset,
        metadata: format!("note {offset}"),
    };
    (0..PARTITIONS).map(one).collect()
}

async fn create_topic(client: &Client) -> anyhow::Result<()> {
    let topic = NewTopic {
        name: TOPIC.to_owned(),
        partitions: Some(PARTITIONS),
        replication_factor: Some(1),
        configs: Vec::new(),
    };
    client.create_topic(&topic).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_commits_outlive_kills() {
    let seed = parts::seed(11);
    println!("THALWEG_TEST_SEED={seed}");
    on_each(Place::lasting(), &[], async |stand| {
        create_topic(&stand.client).await?;
        let rng = Rng::from_seed(seed);
        let acked = Arc::new(AtomicI64::new(0));
        for kill in 0..KILLS {
            let committer = commit_on(stand.client.clone(), Arc::clone(&acked));
            let committing = task::spawn("test-commit", committer);
            let before = acked.load(Ordering::SeqCst);
            while acked.load(Ordering::SeqCst) < before + 3 {
                clock::sleep(Duration::from_millis(2)).await;
            }
            clock::sleep(Duration::from_millis(rng.below(100))).await;
            stand.stop(false)?;
            committing.abort();
            let known = acked.load(Ordering::SeqCst);
            stand.start().await.with_context(|| format!("after kill {kill}"))?;
            check(stand, known).await.with_context(|| format!("after kill {kill}"))?;
        }
        Ok(())
    })
    .await;
}

/// Commits one offset after another for all partitions at once.
async fn commit_on(client: Client, acked: Arc<AtomicI64>) {
    loop {
        let next = acked.load(Ordering::SeqCst) + 1;
        if client.set_group_offsets(GROUP, &offsets(next)).await.is_ok() {
            acked.store(next, Ordering::SeqCst);
        }
    }
}

/// What was acknowledged is there, or the commit after it, for all partitions alike.
async fn check(stand: &Stand, acked: i64) -> anyhow::Result<()> {
    let found = stand.client.group_offsets(GROUP).await?;
    let first = found.first().map_or(-1, |one| one.offset);
    ensure!((acked..=acked + 1).contains(&first), "{acked} was acknowledged, {first} is there");
    ensure!(found == offsets(first), "one commit is there in part: {found:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_listed_described_and_deleted() {
    on_each(vec![Place::Memory], &[], async |stand| {
        let client = &stand.client;
        create_topic(client).await?;
        client.set_group_offsets("a", &offsets(5)).await?;
        client.set_group_offsets("b", &offsets(6)).await?;
        let groups = client.groups().await?;
        let names: Vec<&str> = groups.iter().map(|group| group.group.as_str()).collect();
        ensure!(names == ["a", "b"], "{groups:?}");
        ensure!(groups.iter().all(|group| group.state == "Empty" && group.kind == "classic"));
        ensure!(client.group_offsets("a").await? == offsets(5));
        client.delete_group("a").await?;
        ensure!(client.group("a").await?.state == "Dead");
        ensure!(client.group_offsets("a").await?.is_empty());
        let again = client.delete_group("a").await.expect_err("it is gone");
        ensure!(again.to_string().contains("GROUP_ID_NOT_FOUND"), "{again}");
        ensure!(client.group("b").await?.members.is_empty());
        Ok(())
    })
    .await;
}
