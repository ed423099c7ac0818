//! A schema of any format: the one place that knows them all.

use super::avro;
use super::format::{Difference, ResolvedReference, SchemaError};

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// Apache Avro.
    Avro,
}

impl Format {
    /// All that are served, by Confluent's names.
    pub const ALL: &[(&str, Self)] = &[("AVRO", Self::Avro)];

    /// The format of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, format)| *format)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, format)| *format == self).map_or("", |(name, _)| name)
    }
}

/// How strictly a text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// As one that is registered now.
    New,
    /// As one that was accepted once: the rules were weaker in older registries.
    Stored,
}

/// A schema, parsed.
#[derive(Debug)]
pub enum AnySchema {
    /// Of [`Format::Avro`].
    Avro(avro::Schema),
}

impl AnySchema {
    /// Reads a text. Time and memory are bounded by its length.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(
        format: Format,
        text: &str,
        references: &[ResolvedReference],
        rules: Rules,
    ) -> Result<Self, SchemaError> {
        Ok(match (format, rules) {
            (Format::Avro, Rules::New) => Self::Avro(avro::Schema::parse(text, references)?),
            (Format::Avro, Rules::Stored) => {
                Self::Avro(avro::Schema::parse_stored(text, references)?)
            }
        })
    }

    /// The text that is stored and compared.
    #[must_use]
    pub fn canonical(&self) -> String {
        match self {
            Self::Avro(schema) => schema.canonical(),
        }
    }

    /// The text that is stored where equal meanings shall be equal texts.
    #[must_use]
    pub fn normalized(&self) -> String {
        match self {
            Self::Avro(schema) => schema.normalized(),
        }
    }

    /// The text in the form of that name; none if there is no such form of it, and it stays as it is stored.
    #[must_use]
    pub fn formatted(&self, _form: &str) -> Option<String> {
        match self {
            Self::Avro(_) => None,
        }
    }

    /// What keeps this, as a reader, from reading what `writer` wrote; none if they are of different formats.
    #[must_use]
    pub fn check_reads(&self, writer: &Self) -> Option<Vec<Difference>> {
        match (self, writer) {
            (Self::Avro(reader), Self::Avro(writer)) => Some(reader.check_reads(writer)),
        }
    }

    /// Whether a record's bytes, after the header that names the schema, are of this schema.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn validate_payload(&self, payload: &[u8]) -> Result<(), SchemaError> {
        match self {
            Self::Avro(schema) => schema.validate_payload(payload),
        }
    }
}
