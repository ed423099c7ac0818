//! What the topic says, taken together: subjects and their versions, ids, settings, and who refers to whom. Pure.
//!
//! Rebuilt from the topic's records alone, in their order, so every process that has read as far answers the same.
//!
//! Invariant: within a context an id means one text for ever. A record that would give an id another text is ignored, by
//! everybody alike.
//!
//! Source: `InMemoryCache`, `KafkaStoreMessageHandler`, `IncrementalIdGenerator` in Confluent's Schema Registry.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use uuid::Uuid;

use super::entity::{Content, Guid, SchemaValue};
use super::records::{Key, Value};
use super::settings::{Config, Mode};
use super::subject::{DEFAULT_CONTEXT, GLOBAL_CONTEXT, Subject};

/// One version of a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its subject.
    pub subject: Subject,
    /// Its version.
    pub version: i32,
    /// Its id in its context.
    pub id: i32,
    /// Its hash.
    pub guid: Guid,
    /// Itself.
    pub content: Content,
    /// Deleted, and can come back.
    pub deleted: bool,
    /// When its record was written, in milliseconds.
    pub timestamp: i64,
}

impl Stored {
    fn new(subject: Subject, version: i32, value: SchemaValue, timestamp: i64) -> Self {
        let content = Content {
            schema_type: value.schema_type.unwrap_or_else(|| "AVRO".to_owned()),
            schema: value.schema,
            references: value.references,
            metadata: value.metadata,
            rule_set: value.rule_set,
        };
        let said = value.md5.and_then(|text| STANDARD.decode(text).ok());
        let guid =
            said.and_then(|bytes| Uuid::from_slice(&bytes).ok()).unwrap_or_else(|| content.guid());
        let (id, deleted) = (value.id, value.deleted);
        Self { subject, version, id, guid, content, deleted, timestamp }
    }

    /// Its record's value.
    #[must_use]
    pub fn value(&self) -> SchemaValue {
        let Content { schema_type, schema, references, metadata, rule_set } = self.content.clone();
        SchemaValue {
            subject: self.subject.to_string(),
            version: self.version,
            id: self.id,
            md5: None,
            schema_type: Some(schema_type),
            references,
            metadata,
            rule_set,
            schema,
            deleted: self.deleted,
        }
    }

    /// Its record's key.
    #[must_use]
    pub fn key(&self) -> Key {
        Key::Schema { subject: self.subject.to_string(), version: self.version }
    }
}

/// Which versions count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Filter {
    /// Those that were not deleted.
    #[default]
    Live,
    /// All.
    All,
    /// Those that were.
    Deleted,
}

impl Filter {
    /// Whether a version counts that is, or is not, deleted.
    #[must_use]
    pub fn takes(self, deleted: bool) -> bool {
        match self {
            Self::Live => !deleted,
            Self::All => true,
            Self::Deleted => deleted,
        }
    }

    /// All, or those that were not deleted.
    #[must_use]
    pub fn with_deleted(deleted: bool) -> Self {
        if deleted { Self::All } else { Self::Live }
    }
}

type Versions = BTreeMap<i32, Arc<Stored>>;

/// What is numbered within a context.
#[derive(Debug, Clone, Default)]
struct Numbers {
    /// By id, the subjects that have it, each with the version written last.
    ids: BTreeMap<i32, BTreeMap<Subject, i32>>,
    /// By hash and format: the same text may be a schema of several.
    guids: BTreeMap<(Guid, String), i32>,
    max_id: i32,
    /// By subject and version here, the (context, id) that refer to it.
    referrers: BTreeMap<(Subject, i32), BTreeSet<(String, i32)>>,
}

/// What a record changes, so that several states can share what it says.
#[derive(Debug, Clone)]
pub enum Update {
    /// A version is there.
    Put(Arc<Stored>),
    /// A version is gone.
    Remove(Subject, i32),
    /// Settings are these, or gone.
    Config(Subject, Option<Arc<Config>>),
    /// The mode is this, or gone.
    Mode(Subject, Option<Mode>),
    /// A context is in use, or not.
    Context(String, bool),
    /// All versions up to this one are deleted.
    DeleteUpTo(Subject, i32),
    /// What was deleted of a subject, a context, or all is forgotten.
    Clear(Option<Subject>),
    /// Nothing.
    Nothing,
}

