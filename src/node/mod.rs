//! The composition root: the only place that builds parts, connects them, and stops them in order.
//!
//! Start: the store opened, sockets bound, then the [`Broker`] (probe, coordinator, a chain taken after every earlier one
//! is recovered), then clients are served. Stop: no more clients, owed answers written, then the broker. So whoever waits
//! for a directory's lock finds the addresses of the process before it free, and a process that cannot be reached never
//! takes over a bucket.

mod broker;
mod error;
mod leadership;
mod local_topic;
mod readiness;
mod settings;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::AbortHandle;

pub use broker::Broker;
pub use error::Error;

use crate::base::clock::{SharedClock, SystemClock};
use crate::base::rng::Rng;
use crate::base::task;
use crate::base::watch;
use crate::config::{Address, Config};
use crate::console;
use crate::object::Store;
use crate::object::build::{self, Purpose};
use crate::server::{Bound, Listeners, Voice};
use crate::{schema_registry, server, telemetry};

/// What a node takes from outside, so that tests and the simulator can give it their own.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Wall clock.
    pub clock: SharedClock,
    /// Ids and jitter.
    pub rng: Rng,
    /// The store to use instead of the configured one.
    pub store: Option<Store>,
}

impl Surroundings {
    /// The store given, else the one that is configured. Waits for a directory that another process holds.
    async fn store(&self, config: &Config) -> Result<Store, Error> {
        match &self.store {
            Some(store) => Ok(store.clone()),
            None => Ok(build::open(&config.store, Purpose::Serve, Arc::clone(&self.clock)).await?),
        }
    }
}

impl Default for Surroundings {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), rng: Rng::from_os(), store: None }
    }
}

/// How long a node that fails waits for its connections: longer than they wait for their clients.
const CLOSED_WITHIN: Duration = Duration::from_secs(1);

/// Where a node is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// Kafka listeners by name.
    pub kafka: BTreeMap<String, SocketAddr>,
    /// Metrics and health.
    pub http: SocketAddr,
    /// The Schema Registry, if it is served.
    pub schema_registry: Option<SocketAddr>,
}

/// A running node.
#[derive(Debug)]
pub struct Node {
    addresses: Addresses,
    place: String,
    grace: Duration,
    broker: Broker,
    listeners: Listeners,
    /// What serves HTTP.
    http: Vec<AbortHandle>,
}

impl Node {
    /// Starts a node by its settings. Ready for clients when it returns.
    ///
    /// # Errors
    /// What keeps it from starting, each with what to do about it.
    pub async fn start(config: Config) -> Result<Self, Error> {
        Self::start_in(config, Surroundings::default()).await
    }

    /// Starts a node in given surroundings.
    ///
    /// # Errors
    /// As [`Node::start`].
    pub async fn start_in(config: Config, surroundings: Surroundings) -> Result<Self, Error> {
        let config = Arc::new(config);
        let metrics = telemetry::Registry::new();
        let store = Box::pin(surroundings.store(&config)).await?;
        let surroundings = Surroundings { store: Some(store), ..surroundings };
        let (bound, http, registry) = bind(&config).await?;
        let addresses = Addresses {
            kafka: bound.iter().map(|bound| (bound.name.clone(), bound.address)).collect(),
            http: local_address("HTTP", &http)?,
            schema_registry: registry
                .as_ref()
                .map(|one| local_address("registry", one))
                .transpose()?,
        };
        let endpoints = settings::advertised(&config, &bound);
        let starting = Broker::start(Arc::clone(&config), surroundings, endpoints, &metrics);
        let broker = Box::pin(starting).await?;
        let routes = console::routes(metrics.clone(), broker.readiness());
        let console = task::spawn("console", async move { axum::serve(http, routes).await });
        let mut http = vec![console.abort_handle()];
        if let Some(listener) = registry {
            let about = schema_registry::About { cluster_id: config.node.cluster_id.clone() };
            let routes = schema_registry::routes(broker.schemas().clone(), about);
            let lost = voice_lost(broker.voice());
            let serving =
                async move { axum::serve(listener, routes).with_graceful_shutdown(lost).await };
            http.push(task::spawn("schema-registry-http", serving).abort_handle());
        }
        let settings = settings::server(&config, server::Metrics::new(&metrics), broker.voice());
        let listeners = Listeners::start(bound, broker.context(), &settings);
        let place = settings::place(&config, broker.store());
        let grace = config.server.shutdown_grace;
        Ok(Self { addresses, place, grace, broker, listeners, http })
    }

    /// Where it is reached.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Where the data lies, for people.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Resolves when the node cannot go on; see [`Broker::failed`]. Its connections are closed by then, but of clients that do
    /// not take what they are told.
    pub async fn failed(&self) -> Arc<Error> {
        let error = self.broker.failed().await;
        self.listeners.closed(CLOSED_WITHIN).await;
        error
    }

    /// Stops: no new requests, owed answers, everything stable committed.
    ///
    /// # Errors
    /// See [`Broker::shutdown`].
    pub async fn shutdown(self) -> Result<(), Arc<Error>> {
        // Members that wait for a rebalance would be waited for as long.
        self.broker.context().groups.stop();
        self.listeners.shutdown(self.grace).await;
        let stopped = self.broker.shutdown(self.grace).await;
        // They hold the store, and with it the lock of a directory, which another start in this process waits for.
        self.http.iter().for_each(AbortHandle::abort);
        tracing::info!("stopped");
        stopped
    }
}

/// Resolves when clients are not answered any more, if ever.
async fn voice_lost(mut voice: watch::Receiver<Voice>) {
    if voice.wait_for(|voice| *voice == Voice::Lost).await.is_err() {
        std::future::pending().await
    }
}

fn local_address(name: &str, listener: &TcpListener) -> Result<SocketAddr, Error> {
    listener.local_addr().map_err(|source| Error::bind(name, &source))
}

async fn bind(config: &Config) -> Result<(Vec<Bound>, TcpListener, Option<TcpListener>), Error> {
    let mut bound = Vec::new();
    for listener in &config.server.listeners {
        let named = |source: std::io::Error| Error::bind(listener, &source);
        bound.push(Bound::bind(listener).await.map_err(named)?);
    }
    let http = bind_http("HTTP", &config.server.http_listen).await?;
    let registry = match &config.schema_registry.listen {
        Some(address) => Some(bind_http("REGISTRY", address).await?),
        None => None,
    };
    Ok((bound, http, registry))
}

async fn bind_http(name: &str, address: &Address) -> Result<TcpListener, Error> {
    let named = |source: std::io::Error| Error::bind(format_args!("{name}://{address}"), &source);
    let bound = match address.localhost() {
        Some(both) => TcpListener::bind(&both[..]).await,
        None => TcpListener::bind((address.host.as_str(), address.port)).await,
    };
    bound.map_err(named)
}

#[cfg(test)]
mod connection_tests;
#[cfg(test)]
mod groups_tests;
