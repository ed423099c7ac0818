//! Random schemas, and what a developer might do to one: each step is a small change, sometimes a breaking one.

use super::dice::Dice;

/// Which of Java's Avro versions will judge: what they judge differently is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V1_11,
    V1_12,
}

/// A schema: its type, and the named types that it may use, by their place.
#[derive(Debug, Clone)]
pub(crate) struct Schema {
    pub(crate) root: Type,
    pub(crate) named: Vec<Named>,
}

#[derive(Debug, Clone)]
pub(crate) enum Type {
    /// A primitive's name, and properties as JSON.
    Primitive(&'static str, Vec<(String, String)>),
    Array(Box<Type>, Vec<(String, String)>),
    Map(Box<Type>, Vec<(String, String)>),
    Union(Vec<Type>),
    /// A place in [`Schema::named`]: defined where it is used first.
    Named(usize),
}

#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) space: &'static str,
    pub(crate) name: String,
    pub(crate) aliases: Vec<String>,
    pub(crate) doc: Option<&'static str>,
    pub(crate) props: Vec<(String, String)>,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Record { is_error: bool, fields: Vec<Field> },
    Enum { symbols: Vec<&'static str>, default: Option<&'static str> },
    Fixed(usize),
}

#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) schema: Type,
    /// The seed of its default.
    pub(crate) default: Option<u64>,
    pub(crate) doc: Option<&'static str>,
    pub(crate) order: Option<&'static str>,
    pub(crate) aliases: Vec<String>,
    pub(crate) props: Vec<(String, String)>,
}

const PRIMITIVES: [&str; 8] =
    ["null", "boolean", "int", "long", "float", "double", "bytes", "string"];
const SPACES: [&str; 5] = ["", "", "com.example", "com.example.inner", "org_2"];
const SYMBOLS: [&str; 6] = ["A", "B", "C", "_d", "E5", "ZZ"];
pub(crate) const DOCS: [&str; 8] = [
    "",
    "A doc.",
    "with \"quotes\" and \\",
    "two\nlines\tand a tab",
    "caf\u{e9} \u{1f600} \u{2028}",
    "\u{1}\u{1f}\u{7f}",
    "</script>",
    "// no comment /* either */",
];

/// What a random schema is drawn from.
pub(crate) struct Maker<'a> {
    pub(crate) dice: &'a mut Dice,
    pub(crate) version: Version,
    named: Vec<Named>,
    names: usize,
}

pub(crate) fn random(dice: &mut Dice, version: Version) -> Schema {
    let mut maker = Maker { dice, version, named: Vec::new(), names: 0 };
    let root = if maker.dice.once_in(6) { maker.schema(3, true) } else { maker.record(3) };
    Schema { root, named: maker.named }
}

