//! Thalweg and its store: how many requests, and what happens when the store fails. Kafka has no such thing.

use std::{sync::atomic::Ordering, time::Duration};

use super::{LOST, Measured, Row, TWICE};
use crate::{
    floor::{S3_STANDARD, floor},
    load::paced::{Clients, Paced, consumer_settings, producer_settings},
    report::{Better, Figure},
    stage::{Place, Stage},
    system::{Emulator, System},
    usage::peak_resident_bytes,
};

const STANDARD: Place = Place::Emulator("s3-standard");
/// Thalweg's default flush budget.
const FLUSH_MS: f64 = 100.0;
const PEAK: Figure = Figure::new("peak resident", "MiB", Better::Lower, 0);

/// PUTs for each GiB of first writes.
struct Puts {
    name: &'static str,
    flush_ms: Option<u64>,
}

/// A store that fails now and then.
struct Faults;

/// A store that is away.
struct Outage {
    name: &'static str,
    /// As the emulator calls it.
    mode: &'static str,
    about: &'static str,
}

/// The rows.
pub(super) fn rows() -> Vec<Box<dyn Row>> {
    vec![
        Box::new(Puts { name: "puts-default", flush_ms: None }),
        Box::new(Puts { name: "puts-250ms", flush_ms: Some(250) }),
        Box::new(Faults),
        Box::new(Outage {
            name: "outage",
            mode: "refuse",
            about: "20,000 values of 1 KiB a second over S3 Standard, and the store answers 503 for 30 s",
        }),
        Box::new(Outage {
            name: "outage-hang",
            mode: "hang",
            about: "20,000 values of 1 KiB a second over S3 Standard, and the store answers nothing for 30 s",
        }),
    ]
}

/// Never scaled: four seconds have forty slots, whose p99 is a single PUT.
const FAULTY_FOR: Duration = Duration::from_secs(20);
/// Never scaled: how long a store was away is what the row is about.
const AWAY_FOR: Duration = Duration::from_secs(30);

fn load(stage: &Stage<'_>, topic: &str, rate: u64, duration: Duration) -> Paced {
    let address = stage.address(System::Thalweg);
    Paced {
        producer: producer_settings(&address),
        consumer: consumer_settings(&address),
        clients: Clients::ONE,
        behind: 0,
        keep_places: false,
        topics: vec![topic.to_owned()],
        partitions: 16,
        value_bytes: 1_024,
        rate,
        warm_up: Duration::from_secs(2),
        duration,
        patience: Duration::from_secs(30),
    }
}

fn peak(stage: &Stage<'_>) -> anyhow::Result<Measured> {
    let bytes = peak_resident_bytes(stage.pid(System::Thalweg))?;
    Ok(Measured::new(PEAK, bytes as f64 / (1u64 << 20) as f64))
}

fn act(url: &str, action: &str) -> anyhow::Result<()> {
    Emulator::act_at(url, action)
}

impl Row for Puts {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn about(&self) -> String {
        let budget = self
            .flush_ms
            .map_or_else(|| "the default flush budget".to_owned(), |ms| format!("{ms} ms"));
        format!(
            "62,500 values of 1 KiB a second (64 MB/s) over the emulator's S3 Standard with {budget}"
        )
    }

    fn systems(&self) -> Vec<System> {
        vec![System::Thalweg]
    }

    fn warm_up_turns(&self) -> usize {
        0
    }

    fn turn(&self, stage: &mut Stage<'_>, system: System) -> anyhow::Result<Vec<Measured>> {
        const SLOTS: Figure = Figure::new("slots", "1/GiB", Better::Lower, 0);
        const WITH_HEDGES: Figure =
            Figure::new("PUTs of slots, hedges included", "1/GiB", Better::Lower, 0);
        const HEDGES: Figure = Figure::new("hedges", "1/GiB", Better::Lower, 1);
        const PUTS: Figure = Figure::new("PUTs of any kind", "1/GiB", Better::Lower, 0);
        const ALL: Figure = Figure::new("requests of any kind", "1/GiB", Better::Lower, 0);
        const DOLLARS: Figure = Figure::new("requests' price", "$/TiB", Better::Lower, 2);
        const OVERHEAD: Figure = Figure::new("bytes written a byte", "of 1", Better::Lower, 3);
        stage.open(system, STANDARD)?;
        let configs: Vec<(&str, String)> = self
            .flush_ms
            .map(|flush| ("thalweg.flush.ms", flush.to_string()))
            .into_iter()
            .collect();
        let topic = stage.topic(system, 16, &configs)?;
        let load = load(stage, &topic, 62_500, stage.seconds(20.0));
        let url = stage.emulator("s3-standard")?.url.clone();
        act(&url, "reset")?;
        let written = |stage: &Stage<'_>| -> anyhow::Result<[f64; 2]> {
            let hedges = stage.counter("thalweg_object_put_hedges_total")?;
            Ok([stage.counter("thalweg_wal_stable_slots_total")?, hedges])
        };
        let before = written(stage)?;
        let metered = stage.metered(system, || load.run(|| Ok(())))?;
        let after = written(stage)?;
        let statement = stage.emulator("s3-standard")?.statement()?;
        stage.drop_topic(system, &topic)?;
        let bytes = metered.result.acknowledged.load(Ordering::Relaxed) as f64 * 1_024.0;
        let gibibytes = bytes / (1u64 << 30) as f64;
        let all = ["put", "get", "head", "list", "upload_part", "multipart", "copy"];
        let requests: u64 = all.iter().map(|operation| statement.requests(operation)).sum();
        let [slots, hedges] = [0, 1].map(|index| (after[index] - before[index]) / gibibytes);
        Ok(vec![
            Measured::new(SLOTS, slots),
            Measured::new(HEDGES, hedges),
            Measured::new(WITH_HEDGES, slots + hedges),
            Measured::new(PUTS, statement.requests("put") as f64 / gibibytes),
            Measured::new(ALL, requests as f64 / gibibytes),
            Measured::new(DOLLARS, statement.dollars() / gibibytes * 1_024.0),
            Measured::beside(OVERHEAD, statement.bytes_in() as f64 / bytes, 1.0, "each once"),
        ])
    }
}

