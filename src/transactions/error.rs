//! Why a transaction's coordinator says no.

use super::state::Refusal;
use crate::state_topic;

/// Each is one of Kafka's errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Refused for the state that the transaction, or its producer, is in: said only when that state is stable, and after
    /// a proof of leadership (laws 5 and 9).
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// We do not coordinate the id now, or cannot tell yet: the client tries again.
    #[error(transparent)]
    Coordinator(#[from] state_topic::Error),
    /// No producer id could be had in time: the client tries again.
    #[error("no producer id could be allocated")]
    NoProducerId,
    /// The request lacks a transactional id.
    #[error("the transactional id is empty")]
    NoTransactionalId,
    /// The transaction would be open for longer than `transaction.max.timeout.ms`, or for no time.
    #[error("a transaction timeout of {timeout_ms} ms is not allowed")]
    InvalidTimeout {
        /// As asked for.
        timeout_ms: i32,
    },
    /// No transaction has the id.
    #[error("the transactional id is not known")]
    UnknownId,
}
