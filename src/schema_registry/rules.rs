//! Rules that clients apply to what they write and read: kept, checked and returned, never run here.
//!
//! Field names and their order are Confluent's: they stand in the topic's records.
//!
//! Source: `RuleSet` and `Rule` in Confluent's Schema Registry.

use std::collections::{BTreeMap, BTreeSet};

use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};

use super::entity::nullable;

/// A rule that clients apply. Kept and returned as it came.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rule {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doc: Option<String>,
    /// TRANSFORM or CONDITION.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<RuleKind>,
    /// When it applies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<RuleMode>,
    /// Which engine applies it.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub rule_type: Option<String>,
    /// Tags that it applies to.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty", deserialize_with = "nullable")]
    pub tags: BTreeSet<String>,
    /// What the engine is given.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "nullable")]
    pub params: BTreeMap<String, String>,
    /// The expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expr: Option<String>,
    /// What follows success.
    #[serde(rename = "onSuccess", default, skip_serializing_if = "Option::is_none")]
    pub on_success: Option<String>,
    /// What follows failure.
    #[serde(rename = "onFailure", default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<String>,
    /// Whether it is switched off.
    #[serde(default, deserialize_with = "nullable")]
    pub disabled: bool,
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RuleKind {
    /// Changes values.
    Transform,
    /// Accepts or refuses them.
    Condition,
}

/// When a rule applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RuleMode {
    /// From an older version to a newer one.
    Upgrade,
    /// From a newer version to an older one.
    Downgrade,
    /// Both.
    UpDown,
    /// When written.
    Write,
    /// When read.
    Read,
    /// Both.
    WriteRead,
}

impl RuleMode {
    fn is_migration(self) -> bool {
        matches!(self, Self::Upgrade | Self::Downgrade | Self::UpDown)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Upgrade => "UPGRADE",
            Self::Downgrade => "DOWNGRADE",
            Self::UpDown => "UPDOWN",
            Self::Write => "WRITE",
            Self::Read => "READ",
            Self::WriteRead => "WRITEREAD",
        }
    }
}

impl Rule {
    fn hash(&self, hash: &mut Md5) {
        let mut text = |text: Option<&str>| hash.update(text.unwrap_or_default());
        text(self.name.as_deref());
        text(self.doc.as_deref());
        text(self.kind.map(|kind| match kind {
            RuleKind::Transform => "TRANSFORM",
            RuleKind::Condition => "CONDITION",
        }));
        text(self.mode.map(RuleMode::name));
        text(self.rule_type.as_deref());
        self.tags.iter().for_each(|tag| text(Some(tag)));
        for (name, value) in &self.params {
            text(Some(name));
            text(Some(value));
        }
        text(self.expr.as_deref());
        text(self.on_success.as_deref());
        text(self.on_failure.as_deref());
        if self.disabled {
            hash.update([1]);
        }
    }
}

/// A schema's rules.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RuleSet {
    /// Between versions.
    #[serde(
        rename = "migrationRules",
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "nullable"
    )]
    pub migration_rules: Vec<Rule>,
    /// On values.
    #[serde(
        rename = "domainRules",
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "nullable"
    )]
    pub domain_rules: Vec<Rule>,
    /// On bytes.
    #[serde(
        rename = "encodingRules",
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "nullable"
    )]
    pub encoding_rules: Vec<Rule>,
    /// Where they are applied.
    #[serde(rename = "enableAt", default, skip_serializing_if = "Option::is_none")]
    pub enable_at: Option<String>,
}

impl RuleSet {
    /// What is wrong with the rules, if anything.
    ///
    /// # Errors
    /// In a sentence.
    ///
    /// Source: `RuleSet.validate`.
    pub fn validate(&self) -> Result<(), String> {
        let migration = self.migration_rules.iter().map(|rule| (rule, true));
        let others = self.domain_rules.iter().chain(&self.encoding_rules).map(|rule| (rule, false));
        let mut names = BTreeSet::new();
        for (rule, migrates) in migration.chain(others) {
            let name = rule.name.as_deref().ok_or("Missing rule name")?;
            if !names.insert(name) {
                return Err(format!("Found rule with duplicate name '{name}'"));
            }
            if rule.rule_type.is_none() {
                return Err(format!("Missing type of rule '{name}'"));
            }
            let mode = rule.mode.ok_or_else(|| format!("Missing mode of rule '{name}'"))?;
            if migrates && !mode.is_migration() {
                return Err("Migration rules can only be UPGRADE, DOWNGRADE, UPDOWN".to_owned());
            }
            if !migrates && mode.is_migration() {
                return Err("Domain rules cannot be UPGRADE, DOWNGRADE, UPDOWN".to_owned());
            }
        }
        Ok(())
    }

    /// `over` laid over `base`: a rule replaces the one of its name.
    ///
    /// Source: `RuleSet.mergeRuleSets`.
    #[must_use]
    pub fn merged(base: Option<&Self>, over: Option<&Self>) -> Option<Self> {
        let (base, over) = match (base, over) {
            (base, None) => return base.cloned(),
            (None, over) => return over.cloned(),
            (Some(base), Some(over)) => (base, over),
        };
        let merge = |base: &[Rule], over: &[Rule]| {
            let kept = base.iter().filter(|rule| over.iter().all(|other| other.name != rule.name));
            kept.chain(over).cloned().collect()
        };
        Some(Self {
            migration_rules: merge(&base.migration_rules, &over.migration_rules),
            domain_rules: merge(&base.domain_rules, &over.domain_rules),
            encoding_rules: merge(&base.encoding_rules, &over.encoding_rules),
            enable_at: over.enable_at.clone().or_else(|| base.enable_at.clone()),
        })
    }

    pub(super) fn hash(&self, hash: &mut Md5) {
        let rules = self.migration_rules.iter().chain(&self.domain_rules);
        rules.chain(&self.encoding_rules).for_each(|rule| rule.hash(hash));
        hash.update(self.enable_at.as_deref().unwrap_or_default());
    }

    /// Whether a rule of that type is among them.
    #[must_use]
    pub fn has_type(&self, rule_type: &str) -> bool {
        let rules = self.migration_rules.iter().chain(&self.domain_rules);
        rules.chain(&self.encoding_rules).any(|rule| rule.rule_type.as_deref() == Some(rule_type))
    }
}
