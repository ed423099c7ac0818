//! JSON as it is written: members in their order, numbers digit by digit.
//!
//! What a registry stores is the text as Jackson prints the parsed node, and that keeps both. A value of `serde_json`
//! keeps neither, and is made of this where only the meaning counts.

use std::collections::BTreeMap;

use crate::schema_registry::format::SchemaError;

/// How deep values may stand in one another, in schemas and in records: the parser of `serde_json` has this limit too.
pub(super) const DEPTH_MAX: usize = 128;

/// A parsed value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    /// As it is written.
    Number(String),
    String(String),
    Array(Vec<Json>),
    /// Each name once, in the place where it stood first, with the value that it had last.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// The member of an object.
    pub(super) fn get(&self, name: &str) -> Option<&Json> {
        self.members().iter().find(|(member, _)| member == name).map(|(_, value)| value)
    }

    /// The members of an object; none of anything else.
    pub(super) fn members(&self) -> &[(String, Json)] {
        if let Self::Object(members) = self { members } else { &[] }
    }

    /// The elements of an array; none of anything else.
    pub(super) fn elements(&self) -> &[Json] {
        if let Self::Array(elements) = self { elements } else { &[] }
    }

    pub(super) fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// The number next to it in binary.
    pub(super) fn as_f64(&self) -> Option<f64> {
        if let Self::Number(text) = self { text.parse().ok() } else { None }
    }

    /// The value without order and spelling.
    pub(super) fn to_value(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(set) => (*set).into(),
            Self::Number(text) => number_value(text),
            Self::String(text) => text.as_str().into(),
            Self::Array(elements) => elements.iter().map(Self::to_value).collect(),
            Self::Object(members) => {
                members.iter().map(|(name, value)| (name.clone(), value.to_value())).collect()
            }
        }
    }

    /// A word that values have in common which mean the same.
    pub(super) fn key(&self) -> String {
        match self {
            Self::Number(text) if text.contains(['.', 'e', 'E']) => match text.parse::<f64>() {
                Ok(number) if number.is_finite() => number.to_string(),
                _ => text.clone(),
            },
            Self::Array(elements) => {
                elements.iter().map(|element| element.key() + ",").collect::<String>() + "]"
            }
            Self::Object(_) => {
                let sorted = self.sorted();
                let members = sorted
                    .members()
                    .iter()
                    .map(|(name, value)| format!("{name:?}:{},", value.key()));
                members.collect::<String>() + "}"
            }
            Self::String(text) => format!("{text:?}"),
            other => other.print(),
        }
    }

    /// The same with the members of every object in the order of their names, as Java compares strings.
    pub(super) fn sorted(&self) -> Json {
        match self {
            Self::Array(elements) => Self::Array(elements.iter().map(Self::sorted).collect()),
            Self::Object(members) => {
                let mut members: Vec<_> =
                    members.iter().map(|(name, value)| (name.clone(), value.sorted())).collect();
                members
                    .sort_by(|(one, _), (other, _)| one.encode_utf16().cmp(other.encode_utf16()));
                Self::Object(members)
            }
            other => other.clone(),
        }
    }

    /// The text without blanks, as Jackson writes it.
    pub(super) fn print(&self) -> String {
        let mut out = String::new();
        self.print_to(&mut out);
        out
    }

    fn print_to(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(set) => out.push_str(if *set { "true" } else { "false" }),
            Self::Number(text) => out.push_str(&number_text(text)),
            Self::String(text) => quote(text, out),
            Self::Array(elements) => {
                out.push('[');
                for (place, element) in elements.iter().enumerate() {
                    out.push_str(if place == 0 { "" } else { "," });
                    element.print_to(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (place, (name, value)) in members.iter().enumerate() {
                    out.push_str(if place == 0 { "" } else { "," });
                    quote(name, out);
                    out.push(':');
                    value.print_to(out);
                }
                out.push('}');
            }
        }
    }
}

/// A number that no double comes near (`1e999`) is the largest there is.
fn number_value(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|_| {
        let largest = if text.starts_with('-') { f64::MIN } else { f64::MAX };
        largest.into()
    })
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for sign in text.chars() {
        match sign {
            '"' | '\\' => out.extend(['\\', sign]),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\0'..='\u{1f}' => out.push_str(&format!("\\u{:04X}", u32::from(sign))),
            sign => out.push(sign),
        }
    }
    out.push('"');
}

/// A number as Java's `BigInteger` and `BigDecimal` write themselves: the digits stay, an exponent has its own form.
fn number_text(text: &str) -> String {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.len() == digits.len() {
        return if digits == "0" { digits.to_owned() } else { text.to_owned() };
    }
    let Ok(exponent) = exponent.parse::<i64>() else { return text.to_owned() };
    let joined = format!("{whole}{fraction}");
    let unscaled = joined.trim_start_matches('0');
    let unscaled = if unscaled.is_empty() { "0" } else { unscaled };
    let (Ok(places), Ok(length)) = (i64::try_from(fraction.len()), i64::try_from(unscaled.len()))
    else {
        return text.to_owned();
    };
    let sign = if unscaled == "0" { "" } else { sign };
    let scale = places.saturating_sub(exponent);
    let adjusted = (length - 1).saturating_sub(scale);
    if scale >= 0 && adjusted >= -6 {
        return format!("{sign}{}", plain(unscaled, usize::try_from(scale).unwrap_or(0)));
    }
    let (first, rest) = unscaled.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    format!("{sign}{first}{point}{rest}E{adjusted:+}")
}

