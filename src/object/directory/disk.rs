//! The file system calls that a directory store makes, and the one that asks the operating system.
//!
//! A seam of steps, not of whole puts: the order of steps is what survives a crash, so the model disk of the tests runs
//! the same order as the real one.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;

/// Why a step failed. A failed fsync is a thing of its own: nothing after it can be trusted.
#[derive(Debug)]
pub(super) enum Failure {
    Io(io::Error),
    Sync(io::Error),
}

impl From<io::Error> for Failure {
    fn from(source: io::Error) -> Self {
        Self::Io(source)
    }
}

/// What the file system knows of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    pub bytes: u64,
    /// Since the Unix epoch.
    pub modified: Duration,
    pub inode: u64,
}

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub name: String,
    pub is_dir: bool,
}

/// A file system. Every call blocks until it is done.
///
/// Law: what a call changed is visible when it returns, and durable only after [`Disk::sync_dir`] of the directory that
/// holds the name, for a file also after its content was synced.
pub(super) trait Disk: fmt::Debug + Send + Sync + 'static {
    /// Whether calls are quick enough to make on the caller's own thread.
    fn is_instant(&self) -> bool;
    /// Creates a file that must not exist, writes all pieces and syncs the content.
    fn write_new(&self, path: &Path, pieces: &[Bytes]) -> Result<(), Failure>;
    /// Creates an empty file that must not exist.
    fn create_new(&self, path: &Path) -> io::Result<()>;
    /// Writes into an existing file from `offset` on, without a sync.
    fn write_at(&self, path: &Path, offset: u64, pieces: &[Bytes]) -> io::Result<()>;
    /// Syncs a file's content.
    fn sync_file(&self, path: &Path) -> Result<(), Failure>;
    /// Gives a file a second name, which must not exist.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Moves a name, over an old file if there is one.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Creates one directory; its parent exists.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, path: &Path) -> Result<(), Failure>;
    /// Reads the range that `pick` chooses of a file of so many bytes.
    fn read(&self, path: &Path, pick: &dyn Fn(u64) -> Range<u64>) -> io::Result<(Facts, Bytes)>;
    fn facts(&self, path: &Path) -> io::Result<Facts>;
    /// The names in a directory, in no order.
    fn entries(&self, dir: &Path) -> io::Result<Vec<Entry>>;
}

/// The operating system's.
#[derive(Debug, Clone, Copy)]
pub(super) struct OsDisk;

impl Disk for OsDisk {
    fn is_instant(&self) -> bool {
        false
    }

    fn write_new(&self, path: &Path, pieces: &[Bytes]) -> Result<(), Failure> {
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        write_all(&mut file, pieces)?;
        // The size is metadata that fdatasync covers; times are not worth a write.
        file.sync_data().map_err(Failure::Sync)
    }

    fn create_new(&self, path: &Path) -> io::Result<()> {
        OpenOptions::new().write(true).create_new(true).open(path).map(drop)
    }

    fn write_at(&self, path: &Path, offset: u64, pieces: &[Bytes]) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        write_all(&mut file, pieces)
    }

    fn sync_file(&self, path: &Path) -> Result<(), Failure> {
        File::open(path)?.sync_all().map_err(Failure::Sync)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> Result<(), Failure> {
        File::open(path)?.sync_all().map_err(Failure::Sync)
    }

    fn read(&self, path: &Path, pick: &dyn Fn(u64) -> Range<u64>) -> io::Result<(Facts, Bytes)> {
        let mut file = File::open(path)?;
        let facts = facts_of(&file.metadata()?)?;
        let range = pick(facts.bytes);
        let wanted = range.end - range.start;
        let mut bytes = Vec::with_capacity(usize::try_from(wanted).unwrap_or(usize::MAX));
        file.seek(SeekFrom::Start(range.start))?;
        let read = file.take(wanted).read_to_end(&mut bytes)? as u64;
        if read < wanted {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter"));
        }
        Ok((facts, Bytes::from(bytes)))
    }

    fn facts(&self, path: &Path) -> io::Result<Facts> {
        facts_of(&fs::metadata(path)?)
    }

    fn entries(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            // A name that is no text is none of ours.
            if let Ok(name) = entry.file_name().into_string() {
                entries.push(Entry { name, is_dir: entry.file_type()?.is_dir() });
            }
        }
        Ok(entries)
    }
}

fn facts_of(metadata: &fs::Metadata) -> io::Result<Facts> {
    if metadata.is_dir() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "a directory, not an object"));
    }
    let modified = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(metadata);
    #[cfg(not(unix))]
    let inode = 0;
    Ok(Facts { bytes: metadata.len(), modified, inode })
}

/// The most pieces in one system call (Linux' IOV_MAX).
const PIECES_A_CALL: usize = 1024;

fn write_all(file: &mut File, pieces: &[Bytes]) -> io::Result<()> {
    for pieces in pieces.chunks(PIECES_A_CALL) {
        let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        let mut rest = &mut slices[..];
        // Leading empty slices would read as a write of nothing.
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            match file.write_vectored(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut rest, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}
