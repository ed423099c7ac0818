//! What a group may set for itself: within the broker's bounds, and a session longer than a heartbeat.
//!
//! Source: `GroupConfig.validateValues` in Apache Kafka 4.3.1.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::{GroupsConfig, ShareGroupsConfig};
use crate::handlers::scope::Refused;
use crate::protocol::ErrorCode;

/// Checks overrides whose values are numbers where numbers belong. What a group leaves to the broker is the broker's affair.
pub(super) fn check(
    consumers: &GroupsConfig,
    shares: &ShareGroupsConfig,
    wanted: &BTreeMap<String, String>,
) -> Result<(), Refused> {
    let own = |key: &str| wanted.get(key).and_then(|value| value.trim().parse::<i64>().ok());
    let numbers = |(least, greatest): (i32, i32)| (i64::from(least), i64::from(greatest));
    let bounded = [
        ("consumer.heartbeat.interval.ms", both(consumers.consumer_heartbeat_bounds)),
        ("consumer.session.timeout.ms", both(consumers.consumer_session_bounds)),
        ("consumer.assignment.interval.ms", both(consumers.consumer_assignment_bounds)),
        ("share.heartbeat.interval.ms", both(shares.heartbeat_bounds)),
        ("share.session.timeout.ms", both(shares.session_bounds)),
        ("share.record.lock.duration.ms", both(shares.record_lock_bounds)),
        ("share.delivery.count.limit", numbers(shares.delivery_count_bounds)),
        ("share.partition.max.record.locks", numbers(shares.partition_max_record_locks_bounds)),
        ("share.assignment.interval.ms", both(shares.assignment_bounds)),
    ];
    for (key, bounds) in bounded {
        own(key).map_or(Ok(()), |value| within(key, value, bounds))?;
    }
    let outlasting = [
        (
            ("consumer.session.timeout.ms", consumers.consumer_session_timeout),
            ("consumer.heartbeat.interval.ms", consumers.consumer_heartbeat_interval),
        ),
        (
            ("share.session.timeout.ms", shares.session_timeout),
            ("share.heartbeat.interval.ms", shares.heartbeat_interval),
        ),
    ];
    for ((session, session_default), (heartbeat, heartbeat_default)) in outlasting {
        let of = |key, default| own(key).unwrap_or_else(|| millis(default));
        if of(session, session_default) <= of(heartbeat, heartbeat_default) {
            return Err(refused(format!("{session} must be greater than {heartbeat}")));
        }
    }
    Ok(())
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn both((least, greatest): (Duration, Duration)) -> (i64, i64) {
    (millis(least), millis(greatest))
}

/// The bounds are settings of the broker: `share.x` lies between `group.share.min.x` and `group.share.max.x`.
fn within(key: &str, value: i64, (least, greatest): (i64, i64)) -> Result<(), Refused> {
    let (kind, rest) = key.split_once('.').unwrap_or((key, ""));
    if value < least {
        let bound = format!("group.{kind}.min.{rest}");
        return Err(refused(format!("{key} must be greater than or equal to {bound}")));
    }
    if value > greatest {
        let bound = format!("group.{kind}.max.{rest}");
        return Err(refused(format!("{key} must be less than or equal to {bound}")));
    }
    Ok(())
}

fn refused(message: String) -> Refused {
    Refused::new(ErrorCode::InvalidConfig, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn a_group_stays_within_the_broker_s_bounds() {
        let config = Config::with([]).expect("defaults are valid");
        let fine = "";
        for (overrides, expected) in [
            (&[][..], fine),
            (
                &[
                    ("consumer.session.timeout.ms", "50000"),
                    ("consumer.heartbeat.interval.ms", "15000"),
                    ("share.delivery.count.limit", "10"),
                ],
                fine,
            ),
            (
                &[("consumer.session.timeout.ms", "44999")],
                "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms",
            ),
            (
                &[("consumer.heartbeat.interval.ms", "15001")],
                "consumer.heartbeat.interval.ms must be less than or equal to group.consumer.max.heartbeat.interval.ms",
            ),
            (
                &[("consumer.assignment.interval.ms", "15001")],
                "consumer.assignment.interval.ms must be less than or equal to group.consumer.max.assignment.interval.ms",
            ),
            (
                &[("share.record.lock.duration.ms", "14999")],
                "share.record.lock.duration.ms must be greater than or equal to group.share.min.record.lock.duration.ms",
            ),
            (
                &[("share.partition.max.record.locks", "4001")],
                "share.partition.max.record.locks must be less than or equal to group.share.max.partition.max.record.locks",
            ),
            (
                &[("share.session.timeout.ms", "60001")],
                "share.session.timeout.ms must be less than or equal to group.share.max.session.timeout.ms",
            ),
        ] {
            let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
            let overrides = overrides.iter().map(pair).collect();
            let checked = check(&config.groups, &config.share_groups, &overrides);
            let told = checked.err().and_then(|refused| refused.message).unwrap_or_default();
            assert_eq!(told, expected);
        }
        let short = Config::with([
            ("group.share.min.session.timeout.ms", "1000"),
            ("group.share.heartbeat.interval.ms", "5000"),
        ])
        .expect("valid");
        let wanted = BTreeMap::from([("share.session.timeout.ms".to_owned(), "5000".to_owned())]);
        let refused = check(&short.groups, &short.share_groups, &wanted).err();
        let told = refused.and_then(|refused| refused.message);
        let expected = "share.session.timeout.ms must be greater than share.heartbeat.interval.ms";
        assert_eq!(told.as_deref(), Some(expected));
    }
}
