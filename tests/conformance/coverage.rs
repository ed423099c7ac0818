//! Whether the fixtures hold Kafka's answers to every API at every version that we advertise, to good and to bad requests.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use serde_json::Value;
use thalweg::protocol::api::{APIS, ApiKey};

use crate::{
    GROUPS, fixture,
    talk::{Answer, Asked},
};

/// Versions of which no request can be malformed, since there is nothing in it.
const EMPTY: [(ApiKey, RangeInclusive<i16>); 2] =
    [(ApiKey::ListGroups, 0..=2), (ApiKey::ApiVersions, 0..=2)];

/// APIs whose well-formed requests Kafka answers without an error as long as nothing is broken, nothing is moved, and
/// everybody may ask.
const NEVER_REFUSED: [(ApiKey, &str); 4] = [
    (ApiKey::ListGroups, "what cannot be is in no group"),
    (ApiKey::DescribeLogDirs, "what is not there is in no folder"),
    (ApiKey::ListPartitionReassignments, "what is not there is not moved"),
    (ApiKey::DescribeShareGroupOffsets, "what is not there has no offsets"),
];

/// At which versions something is held of an API.
#[derive(Debug, Default)]
struct Held {
    /// An answer without an error.
    good: BTreeSet<i16>,
    /// One with an error.
    refused: BTreeSet<i16>,
    /// None, and the connection closed.
    closed: BTreeSet<i16>,
}

impl Held {
    fn take_up(&mut self, version: i16, answer: &Value) {
        match answer {
            Value::Object(_) if is_refusal(answer) => self.refused.insert(version),
            Value::Object(_) => self.good.insert(version),
            closed if closed == "connection closed" => self.closed.insert(version),
            // Silence, and what was answered to what is not looked at.
            _ => false,
        };
    }
}

/// Whether there is an error anywhere in an answer.
fn is_refusal(answer: &Value) -> bool {
    match answer {
        Value::Object(fields) => fields.iter().any(|(name, field)| {
            if name.ends_with("error_code") { field != "0" } else { is_refusal(field) }
        }),
        Value::Array(items) => items.iter().any(is_refusal),
        _ => false,
    }
}

fn held() -> BTreeMap<ApiKey, Held> {
    let mut held: BTreeMap<ApiKey, Held> = BTreeMap::new();
    for group in GROUPS {
        let steps = fixture::read(group).into_values();
        for Answer { asked, value } in steps.flat_map(BTreeMap::into_values) {
            let Some(Asked { key, version }) = asked else { continue };
            let Some(key) = ApiKey::from_code(key) else { continue };
            held.entry(key).or_default().take_up(version, &value);
        }
    }
    held
}

#[test]
fn fixtures_hold_every_api_at_every_version_asked_well_and_badly() {
    let (held, none) = (held(), Held::default());
    let mut missing = Vec::new();
    for api in &APIS {
        let held = held.get(&api.key).unwrap_or(&none);
        let is_empty =
            |version| EMPTY.iter().any(|(key, of)| *key == api.key && of.contains(&version));
        for version in api.advertised_min..=api.max {
            if api.serves(version) && !held.good.contains(&version) {
                missing.push(format!("{} {version}: an answer without an error", api.name));
            }
            let bad = held.refused.contains(&version) || held.closed.contains(&version);
            if !bad && !is_empty(version) {
                missing.push(format!("{} {version}: an error", api.name));
            }
        }
        let never = NEVER_REFUSED.iter().find(|(key, _)| *key == api.key);
        match (never, held.refused.is_empty()) {
            (None, true) => missing.push(format!("{}: an answer with an error", api.name)),
            (Some((_, why)), false) => missing.push(format!("{}: {why}: it is refused", api.name)),
            (None, false) | (Some(_), true) => {}
        }
    }
    assert!(missing.is_empty(), "the fixtures do not hold:\n{}", missing.join("\n"));
}
