//! The bank: a member of a group reads amounts and books each as a debit and a credit, with its offsets, in one transaction.
//! Now and then it sleeps through its session in the middle of one, and goes on as a zombie.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use thalweg::base::clock::sleep;
use thalweg::base::rng::Rng;

use super::group::Membership;
use super::history::{History, Key, OpId, payload};
use super::link::{Isolation, Link, Protocol};
use super::producer::{Ended, Trouble, TxnProducer};
use super::{BANK, CREDITS, DEBITS, SharedHistory, lock};

/// Its group.
pub(super) const GROUP: &str = "bank";

/// How one process behaves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pipeline {
    pub(super) id: &'static str,
    pub(super) protocol: Protocol,
    pub(super) instance: Option<&'static str>,
    /// It aborts, sleeps and leaves now and then.
    pub(super) moody: bool,
}

/// One process in one generation of the group.
struct Process<'a> {
    number: usize,
    moody: bool,
    history: &'a SharedHistory,
    rng: &'a Rng,
    producer: &'a mut TxnProducer,
    member: Membership,
    positions: BTreeMap<Key, i64>,
    /// What was read of these is to be read again: their transaction was not committed.
    again: BTreeSet<Key>,
}

/// Records of one partition, and where reading goes on.
struct Taken {
    key: Key,
    records: Vec<(i64, String)>,
    next: i64,
}

impl Pipeline {
    /// Runs until the broker is gone.
    pub(super) async fn run(self, link: impl Fn() -> Link, history: SharedHistory, rng: Rng) {
        loop {
            let timeout_ms = 1_500 + i32::try_from(rng.below(1_500)).expect("small");
            let mut producer =
                TxnProducer::take_over(link(), self.id, self.protocol, timeout_ms).await;
            self.generations(&mut producer, &history, &rng).await;
            sleep(Duration::from_millis(200 + rng.below(1_500))).await;
        }
    }

    /// Works in one generation after the other, until its producer is fenced.
    async fn generations(self, producer: &mut TxnProducer, history: &SharedHistory, rng: &Rng) {
        let mut before = None;
        loop {
            let member = Membership::join(&producer.link, (GROUP, self.instance), before).await;
            let number = lock(history).new_process();
            let mut process = Process {
                number,
                moody: self.moody,
                history,
                rng,
                producer: &mut *producer,
                member,
                positions: BTreeMap::new(),
                again: BTreeSet::new(),
            };
            let left = process.work().await;
            before = Some(process.member);
            if left == Trouble::Fenced {
                return;
            }
            if self.instance.is_some() {
                // Its instance was taken from it: it gives the other one some time.
                sleep(Duration::from_millis(rng.below(2_500))).await;
            }
        }
    }
}

impl Process<'_> {
    fn now_and_then(&self, one_in: u64) -> bool {
        self.moody && self.rng.below(one_in) == 0
    }

    /// Works until the membership is over, or the producer is fenced.
    async fn work(&mut self) -> Trouble {
        while self.positions.is_empty() && !self.member.assigned.is_empty() {
            if !self.seek().await {
                if !self.member.heartbeat(&self.producer.link).await {
                    return Trouble::Evicted;
                }
                sleep(Duration::from_millis(60)).await;
            }
        }
        loop {
            if !self.member.heartbeat(&self.producer.link).await {
                return Trouble::Evicted;
            }
            if self.now_and_then(40) {
                self.member.leave(&self.producer.link).await;
                return Trouble::Evicted;
            }
            let taken = self.take().await;
            if taken.is_empty() {
                sleep(Duration::from_millis(80)).await;
                continue;
            }
            match self.book(&taken).await {
                Ok(()) => {}
                Err(Trouble::Abort) => unreachable!("an aborted transaction is begun anew"),
                Err(trouble) => return trouble,
            }
        }
    }

    /// Goes to the committed offsets. False: not now.
    async fn seek(&mut self) -> bool {
        let known: Vec<i64> = self
            .member
            .assigned
            .iter()
            .map(|key| lock(self.history).offset_known(GROUP, *key))
            .collect();
        let Some(offsets) = self.member.fetch_offsets(&self.producer.link).await else {
            return false;
        };
        for ((key, offset), known) in offsets.into_iter().zip(known) {
            History::offset_fetched(GROUP, key, known, offset);
            self.positions.insert(key, offset.max(0));
        }
        true
    }

    async fn take(&mut self) -> Vec<Taken> {
        let mut taken = Vec::new();
        for (&key, &from) in &self.positions {
            let fetched = self.producer.link.fetch(key, from, Isolation::Committed).await;
            let Some(fetched) = fetched.filter(|fetched| !fetched.records.is_empty()) else {
                continue;
            };
            taken.push(Taken { key, records: fetched.records, next: fetched.next });
        }
        taken
    }

    /// Books what was taken in one transaction. An abort goes back to where it was.
    async fn book(&mut self, taken: &[Taken]) -> Result<(), Trouble> {
        let op = lock(self.history).begin(self.number);
        for Taken { key, records, .. } in taken {
            let again = !self.again.insert(*key);
            lock(self.history).polled((self.number, Some(op)), *key, again, records);
        }
        let done = self.fill(op, taken).await;
        let commit = done.is_ok() && !self.now_and_then(8);
        if done == Err(Trouble::Fenced) {
            return done;
        }
        if self.now_and_then(30) {
            // It crashes between its offsets and its end.
            return Err(Trouble::Fenced);
        }
        if commit {
            lock(self.history).committing(op);
        }
        let (ended, left) = self.producer.end(commit).await;
        if commit && ended == Ended::Yes {
            let mut history = lock(self.history);
            history.committed(op);
            for Taken { key, next, .. } in taken {
                history.offset_committed(GROUP, *key, *next);
                self.positions.insert(*key, *next);
                self.again.remove(key);
            }
        } else if commit && ended == Ended::No {
            lock(self.history).failed(op);
        }
        left?;
        if done == Err(Trouble::Evicted) { done } else { Ok(()) }
    }

    async fn fill(&mut self, op: OpId, taken: &[Taken]) -> Result<(), Trouble> {
        for (side, sign) in [(DEBITS, "-"), (CREDITS, "")] {
            let inputs = taken.iter().flat_map(|taken| &taken.records);
            let key = (BANK, side);
            let values: Vec<String> = inputs
                .map(|(_, input)| {
                    let carried = format!("{input}~{sign}{}", payload(input));
                    lock(self.history).send(op, key, &carried)
                })
                .collect();
            let base = self.producer.send(key, &values).await?;
            for (offset, value) in (base..).zip(&values) {
                lock(self.history).sent(op, value, offset);
            }
            if self.now_and_then(16) {
                // Longer than its session: the others go on without it.
                sleep(Duration::from_millis(900 + self.rng.below(1_500))).await;
            }
        }
        let offsets: Vec<(Key, i64)> = taken.iter().map(|taken| (taken.key, taken.next)).collect();
        self.producer.send_offsets(&self.member, &offsets).await?;
        if self.now_and_then(20) {
            sleep(Duration::from_millis(900 + self.rng.below(1_500))).await;
        }
        Ok(())
    }
}
