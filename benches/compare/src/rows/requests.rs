//! What requests cost, and how well a window is used.

use std::time::Duration;

use super::{Measured, Row};
use crate::{
    load::{
        requests::{Repeated, one_record},
        window::{self, IN_FLIGHT},
    },
    report::{Better, Figure},
    stage::{Place, Stage},
    system::System,
    wire::check_produced,
};

struct Requests;
struct Window;

/// The rows.
pub(super) fn rows() -> Vec<Box<dyn Row>> {
    vec![Box::new(Requests), Box::new(Window)]
}

impl Row for Requests {
    fn name(&self) -> String {
        "requests".to_owned()
    }

    fn about(&self) -> String {
        "64 connections, one Produce of one 100 B record in flight on each, acks=all, 8 partitions"
            .to_owned()
    }

    fn turn(&self, stage: &mut Stage<'_>, system: System) -> anyhow::Result<Vec<Measured>> {
        const PER_REQUEST: Figure = Figure::new("broker CPU", "us/request", Better::Lower, 1);
        const REQUESTS: Figure = Figure::new("requests", "k/s", Better::Higher, 1);
        const P50: Figure = Figure::new("p50", "ms", Better::Lower, 2);
        const P99: Figure = Figure::new("p99", "ms", Better::Lower, 2);
        stage.open(system, Place::Memory)?;
        let topic = stage.topic(system, 8, &[])?;
        let load = Repeated {
            address: stage.address(system),
            requests: one_record(&topic, 8, 64, 100),
            check: check_produced,
        };
        let running = load.start()?;
        std::thread::sleep(stage.seconds(1.0));
        running.latencies().clear();
        let duration = stage.seconds(5.0);
        let before = running.answered();
        let metered = stage.metered(system, || {
            std::thread::sleep(duration);
            Ok(())
        })?;
        let answered = (running.answered() - before) as f64;
        let (p50, p99) =
            (running.latencies().quantile_ms(0.5), running.latencies().quantile_ms(0.99));
        running.stop()?;
        stage.drop_topic(system, &topic)?;
        let trip = &stage.limits.trip;
        let cpu = metered.reading.processes[0] * 1e6 / answered;
        let rate = answered / 1_000.0 / metered.seconds;
        Ok(vec![
            Measured::beside(PER_REQUEST, cpu, trip.cpu_us, "bare trip"),
            Measured::beside(REQUESTS, rate, trip.rate, "bare trips"),
            Measured::beside(P50, p50, trip.crowd_ms[0], "bare trip of 64"),
            Measured::beside(P99, p99, trip.crowd_ms[1], "bare trip of 64"),
        ])
    }
}

impl Row for Window {
    fn name(&self) -> String {
        "window".to_owned()
    }

    fn about(&self) -> String {
        format!(
            "one idempotent connection with {IN_FLIGHT} batches of 1 MB in flight; Thalweg over a store that takes 100 ms"
        )
    }

    fn warm_up_turns(&self) -> usize {
        0
    }

    fn turn(&self, stage: &mut Stage<'_>, system: System) -> anyhow::Result<Vec<Measured>> {
        const EFFICIENCY: Figure = Figure::new("efficiency", "of 1", Better::Higher, 3);
        const RATE: Figure = Figure::new("rate", "MB/s", Better::Neither, 1);
        const ACK: Figure = Figure::new("ack p50", "ms", Better::Neither, 1);
        const PUT_MS: f64 = 100.0;
        const BATCH_MEGABYTES: f64 = 1.0;
        stage.open(system, Place::Emulator("fixed:100ms"))?;
        let topic = stage.topic(system, 1, &[])?;
        let address = stage.address(system);
        let duration = stage.seconds(8.0);
        let metered = stage
            .metered(system, || window::run(&address, &topic, Duration::from_secs(1), duration))?;
        stage.drop_topic(system, &topic)?;
        let window = metered.result;
        let full = IN_FLIGHT as f64 * BATCH_MEGABYTES * 1_000.0 / PUT_MS;
        Ok(vec![
            Measured::beside(EFFICIENCY, window.efficiency, 1.0, "a full window"),
            Measured::beside(RATE, window.megabytes_per_second, full, "a window a PUT"),
            Measured::beside(ACK, window.ack_p50_ms, PUT_MS, "PUT"),
        ])
    }
}
