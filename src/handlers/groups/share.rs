//! ShareGroupHeartbeat and ShareGroupDescribe.
//!
//! Source: KIP-932; `GroupCoordinatorService.throwIfShareGroupHeartbeatRequestIsInvalid` in Apache Kafka 4.3.1.

use kafka_protocol::messages::share_group_describe_response as described;
use kafka_protocol::messages::share_group_heartbeat_response as answered;
use kafka_protocol::messages::{
    GroupId, ShareGroupDescribeRequest, ShareGroupDescribeResponse, ShareGroupHeartbeatRequest,
    ShareGroupHeartbeatResponse, TopicName,
};

use super::admin::GROUP_OPERATIONS;
use super::owned;
use crate::groups::consumer::describe::TopicPartitions;
use crate::groups::share::describe::Description;
use crate::groups::share::member::{JOIN_EPOCH, LEAVE_EPOCH};
use crate::groups::share::{Heartbeat, HeartbeatAnswer, Member, assignor};
use crate::handlers::answers::Growing;
use crate::handlers::scope::{NO_OPERATIONS, Refused, text};
use crate::handlers::{Session, error_code};
use crate::protocol::ErrorCode;
use crate::protocol::header::RequestHeader;

pub(super) async fn heartbeat(
    session: &Session,
    header: &RequestHeader,
    request: ShareGroupHeartbeatRequest,
) -> ShareGroupHeartbeatResponse {
    match check(&request) {
        Err(message) => {
            let message = message.map(str::to_owned);
            refusal(&Refused { error: ErrorCode::InvalidRequest, message })
        }
        Ok(()) => beat(session, header, request).await,
    }
}

/// The longest member id, in the characters of Java: units of UTF-16.
const MEMBER_ID_CHARS_MAX: usize = 36;

/// Whether a member can have the id.
pub(super) fn is_member_id(text: &str) -> bool {
    !text.is_empty() && text.encode_utf16().count() <= MEMBER_ID_CHARS_MAX
}

/// What is wrong with the request itself, in Kafka's words, if it has any, and order.
fn check(request: &ShareGroupHeartbeatRequest) -> Result<(), Option<&'static str>> {
    let said = |text: Option<&str>| text.is_none_or(|text| !text.trim().is_empty());
    let names_topics = request.subscribed_topic_names.as_ref().is_some_and(|all| !all.is_empty());
    let member_id = request.member_id.as_str();
    if !is_member_id(member_id) {
        return Err(None);
    }
    let wrong = match request.member_epoch {
        _ if !said(Some(member_id)) => "MemberId can't be empty.",
        _ if !said(Some(request.group_id.as_str())) => "GroupId can't be empty.",
        _ if !said(request.rack_id.as_deref()) => "RackId can't be empty.",
        JOIN_EPOCH if !names_topics => "SubscribedTopicNames must be set in first request.",
        epoch if epoch < LEAVE_EPOCH => "MemberEpoch is invalid.",
        _ => return Ok(()),
    };
    Err(Some(wrong))
}

async fn beat(
    session: &Session,
    header: &RequestHeader,
    request: ShareGroupHeartbeatRequest,
) -> ShareGroupHeartbeatResponse {
    let names = |names: Vec<TopicName>| names.iter().map(|name| name.as_str().to_owned()).collect();
    let beat = Heartbeat {
        member_id: request.member_id.as_str().to_owned(),
        epoch: request.member_epoch,
        rack_id: owned(request.rack_id),
        topic_names: request.subscribed_topic_names.map(names),
        client_id: header.client_id.as_str().to_owned(),
        client_host: session.client_host.clone(),
    };
    match session.context.groups.share_heartbeat(request.group_id.as_str(), &beat).await {
        Ok(Ok(answer)) => answer_of(answer),
        Ok(Err(error)) => refusal(&Refused::from(error)),
        Err(of_coordinator) => {
            let error = error_code::of_group(of_coordinator);
            refusal(&Refused { error, message: None })
        }
    }
}

fn refusal(refused: &Refused) -> ShareGroupHeartbeatResponse {
    ShareGroupHeartbeatResponse::default()
        .with_error_code(refused.error.code())
        .with_error_message(refused.message())
}

