//! What transactional clients did and saw, and the anomalies that must not be in it, by Jepsen's names.
//!
//! A value is `writer.number`, with what it carries behind a `=`: so each names the operation that wrote it. Completion of an
//! operation: *ok*; *fail*, definitely not applied; *info*, unknown. An operation that never asked for its commit is a fail.

use std::collections::{BTreeMap, BTreeSet};

/// A topic and a partition's number.
pub(super) type Key = (&'static str, i32);

/// A number of an operation.
pub(super) type OpId = usize;

/// The records of one partition by offset.
pub(super) type Log = BTreeMap<i64, String>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Nobody asked for its commit.
    Fail,
    /// Its commit was asked for, and who knows.
    Info,
    Ok,
}

#[derive(Debug)]
enum Micro {
    /// None: the send was not acknowledged.
    Send(Key, String, Option<i64>),
    Poll(Key, Vec<(i64, String)>),
}

/// One transaction.
#[derive(Debug)]
struct Op {
    process: usize,
    fate: Fate,
    micros: Vec<Micro>,
}

/// What one process polled of one partition at once.
#[derive(Debug)]
struct Poll {
    process: usize,
    key: Key,
    /// The process has just been assigned the partition, or has sought in it.
    fresh: bool,
    records: Vec<(i64, String)>,
}

/// All that clients know, of all lives of the broker.
#[derive(Debug, Default)]
pub(super) struct History {
    ops: Vec<Op>,
    polls: Vec<Poll>,
    /// Every read of anybody: what stands at an offset.
    seen: BTreeMap<(Key, i64), String>,
    /// The highest offsets whose commit was acknowledged, by group and partition.
    committed: BTreeMap<(&'static str, Key), i64>,
    processes: usize,
}

/// The operation that wrote a value.
fn writer(value: &str) -> OpId {
    let (op, _) = value.split_once('.').expect("operation.number");
    op.parse().expect("an operation's number")
}

/// What a value carries.
pub(super) fn payload(value: &str) -> &str {
    value.split_once('=').map_or("", |(_, payload)| payload)
}

impl History {
    /// A process that was not there before.
    pub(super) fn new_process(&mut self) -> usize {
        self.processes += 1;
        self.processes
    }

    pub(super) fn begin(&mut self, process: usize) -> OpId {
        self.ops.push(Op { process, fate: Fate::Fail, micros: Vec::new() });
        self.ops.len() - 1
    }

    /// A value that `op` is about to send.
    pub(super) fn send(&mut self, op: OpId, key: Key, payload: &str) -> String {
        let value = format!("{op}.{}={payload}", self.ops[op].micros.len());
        self.ops[op].micros.push(Micro::Send(key, value.clone(), None));
        value
    }

    pub(super) fn sent(&mut self, op: OpId, value: &str, at: i64) {
        for micro in &mut self.ops[op].micros {
            if let Micro::Send(_, sent, offset) = micro
                && sent == value
            {
                *offset = Some(at);
            }
        }
    }

    /// `op` asks for its commit: from here on nobody knows.
    pub(super) fn committing(&mut self, op: OpId) {
        self.ops[op].fate = Fate::Info;
    }

    pub(super) fn committed(&mut self, op: OpId) {
        self.ops[op].fate = Fate::Ok;
    }

    /// The commit was refused, and none before had been tried.
    pub(super) fn failed(&mut self, op: OpId) {
        self.ops[op].fate = Fate::Fail;
    }

    pub(super) fn committed_count(&self) -> u64 {
        self.ops.iter().filter(|op| op.fate == Fate::Ok).count() as u64
    }

    /// A read of `records`, by a consumer of committed records.
    pub(super) fn polled(
        &mut self,
        (process, op): (usize, Option<OpId>),
        key: Key,
        fresh: bool,
        records: &[(i64, String)],
    ) {
        self.read(key, records);
        self.polls.push(Poll { process, key, fresh, records: records.to_vec() });
        if let Some(op) = op {
            self.ops[op].micros.push(Micro::Poll(key, records.to_vec()));
        }
    }

    /// A read of anybody. Every read is of stable records, so all reads of an offset agree.
    pub(super) fn read(&mut self, key: Key, records: &[(i64, String)]) {
        for (offset, value) in records {
            let before = self.seen.insert((key, *offset), value.clone());
            assert!(
                before.is_none() || before.as_ref() == Some(value),
                "inconsistent-offsets: {key:?}@{offset} is {before:?} and {value}"
            );
        }
    }

    /// The commit of a group's offset was acknowledged.
    pub(super) fn offset_committed(&mut self, group: &'static str, key: Key, offset: i64) {
        let highest = self.committed.entry((group, key)).or_insert(offset);
        *highest = offset.max(*highest);
    }

