//! Topics come, grow and go.

use std::time::Duration;

use anyhow::ensure;
use thalweg::client::wire::{Acks, NewTopic};
use thalweg::record::Compression;

use crate::place::{Place, client, client_for, on_each};
use crate::produce_fetch::{read_all, record, topic, values};

/// Kafka's codes.
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const INVALID_TOPIC_EXCEPTION: i16 = 17;
const TOPIC_ALREADY_EXISTS: i16 = 36;
const INVALID_PARTITIONS: i16 = 37;

#[tokio::test(flavor = "multi_thread")]
async fn a_created_topic_is_there_with_all_its_partitions() {
    on_each(Place::all(), &[], async |stand| {
        stand.client.create_topic(&topic("created", 64)).await?;
        let found = client(&stand.address()?).await?.topic("created", false).await?;
        let led = found.partitions.iter().filter(|partition| partition.leader.is_some());
        ensure!(led.count() == 64, "{found:?}");
        ensure!(!found.id.is_nil(), "a topic has an id");
        let again = stand.client.create_topic(&topic("created", 64)).await;
        let code = again.err().and_then(|error| error.code());
        ensure!(code == Some(TOPIC_ALREADY_EXISTS), "{code:?}");
        let bad = stand.client.create_topic(&topic("not a name", 1)).await;
        let code = bad.err().and_then(|error| error.code());
        ensure!(code == Some(INVALID_TOPIC_EXCEPTION), "{code:?}");
        Ok(())
    })
    .await;
}

/// The bucket replicates: one broker stands for as many as were asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_asked_for_with_three_replicas_shows_three_in_sync() {
    on_each(vec![Place::Memory], &[("broker.id", "7")], async |stand| {
        let wanted = NewTopic { replication_factor: Some(3), ..topic("three", 2) };
        let told = stand.client.create_topic(&wanted).await?;
        ensure!(told == (Some(2), Some(3)), "{told:?}");
        let found = stand.client.topic("three", false).await?;
        for partition in &found.partitions {
            ensure!(partition.replicas == [7, 7, 7], "{partition:?}");
            ensure!(partition.in_sync == [7, 7, 7], "{partition:?}");
        }
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_grows_and_does_not_shrink() {
    on_each(Place::all(), &[], async |stand| {
        let client = &stand.client;
        client.create_topic(&topic("grows", 1)).await?;
        client.produce("grows", 0, &[record("old")], (Compression::None, Acks::All)).await?;
        client.create_partitions("grows", 3).await?;
        client.produce("grows", 2, &[record("new")], (Compression::None, Acks::All)).await?;
        let read = values(&read_all(client, "grows").await?);
        ensure!(read == ["old", "new"], "{read:?}");
        let code = client.create_partitions("grows", 2).await.err().and_then(|error| error.code());
        ensure!(code == Some(INVALID_PARTITIONS), "{code:?}");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_topic_is_gone_and_its_name_is_free() {
    on_each(Place::all(), &[], async |stand| {
        let first = &stand.client;
        first.create_topic(&topic("deleted", 1)).await?;
        let id = first.topic("deleted", false).await?.id;
        first.produce("deleted", 0, &[record("gone")], (Compression::None, Acks::All)).await?;
        first.delete_topic("deleted").await?;
        // What a client remembers of a topic is its own affair: each question is a new client's.
        let second = client(&stand.address()?).await?;
        let listed = second.metadata().await?.topics;
        ensure!(listed.iter().all(|topic| topic.name != "deleted"), "{listed:?}");
        second.create_topic(&topic("deleted", 1)).await?;
        let third = client(&stand.address()?).await?;
        ensure!(third.topic("deleted", false).await?.id != id, "a new topic has a new id");
        let read = values(&read_all(&third, "deleted").await?);
        ensure!(read.is_empty(), "{read:?}");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_topic_is_created_by_asking_only_if_that_is_set() {
    for (automatic, expected) in [("true", None), ("false", Some(UNKNOWN_TOPIC_OR_PARTITION))] {
        let set = [("auto.create.topics.enable", automatic), ("num.partitions", "3")];
        let ours = Place::all().into_iter().filter(|place| *place != Place::Named);
        on_each(ours.collect(), &set, async |stand| {
            // A topic that is unknown may come to be: the client asks for as long as it has.
            let patience = Duration::from_secs(if expected.is_none() { 20 } else { 2 });
            let asking = client_for(&stand.address()?, patience).await?;
            let written = [record("x")];
            let written = asking.produce("asked", 0, &written, (Compression::None, Acks::All));
            let code = written.await.err().and_then(|error| error.code());
            ensure!(code == expected, "auto.create.topics.enable={automatic}: {code:?}");
            let listed = client(&stand.address()?).await?.metadata().await?.topics;
            let partitions =
                listed.iter().find(|one| one.name == "asked").map(|one| one.partitions.len());
            ensure!(partitions == expected.is_none().then_some(3), "{partitions:?} partitions");
            Ok(())
        })
        .await;
    }
}
