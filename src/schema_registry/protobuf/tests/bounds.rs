//! Hostile input: an error or a schema, on a small stack, in time and memory that its length bounds.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

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

#[test]
fn nesting_has_a_bound() {
    on_a_small_stack(|| {
        let deep = 10_000;
        let messages =
            format!("syntax = \"proto3\"; {}{}", "message A { ".repeat(deep), "}".repeat(deep));
        assert!(error(&messages).ends_with("messages are nested more than 32 deep"));
        let literal = format!("option (a) = {}{};", "{ a: ".repeat(deep), "}".repeat(deep));
        assert!(error(&literal).ends_with("nested more than 32 deep"));
        let list = format!("option (a) = {}{};", "[".repeat(deep), "]".repeat(deep));
        assert!(error(&list).ends_with("nested more than 32 deep"));
        let name = format!("option (a){} = 1;", ".a".repeat(deep));
        assert!(error(&name).ends_with("an option's name has more than 32 parts"));
        let group = format!(
            "message A {{ {}{} }}",
            "optional group A = 1 { ".repeat(deep),
            "}".repeat(deep)
        );
        assert!(error(&group).ends_with("messages are nested more than 32 deep"));
        // What is just within the bound compiles, prints and compares.
        let text = format!("syntax = \"proto3\"; {}{}", "message A { ".repeat(32), "}".repeat(32));
        let schema = Schema::parse(&text, &[]).expect("within the bound");
        assert_eq!(
            Schema::parse(&schema.normalized(), &[]).expect("again").check_reads(&schema),
            []
        );
    });
}

#[test]
fn length_has_a_bound() {
    assert!(error(&" ".repeat(10 << 20)).starts_with("the schema has more than"));
    let reference = ResolvedReference { name: "a".into(), schema: " ".repeat(10 << 20) };
    let error = Schema::parse("", &[reference.clone(), reference]).expect_err("too long").message;
    assert!(error.starts_with("the references have more than"));
}

#[test]
fn a_long_schema_is_parsed_printed_and_compared() {
    on_a_small_stack(|| {
        let mut text = String::from("syntax = \"proto3\"; message M {");
        let mut number = 1;
        while text.len() < 256 << 10 {
            text.push_str(&format!("map<string, M> f{number} = {number};"));
            number += 1;
            number += if number == 19_000 { 1_000 } else { 0 };
        }
        text.push('}');
        assert!(text.len() < TEXT_BYTES_MAX);
        let schema = Schema::parse(&text, &[]).expect("a schema");
        let again = Schema::parse(&schema.normalized(), &[]).expect("its normal text");
        assert_eq!(again.check_reads(&schema), []);
    });
}

#[test]
fn a_chain_of_imports_needs_no_stack() {
    on_a_small_stack(|| {
        let link = |number: usize| ResolvedReference {
            name: format!("{number}.proto"),
            schema: match number {
                0 => "syntax = \"proto3\"; package p0; message M { int32 a = 1; }".into(),
                _ => format!(
                    "syntax = \"proto3\"; package p{number}; import \"{before}.proto\"; message M {{ \
                     p{before}.M a = 1; p{before}.M b = 2; }}",
                    before = number - 1
                ),
            },
        };
        let mut chain: Vec<ResolvedReference> = (0..300).map(link).collect();
        let text = "syntax = \"proto3\"; import \"299.proto\"; message M { p299.M a = 1; }";
        let old = Schema::parse(text, &chain).expect("a schema");
        chain[0].schema = chain[0].schema.replace("int32", "string");
        let new = Schema::parse(text, &chain).expect("a schema");
        // Each message is followed once, though two fields of each lead to the next.
        assert_eq!(new.check_reads(&old).len(), 1 + 2 * 299 + 1);
        chain.reverse();
        assert!(Schema::parse(text, &chain).is_err());
    });
}

#[test]
fn imports_in_a_circle_are_refused() {
    let reference = |name: &str, other: &str| ResolvedReference {
        name: name.into(),
        schema: format!("syntax = \"proto3\"; import \"{other}\";"),
    };
    let circle = [reference("a.proto", "b.proto"), reference("b.proto", "a.proto")];
    assert!(Schema::parse("import \"b.proto\";", &circle).is_err());
    assert!(Schema::parse("import \"a.proto\";", &[reference("a.proto", "a.proto")]).is_err());
}

#[test]
fn cut_texts_and_descriptors_are_told_not_to_be_schemas() {
    let text = "syntax = \"proto3\"; message M { oneof o { string a = 1 [deprecated = true]; } reserved 5 to 9, 11; }";
    let bytes =
        Schema::parse(text, &[]).expect("a schema").compiled.expect("compiled").encode_to_vec();
    for end in 19..text.len() {
        let cut = Schema::parse(&text[..end], &[]);
        assert!(cut.is_err() || end == 19 || text.as_bytes()[end - 1] == b';', "{}", &text[..end]);
    }
    for end in 1..bytes.len() {
        let _ = Schema::parse(&STANDARD.encode(&bytes[..end]), &[]);
        let mut flipped = bytes.clone();
        flipped[end] ^= 0x55;
        let _ = Schema::parse(&STANDARD.encode(flipped), &[]);
    }
}
