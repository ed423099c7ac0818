//! A consumer that comes late, while the producer goes on.

use std::{sync::atomic::Ordering, time::Duration};

use anyhow::Context;

use super::{CPU, Measured, RATE, Row};
use crate::{
    load::{
        paced::{Clients, Paced, producer_settings as paced_settings},
        throughput::{Volume, consumer_settings, producer_settings},
    },
    report::{Better, Figure},
    stage::{Place, Stage},
    system::System,
};

/// A backlog of 1 KiB values, read while more is written to the same topic.
struct Backlog {
    name: &'static str,
    about: &'static str,
    partitions: i32,
    records: u64,
    rate: u64,
}

/// Half of what a store in memory of 4 GiB holds: what is written meanwhile is as much as a quarter.
const TWO_GIB: u64 = 2 << 20;

const ROWS: [Backlog; 3] = [
    Backlog {
        name: "catch-up",
        about: "1 GiB of 1 KiB values in 1 partition is read while 10,000 more are written each second",
        partitions: 1,
        records: 1 << 20,
        rate: 10_000,
    },
    Backlog {
        name: "omb-backlog-1-topic-1-partition-1kb",
        about: "OpenMessaging Benchmark: 1 topic, 1 partition, 1 KiB, 100,000 a second; 2 GiB behind instead of 100",
        partitions: 1,
        records: TWO_GIB,
        rate: 100_000,
    },
    Backlog {
        name: "omb-backlog-1-topic-16-partitions-1kb",
        about: "OpenMessaging Benchmark: 1 topic, 16 partitions, 1 KiB, 100,000 a second; 2 GiB behind instead of 100",
        partitions: 16,
        records: TWO_GIB,
        rate: 100_000,
    },
];

/// The rows.
pub(super) fn rows() -> Vec<Box<dyn Row>> {
    ROWS.into_iter().map(|row| Box::new(row) as Box<dyn Row>).collect()
}

impl Row for Backlog {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn about(&self) -> String {
        self.about.to_owned()
    }

    fn turn(&self, stage: &mut Stage<'_>, system: System) -> anyhow::Result<Vec<Measured>> {
        const CAUGHT_UP: Figure = Figure::new("caught up after", "s", Better::Lower, 2);
        const ACHIEVED: Figure = Figure::new("produced meanwhile", "k/s", Better::Higher, 1);
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
        stage.settle();
        let mut producer = paced_settings(&address);
        producer.push(("queue.buffering.max.kbytes".to_owned(), "64000".to_owned()));
        let paced = Paced {
            producer,
            consumer: consumer_settings(&address),
            topics: vec![topic.clone()],
            partitions: self.partitions,
            value_bytes: 1_024,
            rate: self.rate,
            warm_up: Duration::from_secs(1),
            duration: stage.seconds(7.0),
            patience: Duration::from_secs(60),
            clients: Clients::ONE,
            behind: volume.records,
            keep_places: false,
        };
        let metered = stage.metered(system, || paced.run(|| Ok(())))?;
        stage.drop_topic(system, &topic)?;
        let seen = &metered.result;
        seen.complete()?;
        let caught_up = seen.caught_up.get().context("the consumer never caught up")?;
        let seconds = caught_up.after.as_secs_f64();
        let rate = caught_up.records as f64 * 1_024.0 / 1e6 / seconds;
        let gibibytes = |records: u64| records as f64 * 1_024.0 / (1u64 << 30) as f64;
        let written = gibibytes(seen.acknowledged.load(Ordering::Relaxed));
        let read = gibibytes(seen.consumed.load(Ordering::Relaxed));
        let (limits, moved) = (stage.limits, written + read);
        let cpu_limit = (written * limits.produce_cpu() + read * limits.tail_send_cpu) / moved;
        // What is written meanwhile takes its share of the loopback.
        let meanwhile = seen.acknowledged_rate() * 1_024.0 / 1e6;
        let rate_limit = limits.loopback_rate - meanwhile;
        let least = caught_up.records as f64 * 1_024.0 / 1e6 / rate_limit;
        let (asked, achieved) = (self.rate as f64 / 1_000.0, seen.acknowledged_rate() / 1_000.0);
        let p99 = seen.produce.quantile_ms(0.99);
        let cpu = metered.reading.processes[0] / moved;
        Ok(vec![
            Measured::beside(RATE, rate, rate_limit, "loopback less writes"),
            Measured::beside(CAUGHT_UP, seconds, least, "loopback less writes"),
            Measured::beside(ACHIEVED, achieved, asked, "asked for"),
            Measured::beside(P99, p99, limits.trip.alone_ms[1], "bare trip"),
            Measured::beside(CPU, cpu, cpu_limit, "receive + CRC, send"),
        ])
    }
}
