//! Where objects lie.

use std::path::PathBuf;
use std::time::Duration;

use super::faults::Faults;
use super::key::Kind::{self, Bool, Millis, Text};
use super::key::{Key, Section};
use super::load::Values;

/// Settings of the object store.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The local directory that holds everything when there is no `url`.
    pub data_dir: PathBuf,
    /// `s3://bucket/prefix`, `gs://`, `az://`, `file:///path` or `memory://`; its scheme is one of these.
    pub url: Option<String>,
    /// The address of a store that is not the cloud's own.
    pub endpoint: Option<String>,
    /// Azure's storage account; else what the environment says.
    pub account: Option<String>,
    /// The bucket's region; else what the environment or the profile says.
    pub region: Option<String>,
    /// `endpoint/bucket/key` rather than `bucket.endpoint/key`; unsaid: if an endpoint is given.
    pub path_style: bool,
    /// The bucket is an S3 Express One Zone directory bucket; unsaid: if its name ends as theirs do and there is no
    /// endpoint.
    pub express: bool,
    /// Requests without TLS are allowed; unsaid: if the endpoint starts with `http:`.
    pub allow_http: bool,
    /// Bodies are not hashed into the signature (TLS and a checksum guard them).
    pub unsigned_payload: bool,
    /// The longest that one request may take before it is tried again.
    pub request_timeout: Duration,
    /// The longest that connecting may take.
    pub connect_timeout: Duration,
    /// Slow puts and reads are sent once more.
    pub hedge: bool,
}

const fn key(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key::ours(Section::Store, name, kind, default, doc)
}

const SCHEMES: [&str; 5] = ["s3", "gs", "az", "file", "memory"];

pub(super) const KEYS: &[Key] = &[
    key(
        "data.dir",
        Text,
        "./thalweg-data",
        "The directory that holds everything when `store.url` is not said. One process at a time.",
    ),
    key(
        "store.url",
        Text,
        "",
        "Where objects lie: s3://bucket/prefix, gs://bucket/prefix, az://container/prefix, file:///path, or memory:// \
         (lost at exit; memory://?max_bytes=N bounds it). Empty: `data.dir`.",
    ),
    key(
        "store.endpoint",
        Text,
        "",
        "The address of a store that is not the cloud's own: an S3 that is not Amazon's (http://localhost:9000), a Google \
         Cloud Storage that is not Google's, an Azure account at another place, with its name where the store wants it \
         in the path (http://localhost:10000/devstoreaccount1).",
    ),
    key(
        "store.account",
        Text,
        "",
        "The storage account of an az:// store; empty: what AZURE_STORAGE_ACCOUNT_NAME says.",
    ),
    key(
        "store.region",
        Text,
        "",
        "The bucket's region; empty: what the environment or the AWS profile says.",
    ),
    key(
        "store.path.style",
        Kind::OneOf(&["auto", "true", "false"]),
        "auto",
        "Put the bucket in the path rather than in the host's name; auto: where `store.endpoint` is said.",
    ),
    key(
        "store.express",
        Kind::OneOf(&["auto", "true", "false"]),
        "auto",
        "The bucket is an S3 Express One Zone directory bucket; auto: where its name ends in --x-s3 and `store.endpoint` \
         is not said.",
    ),
    key(
        "store.allow.http",
        Kind::OneOf(&["auto", "true", "false"]),
        "auto",
        "Allow requests without TLS; auto: where `store.endpoint` starts with http:.",
    ),
    key(
        "store.unsigned.payload",
        Bool,
        "true",
        "Leave bodies out of the S3 signature where TLS guards them; a checksum goes along all the same.",
    ),
    key(
        "store.request.timeout.ms",
        Millis { min: 100, max: 600_000 },
        "30000",
        "The longest that one request may take before it is tried again.",
    ),
    key(
        "store.connect.timeout.ms",
        Millis { min: 100, max: 60_000 },
        "5000",
        "The longest that connecting to the store may take.",
    ),
    key(
        "store.hedge",
        Bool,
        "true",
        "Send a put or a read once more, a put up to twice, when it takes longer than 95 in 100 did; one in six at most. Never on a local directory.",
    ),
];

impl StoreConfig {
    pub(super) fn read(values: &Values, faults: &mut Faults) -> Self {
        let url = values.said("store.url");
        if let Some(url) = &url
            && !url.split_once("://").is_some_and(|(scheme, _)| SCHEMES.contains(&scheme))
        {
            let what = "is not a place: it starts with s3://, gs://, az://, file:// or memory://";
            faults.about("store.url", values, what);
        }
        if values.text("data.dir").is_empty() {
            faults.about("data.dir", values, "names no directory");
        }
        let endpoint = values.said("store.endpoint");
        let plain = endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http:"));
        let unless_said = |name, auto| match values.text(name).as_str() {
            "auto" => auto,
            said => said == "true",
        };
        let express = unless_said("store.express", endpoint.is_none() && is_directory_bucket(&url));
        if express && endpoint.is_some() {
            let what = "is for Amazon's own directory buckets, whose address is known: leave store.endpoint empty";
            faults.about("store.express", values, what);
        }
        Self {
            data_dir: PathBuf::from(values.text("data.dir")),
            url,
            account: values.said("store.account"),
            region: values.said("store.region"),
            path_style: unless_said("store.path.style", endpoint.is_some()),
            endpoint,
            express,
            allow_http: unless_said("store.allow.http", plain),
            unsigned_payload: values.flag("store.unsigned.payload"),
            request_timeout: values.time("store.request.timeout.ms"),
            connect_timeout: values.time("store.connect.timeout.ms"),
            hedge: values.flag("store.hedge"),
        }
    }
}

/// Whether the URL's bucket has a name that only directory buckets may have.
fn is_directory_bucket(url: &Option<String>) -> bool {
    let rest = url.as_deref().and_then(|url| url.strip_prefix("s3://")).unwrap_or_default();
    rest.split('/').next().is_some_and(|bucket| bucket.ends_with("--x-s3"))
}
