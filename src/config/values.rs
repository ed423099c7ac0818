//! Typed access to resolved values, for the sections.

use std::time::Duration;

use super::key::{NONE, Value, limit};
use super::listener::{Address, Listener};
use super::load::Values;
use crate::base::units::ByteSize;

/// Each getter panics when the table gives the key another kind, or bounds that the type cannot hold: tests read every key
/// at its least and its greatest.
impl Values {
    pub(super) fn flag(&self, name: &str) -> bool {
        match &self.get(name).0 {
            Value::Bool(flag) => *flag,
            other => panic!("{name} is not a flag: {other:?}"),
        }
    }

    pub(super) fn int<T: TryFrom<i64>>(&self, name: &str) -> T {
        match &self.get(name).0 {
            Value::Int(number) => T::try_from(*number)
                .unwrap_or_else(|_| panic!("the bounds of {name} do not fit its type: {number}")),
            other => panic!("{name} is not a number: {other:?}"),
        }
    }

    pub(super) fn size(&self, name: &str) -> ByteSize {
        ByteSize(self.int(name))
    }

    /// A size that may be unlimited: -1 is none.
    pub(super) fn size_limit(&self, name: &str) -> Option<ByteSize> {
        u64::try_from(self.int::<i64>(name)).ok().map(ByteSize)
    }

    pub(super) fn time(&self, name: &str) -> Duration {
        Duration::from_millis(self.int(name))
    }

    /// A time that may be unlimited: -1 is none.
    pub(super) fn time_limit(&self, name: &str) -> Option<Duration> {
        limit(self.int(name))
    }

    pub(super) fn ratio(&self, name: &str) -> f64 {
        match &self.get(name).0 {
            Value::Ratio(ratio) => *ratio,
            other => panic!("{name} is not a ratio: {other:?}"),
        }
    }

    pub(super) fn text(&self, name: &str) -> String {
        match &self.get(name).0 {
            Value::Text(text) => text.clone(),
            other => panic!("{name} is not text: {other:?}"),
        }
    }

    /// Text where empty means that nothing was said.
    pub(super) fn said(&self, name: &str) -> Option<String> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    pub(super) fn words(&self, name: &str) -> Vec<String> {
        match &self.get(name).0 {
            Value::Words(words) => words.clone(),
            other => panic!("{name} is not a list of words: {other:?}"),
        }
    }

    pub(super) fn address(&self, name: &str) -> Address {
        match &self.get(name).0 {
            Value::Address(address) => address.clone(),
            other => panic!("{name} is not an address: {other:?}"),
        }
    }

    pub(super) fn address_or_none(&self, name: &str) -> Option<Address> {
        match &self.get(name).0 {
            Value::Address(address) => Some(address.clone()),
            Value::Text(none) if none == NONE => None,
            other => panic!("{name} is not an address or none: {other:?}"),
        }
    }

    pub(super) fn listeners(&self, name: &str) -> Vec<Listener> {
        match &self.get(name).0 {
            Value::Listeners(all) => all.clone(),
            other => panic!("{name} is not a list of listeners: {other:?}"),
        }
    }
}
