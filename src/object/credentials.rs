//! AWS credentials from the SDK's default chain, for the store client.
//!
//! Owns their renewal: the chain itself asks its source each time. Environment, profile, web identity, container and
//! instance roles are the chain's.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;

use crate::base::clock::SharedClock;

/// So long before they expire new ones are fetched, while the old ones still work.
const RENEW_BEFORE: Duration = Duration::from_secs(300);

/// Credentials that renew themselves.
pub(super) struct ChainCredentials {
    source: SharedCredentialsProvider,
    clock: SharedClock,
    /// What is used now, and when it expires, in milliseconds since the epoch.
    current: Mutex<Option<(Arc<AwsCredential>, Option<i64>)>>,
    /// Held while new ones are fetched: one fetch at a time.
    renewal: tokio::sync::Mutex<()>,
}

/// No credentials where the SDK looks for them.
#[derive(Debug, thiserror::Error)]
#[error(
    "no AWS credentials: {0}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a profile with AWS_PROFILE, or run \
     where an instance, container or web identity role is"
)]
pub struct NoCredentials(#[source] aws_credential_types::provider::error::CredentialsError);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Age {
    Fresh,
    /// Still good, but new ones should be fetched.
    Renewable,
    Expired,
}

impl ChainCredentials {
    pub(super) fn new(source: SharedCredentialsProvider, clock: SharedClock) -> Self {
        Self { source, clock, current: Mutex::default(), renewal: tokio::sync::Mutex::default() }
    }

    /// What to sign with now.
    pub(super) async fn get(&self) -> Result<Arc<AwsCredential>, NoCredentials> {
        let (credential, age) = self.current();
        match (credential, age) {
            (Some(credential), Age::Fresh) => Ok(credential),
            (Some(credential), Age::Renewable) => match self.renewal.try_lock() {
                Ok(_held) => Ok(self.renew().await.unwrap_or_else(|error| {
                    tracing::warn!(%error, "credentials not renewed yet");
                    credential
                })),
                // Somebody else fetches; the old ones do meanwhile.
                Err(_) => Ok(credential),
            },
            (None, _) | (_, Age::Expired) => {
                let _held = self.renewal.lock().await;
                match self.current() {
                    (Some(credential), Age::Fresh | Age::Renewable) => Ok(credential),
                    _ => self.renew().await,
                }
            }
        }
    }

    async fn renew(&self) -> Result<Arc<AwsCredential>, NoCredentials> {
        let fetched = self.source.provide_credentials().await.map_err(NoCredentials)?;
        let credential = Arc::new(convert(&fetched));
        let expiry = fetched.expiry().map(|at| {
            let since = at.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        });
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Some((Arc::clone(&credential), expiry));
        Ok(credential)
    }

    fn current(&self) -> (Option<Arc<AwsCredential>>, Age) {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((credential, expiry)) = &*current else { return (None, Age::Expired) };
        let left = expiry.map_or(i64::MAX, |at| at.saturating_sub(self.clock.now().0));
        let renew_before = i64::try_from(RENEW_BEFORE.as_millis()).unwrap_or(i64::MAX);
        let age = match left {
            ..=0 => Age::Expired,
            left if left <= renew_before => Age::Renewable,
            _ => Age::Fresh,
        };
        (Some(Arc::clone(credential)), age)
    }
}

fn convert(fetched: &Credentials) -> AwsCredential {
    AwsCredential {
        key_id: fetched.access_key_id().to_owned(),
        secret_key: fetched.secret_access_key().to_owned(),
        token: fetched.session_token().map(str::to_owned),
    }
}

impl fmt::Debug for ChainCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChainCredentials")
    }
}

#[async_trait]
impl CredentialProvider for ChainCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        self.get().await.map_err(|error| object_store::Error::Unauthenticated {
            path: String::new(),
            source: Box::new(error),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::UNIX_EPOCH;

    use aws_credential_types::provider::{ProvideCredentials, error::CredentialsError, future};
    use tokio::time::advance;

    use super::*;
    use crate::base::clock::{Timestamp, TokioClock};

    /// Credentials that live for ten minutes, numbered; from the `failing_from`th on there are none.
    #[derive(Debug)]
    struct Source {
        clock: SharedClock,
        fetched: Arc<AtomicU64>,
        failing_from: u64,
    }

    impl ProvideCredentials for Source {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let n = self.fetched.fetch_add(1, Ordering::SeqCst);
            if n >= self.failing_from {
                return future::ProvideCredentials::ready(Err(CredentialsError::not_loaded(
                    "gone",
                )));
            }
            let now = Duration::from_millis(u64::try_from(self.clock.now().0).unwrap());
            let expiry = UNIX_EPOCH + now + Duration::from_secs(600);
            let credentials = Credentials::new(format!("key-{n}"), "s", None, Some(expiry), "test");
            future::ProvideCredentials::ready(Ok(credentials))
        }
    }

    fn source(failing_from: u64) -> (ChainCredentials, Arc<AtomicU64>) {
        let clock: SharedClock = Arc::new(TokioClock::starting_at(Timestamp(1_000_000)));
        let fetched = Arc::new(AtomicU64::new(0));
        let source =
            Source { clock: Arc::clone(&clock), fetched: Arc::clone(&fetched), failing_from };
        (ChainCredentials::new(SharedCredentialsProvider::new(source), clock), fetched)
    }

    #[tokio::test(start_paused = true)]
    async fn credentials_are_kept_until_five_minutes_before_they_expire() {
        let (credentials, fetched) = source(u64::MAX);
        for (wait, key, fetches) in
            [(0, "key-0", 1), (299, "key-0", 1), (2, "key-1", 2), (0, "key-1", 2)]
        {
            advance(Duration::from_secs(wait)).await;
            assert_eq!(credentials.get().await.unwrap().key_id, key);
            assert_eq!(fetched.load(Ordering::SeqCst), fetches);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn old_credentials_serve_until_they_expire_when_no_new_ones_come() {
        let (credentials, _) = source(1);
        credentials.get().await.unwrap();
        advance(Duration::from_secs(599)).await;
        assert_eq!(credentials.get().await.unwrap().key_id, "key-0");
        advance(Duration::from_secs(1)).await;
        let error = credentials.get().await.unwrap_err().to_string();
        assert!(error.contains("AWS_ACCESS_KEY_ID"), "{error}");
    }
}
