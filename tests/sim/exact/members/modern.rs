//! A member of the consumer protocol (KIP-848), as a client is one: it takes what it is told, gives back before it says so,
//! and is never heard of again under an id that was fenced.

use std::collections::BTreeSet;
use std::time::Duration;

use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafka_protocol::messages::{
    ApiKey, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, OffsetCommitRequest,
};
use kafka_protocol::protocol::StrBytes;
use thalweg::base::clock::sleep;
use uuid::Uuid;

use super::super::INPUT;
use super::super::group::{COMMIT_WITH_EPOCH, commit, commit_request, fetch_offsets_as, group_id};
use super::super::history::Key;
use super::super::link::{Link, text, topic_name};
use super::super::producer::code;

/// The version from which on clients make up their ids.
const HEARTBEAT: i16 = 1;
const REBALANCE_TIMEOUT_MS: i32 = 1_500;
const RETRY_AFTER: Duration = Duration::from_millis(60);
/// A pattern that matches the input, and nothing else that there is.
const PATTERN: &str = "am.unts";

pub(super) const JOIN_EPOCH: i32 = 0;
pub(super) const LEAVE_EPOCH: i32 = -1;
pub(super) const LEAVE_FOR_NOW_EPOCH: i32 = -2;

/// What a heartbeat came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beat {
    /// The member is one.
    Alive,
    /// It is none any more, or has to join again: the code.
    Over(i16),
    /// Nobody knows.
    Unknown,
}

/// How a member names itself and what it reads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Naming {
    pub(super) group: &'static str,
    pub(super) instance: Option<&'static str>,
    /// It subscribes by a pattern, not by the topic's name.
    pub(super) by_pattern: bool,
}

/// A member of the consumer protocol.
#[derive(Debug, Clone)]
pub(super) struct Modern {
    naming: Naming,
    pub(super) id: String,
    topic: Uuid,
    pub(super) epoch: i32,
    /// What it has, and says that it has.
    pub(super) owned: BTreeSet<i32>,
    /// What it was told to have, and has not taken up yet.
    pub(super) told: Option<BTreeSet<i32>>,
    /// An answer got lost: the next heartbeat says everything.
    unsure: bool,
}

impl Modern {
    /// One that has not joined. `topic`: the id of the input.
    pub(super) fn new(naming: Naming, id: String, topic: Uuid) -> Self {
        let owned = BTreeSet::new();
        Self { naming, id, topic, epoch: JOIN_EPOCH, owned, told: None, unsure: true }
    }

    /// The same member, which believes to be at another epoch.
    pub(super) fn at(&self, epoch: i32) -> Self {
        Self { epoch, ..self.clone() }
    }

    /// Joins until it is a member. `ask` is called before each try.
    pub(super) async fn join(&mut self, link: &Link, mut ask: impl FnMut()) {
        link.find_coordinator(0, self.naming.group).await;
        loop {
            ask();
            if self.beat(link).await == Beat::Alive {
                return;
            }
            sleep(RETRY_AFTER).await;
        }
    }

    /// A heartbeat; the first joins.
    pub(super) async fn beat(&mut self, link: &Link) -> Beat {
        let Some(answer) = self.send(link, self.epoch).await else {
            self.unsure = true;
            return Beat::Unknown;
        };
        match answer.error_code {
            0 => {}
            code::TIMED_OUT
            | code::COORDINATOR_LOADING
            | code::COORDINATOR_NOT_AVAILABLE
            | code::NOT_COORDINATOR => {
                self.unsure = true;
                return Beat::Unknown;
            }
            given => return Beat::Over(given),
        }
        assert!(
            answer.member_epoch >= self.epoch,
            "MemberEpochMonotone: {} is at {} after {}",
            self.id,
            answer.member_epoch,
            self.epoch
        );
        self.epoch = answer.member_epoch;
        self.unsure = false;
        if let Some(assignment) = answer.assignment {
            let ours = assignment.topic_partitions.iter().filter(|of| of.topic_id == self.topic);
            self.told = Some(ours.flat_map(|of| of.partitions.iter().copied()).collect());
        }
        Beat::Alive
    }

    /// Leaves, for ever or for now.
    pub(super) async fn leave(&self, link: &Link, epoch: i32) -> Option<i16> {
        Some(self.send(link, epoch).await?.error_code)
    }

    /// A heartbeat in the epoch that is given.
    pub(super) async fn send(
        &self,
        link: &Link,
        epoch: i32,
    ) -> Option<ConsumerGroupHeartbeatResponse> {
        let says_all = epoch == JOIN_EPOCH || self.unsure;
        let owned = TopicPartitions::default()
            .with_topic_id(self.topic)
            .with_partitions(self.owned.iter().copied().collect());
        let owned = if self.owned.is_empty() { Vec::new() } else { vec![owned] };
        let by_name = says_all && !self.naming.by_pattern;
        let by_pattern = says_all && self.naming.by_pattern;
        let request = ConsumerGroupHeartbeatRequest::default()
            .with_group_id(group_id(self.naming.group))
            .with_member_id(text(&self.id))
            .with_member_epoch(epoch)
            .with_instance_id(self.naming.instance.map(StrBytes::from_static_str))
            .with_rebalance_timeout_ms(if says_all { REBALANCE_TIMEOUT_MS } else { -1 })
            .with_subscribed_topic_names(by_name.then(|| vec![topic_name(INPUT)]))
            .with_subscribed_topic_regex(by_pattern.then(|| text(PATTERN)))
            .with_topic_partitions(Some(owned));
        link.call(ApiKey::ConsumerGroupHeartbeat, HEARTBEAT, &request).await
    }

    /// Commits offsets. None: nobody knows.
    pub(super) async fn commit(&self, link: &Link, offsets: &[(Key, i64)]) -> Option<i16> {
        commit(link, COMMIT_WITH_EPOCH, &self.commit_request(offsets)).await
    }

    /// Commits offsets so late that the member is no more.
    pub(super) fn commit_late(&self, link: &Link, late: Duration, offsets: &[(Key, i64)]) {
        let request = self.commit_request(offsets);
        link.send_late(late, ApiKey::OffsetCommit, COMMIT_WITH_EPOCH, &request);
    }

    fn commit_request(&self, offsets: &[(Key, i64)]) -> OffsetCommitRequest {
        commit_request(self.naming.group, (&self.id, self.naming.instance), self.epoch, offsets)
    }

    /// The committed offsets of its partitions. None: not now.
    pub(super) async fn fetch_offsets(&self, link: &Link, of: &[Key]) -> Option<Vec<(Key, i64)>> {
        fetch_offsets_as(link, self.naming.group, (&self.id, self.epoch), of).await
    }
}
