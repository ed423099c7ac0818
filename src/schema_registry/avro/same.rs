//! Whether two definitions of one name are the same, so that it may come again.
//!
//! Source: `Schema.equals` in Apache Avro: names, types, defaults, orders and properties; not docs and aliases.

use std::collections::HashSet;

use super::json::Value;
use super::model::{Field, Kind, Node, TypeId, Types};

pub(super) fn are_equal(types: &Types, one: TypeId, other: TypeId) -> bool {
    let mut todo = vec![(one, other)];
    let mut seen = HashSet::new();
    while let Some((one, other)) = todo.pop() {
        if one == other || !seen.insert((one, other)) {
            continue;
        }
        let (one, other) = (types.get(one), types.get(other));
        if !look_alike(one, other) {
            return false;
        }
        todo.extend(one.parts().into_iter().zip(other.parts()));
    }
    true
}

fn look_alike(one: &Node, other: &Node) -> bool {
    let alike = match (&one.kind, &other.kind) {
        (Kind::Primitive(one), Kind::Primitive(other)) => one == other,
        (Kind::Array(_), Kind::Array(_)) | (Kind::Map(_), Kind::Map(_)) => true,
        (Kind::Union(one), Kind::Union(other)) => one.len() == other.len(),
        (Kind::Record(one), Kind::Record(other)) => {
            one.fields.len() == other.fields.len()
                && one.fields.iter().zip(&other.fields).all(|(one, other)| are_alike(one, other))
        }
        (Kind::Enum(one), Kind::Enum(other)) => one.symbols == other.symbols,
        (Kind::Fixed(one), Kind::Fixed(other)) => one.size == other.size,
        _ => false,
    };
    alike
        && one.kind.full_name() == other.kind.full_name()
        && json(&one.props) == json(&other.props)
}

fn are_alike(one: &Field, other: &Field) -> bool {
    let default = |field: &Field| field.default.as_ref().map(Value::to_json);
    one.name == other.name
        && one.order == other.order
        && default(one) == default(other)
        && json(&one.props) == json(&other.props)
}

/// Properties are equal in whatever order they stand.
fn json(props: &[(String, Value)]) -> Vec<(&str, String)> {
    let mut props: Vec<_> =
        props.iter().map(|(key, value)| (key.as_str(), value.to_json())).collect();
    props.sort_unstable();
    props
}
