//! A small cache whose every decision follows from the calls alone: for the simulator.
//!
//! Evicts what was used least recently. Ordered maps and tokio's queues only: no clock, no random hasher.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A least-recently-used map bounded by weight.
pub(super) struct Ordered<K, V> {
    state: Mutex<State<K, V>>,
    weight_max: u64,
}

struct State<K, V> {
    values: BTreeMap<K, Value<V>>,
    /// Keys by their last use.
    used: BTreeMap<u64, K>,
    uses: u64,
    weight: u64,
    loading: BTreeMap<K, Arc<tokio::sync::Mutex<()>>>,
}

struct Value<V> {
    value: V,
    weight: u64,
    used: u64,
}

/// A place in the line of those who want one key. The last one to leave, by whatever way, clears the line away.
struct Turn<'a, K: Ord, V> {
    cache: &'a Ordered<K, V>,
    key: &'a K,
    mine: Arc<tokio::sync::Mutex<()>>,
}

impl<K: Ord, V> Drop for Turn<'_, K, V> {
    fn drop(&mut self) {
        let mut state = self.cache.state.lock().unwrap_or_else(PoisonError::into_inner);
        // The map and we hold it: nobody else waits.
        if Arc::strong_count(&self.mine) == 2 {
            state.loading.remove(self.key);
        }
    }
}

impl<K: Ord + Clone, V: Clone> Ordered<K, V> {
    pub(super) fn new(weight_max: u64) -> Self {
        let state = State {
            values: BTreeMap::new(),
            used: BTreeMap::new(),
            uses: 0,
            weight: 0,
            loading: BTreeMap::new(),
        };
        Self { state: Mutex::new(state), weight_max }
    }

    /// The value, loaded by one caller at a time if it is not there. A load that fails is tried by the next in line.
    pub(super) async fn get<E, F>(&self, key: &K, weigh: fn(&V) -> u64, load: F) -> Result<V, E>
    where
        F: Future<Output = Result<V, E>>,
    {
        if let Some(value) = self.find(key) {
            return Ok(value);
        }
        let turn = Turn { cache: self, key, mine: self.loading(key) };
        let _mine = turn.mine.lock().await;
        if let Some(value) = self.find(key) {
            return Ok(value);
        }
        let value = load.await?;
        self.insert(key, value.clone(), weigh(&value));
        Ok(value)
    }

    fn loading(&self, key: &K) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(self.state().loading.entry(key.clone()).or_default())
    }

    pub(super) fn weight(&self) -> u64 {
        self.state().weight
    }

    fn find(&self, key: &K) -> Option<V> {
        let mut state = self.state();
        let state = &mut *state;
        let found = state.values.get_mut(key)?;
        state.used.remove(&found.used);
        state.uses += 1;
        found.used = state.uses;
        state.used.insert(state.uses, key.clone());
        Some(found.value.clone())
    }

    fn insert(&self, key: &K, value: V, weight: u64) {
        if weight > self.weight_max {
            return;
        }
        let mut state = self.state();
        while state.weight + weight > self.weight_max {
            let Some((_, oldest)) = state.used.pop_first() else { break };
            if let Some(gone) = state.values.remove(&oldest) {
                state.weight -= gone.weight;
            }
        }
        state.uses += 1;
        let used = state.uses;
        state.weight += weight;
        state.used.insert(used, key.clone());
        state.values.insert(key.clone(), Value { value, weight, used });
    }

    fn state(&self) -> MutexGuard<'_, State<K, V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
