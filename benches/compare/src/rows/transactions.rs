//! Transactions of one record: what a commit costs.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::{Measured, Row};
use crate::{
    librd::{Producer, Record, Settings},
    load::throughput::producer_settings,
    report::{Better, Figure},
    stage::{Place, Stage},
    stats::Latencies,
    system::System,
    wire::{ADD_PARTITIONS_TO_TXN, require},
};

const PRODUCERS: usize = 16;
/// AddPartitionsToTxn, Produce and EndTxn.
const REQUESTS: f64 = 3.0;
/// Those of them that nothing but a PUT can answer.
const PUTS: f64 = 2.0;
const PATIENCE: Duration = Duration::from_secs(60);

/// Thalweg's store.
struct Transactions(Place);

/// The rows.
pub(super) fn rows() -> Vec<Box<dyn Row>> {
    vec![
        Box::new(Transactions(Place::Memory)),
        Box::new(Transactions(Place::Emulator("fixed:100ms"))),
    ]
}

impl Row for Transactions {
    fn name(&self) -> String {
        match self.0 {
            Place::Memory => "transactions".to_owned(),
            _ => "transactions-100ms".to_owned(),
        }
    }

    fn about(&self) -> String {
        let store = match self.0 {
            Place::Memory => "its memory store",
            _ => "a store that takes 100 ms",
        };
        format!(
            "{PRODUCERS} transactional producers, each with one record in a transaction and one transaction after \
             another; Thalweg on {store}"
        )
    }

    fn turn(&self, stage: &mut Stage<'_>, system: System) -> anyhow::Result<Vec<Measured>> {
        const RATE: Figure = Figure::new("transactions", "1/s", Better::Higher, 0);
        const CPU: Figure = Figure::new("broker CPU", "us/transaction", Better::Lower, 0);
        const P50: Figure = Figure::new("p50", "ms", Better::Lower, 1);
        const P99: Figure = Figure::new("p99", "ms", Better::Lower, 1);
        stage.open(system, self.0)?;
        let address = stage.address(system);
        require(&address, system.name(), ADD_PARTITIONS_TO_TXN)?;
        let topic = stage.topic(system, 16, &[])?;
        let producers: Vec<Producer> = (0..PRODUCERS)
            .map(|number| open(&address, &topic, number))
            .collect::<Result<_, _>>()?;
        let latencies = Latencies::default();
        let duration = stage.seconds(5.0);
        let metered = stage.metered(system, || run(&producers, duration, &latencies))?;
        drop(producers);
        stage.drop_topic(system, &topic)?;
        let done = metered.result as f64;
        let (rate, cpu) = (done / metered.seconds, metered.reading.processes[0] * 1e6 / done);
        let trip = &stage.limits.trip;
        // A commit is sent when the record is acknowledged, so the one is stored after the other.
        let put_ms = PUTS * 100.0;
        let (rate_limit, [p50, p99], what) = match self.0 {
            Place::Memory => {
                let alone = [trip.alone_ms[0], trip.alone_ms[1]];
                (trip.rate * 1_000.0 / REQUESTS, alone.map(|ms| ms * REQUESTS), "3 bare trips")
            }
            _ => (PRODUCERS as f64 * 1_000.0 / put_ms, [put_ms; 2], "2 PUTs"),
        };
        Ok(vec![
            Measured::beside(RATE, rate, rate_limit, what),
            Measured::beside(CPU, cpu, trip.cpu_us * REQUESTS, "3 bare trips"),
            Measured::beside(P50, latencies.quantile_ms(0.5), p50, what),
            Measured::beside(P99, latencies.quantile_ms(0.99), p99, what),
        ])
    }
}

fn open(address: &str, topic: &str, number: usize) -> anyhow::Result<Producer> {
    let mut settings: Settings = producer_settings(address, "none", true);
    settings.retain(|(name, _)| name != "linger.ms");
    settings.push(("linger.ms".to_owned(), "0".to_owned()));
    settings.push(("transactional.id".to_owned(), format!("{topic}-{number}")));
    let producer = Producer::new(&[topic.to_owned()], &settings, None)?;
    producer.init_transactions(PATIENCE)?;
    // The first transaction learns where the leaders are.
    transaction(&producer, number)?;
    Ok(producer)
}

fn transaction(producer: &Producer, number: usize) -> anyhow::Result<()> {
    let record = Record { partition: (number % 16) as i32, value: &[b'x'; 100] };
    producer.begin()?;
    producer.send_batch(&[record], &mut Vec::new())?;
    producer.commit(PATIENCE)
}

/// Transactions that all producers committed in the time.
fn run(producers: &[Producer], duration: Duration, latencies: &Latencies) -> anyhow::Result<u64> {
    let done = AtomicU64::new(0);
    let began = Instant::now();
    let one = |number: usize| -> anyhow::Result<()> {
        while began.elapsed() < duration {
            let begun = Instant::now();
            transaction(&producers[number], number)?;
            latencies.record(begun.elapsed());
            done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    };
    let one = &one;
    thread::scope(|scope| {
        let threads: Vec<_> =
            (0..producers.len()).map(|number| scope.spawn(move || one(number))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("producers do not panic"))
    })?;
    Ok(done.into_inner())
}
