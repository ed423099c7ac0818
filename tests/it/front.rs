//! What stands between a broker and MinIO: it notes every request, speaks TLS where that is wanted, and can fall silent.
//!
//! `front/` holds its certificate, which is its own authority, and the key to it. Nothing but these tests trusts them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use thalweg::base::task;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::broker::Settings;
use crate::minio::Minio;

/// Whether bodies and heads are encrypted on the way to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    Plain,
    Tls,
}

/// A request as it was sent: method, path, and headers by their names in lower case.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    fn read(text: &str) -> anyhow::Result<Self> {
        let mut lines = text.lines();
        let mut words = lines.next().context("an empty head")?.split(' ');
        let mut word = || words.next().context("half a request line").map(str::to_owned);
        let (method, path) = (word()?, word()?);
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        Ok(Self { method, path, headers: lines.filter_map(header).collect() })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// A running front; it ends with the runtime that it was started in.
#[derive(Debug, Clone)]
pub(crate) struct Front {
    endpoint: String,
    speaks: Speaks,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    heads: Mutex<Vec<Head>>,
    is_silent: AtomicBool,
}

impl Front {
    pub(crate) async fn start(speaks: Speaks) -> anyhow::Result<Self> {
        let minio = Minio::shared()?.endpoint();
        let minio: SocketAddr = minio.trim_start_matches("http://").parse()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let scheme = if speaks == Speaks::Tls { "https" } else { "http" };
        let endpoint = format!("{scheme}://{}", listener.local_addr()?);
        let front = Self { endpoint, speaks, shared: Arc::default() };
        let (accepting, tls) = (front.clone(), acceptor()?);
        task::spawn("front", async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (front, tls) = (accepting.clone(), tls.clone());
                // A connection that breaks is the program's to mend.
                task::spawn("front-connection", async move {
                    match front.speaks {
                        Speaks::Plain => front.serve(socket, minio).await,
                        Speaks::Tls => front.serve(tls.accept(socket).await?, minio).await,
                    }
                });
            }
        });
        Ok(front)
    }

    /// A broker's settings with this before its MinIO.
    pub(crate) fn before(&self, mut settings: Settings) -> Settings {
        settings.set.retain(|(key, _)| key != "store.endpoint");
        if self.speaks == Speaks::Tls {
            let trusted = certificate().display().to_string();
            settings.env.push(("SSL_CERT_FILE".to_owned(), trusted));
        }
        settings.set("store.endpoint", &self.endpoint)
    }

    /// Every request until now.
    pub(crate) fn heads(&self) -> Vec<Head> {
        self.shared.heads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on requests are taken and noted, and neither they nor answers are passed on.
    pub(crate) fn fall_silent(&self) {
        self.shared.is_silent.store(true, Ordering::SeqCst);
    }

    async fn serve(
        self,
        client: impl AsyncRead + AsyncWrite,
        minio: SocketAddr,
    ) -> std::io::Result<()> {
        let (from_client, to_client) = tokio::io::split(client);
        let (from_minio, to_minio) = TcpStream::connect(minio).await?.into_split();
        let mut requests = Requests::default();
        let note = |bytes: &[u8]| {
            let mut heads = self.shared.heads.lock().unwrap_or_else(PoisonError::into_inner);
            heads.extend(requests.take_up(bytes));
        };
        tokio::select! {
            done = self.pass(from_client, to_minio, note) => done,
            done = self.pass(from_minio, to_client, |_| ()) => done,
        }
    }

    async fn pass(
        &self,
        from: impl AsyncRead,
        to: impl AsyncWrite,
        mut note: impl FnMut(&[u8]),
    ) -> std::io::Result<()> {
        let (mut from, mut to) = (std::pin::pin!(from), std::pin::pin!(to));
        let mut piece = vec![0; 64 << 10];
        loop {
            let count = from.read(&mut piece).await?;
            if count == 0 {
                return Ok(());
            }
            note(&piece[..count]);
            if self.shared.is_silent.load(Ordering::SeqCst) {
                // What comes after it is noted too.
                continue;
            }
            to.write_all(&piece[..count]).await?;
            to.flush().await?;
        }
    }
}

/// The requests of one connection, one after another.
#[derive(Debug, Default)]
struct Requests {
    head: Vec<u8>,
    /// Bytes of a body that have not come yet.
    body: usize,
}

impl Requests {
    /// The heads that end in `bytes`.
    fn take_up(&mut self, mut bytes: &[u8]) -> Vec<Head> {
        let mut heads = Vec::new();
        while !bytes.is_empty() {
            let passed = self.body.min(bytes.len());
            (self.body, bytes) = (self.body - passed, &bytes[passed..]);
            let Some((byte, rest)) = bytes.split_first() else { break };
            self.head.push(*byte);
            bytes = rest;
            if self.head.ends_with(b"\r\n\r\n") {
                let head = Head::read(&String::from_utf8_lossy(&self.head)).expect("HTTP");
                let length = head.header("content-length").map_or(Ok(0), str::parse);
                self.body = length.expect("a number");
                self.head.clear();
                heads.push(head);
            }
        }
        heads
    }
}

fn certificate() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/front/certificate.pem")
}

fn acceptor() -> anyhow::Result<TlsAcceptor> {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("front/certificate.pem"))?;
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("front/key.pem"))?;
    let config = ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(vec![certificate], key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
