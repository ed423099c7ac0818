//! The store clients for buckets: S3 and what speaks like it, Google's, Azure's.
//!
//! Two clients each: ours, which never retries by itself because only `retry` knows whose bytes lie under a name, and
//! SlateDB's, which retries a little.

use std::sync::Arc;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region};
use object_store::aws::{AmazonS3Builder, Checksum, S3ConditionalPut};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{
    GcpCredential, GoogleCloudStorage, GoogleCloudStorageBuilder, GoogleConfigKey,
};
use object_store::prefix::PrefixStore;
use object_store::{ClientOptions, ObjectStore, RetryConfig, StaticCredentialProvider};

use super::build::OpenError;
use super::credentials::ChainCredentials;
use super::error::Cause;
use super::store::{Locality, RawStore, Store};
use crate::base::clock::SharedClock;
use crate::config::StoreConfig;

/// SlateDB's client gives up so soon, and SlateDB itself then decides.
const META_RETRIES: usize = 4;
const META_RETRY_FOR: Duration = Duration::from_secs(30);
/// What stores that are not Amazon's take where a region must be signed.
const ANY_REGION: &str = "us-east-1";

/// Who retries.
#[derive(Clone, Copy)]
enum Client {
    /// Ours: nobody below us.
    Data,
    /// SlateDB's.
    Meta,
}

impl Client {
    fn retry(self) -> RetryConfig {
        match self {
            Self::Data => RetryConfig { max_retries: 0, ..RetryConfig::default() },
            Self::Meta => {
                let (max_retries, retry_timeout) = (META_RETRIES, META_RETRY_FOR);
                RetryConfig { max_retries, retry_timeout, ..RetryConfig::default() }
            }
        }
    }
}

fn options(config: &StoreConfig) -> ClientOptions {
    ClientOptions::new()
        .with_timeout(config.request_timeout)
        .with_connect_timeout(config.connect_timeout)
        .with_allow_http(config.allow_http)
        // The load spreads over connections; one HTTP/2 connection would be one queue.
        .with_http1_only()
}

/// A bucket of Amazon's, or of a store that speaks like S3 at `config.endpoint`.
pub(super) async fn s3(
    config: &StoreConfig,
    bucket: &str,
    prefix: &str,
    clock: SharedClock,
) -> Result<Store, OpenError> {
    let mut chain = aws_config::defaults(BehaviorVersion::latest());
    if let Some(region) = config.region.clone() {
        chain = chain.region(Region::new(region));
    }
    let sdk = chain.load().await;
    let region = match (sdk.region(), &config.endpoint) {
        (Some(region), _) => region.to_string(),
        (None, Some(_)) => ANY_REGION.to_owned(),
        (None, None) => return Err(OpenError::NoRegion),
    };
    let source = sdk.credentials_provider().ok_or(OpenError::NoCredentialChain)?;
    let credentials = Arc::new(ChainCredentials::new(source, clock));
    // Asked now, so that a start without credentials fails with their name and not with the first put.
    credentials.get().await?;
    s3_as(AmazonS3Builder::new(), config, (bucket, prefix), &region, &credentials)
}

/// The same with credentials that are known, on top of what `base` says.
pub(super) fn s3_as(
    base: AmazonS3Builder,
    config: &StoreConfig,
    (bucket, prefix): (&str, &str),
    region: &str,
    credentials: &Arc<ChainCredentials>,
) -> Result<Store, OpenError> {
    let open = |client: Client| -> Result<RawStore, OpenError> {
        let plain = config.endpoint.as_ref().is_some_and(|at| at.starts_with("http:"));
        let mut builder = base
            .clone()
            .with_bucket_name(bucket)
            .with_region(region)
            .with_credentials(Arc::clone(credentials) as _)
            .with_virtual_hosted_style_request(!config.path_style)
            .with_s3_express(config.express)
            // Without TLS the signature is what guards the body.
            .with_unsigned_payload(config.unsigned_payload && !plain)
            .with_checksum_algorithm(Checksum::CRC64NVME)
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_client_options(options(config))
            .with_retry(client.retry());
        if let Some(endpoint) = &config.endpoint {
            builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
        }
        Ok(under(prefix, builder.build().map_err(refused)?))
    };
    let mut name = named("s3", bucket, prefix, config);
    if config.endpoint.is_none() {
        name.push_str(&format!(" in {region}"));
    }
    Ok(both(open(Client::Data)?, open(Client::Meta)?, &name))
}

