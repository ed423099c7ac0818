//! The way back of a coordinator that holds many groups, or many commits of a few.

use std::{
    ops::Range,
    thread,
    time::{Duration, Instant},
};

use anyhow::ensure;

use super::{Measured, Row};
use crate::{
    report::{Better, Figure},
    stage::{Place, Stage},
    system::{Setup, System},
    wire::{Admin, Groups, OFFSET_COMMIT, Topic, require},
};

/// Connections that commit.
const CONNECTIONS: usize = 16;

enum Failover {
    /// 10,000 groups with one committed offset each.
    Groups,
    /// A million commits: 50 groups, each of 1,000 partitions twenty times.
    Commits,
}

/// The rows.
pub(super) fn rows() -> Vec<Box<dyn Row>> {
    vec![Box::new(Failover::Groups), Box::new(Failover::Commits)]
}

impl Failover {
    /// Groups, partitions of each, commits of each. Never scaled: they are what is measured.
    fn sizes(&self) -> (u64, i32, i64) {
        match self {
            Self::Groups => (10_000, 1, 1),
            Self::Commits => (50, 1_000, 20),
        }
    }
}

impl Row for Failover {
    fn name(&self) -> String {
        match self {
            Self::Groups => "group-failover".to_owned(),
            Self::Commits => "group-replay".to_owned(),
        }
    }

    fn about(&self) -> String {
        let of = match self {
            Self::Groups => "10,000 groups with an offset each",
            Self::Commits => "a million committed offsets (50 groups, 1,000 partitions, 20 times)",
        };
        format!(
            "kill -9 of the coordinator of {of}, then the same directory again: from the new process's start until every \
             group has its offset"
        )
    }

    fn warm_up_turns(&self) -> usize {
        0
    }

    fn turn(&self, stage: &mut Stage<'_>, system: System) -> anyhow::Result<Vec<Measured>> {
        const BACK: Figure = Figure::new("every group back", "ms", Better::Lower, 0);
        const FIRST: Figure = Figure::new("first group back", "ms", Better::Lower, 0);
        const LOST: Figure = Figure::new("committed offsets lost", "groups", Better::Lower, 0);
        let (groups, partitions, times) = self.sizes();
        let store = stage.store(system, Place::Directory)?;
        let setup = Setup::new(stage.scratch.directory(system.name())?, store);
        let broker = stage.launcher.start(system, &setup)?;
        require(&broker.address, system.name(), OFFSET_COMMIT)?;
        let topic = Topic::new("orders", partitions);
        Admin::open(&broker.address)?.create(&topic)?;
        let groups: Vec<(String, i64)> =
            (0..groups).map(|number| format!("group-{number}")).zip(times..).collect();
        commit(&broker.address, &groups, &topic.name, (0..partitions, times))?;
        broker.kill();
        let began = Instant::now();
        let broker = stage.launcher.start(system, &setup)?;
        let mut connection = Groups::open(&broker.address)?;
        let (mut first, mut lost) = (None, 0);
        for (group, offset) in &groups {
            let found = await_offset(&mut connection, group, &topic.name)?;
            first.get_or_insert_with(|| began.elapsed());
            lost += u32::from(found != *offset);
        }
        let back = began.elapsed();
        let first = first.unwrap_or(back);
        // One group after another, over one connection.
        let asked = groups.len() as f64 * stage.limits.trip.alone_ms[0];
        Ok(vec![
            Measured::beside(BACK, back.as_secs_f64() * 1_000.0, asked, "a bare trip each"),
            Measured::new(FIRST, first.as_secs_f64() * 1_000.0),
            Measured::new(LOST, f64::from(lost)),
        ])
    }
}

/// Commits each group's offset last, after all below it that `times` leaves room for.
fn commit(
    address: &str,
    groups: &[(String, i64)],
    topic: &str,
    (partitions, times): (Range<i32>, i64),
) -> anyhow::Result<()> {
    let share = |groups: &[(String, i64)]| -> anyhow::Result<()> {
        let mut connection = Groups::open(address)?;
        for before in (0..times).rev() {
            for (group, offset) in groups {
                connection.commit_all(group, topic, partitions.clone(), offset - before)?;
            }
        }
        Ok(())
    };
    let share = &share;
    thread::scope(|scope| {
        let chunks = groups.chunks(groups.len().div_ceil(CONNECTIONS));
        let threads: Vec<_> = chunks.map(|chunk| scope.spawn(move || share(chunk))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("no panic"))
    })
}

fn await_offset(connection: &mut Groups, group: &str, topic: &str) -> anyhow::Result<i64> {
    let began = Instant::now();
    loop {
        if let Some(offset) = connection.committed(group, topic)? {
            return Ok(offset);
        }
        ensure!(began.elapsed() < Duration::from_secs(120), "{group} is not back in 120 s");
        thread::sleep(Duration::from_millis(1));
    }
}
