//! Options and their values: dotted names, lists, and message literals in text format.

use super::element::{OptionElement, Value};
use super::parse::DEPTH_MAX;
use super::reader::Reader;
use crate::schema_registry::format::SchemaError;

/// The options in square brackets after a field or an enum's value; none if no bracket follows.
pub(super) fn bracketed_options(
    reader: &mut Reader<'_>,
) -> Result<Vec<OptionElement>, SchemaError> {
    let mut options = Vec::new();
    if !reader.take(b'[')? {
        return Ok(options);
    }
    loop {
        options.push(option(reader)?);
        if reader.take(b']')? {
            return Ok(options);
        }
        reader.require(b',')?;
    }
}

/// A name, `=` and a value. The parts of a dotted name nest: `(a).b = 1` is the option `a` whose value is `b = 1`.
pub(super) fn option(reader: &mut Reader<'_>) -> Result<OptionElement, SchemaError> {
    let mut names = vec![option_name(reader)?];
    while reader.take(b'.')? {
        if names.len() == DEPTH_MAX {
            return Err(reader.error(format!("an option's name has more than {DEPTH_MAX} parts")));
        }
        names.push(option_name(reader)?);
    }
    reader.require(b'=')?;
    let mut value = value(reader, 0)?;
    let (first, custom) = names.remove(0);
    for (name, custom) in names.into_iter().rev() {
        value = Value::Nested(Box::new(OptionElement { name, custom, value }));
    }
    Ok(OptionElement { name: first, custom, value })
}

fn option_name(reader: &mut Reader<'_>) -> Result<(String, bool), SchemaError> {
    if !reader.take(b'(')? {
        return Ok((reader.ident()?.to_owned(), false));
    }
    let name = reader.name()?;
    reader.require(b')')?;
    Ok((name, true))
}

fn value(reader: &mut Reader<'_>, depth: usize) -> Result<Value, SchemaError> {
    if depth > DEPTH_MAX {
        return Err(reader.error(format!("an option's value is nested more than {DEPTH_MAX} deep")));
    }
    match reader.peek()? {
        Some(b'{') => map(reader, depth, b'{', b'}'),
        Some(b'<') => map(reader, depth, b'<', b'>'),
        Some(b'[') => list(reader, depth),
        Some(b'"' | b'\'') => Ok(Value::String(reader.string()?)),
        Some(b'-') => {
            reader.require(b'-')?;
            Ok(Value::Word(format!("-{}", reader.word()?)))
        }
        _ => Ok(Value::Word(reader.word()?.to_owned())),
    }
}

/// A message literal. Values of the same name become a list in the place of the first.
fn map(reader: &mut Reader<'_>, depth: usize, open: u8, close: u8) -> Result<Value, SchemaError> {
    reader.require(open)?;
    let mut entries: Vec<(String, Value)> = Vec::new();
    let mut places = std::collections::BTreeMap::new();
    while !reader.take(close)? {
        let name =
            if reader.take(b'[')? { reader.bracketed()? } else { reader.ident()?.to_owned() };
        if !reader.take(b':')? && !matches!(reader.peek()?, Some(b'{' | b'<')) {
            return Err(reader.error(format!("expected `:` after `{name}`")));
        }
        let value = value(reader, depth + 1)?;
        match places.get(&name) {
            None => {
                places.insert(name.clone(), entries.len());
                entries.push((name, value));
            }
            Some(&place) => add(&mut entries[place].1, value),
        }
        let _ = reader.take(b',')? || reader.take(b';')?;
    }
    Ok(Value::Map(entries))
}

/// Adds to what stands under a name already, as one list.
pub(super) fn add(to: &mut Value, more: Value) {
    if !matches!(to, Value::List(_)) {
        let first = std::mem::replace(to, Value::List(Vec::new()));
        *to = Value::List(vec![first]);
    }
    let Value::List(list) = to else { return };
    match more {
        Value::List(more) => list.extend(more),
        more => list.push(more),
    }
}

fn list(reader: &mut Reader<'_>, depth: usize) -> Result<Value, SchemaError> {
    reader.require(b'[')?;
    let mut values = Vec::new();
    if reader.take(b']')? {
        return Ok(Value::List(values));
    }
    loop {
        values.push(value(reader, depth + 1)?);
        if reader.take(b']')? {
            return Ok(Value::List(values));
        }
        reader.require(b',')?;
    }
}
