//! What a group may set for itself: within the broker's bounds, and a session longer than a heartbeat.
//!
//! Source: `GroupConfig.validateValues` in Apache Kafka 4.3.1.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::GroupsConfig;
use crate::handlers::scope::Refused;
use crate::protocol::ErrorCode;

const HEARTBEAT: &str = "consumer.heartbeat.interval.ms";
const SESSION: &str = "consumer.session.timeout.ms";
const ASSIGNMENT: &str = "consumer.assignment.interval.ms";

/// Checks overrides whose values are numbers where numbers belong.
pub(super) fn check(
    broker: &GroupsConfig,
    wanted: &BTreeMap<String, String>,
) -> Result<(), Refused> {
    let of = |key: &str, default: Duration| {
        let own = wanted.get(key).and_then(|value| value.trim().parse().ok());
        own.map_or(default, Duration::from_millis)
    };
    let heartbeat = of(HEARTBEAT, broker.consumer_heartbeat_interval);
    let session = of(SESSION, broker.consumer_session_timeout);
    within(HEARTBEAT, heartbeat, broker.consumer_heartbeat_bounds)?;
    within(SESSION, session, broker.consumer_session_bounds)?;
    if wanted.contains_key(ASSIGNMENT) {
        let assignment = of(ASSIGNMENT, broker.consumer_assignment_interval);
        within(ASSIGNMENT, assignment, broker.consumer_assignment_bounds)?;
    }
    if session > heartbeat {
        return Ok(());
    }
    Err(refused(format!("{SESSION} must be greater than {HEARTBEAT}")))
}

fn within(
    key: &str,
    value: Duration,
    (least, greatest): (Duration, Duration),
) -> Result<(), Refused> {
    let bound = |which: &str| key.replacen("consumer.", &format!("group.consumer.{which}."), 1);
    if value < least {
        return Err(refused(format!("{key} must be greater than or equal to {}", bound("min"))));
    }
    if value > greatest {
        return Err(refused(format!("{key} must be less than or equal to {}", bound("max"))));
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
        let told = |overrides: &[(&str, &str)]| {
            let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
            let checked = check(&config.groups, &overrides.iter().map(pair).collect());
            checked.map_err(|refused| refused.message.unwrap_or_default())
        };
        let wrong = |message: &str| Err(message.to_owned());
        assert_eq!(told(&[]), Ok(()));
        assert_eq!(told(&[(SESSION, "50000"), (HEARTBEAT, "15000")]), Ok(()));
        assert_eq!(
            told(&[(SESSION, "44999")]),
            wrong(
                "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms"
            )
        );
        assert_eq!(
            told(&[(HEARTBEAT, "15001")]),
            wrong(
                "consumer.heartbeat.interval.ms must be less than or equal to group.consumer.max.heartbeat.interval.ms"
            )
        );
        assert_eq!(
            told(&[(ASSIGNMENT, "15001")]),
            wrong(
                "consumer.assignment.interval.ms must be less than or equal to group.consumer.max.assignment.interval.ms"
            )
        );
    }
}
