//! Finds a schema under a subject: by its hash, or as one that differs only in what does not count.
//!
//! Source: `AbstractSchemaRegistry.lookUpSchemaUnderSubject`, `ParsedSchema.canLookup`.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::compatibility::check_fields;
use crate::schema_registry::any::{AnySchema, Rules};
use crate::schema_registry::catalog::Catalog;
use crate::schema_registry::entity::{Content, Metadata, Reference};
use crate::schema_registry::error::Error;
use crate::schema_registry::rules::RuleSet;
use crate::schema_registry::settings::Config;
use crate::schema_registry::state::{Filter, State, Stored};
use crate::schema_registry::subject::Subject;

/// A schema that somebody asks for.
#[derive(Debug, Clone)]
pub struct Lookup {
    /// Under this subject.
    pub subject: Subject,
    /// Itself.
    pub content: Content,
    /// Compared in its normal form.
    pub normalize: bool,
    /// Among these versions.
    pub filter: Filter,
    /// The last version alone.
    pub latest_only: bool,
}

/// The schema's parsed form, and itself with the text that is stored.
///
/// # Errors
/// [`Error::InvalidSchema`].
pub(super) fn canonicalize(
    state: &State,
    catalog: &Catalog,
    subject: &Subject,
    content: &Content,
    (normalize, rules): (bool, Rules),
) -> Result<(Arc<AnySchema>, Content), Error> {
    let parsed = catalog.parse(state, subject, content, rules)?;
    check_fields(state, subject, &parsed)?;
    let normalize = normalize && !state.mode_in_scope(subject).is_import();
    let mut content = content.clone();
    if normalize {
        content.schema = parsed.normalized();
        content.references = normalized(content.references);
    } else {
        content.schema = parsed.canonical();
    }
    Ok((parsed, content))
}

/// References in the order of what they refer to, each once.
///
/// Source: `normalize` of each format's schema, `SchemaReference.compareTo`.
fn normalized(mut references: Vec<Reference>) -> Vec<Reference> {
    references
        .sort_by(|one, other| (&one.subject, one.version).cmp(&(&other.subject, other.version)));
    let mut seen = BTreeSet::new();
    references.retain(|reference| seen.insert(reference.clone()));
    references
}

/// The version that holds the schema, if any does.
///
/// # Errors
/// [`Error::InvalidSchema`]: what is sought is no schema.
pub fn find(
    state: &State,
    catalog: &Catalog,
    lookup: &Lookup,
) -> Result<Option<Arc<Stored>>, Error> {
    let Lookup { subject, content, .. } = lookup;
    let found = find_as_it_is(state, catalog, lookup)?;
    if found.is_some() {
        return Ok(found);
    }
    // It may have been given metadata and rules when it was registered.
    let Some(latest) = state.latest(subject) else { return Ok(None) };
    let config = state.config_in_scope(subject);
    let populated = populated(&config, content, Some(&latest.content));
    if populated == *content {
        return Ok(None);
    }
    let lookup = Lookup { content: populated, ..lookup.clone() };
    find_as_it_is(state, catalog, &lookup)
}

/// [`find`] without a second look.
pub(super) fn find_as_it_is(
    state: &State,
    catalog: &Catalog,
    lookup: &Lookup,
) -> Result<Option<Arc<Stored>>, Error> {
    let Lookup { subject, content, normalize, filter, latest_only } = lookup;
    if content.schema.trim().is_empty() {
        return Ok(None);
    }
    let (parsed, content) =
        canonicalize(state, catalog, subject, content, (*normalize, Rules::Stored))?;
    if !latest_only
        && let Some(id) = state.id_of(&subject.context, content.guid(), &content.schema_type)
        && let Some(holder) = state.holder_in(subject, id)
        && filter.takes(holder.deleted)
    {
        return Ok(Some(Arc::clone(holder)));
    }
    let mut candidates = state.versions(subject, *filter).rev();
    let fits = |stored: &&Arc<Stored>| means(state, catalog, (&parsed, &content), stored);
    let found = if *latest_only { candidates.next().filter(fits) } else { candidates.find(fits) };
    Ok(found.cloned())
}

/// Whether `content`, in its stored form, means the schema of `stored`: they may differ in the version that metadata
/// counts, in references to the latest, and in that it has in place what the other refers to.
pub(super) fn means(
    state: &State,
    catalog: &Catalog,
    (parsed, content): (&AnySchema, &Content),
    stored: &Stored,
) -> bool {
    let other = &stored.content;
    let same_text = || {
        content.schema == other.schema
            && same_references(state, &stored.subject, &content.references, &other.references)
    };
    content.schema_type == other.schema_type
        && content.rule_set == other.rule_set
        && same_metadata(content.metadata.as_ref(), other.metadata.as_ref())
        && (same_text() || has_in_place(state, catalog, (parsed, content), stored))
}

/// Whether the schema is that of `stored` with the definitions in place that the other refers to. Only Avro's can be
/// written so, and serializers ask for what a record carries, which knows of no references.
fn has_in_place(
    state: &State,
    catalog: &Catalog,
    (parsed, content): (&AnySchema, &Content),
    stored: &Stored,
) -> bool {
    if !content.references.is_empty() || stored.content.references.is_empty() {
        return false;
    }
    let Ok(other) = catalog.stored(state, stored) else { return false };
    parsed.formatted("resolved").is_some_and(|text| other.formatted("resolved") == Some(text))
}

fn same_metadata(asked: Option<&Metadata>, stored: Option<&Metadata>) -> bool {
    if asked == stored {
        return true;
    }
    // Whoever does not say a version takes any.
    if asked.is_some_and(|asked| asked.version().is_some()) {
        return false;
    }
    let plain = |metadata: Option<&Metadata>| {
        metadata.map(Metadata::without_version).filter(|plain| *plain != Metadata::default())
    };
    plain(asked) == plain(stored)
}

fn same_references(
    state: &State,
    subject: &Subject,
    asked: &[Reference],
    stored: &[Reference],
) -> bool {
    let resolved = |reference: &Reference| {
        let of = subject.relative(&reference.subject);
        let version = match reference.version {
            -1 => state.latest(&of).map_or(-1, |latest| latest.version),
            version => version,
        };
        (reference.name.clone(), of, version)
    };
    asked.len() == stored.len()
        && asked
            .iter()
            .zip(stored)
            .all(|(asked, stored)| asked == stored || resolved(asked) == resolved(stored))
}

/// `content` with the metadata and rules that the subject's settings, or the version before it, give it.
///
/// Source: `AbstractSchemaRegistry.maybeSetMetadataRuleSet`.
pub(super) fn populated(config: &Config, content: &Content, previous: Option<&Content>) -> Content {
    let metadata = content.metadata.as_ref().or_else(|| previous?.metadata.as_ref());
    let rules = content.rule_set.as_ref().or_else(|| previous?.rule_set.as_ref());
    let metadata = Metadata::merged(config.default_metadata.as_ref(), metadata);
    let metadata = Metadata::merged(metadata.as_ref(), config.override_metadata.as_ref());
    let rules = RuleSet::merged(config.default_rule_set.as_ref(), rules);
    let rules = RuleSet::merged(rules.as_ref(), config.override_rule_set.as_ref());
    Content { metadata, rule_set: rules, ..content.clone() }
}
