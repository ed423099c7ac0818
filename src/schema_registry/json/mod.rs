//! JSON Schema: drafts 4, 6, 7, 2019-09 and 2020-12.
//!
//! The text is kept with its order and its numbers as written, for what is stored; a model in Confluent's terms is made
//! of it for the rules of compatibility, and a validator for records.

mod change;
mod compare;
mod draft;
mod guard;
mod library;
mod load;
mod matching;
mod model;
mod rules;
#[cfg(test)]
mod tests;
mod text;
mod validator;

use std::fmt;

use jsonschema::Validator;

use super::format::{Difference, ResolvedReference, SchemaError};
use change::Change;
use draft::Draft;
use library::Library;
use load::Loaded;
use model::Model;
use text::Json;

/// The longest text of one schema.
pub const TEXT_BYTES_MAX: usize = 4 << 20;
/// The most text of all that a schema refers to.
pub const REFERENCES_BYTES_MAX: usize = 16 << 20;

/// A parsed and compiled schema.
pub struct Schema {
    json: Json,
    /// What the rules of compatibility see; of a stored text in which references lead nowhere, why there is none.
    model: Result<Model, SchemaError>,
    /// What holds records, and how deep its combinations nest; of a stored text that is no schema, why there is none.
    validator: Result<(Validator, u64), SchemaError>,
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Schema").field(&self.canonical()).finish()
    }
}

impl Schema {
    /// Parses and compiles a schema. What a `$ref` names is in the schema itself or among the references, by name or by
    /// its own id; nothing is fetched.
    ///
    /// # Errors
    /// If the text is no schema: no JSON, against its draft's meta-schema, too long, too deep, with references that lead
    /// nowhere or in a circle. Time and memory are bound by the length of the texts.
    pub fn parse(text: &str, references: &[ResolvedReference]) -> Result<Self, SchemaError> {
        let schema = Self::parse_stored(text, references)?;
        match (&schema.model, &schema.validator) {
            (Ok(_), Ok(_)) => Ok(schema),
            (Err(why), _) | (_, Err(why)) => Err(why.clone()),
        }
    }

    /// Parses a schema that a registry holds: older ones took what no meta-schema does. It can be shown and found; it is
    /// compared unless references lead nowhere, and records are held against it only if it is a schema.
    ///
    /// # Errors
    /// If the text is no JSON, too long or too deep.
    pub fn parse_stored(text: &str, references: &[ResolvedReference]) -> Result<Self, SchemaError> {
        let json = read(text)?;
        let (model, validator) = match documents(references) {
            Ok(documents) => compiled(&json, &documents),
            Err(why) => (Err(why.clone()), Err(why)),
        };
        Ok(Self { json, model, validator })
    }

    /// The text that is stored and compared: Confluent's `JsonSchema.canonicalString`, the members in their order.
    pub fn canonical(&self) -> String {
        self.json.print()
    }

    /// The text that is stored with `normalize=true`: the members sorted by name.
    pub fn normalized(&self) -> String {
        self.json.sorted().print()
    }

    /// The differences for which `self` cannot read what was written with `writer`: none, if it can.
    ///
    /// Kinds are those of Confluent's `json.diff.Difference.Type`, and two of our own: `COMPARISON_EXCEEDED` where the
    /// schemas are too complex to tell, `REFERENCE_UNRESOLVED` where a stored one refers to what is not there.
    pub fn check_reads(&self, writer: &Schema) -> Vec<Difference> {
        let changes = self.changes_from(writer);
        changes
            .into_iter()
            .filter(|change| !change.is_compatible())
            .map(Change::into_difference)
            .collect()
    }

    fn changes_from(&self, writer: &Schema) -> Vec<Change> {
        let (Ok(reader), Ok(writer)) = (&self.model, &writer.model) else {
            return vec![Change { kind: "REFERENCE_UNRESOLVED", path: "#/".to_owned() }];
        };
        let changes = validator::deep(|| compare::compare(writer, reader));
        changes
            .unwrap_or_else(|_| vec![Change { kind: "COMPARISON_EXCEEDED", path: "#/".to_owned() }])
    }

