//! As fast as one librdkafka client can.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use anyhow::{bail, ensure};

use super::payload;
use crate::librd::{Consumer, Producer, Record, Settings, settings};

/// A topic's worth of records, produced or consumed at full speed.
#[derive(Debug, Clone)]
pub struct Volume {
    /// Broker.
    pub address: String,
    /// Topic.
    pub topic: String,
    /// Number of its partitions; records go to them in turn.
    pub partitions: i32,
    /// Bytes of each value.
    pub value_bytes: usize,
    /// How many records.
    pub records: u64,
}

/// How long a load took.
#[derive(Debug, Clone, Copy)]
pub struct Done {
    /// From the first record to the last one's acknowledgement or arrival.
    pub seconds: f64,
    /// Bytes of values.
    pub bytes: u64,
}

impl Done {
    /// Megabytes a second.
    pub fn megabytes_per_second(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.seconds
    }

    /// Binary gigabytes.
    pub fn gibibytes(&self) -> f64 {
        self.bytes as f64 / (1u64 << 30) as f64
    }
}

/// The producer of the throughput rows: acks=all, 5 ms linger, batches of 1,000,000 bytes.
pub fn producer_settings(address: &str, codec: &str, idempotent: bool) -> Settings {
    settings([
        ("bootstrap.servers", address),
        ("acks", "all"),
        ("linger.ms", "5"),
        ("batch.size", "1000000"),
        ("batch.num.messages", "100000"),
        ("queue.buffering.max.messages", "2000000"),
        ("queue.buffering.max.kbytes", "2000000"),
        ("compression.codec", codec),
        ("enable.idempotence", if idempotent { "true" } else { "false" }),
    ])
}

/// The consumer of the throughput rows: librdkafka's defaults, with a deeper queue as `rdkafka_performance` sets it.
pub fn consumer_settings(address: &str) -> Settings {
    settings([
        ("bootstrap.servers", address),
        ("queued.min.messages", "1000000"),
        ("check.crcs", "false"),
    ])
}

impl Volume {
    fn bytes(&self) -> u64 {
        self.records * self.value_bytes as u64
    }

    /// Records that may wait in the client: 64 MB of values, at most half its queue.
    fn window(&self) -> usize {
        (64_000_000 / self.value_bytes).clamp(5_000, 1_000_000)
    }

    /// Produces all records and waits for every acknowledgement.
    pub fn produce(&self, settings: &Settings) -> anyhow::Result<Done> {
        let producer = Producer::new(std::slice::from_ref(&self.topic), settings, None)?;
        let began = Instant::now();
        self.send(&producer, 0..self.records)?;
        producer.flush(Duration::from_secs(120))?;
        Ok(Done { seconds: began.elapsed().as_secs_f64(), bytes: self.bytes() })
    }

    /// The same in transactions of `each` records, one after another.
    pub fn produce_in_transactions(&self, settings: &Settings, each: u64) -> anyhow::Result<Done> {
        let producer = Producer::new(std::slice::from_ref(&self.topic), settings, None)?;
        producer.init_transactions(Duration::from_secs(60))?;
        let began = Instant::now();
        let mut first = 0;
        while first < self.records {
            let end = self.records.min(first + each);
            producer.begin()?;
            self.send(&producer, first..end)?;
            producer.commit(Duration::from_secs(120))?;
            first = end;
        }
        Ok(Done { seconds: began.elapsed().as_secs_f64(), bytes: self.bytes() })
    }

    fn send(&self, producer: &Producer, records: Range<u64>) -> anyhow::Result<()> {
        const CHUNK: usize = 1_000;
        let values = payload::pool(self.value_bytes);
        let partitions = self.partitions as u64;
        let mut scratch = Vec::with_capacity(CHUNK);
        let mut sent = records.start;
        let began = Instant::now();
        while sent < records.end {
            while producer.outstanding() > self.window() {
                producer.poll(Duration::from_millis(1));
                ensure!(producer.failed() == 0, "{} records failed", producer.failed());
                ensure!(began.elapsed() < Duration::from_secs(600), "not done in 600 s");
            }
            let count = (records.end - sent).min(CHUNK as u64);
            let chunk: Vec<Record> = (sent..sent + count)
                .map(|number| {
                    let (partition, turn) = (number % partitions, number / partitions);
                    // All values in turn in each partition: with a few of them again and again a codec would have an easy life.
                    let value = values[turn as usize % values.len()];
                    Record { partition: partition as i32, value }
                })
                .collect();
            producer.send_batch(&chunk, &mut scratch)?;
            producer.poll(Duration::ZERO);
            sent += count;
        }
        Ok(())
    }

    /// Consumes all records of the topic from its beginning, so many times. The clock runs from before the consumer is
    /// there, so connecting, ListOffsets and the first Fetch are in it; so is each way back to the beginning.
    pub fn consume(&self, settings: &Settings, passes: u64) -> anyhow::Result<Done> {
        let began = Instant::now();
        let mut consumer =
            Consumer::new(std::slice::from_ref(&self.topic), self.partitions, settings)?;
        for pass in 0..passes {
            if pass > 0 {
                consumer.rewind()?;
            }
            self.consume_once(&mut consumer)?;
        }
        Ok(Done { seconds: began.elapsed().as_secs_f64(), bytes: self.bytes() * passes })
    }

    fn consume_once(&self, consumer: &mut Consumer) -> anyhow::Result<()> {
        let mut left = self.records;
        let mut bytes = 0u64;
        let began = Instant::now();
        while left > 0 {
            let count = consumer.poll(Duration::from_millis(200), |message| {
                bytes += message.value.len() as u64;
            })?;
            left = left.saturating_sub(count as u64);
            if began.elapsed() > Duration::from_secs(300) {
                bail!("{left} records did not arrive in 300 s");
            }
        }
        ensure!(bytes == self.bytes(), "{bytes} bytes instead of {}", self.bytes());
        Ok(())
    }
}
