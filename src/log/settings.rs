//! A topic's settings as the log needs them: overrides over the broker's defaults, parsed once a change.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::units::ByteSize;
use crate::record::TimestampType;
use crate::record::compression::{Compression, Target};
use crate::wal::Budget;

/// What topics without overrides use.
#[derive(Debug, Clone)]
pub struct TopicDefaults {
    /// `message.max.bytes`.
    pub max_message_bytes: ByteSize,
    /// `log.message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `log.message.timestamp.before.max.ms`.
    pub timestamp_before_max_ms: i64,
    /// `log.message.timestamp.after.max.ms`.
    pub timestamp_after_max_ms: i64,
    /// `log.cleanup.policy` names compact.
    pub compacted: bool,
    /// `log.cleanup.policy` names delete.
    pub deletes: bool,
    /// `compression.type`: none means as the producer sent it.
    pub compression: Option<Target>,
    /// `thalweg.flush.ms`.
    pub flush: Duration,
}

/// One topic's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSettings {
    /// `max.message.bytes`.
    pub max_message_bytes: ByteSize,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`.
    pub timestamp_after_max_ms: i64,
    /// `cleanup.policy` names compact: records need keys.
    pub compacted: bool,
    /// `cleanup.policy` names delete.
    pub deletes: bool,
    /// `compression.type`: none means as the producer sent it.
    pub compression: Option<Target>,
    /// `thalweg.flush.ms`.
    pub budget: Budget,
}

impl TopicSettings {
    /// Overrides were checked when they were set; one that does not parse here leaves the default in force.
    #[must_use]
    pub fn new(
        overrides: &BTreeMap<String, String>,
        internal: bool,
        defaults: &TopicDefaults,
    ) -> Self {
        let flush = match number(overrides, "thalweg.flush.ms") {
            Some(ms) => Duration::from_millis(ms.unsigned_abs()),
            None if internal => Duration::ZERO,
            None => defaults.flush,
        };
        let budget = if flush.is_zero() { Budget::WhenIdle } else { Budget::Within(flush) };
        let compression = match overrides.get("compression.type").map(String::as_str) {
            Some("producer") => None,
            Some(name) => target(name, overrides).or(defaults.compression),
            None => defaults.compression,
        };
        let timestamp_type = match overrides.get("message.timestamp.type").map(String::as_str) {
            Some("LogAppendTime") => TimestampType::LogAppendTime,
            Some("CreateTime") => TimestampType::CreateTime,
            _ => defaults.timestamp_type,
        };
        Self {
            max_message_bytes: number(overrides, "max.message.bytes")
                .map_or(defaults.max_message_bytes, |bytes| ByteSize(bytes.unsigned_abs())),
            timestamp_type,
            timestamp_before_max_ms: number(overrides, "message.timestamp.before.max.ms")
                .unwrap_or(defaults.timestamp_before_max_ms),
            timestamp_after_max_ms: number(overrides, "message.timestamp.after.max.ms")
                .unwrap_or(defaults.timestamp_after_max_ms),
            compacted: policy(overrides, "compact").unwrap_or(defaults.compacted),
            deletes: policy(overrides, "delete").unwrap_or(defaults.deletes),
            compression,
            budget,
        }
    }
}

/// The codec of that name at the topic's level (`compression.gzip.level` and its like).
fn target(codec: &str, overrides: &BTreeMap<String, String>) -> Option<Target> {
    let level = number(overrides, &format!("compression.{codec}.level"));
    Some(Target {
        codec: Compression::from_name(codec)?,
        level: level.and_then(|level| i32::try_from(level).ok()),
    })
}

fn number(overrides: &BTreeMap<String, String>, key: &str) -> Option<i64> {
    overrides.get(key)?.trim().parse().ok()
}

/// Whether `cleanup.policy` names `wanted`; none without an override.
fn policy(overrides: &BTreeMap<String, String>, wanted: &str) -> Option<bool> {
    let policies = overrides.get("cleanup.policy")?;
    Some(policies.split(',').any(|policy| policy.trim() == wanted))
}
