//! DescribeGroups, ListGroups, DeleteGroups.
//!
//! Source: KIP-229, KIP-518 (states), KIP-848 (types), KIP-1043 (unknown groups); `KafkaApis.handleDescribeGroupsRequest`
//! and its neighbours.

use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::list_groups_response;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse,
    GroupId, ListGroupsRequest, ListGroupsResponse,
};

use super::{code, code_of};
use crate::groups::{GroupDescription, ListedGroup, MemberDescription, Refusal};
use crate::handlers::Session;
use crate::handlers::answers::Growing;
use crate::handlers::scope::{NO_OPERATIONS, text};
use crate::protocol::{ErrorCode, StrBytes};

/// What anybody may do with a group while there are no ACLs: read, delete, describe, describe and alter its configs.
pub(super) const GROUP_OPERATIONS: i32 = 0b1101_0100_1000;
/// The first DescribeGroups that tells that a group does not exist.
const NOT_FOUND_SINCE: i16 = 6;
/// The first with group instance ids.
const INSTANCE_SINCE: i16 = 4;
/// The first with operations.
const OPERATIONS_SINCE: i16 = 3;
/// The first ListGroups with states.
const STATE_SINCE: i16 = 4;
/// The first with types.
const TYPE_SINCE: i16 = 5;

pub(super) async fn describe(
    session: &Session,
    version: i16,
    request: DescribeGroupsRequest,
    growing: &mut Growing,
) -> DescribeGroupsResponse {
    let mut groups = Vec::with_capacity(request.groups.len());
    for group_id in request.groups {
        let described = session.context.groups.describe(group_id.as_str()).await;
        let mut response = match described {
            Ok(Some(description)) => described_group(version, description),
            Ok(None) => missing(version, format!("Group {} not found.", group_id.as_str())),
            Err(Refusal::NotClassic) => {
                missing(version, format!("Group {} is not a classic group.", group_id.as_str()))
            }
            Err(refusal) => DescribedGroup::default().with_error_code(code(Some(refusal))),
        };
        if version >= OPERATIONS_SINCE {
            let told = request.include_authorized_operations && response.error_code == 0;
            response.authorized_operations = if told { GROUP_OPERATIONS } else { NO_OPERATIONS };
        }
        if !growing.push(&mut groups, version, response.with_group_id(group_id)) {
            break;
        }
    }
    DescribeGroupsResponse::default().with_groups(groups)
}

fn missing(version: i16, why: String) -> DescribedGroup {
    let response = DescribedGroup::default().with_group_state(text("Dead"));
    if version < NOT_FOUND_SINCE {
        return response;
    }
    response.with_error_code(ErrorCode::GroupIdNotFound.code()).with_error_message(Some(text(why)))
}

fn described_group(version: i16, group: GroupDescription) -> DescribedGroup {
    let members = group.members.into_iter().map(|member| described_member(version, member));
    DescribedGroup::default()
        .with_group_state(text(group.state))
        .with_protocol_type(text(group.protocol_type))
        .with_protocol_data(text(group.protocol))
        .with_members(members.collect())
}

fn described_member(version: i16, member: MemberDescription) -> DescribedGroupMember {
    let response = DescribedGroupMember::default()
        .with_member_id(text(member.member_id))
        .with_client_id(text(member.client_id))
        .with_client_host(text(member.client_host))
        .with_member_metadata(member.metadata)
        .with_member_assignment(member.assignment);
    match version {
        INSTANCE_SINCE.. => response.with_group_instance_id(member.group_instance_id.map(text)),
        _ => response,
    }
}

pub(super) async fn list(
    session: &Session,
    version: i16,
    request: ListGroupsRequest,
) -> ListGroupsResponse {
    let named = |filter: &[StrBytes], name: &str| {
        filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(name))
    };
    // Blanks around a state mean nothing in Kafka, around a type they do.
    let states: Vec<StrBytes> =
        request.states_filter.iter().map(|state| text(state.trim())).collect();
    let wanted = |group: &ListedGroup| {
        named(&states, group.state) && named(&request.types_filter, group.group_type)
    };
    let groups = match session.context.groups.list(wanted).await {
        Ok(groups) => groups,
        Err(refusal) => return ListGroupsResponse::default().with_error_code(code(Some(refusal))),
    };
    let groups = groups.into_iter().map(|group| {
        let mut response = list_groups_response::ListedGroup::default()
            .with_group_id(GroupId(text(group.group_id)))
            .with_protocol_type(text(group.protocol_type));
        if version >= STATE_SINCE {
            response.group_state = text(group.state);
        }
        if version >= TYPE_SINCE {
            response.group_type = text(group.group_type);
        }
        response
    });
    ListGroupsResponse::default().with_groups(groups.collect())
}

pub(super) async fn delete(
    session: &Session,
    request: DeleteGroupsRequest,
) -> DeleteGroupsResponse {
    let mut results = Vec::with_capacity(request.groups_names.len());
    for group_id in request.groups_names {
        let deleted = session.context.groups.delete(group_id.as_str()).await;
        let result = DeletableGroupResult::default();
        results.push(result.with_group_id(group_id).with_error_code(code_of(&deleted)));
    }
    DeleteGroupsResponse::default().with_results(results)
}
