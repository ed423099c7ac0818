//! A Kafka client as small as it can be, for loads where librdkafka would cost more than what is measured.
//!
//! It speaks the last version of each API without tagged fields, which every broker since 2.4 takes.

mod admin;
mod batch;
mod codec;
mod connection;
mod groups;
mod produce;

pub use admin::{ADD_PARTITIONS_TO_TXN, Admin, Topic, require};
pub use batch::Batch;
pub use codec::{Reader, Writer};
pub use connection::{Connection, answers, frame};
pub use groups::{Groups, Joined, OFFSET_COMMIT, check_committed, commit_request};
pub use produce::{ProduceRequest, check_produced};
