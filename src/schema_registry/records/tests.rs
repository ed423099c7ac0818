//! The bytes of the records, as Confluent's Schema Registry writes them.

use super::*;
use crate::schema_registry::entity::Reference;
use crate::schema_registry::settings::Level;

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("JSON is text")
}

#[test]
fn keys_are_confluent_s_byte_for_byte() {
    let s = |name: &str| Some(name.to_owned());
    let keys = [
        (
            Key::Schema { subject: "orders-value".to_owned(), version: 3 },
            r#"{"keytype":"SCHEMA","subject":"orders-value","version":3,"magic":1}"#,
        ),
        (Key::Config { subject: None }, r#"{"keytype":"CONFIG","magic":0}"#),
        (Key::Config { subject: s("a") }, r#"{"keytype":"CONFIG","subject":"a","magic":0}"#),
        (Key::Mode { subject: s(":.eu:") }, r#"{"keytype":"MODE","subject":":.eu:","magic":0}"#),
        (
            Key::DeleteSubject { subject: "a".to_owned() },
            r#"{"keytype":"DELETE_SUBJECT","subject":"a","magic":0}"#,
        ),
        (
            Key::ClearSubject { subject: s("a") },
            r#"{"keytype":"CLEAR_SUBJECT","subject":"a","magic":0}"#,
        ),
        (Key::Noop, r#"{"keytype":"NOOP","magic":0}"#),
        (
            Key::Context { tenant: TENANT.to_owned(), context: ".eu".to_owned() },
            r#"{"keytype":"CONTEXT","tenant":"default","context":".eu","magic":0}"#,
        ),
    ];
    for (key, bytes) in keys {
        assert_eq!(text(key.encode()), bytes);
        assert_eq!(Key::decode(bytes.as_bytes()), Ok(key));
    }
}

#[test]
fn older_keys_are_read() {
    let read = |text: &str| Key::decode(text.as_bytes());
    let global = r#"{"keytype":"CONFIG","subject":null,"magic":0}"#;
    assert_eq!(read(global), Ok(Key::Config { subject: None }));
    let other_order = r#"{"magic":0,"keytype":"SCHEMA","version":1,"subject":"a","more":true}"#;
    assert_eq!(read(other_order), Ok(Key::Schema { subject: "a".to_owned(), version: 1 }));
    for bad in [
        r#"{"keytype":"SCHEMA","subject":"a","version":1,"magic":2}"#,
        r#"{"keytype":"SCHEMA","subject":"a","magic":1}"#,
        r#"{"keytype":"ASSOC","magic":0}"#,
        "{",
        "",
    ] {
        assert_eq!(read(bad), Err(Unreadable::Key), "{bad}");
    }
}

fn schema() -> SchemaValue {
    SchemaValue {
        subject: "a".to_owned(),
        version: 1,
        id: 7,
        md5: None,
        schema_type: Some("AVRO".to_owned()),
        references: Vec::new(),
        metadata: None,
        rule_set: None,
        schema: "\"string\"".to_owned(),
        deleted: false,
    }
}

#[test]
fn values_are_confluent_s_byte_for_byte() {
    let check = |key: &Key, value: Value, bytes: &str| {
        assert_eq!(text(value.encode(key)), bytes);
        assert_eq!(Value::decode(key, bytes.as_bytes()), Ok(value));
    };
    let key = Key::Schema { subject: "a".to_owned(), version: 1 };
    check(
        &key,
        Value::Schema(Box::new(schema())),
        r#"{"subject":"a","version":1,"id":7,"schemaType":"AVRO","schema":"\"string\"","deleted":false}"#,
    );
    let reference = Reference { name: "x.proto".to_owned(), subject: "x".to_owned(), version: 2 };
    let referring = SchemaValue {
        schema_type: Some("PROTOBUF".to_owned()),
        references: vec![reference],
        deleted: true,
        ..schema()
    };
    check(
        &key,
        Value::Schema(Box::new(referring)),
        r#"{"subject":"a","version":1,"id":7,"schemaType":"PROTOBUF","references":[{"name":"x.proto","subject":"x","version":2}],"schema":"\"string\"","deleted":true}"#,
    );
    let full = Config { compatibility_level: Some(Level::FullTransitive), ..Config::default() };
    check(
        &Key::Config { subject: None },
        Value::Config(Box::new(full.clone())),
        r#"{"compatibilityLevel":"FULL_TRANSITIVE"}"#,
    );
    check(
        &Key::Config { subject: Some("a".to_owned()) },
        Value::Config(Box::new(full)),
        r#"{"subject":"a","compatibilityLevel":"FULL_TRANSITIVE"}"#,
    );
    check(&Key::Mode { subject: None }, Value::Mode(Mode::ReadWrite), r#"{"mode":"READWRITE"}"#);
    check(
        &Key::Mode { subject: Some("a".to_owned()) },
        Value::Mode(Mode::ReadOnlyOverride),
        r#"{"subject":"a","mode":"READONLY_OVERRIDE"}"#,
    );
    check(
        &Key::DeleteSubject { subject: "a".to_owned() },
        Value::DeleteSubject(3),
        r#"{"subject":"a","version":3}"#,
    );
    check(
        &Key::ClearSubject { subject: Some("a".to_owned()) },
        Value::ClearSubject,
        r#"{"subject":"a"}"#,
    );
    check(
        &Key::Context { tenant: TENANT.to_owned(), context: ".eu".to_owned() },
        Value::Context,
        r#"{"tenant":"default","context":".eu"}"#,
    );
}

#[test]
fn older_values_are_read() {
    let key = Key::Schema { subject: "a".to_owned(), version: 1 };
    let before_8 = r#"{"subject":"a","version":1,"id":7,"schema":"\"string\"","deleted":false}"#;
    let Ok(Value::Schema(value)) = Value::decode(&key, before_8.as_bytes()) else {
        panic!("it is read")
    };
    assert_eq!(*value, SchemaValue { schema_type: None, ..schema() });
    let karapace = r#"{"subject":"a","version":1,"id":7,"references":null,"schema":"\"string\"","deleted":false,"schemaType":"AVRO"}"#;
    assert_eq!(Value::decode(&key, karapace.as_bytes()), Ok(Value::Schema(Box::new(schema()))));
    assert_eq!(Value::decode(&key, b"{\"id\":\"x\"}"), Err(Unreadable::Value));
}
