//! DescribeConfigs: every key of a resource, with its value, where that was said, and what it means.
//!
//! Source: KIP-133, KIP-226 (sources and synonyms), KIP-569 (types and documentation); `ConfigHelper` in Apache Kafka.

use std::collections::BTreeMap;

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};

use super::kind::{Key, Type};
use super::loggers;
use super::resource::{BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC};
use super::rules;
use crate::base::ids::BrokerId;
use crate::cluster::config::{ConfigResource, ResourceKind};
use crate::config::{Config, Entry, Kind, Source as Said, live_default};
use crate::handlers::answers::Growing;
use crate::handlers::scope::{Refused, Scope, text};
use crate::handlers::topics;
use crate::protocol::ErrorCode;

/// Where a value was said, with Kafka's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
enum Source {
    Topic = 1,
    Broker = 2,
    AllBrokers = 3,
    BrokerFile = 4,
    Default = 5,
    Logger = 6,
    ClientMetrics = 7,
    Group = 8,
}

/// A value of one name that a config takes, in the order in which they win.
#[derive(Debug, Clone)]
struct Synonym {
    name: String,
    value: Option<String>,
    source: Source,
}

/// One config as it is described.
#[derive(Debug, Clone)]
pub(in crate::handlers) struct Described {
    pub(in crate::handlers) name: String,
    pub(in crate::handlers) value: Option<String>,
    pub(in crate::handlers) read_only: bool,
    sensitive: bool,
    synonyms: Vec<Synonym>,
    source: Source,
    kind: Type,
    doc: String,
}

impl Described {
    pub(in crate::handlers) fn source(&self) -> i8 {
        self.source as i8
    }
}

pub(in crate::handlers) fn handle(
    scope: &Scope<'_>,
    version: i16,
    request: DescribeConfigsRequest,
    growing: &mut Growing,
) -> DescribeConfigsResponse {
    let asked = (request.include_synonyms, request.include_documentation);
    let mut results = Vec::with_capacity(request.resources.len());
    for resource in request.resources {
        let result = DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name.clone());
        let result = match describe(scope, &resource) {
            Ok(described) => {
                let described = described.into_iter().filter(|config| wanted(&resource, config));
                result
                    .with_error_message(Some(text("")))
                    .with_configs(described.map(|config| entry(config, asked)).collect())
            }
            Err(refused) => {
                result.with_error_code(refused.error.code()).with_error_message(refused.message())
            }
        };
        if !growing.push(&mut results, version, result) {
            break;
        }
    }
    DescribeConfigsResponse::default().with_results(results)
}

/// No keys at all ask for every key, as none does.
fn wanted(resource: &DescribeConfigsResource, config: &Described) -> bool {
    match &resource.configuration_keys {
        Some(keys) if !keys.is_empty() => keys.iter().any(|key| **key == *config.name),
        _ => true,
    }
}

fn entry(
    config: Described,
    (synonyms, documentation): (bool, bool),
) -> DescribeConfigsResourceResult {
    let synonym = |synonym: Synonym| {
        DescribeConfigsSynonym::default()
            .with_name(text(synonym.name))
            .with_value(synonym.value.map(text))
            .with_source(synonym.source as i8)
    };
    // Kafka leaves that of a logger empty, asked for or not.
    let documentation = documentation || config.source == Source::Logger;
    DescribeConfigsResourceResult::default()
        .with_name(text(config.name))
        .with_value(config.value.map(text))
        .with_read_only(config.read_only)
        .with_config_source(config.source as i8)
        .with_is_sensitive(config.sensitive)
        .with_config_type(config.kind as i8)
        .with_synonyms(if synonyms {
            config.synonyms.into_iter().map(synonym).collect()
        } else {
            Vec::new()
        })
        .with_documentation(documentation.then(|| text(config.doc)))
}

fn describe(
    scope: &Scope<'_>,
    resource: &DescribeConfigsResource,
) -> Result<Vec<Described>, Refused> {
    let name = &*resource.resource_name;
    let invalid = |message: &str| Err(Refused::new(ErrorCode::InvalidRequest, message));
    match resource.resource_type {
        TOPIC => {
            if let Some(fault) = topics::name_fault(name) {
                return Err(Refused::new(ErrorCode::InvalidTopicException, fault));
            }
            let unknown = || Refused::new(ErrorCode::UnknownTopicOrPartition, "");
            let topic = scope.image.topic(name).ok_or_else(unknown)?;
            Ok(topic_entries(scope, &topic.configs))
        }
        BROKER if name.is_empty() => Ok(all_brokers(scope)),
        BROKER => {
            own(scope, name, "expected {} or empty string, but")?;
            Ok(broker(scope))
        }
        BROKER_LOGGER if name.is_empty() => invalid("Broker id must not be empty"),
        BROKER_LOGGER => {
            own(scope, name, "expected {} but")?;
            Ok(vec![logger(scope.config)])
        }
        CLIENT_METRICS if name.is_empty() => {
            invalid("Client metrics subscription name must not be empty")
        }
        CLIENT_METRICS => Ok(others(scope, &ConfigResource::ClientMetrics(name.to_owned()))),
        GROUP if name.is_empty() => invalid("Group name must not be empty"),
        GROUP => Ok(others(scope, &ConfigResource::Group(name.to_owned()))),
        _ => Err(Refused::standard(ErrorCode::InvalidRequest)),
    }
}

