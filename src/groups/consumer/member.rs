//! A member: what it asked for, and where it stands.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::assignment::{Held, held_from_record, held_to_record};
use crate::protocol::records::consumer::{ClassicMember, CurrentValue, MemberValue};

/// The epoch with which a member joins.
pub const JOIN_EPOCH: i32 = 0;
/// The epoch with which a member leaves for good.
pub const LEAVE_EPOCH: i32 = -1;
/// The epoch with which a static member leaves to come back, and which it has while it is away.
pub const LEAVE_STATIC_EPOCH: i32 = -2;

/// Where a member is on its way to its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberState {
    /// It has its target.
    Stable,
    /// It must give partitions back first.
    UnrevokedPartitions,
    /// It waits for partitions that others must give back.
    UnreleasedPartitions,
    /// Of a newer Kafka: the member must begin anew.
    Unknown,
}

impl MemberState {
    fn from_code(code: i8) -> Self {
        match code {
            0 => Self::Stable,
            1 => Self::UnrevokedPartitions,
            2 => Self::UnreleasedPartitions,
            _ => Self::Unknown,
        }
    }

    fn code(self) -> i8 {
        match self {
            Self::Stable => 0,
            Self::UnrevokedPartitions => 1,
            Self::UnreleasedPartitions => 2,
            Self::Unknown => 127,
        }
    }
}

/// A member of a consumer group. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// `member.id`.
    pub id: String,
    /// The epoch that it is expected to send.
    pub epoch: i32,
    /// The one before.
    pub previous_epoch: i32,
    /// Where it is.
    pub state: MemberState,
    /// `group.instance.id`.
    pub instance_id: Option<String>,
    /// `client.rack`.
    pub rack_id: Option<String>,
    /// How long it may take to give partitions back; -1: not given.
    pub rebalance_timeout_ms: i32,
    /// `client.id`.
    pub client_id: String,
    /// The client's address.
    pub client_host: String,
    /// Topics by name.
    pub topic_names: Arc<BTreeSet<String>>,
    /// Topics by pattern, as given: an empty one is none. See [`Self::regex`].
    pub topic_regex: Option<String>,
    /// The assignor that it prefers.
    pub assignor: Option<String>,
    /// Set for a member of the classic protocol.
    pub classic: Option<Arc<ClassicMember>>,
    /// What it owns or may take.
    pub assigned: Arc<Held>,
    /// What it must give back.
    pub revoking: Arc<Held>,
}

impl Member {
    /// One that nothing is known of yet.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            epoch: JOIN_EPOCH,
            previous_epoch: -1,
            state: MemberState::Stable,
            instance_id: None,
            rack_id: None,
            rebalance_timeout_ms: -1,
            client_id: String::new(),
            client_host: String::new(),
            topic_names: Arc::default(),
            topic_regex: Some(String::new()),
            assignor: None,
            classic: None,
            assigned: Arc::default(),
            revoking: Arc::default(),
        }
    }

    /// The pattern that it subscribes to.
    #[must_use]
    pub fn regex(&self) -> Option<&str> {
        self.topic_regex.as_deref().filter(|regex| !regex.is_empty())
    }

    /// Whether it has what the target of that epoch gives it.
    #[must_use]
    pub fn is_reconciled_to(&self, target_epoch: i32) -> bool {
        self.state == MemberState::Stable && self.epoch == target_epoch
    }

    /// Moves to `epoch`, also when that is the one it has: the one before is then the same.
    pub fn move_to(&mut self, epoch: i32) {
        self.previous_epoch = self.epoch;
        self.epoch = epoch;
    }

    /// Its subscription, as it is written.
    #[must_use]
    pub fn to_value(&self) -> MemberValue {
        MemberValue {
            instance_id: self.instance_id.clone(),
            rack_id: self.rack_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            topic_names: self.topic_names.iter().cloned().collect(),
            topic_regex: self.topic_regex.clone(),
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            assignor: self.assignor.clone(),
            classic: self.classic.as_deref().cloned(),
        }
    }

    /// Its current assignment, as it is written.
    #[must_use]
    pub fn to_current(&self) -> CurrentValue {
        CurrentValue {
            epoch: self.epoch,
            previous_epoch: self.previous_epoch,
            state: self.state.code(),
            assigned: held_to_record(&self.assigned),
            revoking: held_to_record(&self.revoking),
        }
    }

    /// Takes over a written subscription.
    #[must_use]
    pub fn with_value(self, value: MemberValue) -> Self {
        Self {
            instance_id: value.instance_id,
            rack_id: value.rack_id,
            client_id: value.client_id,
            client_host: value.client_host,
            topic_names: Arc::new(value.topic_names.into_iter().collect()),
            topic_regex: value.topic_regex,
            rebalance_timeout_ms: value.rebalance_timeout_ms,
            assignor: value.assignor,
            classic: value.classic.map(Arc::new),
            ..self
        }
    }

    /// Takes over a written current assignment; none: it holds nothing and is about to go.
    #[must_use]
    pub fn with_current(self, value: Option<CurrentValue>) -> Self {
        let Some(value) = value else {
            return Self {
                epoch: LEAVE_EPOCH,
                previous_epoch: LEAVE_EPOCH,
                assigned: Arc::default(),
                revoking: Arc::default(),
                ..self
            };
        };
        Self {
            epoch: value.epoch,
            previous_epoch: value.previous_epoch,
            state: MemberState::from_code(value.state),
            assigned: Arc::new(held_from_record(value.assigned, value.epoch)),
            revoking: Arc::new(held_from_record(value.revoking, value.epoch)),
            ..self
        }
    }
}
