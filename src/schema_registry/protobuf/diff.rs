//! What changed from one schema to another, by Confluent's rules (`protobuf.diff.SchemaDiff`).
//!
//! Messages and enums are matched by name, fields by number. A field whose type is declared in an imported file is
//! followed into it, and a break there is a change of the field's type here. Each pair of imported messages is
//! compared once, from a queue: imports can describe a graph of any depth.

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::{
    Cardinality, EnumDescriptor, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor, Syntax,
};

use super::element::Label;
use crate::schema_registry::format::Difference;

/// A kind of change, by Confluent's name of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChangeKind {
    PackageChanged,
    MessageAdded,
    MessageRemoved,
    MessageMoved,
    EnumAdded,
    EnumRemoved,
    EnumConstAdded,
    EnumConstChanged,
    EnumConstRemoved,
    FieldAdded,
    FieldRemoved,
    FieldNameChanged,
    FieldKindChanged,
    FieldScalarKindChanged,
    FieldNamedTypeChanged,
    FieldNumericLabelChanged,
    FieldStringOrBytesLabelChanged,
    RequiredFieldAdded,
    RequiredFieldRemoved,
    OneofAdded,
    OneofRemoved,
    OneofFieldAdded,
    OneofFieldRemoved,
    OneofFieldMovedToTopLevel,
    MultipleFieldsMovedToOneof,
    FieldMovedToExistingOneof,
}

use ChangeKind as K;

impl ChangeKind {
    /// Whether a reader of the later schema still reads what was written with the earlier one.
    pub(super) fn is_compatible(self) -> bool {
        self.incompatibility().is_none()
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            K::PackageChanged => "PACKAGE_CHANGED",
            K::MessageAdded => "MESSAGE_ADDED",
            K::MessageRemoved => "MESSAGE_REMOVED",
            K::MessageMoved => "MESSAGE_MOVED",
            K::EnumAdded => "ENUM_ADDED",
            K::EnumRemoved => "ENUM_REMOVED",
            K::EnumConstAdded => "ENUM_CONST_ADDED",
            K::EnumConstChanged => "ENUM_CONST_CHANGED",
            K::EnumConstRemoved => "ENUM_CONST_REMOVED",
            K::FieldAdded => "FIELD_ADDED",
            K::FieldRemoved => "FIELD_REMOVED",
            K::FieldNameChanged => "FIELD_NAME_CHANGED",
            K::FieldKindChanged => "FIELD_KIND_CHANGED",
            K::FieldScalarKindChanged => "FIELD_SCALAR_KIND_CHANGED",
            K::FieldNamedTypeChanged => "FIELD_NAMED_TYPE_CHANGED",
            K::FieldNumericLabelChanged => "FIELD_NUMERIC_LABEL_CHANGED",
            K::FieldStringOrBytesLabelChanged => "FIELD_STRING_OR_BYTES_LABEL_CHANGED",
            K::RequiredFieldAdded => "REQUIRED_FIELD_ADDED",
            K::RequiredFieldRemoved => "REQUIRED_FIELD_REMOVED",
            K::OneofAdded => "ONEOF_ADDED",
            K::OneofRemoved => "ONEOF_REMOVED",
            K::OneofFieldAdded => "ONEOF_FIELD_ADDED",
            K::OneofFieldRemoved => "ONEOF_FIELD_REMOVED",
            K::OneofFieldMovedToTopLevel => "ONEOF_FIELD_MOVED_TO_TOP_LEVEL",
            K::MultipleFieldsMovedToOneof => "MULTIPLE_FIELDS_MOVED_TO_ONEOF",
            K::FieldMovedToExistingOneof => "FIELD_MOVED_TO_EXISTING_ONEOF",
        }
    }

    /// Why a change breaks readers, if it does.
    fn incompatibility(self) -> Option<&'static str> {
        Some(match self {
            K::PackageChanged => "the package differs",
            K::MessageRemoved => "the reader has no such message",
            K::FieldKindChanged => "the field is of another kind (scalar, message or map)",
            K::FieldScalarKindChanged => "the field's scalar type is written in another way",
            K::FieldNamedTypeChanged => "the field's message type differs",
            K::FieldNumericLabelChanged => "the label of a numeric field differs",
            K::RequiredFieldAdded => "the writer has no such field, and the reader requires it",
            K::RequiredFieldRemoved => "the reader has no such field, which the writer requires",
            K::OneofFieldRemoved => "the reader has no such field in its oneof",
            K::MultipleFieldsMovedToOneof => {
                "fields that could be set together share a oneof in the reader"
            }
            K::FieldMovedToExistingOneof => {
                "a field joined fields of a oneof with which it could be set together"
            }
            _ => return None,
        })
    }
}

