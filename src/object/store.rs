//! One store, whatever keeps it: memory, a local directory or a bucket. One call here is one try.
//!
//! Owns names to paths and driver errors to [`Error`]. Does not own retries (`retry`) or opening by URL (`build`).

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::path::Path;
use object_store::{
    GetOptions, GetRange, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload,
};

use super::directory::DirectoryStore;
use super::error::{Cause, Error};
use super::health::{Health, StoreHealth};
use super::keys::Key;
use super::payload::Payload;
use crate::base::watch;

/// The driver below a [`Store`]: what SlateDB takes.
pub type RawStore = Arc<dyn ObjectStore>;

/// What kind of place a store is: some rules of durability depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locality {
    /// Memory of this process: nothing survives it.
    Memory,
    /// A local directory: visible is not durable, and nothing is gained by a hedge.
    Directory,
    /// A bucket behind a network: what is answered is durable.
    Bucket,
}

/// The end of an object.
#[derive(Debug, Clone)]
pub struct Suffix {
    /// The last bytes, at most as many as asked for.
    pub bytes: Bytes,
    /// The size of the whole object.
    pub object_bytes: u64,
}

/// One object in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub key: Key,
    /// Its size.
    pub bytes: u64,
}

/// A store of objects by name. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Store {
    /// What people call it: its URL or path.
    name: Arc<str>,
    data: RawStore,
    meta: RawStore,
    locality: Locality,
    directory: Option<DirectoryStore>,
    health: Health,
}

impl Store {
    /// A store over one driver, which must not retry by itself.
    #[must_use]
    pub fn new(raw: RawStore, locality: Locality) -> Self {
        let (name, meta) = (Arc::from(raw.to_string()), Arc::clone(&raw));
        Self { name, data: raw, meta, locality, directory: None, health: Health::new() }
    }

    /// The same under the name that people know it by.
    pub(super) fn named(self, name: &str) -> Self {
        Self { name: Arc::from(name), ..self }
    }

    /// The same with a driver of its own for SlateDB.
    pub(super) fn with_meta(self, meta: RawStore) -> Self {
        Self { meta, ..self }
    }

    pub(super) fn over_directory(directory: DirectoryStore, health: Health) -> Self {
        let raw: RawStore = Arc::new(directory.clone());
        Self { health, directory: Some(directory), ..Self::new(raw, Locality::Directory) }
    }

    /// The same store with every request going through what `wrap` makes of its driver: a test's faults.
    #[must_use]
    pub fn wrapped(&self, wrap: impl Fn(RawStore) -> RawStore) -> Self {
        let (data, meta) = (wrap(Arc::clone(&self.data)), wrap(Arc::clone(&self.meta)));
        Self { data, meta, ..self.clone() }
    }

    /// What kind of place this is.
    #[must_use]
    pub fn locality(&self) -> Locality {
        self.locality
    }

    /// The driver for SlateDB, which does its own reads and writes and may retry inside.
    #[must_use]
    pub fn raw(&self) -> RawStore {
        Arc::clone(&self.meta)
    }

