//! `fake-gcs-server` as a process: a bucket of Google Cloud Storage on this machine.
//!
//! It takes puts in Google's JSON interface only, so a program before it says them that way: see `gcs-front.js`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::parts;
use crate::peer::{self, Peer, Shared};

const BUCKET: &str = "thalweg";

/// A running server with one empty bucket. It ends with this process, however that ends.
#[derive(Debug)]
pub(crate) struct Gcs {
    fake: Peer,
    front: Peer,
}

impl Gcs {
    /// Why there can be none here, if so.
    pub(crate) fn missing() -> Option<String> {
        let program = program();
        let what = || format!("{} is absent; ./test installs it", program.display());
        (!program.exists()).then(what)
    }

    /// The one that all tests of this process share; they take a prefix each.
    pub(crate) fn shared() -> anyhow::Result<&'static Self> {
        static SHARED: Shared<Gcs> = Shared::new();
        peer::shared(&SHARED, Self::start)
    }

    fn start() -> anyhow::Result<Self> {
        let fake = Peer::start("fake-gcs-server", |port, folder| {
            // A folder of the data directory is a bucket.
            fs::create_dir_all(folder.join("data").join(BUCKET))?;
            let mut command = Command::new(program());
            command.args(["-scheme", "http", "-host", "127.0.0.1", "-port", &port.to_string()]);
            // It takes requests at the name that it is told to have.
            command.args(["-backend", "memory", "-log-level", "warn", "-public-host", "127.0.0.1"]);
            command.arg("-data").arg(folder.join("data"));
            Ok(command)
        })?;
        let front = Peer::start("gcs-front", |port, _| {
            let mut command = Command::new("node");
            let script = "tests/it/clouds/gcs-front.js";
            command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(script));
            command.args([port.to_string(), fake.port().to_string()]);
            Ok(command)
        })?;
        Ok(Self { fake, front })
    }

    /// `--store` for a broker that has `prefix` for itself.
    pub(crate) fn url(&self, prefix: &str) -> String {
        format!("gs://{BUCKET}/{prefix}")
    }

    /// Where it answers.
    pub(crate) fn endpoint(&self) -> String {
        self.front.endpoint()
    }

    /// Where the fake itself answers, which takes no puts.
    pub(crate) fn bare_endpoint(&self) -> String {
        self.fake.endpoint()
    }

    /// That it asks for no credentials, as environment.
    pub(crate) fn env(&self) -> Vec<(String, String)> {
        vec![("GOOGLE_SKIP_SIGNATURE".to_owned(), "true".to_owned())]
    }
}

fn program() -> PathBuf {
    parts::folder().join("gcs/fake-gcs-server")
}