impl Update {
    /// What a record changes that was written at `now`, in milliseconds.
    #[must_use]
    pub fn of(key: &Key, value: Option<Value>, now: i64) -> Self {
        let of_settings =
            |subject: &Option<String>| Subject::parse(subject.as_deref().unwrap_or_default());
        match (key, value) {
            (Key::Schema { subject, version }, Some(Value::Schema(value))) => {
                Self::Put(Arc::new(Stored::new(Subject::parse(subject), *version, *value, now)))
            }
            (Key::Schema { subject, version }, None) => {
                Self::Remove(Subject::parse(subject), *version)
            }
            (Key::Config { subject }, Some(Value::Config(config))) => {
                Self::Config(of_settings(subject), Some(Arc::new(*config)))
            }
            (Key::Config { subject }, None) => Self::Config(of_settings(subject), None),
            (Key::Mode { subject }, Some(Value::Mode(mode))) => {
                Self::Mode(of_settings(subject), Some(mode))
            }
            (Key::Mode { subject }, None) => Self::Mode(of_settings(subject), None),
            (Key::Context { context, .. }, value) => {
                Self::Context(context.clone(), value.is_some())
            }
            (Key::DeleteSubject { subject }, Some(Value::DeleteSubject(version))) => {
                Self::DeleteUpTo(Subject::parse(subject), version)
            }
            (Key::ClearSubject { subject }, Some(_)) => {
                Self::Clear(subject.as_deref().map(Subject::parse))
            }
            // What a tombstone of the others says was taken up long ago.
            _ => Self::Nothing,
        }
    }
}

/// Why a record changed nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ignored {
    /// It gives an id another text.
    IdTaken {
        /// The id.
        id: i32,
    },
}

/// The state. A clone shares the schemas.
#[derive(Debug, Clone, Default)]
pub struct State {
    subjects: BTreeMap<Subject, Versions>,
    numbers: BTreeMap<String, Numbers>,
    contexts: BTreeSet<String>,
    configs: BTreeMap<Subject, Arc<Config>>,
    modes: BTreeMap<Subject, Mode>,
}

impl State {
    /// Takes up one record.
    ///
    /// # Errors
    /// [`Ignored`]: it says what must not be; nothing changed.
    pub fn apply(&mut self, update: &Update) -> Result<(), Ignored> {
        match update {
            Update::Put(stored) => return self.put(Arc::clone(stored)),
            Update::Remove(subject, version) => self.remove(subject, *version),
            Update::Config(subject, Some(config)) => {
                self.configs.insert(subject.clone(), Arc::clone(config));
            }
            Update::Config(subject, None) => {
                self.configs.remove(subject);
            }
            Update::Mode(subject, Some(mode)) => {
                self.modes.insert(subject.clone(), *mode);
            }
            Update::Mode(subject, None) => {
                self.modes.remove(subject);
            }
            Update::Context(context, true) => {
                self.contexts.insert(context.clone());
            }
            Update::Context(context, false) => {
                self.contexts.remove(context);
            }
            Update::DeleteUpTo(subject, version) => self.delete_up_to(subject, *version),
            Update::Clear(subject) => self.clear(subject.as_ref()),
            Update::Nothing => {}
        }
        Ok(())
    }

    fn put(&mut self, stored: Arc<Stored>) -> Result<(), Ignored> {
        let Stored { subject, version, id, .. } = &*stored;
        let before = self.version(subject, *version).cloned();
        let holder = self.holder(&subject.context, *id).cloned();
        if let Some(holder) = holder
            && holder.content.schema != stored.content.schema
        {
            return Err(Ignored::IdTaken { id: *id });
        }
        if let Some(before) = before
            && before.id != *id
        {
            self.remove(subject, *version);
        }
        let numbers = self.numbers.entry(subject.context.clone()).or_default();
        numbers.max_id = numbers.max_id.max(*id).max(1);
        numbers.guids.insert((stored.guid, stored.content.schema_type.clone()), *id);
        numbers.ids.entry(*id).or_default().insert(subject.clone(), *version);
        for reference in &stored.content.references {
            let to = subject.relative(&reference.subject);
            let there = self.numbers.entry(to.context.clone()).or_default();
            let referrers = there.referrers.entry((to, reference.version)).or_default();
            referrers.insert((subject.context.clone(), *id));
        }
        let versions = self.subjects.entry(subject.clone()).or_default();
        versions.insert(*version, Arc::clone(&stored));
        Ok(())
    }