fn answer_of(answer: HeartbeatAnswer) -> ShareGroupHeartbeatResponse {
    let assignment = answer.assignment.map(|assigned| {
        let topics = assigned.iter().map(|(topic, partitions)| {
            answered::TopicPartitions::default()
                .with_topic_id(topic.0)
                .with_partitions(partitions.iter().copied().collect())
        });
        answered::Assignment::default().with_topic_partitions(topics.collect())
    });
    let interval = i32::try_from(answer.interval.as_millis()).unwrap_or(i32::MAX);
    ShareGroupHeartbeatResponse::default()
        .with_member_id(Some(text(answer.member_id)))
        .with_member_epoch(answer.epoch)
        .with_heartbeat_interval_ms(interval)
        .with_assignment(assignment)
}

pub(super) async fn describe(
    session: &Session,
    version: i16,
    request: ShareGroupDescribeRequest,
    growing: &mut Growing,
) -> ShareGroupDescribeResponse {
    let mut groups = Vec::with_capacity(request.group_ids.len());
    for group_id in request.group_ids {
        let mut group = describe_one(session, &group_id).await;
        let told = request.include_authorized_operations && group.error_code == 0;
        group.authorized_operations = if told { GROUP_OPERATIONS } else { NO_OPERATIONS };
        if !growing.push(&mut groups, version, group.with_group_id(group_id)) {
            break;
        }
    }
    ShareGroupDescribeResponse::default().with_groups(groups)
}

async fn describe_one(session: &Session, group_id: &GroupId) -> described::DescribedGroup {
    let refused = |refused: &Refused| {
        described::DescribedGroup::default()
            .with_error_code(refused.error.code())
            .with_error_message(refused.message())
    };
    if group_id.as_str().is_empty() {
        return refused(&Refused { error: ErrorCode::InvalidGroupId, message: None });
    }
    match session.context.groups.share_describe(group_id.as_str()).await {
        Ok(Ok(description)) => group_of(description),
        Ok(Err(error)) => refused(&Refused::from(error)),
        Err(refusal) => refused(&Refused { error: error_code::of_group(refusal), message: None }),
    }
}

fn group_of(description: Description) -> described::DescribedGroup {
    let members = description.members.into_iter();
    described::DescribedGroup::default()
        .with_group_state(text(description.state))
        .with_group_epoch(description.epoch)
        .with_assignment_epoch(description.target_epoch)
        .with_assignor_name(text(assignor::NAME))
        .with_members(members.map(|(member, assigned)| member_of(member, assigned)).collect())
}

fn member_of(member: Member, assigned: Vec<TopicPartitions>) -> described::Member {
    let names = member.topic_names.iter().map(|name| TopicName(text(name.as_str())));
    let topics = assigned.into_iter().map(|topic| {
        described::TopicPartitions::default()
            .with_topic_id(topic.id.0)
            .with_topic_name(TopicName(text(topic.name)))
            .with_partitions(topic.partitions)
    });
    described::Member::default()
        .with_subscribed_topic_names(names.collect())
        .with_member_id(text(member.id))
        .with_rack_id(member.rack_id.map(text))
        .with_member_epoch(member.epoch)
        .with_client_id(text(member.client_id))
        .with_client_host(text(member.client_host))
        .with_assignment(described::Assignment::default().with_topic_partitions(topics.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_cannot_be_meant_are_refused_in_kafkas_words() {
        let request = |member: &str, group: &str, epoch: i32| {
            ShareGroupHeartbeatRequest::default()
                .with_member_id(text(member))
                .with_group_id(GroupId(text(group)))
                .with_member_epoch(epoch)
        };
        let topics = vec![TopicName(text("t"))];
        let wrong = |message| Err(Some(message));
        for (request, expected) in [
            (request("", "", 1), Err(None)),
            (request(&"m".repeat(37), "g", 1), Err(None)),
            (request(" ", "", 1), wrong("MemberId can't be empty.")),
            (request("m", " ", 1), wrong("GroupId can't be empty.")),
            (request("m", "g", 1).with_rack_id(Some(text(""))), wrong("RackId can't be empty.")),
            (request("m", "g", 0), wrong("SubscribedTopicNames must be set in first request.")),
            (
                request("m", "g", 0).with_subscribed_topic_names(Some(Vec::new())),
                wrong("SubscribedTopicNames must be set in first request."),
            ),
            (request("m", "g", 0).with_subscribed_topic_names(Some(topics)), Ok(())),
            (request(&"m".repeat(36), "g", 1), Ok(())),
            (request("m", "g", -1), Ok(())),
            (request("m", "g", -2), wrong("MemberEpoch is invalid.")),
        ] {
            assert_eq!(check(&request), expected, "{request:?}");
        }
    }
}
