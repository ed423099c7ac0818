//! What a change comes to: which records it writes, or why it is refused. Pure: over the state alone.
//!
//! Deciding the same change again on the state that it led to is harmless: a registration finds what it registered.

mod compatibility;
mod delete;
mod lookup;
mod register;
mod settings;

pub use compatibility::{check, check_fields, previous};
pub use lookup::{Lookup, find};
pub use register::{Registration, existing, rules};

use serde_json::{Map, Value as Json};

use super::catalog::Catalog;
use super::entity::Content;
use super::error::Error;
use super::records::{Key, Value};
use super::settings::{Config, Mode};
use super::state::{State, Stored};
use super::subject::Subject;

/// A change that somebody asks for.
#[derive(Debug, Clone)]
pub enum Command {
    /// A schema.
    Register(Box<Registration>),
    /// One version goes.
    DeleteVersion {
        /// Of this subject.
        subject: Subject,
        /// -1 is the latest.
        version: i32,
        /// For good.
        permanent: bool,
    },
    /// All versions go.
    DeleteSubject {
        /// Of this subject.
        subject: Subject,
        /// For good.
        permanent: bool,
    },
    /// A context without subjects goes.
    DeleteContext(Subject),
    /// Settings change.
    SetConfig {
        /// Of this subject, or context.
        subject: Subject,
        /// The fields that change; null takes one away.
        fields: Map<String, Json>,
    },
    /// Settings go.
    DeleteConfig(Subject),
    /// The mode changes.
    SetMode {
        /// Of this subject, or context.
        subject: Subject,
        /// None takes it away.
        mode: Option<Mode>,
        /// Even to import, with schemas there.
        force: bool,
    },
    /// The mode goes.
    DeleteMode {
        /// Of this subject, or context.
        subject: Subject,
        /// And those of the context's subjects.
        recursive: bool,
    },
}

/// A record to be written; no value is a tombstone.
pub type Write = (Key, Option<Value>);

/// What a change came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// A version that is there now.
    Registered(Box<Registered>),
    /// The version that went.
    Version(i32),
    /// The versions that went.
    Versions(Vec<i32>),
    /// Settings: those that hold now, or those that went.
    Config(Box<Config>),
    /// The mode that went, if there was one.
    Mode(Option<Mode>),
    /// It is done.
    Done,
}

/// A schema that has its number.
#[derive(Debug, Clone, PartialEq)]
pub struct Registered {
    /// Its version.
    pub version: i32,
    /// Its id.
    pub id: i32,
    /// Itself, as it is stored.
    pub content: Content,
}

impl From<&Stored> for Registered {
    fn from(stored: &Stored) -> Self {
        let Stored { version, id, content, .. } = stored;
        Self { version: *version, id: *id, content: content.clone() }
    }
}

/// The records of a change, and its answer once they are in the topic.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// In order.
    pub writes: Vec<Write>,
    /// What is said then.
    pub answer: Answer,
}

impl Plan {
    fn nothing(answer: Answer) -> Self {
        Self { writes: Vec::new(), answer }
    }
}

/// What the change comes to.
///
/// # Errors
/// Why it is refused.
pub fn decide(state: &State, catalog: &Catalog, command: &Command) -> Result<Plan, Error> {
    match command {
        Command::Register(registration) => register::register(state, catalog, registration),
        Command::DeleteVersion { subject, version, permanent } => {
            delete::version(state, subject, *version, *permanent)
        }
        Command::DeleteSubject { subject, permanent } => {
            delete::subject(state, subject, *permanent)
        }
        Command::DeleteContext(context) => delete::context(state, context),
        Command::SetConfig { subject, fields } => settings::set_config(state, subject, fields),
        Command::DeleteConfig(subject) => settings::delete_config(state, subject),
        Command::SetMode { subject, mode, force } => {
            settings::set_mode(state, subject, *mode, *force)
        }
        Command::DeleteMode { subject, recursive } => {
            settings::delete_mode(state, subject, *recursive)
        }
    }
}

/// # Errors
/// [`Error::NotPermitted`]: nothing changes under the subject.
fn check_writable(state: &State, subject: &Subject) -> Result<(), Error> {
    if state.mode_in_scope(subject).is_read_only() {
        let what = format!(
            "Subject {subject} in context {} is in read-only mode",
            subject.context_prefix()
        );
        return Err(Error::NotPermitted(what));
    }
    Ok(())
}

/// The subject as it stands in keys of settings: the default context is none.
fn of_settings(subject: &Subject) -> Option<String> {
    (!subject.is_default_context()).then(|| subject.to_string())
}

#[cfg(test)]
mod tests;
