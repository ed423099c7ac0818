//! What keeps a node from starting, or from going on.

use crate::base::ids::{BrokerId, Incarnation};
use crate::manifest::store::StoreError;
use crate::wal::recover;
use crate::{manifest, object};

/// Why a node does not run. Each message says what to do where something can be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] object::build::OpenError),
    /// The store does not keep what the protocol rests on.
    #[error(transparent)]
    Probe(#[from] object::probe::Refusal),
    /// A listener's address cannot be bound.
    #[error("{listener} cannot be bound: {why}")]
    Bind {
        /// The listener.
        listener: String,
        /// What the operating system said.
        why: String,
    },
    /// The metadata cannot be opened.
    #[error("the metadata cannot be opened: {0}")]
    Metadata(#[from] StoreError),
    /// The coordinator refused.
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
    /// An earlier chain cannot be taken over: an alarm.
    #[error("recovery stopped: {0}")]
    Recovery(#[from] recover::Error),
    /// The store refused.
    #[error(transparent)]
    Object(#[from] object::Error),
    /// Another process took over this node's identity.
    #[error(
        "superseded: broker {broker} is now incarnation {successor}; this process never takes back"
    )]
    Superseded {
        /// The identity.
        broker: BrokerId,
        /// Who holds it now.
        successor: Incarnation,
    },
    /// A failed fsync, of data or of metadata: what was written before it may be gone (law 6).
    #[error("the process ends: {0}; the next start recovers what was acknowledged")]
    DurabilityLost(object::Cause),
}

impl Error {
    /// The fsync that failed, if one did: whatever else is said of it follows from that.
    pub(super) fn or_lost_durability(self, store: &object::Store) -> Self {
        let lost = store.health().borrow().durability_lost.clone();
        lost.map_or(self, Self::DurabilityLost)
    }

    pub(super) fn bind(listener: impl std::fmt::Display, source: &std::io::Error) -> Self {
        Self::Bind { listener: listener.to_string(), why: source.to_string() }
    }
}
