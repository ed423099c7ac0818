//! What processes use of the machine, from `/proc`.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// `USER_HZ`, which Linux fixes at 100 for user space.
const TICKS: f64 = 100.0;

/// User plus system seconds of a process over all its threads.
pub fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("could not read {path}"))?;
    // The name in parentheses may hold spaces; fields count from the one after it, which is the third.
    let after_name = &text[text.rfind(')').context("no name in stat")? + 1..];
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |field: usize| -> anyhow::Result<f64> {
        Ok(fields.get(field - 3).context("stat is too short")?.parse::<f64>()?)
    };
    Ok((ticks(14)? + ticks(15)?) / TICKS)
}

/// Seconds that all cores together spent on anything.
fn machine_busy_seconds() -> f64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let ticks: Vec<f64> =
        line.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal
    [0, 1, 2, 5, 6, 7].iter().filter_map(|field| ticks.get(*field)).sum::<f64>() / TICKS
}

/// Measures an interval.
#[derive(Debug)]
pub struct Meter {
    pid: u32,
    began: Instant,
    broker: f64,
    own: f64,
    busy: f64,
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
        let (broker, own) = (cpu_seconds(pid)?, cpu_seconds(std::process::id())?);
        Ok(Self { pid, began: Instant::now(), broker, own, busy: machine_busy_seconds() })
    }

    /// What it took since then.
    pub fn read(&self) -> anyhow::Result<Reading> {
        let wall = self.began.elapsed();
        let broker = cpu_seconds(self.pid)? - self.broker;
        let own = cpu_seconds(std::process::id())? - self.own;
        let foreign = (machine_busy_seconds() - self.busy - own - broker).max(0.0);
        Ok(Reading { wall, broker, foreign: foreign / wall.as_secs_f64() })
    }
}
