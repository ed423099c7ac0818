//! Records' bytes against a schema.

use super::super::Schema;

const TEXT: &str = r#"syntax = "proto2"; package p;
    message First { required int32 a = 1; repeated First more = 2; }
    message Second { message Inner { optional string s = 1; map<string, First> m = 2; message Leaf {} } }"#;

#[test]
fn indexes_choose_the_message() {
    let schema = Schema::parse(TEXT, &[]).expect("a schema");
    let valid: [&[u8]; 7] = [
        // One byte 0 stands for the first message; so do its count and index written out.
        &[0, 8, 1],
        &[2, 0, 8, 1],
        &[2, 2],
        &[4, 2, 0, 10, 1, b's'],
        &[6, 2, 0, 0],
        // Fields that the schema does not know are kept by readers.
        &[6, 2, 0, 0, 8, 1],
        &[0, 8, 1, 18, 2, 8, 5],
    ];
    for payload in valid {
        assert_eq!(schema.validate_payload(payload), Ok(()), "{payload:?}");
    }
    let invalid: [(&[u8], &str); 12] = [
        (&[], "the message indexes end early"),
        (&[2], "the message indexes end early"),
        (&[1], "-1 in the message indexes"),
        (&[2, 1], "-1 in the message indexes"),
        (&[2, 4], "the message indexes name no message of the schema"),
        (&[4, 0, 0], "the message indexes name no message of the schema"),
        (&[0xfe, 0xff, 0xff, 0xff, 0x0f], "2147483647 in the message indexes"),
        (&[0x80, 0x80, 0x80, 0x80, 0x80, 0x01], "a message index has more than five bytes"),
        (&[0], "required field p.First.a is not set"),
        (&[0, 8, 1, 18, 0], "required field p.First.a is not set"),
        (&[4, 2, 0, 18, 5, 10, 1, b'k', 18, 0], "required field p.First.a is not set"),
        (&[4, 2, 0, 18, 9, 10, 1, b'k', 18, 0], "not a p.Second.Inner"),
    ];
    for (payload, expected) in invalid {
        let error = schema.validate_payload(payload).expect_err("no message").message;
        assert!(error.starts_with(expected), "{payload:?}: {error}");
    }
}

#[test]
fn bytes_that_are_no_message_are_refused() {
    let schema = Schema::parse(TEXT, &[]).expect("a schema");
    for payload in [
        &[0_u8, 8][..],
        &[0, 10, 1, 1],
        &[0, 0xff],
        &[4, 2, 0, 10, 1, 0xff],
        &[4, 2, 0, 10, 9, b's'],
    ] {
        assert!(schema.validate_payload(payload).is_err(), "{payload:?}");
    }
    // As deep as a decoder goes, and not deeper.
    let mut deep = vec![8, 1];
    for _ in 0..2_000 {
        let mut outer = vec![8, 1, 18];
        let mut length = deep.len();
        while length > 0x7f {
            outer.push(u8::try_from(length & 0x7f).expect("seven bits") | 0x80);
            length >>= 7;
        }
        outer.push(u8::try_from(length).expect("seven bits"));
        outer.extend(&deep);
        deep = outer;
    }
    let payload = [&[0][..], &deep].concat();
    assert!(schema.validate_payload(&payload).expect_err("too deep").message.contains("recursion"));
}

#[test]
fn a_file_that_only_imports_stands_for_what_it_imports() {
    let reference = crate::schema_registry::format::ResolvedReference {
        name: "first.proto".into(),
        schema: TEXT.into(),
    };
    let schema = Schema::parse("import public \"first.proto\";", &[reference]).expect("a schema");
    assert_eq!(schema.validate_payload(&[4, 2, 0, 10, 1, b's']), Ok(()));
    assert!(schema.validate_payload(&[0]).is_err());
}
