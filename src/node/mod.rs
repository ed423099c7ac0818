//! The composition root: the only place that builds parts, connects them, and stops them in order.
//!
//! Start: store and probe, coordinator, listeners bound, a chain taken (earlier ones recovered), then clients are served.
//! Stop: no more clients, owed answers written, the chain flushed and committed, the coordinator closed, the store let go.

mod error;
mod leadership;
mod readiness;
mod settings;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

pub use error::Error;

use self::leadership::{Leadership, Standing};
use crate::base::clock::{SharedClock, SystemClock};
use crate::base::ids::Incarnation;
use crate::base::rng::Rng;
use crate::base::task;
use crate::cluster::client::ClusterClient;
use crate::config::Config;
use crate::console::{self, Readiness};
use crate::coordinator::{Coordinator, Options};
use crate::handlers::{Context, FetchSessions, ProducerIds};
use crate::log::{Registry, RegistryParts, Remote};
use crate::manifest::client::ManifestClient;
use crate::object::build::Purpose;
use crate::object::probe::Abilities;
use crate::object::retry::Putter;
use crate::object::{self, Store};
use crate::server::{Bound, Listeners};
use crate::{log, server, telemetry, wal};

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

impl Default for Surroundings {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), rng: Rng::from_os(), store: None }
    }
}

/// Where a node is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// Kafka listeners by name.
    pub kafka: BTreeMap<String, SocketAddr>,
    /// Metrics and health.
    pub http: SocketAddr,
}

/// A running node.
#[derive(Debug)]
pub struct Node {
    addresses: Addresses,
    place: String,
    grace: Duration,
    registry: Registry,
    listeners: Listeners,
    coordinator: Coordinator,
    standing: watch::Receiver<Standing>,
    leadership: Leadership,
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
        let Surroundings { clock, rng, store } = surroundings;
        let metrics = telemetry::Registry::new();
        let (store, abilities) = open_store(&config, store, &clock, &rng).await?;
        let (bound, http) = bind(&config).await?;
        let incarnation = Incarnation(rng.uuid());
        let coordinator = Coordinator::open(Options {
            cluster_id: config.node.cluster_id.clone(),
            broker: config.node.broker_id,
            incarnation,
            store: store.clone(),
            if_match: abilities.if_match,
            clock: Arc::clone(&clock),
            rng: rng.clone(),
            rules: Arc::new(crate::cluster::config::AcceptAll),
            queue_max: settings::COORDINATOR_QUEUE_MAX,
        })
        .await?;
        let manifest: Arc<dyn ManifestClient> = Arc::new(coordinator.clone());
        let cluster: Arc<dyn ClusterClient> = Arc::new(coordinator.clone());
        let remote = Remote::new(
            store.clone(),
            Arc::clone(&manifest),
            &config.node.cluster_id,
            config.log.index_cache_bytes.0,
        );
        let registry = Registry::new(RegistryParts {
            manifest: Arc::clone(&manifest),
            remote,
            clock: Arc::clone(&clock),
            rng: rng.clone(),
            defaults: settings::topic_defaults(&config),
            producer_expiration: config.log.producer_id_expiration,
            metrics: log::Metrics::new(&metrics),
        });
        let leadership = Leadership {
            chain: wal::Parts {
                store: store.clone(),
                putter: Putter::new(store.clone(), settings::puts(&config), rng.clone(), &metrics),
                manifest: Arc::clone(&manifest),
                clock: Arc::clone(&clock),
                rng: rng.clone(),
                cluster: config.node.cluster_id.clone(),
                metrics: wal::Metrics::new(&metrics),
            },
            settings: settings::chain(&config, store.locality()),
            cluster: Arc::clone(&cluster),
            registry: registry.clone(),
            broker: config.node.broker_id,
            rack: config.node.broker_rack.clone(),
            incarnation,
            listeners: settings::advertised(&config, &bound),
        };
        let first = leadership.take(None).await?;
        task::spawn("log-registry", registry.clone().follow_images(cluster.image()));
        let (changes, standing) = watch::channel(Standing::Leading);
        task::spawn(
            "node-leadership",
            leadership.clone().keep(first, coordinator.clone(), changes),
        );
        let place = settings::place(&config, &store);
        let addresses = Addresses {
            kafka: bound.iter().map(|bound| (bound.name.clone(), bound.address)).collect(),
            http: http.local_addr().map_err(|source| Error::bind("HTTP", &source))?,
        };
        let readiness = Readiness::default();
        readiness::add_checks(&readiness, &registry, &store, standing.clone());
        let routes = console::routes(metrics.clone(), readiness);
        task::spawn("console", async move { axum::serve(http, routes).await });
        let grace = config.server.shutdown_grace;
        let server_settings = settings::server(&config, server::Metrics::new(&metrics));
        let context = Arc::new(Context {
            broker: config.node.broker_id,
            producer_ids: ProducerIds::default(),
            fetch_sessions: FetchSessions::new(config.server.fetch_session_slots, rng.clone()),
            config: Arc::new(config),
            cluster,
            manifest,
            log: registry.clone(),
            clock,
            rng,
        });
        let listeners = Listeners::start(bound, &context, &server_settings);
        Ok(Self { addresses, place, grace, registry, listeners, coordinator, standing, leadership })
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

    /// Resolves when the node cannot go on: it was superseded, or the durability of its disk is lost. Nothing more is
    /// acknowledged from before it resolves; the process exits with the error.
    pub async fn failed(&self) -> Arc<Error> {
        let mut standing = self.standing.clone();
        let failed = standing.wait_for(|standing| matches!(standing, Standing::Failed(_))).await;
        match failed.as_deref() {
            Ok(Standing::Failed(error)) => Arc::clone(error),
            _ => std::future::pending().await,
        }
    }

    /// Stops: no new requests, owed answers, everything stable committed.
    pub async fn shutdown(self) {
        self.listeners.shutdown(self.grace).await;
        if let Some(wal) = self.registry.wal() {
            wal.close(self.grace).await;
        }
        self.leadership.settled(self.standing.clone()).await;
        self.coordinator.shutdown().await;
        tracing::info!("stopped");
    }
}

async fn open_store(
    config: &Config,
    given: Option<Store>,
    clock: &SharedClock,
    rng: &Rng,
) -> Result<(Store, Abilities), Error> {
    let store = match given {
        Some(store) => store,
        None => object::build::open(&config.store, Purpose::Serve, Arc::clone(clock)).await?,
    };
    let abilities = object::probe::probe(&store, rng).await?;
    Ok((store, abilities))
}

async fn bind(config: &Config) -> Result<(Vec<Bound>, TcpListener), Error> {
    let mut bound = Vec::new();
    for listener in &config.server.listeners {
        let named = |source: std::io::Error| Error::bind(listener, &source);
        bound.push(Bound::bind(listener).await.map_err(named)?);
    }
    let http = &config.server.http_listen;
    let named = |source: std::io::Error| Error::bind(format_args!("HTTP://{http}"), &source);
    let http = TcpListener::bind((http.host.as_str(), http.port)).await.map_err(named)?;
    Ok((bound, http))
}
