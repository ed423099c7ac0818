//! What goes wrong with which call: scripts first, then draws.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::base::rng::Rng;

/// Kinds of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Writes an object, by copy or rename too.
    Put,
    /// Reads an object or a part of it.
    Get,
    /// Asks for an object's size.
    Head,
    /// Deletes an object.
    Delete,
    /// Lists objects.
    List,
}

/// One thing that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection breaks before the request arrives.
    FailBefore,
    /// The request is done, the reply is lost.
    FailAfter,
    /// The store answers so and does nothing.
    Status(u16),
    /// The store answers so, and did it all the same.
    StatusAfter(u16),
    /// No answer for `wait`; whether a put was done.
    Hang {
        /// Until the connection breaks.
        wait: Duration,
        /// Whether it was done.
        applied: bool,
    },
    /// A put's connection breaks now, and the put lands so much later.
    Late(Duration),
    /// A put is done and answered, and lands once more so much later.
    Twice(Duration),
    /// The store lies: a put is answered and not done. No law holds over such a store; tests must notice.
    Lose,
    /// The store lies: a put replaces what is there, whatever it was asked. No law holds over such a store either.
    Overwrite,
}

/// What is drawn for each call. Rates are out of 1,000 calls, and each call suffers at most one fault.
#[derive(Debug, Clone)]
pub struct Rates {
    /// The least and the most that a call takes.
    pub latency: (Duration, Duration),
    /// Only names that contain this have these latencies and faults.
    pub only: String,
    /// [`Fault::FailBefore`].
    pub fail_before: u16,
    /// [`Fault::FailAfter`].
    pub fail_after: u16,
    /// [`Fault::Status`] 409 on puts.
    pub conflict: u16,
    /// [`Fault::Status`] 412 on puts.
    pub precondition: u16,
    /// [`Fault::Status`] 429.
    pub throttled: u16,
    /// [`Fault::Status`] 503.
    pub unavailable: u16,
    /// [`Fault::StatusAfter`] 500.
    pub internal_after: u16,
    /// [`Fault::Hang`] for up to `hang_max`, done or not.
    pub hang: u16,
    /// [`Fault::Late`] by up to `late_max`, on puts.
    pub late: u16,
    /// [`Fault::Twice`] with up to `late_max` between, on puts.
    pub twice: u16,
    /// The longest hang.
    pub hang_max: Duration,
    /// The longest that a put is held back.
    pub late_max: Duration,
    /// Listings come in any order.
    pub unordered_lists: bool,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            latency: (Duration::ZERO, Duration::ZERO),
            only: String::new(),
            fail_before: 0,
            fail_after: 0,
            conflict: 0,
            precondition: 0,
            throttled: 0,
            unavailable: 0,
            internal_after: 0,
            hang: 0,
            late: 0,
            twice: 0,
            hang_max: Duration::from_secs(60),
            late_max: Duration::from_secs(30),
            unordered_lists: false,
        }
    }
}

/// A fault for certain calls.
#[derive(Debug, Clone)]
pub struct Script {
    /// The kind of call.
    pub op: Op,
    /// The name contains this.
    pub key: String,
    /// So many such calls go well first.
    pub skip: u32,
    /// So many then fail.
    pub times: u32,
    /// How.
    pub fault: Fault,
}

impl Script {
    /// For the next such call.
    #[must_use]
    pub fn next(op: Op, key: &str, fault: Fault) -> Self {
        Self { op, key: key.to_owned(), skip: 0, times: 1, fault }
    }

    /// For the next `times` such calls.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    /// After `skip` such calls.
    #[must_use]
    pub fn after(self, skip: u32) -> Self {
        Self { skip, ..self }
    }
}

pub(super) struct Plan {
    rng: Rng,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The first that is for a name counts.
    rates: Vec<Rates>,
    scripts: Vec<Script>,
    /// Calls that are still answered, if the store is about to fall silent.
    answers_left: Option<u64>,
}

impl Plan {
    pub(super) fn new(rng: Rng) -> Self {
        Self { rng, state: Mutex::default() }
    }

    pub(super) fn set_rates(&self, rates: Vec<Rates>) {
        self.state().rates = rates;
    }

    pub(super) fn fall_silent_after(&self, calls: Option<u64>) {
        self.state().answers_left = calls;
    }

    /// Whether the next call is one that nobody answers any more.
    pub(super) fn is_silent(&self) -> bool {
        match &mut self.state().answers_left {
            None => false,
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
        }
    }

    pub(super) fn add(&self, script: Script) {
        self.state().scripts.push(script);
    }

    pub(super) fn stop(&self) {
        let mut state = self.state();
        state.scripts.clear();
        for rates in &mut state.rates {
            let (latency, only) = (rates.latency, std::mem::take(&mut rates.only));
            *rates = Rates { latency, only, ..Rates::default() };
        }
    }

    /// How long a call takes and what goes wrong with it. Draws the same number of numbers whatever comes out.
    pub(super) fn draw(&self, op: Op, path: &str) -> (Duration, Option<Fault>) {
        let mut state = self.state();
        let rates = state.rates.iter().find(|rates| path.contains(&rates.only));
        let rates = rates.cloned().unwrap_or_default();
        let (least, most) = rates.latency;
        let latency = self.between(least, most);
        let dice = u16::try_from(self.rng.below(1000)).unwrap_or(u16::MAX);
        let (hang, late) = (
            self.between(Duration::ZERO, rates.hang_max),
            self.between(Duration::ZERO, rates.late_max),
        );
        let applied = self.rng.below(2) == 1;
        if let Some(fault) = state.scripted(op, path) {
            return (latency, Some(fault));
        }
        let (put, any) = (op == Op::Put, true);
        let table = [
            (any, rates.fail_before, Fault::FailBefore),
            (any, rates.fail_after, Fault::FailAfter),
            (put, rates.conflict, Fault::Status(409)),
            (put, rates.precondition, Fault::Status(412)),
            (any, rates.throttled, Fault::Status(429)),
            (any, rates.unavailable, Fault::Status(503)),
            (any, rates.internal_after, Fault::StatusAfter(500)),
            (any, rates.hang, Fault::Hang { wait: hang, applied }),
            (put, rates.late, Fault::Late(late)),
            (put, rates.twice, Fault::Twice(late)),
        ];
        let mut upto = 0;
        for (fits, rate, fault) in table {
            upto += rate;
            if dice < upto {
                return (latency, fits.then_some(fault));
            }
        }
        (latency, None)
    }

    /// A listing in some order.
    pub(super) fn disorder<T>(&self, mut found: Vec<T>) -> Vec<T> {
        if self.state().rates.iter().any(|rates| rates.unordered_lists) {
            for at in (1..found.len()).rev() {
                let other = usize::try_from(self.rng.below(at as u64 + 1)).unwrap_or(at);
                found.swap(at, other);
            }
        }
        found
    }

    fn between(&self, least: Duration, most: Duration) -> Duration {
        let span = u64::try_from(most.saturating_sub(least).as_micros()).unwrap_or(u64::MAX);
        least + Duration::from_micros(self.rng.below(span.saturating_add(1).max(1)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn scripted(&mut self, op: Op, path: &str) -> Option<Fault> {
        let fits = |script: &&mut Script| {
            script.op == op && path.contains(&script.key) && script.times > 0
        };
        let script = self.scripts.iter_mut().find(fits)?;
        if script.skip > 0 {
            script.skip -= 1;
            return None;
        }
        script.times -= 1;
        Some(script.fault)
    }
}
