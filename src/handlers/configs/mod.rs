//! Configs of topics, brokers, groups and client metrics: the tables of keys, and the APIs that show and change them.

pub(super) mod alter;
pub(super) mod describe;
pub(super) mod incremental_alter;
mod group_bounds;
mod kind;
pub(super) mod list_resources;
mod loggers;
mod other_keys;
mod resource;
mod rules;
mod topic_keys;

pub(super) use describe::topic_entries;
pub use rules::Rules;
pub(super) use rules::{check_all, warn_if_compacted};
