//! Keys and values of internal topics, byte for byte as Kafka writes them: pure bytes to types and back.
//!
//! The `kafka-protocol` crate has no schemas for them. A key begins with a version that names its type, a value with the
//! version of its layout. What is read may come from any version of Kafka; what is written is what 4.3.1 writes.

pub mod consumer;
mod message;
pub mod offsets;
mod out;
pub mod share;
pub mod share_state;
pub mod transaction_log;
