//! Look-ups by id on a broker that has one core, as fast as they are answered and at half of that rate.

use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::Line;
use crate::broker::{Connection, Settings};
use crate::usage::Meter;

/// Clients at a time, each with one request in flight.
const CONNECTIONS: usize = 16;

/// The schemas must be there.
pub fn measure(settings: &Settings, schemas: usize, seconds: f64) -> anyhow::Result<Vec<Line>> {
    let broker = settings.on_core(0).start()?;
    let duration = Duration::from_secs_f64(seconds);
    let run = |rate: Option<f64>, duration| all(&broker.registry, schemas, rate, duration);
    // What is asked for first is parsed, allocated and cached first.
    run(None, Duration::from_secs(1))?;
    let meter = Meter::start(broker.pid())?;
    let mut took = run(None, duration)?;
    let used = meter.read()?;
    let count = took.len() as f64;
    let rate = count / used.wall.as_secs_f64();
    let fast = Line {
        figure: format!("look-ups by id, {CONNECTIONS} connections, a broker on one core"),
        value: format!(
            "{rate:.0}/s, {:.0} us of CPU each ({:.0}/s of a whole core), p50 {:.2} ms, p99 {:.2} ms",
            used.broker * 1e6 / count,
            count / used.broker,
            quantile(&mut took, 0.5),
            quantile(&mut took, 0.99)
        ),
        goal: "> 20,000/s",
        foreign: used.foreign,
    };
    let meter = Meter::start(broker.pid())?;
    let mut took = run(Some(rate / 2.0), duration)?;
    let used = meter.read()?;
    let half = Line {
        figure: "look-ups by id at half of that rate, from when each was due".to_owned(),
        value: format!(
            "{:.0}/s, p50 {:.2} ms, p99 {:.2} ms",
            took.len() as f64 / used.wall.as_secs_f64(),
            quantile(&mut took, 0.5),
            quantile(&mut took, 0.99)
        ),
        goal: "p99 < 5 ms",
        foreign: used.foreign,
    };
    Ok(vec![fast, half])
}

/// How long each look-up took, of all connections, at a rate together or as fast as it goes.
fn all(
    address: &str,
    schemas: usize,
    rate: Option<f64>,
    duration: Duration,
) -> anyhow::Result<Vec<Duration>> {
    let interval = rate.map(|rate| Duration::from_secs_f64(CONNECTIONS as f64 / rate));
    let threads: Vec<_> = (0..CONNECTIONS)
        .map(|number| {
            let ids = (0..).map(move |n: usize| (n * 7919 + number * 6007) % schemas + 1);
            let address = address.to_owned();
            let offset = interval.unwrap_or_default() * u32::try_from(number).unwrap_or_default()
                / u32::try_from(CONNECTIONS).unwrap_or(1);
            std::thread::spawn(move || one(&address, ids, (interval, offset), duration))
        })
        .collect();
    let mut took = Vec::new();
    for thread in threads {
        took.extend(thread.join().ok().context("a client panicked")??);
    }
    Ok(took)
}

fn one(
    address: &str,
    ids: impl Iterator<Item = usize>,
    (interval, offset): (Option<Duration>, Duration),
    duration: Duration,
) -> anyhow::Result<Vec<Duration>> {
    let mut connection = Connection::open(address)?;
    let mut took = Vec::new();
    let began = Instant::now();
    let mut due = began + offset;
    for id in ids {
        let mut from = Instant::now();
        if let Some(interval) = interval {
            std::thread::sleep(due.saturating_duration_since(from));
            // Counted from when it was due: what holds up one holds up the next.
            from = due;
            due += interval;
        }
        if from.duration_since(began) >= duration {
            break;
        }
        connection.ask("GET", &format!("/schemas/ids/{id}"), "")?;
        took.push(from.elapsed());
    }
    Ok(took)
}

/// In milliseconds.
fn quantile(took: &mut [Duration], share: f64) -> f64 {
    took.sort_unstable();
    let at = (took.len() as f64 * share) as usize;
    took.get(at).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
}
