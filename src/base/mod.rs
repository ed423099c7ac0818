//! Ids, offsets, units, time, randomness, tasks, watching: words that every layer shares.

pub mod backoff;
pub mod budget;
pub mod clock;
pub mod few;
pub mod ids;
pub mod offset;
pub mod re2;
pub mod rng;
pub mod task;
pub mod units;
pub mod watch;
