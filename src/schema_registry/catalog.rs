//! Schemas with everything that they refer to, parsed once and kept while they are used.

use std::collections::BTreeSet;
use std::hash::Hash;
use std::sync::Arc;

use md5::{Digest as _, Md5};
use moka::sync::Cache;

use super::any::{AnySchema, Format, Rules};
use super::entity::{Content, Guid, Reference};
use super::error::Error;
use super::format::ResolvedReference;
use super::state::{Filter, State, Stored};
use super::subject::Subject;

/// Schemas that one may refer to, directly or not.
const REFERENCES_MAX: usize = 1000;
/// Their texts, all together.
const REFERENCES_BYTES_MAX: usize = 32 << 20;
/// Bytes of text whose parsed forms are kept: half of it for requests, half for records on their way in.
const KEPT_BYTES_MAX: u64 = 64 << 20;
/// What a parsed schema takes at least, in bytes of text.
const KEPT_BYTES_MIN: usize = 1 << 10;

/// Parsed schemas. Clones share them.
#[derive(Debug, Clone)]
pub struct Catalog {
    parsed: Cache<[u8; 16], Parsed>,
    /// By context, format and hash: found without their text.
    by_guid: Cache<(String, String, Guid), Parsed>,
}

/// A schema, and the bytes of its text and of all that it refers to, which it holds in compiled form.
#[derive(Debug, Clone)]
struct Parsed {
    schema: Arc<AnySchema>,
    bytes: usize,
}

impl Default for Catalog {
    fn default() -> Self {
        Self { parsed: cache(), by_guid: cache() }
    }
}

fn cache<K: Hash + Eq + Send + Sync + 'static>() -> Cache<K, Parsed> {
    let bytes =
        |parsed: &Parsed| u32::try_from(parsed.bytes.max(KEPT_BYTES_MIN)).unwrap_or(u32::MAX);
    Cache::builder().max_capacity(KEPT_BYTES_MAX / 2).weigher(move |_, one| bytes(one)).build()
}

impl Catalog {
    /// The schema of `content` under `subject`.
    ///
    /// # Errors
    /// [`Error::InvalidSchema`].
    pub fn parse(
        &self,
        state: &State,
        subject: &Subject,
        content: &Content,
        rules: Rules,
    ) -> Result<Arc<AnySchema>, Error> {
        self.get(self.wanted(state, subject, content, rules)?)
    }

    /// What there is to parse, which needs the state no more.
    ///
    /// # Errors
    /// [`Error::InvalidSchema`]: an unknown format, or references to what is not there.
    pub fn wanted(
        &self,
        state: &State,
        subject: &Subject,
        content: &Content,
        rules: Rules,
    ) -> Result<Wanted, Error> {
        let Some(format) = Format::from_name(&content.schema_type) else {
            let known = format!("Invalid schema type {}", content.schema_type);
            return Err(Error::InvalidSchema(known));
        };
        let references = resolve(state, subject, &content.references)?;
        Ok(Wanted { format, text: content.schema.clone(), references, rules })
    }

    /// The schema, parsed unless it was before.
    ///
    /// # Errors
    /// [`Error::InvalidSchema`].
    pub fn get(&self, wanted: Wanted) -> Result<Arc<AnySchema>, Error> {
        Ok(self.parsed(wanted)?.schema)
    }

    fn parsed(&self, wanted: Wanted) -> Result<Parsed, Error> {
        let key = wanted.key();
        if let Some(parsed) = self.parsed.get(&key) {
            return Ok(parsed);
        }
        let bytes = wanted.bytes();
        let Wanted { format, text, references, rules } = wanted;
        let schema = AnySchema::parse(format, &text, &references, rules).map_err(|error| {
            let (format, why) = (format.name(), error.message);
            Error::InvalidSchema(format!("Invalid schema of type {format}, details: {why}"))
        })?;
        let parsed = Parsed { schema: Arc::new(schema), bytes };
        self.parsed.insert(key, parsed.clone());
        Ok(parsed)
    }

    /// The schema of a version without a look at its text, if it is kept: for every record that comes in.
    #[must_use]
    pub fn known(&self, stored: &Stored) -> Option<Arc<AnySchema>> {
        self.by_guid.get(&key_of(stored)).map(|parsed| parsed.schema)
    }

