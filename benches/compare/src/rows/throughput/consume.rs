//! One consumer at full speed.

use super::{FRESH, KIB, SMALL, Size, of_values, record_rate};
use crate::{
    limits::fresh_memory_cpu,
    load::throughput::{Volume, consumer_settings, producer_settings},
    rows::{CLIENT_CPU, CPU, Measured, RATE, RECORDS, Row},
    stage::{Place, Stage},
    system::System,
    wire::{ADD_PARTITIONS_TO_TXN, require},
};

struct Consume {
    size: Size,
    partitions: i32,
    written: Written,
}

/// How the records came to be there.
#[derive(Debug, Clone, Copy)]
enum Written {
    /// By a plain producer with a codec.
    Plain(&'static str),
    /// In transactions, uncompressed; the consumer reads what is committed.
    InTransactions,
}

/// Values that a turn of a consume row reads, again and again.
const TAIL_BYTES: u64 = 64 << 20;

/// How often: 3 GiB.
const PASSES: u64 = 48;

/// Records of a transaction: at 1 KiB seven of them in what is read.
const TRANSACTION_RECORDS: u64 = 10_000;

/// The consume rows.
pub(super) fn rows() -> Vec<Box<dyn Row>> {
    use Written::{InTransactions, Plain};
    let mut rows: Vec<Box<dyn Row>> = Vec::new();
    for size in [KIB, SMALL] {
        for partitions in [1, 100] {
            for written in [Plain("none"), Plain("lz4"), Plain("zstd"), InTransactions] {
                rows.push(Box::new(Consume { size, partitions, written }));
            }
        }
    }
    rows
}

impl Consume {
    fn codec(&self) -> &'static str {
        match self.written {
            Written::Plain(codec) => codec,
            Written::InTransactions => "none",
        }
    }

    /// The end of the row's name.
    fn kind(&self) -> &'static str {
        match self.written {
            Written::Plain(codec) => codec,
            Written::InTransactions => "transactional",
        }
    }
}

impl Row for Consume {
    fn name(&self) -> String {
        format!("consume-{}-{}p-{}", self.size.name, self.partitions, self.kind())
    }

    fn about(&self) -> String {
        let what = match self.written {
            Written::Plain(codec) => codec,
            Written::InTransactions => "written in transactions of 10,000 records, read_committed",
        };
        format!(
            "one librdkafka consumer at full speed from its start, 48 passes over 64 MiB: {} B values, partitions {}, {}; Thalweg from \
             its RAM tail, Kafka from the page cache",
            self.size.bytes, self.partitions, what
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
        // What is scaled is how often it is read: fewer bytes would weigh the consumer's start instead.
        let passes = stage.scaled(PASSES);
        let mut settings = consumer_settings(&volume.address);
        // At the end of a pass a Fetch waits for more, and no other is sent before it is answered.
        settings.push(("fetch.wait.max.ms".to_owned(), "1".to_owned()));
        match self.written {
            Written::Plain(codec) => {
                volume.produce(&producer_settings(&volume.address, codec, false))?;
            }
            Written::InTransactions => {
                require(&volume.address, system.name(), ADD_PARTITIONS_TO_TXN)?;
                let mut producer = producer_settings(&volume.address, "none", true);
                producer.push(("transactional.id".to_owned(), topic.clone()));
                volume.produce_in_transactions(&producer, TRANSACTION_RECORDS)?;
                settings.push(("isolation.level".to_owned(), "read_committed".to_owned()));
            }
        }
        stage.settle();
        let metered = stage.metered(system, || volume.consume(&settings, passes))?;
        stage.drop_topic(system, &topic)?;
        let done = metered.result;
        let records = (volume.records * passes) as f64;
        let cpu = metered.reading.processes[0] / done.gibibytes();
        let (faster, cheaper) = of_values(self.codec(), self.size);
        let rate_limit = stage.limits.loopback_rate * faster;
        let record_limit = record_rate(rate_limit, self.size.bytes);
        Ok(vec![
            Measured::beside(RATE, done.megabytes_per_second(), rate_limit, "loopback"),
            Measured::beside(RECORDS, records / 1_000.0 / done.seconds, record_limit, "loopback"),
            Measured::beside(CPU, cpu, stage.limits.tail_send_cpu * cheaper, "send of 64 MiB"),
            Measured::new(CLIENT_CPU, metered.reading.client / done.gibibytes()),
            Measured::new(FRESH, fresh_memory_cpu()),
        ])
    }
}
