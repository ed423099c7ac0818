//! A store in a local directory, held by one process.
//!
//! Owns the order of file system steps (law 6): content is synced before its name appears, and a put is answered after the
//! directory is synced. A failed fsync is final: from then on every write is refused, SlateDB's too, and [`Health`] says
//! so, because the kernel reports a lost page once and a second fsync would lie.
//! `object_store`'s own directory store is not used: it makes one write call a piece, its errors do not tell a failed
//! fsync from a failed rename, and it does not sync ancestors of a directory that it found.

mod disk;
mod files;
mod model;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{
    Attributes, CopyMode, CopyOptions, Extensions, GetOptions, GetRange, GetResult,
    GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, RenameTargetMode,
    Result, UploadPart,
};

use super::health::Health;
use super::lock::DirectoryLock;
use disk::{Disk, Facts, OsDisk};
use files::Files;

pub use model::TestDisk;

#[cfg(test)]
pub(super) use files::fault;

/// Whether a directory is opened to write or only to look.
#[derive(Debug)]
pub(super) enum Access {
    /// Held by this process. The lock is dropped last, after every file call.
    Own { _lock: DirectoryLock },
    /// A test's disk, which nobody else can reach.
    Test,
    /// An inspector's: every write is refused.
    ReadOnly,
}

/// A store in a directory. Clones share it.
#[derive(Clone)]
pub(super) struct DirectoryStore {
    files: Arc<Files>,
}

impl DirectoryStore {
    /// Opens a directory. Removes what a dead process left unfinished and syncs every directory, so that what is visible
    /// from here on is durable. Blocks.
    pub(super) fn open(root: &std::path::Path, access: Access, health: Health) -> Result<Self> {
        Self::on(Arc::new(OsDisk), root, access, health)
    }

    /// The same on a test's disk.
    pub(super) fn on_test_disk(disk: &TestDisk, health: Health) -> Result<Self> {
        Self::on(Arc::new(disk.clone()), std::path::Path::new("/"), Access::Test, health)
    }

    fn on(
        disk: Arc<dyn Disk>,
        root: &std::path::Path,
        access: Access,
        health: Health,
    ) -> Result<Self> {
        let files = Files::new(disk, root, access, health);
        files.recover()?;
        Ok(Self { files: Arc::new(files) })
    }

    /// Law 6: what was seen under `key` counts only after this.
    pub(super) async fn make_durable(&self, key: &str) -> Result<()> {
        let location = Path::from(key);
        self.run(move |files| files.make_durable(&location)).await
    }

    /// Creates a directory with its ancestors, durably.
    pub(super) async fn prepare_dir(&self, dir: &str) -> Result<()> {
        let location = Path::from(dir);
        self.run(move |files| files.prepare_dir(&files.file(&location))).await
    }

    /// Makes blocking file calls. They go on when the caller is dropped: a put may land late.
    async fn run<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Files) -> Result<T> + Send + 'static,
    {
        let files = Arc::clone(&self.files);
        if files.is_instant() {
            return work(&files);
        }
        match tokio::task::spawn_blocking(move || work(&files)).await {
            Ok(done) => done,
            Err(join) if join.is_panic() => std::panic::resume_unwind(join.into_panic()),
            Err(join) => Err(join.into()),
        }
    }
}

fn put_result(facts: Facts) -> PutResult {
    PutResult { e_tag: Some(e_tag(&facts)), version: None, extensions: Extensions::default() }
}

fn e_tag(facts: &Facts) -> String {
    format!("\"{:x}-{:x}-{:x}\"", facts.inode, facts.modified.as_micros(), facts.bytes)
}

fn meta(location: Path, facts: &Facts) -> ObjectMeta {
    ObjectMeta {
        location,
        last_modified: (std::time::UNIX_EPOCH + facts.modified).into(),
        size: facts.bytes,
        e_tag: Some(e_tag(facts)),
        version: None,
    }
}

fn unsupported(operation: &str) -> object_store::Error {
    object_store::Error::NotImplemented {
        operation: operation.to_owned(),
        implementer: "a local directory".to_owned(),
    }
}

