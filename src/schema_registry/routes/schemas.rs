//! `/schemas`: by prefix, by id, by guid.
//!
//! Source: `SchemasResource`, `AbstractSchemaRegistry.getSchemaKeyUsingContexts`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::http::Method;
use serde_json::json;
use uuid::Uuid;

use super::super::error::Error;
use super::super::service::Service;
use super::super::state::{Filter, State, Stored};
use super::super::subject::Subject;
use super::formats::{formatted, qualified};
use super::path::Query;
use super::reply::{Reply, Shown};

/// The most schemas in one answer.
const SCHEMAS_MAX: usize = 1000;

pub(super) fn answer(
    service: &Service,
    method: &Method,
    rest: &[&str],
    query: &Query,
) -> Result<Reply, Error> {
    if method != Method::GET {
        return Err(Error::NoMethod);
    }
    match rest {
        [] => list(&service.state(), query),
        ["ids", id, rest @ ..] => {
            let id = id.parse().map_err(|_| Error::NoResource)?;
            by_id(service, id, rest, query)
        }
        ["guids", guid] => by_guid(service, guid, query),
        ["guids", guid, "ids"] => ids_of_guid(&service.state(), guid),
        _ => Err(Error::NoResource),
    }
}

fn list(state: &State, query: &Query) -> Result<Reply, Error> {
    let prefix = query.get("subjectPrefix").unwrap_or_default();
    let filter = Filter::with_deleted(query.flag("deleted"));
    let latest_only = query.flag("latestOnly");
    let rule_type = query.get("ruleType").filter(|text| !text.is_empty());
    let mut aliases = if query.flag("aliases") { aliases(state, prefix) } else { BTreeMap::new() };
    let mut subjects: BTreeSet<Subject> =
        state.with_prefix(prefix).map(|(subject, _)| subject.clone()).collect();
    subjects.extend(aliases.keys().cloned());
    let versions = subjects.iter().flat_map(|subject| {
        let count = state.versions(subject, filter).count();
        let skipped = if latest_only { count.saturating_sub(1) } else { 0 };
        state.versions(subject, filter).skip(skipped)
    });
    let has_rule = |stored: &&Arc<Stored>| {
        let rules = stored.content.rule_set.as_ref();
        rule_type.is_none_or(|wanted| rules.is_some_and(|rules| rules.has_type(wanted)))
    };
    let page = query.page(versions.filter(has_rule), SCHEMAS_MAX)?;
    let shown: Vec<Shown<'_>> = page
        .into_iter()
        .map(|stored| Shown {
            aliases: aliases.get_mut(&stored.subject).map(|names| names.clone()),
            ..Shown::stored(stored)
        })
        .collect();
    Ok(Reply::json(&shown))
}

/// By subject, the names below the prefix that stand for it.
fn aliases(state: &State, prefix: &str) -> BTreeMap<Subject, Vec<String>> {
    let mut aliases: BTreeMap<Subject, Vec<String>> = BTreeMap::new();
    for (subject, config) in state.configs() {
        let Some(alias) = config.alias.as_deref().filter(|alias| !alias.is_empty()) else {
            continue;
        };
        if prefix == ":*:" || subject.to_string().starts_with(prefix) {
            aliases.entry(subject.relative(alias)).or_default().push(subject.to_string());
        }
    }
    aliases
}

/// The version that an id means: of the subject that is named, in its context or whichever has it.
fn find(state: &State, id: i32, subject: Option<&str>) -> Option<Arc<Stored>> {
    let subject = Subject::parse(subject.unwrap_or_default());
    if subject.is_context() {
        return state.holder(&subject.context, id).cloned();
    }
    let own = state.holder_in(&subject, id);
    if own.is_some() || !subject.is_in_default_context() {
        return own.cloned();
    }
    let others = state.contexts().map(|context| subject.in_context(context));
    let elsewhere = others.into_iter().find_map(|other| state.holder_in(&other, id).cloned());
    elsewhere.or_else(|| state.holder(&subject.context, id).cloned())
}

fn by_id(service: &Service, id: i32, rest: &[&str], query: &Query) -> Result<Reply, Error> {
    let subject = query.get("subject");
    let state = service.state();
    let stored = find(&state, id, subject);
    if let ["subjects" | "versions"] = rest {
        let stored = stored.ok_or(Error::SchemaNotFound)?;
        return holders(&state, &stored, rest[0] == "subjects", query);
    }
    let stored = stored.ok_or_else(|| Error::NoSchema(id.to_string()))?;
    let max_id = query.flag("fetchMaxId").then(|| state.max_id(&stored.subject.context));
    drop(state);
    let text = formatted(service, (&stored.subject, &stored.content), query)?;
    let references = qualified(&stored, query);
    match rest {
        [] => {
            let mut shown = Shown { max_id, id: None, ..Shown::stored(&stored) };
            if subject.is_none() {
                (shown.subject, shown.version) = (None, None);
            }
            if let Some(references) = &references {
                shown.references = references;
            }
            Ok(Reply::json(&shown.in_form(text.as_deref())))
        }
        ["schema"] => Ok(Reply::text(text.unwrap_or_else(|| stored.content.schema.clone()))),
        _ => Err(Error::NoResource),
    }
}

/// The subjects, or their versions, that have the schema.
fn holders(state: &State, stored: &Stored, names: bool, query: &Query) -> Result<Reply, Error> {
    let filter = Filter::with_deleted(query.flag("deleted"));
    let holders = state.holders(&stored.subject.context, stored.id, filter);
    let page = query.page(holders, usize::MAX)?;
    if names {
        let subjects: BTreeSet<String> = page.iter().map(|one| one.subject.to_string()).collect();
        return Ok(Reply::json(&subjects));
    }
    let versions: Vec<_> = page
        .iter()
        .map(|one| json!({ "subject": one.subject.to_string(), "version": one.version }))
        .collect();
    Ok(Reply::json(&versions))
}

/// In each context that has it, the id of the schema with that hash.
fn ids(state: &State, guid: &str) -> Vec<(String, i32)> {
    let Ok(guid) = Uuid::parse_str(guid) else { return Vec::new() };
    let of =
        |context: &str| state.ids_of(context, guid).next().map(|(_, id)| (context.to_owned(), id));
    state.contexts().filter_map(of).collect()
}

fn by_guid(service: &Service, guid: &str, query: &Query) -> Result<Reply, Error> {
    let stored = {
        let state = service.state();
        let first = ids(&state, guid).into_iter().next();
        first.and_then(|(context, id)| state.holder(&context, id).cloned())
    };
    let stored = stored.ok_or_else(|| Error::NoSchema(guid.to_owned()))?;
    let text = formatted(service, (&stored.subject, &stored.content), query)?;
    let shown = Shown { subject: None, version: None, id: None, ..Shown::stored(&stored) };
    Ok(Reply::json(&shown.in_form(text.as_deref())))
}

fn ids_of_guid(state: &State, guid: &str) -> Result<Reply, Error> {
    let ids = ids(state, guid).into_iter();
    let ids: Vec<_> = ids.map(|(context, id)| json!({ "context": context, "id": id })).collect();
    Ok(Reply::json(&ids))
}
