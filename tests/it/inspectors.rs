//! `thalweg slot` and `thalweg manifest`: they tell where records lie, and leave the store as it is.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::{fs, iter};

use anyhow::{Context as _, ensure};
use futures::TryStreamExt as _;
use object_store::ObjectStore as _;
use object_store::aws::AmazonS3Builder;
use serde_json::Value;
use thalweg::base::offset::Offset;
use thalweg::client::wire::Acks;
use thalweg::record::Compression;

use crate::broker::Settings;
use crate::credentials::user;
use crate::front::{Front, Speaks};
use crate::minio::Minio;
use crate::place::{Place, on_each};
use crate::produce_fetch::{records, topic};

/// Batches of the topic, and records of each.
const BATCHES: i64 = 3;
const RECORDS: i64 = 10;

/// What an inspector prints about the store that these settings name.
fn inspect(settings: &Settings, args: &[&str]) -> anyhow::Result<Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg"));
    command.args(args).arg("--json").arg("--data-dir").arg(settings.folder.join("data"));
    command.args(settings.store.iter().flat_map(|url| ["--store", url]));
    for (key, value) in &settings.set {
        command.args(["--set", &format!("{key}={value}")]);
    }
    command.envs(settings.env.iter().map(|(key, value)| (key, value)));
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{args:?}: {}: {said}", output.status);
    serde_json::from_slice(&output.stdout).with_context(|| format!("{args:?} printed no JSON"))
}

/// The range of offsets that a piece of JSON names.
fn range(of: &Value) -> anyhow::Result<(i64, i64)> {
    let offset = |name: &str| of[name].as_i64().with_context(|| format!("no {name} in {of}"));
    Ok((offset("base_offset")?, offset("end_offset")?))
}

fn list(of: &Value) -> anyhow::Result<&Vec<Value>> {
    of.as_array().with_context(|| format!("no list: {of}"))
}

/// The ranges of a topic's batches, as all slots together say them, in order.
fn ranges_in_slots(settings: &Settings, topic_id: &str) -> anyhow::Result<Vec<(i64, i64)>> {
    let mut ranges = Vec::new();
    for chain in list(&inspect(settings, &["slot", "list"])?)? {
        let chain = chain["chain"].to_string();
        for slot in list(&inspect(settings, &["slot", "list", &chain])?)? {
            if slot["fence"] == true {
                continue;
            }
            let slot = slot["slot"].to_string();
            let shown = inspect(settings, &["slot", "show", &chain, &slot, "--batches"])?;
            for run in list(&shown["runs"])?.iter().filter(|run| run["topic_id"] == topic_id) {
                for batch in list(&run["batches"])? {
                    ranges.push(range(batch)?);
                }
            }
        }
    }
    ranges.sort_unstable();
    Ok(ranges)
}

/// The ranges of the topic's only partition, as the manifest says them.
fn ranges_in_manifest(settings: &Settings) -> anyhow::Result<Vec<(i64, i64)>> {
    let shown = inspect(settings, &["manifest", "topic", "seen", "--runs"])?;
    let partition = &shown["partitions"][0];
    let end = BATCHES * RECORDS;
    ensure!(partition["log_start_offset"] == 0 && partition["end_offset"] == end, "{shown}");
    list(&partition["runs"])?.iter().map(range).collect()
}

/// Everything below a directory, and when it was changed. One that was made and removed again shows in its directory.
fn files(folder: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let (mut found, mut open) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(path) = open.pop() {
        let about = fs::symlink_metadata(&path)?;
        let at = |seconds: i64, nanos: i64| format!("{seconds}.{nanos:09}");
        let changed = at(about.ctime(), about.ctime_nsec());
        let written = at(about.mtime(), about.mtime_nsec());
        let what = format!("{} {} {written} {changed}", about.ino(), about.len());
        found.insert(path.display().to_string(), what);
        if about.is_dir() {
            for entry in fs::read_dir(&path)? {
                open.push(entry?.path());
            }
        }
    }
    Ok(found)
}

