//! JoinGroup, SyncGroup, Heartbeat, LeaveGroup.
//!
//! Source: KIP-62, KIP-345, KIP-394, KIP-559 (protocol type and name), KIP-800 (reasons), KIP-814;
//! `KafkaApis.handleJoinGroupRequest` and its neighbours.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    LeaveGroupResponse, SyncGroupRequest, SyncGroupResponse,
};

use super::{code, code_of, owned};
use crate::groups::{
    self, Assigned, JoinAnswer, JoinRequest, LeaveRequest, LeavingMember, MemberProtocol, Refusal,
    SyncAnswer, SyncRequest,
};
use crate::handlers::Session;
use crate::handlers::scope::text;
use crate::protocol::header::RequestHeader;

/// The first JoinGroup with a rebalance timeout of its own.
const REBALANCE_TIMEOUT_SINCE: i16 = 1;
/// The first JoinGroup whose client joins in two steps.
const MEMBER_ID_REQUIRED_SINCE: i16 = 4;
/// The first with static members.
const JOIN_INSTANCE_SINCE: i16 = 5;
/// The first JoinGroup whose answer may lack a protocol.
const NO_PROTOCOL_SINCE: i16 = 7;
const SKIP_ASSIGNMENT_SINCE: i16 = 9;
/// The first SyncGroup that names the protocol.
const SYNC_PROTOCOL_SINCE: i16 = 5;
/// The first LeaveGroup of many members.
const LEAVE_MANY_SINCE: i16 = 3;

fn millis(ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

/// What a group keeps of a request: a copy, or the whole frame stayed with it.
fn kept(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

pub(super) async fn join(
    session: &Session,
    header: &RequestHeader,
    request: JoinGroupRequest,
) -> JoinGroupResponse {
    let version = header.version;
    let session_timeout = millis(request.session_timeout_ms);
    let protocols = request.protocols.into_iter().map(|protocol| MemberProtocol {
        name: protocol.name.as_str().to_owned(),
        metadata: kept(&protocol.metadata),
    });
    let request = JoinRequest {
        group_id: request.group_id.as_str().to_owned(),
        member_id: request.member_id.as_str().to_owned(),
        group_instance_id: owned(request.group_instance_id),
        client_id: header.client_id.as_str().to_owned(),
        client_host: session.client_host.clone(),
        session_timeout,
        rebalance_timeout: match version {
            REBALANCE_TIMEOUT_SINCE.. => millis(request.rebalance_timeout_ms),
            _ => session_timeout,
        },
        protocol_type: request.protocol_type.as_str().to_owned(),
        protocols: protocols.collect(),
        takes_member_id: version >= MEMBER_ID_REQUIRED_SINCE,
        skips_assignment: version >= SKIP_ASSIGNMENT_SINCE,
    };
    joined(version, session.context.groups.join(request).await)
}

fn joined(version: i16, answer: JoinAnswer) -> JoinGroupResponse {
    let members = answer.members.into_iter().map(|member| {
        let response = JoinGroupResponseMember::default()
            .with_member_id(text(member.member_id))
            .with_metadata(member.metadata);
        match version {
            JOIN_INSTANCE_SINCE.. => {
                response.with_group_instance_id(member.group_instance_id.map(text))
            }
            _ => response,
        }
    });
    let response = JoinGroupResponse::default()
        .with_error_code(code(answer.refusal))
        .with_generation_id(answer.generation_id)
        .with_leader(text(answer.leader))
        .with_member_id(text(answer.member_id))
        .with_members(members.collect());
    let protocol_name = answer.protocol_name.map(text);
    let response = match version {
        NO_PROTOCOL_SINCE.. => response
            .with_protocol_name(protocol_name)
            .with_protocol_type(answer.protocol_type.map(text)),
        _ => response.with_protocol_name(Some(protocol_name.unwrap_or_default())),
    };
    match version {
        SKIP_ASSIGNMENT_SINCE.. => response.with_skip_assignment(answer.skip_assignment),
        _ => response,
    }
}

pub(super) async fn sync(
    session: &Session,
    version: i16,
    request: SyncGroupRequest,
) -> SyncGroupResponse {
    let names_protocol = version >= SYNC_PROTOCOL_SINCE;
    let unnamed = request.protocol_type.is_none() || request.protocol_name.is_none();
    if names_protocol && unnamed {
        return synced(version, SyncAnswer::refused(Refusal::InconsistentProtocol));
    }
    let assignments = request.assignments.into_iter().map(|assigned| Assigned {
        member_id: assigned.member_id.as_str().to_owned(),
        assignment: kept(&assigned.assignment),
    });
    let request = SyncRequest {
        group_id: request.group_id.as_str().to_owned(),
        generation_id: request.generation_id,
        member_id: request.member_id.as_str().to_owned(),
        group_instance_id: owned(request.group_instance_id),
        protocol_type: owned(request.protocol_type),
        protocol_name: owned(request.protocol_name),
        assignments: assignments.collect(),
    };
    synced(version, session.context.groups.sync(request).await)
}

fn synced(version: i16, answer: SyncAnswer) -> SyncGroupResponse {
    let response = SyncGroupResponse::default()
        .with_error_code(code(answer.refusal))
        .with_assignment(answer.assignment);
    match version {
        SYNC_PROTOCOL_SINCE.. => response
            .with_protocol_type(answer.protocol_type.map(text))
            .with_protocol_name(answer.protocol_name.map(text)),
        _ => response,
    }
}

pub(super) async fn heartbeat(session: &Session, request: HeartbeatRequest) -> HeartbeatResponse {
    let request = groups::HeartbeatRequest {
        group_id: request.group_id.as_str().to_owned(),
        generation_id: request.generation_id,
        member_id: request.member_id.as_str().to_owned(),
        group_instance_id: owned(request.group_instance_id),
    };
    let beat = session.context.groups.heartbeat(&request).await;
    HeartbeatResponse::default().with_error_code(code_of(&beat))
}

pub(super) async fn leave(
    session: &Session,
    version: i16,
    request: LeaveGroupRequest,
) -> LeaveGroupResponse {
    let members = match version {
        LEAVE_MANY_SINCE.. => request
            .members
            .into_iter()
            .map(|member| LeavingMember {
                member_id: member.member_id.as_str().to_owned(),
                group_instance_id: owned(member.group_instance_id),
            })
            .collect(),
        _ => vec![LeavingMember {
            member_id: request.member_id.as_str().to_owned(),
            group_instance_id: None,
        }],
    };
    let request = LeaveRequest { group_id: request.group_id.as_str().to_owned(), members };
    let refusals = match session.context.groups.leave(&request).await {
        Ok(refusals) => refusals,
        Err(refusal) => return LeaveGroupResponse::default().with_error_code(code(Some(refusal))),
    };
    if version < LEAVE_MANY_SINCE {
        let refusal = refusals.first().copied().flatten();
        return LeaveGroupResponse::default().with_error_code(code(refusal));
    }
    let members = request.members.into_iter().zip(refusals).map(|(member, refusal)| {
        MemberResponse::default()
            .with_member_id(text(member.member_id))
            .with_group_instance_id(member.group_instance_id.map(text))
            .with_error_code(code(refusal))
    });
    LeaveGroupResponse::default().with_members(members.collect())
}
