//! Checks overrides against the tables of keys, for handlers and for the coordinator alike.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::kind::{Key, Type};
use super::other_keys::{BROKER_KEYS, CLIENT_METRICS_KEYS, GROUP_KEYS};
use super::topic_keys::TOPIC_KEYS;
use crate::cluster::config::{ConfigFault, ConfigRules, ResourceKind};
use crate::cluster::internal::is_internal;
use crate::config::{Config, live_default};

/// The rules of every config key that clients can set.
#[derive(Debug, Clone)]
pub struct Rules {
    config: Arc<Config>,
}

impl Rules {
    /// Rules over the broker's settings, which are the defaults of topic configs.
    #[must_use]
    pub fn new(config: Arc<Config>) -> Self {
        Self { config }
    }
}

/// The keys of one kind of resource, by name.
pub(super) fn keys(kind: ResourceKind) -> &'static [Key] {
    match kind {
        ResourceKind::Topic => &TOPIC_KEYS,
        ResourceKind::Broker => &BROKER_KEYS,
        ResourceKind::Group => &GROUP_KEYS,
        ResourceKind::ClientMetrics => &CLIENT_METRICS_KEYS,
    }
}

pub(super) fn find(kind: ResourceKind, name: &str) -> Option<&'static Key> {
    let keys = keys(kind);
    keys.binary_search_by_key(&name, |key| key.name).ok().map(|index| &keys[index])
}

/// The key by which a value is checked. A broker's default of a topic config is checked as that, under its own name.
fn checked_by(kind: ResourceKind, name: &str) -> Option<Key> {
    let found = find(kind, name).copied();
    if found.is_some() || kind != ResourceKind::Broker {
        return found;
    }
    let (name, topic) = live_default(name)?;
    find(ResourceKind::Topic, topic).map(|key| Key { name, ..*key })
}

/// The value of a topic config without an override.
pub(super) fn topic_default(config: &Config, key: &Key) -> String {
    config
        .topic_default(key.name)
        .map_or_else(|| key.default.to_owned(), |entry| entry.value.to_string())
}

/// Kafka's words for a key that a resource of this kind does not have.
pub(super) fn unknown(kind: ResourceKind, key: &str) -> String {
    match kind {
        ResourceKind::Topic => format!("Unknown topic config name: {key}"),
        ResourceKind::Group => format!("Unknown group config name: {key}"),
        ResourceKind::ClientMetrics => format!("Unknown client metrics configuration: {key}"),
        ResourceKind::Broker => format!("Unknown broker config name: {key}"),
    }
}

/// Checks all overrides of a resource together: unknown names first, then each value, then how they fit each other.
pub(in crate::handlers) fn check_all<'a>(
    kind: ResourceKind,
    overrides: impl Iterator<Item = (&'a str, &'a str)> + Clone,
) -> Result<(), ConfigFault> {
    let fault = |key: &str, reason| ConfigFault { key: key.to_owned(), reason };
    for (name, _) in overrides.clone() {
        // Any key may be set on a broker, as in Kafka: plug-ins read theirs there.
        if kind != ResourceKind::Broker && find(kind, name).is_none() {
            return Err(fault(name, unknown(kind, name)));
        }
    }
    for (name, value) in overrides.clone() {
        if let Some(key) = checked_by(kind, name) {
            key.check(value).map_err(|reason| fault(name, reason))?;
        }
    }
    check_lags(&overrides.collect())
}

/// Says of a topic that a client makes compacted that it is not compacted yet.
pub(in crate::handlers) fn warn_if_compacted(topic: &str, overrides: &BTreeMap<String, String>) {
    if let Some(policy) = unmet_policy(topic, overrides) {
        tracing::warn!(topic, policy, "compacted topic accepted; it is not compacted yet");
    }
}

/// The policy that a topic asks for and is not kept by. The broker's own topics are bounded otherwise, whoever alters them.
fn unmet_policy<'a>(topic: &str, overrides: &'a BTreeMap<String, String>) -> Option<&'a str> {
    if is_internal(topic) {
        return None;
    }
    let policy = overrides.get("cleanup.policy")?;
    super::kind::items(policy).any(|policy| policy == "compact").then_some(policy)
}

fn check_lags(overrides: &BTreeMap<&str, &str>) -> Result<(), ConfigFault> {
    let number =
        |name: &str| overrides.get(name).and_then(|value| value.trim().parse::<i64>().ok());
    let (Some(min), Some(max)) = (number("min.compaction.lag.ms"), number("max.compaction.lag.ms"))
    else {
        return Ok(());
    };
    if min <= max {
        return Ok(());
    }
    let reason = format!(
        "conflict topic config setting min.compaction.lag.ms ({min}) > max.compaction.lag.ms ({max})"
    );
    Err(ConfigFault { key: "max.compaction.lag.ms".to_owned(), reason })
}

