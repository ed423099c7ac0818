//! One exhaustive match over the APIs: what is advertised is served here.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt as _;
use kafka_protocol::messages::ApiVersionsResponse;
use kafka_protocol::protocol::{Decodable, Encodable};

use super::{
    Answering, CloseReason, Outcome, Session, api_versions, delete_records, describe_producers,
    fetch, init_producer_id, list_offsets, metadata, offset_for_leader_epoch,
};
use crate::protocol::frame::ResponseHead;
use crate::protocol::header::RequestHeader;
use crate::protocol::{ApiKey, ErrorCode};

/// Answers a request in a version that we do not serve.
///
/// An ApiVersions is answered in version 0 with what we serve, so that the client can choose (KIP-511).
pub(super) fn unserved(header: &RequestHeader) -> Answering {
    let outcome = if header.key == ApiKey::ApiVersions {
        let response: ApiVersionsResponse =
            api_versions::response(0, ErrorCode::UnsupportedVersion);
        encode(ResponseHead { version: 0, ..header.response() }, &response)
    } else {
        Outcome::Close(CloseReason::UnservedVersion {
            api: header.key.name(),
            version: header.version,
        })
    };
    std::future::ready(outcome).boxed()
}

/// Answers any request but Produce, which [`Session::begin`] admits.
pub(super) async fn handle(session: &Arc<Session>, header: RequestHeader, body: Bytes) -> Outcome {
    let session: &Session = session;
    let version = header.version;
    match header.key {
        ApiKey::Fetch => fetch::handle(session, header, body).await,
        ApiKey::ApiVersions => {
            answer(&header, body, |request| api_versions::handle(version, request)).await
        }
        ApiKey::Metadata => {
            answer(&header, body, |request| metadata::handle(session, version, request)).await
        }
        ApiKey::ListOffsets => {
            answer(&header, body, |request| list_offsets::handle(session, version, request)).await
        }
        ApiKey::DeleteRecords => {
            answer(&header, body, |request| delete_records::handle(session, request)).await
        }
        ApiKey::OffsetForLeaderEpoch => {
            answer(&header, body, |request| offset_for_leader_epoch::handle(session, request)).await
        }
        ApiKey::DescribeProducers => {
            answer(&header, body, |request| describe_producers::handle(session, request)).await
        }
        ApiKey::InitProducerId => {
            answer(&header, body, |request| init_producer_id::handle(session, request)).await
        }
        _ => Outcome::Close(CloseReason::UnservedVersion { api: header.key.name(), version }),
    }
}

/// Decodes the request, lets `respond` answer it, and encodes the response.
async fn answer<Q, R, F>(
    header: &RequestHeader,
    mut body: Bytes,
    respond: impl FnOnce(Q) -> F,
) -> Outcome
where
    Q: Decodable,
    R: Encodable,
    F: Future<Output = R>,
{
    match Q::decode(&mut body, header.version) {
        Ok(request) => encode(header.response(), &respond(request).await),
        Err(_) => Outcome::Close(CloseReason::Malformed { api: header.key.name() }),
    }
}

fn encode<R: Encodable>(head: ResponseHead, response: &R) -> Outcome {
    match head.frame(response) {
        Ok(frame) => Outcome::Answer(frame),
        Err(error) => {
            tracing::error!(%error, "response could not be encoded");
            Outcome::Close(CloseReason::BadRequest(error))
        }
    }
}
