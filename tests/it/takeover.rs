//! Two processes of one identity on a bucket: the newer takes over, the older refuses what is not acknowledged, answers
//! nothing further, exits and names its successor.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use anyhow::{Context as _, ensure};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ApiVersionsRequest, MetadataRequest, ProduceRequest, TopicName};
use kafka_protocol::protocol::{Request, StrBytes};
use thalweg::base::clock::Timestamp;
use thalweg::base::rng::Rng;
use thalweg::client::wire::NewTopic;
use thalweg::record::Compression;
use thalweg::record::build::BatchBuilder;
use tokio::time::Instant;

use crate::broker::{Broker, Settings};
use crate::kill::{check, read_values, snapshot, wait_for_progress};
use crate::load::{Broken, Wire, Writer};
use crate::place::{Place, Stand, on_each};
use crate::ports::free_port;

const PARTITIONS: i32 = 4;
const TAKEOVERS: usize = 3;

/// The topic of an append at a time, each of which is refused or acknowledged.
const BESIDE: &str = "beside";
const NOT_LEADER_OR_FOLLOWER: i16 = 6;
const PRODUCE_VERSION: i16 = 9;
const METADATA_VERSION: i16 = 9;
const API_VERSIONS_VERSION: i16 = 3;

#[tokio::test(flavor = "multi_thread")]
async fn the_newer_process_takes_over_and_they_never_take_turns() {
    let places = Place::lasting().into_iter().filter(|place| *place == Place::Minio);
    on_each(places.collect(), &[], async |stand| take_over(stand, TAKEOVERS).await).await;
}

/// Starts a newer process `times` times under load: it takes over, what the older acknowledged is in its log, and the older
/// says nothing after it has refused an append.
pub(crate) async fn take_over(stand: &mut Stand, times: usize) -> anyhow::Result<()> {
    let topic = NewTopic {
        name: "taken".to_owned(),
        partitions: Some(PARTITIONS),
        replication_factor: Some(1),
        configs: Vec::new(),
    };
    stand.client.create_topic(&topic).await?;
    let beside = NewTopic { name: BESIDE.to_owned(), partitions: Some(1), ..topic.clone() };
    stand.client.create_topic(&beside).await?;
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
        let talks = talks(&stand.address()?);
        wait_for_progress(&acked).await?;
        let (settings, newer) = start_newer(&stand.settings, number)?;
        let (status, said) = stand.exited()?;
        ensure!(!status.success(), "the older process exits with {status}");
        stop.store(true, Ordering::Relaxed);
        let successor = settings.incarnation().context("the newer one says who it is")?;
        ensure!(said.contains(&successor), "{successor} is not named in:\n{said}");
        writing.join().expect("a writer does not panic")?;
        // What was acknowledged may have lain in its socket until now.
        let acked = snapshot(&acked);
        ensure!(!acked.is_empty(), "nothing was acknowledged");
        check_talks(talks)?;
        stand.replace(settings, newer).await?;
        check(&acked, &read_values(stand, "taken").await?, false)?;
    }
    // Nobody came back: the last one still leads, alone, and writes.
    let record = crate::produce_fetch::records(1);
    let sent = (Compression::None, thalweg::client::wire::Acks::All);
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

/// What one client heard of the older process, until that was gone.
#[derive(Debug, Default)]
struct Talk {
    /// When the last request left that was answered, and was not refused.
    answered: Option<Instant>,
    /// When it heard that its append failed.
    refused: Option<Instant>,
    answers: usize,
}

type Talking = (&'static str, thread::JoinHandle<Talk>);

/// Clients of the process at `address`, each with one request on its way at a time: those that append, that ask on
/// the connection which they have, and one that comes anew each time.
fn talks(address: &str) -> Vec<Talking> {
    let talk = |name, talk: fn(&str) -> Talk| {
        let address = address.to_owned();
        (name, thread::spawn(move || talk(&address)))
    };
    vec![
        // Rarely is none of these on its way.
        talk("appends", |address| talk_on(address, append)),
        talk("appends", |address| talk_on(address, append)),
        talk("appends", |address| talk_on(address, append)),
        talk("asks who leads", |address| talk_on(address, ask_who_leads)),
        talk("asks for versions", |address| talk_on(address, ask_for_versions)),
        talk("comes anew", |address| {
            let mut whole = Talk::default();
            while let Some(mut wire) = Wire::connect(address) {
                let asked = Instant::now();
                if ask_for_versions(&mut wire).is_ok() {
                    (whole.answered, whole.answers) = (Some(asked), whole.answers + 1);
                }
            }
            whole
        }),
    ]
}

/// Asks one thing after the other until it is refused or the connection is closed.
fn talk_on(address: &str, ask: fn(&mut Wire) -> Result<(), Broken>) -> Talk {
    let mut talk = Talk::default();
    let Some(mut wire) = Wire::connect(address) else { return talk };
    loop {
        let asked = Instant::now();
        match ask(&mut wire) {
            Ok(()) => (talk.answered, talk.answers) = (Some(asked), talk.answers + 1),
            Err(Broken::Refused(code)) => {
                assert_eq!(code, NOT_LEADER_OR_FOLLOWER, "a client looks for the leader");
                talk.refused = Some(Instant::now());
                return talk;
            }
            Err(Broken::Connection) => return talk,
        }
    }
}

fn ask<R: Request>(wire: &mut Wire, request: &R, version: i16) -> Result<R::Response, Broken> {
    wire.send(request, version)?;
    wire.receive::<R>(version)
}

fn ask_for_versions(wire: &mut Wire) -> Result<(), Broken> {
    ask(wire, &ApiVersionsRequest::default(), API_VERSIONS_VERSION).map(drop)
}

fn ask_who_leads(wire: &mut Wire) -> Result<(), Broken> {
    ask(wire, &MetadataRequest::default().with_topics(None), METADATA_VERSION).map(drop)
}

fn append(wire: &mut Wire) -> Result<(), Broken> {
    let mut batch = BatchBuilder::new(Compression::None);
    batch.push_value(Timestamp(1_700_000_000_000), None, Some(b"beside"));
    let data = PartitionProduceData::default().with_records(Some(batch.build().bytes));
    let topic = TopicProduceData::default()
        .with_name(TopicName(StrBytes::from_static_str(BESIDE)))
        .with_partition_data(vec![data]);
    let request = ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(30_000)
        .with_topic_data(vec![topic]);
    let answer = ask(wire, &request, PRODUCE_VERSION)?;
    match answer.responses[0].partition_responses[0].error_code {
        0 => Ok(()),
        code => Err(Broken::Refused(code)),
    }
}

/// From the moment that one client has heard of a refusal, no client's request is answered.
fn check_talks(talks: Vec<Talking>) -> anyhow::Result<()> {
    let mut heard = Vec::new();
    for (name, talk) in talks {
        heard.push((name, talk.join().expect("a client does not panic")));
    }
    let refused = heard.iter().filter_map(|(_, talk)| talk.refused).min();
    let refused = refused.context("an append was on its way, and its client heard nothing")?;
    for (name, talk) in heard {
        ensure!(talk.answers > 0, "one that {name} was never answered");
        let late = talk.answered.and_then(|asked| asked.checked_duration_since(refused));
        ensure!(
            late.is_none_or(|late| late.is_zero()),
            "one that {name} was answered what it asked {late:?} after an append was refused"
        );
    }
    Ok(())
}
