//! Retention and garbage collection.

use std::time::Duration;

use super::key::Kind::{self, Millis};
use super::key::{Key, Section};
use super::load::Values;

/// Settings of the jobs in the background.
#[derive(Debug, Clone)]
pub struct MaintenanceConfig {
    /// How often retention looks at every partition.
    pub retention_check_interval: Duration,
    /// How often the collector looks for objects that nothing references.
    pub gc_interval: Duration,
    /// How long an object outlives its last reference.
    pub gc_grace: Duration,
    /// How often the collector looks for late slots of chains that have ended.
    pub orphan_interval: Duration,
}

const fn ours(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key::ours(Section::Maintenance, name, kind, default, doc)
}

pub(super) const KEYS: &[Key] = &[
    Key::kafkas(
        Section::Maintenance,
        "log.retention.check.interval.ms",
        Millis { min: 1, max: i64::MAX },
        "300000",
        "How often records past their retention are looked for.",
    ),
    ours(
        "gc.interval.ms",
        Millis { min: 100, max: 86_400_000 },
        "60000",
        "How often objects that nothing references are looked for.",
    ),
    ours(
        "gc.grace.ms",
        Millis { min: 0, max: 604_800_000 },
        "60000",
        "How long an object outlives its last reference, for readers that still hold a plan with it.",
    ),
    ours(
        "gc.orphan.interval.ms",
        Millis { min: 1000, max: 604_800_000 },
        "3600000",
        "How often some of the ended chains are listed for objects that landed late.",
    ),
];

impl MaintenanceConfig {
    pub(super) fn read(values: &Values) -> Self {
        Self {
            retention_check_interval: values.time("log.retention.check.interval.ms"),
            gc_interval: values.time("gc.interval.ms"),
            gc_grace: values.time("gc.grace.ms"),
            orphan_interval: values.time("gc.orphan.interval.ms"),
        }
    }
}
