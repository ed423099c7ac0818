//! Credentials that a role lends for a while: to a web identity, an instance, a container.
//!
//! Who lends them is played here; what is lent is MinIO's: keys that work with their session token only.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, ensure};
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_sdk_sts::primitives::{DateTime, DateTimeFormat};
use tempfile::TempDir;

use crate::credentials::{serves, settings, user};
use crate::minio::Minio;

const ROLE: &str = "arn:aws:iam::123456789012:role/broker";
/// The least that MinIO lends for, in seconds.
const LENT_FOR: i32 = 900;
/// What the first keys are said to live: less than the time before their end when new ones are asked for.
const SHORT: i64 = 200;

/// What is lent.
#[derive(Debug, Clone)]
struct Keys {
    id: String,
    secret: String,
    token: String,
    until: DateTime,
}

impl Keys {
    /// Borrows from MinIO.
    async fn lent() -> anyhow::Result<Self> {
        let (key, secret) = user()?;
        let sdk = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url(Minio::shared()?.endpoint())
            .credentials_provider(Credentials::new(key, secret, None, None, "test"))
            .load()
            .await;
        let role = aws_sdk_sts::Client::new(&sdk).assume_role().role_arn(ROLE);
        let lent = role.role_session_name("test").duration_seconds(LENT_FOR).send().await?;
        let lent = lent.credentials.context("MinIO lends nothing")?;
        Ok(Self {
            id: lent.access_key_id,
            secret: lent.secret_access_key,
            token: lent.session_token,
            until: lent.expiration,
        })
    }

    /// The same, said to end soon.
    fn ending(mut self) -> Self {
        let early = i64::from(LENT_FOR) - SHORT;
        self.until = DateTime::from_secs(self.until.secs() - early);
        self
    }

    fn until(&self) -> anyhow::Result<String> {
        Ok(self.until.fmt(DateTimeFormat::DateTime)?)
    }

    /// As the metadata of an instance and of a container say them.
    fn json(&self) -> anyhow::Result<String> {
        let Self { id, secret, token, .. } = self;
        let until = self.until()?;
        Ok(format!(
            r#"{{"Code":"Success","Type":"AWS-HMAC","LastUpdated":"2026-01-01T00:00:00Z","AccessKeyId":"{id}","SecretAccessKey":"{secret}","Token":"{token}","Expiration":"{until}"}}"#
        ))
    }

    /// As the security token service says them.
    fn xml(&self) -> anyhow::Result<String> {
        let Self { id, secret, token, .. } = self;
        let until = self.until()?;
        Ok(format!(
            "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
             <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{id}</AccessKeyId>\
             <SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{token}</SessionToken>\
             <Expiration>{until}</Expiration></Credentials></AssumeRoleWithWebIdentityResult>\
             </AssumeRoleWithWebIdentityResponse>"
        ))
    }
}

/// A request: its first line, its headers in lower case, its body.
#[derive(Debug, Clone)]
struct Request {
    line: String,
    headers: String,
    body: String,
}

/// Who lends keys: first some that end soon, then some that last.
#[derive(Debug, Clone)]
struct Lender {
    address: String,
    keys: [Keys; 2],
    /// Every request for keys.
    asked: Arc<Mutex<Vec<Request>>>,
}

impl Lender {
    /// Starts to listen. `answer` gives what to say to a request: a status and a body.
    async fn start(
        answer: impl Fn(&Self, &Request) -> anyhow::Result<(u16, String)> + Send + 'static,
    ) -> anyhow::Result<Self> {
        let keys = [Keys::lent().await?.ending(), Keys::lent().await?];
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = format!("http://{}", listener.local_addr()?);
        let lender = Self { address, keys, asked: Arc::default() };
        let served = lender.clone();
        // It ends with the process.
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                if let Err(error) = served.serve(socket, &answer) {
                    println!("a request for keys: {error:#}");
                }
            }
        });
        Ok(lender)
    }

    fn serve(
        &self,
        mut socket: TcpStream,
        answer: impl Fn(&Self, &Request) -> anyhow::Result<(u16, String)>,
    ) -> anyhow::Result<()> {
        let request = read(&mut socket)?;
        let (status, body) = answer(self, &request)?;
        let length = body.len();
        // A token of an instance's metadata says how long it is good for.
        let head = format!(
            "HTTP/1.1 {status} Said\r\ncontent-length: {length}\r\nconnection: close\r\n\
             x-aws-ec2-metadata-token-ttl-seconds: 21600\r\n\r\n"
        );
        Ok(socket.write_all(format!("{head}{body}").as_bytes())?)
    }

    /// Notes that keys were asked for, and gives the next.
    fn lend(&self, request: &Request) -> &Keys {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.push(request.clone());
        &self.keys[(asked.len() - 1).min(1)]
    }

    fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn read(socket: &mut TcpStream) -> anyhow::Result<Request> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let (line, headers) = head.split_once("\r\n").unwrap_or((head, ""));
            let headers = headers.to_lowercase();
            let length = headers.lines().find_map(|line| line.strip_prefix("content-length:"));
            if body.len() >= length.map_or(Ok(0), |length| length.trim().parse())? {
                let (line, body) = (line.to_owned(), body.to_owned());
                return Ok(Request { line, headers, body });
            }
        }
        let mut piece = [0; 4096];
        let count = socket.read(&mut piece)?;
        ensure!(count > 0, "the request is cut off");
        bytes.extend_from_slice(&piece[..count]);
    }
}

