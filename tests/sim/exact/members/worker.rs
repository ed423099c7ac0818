//! A process that is a member of the group, again and again: it takes partitions, commits how far it is with each, gives
//! them back, sleeps through its session, leaves, crashes, and what it committed last may arrive when it is long gone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thalweg::base::clock::sleep;
use thalweg::base::rng::Rng;
use tokio::time::Instant;
use uuid::Uuid;

use super::super::super::steps::clients_look;
use super::super::INPUT;
use super::super::group::{Membership, fetch_offsets, is_over};
use super::super::history::Key;
use super::super::link::Link;
use super::ledger::{Ledger, MemberNo, Tick};
use super::modern::{Beat, LEAVE_EPOCH, LEAVE_FOR_NOW_EPOCH, Modern, Naming};
use super::{GROUP, Kind};

/// What all members of a run share.
pub(super) type SharedLedger = Arc<Mutex<Ledger>>;

pub(super) fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    clients_look();
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

/// For how long a [`Mood::Brief`] process is a member: it commits a few times.
const BRIEFLY: Duration = Duration::from_millis(400);

/// How one process behaves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Worker {
    pub(super) kind: Kind,
    pub(super) instance: Option<&'static str>,
    pub(super) by_pattern: bool,
    pub(super) mood: Mood,
}

/// For how long a process stays a member, and what it does meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// For ever.
    Steady,
    /// For a moment; then it leaves.
    Brief,
    /// For a while; it sleeps now and then, and in the end it leaves or is just gone.
    Moody,
}

/// Its membership, of either protocol.
enum Member {
    Modern(Modern),
    Classic(Membership),
}

/// One membership of a process.
struct Process<'a> {
    worker: Worker,
    number: MemberNo,
    member: Member,
    link: &'a Link,
    ledger: &'a SharedLedger,
    rng: &'a Rng,
    /// How far it is with what it has; what is missing has yet to be asked for.
    positions: BTreeMap<i32, i64>,
}

impl Worker {
    /// Runs until the broker is gone. `topic`: the id of the input.
    pub(super) async fn run(self, link: Link, topic: Uuid, ledger: SharedLedger, rng: Rng) {
        let mut before = None;
        loop {
            match self.mood {
                Mood::Steady => {}
                Mood::Brief => sleep(Duration::from_millis(rng.below(500))).await,
                Mood::Moody => sleep(Duration::from_millis(rng.below(2_500))).await,
            }
            let number = lock(&ledger).new_member();
            let mut asked = lock(&ledger).tick();
            let ask = || asked = lock(&ledger).tick();
            let member = match self.kind {
                Kind::Modern => {
                    let (instance, by_pattern) = (self.instance, self.by_pattern);
                    let naming = Naming { group: GROUP, instance, by_pattern };
                    let mut member = Modern::new(naming, format!("m{:016x}", rng.u64()), topic);
                    member.join(&link, ask).await;
                    Member::Modern(member)
                }
                Kind::Classic => {
                    let of = (GROUP, self.instance);
                    Member::Classic(Membership::join_noting(&link, of, before.take(), ask).await)
                }
            };
            let positions = BTreeMap::new();
            let (link, ledger, rng) = (&link, &ledger, &rng);
            let mut process =
                Process { worker: self, number, member, link, ledger, rng, positions };
            let goes_on = process.work(asked).await;
            lock(ledger).gone(number);
            before = match process.member {
                Member::Classic(membership) if goes_on => Some(membership),
                _ => None,
            };
        }
    }
}

