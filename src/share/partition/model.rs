//! A partition under any sequence of steps, beside a model that knows each record on its own.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::runs::{Run, State};
use super::{
    Acknowledgement, Acquired, Change, Duration, Fetched, Limits, Loaded, Offset, SharePartition,
    combined,
};

/// The log holds these many offsets; every eighth is not in it.
const LOG_RECORDS: i64 = 64;
const MEMBERS: [&str; 3] = ["a", "b", "c"];
const LIMITS: Limits =
    Limits { lock: Duration::from_secs(10), delivery_count_limit: 3, record_locks_max: 24 };

#[derive(Debug, Clone)]
enum Step {
    /// Fetch and acquire: member, record batches read, records at most.
    Fetch(usize, usize, usize),
    /// Acknowledge a part of what the member has: which runs of it, and the type.
    Acknowledge(usize, usize, i8),
    /// Acknowledge what the member may not have.
    Intrude(usize, i64, i64),
    Release(usize),
    Expire(u64),
    /// The oldest change on its way is kept, or not.
    Settle(bool),
    Archive(i64, i64),
    Trim(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let member = 0..MEMBERS.len();
    let step = prop_oneof![
        4 => (member.clone(), 1_usize..5, 1_usize..12).prop_map(|(who, read, max)| Step::Fetch(who, read, max)),
        4 => (member.clone(), 0_usize..4, 0_i8..4).prop_map(|(who, which, what)| Step::Acknowledge(who, which, what)),
        1 => (member.clone(), 0_i64..70, 0_i64..6).prop_map(|(who, at, more)| Step::Intrude(who, at, at + more)),
        1 => member.prop_map(Step::Release),
        2 => (1_u64..12).prop_map(Step::Expire),
        4 => any::<bool>().prop_map(Step::Settle),
        1 => (0_i64..30, 0_i64..4).prop_map(|(at, more)| Step::Archive(at, more)),
        1 => (1_i64..3).prop_map(Step::Trim),
    ];
    prop::collection::vec(step, 1..80)
}

/// What must be true of one record.
#[derive(Debug, Default)]
struct Fact {
    owner: Option<&'static str>,
    /// Acknowledged, archived or trimmed, and that is settled: never given out again.
    is_done: bool,
    deliveries: i16,
}

struct World {
    now: Duration,
    partition: SharePartition,
    facts: BTreeMap<i64, Fact>,
    /// Changes on their way, oldest first.
    under_way: Vec<Change>,
    /// What is kept: as the persister has it.
    kept: Loaded,
    log_start: i64,
}

/// The record batches of the log from `from` on: of three or four records.
fn read(from: i64, batches: usize) -> Vec<(Offset, Offset)> {
    let all = (0..LOG_RECORDS / 8)
        .flat_map(|block| [(block * 8, block * 8 + 3), (block * 8 + 4, block * 8 + 6)]);
    let behind = all.filter(|(_, last)| *last >= from).take(batches);
    behind.map(|(first, last)| (Offset(first), Offset(last))).collect()
}

fn in_log(offset: i64) -> bool {
    offset % 8 != 7
}

impl World {
    fn new() -> Self {
        let kept = Loaded { start_offset: Offset(0), batches: Vec::new(), state_epoch: 1 };
        Self {
            now: Duration::ZERO,
            partition: SharePartition::new(kept.clone(), LIMITS),
            facts: (0..LOG_RECORDS).map(|offset| (offset, Fact::default())).collect(),
            under_way: Vec::new(),
            kept,
            log_start: 0,
        }
    }

