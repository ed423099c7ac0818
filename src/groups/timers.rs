//! Deadlines of many things in one ordered map: setting, moving and cancelling one costs a look-up, not a task.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// At most one deadline for each key.
#[derive(Debug)]
pub(super) struct Timers<K> {
    by_time: BTreeSet<(Duration, K)>,
    by_key: BTreeMap<K, Duration>,
}

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Self { by_time: BTreeSet::new(), by_key: BTreeMap::new() }
    }
}

impl<K: Ord + Clone> Timers<K> {
    /// Sets the deadline of `key`, in place of the one that it had.
    pub(super) fn set(&mut self, key: K, at: Duration) {
        if let Some(before) = self.by_key.insert(key.clone(), at) {
            if before == at {
                return;
            }
            let entry = (before, key);
            self.by_time.remove(&entry);
            self.by_time.insert((at, entry.1));
        } else {
            self.by_time.insert((at, key));
        }
    }

    pub(super) fn cancel(&mut self, key: K) {
        if let Some(at) = self.by_key.remove(&key) {
            self.by_time.remove(&(at, key));
        }
    }

    /// The next deadline.
    pub(super) fn next(&self) -> Option<Duration> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes a key whose deadline has come.
    pub(super) fn pop(&mut self, now: Duration) -> Option<K> {
        if self.next()? > now {
            return None;
        }
        let (_, key) = self.by_time.pop_first()?;
        self.by_key.remove(&key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_in_the_order_of_their_last_deadlines() {
        let ms = Duration::from_millis;
        let mut timers = Timers::default();
        for (key, at) in [("a", 5), ("b", 3), ("c", 4), ("a", 1), ("b", 9), ("d", 2)] {
            timers.set(key, ms(at));
        }
        timers.cancel("d");
        assert_eq!(timers.next(), Some(ms(1)));
        assert_eq!(timers.pop(ms(0)), None);
        let due: Vec<_> = std::iter::from_fn(|| timers.pop(ms(8))).collect();
        assert_eq!(due, ["a", "c"]);
        assert_eq!(
            (timers.next(), timers.pop(ms(9)), timers.next()),
            (Some(ms(9)), Some("b"), None)
        );
    }
}
