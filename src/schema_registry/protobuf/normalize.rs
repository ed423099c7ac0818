//! The normal form of a file: what `normalize=true` stores, so that schemas that mean the same have the same text.
//!
//! Names are resolved, fields and enum values stand in the order of their numbers, imports, reserved items and options
//! are sorted, and options given in pieces are put together: Confluent's `ProtobufSchemaUtils.toNormalizedString`.
//! Messages and enums keep their order, on which the message indexes of written records depend.

use std::collections::BTreeMap;

use prost_reflect::{DescriptorPool, ExtensionDescriptor, FieldDescriptor, Kind};

use super::element::{
    Enum, Extend, Extensions, Field, File, Group, Message, Oneof, OptionElement, Reserved, SCALARS,
    Value, map_types,
};
use super::literal::add;

/// The normal form; `pool` holds the file, compiled, and what it imports.
pub(super) fn normalize(file: &File, pool: &DescriptorPool) -> File {
    let scope = Scope { pool, path: file.package.clone().unwrap_or_default() };
    File {
        syntax: file.syntax.clone().filter(|syntax| syntax != "proto2"),
        package: file.package.clone(),
        imports: sorted(&file.imports),
        public_imports: sorted(&file.public_imports),
        weak_imports: sorted(&file.weak_imports),
        options: scope.options(&file.options),
        messages: scope.messages(&file.messages),
        enums: file.enums.iter().map(|declared| scope.enumeration(declared)).collect(),
        extends: scope.extends(&file.extends),
        services: scope.services(file),
    }
}

fn sorted(names: &[String]) -> Vec<String> {
    let mut names = names.to_vec();
    names.sort();
    names.dedup();
    names
}

/// Where a name stands: it means the innermost thing that bears it.
struct Scope<'a> {
    pool: &'a DescriptorPool,
    path: String,
}

impl<'a> Scope<'a> {
    fn inside(&self, name: &str) -> Self {
        let path =
            if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Self { pool: self.pool, path }
    }

    fn resolve<T>(&self, name: &str, find: impl Fn(&str) -> Option<T>) -> Option<(String, T)> {
        if let Some(full) = name.strip_prefix('.') {
            return find(full).map(|found| (full.to_owned(), found));
        }
        let mut path = self.path.as_str();
        while !path.is_empty() {
            let full = format!("{path}.{name}");
            if let Some(found) = find(&full) {
                return Some((full, found));
            }
            path = path.rsplit_once('.').map_or("", |(outer, _)| outer);
        }
        find(name).map(|found| (name.to_owned(), found))
    }

    fn is_type(&self, full: &str) -> Option<bool> {
        match self.pool.get_message_by_name(full) {
            Some(message) => Some(message.is_map_entry()),
            None => self.pool.get_enum_by_name(full).map(|_| false),
        }
    }

    /// The full name of a type, with the dot before it.
    fn type_name(&self, name: &str) -> String {
        let found = self.resolve(name, |full| self.is_type(full));
        found.map_or_else(|| name.to_owned(), |(full, _)| format!(".{full}"))
    }

    fn messages(&self, messages: &[Message]) -> Vec<Message> {
        let kept = messages.iter().filter(|message| !is_map_entry(message));
        kept.map(|message| self.inside(&message.name).message(message)).collect()
    }

    fn message(&self, message: &Message) -> Message {
        let mut groups = self.groups(&message.groups);
        groups.sort_by_key(|group| group.number);
        Message {
            name: message.name.clone(),
            reserved: reserved(&message.reserved),
            options: self.options(&message.options),
            fields: self.fields(&message.fields),
            oneofs: self.oneofs(&message.oneofs),
            groups,
            extensions: self.extensions(&message.extensions),
            extends: self.extends(&message.extends),
            messages: self.messages(&message.messages),
            enums: message.enums.iter().map(|declared| self.enumeration(declared)).collect(),
        }
    }

    fn fields(&self, fields: &[Field]) -> Vec<Field> {
        let mut fields: Vec<Field> = fields.iter().map(|field| self.field(field)).collect();
        fields.sort_by_key(|field| field.number);
        fields
    }

    fn field(&self, field: &Field) -> Field {
        let mut field = field.clone();
        if let Some((key, value)) = map_types(&field.kind) {
            if !SCALARS.contains(&value) {
                field.kind = format!("map<{key}, {}>", self.type_name(value));
            }
        } else if !SCALARS.contains(&field.kind.as_str()) {
            field.kind = self.type_name(&field.kind);
            if let Some(map) =
                self.pool.get_message_by_name(&field.kind[1..]).filter(|found| found.is_map_entry())
            {
                field.kind = map_kind(&map.map_entry_key_field(), &map.map_entry_value_field());
                field.label = None;
            }
        }
        let text = matches!(field.kind.as_str(), "string" | "bytes");
        field.default = field.default.map(|value| if text { value } else { number(&value) });
        field.options = self.options(&field.options);
        field
    }

