//! The answers of Apache Kafka as files, and the comparison with ours.

use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf};

use serde_json::{Value, json};

use crate::{
    allowed,
    talk::{Answer, Answers, Asked},
};

fn path(group: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join(format!("tests/conformance/fixtures/{group}.json"))
}

/// Answers to a run of versions: the first and the last, what was asked of an API if anything (at another version than the
/// one that it is recorded under), and the one answer.
type Run<'a> = ((i16, i16), Option<(i16, Option<i16>)>, &'a Value);

/// Writes the answers of one group, one line for each run of versions that answered the same.
pub fn write(group: &str, answers: &Answers) {
    let mut text = String::from("{");
    for (index, (step, versions)) in answers.iter().enumerate() {
        let mut runs: Vec<Run<'_>> = Vec::new();
        for (version, Answer { asked, value }) in versions {
            let asked = asked.map(|of| (of.key, (of.version != *version).then_some(of.version)));
            match runs.last_mut() {
                Some(((_, last), of, same))
                    if *same == value && *of == asked && *last + 1 == *version =>
                {
                    *last = *version;
                }
                _ => runs.push(((*version, *version), asked, value)),
            }
        }
        let lines = runs.iter().map(|((first, last), asked, answer)| {
            let asked = match asked {
                None => String::new(),
                Some((key, None)) => format!("\"api\": {key}, "),
                Some((key, Some(version))) => format!("\"api\": {key}, \"at\": {version}, "),
            };
            format!("\n    {{{asked}\"versions\": [{first}, {last}], \"answer\": {answer}}}")
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
    let number = |value: &Value| value.as_i64().map(|of| i16::try_from(of).expect("16 bits"));
    let expand = |runs: Vec<Value>| {
        let mut versions = BTreeMap::new();
        for run in runs {
            let bound = |at: usize| number(&run["versions"][at]).expect("a version");
            for version in bound(0)..=bound(1) {
                let asked = number(&run["api"])
                    .map(|key| Asked { key, version: number(&run["at"]).unwrap_or(version) });
                versions.insert(version, Answer { asked, value: run["answer"].clone() });
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
            let value =
                |of: &'_ BTreeMap<i16, Answer>| of.get(&version).map(|one| one.value.clone());
            compare(String::new(), value(theirs).as_ref(), value(mine).as_ref(), &mut fields);
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

/// What each step asks for.
fn asked(answers: &Answers) -> Vec<(&str, i16, Option<Asked>)> {
    let steps = answers.iter().flat_map(|(step, versions)| {
        versions.iter().map(|(version, answer)| (step.as_str(), *version, answer.asked))
    });
    steps.collect()
}

/// Fails with every difference that no line of the table allows.
pub fn hold_against_kafka(group: &str, ours: &Answers) {
    let kafkas = read(group);
    assert!(
        asked(&kafkas) == asked(ours),
        "{group}: the script asks otherwise than Kafka was asked: tests/conformance/refresh {group}"
    );
    let all = differences(&kafkas, ours);
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
