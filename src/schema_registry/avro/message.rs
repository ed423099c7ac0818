//! A difference as Confluent's registry tells it.
//!
//! Source: `io.confluent.kafka.schemaregistry.avro.Difference` and `SchemaValidatorBuilder` in Confluent's Schema Registry.

use super::super::format::Difference;

/// The whole message for one difference. `reader` and `writer` say which schema is which: `new` and `old` where a new
/// schema is to read what an old one wrote, and the other way round.
#[must_use]
pub fn describe(difference: &Difference, reader: &str, writer: &str) -> String {
    let Difference { kind, path, message } = difference;
    let description = match *kind {
        "FIXED_SIZE_MISMATCH" => format!(
            "The size of FIXED type field at path '{path}' in the {reader} schema does not match with the {writer} schema"
        ),
        "TYPE_MISMATCH" => format!(
            "The type (path '{path}') of a field in the {reader} schema does not match with the {writer} schema"
        ),
        "NAME_MISMATCH" => format!("The name of the schema has changed (path '{path}')"),
        "MISSING_ENUM_SYMBOLS" => format!(
            "The {reader} schema is missing enum symbols '{message}' at path '{path}' in the {writer} schema"
        ),
        "MISSING_UNION_BRANCH" => format!(
            "The {reader} schema is missing a type inside a union field at path '{path}' in the {writer} schema"
        ),
        "READER_FIELD_MISSING_DEFAULT_VALUE" => format!(
            "The field '{message}' at path '{path}' in the {reader} schema has no default value and is missing in the \
             {writer} schema"
        ),
        // Ours: Java throws or runs out of memory.
        _ => format!(
            "The {reader} schema could not be compared with the {writer} schema (path '{path}')"
        ),
    };
    format!("{{errorType:'{kind}', description:'{description}', additionalInfo:'{message}'}}")
}
