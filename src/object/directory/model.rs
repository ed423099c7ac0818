//! A disk in memory on which nothing is durable until it is synced: for tests and the simulator.
//!
//! Models what a crash of the machine may do to a file system: a name survives when its directory was synced after it
//! appeared, content when the file was synced; of the rest any part may survive too.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::disk::{self, Disk, Facts, Failure};
use crate::base::clock::SharedClock;
use crate::base::rng::Rng;

/// A disk that forgets what was not synced. Clones are the same disk.
#[derive(Debug, Clone)]
pub struct TestDisk {
    state: Arc<Mutex<State>>,
    clock: SharedClock,
}

#[derive(Debug, Default)]
struct State {
    nodes: BTreeMap<u64, Node>,
    next_inode: u64,
    syncs: u64,
    fail_sync_in: Option<u64>,
    full: bool,
}

#[derive(Debug)]
enum Node {
    File {
        content: Bytes,
        synced: Bytes,
        modified: Duration,
        /// How many entries say its name, be it now or after a crash. Without one it takes no space.
        links: usize,
    },
    Dir {
        names: BTreeMap<String, u64>,
        /// What a crash would leave under each name that changed since the last sync.
        unsynced: BTreeMap<String, Option<u64>>,
    },
}

const ROOT: u64 = 0;

impl TestDisk {
    /// An empty disk.
    #[must_use]
    pub fn new(clock: SharedClock) -> Self {
        let mut state = State { next_inode: ROOT + 1, ..State::default() };
        state.nodes.insert(ROOT, Node::empty_dir());
        Self { state: Arc::new(Mutex::new(state)), clock }
    }

    /// Power off: what was not synced is gone, except what `keep` draws, as a disk writes back when it likes. A store on
    /// this disk must be opened anew.
    pub fn crash(&self, keep: Option<&Rng>) {
        let mut state = self.state();
        let survives = || keep.is_some_and(|rng| rng.below(2) == 1);
        for node in state.nodes.values_mut() {
            match node {
                Node::File { content, synced, .. } if survives() => *synced = content.clone(),
                Node::File { content, synced, .. } => *content = synced.clone(),
                Node::Dir { names, unsynced } => undo(names, std::mem::take(unsynced), &survives),
            }
        }
        state.forget_unreachable();
    }

    /// The sync that comes `after` so many others, from now on, fails.
    pub fn fail_sync(&self, after: u64) {
        let mut state = self.state();
        state.fail_sync_in = Some(state.syncs + after);
    }

    /// Whether writes fail for want of space.
    pub fn set_full(&self, full: bool) {
        self.state().full = full;
    }

    /// How many syncs there were.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// How many bytes files hold.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let content = |node: &Node| match node {
            Node::File { content, .. } => content.len() as u64,
            Node::Dir { .. } => 0,
        };
        self.state().nodes.values().map(content).sum()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.clock.now().0).unwrap_or(0))
    }
}

/// Each name as it was synced, but where a draw lets the change survive.
fn undo(
    names: &mut BTreeMap<String, u64>,
    unsynced: BTreeMap<String, Option<u64>>,
    survives: &dyn Fn() -> bool,
) {
    for (name, synced) in unsynced {
        if names.get(&name) != synced.as_ref() && !survives() {
            put(names, name, synced);
        }
    }
}

/// Gives back what the name stood for before.
fn put(names: &mut BTreeMap<String, u64>, name: String, inode: Option<u64>) -> Option<u64> {
    match inode {
        Some(inode) => names.insert(name, inode),
        None => names.remove(&name),
    }
}

impl Node {
    fn empty_dir() -> Self {
        Self::Dir { names: BTreeMap::new(), unsynced: BTreeMap::new() }
    }
}

impl State {
    fn find(&self, path: &Path) -> io::Result<u64> {
        let mut at = ROOT;
        for part in path.iter().filter(|part| *part != "/") {
            let Some(Node::Dir { names, .. }) = self.nodes.get(&at) else {
                return Err(ErrorKind::NotADirectory.into());
            };
            let name = part.to_str().ok_or(ErrorKind::InvalidInput)?;
            at = *names.get(name).ok_or(ErrorKind::NotFound)?;
        }
        Ok(at)
    }

    /// Makes a name stand for `inode`, or for nothing.
    fn set_name(&mut self, path: &Path, inode: Option<u64>) -> io::Result<()> {
        let (dir, name) = split(path)?;
        let dir = self.find(&dir)?;
        let Some(Node::Dir { names, unsynced }) = self.nodes.get_mut(&dir) else {
            return Err(ErrorKind::NotADirectory.into());
        };
        let before = put(names, name.clone(), inode);
        let dropped = match unsynced.entry(name) {
            // A crash brings it back.
            Entry::Vacant(entry) => {
                entry.insert(before);
                None
            }
            Entry::Occupied(_) => before,
        };
        if let Some(Node::File { links, .. }) = inode.and_then(|inode| self.nodes.get_mut(&inode)) {
            *links += 1;
        }
        self.unlink(dropped);
        Ok(())
    }

    /// Puts a name into its directory; it must not be there.
    fn add_name(&mut self, path: &Path, inode: u64) -> io::Result<()> {
        match self.find(path) {
            Ok(_) => Err(ErrorKind::AlreadyExists.into()),
            Err(error) if error.kind() == ErrorKind::NotFound => self.set_name(path, Some(inode)),
            Err(error) => Err(error),
        }
    }

    /// One entry less says the name of a file.
    fn unlink(&mut self, inode: Option<u64>) {
        let Some(inode) = inode else { return };
        if let Some(Node::File { links, .. }) = self.nodes.get_mut(&inode) {
            *links -= 1;
            if *links == 0 {
                self.nodes.remove(&inode);
            }
        }
    }

