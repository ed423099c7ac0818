//! One client at full speed: rate, and the broker's CPU for each GiB.

use anyhow::{Context, ensure};

use super::{CLIENT_CPU, CPU, Measured, RATE, RECORDS, Row, STORE_CPU};
use crate::{
    limits::fresh_memory_cpu,
    load::throughput::{Done, Volume, consumer_settings, producer_settings},
    report::{Better, Figure},
    stage::{Metered, Place, Stage},
    system::System,
    wire::{ADD_PARTITIONS_TO_TXN, require},
};

/// Of the machine, in the same turn: what new pages cost, be they the client's, the broker's or the kernel's.
const FRESH: Figure = Figure::new("fresh memory", "CPU-s/GiB", Better::Neither, 2);

/// A size of values with the volume that makes a turn some seconds long.
#[derive(Debug, Clone, Copy)]
struct Size {
    name: &'static str,
    bytes: usize,
    records: u64,
}

const KIB: Size = Size { name: "1k", bytes: 1_024, records: 1 << 20 };
const SMALL: Size = Size { name: "100b", bytes: 100, records: 6_000_000 };

struct Produce {
    size: Size,
    partitions: i32,
    codec: &'static str,
    promise: Promise,
    place: Place,
}

/// What a producer asks for beyond an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Promise {
    /// Nothing.
    Plain,
    /// No duplicates.
    Idempotent,
    /// Transactions of 100,000 records.
    Transactional,
}

/// Records of a transaction: at 1 KiB 100 MB, several of them a second.
const TRANSACTION_RECORDS: u64 = 100_000;

struct Consume {
    size: Size,
    partitions: i32,
    codec: &'static str,
}

/// Values that a turn of a consume row reads, again and again.
const TAIL_BYTES: u64 = 64 << 20;

/// How often: 3 GiB.
const PASSES: u64 = 48;

/// Kafka's own client in a Java process.
struct JavaProduce;

/// The produce rows.
pub(super) fn produce_rows() -> Vec<Box<dyn Row>> {
    use Promise::{Idempotent, Plain, Transactional};
    let mut rows: Vec<Box<dyn Row>> = Vec::new();
    for size in [KIB, SMALL] {
        for (partitions, codec, promise) in [
            (1, "none", Plain),
            (1, "none", Idempotent),
            (1, "none", Transactional),
            (1, "lz4", Plain),
            (1, "zstd", Plain),
            (100, "none", Plain),
            (100, "none", Idempotent),
            (100, "none", Transactional),
            (100, "lz4", Plain),
            (100, "zstd", Plain),
        ] {
            rows.push(Box::new(Produce { size, partitions, codec, promise, place: Place::Memory }));
        }
    }
    rows.push(Box::new(Produce {
        partitions: 1_000,
        size: KIB,
        codec: "none",
        promise: Plain,
        place: Place::Memory,
    }));
    for place in [Place::Emulator("zero"), Place::Minio, Place::Directory] {
        rows.push(Box::new(Produce {
            size: KIB,
            partitions: 1,
            codec: "none",
            promise: Plain,
            place,
        }));
    }
    rows.push(Box::new(JavaProduce));
    rows
}

/// The consume rows.
pub(super) fn consume_rows() -> Vec<Box<dyn Row>> {
    let mut rows: Vec<Box<dyn Row>> = Vec::new();
    for size in [KIB, SMALL] {
        for (partitions, codec) in [(1, "none"), (1, "lz4"), (1, "zstd"), (100, "none")] {
            rows.push(Box::new(Consume { size, partitions, codec }));
        }
    }
    rows
}

