//! A broker without sockets: store, coordinator, chain, log, and the context that handlers work in.
//!
//! What a node serves over TCP, the simulator drives directly. Stops in order: the chain is flushed and committed, then the
//! coordinator closes, then the store is let go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::leadership::{Leadership, Stand, Standing};
use super::local_topic::LocalTopic;
use super::{Error, Surroundings, readiness, settings};
use crate::base::clock::SharedClock;
use crate::base::ids::{Incarnation, TopicPartition};
use crate::base::rng::Rng;
use crate::base::task;
use crate::base::watch;
use crate::cache::Objects;
use crate::cluster::client::ClusterClient;
use crate::config::Config;
use crate::console::Readiness;
use crate::coordinator::{Coordinator, Options};
use crate::groups::{self, Groups};
use crate::handlers::{AnswerBudget, Context, FetchSessions, Rules};
use crate::log::{Registry, RegistryParts, Remote, RemoteParts};
use crate::maintenance::{self, Jobs, Scheduler};
use crate::manifest::client::{Endpoint, ManifestClient};
use crate::object::Store;
use crate::object::probe::{Abilities, probe};
use crate::object::retry::{Getter, Putter};
use crate::server::Voice;
use crate::share::SharePartitions;
use crate::share::persister::Persister;
use crate::transactions::Transactions;
use crate::{log, schema_registry, share, state_topic, telemetry, wal};

/// What a store that answers needs for the last writes of the metadata, however long the chain took.
const CLOSED_WITHIN: Duration = Duration::from_secs(1);

/// The parts of a running broker.
#[derive(Debug)]
pub struct Broker {
    context: Arc<Context>,
    store: Store,
    registry: Registry,
    coordinator: Coordinator,
    leadership: Leadership,
    standing: watch::Receiver<Standing>,
    voice: watch::Receiver<Voice>,
    schemas: schema_registry::Service,
    _jobs: Jobs,
}

/// What all parts are built from.
struct Materials {
    config: Arc<Config>,
    clock: SharedClock,
    rng: Rng,
    store: Store,
    metrics: telemetry::Registry,
    incarnation: Incarnation,
}

impl Broker {
    /// Builds the parts, recovers every earlier chain of this identity and takes a new one.
    ///
    /// `endpoints` is where clients are told to connect, by listener.
    ///
    /// # Errors
    /// What keeps it from starting, each with what to do about it.
    pub async fn start(
        config: Arc<Config>,
        surroundings: Surroundings,
        endpoints: BTreeMap<String, Endpoint>,
        metrics: &telemetry::Registry,
    ) -> Result<Self, Error> {
        let store = surroundings.store(&config).await?;
        let surroundings = Surroundings { store: Some(store.clone()), ..surroundings };
        let building = Box::pin(Self::build(config, surroundings, endpoints, metrics));
        let built = tokio::select! {
            biased;
            // Without this a start would wait for metadata that nobody can write any more.
            cause = store.durability_lost() => Err(Error::DurabilityLost(cause)),
            built = building => built,
        };
        built.map_err(|error| error.or_lost_durability(&store))
    }

    async fn build(
        config: Arc<Config>,
        surroundings: Surroundings,
        endpoints: BTreeMap<String, Endpoint>,
        metrics: &telemetry::Registry,
    ) -> Result<Self, Error> {
        let store = surroundings.store(&config).await?;
        let Surroundings { clock, rng, .. } = surroundings;
        let abilities = probe(&store, &rng).await?;
        let incarnation = Incarnation(rng.uuid());
        let metrics = metrics.clone();
        let materials = Materials { config, clock, rng, store, metrics, incarnation };
        let coordinator = materials.coordinator(abilities).await?;
        let registry = materials.registry(&coordinator);
        let leadership = materials.leadership(&coordinator, &registry, endpoints);
        let first = leadership.take(None).await?;
        let images = coordinator.image();
        task::spawn("log-registry", registry.clone().follow_images(images));
        let (stand, standing, voice) = Stand::leading();
        let keep = leadership.clone().keep(first, coordinator.clone(), stand);
        task::spawn("node-leadership", keep);
        let schemas = materials.schemas(&coordinator, &registry);
        let context = materials.context(&coordinator, &registry, &schemas);
        let jobs = materials.jobs(&coordinator);
        let anew = jobs.checkpoint_anew.clone();
        task::spawn("node-checkpoints", checkpoint_anew(anew, registry.clone()));
        let store = materials.store;
        Ok(Self {
            context,
            store,
            registry,
            coordinator,
            leadership,
            standing,
            voice,
            schemas,
            _jobs: jobs,
        })
    }

    /// What handlers work in.
    #[must_use]
    pub fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// Where the objects are.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The partitions led here.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The schemas of the cluster.
    #[must_use]
    pub fn schemas(&self) -> &schema_registry::Service {
        &self.schemas
    }

