//! Tables of what Kafka's assignors give, and what must hold of any group.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn topic(number: u128) -> TopicId {
    TopicId(Uuid::from_u128(number))
}

fn subscriber(id: &str, topics: &[u128], target: &[(u128, &[i32])]) -> Subscriber {
    let target = target.iter().map(|(id, parts)| (topic(*id), parts.iter().copied().collect()));
    Subscriber {
        member_id: id.to_owned(),
        instance_id: None,
        topics: Arc::new(topics.iter().map(|id| topic(*id)).collect()),
        target: Arc::new(target.collect()),
    }
}

fn group(partitions: &[(u128, i32)], subscribers: Vec<Subscriber>) -> GroupSpec {
    GroupSpec {
        subscribers,
        partitions: partitions.iter().map(|(id, count)| (topic(*id), *count)).collect(),
    }
}

fn shown(targets: &[Arc<Assignment>]) -> Vec<Vec<(u128, Vec<i32>)>> {
    let one = |target: &Arc<Assignment>| {
        let topics = target.iter();
        topics.map(|(id, parts)| (id.0.as_u128(), parts.iter().copied().collect())).collect()
    };
    targets.iter().map(one).collect()
}

#[test]
fn uniform_shares_out_evenly_from_nothing() {
    let group = group(
        &[(1, 3), (2, 2)],
        vec![subscriber("a", &[1, 2], &[]), subscriber("b", &[1, 2], &[])],
    );
    let targets = Assignor::Uniform.assign(&group);
    assert_eq!(shown(&targets), [vec![(1, vec![0, 1, 2])], vec![(2, vec![0, 1])]],);
}

#[test]
fn uniform_moves_only_what_the_new_member_needs() {
    let group = group(
        &[(1, 7)],
        vec![
            subscriber("a", &[1], &[(1, &[0, 1])]),
            subscriber("b", &[1], &[(1, &[2, 3, 4, 5, 6])]),
            subscriber("c", &[1], &[]),
        ],
    );
    let targets = Assignor::Uniform.assign(&group);
    // `b` has most, so the larger quota is its; Kafka would give that to `a` and move one partition more.
    assert_eq!(
        shown(&targets),
        [vec![(1, vec![0, 1])], vec![(1, vec![2, 3, 4])], vec![(1, vec![5, 6])]],
    );
}

#[test]
fn uniform_with_nothing_to_do_leaves_every_target_as_it_is() {
    let group = group(
        &[(1, 3)],
        vec![subscriber("a", &[1], &[(1, &[0])]), subscriber("b", &[1], &[(1, &[1, 2])])],
    );
    let targets = Assignor::Uniform.assign(&group);
    for (target, subscriber) in targets.iter().zip(&group.subscribers) {
        assert!(Arc::ptr_eq(target, &subscriber.target));
    }
}

#[test]
fn uniform_drops_topics_that_a_member_no_longer_subscribes_to() {
    let group = group(&[(2, 1)], vec![subscriber("a", &[2], &[(1, &[0, 1]), (2, &[0])])]);
    assert_eq!(shown(&Assignor::Uniform.assign(&group)), [vec![(2, vec![0])]]);
}

#[test]
fn uniform_evens_out_different_subscriptions() {
    // Only `a` may have topic 1; topic 2 goes to `b` as far as that is even.
    let group =
        group(&[(1, 3), (2, 3)], vec![subscriber("a", &[1, 2], &[]), subscriber("b", &[2], &[])]);
    assert_eq!(
        shown(&Assignor::Uniform.assign(&group)),
        [vec![(1, vec![0, 1, 2])], vec![(2, vec![0, 1, 2])]],
    );
}

#[test]
fn uniform_moves_from_the_most_to_the_least_loaded() {
    let group = group(
        &[(1, 4), (2, 1)],
        vec![
            subscriber("a", &[1], &[(1, &[0, 1, 2, 3])]),
            subscriber("b", &[1, 2], &[]),
            subscriber("c", &[2], &[]),
        ],
    );
    assert_eq!(
        shown(&Assignor::Uniform.assign(&group)),
        [vec![(1, vec![0, 1])], vec![(1, vec![2, 3])], vec![(2, vec![0])]],
    );
}

#[test]
fn range_cuts_each_topic_and_puts_static_members_first() {
    let mut last = subscriber("a", &[1, 2], &[]);
    last.instance_id = None;
    let mut first = subscriber("z", &[1, 2], &[]);
    first.instance_id = Some("i".to_owned());
    let group = group(&[(1, 3), (2, 3)], vec![last, first]);
    assert_eq!(
        shown(&Assignor::Range.assign(&group)),
        [vec![(1, vec![2]), (2, vec![2])], vec![(1, vec![0, 1]), (2, vec![0, 1])],],
    );
}

#[test]
fn range_gives_nothing_to_members_past_the_last_partition() {
    let group = group(
        &[(1, 2)],
        vec![subscriber("a", &[1], &[]), subscriber("b", &[1], &[]), subscriber("c", &[1], &[])],
    );
    assert_eq!(
        shown(&Assignor::Range.assign(&group)),
        [vec![(1, vec![0])], vec![(1, vec![1])], vec![]],
    );
}

#[test]
fn a_group_without_members_or_topics_gets_nothing() {
    for assignor in Assignor::ALL {
        assert_eq!(assignor.assign(&GroupSpec::default()), Vec::<Arc<Assignment>>::new());
        let group = group(&[], vec![subscriber("a", &[], &[])]);
        assert_eq!(shown(&assignor.assign(&group)), [vec![]]);
    }
}

