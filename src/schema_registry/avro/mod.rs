//! Avro: schemas parsed, printed and compared as Java's Avro and Confluent's `AvroSchema` do.
//!
//! Written anew rather than on the `apache-avro` crate, which loses the order of properties and judges several pairs
//! of schemas differently. Whatever a text holds, work and memory are bounded and the stack does not overflow.

mod compat;
mod defaults;
mod json;
mod logical;
mod message;
mod model;
mod normal;
mod number;
mod parse;
mod payload;
mod print;
mod same;

#[cfg(test)]
mod tests;

use super::format::{Difference, ResolvedReference, SchemaError};
pub use message::describe;
use model::{Kind, TypeId, Types};
use parse::{Parsed, Rules};

/// Bytes that a schema's text may have.
pub const TEXT_BYTES_MAX: usize = 4 << 20;
/// Bytes that all texts may have to which a schema refers.
pub const TEXTS_BYTES_MAX: usize = 16 << 20;

/// An Avro schema with everything to which it refers.
#[derive(Debug)]
pub struct Schema {
    types: Types,
    root: TypeId,
    /// The types that its references stand for.
    referenced: Vec<TypeId>,
    /// To read the normal form as this was read.
    references: Vec<ResolvedReference>,
    canonical: String,
}

impl Schema {
    /// Reads a schema that is new: its names are the specification's and its defaults fit their fields.
    ///
    /// # Errors
    /// It is not JSON or not Avro, names something that nothing defines, or is larger or deeper than what is read. The
    /// message says where.
    pub fn parse(text: &str, references: &[ResolvedReference]) -> Result<Self, SchemaError> {
        Self::read(text, references, Rules::New)
    }

    /// Reads a schema that a registry holds: once accepted, it is not held to the rules for names and defaults, which
    /// were weaker in older versions.
    ///
    /// # Errors
    /// As [`Schema::parse`].
    ///
    /// Source: `AvroSchema.isNew` in Confluent's Schema Registry.
    pub fn parse_stored(text: &str, references: &[ResolvedReference]) -> Result<Self, SchemaError> {
        Self::read(text, references, Rules::Stored)
    }

    fn read(
        text: &str,
        references: &[ResolvedReference],
        rules: Rules,
    ) -> Result<Self, SchemaError> {
        let parsed = parse::parse(text, references, rules)?;
        let canonical = print::text(&parsed.types, parsed.root, &parsed.referenced).map_err(|_| {
            SchemaError::new(format!(
                "with its definitions in place it has more than {TEXT_BYTES_MAX} bytes or nests deeper than {} levels",
                json::DEPTH_MAX
            ))
        })?;
        let Parsed { types, root, referenced } = parsed;
        Ok(Self { types, root, referenced, references: references.to_vec(), canonical })
    }

    /// The text that is stored, and by which two schemas are told to be the same: `AvroSchema.canonicalString()`.
    #[must_use]
    pub fn canonical(&self) -> String {
        self.canonical.clone()
    }

    /// The text that is stored when a schema is registered with `normalize=true`. It is the canonical one where the
    /// normal form would be too large or, for two names that differ only in namespace, no schema any more.
    #[must_use]
    pub fn normalized(&self) -> String {
        let text = normal::text(&self.types, self.root, &self.referenced);
        let read = text.map(|text| Self::parse_stored(&text, &self.references));
        match read {
            Some(Ok(normal)) => normal.canonical,
            _ => self.canonical.clone(),
        }
    }

    /// The text with the definitions that its references stand for in place: `format=resolved`. None if it would be
    /// larger or deeper than what can be read.
    #[must_use]
    pub fn resolved(&self) -> Option<String> {
        print::text(&self.types, self.root, &[]).ok()
    }

    /// The full name, if this is a record.
    #[must_use]
    pub fn record_name(&self) -> Option<&str> {
        match self.types.kind(self.root) {
            kind @ Kind::Record(_) => Some(kind.full_name()),
            _ => None,
        }
    }

    /// Whether this is a record with a field of that name.
    #[must_use]
    pub fn has_field(&self, name: &str) -> bool {
        match self.types.kind(self.root) {
            Kind::Record(record) => record.field(name).is_some(),
            _ => false,
        }
    }

    /// Why a reader of this schema cannot read what was written with `writer`; nothing if it can.
    ///
    /// Kinds, places and messages are those of Java's `SchemaCompatibility`, with two of our own:
    /// `READER_FIELD_AMBIGUOUS` (a field's name and aliases name several fields of the writer's record, where Java
    /// throws) and `COMPARISON_TOO_LARGE` (the comparison was given up, and says nothing about the schemas).
    #[must_use]
    pub fn check_reads(&self, writer: &Self) -> Vec<Difference> {
        compat::check_reads((&self.types, self.root), (&writer.types, writer.root))
    }

    /// Checks that `payload` is one value of this schema in Avro's binary encoding, and nothing more.
    ///
    /// # Errors
    /// It is not. The message says at which byte and why.
    pub fn validate_payload(&self, payload: &[u8]) -> Result<(), SchemaError> {
        payload::validate(&self.types, self.root, payload)
    }
}
