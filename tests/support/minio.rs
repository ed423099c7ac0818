//! MinIO as a process: a bucket such as users have, on this machine.

use std::fs;
use std::process::Command;

use crate::parts;
use crate::peer::{self, Peer, Shared};

const USER: &str = "thalweg";
const PASSWORD: &str = "thalweg-test-secret";
const BUCKET: &str = "thalweg";

/// A running MinIO with one empty bucket. It ends with this process, however that ends.
#[derive(Debug)]
pub(crate) struct Minio(Peer);

impl Minio {
    /// Why there can be none here, if so.
    pub(crate) fn missing() -> Option<String> {
        let program = parts::folder().join("minio/minio");
        (!program.exists()).then(|| format!("{} is absent; ./test installs it", program.display()))
    }

    /// The one that all tests of this process share; they take a prefix each.
    pub(crate) fn shared() -> anyhow::Result<&'static Self> {
        static SHARED: Shared<Minio> = Shared::new();
        peer::shared(&SHARED, Self::start)
    }

    fn start() -> anyhow::Result<Self> {
        let peer = Peer::start("MinIO", |port, folder| {
            // A folder of the data directory is a bucket.
            fs::create_dir_all(folder.join("data").join(BUCKET))?;
            let mut command = Command::new(parts::folder().join("minio/minio"));
            command.args(["server", "--quiet", "--address", &format!("127.0.0.1:{port}")]);
            command.arg(folder.join("data"));
            command.envs([("MINIO_ROOT_USER", USER), ("MINIO_ROOT_PASSWORD", PASSWORD)]);
            Ok(command)
        })?;
        Ok(Self(peer))
    }

    /// `--store` for a broker that has `prefix` for itself.
    pub(crate) fn url(&self, prefix: &str) -> String {
        format!("s3://{BUCKET}/{prefix}")
    }

    /// Where it answers.
    pub(crate) fn endpoint(&self) -> String {
        self.0.endpoint()
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
