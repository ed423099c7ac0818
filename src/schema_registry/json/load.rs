//! From JSON to the model: which class a schema is of, and what its keywords restrict.

use std::collections::{BTreeMap, BTreeSet};

use super::draft::Draft;
use super::guard::Links;
use super::library::{Library, inner_base};
use super::model::{
    Arrays, Class, Combination, Criterion, Id, Model, Node, Numbers, Objects, Pattern, Rest,
    Strings,
};
use super::text::Json;
use crate::schema_registry::format::SchemaError;

/// What a schema was loaded into.
pub(super) struct Loaded {
    pub(super) model: Model,
    /// For each place, those that apply to the same value.
    pub(super) applied: Vec<Vec<Id>>,
    /// The address of the root, and for each address those that references lead to from there.
    pub(super) root: String,
    pub(super) links: Links,
}

/// Loads a schema from its root, and what it refers to.
///
/// # Errors
/// If a reference leads nowhere.
pub(super) fn load<'a>(
    root: &'a Json,
    base: &str,
    library: &Library<'a>,
    draft: Draft,
) -> Result<Loaded, SchemaError> {
    let mut loader = Loader {
        library,
        draft,
        model: Model::default(),
        applied: Vec::new(),
        known: BTreeMap::new(),
        waiting: Vec::new(),
        referred: BTreeSet::new(),
        links: Links::new(),
    };
    loader.place(root, base);
    // References are followed from a list and not from the stack: they may lead through any number of places.
    while let Some((id, json, base)) = loader.waiting.pop() {
        loader.fill(id, json, &base)?;
    }
    let root = inner_base(root, base, draft.id_keyword());
    let Loader { model, applied, links, .. } = loader;
    Ok(Loaded { model, applied, root, links })
}

struct Loader<'a, 'b> {
    library: &'b Library<'a>,
    draft: Draft,
    model: Model,
    /// For each place, those that apply to the same value.
    applied: Vec<Vec<Id>>,
    /// Places by the address of their JSON: one that is referred to many times is loaded once.
    known: BTreeMap<usize, Id>,
    waiting: Vec<(Id, &'a Json, String)>,
    /// What references lead to.
    referred: BTreeSet<Id>,
    links: Links,
}

/// The most places that references lead to: a compiler follows them one inside of the other.
const REFERRED_MAX: usize = 4_000;

const ARRAY_WORDS: &[&str] = &[
    "items",
    "additionalItems",
    "maxItems",
    "minItems",
    "uniqueItems",
    "contains",
    "prefixItems",
    "unevaluatedItems",
];
const OBJECT_WORDS: &[&str] = &[
    "properties",
    "required",
    "minProperties",
    "maxProperties",
    "dependencies",
    "patternProperties",
    "additionalProperties",
    "propertyNames",
    "dependentRequired",
    "dependentSchemas",
    "unevaluatedProperties",
];
const NUMBER_WORDS: &[&str] =
    &["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"];
const STRING_WORDS: &[&str] = &["minLength", "maxLength", "pattern"];

impl<'a> Loader<'a, '_> {
    /// The place of a schema, which is filled later.
    fn place(&mut self, json: &'a Json, base: &str) -> Id {
        let address = std::ptr::from_ref(json) as usize;
        if let Some(id) = self.known.get(&address) {
            return *id;
        }
        let id = self.add(Class::Empty);
        self.known.insert(address, id);
        self.waiting.push((id, json, base.to_owned()));
        id
    }

    fn add(&mut self, class: Class) -> Id {
        self.model.nodes.push(Node { class, ..Node::default() });
        self.applied.push(Vec::new());
        self.model.nodes.len() - 1
    }

    fn fill(&mut self, id: Id, json: &'a Json, base: &str) -> Result<(), SchemaError> {
        let base = inner_base(json, base, self.draft.id_keyword());
        let class = match json {
            Json::Bool(true) => Class::True,
            Json::Bool(false) => Class::False,
            json => self.class(json, &base)?,
        };
        self.apply(id, json, &base)?;
        let text = |word: &str| json.get(word).and_then(Json::as_str).map(str::to_owned);
        self.model.nodes[id] = Node {
            class,
            id: text(self.draft.id_keyword()),
            title: text("title"),
            description: text("description"),
            default: json.get("default").cloned(),
            bytes: json.get("connect.type").and_then(Json::as_str) == Some("bytes"),
        };
        Ok(())
    }

