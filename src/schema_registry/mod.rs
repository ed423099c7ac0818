//! Schema Registry: Confluent's REST interface over the compacted topic `_schemas`.
//!
//! A folder for each format (`avro`, `json`, `protobuf`) parses, prints and compares; none of them knows subjects,
//! versions or ids, and all speak of their findings in the words of [`mod@format`].

pub mod avro;
pub mod format;
pub mod json;
pub mod protobuf;
