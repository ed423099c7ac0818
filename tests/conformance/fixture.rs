//! The answers of Apache Kafka as files, and the comparison with ours.

use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf};

use serde_json::{Value, json};

use crate::{allowed, talk::Answers};

fn path(group: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join(format!("tests/conformance/fixtures/{group}.json"))
}

/// Writes the answers of one group, one line for each run of versions that answered the same.
pub fn write(group: &str, answers: &Answers) {
    let mut text = String::from("{");
    for (index, (step, versions)) in answers.iter().enumerate() {
        let mut runs: Vec<(i16, i16, &Value)> = Vec::new();
        for (version, answer) in versions {
            match runs.last_mut() {
                Some((_, last, same)) if *same == answer && *last + 1 == *version => {
                    *last = *version
                }
                _ => runs.push((*version, *version, answer)),
            }
        }
        let lines = runs.iter().map(|(first, last, answer)| {
            format!("\n    {{\"versions\": [{first}, {last}], \"answer\": {answer}}}")
        });
        let lines: Vec<String> = lines.collect();
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(text, "{comma}\n  {}: [{}\n  ]", json!(step), lines.join(","));
    }
    text.push_str("\n}\n");
    std::fs::write(path(group), text).expect("the fixtures folder is writable");
}

/// Reads back what [`write`] wrote.
pub fn read(group: &str) -> Answers {
    let path = path(group);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!("{}: {error}; tests/conformance/refresh writes it", path.display())
    });
    let steps: BTreeMap<String, Vec<Value>> =
        serde_json::from_str(&text).expect("a fixture is JSON");
    let expand = |runs: Vec<Value>| {
        let mut versions = BTreeMap::new();
        for run in runs {
            let bound = |at: usize| {
                i16::try_from(run["versions"][at].as_i64().expect("a version")).expect("16 bits")
            };
            for version in bound(0)..=bound(1) {
                versions.insert(version, run["answer"].clone());
            }
        }
        versions
    };
    steps.into_iter().map(|(step, runs)| (step, expand(runs))).collect()
}

/// One field in which we answer otherwise than Kafka.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    pub step: String,
    pub path: String,
    pub kafka: String,
    pub ours: String,
    pub versions: Vec<i16>,
}

/// All differences, equal ones of several versions joined.
pub fn differences(kafka: &Answers, ours: &Answers) -> Vec<Difference> {
    let mut found: BTreeMap<(String, String, String, String), Vec<i16>> = BTreeMap::new();
    let empty = BTreeMap::new();
    let steps: std::collections::BTreeSet<&String> = kafka.keys().chain(ours.keys()).collect();
    for step in steps {
        let (theirs, mine) = (kafka.get(step).unwrap_or(&empty), ours.get(step).unwrap_or(&empty));
        let versions: std::collections::BTreeSet<i16> =
            theirs.keys().chain(mine.keys()).copied().collect();
        for version in versions {
            let mut fields = Vec::new();
            compare(String::new(), theirs.get(&version), mine.get(&version), &mut fields);
            for (path, kafka, ours) in fields {
                found.entry((step.clone(), path, kafka, ours)).or_default().push(version);
            }
        }
    }
    found
        .into_iter()
        .map(|((step, path, kafka, ours), versions)| Difference {
            step,
            path,
            kafka,
            ours,
            versions,
        })
        .collect()
}

type Field = (String, String, String);

fn compare(path: String, kafka: Option<&Value>, ours: Option<&Value>, found: &mut Vec<Field>) {
    match (kafka, ours) {
        (Some(Value::Object(left)), Some(Value::Object(right))) => {
            let keys: std::collections::BTreeSet<&String> =
                left.keys().chain(right.keys()).collect();
            for key in keys {
                compare(format!("{path}/{key}"), left.get(key), right.get(key), found);
            }
        }
        (Some(Value::Array(left)), Some(Value::Array(right))) => {
            for index in 0..left.len().max(right.len()) {
                compare(format!("{path}/{index}"), left.get(index), right.get(index), found);
            }
        }
        (left, right) if left == right => {}
        (left, right) => found.push((path, show(left), show(right))),
    }
}

fn show(value: Option<&Value>) -> String {
    let text = value.map_or_else(|| "(absent)".to_owned(), Value::to_string);
    if text.chars().count() <= 300 {
        return text;
    }
    text.chars().take(300).collect::<String>() + "…"
}

/// Fails with every difference that no line of the table allows.
pub fn hold_against_kafka(group: &str, ours: &Answers) {
    let all = differences(&read(group), ours);
    let unexplained: Vec<&Difference> =
        all.iter().filter(|one| allowed::reason(group, one).is_none()).collect();
    let idle = allowed::idle(group, &all);
    assert!(idle.is_empty(), "{group}: the table allows what is not there:\n{}", idle.join("\n"));
    if unexplained.is_empty() {
        return;
    }
    let mut text = format!("{group}: {} answers differ from Apache Kafka's\n", unexplained.len());
    let mut last = "";
    for one in unexplained {
        if one.step != last {
            last = &one.step;
            let _ = writeln!(text, "\n{last}");
        }
        let _ = writeln!(
            text,
            "  {} at versions {:?}\n    kafka {}\n    ours  {}",
            one.path, one.versions, one.kafka, one.ours
        );
    }
    panic!("{text}");
}
