//! Texts as tables: what is read, what is refused, what is written.

mod compat;
mod payload;

use super::*;

fn reference(schema: &str) -> ResolvedReference {
    ResolvedReference { name: "a name".to_owned(), schema: schema.to_owned() }
}

fn canonical(text: &str) -> String {
    Schema::parse(text, &[]).unwrap_or_else(|error| panic!("{text}: {error}")).canonical()
}

fn refusal(text: &str) -> String {
    let parsed = Schema::parse(text, &[]).map(|schema| schema.canonical());
    parsed.expect_err("it is no schema").message
}

/// A record with one field.
fn field(inside: &str) -> String {
    format!("{{\"type\":\"record\",\"name\":\"R\",\"fields\":[{{\"name\":\"f\",{inside}}}]}}")
}

#[test]
fn canonical_text_is_javas() {
    let cases = [
        ("\"int\"", "\"int\""),
        (" { \"type\" : \"int\" } ", "\"int\""),
        (
            r#"{"type":"int","b":1,"a":[{}],"doc":"x","name":"y"}"#,
            r#"{"type":"int","b":1,"a":[{}]}"#,
        ),
        (
            r#"["null",{"type":"map","values":"long"}]"#,
            r#"["null",{"type":"map","values":"long"}]"#,
        ),
        (
            r#"{"name":"a.b.E","type":"enum","x":1,"aliases":["F","c.G"],"default":"A","symbols":["A"],"doc":"d"}"#,
            r#"{"type":"enum","name":"E","namespace":"a.b","doc":"d","symbols":["A"],"default":"A","x":1,"aliases":["F","c.G"]}"#,
        ),
        (
            r#"{"type":"fixed","name":"F","namespace":"","size":4,"default":"kept"}"#,
            r#"{"type":"fixed","name":"F","size":4,"default":"kept"}"#,
        ),
        (
            r#"{"type":"error","name":"n.R","fields":[{"type":["null","R"],"default":null,"order":"Ignore","p":{"z":1,"a":2},"aliases":["g"],"doc":"","name":"f"}]}"#,
            r#"{"type":"error","name":"R","namespace":"n","fields":[{"name":"f","type":["null","R"],"doc":"","default":null,"order":"ignore","aliases":["g"],"p":{"z":1,"a":2}}]}"#,
        ),
        // A namespace is inherited, left and repeated only where it changes; a simple name that is a type's is not used.
        (
            r#"{"type":"record","name":"n.R","fields":[{"name":"a","type":{"type":"fixed","name":"record","size":1}},{"name":"b","type":"n.record"},
              {"name":"c","type":{"type":"fixed","name":"m.S","size":1}},{"name":"d","type":"m.S"},{"name":"e","type":{"type":"fixed","namespace":"","name":"T","size":1}},{"name":"g","type":"T"}]}"#,
            r#"{"type":"record","name":"R","namespace":"n","fields":[{"name":"a","type":{"type":"fixed","name":"record","size":1}},{"name":"b","type":"n.record"},{"name":"c","type":{"type":"fixed","name":"S","namespace":"m","size":1}},{"name":"d","type":"m.S"},{"name":"e","type":{"type":"fixed","name":"T","namespace":"","size":1}},{"name":"g","type":"T"}]}"#,
        ),
        // A name may come before its definition, and a definition again.
        (
            r#"["R",{"type":"record","name":"R","fields":[{"name":"f","type":"int","default":1}]},{"type":"array","items":{"type":"record","name":"R","doc":"again","fields":[{"name":"f","type":"int","default":1}]}}]"#,
            "",
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":"E"},{"name":"b","type":{"type":"enum","name":"E","symbols":[]}}]}"#,
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"enum","name":"E","symbols":[]}},{"name":"b","type":"E"}]}"#,
        ),
    ];
    for (text, expected) in cases {
        if expected.is_empty() {
            // Both are the same branch of the union.
            assert!(refusal(text).contains("\"R\" comes twice in a union"), "{}", refusal(text));
            continue;
        }
        assert_eq!(canonical(text), expected);
        assert_eq!(canonical(expected), expected, "the canonical text is its own");
    }
}