/// A broker serves with what is lent, and asks once more while the first keys still work: not before, not again.
async fn lives_on_loans(
    lender: &Lender,
    folder: &Path,
    env: &[(&str, &str)],
) -> anyhow::Result<[Request; 2]> {
    let mut settings = settings(folder, "empty")?.context("MinIO is there")?;
    settings.env.retain(|(name, _)| name != "AWS_EC2_METADATA_DISABLED");
    settings.env.extend(env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    serves(&settings).await?;
    let asked = lender.asked();
    let count = asked.len();
    <[Request; 2]>::try_from(asked).map_err(|_| anyhow::anyhow!("asked {count} times"))
}

/// A folder for a broker, if there is a MinIO to borrow from.
fn folder_beside_minio() -> anyhow::Result<Option<TempDir>> {
    let folder = tempfile::Builder::new().prefix("thalweg-it-").tempdir()?;
    Ok(settings(folder.path(), "empty")?.map(|_| folder))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_identity_s_keys_are_renewed_with_the_token_of_then() -> anyhow::Result<()> {
    let Some(folder) = folder_beside_minio()? else { return Ok(()) };
    let file = folder.path().join("token");
    fs::write(&file, "first-identity")?;
    let renewed = file.clone();
    let lender = Lender::start(move |lender, request| {
        // Who issues identities replaces them while they are used.
        fs::write(&renewed, "second-identity")?;
        Ok((200, lender.lend(request).xml()?))
    })
    .await?;
    let env = [
        ("AWS_ROLE_ARN", ROLE),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().context("a path is text")?),
        ("AWS_ENDPOINT_URL_STS", lender.address.as_str()),
    ];
    let asked = lives_on_loans(&lender, folder.path(), &env).await?;
    for (request, identity) in asked.iter().zip(["first-identity", "second-identity"]) {
        let says = |part: &str| request.body.split('&').any(|one| one == part);
        ensure!(says("Action=AssumeRoleWithWebIdentity"), "{}", request.body);
        ensure!(says(&format!("WebIdentityToken={identity}")), "{}", request.body);
        ensure!(says("RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fbroker"), "{request:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_s_keys_are_renewed() -> anyhow::Result<()> {
    let Some(folder) = folder_beside_minio()? else { return Ok(()) };
    let lender = Lender::start(|lender, request| {
        let roles = "/latest/meta-data/iam/security-credentials/";
        let mut words = request.line.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        Ok(match (method, path) {
            ("PUT", "/latest/api/token") => (200, "session-of-metadata".to_owned()),
            ("GET", path) if !request.headers.contains("session-of-metadata") => {
                (401, format!("{path} without a token"))
            }
            ("GET", path) if path == roles => (200, "broker".to_owned()),
            ("GET", path) if path.strip_prefix(roles) == Some("broker") => {
                (200, lender.lend(request).json()?)
            }
            _ => (404, String::new()),
        })
    })
    .await?;
    let env = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", lender.address.as_str())];
    lives_on_loans(&lender, folder.path(), &env).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_s_keys_are_renewed() -> anyhow::Result<()> {
    let Some(folder) = folder_beside_minio()? else { return Ok(()) };
    let lender = Lender::start(|lender, request| Ok((200, lender.lend(request).json()?))).await?;
    let uri = format!("{}/v1/credentials", lender.address);
    let env = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "pod-identity"),
    ];
    for request in lives_on_loans(&lender, folder.path(), &env).await? {
        ensure!(request.line.starts_with("GET /v1/credentials "), "{request:?}");
        ensure!(request.headers.contains("authorization: pod-identity"), "{request:?}");
    }
    Ok(())
}
