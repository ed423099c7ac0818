//! The parameter `format`: a schema's text in another form.

use super::super::entity::Content;
use super::super::error::Error;
use super::super::service::Service;
use super::super::subject::Subject;
use super::path::Query;

/// The text in the form that the query asks for; none: as it is stored.
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
