//! The store emulator as a process, and its admin pages.

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    time::Duration,
};

use anyhow::{Context, ensure};
use serde::Deserialize;

use super::await_file;
use crate::process::{Process, Program};

/// The bucket that exists from the start.
pub const BUCKET: &str = "bench";
/// Who may enter.
pub const ACCESS_KEY: &str = "emulator";
/// And the secret.
pub const SECRET_KEY: &str = "emulator-secret";

/// A running store emulator.
#[derive(Debug)]
pub struct Emulator {
    /// Its base URL.
    pub url: String,
    process: Process,
}

/// What the emulator counted.
#[derive(Debug, Clone, Deserialize)]
pub struct Statement {
    operations: Vec<Line>,
    dollars: Dollars,
}

#[derive(Debug, Clone, Deserialize)]
struct Line {
    operation: String,
    requests: u64,
    bytes_in: u64,
}

/// A PutObject, and the latency in milliseconds that was drawn for it.
#[derive(Debug, Clone, Deserialize)]
pub struct Put {
    /// The object's key.
    pub key: String,
    /// The latency.
    pub milliseconds: f64,
}

#[derive(Debug, Clone, Deserialize)]
struct Dollars {
    requests: f64,
    transfer: f64,
}

impl Statement {
    /// Requests of one kind.
    pub fn requests(&self, operation: &str) -> u64 {
        self.operations
            .iter()
            .filter(|line| line.operation == operation)
            .map(|line| line.requests)
            .sum()
    }

    /// Bytes received by all operations.
    pub fn bytes_in(&self) -> u64 {
        self.operations.iter().map(|line| line.bytes_in).sum()
    }

    /// What the requests and transfers cost.
    pub fn dollars(&self) -> f64 {
        self.dollars.requests + self.dollars.transfer
    }
}

impl Emulator {
    /// Starts one with a latency profile.
    pub fn start(program: &Path, directory: &Path, profile: &str) -> anyhow::Result<Self> {
        let ready = directory.join("emulator.ready");
        let mut process = Program::new(program)
            .arguments(["--ready-file".to_owned(), ready.display().to_string()])
            .arguments(["--bucket", BUCKET, "--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY])
            .arguments(["--profile", profile])
            .start(&directory.join("emulator.log"))?;
        let url = await_file(&ready, &mut process)?;
        Ok(Self { url, process })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// The ledger.
    pub fn statement(&self) -> anyhow::Result<Statement> {
        Ok(serde_json::from_str(&page(self.address(), "GET", "/_emulator/stats")?)?)
    }

    /// The PutObject requests since the last reset, in the order in which they began.
    pub fn puts(&self) -> anyhow::Result<Vec<Put>> {
        Ok(serde_json::from_str(&page(self.address(), "GET", "/_emulator/puts")?)?)
    }

    /// Pulls a lever, such as `outage?seconds=30`, of the emulator at a base URL.
    pub fn act_at(url: &str, action: &str) -> anyhow::Result<()> {
        page(url.trim_start_matches("http://"), "POST", &format!("/_emulator/{action}")).map(|_| ())
    }
}

/// Asks a server of ours for a page.
pub(super) fn page(host: &str, method: &str, page: &str) -> anyhow::Result<String> {
    let mut stream =
        TcpStream::connect(host).with_context(|| format!("nothing answers at {host}"))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let request = format!(
        "{method} {page} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no body")?;
    ensure!(head.starts_with("HTTP/1.1 200"), "{host} refuses {page}: {body}");
    Ok(body.to_owned())
}