    fn oneofs(&self, oneofs: &[Oneof]) -> Vec<Oneof> {
        let kept =
            oneofs.iter().filter(|oneof| !oneof.fields.is_empty() || !oneof.groups.is_empty());
        let mut oneofs: Vec<Oneof> = kept
            .map(|oneof| Oneof {
                name: oneof.name.clone(),
                fields: self.fields(&oneof.fields),
                groups: self.groups(&oneof.groups),
                options: self.options(&oneof.options),
            })
            .collect();
        oneofs.sort_by_key(|oneof| {
            let field = oneof.fields.first().map(|field| field.number);
            field.or_else(|| oneof.groups.first().map(|group| group.number))
        });
        oneofs
    }

    fn groups(&self, groups: &[Group]) -> Vec<Group> {
        let mut groups: Vec<Group> = groups
            .iter()
            .map(|group| Group {
                label: group.label,
                number: group.number,
                options: self.options(&group.options),
                body: self.inside(&group.body.name).message(&group.body),
            })
            .collect();
        groups.sort_by_key(|group| group.number);
        groups
    }

    fn extensions(&self, extensions: &[Extensions]) -> Vec<Extensions> {
        let mut single: Vec<Extensions> = extensions
            .iter()
            .flat_map(|one| one.values.iter().map(move |value| (value, &one.options)))
            .map(|(value, options)| Extensions {
                values: vec![shortest(value)],
                options: self.options(options),
            })
            .collect();
        single.sort_by_key(|one| start(&one.values[0]));
        single
    }

    fn extends(&self, extends: &[Extend]) -> Vec<Extend> {
        let mut merged: Vec<Extend> = Vec::new();
        for extend in extends {
            let name = self.type_name(&extend.name);
            let place =
                merged.iter().position(|earlier| earlier.name == name).unwrap_or(merged.len());
            if place == merged.len() {
                merged.push(Extend { name, ..Extend::default() });
            }
            merged[place].fields.extend(self.fields(&extend.fields));
            merged[place].groups.extend(self.groups(&extend.groups));
        }
        for extend in &mut merged {
            extend.fields.sort_by_key(|field| field.number);
            extend.groups.sort_by_key(|group| group.number);
        }
        merged
    }

    fn enumeration(&self, declared: &Enum) -> Enum {
        let scope = self.inside(&declared.name);
        let mut values = declared.values.clone();
        values.sort_by(|one, other| (one.number, &one.name).cmp(&(other.number, &other.name)));
        for value in &mut values {
            value.options = scope.options(&value.options);
        }
        Enum {
            name: declared.name.clone(),
            reserved: reserved(&declared.reserved),
            options: scope.options(&declared.options),
            values,
        }
    }

    fn services(&self, file: &File) -> Vec<super::element::Service> {
        let mut services = file.services.clone();
        for service in &mut services {
            service.options = self.options(&service.options);
            for rpc in &mut service.rpcs {
                rpc.request.kind = self.type_name(&rpc.request.kind);
                rpc.response.kind = self.type_name(&rpc.response.kind);
                rpc.options = self.options(&rpc.options);
            }
        }
        services
    }

    fn options(&self, options: &[OptionElement]) -> Vec<OptionElement> {
        let mut named: Vec<(OptionElement, Option<ExtensionDescriptor>)> = options
            .iter()
            .map(|option| {
                let find = |full: &str| self.pool.get_extension_by_name(full);
                match self.resolve(&option.name, find).filter(|_| option.custom) {
                    Some((name, extension)) => {
                        let value = as_map(&option.value);
                        (OptionElement { name, custom: true, value }, Some(extension))
                    }
                    None => (option.clone(), None),
                }
            })
            .collect();
        named.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
        let mut merged: Vec<OptionElement> = Vec::new();
        for (option, extension) in named {
            let singular = extension.filter(|extension| !extension.is_list());
            match (merged.last_mut(), singular) {
                (Some(last), Some(extension)) if last.custom && last.name == option.name => {
                    merge_singular(&mut last.value, option.value, &extension.kind());
                }
                _ => merged.push(option),
            }
        }
        for option in &mut merged {
            self.value(&mut option.value, true);
        }
        merged
    }

    /// Sorts what stands in message literals, and takes the brackets off lists of one in them.
    fn value(&self, value: &mut Value, top: bool) {
        match value {
            Value::String(_) => {}
            Value::Word(word) => *word = number(word),
            Value::Nested(option) => self.value(&mut option.value, top),
            Value::List(values) => {
                values.iter_mut().for_each(|value| self.value(value, false));
                if values.len() == 1 && !top {
                    *value = values.remove(0);
                }
            }
            Value::Map(entries) => {
                let mut sorted = BTreeMap::new();
                for (name, mut value) in std::mem::take(entries) {
                    if matches!(&value, Value::List(values) if values.is_empty()) {
                        continue;
                    }
                    self.value(&mut value, false);
                    sorted.entry(self.key(name)).or_insert(value);
                }
                entries.extend(sorted);
            }
        }
    }

