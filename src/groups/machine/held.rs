//! A group of any protocol, as its shard keeps it.

use std::time::Duration;

use bytes::Bytes;

use crate::base::clock::Timestamp;
use crate::base::ids::SlotId;
use crate::groups::ListedGroup;
use crate::groups::classic::{ClassicGroup, State};
use crate::groups::consumer::ConsumerGroup;
use crate::groups::share::ShareGroup;
use crate::protocol::records::consumer::Record;
use crate::protocol::records::offsets::group_metadata_key;
use crate::protocol::records::share;
use crate::state_topic::StateRecord;

/// A group of any protocol.
#[derive(Debug)]
pub(super) enum Group {
    /// Members assign; also a group that only commits.
    Classic(Box<ClassicGroup>),
    /// The coordinator assigns (KIP-848).
    Consumer(Box<ConsumerGroup>),
    /// Members share partitions (KIP-932).
    Share(Box<ShareGroup>),
}

/// A group and what its answers rest on.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) group: Group,
    /// The value of a classic group's record as last written; none: no record tells of it.
    pub(super) written: Option<Bytes>,
    /// What the group adds to the live bytes of its shard.
    pub(super) counted: u64,
    /// The slot of its newest record, if that was written here.
    pub(super) metadata_slot: Option<SlotId>,
    /// The newest slot that holds an offset of it.
    pub(super) offsets_slot: Option<SlotId>,
}

impl Held {
    pub(super) fn new(group: Group) -> Self {
        Self { group, written: None, counted: 0, metadata_slot: None, offsets_slot: None }
    }

    /// An empty classic group that no record tells of.
    pub(super) fn simple() -> Self {
        Self::new(Group::Classic(Box::new(ClassicGroup::new())))
    }

    /// The newest slot with anything of the group.
    pub(super) fn newest_slot(&self) -> Option<SlotId> {
        self.metadata_slot.max(self.offsets_slot)
    }

    pub(super) fn classic(&self) -> Option<&ClassicGroup> {
        match &self.group {
            Group::Classic(group) => Some(group),
            Group::Consumer(_) | Group::Share(_) => None,
        }
    }

    pub(super) fn classic_mut(&mut self) -> Option<&mut ClassicGroup> {
        match &mut self.group {
            Group::Classic(group) => Some(group),
            Group::Consumer(_) | Group::Share(_) => None,
        }
    }

    pub(super) fn consumer(&self) -> Option<&ConsumerGroup> {
        match &self.group {
            Group::Classic(_) | Group::Share(_) => None,
            Group::Consumer(group) => Some(group),
        }
    }

    pub(super) fn consumer_mut(&mut self) -> Option<&mut ConsumerGroup> {
        match &mut self.group {
            Group::Classic(_) | Group::Share(_) => None,
            Group::Consumer(group) => Some(group),
        }
    }

    pub(super) fn share(&self) -> Option<&ShareGroup> {
        match &self.group {
            Group::Classic(_) | Group::Consumer(_) => None,
            Group::Share(group) => Some(group),
        }
    }

    pub(super) fn share_mut(&mut self) -> Option<&mut ShareGroup> {
        match &mut self.group {
            Group::Classic(_) | Group::Consumer(_) => None,
            Group::Share(group) => Some(group),
        }
    }

    /// When the next deadline of a member comes, in a group whose members are assigned to.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        match &self.group {
            Group::Classic(_) => None,
            Group::Consumer(group) => group.next_deadline(),
            Group::Share(group) => group.next_deadline(),
        }
    }

    /// Whether nobody is a member.
    pub(super) fn is_empty(&self) -> bool {
        match &self.group {
            Group::Classic(group) => group.state() == State::Empty,
            Group::Consumer(group) => group.is_empty(),
            Group::Share(group) => group.is_empty(),
        }
    }

    /// Whether nobody is a member, or about to become one: such a group goes with its last offset. A share group stays until it
    /// is deleted, since its offsets are kept elsewhere.
    pub(super) fn is_deserted(&self) -> bool {
        match &self.group {
            Group::Classic(group) => group.is_deserted(),
            Group::Consumer(group) => group.is_empty(),
            Group::Share(_) => false,
        }
    }

    /// Whether the group consumes the topic, as far as is known.
    pub(super) fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.group {
            Group::Classic(group) => group.is_subscribed_to(topic),
            Group::Consumer(group) => group.subscriptions().has(topic),
            Group::Share(group) => group.is_subscribed_to(topic),
        }
    }

    /// Whether offsets may be deleted while it has members.
    pub(super) fn may_delete_offsets(&self) -> bool {
        match &self.group {
            Group::Classic(group) => group.may_delete_offsets(),
            Group::Consumer(_) | Group::Share(_) => true,
        }
    }

    /// From when on the retention of an offset runs. None: it does not.
    pub(super) fn retention_from(&self, committed: Timestamp) -> Option<Timestamp> {
        match &self.group {
            Group::Classic(group) => group.retention_from(committed),
            Group::Consumer(_) | Group::Share(_) => Some(committed),
        }
    }

    pub(super) fn list(&self, group_id: &str) -> ListedGroup {
        match &self.group {
            Group::Classic(group) => group.list(group_id),
            Group::Consumer(group) => group.list(),
            Group::Share(group) => group.list(),
        }
    }

    /// About what the group's records take in batches.
    pub(super) fn live_bytes(&self, group_id: &str) -> u64 {
        match &self.group {
            Group::Classic(_) => self.written.as_ref().map_or(0, |value| {
                let bytes = group_id.len() + value.len() + 20;
                bytes as u64
            }),
            Group::Consumer(group) => group.live_bytes(),
            Group::Share(group) => group.live_bytes(),
        }
    }

    /// The records that rebuild it.
    pub(super) fn live(&self, group_id: &str) -> Vec<StateRecord> {
        match &self.group {
            Group::Classic(_) => {
                let written = self.written.iter();
                let record = |value: &Bytes| StateRecord {
                    key: group_metadata_key(group_id),
                    value: Some(value.to_vec()),
                };
                written.map(record).collect()
            }
            Group::Consumer(group) => group.to_records().map(StateRecord::from).collect(),
            Group::Share(group) => group.to_records().map(StateRecord::from).collect(),
        }
    }

    /// The records that take it away.
    pub(super) fn tombstones(&self, group_id: &str) -> Vec<StateRecord> {
        match &self.group {
            Group::Classic(_) => {
                vec![StateRecord { key: group_metadata_key(group_id), value: None }]
            }
            Group::Consumer(group) => {
                group.tombstones().into_iter().map(StateRecord::from).collect()
            }
            Group::Share(group) => group.tombstones().into_iter().map(StateRecord::from).collect(),
        }
    }
}

impl From<Record> for StateRecord {
    fn from(record: Record) -> Self {
        let (key, value) = record.encode();
        Self { key, value }
    }
}

impl From<share::Record> for StateRecord {
    fn from(record: share::Record) -> Self {
        let (key, value) = record.encode();
        Self { key, value }
    }
}
