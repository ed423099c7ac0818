//! One connection to one broker: frames out, answers in the same order.
//!
//! Owns the socket and the versions that its broker speaks. Many requests may be under way; their order is the order of the
//! calls. A connection that failed once stays failed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, RequestHeader, ResponseHeader,
};
use kafka_protocol::protocol::{
    Decodable, Encodable, HeaderVersion, Request, StrBytes, VersionRange,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};

use crate::base::task;
use crate::client::Error;
use crate::config::Address;

/// Requests that may be under way on one connection.
const IN_FLIGHT_MAX: usize = 64;

/// The largest answer that is read: more is not Kafka.
const ANSWER_BYTES_MAX: usize = 1 << 30;

/// UNSUPPORTED_VERSION, in an answer to ApiVersions that has version 0's form.
const UNSUPPORTED_VERSION: i16 = 35;

/// A frame to send, and who waits for its answer; nobody where Kafka sends none.
struct Call {
    frame: Bytes,
    correlation: i32,
    reply: Option<oneshot::Sender<Bytes>>,
}

struct Waiting {
    correlation: i32,
    reply: oneshot::Sender<Bytes>,
}

/// See the module's doc.
#[derive(Debug)]
pub(super) struct Connection {
    address: Address,
    client_id: StrBytes,
    calls: mpsc::Sender<Call>,
    correlation: AtomicI32,
    versions: BTreeMap<i16, VersionRange>,
    timeout: Duration,
}

impl Connection {
    /// Connects to `address` and asks which versions it speaks.
    pub(super) async fn open(
        address: &Address,
        client_id: &str,
        timeout: Duration,
    ) -> Result<Self, Error> {
        let connecting = TcpStream::connect((address.host.as_str(), address.port));
        let stream = tokio::time::timeout(timeout, connecting)
            .await
            .map_err(|_| Error::Timeout { address: address.clone(), after: timeout })?
            .map_err(|source| Error::Connect { address: address.clone(), source })?;
        // Without it the last part of each request waits for the answer to the one before.
        let _ = stream.set_nodelay(true);
        let (reading, writing) = stream.into_split();
        let (calls, queue) = mpsc::channel(IN_FLIGHT_MAX);
        let (waiting, answers) = mpsc::channel(IN_FLIGHT_MAX);
        drop(task::spawn("client-write", write(writing, queue, waiting)));
        drop(task::spawn("client-read", read(reading, answers)));
        let mut connection = Self {
            address: address.clone(),
            client_id: StrBytes::from_string(client_id.to_owned()),
            calls,
            correlation: AtomicI32::new(0),
            versions: BTreeMap::new(),
            timeout,
        };
        connection.versions = connection.negotiate().await?;
        Ok(connection)
    }

    pub(super) fn is_open(&self) -> bool {
        !self.calls.is_closed()
    }

    /// The newest version of `R` that both sides speak, at most `newest`.
    pub(super) fn version<R: Request>(&self, newest: i16) -> Result<i16, Error> {
        let ours = VersionRange { min: R::VERSIONS.min, max: R::VERSIONS.max.min(newest) };
        let common = self.versions.get(&R::KEY).map(|theirs| ours.intersect(theirs));
        match common {
            Some(common) if !common.is_empty() => Ok(common.max),
            _ => Err(Error::Unsupported { address: self.address.clone(), api: R::KEY }),
        }
    }

    /// Sends `request` and waits for its answer.
    pub(super) async fn ask<R: Request>(
        &self,
        request: &R,
        version: i16,
    ) -> Result<R::Response, Error> {
        let (reply, answer) = oneshot::channel();
        self.put(request, version, Some(reply)).await?;
        let mut answer = self.answer(answer).await?;
        self.decode::<R::Response>(&mut answer, R::KEY, version)
    }

    /// Sends `request`; what this gives waits for its answer. Requests go out in the order of calls.
    pub(super) async fn begin<R: Request>(
        connection: &Arc<Self>,
        request: &R,
        version: i16,
    ) -> Result<impl Future<Output = Result<R::Response, Error>> + use<R>, Error> {
        let (reply, answer) = oneshot::channel();
        connection.put(request, version, Some(reply)).await?;
        let connection = Arc::clone(connection);
        Ok(async move {
            let mut answer = connection.answer(answer).await?;
            connection.decode::<R::Response>(&mut answer, R::KEY, version)
        })
    }

