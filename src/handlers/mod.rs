//! One file a Kafka API: codec and authorisation on top of the domain below.
//!
//! A request comes in by [`Session::begin`]. A Produce is admitted there, in the order of calls; every other API is one arm
//! of the match in `dispatch`. What an API needs of metadata is its `Scope`, so that most of them are plain functions of an
//! image. `error_code` alone turns errors into Kafka's codes.

mod alter_partition_reassignments;
mod answers;
mod api_versions;
mod configs;
mod context;
mod delete_records;
mod describe_cluster;
mod describe_log_dirs;
mod describe_producers;
mod dispatch;
mod elect_leaders;
mod error_code;
#[cfg(test)]
mod fake;
mod fetch;
mod fetch_sessions;
mod find_coordinator;
mod groups;
mod init_producer_id;
mod leaders;
mod list_offsets;
mod list_partition_reassignments;
mod metadata;
mod offset_for_leader_epoch;
mod patience;
mod produce;
mod scope;
mod session;
mod topics;
mod transactions;

pub use answers::{AnswerBudget, Room};
pub use configs::Rules;
pub use context::Context;
pub use fetch_sessions::FetchSessions;
pub use session::{Answering, CloseReason, Outcome, Request, Session, Step};
