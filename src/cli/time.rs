//! Moments as people write them.

use std::str::FromStr;

use crate::base::clock::{Clock as _, SystemClock, Timestamp};

const DAY_MS: i64 = 86_400_000;

/// A moment: `2026-11-23T06:00:00Z`, `2026-11-23`, milliseconds since 1970, or `-90s`, `-15m`, `-12h`, `-7d` before now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment(pub(super) Timestamp);

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || {
            format!(
                "`{text}` is not a time: say 2026-11-23T06:00:00Z, 2026-11-23, milliseconds since 1970, or -15m for a \
                 quarter of an hour ago"
            )
        };
        if let Some(ago) = text.strip_prefix('-') {
            let units = [("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", DAY_MS)];
            let split =
                units.iter().find_map(|(name, unit)| Some((ago.strip_suffix(name)?, *unit)));
            let (digits, unit) = split.ok_or_else(wrong)?;
            let number: i64 = digits.parse().map_err(|_| wrong())?;
            return Ok(Self(Timestamp(SystemClock.now().0 - number.saturating_mul(unit))));
        }
        if let Ok(millis) = text.parse() {
            return Ok(Self(Timestamp(millis)));
        }
        civil(text).map(|millis| Self(Timestamp(millis))).ok_or_else(wrong)
    }
}

/// Milliseconds of `YYYY-MM-DD`, with `THH:MM[:SS[.mmm]]` and `Z` or nothing (which is UTC too).
fn civil(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00"));
    let mut parts = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let time = time.strip_suffix('Z').unwrap_or(time);
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut parts = clock.splitn(3, ':').map(str::parse::<i64>);
    let (hour, minute) = (parts.next()?.ok()?, parts.next()?.ok()?);
    let second = parts.next().unwrap_or(Ok(0)).ok()?;
    let millis: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = (days(year, month, day) * 24 + hour) * 3600 + minute * 60 + second;
    Some(seconds * 1000 + millis)
}

/// Days from 1970-01-01. Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// `2026-11-23T06:00:00.000Z`; `-` for no time.
pub(super) fn show(time: Timestamp) -> String {
    if time.0 < 0 {
        return "-".to_owned();
    }
    let (days, millis) = (time.0.div_euclid(DAY_MS), time.0.rem_euclid(DAY_MS));
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days - era * 146_097;
    let years = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * years + years / 4 - years / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = years + era * 400 + i64::from(month <= 2);
    let (seconds, millis) = (millis / 1000, millis % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_shown() {
        let check = |text: &str, millis: i64, shown: &str| {
            assert_eq!(text.parse(), Ok(Moment(Timestamp(millis))), "{text}");
            assert_eq!(show(Timestamp(millis)), shown);
        };
        check("2026-11-23T06:00:00Z", 1_795_413_600_000, "2026-11-23T06:00:00.000Z");
        check("2000-02-29", 951_782_400_000, "2000-02-29T00:00:00.000Z");
        check("2024-12-31 23:59:59.5", 1_735_689_599_500, "2024-12-31T23:59:59.500Z");
        check("0", 0, "1970-01-01T00:00:00.000Z");
        for text in ["", "yesterday", "2026-13-01", "-5", "2026-11-23T25:00"] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
    }
}
