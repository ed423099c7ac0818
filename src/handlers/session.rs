//! One client connection as the handlers see it, and where each request starts.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures::FutureExt as _;

use super::{Context, Room, dispatch, produce};
use crate::protocol::frame::ResponseFrame;
use crate::protocol::header::RequestHeader;
use crate::protocol::{self, ApiKey, bounds};
use crate::share;

/// What one connection is.
#[derive(Debug)]
pub struct Session {
    /// The broker's parts.
    pub(super) context: Arc<Context>,
    /// The listener that the client came in on: answers name its addresses.
    pub(super) listener: Arc<str>,
    /// Where the client is, as Kafka shows addresses.
    pub(super) client_host: String,
    /// Share sessions that the connection opens end with it.
    share: OnceLock<share::Connection>,
}

/// What became of a request.
#[derive(Debug)]
pub enum Outcome {
    /// A response to send.
    Answer(ResponseFrame),
    /// A response to send, and the memory that it holds until it is sent.
    Held(ResponseFrame, Room),
    /// Nothing is sent: a produce with acks=0.
    Silent,
    /// The connection is closed.
    Close(CloseReason),
}

/// Why a connection is closed instead of answered.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CloseReason {
    /// The bytes are no request that we serve.
    #[error("bad request: {0}")]
    BadRequest(#[from] protocol::Error),
    /// An API of ours in a version that we do not serve.
    #[error("version {version} of {api} is not served")]
    UnservedVersion {
        /// The API.
        api: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// The bytes do not decode.
    #[error("malformed {api} request")]
    Malformed {
        /// The API.
        api: &'static str,
    },
    /// What it asks for is more than there is memory for.
    #[error("no memory for the answer to {api}")]
    NoMemory {
        /// The API.
        api: &'static str,
    },
    /// The task that found its answer is gone.
    #[error("the request was given up")]
    GivenUp,
    /// A produce that nobody may answer failed: closing is the only way to say so.
    #[error("a produce with acks=0 failed")]
    SilentProduceFailed,
}

/// A request whose answer is on its way.
pub type Answering = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// How a request goes on.
pub enum Step {
    /// It is admitted; the next Produce may start before its answer, which only waits: what it takes to answer goes on
    /// whether or not it is polled.
    Pipelined(Answering),
    /// It starts when every earlier request is answered, and nothing starts before its answer.
    Alone(Answering),
}

impl Session {
    /// A new connection on the listener of that name.
    #[must_use]
    pub fn new(context: Arc<Context>, listener: Arc<str>) -> Self {
        Self { context, listener, client_host: String::new(), share: OnceLock::new() }
    }

    /// Says where the client is.
    #[must_use]
    pub fn from(mut self, client: IpAddr) -> Self {
        self.client_host = format!("/{client}");
        self
    }

    /// What share sessions know the connection by.
    pub(super) fn share_connection(&self) -> &share::Connection {
        self.share.get_or_init(|| self.context.share.connection())
    }

    /// Waits until the log has room for more bytes. Cancel-safe.
    pub async fn admitted(&self) {
        if let Some(wal) = self.context.log.wal() {
            wal.admitted().await;
        }
    }

    /// Whether memory for answers is short: who does not take theirs keeps it from others.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.context.answers.is_short()
    }

    /// Whether a fence ended the chain. What was not answered by then may be another process' to answer.
    #[must_use]
    pub fn is_fenced(&self) -> bool {
        self.context.log.is_fenced()
    }

    /// Begins one request. A Produce is admitted here, in the order of calls.
    #[must_use]
    pub fn begin(session: &Arc<Self>, request: Request) -> Step {
        let Request { header, body, .. } = request;
        if !header.is_served() {
            return Step::Alone(dispatch::unserved(&header));
        }
        if header.key == ApiKey::Produce {
            return produce::begin(session, &header, &body);
        }
        let session = Arc::clone(session);
        Step::Alone(async move { dispatch::handle(&session, header, body).await }.boxed())
    }
}

/// A frame whose header was read and whose counts were checked, but that was not decoded yet.
#[derive(Debug)]
pub struct Request {
    header: RequestHeader,
    body: Bytes,
    heap_bytes: usize,
}

impl Request {
    /// Reads a frame, without its length prefix.
    ///
    /// # Errors
    /// The connection is closed: what came is no request.
    pub fn read(mut frame: Bytes) -> Result<Self, CloseReason> {
        let header = RequestHeader::take(&mut frame)?;
        let heap_bytes = if header.is_served() {
            bounds::walk(header.key, header.version, &frame)?.heap_bytes
        } else {
            0
        };
        Ok(Self { header, body: frame, heap_bytes })
    }

    /// The most that decoding it allocates: what its connection reserves before it begins.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.heap_bytes
    }
}

pub(super) fn closed(reason: CloseReason) -> Step {
    Step::Alone(std::future::ready(Outcome::Close(reason)).boxed())
}
