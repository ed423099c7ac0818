//! A consumer group of the newer protocol: how long until every partition is owned, and how many change hands.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::ensure;

use crate::wire::{Connection, Member};

/// Connections that carry the members' heartbeats in turn: none of them ever waits at the broker.
const CONNECTIONS: usize = 16;
const PATIENCE: Duration = Duration::from_secs(120);

/// A group on topics.
#[derive(Debug)]
pub struct ConsumerGroup<'a> {
    /// Broker.
    pub address: &'a str,
    /// Its id.
    pub name: &'a str,
    /// What all its members subscribe to.
    pub topics: Vec<String>,
    /// Partitions of all topics.
    pub partitions: usize,
}

/// How a group came together.
#[derive(Debug, Clone, Copy)]
pub struct Converged {
    /// From the first heartbeat until every member owns its even share and none waits for another.
    pub formed: Duration,
    /// The same after one more member has joined.
    pub joined: Duration,
    /// Partitions that changed hands for that member.
    pub moved: usize,
}

impl ConsumerGroup<'_> {
    /// Forms the group of `count` members, then adds one.
    pub fn run(&self, count: usize) -> anyhow::Result<Converged> {
        let mut members = vec![Member::default(); count];
        let began = Instant::now();
        self.converge(&mut members)?;
        let formed = began.elapsed();
        let before: Vec<usize> = members.iter().map(Member::count).collect();
        members.push(Member::default());
        let began = Instant::now();
        self.converge(&mut members)?;
        let joined = began.elapsed();
        let moved = before.iter().zip(&members).map(|(had, now)| had.saturating_sub(now.count()));
        Ok(Converged { formed, joined, moved: moved.sum() })
    }

    /// Heartbeats of all members, one after another on each connection, until nothing is left to do.
    fn converge(&self, members: &mut [Member]) -> anyhow::Result<()> {
        let began = Instant::now();
        let failed = AtomicBool::new(false);
        while !self.stands(members) {
            ensure!(began.elapsed() < PATIENCE, "{} does not settle", self.name);
            let each = members.len().div_ceil(CONNECTIONS);
            let share = |members: &mut [Member]| -> anyhow::Result<()> {
                let mut connection = Connection::open(self.address)?;
                for member in members {
                    ensure!(!failed.load(Ordering::Relaxed), "another member failed");
                    member.heartbeat(&mut connection, self.name, &self.topics)?;
                }
                Ok(())
            };
            let share = |members: &mut [Member]| {
                share(members).inspect_err(|_| failed.store(true, Ordering::Relaxed))
            };
            thread::scope(|scope| {
                let chunks = members.chunks_mut(each);
                let threads: Vec<_> = chunks.map(|chunk| scope.spawn(|| share(chunk))).collect();
                threads.into_iter().try_for_each(|thread| thread.join().expect("no panic"))
            })?;
        }
        Ok(())
    }

    /// Whether every member has its even share, and no other waits: coordinators may assign only so often, and until
    /// then the first member owns all.
    fn stands(&self, members: &[Member]) -> bool {
        let epoch = members[0].epoch;
        let least = self.partitions / members.len();
        let even = |member: &Member| (least..=least + 1).contains(&member.count());
        let owned: usize = members.iter().map(Member::count).sum();
        epoch > 0
            && owned == self.partitions
            && members.iter().all(|member| member.epoch == epoch && even(member))
    }
}
