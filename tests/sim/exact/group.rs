//! A member of a classic group, and its offsets.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    ApiKey, GroupId, HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse,
    LeaveGroupRequest, LeaveGroupResponse, OffsetCommitRequest, OffsetCommitResponse,
    OffsetFetchRequest, OffsetFetchResponse, SyncGroupRequest, SyncGroupResponse, TransactionalId,
    TxnOffsetCommitRequest, TxnOffsetCommitResponse,
};
use kafka_protocol::protocol::StrBytes;
use thalweg::base::clock::sleep;

use super::history::Key;
use super::link::{Identity, Link, text, topic_name};
use super::producer::code;
use super::{INPUT, PARTITIONS};

const JOIN: i16 = 7;
const SYNC: i16 = 5;
const HEARTBEAT: i16 = 4;
const LEAVE: i16 = 4;
const OFFSET_COMMIT: i16 = 8;
const OFFSET_FETCH: i16 = 8;

const SESSION_TIMEOUT_MS: i32 = 1_000;
const REBALANCE_TIMEOUT_MS: i32 = 1_500;
const RETRY_AFTER: Duration = Duration::from_millis(60);
const PROTOCOL: &str = "consumer";
const ASSIGNOR: &str = "spread";

/// A member of one generation.
#[derive(Debug, Clone)]
pub(super) struct Membership {
    pub(super) group: &'static str,
    instance: Option<&'static str>,
    member: StrBytes,
    generation: i32,
    /// Partitions of the input that this member reads.
    pub(super) assigned: Vec<Key>,
}

fn group_id(group: &str) -> GroupId {
    GroupId(text(group))
}

/// Partitions as an assignment's bytes: a digit each.
fn assignment(place: usize, members: usize) -> Bytes {
    let mine = (0..PARTITIONS).filter(|partition| *partition as usize % members == place);
    mine.map(|partition| b'0' + u8::try_from(partition).expect("few")).collect::<Vec<_>>().into()
}

impl Membership {
    /// Joins until it is a member of a generation. `before`: the membership that is over.
    pub(super) async fn join(
        link: &Link,
        (group, instance): (&'static str, Option<&'static str>),
        before: Option<Self>,
    ) -> Self {
        link.find_coordinator(0, group).await;
        let member = before.map_or_else(StrBytes::default, |before| before.member);
        let mut membership = Self { group, instance, member, generation: -1, assigned: Vec::new() };
        while !membership.join_once(link).await {
            sleep(RETRY_AFTER).await;
        }
        membership
    }

    fn instance(&self) -> Option<StrBytes> {
        self.instance.map(StrBytes::from_static_str)
    }

    async fn join_once(&mut self, link: &Link) -> bool {
        let protocol = JoinGroupRequestProtocol::default()
            .with_name(StrBytes::from_static_str(ASSIGNOR))
            .with_metadata(Bytes::from_static(b"sim"));
        let request = JoinGroupRequest::default()
            .with_group_id(group_id(self.group))
            .with_session_timeout_ms(SESSION_TIMEOUT_MS)
            .with_rebalance_timeout_ms(REBALANCE_TIMEOUT_MS)
            .with_member_id(self.member.clone())
            .with_group_instance_id(self.instance())
            .with_protocol_type(StrBytes::from_static_str(PROTOCOL))
            .with_protocols(vec![protocol]);
        let Some(joined) = link.call::<JoinGroupResponse>(ApiKey::JoinGroup, JOIN, &request).await
        else {
            return false;
        };
        match joined.error_code {
            0 => {}
            code::MEMBER_ID_REQUIRED => {
                self.member = joined.member_id;
                return false;
            }
            code::UNKNOWN_MEMBER | code::FENCED_INSTANCE | code::ILLEGAL_GENERATION => {
                self.member = StrBytes::default();
                return false;
            }
            _ => return false,
        }
        self.member = joined.member_id;
        self.generation = joined.generation_id;
        let mut members: Vec<StrBytes> =
            joined.members.into_iter().map(|member| member.member_id).collect();
        members.sort();
        let assignments = members.iter().enumerate().map(|(place, member)| {
            SyncGroupRequestAssignment::default()
                .with_member_id(member.clone())
                .with_assignment(assignment(place, members.len()))
        });
        let leads = joined.leader == self.member;
        self.sync(link, if leads { assignments.collect() } else { Vec::new() }).await
    }

    async fn sync(&mut self, link: &Link, assignments: Vec<SyncGroupRequestAssignment>) -> bool {
        let request = SyncGroupRequest::default()
            .with_group_id(group_id(self.group))
            .with_generation_id(self.generation)
            .with_member_id(self.member.clone())
            .with_group_instance_id(self.instance())
            .with_protocol_type(Some(StrBytes::from_static_str(PROTOCOL)))
            .with_protocol_name(Some(StrBytes::from_static_str(ASSIGNOR)))
            .with_assignments(assignments);
        let synced: Option<SyncGroupResponse> = link.call(ApiKey::SyncGroup, SYNC, &request).await;
        let Some(synced) = synced.filter(|synced| synced.error_code == 0) else { return false };
        let digits = synced.assignment.iter();
        self.assigned = digits.map(|digit| (INPUT, i32::from(digit - b'0'))).collect();
        true
    }

