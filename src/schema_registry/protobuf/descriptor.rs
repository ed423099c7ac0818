//! From a descriptor to elements: clients of some languages register a `FileDescriptorProto` in base64.
//!
//! The order of options is that of Confluent's `ProtobufSchema.toProtoFile`, since the text is stored. What comes out
//! is printed and parsed like any other text: a descriptor can hold what no text can.

use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, Kind};
use prost_types::field_descriptor_proto::{Label as RawLabel, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    ServiceDescriptorProto,
};

use super::element::{
    Enum, EnumValue, Extend, Extensions, Field, File, Group, Label, Message, Oneof, OptionElement,
    Reserved, Rpc, Service, Stream, Value,
};
use super::parse::DEPTH_MAX;
use super::reader::Reader;
use crate::schema_registry::format::SchemaError;

/// Reads a descriptor. Custom options are read as `pool` declares them; those that it does not know are left out.
///
/// # Errors
/// If the bytes are no descriptor, or messages nest more than [`DEPTH_MAX`] deep.
pub(super) fn elements(bytes: &[u8], pool: &DescriptorPool) -> Result<File, SchemaError> {
    let wrong = |error| SchemaError::new(format!("not a FileDescriptorProto: {error}"));
    let raw = FileDescriptorProto::decode(bytes).map_err(wrong)?;
    if raw.message_type.iter().any(|message| depth(message) > DEPTH_MAX) {
        return Err(SchemaError::new(format!("messages are nested more than {DEPTH_MAX} deep")));
    }
    let kind = pool.get_message_by_name("google.protobuf.FileDescriptorProto");
    let kind = kind.ok_or_else(|| SchemaError::new("descriptors are not known"))?;
    Ok(file(&raw, &DynamicMessage::decode(kind, bytes).map_err(wrong)?))
}

/// The decoder has bound it to a hundred.
fn depth(message: &DescriptorProto) -> usize {
    1 + message.nested_type.iter().map(depth).max().unwrap_or(0)
}

/// The descriptors in a repeated field, with their options readable.
fn items(set: &DynamicMessage, field: &str) -> Vec<DynamicMessage> {
    let value = set.get_field_by_name(field);
    let values = value.as_deref().and_then(prost_reflect::Value::as_list).unwrap_or_default();
    values.iter().filter_map(|value| value.as_message().cloned()).collect()
}

fn file(raw: &FileDescriptorProto, set: &DynamicMessage) -> File {
    let proto3 = raw.syntax() == "proto3";
    let mut file = File {
        syntax: raw.syntax.clone(),
        package: raw.package.clone().filter(|package| !package.is_empty()),
        options: options(set, &FILE_OPTIONS),
        ..File::default()
    };
    for (number, import) in (0_i32..).zip(&raw.dependency) {
        if raw.public_dependency.contains(&number) {
            file.public_imports.push(import.clone());
        } else if raw.weak_dependency.contains(&number) {
            file.weak_imports.push(import.clone());
        } else {
            file.imports.push(import.clone());
        }
    }
    let messages = raw.message_type.iter().zip(items(set, "message_type"));
    file.messages = messages.map(|(raw, set)| message(raw, &set, proto3)).collect();
    file.enums = enums(&raw.enum_type, &items(set, "enum_type"));
    file.extends = extends(&raw.extension, &items(set, "extension"), proto3);
    let services = raw.service.iter().zip(items(set, "service"));
    file.services = services.map(|(raw, set)| service(raw, &set)).collect();
    file
}

const FILE_OPTIONS: [&str; 10] = [
    "java_package",
    "java_outer_classname",
    "java_multiple_files",
    "java_generate_equals_and_hash",
    "java_string_check_utf8",
    "optimize_for",
    "go_package",
    "cc_generic_services",
    "java_generic_services",
    "py_generic_services",
];
const FIELD_OPTIONS: [&str; 4] = ["ctype", "packed", "jstype", "deprecated"];

fn message(raw: &DescriptorProto, set: &DynamicMessage, proto3: bool) -> Message {
    let nested = raw.nested_type.iter().zip(items(set, "nested_type"));
    let oneofs = raw.oneof_decl.iter().zip(items(set, "oneof_decl"));
    let mut message = Message {
        name: raw.name().to_owned(),
        options: options(set, &[]),
        oneofs: oneofs
            .map(|(raw, set)| Oneof {
                name: raw.name().to_owned(),
                options: options(&set, &[]),
                ..Oneof::default()
            })
            .collect(),
        messages: nested.map(|(raw, set)| message(raw, &set, proto3)).collect(),
        enums: enums(&raw.enum_type, &items(set, "enum_type")),
        extends: extends(&raw.extension, &items(set, "extension"), proto3),
        ..Message::default()
    };
    members(&mut message, raw, &items(set, "field"), proto3);
    message.oneofs.retain(|oneof| !oneof.fields.is_empty() || !oneof.groups.is_empty());
    for range in &raw.reserved_range {
        message.reserved.push(vec![half_open(range.start(), range.end())]);
    }
    message
        .reserved
        .extend(raw.reserved_name.iter().map(|name| vec![Reserved::Name(name.clone())]));
    for range in &raw.extension_range {
        let values = vec![half_open(range.start(), range.end())];
        message.extensions.push(Extensions { values, options: Vec::new() });
    }
    message
}

