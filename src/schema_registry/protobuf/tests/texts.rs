//! Texts in, canonical and normal texts out: Confluent's form to the blank.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::Schema;
use crate::schema_registry::format::ResolvedReference;

fn parse(text: &str) -> Schema {
    Schema::parse(text, &[]).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The canonical text of a text, which is its own canonical text.
fn canonical(text: &str) -> String {
    let printed = parse(text).canonical();
    assert_eq!(parse(&printed).canonical(), printed);
    printed
}

fn normalized(text: &str) -> String {
    let printed = parse(text).normalized();
    assert_eq!(parse(&printed).normalized(), printed);
    printed
}

const EVERYTHING: &str = r#"
// A comment goes.
syntax = "proto2";
package shop.v1;
import public "google/protobuf/timestamp.proto"; import "google/protobuf/descriptor.proto";
option java_package = "com.shop"; option java_multiple_files = true;
option (owner).team = "a\tb"; option (owner).size = 0x10;
extend google.protobuf.FileOptions { optional Owner owner = 50000; }
enum Color { option allow_alias = true; RED = 1; CRIMSON = 1 [deprecated = true]; BLUE = -2; }
message Owner { optional string team = 1; optional int32 size = 2; repeated Owner with = 3; }
message Order /* and here */ {
  message Line { required string sku = 1; }
  reserved 400 to max; reserved 5, 10 to 12, 7 to 7; reserved "old", 'older';
  option (note) = { with: [{ team: "x" }], team: 'y' size: 3 };
  optional .shop.v1.Order.Line first = 2 [deprecated = true];
  required int64 id = 1;
  repeated Line lines = 3 [(tag) = "one", (tag) = "two"];
  map < string , google.protobuf.Timestamp > times = 4;
  optional string name = 20 [default = "it's", json_name = "n"];
  optional bytes raw = 21 [default = "\001"];
  optional double limit = 22 [default = -inf];
  optional Color color = 23 [default = BLUE];
  oneof pay { Line card = 31; string cash = 30; }
  optional group Box = 32 { optional int32 weight = 2; optional int32 height = 1; }
  extensions 100 to 199, 250;
  enum State { NEW = 0; }
  extend Order { optional int32 extra = 100; }
}
extend google.protobuf.MessageOptions { optional Owner note = 50000; }
extend google.protobuf.FieldOptions { repeated string tag = 50000; }
extend .shop.v1.Order { optional .shop.v1.Owner by = 101; }
service Shop {
  option deprecated = true;
  rpc Watch (stream Order) returns (stream .shop.v1.Order) { option deprecated = true; }
  rpc Get (Order) returns (Order);
}
"#;

/// What is printed of it. `RAW` stands for a control character.
const CANONICAL: &str = r#"syntax = "proto2";
package shop.v1;

import "google/protobuf/descriptor.proto";
import public "google/protobuf/timestamp.proto";

option java_package = "com.shop";
option java_multiple_files = true;
option (owner).team = "a\tb";
option (owner).size = 0x10;

message Owner {
  optional string team = 1;
  optional int32 size = 2;
  repeated Owner with = 3;
}
message Order {
  reserved 400 to max;
  reserved 5, 10 to 12, 7 to 7;
  reserved "old", "older";

  option (note) = {
    with: [
      {
        team: "x"
      }
    ],
    team: "y",
    size: 3
  };

  optional .shop.v1.Order.Line first = 2 [deprecated = true];
  required int64 id = 1;
  repeated Line lines = 3 [
    (tag) = "one",
    (tag) = "two"
  ];
  map<string, google.protobuf.Timestamp> times = 4;
  optional string name = 20 [
    default = "it\'s",
    json_name = "n"
  ];
  optional bytes raw = 21 [default = "RAW"];
  optional double limit = 22 [default = -inf];
  optional Color color = 23 [default = BLUE];

  oneof pay {
    Line card = 31;
    string cash = 30;
  }

  optional group Box = 32 {
    optional int32 weight = 2;
    optional int32 height = 1;
  }

  extensions 100 to 199, 250;

  extend Order {
    optional int32 extra = 100;
  }

  message Line {
    required string sku = 1;
  }
  enum State {
    NEW = 0;
  }
}
enum Color {
  option allow_alias = true;
  RED = 1;
  CRIMSON = 1 [deprecated = true];
  BLUE = -2;
}

extend google.protobuf.FileOptions {
  optional Owner owner = 50000;
}
extend google.protobuf.MessageOptions {
  optional Owner note = 50000;
}
extend google.protobuf.FieldOptions {
  repeated string tag = 50000;
}
extend .shop.v1.Order {
  optional .shop.v1.Owner by = 101;
}

service Shop {
  option deprecated = true;

  rpc Watch (stream Order) returns (stream .shop.v1.Order) {
    option deprecated = true;
  };
  rpc Get (Order) returns (Order);
}
"#;

#[test]
fn canonical_text_keeps_what_was_written_in_the_order_of_kinds() {
    let expected = CANONICAL.replace("RAW", "\u{1}");
    assert_eq!(canonical(EVERYTHING), expected);
}

#[test]
fn normal_text_resolves_sorts_and_merges() {
    let expected = r#"package shop.v1;

import "google/protobuf/descriptor.proto";
import public "google/protobuf/timestamp.proto";

option java_multiple_files = true;
option java_package = "com.shop";
option (shop.v1.owner) = {
  size: 16,
  team: "a\tb"
};

message Owner {
  optional string team = 1;
  optional int32 size = 2;
  repeated .shop.v1.Owner with = 3;
}
message Order {
  reserved 5;
  reserved 7;
  reserved 10 to 12;
  reserved 400 to max;
  reserved "old";
  reserved "older";

  option (shop.v1.note) = {
    size: 3,
    team: "y",
    with: {
      team: "x"
    }
  };

  required int64 id = 1;
  optional .shop.v1.Order.Line first = 2 [deprecated = true];
  repeated .shop.v1.Order.Line lines = 3 [
    (shop.v1.tag) = "one",
    (shop.v1.tag) = "two"
  ];
  map<string, .google.protobuf.Timestamp> times = 4;
"#;
    assert!(normalized(EVERYTHING).starts_with(expected), "{}", normalized(EVERYTHING));
    let sorted = "  oneof pay {\n    string cash = 30;\n    .shop.v1.Order.Line card = 31;\n  }\n";
    assert!(normalized(EVERYTHING).contains(sorted));
    let extended = "extend .google.protobuf.FieldOptions {\n  repeated string tag = 50000;\n}\n";
    assert!(normalized(EVERYTHING).contains(extended));
    assert!(
        normalized(EVERYTHING)
            .contains("  BLUE = -2;\n  CRIMSON = 1 [deprecated = true];\n  RED = 1;\n")
    );
    assert!(
        normalized(EVERYTHING).contains("  rpc Get (.shop.v1.Order) returns (.shop.v1.Order);\n")
    );
}

#[test]
fn what_means_the_same_has_the_same_normal_text() {
    let one = r#"syntax = "proto3"; package p; import "google/protobuf/any.proto"; import "google/protobuf/api.proto";
        message A { B b = 2; int32 a = 1; message B {} google.protobuf.Any any = 3; }"#;
    let other = r#"syntax = "proto3"; package p; import "google/protobuf/api.proto"; import "google/protobuf/any.proto";
        message A { int32 a = 1; .p.A.B b = 2; message B {} .google.protobuf.Any any = 3; }"#;
    assert_ne!(canonical(one), canonical(other));
    assert_eq!(normalized(one), normalized(other));
}

/// Confluent normalises numbers of options with Java's `DecimalFormat`.
#[test]
fn numbers_of_options_have_a_normal_form() {
    let text = |value: &str| {
        format!(
            "import \"google/protobuf/descriptor.proto\"; extend google.protobuf.FileOptions {{ optional double d = \
             50000; }} option (d) = {value};"
        )
    };
    for (written, normal) in
        [("1.50", "1.5"), ("1e3", "1000"), ("0.12345", "0.123"), ("-2.0", "-2"), ("017", "15")]
    {
        let normal = format!("option (d) = {normal};\n");
        assert!(parse(&text(written)).normalized().contains(&normal), "{written}");
    }
}

const MAP: &str = r#"syntax = "proto3";
package p;

message M {
  repeated .p.M.CountsEntry counts = 1;
  optional int32 maybe = 2;
  string plain = 3;

  message CountsEntry {
    option map_entry = true;
  
    string key = 1;
    int32 value = 2;
  }
}
"#;

#[test]
fn a_descriptor_in_base64_is_printed_as_text() {
    let text = "syntax = \"proto3\"; package p; message M { map<string, int32> counts = 1; optional int32 maybe = 2; \
                string plain = 3; }";
    let descriptor = parse(text).compiled.expect("compiled").encode_to_vec();
    let encoded = Schema::parse(&STANDARD.encode(descriptor), &[]).expect("a descriptor");
    // A compiler gives each field a name in JSON, which the descriptors that clients send leave out.
    let mut lines: Vec<String> = encoded.canonical().lines().map(str::to_owned).collect();
    for line in &mut lines {
        if let Some((field, _)) = line.split_once(" [json_name") {
            *line = format!("{field};");
        }
    }
    assert_eq!(lines.join("\n") + "\n", MAP);
    // The text that a registry has stored compiles again: the entry is taken for a map.
    assert!(canonical(MAP).contains("option map_entry = true;"));
    assert!(normalized(MAP).contains("  map<string, int32> counts = 1;\n"), "{}", normalized(MAP));
    assert!(parse(MAP).check_reads(&parse(text)).is_empty());
}

#[test]
fn references_are_imports_by_name() {
    let reference =
        |name: &str, schema: &str| ResolvedReference { name: name.into(), schema: schema.into() };
    let base =
        reference("base.proto", "syntax = \"proto3\"; package b; message B { int32 a = 1; }");
    let middle = reference("m/middle.proto", "syntax = \"proto3\"; import public \"base.proto\";");
    let text = "syntax = \"proto3\"; import \"m/middle.proto\"; message M { b.B b = 1; }";
    let schema = Schema::parse(text, &[base, middle.clone()]).expect("a schema");
    assert!(schema.normalized().contains("  .b.B b = 1;\n"));
    let changed =
        reference("base.proto", "syntax = \"proto3\"; package b; message B { string a = 1; }");
    let broken =
        Schema::parse(text, &[changed, middle.clone()]).expect("a schema").check_reads(&schema);
    let found: Vec<(&str, &str)> =
        broken.iter().map(|difference| (difference.kind, difference.path.as_str())).collect();
    assert_eq!(
        found,
        [("FIELD_SCALAR_KIND_CHANGED", "#/B/1"), ("FIELD_NAMED_TYPE_CHANGED", "#/M/1")]
    );
    let error = Schema::parse(text, &[middle]).expect_err("base.proto is missing").message;
    assert_eq!(
        error,
        "reference m/middle.proto: `base.proto` is imported, and no reference has that name"
    );
}

#[test]
fn known_files_need_no_reference() {
    let text = r#"syntax = "proto3";
        import "confluent/meta.proto"; import "confluent/type/decimal.proto";
        message M {
          confluent.type.Decimal price = 1 [(confluent.field_meta) = {
            params: [{ key: "precision", value: "9" }, { key: "scale", value: "2" }], tags: "PII" }];
          google.protobuf.Timestamp at = 2;
        }
        import "google/protobuf/timestamp.proto";"#;
    assert!(parse(text).normalized().contains("(confluent.field_meta) = {\n    params: [\n"));
}

#[test]
fn faults_are_told_with_their_place() {
    for (text, expected) in [
        ("", None),
        ("syntax = \"proto3\";", None),
        (
            "syntax = \"proto4\";",
            Some("line 1, column 18: `proto4` is not a syntax: proto2 and proto3 are"),
        ),
        (
            "message M {\n  int32 a = 1;\n}",
            Some("line 2, column 9: a field of type `int32` needs a label in proto2"),
        ),
        (
            "syntax = \"proto3\"; message M { int32 a = 1 }",
            Some("line 1, column 44: expected `;`, found `}`"),
        ),
        ("syntax = \"proto3\"; message M {", Some("line 1, column 31: expected a word")),
        ("message \u{fc} {}", Some("line 1, column 9: expected a word")),
        (
            "edition = \"2023\";",
            Some("line 1, column 8: editions are not supported, as in Confluent's registry"),
        ),
    ] {
        let found = Schema::parse(text, &[]).err().map(|error| error.message);
        assert_eq!(found.as_deref(), expected, "{text}");
    }
}

#[test]
fn what_does_not_compile_is_no_schema() {
    for body in [
        "message M { Missing m = 1; }",
        "message M { int32 a = 1; int32 b = 1; }",
        "message M { int32 a = 1; int32 a = 2; }",
        "message M {} message M {}",
        "message M { int32 a = 0; }",
        "message M { int32 a = 19000; }",
        "message M { reserved 1; int32 a = 1; }",
        "message M { map<float, string> a = 1; }",
        "enum E { A = 1; }",
        "enum E { }",
        "import \"nowhere.proto\";",
        "message M { int32 a = 1 [(no) = 1]; }",
        "message M { repeated .M.XEntry a = 1; message XEntry { option map_entry = true; string key = 1; M value = 2; } }",
        "message M { repeated no.M.AEntry a = 1; message AEntry { option map_entry = true; string key = 1; M value = 2; } }",
        "message MEntry { option map_entry = true; string key = 1; int32 value = 2; }",
        // Either way round, one option's value would be read as another's.
        "import \"google/protobuf/descriptor.proto\"; option (a) = {}; message M {} \
         extend google.protobuf.FileOptions { M a = 50000; repeated string b = 50000; } option (b) = \"b\";",
        "import \"google/protobuf/descriptor.proto\"; option (b) = \"b\"; message M {} \
         extend google.protobuf.FileOptions { M a = 50000; repeated string b = 50000; } option (a) = {};",
        "import \"confluent/meta.proto\"; import \"google/protobuf/descriptor.proto\"; \
         extend google.protobuf.FileOptions { int32 a = 1088; }",
    ] {
        assert!(Schema::parse(&format!("syntax = \"proto3\"; {body}"), &[]).is_err(), "{body}");
    }
}

/// A client that gets a descriptor and sends it back registers the same schema.
#[test]
fn a_descriptor_has_the_names_that_were_said() {
    let text = "package shop;\n\nmessage User {\n  optional int32 user_id = 1;\n  optional string name = 2 [json_name = \"name\"];\n\n  oneof more {\n    string long_note = 3;\n    int32 age = 4 [json_name = \"a\"];\n  }\n\n  extensions 100 to 200;\n\n  message Inner {\n    optional int32 user_id = 1 [json_name = \"u\"];\n    optional int32 x_y = 2;\n  }\n}\n";
    let schema = parse(text);
    let serialized = schema.serialized().expect("it compiles");
    assert_eq!(parse(&serialized).canonical(), schema.canonical());
    for text in [
        "syntax = \"proto3\";\nmessage M {\n  map<string, int32> a_b = 1;\n}\n",
        "syntax = \"proto2\";\nmessage M {\n  extensions 100 to 200;\n}\nextend M {\n  optional int32 e_f = 100;\n}\n",
    ] {
        let serialized = parse(text).serialized().expect("it compiles");
        let bytes = STANDARD.decode(&serialized).expect("base64");
        let names = ["aB", "eF"].map(str::as_bytes);
        assert!(!bytes.windows(2).any(|two| names.contains(&two)), "{text}");
    }
}
