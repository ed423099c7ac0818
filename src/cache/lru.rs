//! A map bounded by weight that forgets what was used least recently, and finds the entry at or below a key.
//!
//! The hasher and the clock of most caches make runs differ; here the order of calls alone decides.

use std::collections::BTreeMap;

/// A least-recently-used ordered map.
#[derive(Debug)]
pub struct Lru<K, V> {
    entries: BTreeMap<K, Entry<V>>,
    /// Keys by their last use.
    used: BTreeMap<u64, K>,
    uses: u64,
    weight: u64,
    weight_max: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    weight: u64,
    used: u64,
}

impl<K: Ord + Clone, V> Lru<K, V> {
    /// Holds values of at most `weight_max` together.
    #[must_use]
    pub fn new(weight_max: u64) -> Self {
        let (entries, used) = (BTreeMap::new(), BTreeMap::new());
        Self { entries, used, uses: 0, weight: 0, weight_max }
    }

    /// The entry with the greatest key at or below `key`, which counts as used if `wanted` says that it is the one.
    pub fn floor(&mut self, key: &K, wanted: impl Fn(&K, &V) -> bool) -> Option<(&K, &V)> {
        let (found, entry) = self.entries.range_mut(..=key).next_back()?;
        if !wanted(found, &entry.value) {
            return None;
        }
        self.used.remove(&entry.used);
        self.uses += 1;
        entry.used = self.uses;
        self.used.insert(self.uses, found.clone());
        Some((found, &entry.value))
    }

    /// The entry with the greatest key below `key`, without counting as used.
    pub fn below(&self, key: &K) -> Option<(&K, &V)> {
        let (found, entry) = self.entries.range(..key).next_back()?;
        Some((found, &entry.value))
    }

    /// The least key at or above `key`.
    pub fn ceiling(&self, key: &K) -> Option<&K> {
        self.entries.range(key..).next().map(|(found, _)| found)
    }

    /// Keeps `value`, and forgets what has to go for it. One that is heavier than everything may be is not kept.
    pub fn insert(&mut self, key: K, value: V, weight: u64) {
        self.remove(&key);
        if weight > self.weight_max {
            return;
        }
        while self.weight + weight > self.weight_max {
            let Some((_, oldest)) = self.used.pop_first() else { break };
            if let Some(gone) = self.entries.remove(&oldest) {
                self.weight -= gone.weight;
            }
        }
        self.uses += 1;
        self.weight += weight;
        self.used.insert(self.uses, key.clone());
        self.entries.insert(key, Entry { value, weight, used: self.uses });
    }

    /// Forgets one entry.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let gone = self.entries.remove(key)?;
        self.used.remove(&gone.used);
        self.weight -= gone.weight;
        Some(gone.value)
    }

    /// Forgets the entries with keys from `from` up to `to`, both included.
    pub fn remove_between(&mut self, from: &K, to: &K) {
        let keys: Vec<K> = self.entries.range(from..=to).map(|(key, _)| key.clone()).collect();
        for key in &keys {
            self.remove(key);
        }
    }

    /// All values, in the order of keys.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.values().map(|entry| &entry.value)
    }

    /// What all values weigh.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.weight
    }
}
