//! `simple`: which members read which partitions.
//!
//! A partition may be read by many members and a member reads many partitions. Where all members subscribe to the same
//! topics, their partitions are shared out together, otherwise topic by topic among its subscribers. With P partitions and M
//! members each partition is read by ceil(M / P) members, and members have numbers of partitions that differ by one at most,
//! as far as what they have already, which they keep, allows.
//!
//! Source: `SimpleAssignor`, `SimpleHomogeneousAssignmentBuilder`, `SimpleHeterogeneousAssignmentBuilder` in Apache Kafka 4.3.1.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::topics::Partitions;
use crate::base::ids::TopicId;
use crate::groups::consumer::assignment::Assignment;

/// The assignor's name.
pub const NAME: &str = "simple";

/// A member, as the assignor sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscriber {
    /// The topics that it subscribes to, of those that exist. Members with the same share one.
    pub topics: Arc<BTreeSet<TopicId>>,
    /// Its present target.
    pub target: Arc<Assignment>,
}

/// The new target of each member, in their order, from the partitions that may be given out. One that has not changed is
/// the same allocation.
#[must_use]
pub fn assign(members: &[Subscriber], assignable: &Partitions) -> Vec<Arc<Assignment>> {
    let mut new = vec![Assignment::new(); members.len()];
    let places = |topics: &BTreeSet<TopicId>| -> Vec<(TopicId, i32)> {
        let there = topics.iter().filter_map(|topic| Some((*topic, assignable.get(topic)?)));
        there
            .flat_map(|(topic, all)| all.iter().map(move |partition| (topic, *partition)))
            .collect()
    };
    if members.windows(2).all(|pair| pair[0].topics == pair[1].topics) {
        if let Some(first) = members.first() {
            let all: Vec<usize> = (0..members.len()).collect();
            Shares::new(members, all, places(&first.topics)).share_out(&mut new);
        }
    } else {
        let mut subscribers: BTreeMap<TopicId, Vec<usize>> = BTreeMap::new();
        for (at, member) in members.iter().enumerate() {
            for topic in member.topics.iter() {
                subscribers.entry(*topic).or_default().push(at);
            }
        }
        for (topic, subscribers) in subscribers {
            let places = places(&BTreeSet::from([topic]));
            Shares::new(members, subscribers, places).share_out(&mut new);
        }
    }
    let targets = members.iter().zip(new);
    targets
        .map(
            |(member, new)| {
                if *member.target == new { Arc::clone(&member.target) } else { Arc::new(new) }
            },
        )
        .collect()
}

/// Partitions that are shared out among members, who are known by their place among them.
struct Shares {
    /// Where each member stands among all.
    members: Vec<usize>,
    places: Vec<(TopicId, i32)>,
    /// Who has each partition.
    holders: Vec<BTreeSet<usize>>,
    /// What each member has: places, in order.
    held: Vec<BTreeSet<usize>>,
    /// How many each member shall have.
    desired: Vec<usize>,
    /// By how many members each partition shall be read.
    sharing: usize,
}

impl Shares {
    /// What the members have of these partitions already.
    fn new(all: &[Subscriber], members: Vec<usize>, places: Vec<(TopicId, i32)>) -> Self {
        let sharing = members.len().div_ceil(places.len().max(1));
        let total = sharing * places.len();
        let upto = |member: usize| (total * member).div_ceil(members.len().max(1));
        let desired = (0..members.len()).map(|at| upto(at + 1) - upto(at)).collect();
        let mut holders = vec![BTreeSet::new(); places.len()];
        let held = members.iter().enumerate().map(|(at, member)| {
            let target = &all[*member].target;
            let had = target.iter().flat_map(|(topic, all)| all.iter().map(|one| (*topic, *one)));
            let had: BTreeSet<usize> =
                had.filter_map(|place| places.binary_search(&place).ok()).collect();
            for place in &had {
                holders[*place].insert(at);
            }
            had
        });
        let held = held.collect();
        Self { members, places, holders, held, desired, sharing }
    }

