//! What a setting is: its names, its kind with bounds, its default, its meaning.
//!
//! The tables of [`Key`]s drive everything about settings: parsing, the reference page, `--print-config`, and the broker
//! configs that clients read. Nothing else knows a default.

use std::fmt;
use std::time::Duration;

use super::listener::{Address, Listener};
use crate::base::units::ByteSize;

/// The part of the program that a setting belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// Who this process is, and how it logs.
    Node,
    /// Sockets and requests.
    Server,
    /// The object store.
    Store,
    /// What topics start from.
    Topic,
    /// The write-ahead chain.
    Wal,
    /// Partitions and reads.
    Log,
    /// Retention and the collector.
    Maintenance,
    /// Consumer groups.
    Groups,
    /// Share groups.
    ShareGroups,
    /// Transactions.
    Transactions,
    /// The Schema Registry.
    SchemaRegistry,
}

impl Section {
    /// All sections, in the order of the reference page.
    pub const ALL: [Self; 11] = [
        Self::Node,
        Self::Server,
        Self::Store,
        Self::Topic,
        Self::Wal,
        Self::Log,
        Self::Maintenance,
        Self::Groups,
        Self::ShareGroups,
        Self::Transactions,
        Self::SchemaRegistry,
    ];

    /// A heading.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Node => "Node",
            Self::Server => "Sockets and requests",
            Self::Store => "Object store",
            Self::Topic => "What topics start from",
            Self::Wal => "Write-ahead chain",
            Self::Log => "Partitions and reads",
            Self::Maintenance => "Retention and garbage collection",
            Self::Groups => "Consumer groups",
            Self::ShareGroups => "Share groups",
            Self::Transactions => "Transactions",
            Self::SchemaRegistry => "Schema Registry",
        }
    }
}

/// Partitions of one topic, and of all that one request makes, as Kafka has it: one durable write holds their rows.
pub const PARTITIONS_MAX: i32 = 10_000;

/// Replicas of a partition where fewer brokers are there: they are only reported, and each takes a place in the metadata.
pub const FACTOR_MAX: i16 = 100;

/// A number of partitions that can be made.
pub(super) const PARTITIONS: Kind = Kind::Int { min: 1, max: PARTITIONS_MAX as i64 };

/// A replication factor that can be had.
pub(super) const FACTOR: Kind = Kind::Int { min: 1, max: FACTOR_MAX as i64 };

/// What a setting's text may be.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Int {
        /// The least allowed.
        min: i64,
        /// The greatest allowed.
        max: i64,
    },
    /// A whole number, or -1 for a default that depends on something else.
    IntOrDefault {
        /// The least allowed.
        min: i64,
        /// The greatest allowed.
        max: i64,
    },
    /// Bytes, plain or with a unit (`64KiB`); -1 where the least allowed is -1.
    Bytes {
        /// The least allowed.
        min: i64,
        /// The greatest allowed.
        max: i64,
    },
    /// Milliseconds, plain or with a unit (`90s`, `7d`); -1 where the least allowed is -1.
    Millis {
        /// The least allowed.
        min: i64,
        /// The greatest allowed.
        max: i64,
    },
    /// A number from 0 to 1.
    Ratio,
    /// Any text.
    Text,
    /// Letters, digits, `.`, `_` and `-`: something that is safe in an object's name.
    Name {
        /// The most characters allowed.
        max: usize,
    },
    /// One of a few words.
    OneOf(&'static [&'static str]),
    /// Some of a few words, separated by commas.
    SomeOf(&'static [&'static str]),
    /// `host:port`.
    Address,
    /// `host:port`, or `none`.
    AddressOrNone,
    /// `NAME://host:port`, separated by commas; empty where nothing need be said.
    Listeners,
}

/// One setting.
#[derive(Debug)]
pub struct Key {
    /// Our name. Where Kafka has the setting, Kafka's name for it.
    pub name: &'static str,
    /// Where it belongs.
    pub section: Section,
    /// Whether Kafka has it under the same name.
    pub in_kafka: bool,
    /// Kafka's other names for it, each with the number of our units in one of its units.
    pub also: &'static [(&'static str, i64)],
    /// The topic config that it is the default of.
    pub topic: Option<&'static str>,
    /// What values are allowed.
    pub kind: Kind,
    /// The value when nobody says one.
    pub default: &'static str,
    /// What it does.
    pub doc: &'static str,
}

