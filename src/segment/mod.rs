//! The slot: one write-once object of a chain, with the batches of many partitions and an index of them.
//!
//! Owns the byte layout ([`mod@format`]), its writer and its reader. Does not own names, uploads (`wal`, `object`) or what an
//! entry means for a partition's state (`log`). Bytes from a bucket are foreign: reading them gives an [`Error`], never a
//! panic, and no count is believed beyond the bytes that are there.

mod codec;
pub mod entries;
mod error;
pub mod format;
pub mod index;
pub mod reader;
mod state;
pub mod writer;

pub use entries::{BatchEntry, Run, SlotIndex};
pub use error::{Error, Part};
pub use format::{Kind, SlotFooter, SlotHeader};
pub use reader::{Slot, Tail, decode_slot, decode_tail, read_header};
pub use state::{
    AbortedTxn, OngoingTxn, PartitionCheckpoint, ProducerBatch, ProducerSnapshot, Release,
    ReleaseReason,
};
pub use writer::{EncodedSlot, Known, SlotBody, encode_fence, encode_slot};

#[cfg(test)]
mod tests;
