//! Stores that do not speak S3: Azure's (Azurite), and Google's (`fake-gcs-server`).

use anyhow::ensure;
use thalweg::base::offset::Offset;
use thalweg::client::wire::Acks;
use thalweg::record::Compression;

use crate::azurite::Azurite;
use crate::gcs::Gcs;
use crate::parts;
use crate::place::{Place, Stand, on_each};
use crate::produce_fetch::{read_all, records, topic, values};
use crate::takeover::take_over;

/// Those that are here.
fn places() -> Vec<Place> {
    let mut places = Vec::new();
    for (place, missing) in [(Place::Azurite, Azurite::missing()), (Place::Gcs, Gcs::missing())] {
        match missing.filter(|_| !parts::are_demanded()) {
            Some(reason) => println!("skipped: {place:?}: {reason}"),
            None => places.push(place),
        }
    }
    places
}

#[tokio::test(flavor = "multi_thread")]
async fn clouds_keep_what_was_acknowledged_and_fence_the_older_process() {
    on_each(places(), &[], async |stand| {
        outlives_a_kill(stand).await?;
        take_over(stand, 1).await
    })
    .await;
}

async fn outlives_a_kill(stand: &mut Stand) -> anyhow::Result<()> {
    stand.client.create_topic(&topic("kept", 1)).await?;
    let mut expected = Vec::new();
    for start in 0..2 {
        let sent = (Compression::Lz4, Acks::All);
        let base = stand.client.produce("kept", 0, &records(10), sent).await?;
        ensure!(base == Offset(start * 10), "start {start}: {base:?}");
        expected.extend((0..10).map(|index| format!("value {index}")));
        stand.stop(false)?;
        stand.start().await?;
        ensure!(values(&read_all(&stand.client, "kept").await?) == expected, "start {start}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_work_in_azure_is_said() -> anyhow::Result<()> {
    if !places().contains(&Place::Azurite) {
        return Ok(());
    }
    let folder = tempfile::Builder::new().prefix("thalweg-it-").tempdir()?;
    let settings = Place::Azurite.settings(folder.path())?;
    let without = |name: &str| {
        let mut settings = settings.clone();
        settings.env.retain(|(key, _)| key != name);
        settings
    };
    let mut wrong_key = without("AZURE_STORAGE_ACCOUNT_KEY");
    let key = ("AZURE_STORAGE_ACCOUNT_KEY".to_owned(), "d3Jvbmc=".to_owned());
    wrong_key.env.push(key);
    let mut no_container = settings.clone();
    no_container.store = Some("az://absent/p".to_owned());
    for (settings, says) in [
        (without("AZURE_STORAGE_ACCOUNT_NAME"), ["store.account", "AZURE_STORAGE_ACCOUNT_NAME"]),
        (wrong_key, ["denies access", "credentials need to"]),
        (no_container, ["does not exist", "create the bucket"]),
    ] {
        let refused = settings.start().expect_err("it cannot start");
        let said = format!("{refused:#}");
        ensure!(says.iter().all(|part| said.contains(part)), "{says:?} is not in:\n{said}");
    }
    Ok(())
}

#[test]
fn puts_that_a_store_does_not_know_are_refused() -> anyhow::Result<()> {
    if !places().contains(&Place::Gcs) {
        return Ok(());
    }
    let folder = tempfile::Builder::new().prefix("thalweg-it-").tempdir()?;
    let mut settings = Place::Gcs.settings(folder.path())?;
    // Without the program before it, the fake knows no put of Google's XML interface.
    settings.set.clear();
    let settings = settings.set("store.endpoint", &Gcs::shared()?.bare_endpoint());
    let refused = settings.start().expect_err("its puts are refused");
    let said = format!("{refused:#}");
    ensure!(said.contains("refuses put-if-absent"), "{said}");
    Ok(())
}
