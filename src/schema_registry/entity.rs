//! A schema as it is stored: its text, what it refers to, what is said of it; and the hash over all of that.
//!
//! Field names and their order are Confluent's: they stand in the topic's records.
//!
//! Source: `Metadata`, `SchemaReference`, `SchemaValue`, `Schema.updateHash` in Confluent's Schema Registry.

use std::collections::{BTreeMap, BTreeSet};

use md5::{Digest as _, Md5};
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use super::rules::RuleSet;

/// What is absent and what is null mean the same.
pub(super) fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// A schema that another one refers to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reference {
    /// The name that the referring text uses.
    #[serde(default, skip_serializing_if = "String::is_empty", deserialize_with = "nullable")]
    pub name: String,
    /// The subject that it stands under, as it was said.
    #[serde(default, skip_serializing_if = "String::is_empty", deserialize_with = "nullable")]
    pub subject: String,
    /// Its version there; -1 is the latest.
    #[serde(default, deserialize_with = "nullable")]
    pub version: i32,
}

/// Tags and properties of a schema.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Metadata {
    /// Tags by path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "nullable")]
    pub tags: BTreeMap<String, BTreeSet<String>>,
    /// Properties.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "nullable")]
    pub properties: BTreeMap<String, String>,
    /// Properties that are secret.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty", deserialize_with = "nullable")]
    pub sensitive: BTreeSet<String>,
}

/// The property that counts a subject's versions.
const VERSION_PROPERTY: &str = "confluent:version";
/// The property that lists fields that no version may have.
const RESERVED_PROPERTY: &str = "confluent:reserved";

impl Metadata {
    /// `over` laid over `base`.
    ///
    /// Source: `Metadata.mergeMetadata`.
    #[must_use]
    pub fn merged(base: Option<&Self>, over: Option<&Self>) -> Option<Self> {
        let (base, over) = match (base, over) {
            (base, None) => return base.cloned(),
            (None, over) => return over.cloned(),
            (Some(base), Some(over)) => (base, over),
        };
        let mut merged = base.clone();
        for (path, tags) in &over.tags {
            merged.tags.entry(path.clone()).or_default().extend(tags.iter().cloned());
        }
        merged.properties.extend(over.properties.clone());
        merged.sensitive.extend(over.sensitive.iter().cloned());
        Some(merged)
    }

    /// The version that it names.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.properties.get(VERSION_PROPERTY).map(String::as_str)
    }

    /// The fields that it keeps free, as a list with commas.
    ///
    /// Source: `ParsedSchema.getReservedFields`.
    #[must_use]
    pub fn reserved(&self) -> BTreeSet<String> {
        let said = self.properties.get(RESERVED_PROPERTY).map_or("", String::as_str);
        let fields = said.split(',').map(str::trim).filter(|field| !field.is_empty());
        fields.map(str::to_owned).collect()
    }

    /// The same with another version.
    #[must_use]
    pub fn with_version(metadata: Option<Self>, version: i32) -> Self {
        let mut metadata = metadata.unwrap_or_default();
        metadata.properties.insert(VERSION_PROPERTY.to_owned(), version.to_string());
        metadata
    }

    /// The same without its version.
    #[must_use]
    pub fn without_version(&self) -> Self {
        let mut metadata = self.clone();
        metadata.properties.remove(VERSION_PROPERTY);
        metadata
    }

    fn hash(&self, hash: &mut Md5) {
        for (path, tags) in &self.tags {
            hash.update(path);
            tags.iter().for_each(|tag| hash.update(tag));
        }
        for (name, value) in &self.properties {
            hash.update(name);
            hash.update(value);
        }
        self.sensitive.iter().for_each(|name| hash.update(name));
    }
}

/// A schema as it is registered: equal ones have one id in a context.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Content {
    /// AVRO, JSON or PROTOBUF.
    pub schema_type: String,
    /// Its text.
    pub schema: String,
    /// What it refers to.
    pub references: Vec<Reference>,
    /// What is said of it.
    pub metadata: Option<Metadata>,
    /// Its rules.
    pub rule_set: Option<RuleSet>,
}

/// What equal schemas have in common: their hash.
pub type Guid = Uuid;

impl Content {
    /// The hash of all but the type, as Confluent computes it.
    #[must_use]
    pub fn guid(&self) -> Guid {
        let mut hash = Md5::new();
        hash.update(&self.schema);
        for reference in &self.references {
            hash.update(&reference.name);
            hash.update(&reference.subject);
            hash.update(reference.version.to_be_bytes());
        }
        // A byte tells an empty one from none.
        if let Some(metadata) = &self.metadata {
            hash.update([1]);
            metadata.hash(&mut hash);
        }
        if let Some(rule_set) = &self.rule_set {
            hash.update([1]);
            rule_set.hash(&mut hash);
        }
        Uuid::from_bytes(hash.finalize().into())
    }
}

/// A schema's record as it stands in the topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaValue {
    /// Its subject.
    #[serde(default, skip_serializing_if = "String::is_empty", deserialize_with = "nullable")]
    pub subject: String,
    /// Its version.
    #[serde(default, deserialize_with = "nullable")]
    pub version: i32,
    /// Its id.
    #[serde(default, deserialize_with = "nullable")]
    pub id: i32,
    /// Its hash, where the text alone does not give it: parts of it are encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub md5: Option<String>,
    /// Its format.
    #[serde(rename = "schemaType", default, skip_serializing_if = "Option::is_none")]
    pub schema_type: Option<String>,
    /// What it refers to.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub references: Vec<Reference>,
    /// What is said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// Its rules.
    #[serde(rename = "ruleSet", default, skip_serializing_if = "Option::is_none")]
    pub rule_set: Option<RuleSet>,
    /// Its text.
    #[serde(default, skip_serializing_if = "String::is_empty", deserialize_with = "nullable")]
    pub schema: String,
    /// Whether it was deleted, and can come back.
    #[serde(default, deserialize_with = "nullable")]
    pub deleted: bool,
}
