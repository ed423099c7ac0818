//! Each format through the one door: names, forms, what old registries took, where a record names its message.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

const MONEY: &str = r#"{"type":"record","name":"Money","fields":[]}"#;
const PROTO: &str = r#"syntax = "proto3";
package shop;

import "google/protobuf/descriptor.proto";

message Order {
  int32 id = 1 [(shop.hint) = "x"];
  message Line {}
}
message Other {}
extend .google.protobuf.FieldOptions {
  string hint = 50001;
}
"#;

fn parse(format: Format, text: &str) -> AnySchema {
    AnySchema::parse(format, text, &[], Rules::New).expect("a schema")
}

#[test]
fn formats_go_by_their_names_in_confluents_order() {
    let names: Vec<&str> = Format::ALL.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["JSON", "PROTOBUF", "AVRO"]);
    for (name, format) in Format::ALL {
        assert_eq!((Format::from_name(name), format.name()), (Some(*format), *name));
    }
    assert_eq!(Format::from_name("avro"), None);
}

#[test]
fn forms_are_those_of_each_format() {
    let money = ResolvedReference { name: "Money".to_owned(), schema: MONEY.to_owned() };
    let order = r#"{"type":"record","name":"Order","fields":[{"name":"total","type":"Money"}]}"#;
    let order = AnySchema::parse(Format::Avro, order, &[money], Rules::New).expect("a schema");
    let resolved = order.formatted("RESOLVED").expect("a form of Avro's");
    assert!(resolved.contains(MONEY) && !order.canonical().contains(MONEY), "{resolved}");
    assert_eq!(order.formatted("default"), Some(order.canonical()));
    assert_eq!(order.formatted("serialized"), None);

    let proto = parse(Format::Protobuf, PROTO);
    let plain = proto.formatted("ignore_extensions").expect("a form of Protobuf's");
    assert!(!plain.contains("hint") && plain.contains("int32 id = 1;"), "{plain}");
    let serialized = proto.formatted("serialized").expect("a form of Protobuf's");
    assert_eq!(parse(Format::Protobuf, &serialized).check_reads(&proto), Some(vec![]));
    // The option goes with it: field 50001, one byte.
    let bytes = STANDARD.decode(serialized).expect("base64");
    assert!(bytes.windows(5).any(|part| part == [0x8a, 0xb5, 0x18, 1, b'x']));
    assert_eq!(parse(Format::Json, "{}").formatted("default"), None);
}

#[test]
fn what_old_registries_took_is_shown_and_found() {
    let cases = [
        (
            Format::Avro,
            r#"{"type":"record","name":"A","fields":[{"name":"a","type":"int","default":"x"}]}"#,
        ),
        (Format::Json, r#"{"type":"strin"}"#),
        (Format::Json, r##"{"$ref":"gone.json"}"##),
        (Format::Protobuf, "syntax = \"proto3\";\n\nmessage A {\n  Gone gone = 1;\n}\n"),
    ];
    for (format, text) in cases {
        let new = AnySchema::parse(format, text, &[], Rules::New);
        assert!(new.is_err(), "{text}");
        let stored = AnySchema::parse(format, text, &[], Rules::Stored).expect("it is stored");
        assert_eq!(stored.canonical().trim(), text.trim());
        let itself = stored.check_reads(&stored).expect("of one format");
        let comparable = matches!(format, Format::Avro) || text.contains("strin");
        assert_eq!(itself.is_empty(), comparable, "{text}: {itself:?}");
        let payload = Payload { message: vec![0], bytes: b"\"a\"" };
        assert!(stored.validate(&payload).is_err(), "{text}");
    }
    // What is not even grammatical nobody took.
    for (format, text) in
        [(Format::Json, "{"), (Format::Protobuf, "message {"), (Format::Avro, "{")]
    {
        assert!(AnySchema::parse(format, text, &[], Rules::Stored).is_err(), "{text}");
    }
}

#[test]
fn formats_do_not_read_each_other() {
    let (avro, json) = (parse(Format::Avro, "\"string\""), parse(Format::Json, "{}"));
    assert_eq!(avro.check_reads(&json), None);
    assert_eq!(json.check_reads(&avro), None);
    let strict = parse(Format::Json, r#"{"type":"string","maxLength":3}"#);
    let found = strict.check_reads(&json).expect("of one format");
    let said = strict.describe(&found[0], "new", "old");
    assert!(said.starts_with("{errorType:\"TYPE_CHANGED\", description:\"at '#/': "), "{said}");
    assert!(said.contains("the new schema") && !said.contains("reader"), "{said}");
}

#[test]
fn a_message_is_named_in_front_of_the_bytes_or_in_the_header() {
    let proto = parse(Format::Protobuf, PROTO);
    let name = |header: Option<&[u8]>, bytes: &[u8]| {
        proto.payload(header, bytes).ok().and_then(|payload| proto.record_name(&payload))
    };
    assert_eq!(name(None, &[0, 8, 1]).as_deref(), Some("shop.Order"));
    assert_eq!(name(None, &[2, 2]).as_deref(), Some("shop.Other"));
    assert_eq!(name(None, &[4, 0, 0]).as_deref(), Some("shop.Order.Line"));
    assert_eq!(name(Some(&[2, 2]), &[8, 1]).as_deref(), Some("shop.Other"));
    for (header, bytes) in
        [(None, &[][..]), (None, &[2, 4]), (Some(&[0, 0][..]), &[]), (Some(&[]), &[0])]
    {
        assert_eq!(name(header, bytes), None, "{header:?} {bytes:?}");
    }
    let json = parse(Format::Json, r#"{"title":"Order"}"#);
    let payload = json.payload(Some(&[]), b"{}").expect("a payload");
    assert_eq!(json.record_name(&payload).as_deref(), Some("Order"));
    assert!(json.payload(Some(&[0]), b"{}").is_err());
}
