//! What goes wrong, and when: drawn from one seeded generator, changeable while the emulator runs.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde::{Deserialize, Serialize};

use crate::latency::{Kind, Profile};

/// Fractions of requests that fail, each in its own way.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rates {
    /// Answered 503 SlowDown, nothing applied.
    pub errors: f64,
    /// Held for `stall`, then served.
    pub stalls: f64,
    /// How long a stalled request is held.
    pub stall: Duration,
    /// Conditional writes answered 409, nothing applied.
    pub conflicts: f64,
    /// Writes applied, then answered 500.
    pub lost_replies: f64,
}

/// How an outage looks from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutageMode {
    /// Every request is answered 503 at once.
    Refuse,
    /// No request is answered before the outage is over; then 503.
    Hang,
}

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// From the request's head to its effect and answer.
    pub delay: Duration,
    /// The failure, if any.
    pub fault: Option<Fault>,
}

/// A failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 503, nothing applied.
    SlowDown,
    /// 409 for a conditional write, nothing applied.
    Conflict,
    /// Applied, then 500.
    LostReply,
    /// Applied and answered, only late; counted.
    Stall,
}

struct State {
    rng: StdRng,
    rates: Rates,
    profile: Profile,
    outage: Option<(Instant, OutageMode)>,
}

/// The source of every delay and failure.
pub struct Faults(Mutex<State>);

impl Faults {
    /// A source with its seed.
    pub fn new(seed: u64, rates: Rates, profile: Profile) -> Self {
        Self(Mutex::new(State { rng: StdRng::seed_from_u64(seed), rates, profile, outage: None }))
    }

    /// Draws the fate of one request. `conditional`: it carries If-Match or If-None-Match.
    pub fn judge(&self, kind: Kind, conditional: bool) -> Verdict {
        let mut state = self.lock();
        let now = Instant::now();
        if let Some((until, mode)) = state.outage {
            if now < until {
                let delay = if mode == OutageMode::Hang { until - now } else { Duration::ZERO };
                return Verdict { delay, fault: Some(Fault::SlowDown) };
            }
            state.outage = None;
        }
        let State { rng, rates, profile, .. } = &mut *state;
        let delay = profile.draw(kind, rng);
        let dice: [f64; 4] = rng.random();
        let fault = match kind {
            _ if dice[0] < rates.errors => Some(Fault::SlowDown),
            Kind::Write if conditional && dice[1] < rates.conflicts => Some(Fault::Conflict),
            Kind::Write if dice[2] < rates.lost_replies => Some(Fault::LostReply),
            _ if dice[3] < rates.stalls => Some(Fault::Stall),
            _ => None,
        };
        let stall = if fault == Some(Fault::Stall) { rates.stall } else { Duration::ZERO };
        Verdict { delay: delay + stall, fault }
    }

    /// Starts an outage that ends by itself.
    pub fn begin_outage(&self, length: Duration, mode: OutageMode) {
        self.lock().outage = Some((Instant::now() + length, mode));
    }

    /// Ends an outage now; requests that already hang wait on.
    pub fn end_outage(&self) {
        self.lock().outage = None;
    }

    /// Changes the rates.
    pub fn set_rates(&self, change: impl FnOnce(&mut Rates)) {
        change(&mut self.lock().rates);
    }

    /// Changes the latency profile.
    pub fn set_profile(&self, profile: Profile) {
        self.lock().profile = profile;
    }

    /// The profile in force, for the statistics page.
    pub fn profile(&self) -> Profile {
        self.lock().profile
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().expect("no holder panics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_sequence() {
        let rates = Rates { errors: 0.1, stalls: 0.1, ..Rates::default() };
        let draw = || {
            let faults = Faults::new(3, rates, Profile::S3Express);
            (0..100).map(|_| faults.judge(Kind::Write, true)).collect::<Vec<_>>()
        };
        assert_eq!(draw(), draw());
    }

    #[test]
    fn an_outage_refuses_everything_until_it_is_over() {
        let faults = Faults::new(3, Rates::default(), Profile::Zero);
        faults.begin_outage(Duration::from_secs(60), OutageMode::Refuse);
        assert_eq!(faults.judge(Kind::Read, false).fault, Some(Fault::SlowDown));
        faults.end_outage();
        assert_eq!(faults.judge(Kind::Read, false).fault, None);
    }
}