#[test]
fn json_is_read_as_jackson_reads_it() {
    let cases = [
        ("-0", "0"),
        ("1.10", "1.1"),
        ("1e5", "100000.0"),
        ("12345678.9", "1.23456789E7"),
        ("0.001", "0.001"),
        ("0.00012", "1.2E-4"),
        ("-0.0", "-0.0"),
        ("1e7", "1.0E7"),
        ("9999999.0", "9999999.0"),
        ("4.9e-324", "4.9E-324"),
        ("2e-323", "2.0E-323"),
        ("1.7976931348623157e308", "1.7976931348623157E308"),
        ("1e400", "\"Infinity\""),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("-9223372036854775808", "-9223372036854775808"),
        (
            r#""\u0001\u001f\u00e9\ud83d\ude00\/\\\"\b\f\n\r\t<\u2028\u007f""#,
            "\"\\u0001\\u001Fé😀/\\\\\\\"\\b\\f\\n\\r\\t<\u{2028}\u{7f}\"",
        ),
        ("/* a comment */ [ // another\n true , false,null]", "[true,false,null]"),
        (r#"{"a":1,"b":{},"a":[]}"#, r#"{"a":[],"b":{}}"#),
    ];
    for (text, expected) in cases {
        let schema = format!("{{\"type\":\"int\",\"x\":{text}}}");
        assert_eq!(canonical(&schema), format!("{{\"type\":\"int\",\"x\":{expected}}}"));
    }
    let many: Vec<String> = (0..40).map(|at| format!("\"k{}\":{at}", at % 30)).collect();
    let value = json::parse(&format!("{{{}}}", many.join(","))).expect("an object");
    let json::Value::Object(object) = value else { panic!("not an object") };
    assert_eq!(object.entries().len(), 30);
    assert!(matches!(object.get("k3"), Some(json::Value::Int(33))));
}

#[test]
fn what_is_not_json_is_refused_with_its_place() {
    let cases = [
        ("", "the text ends where a value is expected"),
        ("int", "line 1, column 1: expected a value"),
        ("{\n  \"type\": \"int\",\n}", "line 3, column 1: expected a property's name"),
        ("{\"type\" \"int\"}", "expected : after a property's name"),
        ("[\"int\" \"long\"]", "line 1, column 8: expected , or ] in an array"),
        ("\"int\" x", "nothing more is expected after the schema"),
        ("\"in", "a string does not end"),
        ("\"\\x\"", "an unknown escape"),
        ("\"\\ud800\"", "half of a surrogate pair"),
        ("\"\\ud800\\u0041\"", "half of a surrogate pair"),
        ("\"\\u12\"", "hexadecimal"),
        ("\"\\u\"", "hexadecimal"),
        ("\"a\tb\"", "a control character"),
        ("/* x", "a comment does not end"),
        ("[01]", "does not start with 0"),
        ("[-]", "a number"),
        ("[1.]", "a digit after the decimal point"),
        ("[1e]", "a digit in the exponent"),
    ];
    for (text, expected) in cases {
        let message = refusal(text);
        assert!(message.contains(expected), "{text}: {message}");
    }
}

#[test]
fn what_is_not_avro_is_refused_with_its_place() {
    let cases = [
        ("12", "a type's name, an object or a union is expected, not 12"),
        ("{}", "no \"type\""),
        (r#""Foo""#, "\"Foo\" is not defined"),
        (
            &field(r#""type":{"type":"array","items":"n.Foo"}"#),
            "at /fields/0/type/items: \"n.Foo\" is not defined",
        ),
        (r#"{"type":"record","name":"R"}"#, "no array \"fields\""),
        (r#"{"type":"record","fields":[]}"#, "no \"name\""),
        (r#"{"type":"record","name":"1R","fields":[]}"#, "\"1R\" is not a name"),
        (r#"{"type":"record","name":"é","fields":[]}"#, "is not a name"),
        (r#"{"type":"record","name":"a-b.R","fields":[]}"#, "\"a-b\" is not a name"),
        (r#"{"type":"record","name":"R","aliases":"S","fields":[]}"#, "\"aliases\" is an array"),
        (r#"{"type":"record","name":"R","aliases":["S T"],"fields":[]}"#, "\"S T\" is not a name"),
        (r#"{"type":"fixed","name":"int","size":1}"#, "primitive"),
        (r#"{"type":"fixed","name":"F","size":-1}"#, "no \"size\""),
        (r#"{"type":"fixed","name":"F","size":"1"}"#, "no \"size\""),
        (r#"{"type":"enum","name":"E"}"#, "no array \"symbols\""),
        (
            r#"{"type":"enum","name":"E","symbols":["A","A"]}"#,
            "at /symbols/1: the symbol \"A\" comes twice",
        ),
        (r#"{"type":"enum","name":"E","symbols":["A"],"default":"B"}"#, "none of the symbols"),
        (r#"{"type":"array"}"#, "the array has no \"items\""),
        (r#"{"type":"map"}"#, "the map has no \"values\""),
        (r#"["int","null","int"]"#, "at /2: \"int\" comes twice in a union"),
        (r#"["int",["null"]]"#, "at /1: a union stands directly in a union"),
        (&field(r#""doc":"no type""#), "the field \"f\" has no \"type\""),
        (&field(r#""type":"int","order":"up""#), "\"up\" is not an order"),
        (
            &field(r#""type":{"type":"fixed","name":"R","size":1}"#),
            "defined a second time, differently",
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"f","type":"int"},{"name":"f","type":"int"}]}"#,
            "the field \"f\" comes twice",
        ),
        (r#"{"type":"record","name":"R","fields":[3]}"#, "a field is an object, not 3"),
    ];
    for (text, expected) in cases {
        let message = refusal(text);
        assert!(message.contains(expected), "{text}: {message}");
    }
}

#[test]
fn a_default_fits_its_field() {
    let record = r#"{"type":"record","name":"S","fields":[{"name":"a","type":"int"},{"name":"b","type":"int","default":1}]}"#;
    let cases = [
        ("\"int\"", "2147483647", true),
        ("\"int\"", "2147483648", false),
        ("\"int\"", "1.0", false),
        ("\"long\"", "2147483648", true),
        ("\"long\"", "9223372036854775808", false),
        ("\"double\"", "9223372036854775808", true),
        ("\"float\"", "\"NaN\"", true),
        ("\"float\"", "\" -1.5e3f \"", true),
        ("\"float\"", "\"nan\"", false),
        ("\"float\"", "\"inf\"", false),
        ("\"string\"", "\"x\"", true),
        ("\"string\"", "1", false),
        ("\"bytes\"", "\"\\u00ff\"", true),
        ("\"null\"", "null", true),
        ("\"boolean\"", "0", false),
        (r#"["null","int"]"#, "null", true),
        (r#"["null","int"]"#, "5", true),
        (r#"["null","int"]"#, "\"5\"", false),
        (r#"{"type":"array","items":"int"}"#, "[1,2]", true),
        (r#"{"type":"array","items":"int"}"#, "[1,null]", false),
        (r#"{"type":"map","values":"int"}"#, r#"{"a":1}"#, true),
        (r#"{"type":"map","values":"int"}"#, r#"{"a":"b"}"#, false),
        (r#"{"type":"enum","name":"E","symbols":["A"]}"#, "\"B\"", true),
        (r#"{"type":"fixed","name":"F","size":2}"#, "\"a\"", true),
        (record, r#"{"a":1}"#, true),
        (record, r#"{"b":1}"#, false),
        (record, r#"{"a":1,"b":"x"}"#, false),
        (record, r#"{"a":1,"more":"x"}"#, true),
        // It would hold itself.
        ("\"R\"", "{}", false),
        (r#"["null","R"]"#, "null", true),
    ];
    for (kind, default, fits) in cases {
        let text = field(&format!("\"type\":{kind},\"default\":{default}"));
        let parsed = Schema::parse(&text, &[]);
        assert_eq!(parsed.is_ok(), fits, "{text}: {parsed:?}");
        let is_number = kind != "\"float\"";
        assert!(!is_number || Schema::parse_stored(&text, &[]).is_ok(), "{text}");
    }
    let later = |default: &str| {
        format!(
            r#"[{{"type":"record","name":"R","fields":[{{"name":"f","type":"S","default":{default}}}]}},{record}]"#
        )
    };
    assert!(Schema::parse(&later(r#"{"a":1}"#), &[]).is_ok());
    assert!(refusal(&later("{}")).contains("at /0/fields/0: the default of the field \"f\""));
}

#[test]
fn what_a_registry_holds_is_not_held_to_todays_rules() {
    let text = r#"{"type":"record","name":"Zoë","namespace":"a-b","fields":[]}"#;
    assert!(Schema::parse(text, &[]).is_err());
    assert_eq!(
        Schema::parse_stored(text, &[]).expect("stored").canonical(),
        r#"{"type":"record","name":"Zoë","namespace":"a-b","fields":[]}"#
    );
}

#[test]
fn types_of_references_are_written_by_name() {
    let first = r#"{"type":"record","name":"n.A","fields":[{"name":"e","type":{"type":"enum","name":"E","symbols":["X"]}}]}"#;
    let second = r#"{"type":"record","name":"n.B","fields":[{"name":"a","type":"A"}]}"#;
    let references = [reference(first), reference(second)];
    let parse = |text| Schema::parse(text, &references).map(|schema| schema.canonical());
    assert_eq!(parse("\"n.B\""), Ok("\"n.B\"".to_owned()));
    assert_eq!(
        parse(r#"{"type":"record","name":"n.C","fields":[{"name":"a","type":"A"},{"name":"b","type":"n.B"}]}"#),
        Ok(r#"{"type":"record","name":"C","namespace":"n","fields":[{"name":"a","type":"A"},{"name":"b","type":"B"}]}"#.to_owned())
    );
    // Only a reference's own type is known by name: what it defines inside is written where it is used, as Java does.
    let inside = parse(r#"{"type":"array","items":"n.E"}"#).expect("a schema");
    assert_eq!(
        inside,
        r#"{"type":"array","items":{"type":"enum","name":"E","namespace":"n","symbols":["X"]}}"#
    );
    assert_eq!(parse(&inside), Ok(inside.clone()), "it can be read again");
    // What comes again is written as it comes, where the first has no doc.
    let again = r#"{"type":"map","values":{"type":"enum","name":"E","namespace":"n","doc":"again","symbols":["X"]}}"#;
    assert_eq!(parse(again), Ok(again.to_owned()));
    let error = Schema::parse("\"int\"", &[reference("\"n.B\"")]).expect_err("undefined");
    assert!(
        error.message.contains("reference \"a name\": at /: \"n.B\" is not defined"),
        "{error}"
    );
}

#[test]
fn hostile_texts_are_refused_and_cost_little() {
    let deep = |levels: usize, open: &str, inner: &str, close: &str| {
        format!("{}{inner}{}", open.repeat(levels), close.repeat(levels))
    };
    let items = |levels| deep(levels, "{\"type\":\"array\",\"items\":", "\"int\"", "}");
    assert_eq!(canonical(&items(json::DEPTH_MAX)), items(json::DEPTH_MAX));
    assert!(refusal(&items(json::DEPTH_MAX + 1)).contains("nests deeper than 500"));
    for open in ["[", "{\"type\":", "{\"a\":[", "[[[[[[{\"type\":\"array\",\"items\":"] {
        assert!(refusal(&deep(10_000, open, "", "")).contains("nests deeper"), "{open}");
    }
    assert!(refusal(&"[".repeat(TEXT_BYTES_MAX + 1)).contains("at most 4194304 bytes"));
    // Names used before they are defined put all definitions inside each other.
    let chain: Vec<String> = (0..1000)
        .map(|at| {
            let next = if at == 999 { "int".to_owned() } else { format!("R{}", at + 1) };
            format!(
                r#"{{"type":"record","name":"R{at}","fields":[{{"name":"f","type":"{next}"}}]}}"#
            )
        })
        .collect();
    assert!(refusal(&format!("[{}]", chain.join(","))).contains("nests deeper than 500"));
    let backwards: Vec<String> = chain.into_iter().rev().collect();
    canonical(&format!("[{}]", backwards.join(",")));
    // Each record's default is checked against both branches at each level.
    let branch = |name: &str, last: &str| {
        format!(
            r#"{{"type":"record","name":"{name}","fields":[{{"name":"f","type":["A","B","null"]}},{{"name":"{last}","type":"int"}}]}}"#
        )
    };
    let value = deep(100, "{\"f\":", "null", "}");
    let text = format!(
        r#"[{},{},{{"type":"record","name":"R","fields":[{{"name":"f","type":["A","B"],"default":{value}}}]}}]"#,
        branch("A", "x"),
        branch("B", "y")
    );
    assert!(refusal(&text).contains("the default of the field \"f\""));
    // A long namespace is in every name below it.
    let long = |bytes| {
        format!(r#"{{"type":"fixed","size":1,"name":"F","namespace":"{}"}}"#, "n".repeat(bytes))
    };
    canonical(&long(2046));
    assert!(refusal(&long(2047)).contains("a full name has at most 2048 bytes"));
    let fixed = |at| format!(r#"{{"type":"fixed","size":1,"name":"F{at}"}}"#);
    let many: Vec<String> = (0..20_000).map(fixed).collect();
    let text = format!(
        r#"{{"type":"record","name":"R","namespace":"{}","fields":[{{"name":"f","type":[{}]}}]}}"#,
        "n".repeat(2000),
        many.join(",")
    );
    assert!(refusal(&text).contains("all together 33554432"));
}

#[test]
fn the_normal_form_is_confluents() {
    let cases = [
        (
            r#"{"type":"string","z":1,"b":{"y":null,"x":[{"d":1.0,"c":2}]}}"#,
            r#"{"type":"string","b":{"x":[{"c":2,"d":1.0}],"y":null},"z":1}"#,
        ),
        (
            r#"{"type":"bytes","scale":2,"logicalType":"decimal","a":1,"precision":4}"#,
            r#"{"type":"bytes","logicalType":"decimal","precision":4,"scale":2,"a":1}"#,
        ),
        // No decimal: more digits than it can hold.
        (
            r#"{"type":"fixed","name":"F","size":1,"logicalType":"decimal","a":1,"precision":4}"#,
            r#"{"type":"fixed","name":"F","size":1,"a":1,"logicalType":"decimal","precision":4}"#,
        ),
        (
            r#"{"type":"enum","name":"n.E","doc":"","aliases":["Z","m.A"],"symbols":["B","A"],"default":"A"}"#,
            r#"{"type":"enum","name":"E","namespace":"n","symbols":["B","A"],"default":"A","aliases":["m.A","Z"]}"#,
        ),
        (
            &field(r#""type":"double","default":1,"doc":"","aliases":["c","b"]"#),
            &field(r#""type":"double","doc":"","default":1.0,"aliases":["b","c"]"#),
        ),
        (
            &field(r#""type":"float","default":16777217"#),
            &field(r#""type":"float","default":1.6777216E7"#),
        ),
        (
            &field(r#""type":["float","null"],"default":0.1"#),
            &field(r#""type":["float","null"],"default":0.1"#),
        ),
        (
            &field(r#""type":"bytes","default":"\u0100\u00ff""#),
            &field("\"type\":\"bytes\",\"default\":\"?ÿ\""),
        ),
        // Confluent would lose it.
        (
            &field(r#""type":["null","int"],"default":5"#),
            &field(r#""type":["null","int"],"default":5"#),
        ),
    ];
    for (text, expected) in cases {
        let schema = Schema::parse(text, &[]).expect("a schema");
        assert_eq!(schema.normalized(), expected);
        let again = Schema::parse(expected, &[]).expect("a normal form is a schema");
        assert_eq!(again.normalized(), expected);
    }
}
