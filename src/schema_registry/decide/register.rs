//! A schema gets its id and its version, or is found to have them.
//!
//! Source: `KafkaSchemaRegistry.register` and `registerOrForward`, `AbstractSchemaRegistry.maybePopulateFromPrevious`.

use std::sync::Arc;

use super::compatibility::check;
use super::lookup::{Lookup, canonicalize, find_as_it_is, means, populated};
use super::{Answer, Plan, Registered, Write, check_writable};
use crate::schema_registry::any::Rules;
use crate::schema_registry::catalog::Catalog;
use crate::schema_registry::entity::{Content, Metadata};
use crate::schema_registry::error::Error;
use crate::schema_registry::records::{Key, TENANT, Value};
use crate::schema_registry::settings::Mode;
use crate::schema_registry::state::{Filter, State, Stored};
use crate::schema_registry::subject::Subject;

/// A schema to be registered.
#[derive(Debug, Clone)]
pub struct Registration {
    /// Under this subject.
    pub subject: Subject,
    /// Itself. An empty text is the text of the version before it.
    pub content: Content,
    /// The id that it must have: only when schemas are imported.
    pub id: Option<i32>,
    /// The version that it must have; 0 is any, -1 the next, and then its metadata counts it.
    pub version: i32,
    /// Stored in its normal form.
    pub normalize: bool,
    /// Even if it does not fit those before it.
    pub force: bool,
}

/// The version that a registration comes to without writing anything.
///
/// # Errors
/// [`Error::InvalidSchema`].
pub fn existing(
    state: &State,
    catalog: &Catalog,
    wanted: &Registration,
) -> Result<Option<Registered>, Error> {
    let Registration { subject, content, id, version, normalize, .. } = wanted;
    if state.config_in_scope(subject).populates() {
        return Ok(None);
    }
    let lookup = Lookup {
        subject: subject.clone(),
        content: content.clone(),
        normalize: *normalize,
        filter: Filter::Live,
        latest_only: *version == -1,
    };
    let Some(found) = find_as_it_is(state, catalog, &lookup)? else { return Ok(None) };
    let id_fits = id.is_none_or(|id| id == found.id);
    if *version <= 0 {
        return Ok(id_fits.then(|| Registered::from(&*found)));
    }
    if *id != Some(found.id) {
        return Ok(None);
    }
    // The same schema may have been imported with several versions.
    let same = state
        .version(subject, *version)
        .filter(|other| !other.deleted && other.id == found.id && other.guid == found.guid);
    Ok(same.map(|same| Registered::from(&**same)))
}

/// How strictly a schema is read that comes to the subject, with an id of its own or without.
#[must_use]
pub fn rules(state: &State, subject: &Subject, id: Option<i32>) -> Rules {
    // What comes from another registry was accepted there.
    match id.is_none() && state.config_in_scope(subject).validate_new_schemas.unwrap_or(true) {
        true => Rules::New,
        false => Rules::Stored,
    }
}

fn check_mode(state: &State, wanted: &Registration) -> Result<(), Error> {
    let subject = &wanted.subject;
    check_writable(state, subject)?;
    let mode = state.mode_in_scope(subject);
    let (fits, needed) = match wanted.id {
        Some(_) => (mode.is_import(), "import"),
        None => (mode == Mode::ReadWrite, "read-write"),
    };
    if fits {
        return Ok(());
    }
    let context = subject.context_prefix();
    let what = format!("Subject {subject} in context {context} is not in {needed} mode");
    Err(Error::NotPermitted(what))
}

/// What is registered once settings and the version before it had their say.
fn prepared(
    state: &State,
    wanted: &Registration,
    undeleted: &[Arc<Stored>],
) -> Result<Content, Error> {
    let Registration { subject, content, version, .. } = wanted;
    if state.mode_in_scope(subject).is_import() {
        return Ok(content.clone());
    }
    let previous = undeleted.last().map(|stored| &stored.content);
    let mut content = content.clone();
    if content.schema.trim().is_empty() {
        let Some(previous) = previous else {
            return Err(Error::InvalidSchema("Empty schema".to_owned()));
        };
        content.schema = previous.schema.clone();
        content.schema_type = previous.schema_type.clone();
        content.references = previous.references.clone();
    }
    let mut content = populated(&state.config_in_scope(subject), &content, previous);
    let counts = content.metadata.as_ref().is_some_and(|metadata| metadata.version().is_some());
    if *version != 0 || counts {
        let next = state.next_version(subject);
        content.metadata = Some(Metadata::with_version(content.metadata, next));
    }
    Ok(content)
}

