//! A member of a classic group that speaks the embedded protocol of Kafka's consumers, and its offsets.

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
use thalweg::protocol::embedded::{self, NamedPartitions};

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
/// The versions from which on OffsetCommit and OffsetFetch carry the epoch of a member of the consumer protocol.
pub(super) const COMMIT_WITH_EPOCH: i16 = 9;
const FETCH_WITH_EPOCH: i16 = 9;

const SESSION_TIMEOUT_MS: i32 = 1_000;
const REBALANCE_TIMEOUT_MS: i32 = 1_500;
const RETRY_AFTER: Duration = Duration::from_millis(60);
const PROTOCOL: &str = "consumer";
const ASSIGNOR: &str = "spread";
/// A subscription of version 1 to the input that owns nothing: who joins has given up what it had.
const SUBSCRIPTION: &[u8] =
    b"\x00\x01\x00\x00\x00\x01\x00\x07amounts\xff\xff\xff\xff\x00\x00\x00\x00";
const SUBSCRIPTION_VERSION: i16 = 1;

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

pub(super) fn group_id(group: &str) -> GroupId {
    GroupId(text(group))
}

/// What the member at `place` of so many is assigned.
fn assignment(place: usize, members: usize) -> Bytes {
    let mine = (0..PARTITIONS).filter(|partition| *partition as usize % members == place);
    let mine = NamedPartitions { topic: INPUT.to_owned(), partitions: mine.collect() };
    Bytes::from(embedded::write_assignment(SUBSCRIPTION_VERSION, &[mine]))
}

