//! The records in flight, as runs of records that are in the same state.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Ticket;

/// What a record is, or is about to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Available,
    Acquired,
    Acknowledged,
    Archived,
    Missing,
}

/// The state of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// To be given out.
    Available,
    /// Given to `member`, until then.
    Acquired { member: Arc<str>, until: Duration },
    /// Done: a member took it.
    Acknowledged,
    /// Done: it is not delivered any more.
    Archived,
    /// Not in the log: found when it was read. Not kept, as it will be found again.
    Missing,
}

/// A change that is not known to be kept yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Transition {
    pub(super) ticket: Ticket,
    pub(super) to: Kind,
    pub(super) count: i16,
}

/// Records in the same state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) state: State,
    /// How often each was delivered.
    pub(super) count: i16,
    pub(super) transition: Option<Transition>,
}

impl Kind {
    /// Whether such a record is not delivered any more.
    pub(super) fn is_done(self) -> bool {
        match self {
            Self::Acknowledged | Self::Archived | Self::Missing => true,
            Self::Available | Self::Acquired => false,
        }
    }

    /// As it is kept.
    pub(super) fn number(self) -> i8 {
        match self {
            Self::Available => 0,
            Self::Acquired => 1,
            Self::Acknowledged => 2,
            Self::Archived | Self::Missing => 4,
        }
    }
}

impl State {
    /// As it was kept. 3 is on its way to be archived, in later versions of Kafka.
    pub(super) fn kept(number: i8) -> Self {
        match number {
            2 => Self::Acknowledged,
            3 | 4 => Self::Archived,
            _ => Self::Available,
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Available => Kind::Available,
            Self::Acquired { .. } => Kind::Acquired,
            Self::Acknowledged => Kind::Acknowledged,
            Self::Archived => Kind::Archived,
            Self::Missing => Kind::Missing,
        }
    }
}

impl Run {
    pub(super) fn of(state: State, count: i16) -> Self {
        Self { state, count, transition: None }
    }

    /// May be given out.
    pub(super) fn is_available(&self) -> bool {
        self.state == State::Available && self.transition.is_none()
    }

    /// Is with a member that may say what became of it, if `whose` holds for member and deadline.
    pub(super) fn is_acquired(&self, whose: impl FnOnce(&str, Duration) -> bool) -> bool {
        match &self.state {
            State::Acquired { member, until } => self.transition.is_none() && whose(member, *until),
            _ => false,
        }
    }

    /// What it will be if all that is on its way is kept.
    pub(super) fn kind_to_be(&self) -> Kind {
        self.transition.map_or_else(|| self.state.kind(), |transition| transition.to)
    }
}

/// The records from `start` to before `end`: every one is in a run.
#[derive(Debug)]
pub(super) struct Runs {
    start: i64,
    end: i64,
    /// By the first offset; each reaches to the next.
    by_first: BTreeMap<i64, Run>,
}

impl Runs {
    /// None, at `start`.
    pub(super) fn new(start: i64) -> Self {
        Self { start, end: start, by_first: BTreeMap::new() }
    }

    pub(super) fn start(&self) -> i64 {
        self.start
    }

    pub(super) fn end(&self) -> i64 {
        self.end
    }

    /// All runs: first and last offset, and the state.
    pub(super) fn iter(&self) -> impl Iterator<Item = (i64, i64, &Run)> {
        let ends = self.by_first.keys().skip(1).copied().chain([self.end]);
        self.by_first.iter().zip(ends).map(|((first, run), end)| (*first, end - 1, run))
    }

    /// The runs within `first..=last`, cut to it.
    pub(super) fn within(&self, first: i64, last: i64) -> impl Iterator<Item = (i64, i64, &Run)> {
        let from = self.by_first.range(..=first).next_back().map_or(first, |(from, _)| *from);
        let behind = self.by_first.range(from..).skip(1).map(|(first, _)| *first);
        let runs = self.by_first.range(from..).zip(behind.chain([self.end]));
        runs.take_while(move |((begin, _), _)| **begin <= last)
            .map(move |((begin, run), end)| (first.max(*begin), last.min(end - 1), run))
            .filter(|(first, last, _)| first <= last)
    }

    /// Adds records behind the last, up to before `end`.
    pub(super) fn extend(&mut self, end: i64, run: Run) {
        if end <= self.end {
            return;
        }
        let alike = self.by_first.last_key_value().is_some_and(|(_, last)| *last == run);
        if !alike {
            self.by_first.insert(self.end, run);
        }
        self.end = end;
    }

    /// Changes the records in `first..=last` that are in flight, a run at a time.
    pub(super) fn change(&mut self, first: i64, last: i64, mut change: impl FnMut(&mut Run)) {
        let (first, last) = (first.max(self.start), last.min(self.end - 1));
        if first > last {
            return;
        }
        self.split(first);
        self.split(last + 1);
        for (_, run) in self.by_first.range_mut(first..=last) {
            change(run);
        }
        self.join(first, last + 1);
    }

    /// The change of `ticket` is kept, or not.
    pub(super) fn settle(&mut self, ticket: Ticket, kept: bool) {
        let own = |run: &Run| run.transition.filter(|transition| transition.ticket == ticket);
        let mut reach: Option<(i64, i64)> = None;
        for (first, run) in &mut self.by_first {
            let Some(Transition { to, count, .. }) = own(run) else { continue };
            run.transition = None;
            reach = Some((reach.map_or(*first, |(from, _)| from), *first));
            if kept {
                run.count = count;
                run.state = match to {
                    Kind::Available => State::Available,
                    Kind::Acknowledged => State::Acknowledged,
                    Kind::Archived => State::Archived,
                    Kind::Missing => State::Missing,
                    Kind::Acquired => unreachable!("a record is acquired at once"),
                };
            }
        }
        if let Some((first, last)) = reach {
            let behind = self.by_first.range(last + 1..).next().map_or(self.end, |(next, _)| *next);
            self.join(first, behind);
        }
    }

    /// Lets go of what is done at the start.
    pub(super) fn move_start(&mut self) {
        while let Some(first) = self.by_first.first_entry()
            && first.get().transition.is_none()
            && first.get().state.kind().is_done()
        {
            first.remove();
            self.start = self.by_first.first_key_value().map_or(self.end, |(first, _)| *first);
        }
    }

    /// Lets go of everything before `start`.
    pub(super) fn cut(&mut self, start: i64) {
        if start <= self.start {
            return;
        }
        self.split(start);
        self.by_first = self.by_first.split_off(&start);
        self.start = start;
        self.end = self.end.max(start);
    }

    /// Makes a run begin at `offset`, if it is in flight.
    fn split(&mut self, offset: i64) {
        if offset <= self.start || offset >= self.end {
            return;
        }
        let before = self.by_first.range(..=offset).next_back();
        let (first, run) = before.expect("every record in flight is in a run");
        if *first < offset {
            let run = run.clone();
            self.by_first.insert(offset, run);
        }
    }

    /// Joins neighbours that are alike, from the one before `first` to the one at `behind`.
    fn join(&mut self, first: i64, behind: i64) {
        let from = self.by_first.range(..first).next_back().map_or(first, |(before, _)| *before);
        let mut alike = Vec::new();
        let mut runs = self.by_first.range(from..=behind);
        let mut before = runs.next().map(|(_, run)| run);
        for (at, run) in runs {
            if before == Some(run) {
                alike.push(*at);
            }
            before = Some(run);
        }
        for at in alike {
            self.by_first.remove(&at);
        }
    }
}
