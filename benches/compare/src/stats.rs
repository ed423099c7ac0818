//! Medians, spreads and latency distributions.

use std::{sync::Mutex, time::Duration};

use hdrhistogram::Histogram;
use serde::Serialize;

/// The samples of one figure, one a round.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Samples {
    /// As measured, in order.
    pub values: Vec<f64>,
}

impl Samples {
    /// The middle sample, or the mean of the two in the middle.
    pub fn median(&self) -> Option<f64> {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => None,
            odd if odd % 2 == 1 => Some(sorted[middle]),
            _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
        }
    }

    /// The least and the greatest.
    pub fn range(&self) -> Option<(f64, f64)> {
        let least = self.values.iter().copied().min_by(f64::total_cmp)?;
        let greatest = self.values.iter().copied().max_by(f64::total_cmp)?;
        Some((least, greatest))
    }
}

/// Latencies in microseconds from 1 us to 10 minutes, to three digits.
#[derive(Debug)]
pub struct Latencies(Mutex<Histogram<u64>>);

impl Default for Latencies {
    fn default() -> Self {
        Self(Mutex::new(
            Histogram::new_with_bounds(1, 600_000_000, 3).expect("the bounds are valid"),
        ))
    }
}

impl Latencies {
    /// Adds one.
    pub fn record(&self, latency: Duration) {
        let microseconds = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.0.lock().expect("no holder panics").saturating_record(microseconds);
    }

    /// The latency in milliseconds below which this fraction lies.
    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        self.0.lock().expect("no holder panics").value_at_quantile(quantile) as f64 / 1_000.0
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.lock().expect("no holder panics").len()
    }

    /// Forgets all, at the end of a warm-up.
    pub fn clear(&self) {
        self.0.lock().expect("no holder panics").reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_is_the_mean_of_the_middle() {
        let samples = Samples { values: vec![4.0, 1.0, 3.0, 2.0] };
        assert_eq!(samples.median(), Some(2.5));
        assert_eq!(samples.range(), Some((1.0, 4.0)));
    }
}
