//! Bodies of requests.

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::super::decide::{Lookup, Registration};
use super::super::entity::{Content, Metadata, Reference, nullable};
use super::super::error::Error;
use super::super::rules::RuleSet;
use super::super::state::Filter;
use super::super::subject::Subject;

/// A schema that is registered, sought or checked. What it does not know it passes over.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SchemaRequest {
    version: Option<i32>,
    id: Option<i32>,
    schema_type: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    references: Vec<Reference>,
    metadata: Option<Metadata>,
    rule_set: Option<RuleSet>,
    #[serde(default, deserialize_with = "nullable")]
    schema: String,
}

impl SchemaRequest {
    pub(super) fn read(body: &[u8]) -> Result<Self, Error> {
        read(body)
    }

    pub(super) fn content(self) -> Content {
        let schema_type = self.schema_type.filter(|name| !name.is_empty());
        Content {
            schema_type: schema_type.unwrap_or_else(|| "AVRO".to_owned()),
            schema: self.schema,
            references: self.references,
            metadata: self.metadata,
            rule_set: self.rule_set,
        }
    }

    /// # Errors
    /// [`Error::InvalidRuleSet`].
    pub(super) fn registration(
        self,
        subject: &Subject,
        normalize: bool,
        force: bool,
    ) -> Result<Registration, Error> {
        if let Some(rules) = &self.rule_set {
            rules.validate().map_err(Error::InvalidRuleSet)?;
        }
        let (id, version) = (self.id.filter(|id| *id >= 0), self.version.unwrap_or(0));
        let (subject, content) = (subject.clone(), self.content());
        Ok(Registration { subject, content, id, version, normalize, force })
    }

    pub(super) fn lookup(self, subject: &Subject, normalize: bool, filter: Filter) -> Lookup {
        let (subject, content) = (subject.clone(), self.content());
        Lookup { subject, content, normalize, filter, latest_only: false }
    }
}

/// An object whose fields matter one by one.
pub(super) fn fields(body: &[u8]) -> Result<Map<String, Json>, Error> {
    read(body)
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Error> {
    if body.is_empty() {
        return Err(Error::NoBody);
    }
    serde_json::from_slice(body)
        .map_err(|why| Error::BadRequest(format!("The request's body cannot be read: {why}")))
}
