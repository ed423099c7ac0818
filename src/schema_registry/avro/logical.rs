//! Logical types: which names are taken for one on which type. A name that does not fit is a property like others.
//!
//! Source: `LogicalTypes` and the `validate` of each in Apache Avro 1.12; `LogicalMap` and `VariantLogicalType` in
//! Confluent's Schema Registry.

use super::json::Value;
use super::model::{Kind, Node, Primitive, Record, TypeId, Types};

pub(super) const KEY: &str = "logicalType";
/// Java's hints for its own classes, beside which there is no logical type.
const CLASS_HINTS: [&str; 4] =
    ["avro.java.string", "java-class", "java-key-class", "java-element-class"];

/// A logical type: its name, and a decimal's precision and scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Logical<'a> {
    pub(super) name: &'a str,
    pub(super) decimal: Option<(i32, i32)>,
}

pub(super) fn of(types: &Types, id: TypeId) -> Option<Logical<'_>> {
    let node = types.get(id);
    let name = prop(node, KEY)?.text()?;
    let is_hinted = CLASS_HINTS.iter().any(|hint| prop(node, hint).and_then(Value::text).is_some());
    if is_hinted {
        return None;
    }
    if name == "decimal" {
        return decimal(node).map(|decimal| Logical { name, decimal: Some(decimal) });
    }
    let fits = match (name, &node.kind) {
        ("date" | "time-millis", Kind::Primitive(Primitive::Int))
        | (
            "time-micros"
            | "timestamp-millis"
            | "timestamp-micros"
            | "timestamp-nanos"
            | "local-timestamp-millis"
            | "local-timestamp-micros"
            | "local-timestamp-nanos",
            Kind::Primitive(Primitive::Long),
        )
        | ("uuid", Kind::Primitive(Primitive::String))
        | ("big-decimal", Kind::Primitive(Primitive::Bytes)) => true,
        ("uuid", Kind::Fixed(fixed)) => fixed.size == 16,
        ("duration", Kind::Fixed(fixed)) => fixed.size == 12,
        ("map", Kind::Array(items)) => {
            matches!(types.kind(*items), Kind::Record(record) if is_entry(record))
        }
        ("variant", Kind::Record(record)) => is_variant(types, record),
        _ => false,
    };
    fits.then_some(Logical { name, decimal: None })
}

fn prop<'a>(node: &'a Node, key: &str) -> Option<&'a Value> {
    node.props.iter().find(|(own, _)| own == key).map(|(_, value)| value)
}

fn decimal(node: &Node) -> Option<(i32, i32)> {
    let int = |key| match prop(node, key) {
        Some(Value::Int(number)) => i32::try_from(*number).ok(),
        _ => None,
    };
    let precision = int("precision")?;
    let scale = if prop(node, "scale").is_some() { int("scale")? } else { 0 };
    let digits_max = match &node.kind {
        Kind::Primitive(Primitive::Bytes) => f64::from(i32::MAX),
        // One bit is the sign.
        Kind::Fixed(fixed) => (2_f64.log10() * (8.0 * f64::from(fixed.size) - 1.0)).floor(),
        _ => return None,
    };
    let fits =
        precision > 0 && f64::from(precision) <= digits_max && (0..=precision).contains(&scale);
    fits.then_some((precision, scale))
}

fn is_entry(record: &Record) -> bool {
    matches!(record.fields.as_slice(), [key, value] if key.name == "key" && value.name == "value")
}

fn is_variant(types: &Types, record: &Record) -> bool {
    let is_bytes = |name| {
        let field = record.field(name);
        field.is_some_and(|field| {
            matches!(types.kind(field.schema), Kind::Primitive(Primitive::Bytes))
        })
    };
    record.fields.len() == 2 && is_bytes("metadata") && is_bytes("value")
}