    /// The name of an extension in a literal, resolved.
    fn key(&self, name: String) -> String {
        let inner = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        let found = inner
            .and_then(|inner| self.resolve(inner, |full| self.pool.get_extension_by_name(full)));
        found.map_or(name, |(full, _)| format!("[{full}]"))
    }
}

/// Whether a message stands for an entry of a map, as descriptors write maps.
pub(super) fn is_map_entry(message: &Message) -> bool {
    message.options.iter().any(|option| {
        !option.custom
            && option.name == "map_entry"
            && option.value == Value::Word("true".to_owned())
    })
}

fn map_kind(key: &FieldDescriptor, value: &FieldDescriptor) -> String {
    let word = |field: &FieldDescriptor| match field.kind() {
        Kind::Message(message) => format!(".{}", message.full_name()),
        Kind::Enum(declared) => format!(".{}", declared.full_name()),
        scalar => format!("{scalar:?}").to_ascii_lowercase(),
    };
    format!("map<{}, {}>", word(key), word(value))
}

/// `(a).b = 1` as `(a) = { b: 1 }`.
fn as_map(value: &Value) -> Value {
    match value {
        Value::Nested(option) => {
            let name =
                if option.custom { format!("[{}]", option.name) } else { option.name.clone() };
            Value::Map(vec![(name, as_map(&option.value))])
        }
        value => value.clone(),
    }
}

/// Puts a second value of an option that is not repeated to the first: messages are merged, the later scalar counts.
fn merge_singular(to: &mut Value, more: Value, kind: &Kind) {
    let Kind::Message(message) = kind else {
        *to = more;
        return;
    };
    let (Value::Map(entries), Value::Map(more)) = (&mut *to, more.clone()) else {
        *to = more;
        return;
    };
    for (name, value) in more {
        let Some((_, earlier)) = entries.iter_mut().find(|(earlier, _)| *earlier == name) else {
            entries.push((name, value));
            continue;
        };
        match message.get_field_by_name(&name) {
            Some(field) if !field.is_list() && !field.is_map() => {
                merge_singular(earlier, value, &field.kind())
            }
            _ => {
                add(earlier, value);
                without_repeats(earlier);
            }
        }
    }
}

fn without_repeats(value: &mut Value) {
    let Value::List(values) = value else { return };
    let mut kept: Vec<Value> = Vec::new();
    for value in values.drain(..) {
        if !kept.contains(&value) {
            kept.push(value);
        }
    }
    *values = kept;
}

fn shortest(value: &Reserved) -> Reserved {
    match value {
        Reserved::Range(start, end) if start == end => Reserved::Number(*start),
        value => value.clone(),
    }
}

fn start(value: &Reserved) -> i32 {
    match value {
        Reserved::Number(start) | Reserved::Range(start, _) => *start,
        Reserved::Name(_) => i32::MAX,
    }
}

/// Each item in a statement of its own, by number, names last.
fn reserved(statements: &[Vec<Reserved>]) -> Vec<Vec<Reserved>> {
    let mut items: Vec<Reserved> = statements.iter().flatten().map(shortest).collect();
    items.sort_by_cached_key(|item| {
        let word = match item {
            Reserved::Number(number) => number.to_string(),
            Reserved::Range(start, end) => format!("{start}..{end}"),
            Reserved::Name(name) => name.clone(),
        };
        (start(item), word)
    });
    items.into_iter().map(|item| vec![item]).collect()
}

/// A number as Java's `DecimalFormat` writes it: no exponent, at most three digits after the point. Other words stay.
fn number(word: &str) -> String {
    if !word.starts_with(|sign: char| sign.is_ascii_digit() || sign == '-') {
        return word.to_owned();
    }
    let (sign, digits) = word.strip_prefix('-').map_or(("", word), |digits| ("-", digits));
    let lower = digits.to_ascii_lowercase();
    let whole = match lower.strip_prefix("0x") {
        Some(hex) => u128::from_str_radix(hex, 16).ok(),
        None if lower.len() > 1 && lower.starts_with('0') => u128::from_str_radix(&lower, 8).ok(),
        None => lower.parse().ok(),
    };
    if let Some(whole) = whole {
        return format!("{sign}{whole}");
    }
    let digits = lower.trim_end_matches('f');
    match digits.parse::<f64>() {
        Ok(value)
            if value.is_finite() && digits.starts_with(|first: char| first.is_ascii_digit()) =>
        {
            let shortest = value.to_string();
            let places = shortest.split_once('.').map_or(0, |(_, places)| places.len());
            let text = if places <= 3 { shortest } else { format!("{value:.3}") };
            let text = if text.contains('.') {
                text.trim_end_matches('0').trim_end_matches('.')
            } else {
                &text
            };
            format!("{sign}{text}")
        }
        _ => word.to_owned(),
    }
}
