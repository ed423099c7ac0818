//! A topic's settings as the log needs them: overrides over the broker's defaults, parsed once a change.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::units::ByteSize;
use crate::config::CompressionLevels;
use crate::record::TimestampType;
use crate::record::compression::{Compression, Target};
use crate::record::validate::{SchemaChecks, SubjectNames};
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
    pub compression: Option<Compression>,
    /// `compression.gzip.level` and its like.
    pub compression_levels: CompressionLevels,
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
    /// `confluent.value.schema.validation` and its like.
    pub schemas: Option<SchemaChecks>,
}

impl TopicSettings {
    /// The settings of a topic whose broker's defaults clients have changed: `live` by topic config.
    #[must_use]
    pub fn over(
        live: &BTreeMap<String, String>,
        overrides: &BTreeMap<String, String>,
        internal: bool,
        defaults: &TopicDefaults,
    ) -> Self {
        if live.is_empty() {
            return Self::new(overrides, internal, defaults);
        }
        let mut merged = live.clone();
        merged.extend(overrides.iter().map(|(key, value)| (key.clone(), value.clone())));
        Self::new(&merged, internal, defaults)
    }

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
        let codec = match overrides.get("compression.type").map(String::as_str) {
            Some("producer") => None,
            Some(name) => Compression::from_name(name).or(defaults.compression),
            None => defaults.compression,
        };
        let compression = codec.map(|codec| target(codec, overrides, defaults.compression_levels));
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
            schemas: schemas(overrides),
        }
    }
}

/// The codec at the topic's level, or the broker's.
fn target(
    codec: Compression,
    overrides: &BTreeMap<String, String>,
    levels: CompressionLevels,
) -> Target {
    let (key, default) = match codec {
        Compression::None | Compression::Snappy => return Target { codec, level: None },
        Compression::Gzip => ("compression.gzip.level", levels.gzip),
        Compression::Lz4 => ("compression.lz4.level", levels.lz4),
        Compression::Zstd => ("compression.zstd.level", levels.zstd),
    };
    let level = number(overrides, key).and_then(|level| i32::try_from(level).ok());
    Target { codec, level: Some(level.unwrap_or(default)) }
}

/// What is held against schemas; none: nothing.
fn schemas(overrides: &BTreeMap<String, String>) -> Option<SchemaChecks> {
    let said = |key: &str| overrides.get(key).map(String::as_str);
    let names = |part: &str| {
        if said(&format!("confluent.{part}.schema.validation")) != Some("true") {
            return None;
        }
        let strategy = said(&format!("confluent.{part}.subject.name.strategy")).unwrap_or_default();
        Some(match strategy.rsplit('.').next() {
            Some("RecordNameStrategy") => SubjectNames::Record,
            Some("TopicRecordNameStrategy") => SubjectNames::TopicRecord,
            _ => SubjectNames::Topic,
        })
    };
    let (key, value) = (names("key"), names("value"));
    let payload = said("thalweg.schema.validation.mode") == Some("payload");
    (key.is_some() || value.is_some()).then_some(SchemaChecks { key, value, payload })
}

fn number(overrides: &BTreeMap<String, String>, key: &str) -> Option<i64> {
    overrides.get(key)?.trim().parse().ok()
}

/// Whether `cleanup.policy` names `wanted`; none without an override.
fn policy(overrides: &BTreeMap<String, String>, wanted: &str) -> Option<bool> {
    let policies = overrides.get("cleanup.policy")?;
    Some(policies.split(',').any(|policy| policy.trim() == wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaults() -> TopicDefaults {
        TopicDefaults {
            max_message_bytes: ByteSize(1000),
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 5,
            compacted: false,
            deletes: true,
            compression: Some(Compression::Zstd),
            compression_levels: CompressionLevels { gzip: 2, lz4: 9, zstd: 7 },
            flush: Duration::from_millis(100),
        }
    }

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_clients_changed_lies_between_the_broker_s_start_and_the_topic() {
        let live = map(&[("max.message.bytes", "2000"), ("message.timestamp.after.max.ms", "6")]);
        let own = map(&[("max.message.bytes", "3000")]);
        let settings = TopicSettings::over(&live, &own, false, &defaults());
        assert_eq!(settings.max_message_bytes, ByteSize(3000));
        assert_eq!(settings.timestamp_after_max_ms, 6);
        let settings = TopicSettings::over(&live, &map(&[]), false, &defaults());
        assert_eq!(settings.max_message_bytes, ByteSize(2000));
        let settings = TopicSettings::over(&map(&[]), &map(&[]), false, &defaults());
        assert_eq!(settings.max_message_bytes, ByteSize(1000));
    }

    #[test]
    fn schemas_are_asked_for_by_part() {
        let of = |own: &[(&str, &str)]| TopicSettings::new(&map(own), false, &defaults()).schemas;
        assert_eq!(of(&[("thalweg.schema.validation.mode", "payload")]), None);
        assert_eq!(of(&[("confluent.key.schema.validation", "false")]), None);
        let value = [("confluent.value.schema.validation", "true")];
        let expected = SchemaChecks { key: None, value: Some(SubjectNames::Topic), payload: false };
        assert_eq!(of(&value), Some(expected));
        let by_record = "io.confluent.kafka.serializers.subject.TopicRecordNameStrategy";
        let own = [value[0], ("confluent.value.subject.name.strategy", by_record)];
        let expected = SchemaChecks { value: Some(SubjectNames::TopicRecord), ..expected };
        assert_eq!(of(&own), Some(expected));
    }

    #[test]
    fn a_codec_comes_with_the_broker_s_level_unless_the_topic_has_its_own() {
        let level = |own: &[(&str, &str)]| {
            let settings = TopicSettings::new(&map(own), false, &defaults());
            settings.compression.map(|target| (target.codec, target.level))
        };
        assert_eq!(level(&[]), Some((Compression::Zstd, Some(7))));
        let gzip = [("compression.type", "gzip")];
        assert_eq!(level(&gzip), Some((Compression::Gzip, Some(2))));
        let own = [("compression.type", "gzip"), ("compression.gzip.level", "9")];
        assert_eq!(level(&own), Some((Compression::Gzip, Some(9))));
        assert_eq!(level(&[("compression.type", "producer")]), None);
    }
}