    /// Sends `request`, to which Kafka sends no answer.
    pub(super) async fn tell<R: Request>(&self, request: &R, version: i16) -> Result<(), Error> {
        self.put(request, version, None).await
    }

    async fn put<R: Request>(
        &self,
        request: &R,
        version: i16,
        reply: Option<oneshot::Sender<Bytes>>,
    ) -> Result<(), Error> {
        let correlation = self.correlation.fetch_add(1, Ordering::Relaxed);
        let frame = self.encode(request, version, correlation)?;
        let call = Call { frame, correlation, reply };
        self.calls.send(call).await.map_err(|_| Error::Closed { address: self.address.clone() })
    }

    async fn answer(&self, answer: oneshot::Receiver<Bytes>) -> Result<Bytes, Error> {
        match tokio::time::timeout(self.timeout, answer).await {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(_)) => Err(Error::Closed { address: self.address.clone() }),
            Err(_) => Err(Error::Timeout { address: self.address.clone(), after: self.timeout }),
        }
    }

    fn malformed(&self, api: i16) -> Error {
        Error::Malformed { address: self.address.clone(), api }
    }

    fn encode<R: Request>(
        &self,
        request: &R,
        version: i16,
        correlation: i32,
    ) -> Result<Bytes, Error> {
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(correlation)
            .with_client_id(Some(self.client_id.clone()));
        let mut frame = BytesMut::new();
        frame.extend_from_slice(&[0; 4]);
        header
            .encode(&mut frame, R::header_version(version))
            .and_then(|()| request.encode(&mut frame, version))
            // A field that this version cannot carry.
            .map_err(|_| Error::Unsupported { address: self.address.clone(), api: R::KEY })?;
        let length = u32::try_from(frame.len() - 4).expect("requests are bounded far below 4 GiB");
        frame[..4].copy_from_slice(&length.to_be_bytes());
        Ok(frame.freeze())
    }

    fn decode<A: Decodable + HeaderVersion>(
        &self,
        answer: &mut Bytes,
        api: i16,
        version: i16,
    ) -> Result<A, Error> {
        ResponseHeader::decode(answer, A::header_version(version))
            .and_then(|_| A::decode(answer, version))
            .map_err(|_| self.malformed(api))
    }

    /// Asks for the broker's version ranges, and again in the oldest form if it knows none of the newer.
    async fn negotiate(&self) -> Result<BTreeMap<i16, VersionRange>, Error> {
        let api = ApiKey::ApiVersions as i16;
        let request = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str("thalweg"))
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
        let (reply, answer) = oneshot::channel();
        self.put(&request, 3, Some(reply)).await?;
        let mut answer = self.answer(answer).await?;
        let refused = answer.get(4..6) == Some(&UNSUPPORTED_VERSION.to_be_bytes());
        let version = if refused { 0 } else { 3 };
        let answer: ApiVersionsResponse = self.decode(&mut answer, api, version)?;
        let range = |one: &ApiVersion| VersionRange { min: one.min_version, max: one.max_version };
        Ok(answer.api_keys.iter().map(|one| (one.api_key, range(one))).collect())
    }
}

/// Sends frames until the connection or its owner is gone.
async fn write(
    mut socket: OwnedWriteHalf,
    mut calls: mpsc::Receiver<Call>,
    waiting: mpsc::Sender<Waiting>,
) {
    while let Some(Call { frame, correlation, reply }) = calls.recv().await {
        // Whoever waits is queued before the frame leaves, so that no answer comes unexpected.
        if let Some(reply) = reply
            && waiting.send(Waiting { correlation, reply }).await.is_err()
        {
            return;
        }
        if socket.write_all(&frame).await.is_err() {
            return;
        }
    }
}

/// Hands out answers until one is not the next in order, or the connection is gone. Then nobody is answered any more.
async fn read(mut socket: OwnedReadHalf, mut waiting: mpsc::Receiver<Waiting>) {
    while let Ok(length) = socket.read_u32().await {
        let length = length as usize;
        if length > ANSWER_BYTES_MAX {
            return;
        }
        let mut answer = BytesMut::zeroed(length);
        if socket.read_exact(&mut answer).await.is_err() {
            return;
        }
        let Some(Waiting { correlation, reply }) = waiting.recv().await else { return };
        if answer.get(..4) != Some(&correlation.to_be_bytes()) {
            return;
        }
        // Whoever gave up waiting is not told.
        let _ = reply.send(answer.freeze());
    }
}
