//! S3 Express, played by this test in the client's place of a network: sessions, and what they must be shown for.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use http_body_util::BodyExt as _;
use object_store::ClientOptions;
use object_store::aws::AmazonS3Builder;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};

use super::super::buckets;
use super::super::credentials::ChainCredentials;
use super::*;
use crate::base::rng::Rng;
use crate::config::StoreConfig;

const BUCKET: &str = "records--use1-az4--x-s3";
const HOST: &str = "records--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com";

/// A directory bucket: it gives sessions to the chain's key, and everything else to sessions only.
#[derive(Debug, Clone, Default)]
struct Express(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    sessions: usize,
    objects: BTreeMap<String, Bytes>,
}

impl HttpConnector for Express {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Express {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let header = |name: &str| {
            let value = head.headers.get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if head.uri.host() != Some(HOST) || head.uri.scheme_str() != Some("https") {
            return Ok(answer(421, Bytes::new()));
        }
        let signer = header("authorization");
        let signed_by = |key: &str| signer.contains(&format!("Credential={key}/"));
        let token = header("x-amz-s3session-token");
        if head.uri.query() == Some("session") {
            let is_theirs = head.method == "GET" && signed_by("chain-key") && token.is_empty();
            state.sessions += usize::from(is_theirs);
            let status = if is_theirs { 200 } else { 403 };
            return Ok(answer(status, Bytes::from(SESSION)));
        }
        if !signed_by("session-key") || token != "session-token" {
            return Ok(answer(403, Bytes::new()));
        }
        let name = head.uri.path().to_owned();
        let (status, body) = match (head.method.as_str(), state.objects.get(&name)) {
            ("GET", Some(bytes)) => (200, bytes.clone()),
            ("GET", None) => (404, Bytes::new()),
            ("PUT", Some(_)) if header("if-none-match") == "*" => (412, Bytes::new()),
            ("PUT", _) => {
                state.objects.insert(name, body);
                (200, Bytes::new())
            }
            // One name, as the client deletes many.
            ("POST", _) => {
                let text = String::from_utf8_lossy(&body).into_owned();
                let (_, name) = text.split_once("<Key>").unwrap();
                let (name, _) = name.split_once("</Key>").unwrap();
                state.objects.remove(&format!("/{name}"));
                let deleted = format!("<Deleted><Key>{name}</Key></Deleted>");
                (200, Bytes::from(format!("<DeleteResult>{deleted}</DeleteResult>")))
            }
            _ => (405, Bytes::new()),
        };
        Ok(answer(status, body))
    }
}

const SESSION: &str = "<CreateSessionResult><Credentials><SessionToken>session-token</SessionToken>\
    <SecretAccessKey>s</SecretAccessKey><AccessKeyId>session-key</AccessKeyId>\
    <Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></CreateSessionResult>";

fn answer(status: u16, body: Bytes) -> HttpResponse {
    let length = body.len().to_string();
    let mut answer = HttpResponse::new(HttpResponseBody::from(body));
    *answer.status_mut() = status.try_into().unwrap();
    for (name, value) in [
        ("content-length", length.as_str()),
        ("etag", "\"1\""),
        ("last-modified", "Sun, 29 Nov 2026 12:00:00 GMT"),
    ] {
        answer.headers_mut().insert(name, value.parse().unwrap());
    }
    answer
}

fn open(express: &Express, is_express: bool) -> Store {
    let config =
        StoreConfig { express: is_express, path_style: false, ..s3::config("s3://unused") };
    let fixed = Credentials::new("chain-key", "s", None, None, "test");
    let credentials = ChainCredentials::new(SharedCredentialsProvider::new(fixed), clock());
    let base = AmazonS3Builder::new().with_http_connector(express.clone());
    buckets::s3_as(base, &config, (BUCKET, "p"), "us-east-1", &Arc::new(credentials)).unwrap()
}

#[tokio::test]
async fn a_directory_bucket_is_used_through_a_session() {
    let express = Express::default();
    let store = open(&express, true);
    probe::probe(&store, &Rng::from_seed(1)).await.unwrap();
    let key = Key::new("w/1");
    store.put_if_absent(&key, payload("records")).await.unwrap();
    let again = store.put_if_absent(&key, payload("other")).await;
    assert!(matches!(again, Err(Error::AlreadyExists { .. })), "{again:?}");
    assert_eq!(store.get(&key).await.unwrap(), "records");
    assert_eq!(express.0.lock().unwrap().objects.len(), 1, "the probe leaves nothing behind");
    // One for our client and one for SlateDB's: a session serves many requests.
    assert_eq!(express.0.lock().unwrap().sessions, 2);
}

#[tokio::test]
async fn a_directory_bucket_without_sessions_is_refused() {
    let store = open(&Express::default(), false);
    let refusal = probe::probe(&store, &Rng::from_seed(1)).await.unwrap_err().to_string();
    assert!(refusal.contains("refuses requests"), "{refusal}");
}