    /// The schema's title, by which strategies that go by records call it.
    pub fn title(&self) -> Option<&str> {
        self.json.get("title").and_then(Json::as_str)
    }

    /// Whether a property of that name stands at its top.
    pub fn has_property(&self, name: &str) -> bool {
        self.json.get("properties").is_some_and(|properties| properties.get(name).is_some())
    }

    /// Holds the names of the properties at its top against those that Confluent's registry keeps for itself.
    ///
    /// # Errors
    /// One begins with `$$`.
    pub fn check_properties(&self) -> Result<(), SchemaError> {
        let properties = self.json.get("properties").map(Json::members).unwrap_or_default();
        match properties.iter().find(|(name, _)| name.starts_with("$$")) {
            Some((name, _)) => Err(SchemaError::new(format!(
                "#/properties/{name}: Field names cannot start with $$ prefix"
            ))),
            None => Ok(()),
        }
    }

    /// Holds a record's bytes after the schema's id against the schema: a document in JSON.
    ///
    /// # Errors
    /// If they are no JSON or do not fit; the first fault is told with its place.
    pub fn validate_payload(&self, payload: &[u8]) -> Result<(), SchemaError> {
        let (validator, depth) = self.validator.as_ref().map_err(SchemaError::clone)?;
        validator::validate(validator, *depth, payload)
    }
}

/// What the references stand for, by name.
fn documents(references: &[ResolvedReference]) -> Result<Vec<(String, Json)>, SchemaError> {
    if references.iter().map(|reference| reference.schema.len()).sum::<usize>()
        > REFERENCES_BYTES_MAX
    {
        return Err(SchemaError::new(format!(
            "the references have more than {REFERENCES_BYTES_MAX} bytes"
        )));
    }
    let document = |reference: &ResolvedReference| -> Result<(String, Json), SchemaError> {
        let named =
            |error: SchemaError| SchemaError::new(format!("reference {}: {error}", reference.name));
        let json = read(&reference.schema).map_err(named)?;
        Ok((reference.name.clone(), with_definitions(json)))
    };
    references.iter().map(document).collect()
}

/// What the rules of compatibility see of a schema, and what holds records.
fn compiled(
    json: &Json,
    documents: &[(String, Json)],
) -> (Result<Model, SchemaError>, Result<(Validator, u64), SchemaError>) {
    let root = with_definitions(json.clone());
    let draft = Draft::of(&root);
    let mut library = Library::default();
    library.add("", &root, draft.id_keyword());
    for (name, document) in documents {
        library.add(name, document, draft.id_keyword());
    }
    let Loaded { model, applied, root: start, links } =
        match load::load(&root, library::BASE, &library, draft) {
            Ok(loaded) => loaded,
            Err(why) => return (Err(why.clone()), Err(why)),
        };
    let bounded = guard::ways(&start, &links).and_then(|()| guard::weigh(&applied));
    let validator = bounded.and_then(|weight| {
        let validator = validator::deep(|| validator::compile(&root, documents, draft))??;
        Ok((validator, weight.depth))
    });
    (Ok(model), validator)
}

fn read(text: &str) -> Result<Json, SchemaError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(SchemaError::new(format!("the schema has more than {TEXT_BYTES_MAX} bytes")));
    }
    match text::parse(text)? {
        json @ (Json::Object(_) | Json::Bool(_)) => Ok(json),
        _ => Err(SchemaError::new("a schema is an object or a boolean")),
    }
}

/// What stands in `definitions` is found under `$defs` too, as Confluent's registry has it: the drafts differ in the
/// word, and references do not always follow.
fn with_definitions(mut json: Json) -> Json {
    let Some(Json::Object(definitions)) = json.get("definitions").cloned() else { return json };
    let Json::Object(members) = &mut json else { return json };
    let place = members.iter().position(|(name, _)| name == "$defs").unwrap_or(members.len());
    if place == members.len() {
        members.push(("$defs".to_owned(), Json::Object(Vec::new())));
    }
    if let (_, Json::Object(known)) = &mut members[place] {
        let names: std::collections::BTreeSet<String> =
            known.iter().map(|(name, _)| name.clone()).collect();
        known.extend(definitions.into_iter().filter(|(name, _)| !names.contains(name)));
    }
    json
}
