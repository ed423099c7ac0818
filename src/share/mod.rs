//! Share groups where their partitions are (KIP-932): what is kept of each, in the shards of `__share_group_state`, and what
//! a group does with one.
//!
//! A group's coordinator has the state of a partition initialised before it gives the partition out, and deleted before the
//! group goes. [`persister`] is the way in, `machine` one shard's state. [`partition`] decides who is given which records;
//! [`SharePartitions`] has those of this broker, [`fetch`](mod@fetch) has members wait for records, and [`sessions`] remember
//! what they read.
//!
//! Source: `ShareCoordinatorShard`, `DefaultStatePersister`, `SharePartition` in Apache Kafka 4.3.1.

mod alarm;
mod batches;
mod combine;
pub mod fetch;
mod led;
mod machine;
pub mod partition;
pub mod persister;
mod service;
pub mod sessions;

pub use service::{Connection, Parts, SharePartitions};

use self::partition::AckError;
use crate::log;

/// What a share partition can answer besides yes.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// `NOT_LEADER_OR_FOLLOWER`: its state is another's now, or was begun anew.
    #[error("the share partition is not led here any more")]
    NotLeader,
    /// `UNKNOWN_TOPIC_OR_PARTITION`: nothing was fetched from it.
    #[error("the share partition is not read here")]
    NotLoaded,
    /// Nothing was acknowledged.
    #[error(transparent)]
    Acknowledgement(#[from] AckError),
    /// What is kept of it could not be read or changed.
    #[error(transparent)]
    State(#[from] persister::Error),
    /// Its log could not be read.
    #[error(transparent)]
    Log(#[from] log::Error),
}

impl Error {
    /// Whether it may be over when asked again, with nothing for the asker to do. Clients take no such word from a fetch: a
    /// partition is then not told of, and asked for again.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::State(error) => match error {
                persister::Error::NotAvailable
                | persister::Error::NotCoordinator
                | persister::Error::Loading => true,
                persister::Error::Fenced { .. }
                | persister::Error::FencedLeader { .. }
                | persister::Error::NotInitialized => false,
            },
            Self::Log(log::Error::Object(error)) => error.is_retriable(),
            Self::Log(log::Error::Wal(_) | log::Error::Manifest(_)) => true,
            Self::Log(_) | Self::NotLeader | Self::NotLoaded | Self::Acknowledgement(_) => false,
        }
    }
}
