//! The brokers that the script is sent to: ours as a process, or Apache Kafka from its jars.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tempfile::TempDir;

use crate::kafka::Kafka;

const START_PATIENCE: Duration = Duration::from_secs(60);

/// A running broker; it ends with this value.
#[derive(Debug)]
pub struct Broker {
    pub address: SocketAddr,
    /// What record timestamps count from: an hour before the start.
    pub base_ms: i64,
    /// Of its coordinators: how often it was started before.
    pub first_epoch: i32,
    process: Process,
}

#[derive(Debug)]
enum Process {
    Thalweg { child: Child, command: Command, dir: TempDir },
    Kafka(Kafka),
}

impl Broker {
    /// Our broker on a memory store, with settings of its own.
    pub fn thalweg(settings: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        Self::started(dir, &["--store", "memory://"], settings, 0)
    }

    /// Our broker in its second life, on the data directory that `fill` wrote in its first.
    pub fn thalweg_on(settings: &[&str], fill: impl FnOnce(&Path)) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        fill(&dir.path().join("data"));
        Self::started(dir, &[], settings, 1)
    }

    fn started(dir: TempDir, store: &[&str], settings: &[&str], first_epoch: i32) -> Self {
        let ready = ready_file(&dir);
        let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
        command.args(["--registry", "none"]).args(store);
        command.arg("--ready-file").arg(&ready).arg("--data-dir").arg(dir.path().join("data"));
        for setting in ["broker.id=1"].iter().chain(settings) {
            command.args(["--set", setting]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let (child, address) = spawn(&mut command, &ready);
        let process = Process::Thalweg { child, command, dir };
        Self { address, base_ms: an_hour_ago(), first_epoch, process }
    }

    /// Kills it and starts it on what it left, perhaps at another address.
    pub fn restart(&mut self) {
        match &mut self.process {
            Process::Thalweg { child, command, dir } => {
                child.kill().and_then(|()| child.wait()).expect("our own child");
                (*child, self.address) = spawn(command, &ready_file(dir));
            }
            Process::Kafka(kafka) => kafka.restart().expect("Kafka starts again"),
        }
    }

    /// Apache Kafka.
    pub fn kafka(jars: &Path, settings: &[&str]) -> Self {
        let kafka = Kafka::start(jars, settings).expect("Kafka starts");
        let address = kafka.address;
        Self { address, base_ms: an_hour_ago(), first_epoch: 0, process: Process::Kafka(kafka) }
    }

    pub fn is_kafka(&self) -> bool {
        matches!(self.process, Process::Kafka(_))
    }

    /// The broker's process, for a look at its memory.
    pub fn pid(&self) -> u32 {
        match &self.process {
            Process::Thalweg { child, .. } => child.id(),
            Process::Kafka(kafka) => kafka.child.id(),
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Process::Thalweg { child, .. } = &mut self.process {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn ready_file(dir: &TempDir) -> PathBuf {
    dir.path().join("ready.json")
}

fn spawn(command: &mut Command, ready: &Path) -> (Child, SocketAddr) {
    // What a process before left; the first finds nothing.
    let _ = std::fs::remove_file(ready);
    let mut child = command.spawn().expect("the program starts");
    let address = wait_for(&mut child, || address_in(ready));
    (child, address)
}

fn wait_for<T>(child: &mut Child, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    while start.elapsed() < START_PATIENCE {
        if let Some(found) = look() {
            return found;
        }
        let ended = child.try_wait().expect("our own child");
        assert!(ended.is_none(), "the broker ended at its start: {ended:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("the broker was not ready after {START_PATIENCE:?}");
}

fn address_in(ready: &Path) -> Option<SocketAddr> {
    let text = std::fs::read_to_string(ready).ok()?;
    let bound: serde_json::Value = serde_json::from_str(&text).ok()?;
    first_address(&bound)
}

/// The first `host:port` in the file: the Kafka listener.
fn first_address(value: &serde_json::Value) -> Option<SocketAddr> {
    match value {
        serde_json::Value::String(text) => text.rsplit("//").next()?.parse().ok(),
        serde_json::Value::Array(items) => items.iter().find_map(first_address),
        serde_json::Value::Object(fields) => {
            let kafka = fields.iter().filter(|(name, _)| !name.contains("http"));
            kafka.map(|(_, value)| value).find_map(first_address)
        }
        _ => None,
    }
}

fn an_hour_ago() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    i64::try_from(since.as_millis()).expect("64 bits hold milliseconds") - 3_600_000
}
