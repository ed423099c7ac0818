//! `/subjects/{subject}/versions`: registrations, and what is registered.
//!
//! Source: `SubjectVersionsResource`.

use std::sync::Arc;

use axum::http::Method;

use super::super::any::Rules;
use super::super::decide::{self, Answer, Command, Registered};
use super::super::error::Error;
use super::super::service::Service;
use super::super::state::{Filter, State, Stored};
use super::super::subject::Subject;
use super::formats::{formatted, qualified};
use super::path::{Query, version};
use super::reply::{Reply, Shown};
use super::request::SchemaRequest;

/// A request about a subject's versions.
pub(super) struct Asked<'a> {
    pub(super) subject: Subject,
    pub(super) query: &'a Query,
    pub(super) body: &'a [u8],
}

pub(super) async fn answer(
    service: &Service,
    method: &Method,
    rest: &[&str],
    asked: Asked<'_>,
) -> Result<Reply, Error> {
    match (rest, method) {
        ([], &Method::GET) => list(&service.state(), &asked),
        ([], &Method::POST) => register(service, &asked).await,
        ([text], &Method::GET) => show(service, &asked, version(text)?),
        ([text], &Method::DELETE) => delete(service, &asked, version(text)?).await,
        ([text, "schema"], &Method::GET) => show_text(service, &asked, version(text)?),
        ([text, "referencedby"], &Method::GET) => {
            referenced_by(&service.state(), &asked, version(text)?)
        }
        ([] | [_] | [_, "schema" | "referencedby"], _) => Err(Error::NoMethod),
        _ => Err(Error::NoResource),
    }
}

fn list(state: &State, asked: &Asked<'_>) -> Result<Reply, Error> {
    let Asked { subject, query, .. } = asked;
    let (deleted, only) = (query.flag("deleted"), query.flag("deletedOnly"));
    if !state.has(Some(subject), Filter::with_deleted(deleted || only)) {
        return Err(Error::SubjectNotFound(subject.clone()));
    }
    let negative = query.flag("deletedAsNegative");
    let filter = match (negative, only, deleted) {
        (true, _, _) | (_, false, true) => Filter::All,
        (_, true, _) => Filter::Deleted,
        _ => Filter::Live,
    };
    let number = |stored: &Arc<Stored>| {
        if negative && stored.deleted { -stored.version } else { stored.version }
    };
    let versions = state.versions(subject, filter).map(number);
    Ok(Reply::json(&query.page(versions, usize::MAX)?))
}

async fn register(service: &Service, asked: &Asked<'_>) -> Result<Reply, Error> {
    let Asked { subject, query, body } = asked;
    if !subject.is_valid() {
        return Err(Error::InvalidSubject(subject.to_string()));
    }
    let normalize = service.normalizes(subject, query.flag("normalize"));
    let request = SchemaRequest::read(body)?;
    let wanted = request.registration(subject, normalize, query.flag("force"))?;
    if wanted.content.schema.len() > service.record_bytes_max() {
        return Err(Error::TooLarge);
    }
    // An empty text stands for the one before it.
    if !wanted.content.schema.trim().is_empty() {
        service.parse(subject, &wanted.content, Rules::Stored).await?;
        if let Some(found) = service.existing(&wanted)? {
            return registered(service, asked, &found);
        }
        if wanted.id.is_none() {
            let rules = decide::rules(&service.state(), subject, None);
            service.parse(subject, &wanted.content, rules).await?;
            service.parse_previous(subject).await;
        }
    }
    match service.change(Command::Register(Box::new(wanted))).await? {
        Answer::Registered(done) => registered(service, asked, &done),
        _ => Ok(Reply::Nothing),
    }
}

fn registered(service: &Service, asked: &Asked<'_>, done: &Registered) -> Result<Reply, Error> {
    let Registered { version, id, content } = done;
    let text = formatted(service, (&asked.subject, content), asked.query)?;
    let guid = content.guid();
    let shown = Shown { version: Some(*version), id: Some(*id), ..Shown::content(content, guid) };
    Ok(Reply::json(&shown.in_form(text.as_deref())))
}

/// That version, in the subject's context or, without one, in any that has it.
fn find(
    state: &State,
    subject: &Subject,
    version: i32,
    filter: Filter,
) -> Result<Arc<Stored>, Error> {
    if let Some(stored) = state.find(subject, version, filter) {
        return Ok(Arc::clone(stored));
    }
    if subject.is_in_default_context() {
        let others = state.contexts().skip(1).map(|context| subject.in_context(context));
        let found = others.into_iter().find_map(|one| state.find(&one, version, filter).cloned());
        if let Some(stored) = found {
            return Ok(stored);
        }
    }
    Err(if state.has(Some(subject), filter) {
        Error::VersionNotFound(version)
    } else {
        Error::SubjectNotFound(subject.clone())
    })
}

fn show(service: &Service, asked: &Asked<'_>, version: i32) -> Result<Reply, Error> {
    let Asked { subject, query, .. } = asked;
    let filter = Filter::with_deleted(query.flag("deleted"));
    let stored = find(&service.state(), subject, version, filter)?;
    let text = formatted(service, (&stored.subject, &stored.content), query)?;
    let references = qualified(&stored, query);
    let mut shown = Shown::stored(&stored).in_form(text.as_deref());
    if let Some(references) = &references {
        shown.references = references;
    }
    Ok(Reply::json(&shown))
}

fn show_text(service: &Service, asked: &Asked<'_>, version: i32) -> Result<Reply, Error> {
    let filter = Filter::with_deleted(asked.query.flag("deleted"));
    let stored = find(&service.state(), &asked.subject, version, filter)?;
    let text = formatted(service, (&stored.subject, &stored.content), asked.query)?;
    Ok(Reply::text(text.unwrap_or_else(|| stored.content.schema.clone())))
}

fn referenced_by(state: &State, asked: &Asked<'_>, version: i32) -> Result<Reply, Error> {
    let stored = find(state, &asked.subject, version, Filter::All)?;
    let filter = Filter::with_deleted(asked.query.flag("deleted"));
    let ids = state.referrers(&stored, filter).into_iter().map(|(_, id)| id);
    Ok(Reply::json(&asked.query.page(ids, usize::MAX)?))
}

async fn delete(service: &Service, asked: &Asked<'_>, version: i32) -> Result<Reply, Error> {
    let permanent = asked.query.flag("permanent");
    let subject = asked.subject.clone();
    match service.change(Command::DeleteVersion { subject, version, permanent }).await? {
        Answer::Version(version) => Ok(Reply::json(&version)),
        _ => Ok(Reply::Nothing),
    }
}
