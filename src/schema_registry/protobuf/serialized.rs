//! A file's descriptor in base64, as clients without a compiler take it.
//!
//! Source: `ProtobufSchema.formattedString` with the format `serialized`.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, FileDescriptor, Value};

use super::element::{Extend, Field, File, Message};

/// The name of a file that clients get as a descriptor, where a file must have one.
///
/// Source: `ProtobufSchema.DEFAULT_NAME`.
const SERIALIZED_NAME: &str = "default";

/// The descriptor with its options as they were declared. A compiler gives every field a name in JSON; here, as in
/// Confluent's, only those have one to which the text gives it: else a client that sends the descriptor back would
/// register another schema.
pub(super) fn serialized(file: &File, compiled: &FileDescriptor) -> Option<String> {
    let kind =
        DescriptorPool::global().get_message_by_name("google.protobuf.FileDescriptorProto")?;
    let mut descriptor = DynamicMessage::decode(kind, compiled.encode_to_vec().as_slice()).ok()?;
    descriptor.set_field_by_name("name", Value::String(SERIALIZED_NAME.to_owned()));
    let mut said = BTreeSet::new();
    file.extends.iter().for_each(|extend| said_by_extend(extend, "", &mut said));
    file.messages.iter().for_each(|message| said_by(message, "", &mut said));
    keep(&mut descriptor, "", &said);
    Some(STANDARD.encode(descriptor.encode_to_vec()))
}

/// The fields that have a name in JSON, each after the messages that it stands in.
fn said_by(message: &Message, within: &str, said: &mut BTreeSet<String>) {
    let within = format!("{within}.{}", message.name);
    let fields = message.oneofs.iter().flat_map(|oneof| &oneof.fields);
    said_by_fields(message.fields.iter().chain(fields), &within, said);
    message.extends.iter().for_each(|extend| said_by_extend(extend, &within, said));
    let groups = message.groups.iter().chain(message.oneofs.iter().flat_map(|oneof| &oneof.groups));
    let nested = message.messages.iter().chain(groups.map(|group| &group.body));
    nested.for_each(|nested| said_by(nested, &within, said));
}

fn said_by_extend(extend: &Extend, within: &str, said: &mut BTreeSet<String>) {
    said_by_fields(extend.fields.iter(), within, said);
    extend.groups.iter().for_each(|group| said_by(&group.body, within, said));
}

fn said_by_fields<'a>(
    fields: impl Iterator<Item = &'a Field>,
    within: &str,
    said: &mut BTreeSet<String>,
) {
    let named = fields.filter(|field| field.json_name.is_some());
    said.extend(named.map(|field| format!("{within}.{}", field.name)));
}

/// Takes the other names off a descriptor of a file or a message.
fn keep(descriptor: &mut DynamicMessage, within: &str, said: &BTreeSet<String>) {
    for (part, is_field) in
        [("field", true), ("extension", true), ("message_type", false), ("nested_type", false)]
    {
        let Some(Value::List(parts)) = descriptor.get_field_by_name_mut(part) else { continue };
        for part in parts.iter_mut().filter_map(Value::as_message_mut) {
            let name = part.get_field_by_name("name");
            let name = name.as_deref().and_then(Value::as_str).unwrap_or_default();
            let place = format!("{within}.{name}");
            match is_field {
                true if said.contains(&place) => {}
                true => part.clear_field_by_name("json_name"),
                false => keep(part, &place, said),
            }
        }
    }
}