    /// Notes what applies to the same value, and what no rule compares and yet must lead somewhere.
    fn apply(&mut self, id: Id, json: &'a Json, base: &str) -> Result<(), SchemaError> {
        for word in ["allOf", "anyOf", "oneOf"] {
            for schema in json.get(word).map(Json::elements).unwrap_or_default() {
                let place = self.place(schema, base);
                self.applied[id].push(place);
            }
        }
        for word in ["not", "if", "then", "else"] {
            if let Some(schema) = json.get(word) {
                let place = self.place(schema, base);
                self.applied[id].push(place);
            }
        }
        for word in ["dependentSchemas", "dependencies"] {
            for (_, schema) in json.get(word).map(Json::members).unwrap_or_default() {
                let place = self.place(schema, base);
                self.applied[id].push(place);
            }
        }
        for word in ["$ref", "$dynamicRef", "$recursiveRef"] {
            if let Some(reference) = json.get(word).and_then(Json::as_str)
                && let Class::Reference(place) = self.reference(reference, base)?
            {
                self.applied[id].push(place);
            }
        }
        for word in ["contains", "propertyNames"] {
            if let Some(schema) = json.get(word) {
                self.place(schema, base);
            }
        }
        Ok(())
    }

    fn class(&mut self, json: &'a Json, base: &str) -> Result<Class, SchemaError> {
        let reference = match json.get("$ref").and_then(Json::as_str) {
            Some(reference) => Some(self.reference(reference, base)?),
            None => None,
        };
        match reference {
            // Up to draft 7, whatever stands beside a reference does not count.
            Some(reference) if !self.draft.is_modern() => Ok(reference),
            reference => {
                let mut parts: Vec<Class> = reference.into_iter().collect();
                self.parts(json, base, &mut parts);
                Ok(self.whole(parts))
            }
        }
    }

    fn reference(&mut self, reference: &str, base: &str) -> Result<Class, SchemaError> {
        if let Some((json, there)) = self.library.resolve(base, reference, self.draft.id_keyword())
        {
            if there != base {
                self.links.entry(base.to_owned()).or_default().insert(there.clone());
            }
            let place = self.place(json, &there);
            self.referred.insert(place);
            if self.referred.len() > REFERRED_MAX {
                return Err(SchemaError::new(format!(
                    "references lead to more than {REFERRED_MAX} places"
                )));
            }
            return Ok(Class::Reference(place));
        }
        let meta = ["http://json-schema.org/", "https://json-schema.org/"];
        if meta.iter().any(|known| reference.starts_with(known)) {
            return Ok(Class::Empty);
        }
        Err(SchemaError::new(format!("`$ref` {reference} leads nowhere")))
    }

    /// One class is the schema's own; several are all demanded, combinations first.
    fn whole(&mut self, mut parts: Vec<Class>) -> Class {
        if parts.len() < 2 {
            return parts.pop().unwrap_or_default();
        }
        parts.sort_by_key(|part| !matches!(part, Class::Combined(..)));
        self.together(Criterion::All, parts)
    }

    fn parts(&mut self, json: &'a Json, base: &str, parts: &mut Vec<Class>) {
        if let Some(Json::Array(values)) = json.get("enum") {
            parts.push(Class::Enum(values.clone()));
        }
        for criterion in [Criterion::All, Criterion::Any, Criterion::One] {
            if let Some(Json::Array(schemas)) = json.get(criterion.keyword()) {
                parts.push(self.combined(criterion, schemas, base));
            }
        }
        if let Some(not) = json.get("not") {
            parts.push(Class::Not(self.place(not, base)));
        }
        if let Some(value) = json.get("const").filter(|_| self.draft != Draft::Four) {
            parts.push(Class::Const(value.clone()));
        }
        let types: Vec<&str> = match json.get("type") {
            Some(Json::String(one)) => vec![one],
            Some(several) => several.elements().iter().filter_map(Json::as_str).collect(),
            None => Vec::new(),
        };
        match json.get("type") {
            None => {}
            Some(Json::String(one)) => parts.push(self.typed(one, json, base)),
            Some(_) => {
                let classes: Vec<Class> =
                    types.iter().map(|one| self.typed(one, json, base)).collect();
                let several = self.together(Criterion::Any, classes);
                parts.push(several);
            }
        }
        self.untyped(json, base, &types, parts);
    }

