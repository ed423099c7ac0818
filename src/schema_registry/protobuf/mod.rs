//! Protobuf schemas: proto2 and proto3, as text or as a `FileDescriptorProto` in base64.
//!
//! The text is parsed twice, for two purposes. Our own elements keep what the author wrote, and print what Confluent's
//! registry stores ([`Schema::canonical`], [`Schema::normalized`]); a compiler makes descriptors of it, which refuse
//! what is no schema, and carry the rules of compatibility and the validation of records.

mod compile;
mod descriptor;
mod diff;
mod element;
mod extended;
mod known;
mod literal;
mod normalize;
mod parse;
mod payload;
mod print;
mod reader;
#[cfg(test)]
mod tests;

use prost_reflect::FileDescriptor;

use super::format::{Difference, ResolvedReference, SchemaError};
use element::File;

/// The longest text of one schema.
pub const TEXT_BYTES_MAX: usize = 4 << 20;
/// The most text of all that a schema refers to.
pub const REFERENCES_BYTES_MAX: usize = 16 << 20;

/// A parsed and compiled schema.
#[derive(Debug, Clone)]
pub struct Schema {
    file: File,
    compiled: FileDescriptor,
}

impl Schema {
    /// Parses and compiles a schema. What it imports is among the references, by name, or known to every registry.
    ///
    /// # Errors
    /// If the text is no schema: too long, too deep, ungrammatical, or with names that nothing declares. Time and
    /// memory are bound by the length of the texts.
    pub fn parse(text: &str, references: &[ResolvedReference]) -> Result<Self, SchemaError> {
        if references.iter().map(|reference| reference.schema.len()).sum::<usize>()
            > REFERENCES_BYTES_MAX
        {
            return Err(SchemaError::new(format!(
                "the references have more than {REFERENCES_BYTES_MAX} bytes"
            )));
        }
        let (file, compiled) = compile::compile(text, references)?;
        Ok(Self { file, compiled })
    }

    /// The text that is stored and compared: Confluent's `ProtobufSchema.canonicalString`.
    pub fn canonical(&self) -> String {
        print::print(&self.file)
    }

    /// The text that is stored with `normalize=true`: Confluent's `ProtobufSchema.normalize`.
    pub fn normalized(&self) -> String {
        print::print(&normalize::normalize(&self.file, self.compiled.parent_pool()))
    }

    /// The differences for which `self` cannot read what was written with `writer`: none, if it can.
    ///
    /// Kinds are those of Confluent's `protobuf.diff.Difference.Type`.
    pub fn check_reads(&self, writer: &Schema) -> Vec<Difference> {
        let changes = diff::compare(&writer.compiled, &self.compiled);
        changes
            .into_iter()
            .filter(|change| !change.kind.is_compatible())
            .map(diff::Change::into_difference)
            .collect()
    }

    /// Holds a record's bytes after the schema's id against the schema: message indexes, then the message.
    ///
    /// # Errors
    /// If they do not fit; the record was not written with this schema.
    pub fn validate_payload(&self, payload: &[u8]) -> Result<(), SchemaError> {
        payload::validate(&self.file, &self.compiled, payload)
    }
}
