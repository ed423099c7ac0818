//! One process holds a local directory: an operating-system lock on its `LOCK` file.
//!
//! The file is never removed or renamed: a lock on a file that has lost its name would hold nobody off. The lock ends with
//! the process, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use crate::base::clock::sleep;

pub(super) const FILE_NAME: &str = "LOCK";
/// How long a starting process waits for another to end: a restart overlaps for a moment.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
const ASK_EVERY: Duration = Duration::from_millis(50);

/// A held lock; dropping it lets go.
#[derive(Debug)]
pub(super) struct DirectoryLock {
    _file: File,
}

/// Why a directory could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("{} is held by process {holder}", path.display())]
    Held {
        /// The file.
        path: PathBuf,
        /// Its process id.
        holder: String,
    },
    /// The file cannot be used.
    #[error("cannot lock {}: {source}{}", path.display(), advice(source))]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
}

impl DirectoryLock {
    /// Takes the lock of `dir`, trying for `patience` while another process holds it.
    pub(super) async fn take(dir: &Path, patience: Duration) -> Result<Self, LockError> {
        let deadline = Instant::now() + patience;
        loop {
            match Self::try_take(dir) {
                Err(LockError::Held { .. }) if Instant::now() < deadline => sleep(ASK_EVERY).await,
                taken => return taken,
            }
        }
    }

    /// Takes the lock of `dir` unless another process holds it.
    pub(super) fn try_take(dir: &Path) -> Result<Self, LockError> {
        let path = dir.join(FILE_NAME);
        let failed = |source| LockError::Io { path: path.clone(), source };
        // The standard library opens files close-on-exec: no child keeps the lock.
        let mut options = OpenOptions::new();
        let open = options.read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = read_holder(&mut file);
                return Err(LockError::Held { path, holder });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        write_holder(&mut file).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

/// What a person can do about what the operating system said of a directory at start.
pub(super) fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            ": free space on this disk, then start again"
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            ": give the user that runs thalweg read and write permission here, or name another directory with --data-dir"
        }
        ErrorKind::AlreadyExists | ErrorKind::NotADirectory => {
            ": this is no directory, name another with --data-dir"
        }
        _ => "",
    }
}

fn read_holder(file: &mut File) -> String {
    let mut text = String::new();
    // Only for the message.
    let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.take(20).read_to_string(&mut text));
    match (read, text.trim()) {
        (Ok(_), pid) if !pid.is_empty() => pid.to_owned(),
        _ => "unknown".to_owned(),
    }
}

fn write_holder(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    writeln!(file, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_second_holder_waits_and_is_told_who_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = DirectoryLock::take(dir.path(), PATIENCE).await.unwrap();
        let started = Instant::now();
        let error = DirectoryLock::take(dir.path(), PATIENCE).await.unwrap_err();
        assert!(started.elapsed() >= PATIENCE);
        let path = dir.path().join("LOCK");
        let pid = std::process::id();
        assert_eq!(error.to_string(), format!("{} is held by process {pid}", path.display()));
        drop(first);
        DirectoryLock::take(dir.path(), Duration::ZERO).await.unwrap();
    }

    #[tokio::test]
    async fn a_lock_that_cannot_be_made_names_its_path() {
        let error = DirectoryLock::take(Path::new("/nowhere/at/all"), PATIENCE).await.unwrap_err();
        assert!(error.to_string().starts_with("cannot lock /nowhere/at/all/LOCK: "), "{error}");
    }

    /// Permissions do not bind every user that runs tests, and a full disk is not at hand: the words are shown by kind.
    #[test]
    fn what_to_do_is_said_with_the_path() {
        let said = |kind: ErrorKind| {
            let (path, source) = (PathBuf::from("/data/LOCK"), io::Error::from(kind));
            LockError::Io { path, source }.to_string()
        };
        let full = said(ErrorKind::StorageFull);
        assert!(full.contains("/data/LOCK") && full.contains("free space"), "{full}");
        for kind in [ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem] {
            let denied = said(kind);
            assert!(denied.contains("read and write permission here"), "{denied}");
        }
    }
}
