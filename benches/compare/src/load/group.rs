//! A group whose members all join anew at once: how long until each has its assignment.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::ensure;

use crate::wire::{Groups, Joined};

/// A group to rebalance.
#[derive(Debug)]
pub struct Group<'a> {
    /// Broker.
    pub address: &'a str,
    /// Its id.
    pub name: &'a str,
    /// Members, each on a connection and a thread of its own.
    pub members: usize,
    /// Rebalances, after the first in which it forms.
    pub rounds: u32,
}

/// Where members wait for each other; one that fails lets the others go.
#[derive(Debug, Default)]
struct Start {
    arrived: AtomicUsize,
    failed: AtomicBool,
}

impl Start {
    /// Waits until so many have arrived over all rounds.
    fn together(&self, wanted: usize) -> anyhow::Result<()> {
        self.arrived.fetch_add(1, Ordering::AcqRel);
        while self.arrived.load(Ordering::Acquire) < wanted {
            ensure!(!self.failed.load(Ordering::Relaxed), "another member failed");
            thread::sleep(Duration::from_micros(100));
        }
        Ok(())
    }
}

impl Group<'_> {
    /// The time of each rebalance, from the first request to the last assignment.
    pub fn run(&self) -> anyhow::Result<Vec<Duration>> {
        let complete: Vec<AtomicI32> = (0..=self.rounds).map(|_| AtomicI32::new(-1)).collect();
        let start = Start::default();
        let times: Mutex<Vec<(u32, Instant, Instant)>> = Mutex::default();
        let member = || -> anyhow::Result<()> {
            let mut connection = Groups::open(self.address)?;
            let mut id = String::new();
            for round in 0..=self.rounds {
                start.together(self.members * (round as usize + 1))?;
                let began = Instant::now();
                let complete = &complete[round as usize];
                id = self.rejoin(&mut connection, id, round, complete)?;
                times.lock().expect("no holder panics").push((round, began, Instant::now()));
            }
            Ok(())
        };
        thread::scope(|scope| {
            let member = || member().inspect_err(|_| start.failed.store(true, Ordering::Relaxed));
            let threads: Vec<_> = (0..self.members).map(|_| scope.spawn(member)).collect();
            threads.into_iter().try_for_each(|thread| thread.join().expect("members do not panic"))
        })?;
        let times = times.into_inner().expect("no holder panics");
        let round = |wanted: u32| {
            let of_round = || times.iter().filter(move |(round, ..)| *round == wanted);
            let began = of_round().map(|(_, began, _)| *began).min();
            let ended = of_round().map(|(.., ended)| *ended).max();
            began.zip(ended).map_or(Duration::ZERO, |(began, ended)| ended - began)
        };
        Ok((1..=self.rounds).map(round).collect())
    }

    /// Until a generation with all members has given this one its assignment. `complete`: that generation, once the
    /// leader knows it.
    fn rejoin(
        &self,
        connection: &mut Groups,
        mut member: String,
        round: u32,
        complete: &AtomicI32,
    ) -> anyhow::Result<String> {
        let began = Instant::now();
        loop {
            ensure!(began.elapsed() < Duration::from_secs(60), "{} does not settle", self.name);
            let joined = connection.join(self.name, &member, round)?;
            member.clone_from(&joined.member);
            if !connection.sync(self.name, &joined)? {
                continue;
            }
            if joined.members.len() == self.members {
                complete.store(joined.generation, Ordering::Release);
            }
            if self.stands(connection, &joined, complete)? {
                return Ok(member);
            }
        }
    }

    /// Waits until the generation is known to be the one with all members; false if another follows.
    fn stands(
        &self,
        connection: &mut Groups,
        joined: &Joined,
        complete: &AtomicI32,
    ) -> anyhow::Result<bool> {
        let began = Instant::now();
        loop {
            if complete.load(Ordering::Acquire) == joined.generation {
                return Ok(true);
            }
            // The leader's answer is on its way, most often; else someone joined too late for this generation.
            if began.elapsed() > Duration::from_millis(20)
                && !connection.heartbeat(self.name, joined)?
            {
                return Ok(false);
            }
            ensure!(began.elapsed() < Duration::from_secs(60), "{} does not settle", self.name);
            thread::sleep(Duration::from_millis(1));
        }
    }
}
