//! What processes use of the machine, from `/proc`.

use std::{fs, time::Duration};

use anyhow::Context;

/// `USER_HZ`, which Linux fixes at 100 for user space.
const TICKS: f64 = 100.0;

/// User plus system seconds of a process over all its threads, the ended ones included.
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

/// Resident bytes of a process.
pub fn resident_bytes(pid: u32) -> anyhow::Result<u64> {
    status_bytes(pid, "VmRSS:")
}

/// The most that a process ever had resident.
pub fn peak_resident_bytes(pid: u32) -> anyhow::Result<u64> {
    status_bytes(pid, "VmHWM:")
}

fn status_bytes(pid: u32, key: &str) -> anyhow::Result<u64> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("could not read {path}"))?;
    let line = text
        .lines()
        .find(|line| line.starts_with(key))
        .with_context(|| format!("no {key} in {path}"))?;
    let kib: u64 = line[key.len()..].trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024)
}

/// CPU seconds of the calling thread, to the nanosecond.
pub fn thread_cpu_seconds() -> f64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds: f64 =
        text.split_whitespace().next().and_then(|text| text.parse().ok()).unwrap_or(0.0);
    nanoseconds / 1e9
}

/// Seconds that all cores together spent on anything, hypervisor's theft included.
pub fn machine_busy_seconds() -> f64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks: Vec<f64> = text
        .lines()
        .next()
        .unwrap_or("")
        .split_whitespace()
        .skip(1)
        .filter_map(|field| field.parse().ok())
        .collect();
    // user nice system idle iowait irq softirq steal; guest time is inside user.
    [0, 1, 2, 5, 6, 7].iter().filter_map(|field| ticks.get(*field)).sum::<f64>() / TICKS
}

/// CPU that a set of processes and the harness used over an interval, and what everything else used.
#[derive(Debug)]
pub struct Meter {
    pids: Vec<u32>,
    began: Vec<f64>,
    own: f64,
    busy: f64,
}

/// What a [`Meter`] read.
#[derive(Debug, Clone)]
pub struct Reading {
    /// CPU seconds of each process, in the order given.
    pub processes: Vec<f64>,
    /// CPU seconds of the harness itself, which is the client.
    pub client: f64,
    /// CPU seconds of everything else on the machine, the kernel's own threads included.
    pub foreign: f64,
}

impl Meter {
    /// Begins to measure.
    pub fn start(pids: &[u32]) -> anyhow::Result<Self> {
        Ok(Self {
            pids: pids.to_vec(),
            began: pids.iter().map(|pid| cpu_seconds(*pid)).collect::<Result<_, _>>()?,
            own: cpu_seconds(std::process::id())?,
            busy: machine_busy_seconds(),
        })
    }

    /// What was used since the start.
    pub fn read(&self) -> anyhow::Result<Reading> {
        let processes: Vec<f64> = self
            .pids
            .iter()
            .zip(&self.began)
            .map(|(pid, began)| Ok(cpu_seconds(*pid)? - began))
            .collect::<anyhow::Result<_>>()?;
        let client = cpu_seconds(std::process::id())? - self.own;
        let busy = machine_busy_seconds() - self.busy;
        let foreign = (busy - client - processes.iter().sum::<f64>()).max(0.0);
        Ok(Reading { processes, client, foreign })
    }
}

/// Waits until the processes use less than 3 % of a core each, at most `patience`; false if they never did.
pub fn settle(pids: &[u32], patience: Duration) -> bool {
    let step = Duration::from_millis(300);
    let mut waited = Duration::ZERO;
    while waited < patience {
        let before: Vec<f64> = pids.iter().map(|pid| cpu_seconds(*pid).unwrap_or(0.0)).collect();
        std::thread::sleep(step);
        waited += step;
        let quiet = pids.iter().zip(&before).all(|(pid, before)| {
            cpu_seconds(*pid).unwrap_or(0.0) - before <= 0.03 * step.as_secs_f64() + 0.01
        });
        if quiet {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_cpu_grows_with_work() {
        let began = cpu_seconds(std::process::id()).expect("/proc is there");
        let mut sum = 0u64;
        while cpu_seconds(std::process::id()).expect("/proc is there") < began + 0.05 {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(resident_bytes(std::process::id()).expect("/proc is there") > 1 << 20);
    }
}
