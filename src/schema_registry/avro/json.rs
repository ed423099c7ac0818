//! JSON as Java's Avro reads and writes it: properties in the order of the text, numbers by their kind.
//!
//! Comments are allowed, a property that comes twice keeps its first place and its last value, whole numbers keep all
//! their digits and others are doubles. Reading does not recurse, and text, depth and digits are bounded.
//!
//! Source: `Schema.FACTORY` and `Schema.MAPPER` in Apache Avro; `JsonNodeDeserializer` in Jackson.

use std::collections::HashMap;

use super::super::format::SchemaError;
use super::number;

/// How deep arrays and objects may nest.
pub(super) const DEPTH_MAX: usize = 500;
/// Jackson's own bound (`StreamReadConstraints`).
const DIGITS_MAX: usize = 1000;
/// From this size on an object being read has an index of its keys.
const INDEXED_FROM: usize = 16;

#[derive(Debug, Clone)]
pub(super) enum Value {
    Null,
    Bool(bool),
    /// A whole number of at most 64 bits.
    Int(i64),
    /// A larger one, as written.
    Big(String),
    Double(f64),
    Text(String),
    Array(Vec<Self>),
    Object(Object),
}

/// Properties in the order in which their keys came first.
#[derive(Debug, Clone, Default)]
pub(super) struct Object(Vec<(String, Value)>);

impl Value {
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// How deep arrays and objects nest in it.
    pub(super) fn depth(&self) -> usize {
        match self {
            Self::Array(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Self::Object(Object(entries)) => {
                1 + entries.iter().map(|(_, value)| value.depth()).max().unwrap_or(0)
            }
            _ => 0,
        }
    }

    /// As JSON without spaces.
    pub(super) fn to_json(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    pub(super) fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Int(number) => out.push_str(&number.to_string()),
            Self::Big(digits) => out.push_str(digits),
            Self::Double(number) => number::write(*number, out),
            Self::Text(text) => write_text(text, out),
            Self::Array(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    out.push_str(if at == 0 { "" } else { "," });
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(object) => object.write(out),
        }
    }
}

impl Object {
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(own, _)| own == key).map(|(_, value)| value)
    }

    pub(super) fn entries(&self) -> &[(String, Value)] {
        &self.0
    }

    fn write(&self, out: &mut String) {
        out.push('{');
        for (at, (key, value)) in self.0.iter().enumerate() {
            out.push_str(if at == 0 { "" } else { "," });
            write_text(key, out);
            out.push(':');
            value.write(out);
        }
        out.push('}');
    }
}

