//! Turns the `Debug` text of a decoded message into a JSON tree, so that answers are compared field by field.
//!
//! The protocol crate derives `Debug` on every message and nothing else that walks fields. This reads exactly that
//! format: structs, newtypes, lists, maps, options, strings, byte strings, numbers and UUIDs.

use std::fmt::Debug;

use serde_json::{Map, Value};

/// The fields of `message` as JSON. Byte strings become `{"bytes": "<hex>"}`; empty maps of unknown tags are left out.
pub fn of(message: &impl Debug) -> Value {
    let text = format!("{message:?}");
    let mut reader = Reader { text: text.as_bytes(), at: 0 };
    let value = reader.value();
    assert!(reader.at == text.len(), "unread text after a message: {}", &text[reader.at..]);
    value
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or(0)
    }

    fn eat(&mut self, expected: &str) -> bool {
        let hit = self.text[self.at..].starts_with(expected.as_bytes());
        if hit {
            self.at += expected.len();
        }
        hit
    }

    fn value(&mut self) -> Value {
        if self.eat("b\"") {
            return self.byte_string();
        }
        match self.peek() {
            b'[' => self.list(),
            b'{' => self.map(),
            b'"' => {
                self.at += 1;
                Value::String(self.string())
            }
            _ => self.word(),
        }
    }

    fn list(&mut self) -> Value {
        self.at += 1;
        let mut items = Vec::new();
        while !self.eat("]") {
            items.push(self.value());
            self.eat(", ");
        }
        Value::Array(items)
    }

    fn map(&mut self) -> Value {
        self.at += 1;
        let mut entries = Map::new();
        while !self.eat("}") {
            let key = self.value().to_string();
            assert!(self.eat(": "), "a map without a colon");
            entries.insert(key, self.value());
            self.eat(", ");
        }
        Value::Object(entries)
    }

    fn word(&mut self) -> Value {
        let start = self.at;
        while !matches!(self.peek(), 0 | b',' | b' ' | b']' | b'}' | b')' | b'(' | b':') {
            self.at += 1;
        }
        let word = String::from_utf8_lossy(&self.text[start..self.at]).into_owned();
        if self.eat(" { ") {
            return self.fields();
        }
        if self.eat("(") {
            let inner = self.value();
            assert!(self.eat(")"), "an unclosed tuple");
            return inner;
        }
        match word.as_str() {
            "None" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => word.parse::<i64>().map_or(Value::String(word), Value::from),
        }
    }

    fn fields(&mut self) -> Value {
        let mut fields = Map::new();
        while !self.eat(" }") {
            let start = self.at;
            while self.peek() != b':' {
                self.at += 1;
            }
            let name = String::from_utf8_lossy(&self.text[start..self.at]).into_owned();
            assert!(self.eat(": "), "a field without a value");
            let value = self.value();
            let empty_tags = name == "unknown_tagged_fields" && value == Value::Object(Map::new());
            if !empty_tags {
                fields.insert(name, value);
            }
            self.eat(", ");
        }
        Value::Object(fields)
    }

    fn string(&mut self) -> String {
        let mut out = Vec::new();
        while !self.eat("\"") {
            if self.eat("\\u{") {
                let character = self.code_point();
                out.extend_from_slice(character.to_string().as_bytes());
            } else {
                out.push(self.byte());
            }
        }
        String::from_utf8(out).expect("Debug text of a string is UTF-8")
    }

    /// The rest of an escape that names a code point.
    fn code_point(&mut self) -> char {
        let start = self.at;
        self.at +=
            self.text[start..].iter().position(|byte| *byte == b'}').expect("a closing brace");
        let digits = std::str::from_utf8(&self.text[start..self.at]).expect("hex digits");
        self.at += 1;
        let code = u32::from_str_radix(digits, 16).expect("a code point");
        char::from_u32(code).expect("a character")
    }

    fn byte_string(&mut self) -> Value {
        let mut hex = String::new();
        while !self.eat("\"") {
            hex.push_str(&format!("{:02x}", self.byte()));
        }
        Value::Object(Map::from_iter([("bytes".to_owned(), Value::String(hex))]))
    }

    /// One byte of a quoted text, its escape undone.
    fn byte(&mut self) -> u8 {
        if self.eat("\\x") {
            let digits = std::str::from_utf8(&self.text[self.at..self.at + 2]).expect("hex digits");
            self.at += 2;
            return u8::from_str_radix(digits, 16).expect("a byte in hex");
        }
        let escaped = self.eat("\\");
        let byte = self.peek();
        self.at += 1;
        match (escaped, byte) {
            (true, b'n') => b'\n',
            (true, b'r') => b'\r',
            (true, b't') => b'\t',
            (true, b'0') => 0,
            _ => byte,
        }
    }
}

#[test]
fn debug_text_reads_back_as_fields() {
    #[derive(Debug)]
    #[allow(dead_code, reason = "read through Debug")]
    struct Inner {
        id: i32,
        name: Option<&'static str>,
        raw: bytes::Bytes,
        unknown_tagged_fields: std::collections::BTreeMap<i32, i32>,
    }
    let message = vec![Inner {
        id: -7,
        name: Some("a \"b\" \u{1}, }"),
        raw: bytes::Bytes::from_static(b"\x00\xff\"\\n\n"),
        unknown_tagged_fields: std::collections::BTreeMap::new(),
    }];
    let expected = serde_json::json!([
        {"id": -7, "name": "a \"b\" \u{1}, }", "raw": {"bytes": "00ff225c6e0a"}}
    ]);
    assert_eq!(of(&message), expected);
}
