//! Topic names, as Kafka checks them.
//!
//! Source: `org.apache.kafka.common.internals.Topic` in Apache Kafka.

use std::collections::BTreeMap;

use crate::base::ids::TopicId;
use crate::cluster::error::TopicNameFault;

const NAME_CHARS_MAX: usize = 249;

/// Checks a name on its own.
pub(super) fn check(name: &str) -> Result<(), TopicNameFault> {
    let named = || name.to_owned();
    if name.is_empty() {
        return Err(TopicNameFault::Empty);
    }
    if name == "." || name == ".." {
        return Err(TopicNameFault::Dots { name: named() });
    }
    if name.chars().count() > NAME_CHARS_MAX {
        return Err(TopicNameFault::TooLong { name: named() });
    }
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')) {
        return Err(TopicNameFault::Characters { name: named() });
    }
    Ok(())
}

/// Checks a name against the others: `.` and `_` are the same in the names of metrics.
pub(super) fn check_collision(
    name: &str,
    names: &BTreeMap<String, TopicId>,
) -> Result<(), TopicNameFault> {
    if !name.contains(['.', '_']) {
        return Ok(());
    }
    let unified = unify(name);
    // Names that could collide share what comes before the first of these characters.
    let stem = unified.split('_').next().unwrap_or_default();
    let near = names.range(stem.to_owned()..).map(|(other, _)| other);
    let mut near = near.take_while(|other| other.starts_with(stem));
    match near.find(|other| *other != name && unify(other) == unified) {
        None => Ok(()),
        Some(existing) => {
            Err(TopicNameFault::Collision { name: name.to_owned(), existing: existing.clone() })
        }
    }
}

fn unify(name: &str) -> String {
    name.replace('.', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_as_kafka_does() {
        for good in ["a", "A.b_c-9", "...", &"x".repeat(249), "__consumer_offsets"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in ["", ".", "..", "a b", "ä", "a/b", "a\0", &"x".repeat(250)] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn dots_and_underscores_collide() {
        let id = TopicId(uuid::Uuid::nil());
        let names: BTreeMap<String, TopicId> =
            ["a.b", "a.bc", "ab", "_x"].iter().map(|name| ((*name).to_owned(), id)).collect();
        for (name, collides) in
            [("a_b", true), ("a.b", false), ("a_bc", true), ("a_", false), (".x", true)]
        {
            assert_eq!(check_collision(name, &names).is_err(), collides, "{name}");
        }
    }
}
