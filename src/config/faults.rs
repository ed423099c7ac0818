//! What is wrong with the settings: all of it at once, each with where it was said.

use std::fmt;

use super::load::{Setting, Source, Values};

/// One thing wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The setting's name, as given.
    pub name: String,
    /// The value's text, as given.
    pub text: String,
    /// Where it was said.
    pub source: Source,
    /// The end of a sentence that starts with the name and the value.
    pub what: String,
}

/// Everything wrong. Empty only while it is gathered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    pub(super) fn add(&mut self, setting: &Setting, what: String) {
        let Setting { name, text, source } = setting.clone();
        self.0.push(Fault { name, text, source, what });
    }

    /// A fault of a value that is well-formed but does not go with the others.
    pub(super) fn about(&mut self, name: &str, values: &Values, what: &str) {
        let (value, source) = values.get(name).clone();
        let (name, text) = (name.to_owned(), value.to_string());
        self.0.push(Fault { name, text, source, what: what.to_owned() });
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, text, source, what } = self;
        if text.is_empty() {
            write!(f, "{source}: `{name}` {what}")
        } else {
            write!(f, "{source}: `{name} = {text}` {what}")
        }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => write!(f, "the configuration has a fault:")?,
            n => write!(f, "the configuration has {n} faults:")?,
        }
        self.0.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for Faults {}
