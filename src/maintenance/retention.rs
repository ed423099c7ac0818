//! How far up `log_start_offset` moves for `retention.ms` and `retention.bytes`.
//!
//! Pure. Works on runs, as Kafka works on segments: from the oldest on, whole runs only, nothing at or above the high
//! watermark. A run is smaller than a segment, so that less outlives its time.
//! Source: `UnifiedLog.deleteRetentionMsBreachedSegments`, `deleteRetentionSizeBreachedSegments` in Apache Kafka.

use std::collections::BTreeMap;

use crate::base::clock::Timestamp;
use crate::base::offset::Offset;
use crate::manifest::client::RetentionDefaults;

/// What a topic's configs ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// `cleanup.policy` contains `delete`.
    pub delete: bool,
    /// `retention.ms`; none: no limit.
    pub retention_ms: Option<i64>,
    /// `retention.bytes`; none: no limit.
    pub retention_bytes: Option<u64>,
}

impl Policy {
    /// The policy of a topic with these overrides. Values were checked when they were set.
    #[must_use]
    pub fn of(overrides: &BTreeMap<String, String>, defaults: RetentionDefaults) -> Self {
        let number = |key: &str| overrides.get(key).and_then(|value| value.parse::<i64>().ok());
        let deletes = |cleanup: &String| cleanup.split(',').any(|policy| policy.trim() == "delete");
        let bytes = |given: i64| u64::try_from(given).ok();
        Self {
            delete: overrides.get("cleanup.policy").map_or(defaults.delete, deletes),
            retention_ms: number("retention.ms")
                .map_or(defaults.retention_ms, |ms| (ms >= 0).then_some(ms)),
            retention_bytes: number("retention.bytes").map_or(defaults.retention_bytes, bytes),
        }
    }

    /// Whether it can ever remove anything.
    #[must_use]
    pub fn limits(&self) -> bool {
        self.delete && (self.retention_ms.is_some() || self.retention_bytes.is_some())
    }
}

/// A run as retention sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aged {
    /// One past its last offset.
    pub end_offset: Offset,
    /// Its size.
    pub bytes: u64,
    /// Its largest timestamp.
    pub max_timestamp: Timestamp,
}

/// Where a partition stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The lowest offset that is kept.
    pub log_start: Offset,
    /// Nothing at or above it is removed.
    pub high_watermark: Offset,
    /// Bytes of all runs.
    pub bytes: u64,
}

/// The log start that `policy` leaves of these runs, oldest first, at `now`. Never below the one that is.
pub fn log_start_after(
    policy: &Policy,
    standing: Standing,
    runs: impl Iterator<Item = Aged>,
    now: Timestamp,
) -> Offset {
    let mut log_start = standing.log_start;
    if !policy.limits() {
        return log_start;
    }
    let mut excess = policy.retention_bytes.map_or(0, |limit| standing.bytes.saturating_sub(limit));
    let mut in_time = true;
    for run in runs.take_while(|run| run.end_offset <= standing.high_watermark) {
        let too_much = policy.retention_bytes.is_some() && excess > 0 && excess >= run.bytes;
        excess = if too_much { excess - run.bytes } else { 0 };
        let age = now.0.saturating_sub(run.max_timestamp.0);
        let timed = run.max_timestamp.0 >= 0;
        let expired = in_time && policy.retention_ms.is_some_and(|limit| timed && age > limit);
        if too_much || expired {
            log_start = log_start.max(run.end_offset);
        }
        // A run without timestamps says nothing: it goes with the next one that has expired.
        in_time = in_time && (expired || !timed);
        if !too_much && !in_time {
            break;
        }
    }
    log_start
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ms: Option<i64>, bytes: Option<u64>, runs: &[(i64, u64, i64)], expected: i64) {
        let policy = Policy { delete: true, retention_ms: ms, retention_bytes: bytes };
        let aged = |&(end, bytes, at): &(i64, u64, i64)| Aged {
            end_offset: Offset(end),
            bytes,
            max_timestamp: Timestamp(at),
        };
        let standing = Standing {
            log_start: Offset(3),
            high_watermark: Offset(40),
            bytes: runs.iter().map(|run| run.1).sum(),
        };
        let after = log_start_after(&policy, standing, runs.iter().map(aged), Timestamp(1000));
        assert_eq!(after, Offset(expected), "{ms:?} {bytes:?} {runs:?}");
    }

    #[test]
    fn whole_runs_go_oldest_first() {
        let runs = [(10, 100, 100), (20, 100, 500), (30, 100, 900)];
        check(None, None, &runs, 3);
        check(Some(899), None, &runs, 10);
        check(Some(900), None, &runs, 3);
        check(Some(500), None, &runs, 10);
        check(Some(499), None, &runs, 20);
        check(Some(0), None, &runs, 30);
        check(None, Some(300), &runs, 3);
        check(None, Some(201), &runs, 3);
        check(None, Some(200), &runs, 10);
        check(None, Some(0), &runs, 30);
        check(Some(700), Some(100), &runs, 20);
        check(Some(100), Some(250), &runs, 20);
    }

    #[test]
    fn a_younger_run_shields_older_timestamps_behind_it() {
        check(Some(500), None, &[(10, 1, 900), (20, 1, 100)], 3);
    }

    #[test]
    fn a_run_without_timestamps_goes_with_the_next_that_expired() {
        check(Some(500), None, &[(10, 1, -1), (20, 1, 100), (30, 1, -1)], 20);
    }

    #[test]
    fn nothing_at_the_high_watermark_goes() {
        check(Some(0), Some(0), &[(40, 1, 1), (50, 1, 1)], 40);
    }

    #[test]
    fn overrides_and_defaults_make_the_policy() {
        let defaults =
            RetentionDefaults { retention_ms: Some(7), retention_bytes: None, delete: true };
        let policy = |pairs: &[(&str, &str)]| {
            let overrides = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            Policy::of(&overrides, defaults)
        };
        assert_eq!(
            policy(&[]),
            Policy { delete: true, retention_ms: Some(7), retention_bytes: None }
        );
        let all = [
            ("retention.ms", "-1"),
            ("retention.bytes", "9"),
            ("cleanup.policy", "compact, delete"),
        ];
        assert_eq!(
            policy(&all),
            Policy { delete: true, retention_ms: None, retention_bytes: Some(9) }
        );
        assert!(!policy(&[("cleanup.policy", "compact")]).limits());
    }
}
