//! DescribeLogDirs: the object store stands for the one directory, with the partitions that this broker leads.
//!
//! Source: KIP-113, KIP-827; `KafkaApis.handleDescribeLogDirsRequest`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse, TopicName};

use tokio::time::timeout;

use super::Context;
use super::scope::{Scope, text};
use crate::base::ids::TopicPartition;
use crate::cluster::image::TopicImage;
use crate::manifest::client::Extent;
use crate::protocol::ErrorCode;

/// How long the answer waits for the coordinator.
const SIZES_WITHIN: Duration = Duration::from_secs(30);

pub(super) async fn handle(
    context: &Context,
    scope: &Scope<'_>,
    request: DescribeLogDirsRequest,
) -> DescribeLogDirsResponse {
    let mut topics = led_here(scope, &request);
    let error = sizes(context, scope, &mut topics).await.err().unwrap_or(ErrorCode::None);
    // No total: a bucket has no size.
    let result = DescribeLogDirsResult::default()
        .with_error_code(error.code())
        .with_log_dir(text(log_dir(scope)))
        .with_topics(topics);
    DescribeLogDirsResponse::default().with_results(vec![result])
}

/// Fills in how many bytes each partition has: those of the manifest's runs, and those of the tail behind them.
async fn sizes(
    context: &Context,
    scope: &Scope<'_>,
    topics: &mut [DescribeLogDirsTopic],
) -> Result<(), ErrorCode> {
    let mut partitions: Vec<(TopicPartition, &mut DescribeLogDirsPartition)> = Vec::new();
    for topic in topics {
        let Some(id) = scope.image.topic(&topic.name.0).map(|topic| topic.id) else { continue };
        partitions.extend(topic.partitions.iter_mut().map(|partition| {
            (TopicPartition { topic: id, partition: partition.partition_index }, partition)
        }));
    }
    let asked = partitions.iter().map(|(tp, _)| *tp).collect();
    let extents = timeout(SIZES_WITHIN, context.manifest.extents(asked)).await;
    let extents = extents.map_err(|_| ErrorCode::RequestTimedOut)?;
    let extents = extents.map_err(|_| ErrorCode::KafkaStorageError)?;
    for ((tp, partition), extent) in partitions.into_iter().zip(extents) {
        let Some(Extent { bytes, committed_end }) = extent else { continue };
        let handle = context.log.partition(&tp);
        let tail = handle.and_then(|handle| handle.bytes_from(committed_end).ok()).unwrap_or(0);
        partition.partition_size = i64::try_from(bytes + tail).unwrap_or(i64::MAX);
    }
    Ok(())
}

fn led_here(scope: &Scope<'_>, request: &DescribeLogDirsRequest) -> Vec<DescribeLogDirsTopic> {
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
    topics.collect()
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
        .map(|(index, _)| DescribeLogDirsPartition::default().with_partition_index(index))
        .collect();
    let name = TopicName(text(topic.name.clone()));
    (!partitions.is_empty())
        .then(|| DescribeLogDirsTopic::default().with_name(name).with_partitions(partitions))
}
