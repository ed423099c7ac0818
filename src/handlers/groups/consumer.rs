//! ConsumerGroupHeartbeat and ConsumerGroupDescribe.
//!
//! Source: KIP-848, KIP-1082 (version 1: the client makes up the member's id), KIP-1099 (member types);
//! `GroupCoordinatorService.throwIfConsumerGroupHeartbeatRequestIsInvalid` in Apache Kafka 4.3.1.

use kafka_protocol::messages::consumer_group_describe_response as described;
use kafka_protocol::messages::consumer_group_heartbeat_response as answered;
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse, GroupId, TopicName,
};

use super::admin::GROUP_OPERATIONS;
use super::owned;
use crate::base::ids::TopicId;
use crate::groups::consumer::describe::{Description, MemberDescription, TopicPartitions};
use crate::groups::consumer::member::{JOIN_EPOCH, LEAVE_EPOCH, LEAVE_STATIC_EPOCH};
use crate::groups::consumer::{Heartbeat, HeartbeatAnswer};
use crate::handlers::answers::Growing;
use crate::handlers::scope::{NO_OPERATIONS, Refused, text};
use crate::handlers::{Session, error_code};
use crate::protocol::ErrorCode;
use crate::protocol::header::RequestHeader;

/// The first ConsumerGroupHeartbeat whose client makes up its own member id.
const OWN_ID_SINCE: i16 = 1;
/// The first ConsumerGroupDescribe that tells who speaks the classic protocol.
const MEMBER_TYPE_SINCE: i16 = 1;

pub(super) async fn heartbeat(
    session: &Session,
    header: &RequestHeader,
    request: ConsumerGroupHeartbeatRequest,
) -> ConsumerGroupHeartbeatResponse {
    let assignors = &session.context.config.groups.consumer_assignors;
    match check(header.version, &request, assignors) {
        Err(refused) => refusal(&refused),
        Ok(()) => beat(session, header, request).await,
    }
}

async fn beat(
    session: &Session,
    header: &RequestHeader,
    request: ConsumerGroupHeartbeatRequest,
) -> ConsumerGroupHeartbeatResponse {
    let groups = &session.context.groups;
    let group_id = request.group_id.as_str().to_owned();
    let beat = heartbeat_of(session, header, request);
    match groups.consumer_heartbeat(&group_id, beat).await {
        Ok(Ok(answer)) => answer_of(answer),
        Ok(Err(error)) => {
            refusal(&Refused::new(error_code::of_consumer_group(&error), error.to_string()))
        }
        Err(of_coordinator) => {
            let error = error_code::of_group(of_coordinator);
            refusal(&Refused { error, message: None })
        }
    }
}

fn refusal(refused: &Refused) -> ConsumerGroupHeartbeatResponse {
    ConsumerGroupHeartbeatResponse::default()
        .with_error_code(refused.error.code())
        .with_error_message(refused.message())
}

/// What is wrong with the request itself, in Kafka's words and order.
fn check(
    version: i16,
    request: &ConsumerGroupHeartbeatRequest,
    assignors: &[String],
) -> Result<(), Refused> {
    let unless = |fine: bool, message: &str| {
        if fine { Ok(()) } else { Err(Refused::new(ErrorCode::InvalidRequest, message)) }
    };
    let said = |text: Option<&str>| text.is_none_or(|text| !text.trim().is_empty());
    let epoch = request.member_epoch;
    if version >= OWN_ID_SINCE || epoch > JOIN_EPOCH || epoch == LEAVE_EPOCH {
        unless(said(Some(&request.member_id)), "MemberId can't be empty.")?;
    }
    unless(said(Some(request.group_id.as_str())), "GroupId can't be empty.")?;
    unless(said(request.instance_id.as_deref()), "InstanceId can't be empty.")?;
    unless(said(request.rack_id.as_deref()), "RackId can't be empty.")?;
    if epoch == JOIN_EPOCH {
        let has_timeout = request.rebalance_timeout_ms != -1;
        unless(has_timeout, "RebalanceTimeoutMs must be provided in first request.")?;
        let owns_nothing = request.topic_partitions.as_ref().is_some_and(Vec::is_empty);
        unless(owns_nothing, "TopicPartitions must be empty when (re-)joining.")?;
        unless(
            request.subscribed_topic_names.is_some() || request.subscribed_topic_regex.is_some(),
            "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.",
        )?;
    } else if epoch == LEAVE_STATIC_EPOCH {
        unless(request.instance_id.is_some(), "InstanceId can't be null.")?;
    } else {
        unless(epoch >= LEAVE_STATIC_EPOCH, "MemberEpoch is invalid.")?;
    }
    match request.server_assignor.as_deref() {
        Some(wanted) if !assignors.iter().any(|assignor| assignor == wanted) => {
            let message = format!(
                "ServerAssignor {wanted} is not supported. Supported assignors: {}.",
                assignors.join(", ")
            );
            Err(Refused::new(ErrorCode::UnsupportedAssignor, message))
        }
        _ => Ok(()),
    }
}

