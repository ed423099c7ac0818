//! From JSON to types: definitions, names and their namespaces, references, what every type must have.
//!
//! A name may be used before its definition, and a definition may come again if it is equal: both as since Avro 1.12.
//! Does not decide whether a default fits its field ([`super::defaults`]).
//!
//! Source: `Schema.parse`, `Schema.Name`, `ParseContext` and `NameValidator` in Apache Avro 1.12.

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::super::format::{ResolvedReference, SchemaError};
use super::defaults::{Check, Stop};
use super::json::{self, Object, Value};
use super::model::{
    Enum, Field, Fixed, Kind, Name, Named, Node, Order, Primitive, Record, TypeId, Types,
};
use super::{TEXT_BYTES_MAX, TEXTS_BYTES_MAX, number, same};

/// What has a meaning of its own in a type, and is not kept as a property.
const RESERVED: [&str; 10] =
    ["doc", "fields", "items", "name", "namespace", "size", "symbols", "values", "type", "aliases"];
const FIELD_RESERVED: [&str; 6] = ["default", "doc", "name", "order", "type", "aliases"];
/// Bytes of a full name. Every name in a namespace repeats it, so a long one would multiply a text.
const NAME_BYTES_MAX: usize = 2048;
/// Bytes of all names and aliases of a schema and its references, each in full.
const NAMES_BYTES_MAX: usize = 32 << 20;
/// Java's longest array, which bounds a fixed's size there.
const FIXED_BYTES_MAX: i32 = i32::MAX - 8;

/// How strictly a schema is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rules {
    /// A new one: names as the specification has them, defaults that fit.
    New,
    /// One that a registry holds: it was accepted once, by what was the rule then.
    Stored,
}

pub(super) struct Parsed {
    pub(super) types: Types,
    pub(super) root: TypeId,
    /// The types that the references stand for.
    pub(super) referenced: Vec<TypeId>,
}

pub(super) fn parse(
    text: &str,
    references: &[ResolvedReference],
    rules: Rules,
) -> Result<Parsed, SchemaError> {
    let bytes = references.iter().map(|reference| reference.schema.len()).sum::<usize>();
    if text.len() > TEXT_BYTES_MAX || bytes > TEXTS_BYTES_MAX {
        return Err(SchemaError::new(format!(
            "a schema has at most {TEXT_BYTES_MAX} bytes and its references together {TEXTS_BYTES_MAX}, \
             and not {} and {bytes}",
            text.len()
        )));
    }
    let mut reader = Reader::new(rules);
    let mut referenced = Vec::new();
    for reference in references {
        let read = reader.document(&reference.schema);
        referenced.push(read.map_err(|error| {
            SchemaError::new(format!("reference \"{}\": {error}", reference.name))
        })?);
    }
    let root = reader.document(text)?;
    Ok(Parsed { types: reader.types, root, referenced })
}

/// Where in a text something stands, as a JSON pointer.
struct Path<'a> {
    above: Option<&'a Path<'a>>,
    step: Step,
}

#[derive(Clone, Copy)]
enum Step {
    Top,
    Key(&'static str),
    At(usize),
}

impl Path<'_> {
    fn key<'a>(&'a self, key: &'static str) -> Path<'a> {
        Path { above: Some(self), step: Step::Key(key) }
    }

    fn at<'a>(&'a self, at: usize) -> Path<'a> {
        Path { above: Some(self), step: Step::At(at) }
    }

    fn error(&self, what: impl fmt::Display) -> SchemaError {
        SchemaError::new(format!("at {self}: {what}"))
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut steps = Vec::new();
        let mut path = Some(self);
        while let Some(own) = path {
            steps.push(own.step);
            path = own.above;
        }
        if steps.len() == 1 {
            return f.write_str("/");
        }
        for step in steps.iter().rev() {
            match step {
                Step::Top => {}
                Step::Key(key) => write!(f, "/{key}")?,
                Step::At(at) => write!(f, "/{at}")?,
            }
        }
        Ok(())
    }
}

