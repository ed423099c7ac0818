//! `thalweg serve`: a node in this process, until it is told to stop or cannot go on.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

use super::output;
use super::settings::Settings;
use crate::base::task;
use crate::config::{Config, LogFormat};
use crate::node::Node;
use crate::telemetry;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where the Kafka protocol is spoken: host:port or NAME://host:port. May be given many times
    /// [default: localhost:9092]
    #[arg(short, long, value_name = "ADDR")]
    listen: Vec<String>,
    /// Where /metrics, /healthz and /readyz are served [default: 127.0.0.1:9644]
    #[arg(long, value_name = "ADDR")]
    http: Option<String>,
    /// Where the Schema Registry is served, or none [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDR")]
    registry: Option<String>,
    /// Listen on addresses that other machines reach, although nothing authenticates or encrypts yet.
    #[arg(long)]
    insecure: bool,
    #[command(flatten)]
    settings: Settings,
    /// When ready, write the bound addresses to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// Print every setting with its value, meaning and where it was said; do not start.
    #[arg(long)]
    print_config: bool,
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let config = self.config()?;
        if self.print_config {
            return output::text(&config.print());
        }
        telemetry::tracing::init(config.node.log_format, &config.node.log_level)?;
        task::abort_on_panic();
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        if let Some(threads) = config.node.worker_threads {
            runtime.worker_threads(threads);
        }
        let runtime = runtime.enable_all().build()?;
        let format = config.node.log_format;
        let result = runtime.block_on(Box::pin(serve(config, self.ready_file)));
        // Whatever still runs has nothing left to promise.
        runtime.shutdown_timeout(Duration::from_secs(1));
        match result {
            // Whoever reads the log as JSON finds the last line in it too.
            Err(error) if format == LogFormat::Json => {
                tracing::error!("{}", super::explain(&error));
                Err(super::Said.into())
            }
            result => result,
        }
    }

    fn config(&self) -> anyhow::Result<Config> {
        let listen = (!self.listen.is_empty()).then(|| self.listen.join(","));
        self.settings.load(&[
            ("--listen", "listeners", listen),
            ("--http", "http.listen", self.http.clone()),
            ("--registry", "schema.registry.listen", self.registry.clone()),
            ("--insecure", "insecure", self.insecure.then(|| "true".to_owned())),
        ])
    }
}

async fn serve(config: Config, ready_file: Option<PathBuf>) -> anyhow::Result<()> {
    let mut ready = ReadyFile::new(ready_file)?;
    let mut signals = Signals::new()?;
    let started = Instant::now();
    let node = tokio::select! {
        biased;
        // Nobody was served yet, so there is nothing to finish.
        name = signals.next() => anyhow::bail!("{name} while starting"),
        node = Box::pin(Node::start(config.clone())) => node.context("cannot start")?,
    };
    ready.write(&config, &node)?;
    output::text(&ready_text(&config, &node, started.elapsed()))?;
    let name = tokio::select! {
        biased;
        error = node.failed() => return Err(error.into()),
        name = signals.next() => name,
    };
    tracing::info!(signal = name, "stopping; a second signal stops at once");
    drop(ready);
    tokio::select! {
        biased;
        name = signals.next() => anyhow::bail!("{name} again: stopped at once"),
        stopped = Box::pin(node.shutdown()) => Ok(stopped?),
    }
}

/// The two signals that ask a process to stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// The file that says where this process serves: there only while it does, unless the process is killed.
struct ReadyFile {
    path: Option<PathBuf>,
    is_written: bool,
}

impl ReadyFile {
    /// Takes away what a process before left: nobody is at its addresses.
    fn new(path: Option<PathBuf>) -> anyhow::Result<Self> {
        if let Some(path) = &path
            && let Err(error) = std::fs::remove_file(path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(error).with_context(|| format!("--ready-file {}", path.display()));
        }
        Ok(Self { path, is_written: false })
    }

    fn write(&mut self, config: &Config, node: &Node) -> anyhow::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        write_ready_file(path, config, node)
            .with_context(|| format!("--ready-file {}", path.display()))?;
        self.is_written = true;
        Ok(())
    }
}

impl Drop for ReadyFile {
    fn drop(&mut self) {
        if let Some(path) = self.path.as_ref().filter(|_| self.is_written) {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Appears whole: whoever waits for the file never reads half of it.
fn write_ready_file(path: &Path, config: &Config, node: &Node) -> std::io::Result<()> {
    let addresses = node.addresses();
    let kafka: std::collections::BTreeMap<_, _> =
        addresses.kafka.iter().map(|(name, address)| (name, address.to_string())).collect();
    let ready = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "kafka": kafka,
        "http": addresses.http.to_string(),
        "schema_registry": addresses.schema_registry.map(|address| address.to_string()),
        "data": place(config, node),
    });
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    std::fs::write(&name, format!("{ready:#}\n"))?;
    std::fs::rename(&name, path)
}

/// What people see once the node serves: where it is, where the data lies, and three lines that show a record going round.
fn ready_text(config: &Config, node: &Node, took: Duration) -> String {
    let addresses = node.addresses();
    let mut out = format!("Thalweg {} is ready after {took:.0?}.\n\n", env!("CARGO_PKG_VERSION"));
    let mut first = None;
    for listener in &config.server.listeners {
        let Some(bound) = addresses.kafka.get(&listener.name) else { continue };
        let mut shown = listener.clone();
        shown.address.port = bound.port();
        if shown.address.is_every_interface() {
            shown.address.host = "localhost".to_owned();
        }
        out.push_str(&format!("  Kafka  {} ({})\n", shown.address, listener.name));
        first.get_or_insert(shown.address);
    }
    let http = addresses.http;
    out.push_str(&format!("  HTTP   http://{http}/metrics, /healthz, /readyz\n"));
    if let Some(registry) = addresses.schema_registry {
        out.push_str(&format!("  Schema Registry  http://{registry}\n"));
    }
    let place = place(config, node);
    out.push_str(&format!("  data   {place}\n"));
    let Some(kafka) = first else { return out };
    let program = program();
    let flag = if kafka.is_loopback() && kafka.port == 9092 {
        String::new()
    } else {
        format!(" -b {kafka}")
    };
    out.push_str("\nTry it from another terminal:\n\n");
    out.push_str(&format!("  echo 'hello, world' | {program} produce hello{flag}\n"));
    out.push_str(&format!("  {program} consume hello{flag} --until end\n"));
    out.push_str(&format!("  kcat -b {kafka} -t hello -C -e\n\n"));
    out
}

/// Where the data lies, whatever directory the reader stands in.
fn place(config: &Config, node: &Node) -> String {
    let absolute = match &config.store.url {
        Some(_) => None,
        None => std::path::absolute(&config.store.data_dir).ok(),
    };
    absolute.map_or_else(|| node.place().to_owned(), |path| path.display().to_string())
}

/// This program as it was called, so that a line can be pasted.
fn program() -> String {
    std::env::args_os()
        .next()
        .map_or_else(|| "thalweg".to_owned(), |name| name.to_string_lossy().into_owned())
}
