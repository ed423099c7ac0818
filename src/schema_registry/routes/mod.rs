//! Confluent's REST interface: one dispatch by plain match, one file a resource.
//!
//! A path may begin with `/contexts/{context}`, which qualifies the subjects in the rest of it. Every error is JSON with
//! Confluent's code.
//!
//! Source: the classes under `rest/resources`, and `ContextFilter`, in Confluent's Schema Registry.

mod compatibility;
mod config;
mod contexts;
mod formats;
mod mode;
mod path;
mod reply;
mod request;
mod schemas;
mod subjects;
mod versions;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State as Shared};
use axum::http::{HeaderMap, Method, Response};
use bytes::Bytes;
use serde_json::json;
use tokio::sync::Semaphore;

use super::any::Format;
use super::error::Error;
use super::service::Service;
use super::subject::Subject;
use path::Target;
use reply::Reply;

/// A request's body may be so large; a schema must still fit in a record.
const BODY_BYTES_MAX: usize = 12 << 20;
/// A body must be here after so long.
const BODY_WITHIN: Duration = Duration::from_secs(30);
/// Bodies that are in memory at a time.
const BODIES_MAX: usize = 32;

/// What the server says of itself.
#[derive(Debug, Clone)]
pub struct About {
    /// The cluster whose topic it is.
    pub cluster_id: String,
}

/// What requests are answered with.
#[derive(Debug)]
struct App {
    service: Service,
    about: About,
    bodies: Semaphore,
}

/// The registry's routes.
pub fn routes(service: Service, about: About) -> Router {
    let app = Arc::new(App { service, about, bodies: Semaphore::new(BODIES_MAX) });
    Router::new().fallback(answer).with_state(app)
}

async fn answer(Shared(app): Shared<Arc<App>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let plain = reply::wants_plain_json(&parts.headers);
    // The server below sends no body in answer to HEAD.
    let method = if parts.method == Method::HEAD { Method::GET } else { parts.method };
    let answered = async {
        let query = parts.uri.query().unwrap_or_default();
        let target = Target::parse(parts.uri.path(), query)?;
        let takes_body = matches!(method, Method::POST | Method::PUT);
        let body = if takes_body { app.body(body, &parts.headers).await? } else { Bytes::new() };
        let answered = app.dispatch(&method, target, &body).await;
        if answered.as_ref().is_err_and(Error::rests_on_state) {
            app.service.prove().await?;
        }
        answered
    };
    match answered.await {
        Ok(reply) => reply.response(plain),
        Err(error) => {
            if error.status() >= 500 {
                tracing::warn!(%method, path = parts.uri.path(), %error, "request failed");
            }
            reply::failure(&error, plain)
        }
    }
}

impl App {
    /// The whole body, bounded in bytes and in time.
    async fn body(&self, body: Body, headers: &HeaderMap) -> Result<Bytes, Error> {
        let too_large = || Error::LargeBody { max: BODY_BYTES_MAX };
        let said = headers.get("content-length").and_then(|value| value.to_str().ok());
        if said.and_then(|text| text.parse().ok()).is_some_and(|len: usize| len > BODY_BYTES_MAX) {
            return Err(too_large());
        }
        let reading = async {
            // The semaphore lives as long as the routes.
            let _held = self.bodies.acquire().await.map_err(|_| Error::SlowBody)?;
            axum::body::to_bytes(body, BODY_BYTES_MAX).await.map_err(|_| too_large())
        };
        tokio::time::timeout(BODY_WITHIN, reading).await.unwrap_or(Err(Error::SlowBody))
    }

    async fn dispatch(&self, method: &Method, target: Target, body: &[u8]) -> Result<Reply, Error> {
        let service = &self.service;
        let segments: Vec<&str> = target.segments.iter().map(String::as_str).collect();
        if !matches!(segments.as_slice(), [] | ["v1", ..] | ["schemas", "types"]) {
            service.caught_up().await?;
        }
        let target = self.with_alias(target);
        let segments: Vec<&str> = target.segments.iter().map(String::as_str).collect();
        match segments.as_slice() {
            [] => root(method),
            ["v1", "metadata", what] => self.metadata(method, what),
            ["schemas", "types"] if method == Method::GET => Ok(types()),
            ["schemas", rest @ ..] => schemas::answer(service, method, rest, &target.query),
            ["subjects", subject, "versions", rest @ ..] => {
                let subject = Subject::parse(subject);
                let asked = versions::Asked { subject, query: &target.query, body };
                versions::answer(service, method, rest, asked).await
            }
            ["subjects", rest @ ..] => {
                subjects::answer(service, method, rest, (&target.query, body)).await
            }
            ["compatibility", "subjects", subject, "versions", rest @ ..] => {
                let asked = versions::Asked {
                    subject: Subject::parse(subject),
                    query: &target.query,
                    body,
                };
                compatibility::answer(service, method, rest, asked).await
            }
            ["config", rest @ ..] => {
                config::answer(service, method, rest, (&target.query, body)).await
            }
            ["mode", rest @ ..] => mode::answer(service, method, rest, (&target.query, body)).await,
            ["contexts", rest @ ..] => contexts::answer(service, method, rest, &target.query).await,
            _ => Err(Error::NoResource),
        }
    }

    /// A subject whose settings name an alias stands for that.
    ///
    /// Source: `AliasFilter`.
    fn with_alias(&self, mut target: Target) -> Target {
        let segments: Vec<&str> = target.segments.iter().map(String::as_str).collect();
        let at = match segments.as_slice() {
            ["subjects", ..] => 1,
            ["compatibility", "subjects", ..] => 2,
            ["schemas", "ids", ..] => {
                target.query.replace("subject", |named| self.meant(named));
                return target;
            }
            _ => return target,
        };
        if let Some(segment) = target.segments.get_mut(at) {
            *segment = self.meant(segment);
        }
        target
    }

    /// The subject that a name stands for.
    fn meant(&self, named: &str) -> String {
        let subject = Subject::parse(named);
        let state = self.service.state();
        match state.config(&subject).and_then(|config| config.alias.as_deref()) {
            Some(alias) if !alias.is_empty() && !subject.is_context() => {
                subject.relative(alias).to_string()
            }
            _ => named.to_owned(),
        }
    }

    fn metadata(&self, method: &Method, what: &str) -> Result<Reply, Error> {
        if method != Method::GET {
            return Err(Error::NoMethod);
        }
        match what {
            "id" => {
                let clusters = json!({
                    "kafka-cluster": self.about.cluster_id,
                    "schema-registry-cluster": "schema-registry",
                });
                Ok(Reply::json(&json!({ "id": "", "scope": { "path": [], "clusters": clusters } })))
            }
            "version" => {
                let version = env!("CARGO_PKG_VERSION");
                Ok(Reply::json(&json!({ "version": version, "commitId": "thalweg" })))
            }
            _ => Err(Error::NoResource),
        }
    }
}

fn root(method: &Method) -> Result<Reply, Error> {
    match *method {
        Method::GET | Method::POST => Ok(Reply::json(&json!({}))),
        _ => Err(Error::NoMethod),
    }
}

fn types() -> Reply {
    let names: Vec<&str> = Format::ALL.iter().map(|(name, _)| *name).collect();
    Reply::json(&names)
}

#[cfg(test)]
mod tests;
