//! Records held against a schema, by the `jsonschema` library: it resolves nothing over a network, and its patterns
//! have a bound of steps.

use jsonschema::{PatternOptions, Retrieve, Uri, Validator};
use serde_json::Value;

use super::draft::Draft;
use super::library::BASE;
use super::text::Json;
use crate::schema_registry::format::SchemaError;

/// The stack for what recurses by references and not by the depth of a text: reserved, and used only as needed.
const DEEP_STACK_BYTES: usize = 256 << 20;
/// The most steps back of a pattern on one string.
const BACKTRACKS_MAX: usize = 100_000;
/// The most memory of one compiled pattern.
const PATTERN_BYTES_MAX: usize = 1 << 20;
/// Levels of values times levels of schemas that a thread's own stack holds, by far.
const SHALLOW: u64 = 200;

/// Runs on a stack of its own.
///
/// # Errors
/// If there is no thread to be had.
pub(super) fn deep<T: Send>(run: impl FnOnce() -> T + Send) -> Result<T, SchemaError> {
    let thread = std::thread::Builder::new().name("schema".to_owned()).stack_size(DEEP_STACK_BYTES);
    std::thread::scope(|scope| {
        let running =
            thread.spawn_scoped(scope, run).map_err(|error| SchemaError::new(error.to_string()))?;
        running.join().map_err(|_| SchemaError::new("the schema could not be processed"))
    })
}

/// What references resolve to, by name.
struct Documents(Vec<(String, Value)>);

impl Retrieve for Documents {
    fn retrieve(
        &self,
        uri: &Uri<String>,
    ) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        let found = self.0.iter().find(|(name, _)| super::library::is_named(uri.as_str(), name));
        found
            .map(|(_, value)| value.clone())
            .ok_or_else(|| format!("no reference has the name {uri}").into())
    }
}

/// Compiles a schema. To be called on a deep stack.
///
/// # Errors
/// If it is none by the rules of its draft.
pub(super) fn compile(
    root: &Json,
    references: &[(String, Json)],
    draft: Draft,
) -> Result<Validator, SchemaError> {
    let documents =
        references.iter().map(|(name, json)| (name.clone(), value_of(json, draft))).collect();
    let patterns =
        PatternOptions::fancy_regex().backtrack_limit(BACKTRACKS_MAX).size_limit(PATTERN_BYTES_MAX);
    jsonschema::options()
        .with_draft(draft.of_validator())
        .with_base_uri(BASE)
        .with_retriever(Documents(documents))
        .with_pattern_options(patterns)
        .build(&value_of(root, draft))
        .map_err(|error| SchemaError::new(format!("at '#{}': {error}", error.instance_path())))
}

/// The value, with an address of its draft that the library knows.
fn value_of(json: &Json, default: Draft) -> Value {
    let mut value = json.to_value();
    if let Some(object) = value.as_object_mut().filter(|object| object.contains_key("$schema")) {
        let own = Draft::of(json);
        let draft = if own == Draft::Seven { default } else { own };
        object.insert("$schema".to_owned(), draft.address().into());
    }
    value
}

/// Holds a record against a schema of which combinations nest `schema_depth` deep.
///
/// # Errors
/// If it is no JSON, or does not fit.
pub(super) fn validate(
    validator: &Validator,
    schema_depth: u64,
    payload: &[u8],
) -> Result<(), SchemaError> {
    let value: Value = serde_json::from_slice(payload)
        .map_err(|error| SchemaError::new(format!("not JSON: {error}")))?;
    if depth(&value).saturating_mul(schema_depth + 1) <= SHALLOW {
        return held(validator, &value);
    }
    deep(|| held(validator, &value))?
}

fn held(validator: &Validator, value: &Value) -> Result<(), SchemaError> {
    if validator.is_valid(value) {
        return Ok(());
    }
    let error = validator.validate(value).err();
    let error = error.map(|error| format!("at '#{}': {error}", error.instance_path()));
    Err(SchemaError::new(error.unwrap_or_else(|| "the value does not fit the schema".to_owned())))
}

/// The parser has bound it.
fn depth(value: &Value) -> u64 {
    1 + match value {
        Value::Array(elements) => elements.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