    fn remove(&mut self, subject: &Subject, version: i32) {
        let Some(versions) = self.subjects.get_mut(subject) else { return };
        let Some(removed) = versions.remove(&version) else { return };
        let left =
            versions.values().filter(|other| other.id == removed.id).map(|o| o.version).max();
        if versions.is_empty() {
            self.subjects.remove(subject);
        }
        let Some(numbers) = self.numbers.get_mut(&subject.context) else { return };
        let Some(holders) = numbers.ids.get_mut(&removed.id) else { return };
        match left {
            Some(left) => {
                if holders.get(subject) == Some(&version) {
                    holders.insert(subject.clone(), left);
                }
            }
            None => {
                holders.remove(subject);
            }
        }
        if holders.is_empty() {
            numbers.ids.remove(&removed.id);
            self.unrefer(&removed);
        }
    }

    /// No schema of that id is left: it refers to nothing any more.
    fn unrefer(&mut self, removed: &Stored) {
        let referrer = (removed.subject.context.clone(), removed.id);
        for reference in &removed.content.references {
            let to = removed.subject.relative(&reference.subject);
            let Some(there) = self.numbers.get_mut(&to.context) else { continue };
            let key = (to, reference.version);
            let Some(referrers) = there.referrers.get_mut(&key) else { continue };
            referrers.remove(&referrer);
            if referrers.is_empty() {
                there.referrers.remove(&key);
            }
        }
    }

    fn delete_up_to(&mut self, subject: &Subject, version: i32) {
        let Some(versions) = self.subjects.get_mut(subject) else { return };
        for stored in versions.range_mut(..=version).map(|(_, stored)| stored) {
            if !stored.deleted {
                *stored = Arc::new(Stored { deleted: true, ..(**stored).clone() });
            }
        }
    }

    fn clear(&mut self, subject: Option<&Subject>) {
        let gone: Vec<(Subject, i32)> = self
            .matching(subject)
            .flat_map(|(_, versions)| versions.values())
            .filter(|stored| stored.deleted)
            .map(|stored| (stored.subject.clone(), stored.version))
            .collect();
        for (subject, version) in gone {
            self.remove(&subject, version);
        }
    }

