//! How long puts, or reads, take of late: from when on one counts as slow, and how many may be sent once more.

use std::collections::VecDeque;
use std::time::Duration;

/// Puts remembered of each size class.
const REMEMBERED: usize = 128;
/// Nothing is slow before so many were seen.
const ENOUGH: usize = 20;
/// Small puts are many times quicker than large ones: one measure for both would hedge every large one.
const LARGE_BYTES: u64 = 1 << 20;
/// Puts, or reads, that pay for one hedge: a store that slows down as a whole must not get twice the load. One in twenty is
/// slow in a sound store, one in ten where as many fail as well, and a few of these want a second.
const PUTS_A_HEDGE: u32 = 6;
const HEDGES_SAVED_MAX: u32 = 4;

/// Recent latencies and the hedges that they allow.
#[derive(Debug, Default)]
pub(super) struct Latency {
    small: VecDeque<Duration>,
    large: VecDeque<Duration>,
    /// In parts of a hedge, [`PUTS_A_HEDGE`] to one.
    saved: u32,
}

impl Latency {
    /// Remembers a put that succeeded.
    pub(super) fn observe(&mut self, bytes: u64, took: Duration) {
        self.saved = (self.saved + 1).min(PUTS_A_HEDGE * HEDGES_SAVED_MAX);
        let seen = if bytes < LARGE_BYTES { &mut self.small } else { &mut self.large };
        if seen.len() == REMEMBERED {
            seen.pop_front();
        }
        seen.push_back(took);
    }

    /// The time that 95 in 100 puts of this size took less than. None until enough were seen.
    pub(super) fn p95(&self, bytes: u64) -> Option<Duration> {
        let seen = if bytes < LARGE_BYTES { &self.small } else { &self.large };
        if seen.len() < ENOUGH {
            return None;
        }
        let mut sorted: Vec<Duration> = seen.iter().copied().collect();
        let rank = (sorted.len() * 95).div_ceil(100) - 1;
        Some(*sorted.select_nth_unstable(rank).1)
    }

    /// Takes the right to send a put once more, of which `under_way` are on their way. The last that is saved is for a put
    /// that has no second yet.
    pub(super) fn take_hedge(&mut self, under_way: u32) -> bool {
        let may = self.saved >= PUTS_A_HEDGE * under_way;
        if may {
            self.saved -= PUTS_A_HEDGE;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_95th_is_known_after_enough_puts_of_the_same_size() {
        let mut latency = Latency::default();
        for n in 1..=19 {
            latency.observe(10, Duration::from_millis(n));
        }
        assert_eq!(latency.p95(10), None);
        for n in 20..=100 {
            latency.observe(10, Duration::from_millis(n));
        }
        assert_eq!(latency.p95(10), Some(Duration::from_millis(95)));
        assert_eq!(latency.p95(LARGE_BYTES), None);
    }

    #[test]
    fn one_put_in_six_may_be_hedged() {
        let mut latency = Latency::default();
        let mut hedges = 0;
        for _ in 0..1000 {
            latency.observe(10, Duration::from_millis(1));
            hedges += u32::from(latency.take_hedge(1));
        }
        assert_eq!(hedges, 166);
    }

    #[test]
    fn the_last_hedge_is_for_a_put_that_has_none() {
        let mut latency = Latency::default();
        for _ in 0..PUTS_A_HEDGE {
            latency.observe(10, Duration::from_millis(1));
        }
        assert!(!latency.take_hedge(2));
        assert!(latency.take_hedge(1));
        assert!(!latency.take_hedge(1));
    }
}
