//! A broker as a process: the program that users run, on ports of its own.

// Each suite uses a part of this.
#![allow(dead_code)]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

/// How long a start or a stop may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// How a broker is started; the same settings start it again on what it left.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Everything that the process keeps or says: data, ready file, log.
    pub(crate) folder: PathBuf,
    /// `--listen`; port 0 takes any free port.
    pub(crate) listen: String,
    /// `--registry`: most tests need none.
    pub(crate) registry: String,
    /// `--store`; absent is the local directory below `folder`.
    pub(crate) store: Option<String>,
    /// `--set` for each.
    pub(crate) set: Vec<(String, String)>,
    /// Environment, such as a bucket's credentials.
    pub(crate) env: Vec<(String, String)>,
    /// A program and its first arguments that becomes the broker once it has prepared for it; most need none.
    pub(crate) through: Vec<String>,
}

impl Settings {
    /// A broker on a local directory below `folder`.
    pub(crate) fn directory(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            listen: "127.0.0.1:0".to_owned(),
            registry: "none".to_owned(),
            store: None,
            set: Vec::new(),
            env: Vec::new(),
            through: Vec::new(),
        }
    }

    /// One more setting, by our name or Kafka's.
    #[must_use]
    pub(crate) fn set(mut self, key: &str, value: &str) -> Self {
        self.set.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Starts the program and returns when it has said that it is ready.
    pub(crate) fn start(&self) -> anyhow::Result<Broker> {
        let ready = self.folder.join("ready.json");
        if ready.exists() {
            fs::remove_file(&ready)?;
        }
        let mut broker = Broker::new(self.spawn(&ready)?);
        let said = broker.wait_until_ready(&ready).with_context(|| self.log_tail())?;
        (broker.address, broker.http, broker.registry) = said;
        Ok(broker)
    }

    /// Starts the program and kills it `after` that, ready or not.
    pub(crate) fn start_and_kill(&self, after: Duration) -> anyhow::Result<()> {
        let child = self.spawn(&self.folder.join("ready.json"))?;
        thread::sleep(after);
        Broker::new(child).kill()
    }

    fn spawn(&self, ready: &Path) -> anyhow::Result<Child> {
        fs::create_dir_all(&self.folder)?;
        let line = [&self.through[..], &[env!("CARGO_BIN_EXE_thalweg").to_owned()]].concat();
        let mut command = Command::new(&line[0]);
        command.args(&line[1..]).args(["serve", "--listen", &self.listen, "--http", "127.0.0.1:0"]);
        command.args(["--registry", &self.registry]);
        command.arg("--ready-file").arg(ready).arg("--data-dir").arg(self.folder.join("data"));
        if let Some(store) = &self.store {
            command.args(["--store", store]);
        }
        for (key, value) in &self.set {
            command.args(["--set", &format!("{key}={value}")]);
        }
        command.envs(self.env.iter().map(|(key, value)| (key, value)));
        let log = File::options().create(true).append(true).open(self.log())?;
        let told = File::options().create(true).append(true).open(self.told())?;
        command.stdin(Stdio::null()).stdout(told).stderr(log);
        command.spawn().context("could not start the broker")
    }

    /// The log of the process, of all its starts.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("broker.log")
    }

    /// What the process printed for people, of all its starts.
    pub(crate) fn told(&self) -> PathBuf {
        self.folder.join("broker.told")
    }

    /// What it wrote when it was last ready.
    pub(crate) fn ready(&self) -> anyhow::Result<serde_json::Value> {
        Ok(serde_json::from_slice(&fs::read(self.folder.join("ready.json"))?)?)
    }

    /// The last incarnation that took office, as the process said it.
    pub(crate) fn incarnation(&self) -> Option<String> {
        let text = fs::read_to_string(self.log()).ok()?;
        let line = text.lines().rfind(|line| line.contains("coordinator took office"))?;
        let (_, said) = line.split_once("incarnation=")?;
        Some(said.split_whitespace().next()?.to_owned())
    }

    /// The last lines that the process said, for a failure's report.
    pub(crate) fn log_tail(&self) -> String {
        let text = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

/// A running broker; dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Broker {
    child: Child,
    /// Where it takes clients.
    pub(crate) address: String,
    /// Where operators look.
    pub(crate) http: String,
    /// Where it serves schemas, if it does.
    pub(crate) registry: String,
}

impl Broker {
    fn new(child: Child) -> Self {
        Self { child, address: String::new(), http: String::new(), registry: String::new() }
    }

    /// The addresses of clients, of operators and of the registry.
    fn wait_until_ready(&mut self, ready: &Path) -> anyhow::Result<(String, String, String)> {
        for _ in 0..PATIENCE.as_millis() / POLL_INTERVAL.as_millis() {
            if let Some(status) = self.child.try_wait()? {
                bail!("the broker ended before it was ready: {status}");
            }
            // Read half-written it is not JSON yet.
            if let Ok(text) = fs::read_to_string(ready)
                && let Ok(said) = serde_json::from_str::<serde_json::Value>(&text)
            {
                let text = |key: &str| said[key].as_str().unwrap_or_default().to_owned();
                return Ok((listener(&said)?, text("http"), text("schema_registry")));
            }
            thread::sleep(POLL_INTERVAL);
        }
        bail!("the broker was not ready after {PATIENCE:?}")
    }

    /// The most memory that the process had at a time, in bytes.
    pub(crate) fn memory_peak(&self) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()).context("no VmHWM")?;
        Ok(kib.parse::<u64>()? << 10)
    }

    /// Kills the process as `kill -9` does: nothing of it runs on.
    pub(crate) fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends the process a signal by its name, such as TERM.
    pub(crate) fn signal(&self, name: &str) -> anyhow::Result<()> {
        let id = self.id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &id]).status()?;
        ensure!(sent.success(), "could not signal the broker");
        Ok(())
    }

    /// Whether the process has not ended.
    pub(crate) fn runs(&mut self) -> anyhow::Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Asks the process to stop (SIGTERM) and gives its exit status.
    pub(crate) fn terminate(self) -> anyhow::Result<ExitStatus> {
        self.signal("TERM")?;
        self.exited()
    }

    /// Waits until the process has ended, and gives its exit status.
    pub(crate) fn exited(mut self) -> anyhow::Result<ExitStatus> {
        for _ in 0..PATIENCE.as_millis() / POLL_INTERVAL.as_millis() {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            thread::sleep(POLL_INTERVAL);
        }
        bail!("the broker did not end in {PATIENCE:?}")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Ended and waited for already, both fail and nothing is left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first Kafka address of the ready file.
fn listener(said: &serde_json::Value) -> anyhow::Result<String> {
    let first = said["kafka"].as_object().and_then(|listeners| listeners.values().next());
    let address = first.and_then(serde_json::Value::as_str);
    Ok(address.with_context(|| format!("no listener in {said}"))?.to_owned())
}
