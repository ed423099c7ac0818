//! Record values as OpenMessaging Benchmark makes them: a pool of 1,000, one half random bytes, the other zeroes. Those of a
//! paced load begin with when they were due and with a number of their own.

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

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

/// Bytes that [`stamp`] takes.
pub const STAMP_BYTES: usize = 16;

/// Writes when a record was due, since the load's start, and its number into its value.
pub fn stamp(value: &mut [u8], due: Duration, number: u64) {
    value[..8].copy_from_slice(&(due.as_nanos() as u64).to_be_bytes());
    value[8..STAMP_BYTES].copy_from_slice(&number.to_be_bytes());
}

/// Reads both; none if the value is too short to have them. A value of another load gives any two numbers.
pub fn stamp_of(value: &[u8]) -> Option<(Duration, u64)> {
    let (due, rest) = value.split_first_chunk()?;
    let number = rest.first_chunk()?;
    Some((Duration::from_nanos(u64::from_be_bytes(*due)), u64::from_be_bytes(*number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stamped_is_read() {
        let mut value = [7; 20];
        stamp(&mut value, Duration::from_millis(1_500), 42);
        assert_eq!(stamp_of(&value), Some((Duration::from_millis(1_500), 42)));
        assert_eq!(stamp_of(&value[..15]), None);
    }
}
