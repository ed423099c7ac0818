//! The rules for each class of schemas: bounds, properties, items.

use std::collections::{BTreeMap, BTreeSet};

use super::compare::{Found, Place, Walk};
use super::model::{Arrays, Class, Id, Numbers, Objects, Rest, Strings};
use super::text::Json;

/// Names of the four changes of a bound: added, removed, increased, decreased.
type Bound = (&'static str, [&'static str; 4]);

macro_rules! bound {
    ($word:literal, $name:literal) => {
        (
            $word,
            [
                concat!($name, "_ADDED"),
                concat!($name, "_REMOVED"),
                concat!($name, "_INCREASED"),
                concat!($name, "_DECREASED"),
            ],
        )
    };
}

fn bound(
    found: &mut Found,
    (word, [added, removed, increased, decreased]): Bound,
    was: Option<f64>,
    is: Option<f64>,
) {
    match (was, is) {
        (None, Some(_)) => found.add_at(word, added),
        (Some(_), None) => found.add_at(word, removed),
        (Some(was), Some(is)) if was < is => found.add_at(word, increased),
        (Some(was), Some(is)) if was > is => found.add_at(word, decreased),
        _ => {}
    }
}

pub(super) fn strings(found: &mut Found, was: &Strings, is: &Strings) {
    bound(found, bound!("maxLength", "MAX_LENGTH"), was.max_length, is.max_length);
    bound(found, bound!("minLength", "MIN_LENGTH"), was.min_length, is.min_length);
    match (&was.pattern, &is.pattern) {
        (None, Some(_)) => found.add_at("pattern", "PATTERN_ADDED"),
        (Some(_), None) => found.add_at("pattern", "PATTERN_REMOVED"),
        (was, is) if was != is => found.add_at("pattern", "PATTERN_CHANGED"),
        _ => {}
    }
}

pub(super) fn numbers(found: &mut Found, was: &Numbers, is: &Numbers) {
    bound(found, bound!("maximum", "MAXIMUM"), was.maximum, is.maximum);
    bound(found, bound!("minimum", "MINIMUM"), was.minimum, is.minimum);
    let (above, below) = (
        bound!("exclusiveMaximum", "EXCLUSIVE_MAXIMUM"),
        bound!("exclusiveMinimum", "EXCLUSIVE_MINIMUM"),
    );
    bound(found, above, was.exclusive_maximum, is.exclusive_maximum);
    bound(found, below, was.exclusive_minimum, is.exclusive_minimum);
    match (&was.multiple_of, &is.multiple_of) {
        (None, Some(_)) => found.add_at("multipleOf", "MULTIPLE_OF_ADDED"),
        (Some(_), None) => found.add_at("multipleOf", "MULTIPLE_OF_REMOVED"),
        (Some(was), Some(is)) => {
            if let Some(kind) = multiples(was, is) {
                found.add_at("multipleOf", kind);
            }
        }
        (None, None) => {}
    }
    match (was.integer, is.integer) {
        (true, false) => found.add("TYPE_EXTENDED"),
        (false, true) => found.add("TYPE_NARROWED"),
        _ => {}
    }
}

/// How one divisor changed to another; none if they are equal.
fn multiples(was: &str, is: &str) -> Option<&'static str> {
    let (Some(was), Some(is)) = (decimal(was), decimal(is)) else {
        return (was != is).then_some("MULTIPLE_OF_CHANGED");
    };
    let places = was.1.max(is.1);
    let scaled = |(digits, own): (i128, u32)| {
        10_i128.checked_pow(places - own).and_then(|by| digits.checked_mul(by))
    };
    let (Some(was), Some(is)) = (scaled(was), scaled(is)) else {
        return Some("MULTIPLE_OF_CHANGED");
    };
    if was == is {
        return None;
    }
    Some(match (is.checked_rem(was), was.checked_rem(is)) {
        (Some(0), _) => "MULTIPLE_OF_EXPANDED",
        (_, Some(0)) => "MULTIPLE_OF_REDUCED",
        _ => "MULTIPLE_OF_CHANGED",
    })
}

