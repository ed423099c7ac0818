//! Answers as bytes: JSON in Confluent's type.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use serde_json::json;

use super::super::entity::{Content, Guid, Metadata, Reference};
use super::super::error::Error;
use super::super::rules::RuleSet;
use super::super::state::Stored;

const TYPE: HeaderValue = HeaderValue::from_static("application/vnd.schemaregistry.v1+json");
const PLAIN: HeaderValue = HeaderValue::from_static("application/json");

/// What a request is answered with when it succeeds.
#[derive(Debug)]
pub(super) enum Reply {
    Body(Vec<u8>),
    Nothing,
}

impl Reply {
    pub(super) fn json(value: &impl Serialize) -> Self {
        Self::Body(serde_json::to_vec(value).expect("answers have a JSON form"))
    }

    /// A schema's text, as it is.
    pub(super) fn text(text: String) -> Self {
        Self::Body(text.into_bytes())
    }

    pub(super) fn response(self, plain: bool) -> Response<Body> {
        match self {
            Self::Body(bytes) => response(StatusCode::OK, bytes, plain),
            Self::Nothing => response(StatusCode::NO_CONTENT, Vec::new(), plain),
        }
    }
}

/// Whether the client takes plain JSON and nothing of Confluent's.
pub(super) fn wants_plain_json(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(header::ACCEPT);
    let mut accepts = accepts.iter().filter_map(|value| value.to_str().ok()).peekable();
    let plain = |text: &str| !text.contains("schemaregistry") && text.contains("application/json");
    accepts.peek().is_some() && accepts.all(plain)
}

/// What an error is answered with.
pub(super) fn failure(error: &Error, plain: bool) -> Response<Body> {
    let body = json!({ "error_code": error.code(), "message": error.to_string() });
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response(status, body.to_string().into_bytes(), plain)
}

fn response(status: StatusCode, body: Vec<u8>, plain: bool) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let kind = if plain { PLAIN } else { TYPE };
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// A schema as answers show it.
#[derive(Debug, Serialize)]
pub(super) struct Shown<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<i32>,
    pub(super) guid: Guid,
    #[serde(rename = "schemaType")]
    pub(super) schema_type: &'a str,
    #[serde(skip_serializing_if = "<[Reference]>::is_empty")]
    pub(super) references: &'a [Reference],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) metadata: Option<&'a Metadata>,
    #[serde(rename = "ruleSet", skip_serializing_if = "Option::is_none")]
    pub(super) rule_set: Option<&'a RuleSet>,
    pub(super) schema: &'a str,
    #[serde(rename = "maxId", skip_serializing_if = "Option::is_none")]
    pub(super) max_id: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ts: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) deleted: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) aliases: Option<Vec<String>>,
}

impl<'a> Shown<'a> {
    /// What is there, apart from where.
    pub(super) fn content(content: &'a Content, guid: Guid) -> Self {
        Self {
            subject: None,
            version: None,
            id: None,
            guid,
            schema_type: &content.schema_type,
            references: &content.references,
            metadata: content.metadata.as_ref(),
            rule_set: content.rule_set.as_ref(),
            schema: &content.schema,
            max_id: None,
            ts: None,
            deleted: None,
            aliases: None,
        }
    }

    /// The same with its text in another form, if there is one.
    pub(super) fn in_form(self, text: Option<&'a str>) -> Self {
        Self { schema: text.unwrap_or(self.schema), ..self }
    }

    /// A version with everything that is known of it.
    pub(super) fn stored(stored: &'a Stored) -> Self {
        Self {
            subject: Some(stored.subject.to_string()),
            version: Some(stored.version),
            id: Some(stored.id),
            ts: Some(stored.timestamp),
            deleted: Some(stored.deleted),
            ..Self::content(&stored.content, stored.guid)
        }
    }
}