    /// Whether the membership goes on.
    pub(super) async fn heartbeat(&self, link: &Link) -> bool {
        let request = HeartbeatRequest::default()
            .with_group_id(group_id(self.group))
            .with_generation_id(self.generation)
            .with_member_id(self.member.clone())
            .with_group_instance_id(self.instance());
        let beat: Option<HeartbeatResponse> =
            link.call(ApiKey::Heartbeat, HEARTBEAT, &request).await;
        !beat.is_some_and(|beat| is_over(beat.error_code))
    }

    pub(super) async fn leave(&self, link: &Link) {
        let member = MemberIdentity::default()
            .with_member_id(self.member.clone())
            .with_group_instance_id(self.instance());
        let request = LeaveGroupRequest::default()
            .with_group_id(group_id(self.group))
            .with_members(vec![member]);
        let _: Option<LeaveGroupResponse> = link.call(ApiKey::LeaveGroup, LEAVE, &request).await;
    }

    /// The committed offset of each assigned partition, -1 without one. None: not now, or some are still undecided.
    pub(super) async fn fetch_offsets(&self, link: &Link) -> Option<Vec<(Key, i64)>> {
        fetch_offsets(link, self.group, &self.assigned).await
    }

    /// Commits offsets outside of any transaction. None: nobody knows.
    pub(super) async fn commit(&self, link: &Link, offsets: &[(Key, i64)]) -> Option<i16> {
        let partitions = offsets.iter().map(|((_, partition), offset)| {
            OffsetCommitRequestPartition::default()
                .with_partition_index(*partition)
                .with_committed_offset(*offset)
        });
        let topic = OffsetCommitRequestTopic::default()
            .with_name(topic_name(INPUT))
            .with_partitions(partitions.collect());
        let request = OffsetCommitRequest::default()
            .with_group_id(group_id(self.group))
            .with_generation_id_or_member_epoch(self.generation)
            .with_member_id(self.member.clone())
            .with_group_instance_id(self.instance())
            .with_topics(vec![topic]);
        let answer: OffsetCommitResponse =
            link.call(ApiKey::OffsetCommit, OFFSET_COMMIT, &request).await?;
        Some(answer.topics.first()?.partitions.first()?.error_code)
    }

    /// Commits offsets in a producer's transaction. None: nobody knows.
    pub(super) async fn commit_in(
        &self,
        link: &Link,
        (id, version): (&str, i16),
        (producer, epoch): Identity,
        offsets: &[(Key, i64)],
    ) -> Option<i16> {
        let partitions = offsets.iter().map(|((_, partition), offset)| {
            TxnOffsetCommitRequestPartition::default()
                .with_partition_index(*partition)
                .with_committed_offset(*offset)
        });
        let topic = TxnOffsetCommitRequestTopic::default()
            .with_name(topic_name(INPUT))
            .with_partitions(partitions.collect());
        let request = TxnOffsetCommitRequest::default()
            .with_transactional_id(TransactionalId(text(id)))
            .with_group_id(group_id(self.group))
            .with_producer_id(producer.into())
            .with_producer_epoch(epoch)
            .with_generation_id(self.generation)
            .with_member_id(self.member.clone())
            .with_group_instance_id(self.instance())
            .with_topics(vec![topic]);
        // With the older protocol one that comes late may land in the next transaction.
        let answer: TxnOffsetCommitResponse = if version >= 5 {
            link.call_or_late(ApiKey::TxnOffsetCommit, version, &request).await?
        } else {
            link.call(ApiKey::TxnOffsetCommit, version, &request).await?
        };
        Some(answer.topics.first()?.partitions.first()?.error_code)
    }
}

/// Whether a code says that a membership is over.
pub(super) fn is_over(given: i16) -> bool {
    matches!(
        given,
        code::ILLEGAL_GENERATION
            | code::UNKNOWN_MEMBER
            | code::REBALANCE_IN_PROGRESS
            | code::FENCED_INSTANCE
    )
}

/// A group's committed offsets, -1 where there is none. None: not now, or some are still undecided.
pub(super) async fn fetch_offsets(link: &Link, group: &str, of: &[Key]) -> Option<Vec<(Key, i64)>> {
    let topic = OffsetFetchRequestTopics::default()
        .with_name(topic_name(INPUT))
        .with_partition_indexes(of.iter().map(|key| key.1).collect());
    let wanted = OffsetFetchRequestGroup::default()
        .with_group_id(group_id(group))
        .with_topics(Some(vec![topic]));
    let request = OffsetFetchRequest::default().with_groups(vec![wanted]).with_require_stable(true);
    let answer: OffsetFetchResponse =
        link.call(ApiKey::OffsetFetch, OFFSET_FETCH, &request).await?;
    let group = answer.groups.into_iter().next().filter(|group| group.error_code == 0)?;
    let topic = group.topics.into_iter().next()?;
    topic
        .partitions
        .into_iter()
        .map(|part| {
            (part.error_code == 0).then_some(((INPUT, part.partition_index), part.committed_offset))
        })
        .collect()
}