    fn share_out(mut self, new: &mut [Assignment]) {
        self.thin_out();
        self.relieve();
        self.fill();
        for (member, held) in self.members.iter().zip(&self.held) {
            for place in held {
                let (topic, partition) = self.places[*place];
                new[*member].entry(topic).or_default().insert(partition);
            }
        }
    }

    fn give_back(&mut self, member: usize, place: usize) {
        self.holders[place].remove(&member);
        self.held[member].remove(&place);
    }

    /// Takes partitions that too many read from some of them: first from those who have too many anyway.
    fn thin_out(&mut self) {
        for place in 0..self.places.len() {
            self.release(place, |shares, member| {
                shares.held[member].len() > shares.desired[member]
            });
            self.release(place, |_, _| true);
        }
    }

    fn release(&mut self, place: usize, may: impl Fn(&Self, usize) -> bool) {
        let holders: Vec<usize> = self.holders[place].iter().copied().collect();
        for member in holders {
            if self.holders[place].len() > self.sharing && may(self, member) {
                self.give_back(member, place);
            }
        }
    }

    /// Takes from members who have too many.
    fn relieve(&mut self) {
        for member in 0..self.members.len() {
            while self.held[member].len() > self.desired[member]
                && let Some(place) = self.held[member].first().copied()
            {
                self.give_back(member, place);
            }
        }
    }

