//! A record's bytes after the schema's id: an array of message indexes, then the message.

use prost_reflect::{
    Cardinality, DynamicMessage, FileDescriptor, Kind, MessageDescriptor, ReflectMessage, Value,
};

use super::element::File;
use super::parse::DEPTH_MAX;
use crate::schema_registry::format::SchemaError;

/// Holds bytes against the message at a path of indexes; `written` are the elements of `compiled`.
///
/// # Errors
/// If the indexes name no message, the bytes are not one, or a required field is not set.
pub(super) fn validate(
    written: &File,
    compiled: &FileDescriptor,
    (message, bytes): (&[usize], &[u8]),
) -> Result<(), SchemaError> {
    let message = indexed(written, compiled, message)
        .ok_or_else(|| SchemaError::new("the message indexes name no message of the schema"))?;
    let name = message.full_name().to_owned();
    let decoded = DynamicMessage::decode(message, bytes)
        .map_err(|error| SchemaError::new(format!("not a {name}: {error}")))?;
    required(&decoded)
}

/// Reads the indexes that name a message, and gives what follows them: their count and then a path into nested
/// messages, zigzag; a count of 0 means the first message.
///
/// # Errors
/// If they end early, or are no path.
pub fn message_indexes(bytes: &[u8]) -> Result<(Vec<usize>, &[u8]), SchemaError> {
    let mut rest = bytes;
    let wrong = |number: i32| SchemaError::new(format!("{number} in the message indexes"));
    let count = zigzag(&mut rest)?;
    let indexes = match usize::try_from(count) {
        Ok(0) => vec![0],
        Ok(count) if count <= DEPTH_MAX => {
            let mut index = || {
                zigzag(&mut rest).and_then(|index| usize::try_from(index).map_err(|_| wrong(index)))
            };
            (0..count).map(|_| index()).collect::<Result<_, _>>()?
        }
        _ => return Err(wrong(count)),
    };
    Ok((indexes, rest))
}

/// The message at a path. An index counts what the text declares, as Confluent's serializers count: the entry of a map
/// only where the text spells it out.
pub(super) fn indexed(
    written: &File,
    compiled: &FileDescriptor,
    indexes: &[usize],
) -> Option<MessageDescriptor> {
    if let Some(stood_for) = stands_for(compiled) {
        let (first, nested) = indexes.split_first()?;
        let message = stood_for.messages().nth(*first)?;
        return nested.iter().try_fold(message, |outer, index| {
            outer.child_messages().filter(|child| !child.is_map_entry()).nth(*index)
        });
    }
    let mut messages = &written.messages;
    let mut name = written.package.clone().unwrap_or_default();
    for index in indexes {
        let message = messages.get(*index)?;
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(&message.name);
        messages = &message.messages;
    }
    compiled.parent_pool().get_message_by_name(&name)
}

/// A file that declares nothing and imports one file publicly stands for that one.
fn stands_for(file: &FileDescriptor) -> Option<FileDescriptor> {
    let declared = file.messages().len()
        + file.enums().len()
        + file.services().len()
        + file.extensions().len();
    let mut public = file.public_dependencies();
    match (public.next(), public.next()) {
        (Some(only), None) if declared == 0 && file.dependencies().len() == 1 => Some(only),
        _ => None,
    }
}

fn zigzag(rest: &mut &[u8]) -> Result<i32, SchemaError> {
    let mut value = 0_u32;
    for shift in (0..35).step_by(7) {
        let (&byte, after) =
            rest.split_first().ok_or_else(|| SchemaError::new("the message indexes end early"))?;
        *rest = after;
        value |= u32::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Ok((value >> 1).cast_signed() ^ -((value & 1).cast_signed()));
        }
    }
    Err(SchemaError::new("a message index has more than five bytes"))
}

/// The decoder does not ask for required fields. It has bound the nesting.
fn required(message: &DynamicMessage) -> Result<(), SchemaError> {
    let descriptor = message.descriptor();
    for field in descriptor.fields() {
        if field.cardinality() == Cardinality::Required && !message.has_field(&field) {
            return Err(SchemaError::new(format!(
                "required field {} is not set",
                field.full_name()
            )));
        }
        if matches!(field.kind(), Kind::Message(_)) && message.has_field(&field) {
            inner(&message.get_field(&field))?;
        }
    }
    Ok(())
}

fn inner(value: &Value) -> Result<(), SchemaError> {
    match value {
        Value::Message(message) => required(message),
        Value::List(values) => values.iter().try_for_each(inner),
        Value::Map(entries) => entries.values().try_for_each(inner),
        _ => Ok(()),
    }
}