/// The place of what can only be judged later. Of very many only the first keep theirs: a path can be long.
fn noted(before: usize, path: &Path<'_>) -> String {
    if before < 1000 { path.to_string() } else { "one of many places".to_owned() }
}

/// The beginning of a value, to show in a message.
fn shown(value: &Value) -> String {
    let text = value.to_json();
    match text.char_indices().nth(120) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

struct Reader {
    types: Types,
    names: HashMap<String, TypeId>,
    rules: Rules,
    /// Names used before their definition, and where.
    forwards: Vec<(TypeId, String)>,
    /// Fields whose default waits for a definition: the record, the field's place, where.
    waiting: Vec<(TypeId, usize, String)>,
    check: Check,
    name_bytes: usize,
}

impl Reader {
    fn new(rules: Rules) -> Self {
        Self {
            types: Types::default(),
            names: HashMap::new(),
            rules,
            forwards: Vec::new(),
            waiting: Vec::new(),
            check: Check::default(),
            name_bytes: 0,
        }
    }

    /// Reads one text; what it defines is known to those that come after it.
    fn document(&mut self, text: &str) -> Result<TypeId, SchemaError> {
        let value = json::parse(text)?;
        let start = self.types.len();
        let root = self.schema(&value, None, &Path { above: None, step: Step::Top })?;
        self.resolve(start, root)
    }

    /// Puts definitions in the place of the names that were used before them.
    fn resolve(&mut self, start: usize, root: TypeId) -> Result<TypeId, SchemaError> {
        let mut defined = HashMap::new();
        for (id, place) in std::mem::take(&mut self.forwards) {
            let name = self.types.kind(id).full_name();
            let Some(definition) = self.names.get(name) else {
                return Err(SchemaError::new(format!("at {place}: \"{name}\" is not defined")));
            };
            defined.insert(id, *definition);
        }
        if !defined.is_empty() {
            let parts = self.types.nodes_mut()[start..].iter_mut().flat_map(Node::parts_mut);
            for part in parts {
                *part = defined.get(part).copied().unwrap_or(*part);
            }
        }
        for (record, at, place) in std::mem::take(&mut self.waiting) {
            let Kind::Record(record) = self.types.kind(record) else { continue };
            let field = &record.fields[at];
            let Some(default) = &field.default else { continue };
            if self.check.fits(&self.types, field.schema, default) != Ok(true) {
                return Err(misfit(&place, &field.name, default, self.types.kind(field.schema)));
            }
        }
        let root = defined.get(&root).copied().unwrap_or(root);
        let first =
            self.types.kind(root).named().and_then(|named| self.names.get(named.name.full()));
        Ok(first.copied().unwrap_or(root))
    }

    fn schema(
        &mut self,
        value: &Value,
        space: Option<&str>,
        path: &Path<'_>,
    ) -> Result<TypeId, SchemaError> {
        match value {
            Value::Text(name) => Ok(self.find(name, space, path)),
            Value::Object(object) => self.object(object, space, path),
            Value::Array(branches) => self.union(branches, space, path),
            _ => Err(path.error(format!(
                "a type's name, an object or a union is expected, not {}",
                shown(value)
            ))),
        }
    }

    /// The type of a name: of the namespace around, else the one that has no namespace.
    fn find(&mut self, name: &str, space: Option<&str>, path: &Path<'_>) -> TypeId {
        if let Some(primitive) = Primitive::from_name(name) {
            return self.types.add(Kind::Primitive(primitive), Vec::new());
        }
        let full = Name::new(name, space);
        let known = self.names.get(full.full()).or_else(|| self.names.get(name));
        if let Some(known) = known {
            return *known;
        }
        let forward = self.types.add(Kind::Forward(Box::new(full)), Vec::new());
        self.forwards.push((forward, noted(self.forwards.len(), path)));
        forward
    }

    fn union(
        &mut self,
        branches: &[Value],
        space: Option<&str>,
        path: &Path<'_>,
    ) -> Result<TypeId, SchemaError> {
        let mut parts = Vec::with_capacity(branches.len());
        for (at, branch) in branches.iter().enumerate() {
            parts.push(self.schema(branch, space, &path.at(at))?);
        }
        let mut names = HashSet::new();
        for (at, part) in parts.iter().enumerate() {
            let kind = self.types.kind(*part);
            if matches!(kind, Kind::Union(_)) {
                return Err(path.at(at).error("a union stands directly in a union"));
            }
            if !names.insert(kind.full_name()) {
                let name = kind.full_name();
                return Err(path.at(at).error(format!("\"{name}\" comes twice in a union")));
            }
        }
        Ok(self.types.add(Kind::Union(parts), Vec::new()))
    }

    fn object(
        &mut self,
        object: &Object,
        space: Option<&str>,
        path: &Path<'_>,
    ) -> Result<TypeId, SchemaError> {
        let Some(kind) = object.get("type").and_then(Value::text) else {
            let error = "the object has no \"type\" that is a name";
            return Err(path.error(error));
        };
        match kind {
            "record" | "error" | "enum" | "fixed" => self.named(object, kind, space, path),
            "array" | "map" => {
                let key = if kind == "array" { "items" } else { "values" };
                let Some(part) = object.get(key) else {
                    return Err(path.error(format!("the {kind} has no \"{key}\"")));
                };
                let part = self.schema(part, space, &path.key(key))?;
                let kind = if key == "items" { Kind::Array(part) } else { Kind::Map(part) };
                Ok(self.types.add(kind, properties(object, &RESERVED, None)))
            }
            name => match Primitive::from_name(name) {
                Some(primitive) => {
                    let props = properties(object, &RESERVED, None);
                    Ok(self.types.add(Kind::Primitive(primitive), props))
                }
                None => Ok(self.find(name, space, &path.key("type"))),
            },
        }
    }

    fn named(
        &mut self,
        object: &Object,
        kind: &str,
        space: Option<&str>,
        path: &Path<'_>,
    ) -> Result<TypeId, SchemaError> {
        let named = self.names_of(object, kind, space, path)?;
        let full = named.name.full().to_owned();
        let id = self.types.add(Kind::Open(Box::new(named.name.clone())), Vec::new());
        let known = self.names.get(&full).copied();
        if known.is_none() {
            self.names.insert(full.clone(), id);
        }
        let reserved = if kind == "enum" { Some("default") } else { None };
        let kind = match kind {
            "enum" => Self::symbols(self.rules, object, named, path)?,
            "fixed" => fixed(object, named, path)?,
            _ => self.record(object, named, id, path)?,
        };
        let props = properties(object, &RESERVED, reserved);
        self.types.set(id, Node { kind, props });
        match known {
            None => Ok(id),
            // It stands here as it is written, doc and aliases included; names mean the first.
            Some(known) if same::are_equal(&self.types, known, id) => Ok(id),
            Some(_) => Err(path.error(format!("\"{full}\" is defined a second time, differently"))),
        }
    }

    fn names_of(
        &mut self,
        object: &Object,
        kind: &str,
        space: Option<&str>,
        path: &Path<'_>,
    ) -> Result<Named, SchemaError> {
        let Some(name) = object.get("name").and_then(Value::text) else {
            return Err(path.error(format!("the {kind} has no \"name\"")));
        };
        let space = object.get("namespace").and_then(Value::text).or(space);
        let name = Name::new(name, space);
        let path = path.key("name");
        self.count_name(&name, &path)?;
        check_name(self.rules, name.simple(), &path)?;
        if self.rules == Rules::New {
            for part in name.space().into_iter().flat_map(|space| space.split('.')) {
                check_name(self.rules, part, &path)?;
            }
        }
        if Primitive::from_name(name.full()).is_some() {
            let error = format!("\"{}\" is a primitive type and can't be defined", name.full());
            return Err(path.error(error));
        }
        let mut aliases = Vec::new();
        let mut known = HashSet::new();
        for alias in aliases_of(object, &path)? {
            let alias = Name::new(&alias, name.space());
            self.count_name(&alias, &path)?;
            check_name(self.rules, alias.simple(), &path)?;
            if known.insert(alias.full().to_owned()) {
                aliases.push(alias);
            }
        }
        Ok(Named { name, doc: doc(object), aliases })
    }

    fn count_name(&mut self, name: &Name, path: &Path<'_>) -> Result<(), SchemaError> {
        self.name_bytes += name.full().len();
        if name.full().len() <= NAME_BYTES_MAX && self.name_bytes <= NAMES_BYTES_MAX {
            return Ok(());
        }
        Err(path.error(format!(
            "a full name has at most {NAME_BYTES_MAX} bytes, and all together {NAMES_BYTES_MAX}"
        )))
    }

    fn symbols(
        rules: Rules,
        object: &Object,
        named: Named,
        path: &Path<'_>,
    ) -> Result<Kind, SchemaError> {
        let Some(Value::Array(values)) = object.get("symbols") else {
            return Err(path.error("the enum has no array \"symbols\""));
        };
        let path = path.key("symbols");
        let mut symbols = Vec::with_capacity(values.len());
        let mut known = HashSet::new();
        for (at, value) in values.iter().enumerate() {
            let Some(symbol) = value.text() else {
                return Err(path.at(at).error(format!("{} is not a symbol", shown(value))));
            };
            check_name(rules, symbol, &path.at(at))?;
            if !known.insert(symbol) {
                return Err(path.at(at).error(format!("the symbol \"{symbol}\" comes twice")));
            }
            symbols.push(symbol.to_owned());
        }
        let default = object.get("default").and_then(Value::text).map(str::to_owned);
        if let Some(default) = &default
            && !known.contains(default.as_str())
        {
            return Err(path.error(format!("the default \"{default}\" is none of the symbols")));
        }
        Ok(Kind::Enum(Box::new(Enum { named, symbols, default })))
    }

    fn record(
        &mut self,
        object: &Object,
        named: Named,
        id: TypeId,
        path: &Path<'_>,
    ) -> Result<Kind, SchemaError> {
        let Some(Value::Array(values)) = object.get("fields") else {
            return Err(path.error("the record has no array \"fields\""));
        };
        let is_error = object.get("type").and_then(Value::text) == Some("error");
        let path = path.key("fields");
        let mut fields = Vec::with_capacity(values.len());
        for (at, value) in values.iter().enumerate() {
            let path = path.at(at);
            let field = self.field(value, named.name.space(), &path)?;
            if let Some(default) = &field.default
                && self.rules == Rules::New
            {
                match self.check.fits(&self.types, field.schema, default) {
                    Ok(true) => {}
                    Err(Stop::Forward) => {
                        self.waiting.push((id, at, noted(self.waiting.len(), &path)));
                    }
                    Ok(false) | Err(_) => {
                        let kind = self.types.kind(field.schema);
                        return Err(misfit(&path.to_string(), &field.name, default, kind));
                    }
                }
            }
            fields.push(field);
        }
        let mut by_name: Vec<u32> = (0..).take(fields.len()).collect();
        by_name.sort_by(|a, b| fields[*a as usize].name.cmp(&fields[*b as usize].name));
        for pair in by_name.windows(2) {
            let (one, other) = (&fields[pair[0] as usize], &fields[pair[1] as usize]);
            if one.name == other.name {
                return Err(path.error(format!("the field \"{}\" comes twice", one.name)));
            }
        }
        Ok(Kind::Record(Box::new(Record { named, is_error, fields, by_name })))
    }

    fn field(
        &mut self,
        value: &Value,
        space: Option<&str>,
        path: &Path<'_>,
    ) -> Result<Field, SchemaError> {
        let Value::Object(object) = value else {
            return Err(path.error(format!("a field is an object, not {}", shown(value))));
        };
        let Some(name) = object.get("name").and_then(Value::text) else {
            return Err(path.error("the field has no \"name\""));
        };
        check_name(self.rules, name, &path.key("name"))?;
        let Some(schema) = object.get("type") else {
            return Err(path.error(format!("the field \"{name}\" has no \"type\"")));
        };
        let schema = self.schema(schema, space, &path.key("type"))?;
        let order = match object.get("order") {
            None => Order::Ascending,
            Some(value) => {
                let order = value.text().unwrap_or_default().to_ascii_lowercase();
                let known = [Order::Ascending, Order::Descending, Order::Ignore];
                let known = known.into_iter().find(|known| known.name() == order);
                known.ok_or_else(|| path.error(format!("{} is not an order", shown(value))))?
            }
        };
        let mut default = object.get("default").cloned();
        let kind = self.types.kind(schema);
        if let (Kind::Primitive(Primitive::Float | Primitive::Double), Some(Value::Text(text))) =
            (kind, &default)
        {
            let number = number::read(text);
            let number = number.ok_or_else(|| path.error(format!("\"{text}\" is not a number")))?;
            default = Some(Value::Double(number));
        }
        Ok(Field {
            name: name.to_owned(),
            doc: doc(object),
            schema,
            default,
            order,
            aliases: aliases_of(object, path)?,
            props: properties(object, &FIELD_RESERVED, None),
        })
    }
}

fn misfit(place: &str, field: &str, default: &Value, kind: &Kind) -> SchemaError {
    SchemaError::new(format!(
        "at {place}: the default of the field \"{field}\" is not a {}: {}",
        kind.full_name(),
        shown(default)
    ))
}

fn fixed(object: &Object, named: Named, path: &Path<'_>) -> Result<Kind, SchemaError> {
    let size = match object.get("size") {
        Some(Value::Int(size)) => i32::try_from(*size).ok(),
        _ => None,
    };
    match size {
        Some(size) if (0..=FIXED_BYTES_MAX).contains(&size) => {
            Ok(Kind::Fixed(Box::new(Fixed { named, size })))
        }
        _ => Err(path.error(format!(
            "the fixed \"{}\" has no \"size\" from 0 to {FIXED_BYTES_MAX}",
            named.name.full()
        ))),
    }
}

fn doc(object: &Object) -> Option<String> {
    object.get("doc").and_then(Value::text).map(str::to_owned)
}

fn aliases_of(object: &Object, path: &Path<'_>) -> Result<Vec<String>, SchemaError> {
    let values = match object.get("aliases") {
        None => return Ok(Vec::new()),
        Some(Value::Array(values)) => values,
        Some(other) => {
            return Err(path.error(format!("\"aliases\" is an array, not {}", shown(other))));
        }
    };
    let mut known = HashSet::new();
    let mut aliases = Vec::new();
    for value in values {
        let Some(alias) = value.text() else {
            return Err(path.error(format!("an alias is a string, not {}", shown(value))));
        };
        if known.insert(alias) {
            aliases.push(alias.to_owned());
        }
    }
    Ok(aliases)
}

fn properties(object: &Object, reserved: &[&str], also: Option<&str>) -> Vec<(String, Value)> {
    let kept = |key: &str| !reserved.contains(&key) && also != Some(key);
    let entries = object.entries().iter();
    entries.filter(|(key, _)| kept(key)).cloned().collect()
}

fn check_name(rules: Rules, name: &str, path: &Path<'_>) -> Result<(), SchemaError> {
    let is_letter = |c: char| match rules {
        Rules::New => c.is_ascii_alphabetic(),
        Rules::Stored => c.is_alphabetic(),
    };
    let is_digit = |c: char| match rules {
        Rules::New => c.is_ascii_digit(),
        Rules::Stored => c.is_numeric(),
    };
    let mut rest = name.chars();
    let first = rest.next();
    if first.is_some_and(|c| is_letter(c) || c == '_')
        && rest.all(|c| is_letter(c) || is_digit(c) || c == '_')
    {
        return Ok(());
    }
    let rule = "a name has letters, digits and _, and does not start with a digit";
    Err(path.error(format!("{} is not a name: {rule}", shown(&Value::Text(name.to_owned())))))
}