/// A bucket of Google's, or of a store that speaks like it at `config.endpoint`. Credentials as Google's own tools find
/// them.
pub(super) async fn gcs(
    config: &StoreConfig,
    bucket: &str,
    prefix: &str,
) -> Result<Store, OpenError> {
    let mut builder = GoogleCloudStorageBuilder::from_env();
    let is_anonymous = is_true(builder.get_config_value(&GoogleConfigKey::SkipSignature));
    if is_anonymous {
        // The client's puts ask for credentials all the same.
        let none = GcpCredential { bearer: String::new() };
        builder = builder.with_credentials(Arc::new(StaticCredentialProvider::new(none)));
    }
    let (data, meta) = gcs_as(config, bucket, builder)?;
    if !is_anonymous {
        // Asked now, as with S3; by the client that tries more than once.
        let asked = meta.credentials().get_credential().await;
        asked.map_err(|source| OpenError::NoGoogleCredentials(Cause::new(source)))?;
    }
    let name = named("gs", bucket, prefix, config);
    Ok(both(under(prefix, data), under(prefix, meta), &name))
}

/// The same with credentials that are known, for our data and for SlateDB's.
pub(super) fn gcs_as(
    config: &StoreConfig,
    bucket: &str,
    builder: GoogleCloudStorageBuilder,
) -> Result<(GoogleCloudStorage, GoogleCloudStorage), OpenError> {
    let open = |client: Client| {
        let mut builder = builder
            .clone()
            .with_bucket_name(bucket)
            .with_client_options(options(config))
            .with_retry(client.retry());
        if let Some(endpoint) = &config.endpoint {
            builder = builder.with_base_url(endpoint.trim_end_matches('/'));
        }
        builder.build().map_err(refused)
    };
    Ok((open(Client::Data)?, open(Client::Meta)?))
}

/// A container of Azure's, or of a store that speaks like it at `config.endpoint`. Credentials, and the account that is
/// not said, from Azure's own variables.
pub(super) async fn azure(
    config: &StoreConfig,
    container: &str,
    prefix: &str,
) -> Result<Store, OpenError> {
    let mut builder = MicrosoftAzureBuilder::from_env();
    if let Some(account) = &config.account {
        builder = builder.with_account(account);
    }
    if builder.get_config_value(&AzureConfigKey::AccountName).is_none() {
        return Err(OpenError::NoAccount);
    }
    if let Some(endpoint) = &config.endpoint {
        builder = builder.with_endpoint(endpoint.trim_end_matches('/').to_owned());
    }
    let is_anonymous = is_true(builder.get_config_value(&AzureConfigKey::SkipSignature));
    let open = |client: Client| {
        let builder = builder.clone().with_container_name(container);
        let builder = builder.with_client_options(options(config)).with_retry(client.retry());
        builder.build().map_err(refused)
    };
    let (data, meta) = (open(Client::Data)?, open(Client::Meta)?);
    if !is_anonymous {
        let asked = meta.credentials().get_credential().await;
        asked.map_err(|source| OpenError::NoAzureCredentials(Cause::new(source)))?;
    }
    let name = named("az", container, prefix, config);
    Ok(both(under(prefix, data), under(prefix, meta), &name))
}

fn is_true(value: Option<String>) -> bool {
    value.is_some_and(|value| value == "true")
}

/// What people know a store by.
fn named(scheme: &str, bucket: &str, prefix: &str, config: &StoreConfig) -> String {
    match &config.endpoint {
        Some(endpoint) => format!("{scheme}://{bucket}/{prefix} at {endpoint}"),
        None => format!("{scheme}://{bucket}/{prefix}"),
    }
}

fn both(data: RawStore, meta: RawStore, name: &str) -> Store {
    Store::new(data, Locality::Bucket).with_meta(meta).named(name)
}

fn under(prefix: &str, client: impl ObjectStore) -> RawStore {
    if prefix.is_empty() { Arc::new(client) } else { Arc::new(PrefixStore::new(client, prefix)) }
}

fn refused(source: object_store::Error) -> OpenError {
    OpenError::Client(Cause::new(source))
}
