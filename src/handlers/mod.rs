//! One file a Kafka API.
mod api_versions;
mod context;
mod delete_records;
mod describe_producers;
mod dispatch;
mod error_code;
mod fetch;
mod fetch_sessions;
mod init_producer_id;
mod list_offsets;
mod metadata;
mod offset_for_leader_epoch;
mod produce;
mod producer_ids;
mod session;

pub use context::Context;
pub use fetch_sessions::FetchSessions;
pub use producer_ids::ProducerIds;
pub use session::{Answering, CloseReason, Outcome, Session, Step};
