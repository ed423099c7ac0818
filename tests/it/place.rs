//! Where a broker keeps its records: every test of this suite runs on each.

use std::env;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::Context as _;
use tempfile::TempDir;
use thalweg::base::rng::Rng;
use thalweg::client::wire::{Client, Options};

use crate::azurite::Azurite;
use crate::broker::{Broker, Settings};
use crate::gcs::Gcs;
use crate::minio::Minio;
use crate::parts;
use crate::ports::free_port;

/// A kind of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Memory,
    Directory,
    Minio,
    Azurite,
    Gcs,
    /// A broker that `THALWEG_TEST_BOOTSTRAP` names: shows what other brokers do.
    Named,
}

impl Place {
    /// Those that are here.
    pub(crate) fn all() -> Vec<Self> {
        if env::var_os("THALWEG_TEST_BOOTSTRAP").is_some() {
            return vec![Self::Named];
        }
        let mut places = vec![Self::Memory, Self::Directory];
        match Minio::missing().filter(|_| !parts::are_demanded()) {
            Some(reason) => println!("skipped: MinIO: {reason}"),
            None => places.push(Self::Minio),
        }
        places
    }

    /// Those whose records outlive the process.
    pub(crate) fn lasting() -> Vec<Self> {
        let lasts = |place: &Self| matches!(place, Self::Directory | Self::Minio);
        Self::all().into_iter().filter(lasts).collect()
    }

    /// A broker's settings here, on a port that a restarted one takes again.
    pub(crate) fn settings(self, folder: &Path) -> anyhow::Result<Settings> {
        let mut settings = Settings::directory(folder);
        settings.listen = format!("127.0.0.1:{}", free_port()?);
        match self {
            Self::Memory => settings.store = Some("memory://".to_owned()),
            Self::Minio => {
                let minio = Minio::shared()?;
                settings = in_bucket(settings, &minio.endpoint(), |prefix| minio.url(prefix))?;
                settings.env = minio.env();
            }
            Self::Azurite => {
                let azurite = Azurite::shared()?;
                settings = in_bucket(settings, &azurite.endpoint(), |prefix| azurite.url(prefix))?;
                settings.env = azurite.env();
            }
            Self::Gcs => {
                let gcs = Gcs::shared()?;
                settings = in_bucket(settings, &gcs.endpoint(), |prefix| gcs.url(prefix))?;
                settings.env = gcs.env();
            }
            Self::Directory | Self::Named => {}
        }
        Ok(settings)
    }
}

/// The same with its records at `endpoint`, below a prefix of their own.
fn in_bucket(
    mut settings: Settings,
    endpoint: &str,
    url: impl FnOnce(&str) -> String,
) -> anyhow::Result<Settings> {
    let prefix = settings.folder.file_name().and_then(|name| name.to_str());
    settings.store = Some(url(prefix.context("the folder has no name")?));
    Ok(settings.set("store.endpoint", endpoint))
}

/// A broker at a place, and a client of it.
#[derive(Debug)]
pub(crate) struct Stand {
    pub(crate) place: Place,
    pub(crate) client: Client,
    pub(crate) settings: Settings,
    broker: Option<Broker>,
    _folder: TempDir,
}

impl Stand {
    /// Starts a broker.
    pub(crate) async fn at(place: Place, set: &[(&str, &str)]) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("thalweg-it-").tempdir()?;
        let mut settings = place.settings(folder.path())?;
        for (key, value) in set {
            settings = settings.set(key, value);
        }
        let (address, broker) = if place == Place::Named {
            (env::var("THALWEG_TEST_BOOTSTRAP")?, None)
        } else {
            let broker = settings.start()?;
            (broker.address.clone(), Some(broker))
        };
        let client = client(&address).await?;
        Ok(Self { place, client, settings, broker, _folder: folder })
    }

    /// Where the broker takes clients.
    pub(crate) fn address(&self) -> anyhow::Result<String> {
        let named = || env::var("THALWEG_TEST_BOOTSTRAP").context("no broker runs");
        self.broker.as_ref().map_or_else(named, |broker| Ok(broker.address.clone()))
    }

    /// Ends the broker: by a signal that it can answer, or as `kill -9`.
    pub(crate) fn stop(&mut self, gracefully: bool) -> anyhow::Result<()> {
        let broker = self.broker.take().context("no broker runs")?;
        if gracefully {
            let status = broker.terminate()?;
            anyhow::ensure!(status.success(), "SIGTERM: {status}\n{}", self.settings.log_tail());
            return Ok(());
        }
        broker.kill()
    }

    /// Waits until the broker has ended by itself: its exit status, and what it said last.
    pub(crate) fn exited(&mut self) -> anyhow::Result<(ExitStatus, String)> {
        let broker = self.broker.take().context("no broker runs")?;
        Ok((broker.exited()?, self.settings.log_tail()))
    }

    /// Puts another running broker in the place of this one.
    pub(crate) async fn replace(
        &mut self,
        settings: Settings,
        broker: Broker,
    ) -> anyhow::Result<()> {
        self.client = client(&broker.address).await?;
        (self.settings, self.broker) = (settings, Some(broker));
        Ok(())
    }

    /// A client with connections of its own.
    pub(crate) async fn another_client(&self) -> anyhow::Result<Client> {
        let broker = self.broker.as_ref().context("no broker runs")?;
        client(&broker.address).await
    }

    /// Starts the broker again on what it left.
    pub(crate) async fn start(&mut self) -> anyhow::Result<()> {
        let broker = self.settings.start()?;
        self.client = client(&broker.address).await?;
        self.broker = Some(broker);
        Ok(())
    }
}

/// A client of the broker at `address`.
pub(crate) async fn client(address: &str) -> anyhow::Result<Client> {
    client_for(address, Duration::from_secs(20)).await
}

/// A client that gives up after `timeout` what may be tried again.
pub(crate) async fn client_for(address: &str, timeout: Duration) -> anyhow::Result<Client> {
    let bootstrap = vec![address.parse().map_err(anyhow::Error::msg)?];
    let options =
        Options { bootstrap, client_id: "it".to_owned(), timeout, rng: Rng::from_seed(1) };
    Ok(Client::connect(options).await?)
}

/// Runs `test` at each of `places`, on a broker of its own, and says where it failed.
pub(crate) async fn on_each(
    places: Vec<Place>,
    set: &[(&str, &str)],
    test: impl AsyncFn(&mut Stand) -> anyhow::Result<()>,
) {
    for place in places {
        let mut stand = match Stand::at(place, set).await {
            Ok(stand) => stand,
            Err(error) => panic!("{place:?}: the broker did not start: {error:#}"),
        };
        if let Err(error) = test(&mut stand).await {
            panic!("{place:?}: {error:#}\n{}", stand.settings.log_tail());
        }
    }
}
