//! Consumer groups: listed, described, their offsets read and set, deleted.

use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use futures::FutureExt as _;
use kafka_protocol::messages::consumer_group_describe_response as modern;
use kafka_protocol::messages::describe_groups_response::DescribedGroup;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerProtocolAssignment, DeleteGroupsRequest,
    DescribeGroupsRequest, FindCoordinatorRequest, GroupId, ListGroupsRequest, OffsetCommitRequest,
    OffsetFetchRequest,
};
use kafka_protocol::protocol::Decodable as _;

use super::cluster::{text, topic_name};
use super::connection::Connection;
use super::{Client, check};
use crate::client::{Code, Error};
use crate::config::Address;

/// The newest FindCoordinator of one key.
const NEWEST_FIND: i16 = 3;
/// The newest OffsetFetch of one group.
const NEWEST_FETCH: i16 = 7;
/// The newest DescribeGroups whose answer about a missing group is a state.
const NEWEST_DESCRIBE: i16 = 5;
/// The newest ConsumerGroupDescribe.
const NEWEST_CONSUMER_DESCRIBE: i16 = 1;
/// The newest OffsetCommit that names topics.
const NEWEST_COMMIT: i16 = 8;

/// A group in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSummary {
    /// Its id.
    pub group: String,
    /// `consumer`, `connect`, ...; empty for a group that only commits.
    pub protocol_type: String,
    /// Its state; empty where the broker is too old to tell.
    pub state: String,
    /// `classic`, `consumer`, ...; empty where the broker is too old to tell.
    pub kind: String,
}

/// A group, described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDetails {
    /// Its state; `Dead`: there is none.
    pub state: String,
    /// `consumer`, `share`, `connect`, ...
    pub protocol_type: String,
    /// How partitions are shared out.
    pub protocol: String,
    /// Of a group whose coordinator assigns.
    pub epochs: Option<GroupEpochs>,
    /// Its members.
    pub members: Vec<GroupMember>,
}

/// How far a group whose coordinator assigns is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupEpochs {
    /// Its own epoch.
    pub group: i32,
    /// That of its target assignment.
    pub target: i32,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// Its id.
    pub member_id: String,
    /// Of a static member.
    pub instance_id: Option<String>,
    /// The client's name for itself.
    pub client_id: String,
    /// Its address.
    pub host: String,
    /// Its partitions, if it is a consumer.
    pub assigned: Vec<(String, i32)>,
    /// Of a member of a group whose coordinator assigns: its epoch, and the partitions that it shall have.
    pub target: Option<(i32, Vec<(String, i32)>)>,
}

/// A committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupOffset {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The next record to be consumed.
    pub offset: i64,
    /// What the consumer said with it.
    pub metadata: String,
}

impl Client {
    /// The groups of all brokers, by id.
    ///
    /// # Errors
    /// [`Error::Refused`] with Kafka's reason.
    pub async fn groups(&self) -> Result<Vec<GroupSummary>, Error> {
        let brokers = self.metadata().await?.brokers;
        let mut groups = Vec::new();
        for broker in brokers {
            let address = &broker.address;
            groups.extend(self.retrying(|| self.groups_of(address).boxed()).await?);
        }
        groups.sort_by(|a: &GroupSummary, b| a.group.cmp(&b.group));
        Ok(groups)
    }

    async fn groups_of(&self, address: &Address) -> Result<Vec<GroupSummary>, Error> {
        let broker = self.connection(address).await?;
        let version = broker.version::<ListGroupsRequest>(5)?;
        let answer = broker.ask(&ListGroupsRequest::default(), version).await?;
        check(answer.error_code, None)?;
        let groups = answer.groups.into_iter().map(|group| GroupSummary {
            group: group.group_id.to_string(),
            protocol_type: group.protocol_type.to_string(),
            state: group.group_state.to_string(),
            kind: group.group_type.to_string(),
        });
        Ok(groups.collect())
    }

    /// A connection to the group's coordinator.
    pub(super) async fn coordinator(&self, group: &str) -> Result<Arc<Connection>, Error> {
        let any = self.any().await?;
        let version = any.version::<FindCoordinatorRequest>(NEWEST_FIND)?;
        let request = FindCoordinatorRequest::default().with_key(text(group));
        let found = any.ask(&request, version).await?;
        check(found.error_code, found.error_message.as_deref())?;
        let port = u16::try_from(found.port).unwrap_or_default();
        self.connection(&Address { host: found.host.to_string(), port }).await
    }

