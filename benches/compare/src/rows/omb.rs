//! OpenMessaging Benchmark's workloads with a fixed rate: what its file of the same name says, for seconds instead of minutes.

use std::{sync::atomic::Ordering, time::Duration};

use super::{CPU, Measured, Row, latency::latencies};
use crate::{
    load::paced::{Clients, Paced, Seen, consumer_settings, producer_settings},
    report::{Better, Figure},
    stage::{Metered, Place, Stage},
    system::System,
};

/// A file of OpenMessaging Benchmark's. Values are of 1 KiB; rates are those of all producers together.
struct Workload {
    name: &'static str,
    topics: usize,
    partitions: i32,
    rate: u64,
    producers_per_topic: usize,
    subscriptions: usize,
}

/// Clients of a kind, in each subscription, which then share the topics. Each is an instance of librdkafka with threads of
/// its own: with the hundreds that the files ask for, two cores do little but switch between them.
const CLIENTS_MAX: usize = 4;

/// What waits in all producers together, as in the rows at full speed.
const WAITING_KILOBYTES: usize = 64_000;

/// What the topics keep, so that a store of limited size takes any rate: consumers are never that far behind.
const KEPT_BYTES: usize = 3 << 29;

const SINGLE: Workload = Workload {
    name: "",
    topics: 1,
    partitions: 1,
    rate: 50_000,
    producers_per_topic: 1,
    subscriptions: 1,
};

const ROWS: [Workload; 5] = [
    Workload { name: "1-topic-16-partitions-1kb", partitions: 16, ..SINGLE },
    // The files with one partition a topic: what topics cost.
    Workload { name: "1-topic-1-partition-1kb", ..SINGLE },
    Workload {
        name: "100-topics-1-partitions-1kb",
        topics: 100,
        rate: 150_000,
        subscriptions: 3,
        ..SINGLE
    },
    Workload {
        name: "100-topic-1kb-4p-4c-500k",
        topics: 100,
        rate: 500_000,
        producers_per_topic: 4,
        ..SINGLE
    },
    Workload {
        name: "500-topic-1kb-4p-4c-500k",
        topics: 500,
        rate: 500_000,
        producers_per_topic: 4,
        ..SINGLE
    },
];

/// The rows.
pub(super) fn rows() -> Vec<Box<dyn Row>> {
    ROWS.into_iter().map(|row| Box::new(row) as Box<dyn Row>).collect()
}

impl Workload {
    fn clients(&self) -> Clients {
        let wanted = self.topics * self.producers_per_topic;
        let producers = if wanted <= CLIENTS_MAX { wanted } else { self.topics.min(CLIENTS_MAX) };
        let consumers = self.topics.min(CLIENTS_MAX);
        Clients { producers, consumers, subscriptions: self.subscriptions }
    }

    fn load(&self, address: String, topics: &[String], duration: Duration) -> Paced {
        let clients = self.clients();
        let mut producer = producer_settings(&address);
        let waiting = WAITING_KILOBYTES / clients.producers;
        producer.push(("queue.buffering.max.kbytes".to_owned(), waiting.to_string()));
        Paced {
            producer,
            consumer: consumer_settings(&address),
            topics: topics.to_vec(),
            partitions: self.partitions,
            value_bytes: 1_024,
            rate: self.rate,
            warm_up: Duration::from_secs(2),
            duration,
            patience: Duration::from_secs(30),
            clients,
            behind: 0,
            keep_places: false,
        }
    }

    fn figures(&self, stage: &Stage<'_>, metered: &Metered<std::sync::Arc<Seen>>) -> Vec<Measured> {
        const RATE: Figure = Figure::new("achieved rate", "k/s", Better::Higher, 1);
        const CONSUMED: Figure = Figure::new("consumed", "k/s", Better::Higher, 1);
        let (seen, subscriptions) = (&metered.result, self.subscriptions);
        let machine = stage.limits.relay_rate(subscriptions) * 1_000.0 / 1_024.0;
        let (asked, whose) = match self.rate as f64 / 1_000.0 {
            asked if asked <= machine => (asked, "asked for"),
            _ => (machine, "loopback, in and out"),
        };
        let gibibytes =
            seen.acknowledged.load(Ordering::Relaxed) as f64 * 1_024.0 / (1u64 << 30) as f64;
        let cpu = metered.reading.processes[0] / gibibytes;
        let consumed = seen.consumed_rate() / 1_000.0;
        let mut measured = vec![
            Measured::beside(RATE, seen.acknowledged_rate() / 1_000.0, asked, whose),
            Measured::beside(CONSUMED, consumed, asked * subscriptions as f64, whose),
        ];
        measured.extend(latencies(seen, (stage.limits.trip.alone_ms, "bare trip")));
        let limit = stage.limits.relay_cpu(subscriptions);
        measured.push(Measured::beside(CPU, cpu, limit, "receive + CRC + send"));
        measured
    }
}

impl Row for Workload {
    fn name(&self) -> String {
        format!("omb-{}", self.name)
    }

    fn about(&self) -> String {
        let Clients { producers, consumers, subscriptions } = self.clients();
        format!(
            "OpenMessaging Benchmark: topics {}, partitions {} each, 1 KiB, {} a second in all; producers {producers}, \
             consumers {}",
            self.topics,
            self.partitions,
            self.rate,
            consumers * subscriptions
        )
    }

    fn turn(&self, stage: &mut Stage<'_>, system: System) -> anyhow::Result<Vec<Measured>> {
        stage.open(system, Place::Memory)?;
        let kept = KEPT_BYTES / self.topics / self.partitions as usize;
        let configs = [
            ("retention.bytes", kept.to_string()),
            // Kafka deletes whole segments.
            ("segment.bytes", (kept / 4).max(1 << 20).to_string()),
        ];
        let topics: Vec<String> = (0..self.topics)
            .map(|_| stage.topic(system, self.partitions, &configs))
            .collect::<Result<_, _>>()?;
        stage.settle();
        let load = self.load(stage.address(system), &topics, stage.seconds(10.0));
        let metered = stage.metered(system, || load.run(|| Ok(())))?;
        stage.drop_topics(system, &topics)?;
        metered.result.complete()?;
        Ok(self.figures(stage, &metered))
    }
}
