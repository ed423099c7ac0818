//! A schema as the rules of compatibility see it: each place is of one class, with what that class restricts.
//!
//! The classes are those of the Everit library, in whose terms Confluent states its rules: a schema with a `type` of
//! `string`, or with a keyword about strings, is a string schema; one with keywords of several classes is all of them.

use std::sync::OnceLock;

use regex::{Regex, RegexBuilder};

use super::text::Json;

/// The most memory of one compiled pattern.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// A place in a [`Model`].
pub(super) type Id = usize;

/// All places of a schema and of what it refers to; references are edges, so that it may be a cyclic graph.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) nodes: Vec<Node>,
}

#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) class: Class,
    pub(super) id: Option<String>,
    pub(super) title: Option<String>,
    pub(super) description: Option<String>,
    pub(super) default: Option<Json>,
    /// `connect.type` is `bytes`.
    pub(super) bytes: bool,
}

#[derive(Debug, Default)]
pub(super) enum Class {
    /// `{}`, which permits all.
    #[default]
    Empty,
    True,
    False,
    Null,
    Boolean,
    String(Strings),
    Number(Numbers),
    Object(Objects),
    Array(Arrays),
    Const(Json),
    Enum(Vec<Json>),
    Combined(Combination),
    Not(Id),
    /// `if`, `then`, `else`: not compared.
    Conditional,
    Reference(Id),
}

impl Class {
    /// `true` is an empty schema too.
    pub(super) fn permits_all(&self) -> bool {
        matches!(self, Self::Empty | Self::True)
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Criterion {
    All,
    Any,
    One,
}

impl Criterion {
    pub(super) fn keyword(self) -> &'static str {
        match self {
            Self::All => "allOf",
            Self::Any => "anyOf",
            Self::One => "oneOf",
        }
    }
}

#[derive(Debug)]
pub(super) struct Combination {
    pub(super) criterion: Criterion,
    pub(super) schemas: Vec<Id>,
    /// The same without those that say the same as an earlier one.
    pub(super) distinct: Vec<Id>,
}

impl Combination {
    pub(super) fn only(&self) -> Option<Id> {
        if let [only] = self.schemas[..] { Some(only) } else { None }
    }
}

#[derive(Debug, Default)]
pub(super) struct Strings {
    pub(super) max_length: Option<f64>,
    pub(super) min_length: Option<f64>,
    pub(super) pattern: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Numbers {
    pub(super) maximum: Option<f64>,
    pub(super) minimum: Option<f64>,
    pub(super) exclusive_maximum: Option<f64>,
    pub(super) exclusive_minimum: Option<f64>,
    /// As it is written.
    pub(super) multiple_of: Option<String>,
    pub(super) integer: bool,
}

/// What is permitted beyond what is named.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    #[default]
    Anything,
    Nothing,
    Only(Id),
}

/// A pattern of names, compiled when it is first asked.
#[derive(Debug)]
pub(super) struct Pattern {
    text: String,
    compiled: OnceLock<Option<Regex>>,
    pub(super) schema: Id,
}

impl Pattern {
    pub(super) fn new(text: String, schema: Id) -> Self {
        Self { text, compiled: OnceLock::new(), schema }
    }

    /// Whether it is found in a name; one that needs to look back is never found.
    pub(super) fn finds(&self, name: &str) -> bool {
        let compile = || RegexBuilder::new(&self.text).size_limit(PATTERN_BYTES_MAX).build().ok();
        self.compiled.get_or_init(compile).as_ref().is_some_and(|pattern| pattern.is_match(name))
    }
}

#[derive(Debug, Default)]
pub(super) struct Objects {
    pub(super) properties: Vec<(String, Id)>,
    pub(super) patterns: Vec<Pattern>,
    pub(super) required: Vec<String>,
    pub(super) additional: Rest,
    pub(super) unevaluated: Option<Id>,
    pub(super) dependent_names: Vec<(String, Vec<String>)>,
    pub(super) dependent_schemas: Vec<(String, Id)>,
    pub(super) max_properties: Option<f64>,
    pub(super) min_properties: Option<f64>,
}

#[derive(Debug, Default)]
pub(super) struct Arrays {
    /// The schema of all items.
    pub(super) all: Option<Id>,
    /// The schemas of the first ones.
    pub(super) items: Vec<Id>,
    pub(super) additional: Rest,
    pub(super) unevaluated: Option<Id>,
    pub(super) max_items: Option<f64>,
    pub(super) min_items: Option<f64>,
    pub(super) unique: bool,
    pub(super) max_contains: Option<f64>,
    pub(super) min_contains: Option<f64>,
}