/// A string in quotes, with only what must be escaped escaped.
pub(super) fn write_text(text: &str, out: &mut String) {
    const HEX: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' => {
                out.push_str("\\u00");
                out.push(HEX[c as usize >> 4]);
                out.push(HEX[c as usize & 15]);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Reads one value, and nothing after it.
///
/// # Errors
/// The text is not JSON, or nests deeper than [`DEPTH_MAX`]; the message says at which line and column.
pub(super) fn parse(text: &str) -> Result<Value, SchemaError> {
    Reader { text, at: 0 }.document()
}

/// An array or object of which not all was read.
enum Open {
    Array(Vec<Value>),
    Object { object: Object, key: String, index: HashMap<String, usize> },
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn document(&mut self) -> Result<Value, SchemaError> {
        let mut open = Vec::new();
        loop {
            self.skip_space()?;
            let value = match self.peek() {
                Some(b'{') => self.opened_object(&mut open)?,
                Some(b'[') => self.opened_array(&mut open)?,
                _ => Some(self.scalar()?),
            };
            let Some(value) = value else { continue };
            if let Some(whole) = self.attach(value, &mut open)? {
                return Ok(whole);
            }
        }
    }

    /// Puts a value where it belongs and closes what ends behind it; gives the whole when nothing is open any more.
    fn attach(
        &mut self,
        mut value: Value,
        open: &mut Vec<Open>,
    ) -> Result<Option<Value>, SchemaError> {
        loop {
            self.skip_space()?;
            match open.pop() {
                None if self.at == self.text.len() => return Ok(Some(value)),
                None => return Err(self.error("nothing more is expected after the schema")),
                Some(Open::Array(mut items)) => {
                    items.push(value);
                    match self.next() {
                        Some(b',') => {
                            open.push(Open::Array(items));
                            return Ok(None);
                        }
                        Some(b']') => value = Value::Array(items),
                        _ => return Err(self.error_before("expected , or ] in an array")),
                    }
                }
                Some(Open::Object { mut object, key, mut index }) => {
                    insert(&mut object, &mut index, key, value);
                    match self.next() {
                        Some(b',') => {
                            let key = self.key()?;
                            open.push(Open::Object { object, key, index });
                            return Ok(None);
                        }
                        Some(b'}') => value = Value::Object(object),
                        _ => return Err(self.error_before("expected , or } in an object")),
                    }
                }
            }
        }
    }

    fn opened_array(&mut self, open: &mut Vec<Open>) -> Result<Option<Value>, SchemaError> {
        self.enter(open)?;
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Some(Value::Array(Vec::new())));
        }
        open.push(Open::Array(Vec::new()));
        Ok(None)
    }

    fn opened_object(&mut self, open: &mut Vec<Open>) -> Result<Option<Value>, SchemaError> {
        self.enter(open)?;
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Some(Value::Object(Object::default())));
        }
        let key = self.key()?;
        open.push(Open::Object { object: Object::default(), key, index: HashMap::new() });
        Ok(None)
    }

    fn enter(&mut self, open: &[Open]) -> Result<(), SchemaError> {
        if open.len() >= DEPTH_MAX {
            return Err(self.error(&format!("it nests deeper than {DEPTH_MAX} levels")));
        }
        self.at += 1;
        self.skip_space()
    }

    fn key(&mut self) -> Result<String, SchemaError> {
        self.skip_space()?;
        if self.peek() != Some(b'"') {
            return Err(self.error("expected a property's name in double quotes"));
        }
        let key = self.string()?;
        self.skip_space()?;
        match self.next() {
            Some(b':') => Ok(key),
            _ => Err(self.error_before("expected : after a property's name")),
        }
    }

    fn scalar(&mut self) -> Result<Value, SchemaError> {
        match self.peek() {
            Some(b'"') => Ok(Value::Text(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            None => Err(self.error("the text ends where a value is expected")),
            Some(_) => {
                let words = [
                    ("null", Value::Null),
                    ("true", Value::Bool(true)),
                    ("false", Value::Bool(false)),
                ];
                for (word, value) in words {
                    if self.text[self.at..].starts_with(word) {
                        self.at += word.len();
                        return Ok(value);
                    }
                }
                Err(self
                    .error("expected a value: an object, an array, or a string in double quotes"))
            }
        }
    }

    fn number(&mut self) -> Result<Value, SchemaError> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        let whole = self.digits();
        if whole == 0 || (whole > 1 && self.text.as_bytes()[self.at - whole] == b'0') {
            return Err(self.error_before("a number has one digit or does not start with 0"));
        }
        let mut is_whole = true;
        if self.peek() == Some(b'.') {
            is_whole = false;
            self.at += 1;
            if self.digits() == 0 {
                return Err(self.error("expected a digit after the decimal point"));
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            is_whole = false;
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            if self.digits() == 0 {
                return Err(self.error("expected a digit in the exponent"));
            }
        }
        let literal = &self.text[start..self.at];
        if literal.len() > DIGITS_MAX {
            return Err(self.error(&format!("a number has more than {DIGITS_MAX} digits")));
        }
        Ok(match literal.parse() {
            Ok(number) if is_whole => Value::Int(number),
            _ if is_whole => Value::Big(literal.to_owned()),
            _ => Value::Double(literal.parse().unwrap_or(f64::NAN)),
        })
    }

    fn digits(&mut self) -> usize {
        let rest = &self.text.as_bytes()[self.at..];
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        count
    }

    /// The string whose opening quote stands here.
    fn string(&mut self) -> Result<String, SchemaError> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.bytes().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..=31));
            // All of these are ASCII, so the cut falls between characters.
            let plain = plain.count();
            out.push_str(&rest[..plain]);
            self.at += plain;
            match self.next() {
                Some(b'"') => return Ok(out),
                Some(b'\\') => out.push(self.escaped()?),
                Some(_) => return Err(self.error_before("a control character in a string")),
                None => return Err(self.error("a string does not end")),
            }
        }
    }

    fn escaped(&mut self) -> Result<char, SchemaError> {
        Ok(match self.next() {
            Some(c @ (b'"' | b'\\' | b'/')) => c.into(),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let first = self.unit()?;
                let is_pair = (0xd800..0xdc00).contains(&first)
                    && self.text.as_bytes()[self.at..].starts_with(b"\\u");
                let code = if is_pair {
                    self.at += 2;
                    let second = self.unit()?;
                    0x1_0000 + ((first - 0xd800) << 10) + (second.wrapping_sub(0xdc00) & 0x3ff)
                        // A second half out of its range makes the whole invalid.
                        + if (0xdc00..0xe000).contains(&second) { 0 } else { 0x11_0000 }
                } else {
                    first
                };
                char::from_u32(code).ok_or_else(|| self.error_before("half of a surrogate pair"))?
            }
            _ => return Err(self.error_before("an unknown escape in a string")),
        })
    }

    /// The four hexadecimal digits of `\u`.
    fn unit(&mut self) -> Result<u32, SchemaError> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4).unwrap_or_default();
        let mut unit = 0;
        for digit in digits {
            let digit = char::from(*digit).to_digit(16);
            unit =
                unit * 16 + digit.ok_or_else(|| self.error("expected four hexadecimal digits"))?;
        }
        if digits.is_empty() {
            return Err(self.error("expected four hexadecimal digits"));
        }
        self.at += 4;
        Ok(unit)
    }

    /// Past spaces and comments.
    fn skip_space(&mut self) -> Result<(), SchemaError> {
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let blank = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
            let blank = blank.count();
            self.at += blank;
            let rest = &self.text[self.at..];
            if rest.starts_with("//") {
                self.at += rest.find(['\n', '\r']).unwrap_or(rest.len());
            } else if let Some(comment) = rest.strip_prefix("/*") {
                let end = comment.find("*/");
                self.at += end.ok_or_else(|| self.error("a comment does not end"))? + 4;
            } else {
                return Ok(());
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek();
        self.at += usize::from(byte.is_some());
        byte
    }

    fn error(&self, what: &str) -> SchemaError {
        self.error_at(self.at, what)
    }

    /// An error at what was just taken.
    fn error_before(&self, what: &str) -> SchemaError {
        self.error_at(self.at.saturating_sub(1), what)
    }

    fn error_at(&self, at: usize, what: &str) -> SchemaError {
        let before = &self.text.as_bytes()[..at];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
        SchemaError::new(format!("not JSON at line {line}, column {column}: {what}"))
    }
}

fn insert(object: &mut Object, index: &mut HashMap<String, usize>, key: String, value: Value) {
    let entries = &mut object.0;
    let known = if index.is_empty() {
        entries.iter().position(|(own, _)| *own == key)
    } else {
        index.get(&key).copied()
    };
    if let Some(at) = known {
        entries[at].1 = value;
        return;
    }
    if !index.is_empty() {
        index.insert(key.clone(), entries.len());
    }
    entries.push((key, value));
    if index.is_empty() && entries.len() >= INDEXED_FROM {
        let keys = entries.iter().enumerate();
        index.extend(keys.map(|(at, (key, _))| (key.clone(), at)));
    }
}
