//! A member of a classic group.

use std::time::Duration;

use bytes::Bytes;

use super::Ticket;
use crate::groups::MemberProtocol;

/// One member.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) group_instance_id: Option<String>,
    pub(super) client_id: String,
    pub(super) client_host: String,
    pub(super) session_timeout: Duration,
    pub(super) rebalance_timeout: Duration,
    pub(super) protocol_type: String,
    /// In the order of its preference.
    pub(super) protocols: Vec<MemberProtocol>,
    pub(super) assignment: Bytes,
    /// Its JoinGroup waits.
    pub(super) joining: Option<Ticket>,
    /// Its SyncGroup waits.
    pub(super) syncing: Option<Ticket>,
    /// It has not been answered yet: it cannot know its id, nor send heartbeats.
    pub(super) is_new: bool,
}

impl Member {
    /// Its metadata in the protocol of that name.
    pub(super) fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|offered| offered.name == protocol);
        found.map(|offered| offered.metadata.clone()).unwrap_or_default()
    }

    /// Whether the silence until its deadline is no fault of its own: the group owes it an answer.
    pub(super) fn is_owed_an_answer(&self) -> bool {
        !self.is_new && (self.joining.is_some() || self.syncing.is_some())
    }
}