    /// Describes a group of any protocol.
    ///
    /// # Errors
    /// [`Error::Refused`] with Kafka's reason.
    pub async fn group(&self, group: &str) -> Result<GroupDetails, Error> {
        self.retrying(|| self.try_group(group).boxed()).await
    }

    async fn try_group(&self, group: &str) -> Result<GroupDetails, Error> {
        let coordinator = self.coordinator(group).await?;
        let version = coordinator.version::<DescribeGroupsRequest>(NEWEST_DESCRIBE)?;
        let request = DescribeGroupsRequest::default().with_groups(vec![GroupId(text(group))]);
        let mut answer = coordinator.ask(&request, version).await?;
        let described = answer.groups.pop().unwrap_or_default();
        check(described.error_code, None)?;
        if described.group_state.as_str() != "Dead" {
            return Ok(details(described));
        }
        // To the classic request a group of another protocol is none.
        if let Some(consumers) = Self::consumers(&coordinator, group).await? {
            return Ok(consumers);
        }
        Ok(Self::shares(&coordinator, group).await?.unwrap_or_else(|| details(described)))
    }

    /// A group of the newer protocol; none: it is not there, or the broker knows no such groups.
    async fn consumers(
        coordinator: &Connection,
        group: &str,
    ) -> Result<Option<GroupDetails>, Error> {
        let version = coordinator.version::<ConsumerGroupDescribeRequest>(NEWEST_CONSUMER_DESCRIBE);
        let Ok(version) = version else { return Ok(None) };
        let request =
            ConsumerGroupDescribeRequest::default().with_group_ids(vec![GroupId(text(group))]);
        let mut answer = coordinator.ask(&request, version).await?;
        let described = answer.groups.pop().unwrap_or_default();
        if described.error_code == Code::GROUP_ID_NOT_FOUND {
            return Ok(None);
        }
        check(described.error_code, described.error_message.as_deref())?;
        Ok(Some(consumer_details(described)))
    }

    /// The offsets that the group has committed, in order.
    ///
    /// # Errors
    /// [`Error::Refused`] with Kafka's reason.
    pub async fn group_offsets(&self, group: &str) -> Result<Vec<GroupOffset>, Error> {
        self.retrying(|| self.try_group_offsets(group).boxed()).await
    }

    async fn try_group_offsets(&self, group: &str) -> Result<Vec<GroupOffset>, Error> {
        let coordinator = self.coordinator(group).await?;
        let version = coordinator.version::<OffsetFetchRequest>(NEWEST_FETCH)?;
        let request =
            OffsetFetchRequest::default().with_group_id(GroupId(text(group))).with_topics(None);
        let answer = coordinator.ask(&request, version).await?;
        check(answer.error_code, None)?;
        let mut offsets = Vec::new();
        for topic in answer.topics {
            for one in topic.partitions {
                check(one.error_code, None)?;
                offsets.push(GroupOffset {
                    topic: topic.name.to_string(),
                    partition: one.partition_index,
                    offset: one.committed_offset,
                    metadata: one.metadata.map(|text| text.to_string()).unwrap_or_default(),
                });
            }
        }
        offsets.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        Ok(offsets)
    }

    /// Sets offsets of a group without members.
    ///
    /// # Errors
    /// [`Error::Refused`] with Kafka's reason; UNKNOWN_MEMBER_ID while the group has members.
    pub async fn set_group_offsets(
        &self,
        group: &str,
        offsets: &[GroupOffset],
    ) -> Result<(), Error> {
        self.retrying(|| self.try_set_group_offsets(group, offsets).boxed()).await
    }

