//! What changed from one schema to another, by Confluent's rules (`json.diff.SchemaDiff`).
//!
//! Pairs of places are compared once each and remembered. A pair that is met again inside of its own comparison is
//! taken for compatible at first; whatever such a guess led to is compared again with what is known to break, until
//! nothing more is found. Work and depth have bounds: what exceeds them is told as a difference of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::change::Change;
use super::matching;
use super::model::{Class, Combination, Criterion, Id, Model, Node};

/// The most pairs that are compared, over all rounds.
const PAIRS_MAX: usize = 500_000;
/// The most pairs inside of one another.
const DEPTH_MAX: usize = 10_000;
/// The most changes that are told of a pair.
const CHANGES_MAX: usize = 1_000;

/// A place of one of the two schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    update: bool,
    id: Id,
}

type Pair = (Place, Place);

/// Every change from `original` to `update`, compatible ones too.
pub(super) fn compare(original: &Model, update: &Model) -> Vec<Change> {
    let mut broken = BTreeMap::new();
    let mut pairs = 0;
    loop {
        let mut walk = Walk {
            models: [original, update],
            known: BTreeMap::new(),
            open: BTreeSet::new(),
            broken,
            guessed: false,
            exceeded: false,
            pairs,
        };
        let mut found = Found::default();
        walk.schemas(&mut found, Place { update: false, id: 0 }, Place { update: true, id: 0 });
        let breaks =
            |changes: &Rc<Vec<Change>>| changes.iter().any(|change| !change.is_compatible());
        let before = walk.broken.len();
        let now: BTreeMap<Pair, Rc<Vec<Change>>> =
            walk.known.into_iter().filter(|(_, changes)| breaks(changes)).collect();
        if walk.exceeded {
            found.add("COMPARISON_EXCEEDED");
        }
        if !walk.guessed || walk.exceeded || now.len() == before {
            return found.changes;
        }
        broken = now;
        pairs = walk.pairs;
    }
}

/// The changes that were found so far, and where the walk is.
#[derive(Debug, Default)]
pub(super) struct Found {
    path: Vec<String>,
    pub(super) changes: Vec<Change>,
}

impl Found {
    fn prefix(&self) -> String {
        format!("#/{}", self.path.join("/"))
    }

    pub(super) fn add(&mut self, kind: &'static str) {
        let path = self.prefix();
        self.push(Change { kind, path });
    }

    pub(super) fn add_at(&mut self, name: &str, kind: &'static str) {
        self.at(name, |found| found.add(kind));
    }

    /// Keeps to a bound, and whether anything breaks.
    fn push(&mut self, change: Change) {
        let full = self.changes.len() >= CHANGES_MAX;
        if !full || (!change.is_compatible() && self.is_compatible()) {
            self.changes.push(change);
        }
    }

    pub(super) fn at(&mut self, name: impl ToString, then: impl FnOnce(&mut Self)) {
        self.path.push(name.to_string());
        then(self);
        self.path.pop();
    }

    pub(super) fn is_compatible(&self) -> bool {
        self.changes.iter().all(Change::is_compatible)
    }

    /// A place to try something in, at the same path.
    pub(super) fn inner(&self) -> Self {
        Self { path: self.path.clone(), changes: Vec::new() }
    }

    pub(super) fn take(&mut self, inner: Self) {
        inner.changes.into_iter().for_each(|change| self.push(change));
    }

    /// Adds changes whose paths begin here.
    fn take_relative(&mut self, changes: &[Change]) {
        let prefix = self.prefix();
        for change in changes {
            let path = match change.path.strip_prefix("#/") {
                _ if self.path.is_empty() => change.path.clone(),
                None | Some("") => prefix.clone(),
                Some(rest) => format!("{prefix}/{rest}"),
            };
            self.push(Change { kind: change.kind, path });
        }
    }
}

