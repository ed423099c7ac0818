//! Two processes of one identity on a bucket: the newer takes over, the older exits and names its successor.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use anyhow::{Context as _, ensure};
use thalweg::base::rng::Rng;
use thalweg::client::wire::NewTopic;

use crate::broker::{Broker, Settings};
use crate::kill::{check, read_values, snapshot, wait_for_progress};
use crate::load::Writer;
use crate::place::{Place, Stand, on_each};
use crate::ports::free_port;

const PARTITIONS: i32 = 4;
const TAKEOVERS: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn the_newer_process_takes_over_and_they_never_take_turns() {
    let places = Place::lasting().into_iter().filter(|place| *place == Place::Minio);
    on_each(places.collect(), &[], async |stand| take_over(stand, TAKEOVERS).await).await;
}

/// Starts a newer process `times` times under load: it takes over, and what the older acknowledged is in its log.
pub(crate) async fn take_over(stand: &mut Stand, times: usize) -> anyhow::Result<()> {
    let topic = NewTopic {
        name: "taken".to_owned(),
        partitions: Some(PARTITIONS),
        replication_factor: Some(1),
        configs: Vec::new(),
    };
    stand.client.create_topic(&topic).await?;
    for number in 0..times {
        let (stop, acked) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::default()));
        let writer = Writer {
            name: format!("writer{number}"),
            address: stand.address()?,
            topic: topic.name.clone(),
            partitions: PARTITIONS,
            rng: Rng::from_seed(7),
            is_patient: false,
            stop: Arc::clone(&stop),
            acked: Arc::clone(&acked),
        };
        // It writes to the older process alone, and is still in the middle of it when that one is gone.
        let writing = thread::spawn(move || writer.run());
        wait_for_progress(&acked).await?;
        let (settings, newer) = start_newer(&stand.settings, number)?;
        let (status, said) = stand.exited()?;
        ensure!(!status.success(), "the older process exits with {status}");
        stop.store(true, Ordering::Relaxed);
        let acked = snapshot(&acked);
        ensure!(!acked.is_empty(), "nothing was acknowledged");
        let successor = settings.incarnation().context("the newer one says who it is")?;
        ensure!(said.contains(&successor), "{successor} is not named in:\n{said}");
        writing.join().expect("a writer does not panic")?;
        stand.replace(settings, newer).await?;
        check(&acked, &read_values(stand, "taken").await?, false)?;
    }
    // Nobody came back: the last one still leads, alone, and writes.
    let record = crate::produce_fetch::records(1);
    let sent = (thalweg::record::Compression::None, thalweg::client::wire::Acks::All);
    stand.client.produce("taken", 0, &record, sent).await?;
    Ok(())
}

/// Starts another process of the same identity on the same bucket, with a port and a log of its own.
fn start_newer(older: &Settings, number: usize) -> anyhow::Result<(Settings, Broker)> {
    let mut settings = older.clone();
    settings.folder = older.folder.join(format!("newer{number}"));
    settings.listen = format!("127.0.0.1:{}", free_port()?);
    let broker = settings.start()?;
    Ok((settings, broker))
}
