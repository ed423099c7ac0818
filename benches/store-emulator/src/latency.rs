//! How long a store takes to answer: profiles as published quantiles, drawn at random.

use std::{str::FromStr, time::Duration};

use rand::Rng;

/// A store's latency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Profile {
    /// As fast as the emulator can.
    Zero,
    /// S3 Standard in its own region.
    S3Standard,
    /// S3 Express One Zone from the same zone.
    S3Express,
    /// The same time for every request.
    Fixed(Duration),
}

/// Kind of request as far as latency goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Anything that changes an object.
    Write,
    /// Anything that does not.
    Read,
}

/// Milliseconds at p50, p99 and p99.9.
struct Quantiles(f64, f64, f64);

impl Profile {
    /// Draws the time from a request's head to its answer.
    pub fn draw(&self, kind: Kind, rng: &mut impl Rng) -> Duration {
        match (self, kind) {
            (Self::Zero, _) => Duration::ZERO,
            (Self::Fixed(time), _) => *time,
            (Self::S3Standard, Kind::Write) => Quantiles(100.0, 195.0, 274.0).at(normal(rng)),
            (Self::S3Standard, Kind::Read) => Quantiles(63.0, 78.0, 118.0).at(normal(rng)),
            (Self::S3Express, _) => Quantiles(5.0, 10.0, 20.0).at(normal(rng)),
        }
    }
}

impl Quantiles {
    /// Log-normal between the quantiles: the logarithm is linear in `z` from p50 to p99 and, steeper, from there on.
    fn at(&self, z: f64) -> Duration {
        const Z99: f64 = 2.326_347_9;
        const Z999: f64 = 3.090_232_3;
        let (p50, p99, p999) = (self.0.ln(), self.1.ln(), self.2.ln());
        let ln = if z <= Z99 {
            p50 + (p99 - p50) * z / Z99
        } else {
            p99 + (p999 - p99) * (z - Z99) / (Z999 - Z99)
        };
        Duration::from_secs_f64(ln.exp() / 1_000.0)
    }
}

/// One draw of the standard normal distribution (Box and Muller).
fn normal(rng: &mut impl Rng) -> f64 {
    let radius: f64 = 1.0 - rng.random::<f64>();
    let angle: f64 = rng.random::<f64>() * std::f64::consts::TAU;
    (-2.0 * radius.ln()).sqrt() * angle.cos()
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "zero" => Ok(Self::Zero),
            "s3-standard" => Ok(Self::S3Standard),
            "s3-express" => Ok(Self::S3Express),
            _ => text
                .strip_prefix("fixed:")
                .and_then(|rest| rest.strip_suffix("ms"))
                .and_then(|number| number.parse().ok())
                .map(|ms| Self::Fixed(Duration::from_millis(ms)))
                .ok_or_else(|| {
                    format!("no such profile: {text} (zero, s3-standard, s3-express, fixed:100ms)")
                }),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn draws_match_the_published_quantiles() {
        let mut rng = StdRng::seed_from_u64(7);
        let mut draws: Vec<f64> = (0..200_000)
            .map(|_| Profile::S3Standard.draw(Kind::Write, &mut rng).as_secs_f64() * 1_000.0)
            .collect();
        draws.sort_by(f64::total_cmp);
        let at = |quantile: f64| draws[(draws.len() as f64 * quantile) as usize];
        assert!((at(0.5) - 100.0).abs() < 1.0, "p50 {}", at(0.5));
        assert!((at(0.99) - 195.0).abs() < 3.0, "p99 {}", at(0.99));
        assert!((at(0.999) - 274.0).abs() < 15.0, "p99.9 {}", at(0.999));
    }

    #[test]
    fn profiles_are_read_by_name() {
        assert_eq!("fixed:100ms".parse(), Ok(Profile::Fixed(Duration::from_millis(100))));
        assert!("fixed:100".parse::<Profile>().is_err());
    }
}