/// A change, and where: `#/Message/Nested/3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) kind: ChangeKind,
    pub(super) path: String,
}

impl Change {
    pub(super) fn into_difference(self) -> Difference {
        let why = self.kind.incompatibility().unwrap_or_default();
        Difference {
            kind: self.kind.name(),
            message: format!("at '{}': {why}", self.path),
            path: self.path,
        }
    }
}

/// Every change from `original` to `update`, compatible ones too.
pub(super) fn compare(original: &FileDescriptor, update: &FileDescriptor) -> Vec<Change> {
    let mut walk = Walk {
        original: original.clone(),
        update: update.clone(),
        path: Vec::new(),
        changes: Vec::new(),
        pairs: BTreeMap::new(),
        queue: Vec::new(),
        links: Vec::new(),
        here: MAIN_UNIT,
        broken: BTreeSet::new(),
    };
    if original.package_name() != update.package_name() {
        walk.change(K::PackageChanged);
    }
    walk.types(&Types::of_file(original), &Types::of_file(update));
    while let Some((unit, original, update)) = walk.queue.pop() {
        walk.here = unit;
        walk.path = local_name(&original).split('.').map(str::to_owned).collect();
        walk.message(&original, &update);
    }
    walk.report_links();
    walk.changes
}

/// The schema itself; pairs of imported messages are numbered from 1.
const MAIN_UNIT: usize = 0;

struct Walk {
    original: FileDescriptor,
    update: FileDescriptor,
    path: Vec<String>,
    changes: Vec<Change>,
    /// Pairs of imported messages by their names, with their number.
    pairs: BTreeMap<(String, String), usize>,
    queue: Vec<(usize, MessageDescriptor, MessageDescriptor)>,
    /// Fields that lead to a pair: in which unit, at which path, to which unit.
    links: Vec<(usize, String, usize)>,
    here: usize,
    broken: BTreeSet<usize>,
}

/// What a file or a message declares.
struct Types {
    messages: Vec<MessageDescriptor>,
    enums: Vec<EnumDescriptor>,
}

impl Types {
    fn of_file(file: &FileDescriptor) -> Self {
        Self { messages: file.messages().collect(), enums: file.enums().collect() }
    }

    /// Neither entries of maps nor groups are declarations of their own.
    fn of_message(message: &MessageDescriptor) -> Self {
        let groups: BTreeSet<String> = message
            .fields()
            .filter(FieldDescriptor::is_group)
            .filter_map(|field| field.kind().as_message().map(|group| group.full_name().to_owned()))
            .collect();
        let messages = message
            .child_messages()
            .filter(|child| !child.is_map_entry() && !groups.contains(child.full_name()))
            .collect();
        Self { messages, enums: message.child_enums().collect() }
    }
}

/// An item with its place in its list, if the list has it.
type Placed<'a, T> = Option<(usize, &'a T)>;

/// The names of either list, and what each list holds under them with its place.
fn matched<'a, T, N: Ord>(
    original: &'a [T],
    update: &'a [T],
    name: impl Fn(&T) -> N,
) -> BTreeMap<N, (Placed<'a, T>, Placed<'a, T>)> {
    let mut both = BTreeMap::new();
    for item in original.iter().enumerate() {
        both.entry(name(item.1)).or_insert((None, None)).0 = Some(item);
    }
    for item in update.iter().enumerate() {
        both.entry(name(item.1)).or_insert((None, None)).1 = Some(item);
    }
    both
}

