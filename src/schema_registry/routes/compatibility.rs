//! `/compatibility`: whether a schema would fit, without registering it.
//!
//! Source: `CompatibilityResource`.

use std::sync::Arc;

use axum::http::Method;
use serde_json::json;

use super::super::any::Rules;
use super::super::decide;
use super::super::error::Error;
use super::super::service::Service;
use super::super::state::{Filter, Stored};
use super::path::version;
use super::reply::Reply;
use super::request::SchemaRequest;
use super::versions::Asked;

pub(super) async fn answer(
    service: &Service,
    method: &Method,
    rest: &[&str],
    asked: Asked<'_>,
) -> Result<Reply, Error> {
    let version = match rest {
        [] => None,
        [text] => Some(version(text)?),
        _ => return Err(Error::NoResource),
    };
    if method != Method::POST {
        return Err(Error::NoMethod);
    }
    let previous = previous(service, &asked, version)?;
    let verbose = asked.query.flag("verbose");
    let messages = match check(service, &asked, previous).await {
        Err(Error::InvalidSchema(message)) if verbose => vec![message],
        result => result?,
    };
    let mut said = json!({ "is_compatible": messages.is_empty() });
    if verbose {
        said["messages"] = messages.into();
    }
    Ok(Reply::json(&said))
}

/// The versions to fit: the one that is named, or all.
fn previous(
    service: &Service,
    asked: &Asked<'_>,
    version: Option<i32>,
) -> Result<Vec<Arc<Stored>>, Error> {
    let state = service.state();
    let Some(version) = version else {
        return Ok(state.versions(&asked.subject, Filter::Live).cloned().collect());
    };
    match state.find(&asked.subject, version, Filter::Live) {
        Some(stored) => Ok(vec![Arc::clone(stored)]),
        None if version == -1 => Ok(Vec::new()),
        None => Err(Error::VersionNotFound(version)),
    }
}

async fn check(
    service: &Service,
    asked: &Asked<'_>,
    previous: Vec<Arc<Stored>>,
) -> Result<Vec<String>, Error> {
    let content = SchemaRequest::read(asked.body)?.content();
    if content.schema.trim().is_empty() {
        return Err(Error::InvalidSchema("Empty schema".to_owned()));
    }
    let rules = decide::rules(&service.state(), &asked.subject, None);
    service.parse(&asked.subject, &content, rules).await?;
    for stored in &previous {
        service.parse(&stored.subject, &stored.content, Rules::Stored).await?;
    }
    let (service, subject) = (service.clone(), asked.subject.clone());
    // A comparison may take long; it holds up neither other requests nor the state.
    let comparing = tokio::task::spawn_blocking(move || {
        let schema = service.catalog().parse(&service.state(), &subject, &content, rules)?;
        decide::check_fields(&service.state(), &subject, &schema)?;
        let config = service.state().config_in_scope(&subject);
        let read = |stored: &Stored| service.stored(&stored.subject, &stored.content);
        decide::check(&config, (&schema, &content), &previous, read)
    });
    comparing.await.unwrap_or(Err(Error::Store("Schemas could not be compared")))
}