    /// The subject, or all of a context; of the one that stands for all, or of none, all there are.
    fn matching<'a>(
        &'a self,
        wanted: Option<&'a Subject>,
    ) -> impl Iterator<Item = (&'a Subject, &'a Versions)> {
        self.subjects.iter().filter(move |(subject, _)| {
            wanted.is_none_or(|wanted| {
                *subject == wanted
                    || wanted.is_global_context()
                    || (wanted.is_context() && subject.context == wanted.context)
            })
        })
    }

    /// Whether the subject, or a subject of the context, has versions that count.
    #[must_use]
    pub fn has(&self, wanted: Option<&Subject>, filter: Filter) -> bool {
        if let Some(subject) = wanted.filter(|subject| !subject.is_context()) {
            return self.versions(subject, filter).next().is_some();
        }
        self.matching(wanted)
            .any(|(_, versions)| versions.values().any(|stored| filter.takes(stored.deleted)))
    }

    /// All versions of what [`State::has`] looks at.
    pub fn all_of<'a>(
        &'a self,
        wanted: Option<&'a Subject>,
    ) -> impl Iterator<Item = &'a Arc<Stored>> {
        self.matching(wanted).flat_map(|(_, versions)| versions.values())
    }

    /// That version, deleted or not.
    #[must_use]
    pub fn version(&self, subject: &Subject, version: i32) -> Option<&Arc<Stored>> {
        self.subjects.get(subject)?.get(&version)
    }

    /// The subject's versions, ascending.
    pub fn versions(
        &self,
        subject: &Subject,
        filter: Filter,
    ) -> impl DoubleEndedIterator<Item = &Arc<Stored>> {
        let versions = self.subjects.get(subject).into_iter().flat_map(BTreeMap::values);
        versions.filter(move |stored| filter.takes(stored.deleted))
    }

    /// The last version that was not deleted.
    #[must_use]
    pub fn latest(&self, subject: &Subject) -> Option<&Arc<Stored>> {
        self.versions(subject, Filter::Live).next_back()
    }

    /// That version, or with -1 the last.
    #[must_use]
    pub fn find(&self, subject: &Subject, version: i32, filter: Filter) -> Option<&Arc<Stored>> {
        match version {
            -1 => self.latest(subject),
            _ => self.version(subject, version).filter(|stored| filter.takes(stored.deleted)),
        }
    }

    /// The version that the subject's next schema gets.
    #[must_use]
    pub fn next_version(&self, subject: &Subject) -> i32 {
        self.versions(subject, Filter::All).next_back().map_or(1, |last| last.version + 1)
    }

    /// The subjects whose names begin so, each with its versions, by context and name.
    ///
    /// `:*:` stands for every context; without a context the default one is meant.
    pub fn with_prefix<'a>(
        &'a self,
        prefix: &'a str,
    ) -> Box<dyn Iterator<Item = (&'a Subject, &'a Versions)> + Send + 'a> {
        let wanted = Subject::parse(prefix);
        if let Some(name) = prefix.strip_prefix(":*:") {
            let fits = move |subject: &Subject| subject.name.starts_with(name);
            return Box::new(self.subjects.iter().filter(move |(subject, _)| fits(subject)));
        }
        // A context that is not closed is a prefix of contexts.
        if prefix.starts_with(":.") && !prefix[2..].contains(':') {
            let context = prefix[1..].to_owned();
            let fits = move |subject: &Subject| subject.context.starts_with(&context);
            return Box::new(self.subjects.iter().filter(move |(subject, _)| fits(subject)));
        }
        let from = self.subjects.range((Bound::Included(wanted.clone()), Bound::Unbounded));
        Box::new(from.take_while(move |(subject, _)| {
            subject.context == wanted.context && subject.name.starts_with(&wanted.name)
        }))
    }

    /// The contexts, the default one first.
    pub fn contexts(&self) -> impl Iterator<Item = &str> {
        let others = self.contexts.iter().map(String::as_str);
        std::iter::once(DEFAULT_CONTEXT).chain(others.filter(|name| *name != DEFAULT_CONTEXT))
    }

    /// Whether the context has its record.
    #[must_use]
    pub fn knows_context(&self, context: &str) -> bool {
        context == DEFAULT_CONTEXT || self.contexts.contains(context)
    }

    /// Any version with that id in the context.
    #[must_use]
    pub fn holder(&self, context: &str, id: i32) -> Option<&Arc<Stored>> {
        let (subject, version) = self.numbers.get(context)?.ids.get(&id)?.first_key_value()?;
        self.version(subject, *version)
    }

    /// The version of the subject that has the id.
    #[must_use]
    pub fn holder_in(&self, subject: &Subject, id: i32) -> Option<&Arc<Stored>> {
        let version = self.numbers.get(&subject.context)?.ids.get(&id)?.get(subject)?;
        self.version(subject, *version)
    }

    /// The versions with that id in the context, one of each subject.
    pub fn holders<'a>(
        &'a self,
        context: &str,
        id: i32,
        filter: Filter,
    ) -> impl Iterator<Item = &'a Arc<Stored>> + use<'a> {
        let ids = self.numbers.get(context).and_then(|numbers| numbers.ids.get(&id));
        let versions =
            ids.into_iter().flatten().filter_map(|(s, version)| self.version(s, *version));
        versions.filter(move |stored| filter.takes(stored.deleted))
    }

    /// The id of the schema of a format with that hash in the context, if any version has it still.
    #[must_use]
    pub fn id_of(&self, context: &str, guid: Guid, schema_type: &str) -> Option<i32> {
        let mut ids = self.ids_of(context, guid);
        ids.find(|(found, _)| *found == schema_type).map(|(_, id)| id)
    }

    /// By format, the ids of the schemas with that hash in the context that any version has still.
    pub fn ids_of<'a>(
        &'a self,
        context: &str,
        guid: Guid,
    ) -> impl Iterator<Item = (&'a str, i32)> + use<'a> {
        let numbers = self.numbers.get(context);
        let formats = numbers.map(|numbers| {
            let found = numbers.guids.range((guid, String::new())..);
            let found = found.take_while(move |((other, _), _)| *other == guid);
            let held = found.filter(|(_, id)| numbers.ids.contains_key(id));
            held.map(|((_, schema_type), id)| (schema_type.as_str(), *id))
        });
        formats.into_iter().flatten()
    }

    /// The greatest id that was ever given in the context.
    #[must_use]
    pub fn max_id(&self, context: &str) -> i32 {
        self.numbers.get(context).map_or(0, |numbers| numbers.max_id)
    }

    /// The (context, id) that refer to a version, in order.
    #[must_use]
    pub fn referrers(&self, to: &Stored, filter: Filter) -> Vec<(String, i32)> {
        let key = (to.subject.clone(), to.version);
        let Some(numbers) = self.numbers.get(&to.subject.context) else { return Vec::new() };
        let mut referrers: BTreeSet<&(String, i32)> = BTreeSet::new();
        referrers.extend(numbers.referrers.get(&key).into_iter().flatten());
        // A reference to the latest holds whichever that is.
        if self.latest(&to.subject).is_some_and(|latest| latest.version == to.version) {
            let key = (to.subject.clone(), -1);
            referrers.extend(numbers.referrers.get(&key).into_iter().flatten());
        }
        let counts =
            |(context, id): &&(String, i32)| self.holders(context, *id, filter).next().is_some();
        referrers.into_iter().filter(counts).cloned().collect()
    }

    /// The subject's own settings.
    #[must_use]
    pub fn config(&self, subject: &Subject) -> Option<&Config> {
        self.configs.get(subject).map(Arc::as_ref)
    }

    /// All settings, by subject.
    pub fn configs(&self) -> impl Iterator<Item = (&Subject, &Config)> {
        self.configs.iter().map(|(subject, config)| (subject, config.as_ref()))
    }

    /// What holds for the subject: its own settings, its context's, those for all, the default.
    #[must_use]
    pub fn config_in_scope(&self, subject: &Subject) -> Config {
        let own = self.configs.get(subject);
        let around = || {
            let context = self.configs.get(&Subject::context(&subject.context));
            context.or_else(|| self.configs.get(&Subject::context(GLOBAL_CONTEXT)))
        };
        let mut config = match own {
            Some(own) => match self.configs.get(&Subject::context(DEFAULT_CONTEXT)) {
                Some(top) => own.within(top),
                None => (**own).clone(),
            },
            None => around().map(|config| (**config).clone()).unwrap_or_default(),
        };
        config.compatibility_level.get_or_insert_default();
        config
    }

    /// The subject's own mode.
    #[must_use]
    pub fn mode(&self, subject: &Subject) -> Option<Mode> {
        self.modes.get(subject).copied()
    }

    /// What may be done under the subject: by its own mode, its context's, the one for all, the default.
    #[must_use]
    pub fn mode_in_scope(&self, subject: &Subject) -> Mode {
        let contexts = [Subject::context(&subject.context), Subject::context(GLOBAL_CONTEXT)];
        let chain = std::iter::once(subject).chain(&contexts);
        chain.filter_map(|one| self.mode(one)).next().unwrap_or_default()
    }

    /// The subjects of the context that have a mode of their own.
    pub fn modes_in<'a>(&'a self, context: &'a str) -> impl Iterator<Item = &'a Subject> {
        self.modes.keys().filter(move |s| s.context == context && !s.is_context())
    }
}

#[cfg(test)]
mod tests;
