//! The hash of what a group's assignment depends on: partitions and racks of the topics that it subscribes to (KIP-1101).
//!
//! Kafka persists it with the group's epoch, so that a coordinator that takes over knows whether anything has changed.
//!
//! Source: `Utils.computeTopicHash`, `computeGroupHash` in Apache Kafka 4.3.1; `HashSink` of hash4j, which puts integers in
//! little-endian order, and strings as UTF-16 and then their length.

use std::collections::BTreeMap;

use twox_hash::XxHash3_64;

use crate::cluster::image::{Image, TopicImage};

/// The hash of all that `names` lists and that exists; 0 for nothing.
#[must_use]
pub fn group_hash<'a>(names: impl Iterator<Item = &'a String>, image: &Image) -> i64 {
    let topics: BTreeMap<&str, i64> = names
        .filter_map(|name| Some((name.as_str(), topic_hash(image.topic(name)?, image))))
        .collect();
    if topics.is_empty() {
        return 0;
    }
    let bytes: Vec<u8> = topics.values().flat_map(|hash| hash.to_le_bytes()).collect();
    hash(&bytes)
}

fn topic_hash(topic: &TopicImage, image: &Image) -> i64 {
    // The first byte is the version of the format.
    let mut bytes = vec![0];
    let (most, least) = topic.id.0.as_u64_pair();
    bytes.extend(most.to_le_bytes());
    bytes.extend(least.to_le_bytes());
    put_string(&mut bytes, &topic.name);
    put_number(&mut bytes, topic.partitions.len());
    for (number, partition) in topic.partitions.iter().enumerate() {
        put_number(&mut bytes, number);
        let brokers = partition.replicas.iter().filter_map(|broker| image.brokers.get(broker));
        let mut racks: Vec<&String> = brokers.filter_map(|broker| broker.rack.as_ref()).collect();
        racks.sort();
        for rack in racks {
            put_number(&mut bytes, rack.encode_utf16().count());
            put_string(&mut bytes, rack);
        }
    }
    hash(&bytes)
}

fn put_number(bytes: &mut Vec<u8>, number: usize) {
    bytes.extend(i32::try_from(number).unwrap_or(i32::MAX).to_le_bytes());
}

fn put_string(bytes: &mut Vec<u8>, text: &str) {
    let before = bytes.len();
    bytes.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
    put_number(bytes, (bytes.len() - before) / 2);
}

fn hash(bytes: &[u8]) -> i64 {
    XxHash3_64::oneshot(bytes).cast_signed()
}