impl Maker<'_> {
    fn schema(&mut self, depth: usize, may_be_union: bool) -> Type {
        let leaf = depth == 0;
        match self.dice.below(if leaf { 9 } else { 16 }) {
            0..=5 => self.primitive(),
            6 if !self.named.is_empty() => Type::Named(self.dice.below(self.named.len())),
            6 | 7 => self.enumeration(),
            8 => self.fixed(),
            9 | 10 => Type::Array(Box::new(self.schema(depth - 1, true)), self.props("array")),
            11 => Type::Map(Box::new(self.schema(depth - 1, true)), self.props("map")),
            12 | 13 if may_be_union => self.union(depth - 1),
            _ => self.record(depth - 1),
        }
    }

    fn primitive(&mut self) -> Type {
        let name = self.dice.pick(&PRIMITIVES);
        let props = if self.dice.once_in(4) { self.props(name) } else { Vec::new() };
        Type::Primitive(name, props)
    }

    fn union(&mut self, depth: usize) -> Type {
        let mut branches = Vec::new();
        if self.dice.once_in(2) {
            branches.push(Type::Primitive("null", Vec::new()));
        }
        for _ in 0..self.dice.below(4) {
            let branch = self.schema(depth, false);
            if !branches.iter().any(|other| key(other) == key(&branch)) {
                branches.push(branch);
            }
        }
        Type::Union(branches)
    }

    fn add(&mut self, kind: Kind, logical: &str) -> Type {
        let props = self.props(logical);
        self.names += 1;
        let named = Named {
            space: self.dice.pick(&SPACES),
            name: format!("{}{}", self.dice.pick(&["N", "name_", "record"]), self.names),
            aliases: if self.dice.once_in(6) {
                vec![format!("Old{}", self.names)]
            } else {
                Vec::new()
            },
            doc: if self.dice.once_in(3) { Some(self.dice.pick(&DOCS)) } else { None },
            props,
            kind,
        };
        self.named.push(named);
        Type::Named(self.named.len() - 1)
    }

    fn enumeration(&mut self) -> Type {
        let mut symbols = SYMBOLS.to_vec();
        self.dice.shuffle(&mut symbols);
        symbols.truncate(1 + self.dice.below(5));
        let default = if self.dice.once_in(3) { Some(symbols[0]) } else { None };
        self.add(Kind::Enum { symbols, default }, "enum")
    }

    fn fixed(&mut self) -> Type {
        let size = [0, 1, 4, 12, 16][self.dice.below(5)];
        self.add(Kind::Fixed(size), "fixed")
    }

    fn record(&mut self, depth: usize) -> Type {
        let is_error = self.dice.once_in(12);
        let record = self.add(Kind::Record { is_error, fields: Vec::new() }, "record");
        let Type::Named(place) = record else { return record };
        let mut fields = Vec::new();
        for at in 0..self.dice.below(5) {
            fields.push(self.field(at, depth));
        }
        if let Kind::Record { fields: own, .. } = &mut self.named[place].kind {
            *own = fields;
        }
        record
    }

    fn field(&mut self, at: usize, depth: usize) -> Field {
        Field {
            name: format!("{}{at}", self.dice.pick(&["f", "field_", "F"])),
            schema: self.schema(depth, true),
            default: if self.dice.once_in(3) { Some(self.dice.next()) } else { None },
            doc: if self.dice.once_in(5) { Some(self.dice.pick(&DOCS)) } else { None },
            order: if self.dice.once_in(8) {
                Some(self.dice.pick(&["ascending", "descending", "ignore", "IGNORE", "Descending"]))
            } else {
                None
            },
            aliases: if self.dice.once_in(8) {
                vec![format!("f{}", at + 1), "g".into()]
            } else {
                Vec::new()
            },
            props: if self.dice.once_in(6) { self.props("field") } else { Vec::new() },
        }
    }

    /// Properties of the user's, and logical types that fit or do not.
    fn props(&mut self, of: &str) -> Vec<(String, String)> {
        let mut props = Vec::new();
        let mut add = |key: &str, value: &str| {
            if !props.iter().any(|(own, _): &(String, String)| own == key) {
                props.push((key.to_owned(), value.to_owned()));
            }
        };
        for _ in 0..self.dice.below(8).saturating_sub(4) {
            let key = self.dice.pick(&[
                "z",
                "a",
                "b-c",
                "avro.java.string",
                "java-class",
                "m\u{e9}",
                "items2",
                "Default",
            ]);
            let value = self.dice.pick(&[
                "1",
                "-7",
                "true",
                "null",
                "\"String\"",
                "\"x\\ty\"",
                "[]",
                "{}",
                "1.50",
                "1e10",
                "0.0001",
                "-0",
                "12345678901",
                "{\"z\":1,\"a\":[null,{\"d\":2,\"c\":3}],\"z\":4}",
            ]);
            add(key, value);
        }
        if self.dice.once_in(3) {
            self.logical(of, &mut add);
        }
        self.dice.shuffle(&mut props);
        props
    }

    fn logical(&mut self, of: &str, add: &mut impl FnMut(&str, &str)) {
        let name = match of {
            "int" => self.dice.pick(&["date", "time-millis", "timestamp-millis"]),
            "long" => self.dice.pick(&[
                "time-micros",
                "timestamp-millis",
                "timestamp-micros",
                "local-timestamp-millis",
                "local-timestamp-micros",
                "date",
            ]),
            "string" => self.dice.pick(&["uuid", "date", "unknown"]),
            "bytes" | "fixed" => "decimal",
            "array" | "map" | "record" | "enum" => self.dice.pick(&["date", "unknown"]),
            _ => return,
        };
        let newer = match of {
            "long" => Some("timestamp-nanos"),
            "bytes" => Some("big-decimal"),
            "fixed" => Some("uuid"),
            _ => None,
        };
        let newer = newer.filter(|_| self.version == Version::V1_12 && self.dice.once_in(3));
        let name = newer.unwrap_or(name);
        add("logicalType", &format!("\"{name}\""));
        if name == "decimal" {
            if !self.dice.once_in(6) {
                add("precision", self.dice.pick(&["1", "2", "9", "9", "30", "0", "\"3\""]));
            }
            if !self.dice.once_in(2) {
                add("scale", self.dice.pick(&["0", "1", "2", "2", "9", "-1"]));
            }
        }
    }
}

/// What tells branches of a union apart.
fn key(branch: &Type) -> (usize, &str) {
    match branch {
        Type::Primitive(name, _) => (0, name),
        Type::Array(..) => (1, ""),
        Type::Map(..) => (2, ""),
        Type::Union(_) => (3, ""),
        Type::Named(place) => (4 + place, ""),
    }
}

/// A schema after some changes.
pub(crate) fn evolved(schema: &Schema, dice: &mut Dice, version: Version) -> Schema {
    let names = 100 + schema.named.len();
    let mut maker = Maker { dice, version, named: schema.named.clone(), names };
    let mut root = schema.root.clone();
    for _ in 0..1 + maker.dice.below(3) {
        maker.change(&mut root);
    }
    Schema { root, named: maker.named }
}