impl ConfigRules for Rules {
    fn check(&self, kind: ResourceKind, key: &str, value: &str) -> Result<String, ConfigFault> {
        check_all(kind, std::iter::once((key, value)))?;
        Ok(value.to_owned())
    }

    fn list_default(&self, kind: ResourceKind, key: &str) -> Option<String> {
        let found = checked_by(kind, key).filter(|key| key.kind == Type::List)?;
        if kind == ResourceKind::Topic {
            return Some(topic_default(&self.config, &found));
        }
        let started_with = live_default(key).and_then(|_| self.config.entry(key));
        Some(started_with.map_or_else(|| found.default.to_owned(), |entry| entry.value.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_in_the_order_of_names_and_defaults_pass_their_own_check() {
        for kind in [
            ResourceKind::Topic,
            ResourceKind::Broker,
            ResourceKind::Group,
            ResourceKind::ClientMetrics,
        ] {
            assert!(keys(kind).is_sorted_by_key(|key| key.name), "{kind:?}");
            for key in keys(kind) {
                assert_eq!(key.check(key.default), Ok(()), "{}", key.name);
                assert!(!key.doc.is_empty(), "{}", key.name);
            }
        }
    }

    #[test]
    fn settings_that_are_defaults_of_topics_name_known_topic_configs() {
        let config = Config::with([]).expect("defaults are valid");
        for entry in config.entries() {
            let Some(topic) = entry.key.topic else { continue };
            let key = find(ResourceKind::Topic, topic);
            let key = key.unwrap_or_else(|| panic!("{topic} is not in the table"));
            assert_eq!(key.check(&entry.value.to_string()), Ok(()), "{topic}");
            assert_eq!(topic_default(&config, key), key.default, "{topic}");
        }
    }

    fn check(overrides: &[(&str, &str)], expected: Result<(), &str>) {
        let checked = check_all(ResourceKind::Topic, overrides.iter().copied());
        assert_eq!(checked.map_err(|fault| fault.reason), expected.map_err(str::to_owned));
    }

    #[test]
    fn topic_configs_are_checked_as_kafka_does() {
        check(&[("retention.ms", "1000"), ("cleanup.policy", "compact,delete")], Ok(()));
        check(&[("retention.ms", "abc"), ("foo", "1")], Err("Unknown topic config name: foo"));
        check(
            &[("min.compaction.lag.ms", "10"), ("max.compaction.lag.ms", "5")],
            Err(
                "conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5)",
            ),
        );
        check(&[("thalweg.durability", "object"), ("thalweg.flush.ms", "0")], Ok(()));
        for class in ["local", "quorum", ""] {
            check(
                &[("thalweg.durability", class)],
                Err(
                    "Invalid value for configuration thalweg.durability: the only durability class that is built is object",
                ),
            );
        }
    }

    #[test]
    fn only_a_client_s_topic_is_said_to_be_not_compacted() {
        let asked = |topic: &str, policy: &str| {
            let overrides = BTreeMap::from([("cleanup.policy".to_owned(), policy.to_owned())]);
            unmet_policy(topic, &overrides).map(str::to_owned)
        };
        for policy in ["compact", "compact,delete", "delete, compact"] {
            let said = ["__consumer_offsets", "theirs"].map(|topic| asked(topic, policy));
            assert_eq!(said, [None, Some(policy.to_owned())]);
        }
        assert_eq!(asked("theirs", "delete"), None);
        assert_eq!(unmet_policy("theirs", &BTreeMap::new()), None);
    }

    #[test]
    fn a_broker_s_default_of_a_topic_config_is_checked_as_that() {
        let check = |key, value| {
            let checked = check_all(ResourceKind::Broker, std::iter::once((key, value)));
            checked.map_err(|fault| fault.reason)
        };
        assert_eq!(check("message.max.bytes", "5"), Ok(()));
        assert_eq!(
            check("message.max.bytes", "many").as_ref().map_err(String::as_str),
            Err("Invalid value many for configuration message.max.bytes: Not a number of type INT")
        );
        assert!(check("log.cleanup.policy", "shred").is_err());
        assert_eq!(check("a.plug.in.s.own", "x"), Ok(()));
    }

    #[test]
    fn lists_start_from_the_broker_s_setting() {
        let config = Config::with([("log.cleanup.policy", "compact")]).expect("valid");
        let rules = Rules::new(Arc::new(config));
        let list = |key| rules.list_default(ResourceKind::Topic, key);
        assert_eq!(list("cleanup.policy").as_deref(), Some("compact"));
        assert_eq!(list("retention.ms"), None);
        let of_broker = |key| rules.list_default(ResourceKind::Broker, key);
        assert_eq!(of_broker("log.cleanup.policy").as_deref(), Some("compact"));
        assert_eq!(list("no.such.key"), None);
    }
}
