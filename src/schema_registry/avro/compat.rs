//! Whether a reader of one schema can read what was written with another.
//!
//! The order of the walk, what is remembered of it and the places in messages are Java's, quirks included: a branch of
//! a union is judged by itself, so that what differs inside is reported as a missing branch.
//!
//! Source: `SchemaCompatibility` in Apache Avro 1.12.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;

use super::super::format::Difference;
use super::model::{Enum, Field, Fixed, Kind, Named, Primitive, Record, TypeId, Types};

/// A branch, field or symbol looked at, over all pairs of types.
const STEPS_MAX: usize = 5_000_000;
/// How deep pairs may stand in each other: of two recursive types this can be far deeper than their texts.
const DEPTH_MAX: usize = 600;
/// Differences that are listed. A type that differs counts wherever it is used, so there can be very many.
const DIFFERENCES_MAX: usize = 1000;

/// A field that has several names in the writer's record: Java stops there.
pub(super) const AMBIGUOUS: &str = "READER_FIELD_AMBIGUOUS";
/// The comparison was given up; the schemas may be compatible.
pub(super) const TOO_LARGE: &str = "COMPARISON_TOO_LARGE";

/// Where in the reader's schema the walk stands.
#[derive(Debug, Clone, Copy)]
enum Step {
    Key(&'static str),
    At(usize),
}

type Found = Arc<[Difference]>;

struct Checker<'a> {
    reader: &'a Types,
    writer: &'a Types,
    /// What is known of a pair; nothing while it is being compared.
    known: HashMap<(TypeId, TypeId), Option<Found>>,
    steps: usize,
    depth: usize,
    none: Found,
}

/// Why a comparison ends early: the one difference that is reported then.
type Stop = Box<Difference>;

/// The differences for which `reader` cannot read what `writer` wrote.
pub(super) fn check_reads(reader: (&Types, TypeId), writer: (&Types, TypeId)) -> Vec<Difference> {
    let mut checker = Checker {
        reader: reader.0,
        writer: writer.0,
        known: HashMap::new(),
        steps: 0,
        depth: 0,
        none: Arc::new([]),
    };
    match checker.pair(reader.1, writer.1, &mut Vec::new()) {
        Ok(found) => found.to_vec(),
        Err(stop) => vec![*stop],
    }
}

