//! Records that come back without a word: their member is gone, their lock expired, or the log does not have them any more.

use std::time::Duration;

use super::runs::{Kind, Run, State};
use super::{Change, SharePartition};
use crate::base::offset::Offset;

impl SharePartition {
    /// The session of `member` ended: what it has not acknowledged is given back. That counts as a delivery, as if the member
    /// had released it. In transition until the change is settled. None if it has nothing.
    pub fn release(&mut self, member: &str) -> Option<Change> {
        let held =
            self.runs.iter().filter(|(_, _, run)| run.is_acquired(|owner, _| owner == member));
        let planned: Vec<(i64, i64, Kind, i16)> = held
            .map(|(first, last, run)| (first, last, self.given_back(run.count), run.count))
            .collect();
        (!planned.is_empty()).then(|| self.begin_transitions(planned))
    }

    /// Takes back what members have had for too long. That holds at once, whether the change is kept or not. None if there is
    /// nothing of the kind.
    pub fn expire_locks(&mut self, now: Duration) -> Option<Change> {
        let expired =
            self.runs.iter().filter(|(_, _, run)| run.is_acquired(|_, until| until <= now));
        let expired: Vec<(i64, i64, Kind, i16)> = expired
            .map(|(first, last, run)| (first, last, self.given_back(run.count), run.count))
            .collect();
        if expired.is_empty() {
            return None;
        }
        for &(first, last, to, count) in &expired {
            let state = if to == Kind::Archived { State::Archived } else { State::Available };
            self.runs.change(first, last, |run| *run = Run::of(state.clone(), count));
        }
        let ticket = self.ticket();
        let change = self.change(ticket, expired);
        self.runs.move_start();
        Some(change)
    }

    /// When the first lock expires. A record in transition has none meanwhile.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        let deadline = |run: &Run| match &run.state {
            State::Acquired { until, .. } if run.transition.is_none() => Some(*until),
            _ => None,
        };
        self.runs.iter().filter_map(|(_, _, run)| deadline(run)).min()
    }

    /// The log begins at `log_start` now: what was before it is done, whoever had it. That holds at once, whether the change is
    /// kept or not. None if the start is there or behind it already.
    pub fn log_start_moved(&mut self, Offset(log_start): Offset) -> Option<Change> {
        if log_start <= self.runs.start() {
            return None;
        }
        self.runs.cut(log_start);
        self.runs.move_start();
        let ticket = self.ticket();
        Some(self.change(ticket, Vec::new()))
    }
}
