//! What is asked of a group and what it answers: in one form for all versions of the wire.

use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

use super::Refusal;
use crate::base::ids::ProducerId;

/// One protocol that a member offers, with its metadata in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberProtocol {
    /// Such as `range`.
    pub name: String,
    /// Opaque.
    pub metadata: Bytes,
}

/// JoinGroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinRequest {
    /// Whose.
    pub group_id: String,
    /// Empty: it has none yet.
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
    /// Such as `consumer`.
    pub protocol_type: String,
    /// In the order of its preference.
    pub protocols: Vec<MemberProtocol>,
    /// The client joins in two steps, first for an id (version 4 on).
    pub takes_member_id: bool,
    /// The client knows that a leader need not assign (version 9 on).
    pub skips_assignment: bool,
}

/// A member, as the leader is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedMember {
    /// Its id.
    pub member_id: String,
    /// Of a static member.
    pub group_instance_id: Option<String>,
    /// Its metadata in the chosen protocol.
    pub metadata: Bytes,
}

/// The answer to a JoinGroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinAnswer {
    /// Why not.
    pub refusal: Option<Refusal>,
    /// The generation joined; -1 with a refusal.
    pub generation_id: i32,
    /// The group's.
    pub protocol_type: Option<String>,
    /// The chosen one.
    pub protocol_name: Option<String>,
    /// The leader's id; empty with a refusal.
    pub leader: String,
    /// The leader need not assign.
    pub skip_assignment: bool,
    /// The member's id.
    pub member_id: String,
    /// For the leader: everybody.
    pub members: Vec<JoinedMember>,
}

impl JoinAnswer {
    /// A refusal, and the member id that goes with it.
    #[must_use]
    pub fn refused(refusal: Refusal, member_id: impl Into<String>) -> Self {
        Self {
            refusal: Some(refusal),
            generation_id: -1,
            protocol_type: None,
            protocol_name: None,
            leader: String::new(),
            skip_assignment: false,
            member_id: member_id.into(),
            members: Vec::new(),
        }
    }
}

/// What a leader gives a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assigned {
    /// To whom.
    pub member_id: String,
    /// Opaque.
    pub assignment: Bytes,
}

/// SyncGroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncRequest {
    /// Whose.
    pub group_id: String,
    /// The generation that was joined.
    pub generation_id: i32,
    /// Who.
    pub member_id: String,
    /// Of a static member.
    pub group_instance_id: Option<String>,
    /// What the member takes for the group's.
    pub protocol_type: Option<String>,
    /// What the member takes for the chosen one.
    pub protocol_name: Option<String>,
    /// By the leader.
    pub assignments: Vec<Assigned>,
}

/// The answer to a SyncGroup.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SyncAnswer {
    /// Why not.
    pub refusal: Option<Refusal>,
    /// The group's.
    pub protocol_type: Option<String>,
    /// The chosen one.
    pub protocol_name: Option<String>,
    /// The member's.
    pub assignment: Bytes,
}

impl SyncAnswer {
    /// A refusal.
    #[must_use]
    pub fn refused(refusal: Refusal) -> Self {
        Self { refusal: Some(refusal), ..Self::default() }
    }
}

/// Heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeartbeatRequest {
    /// Whose.
    pub group_id: String,
    /// The generation that was joined.
    pub generation_id: i32,
    /// Who.
    pub member_id: String,
    /// Of a static member.
    pub group_instance_id: Option<String>,
}

/// A member that leaves, or is made to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeavingMember {
    /// Its id; empty: the static member of that instance id.
    pub member_id: String,
    /// Of a static member.
    pub group_instance_id: Option<String>,
}

/// LeaveGroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaveRequest {
    /// Whose.
    pub group_id: String,
    /// Who.
    pub members: Vec<LeavingMember>,
}

/// One partition's offset, to be committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetToCommit {
    /// The topic's name.
    pub topic: String,
    /// The topic's id; nil where it is not known.
    pub topic_id: Uuid,
    /// The partition's number.
    pub partition: i32,
    /// The next record to be consumed.
    pub offset: i64,
    /// The epoch of the record before it; -1 is unknown.
    pub leader_epoch: i32,
    /// What the consumer says with it.
    pub metadata: String,
}

/// OffsetCommit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitRequest {
    /// Whose.
    pub group_id: String,
    /// The generation that was joined; negative from who is no member.
    pub generation_id: i32,
    /// Who; empty from who is no member.
    pub member_id: String,
    /// Of a static member.
    pub group_instance_id: Option<String>,
    /// How long the offsets are kept, if the client says so (version 2-4).
    pub retention: Option<Duration>,
    /// The client knows `GROUP_ID_NOT_FOUND` here (version 9 on).
    pub knows_group_id_not_found: bool,
    /// What.
    pub offsets: Vec<OffsetToCommit>,
}

/// TxnOffsetCommit: the offsets count when the producer's transaction is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionalCommit {
    /// Whose transaction.
    pub producer: (ProducerId, i16),
    /// What; retention does not apply.
    pub commit: CommitRequest,
}

/// Who fetches offsets. A classic group does not ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fetcher<'a> {
    /// Of a member of the consumer protocol.
    pub member_id: Option<&'a str>,
    /// The epoch that it knows; negative: none.
    pub member_epoch: i32,
}

impl Fetcher<'_> {
    /// No member.
    pub const NOBODY: Self = Self { member_id: None, member_epoch: -1 };
}

/// One partition's committed offset; none was committed where `offset` is -1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicOffset {
    /// The topic's name.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// The next record to be consumed.
    pub offset: i64,
    /// The epoch of the record before it; -1 is unknown.
    pub leader_epoch: i32,
    /// What the consumer said with it.
    pub metadata: String,
    /// Why it is not told.
    pub refusal: Option<Refusal>,
}

/// A group in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedGroup {
    /// Its id.
    pub group_id: String,
    /// Empty for a group that only commits.
    pub protocol_type: String,
    /// Such as `Stable`.
    pub state: &'static str,
    /// Such as `classic`.
    pub group_type: &'static str,
}