impl<'a> Checker<'a> {
    fn pair(
        &mut self,
        reader: TypeId,
        writer: TypeId,
        place: &mut Vec<Step>,
    ) -> Result<Found, Stop> {
        match self.known.get(&(reader, writer)) {
            Some(Some(found)) => return Ok(Arc::clone(found)),
            // Compatible unless something else in it is not.
            Some(None) => return Ok(Arc::clone(&self.none)),
            None => {}
        }
        self.spend(1, place)?;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(too_large("the types nest too deeply in each other to be compared", place));
        }
        self.known.insert((reader, writer), None);
        let found = self.compare(reader, writer, place)?;
        self.depth -= 1;
        let found = if found.is_empty() { Arc::clone(&self.none) } else { found.into() };
        self.known.insert((reader, writer), Some(Arc::clone(&found)));
        Ok(found)
    }

    /// A pair whose differences are only counted: places in it start anew.
    fn is_compatible(&mut self, reader: TypeId, writer: TypeId) -> Result<bool, Stop> {
        Ok(self.pair(reader, writer, &mut Vec::new())?.is_empty())
    }

    fn spend(&mut self, steps: usize, place: &[Step]) -> Result<(), Stop> {
        self.steps += steps;
        if self.steps > STEPS_MAX {
            return Err(too_large("the schemas are too large to be compared", place));
        }
        Ok(())
    }

    fn compare(
        &mut self,
        reader: TypeId,
        writer: TypeId,
        place: &mut Vec<Step>,
    ) -> Result<Vec<Difference>, Stop> {
        let (reads, writes) = (self.reader, self.writer);
        match (reads.kind(reader), writes.kind(writer)) {
            (Kind::Array(reader), Kind::Array(writer)) => {
                self.inside(Step::Key("items"), (*reader, *writer), place)
            }
            (Kind::Map(reader), Kind::Map(writer)) => {
                self.inside(Step::Key("values"), (*reader, *writer), place)
            }
            (Kind::Fixed(reader), Kind::Fixed(writer)) => Ok(fixed(reader, writer, place)),
            (Kind::Enum(reader), Kind::Enum(writer)) => {
                self.spend(reader.symbols.len() + writer.symbols.len(), place)?;
                Ok(symbols(reader, writer, place))
            }
            (Kind::Record(reader), Kind::Record(writer_record)) => {
                self.record(reader, (writer, writer_record), place)
            }
            (Kind::Union(_), Kind::Union(branches)) => self.each_branch(reader, branches, place),
            (_, Kind::Union(branches)) => {
                let mut found = Vec::new();
                for (at, branch) in branches.iter().enumerate() {
                    self.merge(Step::At(at), (reader, *branch), place, &mut found)?;
                }
                Ok(found)
            }
            (Kind::Union(branches), kind) => {
                for branch in branches {
                    if self.is_compatible(*branch, writer)? {
                        return Ok(Vec::new());
                    }
                }
                Ok(vec![missing_branch(kind, place)])
            }
            (reader, writer) if promotes(reader, writer) => Ok(Vec::new()),
            (reader, writer) => Ok(vec![mismatch(reader, writer, place)]),
        }
    }

    fn each_branch(
        &mut self,
        reader: TypeId,
        branches: &[TypeId],
        place: &mut Vec<Step>,
    ) -> Result<Vec<Difference>, Stop> {
        let mut found = Vec::new();
        for (at, branch) in branches.iter().enumerate() {
            if !self.is_compatible(reader, *branch)? && found.len() < DIFFERENCES_MAX {
                place.push(Step::At(at));
                found.push(missing_branch(self.writer.kind(*branch), place));
                place.pop();
            }
        }
        Ok(found)
    }

    fn inside(
        &mut self,
        step: Step,
        pair: (TypeId, TypeId),
        place: &mut Vec<Step>,
    ) -> Result<Vec<Difference>, Stop> {
        let mut found = Vec::new();
        self.merge(step, pair, place, &mut found)?;
        Ok(found)
    }

    fn merge(
        &mut self,
        step: Step,
        (reader, writer): (TypeId, TypeId),
        place: &mut Vec<Step>,
        found: &mut Vec<Difference>,
    ) -> Result<(), Stop> {
        place.push(step);
        let inside = self.pair(reader, writer, place)?;
        place.pop();
        self.spend(inside.len(), place)?;
        let room = DIFFERENCES_MAX.saturating_sub(found.len());
        found.extend(inside.iter().take(room).cloned());
        Ok(())
    }

    fn record(
        &mut self,
        reader: &'a Record,
        (writer_id, writer): (TypeId, &'a Record),
        place: &mut Vec<Step>,
    ) -> Result<Vec<Difference>, Stop> {
        let mut found: Vec<_> = names(&reader.named, &writer.named, place).into_iter().collect();
        place.push(Step::Key("fields"));
        for (at, field) in reader.fields.iter().enumerate() {
            place.push(Step::At(at));
            self.spend(1 + field.aliases.len(), place)?;
            let source = match written(field, writer, place)? {
                Some(source) => Some(source.schema),
                None if field.default.is_some() => None,
                // Java takes the enum's default for the field's, and then compares the enum with the whole record.
                None if has_enum_default(self.reader.kind(field.schema)) => Some(writer_id),
                None => {
                    let name = field.name.clone();
                    push(&mut found, "READER_FIELD_MISSING_DEFAULT_VALUE", place, name);
                    None
                }
            };
            if let Some(source) = source {
                self.merge(Step::Key("type"), (field.schema, source), place, &mut found)?;
            }
            place.pop();
        }
        place.pop();
        Ok(found)
    }
}

/// The writer's field that a reader's field is filled from.
fn written<'a>(
    field: &Field,
    writer: &'a Record,
    place: &[Step],
) -> Result<Option<&'a Field>, Stop> {
    let names = std::iter::once(&field.name).chain(&field.aliases);
    let mut sources = names.filter_map(|name| writer.field(name));
    let source = sources.next();
    if source.is_some() && sources.next().is_some() {
        let message = format!(
            "the field {} has the names of several fields in the writer's record {}",
            field.name,
            writer.named.name.full()
        );
        return Err(Box::new(difference(AMBIGUOUS, place, message)));
    }
    Ok(source)
}