impl Process<'_> {
    fn now_and_then(&self, one_in: u64) -> bool {
        self.worker.mood == Mood::Moody && self.rng.below(one_in) == 0
    }

    /// Works until the membership is over, which was asked for at `joined`. True: it is to join again as who it was.
    async fn work(&mut self, joined: Tick) -> bool {
        if !self.reconcile(joined).await {
            return true;
        }
        let length = Duration::from_millis(300 + self.rng.below(5_000));
        let until = match self.worker.mood {
            Mood::Steady => None,
            Mood::Brief => Some(Instant::now() + BRIEFLY),
            Mood::Moody => Some(Instant::now() + length),
        };
        loop {
            self.seek().await;
            sleep(Duration::from_millis(60 + self.rng.below(120))).await;
            if until.is_some_and(|until| Instant::now() >= until) {
                self.end().await;
                return false;
            }
            if self.now_and_then(40) {
                // Longer than its session, or than it may take to give back. It goes on as if nothing was.
                sleep(Duration::from_millis(700 + self.rng.below(1_800))).await;
            }
            let offsets = self.next_offsets(|_| true);
            if !self.commit(&offsets).await || !self.beat().await {
                return true;
            }
        }
    }

    /// Leaves, or is just gone; then what it asked for last may be under way still.
    async fn end(&mut self) {
        let offsets = self.next_offsets(|_| true);
        lock(self.ledger).gone(self.number);
        let leaves = self.worker.mood == Mood::Brief;
        match self.rng.below(3) {
            0 if !leaves => {}
            1 if !leaves => {
                let late = Duration::from_millis(self.rng.below(3_000));
                for ((_, partition), offset) in &offsets {
                    lock(self.ledger).commits(*partition, *offset);
                }
                match &self.member {
                    _ if offsets.is_empty() => {}
                    Member::Modern(member) => member.commit_late(self.link, late, &offsets),
                    Member::Classic(member) => member.commit_late(self.link, late, &offsets),
                }
            }
            _ => match &self.member {
                Member::Modern(member) => {
                    let for_now = self.worker.instance.is_some() && self.rng.below(2) == 0;
                    let epoch = if for_now { LEAVE_FOR_NOW_EPOCH } else { LEAVE_EPOCH };
                    member.leave(self.link, epoch).await;
                }
                Member::Classic(member) => member.leave(self.link).await,
            },
        }
    }

    /// One record further with each partition that it has, of those that are asked for.
    fn next_offsets(&self, wanted: impl Fn(&i32) -> bool) -> Vec<(Key, i64)> {
        let positions = self.positions.iter().filter(|(partition, _)| wanted(partition));
        positions.map(|(partition, position)| ((INPUT, *partition), position + 1)).collect()
    }

    /// Takes up what it was told, now or after a later heartbeat; `asked`, when the newest was sent, whose answer has just
    /// come. False: the membership is over.
    async fn reconcile(&mut self, asked: Tick) -> bool {
        let assigned: BTreeSet<i32> = match &self.member {
            Member::Modern(Modern { told: None, .. }) => return true,
            Member::Modern(_) if self.now_and_then(3) => return true,
            Member::Modern(Modern { told: Some(told), .. }) => told.clone(),
            Member::Classic(member) => member.assigned.iter().map(|key| key.1).collect(),
        };
        for partition in &assigned {
            lock(self.ledger).took(self.number, *partition, asked);
        }
        let had = self.owned();
        // A client commits what it gives back.
        let lost = self.next_offsets(|partition| !assigned.contains(partition));
        let goes_on = self.commit(&lost).await;
        for partition in had.difference(&assigned) {
            self.positions.remove(partition);
            lock(self.ledger).gave_back(self.number, *partition);
        }
        if let Member::Modern(member) = &mut self.member {
            member.owned = assigned;
            member.told = None;
        }
        goes_on
    }

    fn owned(&self) -> BTreeSet<i32> {
        match &self.member {
            Member::Modern(member) => member.owned.clone(),
            Member::Classic(member) => member.assigned.iter().map(|key| key.1).collect(),
        }
    }

    /// A heartbeat, and what it brings. False: the membership is over.
    async fn beat(&mut self) -> bool {
        let asked = lock(self.ledger).tick();
        let beat = match &mut self.member {
            Member::Modern(member) => member.beat(self.link).await,
            Member::Classic(member) => match member.beat(self.link).await {
                Some(0) => Beat::Alive,
                Some(given) if is_over(given) => Beat::Over(given),
                _ => Beat::Unknown,
            },
        };
        match beat {
            Beat::Alive => {
                lock(self.ledger).confirmed(self.number, asked);
                self.reconcile(asked).await
            }
            Beat::Unknown => true,
            Beat::Over(_) => false,
        }
    }

    /// False: the membership is over.
    async fn commit(&mut self, offsets: &[(Key, i64)]) -> bool {
        if offsets.is_empty() {
            return true;
        }
        let asked: Vec<_> = offsets
            .iter()
            .map(|((_, partition), offset)| lock(self.ledger).commits(*partition, *offset))
            .collect();
        let given = match &self.member {
            Member::Modern(member) => member.commit(self.link, offsets).await,
            Member::Classic(member) => member.commit(self.link, offsets).await,
        };
        if given == Some(0) {
            for (((_, partition), offset), asked) in offsets.iter().zip(asked) {
                let by = (self.number, self.worker.kind);
                lock(self.ledger).committed(by, asked, (*partition, *offset));
                self.positions.insert(*partition, *offset);
            }
        }
        // One of an epoch that is over hears of the next by its heartbeat.
        !given.is_some_and(is_over)
    }

    /// Asks for the committed offsets of what it has just taken.
    async fn seek(&mut self) {
        let missing: Vec<Key> = self
            .owned()
            .into_iter()
            .filter(|partition| !self.positions.contains_key(partition))
            .map(|partition| (INPUT, partition))
            .collect();
        if missing.is_empty() {
            return;
        }
        let known: Vec<i64> = missing.iter().map(|key| lock(self.ledger).known(key.1)).collect();
        let fetched = match &self.member {
            Member::Modern(member) => member.fetch_offsets(self.link, &missing).await,
            Member::Classic(_) => fetch_offsets(self.link, GROUP, &missing).await,
        };
        for (((_, partition), offset), known) in fetched.into_iter().flatten().zip(known) {
            lock(self.ledger).fetched(partition, known, offset);
            self.positions.insert(partition, offset.max(0));
        }
    }
}
