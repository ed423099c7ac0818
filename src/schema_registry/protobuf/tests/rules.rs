//! The rules of compatibility as a table: each case is compared both ways.
//!
//! Columns: where the rule is said, the message as it was, as it is, the changes from the one to the other, and back.
//! A change is a kind and a path below the message or file. Sources: `GUIDE` is "Updating A Message Type" of the
//! Protobuf language guide, `WIRE` the guide's page on the encoding, `DOCS` Confluent's "Protobuf compatibility rules",
//! `DIFF` Confluent's own comparison (`protobuf.diff`), where its documentation leaves a case open.

use super::super::{Schema, diff};

const GUIDE: &str = "https://protobuf.dev/programming-guides/proto3/#updating";
const GUIDE2: &str = "https://protobuf.dev/programming-guides/proto2/#updating";
const WIRE: &str = "https://protobuf.dev/programming-guides/encoding/#structure";
const ONEOF: &str = "https://protobuf.dev/programming-guides/proto3/#backward";
const ENUMS: &str = "https://protobuf.dev/programming-guides/proto3/#enum";
const MAPS: &str = "https://protobuf.dev/programming-guides/proto3/#maps";
const DOCS: &str =
    "https://docs.confluent.io/platform/current/schema-registry/fundamentals/schema-evolution.html";
const DIFF: &str = "io.confluent.kafka.schemaregistry.protobuf.diff.SchemaDiff";
const MESSAGE_DIFF: &str = "io.confluent.kafka.schemaregistry.protobuf.diff.MessageSchemaDiff";
const FIELD_DIFF: &str = "io.confluent.kafka.schemaregistry.protobuf.diff.FieldSchemaDiff";

