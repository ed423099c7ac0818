//! Stored config overrides: which resources have them, how a change is written, and who checks values.

use std::collections::BTreeMap;
use std::fmt;

use crate::base::ids::BrokerId;
use crate::config::live_default;

/// What has configs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConfigResource {
    /// A topic, by name.
    Topic(String),
    /// A broker; `None` is the cluster-wide default of all brokers.
    Broker(Option<BrokerId>),
    /// A group, by `group_id`.
    Group(String),
    /// A client metrics subscription, by name.
    ClientMetrics(String),
}

/// The kinds of [`ConfigResource`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResourceKind {
    /// Topics.
    Topic,
    /// Brokers.
    Broker,
    /// Groups.
    Group,
    /// Client metrics subscriptions.
    ClientMetrics,
}

impl ConfigResource {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> ResourceKind {
        match self {
            Self::Topic(_) => ResourceKind::Topic,
            Self::Broker(_) => ResourceKind::Broker,
            Self::Group(_) => ResourceKind::Group,
            Self::ClientMetrics(_) => ResourceKind::ClientMetrics,
        }
    }
}

/// The topic configs whose defaults these overrides of brokers are: later layers win. What a broker is told of another
/// setting is not in it.
#[must_use]
pub fn live_defaults<'a>(
    layers: impl IntoIterator<Item = &'a BTreeMap<String, String>>,
) -> BTreeMap<String, String> {
    let all = layers.into_iter().flatten();
    let live = all.filter_map(|(name, value)| {
        let (_, topic) = live_default(name)?;
        Some((topic.to_owned(), value.clone()))
    });
    live.collect()
}

/// One change of one key (IncrementalAlterConfigs).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigOp {
    /// Sets the override.
    Set(String),
    /// Removes the override.
    Delete,
    /// Adds elements to a list, comma-separated; those already there are not added again.
    Append(String),
    /// Removes elements from a list.
    Subtract(String),
}

/// What is wrong with a config: the key, and why in words for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFault {
    /// The key.
    pub key: String,
    /// Why, as a whole sentence: it is sent to the client as it is.
    pub reason: String,
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for ConfigFault {}

/// Knows the keys, their types and bounds. Implemented beside the table of config keys; injected by `node`.
pub trait ConfigRules: fmt::Debug + Send + Sync {
    /// Checks one override and returns it as it is to be stored.
    ///
    /// # Errors
    /// An unknown key, or a value outside its type or bounds.
    fn check(&self, kind: ResourceKind, key: &str, value: &str) -> Result<String, ConfigFault>;

    /// The value that a list-typed key has without an override, comma-separated. `None`: the key is no list, so that
    /// append and subtract are refused.
    fn list_default(&self, kind: ResourceKind, key: &str) -> Option<String>;
}

/// Accepts every key and value, and takes every key for a list that is empty by default. For tests of other parts.
#[derive(Debug, Clone, Copy, Default)]
pub struct AcceptAll;

impl ConfigRules for AcceptAll {
    fn check(&self, _kind: ResourceKind, _key: &str, value: &str) -> Result<String, ConfigFault> {
        Ok(value.to_owned())
    }

    fn list_default(&self, _kind: ResourceKind, _key: &str) -> Option<String> {
        Some(String::new())
    }
}
