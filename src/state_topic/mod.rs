//! Internal topics as state machines: `__consumer_offsets`, `__transaction_state`, and what comes after them.
//!
//! Every partition of such a topic that this broker leads is a [`Shard`]: one [`Machine`], rebuilt from the partition's
//! records when the lease begins, changed by [`Shard::turn`] alone, written by ordinary appends. A decision, its records and
//! the new state are one synchronous step; what is answered waits until the records are stable (law 5). Nothing is taken back:
//! when the chain ends the whole state goes, and the next lease replays the log.
//!
//! Owns creation, placement, replay, timers and the bound on growth. Does not know what a key or a value means.

mod compact;
mod error;
mod machine;
mod place;
mod replay;
mod shard;
mod topic;

pub use error::Error;
pub use machine::{Live, Machine, Now, Replayed, ReplayedMarker, StateRecord};
pub use place::partition_for;
pub use shard::{Shard, ShardHandle, Turn, Writer, Written};
pub use topic::{MarkerTarget, Parts, StateTopic, TopicSpec, WeakTopic};
