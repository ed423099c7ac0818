//! Stack samples of a broker during a metered load, taken by `perf record`; `benches/stacks` turns them into pictures.
//!
//! The clock of the CPU is sampled, not its cycle counter, which virtual machines often lack: a sample stands for time
//! that a thread ran.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};

use crate::process::{Process, Program};

/// Samples a second on each core; prime, so that it does not beat with a timer.
const FREQUENCY: &str = "997";

/// Where samples go and how stacks are unwound.
#[derive(Debug)]
pub struct Perf {
    into: PathBuf,
    unwind: String,
    taken: AtomicU32,
}

/// A recording that runs.
#[derive(Debug)]
pub struct Sampling {
    perf: Process,
    data: PathBuf,
}

impl Perf {
    /// Writes `NUMBER.data` files to a folder.
    pub fn new(into: PathBuf, unwind: String) -> Self {
        Self { into, unwind, taken: AtomicU32::new(0) }
    }

    /// Begins to sample all threads of a process.
    pub fn start(&self, pid: u32) -> anyhow::Result<Sampling> {
        std::fs::create_dir_all(&self.into)
            .with_context(|| format!("could not make {}", self.into.display()))?;
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        let data = self.into.join(format!("{number}.data"));
        let program = Program::new("perf")
            .arguments(["record", "-e", "cpu-clock", "-F", FREQUENCY, "--call-graph"])
            .arguments([self.unwind.clone(), "-p".to_owned(), pid.to_string()])
            .arguments(["-m", "4M", "-o"])
            .arguments([data.display().to_string()]);
        let mut perf = program.start(&self.into.join("perf.log"))?;
        await_header(&data, &mut perf)?;
        Ok(Sampling { perf, data })
    }
}

/// `perf` writes the file's header once its events are open, just before they are enabled.
fn await_header(data: &Path, perf: &mut Process) -> anyhow::Result<()> {
    let began = Instant::now();
    while std::fs::metadata(data).map_or(0, |metadata| metadata.len()) == 0 {
        perf.check()?;
        ensure!(began.elapsed() < Duration::from_secs(10), "perf does not begin to record");
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

impl Sampling {
    /// Ends it and gives the file.
    pub fn end(self) -> anyhow::Result<PathBuf> {
        self.perf.interrupt()?;
        let bytes = std::fs::metadata(&self.data)?.len();
        ensure!(bytes > 0, "perf recorded nothing into {}", self.data.display());
        Ok(self.data)
    }
}
