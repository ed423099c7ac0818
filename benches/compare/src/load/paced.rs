//! A fixed rate, with the latency of every record: to its acknowledgement and to its consumer.
//!
//! Latency counts from the time at which a record was due, so a client that is held up shows it (no coordinated omission).
//! A rate that is too high holds the client up as well: it waits while its queue is full, hands over what is due as soon as
//! it can, and ends in time all the same. What it had not handed over by then was never sent.
//!
//! Each record has a number of its own in its value, so that one which comes twice does not make up for one that never comes.

mod seen;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};

use self::seen::Listener;
use super::payload;
use crate::librd::{Consumer, Producer, Settings, settings};

pub use self::seen::{Placed, Seen};

const TICK: Duration = Duration::from_millis(1);

/// How long after its end the load still hands over what was due before.
const LATE_MAX: Duration = Duration::from_secs(1);

/// Each client has a thread of its own, and there may be hundreds: they wake up this often to see whether to end.
const POLL: Duration = Duration::from_millis(200);

/// A rate for a time.
#[derive(Debug, Clone)]
pub struct Paced {
    /// Topics; records go to them in turn.
    pub topics: Vec<String>,
    /// Partitions of each.
    pub partitions: i32,
    /// Bytes of each value, at least those of its stamp.
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
    /// Whether to keep where each acknowledged record is said to be.
    pub keep_places: bool,
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
        ensure!(self.value_bytes >= payload::STAMP_BYTES, "no room for a record's number");
        let seen = Arc::new(Seen::new(self)?);
        let began = Instant::now();
        let listener = Listener { began, seen: Arc::clone(&seen) };
        let producers = self.producers(&listener)?;
        let consumers = self.consumers()?;
        let stop = &AtomicBool::new(false);
        let read = |subscription, consumer| self.read((subscription, consumer), began, &seen, stop);
        let read = &read;
        thread::scope(|scope| {
            for producer in &producers {
                scope.spawn(|| serve(producer, stop));
            }
            let of_a_subscription = self.clients.consumers;
            let consuming: Vec<_> = consumers
                .into_iter()
                .enumerate()
                .map(|(number, consumer)| {
                    scope.spawn(move || read(number / of_a_subscription, consumer))
                })
                .collect();
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

    fn total(&self) -> Duration {
        self.warm_up + self.duration
    }

    /// Records that are due in the whole time: the numbers of those that are sent are below it.
    fn records(&self) -> u64 {
        (self.total().as_secs_f64() * self.rate as f64).ceil() as u64
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
        let total = self.total();
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
            while sent < target {
                let (producer, topic, partition) = self.place(sent);
                payload::stamp(&mut value, due, sent);
                let tag = seen::tag(due, sent);
                if producers[producer].send_copy((topic, partition), &value, tag)? {
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
        ensure!(warmed.is_none(), "the load was held up until it ended, within its warm-up");
        Ok(())
    }

    fn await_delivery(&self, producers: &[Producer], seen: &Seen) {
        let began = Instant::now();
        let outstanding = || producers.iter().any(|producer| producer.outstanding() > 0);
        while outstanding() && began.elapsed() < Duration::from_secs(150) {
            thread::sleep(Duration::from_millis(5));
        }
        let behind = self.behind * self.clients.subscriptions as u64;
        let there = || seen.foreign.load(Ordering::Relaxed) >= behind && seen.lost() == 0;
        let began = Instant::now();
        while !there() && began.elapsed() < self.patience {
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn read(
        &self,
        (subscription, mut consumer): (usize, Consumer),
        began: Instant,
        seen: &Seen,
        stop: &AtomicBool,
    ) -> anyhow::Result<()> {
        while !stop.load(Ordering::Relaxed) {
            let mut count = 0;
            consumer.poll(POLL, |message| {
                let is_new = seen.arrived(subscription, message.value, began.elapsed());
                count += u64::from(is_new);
            })?;
            if count > 0 {
                let written = self.behind + seen.acknowledged.load(Ordering::Relaxed);
                seen.advance(count, began.elapsed(), written * self.clients.subscriptions as u64);
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