/// Topic settings that let a store of limited size follow a producer at full speed.
fn short_retention(partitions: i32) -> [(&'static str, String); 2] {
    let kept = (256 << 20) / partitions;
    // Kafka deletes whole segments.
    [("retention.bytes", kept.to_string()), ("segment.bytes", (kept / 4).max(1 << 20).to_string())]
}

impl Row for Produce {
    fn name(&self) -> String {
        match self.place {
            Place::Directory => return "local-fsync".to_owned(),
            Place::Emulator(_) => return "produce-1k-1p-none-s3".to_owned(),
            Place::Minio => return "produce-1k-1p-none-minio".to_owned(),
            Place::Memory => {}
        }
        let promise = match self.promise {
            Promise::Plain => "",
            Promise::Idempotent => "-idempotent",
            Promise::Transactional => "-transactional",
        };
        format!("produce-{}-{}p-{}{promise}", self.size.name, self.partitions, self.codec)
    }

    fn about(&self) -> String {
        let store = match self.place {
            Place::Memory => "Thalweg on its memory store, Kafka unsynced",
            Place::Directory => "Thalweg on a local directory, synced; Kafka with flush.messages=1",
            Place::Emulator(_) => "Thalweg over HTTP to the store emulator, Kafka unsynced",
            Place::Minio => "Thalweg on a real MinIO, Kafka unsynced",
        };
        let promise = match self.promise {
            Promise::Plain => "",
            Promise::Idempotent => ", idempotent",
            Promise::Transactional => ", in transactions of 100,000 records",
        };
        format!(
            "one librdkafka producer at full speed: {} B values, partitions {}, {}{promise}; {store}",
            self.size.bytes, self.partitions, self.codec
        )
    }

    fn turn(&self, stage: &mut Stage<'_>, system: System) -> anyhow::Result<Vec<Measured>> {
        stage.open(system, self.place)?;
        let mut configs = short_retention(self.partitions).to_vec();
        if self.place == Place::Directory && system == System::Kafka {
            configs.push(("flush.messages", "1".to_owned()));
        }
        let topic = stage.topic(system, self.partitions, &configs)?;
        let volume = Volume {
            address: stage.address(system),
            topic: topic.clone(),
            partitions: self.partitions,
            value_bytes: self.size.bytes,
            records: stage.scaled(self.size.records),
        };
        let exactly_once = self.promise != Promise::Plain;
        let mut settings = producer_settings(&volume.address, self.codec, exactly_once);
        let metered = if self.promise == Promise::Transactional {
            require(&volume.address, system.name(), ADD_PARTITIONS_TO_TXN)?;
            settings.push(("transactional.id".to_owned(), topic.clone()));
            let load = || volume.produce_in_transactions(&settings, TRANSACTION_RECORDS);
            stage.metered(system, load)?
        } else {
            stage.metered(system, || volume.produce(&settings))?
        };
        stage.drop_topic(system, &topic)?;
        let mut measured = self.figures(stage, &metered, volume.records);
        if self.place == Place::Directory {
            const SHARE: Figure =
                Figure::new("share of the disk's rate", "of 1", Better::Higher, 2);
            let share = metered.result.megabytes_per_second() / stage.limits.disk_rate;
            measured.push(Measured::beside(SHARE, share, 1.0, "synced 8 MiB writes"));
        }
        Ok(measured)
    }
}

impl Produce {
    fn figures(&self, stage: &Stage<'_>, metered: &Metered<Done>, records: u64) -> Vec<Measured> {
        let limits = stage.limits;
        let done = metered.result;
        let (rate_limit, what) = match self.place {
            Place::Memory => (limits.loopback_rate, "loopback"),
            Place::Directory => (limits.disk_rate, "synced disk"),
            Place::Emulator(_) => (limits.put_rate, "raw PUT"),
            // What MinIO itself writes to; its own raw rate is not measured.
            Place::Minio => (limits.disk_rate, "synced disk"),
        };
        let cpu = metered.reading.processes[0] / done.gibibytes();
        let mut measured = vec![
            Measured::beside(RATE, done.megabytes_per_second(), rate_limit, what),
            Measured::new(RECORDS, records as f64 / 1_000.0 / done.seconds),
            Measured::beside(CPU, cpu, limits.produce_cpu(), "receive + CRC"),
            Measured::new(CLIENT_CPU, metered.reading.client / done.gibibytes()),
            Measured::new(FRESH, fresh_memory_cpu()),
        ];
        if let Some(store) = metered.reading.processes.get(1) {
            measured.push(Measured::new(STORE_CPU, store / done.gibibytes()));
        }
        measured
    }
}

impl Row for Consume {
    fn name(&self) -> String {
        format!("consume-{}-{}p-{}", self.size.name, self.partitions, self.codec)
    }

    fn about(&self) -> String {
        format!(
            "one librdkafka consumer at full speed, 48 passes over 64 MiB: {} B values, partitions {}, {}; Thalweg from \
             its RAM tail, Kafka from the page cache",
            self.size.bytes, self.partitions, self.codec
        )
    }

    fn turn(&self, stage: &mut Stage<'_>, system: System) -> anyhow::Result<Vec<Measured>> {
        stage.open(system, Place::Memory)?;
        let topic = stage.topic(system, self.partitions, &[])?;
        let volume = Volume {
            address: stage.address(system),
            topic: topic.clone(),
            partitions: self.partitions,
            value_bytes: self.size.bytes,
            // Well within Thalweg's default `tail.bytes` of 128 MiB, what records carry beside their values included.
            records: TAIL_BYTES / self.size.bytes as u64,
        };
        // What is scaled is how often it is read: fewer bytes would weigh each consumer's start instead.
        let passes = stage.scaled(PASSES);
        volume.produce(&producer_settings(&volume.address, self.codec, false))?;
        stage.settle();
        let settings = consumer_settings(&volume.address);
        let metered = stage.metered(system, || {
            (0..passes).try_fold(Done { seconds: 0.0, bytes: 0 }, |sum, _| {
                let done = volume.consume(&settings)?;
                anyhow::Ok(Done {
                    seconds: sum.seconds + done.seconds,
                    bytes: sum.bytes + done.bytes,
                })
            })
        })?;
        stage.drop_topic(system, &topic)?;
        let done = metered.result;
        let records = (volume.records * passes) as f64;
        let cpu = metered.reading.processes[0] / done.gibibytes();
        Ok(vec![
            Measured::beside(
                RATE,
                done.megabytes_per_second(),
                stage.limits.loopback_rate,
                "loopback",
            ),
            Measured::new(RECORDS, records / 1_000.0 / done.seconds),
            Measured::beside(CPU, cpu, stage.limits.tail_send_cpu, "send of 64 MiB"),
            Measured::new(CLIENT_CPU, metered.reading.client / done.gibibytes()),
            Measured::new(FRESH, fresh_memory_cpu()),
        ])
    }
}

impl Row for JavaProduce {
    fn name(&self) -> String {
        "produce-1k-1p-none-java".to_owned()
    }

    fn about(&self) -> String {
        "Kafka's own ProducerPerformance at full speed: 1,024 B values, 1 partition, acks=all, 5 ms linger".to_owned()
    }

    fn turn(&self, stage: &mut Stage<'_>, system: System) -> anyhow::Result<Vec<Measured>> {
        stage.open(system, Place::Memory)?;
        let topic = stage.topic(system, 1, &short_retention(1))?;
        let records = stage.scaled(KIB.records);
        let bootstrap = format!("bootstrap.servers={}", stage.address(system));
        let kafka =
            stage.launcher.kafka.as_ref().context("ProducerPerformance comes with Apache Kafka")?;
        let program = kafka
            .java(&["-Xms512m", "-Xmx512m"], "org.apache.kafka.tools.ProducerPerformance")
            .arguments(["--topic", &topic, "--throughput", "-1", "--record-size", "1024"])
            .arguments(["--num-records".to_owned(), records.to_string()])
            .arguments([
                "--producer-props",
                &bootstrap,
                "acks=all",
                "linger.ms=5",
                "batch.size=1000000",
            ])
            .arguments(["buffer.memory=134217728"]);
        let metered = stage.metered(system, || program.output())?;
        // The client is a process of its own here, so what it uses is no disturbance.
        stage.take_disturbance();
        stage.drop_topic(system, &topic)?;
        let rate = final_rate(&metered.result)?;
        let gibibytes = (records * KIB.bytes as u64) as f64 / (1u64 << 30) as f64;
        Ok(vec![
            Measured::beside(RATE, rate, stage.limits.loopback_rate, "loopback"),
            Measured::beside(
                CPU,
                metered.reading.processes[0] / gibibytes,
                stage.limits.produce_cpu(),
                "receive + CRC",
            ),
        ])
    }
}

/// The MB/s of ProducerPerformance's last summary, which it counts in MiB.
fn final_rate(output: &str) -> anyhow::Result<f64> {
    let line = output.lines().rev().find(|line| line.contains("MB/sec")).context("no summary")?;
    let before = line.split("MB/sec").next().unwrap_or("");
    let number = before
        .rsplit(['(', ' '])
        .find(|text| !text.is_empty())
        .context("no rate in the summary")?;
    let rate: f64 = number.parse()?;
    ensure!(rate > 0.0, "nothing was sent");
    Ok(rate * (1u64 << 20) as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_read() {
        let line = "100000 records sent, 59916.1 records/sec (58.51 MB/sec), 3.2 ms avg latency, 250.00 ms max latency.";
        assert!((final_rate(line).expect("a summary") - 61.35).abs() < 0.01);
    }
}