fn has_enum_default(kind: &Kind) -> bool {
    matches!(kind, Kind::Enum(symbols) if symbols.default.is_some())
}

/// Whether every value of the writer's type, which is not of the same kind or is primitive, is one of the reader's.
fn promotes(reader: &Kind, writer: &Kind) -> bool {
    use Primitive::{Bytes, Double, Float, Int, Long, String};
    let (Kind::Primitive(reader), Kind::Primitive(writer)) = (reader, writer) else { return false };
    reader == writer
        || matches!(
            (reader, writer),
            (Long, Int)
                | (Float, Int | Long)
                | (Double, Int | Long | Float)
                | (Bytes, String)
                | (String, Bytes)
        )
}

fn names(reader: &Named, writer: &Named, place: &mut Vec<Step>) -> Option<Difference> {
    let known_as = |writer: &str| reader.aliases.iter().any(|alias| alias.full() == writer);
    if reader.name.simple() == writer.name.simple() || known_as(writer.name.full()) {
        return None;
    }
    let message = format!("expected: {}", writer.name.full());
    Some(difference_at("NAME_MISMATCH", "name", place, message))
}

fn fixed(reader: &Fixed, writer: &Fixed, place: &mut Vec<Step>) -> Vec<Difference> {
    let mut found: Vec<_> = names(&reader.named, &writer.named, place).into_iter().collect();
    if reader.size != writer.size {
        let message = format!("expected: {}, found: {}", writer.size, reader.size);
        found.push(difference_at("FIXED_SIZE_MISMATCH", "size", place, message));
    }
    found
}

fn symbols(reader: &Enum, writer: &Enum, place: &mut Vec<Step>) -> Vec<Difference> {
    let mut found: Vec<_> = names(&reader.named, &writer.named, place).into_iter().collect();
    let mut missing: BTreeSet<&str> = writer.symbols.iter().map(String::as_str).collect();
    for symbol in &reader.symbols {
        missing.remove(symbol.as_str());
    }
    if !missing.is_empty() && reader.default.is_none() {
        let missing: Vec<&str> = missing.into_iter().collect();
        let message = format!("[{}]", missing.join(", "));
        found.push(difference_at("MISSING_ENUM_SYMBOLS", "symbols", place, message));
    }
    found
}

fn missing_branch(writer: &Kind, place: &[Step]) -> Difference {
    let message = format!("reader union lacking writer type: {}", constant(writer));
    difference("MISSING_UNION_BRANCH", place, message)
}

fn mismatch(reader: &Kind, writer: &Kind, place: &[Step]) -> Difference {
    let (reader, writer) = (constant(reader), constant(writer));
    let message = format!("reader type: {reader} not compatible with writer type: {writer}");
    difference("TYPE_MISMATCH", place, message)
}

/// The name of Java's `Schema.Type`.
fn constant(kind: &Kind) -> String {
    kind.name().to_ascii_uppercase()
}

fn too_large(message: &str, place: &[Step]) -> Stop {
    Box::new(difference(TOO_LARGE, place, message.to_owned()))
}

fn push(found: &mut Vec<Difference>, kind: &'static str, place: &[Step], message: String) {
    if found.len() < DIFFERENCES_MAX {
        found.push(difference(kind, place, message));
    }
}

fn difference_at(
    kind: &'static str,
    key: &'static str,
    place: &mut Vec<Step>,
    message: String,
) -> Difference {
    place.push(Step::Key(key));
    let found = difference(kind, place, message);
    place.pop();
    found
}

fn difference(kind: &'static str, place: &[Step], message: String) -> Difference {
    let mut path = String::new();
    for step in place {
        // Writing to a string does not fail.
        let _ = match step {
            Step::Key(key) => write!(path, "/{key}"),
            Step::At(at) => write!(path, "/{at}"),
        };
    }
    if path.is_empty() {
        path.push('/');
    }
    Difference { kind, path, message }
}