impl Walk {
    fn change(&mut self, kind: ChangeKind) {
        if !kind.is_compatible() {
            self.broken.insert(self.here);
        }
        self.changes.push(Change { kind, path: format!("#/{}", self.path.join("/")) });
    }

    fn at(&mut self, name: impl ToString, then: impl FnOnce(&mut Self)) {
        self.path.push(name.to_string());
        then(self);
        self.path.pop();
    }

    fn change_at(&mut self, name: impl ToString, kind: ChangeKind) {
        self.at(name, |walk| walk.change(kind));
    }

    fn types(&mut self, original: &Types, update: &Types) {
        for (name, pair) in
            matched(&original.messages, &update.messages, |message| message.name().to_owned())
        {
            self.at(name, |walk| match pair {
                (Some((from, original)), Some((to, update))) => {
                    walk.message(original, update);
                    if from != to {
                        walk.change(K::MessageMoved);
                    }
                }
                (Some(_), None) => walk.change(K::MessageRemoved),
                _ => walk.change(K::MessageAdded),
            });
        }
        for (name, pair) in
            matched(&original.enums, &update.enums, |declared| declared.name().to_owned())
        {
            self.at(name, |walk| match pair {
                (Some((_, original)), Some((_, update))) => walk.enumeration(original, update),
                (Some(_), None) => walk.change(K::EnumRemoved),
                _ => walk.change(K::EnumAdded),
            });
        }
    }

    fn enumeration(&mut self, original: &EnumDescriptor, update: &EnumDescriptor) {
        // Of aliases, the last name counts.
        let names = |declared: &EnumDescriptor| -> Vec<(i32, String)> {
            declared.values().map(|value| (value.number(), value.name().to_owned())).collect()
        };
        let (original, update) = (names(original), names(update));
        for (number, pair) in matched(&original, &update, |(number, _)| *number) {
            match pair {
                (Some((_, (_, old))), Some((_, (_, new)))) if old != new => {
                    self.change_at(number, K::EnumConstChanged);
                }
                (Some(_), None) => self.change_at(number, K::EnumConstRemoved),
                (None, Some(_)) => self.change_at(number, K::EnumConstAdded),
                _ => {}
            }
        }
    }

    fn message(&mut self, original: &MessageDescriptor, update: &MessageDescriptor) {
        let (old, new) = (Members::of(original), Members::of(update));
        self.exclusions(&old, &new);
        let names: BTreeSet<&String> = old.oneofs.keys().chain(new.oneofs.keys()).collect();
        for name in names {
            match (old.oneofs.contains_key(name), new.oneofs.contains_key(name)) {
                (true, false) => self.change_at(name, K::OneofRemoved),
                (false, true) => self.change_at(name, K::OneofAdded),
                _ => {}
            }
        }
        let numbers: BTreeSet<u32> = old.fields.keys().chain(new.fields.keys()).copied().collect();
        for number in numbers {
            match (old.fields.get(&number), new.fields.get(&number)) {
                (Some(field), None) => self.removed(number, field, &old, &new),
                (None, Some(field)) => self.added(number, field),
                (Some(was), Some(is)) => self.kept(number, was, is),
                (None, None) => {}
            }
        }
        self.types(&Types::of_message(original), &Types::of_message(update));
    }

