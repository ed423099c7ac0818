//! `uniform` where all members subscribe to the same topics: quotas that differ by one at most, and nothing moves that need
//! not.
//!
//! Kafka gives the larger quotas to the members that come first; here those come first that already hold so many, so that
//! fewer partitions move.
//!
//! Source: `UniformHomogeneousAssignmentBuilder` in Apache Kafka 4.3.1.

use std::sync::Arc;

use super::super::assignment::Assignment;
use super::{Draft, GroupSpec, size};
use crate::base::ids::TopicId;

pub(super) fn assign(group: &GroupSpec) -> Vec<Arc<Assignment>> {
    let Some(first) = group.subscribers.first() else { return Vec::new() };
    let mut draft = Draft::of(group);
    let total: usize =
        first.topics.iter().map(|topic| usize::try_from(group.count(*topic)).unwrap_or(0)).sum();
    let quotas = quotas(&draft, total);
    let mut spare: Vec<(TopicId, i32)> = Vec::new();
    for topic in first.topics.iter() {
        let unassigned = draft.unassigned(*topic, group.count(*topic));
        spare.extend(unassigned.into_iter().map(|partition| (*topic, partition)));
    }
    for (subscriber, quota) in quotas.iter().enumerate() {
        let above = above(&draft.targets[subscriber], *quota);
        for (topic, partition) in &above {
            draft.remove(subscriber, *topic, *partition);
        }
        spare.extend(above);
    }
    let mut spare = spare.into_iter();
    for (subscriber, quota) in quotas.into_iter().enumerate() {
        let room = quota.saturating_sub(size(&draft.targets[subscriber]));
        for (topic, partition) in spare.by_ref().take(room) {
            draft.add(subscriber, topic, partition);
        }
    }
    draft.targets
}

/// How many partitions each subscriber shall have.
fn quotas(draft: &Draft, total: usize) -> Vec<usize> {
    let members = draft.targets.len();
    let least = total / members;
    let mut quotas = vec![least; members];
    let mut order: Vec<usize> = (0..members).collect();
    // A stable sort: members that hold more than the least come first, and stay in the order of their ids.
    order.sort_by_key(|subscriber| size(&draft.targets[*subscriber]) <= least);
    for subscriber in order.into_iter().take(total % members) {
        quotas[subscriber] += 1;
    }
    quotas
}

/// The last partitions of a target, from the quota on.
fn above(target: &Assignment, quota: usize) -> Vec<(TopicId, i32)> {
    let all = target.iter().flat_map(|(topic, parts)| parts.iter().map(|part| (*topic, *part)));
    all.skip(quota).collect()
}
