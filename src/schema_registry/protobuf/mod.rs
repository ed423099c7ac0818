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
mod plain;
mod print;
mod reader;
mod serialized;
#[cfg(test)]
mod tests;

use prost_reflect::FileDescriptor;

use super::format::{Difference, ResolvedReference, SchemaError};
use element::File;
pub use payload::message_indexes;

/// The longest text of one schema.
pub const TEXT_BYTES_MAX: usize = 4 << 20;
/// The most text of all that a schema refers to.
pub const REFERENCES_BYTES_MAX: usize = 16 << 20;

/// A parsed and compiled schema.
#[derive(Debug, Clone)]
pub struct Schema {
    file: File,
    /// Its descriptor; of a stored text that no compiler takes, why not.
    compiled: Result<FileDescriptor, SchemaError>,
}

impl Schema {
    /// Parses and compiles a schema. What it imports is among the references, by name, or known to every registry.
    ///
    /// # Errors
    /// If the text is no schema: too long, too deep, ungrammatical, or with names that nothing declares. Time and
    /// memory are bound by the length of the texts.
    pub fn parse(text: &str, references: &[ResolvedReference]) -> Result<Self, SchemaError> {
        let schema = Self::parse_stored(text, references)?;
        match schema.compiled {
            Ok(_) => Ok(schema),
            Err(why) => Err(why),
        }
    }

    /// Parses a schema that a registry holds: older ones took whatever is grammatical. What does not compile can be
    /// shown and found, and is neither compared nor are records held against it.
    ///
    /// # Errors
    /// If the text is too long, too deep, or ungrammatical.
    pub fn parse_stored(text: &str, references: &[ResolvedReference]) -> Result<Self, SchemaError> {
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
        match &self.compiled {
            Ok(compiled) => print::print(&normalize::normalize(&self.file, compiled.parent_pool())),
            Err(_) => self.canonical(),
        }
    }

    /// The text without extensions and custom options, those of Confluent excepted: `format=ignore_extensions`.
    pub fn without_extensions(&self) -> String {
        print::print(&plain::without_extensions(&self.file))
    }

    /// A `FileDescriptorProto` in base64, as clients without a compiler take it: `format=serialized`. None of a text
    /// that does not compile.
    pub fn serialized(&self) -> Option<String> {
        serialized::serialized(&self.file, self.compiled.as_ref().ok()?)
    }

    /// The differences for which `self` cannot read what was written with `writer`: none, if it can.
    ///
    /// Kinds are those of Confluent's `protobuf.diff.Difference.Type`, and `SCHEMA_NOT_COMPILED` where one of them is
    /// stored and no schema.
    pub fn check_reads(&self, writer: &Schema) -> Vec<Difference> {
        let (reader, writer) = match (&self.compiled, &writer.compiled) {
            (Ok(reader), Ok(writer)) => (reader, writer),
            (Err(why), _) => return vec![not_compiled("reader", why)],
            (_, Err(why)) => return vec![not_compiled("writer", why)],
        };
        let changes = diff::compare(writer, reader);
        changes
            .into_iter()
            .filter(|change| !change.kind.is_compatible())
            .map(diff::Change::into_difference)
            .collect()
    }

    /// Whether a message at its top has a field of that name, those of its oneofs and groups left out.
    pub fn has_field(&self, name: &str) -> bool {
        let mut fields = self.file.messages.iter().flat_map(|message| &message.fields);
        fields.any(|field| field.name == name)
    }

    /// The full name of the message at a path of indexes; none if there is none.
    pub fn message_name(&self, message: &[usize]) -> Option<String> {
        let compiled = self.compiled.as_ref().ok()?;
        payload::indexed(&self.file, compiled, message).map(|found| found.full_name().to_owned())
    }

    /// Holds bytes against the message at a path of indexes.
    ///
    /// # Errors
    /// If they do not fit, or no message has the path; the record was not written with this schema.
    pub fn validate_message(&self, message: &[usize], bytes: &[u8]) -> Result<(), SchemaError> {
        let compiled = self.compiled.as_ref().map_err(SchemaError::clone)?;
        payload::validate(&self.file, compiled, (message, bytes))
    }

    /// Holds a record's bytes after the schema's id against the schema: message indexes, then the message.
    ///
    /// # Errors
    /// As [`Schema::validate_message`], or if the indexes are none.
    pub fn validate_payload(&self, payload: &[u8]) -> Result<(), SchemaError> {
        let (message, bytes) = message_indexes(payload)?;
        self.validate_message(&message, bytes)
    }
}

fn not_compiled(which: &str, why: &SchemaError) -> Difference {
    let message = format!("the {which} is no schema: {why}");
    Difference { kind: "SCHEMA_NOT_COMPILED", path: "#/".to_owned(), message }
}
