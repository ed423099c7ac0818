//! A store in the memory of this process: for tests, the simulator and `memory://`.
//!
//! Keeps every object as the pieces that it was put as: neither a put nor a read within one piece copies a byte. Ordered
//! maps and counters only, so that two runs with the same calls give the same answers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{
    Attributes, CopyMode, CopyOptions, Extensions, GetOptions, GetRange, GetResult,
    GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, RenameTargetMode,
    Result, UploadPart,
};

use super::error::RawFault;
use crate::base::clock::{SharedClock, Timestamp};
use crate::base::units::ByteSize;

/// An object store in memory. Clones share the objects.
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
    capped: bool,
}

struct Shared {
    objects: Mutex<Objects>,
    limit: Option<u64>,
    clock: SharedClock,
}

#[derive(Default)]
struct Objects {
    map: BTreeMap<String, Object>,
    bytes: u64,
    next_etag: u64,
}

#[derive(Clone)]
struct Object {
    pieces: PutPayload,
    /// Where each piece ends, so that a range finds its first piece without a walk.
    ends: Arc<[u64]>,
    modified: Timestamp,
    etag: u64,
    attributes: Attributes,
}

impl MemoryStore {
    /// An empty store. Over `limit` bytes a put is throttled until something is deleted.
    #[must_use]
    pub fn new(clock: SharedClock, limit: Option<ByteSize>) -> Self {
        let limit = limit.map(|limit| limit.0);
        Self { shared: Arc::new(Shared { objects: Mutex::default(), limit, clock }), capped: true }
    }

    /// The same objects without the limit. Metadata is written through it: a full store must still be able to record
    /// what it deletes.
    #[must_use]
    pub fn uncapped(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), capped: false }
    }

    /// Bytes of all objects.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.objects().bytes
    }

    /// How many objects there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.objects().map.len()
    }

    fn objects(&self) -> MutexGuard<'_, Objects> {
        // The map is whole between any two statements that could panic.
        self.shared.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, location: &Path) -> Result<Object> {
        self.objects().map.get(location.as_ref()).cloned().ok_or_else(|| not_found(location))
    }

    fn insert(
        &self,
        location: &Path,
        pieces: PutPayload,
        mode: PutMode,
        attributes: Attributes,
    ) -> Result<PutResult> {
        let mut objects = self.objects();
        let old = objects.map.get(location.as_ref());
        check_mode(location, &mode, old)?;
        let replaced = old.map_or(0, Object::len);
        let modified = self.shared.clock.now();
        let object = Object::new(pieces, modified, objects.next_etag, attributes);
        let bytes = objects.bytes - replaced + object.len();
        if let Some(limit) = self.shared.limit.filter(|limit| self.capped && bytes > *limit) {
            return Err(RawFault::MemoryFull { limit }.into());
        }
        let e_tag = Some(object.e_tag());
        objects.bytes = bytes;
        objects.next_etag += 1;
        objects.map.insert(location.to_string(), object);
        Ok(PutResult { e_tag, version: None, extensions: Extensions::default() })
    }

    fn remove(&self, location: &Path) {
        let mut objects = self.objects();
        if let Some(old) = objects.map.remove(location.as_ref()) {
            objects.bytes -= old.len();
        }
    }

    /// Objects strictly below `prefix`, by name.
    fn below(&self, prefix: Option<&Path>) -> Vec<ObjectMeta> {
        let start = prefix.map_or_else(String::new, |prefix| format!("{prefix}/"));
        let start = if start == "/" { String::new() } else { start };
        let objects = self.objects();
        let from = objects.map.range(start.clone()..);
        from.take_while(|(name, _)| name.starts_with(&start))
            .map(|(name, object)| object.meta(name))
            .collect()
    }
}

fn check_mode(location: &Path, mode: &PutMode, old: Option<&Object>) -> Result<()> {
    match (mode, old) {
        (PutMode::Overwrite, _) | (PutMode::Create, None) => Ok(()),
        (PutMode::Create, Some(_)) => Err(object_store::Error::AlreadyExists {
            path: location.to_string(),
            source: "exists".into(),
        }),
        (PutMode::Update(version), old) => match (&version.e_tag, old.map(Object::e_tag)) {
            (Some(expected), Some(found)) if *expected == found => Ok(()),
            (expected, found) => Err(object_store::Error::Precondition {
                path: location.to_string(),
                source: format!("etag {found:?} is not the expected {expected:?}").into(),
            }),
        },
    }
}

fn not_found(location: &Path) -> object_store::Error {
    object_store::Error::NotFound {
        path: location.to_string(),
        source: "no such object in memory".into(),
    }
}

