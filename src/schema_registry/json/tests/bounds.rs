//! Hostile input: an error or a schema, on a small stack, in time and memory that its length bounds.

use std::fmt::Write as _;

use super::super::{Schema, TEXT_BYTES_MAX};
use crate::schema_registry::format::ResolvedReference;

/// The stack of a worker thread.
const STACK_BYTES: usize = 2 << 20;

fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(test);
    thread.expect("a thread").join().expect("it ends well");
}

fn error(text: &str) -> String {
    Schema::parse(text, &[]).expect_err("no schema").message
}

/// Definitions `d0`, `d1`, ... of which each says `body` of the next; the last is a string.
fn chain(length: usize, body: impl Fn(&str) -> String) -> String {
    let mut text = String::from("{\"$ref\":\"#/definitions/d0\",\"definitions\":{");
    for number in 0..length {
        let next = body(&format!("{{\"$ref\":\"#/definitions/d{}\"}}", number + 1));
        let _ = write!(text, "\"d{number}\":{next},");
    }
    let _ = write!(text, "\"d{length}\":{{\"type\":\"string\"}}}}}}");
    text
}

#[test]
fn nesting_has_a_bound() {
    on_a_small_stack(|| {
        for open in ["[", "{\"a\":", "{\"not\":", "{\"items\":[", "{\"properties\":{\"a\":"] {
            assert!(error(&open.repeat(10_000)).ends_with("values are nested more than 128 deep"));
        }
        let deep = format!("{}{}{}", "{\"items\":".repeat(120), "true", "}".repeat(120));
        let schema = Schema::parse(&deep, &[]).expect("within the bound");
        assert_eq!(
            schema.check_reads(&Schema::parse(&schema.normalized(), &[]).expect("again")),
            []
        );
        let payload = format!("{}1{}", "[".repeat(120), "]".repeat(120));
        assert_eq!(schema.validate_payload(payload.as_bytes()), Ok(()));
        assert!(schema.validate_payload("[".repeat(10_000).as_bytes()).is_err());
    });
}

#[test]
fn length_has_a_bound() {
    assert!(error(&" ".repeat(10 << 20)).starts_with("the schema has more than"));
    let reference = ResolvedReference { name: "a".into(), schema: " ".repeat(10 << 20) };
    let error = Schema::parse("{}", &[reference]).expect_err("too long").message;
    assert!(error.starts_with("reference a: the schema has more than"));
}

#[test]
fn a_long_schema_is_parsed_printed_and_compared() {
    on_a_small_stack(|| {
        let mut text = String::from("{\"properties\":{\"a\":true");
        let mut number = 0;
        while text.len() < 128 << 10 {
            let _ = write!(
                text,
                ",\"p{number}\":{{\"type\":[\"string\",\"null\"],\"enum\":[\"a\",{number}]}}"
            );
            number += 1;
        }
        text.push_str("}}");
        assert!(text.len() < TEXT_BYTES_MAX);
        let schema = Schema::parse(&text, &[]).expect("a schema");
        let again = Schema::parse(&schema.normalized(), &[]).expect("its normal text");
        assert_eq!(again.check_reads(&schema), []);
    });
}

