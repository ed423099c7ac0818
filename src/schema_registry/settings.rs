//! Settings of subjects and contexts: compatibility, mode, and what registrations are given.
//!
//! Source: `Config`, `CompatibilityLevel` and `Mode` in Confluent's Schema Registry.

use serde::{Deserialize, Serialize};

use super::entity::Metadata;
use super::rules::RuleSet;

/// A subject's settings, or a context's. Absent fields are taken from what is around it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "Confluent's names, kept and returned")]
pub struct Config {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias_for_deks: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalize: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validate_fields: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validate_new_schemas: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validate_rules: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compatibility_level: Option<Level>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compatibility_policy: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compatibility_group: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_metadata: Option<Metadata>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_metadata: Option<Metadata>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_rule_set: Option<RuleSet>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_rule_set: Option<RuleSet>,
}

impl Config {
    /// These settings where the ones `around` it hold for what it leaves open.
    ///
    /// Source: `Config.mergeConfigs`: alias, metadata and rules are not inherited.
    #[must_use]
    pub fn within(&self, around: &Self) -> Self {
        let mut config = self.clone();
        config.normalize = config.normalize.or(around.normalize);
        config.validate_fields = config.validate_fields.or(around.validate_fields);
        config.validate_new_schemas = config.validate_new_schemas.or(around.validate_new_schemas);
        config.validate_rules = config.validate_rules.or(around.validate_rules);
        config.compatibility_policy =
            config.compatibility_policy.or_else(|| around.compatibility_policy.clone());
        config.compatibility_group =
            config.compatibility_group.or_else(|| around.compatibility_group.clone());
        config
    }

    /// Whether a registration under it may be changed by defaults and overrides.
    #[must_use]
    pub fn populates(&self) -> bool {
        self.default_metadata.is_some()
            || self.override_metadata.is_some()
            || self.default_rule_set.is_some()
            || self.override_rule_set.is_some()
    }
}

/// How a schema must fit those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Level {
    /// It need not.
    None,
    /// It reads what the last one wrote.
    #[default]
    Backward,
    /// It reads what any of them wrote.
    BackwardTransitive,
    /// The last one reads what it writes.
    Forward,
    /// All of them read what it writes.
    ForwardTransitive,
    /// Both ways with the last one.
    Full,
    /// Both ways with all.
    FullTransitive,
}

impl Level {
    /// All, by Confluent's names.
    pub const ALL: [(&'static str, Self); 7] = [
        ("NONE", Self::None),
        ("BACKWARD", Self::Backward),
        ("BACKWARD_TRANSITIVE", Self::BackwardTransitive),
        ("FORWARD", Self::Forward),
        ("FORWARD_TRANSITIVE", Self::ForwardTransitive),
        ("FULL", Self::Full),
        ("FULL_TRANSITIVE", Self::FullTransitive),
    ];

    /// The level of that name, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, level)| *level)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, level)| *level == self).map_or("", |(name, _)| name)
    }

    /// Whether the new schema must read old data.
    #[must_use]
    pub fn reads_old(self) -> bool {
        matches!(
            self,
            Self::Backward | Self::BackwardTransitive | Self::Full | Self::FullTransitive
        )
    }

    /// Whether old schemas must read new data.
    #[must_use]
    pub fn read_by_old(self) -> bool {
        matches!(self, Self::Forward | Self::ForwardTransitive | Self::Full | Self::FullTransitive)
    }

    /// Whether all earlier versions count, not the last alone.
    #[must_use]
    pub fn is_transitive(self) -> bool {
        matches!(self, Self::BackwardTransitive | Self::ForwardTransitive | Self::FullTransitive)
    }
}

/// What may be done under a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Mode {
    /// Everything.
    #[default]
    #[serde(rename = "READWRITE")]
    ReadWrite,
    /// Nothing changes.
    #[serde(rename = "READONLY")]
    ReadOnly,
    /// The same: a name that is kept for those who set it.
    #[serde(rename = "READONLY_OVERRIDE")]
    ReadOnlyOverride,
    /// Schemas come with their ids.
    Import,
    /// As import, for all.
    Forward,
}

impl Mode {
    const ALL: [(&'static str, Self); 5] = [
        ("READWRITE", Self::ReadWrite),
        ("READONLY", Self::ReadOnly),
        ("READONLY_OVERRIDE", Self::ReadOnlyOverride),
        ("IMPORT", Self::Import),
        ("FORWARD", Self::Forward),
    ];

    /// The mode of that name, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, mode)| *mode)
    }

    /// Whether nothing changes.
    #[must_use]
    pub fn is_read_only(self) -> bool {
        matches!(self, Self::ReadOnly | Self::ReadOnlyOverride)
    }

    /// Whether schemas come with their ids.
    #[must_use]
    pub fn is_import(self) -> bool {
        matches!(self, Self::Import | Self::Forward)
    }
}
