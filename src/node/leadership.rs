//! Takes a chain and what it leads, and takes the next when one ends; gives up only when it is superseded, or when an fsync
//! failed.
//!
//! Owns the order: register, recover every earlier chain, acquire, rebuild, install; and, when that is over: clients are not
//! answered any more, un-acked appends fail, the successor's name is looked for. A process never writes to a chain that it
//! ended, and a superseded one never takes back (laws 4, 6 and 7, Identity).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Error;
use crate::base::backoff::Backoff;
use crate::base::clock::sleep;
use crate::base::ids::{BrokerId, ChainId, Incarnation};
use crate::base::watch;
use crate::cluster::client::ClusterClient;
use crate::coordinator::Coordinator;
use crate::log::{Rebuilder, Registry};
use crate::manifest;
use crate::manifest::client::{Endpoint, Registration};
use crate::server::Voice;
use crate::wal::recover::Recoverer;
use crate::wal::{self, End, Wal};

/// How a node stands.
#[derive(Debug)]
pub(super) enum Standing {
    /// It has a chain.
    Leading,
    /// Its chain ended; it takes the next.
    Taking,
    /// Its chain was fenced. The coordinator finds out whether another process has taken over.
    Fenced,
    /// Another process has taken over, whose name it looks for.
    Superseded,
    /// It was stopped.
    Stopped,
    /// It cannot go on: the process exits.
    Failed(Arc<Error>),
}

/// Where a node shows how it stands, and says with it whether clients may be answered.
#[derive(Debug)]
pub(super) struct Stand {
    standing: watch::Sender<Standing>,
    voice: watch::Sender<Voice>,
}

impl Stand {
    /// Of a node that leads, and where others look.
    pub(super) fn leading() -> (Self, watch::Receiver<Standing>, watch::Receiver<Voice>) {
        let (standing, stands) = watch::channel(Standing::Leading);
        let (voice, says) = watch::channel(Voice::Free);
        (Self { standing, voice }, stands, says)
    }

    fn show(&self, standing: Standing) {
        self.say(match &standing {
            Standing::Leading | Standing::Taking | Standing::Stopped => Voice::Free,
            Standing::Fenced => Voice::Held,
            Standing::Superseded | Standing::Failed(_) => Voice::Lost,
        });
        self.standing.send_replace(standing);
    }

    fn say(&self, voice: Voice) {
        self.voice.send_if_modified(|now| std::mem::replace(now, voice) != voice);
    }
}

/// What taking a chain needs.
#[derive(Debug, Clone)]
pub(super) struct Leadership {
    pub(super) chain: wal::Parts,
    pub(super) settings: wal::Settings,
    pub(super) cluster: Arc<dyn ClusterClient>,
    pub(super) registry: Registry,
    pub(super) broker: BrokerId,
    pub(super) rack: Option<String>,
    pub(super) incarnation: Incarnation,
    pub(super) listeners: BTreeMap<String, Endpoint>,
}

impl Leadership {
    /// Takes a new chain after `ended`, with everything that this broker leads.
    ///
    /// # Errors
    /// `Superseded`, or an alarm of the recovery. An outage only delays.
    pub(super) async fn take(&self, ended: Option<ChainId>) -> Result<Wal, Error> {
        let manifest = &self.chain.manifest;
        let recoverer = self.recoverer();
        let registered = self
            .until_answered(|| {
                let registration = Registration {
                    broker: self.broker,
                    incarnation: self.incarnation,
                    ended,
                    listeners: self.listeners.clone(),
                    rack: self.rack.clone(),
                };
                async move { manifest.register(registration).await }
            })
            .await?;
        for chain in &registered.fencing {
            recoverer.take_over(chain).await?;
        }
        let leases = self.until_answered(|| manifest.acquire(registered.chain)).await?;
        let rebuilt = Rebuilder::new(leases).run(&recoverer).await?;
        let dir = crate::object::keys::chain_dir(&self.chain.cluster, registered.chain);
        self.chain.store.prepare_dir(&dir).await?;
        let wal = Wal::start(
            self.chain.clone(),
            self.settings.clone(),
            registered.chain,
            self.incarnation,
        );
        let image = Arc::clone(&self.cluster.image().borrow());
        self.registry.install(&wal, rebuilt, &image);
        tracing::info!(chain = %registered.chain, recovered = registered.fencing.len(), "chain taken");
        Ok(wal)
    }