/// Only this broker knows its own configs.
fn own(scope: &Scope<'_>, name: &str, expected: &str) -> Result<(), Refused> {
    let id = name.parse::<i32>().map_err(|_| {
        let message = format!("Broker id must be an integer, but it is: {name}");
        Refused::new(ErrorCode::InvalidRequest, message)
    })?;
    if BrokerId(id) == scope.broker {
        return Ok(());
    }
    let expected = expected.replace("{}", &scope.broker.to_string());
    let message = format!("Unexpected broker id, {expected} received {name}");
    Err(Refused::new(ErrorCode::InvalidRequest, message))
}

/// The configs of a topic with these overrides: by name.
pub(in crate::handlers) fn topic_entries(
    scope: &Scope<'_>,
    overrides: &BTreeMap<String, String>,
) -> Vec<Described> {
    let config = scope.config;
    let described = rules::keys(ResourceKind::Topic).iter().map(|key| {
        let override_ = overrides.get(key.name).map(|value| Synonym {
            name: key.name.to_owned(),
            value: Some(value.clone()),
            source: Source::Topic,
        });
        let setting = config.topic_default(key.name);
        let setting = setting.map(|entry| in_force(scope, entry)).unwrap_or_default();
        let synonyms: Vec<Synonym> = override_.into_iter().chain(setting).collect();
        of_key(key, synonyms, rules::topic_default(config, key))
    });
    described.collect()
}

fn of_key(key: &Key, synonyms: Vec<Synonym>, default: String) -> Described {
    let first = synonyms.first();
    Described {
        name: key.name.to_owned(),
        value: first.map_or(Some(default), |first| first.value.clone()),
        read_only: false,
        sensitive: false,
        source: first.map_or(Source::Default, |first| first.source),
        kind: key.kind,
        doc: key.doc.to_owned(),
        synonyms,
    }
}

/// Settings that Kafka leaves null: its default comes from another name in another unit, so null is no synonym.
const UNSAID: [&str; 4] =
    ["log.retention.ms", "log.roll.ms", "log.roll.jitter.ms", "log.flush.interval.ms"];

/// The values that a setting of this broker has had, the one in force first.
fn said(entry: &Entry) -> Vec<Synonym> {
    let name = entry.key.name.to_owned();
    let mut synonyms = Vec::new();
    if !matches!(entry.source, Said::Default) {
        synonyms.push(Synonym {
            name: name.clone(),
            value: Some(entry.value.to_string()),
            source: Source::BrokerFile,
        });
    }
    if !UNSAID.contains(&entry.key.name) {
        synonyms.push(Synonym {
            name,
            value: Some(entry.key.default.to_owned()),
            source: Source::Default,
        });
    }
    synonyms
}

/// What clients have told this broker, or all, of its default of a topic config; then what it was started with.
fn in_force(scope: &Scope<'_>, entry: &Entry) -> Vec<Synonym> {
    let mut synonyms = Vec::new();
    if live_default(entry.key.name).is_some() {
        for (resource, source) in changeable(scope) {
            let value = scope.image.overrides(&resource).and_then(|all| all.get(entry.key.name));
            synonyms.extend(value.map(|value| dynamic(entry.key.name, value, source)));
        }
    }
    synonyms.extend(said(entry));
    synonyms
}

/// Where a broker's settings are changed, what wins first.
fn changeable(scope: &Scope<'_>) -> [(ConfigResource, Source); 2] {
    [
        (ConfigResource::Broker(Some(scope.broker)), Source::Broker),
        (ConfigResource::Broker(None), Source::AllBrokers),
    ]
}

/// What was said for all brokers at once.
fn all_brokers(scope: &Scope<'_>) -> Vec<Described> {
    let overrides = scope.image.overrides(&ConfigResource::Broker(None));
    let described = overrides.into_iter().flatten().map(|(name, value)| {
        let synonyms = vec![dynamic(name, value, Source::AllBrokers)];
        match scope.config.entry(name).filter(|_| live_default(name).is_some()) {
            Some(entry) => of_entry(name, entry, synonyms),
            None => of_broker(name, synonyms),
        }
    });
    described.collect()
}

fn dynamic(name: &str, value: &str, source: Source) -> Synonym {
    // Kafka hides the value of a key that it does not know: it may be a plug-in's password.
    let known = rules::find(ResourceKind::Broker, name).is_some() || live_default(name).is_some();
    Synonym { name: name.to_owned(), value: known.then(|| value.to_owned()), source }
}