/// A group whose present targets overlap nowhere, as those of a real one.
fn any_group(same_topics: bool) -> impl Strategy<Value = GroupSpec> {
    let counts = prop::collection::vec(1..12_i32, 1..6);
    let members = prop::collection::vec(any::<u8>(), 1..12);
    (counts, members, prop::collection::vec(any::<u8>(), 64)).prop_map(
        move |(counts, masks, owners)| {
            let topics: Vec<u128> = (1..).take(counts.len()).collect();
            let mut subscribers: Vec<Subscriber> = Vec::new();
            for (at, mask) in masks.iter().enumerate() {
                let chosen = topics.iter().copied().filter(|t| same_topics || (mask >> t) & 1 == 1);
                let chosen: Vec<u128> = chosen.collect();
                subscribers.push(subscriber(&format!("m{at:02}"), &chosen, &[]));
            }
            let mut owners = owners.into_iter();
            for (id, count) in topics.iter().zip(&counts) {
                for partition in 0..*count {
                    let owner = usize::from(owners.next().unwrap_or(255));
                    if let Some(subscriber) = subscribers.get_mut(owner % 16) {
                        let target = Arc::make_mut(&mut subscriber.target);
                        target.entry(topic(*id)).or_default().insert(partition);
                    }
                }
            }
            let partitions = topics.iter().zip(&counts).map(|(id, count)| (topic(*id), *count));
            GroupSpec { subscribers, partitions: partitions.collect() }
        },
    )
}

/// Each subscribed partition has one owner, who subscribes to it.
fn check_complete(group: &GroupSpec, targets: &[Arc<Assignment>]) {
    let mut owned = BTreeSet::new();
    for (subscriber, target) in group.subscribers.iter().zip(targets) {
        for (topic, parts) in target.iter() {
            assert!(subscriber.topics.contains(topic), "{subscriber:?} got {topic}");
            assert!(!parts.is_empty());
            for part in parts {
                assert!((0..group.count(*topic)).contains(part));
                assert!(owned.insert((*topic, *part)), "{topic}-{part} twice");
            }
        }
    }
    let subscribed: BTreeSet<TopicId> =
        group.subscribers.iter().flat_map(|member| member.topics.iter().copied()).collect();
    let all: usize = subscribed
        .iter()
        .map(|topic| usize::try_from(group.count(*topic)).expect("positive"))
        .sum();
    assert_eq!(owned.len(), all);
}

fn moved(group: &GroupSpec, targets: &[Arc<Assignment>]) -> usize {
    let kept = |(subscriber, target): (&Subscriber, &Arc<Assignment>)| {
        let old = &subscriber.target;
        let kept = target
            .iter()
            .map(|(topic, parts)| old.get(topic).map_or(0, |old| old.intersection(parts).count()));
        size(target) - kept.sum::<usize>()
    };
    group.subscribers.iter().zip(targets).map(kept).sum()
}

fn with_targets(group: &GroupSpec, targets: &[Arc<Assignment>]) -> GroupSpec {
    let mut next = group.clone();
    for (subscriber, target) in next.subscribers.iter_mut().zip(targets) {
        subscriber.target = Arc::clone(target);
    }
    next
}

proptest! {
    #[test]
    fn every_partition_has_one_subscribed_owner(same in any_group(true), differing in any_group(false)) {
        for group in [same, differing] {
            for assignor in Assignor::ALL {
                check_complete(&group, &assignor.assign(&group));
            }
        }
    }

    #[test]
    fn uniform_is_even_and_moves_no_more_than_that_takes(group in any_group(true)) {
        let targets = Assignor::Uniform.assign(&group);
        let sizes: Vec<usize> = targets.iter().map(|target| size(target)).collect();
        let (least, most) = (sizes.iter().min().expect("members"), sizes.iter().max().expect("members"));
        prop_assert!(most - least <= 1, "{sizes:?}");
        // What nobody had must be given out, and what exceeds a quota must move: nothing else may.
        let total: usize = sizes.iter().sum();
        let had: Vec<usize> = group.subscribers.iter().map(|member| size(&member.target)).collect();
        let least = total / sizes.len();
        let mut extra = total % sizes.len();
        let mut above = 0;
        for had in &had {
            if *had > least {
                let quota = least + usize::from(extra > 0);
                extra = extra.saturating_sub(1);
                above += had.saturating_sub(quota);
            }
        }
        let unowned = total - had.iter().sum::<usize>();
        prop_assert_eq!(moved(&group, &targets), unowned + above);
    }

    #[test]
    fn a_second_assignment_of_the_same_group_moves_nothing(same in any_group(true), differing in any_group(false)) {
        for assignor in Assignor::ALL {
            let next = with_targets(&same, &assignor.assign(&same));
            prop_assert_eq!(moved(&next, &assignor.assign(&next)), 0);
        }
        let next = with_targets(&differing, &Assignor::Range.assign(&differing));
        prop_assert_eq!(moved(&next, &Assignor::Range.assign(&next)), 0);
    }

    #[test]
    fn uniform_leaves_no_topic_whose_subscribers_could_be_evener(group in any_group(false)) {
        // Rounds are bounded, so a group may need more than one assignment to come to rest; it must come to rest.
        let mut group = group;
        for _ in 0..8 {
            let targets = Assignor::Uniform.assign(&group);
            group = with_targets(&group, &targets);
        }
        let sizes: Vec<usize> = group.subscribers.iter().map(|member| size(&member.target)).collect();
        for (from, giver) in group.subscribers.iter().enumerate() {
            for topic in giver.target.keys() {
                for (to, taker) in group.subscribers.iter().enumerate() {
                    if taker.topics.contains(topic) {
                        prop_assert!(sizes[from] <= sizes[to] + 1, "{topic} of {from} to {to}: {sizes:?}");
                    }
                }
            }
        }
    }
}
