//! The S3 client: against a server that answers as told, and against the store at `THALWEG_TEST_S3`.
//!
//! That store has the bucket `thalweg-test` and takes the key `minioadmin` with the secret `minioadmin`.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use object_store::aws::AmazonS3Builder;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::super::buckets;
use super::super::credentials::ChainCredentials;
use super::*;
use crate::base::rng::Rng;
use crate::base::task;
use crate::config::StoreConfig;

/// Settings as they are when nothing is said but the URL.
pub(super) fn config(url: &str) -> StoreConfig {
    StoreConfig {
        data_dir: "unused".into(),
        url: Some(url.to_owned()),
        endpoint: None,
        account: None,
        region: None,
        path_style: true,
        express: false,
        allow_http: true,
        unsigned_payload: true,
        request_timeout: Duration::from_secs(10),
        connect_timeout: Duration::from_secs(2),
        hedge: true,
    }
}

fn open_as(endpoint: &str, bucket: &str, prefix: &str, secret: &str) -> Store {
    let config = StoreConfig { endpoint: Some(endpoint.to_owned()), ..config("s3://unused") };
    let fixed = Credentials::new("minioadmin", secret, None, None, "test");
    let source = SharedCredentialsProvider::new(fixed);
    let credentials = Arc::new(ChainCredentials::new(source, clock()));
    let base = AmazonS3Builder::new();
    buckets::s3_as(base, &config, (bucket, prefix), "us-east-1", &credentials).unwrap()
}

/// `./test` starts one.
fn endpoint() -> Option<String> {
    let said = std::env::var("THALWEG_TEST_S3").ok();
    let demanded = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(said.is_some() || !demanded, "CI skips nothing: THALWEG_TEST_S3 names no store");
    said
}

/// A place of its own in the store that the environment names.
pub(super) async fn store() -> Option<Store> {
    let prefix = format!("test/{}", Rng::from_os().uuid());
    Some(open_as(&endpoint()?, "thalweg-test", &prefix, "minioadmin"))
}

/// A server that answers every request with `status`.
async fn server(status: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(task::spawn("test-server", async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = vec![0; 64 << 10];
            // The head and the little body come in one piece, or the client does not mind.
            drop(socket.read(&mut request).await);
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
            );
            drop(socket.write_all(format!("{head}{body}").as_bytes()).await);
        }
    }));
    address
}

async fn put_answered(status: &'static str) -> Error {
    let store = open_as(&server(status, "<Error/>").await, "b", "p", "s");
    store.put_if_absent(&Key::new("k"), payload("x")).await.unwrap_err()
}

#[tokio::test]
async fn every_status_has_its_meaning() {
    for (status, kind) in [
        ("409 Conflict", "exists"),
        ("412 Precondition Failed", "exists"),
        ("429 Too Many Requests", "throttled"),
        ("503 Slow Down", "throttled"),
        ("500 Internal Server Error", "unavailable"),
        ("502 Bad Gateway", "unavailable"),
        ("504 Gateway Timeout", "timeout"),
        ("408 Request Timeout", "timeout"),
        ("401 Unauthorized", "denied"),
        ("403 Forbidden", "denied"),
        ("404 Not Found", "not_found"),
        ("400 Bad Request", "refused"),
        ("501 Not Implemented", "refused"),
        ("301 Moved Permanently", "refused"),
    ] {
        let error = put_answered(status).await;
        assert_eq!(error.kind_name(), kind, "{status}: {error:?}");
    }
}

#[tokio::test]
async fn one_call_is_one_try() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let store = open_as(&format!("http://{}", listener.local_addr().unwrap()), "b", "p", "s");
    let put =
        task::spawn("put", async move { store.put_if_absent(&Key::new("k"), payload("x")).await });
    let (socket, _) = listener.accept().await.unwrap();
    drop(socket);
    let error = put.await.unwrap().unwrap().unwrap_err();
    assert!(error.is_retriable() && error.fate() == Fate::MaybeWritten, "{error:?}");
    let more = tokio::time::timeout(Duration::from_millis(300), listener.accept()).await;
    assert!(more.is_err(), "the client tried again by itself");
}

#[tokio::test]
async fn a_store_that_nobody_serves_is_unavailable_and_named() {
    // Nobody listens on a port that was just given back.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let store = open_as(&format!("http://{address}"), "b", "p", "s");
    let error = store.put_if_absent(&Key::new("k"), payload("x")).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    tokio::time::pause();
    let refusal = probe::probe(&store, &Rng::from_seed(1)).await.unwrap_err().to_string();
    assert!(refusal.contains("does not answer") && refusal.contains("store.endpoint"), "{refusal}");
    let store = format!("s3://b/p at http://{address} does not answer");
    assert!(refusal.starts_with(&store), "{refusal}");
}

#[tokio::test]
async fn a_store_that_ignores_conditions_is_refused() {
    // Every put succeeds, whatever stands there.
    let store = open_as(&server("200 OK\r\netag: \"1\"", "").await, "b", "p", "s");
    let refusal = probe::probe(&store, &Rng::from_seed(1)).await.unwrap_err().to_string();
    assert!(refusal.contains("does not keep put-if-absent"), "{refusal}");
    assert!(refusal.contains("use a store that honours conditional writes"), "{refusal}");
}

#[tokio::test]
async fn a_store_that_refuses_reads_is_not_blamed_for_its_puts() {
    let store = open_as(&server("400 Bad Request", "<Error/>").await, "b", "p", "s");
    let refusal = probe::probe(&store, &Rng::from_seed(1)).await.unwrap_err().to_string();
    assert!(refusal.contains("refuses requests") && refusal.contains("store.url"), "{refusal}");
}

#[tokio::test]
async fn wrong_credentials_and_a_missing_bucket_are_told_apart() {
    let Some(endpoint) = endpoint() else { return };
    let refusal = |bucket: &'static str, secret: &'static str| {
        let store = open_as(&endpoint, bucket, "p", secret);
        async move { probe::probe(&store, &Rng::from_os()).await.unwrap_err().to_string() }
    };
    let denied = refusal("thalweg-test", "wrong").await;
    assert!(denied.contains("denies access") && denied.contains("credentials need to"), "{denied}");
    let missing = refusal("no-such-bucket", "minioadmin").await;
    assert!(
        missing.contains("does not exist") && missing.contains("create the bucket"),
        "{missing}"
    );
}
