//! Comparisons as tables, and how they are bounded.

use super::super::{Schema, compat, describe};
use super::field;

fn differences(reader: &str, writer: &str) -> Vec<String> {
    let parse =
        |text: &str| Schema::parse(text, &[]).unwrap_or_else(|error| panic!("{text}: {error}"));
    let found = parse(reader).check_reads(&parse(writer));
    found
        .into_iter()
        .map(|found| format!("{} {} {}", found.kind, found.path, found.message))
        .collect()
}

fn named(kind: &str, name: &str, rest: &str) -> String {
    format!("{{\"type\":\"{kind}\",\"name\":\"{name}\",{rest}}}")
}

fn check(cases: &[(String, String, &[&str])]) {
    for (reader, writer, expected) in cases {
        assert_eq!(differences(reader, writer), *expected, "{reader} {writer}");
        let is_ambiguous = expected.iter().any(|found| found.starts_with(compat::AMBIGUOUS));
        assert!(is_ambiguous || differences(reader, reader).is_empty(), "{reader} reads itself");
    }
}

#[test]
fn differences_are_javas() {
    let enumeration = |name, symbols| named("enum", name, &format!("\"symbols\":{symbols}"));
    let cases: &[(String, String, &[&str])] = &[
        ("\"long\"".into(), "\"int\"".into(), &[]),
        ("\"float\"".into(), "\"long\"".into(), &[]),
        ("\"double\"".into(), "\"float\"".into(), &[]),
        ("\"bytes\"".into(), "\"string\"".into(), &[]),
        ("\"string\"".into(), "\"bytes\"".into(), &[]),
        (
            "\"int\"".into(),
            "\"long\"".into(),
            &["TYPE_MISMATCH / reader type: INT not compatible with writer type: LONG"],
        ),
        (
            r#"{"type":"array","items":"int"}"#.into(),
            r#"{"type":"array","items":{"type":"map","values":"int"}}"#.into(),
            &["TYPE_MISMATCH /items reader type: INT not compatible with writer type: MAP"],
        ),
        (
            enumeration("E", r#"["A"]"#),
            enumeration("n.F", r#"["C","A","B"]"#),
            &["NAME_MISMATCH /name expected: n.F", "MISSING_ENUM_SYMBOLS /symbols [B, C]"],
        ),
        // Names are compared without their namespace, aliases with it.
        (
            named("enum", "E", r#""symbols":["A"],"default":"A","aliases":["n.F"]"#),
            enumeration("n.F", r#"["B"]"#),
            &[],
        ),
        (enumeration("m.E", "[]"), enumeration("n.E", "[]"), &[]),
        (
            named("fixed", "F", "\"size\":4"),
            named("fixed", "F", "\"size\":8"),
            &["FIXED_SIZE_MISMATCH /size expected: 8, found: 4"],
        ),
    ];
    check(cases);
}

#[test]
fn differences_of_unions_and_records_are_javas() {
    let cases: &[(String, String, &[&str])] = &[
        (r#"["int","string"]"#.into(), r#"["string","int"]"#.into(), &[]),
        (
            r#"["int","string"]"#.into(),
            r#"["long","string","null"]"#.into(),
            &[
                "MISSING_UNION_BRANCH /0 reader union lacking writer type: LONG",
                "MISSING_UNION_BRANCH /2 reader union lacking writer type: NULL",
            ],
        ),
        (
            "\"long\"".into(),
            r#"["int","string"]"#.into(),
            &["TYPE_MISMATCH /1 reader type: LONG not compatible with writer type: STRING"],
        ),
        (r#"["null","long"]"#.into(), "\"int\"".into(), &[]),
        (
            field(r#""type":"int""#).replace("\"f\"", "\"g\""),
            field(r#""type":"int""#),
            &["READER_FIELD_MISSING_DEFAULT_VALUE /fields/0 g"],
        ),
        (
            field(r#""type":"int","default":1"#).replace("\"f\"", "\"g\""),
            field(r#""type":"int""#),
            &[],
        ),
        (
            field(r#""type":"int","aliases":["f"]"#).replace("\"name\":\"f\"", "\"name\":\"g\""),
            field(r#""type":"int""#),
            &[],
        ),
        (
            field(r#""type":"int","aliases":["f"]"#),
            field(r#""type":"int""#),
            &[
                "READER_FIELD_AMBIGUOUS /fields/0 the field f has the names of several fields in the writer's record R",
            ],
        ),
        // An enum's default passes for the field's.
        (
            field(r#""type":{"type":"enum","name":"E","symbols":["A"],"default":"A"}"#)
                .replace("\"f\"", "\"g\""),
            field(r#""type":"int""#),
            &[
                "TYPE_MISMATCH /fields/0/type reader type: ENUM not compatible with writer type: RECORD",
            ],
        ),
        // Recursive types are compatible unless something in them is not.
        (field(r#""type":["null","R"]"#), field(r#""type":["R","null"]"#), &[]),
        (
            field(r#""type":{"type":"array","items":"R"}"#),
            field(r#""type":{"type":"array","items":{"type":"record","name":"S","fields":[]}}"#),
            &[
                "NAME_MISMATCH /fields/0/type/items/name expected: S",
                "READER_FIELD_MISSING_DEFAULT_VALUE /fields/0/type/items/fields/0 f",
            ],
        ),
    ];
    check(cases);
}

/// Records in a ring, each holding the next.
fn ring(length: usize, last: &str) -> String {
    let records = (0..length).rev().map(|at| {
        let next = if at == 0 { length - 1 } else { at - 1 };
        format!(
            r#"{{"type":"record","name":"R{at}","aliases":["any"],"fields":[{{"name":"f","type":"R{next}"}},{{"name":"x","type":{last}}}]}}"#
        )
    });
    let records: Vec<String> = records.collect();
    // Each name is used before its definition, but not so that all nest.
    let arrays = records.iter().rev().map(|record| record.to_owned());
    format!("[{}]", arrays.collect::<Vec<_>>().join(","))
}

#[test]
fn comparisons_are_bounded() {
    let found = differences(&ring(97, "\"int\""), &ring(89, "\"int\""));
    assert!(found.iter().any(|found| found.starts_with(compat::TOO_LARGE)), "{found:?}");

    // Each record holds the next twice: the one difference at the end counts 2^30 times.
    let doubling = |last: &str| {
        let records = (0..30).map(|at| {
            let next = if at == 0 { last.to_owned() } else { format!("\"R{}\"", at - 1) };
            format!(
                r#"{{"type":"record","name":"R{at}","fields":[{{"name":"a","type":{next}}},{{"name":"b","type":{next}}}]}}"#
            )
        });
        let fields = records
            .enumerate()
            .map(|(at, record)| format!("{{\"name\":\"f{at}\",\"type\":{record}}}"));
        format!(
            r#"{{"type":"record","name":"R","fields":[{}]}}"#,
            fields.collect::<Vec<_>>().join(",")
        )
    };
    let found = differences(&doubling("\"int\""), &doubling("\"string\""));
    assert_eq!(found.len(), 1000);
    assert!(found[0].starts_with("TYPE_MISMATCH /fields/0/type/fields/0/type"), "{}", found[0]);
}

#[test]
fn a_difference_is_told_as_confluent_tells_it() {
    let parse = |text: &str| Schema::parse(text, &[]).expect("a schema");
    let found = parse(&field(r#""type":"int""#)).check_reads(&parse(&field(r#""type":"long""#)));
    assert_eq!(
        describe(&found[0], "new", "old"),
        "{errorType:'TYPE_MISMATCH', description:'The type (path '/fields/0/type') of a field in the new schema does \
         not match with the old schema', additionalInfo:'reader type: INT not compatible with writer type: LONG'}"
    );
}
