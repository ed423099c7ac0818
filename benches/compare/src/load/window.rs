//! One idempotent connection that always has five large batches in flight, as Kafka's producer does at most.

use std::{
    collections::VecDeque,
    io::Write,
    time::{Duration, Instant},
};

use anyhow::ensure;

use super::payload;
use crate::{
    stats::Latencies,
    wire::{Admin, Batch, Connection, ProduceRequest, answers, check_produced, frame},
};

/// The most requests that Kafka's idempotent producer has in flight.
pub const IN_FLIGHT: usize = 5;

/// What the window achieved.
#[derive(Debug)]
pub struct Window {
    /// Bytes of requests acknowledged a second, in MB.
    pub megabytes_per_second: f64,
    /// Half of the requests were answered in this time.
    pub ack_p50_ms: f64,
    /// Rate over (5 x request bytes / ack p50).
    pub efficiency: f64,
}

/// Keeps the window full for a time.
pub fn run(
    address: &str,
    topic: &str,
    warm_up: Duration,
    duration: Duration,
) -> anyhow::Result<Window> {
    let producer = Admin::open(address)?.producer_id()?;
    let values = payload::pool(1_024);
    let mut batch = Batch::new(values.iter().take(975).copied());
    let mut stream = Connection::open(address)?.into_stream();
    let latencies = Latencies::default();
    let mut in_flight: VecDeque<(Instant, usize)> = VecDeque::new();
    let (mut sequence, mut acknowledged, mut buffer) = (0i32, 0usize, Vec::new());
    let mut began = Instant::now();
    let mut warm = false;
    loop {
        if !warm && began.elapsed() >= warm_up {
            warm = true;
            (began, acknowledged) = (Instant::now(), 0);
            latencies.clear();
        }
        if warm && began.elapsed() >= duration {
            break;
        }
        while in_flight.len() < IN_FLIGHT {
            batch.stamp(producer, sequence);
            sequence += batch.records;
            let body = ProduceRequest { topic, acks: -1, partitions: 0..1, batch: &batch }.body();
            let request = frame(ProduceRequest::API, ProduceRequest::VERSION, sequence, &body);
            in_flight.push_back((Instant::now(), request.len()));
            stream.write_all(&request)?;
        }
        answers(&mut stream, &mut buffer)?;
        check_produced(&buffer[4..])?;
        if let Some((sent, bytes)) = in_flight.pop_front() {
            latencies.record(sent.elapsed());
            acknowledged += bytes;
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    ensure!(latencies.count() > 0, "no request was answered");
    let request_bytes = acknowledged as f64 / latencies.count() as f64;
    let ack_p50_ms = latencies.quantile_ms(0.5);
    let rate = acknowledged as f64 / seconds;
    Ok(Window {
        megabytes_per_second: rate / 1e6,
        ack_p50_ms,
        efficiency: rate / (IN_FLIGHT as f64 * request_bytes / (ack_p50_ms / 1_000.0)),
    })
}
