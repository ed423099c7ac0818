//! What the broker and the machine used over an interval: the meter of `compare`, and how long it took.

#[path = "../../compare/src/usage.rs"]
#[expect(dead_code, reason = "some of it only `compare` asks")]
mod processes;

use std::time::{Duration, Instant};

pub use processes::cpu_seconds;

/// Measures an interval.
#[derive(Debug)]
pub struct Meter {
    began: Instant,
    used: processes::Meter,
}

/// What an interval took.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// How long it was.
    pub wall: Duration,
    /// CPU seconds of the broker.
    pub broker: f64,
    /// Cores that everything else used.
    pub foreign: f64,
}

impl Meter {
    /// Begins, with the broker of that process id.
    pub fn start(pid: u32) -> anyhow::Result<Self> {
        let used = processes::Meter::start(&[pid])?;
        Ok(Self { began: Instant::now(), used })
    }

    /// What it took since then.
    pub fn read(&self) -> anyhow::Result<Reading> {
        let wall = self.began.elapsed();
        let used = self.used.read()?;
        let foreign = used.foreign / wall.as_secs_f64();
        Ok(Reading { wall, broker: used.processes.iter().sum(), foreign })
    }
}
