//! `/subjects`: their list, look-ups, and their end.
//!
//! Source: `SubjectsResource`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::Method;

use super::super::any::Rules;
use super::super::decide::{self, Answer, Command, Lookup};
use super::super::error::Error;
use super::super::service::Service;
use super::super::state::{Filter, State, Stored};
use super::super::subject::Subject;
use super::formats::formatted;
use super::path::Query;
use super::reply::{Reply, Shown};
use super::request::SchemaRequest;

pub(super) async fn answer(
    service: &Service,
    method: &Method,
    rest: &[&str],
    (query, body): (&Query, &[u8]),
) -> Result<Reply, Error> {
    match rest {
        [] if method == Method::GET => list(&service.state(), query),
        [subject] if method == Method::POST => {
            look_up(service, &Subject::parse(subject), query, body).await
        }
        [subject] if method == Method::DELETE => {
            let permanent = query.flag("permanent");
            let command = Command::DeleteSubject { subject: Subject::parse(subject), permanent };
            match service.change(command).await? {
                Answer::Versions(versions) => Ok(Reply::json(&versions)),
                _ => Ok(Reply::Nothing),
            }
        }
        [subject, "metadata"] if method == Method::GET => {
            with_metadata(service, &Subject::parse(subject), query)
        }
        [] | [_] | [_, "metadata"] => Err(Error::NoMethod),
        _ => Err(Error::NoResource),
    }
}

fn list(state: &State, query: &Query) -> Result<Reply, Error> {
    let prefix = query.get("subjectPrefix").unwrap_or(":*:");
    let filter = match (query.flag("deletedOnly"), query.flag("deleted")) {
        (true, _) => Filter::Deleted,
        (false, deleted) => Filter::with_deleted(deleted),
    };
    let mut names: Vec<String> = state
        .with_prefix(prefix)
        .filter(|(_, versions)| {
            // A subject is deleted when all its versions are.
            let deleted = versions.values().all(|stored| stored.deleted);
            filter.takes(deleted)
        })
        .map(|(subject, _)| subject.to_string())
        .collect();
    names.sort_unstable();
    Ok(Reply::json(&query.page(names.into_iter(), usize::MAX)?))
}

async fn look_up(
    service: &Service,
    subject: &Subject,
    query: &Query,
    body: &[u8],
) -> Result<Reply, Error> {
    let filter = Filter::with_deleted(query.flag("deleted"));
    let normalize = service.normalizes(subject, query.flag("normalize"));
    let lookup = SchemaRequest::read(body)?.lookup(subject, normalize, filter);
    // No text is no schema's, and nothing to complain of.
    if !lookup.content.schema.trim().is_empty() {
        service.parse(subject, &lookup.content, Rules::Stored).await?;
    }
    let stored = find(service, &lookup)?;
    shown(service, &stored, query)
}

/// In the subject's context or, without one, in any that has the schema under that name.
fn find(service: &Service, lookup: &Lookup) -> Result<Arc<Stored>, Error> {
    let state = service.state();
    if let Some(stored) = decide::find(&state, service.catalog(), lookup)? {
        return Ok(stored);
    }
    let subject = &lookup.subject;
    if subject.is_in_default_context() {
        for context in state.contexts().skip(1) {
            let lookup = Lookup { subject: subject.in_context(context), ..lookup.clone() };
            // What it refers to need not be there.
            if let Ok(Some(stored)) = decide::find(&state, service.catalog(), &lookup) {
                return Ok(stored);
            }
        }
    }
    Err(if state.has(Some(subject), lookup.filter) {
        Error::SchemaNotFound
    } else {
        Error::SubjectNotFound(subject.clone())
    })
}

fn shown(service: &Service, stored: &Stored, query: &Query) -> Result<Reply, Error> {
    let text = formatted(service, (&stored.subject, &stored.content), query)?;
    Ok(Reply::json(&Shown::stored(stored).in_form(text.as_deref())))
}

/// The last version whose metadata says all that is asked for.
fn with_metadata(service: &Service, subject: &Subject, query: &Query) -> Result<Reply, Error> {
    let filter = Filter::with_deleted(query.flag("deleted"));
    let wanted: BTreeMap<&str, &str> = query.all("key").zip(query.all("value")).collect();
    let fits = |stored: &&Arc<Stored>| {
        let Some(metadata) = &stored.content.metadata else { return false };
        let said = |name: &str| metadata.properties.get(name).map(String::as_str);
        wanted.iter().all(|(name, value)| said(name) == Some(value))
    };
    let found = service.state().versions(subject, filter).rev().find(fits).cloned();
    let Some(stored) = found else {
        return Err(if service.state().has(Some(subject), filter) {
            Error::SchemaNotFound
        } else {
            Error::SubjectNotFound(subject.clone())
        });
    };
    shown(service, &stored, query)
}
