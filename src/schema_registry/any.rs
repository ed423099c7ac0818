//! A schema of any format: the one place that knows them all.

use super::format::{Difference, ResolvedReference, SchemaError};
use super::{avro, json, protobuf};

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// Apache Avro.
    Avro,
    /// JSON Schema.
    Json,
    /// Protocol Buffers.
    Protobuf,
}

impl Format {
    /// All, by Confluent's names, in the order in which its registry lists them.
    pub const ALL: &[(&str, Self)] =
        &[("JSON", Self::Json), ("PROTOBUF", Self::Protobuf), ("AVRO", Self::Avro)];

    /// The format of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, format)| *format)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Avro => "AVRO",
            Self::Json => "JSON",
            Self::Protobuf => "PROTOBUF",
        }
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
    /// Of [`Format::Json`].
    Json(json::Schema),
    /// Of [`Format::Protobuf`].
    Protobuf(protobuf::Schema),
}

/// A record's key or value, apart from the id of its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload<'a> {
    /// The path to its message among those of a Protobuf schema; of the other formats empty.
    pub message: Vec<usize>,
    /// Itself.
    pub bytes: &'a [u8],
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
            (Format::Json, Rules::New) => Self::Json(json::Schema::parse(text, references)?),
            (Format::Json, Rules::Stored) => {
                Self::Json(json::Schema::parse_stored(text, references)?)
            }
            (Format::Protobuf, Rules::New) => {
                Self::Protobuf(protobuf::Schema::parse(text, references)?)
            }
            (Format::Protobuf, Rules::Stored) => {
                Self::Protobuf(protobuf::Schema::parse_stored(text, references)?)
            }
        })
    }

    /// The text that is stored and compared.
    #[must_use]
    pub fn canonical(&self) -> String {
        match self {
            Self::Avro(schema) => schema.canonical(),
            Self::Json(schema) => schema.canonical(),
            Self::Protobuf(schema) => schema.canonical(),
        }
    }

    /// The text that is stored where equal meanings shall be equal texts.
    #[must_use]
    pub fn normalized(&self) -> String {
        match self {
            Self::Avro(schema) => schema.normalized(),
            Self::Json(schema) => schema.normalized(),
            Self::Protobuf(schema) => schema.normalized(),
        }
    }

    /// The text in the form of that name; none if there is no such form of it, and it stays as it is stored.
    ///
    /// Source: `formattedString` of Confluent's `AvroSchema`, `JsonSchema` and `ProtobufSchema`.
    #[must_use]
    pub fn formatted(&self, form: &str) -> Option<String> {
        match (self, form.to_ascii_lowercase().as_str()) {
            (Self::Avro(schema), "resolved") => schema.resolved(),
            (Self::Protobuf(schema), "ignore_extensions") => Some(schema.without_extensions()),
            (Self::Protobuf(schema), "serialized") => schema.serialized(),
            (Self::Avro(_) | Self::Protobuf(_), "default") => Some(self.canonical()),
            _ => None,
        }
    }

    /// What keeps this, as a reader, from reading what `writer` wrote; none if they are of different formats.
    #[must_use]
    pub fn check_reads(&self, writer: &Self) -> Option<Vec<Difference>> {
        match (self, writer) {
            (Self::Avro(reader), Self::Avro(writer)) => Some(reader.check_reads(writer)),
            (Self::Json(reader), Self::Json(writer)) => Some(reader.check_reads(writer)),
            (Self::Protobuf(reader), Self::Protobuf(writer)) => Some(reader.check_reads(writer)),
            (Self::Avro(_) | Self::Json(_) | Self::Protobuf(_), _) => None,
        }
    }

    /// A difference that [`AnySchema::check_reads`] found, in a sentence that calls the schemas `reader` and `writer`.
    #[must_use]
    pub fn describe(&self, difference: &Difference, reader: &str, writer: &str) -> String {
        match self {
            Self::Avro(_) => avro::describe(difference, reader, writer),
            Self::Json(_) | Self::Protobuf(_) => difference.describe(reader, writer),
        }
    }

    /// Whether a field, or a property, of that name stands at its top.
    ///
    /// Source: `ParsedSchema.hasTopLevelField`.
    #[must_use]
    pub fn has_field(&self, name: &str) -> bool {
        match self {
            Self::Avro(schema) => schema.has_field(name),
            Self::Json(schema) => schema.has_property(name),
            Self::Protobuf(schema) => schema.has_field(name),
        }
    }

    /// Holds the names of its fields against those that Confluent keeps for itself: in JSON Schema alone.
    ///
    /// # Errors
    /// One is not anybody's to use.
    ///
    /// Source: `JsonSchema.validate`; `AvroSchema` and `ProtobufSchema` check no names there.
    pub fn check_fields(&self) -> Result<(), SchemaError> {
        match self {
            Self::Json(schema) => schema.check_properties(),
            Self::Avro(_) | Self::Protobuf(_) => Ok(()),
        }
    }

    /// What a record says after the id of its schema: in the rest of a header, or in front of its bytes.
    ///
    /// # Errors
    /// It is not what says it in this format.
    ///
    /// Source: `SchemaId.fromBytes` of Confluent's serializers.
    pub fn payload<'a>(
        &self,
        header: Option<&'a [u8]>,
        bytes: &'a [u8],
    ) -> Result<Payload<'a>, SchemaError> {
        match (self, header) {
            (Self::Protobuf(_), None) => {
                let (message, bytes) = protobuf::message_indexes(bytes)?;
                Ok(Payload { message, bytes })
            }
            (Self::Protobuf(_), Some(header)) => match protobuf::message_indexes(header)? {
                (message, []) => Ok(Payload { message, bytes }),
                _ => Err(SchemaError::new("its header says more than the message indexes")),
            },
            (Self::Avro(_) | Self::Json(_), None | Some([])) => {
                Ok(Payload { message: Vec::new(), bytes })
            }
            (Self::Avro(_) | Self::Json(_), Some(_)) => {
                Err(SchemaError::new("its header says more than the schema"))
            }
        }
    }

    /// The name by which strategies that go by records call what is in the payload; none if it has none.
    ///
    /// Source: `ParsedSchema.name` of each format; a Protobuf serializer's is its message's.
    #[must_use]
    pub fn record_name(&self, payload: &Payload<'_>) -> Option<String> {
        match self {
            Self::Avro(schema) => schema.record_name().map(str::to_owned),
            Self::Json(schema) => schema.title().map(str::to_owned),
            Self::Protobuf(schema) => schema.message_name(&payload.message),
        }
    }

    /// Whether a record's bytes are of this schema.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn validate(&self, payload: &Payload<'_>) -> Result<(), SchemaError> {
        match self {
            Self::Avro(schema) => schema.validate_payload(payload.bytes),
            Self::Json(schema) => schema.validate_payload(payload.bytes),
            Self::Protobuf(schema) => schema.validate_message(&payload.message, payload.bytes),
        }
    }
}

#[cfg(test)]
mod tests;
