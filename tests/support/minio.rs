//! MinIO as a process: a bucket such as users have, on this machine.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tempfile::TempDir;

use crate::parts;

const USER: &str = "thalweg";
const PASSWORD: &str = "thalweg-test-secret";
const BUCKET: &str = "thalweg";

/// A running MinIO with one empty bucket. It ends with this process, however that ends.
#[derive(Debug)]
pub(crate) struct Minio {
    port: u16,
    /// While its input is open the server lives: see [`Minio::start`].
    _guard: Child,
    _folder: TempDir,
}

impl Minio {
    /// Why there can be none here, if so.
    pub(crate) fn missing() -> Option<String> {
        let program = parts::folder().join("minio/minio");
        (!program.exists()).then(|| format!("{} is absent; ./test installs it", program.display()))
    }

    /// The one that all tests of this process share; they take a prefix each.
    pub(crate) fn shared() -> anyhow::Result<&'static Self> {
        static SHARED: OnceLock<Result<Minio, String>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| Self::start().map_err(|error| format!("{error:#}")));
        shared.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
    }

    fn start() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("thalweg-minio-").tempdir()?;
        // A folder of the data directory is a bucket.
        fs::create_dir_all(folder.path().join("data").join(BUCKET))?;
        let port = free_port()?;
        let log = File::create(folder.path().join("log"))?;
        // A static is never dropped, so the server hangs on a pipe: this process gone, the shell reads its end.
        let mut guard = Command::new("sh")
            .args(["-c", "\"$@\" </dev/null & read end; kill -9 $!; rm -rf \"$FOLDER\"", "sh"])
            .arg(parts::folder().join("minio/minio"))
            .args(["server", "--quiet", "--address", &format!("127.0.0.1:{port}")])
            .arg(folder.path().join("data"))
            .envs([("MINIO_ROOT_USER", USER), ("MINIO_ROOT_PASSWORD", PASSWORD)])
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
        bail!(
            "MinIO took no connection in 30 s: {}",
            fs::read_to_string(folder.path().join("log"))?
        )
    }

    /// `--store` for a broker that has `prefix` for itself.
    pub(crate) fn url(&self, prefix: &str) -> String {
        format!("s3://{BUCKET}/{prefix}")
    }

    /// Where it answers.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The credentials, as environment.
    pub(crate) fn env(&self) -> Vec<(String, String)> {
        let pairs = [
            ("AWS_ACCESS_KEY_ID", USER),
            ("AWS_SECRET_ACCESS_KEY", PASSWORD),
            ("AWS_REGION", "us-east-1"),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }
}

/// A port that was free just now.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
