//! OpenMessaging Benchmark's workloads without a rate, or with one beyond every system: producers and consumers at once, as
//! fast as they can.

use std::{thread, time::Instant};

use super::{CPU, Measured, RATE, Row};
use crate::{
    load::throughput::{Volume, consumer_settings, producer_settings},
    report::{Better, Figure},
    stage::{Place, Stage},
    system::System,
};

/// A file of OpenMessaging Benchmark's: of each topic one producer and one consumer, values of 1 KiB.
struct MaxRate {
    name: &'static str,
    topics: usize,
    partitions: i32,
}

/// Of all topics: 2 GiB, as a store in memory of 4 GiB allows while the last turn's still goes.
const RECORDS: u64 = 2 << 20;

const ROWS: [MaxRate; 4] = [
    MaxRate { name: "max-rate-1-topic-1-partition-1p-1c-1kb", topics: 1, partitions: 1 },
    MaxRate { name: "max-rate-1-topic-16-partitions-1kb", topics: 1, partitions: 16 },
    MaxRate { name: "max-rate-1-topic-100-partitions-1kb", topics: 1, partitions: 100 },
    MaxRate { name: "max-rate-10-topics-1-partition-1kb", topics: 10, partitions: 1 },
];

/// The rows.
pub(super) fn rows() -> Vec<Box<dyn Row>> {
    ROWS.into_iter().map(|row| Box::new(row) as Box<dyn Row>).collect()
}

/// Seconds until every topic's records were acknowledged, and until they were consumed.
fn run(volumes: &[Volume]) -> anyhow::Result<[f64; 2]> {
    let began = Instant::now();
    let consume = |volume: &Volume| -> anyhow::Result<f64> {
        volume.consume(&consumer_settings(&volume.address), 1)?;
        Ok(began.elapsed().as_secs_f64())
    };
    let produce = |volume: &Volume| -> anyhow::Result<f64> {
        volume.produce(&producer_settings(&volume.address, "none", false))?;
        Ok(began.elapsed().as_secs_f64())
    };
    let (consume, produce) = (&consume, &produce);
    thread::scope(|scope| {
        let consuming: Vec<_> =
            volumes.iter().map(|volume| scope.spawn(move || consume(volume))).collect();
        let producing: Vec<_> =
            volumes.iter().map(|volume| scope.spawn(move || produce(volume))).collect();
        let last = |threads: Vec<thread::ScopedJoinHandle<'_, anyhow::Result<f64>>>| {
            let ended = threads.into_iter().map(|thread| thread.join().expect("no panic"));
            ended
                .collect::<Vec<_>>()
                .into_iter()
                .try_fold(0.0f64, |last, ended| anyhow::Ok(last.max(ended?)))
        };
        Ok([last(producing)?, last(consuming)?])
    })
}

impl Row for MaxRate {
    fn name(&self) -> String {
        format!("omb-{}", self.name)
    }

    fn about(&self) -> String {
        format!(
            "OpenMessaging Benchmark: topics {}, partitions {} each, 1 KiB, a producer and a consumer of each topic as fast \
             as they can",
            self.topics, self.partitions
        )
    }

    fn turn(&self, stage: &mut Stage<'_>, system: System) -> anyhow::Result<Vec<Measured>> {
        const CONSUMED: Figure = Figure::new("consume rate", "MB/s", Better::Higher, 0);
        stage.open(system, Place::Memory)?;
        let topics: Vec<String> = (0..self.topics)
            .map(|_| stage.topic(system, self.partitions, &[]))
            .collect::<Result<_, _>>()?;
        let records = stage.scaled(RECORDS) / self.topics as u64;
        let volumes: Vec<Volume> = topics
            .iter()
            .map(|topic| Volume {
                address: stage.address(system),
                topic: topic.clone(),
                partitions: self.partitions,
                value_bytes: 1_024,
                records,
            })
            .collect();
        let metered = stage.metered(system, || run(&volumes))?;
        stage.drop_topics(system, &topics)?;
        let [produced, consumed] = metered.result;
        let bytes = (records * self.topics as u64 * 1_024) as f64;
        let cpu = metered.reading.processes[0] / (bytes / (1u64 << 30) as f64);
        let limits = stage.limits;
        let (rate, what) = (limits.relay_rate(1), "half the loopback");
        Ok(vec![
            Measured::beside(RATE, bytes / 1e6 / produced, rate, what),
            Measured::beside(CONSUMED, bytes / 1e6 / consumed, rate, what),
            Measured::beside(CPU, cpu, limits.relay_cpu(1), "receive + CRC + send"),
        ])
    }
}