    /// Whether clients may be answered.
    #[must_use]
    pub fn voice(&self) -> watch::Receiver<Voice> {
        self.voice.clone()
    }

    /// What `/readyz` tells of this broker.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        let readiness = Readiness::default();
        readiness::add_checks(&readiness, &self.registry, &self.store, self.standing.clone());
        readiness
    }

    /// Resolves when the broker cannot go on: it was superseded, or the durability of its disk is lost. Nothing more is
    /// acknowledged from before it resolves; the process exits with the error.
    pub async fn failed(&self) -> Arc<Error> {
        let mut standing = self.standing.clone();
        let failed = standing.wait_for(|standing| matches!(standing, Standing::Failed(_))).await;
        let failed = failed.ok().and_then(|standing| match &*standing {
            Standing::Failed(error) => Some(Arc::clone(error)),
            _ => None,
        });
        match failed {
            Some(error) => error,
            None => std::future::pending().await,
        }
    }

    /// Makes everything that was admitted stable, commits it, and stops. Waits at most `grace` for the store, and for one that
    /// has failed an fsync not at all.
    ///
    /// # Errors
    /// As [`Broker::failed`]: it was superseded, or an fsync failed, before it had stopped. It has stopped all the same.
    pub async fn shutdown(self, grace: Duration) -> Result<(), Arc<Error>> {
        let until = Instant::now() + grace;
        if let Some(wal) = self.registry.wal() {
            wal.close(grace).await;
        }
        let rest = async {
            self.leadership.settled(self.standing.clone()).await;
            self.coordinator.shutdown().await;
        };
        tokio::select! {
            biased;
            _ = timeout_at(until.max(Instant::now() + CLOSED_WITHIN), rest) => {}
            _ = self.store.durability_lost() => {}
        }
        if let Standing::Failed(error) = &*self.standing.borrow() {
            return Err(Arc::clone(error));
        }
        // Also of what the coordinator wrote last.
        let lost = self.store.health().borrow().durability_lost.clone();
        lost.map_or(Ok(()), |cause| Err(Arc::new(Error::DurabilityLost(cause))))
    }
}

impl Materials {
    async fn coordinator(&self, abilities: Abilities) -> Result<Coordinator, Error> {
        let options = Options {
            cluster_id: self.config.node.cluster_id.clone(),
            broker: self.config.node.broker_id,
            incarnation: self.incarnation,
            store: self.store.clone(),
            if_match: abilities.if_match,
            clock: Arc::clone(&self.clock),
            rng: self.rng.clone(),
            rules: Arc::new(Rules::new(Arc::clone(&self.config))),
            queue_max: settings::COORDINATOR_QUEUE_MAX,
        };
        Ok(Coordinator::open(options).await?)
    }

    /// Retention, trimming and the sweep: they run beside the coordinator.
    fn jobs(&self, coordinator: &Coordinator) -> Jobs {
        let scheduler = Scheduler {
            manifest: Arc::new(coordinator.clone()),
            store: self.store.clone(),
            cluster_id: self.config.node.cluster_id.clone(),
            clock: Arc::clone(&self.clock),
            config: self.config.maintenance.clone(),
            defaults: settings::retention_defaults(&self.config),
            metrics: maintenance::Metrics::new(&self.metrics),
        };
        scheduler.start()
    }

    fn registry(&self, coordinator: &Coordinator) -> Registry {
        let config = &self.config;
        let manifest: Arc<dyn ManifestClient> = Arc::new(coordinator.clone());
        let remote = self.remote(&manifest);
        Registry::new(RegistryParts {
            manifest,
            remote,
            clock: Arc::clone(&self.clock),
            rng: self.rng.clone(),
            broker: config.node.broker_id,
            defaults: settings::topic_defaults(config),
            producer_expiration: config.log.producer_id_expiration,
            metrics: Arc::new(log::Metrics::new(&self.metrics)),
        })
    }

    fn remote(&self, manifest: &Arc<dyn ManifestClient>) -> Remote {
        let config = &self.config;
        let (store, rng) = (self.store.clone(), self.rng.clone());
        let options = settings::cache(config, store.locality());
        let getter = Getter::new(store, settings::gets(config), rng, &self.metrics);
        Remote::new(RemoteParts {
            objects: Objects::new(getter, options, &self.metrics),
            manifest: Arc::clone(manifest),
            cluster: config.node.cluster_id.clone(),
            plan_bytes_max: config.log.index_cache_bytes,
            read_ahead_max: config.log.read_ahead_max_bytes,
            cache_bytes: options.bytes_max,
        })
    }

