//! The APIs of consumer groups and share groups.

mod admin;
mod consumer;
mod membership;
mod offset_fetch;
mod offsets;
mod share;
mod share_acknowledge;
mod share_fetch;
mod share_offsets;
mod txn_offsets;

use bytes::Bytes;
use kafka_protocol::messages::TopicName;

use super::Session;
use super::answers::Growing;
use super::dispatch::{answer, answer_within};
use super::{Outcome, error_code};
use crate::groups::Refusal;
use crate::protocol::header::RequestHeader;
use crate::protocol::{ApiKey, ErrorCode, StrBytes};

/// Answers a request about groups.
pub(super) async fn handle(session: &Session, header: &RequestHeader, body: Bytes) -> Outcome {
    let version = header.version;
    match header.key {
        ApiKey::JoinGroup => {
            answer(header, body, |request| membership::join(session, header, request)).await
        }
        ApiKey::SyncGroup => {
            answer(header, body, |request| membership::sync(session, version, request)).await
        }
        ApiKey::Heartbeat => {
            answer(header, body, |request| membership::heartbeat(session, request)).await
        }
        ApiKey::LeaveGroup => {
            answer(header, body, |request| membership::leave(session, version, request)).await
        }
        ApiKey::OffsetCommit => {
            answer(header, body, |request| offsets::commit(session, version, request)).await
        }
        ApiKey::OffsetFetch => {
            let fetch = async |request, growing: &mut Growing| {
                offset_fetch::handle(session, version, request, growing).await
            };
            answer_within(session, header, body, fetch).await
        }
        ApiKey::OffsetDelete => {
            answer(header, body, |request| offsets::delete(session, request)).await
        }
        ApiKey::TxnOffsetCommit => {
            answer(header, body, |request| txn_offsets::commit(session, version, request)).await
        }
        ApiKey::ConsumerGroupHeartbeat => {
            let beat = |request| consumer::heartbeat(session, header, request);
            answer(header, body, beat).await
        }
        ApiKey::ConsumerGroupDescribe => {
            let describe = async |request, growing: &mut Growing| {
                consumer::describe(session, version, request, growing).await
            };
            answer_within(session, header, body, describe).await
        }
        ApiKey::ShareGroupHeartbeat
        | ApiKey::ShareGroupDescribe
        | ApiKey::ShareFetch
        | ApiKey::ShareAcknowledge
        | ApiKey::DescribeShareGroupOffsets
        | ApiKey::AlterShareGroupOffsets
        | ApiKey::DeleteShareGroupOffsets => of_shares(session, header, body).await,
        ApiKey::DescribeGroups => {
            let describe = async |request, growing: &mut Growing| {
                admin::describe(session, version, request, growing).await
            };
            answer_within(session, header, body, describe).await
        }
        ApiKey::ListGroups => {
            answer(header, body, |request| admin::list(session, version, request)).await
        }
        _ => answer(header, body, |request| admin::delete(session, request)).await,
    }
}

/// What concerns share groups.
async fn of_shares(session: &Session, header: &RequestHeader, body: Bytes) -> Outcome {
    let version = header.version;
    match header.key {
        ApiKey::ShareGroupHeartbeat => {
            answer(header, body, |request| share::heartbeat(session, header, request)).await
        }
        ApiKey::ShareGroupDescribe => {
            let describe = async |request, growing: &mut Growing| {
                share::describe(session, version, request, growing).await
            };
            answer_within(session, header, body, describe).await
        }
        ApiKey::ShareFetch => share_fetch::handle(session, header, body).await,
        ApiKey::ShareAcknowledge => {
            answer(header, body, |request| share_acknowledge::acknowledge(session, request)).await
        }
        ApiKey::DescribeShareGroupOffsets => {
            let describe = async |request, growing: &mut Growing| {
                share_offsets::describe(session, version, request, growing).await
            };
            answer_within(session, header, body, describe).await
        }
        ApiKey::AlterShareGroupOffsets => {
            answer(header, body, |request| share_offsets::alter(session, request)).await
        }
        _ => answer(header, body, |request| share_offsets::delete(session, request)).await,
    }
}

/// The code of an answer.
fn code(refusal: Option<Refusal>) -> i16 {
    refusal.map_or(ErrorCode::None, error_code::of_group).code()
}

/// The code of a whole answer.
fn code_of(result: &Result<(), Refusal>) -> i16 {
    code(result.err())
}

fn owned(text: Option<StrBytes>) -> Option<String> {
    text.map(|text| text.as_str().to_owned())
}

/// Whether clients may know the topic.
fn exists(session: &Session, topic: &TopicName) -> bool {
    session.context.image().topic(topic.as_str()).is_some()
}
