//! Puts, reads and listings as sequences of file system steps. Blocking.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetRange, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::super::error::{Cause, RawFault};
use super::super::health::Health;
use super::Access;
use super::disk::{Disk, Facts, Failure};

/// A tree of files under one root.
#[derive(Debug)]
pub(super) struct Files {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    access: Access,
    health: Health,
    /// Directories that exist durably, with all their ancestors.
    prepared: Mutex<BTreeSet<PathBuf>>,
    /// Numbers staging files of this process; those of earlier ones are removed at start.
    staged: AtomicU64,
    sync_failed: AtomicBool,
    writers: Arc<Semaphore>,
}

/// More writers of large objects at a time gain nothing, measured, and finish together and late, while acknowledgements wait
/// for the lowest slot.
const LARGE_WRITERS_MAX: usize = 3;
const LARGE_BYTES: usize = 256 << 10;

/// The right to write one object's content now.
pub(super) struct Turn(
    #[expect(dead_code, reason = "held, not read")] Option<OwnedSemaphorePermit>,
);

/// What lies right below one prefix.
pub(super) struct Level {
    pub(super) objects: Vec<(Path, Facts)>,
    pub(super) dirs: Vec<Path>,
}

impl Files {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        root: &FilePath,
        access: Access,
        health: Health,
    ) -> Self {
        Self {
            disk,
            root: root.to_owned(),
            access,
            health,
            prepared: Mutex::default(),
            staged: AtomicU64::new(1),
            sync_failed: AtomicBool::new(false),
            writers: Arc::new(Semaphore::new(LARGE_WRITERS_MAX)),
        }
    }

    pub(super) fn is_instant(&self) -> bool {
        self.disk.is_instant()
    }

    pub(super) fn root(&self) -> &FilePath {
        &self.root
    }

    /// Where an object lies. `Path` holds neither `..` nor empty parts.
    pub(super) fn file(&self, location: &Path) -> PathBuf {
        location.parts().fold(self.root.clone(), |path, part| path.join(part.as_ref()))
    }

    /// Removes staging files and syncs every directory: a dead process' last steps become durable or undone.
    pub(super) fn recover(&self) -> Result<()> {
        if matches!(self.access, Access::ReadOnly) {
            return Ok(());
        }
        let mut found = BTreeSet::new();
        let mut todo = vec![self.root.clone()];
        while let Some(dir) = todo.pop() {
            todo.extend(self.clear_staging(&dir)?);
            self.sync_dir(&dir)?;
            found.insert(dir);
        }
        *self.prepared.lock().unwrap_or_else(PoisonError::into_inner) = found;
        Ok(())
    }

    /// Removes the staging files of one directory. Its directories.
    fn clear_staging(&self, dir: &FilePath) -> Result<Vec<PathBuf>> {
        let entries = self.disk.entries(dir).map_err(|e| fault(dir, e))?;
        let (dirs, files): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.is_dir);
        for file in files.iter().filter(|file| is_staging(&file.name)) {
            let path = dir.join(&file.name);
            self.disk.remove(&path).map_err(|e| fault(&path, e))?;
        }
        Ok(dirs.into_iter().map(|entry| dir.join(entry.name)).collect())
    }

    /// Waits for a turn to write so many bytes. Turns come in the order of calls: slots wait for lower slots anyway.
    pub(super) async fn turn(&self, bytes: usize) -> Turn {
        if bytes < LARGE_BYTES {
            return Turn(None);
        }
        Turn(Arc::clone(&self.writers).acquire_owned().await.ok())
    }

    /// Writes an object; a success is durable.
    pub(super) fn put(
        &self,
        location: &Path,
        pieces: &[Bytes],
        replace: bool,
        turn: Turn,
    ) -> Result<Facts> {
        let path = self.writable(location)?;
        // Most names that are taken are found here, before the bytes are written.
        if !replace && self.disk.facts(&path).is_ok() {
            return Err(exists(location));
        }
        let staging = self.staging(&path)?;
        let written = self.disk.write_new(&staging, pieces).map_err(|e| self.failed(&staging, e));
        // The next one's content goes to disk while this one's name does.
        drop(turn);
        let published = written.and_then(|()| self.publish(location, &staging, &path, replace));
        if published.is_err() {
            // A leftover is harmless and removed at the next start.
            drop(self.disk.remove(&staging));
        }
        published
    }

    /// Opens a staging file for an upload in parts.
    pub(super) fn begin(&self, location: &Path) -> Result<PathBuf> {
        let staging = self.staging(&self.writable(location)?)?;
        self.disk.create_new(&staging).map_err(|e| fault(&staging, e))?;
        Ok(staging)
    }

    pub(super) fn write_part(&self, staging: &FilePath, at: u64, part: &[Bytes]) -> Result<()> {
        self.disk.write_at(staging, at, part).map_err(|e| fault(staging, e).into())
    }

    /// Gives an upload in parts its name, over an old object if there is one.
    pub(super) fn finish(&self, location: &Path, staging: &FilePath) -> Result<Facts> {
        let path = self.writable(location)?;
        self.disk.sync_file(staging).map_err(|e| self.failed(staging, e))?;
        self.publish(location, staging, &path, true)
    }

    pub(super) fn abandon(&self, staging: &FilePath) -> Result<()> {
        self.disk.remove(staging).map_err(|e| fault(staging, e).into())
    }

    pub(super) fn copy(&self, from: &Path, to: &Path, replace: bool) -> Result<()> {
        let (source, path) = (self.file(from), self.writable(to)?);
        self.prepare_dir(parent(&path))?;
        if !replace {
            return self.link(&source, &path, to).and_then(|()| self.sync_dir(parent(&path)));
        }
        let staging = self.staging(&path)?;
        self.link(&source, &staging, from)?;
        self.publish(to, &staging, &path, true).map(drop)
    }

    /// Removes an object. Without a sync: one that comes back after a crash was safe to read before it was deleted, and is
    /// found again by the sweep that deleted it.
    pub(super) fn delete(&self, location: &Path) -> Result<()> {
        let path = self.writable(location)?;
        self.disk.remove(&path).map_err(|e| missing_or_fault(location, &path, e))
    }

    /// Law 6: makes a name that was seen, and its content, survive a crash.
    pub(super) fn make_durable(&self, location: &Path) -> Result<()> {
        let path = self.writable(location)?;
        self.disk.sync_file(&path).map_err(|failure| match failure {
            Failure::Io(source) => missing_or_fault(location, &path, source),
            Failure::Sync(_) => self.failed(&path, failure),
        })?;
        self.sync_up(parent(&path))
    }

    /// Creates a directory and its ancestors up to the root, and syncs them all.
    pub(super) fn prepare_dir(&self, dir: &FilePath) -> Result<()> {
        self.check_writable()?;
        if self.prepared.lock().unwrap_or_else(PoisonError::into_inner).contains(dir) {
            return Ok(());
        }
        let inside = dir.strip_prefix(&self.root).unwrap_or_else(|_| FilePath::new(""));
        let mut at = self.root.clone();
        for part in inside {
            at.push(part);
            match self.disk.create_dir(&at) {
                Err(source) if source.kind() != ErrorKind::AlreadyExists => {
                    return Err(fault(&at, source).into());
                }
                _ => {}
            }
        }
        // All of them, also those that exist: another task may have created one and not have synced it yet.
        self.sync_up(dir)?;
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        prepared.insert(dir.to_owned());
        Ok(())
    }

    pub(super) fn read(
        &self,
        location: &Path,
        wanted: GetRange,
        head: bool,
    ) -> Result<(Facts, Range<u64>, Bytes)> {
        let path = self.file(location);
        let resolve = |bytes: u64| match &wanted {
            GetRange::Offset(0) => Some(0..bytes),
            wanted => wanted.as_range(bytes).ok(),
        };
        let pick = |bytes: u64| if head { 0..0 } else { resolve(bytes).unwrap_or(0..0) };
        let read = self.disk.read(&path, &pick);
        let (facts, bytes) = read.map_err(|e| missing_or_fault(location, &path, e))?;
        let Some(range) = resolve(facts.bytes) else {
            let length = facts.bytes;
            let start = if let GetRange::Bounded(range) = &wanted { range.start } else { length };
            return Err(RawFault::Range { start, length }.into());
        };
        Ok((facts, range, bytes))
    }

    /// Every object strictly below `prefix`, in the order of names.
    pub(super) fn list(&self, prefix: &Path) -> Result<Vec<(Path, Facts)>> {
        let mut found = Vec::new();
        let mut todo = vec![prefix.clone()];
        while let Some(dir) = todo.pop() {
            let level = self.list_level(&dir)?;
            found.extend(level.objects);
            todo.extend(level.dirs);
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }

    /// The objects and the directories right below `prefix`, each in the order of names.
    pub(super) fn list_level(&self, prefix: &Path) -> Result<Level> {
        let (mut objects, mut dirs) = (Vec::new(), Vec::new());
        for (location, is_dir) in self.names(prefix)? {
            if is_dir {
                dirs.push(location);
                continue;
            }
            let path = self.file(&location);
            match self.disk.facts(&path) {
                Ok(facts) => objects.push((location, facts)),
                // Deleted since its directory was read.
                Err(source) if source.kind() == ErrorKind::NotFound => {}
                Err(source) => return Err(fault(&path, source).into()),
            }
        }
        objects.sort_by(|a, b| a.0.cmp(&b.0));
        dirs.sort();
        Ok(Level { objects, dirs })
    }

    fn names(&self, prefix: &Path) -> Result<Vec<(Path, bool)>> {
        let dir = self.file(prefix);
        let entries = match self.disk.entries(&dir) {
            Ok(entries) => entries,
            Err(source)
                if matches!(source.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                Vec::new()
            }
            Err(source) => return Err(fault(&dir, source).into()),
        };
        let lock = |name: &str| prefix.as_ref().is_empty() && name == super::super::lock::FILE_NAME;
        let of_ours = entries.into_iter().filter(|e| !is_staging(&e.name) && !lock(&e.name));
        let below = |name: &str| match prefix.as_ref() {
            "" => Path::parse(name),
            prefix => Path::parse(format!("{prefix}/{name}")),
        };
        // A name that is no path of an object is none of ours.
        Ok(of_ours.filter_map(|e| Some((below(&e.name).ok()?, e.is_dir))).collect())
    }

    /// Moves a synced staging file to its name and syncs the directory.
    fn publish(
        &self,
        location: &Path,
        staging: &FilePath,
        path: &FilePath,
        replace: bool,
    ) -> Result<Facts> {
        let facts = self.disk.facts(staging).map_err(|e| fault(staging, e))?;
        if replace {
            self.disk.rename(staging, path).map_err(|e| fault(path, e))?;
        } else {
            self.link(staging, path, location)?;
        }
        self.sync_dir(parent(path))?;
        if !replace {
            // After the sync, so that it does not have to be durable: the next start removes it too.
            drop(self.disk.remove(staging));
        }
        Ok(facts)
    }

    fn link(&self, from: &FilePath, to: &FilePath, location: &Path) -> Result<()> {
        self.disk.link(from, to).map_err(|source| match source.kind() {
            ErrorKind::AlreadyExists => exists(location),
            _ => missing_or_fault(location, to, source),
        })
    }

    /// The path of an object that may be written now.
    fn writable(&self, location: &Path) -> Result<PathBuf> {
        self.check_writable()?;
        Ok(self.file(location))
    }

    fn check_writable(&self) -> Result<()> {
        if self.sync_failed.load(Ordering::SeqCst) {
            return Err(RawFault::SyncFailedBefore.into());
        }
        match self.access {
            Access::Own { .. } | Access::Test => Ok(()),
            Access::ReadOnly => Err(object_store::Error::NotSupported {
                source: "this directory is opened for reading only".into(),
            }),
        }
    }

    /// A new staging name beside `path`, whose directory it prepares.
    fn staging(&self, path: &FilePath) -> Result<PathBuf> {
        self.prepare_dir(parent(path))?;
        let mut name = path.as_os_str().to_owned();
        name.push(format!("#{}", self.staged.fetch_add(1, Ordering::Relaxed)));
        Ok(PathBuf::from(name))
    }

    fn sync_dir(&self, dir: &FilePath) -> Result<()> {
        self.disk.sync_dir(dir).map_err(|failure| self.failed(dir, failure))
    }

    /// Syncs a directory and its ancestors up to the root.
    fn sync_up(&self, dir: &FilePath) -> Result<()> {
        let inside = dir.ancestors().take_while(|at| at.starts_with(&self.root));
        inside.into_iter().try_for_each(|at| self.sync_dir(at))
    }

    fn failed(&self, path: &FilePath, failure: Failure) -> object_store::Error {
        match failure {
            Failure::Io(source) => fault(path, source).into(),
            Failure::Sync(source) => {
                self.sync_failed.store(true, Ordering::SeqCst);
                let source = Arc::new(source);
                let fault =
                    || RawFault::Sync { path: path.to_owned(), source: Arc::clone(&source) };
                self.health.durability_lost(Cause::new(fault()));
                fault().into()
            }
        }
    }
}

fn parent(path: &FilePath) -> &FilePath {
    path.parent().unwrap_or(path)
}

/// `name#n`: a file that was not finished.
fn is_staging(name: &str) -> bool {
    name.rsplit_once('#')
        .is_some_and(|(_, n)| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

fn exists(location: &Path) -> object_store::Error {
    object_store::Error::AlreadyExists { path: location.to_string(), source: "file exists".into() }
}

fn missing_or_fault(location: &Path, path: &FilePath, source: io::Error) -> object_store::Error {
    match source.kind() {
        // A parent that is a file, as in `a/b` where `a` is an object, has no such child either.
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory => {
            object_store::Error::NotFound { path: location.to_string(), source: Box::new(source) }
        }
        _ => fault(path, source).into(),
    }
}

/// Says what to do about what the operating system said.
pub(in crate::object) fn fault(path: &FilePath, source: io::Error) -> RawFault {
    let path = path.to_owned();
    match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => RawFault::DiskFull { path, source },
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            RawFault::DiskDenied { path, source }
        }
        _ => RawFault::Disk { path, source },
    }
}