/// A setting's value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Of [`Kind::Bool`].
    Bool(bool),
    /// Of [`Kind::Int`], [`Kind::IntOrDefault`], [`Kind::Bytes`] and [`Kind::Millis`].
    Int(i64),
    /// Of [`Kind::Ratio`].
    Ratio(f64),
    /// Of [`Kind::Text`], [`Kind::Name`] and [`Kind::OneOf`]; `none` of [`Kind::AddressOrNone`].
    Text(String),
    /// Of [`Kind::SomeOf`].
    Words(Vec<String>),
    /// Of [`Kind::Address`] and [`Kind::AddressOrNone`].
    Address(Address),
    /// Of [`Kind::Listeners`].
    Listeners(Vec<Listener>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Ratio(value) => value.fmt(f),
            Self::Text(value) => value.fmt(f),
            Self::Words(words) => words.join(",").fmt(f),
            Self::Address(address) => address.fmt(f),
            Self::Listeners(all) => {
                let all: Vec<String> = all.iter().map(ToString::to_string).collect();
                all.join(",").fmt(f)
            }
        }
    }
}

/// What stands for no address.
pub(super) const NONE: &str = "none";

impl Kind {
    /// Reads `text`, of which one unit is `scale` of ours.
    ///
    /// # Errors
    /// A sentence's end that says what the text should have been.
    pub(super) fn parse(self, text: &str, scale: i64) -> Result<Value, String> {
        let text = text.trim();
        match self {
            Self::Bool => match text.to_ascii_lowercase().as_str() {
                "true" => Ok(Value::Bool(true)),
                "false" => Ok(Value::Bool(false)),
                _ => Err("is neither true nor false".to_owned()),
            },
            Self::IntOrDefault { .. } if text == "-1" => Ok(Value::Int(-1)),
            Self::Int { min, max } | Self::IntOrDefault { min, max } => {
                bounded(whole(text)?, scale, (min, max)).map(Value::Int)
            }
            Self::Bytes { min, max } => bounded(bytes(text)?, scale, (min, max)).map(Value::Int),
            Self::Millis { min, max } => {
                // A number with a unit of its own is not in Kafka's unit.
                let (number, scale) =
                    millis(text)?.map_or_else(|| (whole(text), scale), |n| (Ok(n), 1));
                bounded(number?, scale, (min, max)).map(Value::Int)
            }
            Self::Ratio => match text.parse::<f64>() {
                Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(Value::Ratio(ratio)),
                _ => Err("is not a number from 0 to 1".to_owned()),
            },
            Self::Text => Ok(Value::Text(text.to_owned())),
            Self::Name { max } => name(text, max).map(Value::Text),
            Self::OneOf(words) => word(text, words).map(Value::Text),
            Self::SomeOf(words) => {
                split(text).map(|one| word(one, words)).collect::<Result<_, _>>().map(Value::Words)
            }
            Self::Address => text.parse().map(Value::Address),
            Self::AddressOrNone if text.eq_ignore_ascii_case(NONE) => {
                Ok(Value::Text(NONE.to_owned()))
            }
            Self::AddressOrNone => text.parse().map(Value::Address),
            Self::Listeners => {
                split(text).map(str::parse).collect::<Result<_, _>>().map(Value::Listeners)
            }
        }
    }

    /// The unit and the bounds in words, for the reference page.
    #[must_use]
    pub fn describe(self) -> String {
        match self {
            Self::Bool => "true or false".to_owned(),
            Self::Int { min, max } => format!("number, {}", range(min, max, |n| n.to_string())),
            Self::IntOrDefault { min, max } => {
                format!("number, {}, or -1 (the default)", range(min, max, |n| n.to_string()))
            }
            Self::Bytes { min, max } => format!("bytes, {}", range(min, max, show_bytes)),
            Self::Millis { min, max } => format!("milliseconds, {}", range(min, max, show_millis)),
            Self::Ratio => "number, 0 to 1".to_owned(),
            Self::Text => "text".to_owned(),
            Self::Name { max } => {
                format!("letters, digits, `.`, `_`, `-`; at most {max} characters")
            }
            Self::OneOf(words) => format!("one of {}", words.join(", ")),
            Self::SomeOf(words) => format!("some of {}, with commas between", words.join(", ")),
            Self::Address => "host:port".to_owned(),
            Self::AddressOrNone => "host:port, or none".to_owned(),
            Self::Listeners => "NAME://host:port, with commas between".to_owned(),
        }
    }
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

fn whole(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| "is not a whole number".to_owned())
}

fn bytes(text: &str) -> Result<i64, String> {
    if text.starts_with('-') {
        return whole(text);
    }
    let size: ByteSize =
        text.parse().map_err(|_| "is not a size such as 1048576, 64KiB or 8MiB".to_owned())?;
    i64::try_from(size.0).map_err(|_| "is too large".to_owned())
}