fn plain(unscaled: &str, scale: usize) -> String {
    if scale == 0 {
        return unscaled.to_owned();
    }
    let padded = format!("{unscaled:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    format!("{whole}.{fraction}")
}

/// Parses a whole text.
///
/// # Errors
/// If it is not JSON, or nests more than [`DEPTH_MAX`] deep.
pub(super) fn parse(text: &str) -> Result<Json, SchemaError> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    reader.skip();
    if reader.at < text.len() {
        return Err(reader.error("more than one value"));
    }
    Ok(value)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn error(&self, what: &str) -> SchemaError {
        let before = &self.text.as_bytes()[..self.at];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        SchemaError::new(format!("not JSON: line {line}, column {column}: {what}"))
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Past blanks, and past the sign if it is the next.
    fn take(&mut self, sign: u8) -> bool {
        self.skip();
        let found = self.peek() == Some(sign);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize) -> Result<Json, SchemaError> {
        if depth > DEPTH_MAX {
            return Err(self.error(&format!("values are nested more than {DEPTH_MAX} deep")));
        }
        self.skip();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => Ok(Json::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            _ => Err(self.error("expected a value")),
        }
    }

    fn word(&mut self, word: &str, value: Json) -> Result<Json, SchemaError> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.error("expected a value"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn array(&mut self, depth: usize) -> Result<Json, SchemaError> {
        let mut elements = Vec::new();
        self.at += 1;
        if self.take(b']') {
            return Ok(Json::Array(elements));
        }
        loop {
            elements.push(self.value(depth + 1)?);
            if self.take(b']') {
                return Ok(Json::Array(elements));
            }
            if !self.take(b',') {
                return Err(self.error("expected `,` or `]`"));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, SchemaError> {
        let mut members: Vec<(String, Json)> = Vec::new();
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        self.at += 1;
        if self.take(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.skip();
            if self.peek() != Some(b'"') {
                return Err(self.error("expected a name in quotes"));
            }
            let name = self.string()?;
            if !self.take(b':') {
                return Err(self.error("expected `:`"));
            }
            let value = self.value(depth + 1)?;
            match places.get(&name) {
                Some(&place) => members[place].1 = value,
                None => {
                    places.insert(name.clone(), members.len());
                    members.push((name, value));
                }
            }
            if self.take(b'}') {
                return Ok(Json::Object(members));
            }
            if !self.take(b',') {
                return Err(self.error("expected `,` or `}`"));
            }
        }
    }

    fn digits(&mut self) -> Result<(), SchemaError> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(self.error("expected a digit")) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<Json, SchemaError> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        let zero = self.peek() == Some(b'0');
        let first = self.at;
        self.digits()?;
        if zero && self.at > first + 1 {
            return Err(self.error("a number begins with a zero"));
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(Json::Number(self.text[start..self.at].to_owned()))
    }

    fn string(&mut self) -> Result<String, SchemaError> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.bytes().position(|byte| byte < 0x20 || byte == b'"' || byte == b'\\');
            let plain = plain.ok_or_else(|| self.error("a string does not end"))?;
            out.push_str(&rest[..plain]);
            self.at += plain + 1;
            match rest.as_bytes()[plain] {
                b'"' => return Ok(out),
                b'\\' => out.push(self.escape()?),
                _ => return Err(self.error("a control character stands in a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, SchemaError> {
        let sign = self.peek().ok_or_else(|| self.error("a string does not end"))?;
        self.at += 1;
        Ok(match sign {
            b'"' | b'\\' | b'/' => char::from(sign),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => self.unicode()?,
            _ => {
                // It may be the first byte of several: back, so that an error is not told inside of a character.
                self.at -= 1;
                return Err(self.error("an escape is not known"));
            }
        })
    }

    fn unicode(&mut self) -> Result<char, SchemaError> {
        let high = self.hex()?;
        let code = match high {
            0xd800..=0xdbff if self.text[self.at..].starts_with("\\u") => {
                self.at += 2;
                let low = self.hex()?;
                0x1_0000 + ((high - 0xd800) << 10) + low.checked_sub(0xdc00).unwrap_or(0x11_0000)
            }
            other => other,
        };
        char::from_u32(code).ok_or_else(|| self.error("an escape is half of a surrogate pair"))
    }

    fn hex(&mut self) -> Result<u32, SchemaError> {
        let digits = self
            .text
            .as_bytes()
            .get(self.at..self.at + 4)
            .filter(|four| four.iter().all(u8::is_ascii_hexdigit));
        let code =
            digits.and_then(|four| u32::from_str_radix(std::str::from_utf8(four).ok()?, 16).ok());
        self.at += if code.is_some() { 4 } else { 0 };
        code.ok_or_else(|| self.error("an escape needs four hexadecimal digits"))
    }
}
