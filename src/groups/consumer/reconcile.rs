//! One step of a member toward its target.
//!
//! It first gives back what is no longer its own and stays in its epoch until it has; then it moves to the target's epoch
//! with all that is free, and waits there for the rest.
//!
//! Source: `CurrentAssignmentBuilder` in Apache Kafka 4.3.1.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::assignment::{Assignment, Held};
use super::group::ConsumerGroup;
use super::member::{Member, MemberState};
use crate::base::ids::TopicId;

/// Where a member shall go, and what it says it has.
#[derive(Debug, Clone, Copy)]
pub struct Goal<'a> {
    /// The target's epoch.
    pub epoch: i32,
    /// The target.
    pub target: &'a Assignment,
    /// The topics that the member subscribes to now: it keeps nothing of others, whatever the target says.
    pub subscribed: &'a BTreeSet<TopicId>,
    /// Whether the subscription has just changed.
    pub subscription_changed: bool,
    /// What the member says that it owns; `None`: it does not say.
    pub owned: Option<&'a Assignment>,
}

/// What a full step comes to.
#[derive(Debug, Default)]
struct Next {
    keeps: Held,
    revokes: Held,
    receives: Assignment,
    /// Some of the target is still held by others.
    waits: bool,
}

/// The member after one step; the same if it cannot move.
#[must_use]
pub fn step(group: &ConsumerGroup, member: Member, goal: Goal<'_>) -> Member {
    match member.state {
        MemberState::Stable if member.epoch != goal.epoch => advance(group, member, goal),
        MemberState::Stable => shrink(member, goal),
        MemberState::UnrevokedPartitions if goal.owns_any_of(&member.revoking) => {
            shrink(member, goal)
        }
        MemberState::UnrevokedPartitions | MemberState::UnreleasedPartitions => {
            advance(group, member, goal)
        }
        MemberState::Unknown => {
            // The caller has seen to it that such a member owns nothing. Its history counts for nothing either.
            let anew = Member { epoch: goal.epoch, ..member };
            advance(group, anew, goal)
        }
    }
}

impl Goal<'_> {
    /// A member that does not say owns all it was told to give back.
    fn owns_any_of(&self, revoking: &Held) -> bool {
        self.owned.is_none_or(|owned| {
            owned.iter().any(|(topic, partitions)| {
                revoking.get(topic).is_some_and(|revoking| {
                    partitions.iter().any(|partition| revoking.contains_key(partition))
                })
            })
        })
    }
}

/// Takes away only what is no longer subscribed to; the rest waits for the next target.
fn shrink(member: Member, goal: Goal<'_>) -> Member {
    let all_stay = || member.assigned.keys().all(|topic| goal.subscribed.contains(topic));
    if !goal.subscription_changed || all_stay() {
        return member;
    }
    let mut assigned = Held::clone(&member.assigned);
    let mut revoking = Held::clone(&member.revoking);
    for (topic, partitions) in member.assigned.iter() {
        if !goal.subscribed.contains(topic) {
            assigned.remove(topic);
            revoking.entry(*topic).or_default().extend(partitions);
        }
    }
    let mut next = Member { assigned: Arc::new(assigned), ..member };
    next.move_to(next.epoch);
    if goal.owns_any_of(&revoking) {
        next.state = MemberState::UnrevokedPartitions;
        next.revoking = Arc::new(revoking);
    }
    next
}

fn advance(group: &ConsumerGroup, member: Member, goal: Goal<'_>) -> Member {
    let mut next = Next::default();
    let topics: BTreeSet<TopicId> =
        goal.target.keys().chain(member.assigned.keys()).copied().collect();
    for topic in topics {
        next.add_topic(group, &member, goal, topic);
    }
    if !next.revokes.is_empty() && goal.owns_any_of(&next.revokes) {
        let mut revoking = Member {
            state: MemberState::UnrevokedPartitions,
            assigned: Arc::new(next.keeps),
            revoking: Arc::new(next.revokes),
            ..member
        };
        revoking.move_to(revoking.epoch);
        return revoking;
    }
    let mut assigned = next.keeps;
    for (topic, partitions) in next.receives {
        let received = partitions.into_iter().map(|partition| (partition, goal.epoch));
        assigned.entry(topic).or_default().extend(received);
    }
    let state = if next.waits { MemberState::UnreleasedPartitions } else { MemberState::Stable };
    let mut moved =
        Member { state, assigned: Arc::new(assigned), revoking: Arc::default(), ..member };
    moved.move_to(goal.epoch);
    moved
}

impl Next {
    fn add_topic(
        &mut self,
        group: &ConsumerGroup,
        member: &Member,
        goal: Goal<'_>,
        topic: TopicId,
    ) {
        let nothing = BTreeMap::new();
        let held = member.assigned.get(&topic).unwrap_or(&nothing);
        let revoking = member.revoking.get(&topic).unwrap_or(&nothing);
        let target = goal.target.get(&topic).filter(|_| goal.subscribed.contains(&topic));
        let is_target = |partition: &i32| target.is_some_and(|target| target.contains(partition));
        let (keeps, revokes): (BTreeMap<i32, i32>, BTreeMap<i32, i32>) = held
            .iter()
            .map(|(partition, epoch)| (*partition, *epoch))
            .partition(|(p, _)| is_target(p));
        let mut receives = BTreeSet::new();
        for partition in target.into_iter().flatten().filter(|p| !keeps.contains_key(p)) {
            // What the member itself was about to give back, and has given back, is free for it.
            if group.is_free(topic, *partition) || revoking.contains_key(partition) {
                receives.insert(*partition);
            } else {
                self.waits = true;
            }
        }
        if !keeps.is_empty() {
            self.keeps.insert(topic, keeps);
        }
        if !revokes.is_empty() {
            self.revokes.insert(topic, revokes);
        }
        if !receives.is_empty() {
            self.receives.insert(topic, receives);
        }
    }
}