    fn keep(&mut self, change: &Change) {
        let start = self.kept.start_offset.max(change.start_offset);
        self.kept.batches = combined(&self.kept.batches, &change.batches, start.0);
        self.kept.start_offset = start;
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Fetch(who, batches, max) => self.fetch(MEMBERS[*who], *batches, *max),
            Step::Acknowledge(who, which, kind) => self.acknowledge(MEMBERS[*who], *which, *kind),
            Step::Intrude(who, first, last) => self.intrude(MEMBERS[*who], *first, *last),
            Step::Release(who) => {
                if let Some(change) = self.partition.release(MEMBERS[*who]) {
                    self.under_way.push(change);
                }
            }
            Step::Expire(seconds) => {
                self.now += Duration::from_secs(*seconds);
                let due = self.partition.next_deadline().is_some_and(|at| at <= self.now);
                let expired = self.partition.expire_locks(self.now);
                assert_eq!(due, expired.is_some());
                if let Some(change) = expired {
                    self.hold_at_once(&change);
                }
            }
            Step::Settle(kept) => self.settle(*kept),
            Step::Archive(at, more) => {
                let first = self.partition.start_offset() + *at;
                let last = (first + *more).min(Offset(LOG_RECORDS - 1));
                if let Some(change) = self.partition.archive(first, last) {
                    self.hold_at_once(&change);
                }
            }
            Step::Trim(more) => {
                self.log_start = (self.log_start + more).min(LOG_RECORDS);
                let moved = self.partition.log_start_moved(Offset(self.log_start));
                if let Some(change) = moved {
                    self.keep(&change);
                }
                for (_, fact) in self.facts.range_mut(..self.log_start) {
                    *fact = Fact { is_done: true, ..Fact::default() };
                }
            }
        }
    }

    fn fetch(&mut self, member: &'static str, batches: usize, max: usize) {
        let from = self.partition.next_fetch_offset();
        let read = read(from.0.max(self.log_start), batches);
        let fetched = Fetched { from, batches: &read };
        let could = self.partition.can_acquire();
        let given = self.partition.acquire(self.now, member, fetched, (max, 4));
        assert!(could || given.is_empty());
        let mut before = -1;
        for Acquired { first: Offset(first), last: Offset(last), delivery_count } in given {
            assert!(before < first && first <= last);
            before = last;
            for offset in first..=last {
                assert!(in_log(offset), "{offset} is not in the log");
                let fact = self.facts.get_mut(&offset).expect("in the log");
                assert_eq!(fact.owner, None, "{offset} is given to two");
                assert!(!fact.is_done, "{offset} is given out although it is done");
                fact.owner = Some(member);
                fact.deliveries += 1;
                assert_eq!(delivery_count, fact.deliveries);
                assert!(delivery_count <= LIMITS.delivery_count_limit);
            }
        }
    }

    /// Parts of what the member has, as it would know it: owned, and no word given yet.
    fn acknowledge(&mut self, member: &'static str, which: usize, kind: i8) {
        let held = self
            .partition
            .runs
            .iter()
            .filter(|(_, _, run)| run.is_acquired(|owner, _| owner == member));
        let held: Vec<(i64, i64)> = held.map(|(first, last, _)| (first, last)).collect();
        let Some((first, last)) = held.get(which).copied() else { return };
        // A part of the run, with one type for all or one for each.
        let last = if which.is_multiple_of(2) { last } else { (first + last) / 2 };
        let types = match which {
            2 | 3 => (first..=last).map(|offset| if offset % 2 == 0 { kind } else { 1 }).collect(),
            _ => vec![kind],
        };
        let batch = Acknowledgement { first: Offset(first), last: Offset(last), types };
        let change = self.partition.acknowledge(member, &[batch]).expect("it has them");
        self.under_way.push(change);
    }

    fn intrude(&mut self, member: &'static str, first: i64, last: i64) {
        let start = self.partition.start_offset().0;
        let may = |offset: i64| {
            let mut runs = self.partition.runs.within(offset, offset);
            let run = runs.next().map(|(_, _, run)| run);
            run.is_some_and(|run| {
                run.state == State::Missing || run.is_acquired(|owner, _| owner == member)
            })
        };
        let expected = (first.max(start)..=last).all(may);
        let before = format!("{:?}", self.partition.runs);
        let batch = Acknowledgement { first: Offset(first), last: Offset(last), types: vec![1] };
        match self.partition.acknowledge(member, &[batch]) {
            Ok(change) => {
                assert!(expected);
                self.under_way.push(change);
            }
            Err(_) => {
                assert!(!expected);
                assert_eq!(
                    format!("{:?}", self.partition.runs),
                    before,
                    "a refusal changes nothing"
                );
            }
        }
    }