    pub(super) fn offset_known(&self, group: &'static str, key: Key) -> i64 {
        self.committed.get(&(group, key)).copied().unwrap_or(-1)
    }

    /// A group's offset was fetched; `known`, what had been acknowledged when it was asked for.
    pub(super) fn offset_fetched(group: &str, key: Key, known: i64, fetched: i64) {
        assert!(
            fetched >= known,
            "GroupOffsetsMonotone: {group} {key:?} is at {fetched} after {known} was committed"
        );
    }

    /// Holds everything against the committed log as it is in the end.
    pub(super) fn check(&self, logs: &BTreeMap<Key, Log>) {
        for (key, log) in logs {
            for (offset, value) in log {
                let before = self.seen.get(&(*key, *offset)).unwrap_or(value);
                assert_eq!(before, value, "inconsistent-offsets: {key:?}@{offset}");
            }
        }
        let places = self.places(logs);
        self.check_atomic(&places);
        self.check_aborted_reads(&places);
        self.check_own_reads();
        self.check_polls(logs);
        self.check_sends();
        self.check_cycles(&places);
    }

    /// Where each value stands: once.
    fn places<'a>(&self, logs: &'a BTreeMap<Key, Log>) -> BTreeMap<&'a str, (Key, i64)> {
        let mut places = BTreeMap::new();
        for (key, log) in logs {
            for (offset, value) in log {
                let other = places.insert(value.as_str(), (*key, *offset));
                assert!(other.is_none(), "duplicate: {value} at {other:?} and {key:?}@{offset}");
                let fate = self.ops[writer(value)].fate;
                assert!(fate != Fate::Fail, "G1a: {value} at {key:?}@{offset} was not committed");
            }
        }
        places
    }

    /// Of each transaction all is there, or nothing; of one that was acknowledged all.
    fn check_atomic(&self, places: &BTreeMap<&str, (Key, i64)>) {
        for (number, op) in self.ops.iter().enumerate() {
            let sends = op.micros.iter().filter_map(|micro| match micro {
                Micro::Send(key, value, offset) => Some((*key, value, *offset)),
                Micro::Poll(..) => None,
            });
            let mut there = 0;
            let mut missing = Vec::new();
            for (key, value, offset) in sends {
                match places.get(value.as_str()) {
                    Some(place) => {
                        there += 1;
                        let acked = offset.is_none_or(|offset| *place == (key, offset));
                        assert!(acked, "inconsistent-offsets: {value} acknowledged at {offset:?}");
                    }
                    None => missing.push((key, value, offset)),
                }
            }
            if missing.is_empty() || op.fate == Fate::Fail {
                continue;
            }
            assert!(
                there == 0,
                "TxnAtomic: torn transaction {number}, {there} are there but not {missing:?}"
            );
            assert!(op.fate != Fate::Ok, "lost-write: transaction {number} with {missing:?}");
        }
    }

    /// Nobody saw what was not committed.
    fn check_aborted_reads(&self, places: &BTreeMap<&str, (Key, i64)>) {
        for poll in &self.polls {
            for (offset, value) in &poll.records {
                let there = places.get(value.as_str()) == Some(&(poll.key, *offset));
                assert!(there, "G1a: process {} read {value} at {offset}", poll.process);
            }
        }
    }

    /// No transaction reads what it wrote itself: it is not committed yet.
    fn check_own_reads(&self) {
        for (number, op) in self.ops.iter().enumerate() {
            for micro in &op.micros {
                let Micro::Poll(key, records) = micro else { continue };
                let own = records.iter().find(|(_, value)| writer(value) == number);
                assert!(own.is_none(), "precommitted-read: {own:?} of {key:?} in {number}");
            }
        }
    }

    /// Consumers see every committed record, in order.
    fn check_polls(&self, logs: &BTreeMap<Key, Log>) {
        let index: BTreeMap<Key, BTreeMap<i64, i64>> =
            logs.iter().map(|(key, log)| (*key, log.keys().copied().zip(0..).collect())).collect();
        let mut last: BTreeMap<(usize, Key), i64> = BTreeMap::new();
        for Poll { process, key, fresh, records } in &self.polls {
            if *fresh {
                last.remove(&(*process, *key));
            }
            for (place, (offset, value)) in records.iter().enumerate() {
                let now = index[key][offset];
                let before = last.insert((*process, *key), now);
                let inside = if place > 0 { "int-" } else { "" };
                let delta = before.map_or(1, |before| now - before);
                let what = format!("{key:?}@{offset} {value} by process {process}");
                assert!(delta <= 1, "{inside}poll-skip: {what} skips {}", delta - 1);
                assert!(delta >= 1, "{inside}nonmonotonic-poll: {what} again");
            }
        }
    }

    /// What one process sends to a partition goes up, between its transactions and inside of them.
    fn check_sends(&self) {
        let mut last: BTreeMap<(usize, Key), (OpId, i64)> = BTreeMap::new();
        for (number, op) in self.ops.iter().enumerate().filter(|(_, op)| op.fate != Fate::Fail) {
            for micro in &op.micros {
                let Micro::Send(key, value, Some(offset)) = micro else { continue };
                let before = last.insert((op.process, *key), (number, *offset));
                let Some((other, before)) = before else { continue };
                let inside = if other == number { "int-" } else { "" };
                assert!(
                    before < *offset,
                    "{inside}nonmonotonic-send: {value} at {key:?}@{offset} after {before}"
                );
            }
        }
    }

    /// No circular information flow: a cycle of transactions each of which read what the next wrote.
    fn check_cycles(&self, places: &BTreeMap<&str, (Key, i64)>) {
        let committed: BTreeSet<OpId> = places.keys().map(|value| writer(value)).collect();
        let mut reads: BTreeMap<OpId, BTreeSet<OpId>> = BTreeMap::new();
        for (number, op) in self.ops.iter().enumerate() {
            if !committed.contains(&number) {
                continue;
            }
            let polled = op.micros.iter().filter_map(|micro| match micro {
                Micro::Poll(_, records) => Some(records),
                Micro::Send(..) => None,
            });
            let writers = polled.flatten().map(|(_, value)| writer(value));
            reads.insert(number, writers.filter(|other| *other != number).collect());
        }
        // What reads of nobody that is left is no part of a cycle.
        loop {
            let free: Vec<OpId> = reads
                .iter()
                .filter(|(_, of)| of.iter().all(|other| !reads.contains_key(other)))
                .map(|(number, _)| *number)
                .collect();
            if free.is_empty() {
                break;
            }
            for number in free {
                reads.remove(&number);
            }
        }
        assert!(reads.is_empty(), "G1c: transactions read of each other in a circle: {reads:?}");
    }

    /// Every committed input was transferred once: one debit and one credit of its amount, and nothing else was.
    pub(super) fn check_transfers(inputs: &[&Log], debits: &Log, credits: &Log) {
        let committed: BTreeSet<&str> =
            inputs.iter().flat_map(|log| log.values()).map(String::as_str).collect();
        for (side, log) in [("debit", debits), ("credit", credits)] {
            let mut done = BTreeSet::new();
            for value in log.values() {
                let (input, _) = transfer(value);
                assert!(done.insert(input), "duplicate: a second {side} of {input}");
                assert!(committed.contains(input), "G1a: a {side} of {input}");
            }
            let lost: Vec<_> = committed.difference(&done).collect();
            assert!(lost.is_empty(), "lost-write: no {side} of {lost:?}");
        }
        let sum: i64 =
            [debits, credits].iter().flat_map(|log| log.values()).map(|v| transfer(v).1).sum();
        assert_eq!(sum, 0, "TxnAtomic: the bank's balances sum up to {sum}");
    }
}

