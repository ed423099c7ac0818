//! A schema as the text that somebody might have written: in any order, with names written in any way that is allowed.

use std::fmt::Write as _;

use super::dice::Dice;
use super::schema::{Field, Kind, Named, Schema, Type, Version};

/// The schema's text, and the texts that it refers to.
pub(crate) fn texts(schema: &Schema, dice: &mut Dice, version: Version) -> Vec<String> {
    let mut renderer =
        Renderer { schema, dice, defined: Vec::new(), open: Vec::new(), has_defaults: true };
    let mut references = Vec::new();
    if !schema.named.is_empty() && renderer.dice.once_in(4) {
        // Avro 1.12 puts types together in an order in which it can find a record of such a default unfinished.
        renderer.has_defaults = version == Version::V1_11;
        for _ in 0..=renderer.dice.below(2) {
            let place = renderer.dice.below(schema.named.len());
            if !renderer.defined.contains(&place) {
                references.push(renderer.schema(&Type::Named(place), ""));
            }
        }
    }
    let mut texts = vec![renderer.schema(&schema.root, "")];
    texts.extend(references);
    texts
}

struct Renderer<'a> {
    schema: &'a Schema,
    dice: &'a mut Dice,
    defined: Vec<usize>,
    /// Records of which not all fields are written.
    open: Vec<usize>,
    /// Whether records have defaults.
    has_defaults: bool,
}

type Properties = Vec<(String, String)>;

