//! What a store's answer means for the caller: one enum for every kind of store.
//!
//! Owns the reading of driver errors. Does not decide on retries: that is `retry`.

use std::fmt;
use std::sync::Arc;

use object_store::client::{HttpError, HttpErrorKind};

use super::keys::Key;

/// What the driver said, kept for the message.
#[derive(Clone, Debug)]
pub struct Cause(Arc<dyn std::error::Error + Send + Sync>);

impl Cause {
    pub(super) fn new(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self(Arc::new(source))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Cause {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

/// Whether the bytes of a failed put may be in the store, now or later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// They are not and will not be.
    NotWritten,
    /// Only a read can tell, and only for now: a late put may still land.
    MaybeWritten,
}

/// Why an object could not be written or read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The name is taken, or another put of it is under way: read the object to learn whose it is.
    #[error("object {key} exists already")]
    AlreadyExists {
        /// The object.
        key: Key,
    },
    /// No object has this name.
    #[error("object {key} not found: {cause}")]
    NotFound {
        /// The object.
        key: Key,
        /// What the store said.
        cause: Cause,
    },
    /// The range starts at or past the object's end.
    #[error("range outside of object {key}: {cause}")]
    OutOfRange {
        /// The object.
        key: Key,
        /// What the store said.
        cause: Cause,
    },
    /// The store asks for fewer requests, or its space is used up for now.
    #[error("store throttles {key}: {cause}")]
    Throttled {
        /// The object.
        key: Key,
        /// What the store said.
        cause: Cause,
    },
    /// No answer in time.
    #[error("no answer for {key} in time: {cause}")]
    Timeout {
        /// The object.
        key: Key,
        /// What was waited for.
        cause: Cause,
    },
    /// The store cannot be reached or fails.
    #[error("store failed on {key}: {cause}")]
    Unavailable {
        /// The object.
        key: Key,
        /// What the store said.
        cause: Cause,
    },
    /// No permission, or no valid credentials.
    #[error("access to {key} denied: {cause}")]
    Denied {
        /// The object.
        key: Key,
        /// What the store said.
        cause: Cause,
    },
    /// The disk is full.
    #[error("no space for {key}: {cause}")]
    Full {
        /// The object.
        key: Key,
        /// What the operating system said, with the path.
        cause: Cause,
    },
    /// The store will not do this however often it is asked.
    #[error("store refused {key}: {cause}")]
    Refused {
        /// The object.
        key: Key,
        /// What the store said.
        cause: Cause,
    },
    /// An fsync failed: what was written may be gone, and no later fsync can tell. The process must end.
    #[error("durability of {key} lost: {cause}")]
    DurabilityLost {
        /// The object.
        key: Key,
        /// What the operating system said, with the path.
        cause: Cause,
    },
}

impl Error {
    /// Whether a put that failed with this may have written its bytes.
    #[must_use]
    pub fn fate(&self) -> Fate {
        match self {
            Self::NotFound { .. }
            | Self::OutOfRange { .. }
            | Self::Denied { .. }
            | Self::Full { .. }
            | Self::Refused { .. } => Fate::NotWritten,
            Self::AlreadyExists { .. }
            | Self::Throttled { .. }
            | Self::Timeout { .. }
            | Self::Unavailable { .. }
            | Self::DurabilityLost { .. } => Fate::MaybeWritten,
        }
    }

    /// Whether the same request may succeed later without anybody's doing.
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Throttled { .. }
            | Self::Timeout { .. }
            | Self::Unavailable { .. }
            | Self::Full { .. } => true,
            Self::AlreadyExists { .. }
            | Self::NotFound { .. }
            | Self::OutOfRange { .. }
            | Self::Denied { .. }
            | Self::Refused { .. }
            | Self::DurabilityLost { .. } => false,
        }
    }

    /// One word for metrics.
    pub(super) fn kind_name(&self) -> &'static str {
        match self {
            Self::AlreadyExists { .. } => "exists",
            Self::NotFound { .. } => "not_found",
            Self::OutOfRange { .. } => "out_of_range",
            Self::Throttled { .. } => "throttled",
            Self::Timeout { .. } => "timeout",
            Self::Unavailable { .. } => "unavailable",
            Self::Denied { .. } => "denied",
            Self::Full { .. } => "full",
            Self::Refused { .. } => "refused",
            Self::DurabilityLost { .. } => "durability_lost",
        }
    }

    /// A timeout that we set ourselves.
    pub(crate) fn timed_out(key: &Key, after: std::time::Duration) -> Self {
        Self::Timeout { key: key.clone(), cause: Cause::new(RawFault::Timeout { after }) }
    }

    /// A read whose task ended without an answer.
    pub(crate) fn interrupted(key: &Key) -> Self {
        let cause = Cause::new(RawFault::Injected { what: "the read was interrupted" });
        Self::Unavailable { key: key.clone(), cause }
    }

    /// Reads a driver's error.
    pub(super) fn from_raw(key: &Key, source: object_store::Error) -> Self {
        let key = key.clone();
        let kind = Kind::of(&source);
        let cause = Cause::new(source);
        match kind {
            Kind::AlreadyExists => Self::AlreadyExists { key },
            Kind::NotFound => Self::NotFound { key, cause },
            Kind::OutOfRange => Self::OutOfRange { key, cause },
            Kind::Throttled => Self::Throttled { key, cause },
            Kind::Timeout => Self::Timeout { key, cause },
            Kind::Unavailable => Self::Unavailable { key, cause },
            Kind::Denied => Self::Denied { key, cause },
            Kind::Full => Self::Full { key, cause },
            Kind::Refused => Self::Refused { key, cause },
            Kind::DurabilityLost => Self::DurabilityLost { key, cause },
        }
    }
}