fn of_broker(name: &str, synonyms: Vec<Synonym>) -> Described {
    if let Some(key) = rules::find(ResourceKind::Broker, name) {
        return of_key(key, synonyms, key.default.to_owned());
    }
    Described {
        name: name.to_owned(),
        value: None,
        read_only: true,
        sensitive: true,
        source: synonyms.first().map_or(Source::Default, |first| first.source),
        kind: Type::Unknown,
        doc: String::new(),
        synonyms,
    }
}

/// The settings that this broker was started with, what can be changed, and what was changed.
fn broker(scope: &Scope<'_>) -> Vec<Described> {
    let mut described: BTreeMap<String, Described> = BTreeMap::new();
    for entry in scope.config.entries() {
        let same_unit = entry.key.also.iter().filter(|(_, scale)| *scale == 1);
        for name in std::iter::once(entry.key.name).chain(same_unit.map(|(name, _)| *name)) {
            described.insert(name.to_owned(), of_entry(name, entry, in_force(scope, entry)));
        }
    }
    let sources = changeable(scope);
    let mut changed: BTreeMap<&str, Vec<Synonym>> = BTreeMap::new();
    for (resource, source) in &sources {
        let overrides = scope.image.overrides(resource).into_iter().flatten();
        for (name, value) in overrides.filter(|(name, _)| live_default(name).is_none()) {
            changed.entry(name).or_default().push(dynamic(name, value, *source));
        }
    }
    for key in rules::keys(ResourceKind::Broker) {
        changed.entry(key.name).or_default().push(Synonym {
            name: key.name.to_owned(),
            value: Some(key.default.to_owned()),
            source: Source::Default,
        });
    }
    for (name, synonyms) in changed {
        described.insert(name.to_owned(), of_broker(name, synonyms));
    }
    described.into_values().collect()
}

fn of_entry(name: &str, entry: &Entry, mut synonyms: Vec<Synonym>) -> Described {
    for synonym in &mut synonyms {
        name.clone_into(&mut synonym.name);
    }
    let first = synonyms.first().map(|first| (first.value.clone(), first.source));
    let (value, source) = first.unwrap_or_else(|| (Some(entry.value.to_string()), Source::Default));
    Described {
        name: name.to_owned(),
        value,
        read_only: live_default(name).is_none(),
        sensitive: false,
        source,
        kind: type_of(entry.key.kind),
        doc: entry.key.doc.to_owned(),
        synonyms,
    }
}

/// Kafka's type for one of our kinds of setting.
fn type_of(kind: Kind) -> Type {
    match kind {
        Kind::Bool => Type::Boolean,
        Kind::Int { max, .. } if max == i64::from(i16::MAX) => Type::Short,
        Kind::Int { max, .. }
        | Kind::IntOrDefault { max, .. }
        | Kind::Bytes { max, .. }
        | Kind::Millis { max, .. } => {
            if max <= i64::from(i32::MAX) {
                Type::Int
            } else {
                Type::Long
            }
        }
        Kind::Ratio => Type::Double,
        Kind::Text | Kind::Name { .. } | Kind::OneOf(_) | Kind::Address | Kind::AddressOrNone => {
            Type::Text
        }
        Kind::SomeOf(_) | Kind::Listeners => Type::List,
    }
}

fn logger(config: &Config) -> Described {
    Described {
        name: loggers::ROOT.to_owned(),
        value: Some(loggers::level(config)),
        read_only: false,
        sensitive: false,
        synonyms: Vec::new(),
        source: Source::Logger,
        kind: Type::Unknown,
        doc: String::new(),
    }
}

fn others(scope: &Scope<'_>, resource: &ConfigResource) -> Vec<Described> {
    let source = match resource {
        ConfigResource::Group(_) => Source::Group,
        _ => Source::ClientMetrics,
    };
    let overrides = scope.image.overrides(resource);
    let described = rules::keys(resource.kind()).iter().map(|key| {
        let value = overrides.and_then(|overrides| overrides.get(key.name));
        let override_ = value.map(|value| Synonym {
            name: key.name.to_owned(),
            value: Some(value.clone()),
            source,
        });
        let behind = if source == Source::Group { behind(scope, key) } else { Vec::new() };
        of_key(key, override_.into_iter().chain(behind).collect(), key.default.to_owned())
    });
    described.collect()
}

/// Keys of groups without a setting of the broker behind them.
const ONLY_OF_GROUPS: [&str; 3] =
    ["share.auto.offset.reset", "share.isolation.level", "share.renew.acknowledge.enable"];

/// A group's key has the broker's setting of the same name behind `group.`.
fn behind(scope: &Scope<'_>, key: &Key) -> Vec<Synonym> {
    let name = if ONLY_OF_GROUPS.contains(&key.name) {
        key.name.to_owned()
    } else {
        format!("group.{}", key.name)
    };
    match scope.config.entry(&name) {
        Some(entry) => said(entry),
        None => {
            let value = Some(key.default.to_owned());
            vec![Synonym { name, value, source: Source::Default }]
        }
    }
}

#[cfg(test)]
mod tests;
