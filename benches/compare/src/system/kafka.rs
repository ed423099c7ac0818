//! Apache Kafka in KRaft's combined mode, with the settings of a broker that is to be fast: no fsync, a 1 GB heap.

use std::path::Path;

use anyhow::{Context, ensure};

use super::Setup;
use crate::process::Program;

/// Any base64 UUID serves; each directory is formatted anew.
const CLUSTER_ID: &str = "MkU3OEVBNTcwNTJENDM2Qk";

/// A folder with Kafka's jars.
#[derive(Debug, Clone)]
pub struct KafkaInstall {
    class_path: String,
    /// The version that the jars name.
    pub version: String,
}

impl KafkaInstall {
    /// Finds the jars.
    pub fn find(jars: &Path) -> anyhow::Result<Self> {
        let version = std::fs::read_dir(jars)
            .with_context(|| {
                format!("no Apache Kafka in {}: `benches/run` installs it", jars.display())
            })?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .find_map(|name| {
                Some(name.strip_prefix("kafka_2.13-")?.strip_suffix(".jar")?.to_owned())
            })
            .with_context(|| format!("no kafka_2.13 jar in {}", jars.display()))?;
        Ok(Self { class_path: format!("{}/*", jars.display()), version })
    }

    /// Java running one of Kafka's classes.
    pub fn java(&self, flags: &[&str], class: &str) -> Program {
        Program::new("java").arguments(flags.iter().copied()).arguments([
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-cp",
            &self.class_path,
            class,
        ])
    }

    /// The broker's command, its directory formatted if it is new. `ports`: broker, controller.
    pub(super) fn prepare(&self, setup: &Setup, ports: [u16; 2]) -> anyhow::Result<Program> {
        let properties = setup.directory.join("server.properties");
        let data = setup.directory.join("log");
        std::fs::write(&properties, text(&data, ports, &setup.kafka_properties))?;
        let properties = properties.display().to_string();
        if !data.exists() {
            self.java(&[], "kafka.tools.StorageTool")
                .arguments(["format", "-t", CLUSTER_ID, "-c", &properties])
                .output()
                .context("could not format Kafka's directory")?;
            ensure!(data.exists(), "formatting made no directory");
        }
        Ok(self.java(&["-Xms1g", "-Xmx1g", "-XX:+UseG1GC"], "kafka.Kafka").arguments([properties]))
    }
}

fn text(data: &Path, [broker, controller]: [u16; 2], further: &[String]) -> String {
    let mut lines = vec![
        "process.roles=broker,controller".to_owned(),
        "node.id=1".to_owned(),
        format!("controller.quorum.voters=1@127.0.0.1:{controller}"),
        format!("listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}"),
        format!("advertised.listeners=PLAINTEXT://127.0.0.1:{broker}"),
        "controller.listener.names=CONTROLLER".to_owned(),
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned(),
        format!("log.dirs={}", data.display()),
        "offsets.topic.replication.factor=1".to_owned(),
        "transaction.state.log.replication.factor=1".to_owned(),
        "transaction.state.log.min.isr=1".to_owned(),
        "auto.create.topics.enable=false".to_owned(),
        // A group's first rebalance waits for nobody: it is the coordinator that is measured.
        "group.initial.rebalance.delay.ms=0".to_owned(),
        // What a turn wrote is gone before the next one begins, and what it need not keep while it runs.
        "log.segment.delete.delay.ms=100".to_owned(),
        "log.retention.check.interval.ms=1000".to_owned(),
    ];
    lines.extend_from_slice(further);
    lines.join("\n") + "\n"
}
