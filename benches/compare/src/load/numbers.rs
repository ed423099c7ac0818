//! Numbers of a load's records: which were acknowledged, which arrived. A bit for each, so that it costs little to note one.

use std::sync::atomic::{AtomicU64, Ordering};

/// What noting a number found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    /// It was not there.
    First,
    /// It was there already.
    Again,
    /// The load has no such number.
    Foreign,
}

/// A set of numbers below a bound.
#[derive(Debug, Default)]
pub struct Numbers {
    bits: Vec<AtomicU64>,
    bound: u64,
}

impl Numbers {
    /// None of the numbers below `bound`.
    pub fn new(bound: u64) -> Self {
        Self { bits: (0..bound.div_ceil(64)).map(|_| AtomicU64::new(0)).collect(), bound }
    }

    /// Notes a number.
    pub fn note(&self, number: u64) -> Noted {
        if number >= self.bound {
            return Noted::Foreign;
        }
        let bit = 1 << (number % 64);
        let before = self.bits[(number / 64) as usize].fetch_or(bit, Ordering::Relaxed);
        if before & bit == 0 { Noted::First } else { Noted::Again }
    }

    /// How many of them are not among the others, which have the same bound.
    pub fn missing_in(&self, others: &Self) -> u64 {
        assert!(self.bound == others.bound, "{} and {} numbers", self.bound, others.bound);
        let pairs = self.bits.iter().zip(&others.bits);
        let missing =
            pairs.map(|(own, other)| own.load(Ordering::Relaxed) & !other.load(Ordering::Relaxed));
        missing.map(|bits| u64::from(bits.count_ones())).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_number_does_not_hide_a_missing_one() {
        let (acknowledged, consumed) = (Numbers::new(130), Numbers::new(130));
        for number in [0, 64, 129] {
            assert_eq!(acknowledged.note(number), Noted::First);
        }
        assert_eq!(consumed.note(0), Noted::First);
        assert_eq!(consumed.note(0), Noted::Again);
        assert_eq!(consumed.note(129), Noted::First);
        assert_eq!(consumed.note(130), Noted::Foreign);
        assert_eq!(acknowledged.missing_in(&consumed), 1);
        assert_eq!(consumed.missing_in(&acknowledged), 0);
    }
}