/// Digits, and how many of them stand after the point.
fn decimal(text: &str) -> Option<(i128, u32)> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let places = i64::try_from(fraction.len()).ok()? - exponent.parse::<i64>().ok()?;
    match u32::try_from(places) {
        Ok(places) if places <= 38 => Some((digits, places)),
        Ok(_) => None,
        Err(_) => digits
            .checked_mul(10_i128.checked_pow(u32::try_from(-places).ok()?)?)
            .map(|digits| (digits, 0)),
    }
}

pub(super) fn enums(found: &mut Found, was: &[Json], is: &[Json]) {
    let keys = |values: &[Json]| values.iter().map(Json::key).collect::<BTreeSet<String>>();
    let (was, is) = (keys(was), keys(is));
    if was == is {
        return;
    }
    found.add_at(
        "enum",
        match (is.is_superset(&was), was.is_superset(&is)) {
            (true, _) => "ENUM_ARRAY_EXTENDED",
            (_, true) => "ENUM_ARRAY_NARROWED",
            _ => "ENUM_ARRAY_CHANGED",
        },
    );
}

/// Changes of what is permitted beyond the named: added, removed, narrowed, extended.
type RestKinds = [&'static str; 4];

const ADDITIONAL_PROPERTIES: RestKinds = [
    "ADDITIONAL_PROPERTIES_ADDED",
    "ADDITIONAL_PROPERTIES_REMOVED",
    "ADDITIONAL_PROPERTIES_NARROWED",
    "ADDITIONAL_PROPERTIES_EXTENDED",
];
const ADDITIONAL_ITEMS: RestKinds = [
    "ADDITIONAL_ITEMS_ADDED",
    "ADDITIONAL_ITEMS_REMOVED",
    "ADDITIONAL_ITEMS_NARROWED",
    "ADDITIONAL_ITEMS_EXTENDED",
];
const UNEVALUATED_PROPERTIES: RestKinds = [
    "UNEVALUATED_PROPERTIES_ADDED",
    "UNEVALUATED_PROPERTIES_REMOVED",
    "UNEVALUATED_PROPERTIES_NARROWED",
    "UNEVALUATED_PROPERTIES_EXTENDED",
];
const UNEVALUATED_ITEMS: RestKinds = [
    "UNEVALUATED_ITEMS_ADDED",
    "UNEVALUATED_ITEMS_REMOVED",
    "UNEVALUATED_ITEMS_NARROWED",
    "UNEVALUATED_ITEMS_EXTENDED",
];

/// By name, the places on both sides.
type Both<'a> = BTreeMap<&'a str, (Option<Id>, Option<Id>)>;

fn both<'a>(was: &'a [(String, Id)], is: &'a [(String, Id)]) -> Both<'a> {
    let mut both = Both::new();
    for (name, id) in was {
        both.entry(name).or_default().0 = Some(*id);
    }
    for (name, id) in is {
        both.entry(name).or_default().1 = Some(*id);
    }
    both
}

impl Walk<'_> {
    pub(super) fn objects(
        &mut self,
        found: &mut Found,
        (original, was): (Place, &Objects),
        (update, is): (Place, &Objects),
    ) {
        let properties = both(&was.properties, &is.properties);
        let (required_was, required_is) = (Required::of(was), Required::of(is));
        found.at("required", |found| {
            for (name, pair) in &properties {
                let (Some(_), Some(new)) = pair else { continue };
                let default = self.node(update.of(*new)).default.is_some();
                let kind = match (required_was.has(name), required_is.has(name)) {
                    (true, false) => "REQUIRED_ATTRIBUTE_REMOVED",
                    (false, true) if default => "REQUIRED_ATTRIBUTE_WITH_DEFAULT_ADDED",
                    (false, true) => "REQUIRED_ATTRIBUTE_ADDED",
                    _ => continue,
                };
                found.add_at(name, kind);
            }
        });
        found.at("properties", |found| {
            for (name, pair) in &properties {
                found.at(name, |found| match *pair {
                    (Some(old), None) => {
                        self.property_removed(found, name, original.of(old), (update, is))
                    }
                    (None, Some(new)) => {
                        let required = required_is.has(name);
                        self.property_added(
                            found,
                            name,
                            (original, was),
                            (update.of(new), required),
                        );
                    }
                    (old, new) => self.optional(
                        found,
                        old.map(|id| original.of(id)),
                        new.map(|id| update.of(id)),
                    ),
                });
            }
        });
        self.dependencies(found, (original, was), (update, is));
        let rests = ((original, was.additional), (update, is.additional));
        found.at("additionalProperties", |found| self.rest(found, rests, ADDITIONAL_PROPERTIES));
        let rests =
            (was.unevaluated.map(|id| original.of(id)), is.unevaluated.map(|id| update.of(id)));
        found.at("unevaluatedProperties", |found| {
            self.unevaluated(found, rests, UNEVALUATED_PROPERTIES)
        });
        bound(
            found,
            bound!("maxProperties", "MAX_PROPERTIES"),
            was.max_properties,
            is.max_properties,
        );
        bound(
            found,
            bound!("minProperties", "MIN_PROPERTIES"),
            was.min_properties,
            is.min_properties,
        );
    }

    /// Only a reader whose content model lets the property pass can do without it.
    fn property_removed(
        &mut self,
        found: &mut Found,
        name: &str,
        old: Place,
        (update, is): (Place, &Objects),
    ) {
        if self.open_properties(update, is) {
            return found.add("PROPERTY_REMOVED_FROM_OPEN_CONTENT_MODEL");
        }
        let Some(cover) = self.cover(name, update, is) else {
            let never = matches!(self.class(old), Class::False);
            return found.add(if never {
                "PROPERTY_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL"
            } else {
                "PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL"
            });
        };
        let covered = self.covered(found, old, cover);
        found.add(if covered {
            "PROPERTY_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"
        } else {
            "PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"
        });
    }

    /// A writer whose content model is open could have written anything under the new name.
    fn property_added(
        &mut self,
        found: &mut Found,
        name: &str,
        (original, was): (Place, &Objects),
        (new, required): (Place, bool),
    ) {
        let node = self.node(new);
        let default = node.default.is_some();
        if self.open_properties(original, was) {
            return found.add(match (node.class.permits_all(), required, default) {
                (true, ..) => "PROPERTY_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL",
                (_, true, true) => "REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_OPEN_CONTENT_MODEL",
                (_, true, false) => "REQUIRED_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL",
                (_, false, _) => "OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL",
            });
        }
        if let Some(cover) = self.cover(name, original, was) {
            let covered = self.covered(found, cover, new);
            found.add(if covered {
                "PROPERTY_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"
            } else {
                "PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"
            });
        }
        found.add(match (required, default) {
            (true, true) => "REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_UNOPEN_CONTENT_MODEL",
            (true, false) => "REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL",
            (false, _) => "OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL",
        });
    }

    /// Compares what covers with what is covered, and tells the changes either way.
    fn covered(&mut self, found: &mut Found, from: Place, to: Place) -> bool {
        let mut inner = found.inner();
        self.schemas(&mut inner, from, to);
        let covered = inner.is_compatible();
        found.take(inner);
        covered
    }

    fn open_properties(&self, at: Place, objects: &Objects) -> bool {
        objects.additional == Rest::Anything
            && objects.patterns.is_empty()
            && objects.unevaluated.is_none_or(|id| self.class(at.of(id)).permits_all())
    }

    /// What a partly open content model says of a name.
    fn cover(&mut self, name: &str, at: Place, objects: &Objects) -> Option<Place> {
        self.count(objects.patterns.len());
        if let Some(pattern) = objects.patterns.iter().find(|pattern| pattern.finds(name)) {
            return Some(at.of(pattern.schema));
        }
        self.partly(at, objects.additional, objects.unevaluated)
    }

    fn partly(&self, at: Place, additional: Rest, unevaluated: Option<Id>) -> Option<Place> {
        match additional {
            Rest::Only(id) => Some(at.of(id)),
            Rest::Nothing => None,
            Rest::Anything => unevaluated.map(|id| at.of(id)).filter(|place| {
                let class = self.class(*place);
                !class.permits_all() && !matches!(class, Class::False)
            }),
        }
    }

    fn dependencies(
        &mut self,
        found: &mut Found,
        (original, was): (Place, &Objects),
        (update, is): (Place, &Objects),
    ) {
        let of = |objects: &Objects| -> BTreeMap<String, BTreeSet<String>> {
            objects
                .dependent_names
                .iter()
                .map(|(name, of)| (name.clone(), of.iter().cloned().collect()))
                .collect()
        };
        let (names_was, names_is) = (of(was), of(is));
        let names: BTreeSet<&String> = names_was.keys().chain(names_is.keys()).collect();
        found.at("dependencies", |found| {
            for name in names {
                let kind = match (names_was.get(name), names_is.get(name)) {
                    (Some(_), None) => "DEPENDENCY_ARRAY_REMOVED",
                    (None, Some(_)) => "DEPENDENCY_ARRAY_ADDED",
                    (Some(was), Some(is)) if was == is => continue,
                    (Some(was), Some(is)) if is.is_superset(was) => "DEPENDENCY_ARRAY_EXTENDED",
                    (Some(was), Some(is)) if was.is_superset(is) => "DEPENDENCY_ARRAY_NARROWED",
                    _ => "DEPENDENCY_ARRAY_CHANGED",
                };
                found.add_at(name, kind);
            }
            for (name, pair) in both(&was.dependent_schemas, &is.dependent_schemas) {
                found.at(name, |found| match pair {
                    (Some(_), None) => found.add("DEPENDENCY_SCHEMA_REMOVED"),
                    (None, Some(_)) => found.add("DEPENDENCY_SCHEMA_ADDED"),
                    (old, new) => self.optional(
                        found,
                        old.map(|id| original.of(id)),
                        new.map(|id| update.of(id)),
                    ),
                });
            }
        });
    }

    fn rest(&mut self, found: &mut Found, rests: ((Place, Rest), (Place, Rest)), kinds: RestKinds) {
        let [added, removed, narrowed, extended] = kinds;
        let ((original, was), (update, is)) = rests;
        match (was, is) {
            (Rest::Nothing, Rest::Nothing) | (Rest::Anything, Rest::Anything) => {}
            (Rest::Nothing, _) => found.add(added),
            (_, Rest::Nothing) => found.add(removed),
            (Rest::Anything, Rest::Only(_)) => found.add(narrowed),
            (Rest::Only(_), Rest::Anything) => found.add(extended),
            (Rest::Only(was), Rest::Only(is)) => {
                self.schemas(found, original.of(was), update.of(is))
            }
        }
    }

    fn unevaluated(
        &mut self,
        found: &mut Found,
        rests: (Option<Place>, Option<Place>),
        kinds: RestKinds,
    ) {
        let [added, removed, narrowed, extended] = kinds;
        let nothing = |place: Place| matches!(self.class(place), Class::False);
        let anything = |place: Place| self.class(place).permits_all();
        match rests {
            (None, None) => {}
            (None, Some(is)) => found.add(if nothing(is) { removed } else { narrowed }),
            (Some(was), None) => found.add(if nothing(was) { added } else { extended }),
            (Some(was), Some(is)) => match (nothing(was), nothing(is), anything(was), anything(is))
            {
                (true, false, ..) => found.add(added),
                (false, true, ..) => found.add(removed),
                (_, _, true, false) => found.add(narrowed),
                (_, _, false, true) => found.add(extended),
                _ => self.schemas(found, was, is),
            },
        }
    }

    pub(super) fn arrays(
        &mut self,
        found: &mut Found,
        (original, was): (Place, &Arrays),
        (update, is): (Place, &Arrays),
    ) {
        let (all_was, all_is) = (was.all.map(|id| original.of(id)), is.all.map(|id| update.of(id)));
        found.at("items", |found| self.optional(found, all_was, all_is));
        for place in 0..was.items.len().max(is.items.len()) {
            let (old, new) = (was.items.get(place).copied(), is.items.get(place).copied());
            found.at(format!("items/{place}"), |found| match (old, new) {
                (Some(old), None) => self.item_removed(found, original.of(old), (update, is)),
                (None, Some(new)) => self.item_added(found, (original, was), update.of(new)),
                (old, new) => {
                    self.optional(found, old.map(|id| original.of(id)), new.map(|id| update.of(id)))
                }
            });
        }
        let rests = ((original, was.additional), (update, is.additional));
        found.at("additionalItems", |found| self.rest(found, rests, ADDITIONAL_ITEMS));
        let rests =
            (was.unevaluated.map(|id| original.of(id)), is.unevaluated.map(|id| update.of(id)));
        found.at("unevaluatedItems", |found| self.unevaluated(found, rests, UNEVALUATED_ITEMS));
        bound(found, bound!("maxItems", "MAX_ITEMS"), was.max_items, is.max_items);
        bound(found, bound!("minItems", "MIN_ITEMS"), was.min_items, is.min_items);
        match (was.unique, is.unique) {
            (true, false) => found.add_at("uniqueItems", "UNIQUE_ITEMS_REMOVED"),
            (false, true) => found.add_at("uniqueItems", "UNIQUE_ITEMS_ADDED"),
            _ => {}
        }
        bound(found, bound!("maxContains", "MAX_CONTAINS"), was.max_contains, is.max_contains);
        bound(found, bound!("minContains", "MIN_CONTAINS"), was.min_contains, is.min_contains);
    }

    fn open_items(&self, at: Place, arrays: &Arrays) -> bool {
        arrays.additional == Rest::Anything
            && arrays.unevaluated.is_none_or(|id| self.class(at.of(id)).permits_all())
    }

    fn item_removed(&mut self, found: &mut Found, old: Place, (update, is): (Place, &Arrays)) {
        if self.open_items(update, is) {
            return found.add("ITEM_REMOVED_FROM_OPEN_CONTENT_MODEL");
        }
        let Some(cover) = self.partly(update, is.additional, is.unevaluated) else {
            let never = matches!(self.class(old), Class::False);
            return found.add(if never {
                "ITEM_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL"
            } else {
                "ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL"
            });
        };
        let covered = self.covered(found, old, cover);
        found.add(if covered {
            "ITEM_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"
        } else {
            "ITEM_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"
        });
    }

    fn item_added(&mut self, found: &mut Found, (original, was): (Place, &Arrays), new: Place) {
        if self.open_items(original, was) {
            let anything = self.class(new).permits_all();
            return found.add(if anything {
                "ITEM_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL"
            } else {
                "ITEM_ADDED_TO_OPEN_CONTENT_MODEL"
            });
        }
        let Some(cover) = self.partly(original, was.additional, was.unevaluated) else {
            return found.add("ITEM_ADDED_TO_CLOSED_CONTENT_MODEL");
        };
        let covered = self.covered(found, cover, new);
        found.add(if covered {
            "ITEM_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"
        } else {
            "ITEM_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"
        });
    }
}

/// The names that an object must have.
struct Required<'a>(BTreeSet<&'a str>);

impl<'a> Required<'a> {
    fn of(objects: &'a Objects) -> Self {
        Self(objects.required.iter().map(String::as_str).collect())
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}
