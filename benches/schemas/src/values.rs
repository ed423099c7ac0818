//! One order, as a schema and as bytes, in each of the formats: a dozen fields, a nested record, an optional one, two lists.

use serde_json::{Value as Json, json};

/// A format's name, its schema, and how one value of it is written.
pub type Format = (&'static str, fn() -> String, fn(u64) -> Vec<u8>);

/// All of them.
pub const FORMATS: [Format; 3] = [
    ("AVRO", avro_schema, avro_value),
    ("JSON", json_schema, json_value),
    ("PROTOBUF", protobuf_schema, protobuf_value),
];

/// What an order says.
struct Order {
    id: u64,
    customer: String,
    total: f64,
    paid: bool,
    note: Option<&'static str>,
    tags: [&'static str; 2],
    street: &'static str,
    city: &'static str,
    lines: [(&'static str, u64, f64); 2],
}

fn order(id: u64) -> Order {
    Order {
        id,
        customer: format!("customer-{}", id % 1000),
        total: id as f64 * 1.25,
        paid: id.is_multiple_of(2),
        note: id.is_multiple_of(3).then_some("leave it at the door"),
        tags: ["express", "gift"],
        street: "Lange Strasse 17",
        city: "Frankfurt",
        lines: [("4006381333931", 1 + id % 5, 9.99), ("4012345678901", 2, 19.5)],
    }
}

fn avro_schema() -> String {
    let field = |name: &str, kind: Json| json!({ "name": name, "type": kind });
    let record =
        |name: &str, fields: Vec<Json>| json!({ "type": "record", "name": name, "fields": fields });
    let address = vec![field("street", json!("string")), field("city", json!("string"))];
    let line = vec![
        field("sku", json!("string")),
        field("count", json!("long")),
        field("price", json!("double")),
    ];
    let fields = vec![
        field("id", json!("long")),
        field("customer", json!("string")),
        field("total", json!("double")),
        field("paid", json!("boolean")),
        field("note", json!(["null", "string"])),
        field("tags", json!({ "type": "array", "items": "string" })),
        field("address", record("Address", address)),
        field("lines", json!({ "type": "array", "items": record("Line", line) })),
    ];
    record("Order", fields).to_string()
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

fn avro_long(out: &mut Vec<u8>, number: u64) {
    varint(out, number << 1);
}

fn avro_text(out: &mut Vec<u8>, text: &str) {
    avro_long(out, text.len() as u64);
    out.extend(text.as_bytes());
}

fn avro_value(id: u64) -> Vec<u8> {
    let (order, mut out) = (order(id), Vec::new());
    avro_long(&mut out, order.id);
    avro_text(&mut out, &order.customer);
    out.extend(order.total.to_le_bytes());
    out.push(u8::from(order.paid));
    match order.note {
        None => avro_long(&mut out, 0),
        Some(note) => {
            avro_long(&mut out, 1);
            avro_text(&mut out, note);
        }
    }
    avro_long(&mut out, order.tags.len() as u64);
    order.tags.iter().for_each(|tag| avro_text(&mut out, tag));
    avro_long(&mut out, 0);
    avro_text(&mut out, order.street);
    avro_text(&mut out, order.city);
    avro_long(&mut out, order.lines.len() as u64);
    for (sku, count, price) in order.lines {
        avro_text(&mut out, sku);
        avro_long(&mut out, count);
        out.extend(price.to_le_bytes());
    }
    avro_long(&mut out, 0);
    out
}

fn json_schema() -> String {
    let object = |properties: Json, required: &[&str]| {
        json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        })
    };
    let text = json!({ "type": "string" });
    let address = object(json!({ "street": text, "city": text }), &["street", "city"]);
    let line = json!({ "sku": text, "count": { "type": "integer", "minimum": 1 }, "price": { "type": "number" } });
    let line = object(line, &["sku", "count", "price"]);
    let properties = json!({
        "id": { "type": "integer" },
        "customer": text,
        "total": { "type": "number", "minimum": 0 },
        "paid": { "type": "boolean" },
        "note": text,
        "tags": { "type": "array", "items": text },
        "address": address,
        "lines": { "type": "array", "items": line },
    });
    object(properties, &["id", "customer", "total", "paid", "tags", "address", "lines"]).to_string()
}

fn json_value(id: u64) -> Vec<u8> {
    let order = order(id);
    let line = |(sku, count, price): (&str, u64, f64)| json!({ "sku": sku, "count": count, "price": price });
    let mut value = json!({
        "id": order.id,
        "customer": order.customer,
        "total": order.total,
        "paid": order.paid,
        "tags": order.tags,
        "address": { "street": order.street, "city": order.city },
        "lines": order.lines.map(line),
    });
    if let Some(note) = order.note {
        value["note"] = note.into();
    }
    value.to_string().into_bytes()
}

fn protobuf_schema() -> String {
    r#"syntax = "proto3";
message Order {
  int64 id = 1;
  string customer = 2;
  double total = 3;
  bool paid = 4;
  optional string note = 5;
  repeated string tags = 6;
  Address address = 7;
  repeated Line lines = 8;
  message Address {
    string street = 1;
    string city = 2;
  }
  message Line {
    string sku = 1;
    int64 count = 2;
    double price = 3;
  }
}
"#
    .to_owned()
}

fn number(out: &mut Vec<u8>, field: u64, number: u64) {
    varint(out, field << 3);
    varint(out, number);
}

fn double(out: &mut Vec<u8>, field: u64, number: f64) {
    varint(out, field << 3 | 1);
    out.extend(number.to_le_bytes());
}

fn bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend(bytes);
}

fn protobuf_value(id: u64) -> Vec<u8> {
    // The first message of its file: one zero says so.
    let (order, mut out) = (order(id), vec![0]);
    number(&mut out, 1, order.id);
    bytes(&mut out, 2, order.customer.as_bytes());
    double(&mut out, 3, order.total);
    number(&mut out, 4, u64::from(order.paid));
    if let Some(note) = order.note {
        bytes(&mut out, 5, note.as_bytes());
    }
    order.tags.iter().for_each(|tag| bytes(&mut out, 6, tag.as_bytes()));
    let mut address = Vec::new();
    bytes(&mut address, 1, order.street.as_bytes());
    bytes(&mut address, 2, order.city.as_bytes());
    bytes(&mut out, 7, &address);
    for (sku, count, price) in order.lines {
        let mut line = Vec::new();
        bytes(&mut line, 1, sku.as_bytes());
        number(&mut line, 2, count);
        double(&mut line, 3, price);
        bytes(&mut out, 8, &line);
    }
    out
}
