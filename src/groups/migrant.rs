//! A member on its way between the classic and the consumer protocol, in words of both.

use std::time::Duration;

use bytes::Bytes;

use super::MemberProtocol;

/// A member of a classic group, or one of a consumer group that speaks the classic protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrant {
    /// Its id.
    pub member_id: String,
    /// Of a static member.
    pub group_instance_id: Option<String>,
    /// The client's name for itself.
    pub client_id: String,
    /// Its address, as Kafka shows it.
    pub client_host: String,
    /// How long it may be silent.
    pub session_timeout: Duration,
    /// How long a rebalance waits for it.
    pub rebalance_timeout: Duration,
    /// What it offers, preferred first; each with the embedded subscription.
    pub protocols: Vec<MemberProtocol>,
    /// The embedded assignment.
    pub assignment: Bytes,
}