    fn leadership(
        &self,
        coordinator: &Coordinator,
        registry: &Registry,
        endpoints: BTreeMap<String, Endpoint>,
    ) -> Leadership {
        let config = &self.config;
        let (store, rng) = (self.store.clone(), self.rng.clone());
        let puts = settings::puts(config);
        Leadership {
            chain: wal::Parts {
                store: store.clone(),
                putter: Putter::new(store.clone(), puts, rng.clone(), &self.metrics),
                manifest: Arc::new(coordinator.clone()),
                clock: Arc::clone(&self.clock),
                rng,
                cluster: config.node.cluster_id.clone(),
                metrics: wal::Metrics::new(&self.metrics),
            },
            settings: settings::chain(config, store.locality()),
            cluster: Arc::new(coordinator.clone()),
            registry: registry.clone(),
            broker: config.node.broker_id,
            rack: config.node.broker_rack.clone(),
            incarnation: self.incarnation,
            listeners: endpoints,
        }
    }

    fn groups(
        &self,
        coordinator: &Coordinator,
        registry: &Registry,
        persister: &Persister,
    ) -> Groups {
        Groups::start(groups::Parts {
            cluster: Arc::new(coordinator.clone()),
            registry: registry.clone(),
            manifest: Arc::new(coordinator.clone()),
            clock: Arc::clone(&self.clock),
            rng: self.rng.clone(),
            config: self.config.groups.clone(),
            share_config: self.config.share_groups.clone(),
            persister: persister.clone(),
        })
    }

    fn persister(&self, coordinator: &Coordinator, registry: &Registry) -> Persister {
        let spec = settings::share_states(&self.config.share_groups);
        let updates = self.config.share_groups.state_updates_per_snapshot;
        Persister::start(self.state_parts(coordinator, registry), spec, updates)
    }

    fn share(
        &self,
        coordinator: &Coordinator,
        registry: &Registry,
        persister: &Persister,
    ) -> SharePartitions {
        SharePartitions::start(share::Parts {
            cluster: Arc::new(coordinator.clone()),
            registry: registry.clone(),
            persister: persister.clone(),
            clock: Arc::clone(&self.clock),
            config: self.config.share_groups.clone(),
        })
    }

    fn state_parts(&self, coordinator: &Coordinator, registry: &Registry) -> state_topic::Parts {
        state_topic::Parts {
            cluster: Arc::new(coordinator.clone()),
            registry: registry.clone(),
            manifest: Arc::new(coordinator.clone()),
            clock: Arc::clone(&self.clock),
            rng: self.rng.clone(),
            garbage_bytes_min: settings::STATE_GARBAGE_BYTES_MIN,
        }
    }

    fn transactions(
        &self,
        coordinator: &Coordinator,
        registry: &Registry,
        groups: &Groups,
    ) -> Transactions {
        let parts = self.state_parts(coordinator, registry);
        let settings = settings::transactions(&self.config.transactions);
        Transactions::start(parts, settings, vec![groups.marker_target()])
    }

    fn schemas(&self, coordinator: &Coordinator, registry: &Registry) -> schema_registry::Service {
        let config = &self.config.schema_registry;
        schema_registry::Service::start(Arc::new(LocalTopic {
            cluster: Arc::new(coordinator.clone()),
            registry: registry.clone(),
            clock: Arc::clone(&self.clock),
            name: config.topic.clone(),
            configs: settings::schemas_topic(),
            replication_factor: config.replication_factor,
            record_bytes_max: self.config.topic.message_max_bytes.as_usize(),
        }))
    }

    fn context(
        &self,
        coordinator: &Coordinator,
        registry: &Registry,
        schemas: &schema_registry::Service,
    ) -> Arc<Context> {
        let slots = self.config.server.fetch_session_slots;
        let persister = self.persister(coordinator, registry);
        let groups = self.groups(coordinator, registry, &persister);
        let share = self.share(coordinator, registry, &persister);
        Arc::new(Context {
            broker: self.config.node.broker_id,
            config: Arc::clone(&self.config),
            cluster: Arc::new(coordinator.clone()),
            manifest: Arc::new(coordinator.clone()),
            log: registry.clone(),
            answers: AnswerBudget::new(self.config.server.queued_max_response_bytes),
            fetch_sessions: FetchSessions::new(slots, self.rng.clone()),
            transactions: self.transactions(coordinator, registry, &groups),
            groups,
            persister,
            share,
            validator: Arc::new(schemas.clone()),
            clock: Arc::clone(&self.clock),
            rng: self.rng.clone(),
        })
    }
}

/// Has partitions whose old checkpoints hold back the collector write new ones.
async fn checkpoint_anew(
    mut wanted: watch::Receiver<Arc<Vec<TopicPartition>>>,
    registry: Registry,
) {
    while wanted.changed().await.is_ok() {
        let partitions = Arc::clone(&wanted.borrow_and_update());
        registry.checkpoint(&partitions);
    }
}

#[cfg(test)]
mod tests;
