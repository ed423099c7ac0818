//! A consumer that comes late, while the producer goes on.

use std::{sync::atomic::Ordering, time::Duration};

use anyhow::ensure;

use super::{CPU, Measured, RATE, Row};
use crate::{
    load::{
        paced::{Paced, producer_settings as paced_settings},
        throughput::{Volume, consumer_settings, producer_settings},
    },
    report::{Better, Figure},
    stage::{Place, Stage},
    system::System,
};

/// A backlog, read while more is written.
struct Backlog {
    name: &'static str,
    about: &'static str,
    partitions: i32,
    records: u64,
    rate: u64,
}

/// A producer and a consumer at once, both at full speed.
struct MaxRate;

/// The rows.
pub(super) fn rows() -> Vec<Box<dyn Row>> {
    vec![
        Box::new(MaxRate),
        Box::new(Backlog {
            name: "catch-up",
            about: "1 GiB of 1 KiB values in 1 partition is read while 10,000 more are written each second",
            partitions: 1,
            records: 1 << 20,
            rate: 10_000,
        }),
        Box::new(Backlog {
            name: "omb-backlog",
            about: "OpenMessaging Benchmark's backlog, smaller: 1 topic, 16 partitions, 1 KiB, 1 GiB behind, 50,000 a second",
            partitions: 16,
            records: 1 << 20,
            rate: 50_000,
        }),
    ]
}

impl Row for Backlog {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn about(&self) -> String {
        self.about.to_owned()
    }

    fn turn(&self, stage: &mut Stage<'_>, system: System) -> anyhow::Result<Vec<Measured>> {
        const P99: Figure = Figure::new("produce p99 meanwhile", "ms", Better::Lower, 2);
        stage.open(system, Place::Memory)?;
        let topic = stage.topic(system, self.partitions, &[])?;
        let address = stage.address(system);
        let volume = Volume {
            address: address.clone(),
            topic: topic.clone(),
            partitions: self.partitions,
            value_bytes: 1_024,
            records: stage.scaled(self.records),
        };
        volume.produce(&producer_settings(&address, "none", false))?;
        let beside = stage.topic(system, self.partitions, &[])?;
        stage.settle();
        // The producer writes to a topic of its own: the reader's end is then known, and the load on the broker the same.
        let paced = Paced {
            address: address.clone(),
            topics: vec![beside.clone()],
            partitions: self.partitions,
            value_bytes: 1_024,
            rate: self.rate,
            warm_up: Duration::from_secs(1),
            duration: stage.seconds(5.0),
            patience: Duration::from_secs(30),
            producer: paced_settings(&address),
        };
        let settings = consumer_settings(&address);
        let (done, send) = std::sync::mpsc::channel();
        let metered = stage.metered(system, || {
            paced.run(|| {
                let consumed = volume.consume(&settings)?;
                // The receiver lives until the load is over.
                let _ = done.send(consumed);
                Ok(())
            })
        })?;
        let consumed = send.recv()?;
        stage.drop_topic(system, &topic)?;
        stage.drop_topic(system, &beside)?;
        let seen = &metered.result;
        ensure!(seen.failed.load(Ordering::Relaxed) == 0, "some records failed");
        let written =
            seen.acknowledged.load(Ordering::Relaxed) as f64 * 1_024.0 / (1u64 << 30) as f64;
        let moved = consumed.gibibytes() + 2.0 * written;
        Ok(vec![
            Measured::beside(
                RATE,
                consumed.megabytes_per_second(),
                stage.limits.loopback_rate,
                "loopback",
            ),
            Measured::new(P99, seen.produce.quantile_ms(0.99)),
            Measured::new(CPU, metered.reading.processes[0] / moved),
        ])
    }
}

impl Row for MaxRate {
    fn name(&self) -> String {
        "omb-max-rate-1-topic-16-partitions-1kb".to_owned()
    }

    fn about(&self) -> String {
        "OpenMessaging Benchmark: 1 topic, 16 partitions, 1 KiB, one producer and one consumer as fast as they can".to_owned()
    }

    fn turn(&self, stage: &mut Stage<'_>, system: System) -> anyhow::Result<Vec<Measured>> {
        const CONSUMED: Figure = Figure::new("consume rate", "MB/s", Better::Higher, 0);
        stage.open(system, Place::Memory)?;
        let topic = stage.topic(system, 16, &[])?;
        let address = stage.address(system);
        let volume = Volume {
            address: address.clone(),
            topic: topic.clone(),
            partitions: 16,
            value_bytes: 1_024,
            records: stage.scaled(1 << 20),
        };
        let metered = stage.metered(system, || {
            std::thread::scope(|scope| {
                let consuming = scope.spawn(|| volume.consume(&consumer_settings(&address)));
                let produced = volume.produce(&producer_settings(&address, "none", false))?;
                let consumed = consuming.join().expect("the consumer does not panic")?;
                anyhow::Ok((produced, consumed))
            })
        })?;
        stage.drop_topic(system, &topic)?;
        let (produced, consumed) = metered.result;
        Ok(vec![
            Measured::beside(
                RATE,
                produced.megabytes_per_second(),
                stage.limits.loopback_rate / 2.0,
                "half the loopback",
            ),
            Measured::new(CONSUMED, consumed.megabytes_per_second()),
            Measured::new(CPU, metered.reading.processes[0] / produced.gibibytes()),
        ])
    }
}