fn heartbeat_of(
    session: &Session,
    header: &RequestHeader,
    request: ConsumerGroupHeartbeatRequest,
) -> Heartbeat {
    let names = |names: Vec<TopicName>| names.iter().map(|name| name.as_str().to_owned()).collect();
    let owned_partitions = request.topic_partitions.map(|topics| {
        let partitions = topics.into_iter();
        partitions
            .filter(|topic| !topic.partitions.is_empty())
            .map(|topic| (TopicId(topic.topic_id), topic.partitions.into_iter().collect()))
            .collect()
    });
    Heartbeat {
        member_id: request.member_id.as_str().to_owned(),
        epoch: request.member_epoch,
        instance_id: owned(request.instance_id),
        rack_id: owned(request.rack_id),
        rebalance_timeout_ms: request.rebalance_timeout_ms,
        topic_names: request.subscribed_topic_names.map(names),
        topic_regex: owned(request.subscribed_topic_regex),
        assignor: owned(request.server_assignor),
        owned: owned_partitions,
        client_id: header.client_id.as_str().to_owned(),
        client_host: session.client_host.clone(),
    }
}

fn answer_of(answer: HeartbeatAnswer) -> ConsumerGroupHeartbeatResponse {
    let assignment = answer.assignment.map(|held| {
        let topics = held.iter().map(|(topic, partitions)| {
            answered::TopicPartitions::default()
                .with_topic_id(topic.0)
                .with_partitions(partitions.keys().copied().collect())
        });
        answered::Assignment::default().with_topic_partitions(topics.collect())
    });
    let interval = i32::try_from(answer.interval.as_millis()).unwrap_or(i32::MAX);
    ConsumerGroupHeartbeatResponse::default()
        .with_member_id(Some(text(answer.member_id)))
        .with_member_epoch(answer.epoch)
        .with_heartbeat_interval_ms(interval)
        .with_assignment(assignment)
}

pub(super) async fn describe(
    session: &Session,
    version: i16,
    request: ConsumerGroupDescribeRequest,
    growing: &mut Growing,
) -> ConsumerGroupDescribeResponse {
    let mut groups = Vec::with_capacity(request.group_ids.len());
    for group_id in request.group_ids {
        let mut group = describe_one(session, version, &group_id).await;
        let told = request.include_authorized_operations && group.error_code == 0;
        group.authorized_operations = if told { GROUP_OPERATIONS } else { NO_OPERATIONS };
        if !growing.push(&mut groups, version, group.with_group_id(group_id)) {
            break;
        }
    }
    ConsumerGroupDescribeResponse::default().with_groups(groups)
}

async fn describe_one(
    session: &Session,
    version: i16,
    group_id: &GroupId,
) -> described::DescribedGroup {
    if group_id.as_str().is_empty() {
        return described::DescribedGroup::default()
            .with_error_code(ErrorCode::InvalidGroupId.code());
    }
    match session.context.groups.consumer_describe(group_id.as_str()).await {
        Ok(Ok(description)) => group_of(version, description),
        Ok(Err(error)) => described::DescribedGroup::default()
            .with_error_code(error_code::of_consumer_group(&error).code())
            .with_error_message(Some(text(error.to_string()))),
        Err(refusal) => described::DescribedGroup::default()
            .with_error_code(error_code::of_group(refusal).code()),
    }
}

fn group_of(version: i16, description: Description) -> described::DescribedGroup {
    let members = description.members.into_iter().map(|member| member_of(version, member));
    described::DescribedGroup::default()
        .with_group_state(text(description.state.name()))
        .with_group_epoch(description.epoch)
        .with_assignment_epoch(description.target_epoch)
        .with_assignor_name(text(description.assignor.name()))
        .with_members(members.collect())
}

fn member_of(version: i16, described: MemberDescription) -> described::Member {
    let MemberDescription { member, assigned, target } = described;
    let names = member.topic_names.iter().map(|name| TopicName(text(name.as_str())));
    let response = described::Member::default()
        .with_member_id(text(member.id))
        .with_instance_id(member.instance_id.map(text))
        .with_rack_id(member.rack_id.map(text))
        .with_member_epoch(member.epoch)
        .with_client_id(text(member.client_id))
        .with_client_host(text(member.client_host))
        .with_subscribed_topic_names(names.collect())
        .with_subscribed_topic_regex(member.topic_regex.map(text))
        .with_assignment(assignment_of(assigned))
        .with_target_assignment(assignment_of(target));
    match version {
        MEMBER_TYPE_SINCE.. => response.with_member_type(i8::from(member.classic.is_none())),
        _ => response,
    }
}

fn assignment_of(topics: Vec<TopicPartitions>) -> described::Assignment {
    let topics = topics.into_iter().map(|topic| {
        described::TopicPartitions::default()
            .with_topic_id(topic.id.0)
            .with_topic_name(TopicName(text(topic.name)))
            .with_partitions(topic.partitions)
    });
    described::Assignment::default().with_topic_partitions(topics.collect())
}
