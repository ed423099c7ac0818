//! Requests of members of classic groups, for the scripts that need a group.

use bytes::Bytes;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::{
    FindCoordinatorRequest, GroupId, JoinGroupRequest, SyncGroupRequest,
};

use super::text;
use crate::talk::Talk;

pub fn group(name: &str, version: i16) -> GroupId {
    GroupId(text(&format!("{name}-{version}")))
}

/// Kafka makes the topic behind its coordinators at the first question.
pub fn await_coordinator(talk: &mut Talk) {
    talk.begin("set-up");
    let request = FindCoordinatorRequest::default().with_key(text("first"));
    talk.until(3, &request, |answer| answer.error_code == 0);
}

/// A subscription of Kafka's consumers, version 0, to one topic.
fn subscription() -> Bytes {
    Bytes::from_static(b"\x00\x00\x00\x00\x00\x01\x00\x05topic\xff\xff\xff\xff")
}

pub fn join(group: &GroupId, member: &str) -> JoinGroupRequest {
    let protocol = |name: &str| {
        JoinGroupRequestProtocol::default().with_name(text(name)).with_metadata(subscription())
    };
    JoinGroupRequest::default()
        .with_group_id(group.clone())
        .with_session_timeout_ms(30_000)
        .with_rebalance_timeout_ms(30_000)
        .with_member_id(text(member))
        .with_group_instance_id(None)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol("range"), protocol("roundrobin")])
        .with_reason(None)
}

pub fn sync(group: &GroupId, version: i16, generation: i32, member: &str) -> SyncGroupRequest {
    let request = SyncGroupRequest::default()
        .with_group_id(group.clone())
        .with_generation_id(generation)
        .with_member_id(text(member))
        .with_group_instance_id(None)
        .with_protocol_type(None)
        .with_protocol_name(None);
    if version >= 5 {
        request.with_protocol_type(Some(text("consumer"))).with_protocol_name(Some(text("range")))
    } else {
        request
    }
}
