//! Asks a store at start whether it keeps what everything here stands on: of two puts of one name, one wins.

use object_store::path::Path;
use object_store::{ObjectStore as _, PutMode, PutOptions, PutPayload, UpdateVersion};

use bytes::Bytes;
use std::time::Duration;

use super::error::Error;
use super::keys::{self, Key};
use super::payload::Payload;
use super::retry::read_within;
use super::store::{Locality, Store};
use crate::base::rng::Rng;

/// What a store was seen to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abilities {
    /// A put with If-Match is refused when the object changed: SlateDB may rely on it.
    pub if_match: bool,
}

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Both puts of one name succeeded.
    #[error(
        "{store} does not keep put-if-absent: two puts of {key} with If-None-Match: * both succeeded; records would be \
         overwritten: use a store that honours conditional writes (Amazon S3, MinIO, Google Cloud Storage, Azure Blob \
         Storage, or a local directory)"
    )]
    NotExclusive {
        /// The store.
        store: String,
        /// The probe's object.
        key: Key,
    },
    /// Neither of two puts of a new name succeeded, again and again.
    #[error(
        "{store} does not keep put-if-absent: of two puts of a new name with If-None-Match: * neither succeeded, {RACES_MAX} \
         times in a row; use a store that honours conditional writes (Amazon S3, MinIO, Google Cloud Storage, Azure Blob \
         Storage, or a local directory)"
    )]
    NoWinner {
        /// The store.
        store: String,
    },
    /// A put was answered as done, and other bytes are there.
    #[error(
        "{store} does not give back what was put: {key} was stored and then read with other bytes; what stands in between \
         (a proxy, a gateway, a cache) must leave objects as they are: name the store itself in store.endpoint, or use \
         another store"
    )]
    NotFaithful {
        /// The store.
        store: String,
        /// The probe's object.
        key: Key,
    },
    /// The store takes no conditional writes.
    #[error(
        "{store} refuses put-if-absent: {error}; use a store that honours If-None-Match: * on PUT"
    )]
    NoConditions {
        /// The store.
        store: String,
        /// What it said.
        #[source]
        error: Error,
    },
    /// The store does not take a request as it is.
    #[error(
        "{store} refuses requests: {error}; check store.url and store.endpoint, and what the store needs to be told"
    )]
    Refused {
        /// The store.
        store: String,
        /// What it said.
        #[source]
        error: Error,
    },
    /// No permission.
    #[error(
        "{store} denies access: {error}; the credentials need to read, write, list and delete objects below this place"
    )]
    Denied {
        /// The store.
        store: String,
        /// What it said.
        #[source]
        error: Error,
    },
    /// There is no such bucket.
    #[error("{store} does not exist: {error}; create the bucket, or correct store.url")]
    Missing {
        /// The store.
        store: String,
        /// What it said.
        #[source]
        error: Error,
    },
    /// It does not answer.
    #[error("{store} does not answer: {error}; check store.url, store.endpoint and the network")]
    Unreachable {
        /// The store.
        store: String,
        /// What it said last.
        #[source]
        error: Error,
    },
}

/// A store that is not there yet may come within this: machines start together.
const PATIENCE: Duration = Duration::from_secs(10);
/// A store may answer both of two racing puts with "conflict"; then they race again.
const RACES_MAX: u32 = 5;

