//! The systems under measurement, each as a process of its own.

mod emulator;
mod kafka;
mod minio;
mod thalweg;

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use serde::Serialize;

use crate::{process::Process, wire::Connection};

pub use emulator::{Emulator, Put};
pub use kafka::KafkaInstall;
pub use minio::Minio;

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum System {
    /// This project.
    Thalweg,
    /// Apache Kafka.
    Kafka,
}

impl System {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Thalweg => "Thalweg",
            Self::Kafka => "Kafka",
        }
    }
}

/// Where Thalweg keeps its objects. Kafka always keeps its log in a directory, unsynced as it does by default.
#[derive(Debug, Clone)]
pub enum Store {
    /// In its own memory, with a byte cap.
    Memory,
    /// In its data directory, with fsync.
    Directory,
    /// In a bucket of the emulator.
    Bucket {
        /// The emulator's base URL.
        url: String,
    },
}

/// How a broker is to be started.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Its directory: empty, or that of an earlier life.
    pub directory: PathBuf,
    /// Thalweg's store.
    pub store: Store,
    /// Further arguments of `thalweg serve`.
    pub thalweg_arguments: Vec<String>,
    /// Further lines of Kafka's `server.properties`.
    pub kafka_properties: Vec<String>,
}

impl Setup {
    /// An empty broker over a store.
    pub fn new(directory: PathBuf, store: Store) -> Self {
        Self { directory, store, thalweg_arguments: Vec::new(), kafka_properties: Vec::new() }
    }
}

/// A running broker.
#[derive(Debug)]
pub struct Broker {
    /// Whose.
    pub system: System,
    /// Where clients connect.
    pub address: String,
    /// Where Thalweg serves its metrics.
    pub http: String,
    /// From the start of the process to its first Metadata answer.
    pub started_in: Duration,
    process: Process,
}

impl Broker {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The sum of one of Thalweg's counters over its labels.
    pub fn counter(&self, name: &str) -> anyhow::Result<f64> {
        let metrics = emulator::page(&self.http, "GET", "/metrics")?;
        let of_it =
            |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
        let values = metrics.lines().filter(of_it).filter_map(|line| line.rsplit(' ').next());
        values.map(|value| value.parse::<f64>().context("a counter is no number")).sum()
    }

    /// An error if it has ended by itself.
    pub fn check(&mut self) -> anyhow::Result<()> {
        self.process.check().with_context(|| format!("{} is gone", self.system.name()))
    }

    /// `kill -9`.
    pub fn kill(self) {
        self.process.kill();
    }
}

/// Starts brokers.
#[derive(Debug)]
pub struct Launcher {
    /// Thalweg's program; none: only Kafka is measured.
    pub thalweg: Option<PathBuf>,
    /// Kafka; none: only Thalweg is measured.
    pub kafka: Option<KafkaInstall>,
    /// The emulator's program.
    pub emulator: PathBuf,
    /// MinIO's program, if it is there.
    pub minio: Option<PathBuf>,
    /// Byte cap of Thalweg's memory store.
    pub memory_max: String,
    /// First of the ports that brokers take.
    pub first_port: u16,
}

impl Launcher {
    /// The systems that are there.
    pub fn systems(&self) -> Vec<System> {
        let thalweg = self.thalweg.as_ref().map(|_| System::Thalweg);
        let kafka = self.kafka.as_ref().map(|_| System::Kafka);
        thalweg.into_iter().chain(kafka).collect()
    }

    /// Starts a broker and waits for its first Metadata answer.
    pub fn start(&self, system: System, setup: &Setup) -> anyhow::Result<Broker> {
        let ports = self.free_ports()?;
        let log = setup.directory.join("output.log");
        let program = match system {
            System::Thalweg => {
                let path = self.thalweg.as_deref().context("no thalweg program")?;
                thalweg::program(path, setup, ports, &self.memory_max)
            }
            System::Kafka => {
                let install = self.kafka.as_ref().context("no Apache Kafka")?;
                install.prepare(setup, ports)?
            }
        };
        let began = Instant::now();
        let mut process = program.start(&log)?;
        let address = format!("127.0.0.1:{}", ports[0]);
        await_metadata(&address, &mut process)?;
        let http = format!("127.0.0.1:{}", ports[1]);
        Ok(Broker { system, address, http, started_in: began.elapsed(), process })
    }

    /// Starts a MinIO over an empty directory.
    pub fn minio(&self, directory: &Path) -> anyhow::Result<Minio> {
        let path = self.minio.as_deref().filter(|path| path.exists());
        let path = path.context("no MinIO: `tests/parts minio` builds it, --minio names it")?;
        Minio::start(path, directory, self.free_ports()?)
    }

    /// Two free ports in a row from the first one on.
    fn free_ports(&self) -> anyhow::Result<[u16; 2]> {
        let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
        let found = (self.first_port..=self.first_port.saturating_add(98))
            .step_by(2)
            .find(|port| free(*port) && free(port + 1))
            .context("no free port in the range")?;
        Ok([found, found + 1])
    }
}

/// Asks for metadata every half millisecond until an answer comes.
fn await_metadata(address: &str, process: &mut Process) -> anyhow::Result<()> {
    const EMPTY_METADATA: [u8; 5] = [0, 0, 0, 0, 0];
    let began = Instant::now();
    loop {
        let asked = Connection::open(address)
            .and_then(|mut connection| connection.ask(3, 4, &EMPTY_METADATA));
        if asked.is_ok() {
            return Ok(());
        }
        process.check()?;
        if began.elapsed() > Duration::from_secs(120) {
            bail!("no answer from {address} in 120 s");
        }
        std::thread::sleep(Duration::from_micros(500));
    }
}

/// A file's text with its trailing newline cut, once it is there.
fn await_file(path: &Path, process: &mut Process) -> anyhow::Result<String> {
    let began = Instant::now();
    loop {
        match std::fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return Ok(text.trim_end().to_owned()),
            _ => process.check()?,
        }
        if began.elapsed() > Duration::from_secs(30) {
            bail!("{} did not appear in 30 s", path.display());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
