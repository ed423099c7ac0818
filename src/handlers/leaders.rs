//! Who leads a partition, and where they listen: told beside errors that say "not here" (KIP-951).
//!
//! Source: `KafkaApis.getCurrentLeader` in Apache Kafka.

use std::collections::BTreeMap;

use super::scope::text;
use crate::base::ids::{BrokerId, TopicPartition};
use crate::cluster::image::{Image, PartitionImage};
use crate::protocol::ErrorCode;
use crate::protocol::hot::{LeaderIdAndEpoch, NodeEndpoint, TopicRef};

/// The leaders that one answer names.
pub(super) struct Leaders<'a> {
    image: &'a Image,
    listener: &'a str,
    named: BTreeMap<BrokerId, NodeEndpoint>,
}

impl<'a> Leaders<'a> {
    pub(super) fn new(image: &'a Image, listener: &'a str) -> Self {
        Self { image, listener, named: BTreeMap::new() }
    }

    /// Whether leaders are told with `error`.
    pub(super) fn are_told_with(error: ErrorCode) -> bool {
        matches!(error, ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch)
    }

    /// The leader and its epoch, if they are told with `error` and known.
    pub(super) fn told(
        &mut self,
        topic: &TopicRef,
        partition: i32,
        error: ErrorCode,
    ) -> Option<LeaderIdAndEpoch> {
        if !Self::are_told_with(error) {
            return None;
        }
        let topic = match topic {
            TopicRef::Name(name) => self.image.topic(name.as_str())?.id,
            TopicRef::Id(id) => *id,
        };
        let PartitionImage { leader, leader_epoch, .. } =
            self.image.partition(&TopicPartition { topic, partition })?;
        let leader = (*leader)?;
        if let Some(broker) = self.image.brokers.get(&leader)
            && let Some(endpoint) = broker.listeners.get(self.listener)
        {
            let endpoint = NodeEndpoint {
                node: leader,
                host: text(endpoint.host.clone()),
                port: endpoint.port,
                rack: broker.rack.clone().map(text),
            };
            self.named.insert(leader, endpoint);
        }
        Some(LeaderIdAndEpoch { leader, epoch: *leader_epoch })
    }

    /// Where those that were told listen.
    pub(super) fn endpoints(self) -> Vec<NodeEndpoint> {
        self.named.into_values().collect()
    }
}
