//! Record values as OpenMessaging Benchmark makes them: a pool of 1,000, one half random bytes, the other zeroes.

use std::{collections::BTreeMap, sync::Mutex};

use rand::{RngCore, SeedableRng, rngs::StdRng};

const COUNT: usize = 1_000;

static POOLS: Mutex<BTreeMap<usize, &'static [u8]>> = Mutex::new(BTreeMap::new());

/// Values of one size, which live as long as the harness: librdkafka reads them without a copy.
pub fn pool(size: usize) -> Vec<&'static [u8]> {
    let mut pools = POOLS.lock().expect("no holder panics");
    let bytes: &'static [u8] = pools.entry(size).or_insert_with(|| {
        let mut rng = StdRng::seed_from_u64(size as u64);
        let mut bytes = vec![0u8; size * COUNT];
        for value in bytes.chunks_exact_mut(size) {
            rng.fill_bytes(&mut value[..size / 2]);
        }
        bytes.leak()
    });
    bytes.chunks_exact(size).collect()
}
