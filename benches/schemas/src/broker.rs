//! A broker as a process, and plain requests to its registry.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value as Json;
use thalweg::base::rng::Rng;
use thalweg::client::wire::{Client, Options};

/// How long a start or an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How brokers are started.
#[derive(Debug, Clone)]
pub struct Settings {
    program: String,
    folder: PathBuf,
    store: Option<String>,
    core: Option<usize>,
}

impl Settings {
    /// Brokers on a directory, with all cores.
    pub fn new(program: String, folder: &Path) -> Self {
        Self { program, folder: folder.to_owned(), store: None, core: None }
    }

    /// On one core alone.
    pub fn on_core(&self, core: usize) -> Self {
        Self { core: Some(core), ..self.clone() }
    }

    /// With its objects in memory.
    pub fn in_memory(&self) -> Self {
        Self { store: Some("memory://?max_bytes=2GiB".to_owned()), ..self.clone() }
    }

    /// Starts one, and waits until it says that it is ready.
    pub fn start(&self) -> anyhow::Result<Broker> {
        let ready = self.folder.join("ready.json");
        if ready.exists() {
            fs::remove_file(&ready)?;
        }
        let mut command = match self.core {
            Some(core) => {
                let mut command = Command::new("taskset");
                command.args(["-c", &core.to_string(), &self.program]);
                command
            }
            None => Command::new(&self.program),
        };
        command.args(["serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
        command.args(["--registry", "127.0.0.1:0", "--ready-file"]).arg(&ready);
        command.arg("--data-dir").arg(self.folder.join("data"));
        if let Some(store) = &self.store {
            command.args(["--store", store]);
        }
        // To the program it would be a setting.
        command.env_remove("THALWEG_BIN");
        let log = fs::File::create(self.folder.join("broker.log"))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().context("could not start the broker")?;
        let mut broker = Broker { child, address: String::new(), registry: String::new() };
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if let Some(status) = broker.child.try_wait()? {
                bail!("the broker ended: {status}");
            }
            if let Some(said) = fs::read(&ready).ok().and_then(|b| serde_json::from_slice(&b).ok())
            {
                let said: Json = said;
                let text = |value: &Json| value.as_str().map(str::to_owned).context("no address");
                let listeners = said["kafka"].as_object().context("no listeners")?;
                broker.address = text(listeners.values().next().context("no listener")?)?;
                broker.registry = text(&said["schema_registry"])?;
                return Ok(broker);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        bail!("the broker was not ready after {PATIENCE:?}")
    }
}

/// A running broker; dropped, it is killed.
#[derive(Debug)]
pub struct Broker {
    child: Child,
    address: String,
    /// Where it serves schemas.
    pub registry: String,
}

impl Broker {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A client of it.
    pub async fn client(&self) -> anyhow::Result<Client> {
        let options = Options {
            bootstrap: vec![self.address.parse().map_err(anyhow::Error::msg)?],
            client_id: "schemas".to_owned(),
            timeout: PATIENCE,
            rng: Rng::from_os(),
        };
        Ok(Client::connect(options).await?)
    }

    /// Stops it in order.
    pub fn stop(mut self) -> anyhow::Result<()> {
        let status = Command::new("kill").arg(self.pid().to_string()).status()?;
        ensure!(status.success(), "it could not be told to stop");
        ensure!(self.child.wait()?.success(), "it did not stop in order");
        Ok(())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Either it runs, or it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection to a registry that stays open.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Opens one.
    pub fn open(address: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, buffer: vec![0; 64 << 10] })
    }

    /// Makes a request, and gives the body of its answer, which must be a success.
    pub fn ask(&mut self, method: &str, path: &str, body: &str) -> anyhow::Result<&str> {
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        self.stream.write_all(head.as_bytes())?;
        let mut held = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[held..])?;
            ensure!(read > 0, "the connection was closed, or its answer is too long");
            held += read;
            if let Some(from) = whole(&self.buffer[..held])? {
                return Ok(std::str::from_utf8(&self.buffer[from..held])?);
            }
        }
    }
}

/// Where the body of an answer begins that is all there.
fn whole(answer: &[u8]) -> anyhow::Result<Option<usize>> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&answer[..end])?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let is_whole = answer.len() - (end + 4) == length.context("no length")?.parse::<usize>()?;
    ensure!(!is_whole || head.starts_with("HTTP/1.1 200"), "{}", String::from_utf8_lossy(answer));
    Ok(is_whole.then_some(end + 4))
}
