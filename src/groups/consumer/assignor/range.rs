//! `range`: each topic is cut into contiguous pieces, one a subscriber, static members first.
//!
//! Members that subscribe to the same topics of the same size get the same partitions of each, as joins of streams need.
//!
//! Source: `RangeAssignor` in Apache Kafka 4.3.1.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::assignment::Assignment;
use super::{GroupSpec, Subscriber};
use crate::base::ids::TopicId;

/// How far a topic is given out.
struct Cut {
    next: i32,
    least: i32,
    extra: i32,
}

pub(super) fn assign(group: &GroupSpec) -> Vec<Arc<Assignment>> {
    let mut subscribers: BTreeMap<TopicId, i32> = BTreeMap::new();
    for topic in group.subscribers.iter().flat_map(|subscriber| subscriber.topics.iter()) {
        *subscribers.entry(*topic).or_default() += 1;
    }
    let cut = |(topic, count): (TopicId, i32)| {
        let partitions = group.count(topic);
        (topic, Cut { next: 0, least: partitions / count, extra: partitions % count })
    };
    let mut cuts: BTreeMap<TopicId, Cut> = subscribers.into_iter().map(cut).collect();
    let mut order: Vec<usize> = (0..group.subscribers.len()).collect();
    order.sort_by(|a, b| rank(&group.subscribers[*a]).cmp(&rank(&group.subscribers[*b])));
    let mut targets = vec![Arc::default(); group.subscribers.len()];
    for at in order {
        let subscriber = &group.subscribers[at];
        let mut target = Assignment::new();
        for topic in subscriber.topics.iter() {
            let cut = cuts.get_mut(topic).expect("every subscribed topic is cut");
            let end = cut.next + cut.least + i32::from(cut.extra > 0);
            cut.extra = (cut.extra - 1).max(0);
            if cut.next < end {
                target.insert(*topic, (cut.next..end).collect());
            }
            cut.next = end;
        }
        let unchanged = *subscriber.target == target;
        targets[at] = if unchanged { Arc::clone(&subscriber.target) } else { Arc::new(target) };
    }
    targets
}

/// Static members first, by their instance, whose place survives a restart; then the others.
fn rank(subscriber: &Subscriber) -> (bool, &str) {
    match &subscriber.instance_id {
        Some(instance) => (false, instance),
        None => (true, &subscriber.member_id),
    }
}
