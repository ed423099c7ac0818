//! Every name in the bucket is built here, and parsed here.
//!
//! Layout: `{cluster}/w/{h2}/{chain}/{slot}` for slots, `{cluster}/meta` for the coordinator's database. `h2` spreads
//! names over prefixes and hashes the chain id only, so that a chain has one directory. Names carry no topic names.

use std::fmt;
use std::sync::Arc;

use crate::base::ids::{ChainId, SlotId};

/// The name of one object, relative to the store's prefix: segments joined by `/`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

impl Key {
    /// A key from a whole path, as [`super::Store::list`] returns it.
    #[must_use]
    pub fn new(path: &str) -> Self {
        Self(Arc::from(path.trim_matches('/')))
    }

    /// The whole path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Everything before the last `/`; empty for a name at the top.
    #[must_use]
    pub fn dir(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(dir, _)| dir)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Two hex digits from the chain id. Part of the format: it never changes.
fn h2(chain: ChainId) -> String {
    // Fibonacci hashing: consecutive chain ids land far apart.
    format!("{:02x}", chain.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56)
}

/// The directory of one chain's slots: `{cluster}/w/{h2}/{chain}`.
#[must_use]
pub fn chain_dir(cluster: &str, chain: ChainId) -> String {
    format!("{cluster}/w/{}/{chain}", h2(chain))
}

/// The name of one slot: `{cluster}/w/{h2}/{chain}/{slot}`, the slot in 20 digits so that names sort as slots do.
#[must_use]
pub fn slot(cluster: &str, chain: ChainId, slot: SlotId) -> Key {
    Key(Arc::from(format!("{}/{:020}", chain_dir(cluster, chain), slot.0)))
}

/// The prefix of every slot of a cluster: `{cluster}/w`.
#[must_use]
pub fn slots_prefix(cluster: &str) -> String {
    format!("{cluster}/w")
}

/// The prefix of the coordinator's database: `{cluster}/meta`.
#[must_use]
pub fn meta(cluster: &str) -> String {
    format!("{cluster}/meta")
}

/// The name of a start-up probe's object. `nonce` is never used twice.
#[must_use]
pub(super) fn probe(nonce: u64) -> Key {
    Key(Arc::from(format!("probe/{nonce:016x}")))
}

/// Reads a slot's name back. `None` for any other name, and for a slot outside its chain's directory.
#[must_use]
pub fn parse_slot(cluster: &str, key: &Key) -> Option<(ChainId, SlotId)> {
    let rest = key.as_str().strip_prefix(cluster)?.strip_prefix("/w/")?;
    let (_, rest) = rest.split_once('/')?;
    let (chain, position) = rest.split_once('/')?;
    let parsed = (ChainId(chain.parse().ok()?), SlotId(position.parse().ok()?));
    (slot(cluster, parsed.0, parsed.1) == *key).then_some(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_never_change() {
        let names = [0, 1, 2, 77, u64::MAX]
            .map(|chain| slot("prod", ChainId(chain), SlotId(42)).to_string());
        assert_eq!(
            names,
            [
                "prod/w/00/0/00000000000000000042",
                "prod/w/9e/1/00000000000000000042",
                "prod/w/3c/2/00000000000000000042",
                "prod/w/96/77/00000000000000000042",
                "prod/w/61/18446744073709551615/00000000000000000042",
            ]
        );
        assert_eq!(meta("prod"), "prod/meta");
    }

    #[test]
    fn a_slot_name_parses_back_and_nothing_else_does() {
        let key = slot("c/luster", ChainId(7), SlotId(u64::MAX));
        assert_eq!(parse_slot("c/luster", &key), Some((ChainId(7), SlotId(u64::MAX))));
        for other in [
            "c/luster/w/00/7/1",
            "x/w/9e/1/00000000000000000042",
            "c/luster/meta/1",
            "",
            "c/luster/w/9e/1",
        ] {
            assert_eq!(parse_slot("c/luster", &Key::new(other)), None, "{other}");
        }
        assert_eq!(key.dir(), chain_dir("c/luster", ChainId(7)));
    }
}
