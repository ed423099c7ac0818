//! The least latency that a flush budget over a store of some profile allows, by simulation.
//!
//! Records arrive evenly; a slot closes when its oldest record has waited for the budget; slots upload in parallel; an
//! acknowledgement waits for its slot's PUT and for those of all earlier slots. Nothing else costs any time.
//!
//! A profile's floor is that of very many PUTs. A minute has six hundred: the slowest six of them, from which its p99 comes,
//! differ by tens of milliseconds between one minute and the next. So each turn has a floor of its own too, of the PUTs that
//! the emulator drew in it.

use rand::{Rng, SeedableRng, rngs::StdRng};

/// Milliseconds at p50, p99 and p99.9 of one PUT, as the store emulator draws them.
#[derive(Debug, Clone, Copy)]
pub struct PutLatency(pub [f64; 3]);

/// S3 Standard.
pub const S3_STANDARD: PutLatency = PutLatency([100.0, 195.0, 274.0]);
/// S3 Express One Zone.
pub const S3_EXPRESS: PutLatency = PutLatency([5.0, 10.0, 20.0]);
/// A store without chance.
pub const FIXED_100_MS: PutLatency = PutLatency([100.0, 100.0, 100.0]);

/// p50, p99 and p99.9 in milliseconds over very many slots whose PUTs take what the profile draws.
pub fn floor(put: PutLatency, flush_ms: f64) -> [f64; 3] {
    const SLOTS: usize = 200_000;
    let mut rng = StdRng::seed_from_u64(11);
    floor_of((0..SLOTS).map(|_| put.draw(&mut rng)), flush_ms)
}

/// The same for slots whose PUTs took these times, in the order of the slots: what a store could do that drew them.
pub fn floor_of(puts: impl Iterator<Item = f64>, flush_ms: f64) -> [f64; 3] {
    const WITHIN: usize = 100;
    let mut latencies = Vec::new();
    let mut stable = 0.0f64;
    for (slot, put) in puts.enumerate() {
        let closed = (slot + 1) as f64 * flush_ms;
        stable = stable.max(closed + put);
        for record in 0..WITHIN {
            let arrived = closed - flush_ms * (record as f64 + 0.5) / WITHIN as f64;
            latencies.push(stable - arrived);
        }
    }
    let Some(last) = latencies.len().checked_sub(1) else { return [0.0; 3] };
    [0.5, 0.99, 0.999].map(|quantile| {
        let at = (last as f64 * quantile) as usize;
        *latencies.select_nth_unstable_by(at, f64::total_cmp).1
    })
}

impl PutLatency {
    /// Log-normal between the quantiles, as in the store emulator.
    fn draw(self, rng: &mut impl Rng) -> f64 {
        const Z99: f64 = 2.326_347_9;
        const Z999: f64 = 3.090_232_3;
        let radius: f64 = 1.0 - rng.random::<f64>();
        let z = (-2.0 * radius.ln()).sqrt() * (rng.random::<f64>() * std::f64::consts::TAU).cos();
        let [p50, p99, p999] = self.0.map(f64::ln);
        let tail = (z - Z99).max(0.0) / (Z999 - Z99) * (p999 - p99);
        (p50 + (p99 - p50) * z.min(Z99) / Z99 + tail).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s3_standard_with_a_budget_of_100_ms() {
        let [p50, p99, _] = floor(S3_STANDARD, 100.0);
        assert!((p50 - 154.0).abs() < 6.0, "p50 {p50}");
        assert!((p99 - 265.0).abs() < 15.0, "p99 {p99}");
    }

    #[test]
    fn a_slot_waits_for_the_slots_before_it() {
        let [p50, p99, _] = floor_of([350.0, 100.0, 100.0].into_iter(), 100.0);
        // All three are stable at 450: their records are 350 to 450, 250 to 350 and 150 to 250 old.
        assert!((p50 - 300.0).abs() < 2.0, "p50 {p50}");
        assert!((p99 - 447.0).abs() < 2.0, "p99 {p99}");
    }
}
