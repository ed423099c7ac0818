//! What a paced load saw: latencies, and which of its records were acknowledged and which arrived.

use std::{
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::ensure;

use super::Paced;
use crate::{
    librd::Delivery,
    load::{
        numbers::{Noted, Numbers},
        payload,
    },
    stats::Latencies,
};

/// A reader that has no more than this before it has caught up, as OpenMessaging Benchmark says.
const CAUGHT_UP_RECORDS: u64 = 1_000;

/// When a consumer had read all that was written before and since.
#[derive(Debug, Clone, Copy)]
pub struct CaughtUp {
    /// Since the load's start.
    pub after: Duration,
    /// Records that it had read by then.
    pub records: u64,
}

/// Where an acknowledged record is said to be.
#[derive(Debug, Clone, Copy)]
pub struct Placed {
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// The record's number.
    pub number: u64,
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
    /// Records consumed, each of the load's own once a subscription.
    pub consumed: AtomicU64,
    /// Records consumed that are none of the load's own.
    pub foreign: AtomicU64,
    /// Records that were consumed again, by the same subscription.
    pub twice: AtomicU64,
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
    /// Where acknowledged records are, if the load keeps that.
    pub places: Option<Mutex<Vec<Placed>>>,
    acknowledged_numbers: Numbers,
    /// Of each subscription.
    consumed_numbers: Vec<Numbers>,
}

impl Seen {
    /// Nothing yet.
    pub(super) fn new(load: &Paced) -> anyhow::Result<Self> {
        let records = load.records();
        ensure!(
            records <= NUMBER_MASK && load.total().as_micros() as u64 <= NUMBER_MASK,
            "the load is too long for a delivery's tag"
        );
        let subscriptions = 0..load.clients.subscriptions;
        Ok(Self {
            acknowledged_numbers: Numbers::new(records),
            consumed_numbers: subscriptions.map(|_| Numbers::new(records)).collect(),
            places: load.keep_places.then(Mutex::default),
            ..Self::default()
        })
    }

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

    /// Records that were acknowledged and did not arrive, counted for each subscription.
    pub fn lost(&self) -> u64 {
        let subscriptions = self.consumed_numbers.iter();
        subscriptions.map(|consumed| self.acknowledged_numbers.missing_in(consumed)).sum()
    }

    /// An error unless every record was acknowledged and consumed.
    pub fn complete(&self) -> anyhow::Result<()> {
        let failed = self.failed.load(Ordering::Relaxed);
        ensure!(failed == 0, "{failed} records failed");
        let (lost, acknowledged) = (self.lost(), self.acknowledged.load(Ordering::Relaxed));
        let subscriptions = self.consumed_numbers.len();
        ensure!(
            lost == 0,
            "{lost} of {acknowledged} acknowledged records did not arrive (subscriptions: {subscriptions})"
        );
        Ok(())
    }

    /// Takes in a record of a subscription; false if it came before.
    pub(super) fn arrived(&self, subscription: usize, value: &[u8], now: Duration) -> bool {
        let stamp = payload::stamp_of(value);
        let noted = stamp
            .map_or(Noted::Foreign, |(_, number)| self.consumed_numbers[subscription].note(number));
        match (noted, stamp) {
            (Noted::First, Some((due, _))) => self.end_to_end.record(now.saturating_sub(due)),
            (Noted::Again, _) => {
                self.twice.fetch_add(1, Ordering::Relaxed);
                return false;
            }
            _ => {
                self.foreign.fetch_add(1, Ordering::Relaxed);
            }
        }
        true
    }

    /// Adds new records, of which so many are written for all subscriptions.
    pub(super) fn advance(&self, count: u64, after: Duration, written: u64) {
        let records = self.consumed.fetch_add(count, Ordering::Relaxed) + count;
        self.last_consumed.fetch_max(after.as_micros() as u64, Ordering::Relaxed);
        if records + CAUGHT_UP_RECORDS >= written {
            self.caught_up.get_or_init(|| CaughtUp { after, records });
        }
    }
}

const NUMBER_BITS: u32 = 32;
const NUMBER_MASK: u64 = (1 << NUMBER_BITS) - 1;

/// What comes back with a delivery: the microsecond in which a record was due, and its number.
pub(super) fn tag(due: Duration, number: u64) -> u64 {
    ((due.as_micros() as u64) << NUMBER_BITS) | number
}

/// Hears of deliveries.
#[derive(Clone)]
pub(super) struct Listener {
    pub(super) began: Instant,
    pub(super) seen: Arc<Seen>,
}

impl Delivery for Listener {
    fn delivered(&self, tag: u64, partition: i32, offset: i64, outcome: Result<(), String>) {
        let seen = &self.seen;
        if outcome.is_err() {
            seen.failed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let now = self.began.elapsed();
        let (due, number) = (Duration::from_micros(tag >> NUMBER_BITS), tag & NUMBER_MASK);
        seen.produce.record(now.saturating_sub(due));
        seen.acknowledged_numbers.note(number);
        if let Some(places) = &seen.places {
            let place = Placed { partition, offset, number };
            places.lock().expect("no holder panics").push(place);
        }
        seen.acknowledged.fetch_add(1, Ordering::Relaxed);
        let now = now.as_micros() as u64;
        let before = seen.last_acknowledged.swap(now, Ordering::Relaxed);
        seen.longest_silence.fetch_max(now.saturating_sub(before), Ordering::Relaxed);
    }
}
