//! The emulator as its clients see it: through the S3 client that the product uses, against the program as a process.

use std::{
    path::PathBuf,
    process::{Child, Command},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{
    Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
    RetryConfig, UpdateVersion,
    aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut},
    path::Path,
};

struct Emulator {
    child: Child,
    url: String,
    ready: PathBuf,
}

impl Emulator {
    fn start(name: &str, arguments: &[&str]) -> Self {
        let ready =
            std::env::temp_dir().join(format!("store-emulator-{name}-{}", std::process::id()));
        let _ = std::fs::remove_file(&ready);
        let child = Command::new(env!("CARGO_BIN_EXE_store-emulator"))
            .arg("--ready-file")
            .arg(&ready)
            .args(arguments)
            .spawn()
            .expect("the program was built");
        let began = Instant::now();
        let url = loop {
            match std::fs::read_to_string(&ready) {
                Ok(text) if text.ends_with('\n') => break text.trim().to_owned(),
                _ => assert!(began.elapsed() < Duration::from_secs(20), "not ready in 20 s"),
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        Self { child, url, ready }
    }

    fn client(&self, secret: &str) -> AmazonS3 {
        AmazonS3Builder::new()
            .with_endpoint(&self.url)
            .with_allow_http(true)
            .with_bucket_name("bench")
            .with_region("us-east-1")
            .with_access_key_id("emulator")
            .with_secret_access_key(secret)
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
            .build()
            .expect("a valid client")
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.ready);
    }
}

fn create() -> PutOptions {
    PutOptions { mode: PutMode::Create, ..PutOptions::default() }
}

#[tokio::test]
async fn a_name_is_created_once_whatever_the_race() {
    let emulator = Emulator::start("race", &["--profile", "fixed:20ms"]);
    let client = emulator.client("emulator-secret");
    let key = Path::from("one/name");
    let tries = (0..16).map(|number: u8| {
        let (client, key) = (&client, &key);
        async move { client.put_opts(key, PutPayload::from(vec![number; 1_000]), create()).await }
    });
    let outcomes = futures::future::join_all(tries).await;
    let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let lost = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Err(Error::AlreadyExists { .. })))
        .count();
    assert_eq!((won, lost), (1, 15));
}

#[tokio::test]
async fn an_update_needs_the_version_that_is_there() {
    let emulator = Emulator::start("update", &[]);
    let client = emulator.client("emulator-secret");
    let key = Path::from("register");
    let first = client.put_opts(&key, "1".into(), create()).await.expect("nothing was there");
    let version = UpdateVersion { e_tag: first.e_tag, version: None };
    let update = || PutOptions { mode: PutMode::Update(version.clone()), ..PutOptions::default() };
    client.put_opts(&key, "2".into(), update()).await.expect("the version was current");
    let late = client.put_opts(&key, "3".into(), update()).await;
    assert!(matches!(late, Err(Error::Precondition { .. })), "{late:?}");
    let held = client.get(&key).await.expect("it is there").bytes().await.expect("it has a body");
    assert_eq!(held, Bytes::from_static(b"2"));
}

#[tokio::test]
async fn ranges_suffixes_listings_and_deletes() {
    let emulator = Emulator::start("range", &[]);
    let client = emulator.client("emulator-secret");
    let body: Bytes =
        (0..100_000u32).map(|number| (number % 251) as u8).collect::<Vec<u8>>().into();
    let key = Path::from("a/b c/ü+1");
    client.put(&key, PutPayload::from(body.clone())).await.expect("stored");
    assert_eq!(
        client.get_range(&key, 70_000..70_010).await.expect("a range"),
        body.slice(70_000..70_010)
    );
    let suffix = GetOptions { range: Some(GetRange::Suffix(64)), ..GetOptions::default() };
    let tail = client.get_opts(&key, suffix).await.expect("a suffix");
    assert_eq!(tail.meta.size, 100_000);
    assert_eq!(tail.bytes().await.expect("a body"), body.slice(99_936..));
    assert_eq!(client.head(&key).await.expect("it is there").size, 100_000);
    for number in 0..2_500 {
        client
            .put(&Path::from(format!("many/{number:05}")), PutPayload::new())
            .await
            .expect("stored");
    }
    let many = Path::from("many");
    let listed: Vec<_> = client.list(Some(&many)).try_collect().await.expect("listed");
    assert_eq!(listed.len(), 2_500);
    let locations = futures::stream::iter(listed.into_iter().map(|meta| Ok(meta.location)));
    let deleted: Vec<_> =
        client.delete_stream(Box::pin(locations)).try_collect().await.expect("deleted");
    assert_eq!(deleted.len(), 2_500);
    let left: Vec<_> = client.list(None).try_collect().await.expect("listed");
    assert_eq!(left.len(), 1);
    client.delete(&key).await.expect("deleted");
    assert!(matches!(client.get(&key).await, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn parts_make_one_object() {
    let emulator = Emulator::start("parts", &[]);
    let client = emulator.client("emulator-secret");
    let key = Path::from("parts");
    let mut upload = client.put_multipart(&key).await.expect("begun");
    for part in 0..3u8 {
        upload.put_part(PutPayload::from(vec![part; 5 << 20])).await.expect("stored");
    }
    upload.complete().await.expect("complete");
    let body = client.get(&key).await.expect("it is there").bytes().await.expect("a body");
    assert_eq!(body.len(), 15 << 20);
    assert_eq!((body[0], body[15 * (1 << 20) - 1]), (0, 2));
}

#[tokio::test]
async fn a_wrong_secret_is_denied() {
    let emulator = Emulator::start("denied", &[]);
    let outcome = emulator.client("another").put(&Path::from("x"), "y".into()).await;
    assert!(outcome.is_err_and(|error| format!("{error:?}").contains("SignatureDoesNotMatch")));
}

#[tokio::test]
async fn latency_and_errors_are_as_asked() {
    let emulator =
        Emulator::start("faults", &["--profile", "fixed:50ms", "--errors", "0.5", "--seed", "9"]);
    let client = emulator.client("emulator-secret");
    let mut refused = 0;
    for number in 0..20 {
        let began = Instant::now();
        let outcome =
            client.put_opts(&Path::from(format!("n/{number}")), "x".into(), create()).await;
        assert!(began.elapsed() >= Duration::from_millis(50));
        refused += u32::from(outcome.is_err());
    }
    assert!((3..=17).contains(&refused), "{refused} of 20 refused");
}
