//! Keys and values of `_schemas`, byte for byte as Confluent's Schema Registry (8.0 and later) writes them.
//!
//! Both are JSON. The topic is compacted by the key's bytes, so the order of its fields is part of the format.
//!
//! Source: `SchemaRegistryKey` and its subclasses, `SchemaRegistrySerializer`.

use serde::{Deserialize, Serialize};

use super::entity::SchemaValue;
use super::settings::{Config, Mode};

/// What a record is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// One version of a subject.
    Schema {
        /// The subject, with its context.
        subject: String,
        /// The version.
        version: i32,
    },
    /// The settings of a subject or context; none: of the default context.
    Config {
        /// The subject, with its context.
        subject: Option<String>,
    },
    /// The mode of a subject or context; none: of the default context.
    Mode {
        /// The subject, with its context.
        subject: Option<String>,
    },
    /// All versions of a subject up to one are deleted.
    DeleteSubject {
        /// The subject, with its context.
        subject: String,
    },
    /// What was deleted of a subject or context is forgotten.
    ClearSubject {
        /// The subject, with its context.
        subject: Option<String>,
    },
    /// Nothing: it shows where the log ends.
    Noop,
    /// A context that is in use.
    Context {
        /// Always `default`.
        tenant: String,
        /// Its name.
        context: String,
    },
}

/// What is said of a key. A tombstone is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Of [`Key::Schema`].
    Schema(Box<SchemaValue>),
    /// Of [`Key::Config`].
    Config(Box<Config>),
    /// Of [`Key::Mode`].
    Mode(Mode),
    /// Of [`Key::DeleteSubject`]: up to this version.
    DeleteSubject(i32),
    /// Of [`Key::ClearSubject`].
    ClearSubject,
    /// Of [`Key::Context`].
    Context,
}

/// A record that says nothing to this registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Its key is not one of ours.
    #[error("the key cannot be read")]
    Key,
    /// Its value does not fit its key.
    #[error("the value cannot be read")]
    Value,
}

/// A key as it stands in the record: which fields it has follows from its type.
#[derive(Serialize, Deserialize)]
struct RawKey {
    keytype: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    context: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<i32>,
    #[serde(default)]
    magic: i32,
}

/// The only keys that have a magic number other than 0.
const SCHEMA_MAGIC: i32 = 1;
/// The tenant of a registry that has one.
pub const TENANT: &str = "default";

impl Key {
    /// The record's key.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let raw = |keytype: &str, subject: &Option<String>| RawKey {
            keytype: keytype.to_owned(),
            tenant: None,
            context: None,
            // Jackson leaves out what is empty.
            subject: subject.clone().filter(|subject| !subject.is_empty()),
            version: None,
            magic: 0,
        };
        let raw = match self {
            Self::Schema { subject, version } => RawKey {
                version: Some(*version),
                magic: SCHEMA_MAGIC,
                ..raw("SCHEMA", &Some(subject.clone()))
            },
            Self::Config { subject } => raw("CONFIG", subject),
            Self::Mode { subject } => raw("MODE", subject),
            Self::DeleteSubject { subject } => raw("DELETE_SUBJECT", &Some(subject.clone())),
            Self::ClearSubject { subject } => raw("CLEAR_SUBJECT", subject),
            Self::Noop => raw("NOOP", &None),
            Self::Context { tenant, context } => RawKey {
                tenant: Some(tenant.clone()),
                context: Some(context.clone()),
                ..raw("CONTEXT", &None)
            },
        };
        serde_json::to_vec(&raw).expect("a key of text and numbers has a JSON form")
    }

    /// Reads a record's key.
    ///
    /// # Errors
    /// [`Unreadable::Key`]: no key, or of a kind that we do not keep.
    pub fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let raw: RawKey = serde_json::from_slice(bytes).map_err(|_| Unreadable::Key)?;
        let named = raw.subject.clone().unwrap_or_default();
        Ok(match raw.keytype.as_str() {
            "SCHEMA" => {
                if !(0..=SCHEMA_MAGIC).contains(&raw.magic) {
                    return Err(Unreadable::Key);
                }
                Self::Schema { subject: named, version: raw.version.ok_or(Unreadable::Key)? }
            }
            "CONFIG" => Self::Config { subject: raw.subject },
            "MODE" => Self::Mode { subject: raw.subject },
            "DELETE_SUBJECT" => Self::DeleteSubject { subject: named },
            "CLEAR_SUBJECT" => Self::ClearSubject { subject: raw.subject },
            "NOOP" => Self::Noop,
            "CONTEXT" => Self::Context {
                tenant: raw.tenant.unwrap_or_else(|| TENANT.to_owned()),
                context: raw.context.ok_or(Unreadable::Key)?,
            },
            _ => return Err(Unreadable::Key),
        })
    }
}

#[derive(Serialize, Deserialize)]
struct OfSubject<T> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(flatten)]
    value: T,
}

#[derive(Serialize, Deserialize)]
struct RawMode {
    mode: Mode,
}

#[derive(Serialize, Deserialize)]
struct RawDelete {
    version: i32,
}

#[derive(Serialize, Deserialize)]
struct Empty {}

#[derive(Serialize, Deserialize)]
struct RawContext {
    tenant: String,
    context: String,
}

impl Value {
    /// The record's value under `key`.
    #[must_use]
    pub fn encode(&self, key: &Key) -> Vec<u8> {
        let subject = match key {
            Key::Config { subject } | Key::Mode { subject } | Key::ClearSubject { subject } => {
                subject.clone()
            }
            Key::DeleteSubject { subject } => Some(subject.clone()),
            Key::Schema { .. } | Key::Noop | Key::Context { .. } => None,
        };
        let bytes = match self {
            Self::Schema(value) => serde_json::to_vec(value),
            Self::Config(value) => serde_json::to_vec(&OfSubject { subject, value }),
            Self::Mode(mode) => {
                serde_json::to_vec(&OfSubject { subject, value: RawMode { mode: *mode } })
            }
            Self::DeleteSubject(version) => {
                serde_json::to_vec(&OfSubject { subject, value: RawDelete { version: *version } })
            }
            Self::ClearSubject => serde_json::to_vec(&OfSubject { subject, value: Empty {} }),
            Self::Context => {
                let (tenant, context) = match key {
                    Key::Context { tenant, context } => (tenant.clone(), context.clone()),
                    _ => (TENANT.to_owned(), String::new()),
                };
                serde_json::to_vec(&RawContext { tenant, context })
            }
        };
        bytes.expect("text, numbers and maps by text have a JSON form")
    }

    /// Reads the value of `key`.
    ///
    /// # Errors
    /// [`Unreadable::Value`].
    pub fn decode(key: &Key, bytes: &[u8]) -> Result<Self, Unreadable> {
        fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Unreadable> {
            serde_json::from_slice(bytes).map_err(|_| Unreadable::Value)
        }
        Ok(match key {
            Key::Schema { .. } => Self::Schema(read(bytes)?),
            Key::Config { .. } => Self::Config(read(bytes)?),
            Key::Mode { .. } => Self::Mode(read::<RawMode>(bytes)?.mode),
            Key::DeleteSubject { .. } => Self::DeleteSubject(read::<RawDelete>(bytes)?.version),
            Key::ClearSubject { .. } => Self::ClearSubject,
            Key::Context { .. } => Self::Context,
            Key::Noop => return Err(Unreadable::Value),
        })
    }
}

#[cfg(test)]
mod tests;
