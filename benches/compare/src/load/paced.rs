//! A fixed rate, with the latency of every record: to its acknowledgement and to its consumer.
//!
//! Latency counts from the time at which a record was due, so a client that is held up shows it (no coordinated omission).
//! A rate that is too high holds the client up as well: it waits while its queue is full, hands over what is due as soon as
//! it can, and ends in time all the same. What it had not handed over by then was never sent.

use std::{
    sync::{
        Arc, OnceLock,
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

/// How long after its end the load still hands over what was due before.
const LATE_MAX: Duration = Duration::from_secs(1);

/// Each client has a thread of its own, and there may be hundreds: they wake up this often to see whether to end.
const POLL: Duration = Duration::from_millis(200);

/// A reader that has no more than this before it has caught up, as OpenMessaging Benchmark says.
const CAUGHT_UP_RECORDS: u64 = 1_000;

/// A rate for a time.
#[derive(Debug, Clone)]
pub struct Paced {
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
    /// The producers' settings.
    pub producer: Settings,
    /// The consumers' settings.
    pub consumer: Settings,
    /// How many of each.
    pub clients: Clients,
    /// Records that the topics hold already, and that consumers read first.
    pub behind: u64,
}

/// Clients of a load. They share its topics evenly: several of them one topic, or one of them several topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clients {
    /// Producers; a multiple of the topics if there are more of them.
    pub producers: usize,
    /// Consumers of a subscription: at most one a topic, which reads all its partitions.
    pub consumers: usize,
    /// How often each record is consumed.
    pub subscriptions: usize,
}

impl Clients {
    /// One of each.
    pub const ONE: Self = Self { producers: 1, consumers: 1, subscriptions: 1 };
}

/// When a consumer had read all that was written before and since.
#[derive(Debug, Clone, Copy)]
pub struct CaughtUp {
    /// Since the load's start.
    pub after: Duration,
    /// Records that it had read by then.
    pub records: u64,
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
    /// Records that were due, and that the client could not hand over before the end.
    pub unsent: AtomicU64,
    /// Microseconds between the start and the end of the warm-up.
    pub warm: AtomicU64,
    /// Microseconds between the start and the last acknowledgement.
    pub last_acknowledged: AtomicU64,
    /// Microseconds between the start and the last record's arrival.
    pub last_consumed: AtomicU64,
    /// When the consumers had no more than a thousand records before them.
    pub caught_up: OnceLock<CaughtUp>,
    /// The longest time without an acknowledgement, in microseconds.
    pub longest_silence: AtomicU64,
}

impl Seen {
    /// Records acknowledged a second since the warm-up.
    pub fn acknowledged_rate(&self) -> f64 {
        self.rate(&self.produce, &self.last_acknowledged)
    }

    /// Records consumed a second since the warm-up, by all subscriptions together.
    pub fn consumed_rate(&self) -> f64 {
        self.rate(&self.end_to_end, &self.last_consumed)
    }

    fn rate(&self, counted: &Latencies, until: &AtomicU64) -> f64 {
        let warm = self.warm.load(Ordering::Relaxed);
        let microseconds = until.load(Ordering::Relaxed).saturating_sub(warm).max(1);
        counted.count() as f64 * 1e6 / microseconds as f64
    }
}

#[derive(Clone)]
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

/// The consumer of the latency rows.
pub fn consumer_settings(address: &str) -> Settings {
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
        let producers = self.producers(&listener)?;
        let consumers = self.consumers()?;
        let stop = &AtomicBool::new(false);
        let read = |consumer| self.read(consumer, began, &seen, stop);
        let read = &read;
        thread::scope(|scope| {
            for producer in &producers {
                scope.spawn(|| serve(producer, stop));
            }
            let consuming: Vec<_> =
                consumers.into_iter().map(|consumer| scope.spawn(move || read(consumer))).collect();
            let (warmed, warm) = std::sync::mpsc::channel();
            let event = scope.spawn(move || if warm.recv().is_ok() { during() } else { Ok(()) });
            let sent = self.send(&producers, began, &seen, warmed);
            let flushed = sent.map(|()| self.await_delivery(&producers, &seen));
            stop.store(true, Ordering::Relaxed);
            let read: Vec<_> = consuming.into_iter().map(thread::ScopedJoinHandle::join).collect();
            read.into_iter().try_for_each(|read| read.expect("consumers do not panic"))?;
            event.join().expect("the event does not panic")?;
            flushed
        })?;
        Ok(seen)
    }

    fn producers(&self, listener: &Listener) -> anyhow::Result<Vec<Producer>> {
        (0..self.clients.producers)
            .map(|client| {
                let topics = self.share(client, self.clients.producers);
                Producer::new(&topics, &self.producer, Some(Box::new(listener.clone())))
            })
            .collect()
    }

    fn consumers(&self) -> anyhow::Result<Vec<Consumer>> {
        let Clients { consumers, subscriptions, .. } = self.clients;
        let all = (0..subscriptions).flat_map(|_| 0..consumers);
        all.map(|client| {
            Consumer::new(&self.share(client, consumers), self.partitions, &self.consumer)
        })
        .collect()
    }

    /// The topics of one of so many clients.
    fn share(&self, client: usize, clients: usize) -> Vec<String> {
        let numbers = 0..self.topics.len();
        let own = numbers.filter(|topic| topic % clients == client % self.topics.len());
        own.map(|topic| self.topics[topic].clone()).collect()
    }

    /// Producer, topic of its share, and partition of a record: topics in turn, of each its producers and its partitions.
    fn place(&self, record: u64) -> (usize, usize, i32) {
        let (topics, producers) = (self.topics.len() as u64, self.clients.producers as u64);
        let (topic, turn) = (record % topics, record / topics);
        let producer = topic % producers + topics * (turn % (producers / topics).max(1));
        let partition = turn % self.partitions as u64;
        (producer as usize, (topic / producers) as usize, partition as i32)
    }

    fn send(
        &self,
        producers: &[Producer],
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
        let over = || began.elapsed() >= start + total + LATE_MAX;
        while due - start < total && !over() {
            if began.elapsed() >= start + self.warm_up
                && let Some(warmed) = warmed.take()
            {
                seen.produce.clear();
                seen.end_to_end.clear();
                seen.warm.store(began.elapsed().as_micros() as u64, Ordering::Relaxed);
                warmed.send(()).context("the event's thread is gone")?;
            }
            let target = ((due - start).as_secs_f64() * self.rate as f64) as u64;
            let stamp = due.as_nanos() as u64;
            value[..8].copy_from_slice(&stamp.to_be_bytes());
            while sent < target {
                let (producer, topic, partition) = self.place(sent);
                if producers[producer].send_copy((topic, partition), &value, stamp)? {
                    sent += 1;
                } else if over() {
                    break;
                } else {
                    thread::sleep(TICK);
                }
            }
            due += TICK;
            thread::sleep(due.saturating_sub(began.elapsed()));
        }
        let wanted = (total.as_secs_f64() * self.rate as f64) as u64;
        seen.unsent.store(wanted.saturating_sub(sent), Ordering::Relaxed);
        Ok(())
    }

    fn await_delivery(&self, producers: &[Producer], seen: &Seen) {
        let began = Instant::now();
        let outstanding = || producers.iter().any(|producer| producer.outstanding() > 0);
        while outstanding() && began.elapsed() < Duration::from_secs(150) {
            thread::sleep(Duration::from_millis(5));
        }
        let written = self.behind + seen.acknowledged.load(Ordering::Relaxed);
        let wanted = written * self.clients.subscriptions as u64;
        let began = Instant::now();
        while seen.consumed.load(Ordering::Relaxed) < wanted && began.elapsed() < self.patience {
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn read(
        &self,
        mut consumer: Consumer,
        began: Instant,
        seen: &Seen,
        stop: &AtomicBool,
    ) -> anyhow::Result<()> {
        while !stop.load(Ordering::Relaxed) {
            let count = consumer.poll(POLL, |value| {
                let due = value.first_chunk().map_or(0, |stamp| u64::from_be_bytes(*stamp));
                seen.end_to_end.record(began.elapsed().saturating_sub(Duration::from_nanos(due)));
            })?;
            if count == 0 {
                continue;
            }
            let records = seen.consumed.fetch_add(count as u64, Ordering::Relaxed) + count as u64;
            let after = began.elapsed();
            seen.last_consumed.fetch_max(after.as_micros() as u64, Ordering::Relaxed);
            let written = self.behind + seen.acknowledged.load(Ordering::Relaxed);
            if records + CAUGHT_UP_RECORDS >= written * self.clients.subscriptions as u64 {
                seen.caught_up.get_or_init(|| CaughtUp { after, records });
            }
        }
        Ok(())
    }
}

/// Hears of deliveries until the end.
fn serve(producer: &Producer, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        producer.poll(POLL);
    }
}

#[cfg(test)]
mod tests;