/// The fields, in the message or its oneofs; a group takes its message out of the nested ones.
fn members(message: &mut Message, raw: &DescriptorProto, sets: &[DynamicMessage], proto3: bool) {
    for (raw, set) in raw.field.iter().zip(sets) {
        let field = field(raw, set, proto3);
        let body = message.messages.iter().position(|nested| {
            raw.r#type() == Type::Group
                && raw.type_name().rsplit('.').next() == Some(nested.name.as_str())
        });
        let oneof = raw.oneof_index.filter(|_| !raw.proto3_optional());
        let oneof = oneof.and_then(|index| message.oneofs.get_mut(usize::try_from(index).ok()?));
        let label = if oneof.is_some() { None } else { field.label };
        match (body, oneof) {
            (None, None) => message.fields.push(field),
            (None, Some(oneof)) => oneof.fields.push(Field { label, ..field }),
            (Some(place), oneof) => {
                let body = message.messages.remove(place);
                let group = Group { label, number: field.number, options: field.options, body };
                oneof.map_or(&mut message.groups, |oneof| &mut oneof.groups).push(group);
            }
        }
    }
}

/// A range whose end does not belong to it.
fn half_open(start: i32, end: i32) -> Reserved {
    closed(start, end.saturating_sub(1))
}

fn closed(start: i32, end: i32) -> Reserved {
    if start == end { Reserved::Number(start) } else { Reserved::Range(start, end) }
}

fn field(raw: &FieldDescriptorProto, set: &DynamicMessage, proto3: bool) -> Field {
    let label = match raw.label() {
        _ if raw.proto3_optional() => Some(Label::Optional),
        RawLabel::Repeated => Some(Label::Repeated),
        _ if proto3 => None,
        RawLabel::Required => Some(Label::Required),
        RawLabel::Optional => Some(Label::Optional),
    };
    let kind = match &raw.type_name {
        Some(name) => name.clone(),
        None => raw.r#type().as_str_name().trim_start_matches("TYPE_").to_ascii_lowercase(),
    };
    Field {
        label,
        default: raw.default_value.clone().filter(|_| !proto3).map(|value| default(value, &kind)),
        kind,
        name: raw.name().to_owned(),
        number: raw.number(),
        json_name: raw.json_name.clone(),
        options: options(set, &FIELD_OPTIONS),
    }
}

/// A descriptor holds the default of bytes in their escaped form.
fn default(value: String, kind: &str) -> String {
    if kind != "bytes" {
        return value;
    }
    Reader::new(&format!("\"{value}\"")).string().unwrap_or(value)
}

fn extends(raw: &[FieldDescriptorProto], set: &[DynamicMessage], proto3: bool) -> Vec<Extend> {
    let mut extends: Vec<Extend> = Vec::new();
    for (raw, set) in raw.iter().zip(set) {
        let name = raw.extendee();
        let place = extends.iter().position(|extend| extend.name == name).unwrap_or(extends.len());
        if place == extends.len() {
            extends.push(Extend { name: name.to_owned(), ..Extend::default() });
        }
        extends[place].fields.push(field(raw, set, proto3));
    }
    extends
}

fn enums(raw: &[EnumDescriptorProto], sets: &[DynamicMessage]) -> Vec<Enum> {
    raw.iter().zip(sets).map(|(raw, set)| enumeration(raw, set)).collect()
}

fn enumeration(raw: &EnumDescriptorProto, set: &DynamicMessage) -> Enum {
    let mut reserved: Vec<Vec<Reserved>> =
        raw.reserved_range.iter().map(|range| vec![closed(range.start(), range.end())]).collect();
    reserved.extend(raw.reserved_name.iter().map(|name| vec![Reserved::Name(name.clone())]));
    let values = raw.value.iter().zip(items(set, "value")).map(|(value, set)| EnumValue {
        name: value.name().to_owned(),
        number: value.number(),
        options: options(&set, &[]),
    });
    Enum {
        name: raw.name().to_owned(),
        reserved,
        options: options(set, &[]),
        values: values.collect(),
    }
}

fn service(raw: &ServiceDescriptorProto, set: &DynamicMessage) -> Service {
    let rpcs = raw.method.iter().zip(items(set, "method")).map(|(raw, set)| Rpc {
        name: raw.name().to_owned(),
        request: Stream { kind: raw.input_type().to_owned(), streaming: raw.client_streaming() },
        response: Stream { kind: raw.output_type().to_owned(), streaming: raw.server_streaming() },
        options: options(&set, &[]),
    });
    Service { name: raw.name().to_owned(), options: options(set, &[]), rpcs: rpcs.collect() }
}

