//! Settings: defaults < file < environment < flags.
//!
//! Owns every setting's name, kind, bounds, default and meaning, in one table a section. A part of the program is given its
//! section, already parsed into types that cannot be wrong; nothing is global. Every fault is reported at once, with where
//! it was said.

mod faults;
mod groups;
mod key;
mod listener;
mod load;
mod log;
mod maintenance;
mod node;
mod print;
mod schema_registry;
mod server;
mod share_groups;
mod store;
mod suggest;
mod topic;
mod transactions;
mod values;
mod wal;

pub use faults::{Fault, Faults};
pub use groups::GroupsConfig;
pub use key::{FACTOR_MAX, Key, Kind, PARTITIONS_MAX, Section, Value};
pub use listener::{Address, Listener};
pub use load::{Inputs, Setting, Source, env_name};
pub use log::LogConfig;
pub use maintenance::MaintenanceConfig;
pub use node::{LogFormat, NodeConfig};
pub use print::reference;
pub use schema_registry::SchemaRegistryConfig;
pub use server::ServerConfig;
pub use share_groups::ShareGroupsConfig;
pub use store::StoreConfig;
pub use topic::{CompressionLevels, TopicConfig, live_default};
pub use transactions::TransactionsConfig;
pub use wal::WalConfig;

/// What the names of our environment variables start with.
const ENV_PREFIX: &str = "THALWEG_";

/// Every setting, section by section.
pub fn keys() -> impl Iterator<Item = &'static Key> {
    let tables = [
        node::KEYS,
        server::KEYS,
        store::KEYS,
        topic::KEYS,
        wal::KEYS,
        log::KEYS,
        maintenance::KEYS,
        groups::KEYS,
        share_groups::KEYS,
        transactions::KEYS,
        schema_registry::KEYS,
    ];
    tables.into_iter().flatten()
}

/// Everything that can be set.
#[derive(Debug, Clone)]
pub struct Config {
    /// The process as a whole.
    pub node: NodeConfig,
    /// Sockets and requests.
    pub server: ServerConfig,
    /// The object store.
    pub store: StoreConfig,
    /// What topics start from.
    pub topic: TopicConfig,
    /// The write-ahead chain.
    pub wal: WalConfig,
    /// Partitions and reads.
    pub log: LogConfig,
    /// Retention and garbage collection.
    pub maintenance: MaintenanceConfig,
    /// Consumer groups.
    pub groups: GroupsConfig,
    /// Share groups.
    pub share_groups: ShareGroupsConfig,
    /// Transactions.
    pub transactions: TransactionsConfig,
    /// The Schema Registry.
    pub schema_registry: SchemaRegistryConfig,
    entries: Vec<Entry>,
}

/// One setting as it is: for `--print-config`, and for the broker configs that clients read.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The setting.
    pub key: &'static Key,
    /// Its value.
    pub value: Value,
    /// Where that was said.
    pub source: Source,
}

impl Config {
    /// Lays the layers of `inputs` over the defaults.
    ///
    /// # Errors
    /// Every fault of every layer.
    pub fn load(inputs: &Inputs) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let values = load::Values::resolve(inputs, &mut faults);
        let entries = keys().map(|key| {
            let (value, source) = values.get(key.name).clone();
            Entry { key, value, source }
        });
        let config = Self {
            node: NodeConfig::read(&values),
            server: ServerConfig::read(&values, &mut faults),
            store: StoreConfig::read(&values, &mut faults),
            topic: TopicConfig::read(&values),
            wal: WalConfig::read(&values, &mut faults),
            log: LogConfig::read(&values),
            maintenance: MaintenanceConfig::read(&values),
            groups: GroupsConfig::read(&values),
            share_groups: ShareGroupsConfig::read(&values),
            transactions: TransactionsConfig::read(&values),
            schema_registry: SchemaRegistryConfig::read(&values),
            entries: entries.collect(),
        };
        if faults.0.is_empty() { Ok(config) } else { Err(faults) }
    }

    /// The defaults with `settings` over them, as `--set` would: for tests and for brokers inside another program.
    ///
    /// # Errors
    /// Every fault.
    pub fn with<'a>(
        settings: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Faults> {
        let flag = |(name, text): (&str, &str)| Setting {
            name: name.to_owned(),
            text: text.to_owned(),
            source: Source::Flag(format!("--set {name}={text}")),
        };
        let flags = settings.into_iter().map(flag).collect();
        Self::load(&Inputs { flags, ..Inputs::default() })
    }

    /// Every setting as it is, section by section.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The setting of our name `name`, or of one of Kafka's names for it in the same unit.
    #[must_use]
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| {
            entry.key.name == name || entry.key.also.iter().any(|(also, _)| *also == name)
        })
    }

    /// The setting that is the default of the topic config `name`.
    #[must_use]
    pub fn topic_default(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key.topic == Some(name))
    }
}

#[cfg(test)]
mod tests;
