//! What a request to the registry can end with: Confluent's error codes, and their sentences.
//!
//! Source: `Errors` and the exceptions under `rest/exceptions` in Confluent's Schema Registry.

use super::subject::Subject;

/// Why a request was refused or failed. The code's first three digits are the HTTP status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each says what it is in its sentence")]
pub enum Error {
    #[error("HTTP 404 Not Found")]
    NoResource,
    #[error("HTTP 405 Method Not Allowed")]
    NoMethod,
    #[error("{0}")]
    BadRequest(String),
    #[error("The request has no body")]
    NoBody,
    #[error("The request's body did not come in time")]
    SlowBody,
    #[error("The request's body is larger than {max} bytes")]
    LargeBody { max: usize },
    #[error("Subject '{0}' not found.")]
    SubjectNotFound(Subject),
    #[error("Version {0} not found.")]
    VersionNotFound(i32),
    #[error("Schema not found")]
    SchemaNotFound,
    #[error("Schema {0} not found")]
    NoSchema(String),
    #[error("Subject '{0}' was soft deleted.Set permanent=true to delete permanently")]
    SubjectSoftDeleted(Subject),
    #[error("Subject '{0}' was not deleted first before being permanently deleted")]
    SubjectNotSoftDeleted(Subject),
    #[error("Subject '{0}' Version {1} was soft deleted.Set permanent=true to delete permanently")]
    VersionSoftDeleted(Subject, i32),
    #[error("Subject '{0}' Version {1} was not deleted first before being permanently deleted")]
    VersionNotSoftDeleted(Subject, i32),
    #[error("Subject '{0}' does not have subject-level compatibility configured")]
    NoConfig(Subject),
    #[error("Subject '{0}' does not have subject-level mode configured")]
    NoMode(Subject),
    #[error(
        "Schema being registered is incompatible with an earlier schema for subject \"{subject}\", details: [{}]",
        .messages.join(", ")
    )]
    Incompatible { subject: Subject, messages: Vec<String> },
    #[error("{0}")]
    InvalidSchema(String),
    #[error(
        "The specified version '{0}' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\""
    )]
    InvalidVersion(String),
    #[error(
        "Invalid compatibility level. Valid values are none, backward, forward, full, backward_transitive, forward_transitive, and full_transitive"
    )]
    InvalidLevel,
    #[error("Invalid mode. Valid values are READWRITE, READONLY, IMPORT and FORWARD.")]
    InvalidMode,
    #[error("{0}")]
    NotPermitted(String),
    #[error(
        "One or more references exist to the schema {{magic=1,keytype=SCHEMA,subject={0},version={1}}}."
    )]
    ReferenceExists(Subject, i32),
    #[error("The specified subject '{0}' is not a valid.")]
    InvalidSubject(String),
    #[error("Register operation failed because schema is too large")]
    TooLarge,
    #[error("{0}")]
    InvalidRuleSet(String),
    #[error("The specified context '{0}' is not empty.")]
    ContextNotEmpty(Subject),
    #[error("{0}")]
    Store(&'static str),
    #[error("{0}")]
    TimedOut(&'static str),
    #[error("Leader not known.")]
    NoLeader,
}

impl Error {
    /// Confluent's code.
    #[must_use]
    pub fn code(&self) -> u32 {
        match self {
            Self::NoResource => 404,
            Self::NoMethod => 405,
            Self::BadRequest(_) => 400,
            Self::NoBody => 422,
            Self::SlowBody => 408,
            Self::LargeBody { .. } => 413,
            Self::SubjectNotFound(_) => 40401,
            Self::VersionNotFound(_) => 40402,
            Self::SchemaNotFound | Self::NoSchema(_) => 40403,
            Self::SubjectSoftDeleted(_) => 40404,
            Self::SubjectNotSoftDeleted(_) => 40405,
            Self::VersionSoftDeleted(..) => 40406,
            Self::VersionNotSoftDeleted(..) => 40407,
            Self::NoConfig(_) => 40408,
            Self::NoMode(_) => 40409,
            Self::Incompatible { .. } => 409,
            Self::InvalidSchema(_) => 42201,
            Self::InvalidVersion(_) => 42202,
            Self::InvalidLevel => 42203,
            Self::InvalidMode => 42204,
            Self::NotPermitted(_) => 42205,
            Self::ReferenceExists(..) => 42206,
            Self::InvalidSubject(_) => 42208,
            Self::TooLarge => 42209,
            Self::InvalidRuleSet(_) => 42210,
            Self::ContextNotEmpty(_) => 42211,
            Self::Store(_) => 50001,
            Self::TimedOut(_) => 50002,
            Self::NoLeader => 50004,
        }
    }

    /// Whether it rests on what the registry holds, and not on the request alone: then a registry that does not know that
    /// it was replaced must not say it.
    #[must_use]
    pub fn rests_on_state(&self) -> bool {
        match self {
            Self::SubjectNotFound(_)
            | Self::VersionNotFound(_)
            | Self::SchemaNotFound
            | Self::NoSchema(_)
            | Self::SubjectSoftDeleted(_)
            | Self::SubjectNotSoftDeleted(_)
            | Self::VersionSoftDeleted(..)
            | Self::VersionNotSoftDeleted(..)
            | Self::NoConfig(_)
            | Self::NoMode(_)
            | Self::Incompatible { .. }
            | Self::InvalidSchema(_)
            | Self::NotPermitted(_)
            | Self::ReferenceExists(..)
            | Self::ContextNotEmpty(_) => true,
            Self::NoResource
            | Self::NoMethod
            | Self::BadRequest(_)
            | Self::NoBody
            | Self::SlowBody
            | Self::LargeBody { .. }
            | Self::InvalidVersion(_)
            | Self::InvalidLevel
            | Self::InvalidMode
            | Self::InvalidSubject(_)
            | Self::TooLarge
            | Self::InvalidRuleSet(_)
            | Self::Store(_)
            | Self::TimedOut(_)
            | Self::NoLeader => false,
        }
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        let code = self.code();
        u16::try_from(if code >= 1000 { code / 100 } else { code }).unwrap_or(500)
    }
}