/// The options that a descriptor sets: those named in `first` in that order, others by number, then custom ones.
fn options(descriptor: &DynamicMessage, first: &[&str]) -> Vec<OptionElement> {
    let set =
        descriptor.get_field_by_name("options").filter(|_| descriptor.has_field_by_name("options"));
    let Some(set) = set.as_deref().and_then(prost_reflect::Value::as_message) else {
        return Vec::new();
    };
    let mut plain: Vec<_> =
        set.fields().filter(|(field, _)| field.name() != "uninterpreted_option").collect();
    plain.sort_by_key(|(field, _)| {
        let place = first.iter().position(|name| *name == field.name()).unwrap_or(first.len());
        (place, field.number())
    });
    let mut out = Vec::new();
    for (field, value) in plain {
        push(&mut out, field.name().to_owned(), false, &field.kind(), value);
    }
    let mut custom: Vec<_> = set.extensions().collect();
    custom.sort_by_key(|(extension, _)| {
        (!extension.full_name().starts_with("confluent."), extension.number())
    });
    for (extension, value) in custom {
        push(&mut out, extension.full_name().to_owned(), true, &extension.kind(), value);
    }
    out
}

fn push(
    out: &mut Vec<OptionElement>,
    name: String,
    custom: bool,
    kind: &Kind,
    value: &prost_reflect::Value,
) {
    let values = match value {
        prost_reflect::Value::List(values) => {
            values.iter().map(|value| literal(kind, value)).collect()
        }
        value => vec![literal(kind, value)],
    };
    out.extend(values.into_iter().map(|value| OptionElement { name: name.clone(), custom, value }));
}

fn literal(kind: &Kind, value: &prost_reflect::Value) -> Value {
    use prost_reflect::Value as Set;
    match value {
        Set::String(text) => Value::String(text.clone()),
        Set::Bytes(bytes) => Value::String(bytes.iter().copied().map(char::from).collect()),
        Set::Bool(set) => Value::Word(set.to_string()),
        Set::I32(number) => Value::Word(number.to_string()),
        Set::I64(number) => Value::Word(number.to_string()),
        Set::U32(number) => Value::Word(number.to_string()),
        Set::U64(number) => Value::Word(number.to_string()),
        Set::F32(number) => Value::Word(number.to_string()),
        Set::F64(number) => Value::Word(number.to_string()),
        Set::EnumNumber(number) => {
            let declared =
                if let Kind::Enum(declared) = kind { declared.get_value(*number) } else { None };
            Value::Word(
                declared.map_or_else(|| number.to_string(), |value| value.name().to_owned()),
            )
        }
        Set::List(values) => Value::List(values.iter().map(|value| literal(kind, value)).collect()),
        Set::Message(message) => Value::Map(message_literal(message)),
        Set::Map(entries) => {
            let Kind::Message(entry) = kind else { return Value::List(Vec::new()) };
            let value_kind = entry.map_entry_value_field().kind();
            let mut entries: Vec<_> = entries.iter().collect();
            entries.sort_by_key(|(key, _)| format!("{key:?}"));
            Value::List(
                entries
                    .into_iter()
                    .map(|(key, value)| map_entry(key, &value_kind, value))
                    .collect(),
            )
        }
    }
}

fn message_literal(message: &DynamicMessage) -> Vec<(String, Value)> {
    let mut entries: Vec<(String, Value)> = message
        .fields()
        .map(|(field, value)| (field.name().to_owned(), literal(&field.kind(), value)))
        .collect();
    let extensions = message.extensions();
    entries.extend(
        extensions.map(|(field, value)| {
            (format!("[{}]", field.full_name()), literal(&field.kind(), value))
        }),
    );
    entries
}

fn map_entry(key: &prost_reflect::MapKey, kind: &Kind, value: &prost_reflect::Value) -> Value {
    use prost_reflect::MapKey;
    let word = match key {
        MapKey::String(text) => Value::String(text.clone()),
        MapKey::Bool(key) => Value::Word(key.to_string()),
        MapKey::I32(key) => Value::Word(key.to_string()),
        MapKey::I64(key) => Value::Word(key.to_string()),
        MapKey::U32(key) => Value::Word(key.to_string()),
        MapKey::U64(key) => Value::Word(key.to_string()),
    };
    // Confluent writes the value of these two first, for its own older readers.
    let value_first = matches!(key, MapKey::String(text) if text == "precision" || text == "scale");
    let mut entry = vec![("key".to_owned(), word), ("value".to_owned(), literal(kind, value))];
    if value_first {
        entry.reverse();
    }
    Value::Map(entry)
}
