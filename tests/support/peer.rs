//! A program that tests talk to: a server on a port of this machine.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tempfile::TempDir;

use crate::ports::free_port;

/// A running server. It ends with this process, however that ends.
#[derive(Debug)]
pub(crate) struct Peer {
    port: u16,
    /// While its input is open the server lives: see [`Peer::start`].
    _guard: Child,
    _folder: TempDir,
}

impl Peer {
    /// Starts the program that `command` makes of a free port and of a folder for its data, and waits until it takes
    /// connections.
    pub(crate) fn start(
        name: &str,
        command: impl FnOnce(u16, &Path) -> anyhow::Result<Command>,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("thalweg-peer-").tempdir()?;
        let port = free_port()?;
        let wanted = command(port, folder.path())?;
        let log = File::create(folder.path().join("log"))?;
        // What owns it may be a static, which is never dropped, so the server hangs on a pipe: this process gone, the
        // shell reads its end.
        let mut guard = Command::new("sh")
            .args(["-c", "\"$@\" </dev/null & read end; kill -9 $!; rm -rf \"$FOLDER\"", "sh"])
            .arg(wanted.get_program())
            .args(wanted.get_args())
            .envs(wanted.get_envs().filter_map(|(key, value)| Some((key, value?))))
            .env("FOLDER", folder.path())
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        for _ in 0..600 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(Self { port, _guard: guard, _folder: folder });
            }
            thread::sleep(Duration::from_millis(50));
        }
        guard.stdin.take().context("piped above")?.write_all(b"\n")?;
        let said = fs::read_to_string(folder.path().join("log"))?;
        bail!("{name} took no connection in 30 s: {said}")
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Where it answers.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// What all tests of this process share once one of them needs it, or why it cannot be had.
pub(crate) type Shared<T> = OnceLock<Result<T, String>>;

/// The shared one, started by who comes first.
pub(crate) fn shared<T>(
    shared: &'static Shared<T>,
    start: impl FnOnce() -> anyhow::Result<T>,
) -> anyhow::Result<&'static T> {
    let started = shared.get_or_init(|| start().map_err(|error| format!("{error:#}")));
    started.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
}