impl Object {
    fn new(pieces: PutPayload, modified: Timestamp, etag: u64, attributes: Attributes) -> Self {
        let ends = pieces.iter().scan(0, |end, piece| {
            *end += piece.len() as u64;
            Some(*end)
        });
        Self { ends: ends.collect(), pieces, modified, etag, attributes }
    }

    fn len(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    fn e_tag(&self) -> String {
        format!("\"{}\"", self.etag)
    }

    fn meta(&self, name: &str) -> ObjectMeta {
        let since = Duration::from_millis(u64::try_from(self.modified.0).unwrap_or(0));
        ObjectMeta {
            location: Path::from(name),
            last_modified: (UNIX_EPOCH + since).into(),
            size: self.len(),
            e_tag: Some(self.e_tag()),
            version: None,
        }
    }

    /// The pieces of a range, shared. `range` lies within the object.
    fn slices(&self, range: &Range<u64>) -> Vec<Bytes> {
        let first = self.ends.partition_point(|end| *end <= range.start);
        let mut start = if first == 0 { 0 } else { self.ends[first - 1] };
        let mut slices = Vec::new();
        for piece in &self.pieces.as_ref()[first..] {
            if start >= range.end {
                break;
            }
            let end = start + piece.len() as u64;
            let within = range.start.saturating_sub(start)..range.end.min(end) - start;
            slices.push(piece.slice(within.start as usize..within.end as usize));
            start = end;
        }
        slices
    }
}

#[async_trait]
impl ObjectStore for MemoryStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.insert(location, payload, options.mode, options.attributes)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let (store, location) = (self.clone(), location.clone());
        Ok(Box::new(Upload { store, location, pieces: Vec::new(), attributes: options.attributes }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let object = self.find(location)?;
        let meta = object.meta(location.as_ref());
        options.check_preconditions(&meta)?;
        let range = options.range.unwrap_or(GetRange::Offset(0));
        let range = match range {
            GetRange::Offset(0) => 0..meta.size,
            range => range.as_range(meta.size).map_err(|_| RawFault::Range {
                start: if let GetRange::Bounded(range) = &range { range.start } else { meta.size },
                length: meta.size,
            })?,
        };
        let slices = if options.head { Vec::new() } else { object.slices(&range) };
        Ok(GetResult {
            payload: GetResultPayload::Stream(stream::iter(slices.into_iter().map(Ok)).boxed()),
            meta,
            range,
            attributes: object.attributes,
            extensions: Extensions::default(),
        })
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        locations.map(move |location| location.inspect(|location| store.remove(location))).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        stream::iter(self.below(prefix).into_iter().map(Ok)).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let at = prefix.cloned().unwrap_or_default();
        let mut common_prefixes = BTreeSet::new();
        let mut objects = Vec::new();
        for meta in self.below(prefix) {
            let mut rest = meta.location.prefix_match(&at).into_iter().flatten();
            let (child, deeper) = (rest.next(), rest.next().is_some());
            match child {
                Some(child) if deeper => drop(common_prefixes.insert(at.clone().join(child))),
                _ => {
                    drop(rest);
                    objects.push(meta);
                }
            }
        }
        let common_prefixes = common_prefixes.into_iter().collect();
        Ok(ListResult { common_prefixes, objects, extensions: Extensions::default() })
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let object = self.find(from)?;
        let mode = match options.mode {
            CopyMode::Overwrite => PutMode::Overwrite,
            CopyMode::Create => PutMode::Create,
        };
        self.insert(to, object.pieces, mode, object.attributes).map(drop)
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let mode = match options.target_mode {
            RenameTargetMode::Overwrite => CopyMode::Overwrite,
            RenameTargetMode::Create => CopyMode::Create,
        };
        self.copy_opts(from, to, CopyOptions { mode, ..CopyOptions::default() }).await?;
        self.remove(from);
        Ok(())
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryStore({} objects)", self.count())
    }
}

impl fmt::Display for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("memory")
    }
}

#[derive(Debug)]
struct Upload {
    store: MemoryStore,
    location: Path,
    pieces: Vec<Bytes>,
    attributes: Attributes,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, part: PutPayload) -> UploadPart {
        self.pieces.extend(part);
        Box::pin(std::future::ready(Ok(())))
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let pieces = std::mem::take(&mut self.pieces).into_iter().collect();
        self.store.insert(
            &self.location,
            pieces,
            PutMode::Overwrite,
            std::mem::take(&mut self.attributes),
        )
    }

    async fn abort(&mut self) -> Result<()> {
        self.pieces.clear();
        Ok(())
    }
}