    /// Keywords make a class too where no `type` does.
    fn untyped(&mut self, json: &'a Json, base: &str, types: &[&str], parts: &mut Vec<Class>) {
        let has = |words: &[&str]| words.iter().any(|word| json.get(word).is_some());
        let is_number = types.contains(&"number") || types.contains(&"integer");
        let format = types.is_empty() && !self.draft.is_modern() && json.get("format").is_some();
        for (kind, found) in [
            ("array", !types.contains(&"array") && has(ARRAY_WORDS)),
            ("object", !types.contains(&"object") && has(OBJECT_WORDS)),
            ("number", !is_number && has(NUMBER_WORDS)),
            ("string", !types.contains(&"string") && (has(STRING_WORDS) || format)),
        ] {
            if found {
                parts.push(self.typed(kind, json, base));
            }
        }
        if has(&["if", "then", "else"]) && !matches!(self.draft, Draft::Four | Draft::Six) {
            parts.push(Class::Conditional);
        }
    }

    fn together(&mut self, criterion: Criterion, classes: Vec<Class>) -> Class {
        let schemas: Vec<Id> = classes.into_iter().map(|class| self.add(class)).collect();
        Class::Combined(Combination { criterion, distinct: schemas.clone(), schemas })
    }

    fn combined(&mut self, criterion: Criterion, schemas: &'a [Json], base: &str) -> Class {
        let mut ordered: Vec<&Json> = schemas.iter().collect();
        ordered.sort_by_key(|schema| !self.will_combine(schema));
        let schemas: Vec<Id> = ordered.iter().map(|schema| self.place(schema, base)).collect();
        let mut seen = BTreeSet::new();
        let distinct =
            schemas.iter().zip(&ordered).filter(|(_, schema)| seen.insert(schema.sorted().print()));
        let distinct = distinct.map(|(id, _)| *id).collect();
        Class::Combined(Combination { criterion, schemas, distinct })
    }

    /// Whether a schema will be a combination: the order of a combination's schemas depends on it.
    fn will_combine(&self, json: &Json) -> bool {
        if json.get("$ref").is_some() && !self.draft.is_modern() {
            return false;
        }
        let words = ["allOf", "anyOf", "oneOf"];
        let combined = words.iter().any(|word| json.get(word).is_some());
        combined
            || matches!(json.get("type"), Some(Json::Array(_)))
            || (json.get("enum").is_some() && json.get("type").is_some())
    }

    fn typed(&mut self, kind: &str, json: &'a Json, base: &str) -> Class {
        match kind {
            "string" => Class::String(Strings {
                max_length: number(json, "maxLength"),
                min_length: number(json, "minLength"),
                pattern: json.get("pattern").and_then(Json::as_str).map(str::to_owned),
            }),
            "integer" => Class::Number(Numbers { integer: true, ..numbers(json) }),
            "number" => Class::Number(numbers(json)),
            "boolean" => Class::Boolean,
            "null" => Class::Null,
            "array" => Class::Array(self.arrays(json, base)),
            "object" => Class::Object(self.objects(json, base)),
            _ => Class::Empty,
        }
    }

    /// What `additionalProperties` and the like leave open.
    fn rest(&mut self, json: Option<&'a Json>, base: &str) -> Rest {
        match json {
            None | Some(Json::Bool(true)) => Rest::Anything,
            Some(Json::Bool(false)) => Rest::Nothing,
            Some(schema) => Rest::Only(self.place(schema, base)),
        }
    }

    fn schemas(&mut self, json: &'a Json, word: &str, base: &str) -> Vec<(String, Id)> {
        let members = json.get(word).map(Json::members).unwrap_or_default();
        members.iter().map(|(name, schema)| (name.clone(), self.place(schema, base))).collect()
    }

