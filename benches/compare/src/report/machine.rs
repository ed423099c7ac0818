//! The machine and the versions, so that a result can be compared with another.

use std::{fs, process::Command};

use serde::Serialize;

use crate::{librd, limits::stamp};

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
    /// Commit of Thalweg, `+` if the tree was changed.
    pub thalweg: String,
    /// Apache Kafka.
    pub kafka: String,
    /// Java.
    pub java: String,
    /// The client.
    pub librdkafka: String,
}

impl Machine {
    /// Reads it all.
    pub fn read(kafka: Option<&str>) -> Self {
        let seconds = std::time::SystemTime::now()
            .duration_since(std::time::SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let (date, time) = stamp(seconds);
        Self {
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
            thalweg: commit(),
            kafka: kafka.unwrap_or("not measured").to_owned(),
            java: first_line("java", &["--version"]),
            librdkafka: librd::version(),
        }
    }

    /// One line for captions.
    pub fn caption(&self) -> String {
        format!(
            "{} - {} cores of {}, {} GiB, Linux {} - Thalweg {}, Apache Kafka {}, librdkafka {}",
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

fn commit() -> String {
    let commit = first_line("git", &["rev-parse", "--short", "HEAD"]);
    let changed = first_line("git", &["status", "--porcelain", "--untracked-files=no"]);
    if changed == "unknown" { commit } else { format!("{commit}+") }
}
