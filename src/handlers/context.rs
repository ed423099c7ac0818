//! The parts of a broker that handlers work with: injected once by `node`.

use std::sync::Arc;

use super::answers::AnswerBudget;
use super::fetch_sessions::FetchSessions;
use crate::base::clock::{SharedClock, Timestamp};
use crate::base::ids::BrokerId;
use crate::base::rng::Rng;
use crate::cluster::client::ClusterClient;
use crate::cluster::image::Image;
use crate::config::Config;
use crate::groups::Groups;
use crate::log;
use crate::manifest::client::ManifestClient;
use crate::record::validate::RecordValidator;
use crate::share::SharePartitions;
use crate::share::persister::Persister;
use crate::transactions::Transactions;

/// What every handler is given.
#[derive(Debug)]
pub struct Context {
    /// This broker.
    pub broker: BrokerId,
    /// All settings.
    pub config: Arc<Config>,
    /// Changes and shows metadata.
    pub cluster: Arc<dyn ClusterClient>,
    /// Moves log starts.
    pub manifest: Arc<dyn ManifestClient>,
    /// The partitions led here.
    pub log: log::Registry,
    /// Consumer groups.
    pub groups: Groups,
    /// What is kept of share groups' partitions.
    pub persister: Persister,
    /// The partitions led here, as share groups see them.
    pub share: SharePartitions,
    /// Memory of records on their way to clients.
    pub answers: AnswerBudget,
    /// Incremental fetches.
    pub fetch_sessions: FetchSessions,
    /// Transactional ids, and ids for idempotent producers.
    pub transactions: Transactions,
    /// Holds records against schemas.
    pub validator: Arc<dyn RecordValidator>,
    /// Wall clock.
    pub clock: SharedClock,
    /// Ids that need no order.
    pub rng: Rng,
}

impl Context {
    /// The metadata as last heard.
    #[must_use]
    pub fn image(&self) -> Arc<Image> {
        Arc::clone(&self.cluster.image().borrow())
    }

    /// The wall clock's time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