    fn modern(&mut self, json: &'a Json, word: &str, base: &str) -> Option<Id> {
        json.get(word).filter(|_| self.draft.is_modern()).map(|schema| self.place(schema, base))
    }

    fn objects(&mut self, json: &'a Json, base: &str) -> Objects {
        let mut objects = Objects {
            properties: self.schemas(json, "properties", base),
            patterns: self
                .schemas(json, "patternProperties", base)
                .into_iter()
                .map(|(pattern, schema)| Pattern::new(pattern, schema))
                .collect(),
            required: names(json.get("required")),
            additional: self.rest(json.get("additionalProperties"), base),
            unevaluated: self.modern(json, "unevaluatedProperties", base),
            max_properties: number(json, "maxProperties"),
            min_properties: number(json, "minProperties"),
            ..Objects::default()
        };
        if self.draft.is_modern() {
            objects.dependent_schemas = self.schemas(json, "dependentSchemas", base);
            let dependent = json.get("dependentRequired").map(Json::members).unwrap_or_default();
            objects.dependent_names =
                dependent.iter().map(|(name, of)| (name.clone(), names(Some(of)))).collect();
        }
        for (name, of) in json.get("dependencies").map(Json::members).unwrap_or_default() {
            match of {
                Json::Array(_) => objects.dependent_names.push((name.clone(), names(Some(of)))),
                schema => objects.dependent_schemas.push((name.clone(), self.place(schema, base))),
            }
        }
        objects
    }

    fn arrays(&mut self, json: &'a Json, base: &str) -> Arrays {
        let first = json.get("prefixItems").filter(|_| self.draft.is_modern());
        let positional =
            first.or_else(|| json.get("items").filter(|items| matches!(items, Json::Array(_))));
        let items: Vec<Id> = positional
            .map(Json::elements)
            .unwrap_or_default()
            .iter()
            .map(|item| self.place(item, base))
            .collect();
        let others = json.get("items").filter(|items| !matches!(items, Json::Array(_)));
        let (all, additional) = match others {
            Some(schema) if first.is_some() => (None, self.rest(Some(schema), base)),
            Some(Json::Bool(true)) if self.draft.is_modern() => (None, Rest::Anything),
            Some(Json::Bool(false)) if self.draft.is_modern() => (None, Rest::Nothing),
            Some(schema) => {
                (Some(self.place(schema, base)), self.rest(json.get("additionalItems"), base))
            }
            None => (None, self.rest(json.get("additionalItems"), base)),
        };
        let contains = json.get("contains").is_some() && self.draft.is_modern();
        Arrays {
            all,
            items,
            additional,
            unevaluated: self.modern(json, "unevaluatedItems", base),
            max_items: number(json, "maxItems"),
            min_items: number(json, "minItems"),
            unique: json.get("uniqueItems") == Some(&Json::Bool(true)),
            max_contains: number(json, "maxContains").filter(|_| contains),
            min_contains: contains.then(|| number(json, "minContains").unwrap_or(1.0)),
        }
    }
}

fn number(json: &Json, word: &str) -> Option<f64> {
    json.get(word).and_then(Json::as_f64)
}

fn names(json: Option<&Json>) -> Vec<String> {
    json.map(Json::elements)
        .unwrap_or_default()
        .iter()
        .filter_map(Json::as_str)
        .map(str::to_owned)
        .collect()
}

/// In draft 4, an exclusive bound is a bound with a mark.
fn numbers(json: &Json) -> Numbers {
    let (maximum, minimum) = (number(json, "maximum"), number(json, "minimum"));
    let marked = |word: &str| json.get(word) == Some(&Json::Bool(true));
    let (above, below) = (marked("exclusiveMaximum"), marked("exclusiveMinimum"));
    Numbers {
        maximum: maximum.filter(|_| !above),
        minimum: minimum.filter(|_| !below),
        exclusive_maximum: if above { maximum } else { number(json, "exclusiveMaximum") },
        exclusive_minimum: if below { minimum } else { number(json, "exclusiveMinimum") },
        multiple_of: match json.get("multipleOf") {
            Some(Json::Number(text)) => Some(text.clone()),
            _ => None,
        },
        integer: false,
    }
}
