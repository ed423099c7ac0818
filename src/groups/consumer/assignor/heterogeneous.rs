//! `uniform` where subscriptions differ: what nobody has goes to who has least, then topics are evened out one by one.
//!
//! Source: `UniformHeterogeneousAssignmentBuilder` in Apache Kafka 4.3.1.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::assignment::Assignment;
use super::loads::Loads;
use super::{Draft, GroupSpec, size};
use crate::base::ids::TopicId;

/// Rounds over all topics. Where subscriptions overlap, each round about halves what is uneven.
const ROUNDS_MAX: usize = 16;

struct Builder<'a> {
    group: &'a GroupSpec,
    draft: Draft,
    /// Partitions by subscriber.
    sizes: Vec<usize>,
    /// Subscribers by topic, ascending.
    subscribers: BTreeMap<TopicId, Vec<usize>>,
    /// Who has each partition.
    owners: BTreeMap<TopicId, Vec<Option<usize>>>,
}

pub(super) fn assign(group: &GroupSpec) -> Vec<Arc<Assignment>> {
    let mut builder = Builder::new(group);
    builder.assign_rest();
    builder.balance();
    builder.draft.targets
}

impl<'a> Builder<'a> {
    fn new(group: &'a GroupSpec) -> Self {
        let mut subscribers: BTreeMap<TopicId, Vec<usize>> = BTreeMap::new();
        for (at, subscriber) in group.subscribers.iter().enumerate() {
            for topic in subscriber.topics.iter() {
                subscribers.entry(*topic).or_default().push(at);
            }
        }
        let draft = Draft::of(group);
        let nobody = |topic: &TopicId| {
            (*topic, vec![None; usize::try_from(group.count(*topic)).unwrap_or_default()])
        };
        let mut owners: BTreeMap<TopicId, Vec<Option<usize>>> =
            subscribers.keys().map(nobody).collect();
        for (at, target) in draft.targets.iter().enumerate() {
            for (topic, partition) in
                target.iter().flat_map(|(topic, parts)| parts.iter().map(move |part| (topic, part)))
            {
                let owners = owners.get_mut(topic).expect("a target's topics are subscribed to");
                if let Some(owner) =
                    usize::try_from(*partition).ok().and_then(|p| owners.get_mut(p))
                {
                    *owner = Some(at);
                }
            }
        }
        let sizes = draft.targets.iter().map(|target| size(target)).collect();
        Self { group, draft, sizes, subscribers, owners }
    }

    /// Topics with most partitions a subscriber first; then those with fewest subscribers.
    fn sorted<'t>(&self, topics: impl Iterator<Item = &'t TopicId>) -> Vec<TopicId> {
        let mut topics: Vec<TopicId> = topics.copied().collect();
        topics.sort_by(|a, b| {
            let [a_subscribers, b_subscribers] = [a, b]
                .map(|topic| u64::try_from(self.subscribers[topic].len()).unwrap_or(u64::MAX));
            let [a_count, b_count] =
                [a, b].map(|topic| u64::try_from(self.group.count(*topic)).unwrap_or_default());
            // Quotients compared without dividing.
            let quotients = (b_count * a_subscribers).cmp(&(a_count * b_subscribers));
            quotients.then(a_subscribers.cmp(&b_subscribers)).then(a.cmp(b))
        });
        topics
    }

    fn assign_rest(&mut self) {
        for topic in self.sorted(self.subscribers.keys()) {
            let owners = (0..).zip(&self.owners[&topic]);
            let rest: Vec<i32> = owners
                .filter_map(|(partition, owner)| owner.is_none().then_some(partition))
                .collect();
            if rest.is_empty() {
                continue;
            }
            let mut loads = Loads::new(&self.subscribers[&topic], &self.sizes);
            for partition in rest {
                let subscriber = loads.next_least(&self.sizes);
                self.give(topic, partition, subscriber);
            }
        }
    }

    fn give(&mut self, topic: TopicId, partition: i32, subscriber: usize) {
        let at = usize::try_from(partition).expect("partitions count from 0");
        let owner = &mut self.owners.get_mut(&topic).expect("a subscribed topic")[at];
        if let Some(before) = owner.replace(subscriber) {
            self.draft.remove(before, topic, partition);
            self.sizes[before] -= 1;
        }
        self.draft.add(subscriber, topic, partition);
        self.sizes[subscriber] += 1;
    }

    fn balance(&mut self) {
        // A topic with one subscriber has nowhere to go.
        let movable = self.subscribers.iter().filter(|(_, members)| members.len() > 1);
        let topics = self.sorted(movable.map(|(topic, _)| topic));
        let mut last_changed = None;
        for _ in 0..ROUNDS_MAX {
            for (at, topic) in topics.iter().enumerate() {
                if last_changed == Some(at) {
                    // A whole round without a move.
                    return;
                }
                if self.balance_topic(*topic) || last_changed.is_none() {
                    last_changed = Some(at);
                }
            }
        }
    }

    /// Moves the topic's partitions from who has most to who has least. Returns whether any moved.
    fn balance_topic(&mut self, topic: TopicId) -> bool {
        let mut loads = Loads::new(&self.subscribers[&topic], &self.sizes);
        if loads.spread(&self.sizes) <= 1 {
            return false;
        }
        let mut held: BTreeMap<usize, Vec<i32>> = BTreeMap::new();
        for (partition, owner) in (0..).zip(&self.owners[&topic]) {
            held.entry(owner.expect("all was assigned")).or_default().push(partition);
        }
        let mut moved = false;
        while !loads.is_balanced() {
            let Some(partition) = next_to_move(&mut loads, &self.sizes, &mut held) else { break };
            let to = loads.next_least(&self.sizes);
            if loads.is_balanced() {
                break;
            }
            self.give(topic, partition, to);
            moved = true;
        }
        moved
    }
}

/// The last partition of the subscriber with most who has any of this topic.
fn next_to_move(
    loads: &mut Loads,
    sizes: &[usize],
    held: &mut BTreeMap<usize, Vec<i32>>,
) -> Option<i32> {
    loop {
        let from = loads.next_most(sizes)?;
        match held.get_mut(&from).and_then(Vec::pop) {
            Some(partition) => return Some(partition),
            None => loads.exclude_most(),
        }
    }
}
