//! Producer, consumer and admin over the Kafka protocol, for the command line: works against any broker.
//!
//! Owns routing, version negotiation and bounded retries of a client. Does not own the record format (`record`).

mod error;
mod records;
pub mod wire;

pub use error::{Code, Error};
pub use records::{Received, Record};
