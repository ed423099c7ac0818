//! Where a share group begins to read a partition: `share.auto.offset.reset`.
//!
//! Source: KIP-1106; `AutoOffsetResetStrategy` in Apache Kafka 4.3.1, and the durations of `java.time.Duration.parse`.

use std::time::Duration;

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutoOffsetReset {
    /// At the first record.
    Earliest,
    /// Behind the last.
    Latest,
    /// At the first record that is no older.
    ByDuration(Duration),
}

const BY_DURATION: &str = "by_duration:";

impl AutoOffsetReset {
    /// Reads the config's value: `earliest`, `latest`, or `by_duration:` and an ISO 8601 duration (`PnDTnHnMn.nS`).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "earliest" => Some(Self::Earliest),
            "latest" => Some(Self::Latest),
            other => other.strip_prefix(BY_DURATION).and_then(duration).map(Self::ByDuration),
        }
    }
}

const NANOS: i128 = 1_000_000_000;

/// The parts of a duration: what ends each, and how many seconds it counts.
const DAYS: [(u8, i128); 1] = [(b'D', 86_400)];
const TIMES: [(u8, i128); 3] = [(b'H', 3600), (b'M', 60), (b'S', 1)];

/// A duration as Java reads it, but no negative one: parts may have signs of their own.
fn duration(text: &str) -> Option<Duration> {
    let text = text.to_ascii_uppercase();
    let (sign, text) = signed(&text);
    let text = text.strip_prefix('P')?;
    let (days, times) = match text.split_once('T') {
        Some((days, times)) if !times.is_empty() => (days, times),
        Some(_) => return None,
        None if text.is_empty() => return None,
        None => (text, ""),
    };
    let nanos = parts(days, &DAYS)?.checked_add(parts(times, &TIMES)?)?.checked_mul(sign)?;
    let seconds = u64::try_from(nanos / NANOS).ok().filter(|s| i64::try_from(*s).is_ok())?;
    let nanos = u32::try_from(nanos % NANOS).ok()?;
    Some(Duration::new(seconds, nanos))
}

fn signed(text: &str) -> (i128, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// The nanoseconds of numbers with units, which come in this order and once.
fn parts(mut text: &str, mut units: &[(u8, i128)]) -> Option<i128> {
    let mut nanos = 0_i128;
    while !text.is_empty() {
        let end = text.bytes().position(|byte| byte.is_ascii_alphabetic())?;
        let (number, rest) = text.split_at(end);
        let at = units.iter().position(|(unit, _)| Some(*unit) == rest.bytes().next())?;
        let (unit, seconds) = units[at];
        nanos = nanos.checked_add(number_of(number, unit == b'S')?.checked_mul(seconds)?)?;
        units = &units[at + 1..];
        text = &rest[1..];
    }
    Some(nanos)
}

/// A number in billionths. Only seconds have a fraction.
fn number_of(text: &str, may_be_fraction: bool) -> Option<i128> {
    let (sign, text) = signed(text);
    let (whole, fraction) = match text.split_once(['.', ',']) {
        Some((whole, fraction)) if may_be_fraction => (whole, fraction),
        Some(_) => return None,
        None => (text, ""),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let whole = whole.parse::<i64>().ok()?;
    let fraction: i128 = format!("{fraction:0<9}").parse().ok()?;
    Some(sign * (i128::from(whole) * NANOS + fraction))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_kafka_reads_them() {
        let by = |seconds, nanos| Some(AutoOffsetReset::ByDuration(Duration::new(seconds, nanos)));
        for (text, expected) in [
            ("earliest", Some(AutoOffsetReset::Earliest)),
            ("latest", Some(AutoOffsetReset::Latest)),
            ("Earliest", None),
            ("none", None),
            ("by_duration", None),
            ("by_duration:", None),
            ("by_duration:P", None),
            ("by_duration:PT", None),
            ("by_duration:P1DT", None),
            ("by_duration:P1D", by(86_400, 0)),
            ("by_duration:P1DT2H3M4.5S", by(86_400 + 7384, 500_000_000)),
            ("by_duration:pt1,25s", by(1, 250_000_000)),
            ("by_duration:PT1M1H", None),
            ("by_duration:PT1.5M", None),
            ("by_duration:PT.5S", None),
            ("by_duration:PT0.0000000001S", None),
            ("by_duration:-PT1H", None),
            ("by_duration:PT-1H", None),
            ("by_duration:PT1H-30M", by(1800, 0)),
            ("by_duration:-PT-1H", by(3600, 0)),
            ("by_duration:PT0S", by(0, 0)),
            ("by_duration:P99999999999999D", by(99_999_999_999_999 * 86_400, 0)),
            ("by_duration:P999999999999999D", None),
            ("by_duration:P99999999999999999999D", None),
            ("by_duration:1h", None),
            ("by_duration:PT\u{e9}H", None),
        ] {
            assert_eq!(AutoOffsetReset::parse(text), expected, "{text}");
        }
    }
}
