//! A member: what it asked for, and what it may read.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::groups::consumer::assignment::{
    Assignment, assignment_from_record, assignment_to_record,
};
pub use crate::groups::consumer::member::{JOIN_EPOCH, LEAVE_EPOCH};
use crate::protocol::records::share::{CurrentValue, MemberValue};

/// The only state that a member of a share group has.
const STABLE: i8 = 0;

/// A member of a share group. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// `member.id`.
    pub id: String,
    /// The epoch that it is expected to send.
    pub epoch: i32,
    /// The one before.
    pub previous_epoch: i32,
    /// `client.rack`.
    pub rack_id: Option<String>,
    /// `client.id`.
    pub client_id: String,
    /// The client's address.
    pub client_host: String,
    /// Topics by name.
    pub topic_names: Arc<BTreeSet<String>>,
    /// What it may read.
    pub assigned: Arc<Assignment>,
}

impl Member {
    /// One that nothing is known of yet.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            epoch: JOIN_EPOCH,
            previous_epoch: -1,
            rack_id: None,
            client_id: String::new(),
            client_host: String::new(),
            topic_names: Arc::default(),
            assigned: Arc::default(),
        }
    }

    /// Its subscription, as it is written.
    #[must_use]
    pub fn to_value(&self) -> MemberValue {
        MemberValue {
            rack_id: self.rack_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            topic_names: self.topic_names.iter().cloned().collect(),
        }
    }

    /// Its current assignment, as it is written.
    #[must_use]
    pub fn to_current(&self) -> CurrentValue {
        CurrentValue {
            epoch: self.epoch,
            previous_epoch: self.previous_epoch,
            state: STABLE,
            assigned: assignment_to_record(&self.assigned),
        }
    }

    /// Takes over a written subscription.
    #[must_use]
    pub fn with_value(self, value: MemberValue) -> Self {
        Self {
            rack_id: value.rack_id,
            client_id: value.client_id,
            client_host: value.client_host,
            topic_names: Arc::new(value.topic_names.into_iter().collect()),
            ..self
        }
    }

    /// Takes over a written current assignment; none: it is about to go.
    #[must_use]
    pub fn with_current(self, value: Option<CurrentValue>) -> Self {
        let Some(value) = value else {
            return Self {
                epoch: LEAVE_EPOCH,
                previous_epoch: LEAVE_EPOCH,
                assigned: Arc::default(),
                ..self
            };
        };
        Self {
            epoch: value.epoch,
            previous_epoch: value.previous_epoch,
            assigned: Arc::new(assignment_from_record(value.assigned)),
            ..self
        }
    }
}
