//! The image of the state: what brokers and clients are shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::ids::{BrokerId, TopicId};
use crate::cluster::config::ConfigResource;
use crate::cluster::image::{BrokerImage, Image, PartitionImage, TopicImage};
use crate::cluster::internal::is_internal;
use crate::manifest::chain::Phase;
use crate::manifest::edit::{Broker, ConfigOwner};
use crate::manifest::partition::Partition;
use crate::manifest::state::{Changes, State, Topic};

/// The image of a whole state in a new term. Versions of a term are above those of all terms before it.
pub(super) fn of(cluster_id: &str, state: &State, term: u64) -> Image {
    let mut image =
        Image { cluster_id: cluster_id.to_owned(), term, version: term << 32, ..Image::default() };
    let changes = Changes {
        topics: state.topics.keys().copied().collect(),
        cluster: true,
        ..Changes::default()
    };
    update(&mut image, state, &changes);
    image
}

/// Brings the image up to date with what changed.
pub(super) fn update(image: &mut Image, state: &State, changes: &Changes) {
    for id in &changes.topics {
        if let Some(old) = image.topics.remove(id)
            && image.names.get(&old.name) == Some(id)
        {
            image.names.remove(&old.name);
        }
        if let Some(topic) = state.topics.get(id) {
            if !topic.deleting {
                image.names.insert(topic.name.clone(), *id);
            }
            image.topics.insert(*id, Arc::new(topic_image(*id, topic, state)));
        }
    }
    if changes.cluster {
        image.brokers =
            state.brokers.iter().map(|(id, broker)| (*id, broker_image(*id, broker))).collect();
        image.configs = configs(state);
    }
}

fn configs(state: &State) -> BTreeMap<ConfigResource, Arc<BTreeMap<String, String>>> {
    let resource = |owner: &ConfigOwner| match owner {
        ConfigOwner::Broker(broker) => ConfigResource::Broker(*broker),
        ConfigOwner::Group(group) => ConfigResource::Group(group.clone()),
        ConfigOwner::ClientMetrics(name) => ConfigResource::ClientMetrics(name.clone()),
    };
    state
        .configs
        .iter()
        .map(|(owner, configs)| (resource(owner), Arc::new(configs.clone())))
        .collect()
}

fn broker_image(id: BrokerId, broker: &Broker) -> BrokerImage {
    BrokerImage {
        id,
        rack: broker.rack.clone(),
        listeners: broker.listeners.clone(),
        incarnation: broker.incarnation,
    }
}

fn topic_image(id: TopicId, topic: &Topic, state: &State) -> TopicImage {
    TopicImage {
        id,
        name: topic.name.clone(),
        internal: is_internal(&topic.name),
        deleting: topic.deleting,
        configs: topic.configs.clone(),
        replication_factor: topic.replication_factor,
        partitions: topic
            .partitions
            .iter()
            .map(|partition| partition_image(partition, state))
            .collect(),
    }
}

fn partition_image(partition: &Partition, state: &State) -> PartitionImage {
    let offline = partition.offline.is_some();
    // While its chain waits for recovery nobody leads it.
    let chain = partition.lease.filter(|_| !offline).and_then(|id| {
        state
            .chains
            .get(&id)
            .filter(|chain| chain.phase == Phase::Open)
            .map(|chain| (id, chain.broker))
    });
    PartitionImage {
        leader: chain.map(|(_, broker)| broker),
        chain: chain.map(|(chain, _)| chain),
        leader_epoch: partition.leader_epoch,
        replicas: Arc::clone(&partition.replicas),
        offline,
        log_start: partition.log_start,
        start: partition.start,
        epochs: Arc::clone(&partition.epochs),
    }
}
