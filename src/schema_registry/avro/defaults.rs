//! Whether a default fits the type of its field.
//!
//! A union's default fits any of its branches, as since Avro 1.12 (before: the first).
//!
//! Source: `Schema.isValidDefault` in Apache Avro 1.12.

use super::json::Value;
use super::model::{Kind, Primitive, TypeId, Types};

/// Comparisons that the defaults of one schema may cost: nested unions of records multiply them.
const STEPS_MAX: usize = 500_000;

/// Why it can't be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// A type is not defined yet.
    Forward,
    /// A type is being read: the default would hold itself.
    Open,
    /// It takes too long.
    Budget,
}

/// Counts what checking costs.
#[derive(Debug, Default)]
pub(super) struct Check {
    steps: usize,
}

impl Check {
    /// Whether `value` is a default of `schema`. Recursion is as deep as the value, which is bounded.
    pub(super) fn fits(
        &mut self,
        types: &Types,
        schema: TypeId,
        value: &Value,
    ) -> Result<bool, Stop> {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            return Err(Stop::Budget);
        }
        match (types.kind(schema), value) {
            (Kind::Forward(_), _) => Err(Stop::Forward),
            (Kind::Open(_), Value::Object(_)) => Err(Stop::Open),
            (Kind::Primitive(primitive), _) => Ok(primitive_fits(*primitive, value)),
            (Kind::Enum(_) | Kind::Fixed(_), Value::Text(_)) => Ok(true),
            (Kind::Array(items), Value::Array(values)) => {
                self.all_fit(types, *items, values.iter())
            }
            (Kind::Map(items), Value::Object(object)) => {
                self.all_fit(types, *items, object.entries().iter().map(|(_, value)| value))
            }
            (Kind::Union(branches), _) => {
                for branch in branches {
                    if self.fits(types, *branch, value)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            (Kind::Record(record), Value::Object(object)) => {
                let mut given = 0;
                for (key, value) in object.entries() {
                    let Some(field) = record.field(key) else { continue };
                    given += usize::from(field.default.is_none());
                    if !self.fits(types, field.schema, value)? {
                        return Ok(false);
                    }
                }
                // A field's own default was checked where the field was read.
                self.steps += record.fields.len();
                let needed = record.fields.iter().filter(|field| field.default.is_none());
                Ok(given == needed.count())
            }
            _ => Ok(false),
        }
    }

    fn all_fit<'a>(
        &mut self,
        types: &Types,
        schema: TypeId,
        values: impl Iterator<Item = &'a Value>,
    ) -> Result<bool, Stop> {
        for value in values {
            if !self.fits(types, schema, value)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn primitive_fits(primitive: Primitive, value: &Value) -> bool {
    match (primitive, value) {
        (Primitive::Null, Value::Null)
        | (Primitive::Boolean, Value::Bool(_))
        | (Primitive::Long, Value::Int(_))
        | (
            Primitive::Float | Primitive::Double,
            Value::Int(_) | Value::Big(_) | Value::Double(_),
        )
        | (Primitive::Bytes | Primitive::String, Value::Text(_)) => true,
        (Primitive::Int, Value::Int(number)) => i32::try_from(*number).is_ok(),
        _ => false,
    }
}