    /// Gives partitions that too few read to members who have too few, in turn. One that every such member has already is
    /// left as it is.
    fn fill(&mut self) {
        let wanting =
            |shares: &Self, member: usize| shares.held[member].len() < shares.desired[member];
        let mut unfilled: VecDeque<usize> =
            (0..self.members.len()).filter(|member| wanting(self, *member)).collect();
        for place in 0..self.places.len() {
            let mut untried = unfilled.len();
            while self.holders[place].len() < self.sharing && untried > 0 {
                untried -= 1;
                let Some(member) = unfilled.pop_front() else { return };
                if self.holders[place].insert(member) {
                    self.held[member].insert(place);
                }
                if wanting(self, member) {
                    unfilled.push_back(member);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn topic(number: u128) -> TopicId {
        TopicId(Uuid::from_u128(number))
    }

    /// Assigns until nothing changes any more, which must be at once.
    fn settle(members: &mut [Subscriber], assignable: &Partitions) {
        let targets = assign(members, assignable);
        for (member, target) in members.iter_mut().zip(targets) {
            member.target = target;
        }
        for (member, again) in members.iter().zip(assign(members, assignable)) {
            assert!(Arc::ptr_eq(&member.target, &again), "the same again");
        }
    }

    fn partitions(counts: &[i32]) -> Partitions {
        (1..).zip(counts).map(|(number, count)| (topic(number), (0..*count).collect())).collect()
    }

    fn subscriber(topics: &[u128]) -> Subscriber {
        let topics = Arc::new(topics.iter().copied().map(topic).collect());
        Subscriber { topics, target: Arc::default() }
    }

    /// How many partitions each member has, and how many members each partition.
    fn loads(members: &[Subscriber], assignable: &Partitions) -> (Vec<usize>, Vec<usize>) {
        let size = |member: &Subscriber| member.target.values().map(BTreeSet::len).sum();
        let readers = assignable.iter().flat_map(|(topic, all)| {
            all.iter().map(move |partition| {
                let reads = |member: &&Subscriber| {
                    member.target.get(topic).is_some_and(|all| all.contains(partition))
                };
                members.iter().filter(reads).count()
            })
        });
        (members.iter().map(size).collect(), readers.collect())
    }

    #[test]
    fn every_partition_is_read_and_members_are_even() {
        for (members, counts, sizes, readers) in [
            (1, &[3][..], vec![3], vec![1; 3]),
            (2, &[4], vec![2, 2], vec![1; 4]),
            (3, &[1], vec![1, 1, 1], vec![3]),
            (3, &[2], vec![2, 1, 1], vec![2, 2]),
            (3, &[1, 1], vec![2, 1, 1], vec![2, 2]),
            (4, &[2, 1], vec![2, 1, 2, 1], vec![2; 3]),
            (2, &[0], vec![0, 0], vec![]),
            (0, &[2], vec![], vec![0, 0]),
        ] {
            let topics: Vec<u128> = (1..).take(counts.len()).collect();
            let assignable = partitions(counts);
            let mut all = vec![subscriber(&topics); members];
            settle(&mut all, &assignable);
            let got = loads(&all, &assignable);
            assert_eq!(got, (sizes, readers), "{members} members, {counts:?}");
        }
    }

    #[test]
    fn a_member_that_comes_or_goes_moves_little() {
        let assignable = partitions(&[6]);
        let mut members = vec![subscriber(&[1]); 2];
        settle(&mut members, &assignable);
        let before = members.clone();
        members.push(subscriber(&[1]));
        settle(&mut members, &assignable);
        assert_eq!(loads(&members, &assignable).0, [2, 2, 2]);
        for (before, now) in before.iter().zip(&members) {
            let kept =
                now.target.values().flatten().filter(|partition| {
                    before.target.values().flatten().any(|had| had == *partition)
                });
            assert_eq!(kept.count(), 2, "what a member has it had before");
        }
        members.remove(0);
        settle(&mut members, &assignable);
        assert_eq!(loads(&members, &assignable).0, [3, 3]);
    }

    #[test]
    fn topics_are_shared_out_among_their_subscribers() {
        let assignable = partitions(&[4, 4]);
        let mut members = vec![subscriber(&[1]), subscriber(&[2]), subscriber(&[1, 2])];
        settle(&mut members, &assignable);
        assert_eq!(loads(&members, &assignable), (vec![2, 2, 4], vec![1; 8]));
        members[2] = Subscriber { target: Arc::clone(&members[2].target), ..subscriber(&[2]) };
        settle(&mut members, &assignable);
        assert_eq!(loads(&members, &assignable), (vec![4, 2, 2], vec![1; 8]));
    }

    #[test]
    fn what_may_not_be_given_out_is_taken_back() {
        let mut members = vec![subscriber(&[1, 2])];
        settle(&mut members, &partitions(&[2, 2]));
        let rest = Partitions::from([(topic(2), BTreeSet::from([1]))]);
        settle(&mut members, &rest);
        assert_eq!(*members[0].target, rest);
    }

    /// Every partition that somebody subscribes to is read, and nobody reads what they may not.
    fn check(members: &[Subscriber], assignable: &Partitions) {
        let targets = assign(members, assignable);
        let reads = |target: &Arc<Assignment>, topic: &TopicId, partition: i32| {
            target.get(topic).is_some_and(|all| all.contains(&partition))
        };
        for (topic, partitions) in assignable {
            let subscribed = members.iter().any(|member| member.topics.contains(topic));
            for partition in partitions {
                let read = targets.iter().any(|target| reads(target, topic, *partition));
                assert_eq!(read, subscribed, "{topic} {partition}");
            }
        }
        for (member, target) in members.iter().zip(&targets) {
            for (topic, partitions) in target.iter() {
                assert!(member.topics.contains(topic), "{topic}");
                assert!(partitions.is_subset(&assignable[topic]), "{topic}");
            }
        }
    }

    fn any_subscriber() -> impl Strategy<Value = Subscriber> {
        let partitions = prop::collection::btree_set(0..6_i32, 1..5);
        let target = prop::collection::btree_map((1..4_u128).prop_map(topic), partitions, 0..3);
        let topics = prop::collection::btree_set((1..4_u128).prop_map(topic), 1..4);
        (topics, target).prop_map(|(topics, target)| Subscriber {
            topics: topics.into(),
            target: target.into(),
        })
    }

    proptest! {
        #[test]
        fn no_partition_is_forgotten_whatever_was_before(
            members in prop::collection::vec(any_subscriber(), 1..7),
            counts in prop::collection::vec(0..6_i32, 3),
        ) {
            check(&members, &partitions(&counts));
        }
    }
}
