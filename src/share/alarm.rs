//! When which share partition is looked at next: a queue by time, so that a lock that expires costs no look at the others.
//!
//! Owns the times. Does not own what a look finds (`service`).
//! Invariant: whoever has locks that expire is in the queue, at its first deadline or before, until it is taken out to be
//! looked at; its place for the next time comes of that look.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::led::Key;

/// Wakes the task that keeps the time.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    news: Notify,
    looks: Mutex<Looks>,
}

impl Alarm {
    /// Has a share partition looked at by then, at the latest.
    pub(super) fn look_at(&self, key: &Key, at: Duration) {
        if self.with(|looks| looks.add(key, at)) {
            self.ring();
        }
    }

    /// Has a share partition looked at as soon as may be.
    pub(super) fn look_now(&self, key: &Key) {
        self.look_at(key, Duration::ZERO);
    }

    /// Whose time has come: they are not in the queue any more.
    pub(super) fn take_due(&self, now: Duration) -> Vec<Key> {
        self.with(|looks| looks.take_due(now))
    }

    /// When the next look is due.
    pub(super) fn next(&self) -> Option<Duration> {
        self.with(|looks| looks.next())
    }

    /// Something else than a look is due.
    pub(super) fn ring(&self) {
        self.news.notify_one();
    }

    /// Resolves when something is due earlier than [`Self::next`] said.
    pub(super) async fn rung(&self) {
        self.news.notified().await;
    }

    /// How many share partitions were taken out to be looked at, so far.
    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        self.with(|looks| looks.taken)
    }

    fn with<T>(&self, step: impl FnOnce(&mut Looks) -> T) -> T {
        step(&mut self.looks.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Each share partition once, at the earliest time that was asked for.
#[derive(Debug, Default)]
struct Looks {
    by_time: BTreeSet<(Duration, Key)>,
    by_key: BTreeMap<Key, Duration>,
    #[cfg(test)]
    taken: usize,
}

impl Looks {
    /// Whether it is the next now, earlier than what was the next.
    fn add(&mut self, key: &Key, at: Duration) -> bool {
        if let Some(before) = self.by_key.get(key) {
            if *before <= at {
                return false;
            }
            self.by_time.remove(&(*before, key.clone()));
        }
        let earlier = self.next().is_none_or(|next| at < next);
        self.by_key.insert(key.clone(), at);
        self.by_time.insert((at, key.clone()));
        earlier
    }

    fn next(&self) -> Option<Duration> {
        self.by_time.first().map(|(at, _)| *at)
    }

    fn take_due(&mut self, now: Duration) -> Vec<Key> {
        let mut due = Vec::new();
        while self.next().is_some_and(|at| at <= now) {
            let (_, key) = self.by_time.pop_first().expect("there is a next one");
            self.by_key.remove(&key);
            due.push(key);
        }
        #[cfg(test)]
        {
            self.taken += due.len();
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::{TopicId, TopicPartition};

    fn key(partition: i32) -> Key {
        let topic = TopicId(uuid::Uuid::nil());
        Key { group: "g".into(), tp: TopicPartition { topic, partition } }
    }

    fn due(alarm: &Alarm, now: u64) -> Vec<i32> {
        let due = alarm.take_due(Duration::from_secs(now));
        due.iter().map(|key| key.tp.partition).collect()
    }

    #[test]
    fn only_what_is_due_is_taken_once_and_in_its_order() {
        let alarm = Alarm::default();
        for partition in 0..10_000 {
            alarm.look_at(&key(partition), Duration::from_secs(100));
        }
        for (partition, at) in [(7, 30), (5, 20), (9, 40)] {
            alarm.look_at(&key(partition), Duration::from_secs(at));
        }
        assert_eq!(due(&alarm, 19), [0; 0]);
        assert_eq!(due(&alarm, 30), [5, 7]);
        assert_eq!(due(&alarm, 30), [0; 0]);
        assert_eq!((alarm.taken(), alarm.next()), (2, Some(Duration::from_secs(40))));
        assert_eq!(due(&alarm, 100).len(), 9_998);
        assert_eq!(alarm.next(), None);
    }

    #[test]
    fn the_earliest_time_that_was_asked_for_counts() {
        let alarm = Alarm::default();
        for at in [50, 30, 40] {
            alarm.look_at(&key(1), Duration::from_secs(at));
        }
        assert_eq!(due(&alarm, 29), [0; 0]);
        assert_eq!(due(&alarm, 60), [1]);
        alarm.look_at(&key(1), Duration::from_secs(70));
        alarm.look_now(&key(1));
        assert_eq!(due(&alarm, 60), [1]);
        assert_eq!(alarm.next(), None);
    }

    /// Whoever waits is woken by what comes before all else, and by nothing else.
    #[tokio::test(start_paused = true)]
    async fn what_is_due_earlier_wakes() {
        let alarm = Alarm::default();
        let woken =
            async || tokio::time::timeout(Duration::from_secs(1), alarm.rung()).await.is_ok();
        for (partition, at, wakes) in [(1, 50, true), (2, 60, false), (2, 40, true), (1, 45, false)]
        {
            alarm.look_at(&key(partition), Duration::from_secs(at));
            assert_eq!(woken().await, wakes, "{partition} at {at}");
        }
    }
}
