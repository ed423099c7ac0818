//! Latency at fixed rates, beside the floor that the store's profile and the flush budget leave.

use std::{sync::atomic::Ordering, time::Duration};

use super::{Measured, Row};
use crate::{
    floor::{FIXED_100_MS, PutLatency, S3_EXPRESS, S3_STANDARD, floor, floor_of},
    load::paced::{Clients, Paced, Seen, consumer_settings, producer_settings},
    report::{Better, Figure},
    stage::{Place, Stage},
    stats::Latencies,
    system::{Emulator, Put, System},
};

/// A rate over a place.
struct Latency {
    name: &'static str,
    about: &'static str,
    place: Place,
    /// Thalweg's flush budget in milliseconds; none: its default.
    flush_ms: Option<u64>,
    seconds: f64,
    /// However small the scale is.
    least: Duration,
    floor: Option<(PutLatency, f64)>,
}

const PLAIN: Latency = Latency {
    name: "",
    about: "",
    place: Place::Memory,
    flush_ms: None,
    seconds: 10.0,
    least: Duration::from_secs(1),
    floor: None,
};

const ROWS: [Latency; 4] = [
    Latency { name: "latency-10k", about: "10,000 values of 1 KiB a second, 1 partition", ..PLAIN },
    Latency {
        name: "latency-s3-standard",
        about: "the same over the emulator's S3 Standard, default flush budget",
        place: Place::Emulator("s3-standard"),
        // Ten seconds have a hundred PUTs: their own median is off by five milliseconds, and their p99 is a single PUT.
        seconds: 60.0,
        least: Duration::from_secs(60),
        floor: Some((S3_STANDARD, 100.0)),
        ..PLAIN
    },
    // Without chance in the store, a few seconds show what the broker and its clients add to the floor.
    Latency {
        name: "latency-100ms",
        about: "the same over a store that takes 100 ms for each PUT, default flush budget",
        place: Place::Emulator("fixed:100ms"),
        floor: Some((FIXED_100_MS, 100.0)),
        ..PLAIN
    },
    Latency {
        name: "latency-s3-express",
        about: "the same over the emulator's S3 Express, flush budget 5 ms",
        place: Place::Emulator("s3-express"),
        flush_ms: Some(5),
        floor: Some((S3_EXPRESS, 5.0)),
        ..PLAIN
    },
];

const PRODUCE: [Figure; 3] = [
    Figure::new("produce p50", "ms", Better::Lower, 2),
    Figure::new("produce p99", "ms", Better::Lower, 2),
    Figure::new("produce p99.9", "ms", Better::Lower, 2),
];
const END_TO_END: [Figure; 3] = [
    Figure::new("end-to-end p50", "ms", Better::Lower, 2),
    Figure::new("end-to-end p99", "ms", Better::Lower, 2),
    Figure::new("end-to-end p99.9", "ms", Better::Lower, 2),
];
const OVER_FLOOR: [Figure; 2] = [
    Figure::new("produce p50 over floor", "ms", Better::Lower, 1),
    Figure::new("produce p99 over floor", "ms", Better::Lower, 1),
];
const OVER_TURN_FLOOR: [Figure; 2] = [
    Figure::new("produce p50 over this turn's floor", "ms", Better::Lower, 1),
    Figure::new("produce p99 over this turn's floor", "ms", Better::Lower, 1),
];
const QUANTILES: [f64; 3] = [0.5, 0.99, 0.999];

/// The rows.
pub(super) fn rows() -> Vec<Box<dyn Row>> {
    ROWS.into_iter().map(|row| Box::new(row) as Box<dyn Row>).collect()
}

impl Row for Latency {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn about(&self) -> String {
        self.about.to_owned()
    }

    fn systems(&self) -> Vec<System> {
        // Kafka has no store to be slow.
        if self.floor.is_some() {
            vec![System::Thalweg]
        } else {
            vec![System::Thalweg, System::Kafka]
        }
    }

