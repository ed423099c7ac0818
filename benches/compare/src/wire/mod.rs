//! A Kafka client as small as it can be, for loads where librdkafka would cost more than what is measured.
//!
//! It speaks the last version of each API without tagged fields, which every broker since 2.4 takes; of consumer groups the
//! first, which has them.

mod admin;
mod batch;
mod codec;
mod connection;
mod consumer_group;
mod groups;
mod produce;

pub use admin::{ADD_PARTITIONS_TO_TXN, Admin, Topic, require};
pub use batch::Batch;
pub use codec::{Reader, Writer};
pub use connection::{Connection, answers, frame};
pub use consumer_group::{CONSUMER_GROUP_HEARTBEAT, Member};
pub use groups::{
    Groups, Joined, OFFSET_COMMIT, check_committed, check_heartbeat, commit_request,
    heartbeat_request,
};
pub use produce::{ProduceRequest, check_produced};
