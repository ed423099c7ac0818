//! The machine and the versions, so that a result can be compared with another.

use std::{fs, path::Path, process::Command};

use anyhow::Context;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{librd, limits::stamp, process::Program, system::Launcher};

/// Where and with what a run was made.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// Date and time, UTC.
    pub date: String,
    /// CPU model.
    pub cpu: String,
    /// Number of cores.
    pub cores: usize,
    /// GiB of memory.
    pub memory_gib: u64,
    /// Kernel.
    pub kernel: String,
    /// Thalweg: the commit that it was built from, `+` if the tree was changed; of a program that was there already its
    /// version and the beginning of its file's SHA-256.
    pub thalweg: String,
    /// Apache Kafka.
    pub kafka: String,
    /// Its Java.
    pub java: Option<String>,
    /// The client.
    pub librdkafka: String,
}

impl Machine {
    /// Reads it all. `commit`: what Thalweg's program was just built from, if it was.
    pub fn read(launcher: &Launcher, commit: Option<&str>) -> anyhow::Result<Self> {
        let seconds = std::time::SystemTime::now()
            .duration_since(std::time::SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let (date, time) = stamp(seconds);
        let thalweg = match (&launcher.thalweg, commit) {
            (None, _) => "not measured".to_owned(),
            (Some(_), Some(commit)) => commit.to_owned(),
            (Some(program), None) => version(program)?,
        };
        let kafka = launcher.kafka.as_ref().map(|kafka| kafka.version.clone());
        Ok(Self {
            date: format!(
                "{}-{}-{} {}:{} UTC",
                &date[..4],
                &date[4..6],
                &date[6..],
                &time[..2],
                &time[2..4]
            ),
            cpu: line_of("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned()),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gib: line_of("/proc/meminfo", "MemTotal")
                .and_then(|text| text.trim_end_matches(" kB").parse::<u64>().ok())
                .map_or(0, |kib| kib.div_ceil(1 << 20)),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .unwrap_or_default()
                .trim()
                .to_owned(),
            thalweg,
            java: kafka.is_some().then(|| first_line("java", &["--version"])),
            kafka: kafka.unwrap_or_else(|| "not measured".to_owned()),
            librdkafka: librd::version(),
        })
    }

    /// One line for captions.
    pub fn caption(&self) -> String {
        let java = self.java.as_ref().map_or_else(String::new, |java| format!(" on {java}"));
        format!(
            "{} - {} cores of {}, {} GiB, Linux {} - Thalweg {}, Apache Kafka {}{java}, librdkafka {}",
            self.date,
            self.cores,
            self.cpu,
            self.memory_gib,
            self.kernel,
            self.thalweg,
            self.kafka,
            self.librdkafka
        )
    }
}

fn line_of(path: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn first_line(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_owned()
}

/// What a program says of itself, and which file it is.
fn version(program: &Path) -> anyhow::Result<String> {
    let said = Program::new(program).arguments(["--version"]).output()?;
    let said = said.trim().trim_start_matches("thalweg ");
    let file =
        fs::read(program).with_context(|| format!("could not read {}", program.display()))?;
    let digest: String =
        Sha256::digest(&file).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{said} (sha256 {digest})"))
}
