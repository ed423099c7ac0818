//! Schema Registry: Confluent's REST interface over the compacted topic `_schemas`.
//!
//! The path of a registration: [`mod@routes`] reads it, the one writer of [`service`] has [`decide`] say which records it comes
//! to, appends them to the topic, reads them back into [`state`], and answers. What is read is answered from the state.
//!
//! A folder for each format (`avro`, `json`, `protobuf`) parses, prints and compares; none of them knows subjects,
//! versions or ids, and all speak of their findings in the words of [`mod@format`].

pub mod any;
pub mod avro;
pub mod catalog;
pub mod decide;
pub mod entity;
pub mod error;
pub mod format;
pub mod json;
pub mod protobuf;
pub mod records;
pub mod routes;
pub mod rules;
pub mod service;
pub mod settings;
pub mod state;
pub mod subject;
mod validator;

pub use routes::{About, routes};
pub use service::Service;