/// OffsetCommit of a member of either protocol.
pub(super) fn commit_request(
    group: &str,
    (member, instance): (&str, Option<&'static str>),
    epoch: i32,
    offsets: &[(Key, i64)],
) -> OffsetCommitRequest {
    let partitions = offsets.iter().map(|((_, partition), offset)| {
        OffsetCommitRequestPartition::default()
            .with_partition_index(*partition)
            .with_committed_offset(*offset)
    });
    let topic = OffsetCommitRequestTopic::default()
        .with_name(topic_name(INPUT))
        .with_partitions(partitions.collect());
    OffsetCommitRequest::default()
        .with_group_id(group_id(group))
        .with_generation_id_or_member_epoch(epoch)
        .with_member_id(text(member))
        .with_group_instance_id(instance.map(StrBytes::from_static_str))
        .with_topics(vec![topic])
}

/// The answer to a commit. None: nobody knows.
pub(super) async fn commit(
    link: &Link,
    version: i16,
    request: &OffsetCommitRequest,
) -> Option<i16> {
    let answer: OffsetCommitResponse = link.call(ApiKey::OffsetCommit, version, request).await?;
    Some(answer.topics.first()?.partitions.first()?.error_code)
}

impl Membership {
    /// Joins until it is a member of a generation. `before`: the membership that is over.
    pub(super) async fn join(
        link: &Link,
        of: (&'static str, Option<&'static str>),
        before: Option<Self>,
    ) -> Self {
        Self::join_noting(link, of, before, || {}).await
    }

    /// The same; `ask` is called before each time that it asks what it is assigned.
    pub(super) async fn join_noting(
        link: &Link,
        (group, instance): (&'static str, Option<&'static str>),
        before: Option<Self>,
        mut ask: impl FnMut(),
    ) -> Self {
        link.find_coordinator(0, group).await;
        let member = before.map_or_else(StrBytes::default, |before| before.member);
        let mut membership = Self { group, instance, member, generation: -1, assigned: Vec::new() };
        while !membership.join_once(link, &mut ask).await {
            sleep(RETRY_AFTER).await;
        }
        membership
    }

    fn instance(&self) -> Option<StrBytes> {
        self.instance.map(StrBytes::from_static_str)
    }

    /// JoinGroup, once. None: nobody knows.
    async fn ask_to_join(&self, link: &Link) -> Option<JoinGroupResponse> {
        let protocol = JoinGroupRequestProtocol::default()
            .with_name(StrBytes::from_static_str(ASSIGNOR))
            .with_metadata(Bytes::from_static(SUBSCRIPTION));
        let request = JoinGroupRequest::default()
            .with_group_id(group_id(self.group))
            .with_session_timeout_ms(SESSION_TIMEOUT_MS)
            .with_rebalance_timeout_ms(REBALANCE_TIMEOUT_MS)
            .with_member_id(self.member.clone())
            .with_group_instance_id(self.instance())
            .with_protocol_type(StrBytes::from_static_str(PROTOCOL))
            .with_protocols(vec![protocol]);
        link.call(ApiKey::JoinGroup, JOIN, &request).await
    }

    /// What the member is answered that joins again as who it is. None: nobody knows.
    pub(super) async fn join_again(&self, link: &Link) -> Option<i16> {
        Some(self.ask_to_join(link).await?.error_code)
    }

    async fn join_once(&mut self, link: &Link, ask: &mut impl FnMut()) -> bool {
        let Some(joined) = self.ask_to_join(link).await else { return false };
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
        ask();
        self.sync(link, if leads { assignments.collect() } else { Vec::new() }).await
    }

    /// SyncGroup, once. None: nobody knows.
    async fn ask_to_sync(
        &self,
        link: &Link,
        assignments: Vec<SyncGroupRequestAssignment>,
    ) -> Option<SyncGroupResponse> {
        let request = SyncGroupRequest::default()
            .with_group_id(group_id(self.group))
            .with_generation_id(self.generation)
            .with_member_id(self.member.clone())
            .with_group_instance_id(self.instance())
            .with_protocol_type(Some(StrBytes::from_static_str(PROTOCOL)))
            .with_protocol_name(Some(StrBytes::from_static_str(ASSIGNOR)))
            .with_assignments(assignments);
        link.call(ApiKey::SyncGroup, SYNC, &request).await
    }

    /// What the member is answered that asks for its assignment again. None: nobody knows.
    pub(super) async fn sync_again(&self, link: &Link) -> Option<i16> {
        Some(self.ask_to_sync(link, Vec::new()).await?.error_code)
    }

    async fn sync(&mut self, link: &Link, assignments: Vec<SyncGroupRequestAssignment>) -> bool {
        let synced = self.ask_to_sync(link, assignments).await;
        let Some(synced) = synced.filter(|synced| synced.error_code == 0) else { return false };
        let assigned = embedded::read_assignment(&synced.assignment).expect("an assignment");
        let partitions = assigned.iter().flat_map(|named| &named.partitions);
        self.assigned = partitions.map(|partition| (INPUT, *partition)).collect();
        true
    }

    /// Whether the membership goes on.
    pub(super) async fn heartbeat(&self, link: &Link) -> bool {
        !self.beat(link).await.is_some_and(is_over)
    }

    /// What a heartbeat is answered. None: nobody knows.
    pub(super) async fn beat(&self, link: &Link) -> Option<i16> {
        let request = HeartbeatRequest::default()
            .with_group_id(group_id(self.group))
            .with_generation_id(self.generation)
            .with_member_id(self.member.clone())
            .with_group_instance_id(self.instance());
        let beat: HeartbeatResponse = link.call(ApiKey::Heartbeat, HEARTBEAT, &request).await?;
        Some(beat.error_code)
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
        commit(link, OFFSET_COMMIT, &self.commit_request(offsets)).await
    }

    /// Commits offsets so late that the member is no more.
    pub(super) fn commit_late(&self, link: &Link, late: Duration, offsets: &[(Key, i64)]) {
        let request = self.commit_request(offsets);
        link.send_late(late, ApiKey::OffsetCommit, OFFSET_COMMIT, &request);
    }

    fn commit_request(&self, offsets: &[(Key, i64)]) -> OffsetCommitRequest {
        commit_request(self.group, (&self.member, self.instance), self.generation, offsets)
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
    let wanted = OffsetFetchRequestGroup::default().with_group_id(group_id(group));
    fetch(link, OFFSET_FETCH, wanted, of).await
}

/// The same as a member of the consumer protocol asks: by its id and its epoch.
pub(super) async fn fetch_offsets_as(
    link: &Link,
    group: &str,
    (member, epoch): (&str, i32),
    of: &[Key],
) -> Option<Vec<(Key, i64)>> {
    let wanted = OffsetFetchRequestGroup::default()
        .with_group_id(group_id(group))
        .with_member_id(Some(text(member)))
        .with_member_epoch(epoch);
    fetch(link, FETCH_WITH_EPOCH, wanted, of).await
}

async fn fetch(
    link: &Link,
    version: i16,
    wanted: OffsetFetchRequestGroup,
    of: &[Key],
) -> Option<Vec<(Key, i64)>> {
    let topic = OffsetFetchRequestTopics::default()
        .with_name(topic_name(INPUT))
        .with_partition_indexes(of.iter().map(|key| key.1).collect());
    let wanted = wanted.with_topics(Some(vec![topic]));
    let request = OffsetFetchRequest::default().with_groups(vec![wanted]).with_require_stable(true);
    let answer: OffsetFetchResponse = link.call(ApiKey::OffsetFetch, version, &request).await?;
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