#[test]
fn references_in_circles_end() {
    on_a_small_stack(|| {
        for circle in [
            r##"{"$ref":"#"}"##,
            r##"{"allOf":[{"$ref":"#"}]}"##,
            r##"{"anyOf":[{"type":"null"},{"not":{"$ref":"#"}}]}"##,
            r##"{"$ref":"#/definitions/a","definitions":{"a":{"$ref":"#/definitions/b"},"b":{"$ref":"#/definitions/a"}}}"##,
            r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","$dynamicRef":"#"}"##,
            r##"{"dependencies":{"a":{"$ref":"#"}}}"##,
        ] {
            assert!(error(circle).starts_with("a schema refers to itself"), "{circle}");
        }
        // Into the value, a schema may refer to itself.
        let tree = Schema::parse(
            r##"{"properties":{"l":{"$ref":"#"},"r":{"$ref":"#"}},"additionalProperties":false}"##,
            &[],
        );
        let tree = tree.expect("a schema");
        let payload = format!("{}{{}}{}", "{\"l\":{},\"r\":".repeat(100), "}".repeat(100));
        assert_eq!(tree.validate_payload(payload.as_bytes()), Ok(()));
        assert!(tree.validate_payload(br#"{"l":{"r":{"x":1}}}"#).is_err());
        assert_eq!(tree.check_reads(&tree), []);
        let references = [
            ResolvedReference {
                name: "a.json".into(),
                schema: r#"{"items":{"$ref":"b.json"}}"#.into(),
            },
            ResolvedReference {
                name: "b.json".into(),
                schema: r#"{"items":{"$ref":"a.json"}}"#.into(),
            },
        ];
        let both =
            Schema::parse(r#"{"$ref":"a.json"}"#, &references).expect("they go into the value");
        assert_eq!(both.validate_payload(b"[[[[]]]]"), Ok(()));
    });
}

#[test]
fn references_that_double_are_refused_or_shared() {
    on_a_small_stack(|| {
        let all = chain(60, |next| format!("{{\"allOf\":[{next},{next}]}}"));
        assert!(error(&all).ends_with("schemas apply to one value"));
        let any = chain(60, |next| format!("{{\"anyOf\":[{next},{next},{{\"not\":{next}}}]}}"));
        assert!(error(&any).ends_with("schemas apply to one value"));
        // Into the value, each definition is compiled and compared once.
        let wide = chain(60, |next| format!("{{\"properties\":{{\"a\":{next},\"b\":{next}}}}}"));
        let old = Schema::parse(&wide, &[]).expect("a schema");
        let new = Schema::parse(&wide.replace("\"string\"", "\"number\""), &[]).expect("a schema");
        assert!(!new.check_reads(&old).is_empty());
        assert_eq!(old.check_reads(&old), []);
    });
}

#[test]
fn long_chains_of_references_need_no_stack() {
    on_a_small_stack(|| {
        let deep = chain(3_900, |next| format!("{{\"properties\":{{\"a\":{next}}}}}"));
        let schema = Schema::parse(&deep, &[]).expect("a schema");
        assert_eq!(schema.check_reads(&schema), []);
        assert_eq!(schema.validate_payload(br#"{"a":{"a":{}}}"#), Ok(()));
        let deeper = chain(6_000, |next| format!("{{\"properties\":{{\"a\":{next}}}}}"));
        assert!(error(&deeper).starts_with("references lead to more than"));
        let straight = chain(1_000, str::to_owned);
        assert!(error(&straight).ends_with("nested more than 256 deep"));
        // Where one value is under many schemas at every depth, the thread's stack is not relied on.
        let levels = chain(80, |next| format!("{{\"allOf\":[{{\"allOf\":[{next}]}}]}}"));
        let nested = format!(
            "{{\"items\":{{\"$ref\":\"#\"}},{}",
            &levels[levels.find("\"definitions\"").expect("there")..]
        );
        let nested = nested.replacen(
            "{\"items\"",
            "{\"allOf\":[{\"$ref\":\"#/definitions/d1\"}],\"items\"",
            1,
        );
        let nested = nested.replace("{\"type\":\"string\"}", "{\"minItems\":0}");
        let schema = Schema::parse(&nested, &[]).expect("a schema");
        let payload = format!("{}{}", "[".repeat(120), "]".repeat(120));
        assert_eq!(schema.validate_payload(payload.as_bytes()), Ok(()));
    });
}

#[test]
fn patterns_that_go_back_have_a_bound() {
    let schema = Schema::parse(r#"{"pattern":"^(a|a)*(?=b)\\1c$"}"#, &[]).expect("a schema");
    let payload = format!("\"{}\"", "a".repeat(5_000));
    assert!(schema.validate_payload(payload.as_bytes()).is_err());
    let huge = Schema::parse(r#"{"pattern":"((((a{1000}){1000}){1000}){1000}){1000}"}"#, &[]);
    assert!(huge.is_err());
}

#[test]
fn combinations_of_many_are_compared_in_bounds() {
    let many = |from: usize| {
        let all: Vec<String> =
            (from..from + 300).map(|number| format!("{{\"const\":{number}}}")).collect();
        Schema::parse(&format!("{{\"oneOf\":[{}]}}", all.join(",")), &[]).expect("a schema")
    };
    assert_eq!(many(0).check_reads(&many(0)), []);
    let found = many(1).check_reads(&many(0));
    assert_eq!(found[0].kind, "COMBINED_TYPE_SUBSCHEMAS_CHANGED");
}
