//! A file without what only its extensions say: custom options, `extend`, and the numbers that are left for them.
//!
//! Clients whose compiler has not the files that declare options ask for it. Confluent's own options stay, since every
//! client of its registry knows them.
//!
//! Source: `FormatContext.ignoreExtensions` of Confluent's `ProtobufSchemaUtils`.

use super::element::{Enum, Field, File, Group, Message, Oneof, OptionElement};

/// What Confluent's own options begin with.
const CONFLUENT: &str = "confluent.";

/// The file without extensions.
pub(super) fn without_extensions(file: &File) -> File {
    let mut file = file.clone();
    file.extends.clear();
    options(&mut file.options);
    file.messages.iter_mut().for_each(message);
    file.enums.iter_mut().for_each(enumeration);
    for service in &mut file.services {
        options(&mut service.options);
        service.rpcs.iter_mut().for_each(|rpc| options(&mut rpc.options));
    }
    file
}

fn options(options: &mut Vec<OptionElement>) {
    options.retain(|option| !option.custom || option.name.starts_with(CONFLUENT));
}

/// The parser has bound the depth.
fn message(message: &mut Message) {
    message.extensions.clear();
    message.extends.clear();
    options(&mut message.options);
    fields(&mut message.fields);
    message.oneofs.iter_mut().for_each(oneof);
    groups(&mut message.groups);
    message.messages.iter_mut().for_each(self::message);
    message.enums.iter_mut().for_each(enumeration);
}

fn fields(fields: &mut [Field]) {
    fields.iter_mut().for_each(|field| options(&mut field.options));
}

fn oneof(oneof: &mut Oneof) {
    options(&mut oneof.options);
    fields(&mut oneof.fields);
    groups(&mut oneof.groups);
}

fn groups(groups: &mut [Group]) {
    for group in groups {
        options(&mut group.options);
        message(&mut group.body);
    }
}

fn enumeration(declared: &mut Enum) {
    options(&mut declared.options);
    declared.values.iter_mut().for_each(|value| options(&mut value.options));
}
