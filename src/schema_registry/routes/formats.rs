//! The parameters `format` and `referenceFormat`: a schema's text, or what it refers to, in another form.

use super::super::entity::{Content, Reference};
use super::super::error::Error;
use super::super::service::Service;
use super::super::state::Stored;
use super::super::subject::Subject;
use super::path::Query;

/// The text of a schema of `subject` in the form that the query asks for; none: as it is stored.
///
/// # Errors
/// [`Error::InvalidSchema`].
pub(super) fn formatted(
    service: &Service,
    (subject, content): (&Subject, &Content),
    query: &Query,
) -> Result<Option<String>, Error> {
    let Some(format) = query.get("format").filter(|format| !format.trim().is_empty()) else {
        return Ok(None);
    };
    let schema = service.stored(subject, content)?;
    Ok(schema.formatted(format))
}

/// References with the context that they are meant in, if that is asked for.
pub(super) fn qualified(stored: &Stored, query: &Query) -> Option<Vec<Reference>> {
    if query.get("referenceFormat") != Some("qualified") || stored.subject.is_in_default_context() {
        return None;
    }
    let qualified = stored.content.references.iter().map(|reference| Reference {
        subject: stored.subject.relative(&reference.subject).to_string(),
        ..reference.clone()
    });
    Some(qualified.collect())
}