    /// Fields that could be set together, and no longer can. A new field does not count: nothing wrote it.
    fn exclusions(&mut self, old: &Members, new: &Members) {
        for (name, numbers) in &new.oneofs {
            let mut groups = BTreeSet::new();
            let mut from_top = 0;
            for field in numbers.iter().filter_map(|number| old.fields.get(number)) {
                from_top += usize::from(field.oneof.is_none());
                groups.insert(field.oneof.clone().map_or_else(
                    || field.descriptor.number().to_string(),
                    |name| format!("oneof {name}"),
                ));
            }
            if groups.len() > 1 {
                let several = from_top > 1;
                self.change_at(
                    name,
                    if several {
                        K::MultipleFieldsMovedToOneof
                    } else {
                        K::FieldMovedToExistingOneof
                    },
                );
            }
        }
    }

    fn removed(&mut self, number: u32, field: &Member, old: &Members, new: &Members) {
        let Some(oneof) = &field.oneof else {
            let required = field.label() == Some(Label::Required);
            let kind = if required { K::RequiredFieldRemoved } else { K::FieldRemoved };
            return self.change_at(number, kind);
        };
        // A oneof that went as a whole is a compatible removal.
        let survives = old.oneofs[oneof].iter().any(|number| new.fields.contains_key(number));
        if survives || new.oneofs.contains_key(oneof) {
            self.at(oneof, |walk| walk.change_at(number, K::OneofFieldRemoved));
        }
    }

    fn added(&mut self, number: u32, field: &Member) {
        match &field.oneof {
            Some(oneof) => self.at(oneof, |walk| walk.change_at(number, K::OneofFieldAdded)),
            None if field.label() == Some(Label::Required) => {
                self.change_at(number, K::RequiredFieldAdded)
            }
            None => self.change_at(number, K::FieldAdded),
        }
    }

    fn kept(&mut self, number: u32, was: &Member, is: &Member) {
        match &is.oneof {
            Some(oneof) => self.at(oneof, |walk| walk.at(number, |walk| walk.field(was, is))),
            None => self.at(number, |walk| {
                if was.oneof.is_some() {
                    walk.change(K::OneofFieldMovedToTopLevel);
                }
                walk.field(was, is);
            }),
        }
    }

    fn field(&mut self, was: &Member, is: &Member) {
        if was.descriptor.name() != is.descriptor.name() {
            self.change(K::FieldNameChanged);
        }
        self.kinds(&was.descriptor, &is.descriptor, was.label().zip(is.label()));
    }

    fn kinds(
        &mut self,
        was: &FieldDescriptor,
        is: &FieldDescriptor,
        labels: Option<(Label, Label)>,
    ) {
        match (Shape::of(was), Shape::of(is)) {
            (Shape::Scalar(was), Shape::Scalar(is)) if was != is => {
                self.change(K::FieldScalarKindChanged)
            }
            (Shape::Scalar(scalar), Shape::Scalar(_))
                if labels.is_some_and(|(was, is)| was != is) =>
            {
                let text = scalar == Scalar::StringOrBytes;
                self.change(if text {
                    K::FieldStringOrBytesLabelChanged
                } else {
                    K::FieldNumericLabelChanged
                });
            }
            (Shape::Scalar(_), Shape::Scalar(_)) => {}
            (Shape::Map(was), Shape::Map(is)) => {
                self.kinds(&was.map_entry_key_field(), &is.map_entry_key_field(), None);
                self.kinds(&was.map_entry_value_field(), &is.map_entry_value_field(), None);
            }
            (Shape::Message(was), Shape::Message(is)) => self.message_types(was, is),
            _ => self.change(K::FieldKindChanged),
        }
    }

    fn message_types(&mut self, was: MessageDescriptor, is: MessageDescriptor) {
        if local_name(&was) != local_name(&is) {
            return self.change(K::FieldNamedTypeChanged);
        }
        let local = was.parent_file() == self.original && is.parent_file() == self.update;
        if local {
            return;
        }
        let names = (was.full_name().to_owned(), is.full_name().to_owned());
        let next = self.pairs.len() + 1;
        let unit = *self.pairs.entry(names).or_insert_with(|| {
            self.queue.push((next, was, is));
            next
        });
        self.links.push((self.here, format!("#/{}", self.path.join("/")), unit));
    }

