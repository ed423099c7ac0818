//! Names of subjects: `:.context:name`, or a plain name in the default context.
//!
//! Source: `QualifiedSubject` in Confluent's Schema Registry.

use std::fmt;

/// The context of names that name none.
pub const DEFAULT_CONTEXT: &str = ".";
/// The context whose config and mode hold for all others that have none.
pub const GLOBAL_CONTEXT: &str = ".__GLOBAL";
/// Names that stand for something else in tools.
const RESERVED: [&str; 2] = ["__GLOBAL", "__EMPTY"];

/// A subject in its context. Ordered by context first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    /// Its context, which begins with a dot.
    pub context: String,
    /// Its name there; empty: the context itself.
    pub name: String,
}

impl Subject {
    /// Takes a qualified name apart. Every text is one.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let new =
            |context: &str, name: &str| Self { context: context.to_owned(), name: name.to_owned() };
        match text.strip_prefix(':') {
            Some(rest) if rest.starts_with('.') => match rest.split_once(':') {
                Some((context, name)) => new(context, name),
                None => new(rest, ""),
            },
            Some(rest) if rest.starts_with("*:") => new("*", &rest[2..]),
            _ => new(DEFAULT_CONTEXT, text),
        }
    }

    /// The context itself.
    #[must_use]
    pub fn context(name: &str) -> Self {
        Self { context: name.to_owned(), name: String::new() }
    }

    /// The same name in another context.
    #[must_use]
    pub fn in_context(&self, context: &str) -> Self {
        Self { context: context.to_owned(), name: self.name.clone() }
    }

    /// What `text` means in a schema of this subject: a plain name lies in the same context.
    #[must_use]
    pub fn relative(&self, text: &str) -> Self {
        let subject = Self::parse(text);
        if subject.is_in_default_context() { subject.in_context(&self.context) } else { subject }
    }

    /// Whether it lies in the default context.
    #[must_use]
    pub fn is_in_default_context(&self) -> bool {
        self.context == DEFAULT_CONTEXT
    }

    /// Whether it is a context, not a subject in one.
    #[must_use]
    pub fn is_context(&self) -> bool {
        self.name.is_empty()
    }

    /// Whether it is the default context, which is where nothing is said.
    #[must_use]
    pub fn is_default_context(&self) -> bool {
        self.is_context() && self.is_in_default_context()
    }

    /// Whether it is the context that stands for all.
    #[must_use]
    pub fn is_global_context(&self) -> bool {
        self.is_context() && self.context == GLOBAL_CONTEXT
    }

    /// The context as a prefix of names: nothing for the default one.
    #[must_use]
    pub fn context_prefix(&self) -> String {
        if self.is_in_default_context() { String::new() } else { format!(":{}:", self.context) }
    }

    /// Whether something may be registered under it.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.is_valid_for_settings() && self.context != GLOBAL_CONTEXT
    }

    /// Whether it may have a config and a mode.
    #[must_use]
    pub fn is_valid_for_settings(&self) -> bool {
        !RESERVED.contains(&self.name.as_str())
            && !self.name.chars().chain(self.context.chars()).any(char::is_control)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_in_default_context() {
            write!(f, ":{}:", self.context)?;
        }
        f.write_str(&self.name)
    }
}

/// A context as it stands in a path, as a prefix of subjects; none if it cannot be one.
#[must_use]
pub fn context_of_path(text: &str) -> Option<String> {
    let bare = text.strip_prefix(':').unwrap_or(text);
    let bare = bare.strip_suffix(':').unwrap_or(bare);
    if bare.contains(':') {
        return None;
    }
    Some(if bare.starts_with('.') { bare.to_owned() } else { format!(".{bare}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart_as_confluent_does() {
        let check = |text: &str, context: &str, name: &str, shown: &str| {
            let subject = Subject::parse(text);
            assert_eq!(
                (subject.context.as_str(), subject.name.as_str()),
                (context, name),
                "{text}"
            );
            assert_eq!(subject.to_string(), shown, "{text}");
        };
        check("orders-value", ".", "orders-value", "orders-value");
        check(":.eu:orders-value", ".eu", "orders-value", ":.eu:orders-value");
        check(":.:orders", ".", "orders", "orders");
        check(":.eu", ".eu", "", ":.eu:");
        check(":.eu:", ".eu", "", ":.eu:");
        check(":*:orders", "*", "orders", ":*:orders");
        check(":plain", ".", ":plain", ":plain");
        check("", ".", "", "");
    }

    #[test]
    fn a_plain_reference_lies_in_the_context_of_its_schema() {
        let parent = Subject::parse(":.eu:orders");
        assert_eq!(parent.relative("common").to_string(), ":.eu:common");
        assert_eq!(parent.relative(":.us:common").to_string(), ":.us:common");
        assert_eq!(Subject::parse("orders").relative("common").to_string(), "common");
    }

    #[test]
    fn a_path_names_a_context_with_or_without_its_marks() {
        for text in [":.eu:", ".eu", "eu"] {
            assert_eq!(context_of_path(text).as_deref(), Some(".eu"), "{text}");
        }
        assert_eq!(context_of_path("."), Some(".".to_owned()));
        assert_eq!(context_of_path("a:b"), None);
    }

    #[test]
    fn reserved_names_and_control_characters_are_no_subjects() {
        assert!(Subject::parse("orders").is_valid());
        for text in ["__GLOBAL", "__EMPTY", "a\nb", ":.__GLOBAL:x"] {
            assert!(!Subject::parse(text).is_valid(), "{text}");
        }
        assert!(Subject::parse(":.__GLOBAL:").is_valid_for_settings());
    }
}
