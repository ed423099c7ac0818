//! Consumer groups: membership, generations and committed offsets, kept in `__consumer_offsets` by its partitions' leaders.
//!
//! A group lives in the shard of its id ([`crate::state_topic`]). `classic` decides what the classic protocol answers, [`consumer`] what that of KIP-848 does,
//! [`share`] what that of KIP-932 does (`sharing` asks the partitions' state for it), `offsets` keeps what was committed, `machine` puts both into one shard's state, and [`Groups`] is the way in for
//! handlers. A group of consumers changes its protocol while it has members as KIP-848 has it ([`Migrant`]). Sessions and waiting requests live in memory alone: after a failover members are given a whole session.

mod classic;
pub mod consumer;
mod machine;
mod migrant;
mod offsets;
mod refusal;
mod requests;
mod service;
pub mod share;
mod sharing;
mod timers;
mod topics;

pub use classic::{GroupDescription, MemberDescription};
pub use migrant::Migrant;
pub use refusal::Refusal;
pub use requests::{
    Assigned, CommitRequest, Fetcher, HeartbeatRequest, JoinAnswer, JoinRequest, JoinedMember,
    LeaveRequest, LeavingMember, ListedGroup, MemberProtocol, OffsetToCommit, SyncAnswer,
    SyncRequest, TopicOffset, TransactionalCommit,
};
pub use service::{Groups, Parts};
pub use sharing::Summaries;
