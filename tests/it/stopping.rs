//! How a broker ends that was told to, and cannot do what it still owes.

use std::fs;
use std::time::Duration;

use anyhow::ensure;
use thalweg::base::task;
use thalweg::client::wire::Acks;
use thalweg::record::Compression;
use tokio::time::Instant;

use crate::front::{Front, Speaks};
use crate::minio::Minio;
use crate::parts;
use crate::place::{Place, client};
use crate::produce_fetch::record;
use crate::until::until;

/// More than a test takes: it never ends by itself.
const GRACE: (&str, &str) = ("shutdown.grace.ms", "600000");

/// What "at once" may take on a machine that is busy.
const AT_ONCE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_at_once_what_waits_for_its_store() -> anyhow::Result<()> {
    if let Some(reason) = Minio::missing().filter(|_| !parts::are_demanded()) {
        println!("skipped: MinIO: {reason}");
        return Ok(());
    }
    for (first, second) in [("TERM", "TERM"), ("INT", "TERM"), ("TERM", "INT")] {
        ends(first, second).await?;
    }
    Ok(())
}

async fn ends(first: &str, second: &str) -> anyhow::Result<()> {
    let folder = tempfile::Builder::new().prefix("thalweg-it-").tempdir()?;
    let front = Front::start(Speaks::Plain).await?;
    let settings = front.before(Place::Minio.settings(folder.path())?).set(GRACE.0, GRACE.1);
    let mut broker = settings.start()?;
    let client = client(&broker.address).await?;
    let how = (Compression::None, Acks::All);
    client.produce("owed", 0, &[record("answered")], how).await?;

    front.fall_silent();
    let before = front.heads().len();
    let unanswered =
        task::spawn("owed", async move { client.produce("owed", 0, &[record("")], how).await });
    until("the record is on its way", || {
        Ok(front.heads()[before..].iter().any(|head| head.method == "PUT"))
    })
    .await?;

    broker.signal(first)?;
    let says = |what: &str| anyhow::Ok(fs::read_to_string(settings.log())?.contains(what));
    until("the broker stops", || says("stopping; a second signal stops at once")).await?;
    ensure!(broker.runs()?, "it ended though it owes an answer: {}", settings.log_tail());
    ensure!(!unanswered.is_finished(), "it answered though nothing was stored");

    let asked = Instant::now();
    broker.signal(second)?;
    let status = broker.exited()?;
    let took = asked.elapsed();
    ensure!(took < AT_ONCE, "it ended {took:?} after SIG{second}");
    ensure!(status.code() == Some(1), "{status}");
    let said = format!("SIG{second} again: stopped at once");
    ensure!(says(&said)?, "it does not say {said}: {}", settings.log_tail());
    unanswered.abort();
    Ok(())
}