const MILLIS: [(&str, i64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// The milliseconds of a number with a unit; nothing for a plain number.
fn millis(text: &str) -> Result<Option<i64>, String> {
    if whole(text).is_ok() {
        return Ok(None);
    }
    let wrong = || "is not a time such as 250, 250ms, 90s, 15m, 12h or 7d".to_owned();
    let (digits, unit) = MILLIS
        .iter()
        .find_map(|(name, unit)| text.strip_suffix(name).map(|digits| (digits.trim(), *unit)))
        .ok_or_else(wrong)?;
    let number: i64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(unit).map(Some).ok_or_else(|| "is too large".to_owned())
}

fn bounded(number: i64, scale: i64, (min, max): (i64, i64)) -> Result<i64, String> {
    // -1 means no limit in every unit.
    let number = if number == -1 { number } else { number.saturating_mul(scale) };
    if number < min {
        return Err(format!("is below the least allowed, {}", min / scale.max(1)));
    }
    if number > max {
        return Err(format!("is above the greatest allowed, {}", max / scale.max(1)));
    }
    Ok(number)
}

fn name(text: &str, max: usize) -> Result<String, String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if text.is_empty() || text.len() > max || !text.chars().all(fine) || text.starts_with('.') {
        return Err(format!(
            "is not a name: 1 to {max} of letters, digits, `.`, `_`, `-`, not starting with a dot"
        ));
    }
    Ok(text.to_owned())
}

fn word(text: &str, words: &[&str]) -> Result<String, String> {
    words
        .iter()
        .find(|word| word.eq_ignore_ascii_case(text))
        .map(|word| (*word).to_owned())
        .ok_or_else(|| format!("is none of {}", words.join(", ")))
}

fn range(min: i64, max: i64, show: impl Fn(i64) -> String) -> String {
    let least = if min == -1 { "-1 (no limit)".to_owned() } else { show(min) };
    if max == i64::MAX { format!("{least} or more") } else { format!("{least} to {}", show(max)) }
}

fn show_bytes(bytes: i64) -> String {
    ByteSize(u64::try_from(bytes).unwrap_or_default()).to_string()
}

fn show_millis(millis: i64) -> String {
    match MILLIS.iter().rev().find(|(_, unit)| millis >= *unit && millis % unit == 0) {
        Some(("ms", _)) | None => millis.to_string(),
        Some((name, unit)) => format!("{millis} ({}{name})", millis / unit),
    }
}

/// A time that may be unlimited, from its milliseconds: negative is none.
pub(super) fn limit(millis: i64) -> Option<Duration> {
    u64::try_from(millis).ok().map(Duration::from_millis)
}

/// How the tables are written: `key(…)`, then what is special about it.
impl Key {
    /// A setting of our own.
    pub(super) const fn ours(
        section: Section,
        name: &'static str,
        kind: Kind,
        default: &'static str,
        doc: &'static str,
    ) -> Self {
        Self { name, section, in_kafka: false, also: &[], topic: None, kind, default, doc }
    }

    /// A setting that Kafka has under this name.
    pub(super) const fn kafkas(
        section: Section,
        name: &'static str,
        kind: Kind,
        default: &'static str,
        doc: &'static str,
    ) -> Self {
        Self { name, section, in_kafka: true, also: &[], topic: None, kind, default, doc }
    }

    /// With more names.
    pub(super) const fn also(mut self, names: &'static [(&'static str, i64)]) -> Self {
        self.also = names;
        self
    }

    /// As the default of a topic config.
    pub(super) const fn of_topics(mut self, topic: &'static str) -> Self {
        self.topic = Some(topic);
        self
    }

    /// Every name of Kafka's that works for it.
    pub fn kafka_names(&self) -> impl Iterator<Item = &'static str> {
        let same = self.in_kafka.then_some(self.name);
        same.into_iter().chain(self.also.iter().map(|(name, _)| *name))
    }
}

/// Bytes from `min` to what an `i32` holds, as sizes of Kafka's messages.
pub(super) const fn int_bytes(min: i64) -> Kind {
    Kind::Bytes { min, max: i32::MAX as i64 }
}

/// Milliseconds from `min` on.
pub(super) const fn millis_from(min: i64) -> Kind {
    Kind::Millis { min, max: i64::MAX }
}

/// A number from `min` to what an `i32` holds.
pub(super) const fn int_from(min: i64) -> Kind {
    Kind::Int { min, max: i32::MAX as i64 }
}