    fn add_node(&mut self, path: &Path, node: Node) -> io::Result<()> {
        if self.full {
            return Err(ErrorKind::StorageFull.into());
        }
        let inode = self.next_inode;
        self.nodes.insert(inode, node);
        if let Err(error) = self.add_name(path, inode) {
            self.nodes.remove(&inode);
            return Err(error);
        }
        self.next_inode += 1;
        Ok(())
    }

    fn sync(&mut self, path: &Path) -> Result<(), Failure> {
        let inode = self.find(path)?;
        self.syncs += 1;
        if self.fail_sync_in.is_some_and(|at| self.syncs > at) {
            return Err(Failure::Sync(io::Error::other("injected: input/output error")));
        }
        match self.nodes.get_mut(&inode) {
            Some(Node::File { content, synced, .. }) => *synced = content.clone(),
            Some(Node::Dir { unsynced, .. }) => {
                let before = std::mem::take(unsynced);
                before.into_values().for_each(|inode| self.unlink(inode));
            }
            None => {}
        }
        Ok(())
    }

    /// After a crash: files that no name leads to are gone, those of others are counted anew.
    fn forget_unreachable(&mut self) {
        let mut reached: BTreeMap<u64, Node> = BTreeMap::new();
        let mut todo = vec![ROOT];
        while let Some(inode) = todo.pop() {
            if let Some(mut node) = self.nodes.remove(&inode) {
                match &mut node {
                    Node::Dir { names, .. } => todo.extend(names.values()),
                    Node::File { links, .. } => *links = 0,
                }
                reached.insert(inode, node);
            }
            if let Some(Node::File { links, .. }) = reached.get_mut(&inode) {
                *links += 1;
            }
        }
        self.nodes = reached;
    }
}

fn split(path: &Path) -> io::Result<(PathBuf, String)> {
    let name = path.file_name().and_then(|name| name.to_str()).ok_or(ErrorKind::InvalidInput)?;
    let dir = path.parent().ok_or(ErrorKind::InvalidInput)?;
    Ok((dir.to_owned(), name.to_owned()))
}

fn join(pieces: &[Bytes]) -> Bytes {
    let mut whole = BytesMut::new();
    pieces.iter().for_each(|piece| whole.extend_from_slice(piece));
    whole.freeze()
}

impl Disk for TestDisk {
    fn is_instant(&self) -> bool {
        true
    }

    fn write_new(&self, path: &Path, pieces: &[Bytes]) -> Result<(), Failure> {
        self.create_new(path)?;
        self.write_at(path, 0, pieces)?;
        self.state().sync(path)
    }

    fn create_new(&self, path: &Path) -> io::Result<()> {
        let (content, synced) = (Bytes::new(), Bytes::new());
        let modified = self.now();
        self.state().add_node(path, Node::File { content, synced, modified, links: 0 })
    }

    fn write_at(&self, path: &Path, offset: u64, pieces: &[Bytes]) -> io::Result<()> {
        let now = self.now();
        let mut state = self.state();
        let inode = state.find(path)?;
        if state.full {
            return Err(ErrorKind::StorageFull.into());
        }
        let Some(Node::File { content, modified, .. }) = state.nodes.get_mut(&inode) else {
            return Err(ErrorKind::IsADirectory.into());
        };
        let (start, part) = (usize::try_from(offset).unwrap_or(usize::MAX), join(pieces));
        let mut grown = BytesMut::from(&content[..]);
        grown.resize(grown.len().max(start + part.len()), 0);
        grown[start..start + part.len()].copy_from_slice(&part);
        (*content, *modified) = (grown.freeze(), now);
        Ok(())
    }

    fn sync_file(&self, path: &Path) -> Result<(), Failure> {
        self.state().sync(path)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        let inode = state.find(from)?;
        state.add_name(to, inode)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        let inode = state.find(from)?;
        state.set_name(to, Some(inode))?;
        state.set_name(from, None)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.find(path)?;
        state.set_name(path, None)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.state().add_node(path, Node::empty_dir())
    }

    fn sync_dir(&self, path: &Path) -> Result<(), Failure> {
        self.state().sync(path)
    }

    fn read(&self, path: &Path, pick: &dyn Fn(u64) -> Range<u64>) -> io::Result<(Facts, Bytes)> {
        let facts = self.facts(path)?;
        let state = self.state();
        let Some(Node::File { content, .. }) = state.nodes.get(&facts.inode) else {
            return Err(ErrorKind::NotFound.into());
        };
        let range = pick(facts.bytes);
        Ok((facts, content.slice(range.start as usize..range.end as usize)))
    }

    fn facts(&self, path: &Path) -> io::Result<Facts> {
        let state = self.state();
        let inode = state.find(path)?;
        match state.nodes.get(&inode) {
            Some(Node::File { content, modified, .. }) => {
                Ok(Facts { bytes: content.len() as u64, modified: *modified, inode })
            }
            _ => Err(ErrorKind::NotFound.into()),
        }
    }

    fn entries(&self, dir: &Path) -> io::Result<Vec<disk::Entry>> {
        let state = self.state();
        let Some(Node::Dir { names, .. }) = state.nodes.get(&state.find(dir)?) else {
            return Err(ErrorKind::NotADirectory.into());
        };
        let is_dir = |inode: &u64| matches!(state.nodes.get(inode), Some(Node::Dir { .. }));
        Ok(names
            .iter()
            .map(|(name, inode)| disk::Entry { name: name.clone(), is_dir: is_dir(inode) })
            .collect())
    }
}
