//! What a request to the registry can end with: Confluent's error codes, and their sentences.
//!
//! Two of its codes are missing: 42207 is older than the release that is followed here (an id that does not match is
//! 42205 there), and 50003 is said by those that forward changes to another process.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Confluent's codes, each with the HTTP status of its exception.
    ///
    /// Source: `Errors`, and the classes under `rest/exceptions`.
    #[test]
    fn codes_and_statuses_are_confluent_s() {
        let (subject, text) = (|| Subject::parse("a"), String::new);
        let table = [
            (404, Error::NoResource, 404),
            (405, Error::NoMethod, 405),
            (400, Error::BadRequest(text()), 400),
            (422, Error::NoBody, 422),
            (408, Error::SlowBody, 408),
            (413, Error::LargeBody { max: 1 }, 413),
            (40401, Error::SubjectNotFound(subject()), 404),
            (40402, Error::VersionNotFound(1), 404),
            (40403, Error::SchemaNotFound, 404),
            (40403, Error::NoSchema(text()), 404),
            (40404, Error::SubjectSoftDeleted(subject()), 404),
            (40405, Error::SubjectNotSoftDeleted(subject()), 404),
            (40406, Error::VersionSoftDeleted(subject(), 1), 404),
            (40407, Error::VersionNotSoftDeleted(subject(), 1), 404),
            (40408, Error::NoConfig(subject()), 404),
            (40409, Error::NoMode(subject()), 404),
            (409, Error::Incompatible { subject: subject(), messages: Vec::new() }, 409),
            (42201, Error::InvalidSchema(text()), 422),
            (42202, Error::InvalidVersion(text()), 422),
            (42203, Error::InvalidLevel, 422),
            (42204, Error::InvalidMode, 422),
            (42205, Error::NotPermitted(text()), 422),
            (42206, Error::ReferenceExists(subject(), 1), 422),
            (42208, Error::InvalidSubject(text()), 422),
            (42209, Error::TooLarge, 422),
            (42210, Error::InvalidRuleSet(text()), 422),
            (42211, Error::ContextNotEmpty(subject()), 422),
            (50001, Error::Store(""), 500),
            (50002, Error::TimedOut(""), 500),
            (50004, Error::NoLeader, 500),
        ];
        for (code, error, status) in table {
            assert_eq!((error.code(), error.status()), (code, status), "{error:?}");
        }
    }
}
