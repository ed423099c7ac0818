//! A disk that is full: a small file system of the broker's own, in a namespace that ends with it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use thalweg::base::rng::Rng;
use tokio::time::Instant;

use crate::broker::{Broker, Settings};
use crate::kill::{check, snapshot, wait_for_progress};
use crate::load::Writer;
use crate::parts;
use crate::place::client;
use crate::produce_fetch::{read_all, topic};
use crate::until::until;

const PARTITIONS: i32 = 2;

/// For so long nothing is acknowledged any more: what was on its way when the disk became full has ended.
const STILL: Duration = Duration::from_millis(500);

/// Makes the directory `$0` a small disk, lays something on it that can be removed, and becomes the program that follows.
const MOUNT: &str = "mount -t tmpfs -o size=20m tmpfs \"$0\" && head -c 8388608 /dev/zero \
    >\"$0/filler\" && exec \"$@\"";

/// How to start a program on a small disk at `at`; none where nothing can be mounted.
fn through(at: &Path) -> anyhow::Result<Option<Vec<String>>> {
    fs::create_dir_all(at)?;
    // With rights, without a namespace of users: not every machine has those.
    for namespaces in ["-m", "-rm"] {
        let at = at.display().to_string();
        let line = ["unshare", namespaces, "sh", "-c", MOUNT, &at].map(str::to_owned);
        let tried = Command::new(&line[0]).args(&line[1..]).arg("true").output();
        if tried.is_ok_and(|output| output.status.success()) {
            return Ok(Some(line.to_vec()));
        }
    }
    ensure!(!parts::are_demanded(), "nothing can be mounted here, and CI skips nothing");
    println!("skipped: a full disk: nothing can be mounted here");
    Ok(None)
}

/// Whether `/readyz` says yes, and what it says.
fn readiness(http: &str) -> anyhow::Result<(bool, String)> {
    let mut socket = TcpStream::connect(http)?;
    socket.write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("half an answer")?;
    Ok((head.starts_with("HTTP/1.1 200"), body.to_owned()))
}

/// Waits until nothing more is acknowledged; gives how much was.
async fn standstill(count: impl Fn() -> usize) -> anyhow::Result<usize> {
    let mut since = (count(), Instant::now());
    until("nothing is acknowledged any more", || {
        if count() != since.0 {
            since = (count(), Instant::now());
        }
        Ok(since.1.elapsed() >= STILL)
    })
    .await?;
    Ok(since.0)
}

/// Becomes full while a writer writes, is given space, and goes on.
async fn fill_and_free(
    settings: &Settings,
    broker: &Broker,
    acked: &Mutex<Vec<crate::load::Acked>>,
) -> anyhow::Result<()> {
    let data = settings.folder.join("data");
    let not_ready = || Ok(!readiness(&broker.http)?.0);
    until("a broker on a full disk is not ready", not_ready).await?;
    let count = standstill(|| snapshot(acked).len()).await?;
    let (ready, why) = readiness(&broker.http)?;
    let names = |text: &str| {
        text.contains(&data.display().to_string()) && text.contains("free space on this disk")
    };
    ensure!(!ready && names(&why), "{why}");
    let log = fs::read_to_string(settings.log())?;
    ensure!(log.lines().any(names), "the log does not name {} and what to do", data.display());
    ensure!(snapshot(acked).len() == count, "it acknowledges though it is not ready");

    // The disk is seen from outside of its namespace through the process.
    let root = format!("/proc/{}/root", broker.id());
    fs::remove_file(format!("{root}{}/filler", data.display()))?;
    wait_for_progress(acked).await?;
    until("it is ready again by itself", || Ok(readiness(&broker.http)?.0)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_waited_out_and_loses_nothing() -> anyhow::Result<()> {
    let folder = tempfile::Builder::new().prefix("thalweg-it-").tempdir()?;
    let Some(through) = through(&folder.path().join("data"))? else { return Ok(()) };
    // What is read comes from the disk, not from memory.
    let settings = Settings::directory(folder.path()).set("tail.bytes", "0");
    let settings = Settings { through, ..settings.set("read.cache.bytes", "0") };
    let broker = settings.start()?;
    let client = client(&broker.address).await?;
    client.create_topic(&topic("full", PARTITIONS)).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let acked = Arc::new(Mutex::new(Vec::new()));
    let writer = Writer {
        name: "writer".to_owned(),
        address: broker.address.clone(),
        topic: "full".to_owned(),
        partitions: PARTITIONS,
        rng: Rng::from_seed(parts::seed(11)),
        is_patient: true,
        stop: Arc::clone(&stop),
        acked: Arc::clone(&acked),
    };
    let writing = thread::spawn(move || writer.run());
    let done = fill_and_free(&settings, &broker, &acked).await;
    stop.store(true, Ordering::Relaxed);
    done.with_context(|| settings.log_tail())?;
    let written = writing.join().expect("a writer does not panic")?;
    let acked = snapshot(&acked);
    ensure!(acked.len() as u64 == written, "{written} written, {} acknowledged", acked.len());
    let read = read_all(&client, "full").await?.into_iter().map(|one| {
        let value = one.record.value.unwrap_or_default();
        ((one.partition, one.offset.0), String::from_utf8_lossy(&value).into_owned())
    });
    check(&acked, &read.collect(), true)
}