    fn settle(&mut self, kept: bool) {
        if self.under_way.is_empty() {
            return;
        }
        let change = self.under_way.remove(0);
        if kept {
            self.keep(&change);
            self.partition.written(change.ticket);
            self.become_as(&change);
        } else {
            self.partition.failed(change.ticket);
        }
    }

    fn hold_at_once(&mut self, change: &Change) {
        self.keep(change);
        // Either way: it holds.
        self.partition.failed(change.ticket);
        self.become_as(change);
    }

    fn become_as(&mut self, change: &Change) {
        for batch in &change.batches {
            for offset in batch.first_offset..=batch.last_offset {
                let fact = self.facts.entry(offset).or_default();
                if fact.is_done {
                    continue;
                }
                fact.owner = None;
                fact.is_done = batch.delivery_state != 0;
                fact.deliveries = batch.delivery_count;
            }
        }
    }

    fn check(&self) {
        let (start, end) = (self.partition.start_offset().0, self.partition.end_offset().0);
        let mut next = start;
        let mut before: Option<&Run> = None;
        for (first, last, run) in self.partition.runs.iter() {
            assert!(first == next && first <= last, "a hole at {next}");
            assert!(before != Some(run), "neighbours are alike at {first}");
            (next, before) = (last + 1, Some(run));
            for offset in first..=last {
                self.check_record(offset, run);
            }
        }
        assert_eq!(next, end);
        for (offset, fact) in self.facts.range(..start) {
            assert!(fact.is_done || !in_log(*offset), "{offset} is lost before the start {start}");
        }
        for (offset, fact) in self.facts.range(end.max(start)..) {
            assert_eq!(fact.owner, None, "{offset} is given out behind the end");
        }
        let first = self.partition.runs.iter().next();
        assert!(
            first.is_none_or(|(_, _, run)| !run.kind_to_be().is_done() || run.transition.is_some())
        );
    }

    fn check_record(&self, offset: i64, run: &Run) {
        let fact = &self.facts[&offset];
        let owner = match &run.state {
            State::Acquired { member, .. } => Some(&**member),
            _ => None,
        };
        assert_eq!(owner, fact.owner, "of {offset}");
        let done = run.state.kind().is_done();
        assert!(done == fact.is_done || run.state == State::Missing, "{offset}: {run:?}");
        assert!(run.state != State::Missing || !in_log(offset) || offset < self.log_start);
        assert!(run.count <= LIMITS.delivery_count_limit);
        assert!(run.state != State::Available || run.count < LIMITS.delivery_count_limit);
    }

    /// Everything on its way is kept; another leader reads it.
    fn check_rebuilt(&mut self) {
        while !self.under_way.is_empty() {
            self.settle(true);
        }
        let rebuilt = SharePartition::new(self.kept.clone(), LIMITS);
        let now_done = |partition: &SharePartition, offset: i64| {
            offset < partition.start_offset().0
                || partition
                    .runs
                    .within(offset, offset)
                    .any(|(_, _, run)| run.state.kind().is_done())
        };
        for offset in (0..LOG_RECORDS).filter(|offset| in_log(*offset)) {
            let (live, again) = (now_done(&self.partition, offset), now_done(&rebuilt, offset));
            assert_eq!(live, again, "{offset} after a new leader");
            let count = |partition: &SharePartition| {
                let run = partition.runs.within(offset, offset).next();
                run.filter(|(_, _, run)| run.is_available()).map_or(0, |(_, _, run)| run.count)
            };
            if count(&self.partition) > 0 {
                assert_eq!(count(&rebuilt), count(&self.partition), "deliveries of {offset}");
            }
        }
    }
}

proptest! {
    /// About 0.3 s.
    #[test]
    fn a_partition_does_as_a_model_of_each_record(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
            world.check();
        }
        world.check_rebuilt();
    }
}