    /// A field breaks if what it leads to does, at any distance.
    fn report_links(&mut self) {
        let mut into: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (from, _, to) in &self.links {
            into.entry(*to).or_default().push(*from);
        }
        let mut front: Vec<usize> = self.broken.iter().copied().collect();
        while let Some(unit) = front.pop() {
            for from in into.remove(&unit).unwrap_or_default() {
                if self.broken.insert(from) {
                    front.push(from);
                }
            }
        }
        for (_, path, to) in std::mem::take(&mut self.links) {
            if self.broken.contains(&to) {
                self.changes.push(Change { kind: K::FieldNamedTypeChanged, path });
            }
        }
    }
}

/// A message's name without its package.
fn local_name(message: &MessageDescriptor) -> String {
    let package = message.package_name();
    let inside = message.full_name().strip_prefix(package).and_then(|rest| rest.strip_prefix('.'));
    inside.unwrap_or_else(|| message.full_name()).to_owned()
}

/// A message's fields by number, with the oneof of each, and the fields of each oneof.
struct Members {
    fields: BTreeMap<u32, Member>,
    oneofs: BTreeMap<String, BTreeSet<u32>>,
}

struct Member {
    descriptor: FieldDescriptor,
    oneof: Option<String>,
}

impl Members {
    /// Groups do not count, as in Confluent's rules.
    fn of(message: &MessageDescriptor) -> Self {
        let mut members = Self { fields: BTreeMap::new(), oneofs: BTreeMap::new() };
        for descriptor in message.fields().filter(|field| !field.is_group()) {
            let oneof = descriptor.containing_oneof().filter(|oneof| !oneof.is_synthetic());
            let oneof = oneof.map(|oneof| oneof.name().to_owned());
            if let Some(name) = &oneof {
                members.oneofs.entry(name.clone()).or_default().insert(descriptor.number());
            }
            members.fields.insert(descriptor.number(), Member { descriptor, oneof });
        }
        members
    }
}

impl Member {
    /// The label as it is written: none in a oneof, at a map, and where proto3 leaves it out.
    fn label(&self) -> Option<Label> {
        if self.oneof.is_some() || self.descriptor.is_map() {
            return None;
        }
        match self.descriptor.cardinality() {
            Cardinality::Required => Some(Label::Required),
            Cardinality::Repeated => Some(Label::Repeated),
            Cardinality::Optional => {
                let proto3 = self.descriptor.parent_file().syntax() == Syntax::Proto3;
                let said = !proto3 || self.descriptor.field_descriptor_proto().proto3_optional();
                said.then_some(Label::Optional)
            }
        }
    }
}

enum Shape {
    Scalar(Scalar),
    Message(MessageDescriptor),
    /// With the message that stands for its entries.
    Map(MessageDescriptor),
}

/// Scalar types that are written in the same way, by "Updating A Message Type" of the Protobuf guide; Confluent takes
/// strings and bytes for the same, and enums for numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scalar {
    GeneralNumber,
    SignedNumber,
    StringOrBytes,
    Fixed32,
    Fixed64,
    Float,
    Double,
}

impl Shape {
    fn of(field: &FieldDescriptor) -> Self {
        Self::Scalar(match field.kind() {
            Kind::Message(message) if message.is_map_entry() => return Self::Map(message),
            Kind::Message(message) => return Self::Message(message),
            Kind::Int32
            | Kind::Int64
            | Kind::Uint32
            | Kind::Uint64
            | Kind::Bool
            | Kind::Enum(_) => Scalar::GeneralNumber,
            Kind::Sint32 | Kind::Sint64 => Scalar::SignedNumber,
            Kind::String | Kind::Bytes => Scalar::StringOrBytes,
            Kind::Fixed32 | Kind::Sfixed32 => Scalar::Fixed32,
            Kind::Fixed64 | Kind::Sfixed64 => Scalar::Fixed64,
            Kind::Float => Scalar::Float,
            Kind::Double => Scalar::Double,
        })
    }
}
