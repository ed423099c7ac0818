//! About how much a group's records take in batches: what the bound on the topic's growth is measured against.

use super::assignment::{Assignment, Held};
use super::member::Member;
use super::subscription::Resolved;

/// What a record takes beside its strings and partitions.
const RECORD_BYTES: usize = 24;
const TOPIC_BYTES: usize = 20;
/// A partition, and the epoch at which it was received.
const HELD_BYTES: usize = 8;
const PARTITION_BYTES: usize = 4;

fn widened(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// The record of the group's epoch and that of its target's.
pub(super) fn of_group(group: &str) -> u64 {
    widened(2 * (group.len() + RECORD_BYTES))
}

/// A member's subscription and what it holds.
pub(super) fn of_member(group: &str, member: &Member) -> u64 {
    let texts = [&member.instance_id, &member.rack_id, &member.topic_regex, &member.assignor];
    let texts: usize = texts.into_iter().flatten().map(String::len).sum();
    let names: usize = member.topic_names.iter().map(|name| name.len() + 1).sum();
    let classic = member.classic.as_ref().map_or(0, |classic| {
        let protocols = classic.protocols.iter();
        protocols.map(|protocol| protocol.name.len() + protocol.metadata.len() + 4).sum()
    });
    let own = texts + names + classic + member.client_id.len() + member.client_host.len();
    let keys = 2 * (group.len() + member.id.len() + RECORD_BYTES);
    widened(own + keys + of_held(&member.assigned) + of_held(&member.revoking))
}

fn of_held(held: &Held) -> usize {
    held.values().map(|partitions| TOPIC_BYTES + HELD_BYTES * partitions.len()).sum()
}

/// A member's target.
pub(super) fn of_target(group: &str, member: &str, target: &Assignment) -> u64 {
    let topics = target.values();
    let topics: usize =
        topics.map(|partitions| TOPIC_BYTES + PARTITION_BYTES * partitions.len()).sum();
    widened(group.len() + member.len() + RECORD_BYTES + topics)
}

/// What a pattern matched.
pub(super) fn of_regex(group: &str, regex: &str, resolved: &Resolved) -> u64 {
    let topics: usize = resolved.topics.iter().map(|topic| topic.len() + 1).sum();
    widened(group.len() + regex.len() + RECORD_BYTES + 16 + topics)
}
