//! Opens a store by URL.

use std::path::Path;
use std::sync::Arc;

use object_store::local::LocalFileSystem;

use super::error::{Cause, Error};
use super::keys::Key;
use super::memory::MemoryStore;
use super::store::{Locality, Store};
use crate::base::clock::SharedClock;

/// A store in memory: what tests start with.
#[must_use]
pub fn memory(clock: SharedClock) -> Store {
    Store::new(Arc::new(MemoryStore::new(clock, None)), Locality::Memory)
}

/// A store in a local directory, which is created if it is missing.
///
/// # Errors
/// When the directory cannot be created.
pub fn directory(root: &Path) -> Result<Store, Error> {
    let refused = |cause| Error::Refused { key: Key::new(""), cause };
    std::fs::create_dir_all(root).map_err(|source| refused(Cause::new(source)))?;
    let files =
        LocalFileSystem::new_with_prefix(root).map_err(|source| refused(Cause::new(source)))?;
    Ok(Store::new(Arc::new(files.with_fsync(true)), Locality::Directory))
}
