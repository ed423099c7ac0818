//! What a group has set for itself, over the broker's settings and within its bounds.
//!
//! Read anew where it is needed, since clients change it at any time: each is a look-up in the image.
//!
//! Source: `GroupConfig.evaluate` in Apache Kafka 4.3.1: what was set before the bounds were moved is brought into them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::config::ConfigResource;
use super::image::Image;
use super::offset_reset::AutoOffsetReset;
use crate::config::ShareGroupsConfig;

/// The overrides of one group.
#[derive(Debug, Clone, Copy)]
pub struct GroupOverrides<'a>(Option<&'a BTreeMap<String, String>>);

impl<'a> GroupOverrides<'a> {
    /// Those of `group_id`.
    #[must_use]
    pub fn of(image: &'a Image, group_id: &str) -> Self {
        Self(image.overrides(&ConfigResource::Group(group_id.to_owned())))
    }

    fn text(self, key: &str) -> Option<&'a str> {
        Some(self.0?.get(key)?.trim())
    }

    /// The group's own number, brought into the bounds.
    #[must_use]
    pub fn number(self, key: &str, (least, greatest): (i32, i32)) -> Option<i32> {
        let value: i32 = self.text(key)?.parse().ok()?;
        Some(value.min(greatest).max(least))
    }

    /// The group's own time in milliseconds, brought into the bounds.
    #[must_use]
    pub fn millis(self, key: &str, (least, greatest): (Duration, Duration)) -> Option<Duration> {
        let value: u64 = self.text(key)?.parse().ok()?;
        Some(Duration::from_millis(value).min(greatest).max(least))
    }

    /// Session timeout and heartbeat interval. Members that are asked to be heard of less often than they are fenced could
    /// never stay: `defaults` then.
    #[must_use]
    pub fn liveness(
        self,
        (session_key, session_bounds): (&str, (Duration, Duration)),
        (heartbeat_key, heartbeat_bounds): (&str, (Duration, Duration)),
        defaults: (Duration, Duration),
    ) -> (Duration, Duration) {
        let session = self.millis(session_key, session_bounds).unwrap_or(defaults.0);
        let heartbeat = self.millis(heartbeat_key, heartbeat_bounds).unwrap_or(defaults.1);
        if session > heartbeat { (session, heartbeat) } else { defaults }
    }
}

/// What one share group goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareSettings {
    /// `share.session.timeout.ms`: how long a member may be silent.
    pub session_timeout: Duration,
    /// `share.heartbeat.interval.ms`: how often a member is asked to be heard of.
    pub heartbeat_interval: Duration,
    /// `share.assignment.interval.ms`: the least time between two assignments; zero: none.
    pub assignment_interval: Duration,
    /// `share.record.lock.duration.ms`: how long a record stays with the member that acquired it.
    pub record_lock_duration: Duration,
    /// `share.delivery.count.limit`: how often a record is delivered at most.
    pub delivery_count_limit: i32,
    /// `share.partition.max.record.locks`: the most records of a partition that are acquired at once.
    pub partition_max_record_locks: i32,
    /// `share.auto.offset.reset`: where a partition is begun to be read.
    pub auto_offset_reset: AutoOffsetReset,
    /// `share.isolation.level`: records of aborted and open transactions are not delivered.
    pub read_committed: bool,
    /// `share.renew.acknowledge.enable`: members may prolong their locks.
    pub renew_acknowledge: bool,
}

impl ShareSettings {
    /// Those of `group_id`.
    #[must_use]
    pub fn of(broker: &ShareGroupsConfig, image: &Image, group_id: &str) -> Self {
        let own = GroupOverrides::of(image, group_id);
        let (session_timeout, heartbeat_interval) = own.liveness(
            ("share.session.timeout.ms", broker.session_bounds),
            ("share.heartbeat.interval.ms", broker.heartbeat_bounds),
            (broker.session_timeout, broker.heartbeat_interval),
        );
        let or = |key, bounds, default| own.millis(key, bounds).unwrap_or(default);
        Self {
            session_timeout,
            heartbeat_interval,
            assignment_interval: or(
                "share.assignment.interval.ms",
                broker.assignment_bounds,
                broker.assignment_interval,
            ),
            record_lock_duration: or(
                "share.record.lock.duration.ms",
                broker.record_lock_bounds,
                broker.record_lock_duration,
            ),
            delivery_count_limit: own
                .number("share.delivery.count.limit", broker.delivery_count_bounds)
                .unwrap_or(broker.delivery_count_limit),
            partition_max_record_locks: own
                .number(
                    "share.partition.max.record.locks",
                    broker.partition_max_record_locks_bounds,
                )
                .unwrap_or(broker.partition_max_record_locks),
            auto_offset_reset: own
                .text("share.auto.offset.reset")
                .and_then(AutoOffsetReset::parse)
                .unwrap_or(AutoOffsetReset::Latest),
            read_committed: own.text("share.isolation.level") == Some("read_committed"),
            renew_acknowledge: own
                .text("share.renew.acknowledge.enable")
                .is_none_or(|text| !text.eq_ignore_ascii_case("false")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn settings(overrides: &[(&str, &str)]) -> ShareSettings {
        let config = Config::with([]).expect("defaults are valid");
        let mut image = Image::default();
        let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let overrides: BTreeMap<String, String> = overrides.iter().map(pair).collect();
        image.configs.insert(ConfigResource::Group("g".to_owned()), overrides.into());
        ShareSettings::of(&config.share_groups, &image, "g")
    }

    #[test]
    fn a_group_has_the_broker_s_settings_but_for_its_own() {
        let defaults = ShareSettings {
            session_timeout: Duration::from_secs(45),
            heartbeat_interval: Duration::from_secs(5),
            assignment_interval: Duration::from_secs(1),
            record_lock_duration: Duration::from_secs(30),
            delivery_count_limit: 5,
            partition_max_record_locks: 2000,
            auto_offset_reset: AutoOffsetReset::Latest,
            read_committed: false,
            renew_acknowledge: true,
        };
        assert_eq!(settings(&[]), defaults);
        let own = settings(&[
            ("share.session.timeout.ms", "50000"),
            ("share.record.lock.duration.ms", "20000"),
            ("share.delivery.count.limit", "9"),
            ("share.auto.offset.reset", "earliest"),
            ("share.isolation.level", "read_committed"),
            ("share.renew.acknowledge.enable", "FALSE"),
        ]);
        let expected = ShareSettings {
            session_timeout: Duration::from_secs(50),
            record_lock_duration: Duration::from_secs(20),
            delivery_count_limit: 9,
            auto_offset_reset: AutoOffsetReset::Earliest,
            read_committed: true,
            renew_acknowledge: false,
            ..defaults
        };
        assert_eq!(own, expected);
    }

    #[test]
    fn what_is_beyond_the_bounds_is_brought_into_them() {
        let own = settings(&[
            ("share.session.timeout.ms", "1000"),
            ("share.heartbeat.interval.ms", "99000"),
            ("share.partition.max.record.locks", "9999"),
            ("share.delivery.count.limit", "1"),
        ]);
        let shown = (own.session_timeout.as_secs(), own.heartbeat_interval.as_secs());
        assert_eq!(shown, (45, 15));
        assert_eq!((own.partition_max_record_locks, own.delivery_count_limit), (4000, 2));
    }
}