    fn recoverer(&self) -> Recoverer {
        Recoverer {
            store: self.chain.store.clone(),
            manifest: Arc::clone(&self.chain.manifest),
            clock: Arc::clone(&self.chain.clock),
            rng: self.chain.rng.clone(),
            cluster: self.chain.cluster.clone(),
            incarnation: self.incarnation,
        }
    }

    /// Follows chains until the node stops or cannot go on.
    pub(super) async fn keep(self, first: Wal, coordinator: Coordinator, stand: Stand) {
        let chains = self.follow_chains(first, &stand);
        let last = tokio::select! {
            biased;
            () = coordinator.fenced() => None,
            error = self.durability_lost() => Some(Standing::Failed(Arc::new(error))),
            last = chains => Some(last),
        };
        let last = match last {
            Some(last) => last,
            None => {
                // Before the successor's name is known: looking for it may take seconds.
                stand.show(Standing::Superseded);
                self.fall_silent();
                let successor = coordinator.superseded().await;
                Standing::Failed(Arc::new(Error::Superseded {
                    broker: successor.broker,
                    successor: successor.incarnation,
                }))
            }
        };
        if let Standing::Failed(error) = &last {
            tracing::error!(%error, "node cannot go on");
            // First of all: whoever hears that its append failed is told nothing after it.
            stand.say(Voice::Lost);
            if matches!(**error, Error::DurabilityLost(_)) {
                self.lose_durability();
            } else {
                self.fall_silent();
            }
        }
        stand.show(last);
    }

    /// Nothing more is acknowledged, whatever is on its way, and no partition is read here any more.
    fn fall_silent(&self) {
        if let Some(wal) = self.registry.wal() {
            wal.abandon();
        }
    }

    /// The same, when nothing that is written can be trusted.
    fn lose_durability(&self) {
        if let Some(wal) = self.registry.wal() {
            wal.lose_durability();
        }
    }

    /// Resolves when an fsync has failed, be it of a slot or of metadata.
    async fn durability_lost(&self) -> Error {
        Error::DurabilityLost(self.chain.store.durability_lost().await)
    }

    async fn follow_chains(&self, first: Wal, stand: &Stand) -> Standing {
        let mut wal = first;
        loop {
            match ended(&wal).await {
                End::Closed => return Standing::Stopped,
                // The store has said why before it failed the put.
                End::DurabilityLost => {
                    return Standing::Failed(Arc::new(self.durability_lost().await));
                }
                End::Fenced { .. } => stand.show(Standing::Fenced),
                End::Foreign { .. } | End::Refused { .. } | End::CommitRefused => {
                    stand.show(Standing::Taking);
                }
            }
            match self.take(Some(wal.chain())).await {
                Ok(next) => wal = next,
                Err(error) => {
                    let error = error.or_lost_durability(&self.chain.store);
                    return Standing::Failed(Arc::new(error));
                }
            }
            stand.show(Standing::Leading);
        }
    }

    /// Waits until nothing follows chains any more.
    pub(super) async fn settled(&self, mut standing: watch::Receiver<Standing>) {
        // An error means that the task is gone: settled all the same.
        let _ = standing
            .wait_for(|standing| matches!(standing, Standing::Stopped | Standing::Failed(_)))
            .await;
    }

    async fn until_answered<T, F>(&self, mut call: impl FnMut() -> F) -> Result<T, manifest::Error>
    where
        F: Future<Output = Result<T, manifest::Error>>,
    {
        let longest = Duration::from_secs(5);
        let mut backoff = Backoff::new(Duration::from_millis(50), longest, self.chain.rng.clone());
        loop {
            match call().await {
                Err(manifest::Error::Unavailable) => sleep(backoff.next_delay()).await,
                answer => return answer,
            }
        }
    }
}

async fn ended(wal: &Wal) -> End {
    let mut progress = wal.progress();
    let ended = progress.wait_for(|progress| progress.ended.is_some()).await;
    ended.ok().and_then(|progress| progress.ended).unwrap_or(End::Closed)
}
