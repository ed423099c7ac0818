//! Stored overrides: which change makes which, checked by the injected table of keys.
//!
//! Source: `ConfigurationControlManager` in Apache Kafka.

use std::collections::BTreeMap;

use super::machine::Machine;
use crate::base::ids::TopicId;
use crate::cluster::client::{ConfigChange, ConfigEdit, Each};
use crate::cluster::config::{ConfigFault, ConfigOp, ConfigResource, ResourceKind};
use crate::cluster::error::Refusal;
use crate::manifest::edit::{ConfigOwner, Edit};

type Overrides = BTreeMap<String, String>;

/// Whose overrides an edit changes.
enum Target {
    Topic(TopicId),
    Other(ConfigOwner),
}

impl Machine {
    pub(super) fn alter_configs(
        &mut self,
        parts: Vec<ConfigChange>,
        validate_only: bool,
    ) -> Each<()> {
        let mut answers = Vec::with_capacity(parts.len());
        for part in parts {
            let altered = self.altered(part);
            answers.push(altered.map(|altered| match altered {
                Some((target, configs)) if !validate_only => self.store(target, configs),
                _ => {}
            }));
        }
        self.visible(answers)
    }

    fn store(&mut self, target: Target, configs: Overrides) {
        self.state.apply(match target {
            Target::Topic(topic) => Edit::TopicConfigs { topic, configs },
            Target::Other(owner) => Edit::Configs { owner, configs },
        });
    }

    /// The overrides after the change; none if it changes nothing.
    fn altered(&self, part: ConfigChange) -> Result<Option<(Target, Overrides)>, Refusal> {
        let kind = part.resource.kind();
        let (target, current) = self.overrides(part.resource)?;
        let wanted = match part.change {
            ConfigEdit::Replace(all) => all,
            ConfigEdit::Incremental(ops) => {
                ops.into_iter().try_fold(current.clone(), |configs, (key, op)| {
                    self.step(kind, configs, key, op).map_err(Refusal::InvalidConfig)
                })?
            }
        };
        let next = self.check_configs(kind, wanted)?;
        Ok((next != current).then_some((target, next)))
    }

    fn overrides(&self, resource: ConfigResource) -> Result<(Target, Overrides), Refusal> {
        let owner = match resource {
            ConfigResource::Topic(name) => {
                let (id, topic) = self.named(&name)?;
                return Ok((Target::Topic(id), topic.configs.clone()));
            }
            ConfigResource::Broker(broker) => ConfigOwner::Broker(broker),
            ConfigResource::Group(group) => ConfigOwner::Group(group),
            ConfigResource::ClientMetrics(name) => ConfigOwner::ClientMetrics(name),
        };
        let current = self.state.configs.get(&owner).cloned().unwrap_or_default();
        Ok((Target::Other(owner), current))
    }

    fn step(
        &self,
        kind: ResourceKind,
        mut configs: Overrides,
        key: String,
        op: ConfigOp,
    ) -> Result<Overrides, ConfigFault> {
        let value = match op {
            ConfigOp::Delete => None,
            ConfigOp::Set(value) => Some(value),
            ConfigOp::Append(items) => {
                let mut list = self.list(kind, &configs, &key, "APPEND")?;
                for item in split(&items) {
                    if !list.contains(&item) {
                        list.push(item);
                    }
                }
                Some(list.join(","))
            }
            ConfigOp::Subtract(items) => {
                let mut list = self.list(kind, &configs, &key, "SUBTRACT")?;
                list.retain(|item| !split(&items).contains(item));
                Some(list.join(","))
            }
        };
        match value {
            Some(value) => configs.insert(key, value),
            None => configs.remove(&key),
        };
        Ok(configs)
    }

    fn list(
        &self,
        kind: ResourceKind,
        configs: &Overrides,
        key: &str,
        op: &str,
    ) -> Result<Vec<String>, ConfigFault> {
        let Some(default) = self.rules.list_default(kind, key) else {
            let reason = format!("Can't {op} to key {key} because its type is not LIST.");
            return Err(ConfigFault { key: key.to_owned(), reason });
        };
        Ok(split(configs.get(key).unwrap_or(&default)))
    }

    /// Overrides as they are to be stored.
    pub(super) fn check_configs(
        &self,
        kind: ResourceKind,
        configs: Overrides,
    ) -> Result<Overrides, Refusal> {
        let checked = configs.into_iter().map(|(key, value)| {
            let value = self.rules.check(kind, &key, &value)?;
            Ok((key, value))
        });
        checked.collect::<Result<Overrides, ConfigFault>>().map_err(Refusal::InvalidConfig)
    }
}

fn split(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}
