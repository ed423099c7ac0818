//! A `.proto` file as it is written: its declarations with the names, options and statements that the author chose.
//!
//! Descriptors resolve names and merge statements, and cannot give the text back that a registry stores and compares;
//! this is the shape of Square Wire's `ProtoFileElement`, on which Confluent's canonical text is defined. Comments are
//! not kept. Messages and enums stand in lists of their own because the text prints them apart.

/// The highest number of a field, which `max` stands for.
pub(super) const FIELD_NUMBER_MAX: i32 = 536_870_911;

/// A whole file.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct File {
    /// `proto2` or `proto3`, where it is said.
    pub(super) syntax: Option<String>,
    pub(super) package: Option<String>,
    pub(super) imports: Vec<String>,
    pub(super) public_imports: Vec<String>,
    pub(super) weak_imports: Vec<String>,
    pub(super) options: Vec<OptionElement>,
    pub(super) messages: Vec<Message>,
    pub(super) enums: Vec<Enum>,
    pub(super) extends: Vec<Extend>,
    pub(super) services: Vec<Service>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Message {
    pub(super) name: String,
    pub(super) reserved: Vec<Vec<Reserved>>,
    pub(super) options: Vec<OptionElement>,
    pub(super) fields: Vec<Field>,
    pub(super) oneofs: Vec<Oneof>,
    pub(super) groups: Vec<Group>,
    pub(super) extensions: Vec<Extensions>,
    pub(super) extends: Vec<Extend>,
    pub(super) messages: Vec<Message>,
    pub(super) enums: Vec<Enum>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    /// `required`, `optional` or `repeated`, where it is said.
    pub(super) label: Option<Label>,
    /// As written: `string`, `map<string, Foo>`, `.pkg.Foo`.
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) number: i32,
    pub(super) default: Option<String>,
    pub(super) json_name: Option<String>,
    pub(super) options: Vec<OptionElement>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    Required,
    Optional,
    Repeated,
}

impl Label {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Optional => "optional",
            Self::Repeated => "repeated",
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Oneof {
    pub(super) name: String,
    pub(super) fields: Vec<Field>,
    pub(super) groups: Vec<Group>,
    pub(super) options: Vec<OptionElement>,
}

/// A proto2 group: a field and the message that is its type in one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Group {
    pub(super) label: Option<Label>,
    pub(super) number: i32,
    pub(super) options: Vec<OptionElement>,
    /// Its name is the group's.
    pub(super) body: Message,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Enum {
    pub(super) name: String,
    pub(super) reserved: Vec<Vec<Reserved>>,
    pub(super) options: Vec<OptionElement>,
    pub(super) values: Vec<EnumValue>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct EnumValue {
    pub(super) name: String,
    pub(super) number: i32,
    pub(super) options: Vec<OptionElement>,
}

/// One item of a `reserved` or `extensions` statement; both ends of a range belong to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reserved {
    Number(i32),
    Range(i32, i32),
    Name(String),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Extensions {
    pub(super) values: Vec<Reserved>,
    pub(super) options: Vec<OptionElement>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Extend {
    /// The extended message, as written.
    pub(super) name: String,
    pub(super) fields: Vec<Field>,
    pub(super) groups: Vec<Group>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) options: Vec<OptionElement>,
    pub(super) rpcs: Vec<Rpc>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Rpc {
    pub(super) name: String,
    pub(super) request: Stream,
    pub(super) response: Stream,
    pub(super) options: Vec<OptionElement>,
}

/// What goes one way in an rpc.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Stream {
    pub(super) kind: String,
    pub(super) streaming: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct OptionElement {
    pub(super) name: String,
    /// Whether the name stands in parentheses: a custom option.
    pub(super) custom: bool,
    pub(super) value: Value,
}

/// An option's value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// Unescaped.
    String(String),
    /// A number, `true`, or the name of an enum's value: printed as it is.
    Word(String),
    /// The rest of a dotted name: `(a).b = 1`.
    Nested(Box<OptionElement>),
    /// A message literal.
    Map(Vec<(String, Value)>),
    List(Vec<Value>),
}

/// The types of fields that no declaration stands behind.
pub(super) const SCALARS: [&str; 15] = [
    "bool", "bytes", "double", "fixed32", "fixed64", "float", "int32", "int64", "sfixed32",
    "sfixed64", "sint32", "sint64", "string", "uint32", "uint64",
];

/// The types of key and value where a field's type is a map as written.
pub(super) fn map_types(kind: &str) -> Option<(&str, &str)> {
    let (key, value) = kind.strip_prefix("map<")?.strip_suffix('>')?.split_once(',')?;
    Some((key.trim(), value.trim()))
}
