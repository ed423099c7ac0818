//! What the formats have in common: what a schema may refer to, why it is refused, and how two of them differ.

use std::fmt;

/// A schema that another one refers to, already looked up.
///
/// A list of them is in the order of dependency: each comes after those that it refers to itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedReference {
    /// The name that the referring schema uses: a full name in Avro, an import's path in Protobuf, a `$ref`'s address in
    /// JSON Schema.
    pub name: String,
    /// The text of the schema that it stands for.
    pub schema: String,
}

/// Why a text is not a schema of its format, for whoever wrote it. Nothing was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaError {
    /// What is wrong and where, in a sentence.
    pub message: String,
}

impl SchemaError {
    /// An error with this message.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SchemaError {}

/// One reason for which a reader of one schema cannot read what was written with another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The rule that is broken, by Confluent's name: `READER_FIELD_MISSING_DEFAULT_VALUE`, `PROPERTY_REMOVED_...`.
    pub kind: &'static str,
    /// Where: a path into the schema, as Confluent's messages show it (`/fields/0/type`, `#/properties/id`).
    pub path: String,
    /// What differs, in words.
    pub message: String,
}

impl Difference {
    /// The rule that is broken, and why in words that call the schemas `reader` and `writer`. It reads as Confluent's
    /// message does: `{errorType:"...", description:"..."}`.
    #[must_use]
    pub fn describe(&self, reader: &str, writer: &str) -> String {
        let Self { kind, message, .. } = self;
        let why = message.replace("the reader", &format!("the {reader} schema"));
        let why = why.replace("the writer", &format!("the {writer} schema"));
        format!("{{errorType:\"{kind}\", description:\"{why}\"}}")
    }
}
