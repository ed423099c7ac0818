//! What a group subscribes to: topics by name and by pattern, counted by member.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::member::Member;
use crate::base::ids::TopicId;
use crate::base::re2::WholePattern;
use crate::cluster::image::Image;
use crate::protocol::records::consumer::RegexValue;

/// What a pattern matched.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resolved {
    /// Topics.
    pub topics: Arc<BTreeSet<String>>,
    /// The version of the metadata that it was matched against.
    pub version: i64,
    /// When, in milliseconds since the Unix epoch.
    pub timestamp: i64,
}

impl Resolved {
    /// As it is written.
    #[must_use]
    pub fn to_value(&self) -> RegexValue {
        RegexValue {
            topics: self.topics.iter().cloned().collect(),
            version: self.version,
            timestamp: self.timestamp,
        }
    }

    /// As it was written.
    #[must_use]
    pub fn from_value(value: RegexValue) -> Self {
        Self {
            topics: Arc::new(value.topics.into_iter().collect()),
            version: value.version,
            timestamp: value.timestamp,
        }
    }
}

/// Matches patterns against all topics of an image. A pattern that cannot be read, which members' requests are checked for,
/// matches nothing.
#[must_use]
pub fn resolve(regexes: &BTreeSet<String>, image: &Image, wall: i64) -> BTreeMap<String, Resolved> {
    let version = i64::try_from(image.version).unwrap_or(i64::MAX);
    let one = |regex: &String| {
        let topics = match WholePattern::new(regex) {
            Ok(pattern) => {
                image.names.keys().filter(|name| pattern.matches(name)).cloned().collect()
            }
            Err(error) => {
                tracing::error!(regex, %error, "a group's pattern could not be read");
                BTreeSet::new()
            }
        };
        (regex.clone(), Resolved { topics: Arc::new(topics), version, timestamp: wall })
    };
    regexes.iter().map(one).collect()
}

/// Who subscribes to a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Count {
    /// Members that name it.
    by_name: usize,
    /// Patterns that match it.
    by_regex: usize,
}

/// All that a group subscribes to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subscriptions {
    topics: BTreeMap<String, Count>,
    /// Members by pattern.
    regexes: BTreeMap<String, usize>,
    resolved: BTreeMap<String, Resolved>,
}

impl Subscriptions {
    /// The names of all topics, whether they exist or not.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.topics.keys()
    }

    /// Whether any member names the topic, or a pattern matches it.
    #[must_use]
    pub fn has(&self, topic: &str) -> bool {
        self.topics.contains_key(topic)
    }

    /// How many members subscribe to the pattern.
    #[must_use]
    pub fn members_of(&self, regex: &str) -> usize {
        self.regexes.get(regex).copied().unwrap_or_default()
    }

    /// All patterns.
    #[must_use]
    pub fn regexes(&self) -> BTreeSet<String> {
        self.regexes.keys().cloned().collect()
    }

    /// What patterns matched.
    #[must_use]
    pub fn resolved(&self) -> &BTreeMap<String, Resolved> {
        &self.resolved
    }

    /// Counts a member in the place of what it was.
    pub fn replace(&mut self, old: Option<&Member>, new: Option<&Member>) {
        if let (Some(old), Some(new)) = (old, new)
            && old.topic_names == new.topic_names
            && old.regex() == new.regex()
        {
            return;
        }
        if let Some(old) = old {
            for name in old.topic_names.iter() {
                self.count(name, |count| count.by_name -= 1);
            }
            if let Some(regex) = old.regex() {
                self.leave_regex(regex);
            }
        }
        if let Some(new) = new {
            for name in new.topic_names.iter() {
                self.count(name, |count| count.by_name += 1);
            }
            if let Some(regex) = new.regex() {
                *self.regexes.entry(regex.to_owned()).or_default() += 1;
            }
        }
    }

    fn leave_regex(&mut self, regex: &str) {
        if let Some(members) = self.regexes.get_mut(regex) {
            *members -= 1;
            if *members == 0 {
                self.regexes.remove(regex);
            }
        }
    }

    fn count(&mut self, name: &str, change: impl FnOnce(&mut Count)) {
        let mut count = self.topics.remove(name).unwrap_or_default();
        change(&mut count);
        if count != Count::default() {
            self.topics.insert(name.to_owned(), count);
        }
    }

    /// Takes over what a pattern matched; none: nothing any more.
    pub fn set_resolved(&mut self, regex: &str, resolved: Option<Resolved>) {
        if let Some(old) = self.resolved.remove(regex) {
            for topic in old.topics.iter() {
                self.count(topic, |count| count.by_regex -= 1);
            }
        }
        if let Some(resolved) = resolved {
            for topic in resolved.topics.iter() {
                self.count(topic, |count| count.by_regex += 1);
            }
            self.resolved.insert(regex.to_owned(), resolved);
        }
    }

    /// The names that a member subscribes to, by name and by what its pattern matched. An unresolved pattern matches
    /// nothing yet.
    #[must_use]
    pub fn topics_of(&self, member: &Member) -> Arc<BTreeSet<String>> {
        let matched = member.regex().and_then(|regex| self.resolved.get(regex));
        match matched {
            None => Arc::clone(&member.topic_names),
            Some(matched) if member.topic_names.is_empty() => Arc::clone(&matched.topics),
            Some(matched) => Arc::new(member.topic_names.union(&matched.topics).cloned().collect()),
        }
    }
}

/// The ids of those names that exist.
#[must_use]
pub fn ids(names: &BTreeSet<String>, image: &Image) -> BTreeSet<TopicId> {
    names.iter().filter_map(|name| image.topic(name).map(|topic| topic.id)).collect()
}
