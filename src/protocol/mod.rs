//! The wire: bytes to types and back, without I/O.
//!
//! A connection reads a [`frame`], takes its [`header`], lets [`bounds`] walk the body and reserves what that reports;
//! only then is the body decoded, by [`produce`] and [`fetch`] for the two hot messages, by the `kafka-protocol` crate for
//! all others. Owns no limit of its own except those of the types: the caller brings `socket.request.max.bytes`.

pub mod api;
pub mod bounds;
pub mod embedded;
pub mod error;
pub mod error_code;
pub mod fetch;
pub mod frame;
pub mod header;
pub mod hot;
pub mod produce;
pub mod records;
#[doc(hidden)]
pub mod sample;
mod shapes;
mod wire;

pub use api::ApiKey;
pub use error::Error;
pub use error_code::ErrorCode;
pub use kafka_protocol::protocol::StrBytes;
