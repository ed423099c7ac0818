//! The normal form: what `normalize=true` stores, in which schemas that differ only in the order of properties or in
//! how names are written are the same text.
//!
//! Confluent writes the schema in an order of its own, with full names, and reads that again; so do we. One thing is
//! ours: a default that is not of a union's first branch is kept, where Confluent loses it.
//!
//! Source: `AvroSchemaUtils.toNormalizedString` in Confluent's Schema Registry; `JacksonUtils.toObject` in Apache Avro.

use std::collections::{BTreeMap, HashSet};

use super::TEXT_BYTES_MAX;
use super::json::{Value, write_text};
use super::logical;
use super::model::{Field, Kind, Named, Order, Primitive, TypeId, Types};
use super::number;

/// The text that Confluent reads again, or nothing if it is too large to be read.
pub(super) fn text(types: &Types, root: TypeId, referenced: &[TypeId]) -> Option<String> {
    let known = referenced.iter().map(|id| types.kind(*id).full_name()).collect();
    let mut writer = Writer { types, known, out: String::new() };
    writer.schema(root)?;
    Some(writer.out)
}

struct Writer<'a> {
    types: &'a Types,
    known: HashSet<&'a str>,
    out: String,
}

/// By UTF-16, as Java orders strings.
fn java_order(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

impl<'a> Writer<'a> {
    /// Recursion is as deep as the canonical text, which was bounded when it was written.
    fn schema(&mut self, id: TypeId) -> Option<()> {
        if self.out.len() > TEXT_BYTES_MAX {
            return None;
        }
        let node = self.types.get(id);
        match &node.kind {
            Kind::Union(branches) => {
                self.out.push('[');
                for (at, branch) in branches.iter().enumerate() {
                    self.out.push_str(if at == 0 { "" } else { "," });
                    self.schema(*branch)?;
                }
                self.out.push(']');
                return Some(());
            }
            Kind::Array(part) | Kind::Map(part) => {
                let key = if matches!(node.kind, Kind::Array(_)) { "items" } else { "values" };
                self.out.push_str(&format!("{{\"type\":\"{}\",\"{key}\":", node.kind.name()));
                self.schema(*part)?;
            }
            kind => match kind.named() {
                Some(named) if !self.known.insert(named.name.full()) => {
                    write_text(named.name.full(), &mut self.out);
                    return Some(());
                }
                Some(named) => self.definition(kind, named)?,
                None if node.props.is_empty() => {
                    write_text(kind.name(), &mut self.out);
                    return Some(());
                }
                None => self.out.push_str(&format!("{{\"type\":\"{}\"", kind.name())),
            },
        }
        self.logical(id);
        if let Some(named) = node.kind.named() {
            self.after(named, &node.kind);
        }
        self.props(&node.props);
        self.out.push('}');
        Some(())
    }

    fn definition(&mut self, kind: &'a Kind, named: &'a Named) -> Option<()> {
        self.out.push_str("{\"name\":");
        write_text(named.name.full(), &mut self.out);
        self.out.push_str(&format!(",\"type\":\"{}\"", kind.name()));
        match kind {
            Kind::Record(record) => {
                self.out.push_str(",\"fields\":[");
                for (at, field) in record.fields.iter().enumerate() {
                    self.out.push_str(if at == 0 { "" } else { "," });
                    self.field(field)?;
                }
                self.out.push(']');
            }
            Kind::Enum(symbols) => {
                let symbols = symbols.symbols.iter().cloned().map(Value::Text);
                self.property("symbols", &Value::Array(symbols.collect()));
            }
            Kind::Fixed(fixed) => self.property("size", &Value::Int(fixed.size.into())),
            _ => {}
        }
        Some(())
    }

    fn field(&mut self, field: &'a Field) -> Option<()> {
        self.out.push_str("{\"name\":");
        write_text(&field.name, &mut self.out);
        self.out.push_str(",\"type\":");
        self.schema(field.schema)?;
        if field.order != Order::Ascending {
            self.property("order", &Value::Text(field.order.name().to_owned()));
        }
        if let Some(doc) = &field.doc {
            self.property("doc", &Value::Text(doc.clone()));
        }
        self.aliases(field.aliases.iter().map(String::as_str));
        if let Some(default) = &field.default {
            self.out.push_str(",\"default\":");
            self.value(default, Some(field.schema));
        }
        self.props(&field.props);
        self.out.push('}');
        Some(())
    }

    /// What stands before other properties: a logical type that fits, and a decimal's own. They come again among the
    /// properties; read again, a property keeps its first place.
    fn logical(&mut self, id: TypeId) {
        let Some(logical) = logical::of(self.types, id) else { return };
        self.property(logical::KEY, &Value::Text(logical.name.to_owned()));
        if let Some((precision, scale)) = logical.decimal {
            self.property("precision", &Value::Int(precision.into()));
            if scale != 0 {
                self.property("scale", &Value::Int(scale.into()));
            }
        }
    }

    fn after(&mut self, named: &Named, kind: &Kind) {
        if let Some(doc) = named.doc.as_ref().filter(|doc| !doc.is_empty()) {
            self.property("doc", &Value::Text(doc.clone()));
        }
        self.aliases(named.aliases.iter().map(|alias| alias.full()));
        if let Kind::Enum(symbols) = kind
            && let Some(default) = &symbols.default
        {
            self.property("default", &Value::Text(default.clone()));
        }
    }

    fn aliases<'b>(&mut self, aliases: impl Iterator<Item = &'b str>) {
        let sorted: BTreeMap<_, _> = aliases.map(|alias| (java_order(alias), alias)).collect();
        if !sorted.is_empty() {
            let sorted = sorted.into_values().map(|alias| Value::Text(alias.to_owned()));
            self.property("aliases", &Value::Array(sorted.collect()));
        }
    }

    fn props(&mut self, props: &[(String, Value)]) {
        let sorted: BTreeMap<_, _> =
            props.iter().map(|(key, value)| (java_order(key), (key, value))).collect();
        for (key, value) in sorted.into_values() {
            self.property(key, value);
        }
    }

    fn property(&mut self, key: &str, value: &Value) {
        self.out.push(',');
        write_text(key, &mut self.out);
        self.out.push(':');
        self.value(value, None);
    }

    /// A value with the keys of its objects sorted, and numbers as `schema` has them.
    fn value(&mut self, value: &Value, schema: Option<TypeId>) {
        let kind = schema.map(|schema| self.types.kind(self.first_branch(schema)));
        match (value, kind) {
            (Value::Int(_) | Value::Double(_), Some(Kind::Primitive(Primitive::Float))) => {
                number::write_float(as_double(value) as f32, &mut self.out);
            }
            (Value::Int(_), Some(Kind::Primitive(Primitive::Double))) => {
                number::write(as_double(value), &mut self.out);
            }
            (Value::Text(text), Some(Kind::Primitive(Primitive::Bytes) | Kind::Fixed(_))) => {
                // The bytes are those of ISO 8859-1, and what that lacks is lost.
                let latin = |c: char| if c <= '\u{ff}' { c } else { '?' };
                let units = text.chars().map(latin).collect::<String>();
                write_text(&units, &mut self.out);
            }
            (Value::Array(items), _) => {
                let part = match kind {
                    Some(Kind::Array(part)) => Some(*part),
                    _ => None,
                };
                self.out.push('[');
                for (at, item) in items.iter().enumerate() {
                    self.out.push_str(if at == 0 { "" } else { "," });
                    self.value(item, part);
                }
                self.out.push(']');
            }
            (Value::Object(object), _) => {
                let sorted: BTreeMap<_, _> = object
                    .entries()
                    .iter()
                    .map(|(key, value)| (java_order(key), (key, value)))
                    .collect();
                self.out.push('{');
                for (at, (key, value)) in sorted.into_values().enumerate() {
                    self.out.push_str(if at == 0 { "" } else { "," });
                    write_text(key, &mut self.out);
                    self.out.push(':');
                    let part = match kind {
                        Some(Kind::Map(part)) => Some(*part),
                        Some(Kind::Record(record)) => record.field(key).map(|field| field.schema),
                        _ => None,
                    };
                    self.value(value, part);
                }
                self.out.push('}');
            }
            _ => value.write(&mut self.out),
        }
    }

    fn first_branch(&self, schema: TypeId) -> TypeId {
        match self.types.kind(schema) {
            Kind::Union(branches) => branches.first().copied().unwrap_or(schema),
            _ => schema,
        }
    }
}

fn as_double(value: &Value) -> f64 {
    match value {
        Value::Int(number) => *number as f64,
        Value::Double(number) => *number,
        _ => f64::NAN,
    }
}
