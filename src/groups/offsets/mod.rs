//! Committed offsets of the groups of one shard. Pure.

mod state;

pub(super) use state::{Committed, Offsets, Place, record};

#[cfg(test)]
mod tests;
