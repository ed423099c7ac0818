//! Opens a store by URL.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::buckets;
use super::credentials::NoCredentials;
use super::directory::{Access, DirectoryStore, TestDisk};
use super::error::{Cause, Error};
use super::health::Health;
use super::keys::Key;
use super::lock::{self, DirectoryLock, LockError};
use super::memory::MemoryStore;
use super::store::{Locality, Store};
use super::url::{BadUrl, Place};
use crate::base::clock::SharedClock;
use crate::base::units::ByteSize;
use crate::config::StoreConfig;

/// Why a store could not be opened. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL names no store.
    #[error(transparent)]
    Url(#[from] BadUrl),
    /// Another process holds the directory.
    #[error(
        "{0}: one process at a time uses a directory; stop that one, or give this one its own with --data-dir"
    )]
    Held(#[source] LockError),
    /// The directory cannot be locked.
    #[error(transparent)]
    Lock(LockError),
    /// The directory cannot be created.
    #[error("cannot create the directory {}: {source}{}", path.display(), lock::advice(source))]
    Create {
        /// The directory.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// There is nothing to look at.
    #[error("there is no directory {}: say where the data lies with --data-dir or --store", .0.display())]
    Missing(PathBuf),
    /// The directory cannot be read or synced.
    #[error("cannot open the directory: {0}")]
    Open(#[source] Error),
    /// Amazon's S3 is asked for, and nobody says where.
    #[error(
        "the bucket's region is not known: set store.region or AWS_REGION, or store.endpoint for a store that is not Amazon's"
    )]
    NoRegion,
    /// The SDK was built without a way to credentials.
    #[error("no way to AWS credentials is set up")]
    NoCredentialChain,
    /// There are no credentials.
    #[error(transparent)]
    Credentials(#[from] NoCredentials),
    /// Google gives none.
    #[error(
        "no credentials for Google Cloud Storage: {0}; name a key file with GOOGLE_APPLICATION_CREDENTIALS, or run where a \
         service account is; a store that asks for none is used with GOOGLE_SKIP_SIGNATURE=true"
    )]
    NoGoogleCredentials(#[source] Cause),
    /// An Azure container is asked for, and nobody says whose.
    #[error("the storage account is not known: set store.account or AZURE_STORAGE_ACCOUNT_NAME")]
    NoAccount,
    /// Azure gives none.
    #[error(
        "no credentials for Azure Blob Storage: {0}; set AZURE_STORAGE_ACCOUNT_KEY, or AZURE_STORAGE_SAS_TOKEN, or \
         AZURE_CLIENT_ID, AZURE_CLIENT_SECRET and AZURE_TENANT_ID, or run where a managed or workload identity is"
    )]
    NoAzureCredentials(#[source] Cause),
    /// The client refuses its settings.
    #[error("the store's settings do not fit together: {0}")]
    Client(#[source] Cause),
}

/// What a store is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To serve from it: a local directory is created, locked and recovered.
    Serve,
    /// To look at it, while another process may serve from it: a local directory is neither locked nor written to.
    Inspect,
}

/// Opens the store that `config` names: by its URL, else its directory. Waits up to 5 s for a directory that another
/// process holds. Whether a bucket is there and keeps what is promised shows [`super::probe`].
///
/// # Errors
/// For people: each says what to do.
pub async fn open(
    config: &StoreConfig,
    purpose: Purpose,
    clock: SharedClock,
) -> Result<Store, OpenError> {
    let place = match &config.url {
        Some(url) => Place::parse(url)?,
        None => Place::Directory(config.data_dir.clone()),
    };
    match place {
        Place::Memory { limit } => Ok(memory_of(clock, limit)),
        Place::Directory(root) => open_directory(root, purpose).await,
        Place::S3 { bucket, prefix } => buckets::s3(config, &bucket, &prefix, clock).await,
        Place::Gcs { bucket, prefix } => buckets::gcs(config, &bucket, &prefix).await,
        Place::Azure { container, prefix } => buckets::azure(config, &container, &prefix).await,
    }
}

/// A store in memory: what tests start with.
#[must_use]
pub fn memory(clock: SharedClock) -> Store {
    memory_of(clock, None)
}

/// A store in memory. Over `limit` bytes puts of data are throttled; metadata may still be written.
#[must_use]
pub fn memory_of(clock: SharedClock, limit: Option<ByteSize>) -> Store {
    let memory = MemoryStore::new(clock, limit);
    let meta = memory.uncapped();
    Store::new(Arc::new(memory), Locality::Memory).with_meta(Arc::new(meta))
}

/// A store in a local directory, which is created if it is missing and held by this process until the store is dropped.
/// Blocks; does not wait for another process.
///
/// # Errors
/// When another process holds it, and when it cannot be created, read or synced.
pub fn directory(root: &Path) -> Result<Store, OpenError> {
    create_dirs(root)?;
    over(root, own(DirectoryLock::try_take(root))?)
}

/// A store on a test's disk, on which only what is synced is durable.
///
/// # Errors
/// When the disk was told to fail.
pub fn test_disk(disk: &TestDisk) -> Result<Store, OpenError> {
    let health = Health::new();
    let opened = DirectoryStore::on_test_disk(disk, health.clone());
    let opened =
        opened.map_err(|source| OpenError::Open(Error::from_raw(&Key::new("/"), source)))?;
    Ok(Store::over_directory(opened, health))
}

async fn open_directory(root: PathBuf, purpose: Purpose) -> Result<Store, OpenError> {
    let access = match purpose {
        Purpose::Serve => {
            create_dirs(&root)?;
            own(DirectoryLock::take(&root, lock::PATIENCE).await)?
        }
        Purpose::Inspect if !root.is_dir() => return Err(OpenError::Missing(root)),
        Purpose::Inspect => Access::ReadOnly,
    };
    match tokio::task::spawn_blocking(move || over(&root, access)).await {
        Ok(opened) => opened,
        Err(join) => std::panic::resume_unwind(join.into_panic()),
    }
}

fn own(lock: Result<DirectoryLock, LockError>) -> Result<Access, OpenError> {
    match lock {
        Ok(lock) => Ok(Access::Own { _lock: lock }),
        Err(error @ LockError::Held { .. }) => Err(OpenError::Held(error)),
        Err(error @ LockError::Io { .. }) => Err(OpenError::Lock(error)),
    }
}

fn over(root: &Path, access: Access) -> Result<Store, OpenError> {
    let health = Health::new();
    let opened = DirectoryStore::open(root, access, health.clone());
    let opened =
        opened.map_err(|source| OpenError::Open(Error::from_raw(&Key::new("/"), source)))?;
    Ok(Store::over_directory(opened, health))
}

/// Creates `root` and its missing ancestors, and syncs every directory that got a new name.
fn create_dirs(root: &Path) -> Result<(), OpenError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Create { path, source }
    };
    let here = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
    let missing: Vec<&Path> = root.ancestors().take_while(here).collect();
    std::fs::create_dir_all(root).map_err(failed(root))?;
    for created in missing {
        let parent = match created.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let synced = std::fs::File::open(parent).and_then(|dir| dir.sync_all());
        synced.map_err(failed(parent))?;
    }
    Ok(())
}