impl Renderer<'_> {
    fn schema(&mut self, schema: &Type, space: &str) -> String {
        match schema {
            Type::Primitive(name, props) => {
                let name = format!("\"{name}\"");
                if props.is_empty() && !self.dice.once_in(8) {
                    return name;
                }
                self.object([vec![("type".into(), name)], props.clone()].concat())
            }
            Type::Array(part, props) => self.container("array", "items", (part, props), space),
            Type::Map(part, props) => self.container("map", "values", (part, props), space),
            Type::Union(branches) => {
                let branches: Vec<_> =
                    branches.iter().map(|branch| self.schema(branch, space)).collect();
                format!("[{}]", branches.join(&self.comma()))
            }
            Type::Named(place) if self.defined.contains(place) => self.name(*place, space),
            Type::Named(place) => self.definition(*place, space),
        }
    }

    fn container(
        &mut self,
        kind: &str,
        key: &str,
        (part, props): (&Type, &Properties),
        space: &str,
    ) -> String {
        let part = self.schema(part, space);
        let own = vec![("type".into(), format!("\"{kind}\"")), (key.into(), part)];
        self.object([own, props.clone()].concat())
    }

    /// A type that was defined before.
    fn name(&mut self, place: usize, space: &str) -> String {
        let Named { name, space: own, .. } = &self.schema.named[place];
        if own.is_empty() {
            return format!("\"{name}\"");
        }
        let is_short = *own == space && self.dice.once_in(2);
        let name = if is_short { name.clone() } else { format!("{own}.{name}") };
        if self.dice.once_in(10) {
            return self
                .object(vec![("type".into(), format!("\"{name}\"")), ("x".into(), "1".into())]);
        }
        format!("\"{name}\"")
    }

    fn definition(&mut self, place: usize, space: &str) -> String {
        self.defined.push(place);
        let named = &self.schema.named[place];
        let mut own: Properties = Vec::new();
        let name = &named.name;
        match (named.space == space, self.dice.below(3)) {
            (true, 0 | 1) => own.push(("name".into(), quoted(name))),
            (_, 0) if !named.space.is_empty() => {
                own.push(("name".into(), quoted(&format!("{}.{name}", named.space))));
                if self.dice.once_in(3) {
                    own.push(("namespace".into(), "\"ignored.here\"".into()));
                }
            }
            _ => {
                own.push(("name".into(), quoted(name)));
                own.push(("namespace".into(), quoted(named.space)));
            }
        }
        if let Some(doc) = named.doc {
            own.push(("doc".into(), self.text(doc)));
        }
        if !named.aliases.is_empty() {
            own.push(("aliases".into(), list(&named.aliases)));
        }
        let kind = match &named.kind {
            Kind::Record { is_error, fields } => {
                self.open.push(place);
                let fields: Vec<_> =
                    fields.iter().map(|field| self.field(field, named.space)).collect();
                self.open.pop();
                own.push(("fields".into(), format!("[{}]", fields.join(&self.comma()))));
                if *is_error { "error" } else { "record" }
            }
            Kind::Enum { symbols, default } => {
                own.push(("symbols".into(), list(symbols)));
                own.extend(default.map(|default| ("default".into(), quoted(default))));
                "enum"
            }
            Kind::Fixed(size) => {
                own.push(("size".into(), size.to_string()));
                "fixed"
            }
        };
        own.push(("type".into(), quoted(kind)));
        self.object([own, named.props.clone()].concat())
    }

    fn field(&mut self, field: &Field, space: &str) -> String {
        let mut own = vec![
            ("name".into(), quoted(&field.name)),
            ("type".into(), self.schema(&field.schema, space)),
        ];
        if let Some(doc) = field.doc {
            own.push(("doc".into(), self.text(doc)));
        }
        if let Some(order) = field.order {
            own.push(("order".into(), quoted(order)));
        }
        if !field.aliases.is_empty() {
            own.push(("aliases".into(), list(&field.aliases)));
        }
        if let Some(default) = field.default.and_then(|seed| self.default(&field.schema, seed)) {
            own.push(("default".into(), default));
        }
        self.object([own, field.props.clone()].concat())
    }

    /// A default of the type, or seldom one that does not fit. None for a type that holds a record which is being
    /// written: the versions of Avro disagree on it.
    fn default(&mut self, schema: &Type, seed: u64) -> Option<String> {
        let mut dice = Dice(seed);
        // What fits a later branch of a union is judged differently by the versions.
        if !matches!(schema, Type::Union(_)) && dice.once_in(60) {
            return Some(dice.pick(&["null", "1", "\"x\"", "[]", "{}", "true", "1.5"]).to_owned());
        }
        let is_float = matches!(schema, Type::Primitive("float" | "double", _));
        if is_float && dice.once_in(4) {
            // Only here is a text taken for a number.
            return Some(dice.pick(&["\"NaN\"", "\"-Infinity\"", "\" 1.5 \""]).to_owned());
        }
        let mut value = String::new();
        let is_whole = self.value(schema, &mut dice, 4, &mut value).is_some();
        is_whole.then_some(value)
    }

    fn value(&self, schema: &Type, dice: &mut Dice, depth: usize, out: &mut String) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match schema {
            Type::Primitive(name, _) => out.push_str(match *name {
                "null" => "null",
                "boolean" => dice.pick(&["true", "false"]),
                "int" => dice.pick(&["0", "-1", "2147483647", "-0"]),
                "long" => dice.pick(&["0", "7", "12345678901", "-9223372036854775808"]),
                "float" => dice.pick(&["0", "1", "0.1", "1.5e3", "3.0E-5", "12345678"]),
                "double" => dice.pick(&["0", "1.10", "-2.5e-3", "1e22", "12345678901"]),
                "bytes" => dice.pick(&["\"\"", "\"\\u00ff\\u0000\"", "\"abc\""]),
                _ => dice.pick(&["\"\"", "\"x\"", "\"\u{e9}\\n\\u20ac\""]),
            }),
            Type::Array(part, _) => {
                out.push('[');
                for at in 0..dice.below(3) {
                    out.push_str(if at == 0 { "" } else { "," });
                    self.value(part, dice, depth, out)?;
                }
                out.push(']');
            }
            Type::Map(part, _) => {
                out.push('{');
                for at in 0..dice.below(3) {
                    out.push_str(if at == 0 { "\"z\":" } else { ",\"a\":" });
                    self.value(part, dice, depth, out)?;
                }
                out.push('}');
            }
            // Before 1.12, a default is one of the first branch; Confluent's normal form loses any other.
            Type::Union(branches) => self.value(branches.first()?, dice, depth, out)?,
            Type::Named(place) => match &self.schema.named[*place].kind {
                Kind::Enum { symbols, .. } => out.push_str(&quoted(symbols[0])),
                Kind::Fixed(size) => out.push_str(&quoted(&"0".repeat(*size))),
                Kind::Record { fields, .. } => {
                    let is_open = self.open.contains(place);
                    if !self.has_defaults || is_open || !self.defined.contains(place) {
                        return None;
                    }
                    out.push('{');
                    for (at, field) in fields.iter().rev().enumerate() {
                        let _ = write!(
                            out,
                            "{}{}:",
                            if at == 0 { "" } else { "," },
                            quoted(&field.name)
                        );
                        self.value(&field.schema, dice, depth, out)?;
                    }
                    out.push('}');
                }
            },
        }
        Some(())
    }

    fn object(&mut self, mut properties: Properties) -> String {
        if self.dice.once_in(2) {
            self.dice.shuffle(&mut properties);
        }
        let mut text = String::from("{");
        for (at, (key, value)) in properties.iter().enumerate() {
            if at > 0 {
                text.push_str(&self.comma());
            }
            text.push_str(&quoted(key));
            text.push_str(if self.dice.once_in(6) { " : " } else { ":" });
            text.push_str(value);
        }
        text.push('}');
        text
    }

    fn comma(&mut self) -> String {
        let commas = [",", ",", ",", ", ", " , /* a comment */ "];
        commas[self.dice.below(commas.len())].to_owned()
    }

    fn text(&mut self, text: &str) -> String {
        if self.dice.once_in(3) {
            let units = text.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
            return format!("\"{}\"", units.collect::<String>());
        }
        quoted(text)
    }
}

fn list(texts: &[impl AsRef<str>]) -> String {
    let texts: Vec<_> = texts.iter().map(|text| quoted(text.as_ref())).collect();
    format!("[{}]", texts.join(","))
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