type Case =
    (&'static str, &'static str, &'static str, &'static [&'static str], &'static [&'static str]);

/// Bodies of a message `M` of proto3; paths are below `#/M/`.
const FIELDS: &[Case] = &[
    // Fields come and go.
    (GUIDE, "", "int32 a = 1;", &["FIELD_ADDED 1"], &["FIELD_REMOVED 1"]),
    (GUIDE, "", "repeated string a = 1;", &["FIELD_ADDED 1"], &["FIELD_REMOVED 1"]),
    (GUIDE, "", "map<string, int32> a = 1;", &["FIELD_ADDED 1"], &["FIELD_REMOVED 1"]),
    (DOCS, "int32 a = 1;", "int32 b = 1;", &["FIELD_NAME_CHANGED 1"], &["FIELD_NAME_CHANGED 1"]),
    (
        GUIDE,
        "int32 a = 1;",
        "int32 a = 2;",
        &["FIELD_REMOVED 1", "FIELD_ADDED 2"],
        &["FIELD_ADDED 1", "FIELD_REMOVED 2"],
    ),
    (GUIDE, "int32 a = 1; int32 b = 2;", "int32 b = 2; int32 a = 1;", &[], &[]),
    (
        DIFF,
        "int32 a = 1; int32 b = 2;",
        "int32 b = 1; int32 a = 2;",
        &["FIELD_NAME_CHANGED 1", "FIELD_NAME_CHANGED 2"],
        &["FIELD_NAME_CHANGED 1", "FIELD_NAME_CHANGED 2"],
    ),
    (
        GUIDE,
        "int32 a = 1;",
        "reserved 1; reserved \"a\";",
        &["FIELD_REMOVED 1"],
        &["FIELD_ADDED 1"],
    ),
    (DIFF, "int32 a = 1;", "int32 a = 1 [deprecated = true];", &[], &[]),
    (DIFF, "int32 a = 1;", "int32 a = 1 [json_name = \"b\"];", &[], &[]),
    // Numbers that are all written as a varint.
    (GUIDE, "int32 a = 1;", "int64 a = 1;", &[], &[]),
    (GUIDE, "int32 a = 1;", "uint32 a = 1;", &[], &[]),
    (GUIDE, "int32 a = 1;", "uint64 a = 1;", &[], &[]),
    (GUIDE, "int32 a = 1;", "bool a = 1;", &[], &[]),
    (GUIDE, "int64 a = 1;", "bool a = 1;", &[], &[]),
    (GUIDE, "uint32 a = 1;", "uint64 a = 1;", &[], &[]),
    (GUIDE, "int64 a = 1;", "enum E { A = 0; } E a = 1;", &["ENUM_ADDED E"], &["ENUM_REMOVED E"]),
    (GUIDE, "bool a = 1;", "enum E { A = 0; } E a = 1;", &["ENUM_ADDED E"], &["ENUM_REMOVED E"]),
    (GUIDE, "sint32 a = 1;", "sint64 a = 1;", &[], &[]),
    // Zigzag numbers are written otherwise than plain ones.
    (
        GUIDE,
        "int32 a = 1;",
        "sint32 a = 1;",
        &["FIELD_SCALAR_KIND_CHANGED 1"],
        &["FIELD_SCALAR_KIND_CHANGED 1"],
    ),
    (
        GUIDE,
        "uint64 a = 1;",
        "sint64 a = 1;",
        &["FIELD_SCALAR_KIND_CHANGED 1"],
        &["FIELD_SCALAR_KIND_CHANGED 1"],
    ),
    // Numbers of fixed width.
    (GUIDE, "fixed32 a = 1;", "sfixed32 a = 1;", &[], &[]),
    (GUIDE, "fixed64 a = 1;", "sfixed64 a = 1;", &[], &[]),
    (
        WIRE,
        "fixed32 a = 1;",
        "fixed64 a = 1;",
        &["FIELD_SCALAR_KIND_CHANGED 1"],
        &["FIELD_SCALAR_KIND_CHANGED 1"],
    ),
    (
        WIRE,
        "fixed32 a = 1;",
        "uint32 a = 1;",
        &["FIELD_SCALAR_KIND_CHANGED 1"],
        &["FIELD_SCALAR_KIND_CHANGED 1"],
    ),
    (
        WIRE,
        "sfixed64 a = 1;",
        "int64 a = 1;",
        &["FIELD_SCALAR_KIND_CHANGED 1"],
        &["FIELD_SCALAR_KIND_CHANGED 1"],
    ),
    (
        FIELD_DIFF,
        "float a = 1;",
        "fixed32 a = 1;",
        &["FIELD_SCALAR_KIND_CHANGED 1"],
        &["FIELD_SCALAR_KIND_CHANGED 1"],
    ),
    (
        FIELD_DIFF,
        "double a = 1;",
        "fixed64 a = 1;",
        &["FIELD_SCALAR_KIND_CHANGED 1"],
        &["FIELD_SCALAR_KIND_CHANGED 1"],
    ),
    (
        WIRE,
        "float a = 1;",
        "double a = 1;",
        &["FIELD_SCALAR_KIND_CHANGED 1"],
        &["FIELD_SCALAR_KIND_CHANGED 1"],
    ),
    (
        WIRE,
        "double a = 1;",
        "int64 a = 1;",
        &["FIELD_SCALAR_KIND_CHANGED 1"],
        &["FIELD_SCALAR_KIND_CHANGED 1"],
    ),
    // Text and bytes.
    (GUIDE, "string a = 1;", "bytes a = 1;", &[], &[]),
    (
        WIRE,
        "string a = 1;",
        "int32 a = 1;",
        &["FIELD_SCALAR_KIND_CHANGED 1"],
        &["FIELD_SCALAR_KIND_CHANGED 1"],
    ),
    (
        WIRE,
        "bytes a = 1;",
        "bool a = 1;",
        &["FIELD_SCALAR_KIND_CHANGED 1"],
        &["FIELD_SCALAR_KIND_CHANGED 1"],
    ),
    (
        WIRE,
        "bytes a = 1;",
        "double a = 1;",
        &["FIELD_SCALAR_KIND_CHANGED 1"],
        &["FIELD_SCALAR_KIND_CHANGED 1"],
    ),
    (
        DIFF,
        "string a = 1;",
        "sint64 b = 1;",
        &["FIELD_NAME_CHANGED 1", "FIELD_SCALAR_KIND_CHANGED 1"],
        &["FIELD_NAME_CHANGED 1", "FIELD_SCALAR_KIND_CHANGED 1"],
    ),
    // Labels: Confluent compares them where both are said.
    (FIELD_DIFF, "int32 a = 1;", "optional int32 a = 1;", &[], &[]),
    (FIELD_DIFF, "int32 a = 1;", "repeated int32 a = 1;", &[], &[]),
    (FIELD_DIFF, "string a = 1;", "repeated string a = 1;", &[], &[]),
    (
        GUIDE,
        "optional int32 a = 1;",
        "repeated int32 a = 1;",
        &["FIELD_NUMERIC_LABEL_CHANGED 1"],
        &["FIELD_NUMERIC_LABEL_CHANGED 1"],
    ),
    (
        GUIDE,
        "optional double a = 1;",
        "repeated double a = 1;",
        &["FIELD_NUMERIC_LABEL_CHANGED 1"],
        &["FIELD_NUMERIC_LABEL_CHANGED 1"],
    ),
    (
        GUIDE,
        "optional string a = 1;",
        "repeated string a = 1;",
        &["FIELD_STRING_OR_BYTES_LABEL_CHANGED 1"],
        &["FIELD_STRING_OR_BYTES_LABEL_CHANGED 1"],
    ),
    (
        GUIDE,
        "optional bytes a = 1;",
        "repeated string a = 1;",
        &["FIELD_STRING_OR_BYTES_LABEL_CHANGED 1"],
        &["FIELD_STRING_OR_BYTES_LABEL_CHANGED 1"],
    ),
    (FIELD_DIFF, "message N {} optional N a = 1;", "message N {} repeated N a = 1;", &[], &[]),
    // Kinds of fields.
    (
        WIRE,
        "message N {} N a = 1;",
        "message N {} int32 a = 1;",
        &["FIELD_KIND_CHANGED 1"],
        &["FIELD_KIND_CHANGED 1"],
    ),
    (
        FIELD_DIFF,
        "message N {} N a = 1;",
        "message N {} bytes a = 1;",
        &["FIELD_KIND_CHANGED 1"],
        &["FIELD_KIND_CHANGED 1"],
    ),
    (
        WIRE,
        "map<string, string> a = 1;",
        "string a = 1;",
        &["FIELD_KIND_CHANGED 1"],
        &["FIELD_KIND_CHANGED 1"],
    ),
    (
        FIELD_DIFF,
        "message N {} map<string, N> a = 1;",
        "message N {} repeated N a = 1;",
        &["FIELD_KIND_CHANGED 1"],
        &["FIELD_KIND_CHANGED 1"],
    ),
    (
        DOCS,
        "message N {} message O {} N a = 1;",
        "message N {} message O {} O a = 1;",
        &["FIELD_NAMED_TYPE_CHANGED 1"],
        &["FIELD_NAMED_TYPE_CHANGED 1"],
    ),
    (
        FIELD_DIFF,
        "message N { message P {} } message P {} N.P a = 1;",
        "message N { message P {} } message P {} P a = 1;",
        &["FIELD_NAMED_TYPE_CHANGED 1"],
        &["FIELD_NAMED_TYPE_CHANGED 1"],
    ),
    // Entries of maps are compared by key and value.
    (MAPS, "map<string, int32> a = 1;", "map<string, int64> a = 1;", &[], &[]),
    (MAPS, "map<int32, string> a = 1;", "map<uint64, bytes> a = 1;", &[], &[]),
    (
        MAPS,
        "map<string, int32> a = 1;",
        "map<string, string> a = 1;",
        &["FIELD_SCALAR_KIND_CHANGED 1"],
        &["FIELD_SCALAR_KIND_CHANGED 1"],
    ),
    (
        MAPS,
        "map<int32, string> a = 1;",
        "map<string, string> a = 1;",
        &["FIELD_SCALAR_KIND_CHANGED 1"],
        &["FIELD_SCALAR_KIND_CHANGED 1"],
    ),
    (
        MAPS,
        "message N {} map<string, N> a = 1;",
        "message N {} map<string, int32> a = 1;",
        &["FIELD_KIND_CHANGED 1"],
        &["FIELD_KIND_CHANGED 1"],
    ),
    (
        MAPS,
        "message N {} message O {} map<string, N> a = 1;",
        "message N {} message O {} map<string, O> a = 1;",
        &["FIELD_NAMED_TYPE_CHANGED 1"],
        &["FIELD_NAMED_TYPE_CHANGED 1"],
    ),
    // Oneofs.
    (
        ONEOF,
        "oneof o { int32 a = 1; }",
        "oneof o { int32 a = 1; string b = 2; }",
        &["ONEOF_FIELD_ADDED o/2"],
        &["ONEOF_FIELD_REMOVED o/2"],
    ),
    (
        ONEOF,
        "",
        "oneof o { int32 a = 1; }",
        &["ONEOF_ADDED o", "ONEOF_FIELD_ADDED o/1"],
        &["ONEOF_REMOVED o"],
    ),
    (
        ONEOF,
        "int32 a = 1;",
        "oneof o { int32 a = 1; }",
        &["ONEOF_ADDED o"],
        &["ONEOF_REMOVED o", "ONEOF_FIELD_MOVED_TO_TOP_LEVEL 1"],
    ),
    (
        ONEOF,
        "int32 a = 1;",
        "oneof o { int32 a = 1; int32 b = 2; }",
        &["ONEOF_ADDED o", "ONEOF_FIELD_ADDED o/2"],
        &["ONEOF_REMOVED o", "ONEOF_FIELD_MOVED_TO_TOP_LEVEL 1", "ONEOF_FIELD_REMOVED o/2"],
    ),
    (
        ONEOF,
        "int32 a = 1; int32 b = 2;",
        "oneof o { int32 a = 1; int32 b = 2; }",
        &["MULTIPLE_FIELDS_MOVED_TO_ONEOF o", "ONEOF_ADDED o"],
        &[
            "ONEOF_REMOVED o",
            "ONEOF_FIELD_MOVED_TO_TOP_LEVEL 1",
            "ONEOF_FIELD_MOVED_TO_TOP_LEVEL 2",
        ],
    ),
    (
        ONEOF,
        "int32 a = 1; oneof o { int32 b = 2; }",
        "oneof o { int32 a = 1; int32 b = 2; }",
        &["FIELD_MOVED_TO_EXISTING_ONEOF o"],
        &["ONEOF_FIELD_MOVED_TO_TOP_LEVEL 1"],
    ),
    (
        MESSAGE_DIFF,
        "oneof o { int32 a = 1; } oneof p { int32 b = 2; }",
        "oneof o { int32 a = 1; int32 b = 2; }",
        &["FIELD_MOVED_TO_EXISTING_ONEOF o", "ONEOF_REMOVED p"],
        &["ONEOF_ADDED p"],
    ),
    (
        MESSAGE_DIFF,
        "oneof o { int32 a = 1; int32 b = 2; }",
        "oneof p { int32 a = 1; int32 b = 2; }",
        &["ONEOF_REMOVED o", "ONEOF_ADDED p"],
        &["ONEOF_ADDED o", "ONEOF_REMOVED p"],
    ),
    (
        MESSAGE_DIFF,
        "oneof o { int32 a = 1; }",
        "oneof o { sint32 a = 1; }",
        &["FIELD_SCALAR_KIND_CHANGED o/1"],
        &["FIELD_SCALAR_KIND_CHANGED o/1"],
    ),
    (
        MESSAGE_DIFF,
        "oneof o { int32 a = 1; }",
        "oneof o { int32 b = 1; }",
        &["FIELD_NAME_CHANGED o/1"],
        &["FIELD_NAME_CHANGED o/1"],
    ),
    (
        MESSAGE_DIFF,
        "oneof o { int32 a = 1; int32 b = 2; }",
        "int32 a = 1;",
        &["ONEOF_REMOVED o", "ONEOF_FIELD_MOVED_TO_TOP_LEVEL 1", "ONEOF_FIELD_REMOVED o/2"],
        &["ONEOF_ADDED o", "ONEOF_FIELD_ADDED o/2"],
    ),
    (
        ONEOF,
        "optional int32 a = 1;",
        "oneof o { int32 a = 1; }",
        &["ONEOF_ADDED o"],
        &["ONEOF_REMOVED o", "ONEOF_FIELD_MOVED_TO_TOP_LEVEL 1"],
    ),
    // Enums.
    (
        ENUMS,
        "enum E { A = 0; }",
        "enum E { A = 0; B = 1; }",
        &["ENUM_CONST_ADDED E/1"],
        &["ENUM_CONST_REMOVED E/1"],
    ),
    (
        DIFF,
        "enum E { A = 0; }",
        "enum E { B = 0; }",
        &["ENUM_CONST_CHANGED E/0"],
        &["ENUM_CONST_CHANGED E/0"],
    ),
    (DIFF, "", "enum E { A = 0; }", &["ENUM_ADDED E"], &["ENUM_REMOVED E"]),
    (
        DIFF,
        "enum E { A = 0; B = 1; }",
        "enum E { A = 0; reserved 1; }",
        &["ENUM_CONST_REMOVED E/1"],
        &["ENUM_CONST_ADDED E/1"],
    ),
    // Messages inside.
    (DOCS, "", "message N {}", &["MESSAGE_ADDED N"], &["MESSAGE_REMOVED N"]),
    (
        DOCS,
        "message N {}",
        "message O {}",
        &["MESSAGE_REMOVED N", "MESSAGE_ADDED O"],
        &["MESSAGE_ADDED N", "MESSAGE_REMOVED O"],
    ),
    (
        DIFF,
        "message N {} message O {}",
        "message O {} message N {}",
        &["MESSAGE_MOVED N", "MESSAGE_MOVED O"],
        &["MESSAGE_MOVED N", "MESSAGE_MOVED O"],
    ),
    (
        DIFF,
        "message N { int32 a = 1; }",
        "message N { string a = 1; }",
        &["FIELD_SCALAR_KIND_CHANGED N/1"],
        &["FIELD_SCALAR_KIND_CHANGED N/1"],
    ),
    (
        DIFF,
        "message N { message P {} }",
        "message N { message P { M m = 1; } }",
        &["FIELD_ADDED N/P/1"],
        &["FIELD_REMOVED N/P/1"],
    ),
];

/// Whole files; paths are below `#/`.
const FILES: &[Case] = &[
    (
        DOCS,
        "message M {}",
        "message M {} message N {}",
        &["MESSAGE_ADDED N"],
        &["MESSAGE_REMOVED N"],
    ),
    (
        DIFF,
        "message M {} message N {}",
        "message N {} message M {}",
        &["MESSAGE_MOVED M", "MESSAGE_MOVED N"],
        &["MESSAGE_MOVED M", "MESSAGE_MOVED N"],
    ),
    (
        DIFF,
        "package a; message M {}",
        "package b; message M {}",
        &["PACKAGE_CHANGED "],
        &["PACKAGE_CHANGED "],
    ),
    (DIFF, "message M {}", "package b; message M {}", &["PACKAGE_CHANGED "], &["PACKAGE_CHANGED "]),
    (
        DIFF,
        "package a; message N {} message M { N n = 1; }",
        "package b; message N {} message M { .b.N n = 1; }",
        &["PACKAGE_CHANGED "],
        &["PACKAGE_CHANGED "],
    ),
    (DIFF, "message M { M m = 1; }", "message M { .M m = 1; }", &[], &[]),
    (DIFF, "message M {}", "message M {} service S { rpc Get (M) returns (M); }", &[], &[]),
    (DIFF, "message M {}", "option java_package = \"a\"; message M {}", &[], &[]),
    (
        DIFF,
        "enum E { A = 0; } message M { E e = 1; }",
        "message M { int32 e = 1; }",
        &["ENUM_REMOVED E"],
        &["ENUM_ADDED E"],
    ),
    (
        GUIDE2,
        "syntax = \"proto2\"; message M {}",
        "syntax = \"proto2\"; message M { required int32 a = 1; }",
        &["REQUIRED_FIELD_ADDED M/1"],
        &["REQUIRED_FIELD_REMOVED M/1"],
    ),
    (
        GUIDE2,
        "syntax = \"proto2\"; message M {}",
        "syntax = \"proto2\"; message M { optional int32 a = 1 [default = 7]; }",
        &["FIELD_ADDED M/1"],
        &["FIELD_REMOVED M/1"],
    ),
    (
        GUIDE2,
        "syntax = \"proto2\"; message M { optional int32 a = 1 [default = 7]; }",
        "syntax = \"proto2\"; message M { optional int32 a = 1 [default = 8]; }",
        &[],
        &[],
    ),
    (
        GUIDE2,
        "syntax = \"proto2\"; message M { optional int32 a = 1; }",
        "syntax = \"proto2\"; message M { required int32 a = 1; }",
        &["FIELD_NUMERIC_LABEL_CHANGED M/1"],
        &["FIELD_NUMERIC_LABEL_CHANGED M/1"],
    ),
    (
        GUIDE2,
        "syntax = \"proto2\"; message M { optional string a = 1; }",
        "syntax = \"proto2\"; message M { repeated string a = 1; }",
        &["FIELD_STRING_OR_BYTES_LABEL_CHANGED M/1"],
        &["FIELD_STRING_OR_BYTES_LABEL_CHANGED M/1"],
    ),
    (
        FIELD_DIFF,
        "syntax = \"proto2\"; message M { optional int32 a = 1; }",
        "message M { int32 a = 1; }",
        &[],
        &[],
    ),
    (
        MESSAGE_DIFF,
        "syntax = \"proto2\"; message M { optional group G = 1 { optional int32 a = 2; } }",
        "syntax = \"proto2\"; message M {}",
        &[],
        &[],
    ),
    (
        DIFF,
        "syntax = \"proto2\"; message M { extensions 100 to 199; }",
        "syntax = \"proto2\"; message M { extensions 100 to max; } extend M { optional int32 a = 100; }",
        &[],
        &[],
    ),
];

fn changes(was: &Schema, is: &Schema) -> Vec<String> {
    let compiled = |schema: &Schema| schema.compiled.clone().expect("compiled");
    let changes = diff::compare(&compiled(was), &compiled(is));
    changes.iter().map(|change| format!("{} {}", change.kind.name(), change.path)).collect()
}

fn check(cases: &[Case], wrap: fn(&str) -> String, root: &str) -> usize {
    for (source, was, is, there, back) in cases {
        let parse = |text: &str| {
            Schema::parse(&wrap(text), &[])
                .unwrap_or_else(|error| panic!("{}: {error}", wrap(text)))
        };
        let (old, new) = (parse(was), parse(is));
        for (from, to, expected) in [(&old, &new, there), (&new, &old, back)] {
            let mut expected: Vec<String> = expected
                .iter()
                .map(|change| change.replacen(' ', &format!(" {root}"), 1))
                .collect();
            let mut found = changes(from, to);
            expected.sort();
            found.sort();
            assert_eq!(found, expected, "{source}\n{was}\n{is}");
        }
    }
    cases.len()
}

#[test]
fn changes_are_those_of_the_table_both_ways() {
    let with_syntax = |text: &str| {
        if text.contains("syntax") {
            text.to_owned()
        } else {
            format!("syntax = \"proto3\"; {text}")
        }
    };
    let mut count =
        check(FIELDS, |body| format!("syntax = \"proto3\"; message M {{ {body} }}"), "#/M/");
    count += check(FILES, with_syntax, "#/");
    assert!(count >= 60, "{count} cases");
}

/// Which changes break a reader, after Confluent's `SchemaDiff.COMPATIBLE_CHANGES`.
#[test]
fn only_breaking_changes_are_differences() {
    let breaking = [
        "PACKAGE_CHANGED",
        "MESSAGE_REMOVED",
        "FIELD_KIND_CHANGED",
        "FIELD_SCALAR_KIND_CHANGED",
        "FIELD_NAMED_TYPE_CHANGED",
        "FIELD_NUMERIC_LABEL_CHANGED",
        "REQUIRED_FIELD_ADDED",
        "REQUIRED_FIELD_REMOVED",
        "ONEOF_FIELD_REMOVED",
        "MULTIPLE_FIELDS_MOVED_TO_ONEOF",
        "FIELD_MOVED_TO_EXISTING_ONEOF",
    ];
    let mut seen = std::collections::BTreeSet::new();
    for (_, was, is, there, back) in FIELDS {
        let [was, is] = [was, is].map(|body| {
            Schema::parse(&format!("syntax = \"proto3\"; message M {{ {body} }}"), &[])
                .expect("a schema")
        });
        for (writer, reader, expected) in [(&was, &is, there), (&is, &was, back)] {
            let kinds: Vec<&str> =
                reader.check_reads(writer).iter().map(|difference| difference.kind).collect();
            let mut expected: Vec<&str> =
                expected.iter().filter_map(|change| change.split(' ').next()).collect();
            seen.extend(expected.clone());
            expected.retain(|kind| breaking.contains(kind));
            assert_eq!(kinds.len(), expected.len(), "{kinds:?} {expected:?}");
            assert!(kinds.iter().all(|kind| expected.contains(kind)));
        }
    }
    assert!(seen.len() >= 20, "{seen:?}");
}
