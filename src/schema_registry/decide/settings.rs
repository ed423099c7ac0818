//! Settings and modes change.
//!
//! Source: `ConfigValue.update`, `KafkaSchemaRegistry.updateConfig`, `setMode`, `deleteSubjectMode`.

use serde_json::{Map, Value as Json};

use super::{Answer, Plan, Write, check_writable, of_settings};
use crate::schema_registry::error::Error;
use crate::schema_registry::records::{Key, Value};
use crate::schema_registry::settings::{Config, Level, Mode};
use crate::schema_registry::state::{Filter, State};
use crate::schema_registry::subject::Subject;

/// What a request calls the level.
const LEVEL: &str = "compatibility";
/// What an answer calls it.
const LEVEL_STORED: &str = "compatibilityLevel";

pub(super) fn set_config(
    state: &State,
    subject: &Subject,
    fields: &Map<String, Json>,
) -> Result<Plan, Error> {
    if !subject.is_valid_for_settings() {
        return Err(Error::InvalidSubject(subject.to_string()));
    }
    check_writable(state, subject)?;
    let config = changed(state.config(subject), fields)?;
    for rules in [&config.default_rule_set, &config.override_rule_set].into_iter().flatten() {
        rules.validate().map_err(Error::InvalidRuleSet)?;
    }
    let key = Key::Config { subject: of_settings(subject) };
    let writes = vec![(key, Some(Value::Config(Box::new(config.clone()))))];
    Ok(Plan { writes, answer: Answer::Config(Box::new(config)) })
}

/// The fields that are said, over those that are there.
fn changed(before: Option<&Config>, fields: &Map<String, Json>) -> Result<Config, Error> {
    let bad = |why: serde_json::Error| Error::BadRequest(why.to_string());
    let before = serde_json::to_value(before.cloned().unwrap_or_default()).map_err(bad)?;
    let Json::Object(mut all) = before else { return Ok(Config::default()) };
    for (name, value) in fields {
        let (name, value) = match (name.as_str(), value) {
            (LEVEL | LEVEL_STORED, Json::String(text)) => {
                let level = Level::from_name(text).ok_or(Error::InvalidLevel)?;
                (LEVEL_STORED, Json::String(level.name().to_owned()))
            }
            (LEVEL, value) => (LEVEL_STORED, value.clone()),
            (name, value) => (name, value.clone()),
        };
        if value.is_null() {
            all.remove(name);
        } else {
            all.insert(name.to_owned(), value);
        }
    }
    serde_json::from_value(Json::Object(all)).map_err(bad)
}

pub(super) fn delete_config(state: &State, subject: &Subject) -> Result<Plan, Error> {
    let is_top = subject.is_default_context() || subject.is_global_context();
    let mut before = match state.config(subject) {
        Some(config) => config.clone(),
        None if is_top => Config::default(),
        None => return Err(Error::SubjectNotFound(subject.clone())),
    };
    check_writable(state, subject)?;
    before.compatibility_level.get_or_insert_default();
    let key = Key::Config { subject: of_settings(subject) };
    Ok(Plan { writes: vec![(key, None)], answer: Answer::Config(Box::new(before)) })
}

pub(super) fn set_mode(
    state: &State,
    subject: &Subject,
    mode: Option<Mode>,
    force: bool,
) -> Result<Plan, Error> {
    if !subject.is_valid_for_settings() {
        return Err(Error::InvalidSubject(subject.to_string()));
    }
    if mode == Some(Mode::Forward) && !subject.is_global_context() {
        return Err(Error::InvalidMode);
    }
    let mut writes = Vec::new();
    let imports = mode == Some(Mode::Import) && state.mode_in_scope(subject) != Mode::Import;
    if imports && !force {
        writes = emptied(state, subject)?;
    }
    let key = Key::Mode { subject: of_settings(subject) };
    writes.push((key, mode.map(Value::Mode)));
    Ok(Plan { writes, answer: Answer::Mode(mode) })
}

/// What was deleted goes for good, so that ids can come from elsewhere.
fn emptied(state: &State, subject: &Subject) -> Result<Vec<Write>, Error> {
    let wanted = (!subject.is_default_context()).then_some(subject);
    if state.has(wanted, Filter::Live) {
        let what = "Cannot import since found existing subjects";
        return Err(Error::NotPermitted(what.to_owned()));
    }
    let mut writes = Vec::new();
    for stored in state.all_of(wanted) {
        if !state.referrers(stored, Filter::All).is_empty() {
            return Err(Error::ReferenceExists(stored.subject.clone(), stored.version));
        }
        writes.push((stored.key(), None));
    }
    let key = Key::ClearSubject { subject: of_settings(subject) };
    writes.push((key, Some(Value::ClearSubject)));
    Ok(writes)
}

pub(super) fn delete_mode(
    state: &State,
    subject: &Subject,
    recursive: bool,
) -> Result<Plan, Error> {
    let is_top = subject.is_default_context() || subject.is_global_context();
    let before = state.mode(subject).or_else(|| is_top.then(Mode::default));
    if before.is_none() && !recursive {
        return Err(Error::SubjectNotFound(subject.clone()));
    }
    let mut writes = vec![(Key::Mode { subject: of_settings(subject) }, None)];
    if recursive && subject.is_context() {
        let under = state.modes_in(&subject.context);
        writes.extend(under.map(|one| (Key::Mode { subject: Some(one.to_string()) }, None)));
    }
    Ok(Plan { writes, answer: Answer::Mode(before) })
}
