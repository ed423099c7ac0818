//! Transactions: the coordinator of transactional ids, replayed from `__transaction_state`.
//!
//! Owns transactional ids, their producers' epochs, which partitions a transaction has, and its end. Does not own what a
//! partition knows of its producers (`log`) or pending offsets (`groups`).
//!
//! Invariants: a transaction's markers are written only after its end was decided in the log, and the next transaction of its
//! id begins only after all of them (TxnAtomic). A batch joins a transaction only if the coordinator knows the partition.

mod error;
mod machine;
mod markers;
mod producer_ids;
mod service;
mod state;

pub use error::Error;
pub use machine::Timing;
pub use markers::{MarkerWriter, NotWritten};
pub use service::{Admission, Denied, Filter, Settings, Transactions, Verified};
pub use state::{Partitions, Producer, Protocol, Refusal, Status, Transaction};