/// The input and the amount that a record of the bank is for.
fn transfer(value: &str) -> (&str, i64) {
    let (input, amount) = payload(value).split_once('~').expect("input~amount");
    (input, amount.parse().expect("an amount"))
}

/// Claims about the checks themselves: each anomaly is noticed, by its name.
mod tests {
    use super::*;

    const K: Key = ("t", 0);
    const L: Key = ("t", 1);

    /// A history of the operations' fates, made by `tell`, against what is in `K` in the end.
    fn verdict(log: &[(i64, &str)], tell: impl FnOnce(&mut History)) -> String {
        verdict_of(&[(K, log)], tell)
    }

    fn verdict_of(logs: &[(Key, &[(i64, &str)])], tell: impl FnOnce(&mut History)) -> String {
        let check = std::panic::AssertUnwindSafe(|| {
            let mut history = History::default();
            tell(&mut history);
            let logs = logs.iter().map(|(key, log)| {
                (*key, log.iter().map(|(at, value)| (*at, (*value).to_owned())).collect())
            });
            history.check(&logs.collect());
        });
        let Err(panic) = std::panic::catch_unwind(check) else { return "sound".to_owned() };
        panic.downcast_ref::<String>().cloned().expect("a message with values")
    }

    /// A transaction of `process` that sends one value to each of `keys`, acknowledged at `at`.
    fn sends(history: &mut History, process: usize, keys: &[Key], at: i64) -> OpId {
        let op = history.begin(process);
        for key in keys {
            let value = history.send(op, *key, "");
            history.sent(op, &value, at);
        }
        history.committing(op);
        op
    }

