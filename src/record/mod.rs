//! Kafka v2 record batches as views over shared bytes: validated, stamped and patched without decoding records.
//!
//! Owns the batch header, the rules that a produced batch must pass, compression, control batches and the CRC-32C
//! arithmetic that lets a slot's checksum be combined from its batches'. Does not own offsets (`log`) or error codes
//! (`handlers`): an [`Error`] says which of Kafka's refusals it is, and what Kafka tells the client beside it.

pub mod assign;
pub mod batch;
pub mod build;
pub mod compression;
pub mod control;
pub mod crc;
mod error;
pub mod records;
mod unpacked;
pub mod validate;
pub(crate) mod varint;

pub use batch::{Attributes, BatchHeader, HEADER_BYTES, TimestampType, ValidBatch};
pub use compression::Compression;
pub use control::ControlType;
pub use error::{Error, Flaw, RecordError, RecordFlaw, Rejections};

#[cfg(test)]
mod tests;
