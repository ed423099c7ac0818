//! One producer at full speed.

use super::{FRESH, KIB, SMALL, Size, of_values, record_rate, short_retention};
use crate::{
    limits::{self, Limits, fresh_memory_cpu},
    load::throughput::{Done, Volume, producer_settings},
    report::{Better, Figure},
    rows::{CLIENT_CPU, CPU, Measured, RATE, RECORDS, Row, STORE_CPU},
    stage::{Metered, Place, Stage},
    system::System,
    wire::{ADD_PARTITIONS_TO_TXN, require},
};

/// Records of a transaction: at 1 KiB 100 MB, several of them a second.
const TRANSACTION_RECORDS: u64 = 100_000;

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

/// The produce rows.
pub(super) fn rows() -> Vec<Box<dyn Row>> {
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
    rows
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
        if self.place != Place::Directory {
            return Ok(self.figures(stage.limits, &metered, volume.records));
        }
        let mut limits = stage.limits.clone();
        (limits.disk, limits.disk_of_four) = limits::disk(stage.scratch.path())?;
        let mut measured = self.figures(&limits, &metered, volume.records);
        measured.extend(of_the_disk(&metered, &limits));
        Ok(measured)
    }
}

/// How the rate stands to what the disk took right after it, from one writer and from four.
fn of_the_disk(metered: &Metered<Done>, limits: &Limits) -> [Measured; 3] {
    const SHARE: Figure = Figure::new("share of the disk's rate", "of 1", Better::Higher, 2);
    const OF_FOUR: Figure = Figure::new("share of four writers' rate", "of 1", Better::Higher, 2);
    const DISK_CPU: Figure = Figure::new("synced writes' own CPU", "s/GiB", Better::Neither, 2);
    let rate = metered.result.megabytes_per_second();
    [
        Measured::beside(SHARE, rate / limits.disk.rate, 1.0, "a synced write at a time"),
        Measured::beside(OF_FOUR, rate / limits.disk_of_four.rate, 1.0, "four at a time"),
        Measured::new(DISK_CPU, limits.disk.cpu),
    ]
}

impl Produce {
    fn figures(&self, limits: &Limits, metered: &Metered<Done>, records: u64) -> Vec<Measured> {
        let done = metered.result;
        let (rate_limit, what) = match self.place {
            Place::Memory => (limits.loopback_rate, "loopback"),
            Place::Directory => (limits.disk_most(), "synced disk, 1 or 4 writers"),
            Place::Emulator(_) => (limits.put_rate, "raw PUT"),
            // What MinIO itself writes to; its own raw rate is not measured.
            Place::Minio => (limits.disk_most(), "synced disk, 1 or 4 writers"),
        };
        let (cpu_limit, work) = match self.place {
            Place::Memory | Place::Directory => (limits.produce_cpu(), "receive + CRC"),
            Place::Emulator(_) | Place::Minio => {
                (limits.produce_cpu() + limits.loopback_send_cpu, "receive + CRC + send")
            }
        };
        let (faster, cheaper) = of_values(self.codec, self.size);
        let (rate_limit, cpu_limit) = (rate_limit * faster, cpu_limit * cheaper);
        let cpu = metered.reading.processes[0] / done.gibibytes();
        let record_limit = record_rate(rate_limit, self.size.bytes);
        let mut measured = vec![
            Measured::beside(RATE, done.megabytes_per_second(), rate_limit, what),
            Measured::beside(RECORDS, records as f64 / 1_000.0 / done.seconds, record_limit, what),
            Measured::beside(CPU, cpu, cpu_limit, work),
            Measured::new(CLIENT_CPU, metered.reading.client / done.gibibytes()),
            Measured::new(FRESH, fresh_memory_cpu()),
        ];
        if let Some(store) = metered.reading.processes.get(1) {
            measured.push(Measured::new(STORE_CPU, store / done.gibibytes()));
        }
        measured
    }
}
