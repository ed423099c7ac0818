//! Payloads as tables, and what they may cost.

use super::super::Schema;

fn schema(text: &str) -> Schema {
    Schema::parse(text, &[]).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn a_payload_is_one_value_and_nothing_more() {
    let record = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"string"},{"name":"b","type":["null","R"]}]}"#;
    let cases: &[(&str, &[u8], &str)] = &[
        ("\"null\"", b"", ""),
        ("\"null\"", b"\0", "byte 0: 1 bytes are left after the value"),
        ("\"boolean\"", b"\x01", ""),
        ("\"boolean\"", b"\x02", "2 is not a boolean"),
        ("\"boolean\"", b"", "byte 0: the payload ends within a value"),
        ("\"int\"", b"\xff\xff\xff\xff\x0f", ""),
        ("\"int\"", b"\x80\x80\x80\x80\x10", "2147483648 is not an int"),
        ("\"long\"", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", ""),
        ("\"long\"", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", "more than 64 bits"),
        ("\"long\"", b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", "more than 64 bits"),
        ("\"long\"", b"\x80", "ends within"),
        ("\"float\"", b"1234", ""),
        ("\"double\"", b"1234567", "ends within"),
        ("\"bytes\"", b"\x04\xff\xfe", ""),
        ("\"bytes\"", b"\x01", "-1 is not a length"),
        ("\"bytes\"", b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", "ends within"),
        ("\"string\"", "\u{4}é".as_bytes(), ""),
        ("\"string\"", b"\x04\xff\xfe", "a string is not UTF-8"),
        (r#"{"type":"fixed","name":"F","size":3}"#, b"123", ""),
        (r#"{"type":"enum","name":"E","symbols":["A","B"]}"#, b"\x02", ""),
        (
            r#"{"type":"enum","name":"E","symbols":["A","B"]}"#,
            b"\x04",
            "an enum of 2 symbols has none at 2",
        ),
        (r#"["null","int"]"#, b"\x02\x02", ""),
        (r#"["null","int"]"#, b"\x04", "a union of 2 types has none at 2"),
        (r#"["null","int"]"#, b"\x01", "has none at -1"),
        (r#"{"type":"array","items":"int"}"#, b"\0", ""),
        (r#"{"type":"array","items":"int"}"#, b"\x04\x02\x02\x02\x02\0", ""),
        (r#"{"type":"array","items":"int"}"#, b"\x03\x04\x02\x02\0", ""),
        (
            r#"{"type":"array","items":"int"}"#,
            b"\x03\x06\x02\x02\0",
            "a block does not have the 3 bytes",
        ),
        (r#"{"type":"map","values":"int"}"#, b"\x02\x02k\x02\0", ""),
        (r#"{"type":"map","values":"int"}"#, b"\x02\x02\xff\x02\0", "not UTF-8"),
        (record, b"\x02a\x02\x02b\x00", ""),
        (record, b"\x02a\x02\x02b", "ends within"),
    ];
    for (text, payload, expected) in cases {
        let message = schema(text)
            .validate_payload(payload)
            .map_or_else(|error| error.message, |()| String::new());
        assert!(
            message.contains(expected) && message.is_empty() == expected.is_empty(),
            "{text} {payload:?}: {message}"
        );
    }
}

#[test]
fn payloads_cost_no_more_than_their_length() {
    let nulls = schema(r#"{"type":"array","items":"null"}"#);
    let error = nulls.validate_payload(b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\0");
    assert!(error.expect_err("too many").message.contains("too many values"));

    // A record that holds itself, and one that holds two of the next, have no bytes at all.
    let endless = schema(r#"{"type":"record","name":"R","fields":[{"name":"f","type":"R"}]}"#);
    assert!(endless.validate_payload(b"").expect_err("endless").message.contains("nest deeper"));
    let records = (0..40).map(|at| {
        let next = if at == 0 { "\"null\"".to_owned() } else { format!("\"R{}\"", at - 1) };
        format!(
            r#"{{"name":"f{at}","type":{{"type":"record","name":"R{at}","fields":[{{"name":"a","type":{next}}},{{"name":"b","type":{next}}}]}}}}"#
        )
    });
    let fields: Vec<String> = records.collect();
    let doubling =
        schema(&format!(r#"{{"type":"record","name":"R","fields":[{}]}}"#, fields.join(",")));
    assert!(doubling.validate_payload(b"").expect_err("2^40 nulls").message.contains("too many"));

    let list =
        schema(r#"{"type":"record","name":"R","fields":[{"name":"next","type":["null","R"]}]}"#);
    let chain = |length| [vec![2; length], vec![0]].concat();
    assert_eq!(list.validate_payload(&chain(499)), Ok(()));
    assert!(
        list.validate_payload(&chain(100_000)).expect_err("deep").message.contains("nest deeper")
    );
}