    /// Whether the store answers, as its writers and readers find.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<StoreHealth> {
        self.health.watch()
    }

    /// Resolves when an fsync has failed, whoever asked for it, with its path and what the operating system said: the process
    /// must end (law 6).
    pub async fn durability_lost(&self) -> Cause {
        let mut health = self.health();
        let lost = health
            .wait_for(|health| health.durability_lost.is_some())
            .await
            .ok()
            .and_then(|health| health.durability_lost.clone());
        match lost {
            Some(cause) => cause,
            // Nobody uses the store any more.
            None => std::future::pending().await,
        }
    }

    pub(super) fn report(&self) -> &Health {
        &self.health
    }

    /// Writes an object unless its name is taken. One try; on a directory a success is durable.
    ///
    /// # Errors
    /// By fate: see [`Error::fate`]. `AlreadyExists` also when another put of this name is under way.
    pub async fn put_if_absent(&self, key: &Key, payload: Payload) -> Result<(), Error> {
        self.put_shared(key, payload.into_put()).await
    }

    /// The same for bytes that are put more than once.
    pub(super) async fn put_shared(&self, key: &Key, payload: PutPayload) -> Result<(), Error> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let put = self.data.put_opts(&path(key), payload, options).await;
        put.map(drop).map_err(|source| Error::from_raw(key, source))
    }

    /// Reads a whole object.
    ///
    /// # Errors
    /// `NotFound`, or what the store said.
    pub async fn get(&self, key: &Key) -> Result<Bytes, Error> {
        Ok(self.read(key, None).await?.bytes)
    }

    /// Reads a range. Bytes past the object's end are left out.
    ///
    /// # Errors
    /// `NotFound`; `OutOfRange` when the range starts at or past the end.
    pub async fn get_range(&self, key: &Key, range: Range<u64>) -> Result<Bytes, Error> {
        Ok(self.read(key, Some(GetRange::Bounded(range))).await?.bytes)
    }

    /// Reads the last `bytes` of an object and learns its size.
    ///
    /// # Errors
    /// `NotFound`, or what the store said; some stores answer `OutOfRange` for an empty object.
    pub async fn get_suffix(&self, key: &Key, bytes: u64) -> Result<Suffix, Error> {
        match self.read(key, Some(GetRange::Suffix(bytes))).await {
            // Azure has no suffix ranges.
            Err(Error::Refused { .. }) => {
                let head = self.data.head(&path(key)).await;
                let size = head.map_err(|source| Error::from_raw(key, source))?.size;
                self.read(key, Some(GetRange::Bounded(size.saturating_sub(bytes)..size))).await
            }
            read => read,
        }
    }

    /// Deletes an object; one that is absent is deleted.
    ///
    /// # Errors
    /// What the store said; the object may be gone all the same.
    pub async fn delete(&self, key: &Key) -> Result<(), Error> {
        match self.data.delete(&path(key)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(Error::from_raw(key, source)),
        }
    }

    /// Every object whose name starts with `prefix` and a `/`, in the order of names. Decides nothing: a listing may
    /// miss what is being written.
    ///
    /// # Errors
    /// What the store said.
    pub async fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
        let at = Key::new(prefix);
        let found = self.data.list(Some(&path(&at)));
        let mut listed: Vec<Listed> = found
            .map_ok(|meta| Listed { key: Key::new(meta.location.as_ref()), bytes: meta.size })
            .try_collect()
            .await
            .map_err(|source| Error::from_raw(&at, source))?;
        listed.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(listed)
    }

    /// Makes an object that was *seen* survive a crash of the machine: fsync of the file, its directory and that
    /// directory's ancestors. Nothing to do elsewhere.
    ///
    /// # Errors
    /// `DurabilityLost`: the process must end.
    pub async fn make_durable(&self, key: &Key) -> Result<(), Error> {
        let Some(directory) = &self.directory else { return Ok(()) };
        directory.make_durable(key.as_str()).await.map_err(|source| Error::from_raw(key, source))
    }

    /// Creates a directory and makes it and its ancestors survive a crash. Nothing to do elsewhere.
    ///
    /// # Errors
    /// `DurabilityLost`: the process must end; or why it cannot be created.
    pub async fn prepare_dir(&self, dir: &str) -> Result<(), Error> {
        let Some(directory) = &self.directory else { return Ok(()) };
        let prepared = directory.prepare_dir(dir).await;
        prepared.map_err(|source| Error::from_raw(&Key::new(dir), source))
    }

    async fn read(&self, key: &Key, range: Option<GetRange>) -> Result<Suffix, Error> {
        let options = GetOptions { range, ..GetOptions::default() };
        let result = self.data.get_opts(&path(key), options).await;
        let result = result.map_err(|source| Error::from_raw(key, source))?;
        let object_bytes = result.meta.size;
        let bytes = result.bytes().await.map_err(|source| Error::from_raw(key, source))?;
        Ok(Suffix { bytes, object_bytes })
    }
}

fn path(key: &Key) -> Path {
    Path::from(key.as_str())
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.name)
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