pub(super) fn register(
    state: &State,
    catalog: &Catalog,
    wanted: &Registration,
) -> Result<Plan, Error> {
    let Registration { subject, id, version, normalize, force, .. } = wanted;
    // Asked first: what is there already may be found under any mode.
    if let Some(found) = existing(state, catalog, wanted)? {
        return Ok(Plan::nothing(Answer::Registered(Box::new(found))));
    }
    check_mode(state, wanted)?;
    let undeleted: Vec<Arc<Stored>> = state.versions(subject, Filter::Live).cloned().collect();
    let content = prepared(state, wanted, &undeleted)?;
    if content.schema.trim().is_empty() {
        return Err(Error::InvalidSchema("Empty schema".to_owned()));
    }
    let rules = rules(state, subject, *id);
    let (parsed, content) = canonicalize(state, catalog, subject, &content, (*normalize, rules))?;
    let known = state.id_of(&subject.context, content.guid(), &content.schema_type);
    let known = known.filter(|known| id.is_none_or(|id| id == *known));
    if *version == 0 {
        let by_hash = known.and_then(|known| state.holder_in(subject, known));
        let wanted = known.or(*id);
        let fits = |stored: &&Arc<Stored>| {
            wanted.is_none_or(|id| id == stored.id)
                && means(state, catalog, (&parsed, &content), stored)
        };
        let found = by_hash.filter(|stored| !stored.deleted);
        if let Some(found) = found.or_else(|| undeleted.iter().rev().find(fits)) {
            return Ok(Plan::nothing(Answer::Registered(Box::new(Registered::from(&**found)))));
        }
    }
    let mode = state.mode_in_scope(subject);
    if !mode.is_import() && !force {
        let config = state.config_in_scope(subject);
        let read = |stored: &Stored| catalog.stored(state, stored);
        let messages = check(&config, (&parsed, &content), &undeleted, read)?;
        if !messages.is_empty() {
            return Err(Error::Incompatible { subject: subject.clone(), messages });
        }
    }
    let next = state.next_version(subject);
    let version = if *version <= 0 { next } else { *version };
    if version != next && !mode.is_import() {
        let what = "Version is not one more than previous version";
        return Err(Error::InvalidSchema(what.to_owned()));
    }
    let id = match known.or(*id) {
        Some(id) => {
            check_id(state, subject, id, &content)?;
            id
        }
        None => state.max_id(&subject.context) + 1,
    };
    Ok(plan(state, subject, Registered { version, id, content }))
}

/// # Errors
/// [`Error::NotPermitted`]: the id means another schema.
fn check_id(state: &State, subject: &Subject, id: i32, content: &Content) -> Result<(), Error> {
    let holder = state.holder(&subject.context, id);
    if holder.is_some_and(|holder| holder.content != *content) {
        let context = subject.context_prefix();
        let what =
            format!("Overwrite new schema with id {id} in context {context} is not permitted.");
        return Err(Error::NotPermitted(what));
    }
    Ok(())
}

fn plan(state: &State, subject: &Subject, registered: Registered) -> Plan {
    let mut writes: Vec<Write> = Vec::new();
    if !state.knows_context(&subject.context) {
        let context = subject.context.clone();
        let key = Key::Context { tenant: TENANT.to_owned(), context };
        writes.push((key, Some(Value::Context)));
    }
    // A schema that comes back leaves its deleted place, unless somebody refers to that.
    for old in state.versions(subject, Filter::Deleted) {
        let comes_back = old.id == registered.id && old.version < registered.version;
        if comes_back && state.referrers(old, Filter::All).is_empty() {
            writes.push((old.key(), None));
        }
    }
    let Registered { version, id, content } = registered.clone();
    let guid = content.guid();
    let stored = Stored {
        subject: subject.clone(),
        version,
        id,
        guid,
        content,
        deleted: false,
        timestamp: 0,
    };
    writes.push((stored.key(), Some(Value::Schema(Box::new(stored.value())))));
    Plan { writes, answer: Answer::Registered(Box::new(registered)) }
}
