//! Azurite as a process: an Azure storage account on this machine.

use std::path::Path;
use std::process::Command;

use anyhow::ensure;

use crate::parts;
use crate::peer::{self, Peer, Shared};

/// The account that Azurite has when it is told of none; both are public.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const CONTAINER: &str = "thalweg";

/// A running Azurite with one empty container. It ends with this process, however that ends.
#[derive(Debug)]
pub(crate) struct Azurite(Peer);

impl Azurite {
    /// Why there can be none here, if so.
    pub(crate) fn missing() -> Option<String> {
        let program = program();
        (!program.exists()).then(|| format!("{} is absent; ./test installs it", program.display()))
    }

    /// The one that all tests of this process share; they take a prefix each.
    pub(crate) fn shared() -> anyhow::Result<&'static Self> {
        static SHARED: Shared<Azurite> = Shared::new();
        peer::shared(&SHARED, Self::start)
    }

    fn start() -> anyhow::Result<Self> {
        let azurite = Self(Peer::start("Azurite", |port, _| {
            let mut command = Command::new("node");
            command.arg(program());
            command.args(["--silent", "--inMemoryPersistence", "--disableTelemetry"]);
            command.args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()]);
            Ok(command)
        })?);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/clouds/container.js");
        let mut created = Command::new("node");
        created.arg(script).args([&azurite.endpoint(), CONTAINER]).envs(azurite.env());
        let created = created.output()?;
        ensure!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
        Ok(azurite)
    }

    /// `--store` for a broker that has `prefix` for itself.
    pub(crate) fn url(&self, prefix: &str) -> String {
        format!("az://{CONTAINER}/{prefix}")
    }

    /// Where the account answers.
    pub(crate) fn endpoint(&self) -> String {
        format!("{}/{ACCOUNT}", self.0.endpoint())
    }

    /// The account and its key, as environment.
    pub(crate) fn env(&self) -> Vec<(String, String)> {
        let pairs = [("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT), ("AZURE_STORAGE_ACCOUNT_KEY", KEY)];
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }
}

fn program() -> std::path::PathBuf {
    parts::folder().join("azurite/node_modules/azurite/dist/src/blob/main.js")
}