impl Maker<'_> {
    fn change(&mut self, root: &mut Type) {
        if self.named.is_empty() || self.dice.once_in(12) {
            self.change_type(root);
            return;
        }
        let place = self.dice.below(self.named.len());
        let mut named = self.named[place].clone();
        match &mut named.kind {
            _ if self.dice.once_in(10) => self.change_name(&mut named),
            Kind::Record { fields, .. } => self.change_fields(fields),
            Kind::Enum { symbols, default } => self.change_symbols(symbols, default),
            Kind::Fixed(size) => *size = [0, 1, 4, 12, 16][self.dice.below(5)],
        }
        self.named[place] = named;
    }

    fn change_name(&mut self, named: &mut Named) {
        match self.dice.below(6) {
            0 => named.space = self.dice.pick(&SPACES),
            1 => named.doc = Some(self.dice.pick(&DOCS)),
            2 => named.aliases.clear(),
            3 => named.props = self.props("record"),
            change => {
                let old = match named.space {
                    "" => named.name.clone(),
                    space => format!("{space}.{}", named.name),
                };
                self.names += 1;
                named.name = format!("Renamed{}", self.names);
                if change == 4 {
                    named.aliases.push(old);
                }
            }
        }
    }

    fn change_fields(&mut self, fields: &mut Vec<Field>) {
        let count = fields.len();
        let change = self.dice.below(12);
        if count == 0 || change < 3 {
            let mut field = self.field(count + 3, 1);
            if !self.dice.once_in(4) {
                field.default = Some(self.dice.next());
            }
            if !fields.iter().any(|other| other.name == field.name) {
                fields.insert(self.dice.below(count + 1), field);
            }
            return;
        }
        let at = self.dice.below(count);
        match change {
            3 | 4 => drop(fields.remove(at)),
            5 => self.dice.shuffle(fields),
            6 => {
                let old = std::mem::replace(&mut fields[at].name, format!("renamed{at}"));
                if !self.dice.once_in(3) {
                    fields[at].aliases.push(old);
                }
                if fields.iter().filter(|field| field.name == format!("renamed{at}")).count() > 1 {
                    fields.remove(at);
                }
            }
            7 => fields[at].default = None,
            8 => fields[at].default = Some(self.dice.next()),
            9 => fields[at].doc = Some(self.dice.pick(&DOCS)),
            _ => self.change_type(&mut fields[at].schema),
        }
    }

    fn change_symbols(
        &mut self,
        symbols: &mut Vec<&'static str>,
        default: &mut Option<&'static str>,
    ) {
        match self.dice.below(4) {
            0 | 1 => {
                let symbol = self.dice.pick(&SYMBOLS);
                if !symbols.contains(&symbol) {
                    symbols.push(symbol);
                }
            }
            2 if symbols.len() > 1 => {
                let gone = symbols.remove(self.dice.below(symbols.len()));
                *default = default.filter(|default| *default != gone);
            }
            _ => *default = symbols.first().copied(),
        }
    }

    fn change_type(&mut self, schema: &mut Type) {
        match schema {
            Type::Primitive(name, props) if !self.dice.once_in(3) => {
                // The versions differ on what a UUID may be stored in.
                props.retain(|(_, value)| value != "\"uuid\"");
                *name = match (*name, self.dice.below(4)) {
                    ("int", 0 | 1) => "long",
                    ("int" | "long", _) => self.dice.pick(&["float", "double", "int"]),
                    ("float", _) => "double",
                    ("bytes", _) => "string",
                    ("string", _) => "bytes",
                    _ => self.dice.pick(&PRIMITIVES),
                };
            }
            Type::Array(part, _) | Type::Map(part, _) if !self.dice.once_in(3) => {
                self.change_type(part);
            }
            Type::Union(branches) if !self.dice.once_in(4) => self.change_branches(branches),
            Type::Union(_) => *schema = self.schema(1, true),
            _ if self.dice.once_in(3) => *schema = self.schema(1, true),
            _ => {
                let mut branches = vec![schema.clone()];
                if key(schema) != (0, "null") {
                    branches.insert(self.dice.below(2), Type::Primitive("null", Vec::new()));
                }
                *schema = Type::Union(branches);
            }
        }
    }

    fn change_branches(&mut self, branches: &mut Vec<Type>) {
        match self.dice.below(4) {
            0 if branches.len() > 1 => drop(branches.remove(self.dice.below(branches.len()))),
            1 => self.dice.shuffle(branches),
            2 if !branches.is_empty() => {
                let at = self.dice.below(branches.len());
                let mut branch = branches[at].clone();
                if !matches!(branch, Type::Named(_)) {
                    self.change_type(&mut branch);
                }
                let is_new = !branches.iter().any(|other| key(other) == key(&branch));
                if is_new && !matches!(branch, Type::Union(_)) {
                    branches[at] = branch;
                }
            }
            _ => {
                let branch = self.schema(1, false);
                if !branches.iter().any(|other| key(other) == key(&branch)) {
                    branches.push(branch);
                }
            }
        }
    }
}
