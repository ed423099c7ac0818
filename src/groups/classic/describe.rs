//! What a classic group shows of itself.

use bytes::Bytes;

use super::{ClassicGroup, State};
use crate::groups::ListedGroup;

/// A group, described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDescription {
    /// Such as `Stable`.
    pub state: &'static str,
    /// Such as `consumer`; empty for a group that only commits.
    pub protocol_type: String,
    /// The chosen protocol, in a stable group.
    pub protocol: String,
    /// Its members, by id.
    pub members: Vec<MemberDescription>,
}

/// A member, described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberDescription {
    /// Its id.
    pub member_id: String,
    /// Of a static member.
    pub group_instance_id: Option<String>,
    /// The client's name for itself.
    pub client_id: String,
    /// Its address, as Kafka shows it.
    pub client_host: String,
    /// Its metadata in the chosen protocol, in a stable group.
    pub metadata: Bytes,
    /// What a leader gave it last.
    pub assignment: Bytes,
}

impl ClassicGroup {
    pub(in crate::groups) fn describe(&self) -> GroupDescription {
        let stable = self.state == State::Stable;
        let protocol = self.protocol_name.clone().filter(|_| stable).unwrap_or_default();
        let members = self.members.iter().map(|(member_id, member)| MemberDescription {
            member_id: member_id.clone(),
            group_instance_id: member.group_instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            metadata: if stable { member.metadata(&protocol) } else { Bytes::new() },
            assignment: member.assignment.clone(),
        });
        GroupDescription {
            state: self.state.name(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            members: members.collect(),
            protocol,
        }
    }

    pub(in crate::groups) fn list(&self, group_id: &str) -> ListedGroup {
        ListedGroup {
            group_id: group_id.to_owned(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            state: self.state.name(),
            group_type: "classic",
        }
    }

    /// Whether offsets may be deleted while it has members.
    pub(in crate::groups) fn may_delete_offsets(&self) -> bool {
        self.state == State::Empty || self.protocol_type.as_deref() == Some("consumer")
    }
}