/// What our own stores put inside a driver error, so that its meaning survives the way through the driver's type.
#[derive(Debug, thiserror::Error)]
pub(super) enum RawFault {
    #[error(
        "{limit} bytes in memory are used up: delete topics, shorten their retention or raise max_bytes"
    )]
    MemoryFull { limit: u64 },
    #[error("range starts at {start}, the object has {length} bytes")]
    Range { start: u64, length: u64 },
    #[error("no answer within {after:?}")]
    Timeout { after: std::time::Duration },
    #[error("HTTP status {status} (injected)")]
    Status { status: u16 },
    #[error("{what}")]
    Injected { what: &'static str },
    #[error("{path}: {source}; free space on this disk, writing goes on by itself")]
    DiskFull { path: std::path::PathBuf, source: std::io::Error },
    #[error("{path}: {source}; give the user that runs thalweg read and write permission here")]
    DiskDenied { path: std::path::PathBuf, source: std::io::Error },
    #[error("{path}: {source}")]
    Disk { path: std::path::PathBuf, source: std::io::Error },
    #[error(
        "fsync of {path} failed: {source}; data written before it may be lost: check the disk, then start again"
    )]
    Sync { path: std::path::PathBuf, source: Arc<std::io::Error> },
    #[error("an fsync failed before: nothing is written any more")]
    SyncFailedBefore,
}

impl From<RawFault> for object_store::Error {
    fn from(fault: RawFault) -> Self {
        Self::Generic { store: "thalweg", source: Box::new(fault) }
    }
}

impl RawFault {
    fn kind(&self) -> Kind {
        match self {
            Self::MemoryFull { .. } => Kind::Throttled,
            Self::Range { .. } => Kind::OutOfRange,
            Self::Timeout { .. } => Kind::Timeout,
            Self::Status { status } => Kind::of_status(*status),
            Self::Injected { .. } | Self::Disk { .. } => Kind::Unavailable,
            Self::DiskFull { .. } => Kind::Full,
            Self::DiskDenied { .. } => Kind::Denied,
            Self::Sync { .. } | Self::SyncFailedBefore => Kind::DurabilityLost,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    AlreadyExists,
    NotFound,
    OutOfRange,
    Throttled,
    Timeout,
    Unavailable,
    Denied,
    Full,
    Refused,
    DurabilityLost,
}

impl Kind {
    fn of(error: &object_store::Error) -> Self {
        use object_store::Error as Raw;
        match error {
            Raw::AlreadyExists { .. } | Raw::Precondition { .. } | Raw::NotModified { .. } => {
                Self::AlreadyExists
            }
            Raw::NotFound { .. } => Self::NotFound,
            Raw::PermissionDenied { .. } | Raw::Unauthenticated { .. } => Self::Denied,
            Raw::NotSupported { .. }
            | Raw::NotImplemented { .. }
            | Raw::InvalidPath { .. }
            | Raw::UnknownConfigurationKey { .. } => Self::Refused,
            Raw::Generic { source, .. } => Self::of_generic(&**source),
            _ => Self::Unavailable,
        }
    }

    /// Looks through a driver's chain of causes, because the driver's own types are private.
    fn of_generic(outer: &(dyn std::error::Error + 'static)) -> Self {
        let mut next = Some(outer);
        while let Some(error) = next {
            if let Some(fault) = error.downcast_ref::<RawFault>() {
                return fault.kind();
            }
            if let Some(http) = error.downcast_ref::<HttpError>() {
                return Self::of_transport(http.kind());
            }
            if let Some(kind) = Self::of_text(&error.to_string()) {
                return kind;
            }
            next = error.source();
        }
        Self::Unavailable
    }

    fn of_transport(kind: HttpErrorKind) -> Self {
        match kind {
            HttpErrorKind::Timeout => Self::Timeout,
            _ => Self::Unavailable,
        }
    }

    /// The status stands only in the text of `object_store::client::retry::RequestError`.
    fn of_text(text: &str) -> Option<Self> {
        const STATUS: &str = "Server returned non-2xx status code: ";
        if let Some(rest) = text.strip_prefix(STATUS) {
            return Some(Self::of_status(rest.get(..3)?.parse().ok()?));
        }
        if text.starts_with("Server returned error response: ") && text.contains("SlowDown") {
            return Some(Self::Throttled);
        }
        text.starts_with("Received redirect without LOCATION").then_some(Self::Refused)
    }

    fn of_status(status: u16) -> Self {
        match status {
            408 => Self::Timeout,
            409 | 412 => Self::AlreadyExists,
            401 | 403 => Self::Denied,
            404 => Self::NotFound,
            416 => Self::OutOfRange,
            // 503 is S3's SlowDown.
            429 | 503 => Self::Throttled,
            504 => Self::Timeout,
            300..=399 | 400..=499 | 501 => Self::Refused,
            _ => Self::Unavailable,
        }
    }
}