    fn record(at: i64, value: &str) -> (i64, String) {
        (at, value.to_owned())
    }

    const TWO: [(i64, &str); 2] = [(0, "0.0="), (1, "1.0=")];

    /// Two transactions of one process, as [`TWO`] has them.
    fn committed(history: &mut History) {
        for at in 0..2 {
            let op = sends(history, 1, &[K], at);
            history.committed(op);
        }
    }

    fn are_named(lies: &[(&str, String)]) {
        for (name, verdict) in lies {
            assert!(verdict.contains(name), "{name}: {verdict}");
        }
    }

    #[test]
    fn an_anomaly_of_what_is_there_has_a_name() {
        let two = TWO;
        assert_eq!(verdict(&two, committed), "sound");
        are_named(&[
            (
                "inconsistent-offsets",
                verdict(&two, |history| {
                    committed(history);
                    history.read(K, &[record(0, "1.0=")]);
                }),
            ),
            ("duplicate", verdict(&[(0, "0.0="), (1, "0.0=")], committed)),
            (
                "G1a",
                verdict(&two, |history| {
                    committed(history);
                    history.failed(1);
                }),
            ),
            (
                "G1a",
                verdict(&two[..1], |history| {
                    committed(history);
                    history.failed(1);
                    history.polled((2, None), K, true, &[record(0, "0.0="), record(1, "1.0=")]);
                }),
            ),
            ("lost-write", verdict(&two[..1], committed)),
            (
                "TxnAtomic",
                verdict_of(&[(K, &two[..1]), (L, &[])], |history| {
                    sends(history, 1, &[K, L], 0);
                }),
            ),
        ]);
    }

    #[test]
    fn an_anomaly_of_what_was_read_or_sent_has_a_name() {
        let two = TWO;
        are_named(&[
            (
                "precommitted-read",
                verdict(&two[..1], |history| {
                    let op = sends(history, 1, &[K], 0);
                    history.polled((1, Some(op)), K, true, &[record(0, "0.0=")]);
                    history.committed(op);
                }),
            ),
            (
                "int-poll-skip",
                verdict(&[(0, "0.0="), (1, "1.0="), (2, "2.0=")], |history| {
                    committed(history);
                    sends(history, 1, &[K], 2);
                    history.polled((2, None), K, true, &[record(0, "0.0="), record(2, "2.0=")]);
                }),
            ),
            (
                "nonmonotonic-poll",
                verdict(&two, |history| {
                    committed(history);
                    history.polled((2, None), K, true, &[record(0, "0.0=")]);
                    history.polled((2, None), K, false, &[record(0, "0.0=")]);
                }),
            ),
            (
                "nonmonotonic-send",
                verdict(&[(0, "1.0="), (1, "0.0=")], |history| {
                    sends(history, 1, &[K], 1);
                    sends(history, 1, &[K], 0);
                }),
            ),
            (
                "G1c",
                verdict(&two, |history| {
                    committed(history);
                    history.polled((1, Some(0)), K, true, &[record(1, "1.0=")]);
                    history.polled((1, Some(1)), K, true, &[record(0, "0.0=")]);
                }),
            ),
        ]);
    }

    fn bank(debits: &[&str], credits: &[&str]) -> String {
        let log = |values: &[&str]| -> Log {
            (0..).zip(values.iter().map(|v| (*v).to_owned())).collect()
        };
        let check =
            || History::check_transfers(&[&log(&["1.0=5", "2.0=7"])], &log(debits), &log(credits));
        let Err(panic) = std::panic::catch_unwind(check) else { return "sound".to_owned() };
        panic.downcast_ref::<String>().cloned().expect("a message with values")
    }

    #[test]
    fn money_is_neither_made_nor_lost() {
        let debits = ["3.0=1.0=5~-5", "4.0=2.0=7~-7"];
        let credits = ["3.1=1.0=5~5", "4.1=2.0=7~7"];
        assert_eq!(bank(&debits, &credits), "sound");
        assert!(bank(&debits, &credits[..1]).contains("lost-write"));
        assert!(bank(&[debits[0], debits[1], "5.0=1.0=5~-5"], &credits).contains("duplicate"));
        assert!(bank(&debits, &[credits[0], "4.1=2.0=7~8"]).contains("TxnAtomic"));
        assert!(bank(&[debits[0], debits[1], "5.0=9.0=5~-5"], &credits).contains("G1a"));
    }
}
