//! Giving records to a member.

use std::sync::Arc;
use std::time::Duration;

use super::runs::{Kind, Run, State};
use super::{Change, SharePartition};
use crate::base::offset::Offset;

/// What was read from the log.
#[derive(Debug, Clone, Copy)]
pub struct Fetched<'a> {
    /// Where reading began: [`SharePartition::next_fetch_offset`] as it was then. What is between this and the first batch,
    /// and between batches, is not in the log.
    pub from: Offset,
    /// The first and last offset of each record batch, ascending, without a batch left out in between.
    pub batches: &'a [(Offset, Offset)],
}

/// Records that are given to a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acquired {
    /// The first.
    pub first: Offset,
    /// The last.
    pub last: Offset,
    /// How often each was delivered, this time included.
    pub delivery_count: i16,
}

impl SharePartition {
    /// Gives `member` what is available of the records that were read, until the lock expires.
    ///
    /// Record batches are given out whole: the one that reaches `records_max` is the last. `batch_size` is after how many
    /// records a further [`Acquired`] begins, with a record batch. New records are begun while there is room for them.
    ///
    /// What was delivered often is given out apart from other records and in ever smaller pieces, at last one by one: so a
    /// record that no member can take does not have others archived with it.
    pub fn acquire(
        &mut self,
        now: Duration,
        member: &str,
        fetched: Fetched<'_>,
        (records_max, batch_size): (usize, usize),
    ) -> Vec<Acquired> {
        let until = now.saturating_add(self.limits.lock);
        let lock = State::Acquired { member: Arc::from(member), until };
        let mut given = Given {
            acquired: Vec::new(),
            records: 0,
            records_max: as_records(records_max),
            batch_size: as_records(batch_size),
            apart: false,
        };
        let mut read_to = fetched.from.0.max(self.runs.start());
        for &(Offset(first), Offset(last)) in fetched.batches {
            let is_new = first >= self.runs.end();
            if given.is_full() || is_new && self.room() == 0 {
                break;
            }
            self.find_missing(read_to, first);
            self.give(first.max(self.runs.start()), last, &lock, &mut given);
            read_to = read_to.max(last.saturating_add(1));
        }
        self.runs.move_start();
        given.acquired
    }

    /// Gives out what is available in one record batch.
    fn give(&mut self, first: i64, last: i64, lock: &State, given: &mut Given) {
        let known: Vec<(i64, i64, i16)> = self
            .runs
            .within(first, last)
            .filter(|(_, _, run)| run.is_available())
            .map(|(first, last, run)| (first, last, run.count))
            .collect();
        for (first, last, count) in known {
            if let Some(most) = self.most_at_once(count, given.batch_size) {
                given.only(most);
            }
            if given.is_full() {
                return;
            }
            let last = if given.apart { last.min(first + given.left() - 1) } else { last };
            let count = count.saturating_add(1);
            self.runs.change(first, last, |run| *run = Run::of(lock.clone(), count));
            given.push(first, last, count);
        }
        if last >= self.runs.end() && self.room() > 0 && !given.apart {
            self.begin(first);
            let first = self.runs.end();
            self.runs.extend(last.saturating_add(1), Run::of(lock.clone(), 1));
            given.push(first, last, 1);
        }
    }

    /// How many records are given out at once that were delivered `count` times; none: as many as one likes.
    ///
    /// Source: `SharePartition.shouldThrottleRecordsDelivery`, `acquireSubsetBatchRecords` in Apache Kafka 4.3.1, where what
    /// shrinks is what was first given out at once.
    fn most_at_once(&self, count: i16, batch_size: i64) -> Option<i64> {
        let limit = self.limits.delivery_count_limit;
        let often = (limit / 2 + limit % 2).max(2);
        if count < often {
            return None;
        }
        if count == limit - 1 {
            return Some(1);
        }
        let in_flight = self.runs.end() - self.runs.start();
        let halvings = u32::from((count - often).unsigned_abs()) + 1;
        Some(batch_size.min(in_flight).checked_shr(halvings).unwrap_or(0).max(1))
    }

    /// Records from the last in flight to before `first` are in flight too, if nobody has read them.
    fn begin(&mut self, first: i64) {
        self.runs.extend(first, Run::of(State::Available, 0));
    }

    /// What was to be read in `from..to` is not in the log.
    fn find_missing(&mut self, from: i64, to: i64) {
        if from >= to {
            return;
        }
        self.runs.change(from, to - 1, |run| {
            if run.is_available() {
                run.state = State::Missing;
            }
        });
        if to > self.runs.end() {
            self.begin(from);
            self.runs.extend(to, Run::of(State::Missing, 0));
        }
    }

    /// Records are of an aborted transaction, or control records: nobody gets them, and whoever was given them has them no
    /// more. What is in transition stays as it will be.
    ///
    /// This holds at once, whether the change is kept or not: they would be found again. None if they are done already.
    pub fn archive(&mut self, Offset(first): Offset, Offset(last): Offset) -> Option<Change> {
        let first = first.max(self.runs.start());
        if last >= self.runs.end() && last >= first {
            self.begin(first);
            self.begin(last.saturating_add(1));
        }
        let archived: Vec<(i64, i64, Kind, i16)> = self
            .runs
            .within(first, last)
            .filter(|(_, _, run)| run.transition.is_none() && !run.state.kind().is_done())
            .map(|(first, last, run)| (first, last, Kind::Archived, run.count))
            .collect();
        if archived.is_empty() {
            return None;
        }
        for &(first, last, _, count) in &archived {
            self.runs.change(first, last, |run| *run = Run::of(State::Archived, count));
        }
        let ticket = self.ticket();
        let change = self.change(ticket, archived);
        self.runs.move_start();
        Some(change)
    }
}

fn as_records(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// What was given out so far.
struct Given {
    acquired: Vec<Acquired>,
    records: i64,
    records_max: i64,
    batch_size: i64,
    /// What is given out was delivered often: no more than `records_max`, and nothing new beside it.
    apart: bool,
}

impl Given {
    fn is_full(&self) -> bool {
        self.records >= self.records_max
    }

    fn left(&self) -> i64 {
        self.records_max - self.records
    }

    /// The next record is to be given out with no more than this many others.
    fn only(&mut self, most: i64) {
        let begins = self.records == 0;
        let alone = most == 1;
        if !begins && (alone || !self.apart) {
            self.records_max = self.records;
        } else if begins {
            self.records_max = self.records_max.min(most);
        }
        self.apart = true;
    }

    fn push(&mut self, first: i64, last: i64, delivery_count: i16) {
        self.records = self.records.saturating_add(last - first + 1);
        match self.acquired.last_mut() {
            Some(before)
                if before.last + 1 == Offset(first)
                    && before.delivery_count == delivery_count
                    && before.last - before.first + 1 < self.batch_size =>
            {
                before.last = Offset(last);
            }
            _ => self.acquired.push(Acquired {
                first: Offset(first),
                last: Offset(last),
                delivery_count,
            }),
        }
    }
}
