//! The deadlines of a group's members.
//!
//! Owned by the group, so that its state needs no clock: whoever keeps the group wakes it at [`Timers::next`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What a deadline is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The member was silent for too long.
    Session,
    /// The member took too long to give partitions back.
    Rebalance,
    /// A member of the classic protocol was told to join again, and has not.
    Join,
    /// A member of the classic protocol joined, and has not asked for its assignment.
    Sync,
}

/// Deadlines, by what they are for and by when they come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Timers {
    deadlines: BTreeMap<(Timer, String), Duration>,
    order: BTreeSet<(Duration, Timer, String)>,
}

impl Timers {
    /// Sets a deadline, in place of the one before.
    pub fn set(&mut self, timer: Timer, member: &str, at: Duration) {
        self.cancel(timer, member);
        self.deadlines.insert((timer, member.to_owned()), at);
        self.order.insert((at, timer, member.to_owned()));
    }

    /// Sets a deadline unless there is one.
    pub fn set_if_absent(&mut self, timer: Timer, member: &str, at: Duration) {
        if !self.is_set(timer, member) {
            self.set(timer, member, at);
        }
    }

    /// Whether a deadline is set.
    #[must_use]
    pub fn is_set(&self, timer: Timer, member: &str) -> bool {
        self.deadlines.contains_key(&(timer, member.to_owned()))
    }

    /// Forgets a deadline.
    pub fn cancel(&mut self, timer: Timer, member: &str) {
        if let Some(at) = self.deadlines.remove(&(timer, member.to_owned())) {
            self.order.remove(&(at, timer, member.to_owned()));
        }
    }

    /// Forgets all of a member's.
    pub fn cancel_all(&mut self, member: &str) {
        for timer in [Timer::Session, Timer::Rebalance, Timer::Join, Timer::Sync] {
            self.cancel(timer, member);
        }
    }

    /// When the next comes.
    #[must_use]
    pub fn next(&self) -> Option<Duration> {
        self.order.first().map(|(at, ..)| *at)
    }

    /// Takes out one that has come.
    pub fn pop(&mut self, now: Duration) -> Option<(Timer, String)> {
        let (at, ..) = self.order.first()?;
        if *at > now {
            return None;
        }
        let (_, timer, member) = self.order.pop_first()?;
        self.deadlines.remove(&(timer, member.clone()));
        Some((timer, member))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_come_in_order_and_once() {
        let mut timers = Timers::default();
        let at = Duration::from_millis;
        timers.set(Timer::Session, "a", at(9));
        timers.set(Timer::Session, "b", at(5));
        timers.set(Timer::Session, "a", at(3));
        timers.set_if_absent(Timer::Session, "b", at(1));
        timers.set(Timer::Join, "c", at(4));
        timers.cancel_all("c");
        assert_eq!(timers.next(), Some(at(3)));
        assert_eq!(timers.pop(at(2)), None);
        assert_eq!(timers.pop(at(7)), Some((Timer::Session, "a".to_owned())));
        assert_eq!(timers.pop(at(7)), Some((Timer::Session, "b".to_owned())));
        assert_eq!((timers.pop(at(99)), timers.next()), (None, None));
    }
}
