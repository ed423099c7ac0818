//! Whether a schema fits those before it, at the subject's level.
//!
//! Source: `CompatibilityChecker`, `SchemaValidatorBuilder`, `AbstractSchemaRegistry.isCompatibleWithPrevious`.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::schema_registry::any::AnySchema;
use crate::schema_registry::entity::{Content, Metadata};
use crate::schema_registry::error::Error;
use crate::schema_registry::settings::{Config, Level};
use crate::schema_registry::state::{Filter, State, Stored};
use crate::schema_registry::subject::Subject;

/// What of an old schema is shown.
const SHOWN_MAX: usize = 10 * 1024;
const OTHER_FORMAT: &str = "Incompatible because of different schema type";

/// The versions that a new one of the subject may be compared with.
#[must_use]
pub fn previous(state: &State, subject: &Subject) -> Vec<Arc<Stored>> {
    let level = state.config_in_scope(subject).compatibility_level.unwrap_or_default();
    if level == Level::None {
        return Vec::new();
    }
    let count = if level.is_transitive() { usize::MAX } else { 1 };
    state.versions(subject, Filter::Live).rev().take(count).cloned().collect()
}

/// Why `schema` does not fit `previous` (ascending), in sentences; none if it does. `read` gives a version's parsed form.
///
/// # Errors
/// [`Error::InvalidSchema`]: one of the previous cannot be read any more.
pub fn check(
    config: &Config,
    (schema, content): (&AnySchema, &Content),
    previous: &[Arc<Stored>],
    read: impl Fn(&Stored) -> Result<Arc<AnySchema>, Error>,
) -> Result<Vec<String>, Error> {
    let level = config.compatibility_level.unwrap_or_default();
    let validates = config.validate_fields.unwrap_or(false);
    let mut messages = Vec::new();
    if validates {
        messages = reserved(schema, content, previous.last().map(|stored| &stored.content));
    }
    messages.extend(misfits(config, (schema, content), previous, read)?);
    if !messages.is_empty() {
        let level = level.name();
        messages.push(format!("{{validateFields: '{validates}', compatibility: '{level}'}}"));
    }
    Ok(messages)
}

/// How the schema does not fit the first of `previous`, from the newest, that it does not fit.
fn misfits(
    config: &Config,
    (schema, content): (&AnySchema, &Content),
    previous: &[Arc<Stored>],
    read: impl Fn(&Stored) -> Result<Arc<AnySchema>, Error>,
) -> Result<Vec<String>, Error> {
    let level = config.compatibility_level.unwrap_or_default();
    if level == Level::None {
        return Ok(Vec::new());
    }
    let group = |content: &Content| {
        let name = config.compatibility_group.as_deref()?;
        content.metadata.as_ref()?.properties.get(name).cloned()
    };
    let own = group(content);
    let newest_first = previous.iter().rev().filter(|stored| group(&stored.content) == own);
    let count = if level.is_transitive() { usize::MAX } else { 1 };
    for stored in newest_first.take(count) {
        let old = read(stored)?;
        let mut messages = differences(level, schema, &old);
        if messages.is_empty() {
            continue;
        }
        messages.push(format!("{{oldSchemaVersion: {}}}", stored.version));
        messages.push(shown(&stored.content.schema));
        return Ok(messages);
    }
    Ok(Vec::new())
}

/// What is wrong with the fields that the metadata reserves: one is used, or is reserved no more.
///
/// Source: `AbstractSchemaRegistry.validateReservedFields`.
fn reserved(schema: &AnySchema, content: &Content, previous: Option<&Content>) -> Vec<String> {
    let of = |content: &Content| -> BTreeSet<String> {
        content.metadata.as_ref().map(Metadata::reserved).unwrap_or_default()
    };
    let (now, before) = (of(content), previous.map(of).unwrap_or_default());
    let removed = before.difference(&now).map(|field| {
        format!(
            "The new schema has reserved field {field} removed from its metadata which is present in the old schema's \
             metadata."
        )
    });
    let used = now.iter().filter(|field| schema.has_field(field)).map(|field| {
        format!("The new schema has field that conflicts with the reserved field {field}.")
    });
    removed.chain(used).collect()
}

/// Holds the names of the schema's fields against those that are nobody's to use, where the subject's settings ask for it.
///
/// # Errors
/// [`Error::InvalidSchema`].
///
/// Source: `AbstractSchemaRegistry.maybeValidateAndNormalizeSchema`.
pub fn check_fields(state: &State, subject: &Subject, schema: &AnySchema) -> Result<(), Error> {
    let config = state.config_in_scope(subject);
    if !config.validate_fields.unwrap_or(false) || state.mode_in_scope(subject).is_import() {
        return Ok(());
    }
    let invalid = |why| Error::InvalidSchema(format!("Invalid schema, details: {why}"));
    schema.check_fields().map_err(invalid)
}

fn differences(level: Level, new: &AnySchema, old: &AnySchema) -> Vec<String> {
    let mut found = Vec::new();
    if level.reads_old() {
        found.push(broken((new, "new"), (old, "old")));
    }
    if level.read_by_old() {
        found.push(broken((old, "old"), (new, "new")));
    }
    let found: Option<Vec<Vec<String>>> = found.into_iter().collect();
    found.map_or_else(|| vec![OTHER_FORMAT.to_owned()], |found| found.concat())
}

/// What keeps a reader from reading what the writer wrote, in sentences that call them so.
fn broken(
    (reader, reads): (&AnySchema, &str),
    (writer, wrote): (&AnySchema, &str),
) -> Option<Vec<String>> {
    let found = reader.check_reads(writer)?;
    Some(found.iter().map(|difference| reader.describe(difference, reads, wrote)).collect())
}

fn shown(schema: &str) -> String {
    if schema.len() <= SHOWN_MAX {
        return format!("{{oldSchema: '{schema}'}}");
    }
    let end = (0..=SHOWN_MAX).rev().find(|at| schema.is_char_boundary(*at)).unwrap_or(0);
    format!("{{oldSchema: <truncated> '{}...'}}", &schema[..end])
}
