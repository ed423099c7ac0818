//! The Schema Registry and its topic.

use super::key::Kind::{self, Name};
use super::key::{FACTOR, Key, Section};
use super::listener::Address;
use super::load::Values;

/// Settings of the Schema Registry.
#[derive(Debug, Clone)]
pub struct SchemaRegistryConfig {
    /// Where its HTTP is served; none: nowhere.
    pub listen: Option<Address>,
    /// Where schemas are kept.
    pub topic: String,
    /// What the topic reports as its replication factor.
    pub replication_factor: i16,
}

const fn ours(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key::ours(Section::SchemaRegistry, name, kind, default, doc)
}

/// The setting of the address.
pub(super) const LISTEN: &str = "schema.registry.listen";

pub(super) const KEYS: &[Key] = &[
    ours(
        LISTEN,
        Kind::AddressOrNone,
        "127.0.0.1:8081",
        "Where the Schema Registry is served over HTTP; `none` serves it nowhere; port 0 takes any free port.",
    ),
    ours(
        "schema.registry.topic",
        Name { max: 249 },
        "_schemas",
        "The compacted topic that holds the schemas, as Confluent's registry writes it. Created with the first schema.",
    ),
    ours(
        "schema.registry.replication.factor",
        FACTOR,
        "1",
        "What that topic reports as its replication factor; the bucket keeps the copies.",
    ),
];

impl SchemaRegistryConfig {
    pub(super) fn read(values: &Values) -> Self {
        Self {
            listen: values.address_or_none(LISTEN),
            topic: values.text("schema.registry.topic"),
            replication_factor: values.int("schema.registry.replication.factor"),
        }
    }
}
