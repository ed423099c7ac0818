//! A fixed rate, with the latency of every record: to its acknowledgement and to its consumer.
//!
//! Latency counts from the time at which a record was due, so a client that is held up shows it (no coordinated omission).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;

use super::payload;
use crate::{
    librd::{Consumer, Delivery, Producer, Settings, settings},
    stats::Latencies,
};

const TICK: Duration = Duration::from_millis(1);

/// A rate for a time.
#[derive(Debug, Clone)]
pub struct Paced {
    /// Broker.
    pub address: String,
    /// Topics; records go to them in turn.
    pub topics: Vec<String>,
    /// Partitions of each.
    pub partitions: i32,
    /// Bytes of each value, at least 8.
    pub value_bytes: usize,
    /// Records a second.
    pub rate: u64,
    /// Time before latencies count.
    pub warm_up: Duration,
    /// Time during which they count.
    pub duration: Duration,
    /// How long after its end the load waits for records that were acknowledged and not yet consumed.
    pub patience: Duration,
    /// The producer's settings.
    pub producer: Settings,
}

/// What a paced load saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// Due to acknowledged.
    pub produce: Latencies,
    /// Due to consumed.
    pub end_to_end: Latencies,
    /// Records acknowledged.
    pub acknowledged: AtomicU64,
    /// Records that failed for good.
    pub failed: AtomicU64,
    /// Records consumed.
    pub consumed: AtomicU64,
    /// Records that the client's queue refused.
    pub refused: AtomicU64,
    /// Microseconds between the start and the last acknowledgement.
    pub last_acknowledged: AtomicU64,
    /// The longest time without an acknowledgement, in microseconds.
    pub longest_silence: AtomicU64,
}

struct Listener {
    began: Instant,
    seen: Arc<Seen>,
}

impl Delivery for Listener {
    fn delivered(&self, due: u64, _: i32, _: i64, outcome: Result<(), String>) {
        if outcome.is_err() {
            self.seen.failed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let now = self.began.elapsed();
        self.seen.produce.record(now.saturating_sub(Duration::from_nanos(due)));
        self.seen.acknowledged.fetch_add(1, Ordering::Relaxed);
        let now = now.as_micros() as u64;
        let before = self.seen.last_acknowledged.swap(now, Ordering::Relaxed);
        self.seen.longest_silence.fetch_max(now.saturating_sub(before), Ordering::Relaxed);
    }
}

/// The producer of the latency rows: acks=all, 1 ms linger, and librdkafka's default of any number of requests in flight.
/// With idempotence it has five in flight, and a record waits in the client for the acknowledgement of those before it:
/// that would measure the client's window, not the broker.
pub fn producer_settings(address: &str) -> Settings {
    settings([
        ("bootstrap.servers", address),
        ("acks", "all"),
        ("linger.ms", "1"),
        ("batch.size", "1000000"),
        ("queue.buffering.max.messages", "2000000"),
        ("queue.buffering.max.kbytes", "2000000"),
        ("message.timeout.ms", "120000"),
    ])
}

fn consumer_settings(address: &str) -> Settings {
    settings([
        ("bootstrap.servers", address),
        ("check.crcs", "false"),
        ("fetch.wait.max.ms", "500"),
    ])
}

impl Paced {
    /// Runs the load; `during` is called once when the warm-up is over, on a thread of its own.
    pub fn run(
        &self,
        during: impl FnOnce() -> anyhow::Result<()> + Send,
    ) -> anyhow::Result<Arc<Seen>> {
        let seen = Arc::new(Seen::default());
        let began = Instant::now();
        let listener = Listener { began, seen: Arc::clone(&seen) };
        let producer = Producer::new(&self.topics, &self.producer, Some(Box::new(listener)))?;
        let consumer =
            Consumer::new(&self.topics, self.partitions, &consumer_settings(&self.address))?;
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let polling = scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    producer.poll(Duration::from_millis(50));
                }
            });
            let consuming = scope.spawn(|| read(consumer, began, &seen, &stop));
            let (warmed, warm) = std::sync::mpsc::channel();
            let event = scope.spawn(move || if warm.recv().is_ok() { during() } else { Ok(()) });
            let sent = self.send(&producer, began, &seen, warmed);
            let flushed = sent.map(|()| self.await_delivery(&producer, &seen));
            stop.store(true, Ordering::Relaxed);
            polling.join().expect("the poller does not panic");
            consuming.join().expect("the consumer does not panic")?;
            event.join().expect("the event does not panic")?;
            flushed
        })?;
        Ok(seen)
    }

    fn send(
        &self,
        producer: &Producer,
        began: Instant,
        seen: &Seen,
        warmed: std::sync::mpsc::Sender<()>,
    ) -> anyhow::Result<()> {
        let mut value = payload::pool(self.value_bytes)[0].to_vec();
        let total = self.warm_up + self.duration;
        let mut warmed = Some(warmed);
        let mut sent = 0u64;
        let mut due = began.elapsed();
        let start = due;
        while due - start < total {
            let elapsed = due - start;
            if elapsed >= self.warm_up
                && let Some(warmed) = warmed.take()
            {
                seen.produce.clear();
                seen.end_to_end.clear();
                warmed.send(()).context("the event's thread is gone")?;
            }
            let target = (elapsed.as_secs_f64() * self.rate as f64) as u64;
            let stamp = due.as_nanos() as u64;
            value[..8].copy_from_slice(&stamp.to_be_bytes());
            while sent < target {
                let topic = (sent % self.topics.len() as u64) as usize;
                let partition = (sent / self.topics.len() as u64 % self.partitions as u64) as i32;
                if !producer.send_copy((topic, partition), &value, stamp)? {
                    seen.refused.fetch_add(1, Ordering::Relaxed);
                }
                sent += 1;
            }
            due += TICK;
            thread::sleep(due.saturating_sub(began.elapsed()));
        }
        Ok(())
    }

    fn await_delivery(&self, producer: &Producer, seen: &Seen) {
        let began = Instant::now();
        while producer.outstanding() > 0 && began.elapsed() < Duration::from_secs(150) {
            thread::sleep(Duration::from_millis(5));
        }
        let acknowledged = seen.acknowledged.load(Ordering::Relaxed);
        let began = Instant::now();
        while seen.consumed.load(Ordering::Relaxed) < acknowledged
            && began.elapsed() < self.patience
        {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn read(
    mut consumer: Consumer,
    began: Instant,
    seen: &Seen,
    stop: &AtomicBool,
) -> anyhow::Result<()> {
    while !stop.load(Ordering::Relaxed) {
        let count = consumer.poll(Duration::from_millis(50), |value| {
            let due = value.first_chunk().map_or(0, |stamp| u64::from_be_bytes(*stamp));
            seen.end_to_end.record(began.elapsed().saturating_sub(Duration::from_nanos(due)));
        })?;
        seen.consumed.fetch_add(count as u64, Ordering::Relaxed);
    }
    Ok(())
}