    fn turn(&self, stage: &mut Stage<'_>, system: System) -> anyhow::Result<Vec<Measured>> {
        stage.open(system, self.place)?;
        let configs: Vec<(&str, String)> = self
            .flush_ms
            .map(|flush| ("thalweg.flush.ms", flush.to_string()))
            .into_iter()
            .collect();
        let topic = stage.topic(system, 1, &configs)?;
        stage.settle();
        let address = stage.address(system);
        let load = Paced {
            topics: vec![topic.clone()],
            partitions: 1,
            value_bytes: 1_024,
            rate: 10_000,
            warm_up: Duration::from_secs(2),
            duration: stage.seconds(self.seconds).max(self.least),
            patience: Duration::from_secs(30),
            producer: producer_settings(&address),
            consumer: consumer_settings(&address),
            clients: Clients::ONE,
            behind: 0,
            keep_places: false,
        };
        let emulator = match self.place {
            Place::Emulator(profile) => Some(stage.emulator(profile)?.url.clone()),
            _ => None,
        };
        // What the store draws counts from when the warm-up is over.
        let begin = || emulator.as_ref().map_or(Ok(()), |url| Emulator::act_at(url, "reset"));
        let metered = stage.metered(system, || load.run(begin))?;
        let turn_floor = match (self.place, self.floor) {
            (Place::Emulator(profile), Some((_, flush_ms))) => {
                let puts = stage.emulator(profile)?.puts()?;
                Some(floor_of(slot_puts(&puts), flush_ms))
            }
            _ => None,
        };
        stage.drop_topic(system, &topic)?;
        let seen = &metered.result;
        seen.complete()?;
        let mut measured = self.quantiles(seen, stage, turn_floor);
        let gibibytes =
            seen.acknowledged.load(Ordering::Relaxed) as f64 * 1_024.0 / (1u64 << 30) as f64;
        let cpu = metered.reading.processes[0] / gibibytes;
        let limit = stage.limits.relay_cpu(1);
        measured.push(Measured::beside(super::CPU, cpu, limit, "receive + CRC + send"));
        Ok(measured)
    }
}

/// Latencies to the acknowledgement and to the consumer, neither of which can be less than this limit.
pub(super) fn latencies(seen: &Seen, (limit, what): ([f64; 3], &'static str)) -> Vec<Measured> {
    let of = |figures: [Figure; 3], latencies: &Latencies| {
        let values = QUANTILES.map(|quantile| latencies.quantile_ms(quantile));
        let pairs = figures.into_iter().zip(values).zip(limit);
        pairs
            .map(|((figure, value), limit)| Measured::beside(figure, value, limit, what))
            .collect::<Vec<_>>()
    };
    [of(PRODUCE, &seen.produce), of(END_TO_END, &seen.end_to_end)].concat()
}

impl Latency {
    fn quantiles(
        &self,
        seen: &Seen,
        stage: &Stage<'_>,
        turn_floor: Option<[f64; 3]>,
    ) -> Vec<Measured> {
        let floor = self.floor.map(|(put, flush)| floor(put, flush));
        let trip = (stage.limits.trip.alone_ms, "bare trip");
        let mut measured = latencies(seen, floor.map_or(trip, |floor| (floor, "floor")));
        for (figures, floor) in [(OVER_FLOOR, floor), (OVER_TURN_FLOOR, turn_floor)] {
            let Some(floor) = floor else { continue };
            for (index, figure) in figures.into_iter().enumerate() {
                let over = seen.produce.quantile_ms(QUANTILES[index]) - floor[index];
                measured.push(Measured::new(figure, over));
            }
        }
        const OVER_PRODUCE: Figure =
            Figure::new("end-to-end p99 over produce p99", "ms", Better::Lower, 1);
        let over = seen.end_to_end.quantile_ms(0.99) - seen.produce.quantile_ms(0.99);
        measured.push(Measured::new(OVER_PRODUCE, over));
        measured
    }
}

/// What was drawn for the first PUT of each slot, in the order of the slots: a second one is a hedge.
fn slot_puts(puts: &[Put]) -> impl Iterator<Item = f64> {
    let mut of_slots: Vec<&Put> = puts.iter().filter(|put| put.key.contains("/w/")).collect();
    of_slots.sort_by(|a, b| a.key.cmp(&b.key));
    of_slots.dedup_by(|later, first| later.key == first.key);
    of_slots.into_iter().map(|put| put.milliseconds)
}
