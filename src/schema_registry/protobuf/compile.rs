//! From files to descriptors: names resolved, numbers checked, options interpreted.

use std::borrow::Cow;
use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost_reflect::{DescriptorPool, FileDescriptor};

use super::element::{File, Label, Message};
use super::normalize::is_map_entry;
use super::parse::parse;
use super::{TEXT_BYTES_MAX, descriptor, extended, known, print};
use crate::schema_registry::format::{ResolvedReference, SchemaError};

/// The name under which the schema itself is compiled: no import can mean it.
const MAIN: &str = "<schema>";

/// Reads and compiles a schema and what it refers to: its elements, and its descriptor in a pool of all, or why a
/// compiler does not take it.
///
/// # Errors
/// If the text is not even grammatical.
pub(super) fn compile(
    text: &str,
    references: &[ResolvedReference],
) -> Result<(File, Result<FileDescriptor, SchemaError>), SchemaError> {
    let mut pool = DescriptorPool::global();
    let referred = references.iter().try_for_each(|reference| {
        let named =
            |error: SchemaError| SchemaError::new(format!("reference {}: {error}", reference.name));
        if pool.get_file_by_name(&reference.name).is_some() {
            return Ok(());
        }
        let (file, text) = read(&mut pool, &reference.schema).map_err(named)?;
        add_text(&mut pool, &reference.name, &text, &file).map_err(named)
    });
    let (file, text) = read(&mut pool, text)?;
    let compiled = referred.and_then(|()| add_text(&mut pool, MAIN, &text, &file)).and_then(|()| {
        let compiled = pool.get_file_by_name(MAIN);
        compiled.ok_or_else(|| SchemaError::new("the schema was not compiled"))
    });
    Ok((file, compiled))
}

/// Reads a file from its text, or from its descriptor in base64: its elements, and its text.
fn read<'a>(pool: &mut DescriptorPool, text: &'a str) -> Result<(File, Cow<'a, str>), SchemaError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(SchemaError::new(format!("the schema has more than {TEXT_BYTES_MAX} bytes")));
    }
    let error = match parse(text) {
        Ok(file) => return Ok((file, text.into())),
        Err(error) => error,
    };
    let Ok(bytes) = STANDARD.decode(text.trim()) else { return Err(error) };
    // Its options may be Confluent's own, whose declarations have to be there before they are read.
    add_import(pool, known::META)?;
    let text = print::print(&descriptor::elements(&bytes, pool)?);
    Ok((parse(&text)?, text.into()))
}

/// Adds a file by its text, of which `file` is the parsed form.
fn add_text(
    pool: &mut DescriptorPool,
    name: &str,
    text: &str,
    file: &File,
) -> Result<(), SchemaError> {
    let imports = [&file.imports, &file.public_imports, &file.weak_imports];
    imports.into_iter().flatten().try_for_each(|import| add_import(pool, import))?;
    extended::check(file, pool)?;
    if let Some(entry) = file.messages.iter().find(|message| is_map_entry(message)) {
        return Err(SchemaError::new(format!(
            "`{}` sets map_entry, which stands only in a message inside the one that has the map",
            entry.name
        )));
    }
    let plain = plain(file).map(|file| print::print(&file));
    let mut descriptor = protox_parse::parse(name, plain.as_deref().unwrap_or(text))
        .map_err(|error| SchemaError::new(format!("{error:?}")))?;
    // Each option is looked for in all of it: with many, that takes long.
    descriptor.source_code_info = None;
    pool.add_file_descriptor_proto(descriptor).map_err(|error| SchemaError::new(error.to_string()))
}

fn add_import(pool: &mut DescriptorPool, name: &str) -> Result<(), SchemaError> {
    if pool.get_file_by_name(name).is_some() {
        return Ok(());
    }
    let Some(text) = known::text(name) else {
        return Err(SchemaError::new(format!(
            "`{name}` is imported, and no reference has that name"
        )));
    };
    // A known file imports only well-known ones.
    add_text(pool, name, text, &parse(text)?)
}

/// The file as a compiler takes it, if it is not so already: maps as maps (canonical texts made from descriptors spell
/// their entries out), each import once.
fn plain(file: &File) -> Option<File> {
    let imports = [&file.imports, &file.public_imports, &file.weak_imports];
    let distinct: BTreeSet<&String> = imports.into_iter().flatten().collect();
    let repeated = distinct.len() < imports.iter().map(|imports| imports.len()).sum();
    if !repeated && !file.messages.iter().any(spells_map) {
        return None;
    }
    let mut file = file.clone();
    let mut seen = BTreeSet::new();
    for imports in [&mut file.public_imports, &mut file.imports, &mut file.weak_imports] {
        imports.retain(|import| seen.insert(import.clone()));
    }
    let package = file.package.clone().unwrap_or_default();
    file.messages.iter_mut().for_each(|message| fold_maps(message, &package));
    Some(file)
}

fn spells_map(message: &Message) -> bool {
    message.messages.iter().any(|nested| is_map_entry(nested) || spells_map(nested))
}

/// Takes out each message that stands for entries, and makes maps of the repeated fields that name it.
fn fold_maps(message: &mut Message, outer: &str) {
    let full =
        if outer.is_empty() { message.name.clone() } else { format!("{outer}.{}", message.name) };
    let entries: Vec<Message> =
        message.messages.extract_if(.., |nested| is_map_entry(nested)).collect();
    for entry in &entries {
        let kind = |number: i32| {
            entry.fields.iter().find(|field| field.number == number).map(|field| &field.kind)
        };
        let (Some(key), Some(value)) = (kind(1), kind(2)) else { continue };
        let name = format!(".{full}.{}", entry.name);
        for field in &mut message.fields {
            let named = name == field.kind || name.ends_with(&format!(".{}", field.kind));
            if named
                && field.label == Some(Label::Repeated)
                && entry.name == entry_name(&field.name)
            {
                field.kind = format!("map<{key}, {value}>");
                field.label = None;
            }
        }
    }
    message.messages.iter_mut().for_each(|nested| fold_maps(nested, &full));
}

/// The name that a compiler gives to the entries of a map, and asks of descriptors.
fn entry_name(field: &str) -> String {
    let words = field.split('_').map(|word| {
        let mut rest = word.chars();
        rest.next().map_or_else(String::new, |first| {
            format!("{}{}", first.to_ascii_uppercase(), rest.as_str())
        })
    });
    words.collect::<String>() + "Entry"
}