impl Row for Faults {
    fn name(&self) -> String {
        "faults".to_owned()
    }

    fn about(&self) -> String {
        "20,000 values of 1 KiB a second over S3 Standard, then with 5 % 503 and 1 % two-second stalls".to_owned()
    }

    fn systems(&self) -> Vec<System> {
        vec![System::Thalweg]
    }

    fn warm_up_turns(&self) -> usize {
        0
    }

    fn turn(&self, stage: &mut Stage<'_>, system: System) -> anyhow::Result<Vec<Measured>> {
        const WITHOUT: Figure = Figure::new("p99 without faults", "ms", Better::Lower, 0);
        const WITH: Figure = Figure::new("p99 with faults", "ms", Better::Lower, 0);
        const RATIO: Figure =
            Figure::new("p99 with faults over p99 without", "x", Better::Lower, 2);
        // The peak is that of a process: each turn has its own.
        stage.close(system);
        stage.open(system, STANDARD)?;
        let url = stage.emulator("s3-standard")?.url.clone();
        let mut p99 = [0.0; 2];
        let (mut missing, mut twice) = (0, 0);
        for (index, faults) in
            ["faults?errors=0&stalls=0", "faults?errors=0.05&stalls=0.01"].iter().enumerate()
        {
            let topic = stage.topic(system, 16, &[])?;
            let load = load(stage, &topic, 20_000, FAULTY_FOR);
            act(&url, faults)?;
            let metered = stage.metered(system, || load.run(|| Ok(())));
            act(&url, "faults?errors=0&stalls=0")?;
            let seen = metered?.result;
            p99[index] = seen.produce.quantile_ms(0.99);
            missing += seen.lost();
            twice += seen.twice.load(Ordering::Relaxed);
            stage.drop_topic(system, &topic)?;
        }
        Ok(vec![
            Measured::beside(WITHOUT, p99[0], floor(S3_STANDARD, FLUSH_MS)[1], "floor"),
            Measured::new(WITH, p99[1]),
            Measured::new(RATIO, p99[1] / p99[0]),
            Measured::new(LOST, missing as f64),
            Measured::new(TWICE, twice as f64),
            peak(stage)?,
        ])
    }
}

impl Row for Outage {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn about(&self) -> String {
        self.about.to_owned()
    }

    fn systems(&self) -> Vec<System> {
        vec![System::Thalweg]
    }

    fn warm_up_turns(&self) -> usize {
        0
    }

    fn turn(&self, stage: &mut Stage<'_>, system: System) -> anyhow::Result<Vec<Measured>> {
        const RECOVERY: Figure = Figure::new("recovery", "s", Better::Lower, 1);
        const FAILED: Figure =
            Figure::new("records failed at the client", "records", Better::Lower, 0);
        stage.close(system);
        stage.open(system, STANDARD)?;
        let url = stage.emulator("s3-standard")?.url.clone();
        let topic = stage.topic(system, 16, &[])?;
        let away = AWAY_FOR.as_secs_f64();
        // The load goes on for half as long again, so that the way back is seen under it.
        let load = load(stage, &topic, 20_000, AWAY_FOR + AWAY_FOR / 2);
        let metered = stage.metered(system, || {
            load.run(|| act(&url, &format!("outage?seconds={away}&mode={}", self.mode)))
        })?;
        let seen = metered.result;
        let peak = peak(stage)?;
        stage.close(system);
        // The longest silence begins with the outage, give or take one flush.
        let recovery = seen.longest_silence.load(Ordering::Relaxed) as f64 / 1e6 - away;
        Ok(vec![
            Measured::new(RECOVERY, recovery.max(0.0)),
            Measured::new(LOST, seen.lost() as f64),
            Measured::new(TWICE, seen.twice.load(Ordering::Relaxed) as f64),
            Measured::new(FAILED, seen.failed.load(Ordering::Relaxed) as f64),
            peak,
        ])
    }
}