    /// The schema of a version, of which `wanted` is the text: kept from now on.
    ///
    /// # Errors
    /// [`Error::InvalidSchema`].
    pub fn keep(&self, stored: &Stored, wanted: Wanted) -> Result<Arc<AnySchema>, Error> {
        let parsed = self.parsed(wanted)?;
        self.by_guid.insert(key_of(stored), parsed.clone());
        Ok(parsed.schema)
    }

    /// The schema of a version.
    ///
    /// # Errors
    /// [`Error::InvalidSchema`]: what it refers to is gone, or it was stored by somebody who reads more than we do.
    pub fn stored(&self, state: &State, stored: &Stored) -> Result<Arc<AnySchema>, Error> {
        self.parse(state, &stored.subject, &stored.content, Rules::Stored)
    }
}

fn key_of(stored: &Stored) -> (String, String, Guid) {
    let Stored { subject, content, guid, .. } = stored;
    (subject.context.clone(), content.schema_type.clone(), *guid)
}

/// A schema to be parsed.
#[derive(Debug, Clone)]
pub struct Wanted {
    format: Format,
    text: String,
    references: Vec<ResolvedReference>,
    rules: Rules,
}

impl Wanted {
    /// The length of its text and of all that it refers to.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.text.len() + self.references.iter().map(|one| one.schema.len()).sum::<usize>()
    }

    fn key(&self) -> [u8; 16] {
        let mut hash = Md5::new();
        let mut part = |text: &str| {
            hash.update(text.len().to_be_bytes());
            hash.update(text);
        };
        part(if self.rules == Rules::New { "new" } else { "" });
        part(self.format.name());
        part(&self.text);
        for reference in &self.references {
            part(&reference.name);
            part(&reference.schema);
        }
        hash.finalize().into()
    }
}

/// What `references` of a schema of `subject` stand for, each after those that it refers to itself.
///
/// # Errors
/// [`Error::InvalidSchema`]: one is not there, or there are too many.
pub fn resolve(
    state: &State,
    subject: &Subject,
    references: &[Reference],
) -> Result<Vec<ResolvedReference>, Error> {
    let mut walk = Walk { state, seen: BTreeSet::new(), found: Vec::new(), bytes: 0 };
    walk.visit(subject, references, 0)?;
    Ok(walk.found)
}

struct Walk<'a> {
    state: &'a State,
    /// Names that stand for something already: the first one counts, as in Confluent's.
    seen: BTreeSet<String>,
    found: Vec<ResolvedReference>,
    bytes: usize,
}

/// How deep references of references go.
const DEPTH_MAX: usize = 64;

impl Walk<'_> {
    fn visit(
        &mut self,
        subject: &Subject,
        references: &[Reference],
        depth: usize,
    ) -> Result<(), Error> {
        let invalid =
            |what: String| Error::InvalidSchema(format!("Invalid schema, details: {what}"));
        if depth > DEPTH_MAX {
            return Err(invalid(format!("references are nested more than {DEPTH_MAX} deep")));
        }
        if references.len() > REFERENCES_MAX {
            return Err(invalid("it refers to too much".to_owned()));
        }
        for reference in references {
            let Reference { name, subject: of, version } = reference;
            if name.is_empty() || of.is_empty() {
                return Err(invalid("a reference needs a name and a subject".to_owned()));
            }
            // A name that was seen is resolved, or is what we come from: cycles end here.
            if !self.seen.insert(name.clone()) {
                continue;
            }
            let subject = subject.relative(of);
            let Some(stored) = self.state.find(&subject, *version, Filter::All) else {
                let what =
                    format!("No schema reference found for subject \"{of}\" and version {version}");
                return Err(invalid(what));
            };
            self.bytes += stored.content.schema.len();
            if self.seen.len() > REFERENCES_MAX || self.bytes > REFERENCES_BYTES_MAX {
                return Err(invalid("it refers to too much".to_owned()));
            }
            self.visit(&subject, &stored.content.references, depth + 1)?;
            let (name, schema) = (name.clone(), stored.content.schema.clone());
            self.found.push(ResolvedReference { name, schema });
        }
        Ok(())
    }
}
