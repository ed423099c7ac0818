//! DescribeLogDirs: the object store stands for the one directory, with the partitions that this broker leads.
//!
//! Source: KIP-113, KIP-827; `KafkaApis.handleDescribeLogDirsRequest`.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse, TopicName};

use super::scope::{Scope, text};
use crate::cluster::image::TopicImage;

pub(super) fn handle(
    scope: &Scope<'_>,
    request: &DescribeLogDirsRequest,
) -> DescribeLogDirsResponse {
    let asked: Option<BTreeMap<&str, BTreeSet<i32>>> = request.topics.as_ref().map(|topics| {
        let mut asked: BTreeMap<&str, BTreeSet<i32>> = BTreeMap::new();
        for topic in topics {
            asked.entry(&*topic.topic).or_default().extend(&topic.partitions);
        }
        asked
    });
    let topics = scope.image.names.keys().filter_map(|name| scope.image.topic(name));
    let topics = topics.filter_map(|topic| {
        let wanted = |index: i32| match &asked {
            None => true,
            Some(asked) => asked.get(topic.name.as_str()).is_some_and(|one| one.contains(&index)),
        };
        described(scope, topic, wanted)
    });
    // No total: a bucket has no size.
    let result = DescribeLogDirsResult::default()
        .with_log_dir(text(log_dir(scope)))
        .with_topics(topics.collect());
    DescribeLogDirsResponse::default().with_results(vec![result])
}

/// The store's URL, or the directory's path.
fn log_dir(scope: &Scope<'_>) -> String {
    let said = |name: &str| {
        let entry = scope.config.entry(name)?;
        Some(entry.value.to_string()).filter(|value| !value.is_empty())
    };
    said("store.url").or_else(|| said("data.dir")).unwrap_or_else(|| "object store".to_owned())
}

fn described(
    scope: &Scope<'_>,
    topic: &TopicImage,
    wanted: impl Fn(i32) -> bool,
) -> Option<DescribeLogDirsTopic> {
    let led = (0_i32..).zip(&topic.partitions);
    let led = led.filter(|(index, one)| one.leader == Some(scope.broker) && wanted(*index));
    let partitions: Vec<DescribeLogDirsPartition> = led
        // Sizes are not kept by partition: objects hold many.
        .map(|(index, _)| DescribeLogDirsPartition::default().with_partition_index(index))
        .collect();
    let name = TopicName(text(topic.name.clone()));
    (!partitions.is_empty())
        .then(|| DescribeLogDirsTopic::default().with_name(name).with_partitions(partitions))
}
