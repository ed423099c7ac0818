//! Share groups: described, and where they begin to read, shown and set.

use futures::FutureExt as _;
use kafka_protocol::messages::alter_share_group_offsets_request as altering;
use kafka_protocol::messages::describe_share_group_offsets_request as asking;
use kafka_protocol::messages::share_group_describe_response as described;
use kafka_protocol::messages::{
    AlterShareGroupOffsetsRequest, DescribeShareGroupOffsetsRequest, GroupId,
    ShareGroupDescribeRequest,
};

use super::cluster::{text, topic_name};
use super::connection::Connection;
use super::groups::{GroupDetails, GroupEpochs, GroupMember, GroupOffset};
use super::{Client, check};
use crate::client::{Code, Error};

/// What share groups call themselves.
pub const SHARE: &str = "share";

/// The newest ShareGroupDescribe.
const NEWEST_DESCRIBE: i16 = 1;
/// The newest of the requests about offsets.
const NEWEST_OFFSETS: i16 = 0;

impl Client {
    /// A share group; none: it is not there, or the broker knows no such groups.
    pub(super) async fn shares(
        coordinator: &Connection,
        group: &str,
    ) -> Result<Option<GroupDetails>, Error> {
        let version = coordinator.version::<ShareGroupDescribeRequest>(NEWEST_DESCRIBE);
        let Ok(version) = version else { return Ok(None) };
        let request =
            ShareGroupDescribeRequest::default().with_group_ids(vec![GroupId(text(group))]);
        let mut answer = coordinator.ask(&request, version).await?;
        let described = answer.groups.pop().unwrap_or_default();
        if described.error_code == Code::GROUP_ID_NOT_FOUND {
            return Ok(None);
        }
        check(described.error_code, described.error_message.as_deref())?;
        Ok(Some(details(described)))
    }

    /// Where a share group begins to read each partition that it has begun to read, in order; -1: not decided yet.
    ///
    /// # Errors
    /// [`Error::Refused`] with Kafka's reason.
    pub async fn share_offsets(&self, group: &str) -> Result<Vec<GroupOffset>, Error> {
        self.retrying(|| self.try_share_offsets(group).boxed()).await
    }

    async fn try_share_offsets(&self, group: &str) -> Result<Vec<GroupOffset>, Error> {
        let coordinator = self.coordinator(group).await?;
        let version = coordinator.version::<DescribeShareGroupOffsetsRequest>(NEWEST_OFFSETS)?;
        let asked = asking::DescribeShareGroupOffsetsRequestGroup::default()
            .with_group_id(GroupId(text(group)))
            .with_topics(None);
        let request = DescribeShareGroupOffsetsRequest::default().with_groups(vec![asked]);
        let mut answer = coordinator.ask(&request, version).await?;
        let described = answer.groups.pop().unwrap_or_default();
        check(described.error_code, described.error_message.as_deref())?;
        let mut offsets = Vec::new();
        for topic in described.topics {
            for one in topic.partitions {
                check(one.error_code, one.error_message.as_deref())?;
                offsets.push(GroupOffset {
                    topic: topic.topic_name.to_string(),
                    partition: one.partition_index,
                    offset: one.start_offset,
                    metadata: String::new(),
                });
            }
        }
        offsets.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        Ok(offsets)
    }

    /// Sets where a share group without members begins to read.
    ///
    /// # Errors
    /// [`Error::Refused`] with Kafka's reason.
    pub async fn set_share_offsets(
        &self,
        group: &str,
        offsets: &[GroupOffset],
    ) -> Result<(), Error> {
        self.retrying(|| self.try_set_share_offsets(group, offsets).boxed()).await
    }

    async fn try_set_share_offsets(
        &self,
        group: &str,
        offsets: &[GroupOffset],
    ) -> Result<(), Error> {
        let coordinator = self.coordinator(group).await?;
        let version = coordinator.version::<AlterShareGroupOffsetsRequest>(NEWEST_OFFSETS)?;
        let mut topics: Vec<altering::AlterShareGroupOffsetsRequestTopic> = Vec::new();
        for one in offsets {
            let partition = altering::AlterShareGroupOffsetsRequestPartition::default()
                .with_partition_index(one.partition)
                .with_start_offset(one.offset);
            match topics.last_mut().filter(|topic| topic.topic_name.as_str() == one.topic) {
                Some(topic) => topic.partitions.push(partition),
                None => topics.push(
                    altering::AlterShareGroupOffsetsRequestTopic::default()
                        .with_topic_name(topic_name(&one.topic))
                        .with_partitions(vec![partition]),
                ),
            }
        }
        let request = AlterShareGroupOffsetsRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_topics(topics);
        let answer = coordinator.ask(&request, version).await?;
        check(answer.error_code, answer.error_message.as_deref())?;
        for one in answer.responses.iter().flat_map(|topic| &topic.partitions) {
            check(one.error_code, one.error_message.as_deref())?;
        }
        Ok(())
    }
}

fn details(described: described::DescribedGroup) -> GroupDetails {
    let members = described.members.into_iter().map(|member| {
        let topics = member.assignment.topic_partitions.iter();
        let mut assigned: Vec<(String, i32)> = topics
            .flat_map(|topic| topic.partitions.iter().map(|at| (topic.topic_name.to_string(), *at)))
            .collect();
        assigned.sort();
        GroupMember {
            member_id: member.member_id.to_string(),
            instance_id: None,
            client_id: member.client_id.to_string(),
            host: member.client_host.trim_start_matches('/').to_owned(),
            // Nobody waits for anybody: what a member has it shall have.
            target: Some((member.member_epoch, assigned.clone())),
            assigned,
        }
    });
    let mut members: Vec<GroupMember> = members.collect();
    members.sort_by(|a, b| a.member_id.cmp(&b.member_id));
    GroupDetails {
        state: described.group_state.to_string(),
        protocol_type: SHARE.to_owned(),
        protocol: described.assignor_name.to_string(),
        epochs: Some(GroupEpochs {
            group: described.group_epoch,
            target: described.assignment_epoch,
        }),
        members,
    }
}
