//! A group whose members all join anew at once: how long until each has its assignment.

use std::{
    sync::{
        Condvar, Mutex,
        atomic::{AtomicI32, Ordering},
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

const OTHER_FAILED: &str = "another member failed";

fn first_failure_or_all(members: Vec<anyhow::Result<Joined>>) -> anyhow::Result<Vec<Joined>> {
    let (mut joined, mut failures) = (Vec::new(), Vec::new());
    for member in members {
        match member {
            Ok(member) => joined.push(member),
            Err(error) => failures.push(error),
        }
    }
    let by_itself = failures.iter().position(|error| error.to_string() != OTHER_FAILED);
    match by_itself.or((!failures.is_empty()).then_some(0)) {
        Some(place) => Err(failures.swap_remove(place)),
        None => Ok(joined),
    }
}

/// Where members wait for each other, asleep: a thousand that look every now and then leave the broker no core.
#[derive(Debug)]
struct Start {
    /// How many have arrived over all rounds; none once one has failed.
    arrived: Mutex<Option<usize>>,
    news: Condvar,
}

impl Start {
    fn new() -> Self {
        Self { arrived: Mutex::new(Some(0)), news: Condvar::new() }
    }

    /// Waits until so many have arrived over all rounds.
    fn together(&self, wanted: usize) -> anyhow::Result<()> {
        let mut arrived = self.arrived.lock().expect("no holder panics");
        if let Some(count) = arrived.as_mut() {
            *count += 1;
            if *count == wanted {
                self.news.notify_all();
            }
        }
        let arrived =
            self.news.wait_while(arrived, |arrived| arrived.is_some_and(|count| count < wanted));
        ensure!(arrived.expect("no holder panics").is_some(), OTHER_FAILED);
        Ok(())
    }

    /// Lets the others go.
    fn fail(&self) {
        *self.arrived.lock().expect("no holder panics") = None;
        self.news.notify_all();
    }
}

impl Group<'_> {
    /// The time of each rebalance, from the first request to the last assignment, and the members as they are then.
    pub fn run(&self) -> anyhow::Result<(Vec<Duration>, Vec<Joined>)> {
        let complete: Vec<AtomicI32> = (0..=self.rounds).map(|_| AtomicI32::new(-1)).collect();
        let start = Start::new();
        let times: Mutex<Vec<(u32, Instant, Instant)>> = Mutex::default();
        let member = || -> anyhow::Result<Joined> {
            let mut connection = Groups::open(self.address)?;
            let mut joined = Joined::default();
            for round in 0..=self.rounds {
                start.together(self.members * (round as usize + 1))?;
                let began = Instant::now();
                let complete = &complete[round as usize];
                let ended;
                (joined, ended) = self.rejoin(&mut connection, joined, round, complete)?;
                times.lock().expect("no holder panics").push((round, began, ended));
            }
            Ok(joined)
        };
        let members = thread::scope(|scope| {
            let member = || member().inspect_err(|_| start.fail());
            let threads: Vec<_> = (0..self.members).map(|_| scope.spawn(member)).collect();
            let joined =
                threads.into_iter().map(|thread| thread.join().expect("members do not panic"));
            // All of them, for the first that failed by itself.
            joined.collect::<Vec<_>>()
        });
        let members = first_failure_or_all(members)?;
        let times = times.into_inner().expect("no holder panics");
        let round = |wanted: u32| {
            let of_round = || times.iter().filter(move |(round, ..)| *round == wanted);
            let began = of_round().map(|(_, began, _)| *began).min();
            let ended = of_round().map(|(.., ended)| *ended).max();
            began.zip(ended).map_or(Duration::ZERO, |(began, ended)| ended - began)
        };
        Ok(((1..=self.rounds).map(round).collect(), members))
    }

    /// Until a generation with all members has given this one its assignment, and when it did. `complete`: that
    /// generation, once the leader knows it.
    fn rejoin(
        &self,
        connection: &mut Groups,
        mut member: Joined,
        round: u32,
        complete: &AtomicI32,
    ) -> anyhow::Result<(Joined, Instant)> {
        let began = Instant::now();
        loop {
            ensure!(began.elapsed() < Duration::from_secs(60), "{} does not settle", self.name);
            member = connection.join(self.name, &member.member, round)?;
            if !connection.sync(self.name, &member)? {
                continue;
            }
            let ended = Instant::now();
            if member.members.len() == self.members {
                complete.store(member.generation, Ordering::Release);
            }
            if self.stands(connection, &member, complete)? {
                return Ok((member, ended));
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
            // The time that counts was taken: a thousand threads had better not ask often.
            thread::sleep(
                Duration::from_millis(5).max(Duration::from_micros(100) * self.members as u32),
            );
        }
    }
}