    async fn try_set_group_offsets(
        &self,
        group: &str,
        offsets: &[GroupOffset],
    ) -> Result<(), Error> {
        let coordinator = self.coordinator(group).await?;
        let version = coordinator.version::<OffsetCommitRequest>(NEWEST_COMMIT)?;
        let topics = offsets.iter().map(|one| {
            let partition = OffsetCommitRequestPartition::default()
                .with_partition_index(one.partition)
                .with_committed_offset(one.offset)
                .with_committed_leader_epoch(-1)
                .with_committed_metadata(Some(text(&one.metadata)));
            OffsetCommitRequestTopic::default()
                .with_name(topic_name(&one.topic))
                .with_partitions(vec![partition])
        });
        let request = OffsetCommitRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_generation_id_or_member_epoch(-1)
            .with_group_instance_id(None)
            .with_retention_time_ms(-1)
            .with_topics(topics.collect());
        let answer = coordinator.ask(&request, version).await?;
        for one in answer.topics.iter().flat_map(|topic| &topic.partitions) {
            check(one.error_code, None)?;
        }
        Ok(())
    }

    /// Deletes a group without members, and its offsets.
    ///
    /// # Errors
    /// [`Error::Refused`] with Kafka's reason.
    pub async fn delete_group(&self, group: &str) -> Result<(), Error> {
        self.retrying(|| self.try_delete_group(group).boxed()).await
    }

    async fn try_delete_group(&self, group: &str) -> Result<(), Error> {
        let coordinator = self.coordinator(group).await?;
        let version = coordinator.version::<DeleteGroupsRequest>(2)?;
        let request = DeleteGroupsRequest::default().with_groups_names(vec![GroupId(text(group))]);
        let answer = coordinator.ask(&request, version).await?;
        answer.results.iter().try_for_each(|result| check(result.error_code, None))
    }
}

fn consumer_details(described: modern::DescribedGroup) -> GroupDetails {
    let members = described.members.into_iter().map(|member| GroupMember {
        member_id: member.member_id.to_string(),
        instance_id: member.instance_id.map(|id| id.to_string()),
        client_id: member.client_id.to_string(),
        host: member.client_host.trim_start_matches('/').to_owned(),
        assigned: partitions(&member.assignment),
        target: Some((member.member_epoch, partitions(&member.target_assignment))),
    });
    let mut members: Vec<GroupMember> = members.collect();
    members.sort_by(|a, b| a.member_id.cmp(&b.member_id));
    GroupDetails {
        state: described.group_state.to_string(),
        protocol_type: "consumer".to_owned(),
        protocol: described.assignor_name.to_string(),
        epochs: Some(GroupEpochs {
            group: described.group_epoch,
            target: described.assignment_epoch,
        }),
        members,
    }
}

fn partitions(assignment: &modern::Assignment) -> Vec<(String, i32)> {
    let topics = assignment.topic_partitions.iter();
    let mut all: Vec<(String, i32)> = topics
        .flat_map(|topic| topic.partitions.iter().map(|at| (topic.topic_name.to_string(), *at)))
        .collect();
    all.sort();
    all
}

fn details(described: DescribedGroup) -> GroupDetails {
    let consumers = described.protocol_type.as_str() == "consumer";
    let members = described.members.into_iter().map(|member| GroupMember {
        member_id: member.member_id.to_string(),
        instance_id: member.group_instance_id.map(|id| id.to_string()),
        client_id: member.client_id.to_string(),
        host: member.client_host.trim_start_matches('/').to_owned(),
        assigned: if consumers { assigned(member.member_assignment) } else { Vec::new() },
        target: None,
    });
    let mut members: Vec<GroupMember> = members.collect();
    members.sort_by(|a, b| a.member_id.cmp(&b.member_id));
    GroupDetails {
        state: described.group_state.to_string(),
        protocol_type: described.protocol_type.to_string(),
        protocol: described.protocol_data.to_string(),
        epochs: None,
        members,
    }
}

/// The partitions in an assignment of Kafka's consumers; nothing in anything else.
fn assigned(mut assignment: Bytes) -> Vec<(String, i32)> {
    if assignment.len() < 2 {
        return Vec::new();
    }
    let version = assignment.get_i16().clamp(0, 3);
    let Ok(read) = ConsumerProtocolAssignment::decode(&mut assignment, version) else {
        return Vec::new();
    };
    let topics = read.assigned_partitions.into_iter();
    let mut all: Vec<(String, i32)> = topics
        .flat_map(|topic| {
            let name = topic.topic.to_string();
            topic.partitions.into_iter().map(move |partition| (name.clone(), partition))
        })
        .collect();
    all.sort();
    all
}
