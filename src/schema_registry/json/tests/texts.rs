//! Texts in, canonical and normal texts out; references; records.

use super::super::Schema;
use crate::schema_registry::format::ResolvedReference;

fn parse(text: &str) -> Schema {
    Schema::parse(text, &[]).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn error(text: &str) -> String {
    Schema::parse(text, &[]).expect_err("no schema").message
}

fn reference(name: &str, schema: &str) -> ResolvedReference {
    ResolvedReference { name: name.into(), schema: schema.into() }
}

/// As Jackson prints a node that it has read with exact decimals.
#[test]
fn canonical_text_keeps_order_and_numbers() {
    for (text, expected) in [
        (" { \"type\" : \"string\" ,\n \"a\":[ 1 , 2 ] } ", r#"{"type":"string","a":[1,2]}"#),
        (r#"{"title":"b","description":"a","title":"c"}"#, r#"{"title":"c","description":"a"}"#),
        (r#"{"default":1.10}"#, r#"{"default":1.10}"#),
        (r#"{"default":1e2}"#, r#"{"default":1E+2}"#),
        (r#"{"default":1.5E3}"#, r#"{"default":1.5E+3}"#),
        (r#"{"default":0.00000012}"#, r#"{"default":1.2E-7}"#),
        (r#"{"default":0.000001}"#, r#"{"default":0.000001}"#),
        (r#"{"default":-0}"#, r#"{"default":0}"#),
        (r#"{"default":-0.0}"#, r#"{"default":0.0}"#),
        (
            r#"{"default":123456789012345678901234567890}"#,
            r#"{"default":123456789012345678901234567890}"#,
        ),
        (
            r#"{"default":"\u00e9\/\u001f\u007f\ud83d\ude00\""}"#,
            "{\"default\":\"\u{e9}/\\u001F\u{7f}\u{1f600}\\\"\"}",
        ),
        ("true", "true"),
        ("{}", "{}"),
    ] {
        assert_eq!(parse(text).canonical(), expected, "{text}");
        assert_eq!(parse(expected).canonical(), expected);
    }
}

#[test]
fn normal_text_sorts_members_at_every_depth() {
    let text = r#"{"type":"object","properties":{"b":{"type":"string","maxLength":2},"a":{}},"allOf":[{"b":1,"a":2}]}"#;
    let expected = r#"{"allOf":[{"a":2,"b":1}],"properties":{"a":{},"b":{"maxLength":2,"type":"string"}},"type":"object"}"#;
    assert_eq!(parse(text).normalized(), expected);
    assert_eq!(parse(expected).normalized(), expected);
    // Java compares names by their 16-bit units.
    assert_eq!(
        parse("{\"\u{ff21}\":1,\"\u{1f600}\":2}").normalized(),
        "{\"\u{1f600}\":2,\"\u{ff21}\":1}"
    );
}

#[test]
fn what_is_no_schema_is_told() {
    for (text, expected) in [
        ("", "not JSON: line 1, column 1: expected a value"),
        ("{\n \"a\" 1}", "not JSON: line 2, column 6: expected `:`"),
        ("{} x", "not JSON: line 1, column 4: more than one value"),
        ("[]", "a schema is an object or a boolean"),
        ("\"string\"", "a schema is an object or a boolean"),
        (r#"{"a":01}"#, "not JSON: line 1, column 8: a number begins with a zero"),
        (r#"{"a":"\ud800"}"#, "not JSON: line 1, column 13: an escape is half of a surrogate pair"),
        (r#"{"a":"\u12"}"#, "not JSON: line 1, column 9: an escape needs four hexadecimal digits"),
        ("{\"a\":\"\u{1}\"}", "not JSON: line 1, column 8: a control character stands in a string"),
        (r#"{"a":NaN}"#, "not JSON: line 1, column 6: expected a value"),
        (r##"{"$ref":"#/definitions/None"}"##, "`$ref` #/definitions/None leads nowhere"),
        (
            r#"{"$ref":"http://example.com/a.json"}"#,
            "`$ref` http://example.com/a.json leads nowhere",
        ),
    ] {
        assert_eq!(error(text), expected, "{text}");
    }
    for text in [
        r#"{"type":"text"}"#,
        r#"{"type":5}"#,
        r#"{"maxLength":-1}"#,
        r#"{"required":"a"}"#,
        r#"{"properties":{"a":1}}"#,
        r#"{"pattern":"("}"#,
        r#"{"$schema":"http://json-schema.org/draft-04/schema#","exclusiveMaximum":true}"#,
    ] {
        assert!(Schema::parse(text, &[]).is_err(), "{text}");
    }
}

#[test]
fn each_draft_has_its_own_words() {
    let held = |text: &str, payload: &str| parse(text).validate_payload(payload.as_bytes()).is_ok();
    let four = r#"{"$schema":"http://json-schema.org/draft-04/schema#","maximum":5,"exclusiveMaximum":true}"#;
    assert!(held(four, "4") && !held(four, "5"));
    let six =
        r#"{"$schema":"http://json-schema.org/draft-06/schema#","exclusiveMaximum":5,"const":4}"#;
    assert!(held(six, "4") && !held(six, "5"));
    let seven = r#"{"if":{"type":"string"},"then":{"maxLength":1}}"#;
    assert!(held(seven, "\"a\"") && !held(seven, "\"ab\""));
    let y2019 = r#"{"$schema":"https://json-schema.org/draft/2019-09/schema","dependentRequired":{"a":["b"]}}"#;
    assert!(held(y2019, "{\"b\":1}") && !held(y2019, "{\"a\":1}"));
    let y2020 = r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","prefixItems":[{"type":"string"}],"items":false}"#;
    assert!(held(y2020, "[\"a\"]") && !held(y2020, "[1]") && !held(y2020, "[\"a\",1]"));
    // A draft that nobody knows is taken for draft 7, as Confluent takes it.
    assert!(held(r#"{"$schema":"http://example.com/mine#","type":"string"}"#, "\"a\""));
    // An exclusive bound of draft 4 and one of later drafts are compared alike.
    let kinds = |writer: &str, reader: &str| -> Vec<&str> {
        parse(reader).check_reads(&parse(writer)).iter().map(|difference| difference.kind).collect()
    };
    let plain = r#"{"$schema":"http://json-schema.org/draft-04/schema#","maximum":5}"#;
    assert_eq!(kinds(plain, four), ["EXCLUSIVE_MAXIMUM_ADDED"]);
}

#[test]
fn references_are_found_by_name_id_pointer_and_anchor() {
    let address = reference(
        "address.json",
        r#"{"type":"object","properties":{"zip":{"$ref":"zip.json#/definitions/zip"}}}"#,
    );
    let zip = reference("zip.json", r#"{"definitions":{"zip":{"type":"string","maxLength":5}}}"#);
    for text in [
        r#"{"properties":{"a":{"$ref":"address.json"}}}"#,
        r#"{"$id":"http://example.com/order.json","properties":{"a":{"$ref":"address.json"}}}"#,
        r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","properties":{"a":{"$ref":"address.json"}}}"#,
    ] {
        let schema = Schema::parse(text, &[zip.clone(), address.clone()]).expect(text);
        assert_eq!(schema.validate_payload(br#"{"a":{"zip":"12345"}}"#), Ok(()), "{text}");
        let error =
            schema.validate_payload(br#"{"a":{"zip":"123456"}}"#).expect_err("too long").message;
        assert!(error.starts_with("at '#/a/zip': "), "{error}");
        // What differs in a reference is a difference of what refers to it.
        let narrower =
            reference("zip.json", r#"{"definitions":{"zip":{"type":"string","maxLength":4}}}"#);
        let reader = Schema::parse(text, &[narrower, address.clone()]).expect(text);
        let found = reader.check_reads(&schema);
        assert_eq!(found[0].path, "#/properties/a/properties/zip/maxLength");
        assert_eq!(found[0].kind, "MAX_LENGTH_DECREASED");
    }
    for text in [
        r##"{"$ref":"#/definitions/a%20b~1c","definitions":{"a b/c":{"type":"string"}}}"##,
        r##"{"$ref":"#here","definitions":{"x":{"$id":"#here","type":"string"}}}"##,
        r##"{"$id":"http://e.com/r.json","$ref":"s.json","definitions":{"x":{"$id":"s.json","type":"string"}}}"##,
        r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","$ref":"#h","$defs":{"x":{"$anchor":"h","type":"string"}}}"##,
        r##"{"$ref":"#/$defs/x","definitions":{"x":{"type":"string"}}}"##,
    ] {
        let schema = parse(text);
        assert!(
            schema.validate_payload(b"\"a\"").is_ok() && schema.validate_payload(b"1").is_err(),
            "{text}"
        );
        assert!(parse(r#"{"type":"string"}"#).check_reads(&schema).is_empty(), "{text}");
    }
    let named = reference("http://example.com/a.json", r#"{"type":"integer"}"#);
    let schema =
        Schema::parse(r#"{"$ref":"http://example.com/a.json"}"#, &[named]).expect("by its address");
    assert!(schema.validate_payload(b"1").is_ok() && schema.validate_payload(b"1.5").is_err());
}

#[test]
fn records_are_held_against_the_schema() {
    let schema = parse(
        r#"{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"],"additionalProperties":false}"#,
    );
    assert_eq!(schema.validate_payload(b" {\"n\": 1}\n"), Ok(()));
    for (payload, expected) in [
        (&b""[..], "not JSON"),
        (b"{\"n\":1", "not JSON"),
        (b"{\"n\":\"\xff\"}", "not JSON"),
        (b"{\"n\":1} {}", "not JSON"),
        (b"{\"n\":\"a\"}", "at '#/n': "),
        (b"{}", "at '#': "),
        (b"{\"n\":1,\"m\":1}", "at '#': "),
    ] {
        let error = schema.validate_payload(payload).expect_err("it does not fit").message;
        assert!(error.starts_with(expected), "{error}");
    }
}
