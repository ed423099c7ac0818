//! How many Produce requests of one connection may wait for their answers: some for nothing, more against memory.

use super::budget::{Granted, RequestBudget};

/// Requests that may wait whatever memory there is.
const FREE: usize = 1024;
/// So many more for each grant of [`STEP_BYTES`]: a client that sends one batch a request, as librdkafka does, has
/// thousands of small requests on the way to a store that takes 100 ms.
const STEP: usize = 1024;
/// What so many waiting answers hold.
const STEP_BYTES: usize = 256 << 10;
/// Requests that may wait at most.
const MAX: usize = 16 << 10;

/// What one connection is allowed at the moment.
#[derive(Debug)]
pub(super) struct Allowance {
    max: usize,
    granted: Granted,
}

impl Allowance {
    pub(super) fn new() -> Self {
        Self { max: FREE, granted: Granted::default() }
    }

    /// Whether one more request may wait behind `waiting` others. If not, the connection is not read from until answers
    /// have left it; memory goes back once all have.
    pub(super) fn admits(&mut self, waiting: usize, budget: &RequestBudget) -> bool {
        if waiting == 0 && self.max > FREE {
            *self = Self::new();
        }
        if waiting < self.max {
            return true;
        }
        let grows = self.max < MAX && budget.try_grow(&mut self.granted, STEP_BYTES);
        if grows {
            self.max += STEP;
        }
        grows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::units::ByteSize;

    fn most(allowance: &mut Allowance, budget: &RequestBudget) -> usize {
        (0..).find(|&waiting| !allowance.admits(waiting, budget)).expect("it ends")
    }

    #[test]
    fn memory_bounds_what_waits_and_comes_back() {
        let budget = RequestBudget::new(ByteSize::kib(600));
        let (mut one, mut other) = (Allowance::new(), Allowance::new());
        assert_eq!(most(&mut one, &budget), FREE + 2 * STEP, "two grants fit");
        assert_eq!(most(&mut other, &budget), FREE, "none is left");
        // A few answers have left: what was granted stays.
        assert!(one.admits(FREE, &budget));
        assert_eq!(most(&mut other, &budget), FREE);
        // All have: another connection may have it.
        assert!(one.admits(0, &budget));
        assert_eq!(most(&mut other, &budget), FREE + 2 * STEP);
    }

    #[test]
    fn no_memory_lets_a_connection_go_past_the_end() {
        let budget = RequestBudget::new(ByteSize::mib(64));
        assert_eq!(most(&mut Allowance::new(), &budget), MAX);
    }
}
