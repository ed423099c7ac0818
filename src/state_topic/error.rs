//! Why a state topic cannot answer: each is a retriable error of the coordinator that asks it.

use crate::{log, wal};

/// Nothing of the request stays, except after [`Error::NotCoordinator`], when a change may be in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The topic does not exist and could not be created in time.
    #[error("the internal topic is not available")]
    NotAvailable,
    /// The partition is not led here, or its chain ended before the answer was certain.
    #[error("not the coordinator")]
    NotCoordinator,
    /// The partition is being replayed, or leadership could not be proven in time.
    #[error("the coordinator is loading")]
    Loading,
}

impl From<wal::Error> for Error {
    fn from(error: wal::Error) -> Self {
        match error {
            wal::Error::Ended { .. } | wal::Error::Indeterminate { .. } => Self::NotCoordinator,
            wal::Error::Unproven { .. } => Self::Loading,
        }
    }
}

impl From<log::Error> for Error {
    fn from(error: log::Error) -> Self {
        match error {
            log::Error::Wal(error) => error.into(),
            _ => Self::NotCoordinator,
        }
    }
}