/// Probes the store. Leaves nothing behind in one that can be used; in one that is refused its object may stay.
///
/// # Errors
/// For people: which store, what it did, and what to do.
pub async fn probe(store: &Store, rng: &Rng) -> Result<Abilities, Refusal> {
    let judge = |error| judge(store, error);
    for _ in 0..RACES_MAX {
        let key = keys::probe(rng.u64());
        let (one, other) = (Bytes::from_static(b"one"), Bytes::from_static(b"other"));
        // The first request finds out whether anybody is there; puts are not repeated under a name.
        let seen = read_within(PATIENCE, rng, || absent(store, &key)).await;
        seen.map_err(|error| match error {
            Error::Refused { .. } => Refusal::Refused { store: store.to_string(), error },
            error => judge(error),
        })?;
        let (a, b) = tokio::join!(
            store.put_if_absent(&key, Payload::from(one.clone())),
            store.put_if_absent(&key, Payload::from(other.clone())),
        );
        let winner = match (a, b) {
            (Ok(()), Ok(())) => return Err(not_exclusive(store, &key)),
            (Ok(()), Err(Error::AlreadyExists { .. })) => one,
            (Err(Error::AlreadyExists { .. }), Ok(())) => other,
            (Err(Error::AlreadyExists { .. }), Err(Error::AlreadyExists { .. })) => continue,
            (Err(error), _) | (_, Err(error)) => return Err(judge(error)),
        };
        match store.put_if_absent(&key, Payload::from(Bytes::from_static(b"late"))).await {
            Err(Error::AlreadyExists { .. }) => {}
            Ok(()) => return Err(not_exclusive(store, &key)),
            Err(error) => return Err(judge(error)),
        }
        if store.get(&key).await.map_err(judge)? != winner {
            return Err(Refusal::NotFaithful { store: store.to_string(), key });
        }
        store.delete(&key).await.map_err(judge)?;
        let if_match = honours_if_match(store, &keys::probe(rng.u64())).await;
        return Ok(Abilities { if_match });
    }
    Err(Refusal::NoWinner { store: store.to_string() })
}

async fn absent(store: &Store, key: &Key) -> Result<(), Error> {
    match store.get(key).await {
        Ok(_) | Err(Error::NotFound { .. } | Error::OutOfRange { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether an update succeeds with the current version and fails with an old one.
async fn honours_if_match(store: &Store, key: &Key) -> bool {
    // The directory's lock stands for it, and a start is quick without these writes.
    if store.locality() == Locality::Directory {
        return false;
    }
    let (raw, path) = (store.raw(), Path::from(key.as_str()));
    let put = |mode, text: &'static str| {
        let options = PutOptions { mode, ..PutOptions::default() };
        raw.put_opts(&path, PutPayload::from_static(text.as_bytes()), options)
    };
    let honours = async {
        let first = put(PutMode::Create, "first").await.ok()?;
        let version = UpdateVersion { e_tag: first.e_tag, version: first.version };
        put(PutMode::Update(version.clone()), "second").await.ok()?;
        let stale = put(PutMode::Update(version), "third").await;
        Some(matches!(stale, Err(object_store::Error::Precondition { .. })))
    };
    let honours = honours.await.unwrap_or(false);
    if let Err(error) = store.delete(key).await {
        tracing::debug!(%key, %error, "probe object left behind");
    }
    honours
}

fn not_exclusive(store: &Store, key: &Key) -> Refusal {
    Refusal::NotExclusive { store: store.to_string(), key: key.clone() }
}

fn judge(store: &Store, error: Error) -> Refusal {
    let store = store.to_string();
    match error {
        Error::Denied { .. } => Refusal::Denied { store, error },
        Error::NotFound { .. } => Refusal::Missing { store, error },
        Error::Refused { .. } => Refusal::NoConditions { store, error },
        Error::AlreadyExists { .. }
        | Error::OutOfRange { .. }
        | Error::Throttled { .. }
        | Error::Timeout { .. }
        | Error::Unavailable { .. }
        | Error::Full { .. }
        | Error::DurabilityLost { .. } => Refusal::Unreachable { store, error },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_says_what_to_do() {
        let (store, key) = (|| "the store".to_owned(), keys::probe(1));
        for refusal in [
            Refusal::NotExclusive { store: store(), key: key.clone() },
            Refusal::NoWinner { store: store() },
            Refusal::NotFaithful { store: store(), key },
        ] {
            let said = refusal.to_string();
            let (_, advice) = said.rsplit_once([';', ':']).expect("what to do comes last");
            assert!(advice.contains("use a"), "{said}");
        }
    }
}
