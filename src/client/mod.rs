//! Producer, consumer and admin: over the Kafka protocol for the command line ([`wire`], works against any broker), and
//! inside a broker for its surfaces ([`local`]).
//!
//! Owns routing, version negotiation and bounded retries of a client. Does not own the record format (`record`).

mod error;
pub mod local;
mod records;
pub mod wire;

pub use error::{Code, Error};
pub use records::{Received, Record};

pub use crate::record::validate::{RecordPart, RecordValidator, SchemaFault, SubjectNames};
