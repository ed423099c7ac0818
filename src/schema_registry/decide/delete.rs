//! Versions, subjects and contexts go: first so that they can come back, then for good.
//!
//! Source: `KafkaSchemaRegistry.deleteSchemaVersion`, `deleteSubject`, `deleteContext`.

use super::{Answer, Plan, Write, check_writable, of_settings};
use crate::schema_registry::error::Error;
use crate::schema_registry::records::{Key, TENANT, Value};
use crate::schema_registry::state::{Filter, State, Stored};
use crate::schema_registry::subject::Subject;

pub(super) fn version(
    state: &State,
    subject: &Subject,
    version: i32,
    permanent: bool,
) -> Result<Plan, Error> {
    let Some(stored) = state.find(subject, version, Filter::All) else {
        return Err(if state.has(Some(subject), Filter::All) {
            Error::VersionNotFound(version)
        } else {
            Error::SubjectNotFound(subject.clone())
        });
    };
    if stored.deleted && !permanent {
        return Err(Error::VersionSoftDeleted(subject.clone(), stored.version));
    }
    check_writable(state, subject)?;
    if !state.referrers(stored, Filter::with_deleted(permanent)).is_empty() {
        return Err(Error::ReferenceExists(subject.clone(), stored.version));
    }
    if permanent && !stored.deleted {
        return Err(Error::VersionNotSoftDeleted(subject.clone(), stored.version));
    }
    let answer = Answer::Version(stored.version);
    if !permanent {
        let gone = Stored { deleted: true, ..(**stored).clone() };
        let value = Value::Schema(Box::new(gone.value()));
        return Ok(Plan { writes: vec![(gone.key(), Some(value))], answer });
    }
    let mut writes = vec![(stored.key(), None)];
    if state.versions(subject, Filter::All).count() == 1 {
        writes.extend(settings_of(state, subject));
    }
    Ok(Plan { writes, answer })
}

/// A subject that is gone has no settings.
fn settings_of(state: &State, subject: &Subject) -> Vec<Write> {
    let mut writes = Vec::new();
    if state.mode(subject).is_some() {
        writes.push((Key::Mode { subject: of_settings(subject) }, None));
    }
    if state.config(subject).is_some() {
        writes.push((Key::Config { subject: of_settings(subject) }, None));
    }
    writes
}

pub(super) fn subject(state: &State, subject: &Subject, permanent: bool) -> Result<Plan, Error> {
    if !state.has(Some(subject), Filter::All) {
        return Err(Error::SubjectNotFound(subject.clone()));
    }
    if !permanent && !state.has(Some(subject), Filter::Live) {
        return Err(Error::SubjectSoftDeleted(subject.clone()));
    }
    check_writable(state, subject)?;
    let filter = Filter::with_deleted(permanent);
    let mut versions = Vec::new();
    for stored in state.versions(subject, filter) {
        if is_referred_to(state, stored, filter) {
            return Err(Error::ReferenceExists(subject.clone(), stored.version));
        }
        if permanent && !stored.deleted {
            return Err(Error::SubjectNotSoftDeleted(subject.clone()));
        }
        versions.push(stored.version);
    }
    let writes = if permanent {
        let key = |version: &i32| Key::Schema { subject: subject.to_string(), version: *version };
        // Newest first: a version may refer to an older one.
        let mut writes: Vec<Write> =
            versions.iter().rev().map(|version| (key(version), None)).collect();
        writes.extend(settings_of(state, subject));
        writes
    } else {
        let last = versions.last().copied().unwrap_or_default();
        let key = Key::DeleteSubject { subject: subject.to_string() };
        vec![(key, Some(Value::DeleteSubject(last)))]
    };
    Ok(Plan { writes, answer: Answer::Versions(versions) })
}

/// Whether another subject refers to the version.
fn is_referred_to(state: &State, stored: &Stored, filter: Filter) -> bool {
    state.referrers(stored, filter).iter().any(|(context, id)| {
        state.holders(context, *id, filter).any(|holder| holder.subject != stored.subject)
    })
}

pub(super) fn context(state: &State, context: &Subject) -> Result<Plan, Error> {
    if state.has(Some(context), Filter::All) {
        return Err(Error::ContextNotEmpty(context.clone()));
    }
    let key = Key::Context { tenant: TENANT.to_owned(), context: context.context.clone() };
    let writes = if state.knows_context(&context.context) && !context.is_default_context() {
        vec![(key, None)]
    } else {
        Vec::new()
    };
    Ok(Plan { writes, answer: Answer::Done })
}
