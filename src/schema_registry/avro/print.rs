//! A schema as text: what is stored, and by which two are told to be the same.
//!
//! Source: `Schema.toString(Collection, boolean)` and the `toJson` of each type in Apache Avro;
//! `AvroSchema.canonicalString` in Confluent's Schema Registry, which gives the references' types as known names.

use std::collections::HashSet;

use super::TEXT_BYTES_MAX;
use super::json::{DEPTH_MAX, Value, write_text};
use super::model::{Field, Kind, Name, Named, Node, Order, TypeId, Types};

/// A name that is also a type's is written in full.
const TYPE_NAMES: [&str; 14] = [
    "record", "enum", "array", "map", "union", "fixed", "string", "bytes", "int", "long", "float",
    "double", "boolean", "null",
];

/// The text would be larger or nest deeper than what can be read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLarge;

/// The text of a schema in which the types of `known` are written by name: the canonical one, if these are the types
/// of its references.
///
/// # Errors
/// It would be too large or nest too deeply: definitions of references, or names used before they are defined, can
/// stand deeper in it than in any text that was read.
pub(super) fn text(types: &Types, root: TypeId, known: &[TypeId]) -> Result<String, TooLarge> {
    let known = known.iter().map(|id| types.kind(*id).full_name());
    let mut printer = Printer { types, known: known.collect(), out: String::new(), depth: 0 };
    printer.schema(root, None)?;
    if printer.out.len() > TEXT_BYTES_MAX { Err(TooLarge) } else { Ok(printer.out) }
}

struct Printer<'a> {
    types: &'a Types,
    /// Types that are written by name.
    known: HashSet<&'a str>,
    out: String,
    depth: usize,
}

impl<'a> Printer<'a> {
    fn schema(&mut self, id: TypeId, space: Option<&str>) -> Result<(), TooLarge> {
        if self.out.len() > TEXT_BYTES_MAX {
            return Err(TooLarge);
        }
        let node = self.types.get(id);
        match node.kind.named() {
            Some(named) if !self.known.insert(named.name.full()) => {
                write_text(qualified(&named.name, space), &mut self.out);
                return Ok(());
            }
            None if matches!(node.kind, Kind::Primitive(_)) && node.props.is_empty() => {
                write_text(node.kind.name(), &mut self.out);
                return Ok(());
            }
            _ if self.depth >= DEPTH_MAX => return Err(TooLarge),
            _ => {}
        }
        self.depth += 1;
        match node.kind.named() {
            Some(named) => self.definition(node, named, space)?,
            None => self.unnamed(node, space)?,
        }
        self.depth -= 1;
        Ok(())
    }

    fn unnamed(&mut self, node: &'a Node, space: Option<&str>) -> Result<(), TooLarge> {
        match &node.kind {
            Kind::Union(branches) => {
                self.out.push('[');
                for (at, branch) in branches.iter().enumerate() {
                    self.out.push_str(if at == 0 { "" } else { "," });
                    self.schema(*branch, space)?;
                }
                self.out.push(']');
            }
            Kind::Array(part) | Kind::Map(part) => {
                let key = if matches!(node.kind, Kind::Array(_)) { "items" } else { "values" };
                let kind = node.kind.name();
                self.out.push_str(&format!("{{\"type\":\"{kind}\",\"{key}\":"));
                self.schema(*part, space)?;
                self.props(&node.props)?;
                self.out.push('}');
            }
            kind => {
                self.out.push_str(&format!("{{\"type\":\"{}\"", kind.name()));
                self.props(&node.props)?;
                self.out.push('}');
            }
        }
        Ok(())
    }

    fn definition(
        &mut self,
        node: &'a Node,
        named: &'a Named,
        space: Option<&str>,
    ) -> Result<(), TooLarge> {
        let is_error = matches!(&node.kind, Kind::Record(record) if record.is_error);
        let kind = if is_error { "error" } else { node.kind.name() };
        self.out.push_str(&format!("{{\"type\":\"{kind}\""));
        self.property("name", named.name.simple());
        if named.name.space() != space {
            self.property("namespace", named.name.space().unwrap_or_default());
        }
        if let Some(doc) = &named.doc {
            self.property("doc", doc);
        }
        match &node.kind {
            Kind::Record(record) => {
                self.out.push_str(",\"fields\":[");
                for (at, field) in record.fields.iter().enumerate() {
                    self.out.push_str(if at == 0 { "" } else { "," });
                    // The array of fields and the field.
                    self.depth += 2;
                    self.field(field, named.name.space())?;
                    self.depth -= 2;
                }
                self.out.push(']');
            }
            Kind::Enum(symbols) => {
                self.out.push_str(",\"symbols\":");
                self.texts(symbols.symbols.iter().map(String::as_str));
                if let Some(default) = &symbols.default {
                    self.property("default", default);
                }
            }
            Kind::Fixed(fixed) => self.out.push_str(&format!(",\"size\":{}", fixed.size)),
            _ => {}
        }
        self.props(&node.props)?;
        if !named.aliases.is_empty() {
            self.out.push_str(",\"aliases\":");
            self.texts(named.aliases.iter().map(|alias| qualified(alias, named.name.space())));
        }
        self.out.push('}');
        Ok(())
    }

    fn field(&mut self, field: &'a Field, space: Option<&str>) -> Result<(), TooLarge> {
        self.out.push_str("{\"name\":");
        write_text(&field.name, &mut self.out);
        self.out.push_str(",\"type\":");
        self.schema(field.schema, space)?;
        if let Some(doc) = &field.doc {
            self.property("doc", doc);
        }
        if let Some(default) = &field.default {
            self.value("default", default)?;
        }
        if field.order != Order::Ascending {
            self.property("order", field.order.name());
        }
        if !field.aliases.is_empty() {
            self.out.push_str(",\"aliases\":");
            self.texts(field.aliases.iter().map(String::as_str));
        }
        self.props(&field.props)?;
        self.out.push('}');
        Ok(())
    }

    fn props(&mut self, props: &[(String, Value)]) -> Result<(), TooLarge> {
        for (key, value) in props {
            self.value(key, value)?;
        }
        Ok(())
    }

    fn value(&mut self, key: &str, value: &Value) -> Result<(), TooLarge> {
        if self.depth + value.depth() > DEPTH_MAX {
            return Err(TooLarge);
        }
        self.out.push(',');
        write_text(key, &mut self.out);
        self.out.push(':');
        value.write(&mut self.out);
        Ok(())
    }

    fn property(&mut self, key: &str, text: &str) {
        self.out.push(',');
        write_text(key, &mut self.out);
        self.out.push(':');
        write_text(text, &mut self.out);
    }

    fn texts<'b>(&mut self, texts: impl Iterator<Item = &'b str>) {
        self.out.push('[');
        for (at, text) in texts.enumerate() {
            self.out.push_str(if at == 0 { "" } else { "," });
            write_text(text, &mut self.out);
        }
        self.out.push(']');
    }
}

/// A name as it is written inside a namespace.
fn qualified<'a>(name: &'a Name, space: Option<&str>) -> &'a str {
    let is_within = name.space().is_some() && name.space() == space;
    if is_within && !TYPE_NAMES.contains(&name.simple()) { name.simple() } else { name.full() }
}