#[async_trait]
impl ObjectStore for DirectoryStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        // SlateDB asks again without attributes, and turns off what needs an update.
        if !options.attributes.is_empty() {
            return Err(unsupported("attributes"));
        }
        let replace = match options.mode {
            PutMode::Create => false,
            PutMode::Overwrite => true,
            PutMode::Update(_) => return Err(unsupported("conditional update")),
        };
        let location = location.clone();
        let turn = self.files.turn(payload.content_length()).await;
        let put = move |files: &Files| files.put(&location, payload.as_ref(), replace, turn);
        self.run(put).await.map(put_result)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        if !options.attributes.is_empty() {
            return Err(unsupported("attributes"));
        }
        let location = location.clone();
        let to = location.clone();
        let staging = self.run(move |files| files.begin(&to)).await?;
        Ok(Box::new(Upload { store: self.clone(), location, staging, bytes: 0 }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let (at, range, head) = (location.clone(), options.range.clone(), options.head);
        let (facts, range, bytes) = self
            .run(move |files| files.read(&at, range.unwrap_or(GetRange::Offset(0)), head))
            .await?;
        let meta = meta(location.clone(), &facts);
        options.check_preconditions(&meta)?;
        let payload = stream::once(std::future::ready(Ok(bytes))).boxed();
        Ok(GetResult {
            payload: GetResultPayload::Stream(payload),
            meta,
            range,
            attributes: Attributes::default(),
            extensions: Extensions::default(),
        })
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let delete = move |location: Result<Path>| {
            let store = store.clone();
            async move {
                let location = location?;
                store.run(move |files| files.delete(&location).map(|()| location)).await
            }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, prefix) = (self.clone(), prefix.cloned().unwrap_or_default());
        let found = async move { store.run(move |files| files.list(&prefix)).await };
        stream::once(found)
            .flat_map(|found| match found {
                Ok(found) => {
                    let meta = |(location, facts)| Ok(meta(location, &facts));
                    stream::iter(found.into_iter().map(meta)).boxed()
                }
                Err(error) => stream::once(std::future::ready(Err(error))).boxed(),
            })
            .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let prefix = prefix.cloned().unwrap_or_default();
        let level = self.run(move |files| files.list_level(&prefix)).await?;
        let objects = level.objects.into_iter().map(|(location, facts)| meta(location, &facts));
        Ok(ListResult {
            common_prefixes: level.dirs,
            objects: objects.collect(),
            extensions: Extensions::default(),
        })
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let (from, to) = (from.clone(), to.clone());
        let replace = options.mode == CopyMode::Overwrite;
        self.run(move |files| files.copy(&from, &to, replace)).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let mode = match options.target_mode {
            RenameTargetMode::Overwrite => CopyMode::Overwrite,
            RenameTargetMode::Create => CopyMode::Create,
        };
        self.copy_opts(from, to, CopyOptions { mode, ..CopyOptions::default() }).await?;
        let from = from.clone();
        self.run(move |files| files.delete(&from)).await
    }
}

impl fmt::Debug for DirectoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DirectoryStore({self})")
    }
}

impl fmt::Display for DirectoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.files.root().display().fmt(f)
    }
}

/// An upload in parts, each written at its place in a staging file.
#[derive(Debug)]
struct Upload {
    store: DirectoryStore,
    location: Path,
    staging: std::path::PathBuf,
    bytes: u64,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, part: PutPayload) -> UploadPart {
        let (store, staging, offset) = (self.store.clone(), self.staging.clone(), self.bytes);
        self.bytes += part.content_length() as u64;
        Box::pin(async move {
            store.run(move |files| files.write_part(&staging, offset, part.as_ref())).await
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let (location, staging) = (self.location.clone(), self.staging.clone());
        self.store.run(move |files| files.finish(&location, &staging)).await.map(put_result)
    }

    async fn abort(&mut self) -> Result<()> {
        let staging = self.staging.clone();
        self.store.run(move |files| files.abandon(&staging)).await
    }
}
