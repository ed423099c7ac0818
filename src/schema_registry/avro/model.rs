//! A parsed schema: types in one array that name each other by index, so that recursion needs no pointers.

use super::json::Value;

/// The place of a type in [`Types`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct TypeId(pub(super) u32);

/// All types of a schema and of those that it refers to.
#[derive(Debug, Default)]
pub(super) struct Types(Vec<Node>);

#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// Properties that Avro gives no meaning at this place, in order.
    pub(super) props: Vec<(String, Value)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Primitive {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
}

#[derive(Debug)]
pub(super) enum Kind {
    Primitive(Primitive),
    Array(TypeId),
    Map(TypeId),
    Union(Vec<TypeId>),
    Record(Box<Record>),
    Enum(Box<Enum>),
    Fixed(Box<Fixed>),
    /// A name that was used and is not yet defined. None is left after parsing.
    Forward(Box<Name>),
    /// A definition of which not all was read. None is left after parsing.
    Open(Box<Name>),
}

#[derive(Debug)]
pub(super) struct Named {
    pub(super) name: Name,
    pub(super) doc: Option<String>,
    pub(super) aliases: Vec<Name>,
}

#[derive(Debug)]
pub(super) struct Record {
    pub(super) named: Named,
    /// Written as `error`, which is a record otherwise.
    pub(super) is_error: bool,
    pub(super) fields: Vec<Field>,
    /// Places of `fields`, sorted by name.
    pub(super) by_name: Vec<u32>,
}

#[derive(Debug)]
pub(super) struct Enum {
    pub(super) named: Named,
    pub(super) symbols: Vec<String>,
    pub(super) default: Option<String>,
}

#[derive(Debug)]
pub(super) struct Fixed {
    pub(super) named: Named,
    pub(super) size: i32,
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) doc: Option<String>,
    pub(super) schema: TypeId,
    pub(super) default: Option<Value>,
    pub(super) order: Order,
    pub(super) aliases: Vec<String>,
    pub(super) props: Vec<(String, Value)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Ascending,
    Descending,
    Ignore,
}

/// A full name: a namespace, which may be missing, and a simple name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Name {
    full: String,
    /// Where the simple name starts.
    simple_at: usize,
}

impl Primitive {
    pub(super) const ALL: [Self; 8] = [
        Self::Null,
        Self::Boolean,
        Self::Int,
        Self::Long,
        Self::Float,
        Self::Double,
        Self::Bytes,
        Self::String,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Long => "long",
            Self::Float => "float",
            Self::Double => "double",
            Self::Bytes => "bytes",
            Self::String => "string",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|primitive| primitive.name() == name)
    }
}

impl Order {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ascending => "ascending",
            Self::Descending => "descending",
            Self::Ignore => "ignore",
        }
    }
}

impl Kind {
    /// The type's name in a schema.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Primitive(primitive) => primitive.name(),
            Self::Array(_) => "array",
            Self::Map(_) => "map",
            Self::Union(_) => "union",
            Self::Record(_) | Self::Forward(_) | Self::Open(_) => "record",
            Self::Enum(_) => "enum",
            Self::Fixed(_) => "fixed",
        }
    }

    pub(super) const fn named(&self) -> Option<&Named> {
        match self {
            Self::Record(record) => Some(&record.named),
            Self::Enum(symbols) => Some(&symbols.named),
            Self::Fixed(fixed) => Some(&fixed.named),
            _ => None,
        }
    }

    /// What tells two branches of a union apart: the full name of what has one, else the type's.
    pub(super) fn full_name(&self) -> &str {
        match self {
            Self::Forward(name) | Self::Open(name) => name.full(),
            _ => self.named().map_or_else(|| self.name(), |named| named.name.full()),
        }
    }
}

impl Record {
    pub(super) fn field(&self, name: &str) -> Option<&Field> {
        let field = |place: &u32| &self.fields[*place as usize];
        let found = self.by_name.binary_search_by(|place| field(place).name.as_str().cmp(name));
        found.ok().map(|at| field(&self.by_name[at]))
    }
}

impl Name {
    /// `name` with its own namespace if it has dots, else with `space`.
    pub(super) fn new(name: &str, space: Option<&str>) -> Self {
        let (space, simple) = match name.rsplit_once('.') {
            Some((space, simple)) => (Some(space), simple),
            None => (space, name),
        };
        match space {
            None | Some("") => Self { full: simple.to_owned(), simple_at: 0 },
            Some(space) => Self { full: format!("{space}.{simple}"), simple_at: space.len() + 1 },
        }
    }

    pub(super) fn full(&self) -> &str {
        &self.full
    }

    pub(super) fn simple(&self) -> &str {
        &self.full[self.simple_at..]
    }

    pub(super) fn space(&self) -> Option<&str> {
        self.simple_at.checked_sub(1).map(|end| &self.full[..end])
    }
}

impl Types {
    pub(super) fn get(&self, id: TypeId) -> &Node {
        &self.0[id.0 as usize]
    }

    pub(super) fn kind(&self, id: TypeId) -> &Kind {
        &self.get(id).kind
    }

    pub(super) fn add(&mut self, kind: Kind, props: Vec<(String, Value)>) -> TypeId {
        // Each type has at least a byte of a text that is bounded far below this.
        let id = u32::try_from(self.0.len()).expect("fewer types than bytes of text");
        self.0.push(Node { kind, props });
        TypeId(id)
    }

    pub(super) fn set(&mut self, id: TypeId, node: Node) {
        self.0[id.0 as usize] = node;
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn nodes_mut(&mut self) -> &mut [Node] {
        &mut self.0
    }
}

impl Node {
    /// The types that this one names directly.
    pub(super) fn parts(&self) -> Vec<TypeId> {
        match &self.kind {
            Kind::Array(part) | Kind::Map(part) => vec![*part],
            Kind::Union(parts) => parts.clone(),
            Kind::Record(record) => record.fields.iter().map(|field| field.schema).collect(),
            _ => Vec::new(),
        }
    }

    pub(super) fn parts_mut(&mut self) -> Vec<&mut TypeId> {
        match &mut self.kind {
            Kind::Array(part) | Kind::Map(part) => vec![part],
            Kind::Union(parts) => parts.iter_mut().collect(),
            Kind::Record(record) => {
                record.fields.iter_mut().map(|field| &mut field.schema).collect()
            }
            _ => Vec::new(),
        }
    }
}