pub(super) struct Walk<'a> {
    models: [&'a Model; 2],
    known: BTreeMap<Pair, Rc<Vec<Change>>>,
    open: BTreeSet<Pair>,
    /// What an earlier round found to break.
    broken: BTreeMap<Pair, Rc<Vec<Change>>>,
    guessed: bool,
    exceeded: bool,
    pairs: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn node(&self, place: Place) -> &'a Node {
        &self.models[usize::from(place.update)].nodes[place.id]
    }

    pub(super) fn class(&self, place: Place) -> &'a Class {
        &self.node(place).class
    }

    /// The place that references lead to. References that lead only to each other stay where they are.
    fn followed(&self, mut place: Place) -> Place {
        let mut steps = self.models[usize::from(place.update)].nodes.len();
        while let (Class::Reference(id), 1..) = (self.class(place), steps) {
            place.id = *id;
            steps -= 1;
        }
        place
    }

    /// Counts work that is done besides pairs.
    pub(super) fn count(&mut self, more: usize) {
        self.pairs = self.pairs.saturating_add(more);
        self.exceeded |= self.pairs > PAIRS_MAX;
    }

    pub(super) fn optional(
        &mut self,
        found: &mut Found,
        original: Option<Place>,
        update: Option<Place>,
    ) {
        match (original, update) {
            (Some(original), Some(update)) => self.schemas(found, original, update),
            (None, Some(_)) => found.add("SCHEMA_ADDED"),
            (Some(_), None) => found.add("SCHEMA_REMOVED"),
            (None, None) => {}
        }
    }

    /// Compares two schemas, once.
    pub(super) fn schemas(&mut self, found: &mut Found, original: Place, update: Place) {
        let pair = (self.followed(original), self.followed(update));
        if let Some(changes) = self.known.get(&pair) {
            return found.take_relative(&Rc::clone(changes));
        }
        if self.open.contains(&pair) {
            match self.broken.get(&pair) {
                Some(changes) => found.take_relative(&Rc::clone(changes)),
                None => self.guessed = true,
            }
            return;
        }
        self.pairs += 1;
        if self.pairs > PAIRS_MAX || self.open.len() > DEPTH_MAX {
            self.exceeded = true;
            return;
        }
        self.open.insert(pair);
        let mut inner = Found::default();
        self.pair(&mut inner, pair.0, pair.1);
        self.open.remove(&pair);
        found.take_relative(&inner.changes);
        self.known.insert(pair, Rc::new(inner.changes));
    }

    /// Tries a pair on the side: its changes, if none of them breaks.
    fn tried(&mut self, found: &Found, original: Place, update: Place) -> Option<Found> {
        let mut inner = found.inner();
        self.schemas(&mut inner, original, update);
        inner.is_compatible().then_some(inner)
    }

    fn pair(&mut self, found: &mut Found, original: Place, update: Place) {
        let settled = match (self.class(original), self.class(update)) {
            (Class::Combined(_), Class::Combined(_)) => false,
            (_, Class::Combined(choice)) => self.became_combined(found, original, update, choice),
            (Class::Combined(choice), _) => self.was_combined(found, original, update, choice),
            _ => false,
        };
        if settled {
            return;
        }
        let (was, is) = (self.node(original), self.node(update));
        if !was.class.is_same(&is.class) {
            let accepts = matches!(was.class, Class::False) || is.class.permits_all();
            let bytes = was.bytes && is.bytes;
            if !accepts && !bytes {
                found.add("TYPE_CHANGED");
            }
            return;
        }
        for (changed, kind) in [
            (was.id != is.id, "ID_CHANGED"),
            (was.title != is.title, "TITLE_CHANGED"),
            (was.description != is.description, "DESCRIPTION_CHANGED"),
            (key(&was.default) != key(&is.default), "DEFAULT_CHANGED"),
        ] {
            if changed {
                found.add(kind);
            }
        }
        self.classes(found, original, update);
    }

    fn became_combined(
        &mut self,
        found: &mut Found,
        original: Place,
        update: Place,
        choice: &Combination,
    ) -> bool {
        if let Some(only) = choice.only() {
            return self
                .tried(found, original, Place { id: only, ..update })
                .map(|inner| found.take(inner))
                .is_some();
        }
        if choice.criterion == Criterion::All {
            return false;
        }
        for id in &choice.schemas {
            if let Some(inner) = self.tried(found, original, Place { id: *id, ..update }) {
                found.take(inner);
                found.add("SUM_TYPE_EXTENDED");
                return true;
            }
        }
        false
    }

    fn was_combined(
        &mut self,
        found: &mut Found,
        original: Place,
        update: Place,
        choice: &Combination,
    ) -> bool {
        if let Some(only) = choice.only() {
            return self
                .tried(found, Place { id: only, ..original }, update)
                .map(|inner| found.take(inner))
                .is_some();
        }
        if choice.criterion != Criterion::All {
            return false;
        }
        for id in &choice.schemas {
            if let Some(inner) = self.tried(found, Place { id: *id, ..original }, update) {
                found.take(inner);
                found.add("PRODUCT_TYPE_NARROWED");
                return true;
            }
        }
        false
    }

    fn classes(&mut self, found: &mut Found, original: Place, update: Place) {
        match (self.class(original), self.class(update)) {
            (Class::String(was), Class::String(is)) => super::rules::strings(found, was, is),
            (Class::Number(was), Class::Number(is)) => super::rules::numbers(found, was, is),
            (Class::Object(was), Class::Object(is)) => {
                self.objects(found, (original, was), (update, is))
            }
            (Class::Array(was), Class::Array(is)) => {
                self.arrays(found, (original, was), (update, is))
            }
            (Class::Const(was), Class::Const(is)) if was.key() != is.key() => {
                found.add_at("const", "ENUM_ARRAY_CHANGED");
            }
            (Class::Enum(was), Class::Enum(is)) => super::rules::enums(found, was, is),
            (Class::Combined(was), Class::Combined(is)) => {
                self.combinations(found, (original, was), (update, is));
            }
            (Class::Not(was), Class::Not(is)) => {
                // What was forbidden may be less now: the other way round.
                let (was, is) = (Place { id: *was, ..original }, Place { id: *is, ..update });
                found.at("not", |found| {
                    let narrowed = self.tried(found, is, was).is_some();
                    found.add(if narrowed { "NOT_TYPE_NARROWED" } else { "NOT_TYPE_EXTENDED" });
                });
            }
            _ => {}
        }
    }

    fn combinations(
        &mut self,
        found: &mut Found,
        (original, was): (Place, &Combination),
        (update, is): (Place, &Combination),
    ) {
        let (single_was, single_is) = (was.only().is_some(), is.only().is_some());
        if was.criterion != is.criterion {
            let extended = is.criterion == Criterion::Any
                || (single_was && (single_is || is.criterion == Criterion::One))
                || (single_is && was.criterion == Criterion::All);
            if !extended {
                return found.add("COMBINED_TYPE_CHANGED");
            }
            found.add("COMBINED_TYPE_EXTENDED");
        }
        match was.distinct.len().cmp(&is.distinct.len()) {
            std::cmp::Ordering::Less if is.criterion == Criterion::All => {
                found.add("PRODUCT_TYPE_EXTENDED")
            }
            std::cmp::Ordering::Less => found.add("SUM_TYPE_EXTENDED"),
            std::cmp::Ordering::Greater if was.criterion == Criterion::All => {
                found.add("PRODUCT_TYPE_NARROWED")
            }
            std::cmp::Ordering::Greater => found.add("SUM_TYPE_NARROWED"),
            std::cmp::Ordering::Equal => {}
        }
        let mut fits: Vec<BTreeMap<usize, Found>> = Vec::new();
        for (place, id) in was.distinct.iter().enumerate() {
            let from = original.of(*id);
            found.at(format!("{}/{place}", was.criterion.keyword()), |found| {
                let tries = is.distinct.iter().enumerate();
                let row = tries.filter_map(|(other, to)| {
                    Some((other, self.tried(found, from, update.of(*to))?))
                });
                fits.push(row.collect());
            });
        }
        let pairs = matching::largest(&fits, is.distinct.len());
        let covered = pairs.len();
        for (from, to) in pairs {
            if let Some(inner) = fits[from].remove(&to) {
                found.take(inner);
            }
        }
        if covered < was.distinct.len().min(is.distinct.len()) {
            found.add("COMBINED_TYPE_SUBSCHEMAS_CHANGED");
        }
    }
}

impl Place {
    /// Another place of the same schema.
    pub(super) fn of(self, id: Id) -> Self {
        Self { id, ..self }
    }
}

fn key(json: &Option<super::text::Json>) -> Option<String> {
    json.as_ref().map(super::text::Json::key)
}
