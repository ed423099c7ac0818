//! The rules of compatibility as a table, `rules.txt`: each case is compared both ways.

use std::collections::{BTreeMap, BTreeSet};

use super::super::Schema;

struct Case {
    source: String,
    was: Schema,
    is: Schema,
    there: Vec<String>,
    back: Vec<String>,
}

fn cases() -> Vec<Case> {
    let mut sources: BTreeMap<&str, &str> = BTreeMap::new();
    let mut draft = "";
    let mut cases = Vec::new();
    for block in include_str!("rules.txt").split("\n\n") {
        let lines: Vec<&str> = block.lines().filter(|line| !line.starts_with('#')).collect();
        for line in &lines {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["source", name, ..] => {
                    sources.insert(name, line);
                }
                ["draft", address] => draft = address,
                _ => {}
            }
        }
        if let [name, was, is, there, back] = lines[..]
            && there.starts_with("->")
        {
            let source = sources[name].to_owned();
            let [was, is] = [was, is].map(|text| schema(text, draft));
            cases.push(Case { source, was, is, there: changes(there), back: changes(back) });
        }
    }
    cases
}

fn schema(text: &str, draft: &str) -> Schema {
    let rest = text
        .strip_prefix('{')
        .map(|rest| if rest == "}" { rest.to_owned() } else { format!(",{rest}") });
    let text =
        rest.map_or_else(|| text.to_owned(), |rest| format!("{{\"$schema\":\"{draft}\"{rest}"));
    Schema::parse(&text, &[]).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn changes(line: &str) -> Vec<String> {
    let mut changes: Vec<String> = line[2..]
        .split(',')
        .map(str::trim)
        .filter(|change| !change.is_empty())
        .map(str::to_owned)
        .collect();
    changes.sort();
    changes
}

fn found(writer: &Schema, reader: &Schema) -> Vec<String> {
    let changes = reader.changes_from(writer);
    let mut words: Vec<String> = changes
        .iter()
        .map(|change| {
            format!("{} {}", change.kind, change.path.trim_start_matches("#/")).trim().to_owned()
        })
        .collect();
    words.sort();
    words
}

#[test]
fn changes_are_those_of_the_table_both_ways() {
    let cases = cases();
    assert!(cases.len() >= 150, "{} cases", cases.len());
    for case in &cases {
        let shown = format!("{}\n{}\n{}", case.source, case.was.canonical(), case.is.canonical());
        assert_eq!(found(&case.was, &case.is), case.there, "{shown}");
        assert_eq!(found(&case.is, &case.was), case.back, "back: {shown}");
        assert_eq!(case.was.check_reads(&case.was), [], "{shown}");
    }
}

/// Confluent's `SchemaDiff.COMPATIBLE_CHANGES_STRICT`, by what the names of kinds have in common.
#[test]
fn only_breaking_changes_are_differences() {
    let breaks = |kind: &str| match kind {
        "TYPE_EXTENDED"
        | "SUM_TYPE_EXTENDED"
        | "COMBINED_TYPE_EXTENDED"
        | "ENUM_ARRAY_EXTENDED" => false,
        "PRODUCT_TYPE_NARROWED" | "NOT_TYPE_NARROWED" | "DEPENDENCY_ARRAY_NARROWED" => false,
        "TITLE_CHANGED" | "DESCRIPTION_CHANGED" | "DEFAULT_CHANGED" | "ID_CHANGED" => false,
        _ if kind.contains("CONTENT_MODEL") => {
            let covered = kind.contains("_IS_COVERED_")
                || kind.contains("_WITH_EMPTY_")
                || kind.contains("_WITH_FALSE_");
            let closed = kind == "ITEM_ADDED_TO_CLOSED_CONTENT_MODEL"
                || kind.starts_with("OPTIONAL_PROPERTY_ADDED_TO_UN");
            let default = kind == "REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_UNOPEN_CONTENT_MODEL";
            !(covered || closed || default || kind.ends_with("_REMOVED_FROM_OPEN_CONTENT_MODEL"))
        }
        _ if kind.starts_with("ADDITIONAL_") || kind.starts_with("UNEVALUATED_") => {
            kind.ends_with("_REMOVED") || kind.ends_with("_NARROWED")
        }
        "REQUIRED_ATTRIBUTE_WITH_DEFAULT_ADDED" => false,
        _ if kind.ends_with("_REMOVED") || kind.ends_with("_REDUCED") => false,
        _ if kind.starts_with("MAX") || kind.starts_with("EXCLUSIVE_MAX") => {
            !kind.ends_with("_INCREASED")
        }
        _ if kind.starts_with("MIN") || kind.starts_with("EXCLUSIVE_MIN") => {
            !kind.ends_with("_DECREASED")
        }
        _ => true,
    };
    let mut seen = BTreeSet::new();
    for case in cases() {
        for (writer, reader, changes) in
            [(&case.was, &case.is, &case.there), (&case.is, &case.was, &case.back)]
        {
            let kinds = changes
                .iter()
                .map(|change| change.split(' ').next().unwrap_or_default().to_owned());
            let mut expected: Vec<String> = kinds.collect();
            seen.extend(expected.clone());
            expected.retain(|kind| breaks(kind));
            let mut found: Vec<&str> =
                reader.check_reads(writer).iter().map(|difference| difference.kind).collect();
            found.sort_unstable();
            assert_eq!(found, expected, "{}\n{}", writer.canonical(), reader.canonical());
        }
    }
    assert!(seen.len() >= 85, "{} kinds: {seen:?}", seen.len());
}
