//! Apache Kafka from its jars: one node that is broker and controller, on free ports.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::java;
use crate::ports::free_port;

/// What it prints and stores in tests never exceeds this.
const HEAP: &str = "-Xmx512m";
const PROPERTIES: &str = "server.properties";
const START_PATIENCE: Duration = Duration::from_secs(60);

/// A running Kafka; dropped, it is killed and its folder removed.
#[derive(Debug)]
pub(crate) struct Kafka {
    pub(crate) address: SocketAddr,
    pub(crate) child: Child,
    classes: String,
    folder: TempDir,
}

impl Kafka {
    /// Starts it with further `settings`, lines of a properties file, and waits until it takes connections.
    pub(crate) fn start(jars: &Path, settings: &[&str]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let (port, controller) = (free_port()?, free_port()?);
        let properties = folder.path().join(PROPERTIES);
        let text = properties_of(folder.path(), port, controller) + &settings.join("\n");
        fs::write(&properties, text)?;
        let classes = format!("{}/*", jars.display());
        let formatted = java(&classes)
            .args(["kafka.tools.StorageTool", "format", "-t", "4L6g3nShT-eMCtK--X86sw", "-c"])
            .arg(&properties)
            .stdout(Stdio::null())
            .status()
            .context("java is not installed")?;
        ensure!(formatted.success(), "Kafka could not format its folder");
        let child = process(&classes, folder.path())?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut started = Self { address, child, classes, folder };
        started.wait()?;
        Ok(started)
    }

    /// Kills it and starts it on what it left, at the same address.
    #[allow(dead_code, reason = "not every suite that starts it does this")]
    pub(crate) fn restart(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        self.child = process(&self.classes, self.folder.path())?;
        self.wait()
    }

    fn wait(&mut self) -> anyhow::Result<()> {
        let began = Instant::now();
        while began.elapsed() < START_PATIENCE {
            if TcpStream::connect(self.address).is_ok() {
                return Ok(());
            }
            if let Some(ended) = self.child.try_wait()? {
                bail!("Kafka ended at its start: {ended}");
            }
            thread::sleep(Duration::from_millis(10));
        }
        bail!("Kafka was not ready after {START_PATIENCE:?}")
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn process(classes: &str, folder: &Path) -> anyhow::Result<Child> {
    let log = File::options().create(true).append(true).open(folder.join("kafka.log"))?;
    let mut command = java(classes);
    command.args(["-Xms512m", HEAP, "kafka.Kafka"]).arg(folder.join(PROPERTIES)).stdout(log);
    Ok(command.spawn()?)
}

fn java(classes: &str) -> Command {
    let mut command = java::java(classes);
    command.stdin(Stdio::null()).stderr(Stdio::null());
    command
}

fn properties_of(folder: &Path, port: u16, controller: u16) -> String {
    format!(
        "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:{controller}\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}\ncontroller.listener.names=CONTROLLER\n\
         log.dirs={}/data\noffsets.topic.replication.factor=1\noffsets.topic.num.partitions=1\n\
         transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
         transaction.state.log.num.partitions=1\n\
         share.coordinator.state.topic.replication.factor=1\nshare.coordinator.state.topic.min.isr=1\n\
         share.coordinator.state.topic.num.partitions=1\n",
        folder.display()
    )
}