/// Every object below a broker's prefix, and its tag and time.
async fn objects(settings: &Settings) -> anyhow::Result<BTreeMap<String, String>> {
    let url = settings.store.as_deref().context("a bucket has a URL")?;
    let (bucket, prefix) =
        url.trim_start_matches("s3://").split_once('/').context("a bucket and a prefix")?;
    let (key, secret) = user()?;
    let minio = AmazonS3Builder::new()
        .with_endpoint(Minio::shared()?.endpoint())
        .with_allow_http(true)
        .with_region("us-east-1")
        .with_bucket_name(bucket)
        .with_access_key_id(key)
        .with_secret_access_key(secret)
        .build()?;
    let listed: Vec<_> = minio.list(Some(&prefix.into())).try_collect().await?;
    let about = |one: object_store::ObjectMeta| {
        (one.location.to_string(), format!("{} {} {:?}", one.size, one.last_modified, one.e_tag))
    };
    Ok(listed.into_iter().map(about).collect())
}

async fn contents(place: Place, settings: &Settings) -> anyhow::Result<BTreeMap<String, String>> {
    match place {
        Place::Minio => objects(settings).await,
        _ => files(&settings.folder.join("data")),
    }
}

fn ensure_same<T: PartialEq + Debug>(
    before: &BTreeMap<String, T>,
    after: &BTreeMap<String, T>,
) -> anyhow::Result<()> {
    let names: Vec<_> = before.keys().chain(after.keys()).collect();
    let changed: Vec<_> =
        names.into_iter().filter(|name| before.get(*name) != after.get(*name)).collect();
    ensure!(changed.is_empty(), "an inspector changed {changed:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn inspectors_tell_where_records_lie_and_change_nothing() {
    on_each(Place::lasting(), &[], async |stand| {
        stand.client.create_topic(&topic("seen", 1)).await?;
        let written = records(usize::try_from(RECORDS)?);
        for batch in 0..BATCHES {
            let how = (Compression::None, Acks::All);
            let base = stand.client.produce("seen", 0, &written, how).await?;
            ensure!(base == Offset(batch * RECORDS), "{base}");
        }
        // Its id first, from beside the running broker.
        let id = inspect(&stand.settings, &["manifest", "topic", "seen"])?["id"].clone();
        let id = id.as_str().context("a topic has an id")?;
        stand.stop(true)?;

        let before = contents(stand.place, &stand.settings).await?;
        ensure!(!before.is_empty(), "nothing is stored");
        let (mut settings, mut front) = (stand.settings.clone(), None);
        if stand.place == Place::Minio {
            let started = Front::start(Speaks::Plain).await?;
            settings = started.before(settings);
            front = Some(started);
        }
        let batch = |number: i64| (number * RECORDS, (number + 1) * RECORDS);
        let expected: Vec<_> = (0..BATCHES).map(batch).collect();
        let in_slots = ranges_in_slots(&settings, id)?;
        ensure!(in_slots == expected, "the slots hold {in_slots:?}");
        // Neighbours may be one run there: the ranges join without a gap.
        let in_manifest = ranges_in_manifest(&settings)?;
        let ends = iter::once(0).chain(in_manifest.iter().map(|(_, end)| *end));
        let starts = in_manifest.iter().map(|(start, _)| *start).chain([BATCHES * RECORDS]);
        ensure!(starts.eq(ends), "the manifest names {in_manifest:?}");
        let shown = inspect(&settings, &["manifest", "show"])?;
        ensure!(shown["topics"][0]["offsets"] == BATCHES * RECORDS, "{shown}");

        ensure_same(&before, &contents(stand.place, &stand.settings).await?)?;
        let asked = front.map(|front| front.heads()).unwrap_or_default();
        ensure!(asked.is_empty() == (stand.place != Place::Minio), "{} requests", asked.len());
        let wrote = asked.iter().find(|head| !matches!(head.method.as_str(), "GET" | "HEAD"));
        ensure!(wrote.is_none(), "an inspector sent {wrote:?}");
        // Nor did they leave anything in a broker's way.
        stand.start().await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inspectors_do_not_touch_the_lock_of_a_running_broker() {
    on_each(vec![Place::Directory], &[], async |stand| {
        stand.client.create_topic(&topic("seen", 1)).await?;
        let lock = stand.settings.folder.join("data/LOCK");
        let about = || anyhow::Ok((files(&lock)?, fs::read_to_string(&lock)?));
        let before = about()?;
        for args in [&["slot", "list"][..], &["manifest", "show"], &["manifest", "topic", "seen"]] {
            inspect(&stand.settings, args)?;
        }
        ensure!(about()? == before, "the lock was {before:?} and is {:?}", about()?);
        Ok(())
    })
    .await;
}
