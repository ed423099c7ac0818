//! `kill -9` under load, and the way back.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::{LOST, Measured, Row, TWICE};
use crate::{
    load::{
        paced::{Clients, Paced, consumer_settings, producer_settings},
        read_back::read_back,
    },
    report::{Better, Figure},
    stage::{Place, Stage},
    system::{Setup, System},
    wire::{Admin, Batch, Connection, ProduceRequest, Topic, check_produced},
};

const PARTITIONS: i32 = 16;

struct Recovery;

/// The rows.
pub(super) fn rows() -> Vec<Box<dyn Row>> {
    vec![Box::new(Recovery)]
}

impl Row for Recovery {
    fn name(&self) -> String {
        "recovery".to_owned()
    }

    fn about(&self) -> String {
        "kill -9 while 50,000 values of 1 KiB a second go to 16 partitions, then the same directory again: times from \
         the new process's start (Kafka's files outlive it in the page cache; no power is cut)"
            .to_owned()
    }

    fn warm_up_turns(&self) -> usize {
        0
    }

    fn turn(&self, stage: &mut Stage<'_>, system: System) -> anyhow::Result<Vec<Measured>> {
        const METADATA: Figure = Figure::new("to Metadata", "ms", Better::Lower, 0);
        const PRODUCE: Figure = Figure::new("to an acknowledgement", "ms", Better::Lower, 0);
        let store = stage.store(system, Place::Directory)?;
        let setup = Setup::new(stage.scratch.directory(system.name())?, store);
        let broker = stage.launcher.start(system, &setup)?;
        let topic = Topic::new("kill", PARTITIONS);
        Admin::open(&broker.address)?.create(&topic)?;
        let mut settings = producer_settings(&broker.address);
        settings.push(("message.timeout.ms".to_owned(), "1000".to_owned()));
        let load = Paced {
            topics: vec![topic.name.clone()],
            partitions: PARTITIONS,
            value_bytes: 1_024,
            rate: 50_000,
            warm_up: stage.seconds(4.0),
            duration: Duration::from_secs(1),
            patience: Duration::ZERO,
            producer: settings,
            consumer: consumer_settings(&broker.address),
            clients: Clients::ONE,
            behind: 0,
            keep_places: true,
        };
        // The kill falls into the load's last second; what it then cannot deliver fails after one more.
        let seen = load.run(move || {
            std::thread::sleep(Duration::from_millis(500));
            broker.kill();
            Ok(())
        })?;
        let began = Instant::now();
        let broker = stage.launcher.start(system, &setup)?;
        produce_until_acknowledged(&broker.address, &topic.name, began)?;
        let to_ack = began.elapsed();
        let ends = Admin::open(&broker.address)?.end_offsets(&topic.name, PARTITIONS)?;
        let acknowledged = seen.places.as_ref().context("the load kept no places")?;
        let acknowledged = acknowledged.lock().expect("no holder panics");
        let settings = consumer_settings(&broker.address);
        let found = read_back(&topic.name, &ends, &acknowledged, &settings)?;
        Ok(vec![
            Measured::new(METADATA, broker.started_in.as_secs_f64() * 1_000.0),
            Measured::new(PRODUCE, to_ack.as_secs_f64() * 1_000.0),
            Measured::new(LOST, found.lost as f64),
            Measured::new(TWICE, found.twice as f64),
        ])
    }
}

fn produce_until_acknowledged(address: &str, topic: &str, began: Instant) -> anyhow::Result<()> {
    let batch = Batch::new([&b"back"[..]]);
    let body = ProduceRequest { topic, acks: -1, partitions: 0..1, batch: &batch }.body();
    loop {
        let asked = Connection::open(address).and_then(|mut connection| {
            connection.ask(ProduceRequest::API, ProduceRequest::VERSION, &body)
        });
        match asked.and_then(|answer| check_produced(&answer)) {
            Ok(()) => return Ok(()),
            Err(error) if began.elapsed() > Duration::from_secs(120) => {
                bail!("no acknowledgement in 120 s: {error}")
            }
            Err(_) => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}
