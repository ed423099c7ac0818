//! Groups: commits, rebalances, and the way back of a coordinator that holds many.

use std::time::{Duration, Instant};

use anyhow::ensure;

use super::{Measured, Row};
use crate::{
    load::{group::Group, requests::Repeated},
    report::{Better, Figure},
    stage::{Place, Stage},
    system::{Setup, System},
    wire::{Admin, Groups, OFFSET_COMMIT, Topic, check_committed, commit_request, require},
};

struct Commits;
struct Rebalance;
struct Failover;

/// The rows.
pub(super) fn rows() -> Vec<Box<dyn Row>> {
    vec![Box::new(Commits), Box::new(Rebalance), Box::new(Failover)]
}

impl Row for Commits {
    fn name(&self) -> String {
        "group-commits".to_owned()
    }

    fn about(&self) -> String {
        "64 connections, each with one OffsetCommit of one partition for a group of its own in flight".to_owned()
    }

    fn turn(&self, stage: &mut Stage<'_>, system: System) -> anyhow::Result<Vec<Measured>> {
        const COMMITS: Figure = Figure::new("commits", "k/s", Better::Higher, 1);
        const PER_COMMIT: Figure = Figure::new("broker CPU", "us/commit", Better::Lower, 1);
        const P50: Figure = Figure::new("p50", "ms", Better::Lower, 2);
        const P99: Figure = Figure::new("p99", "ms", Better::Lower, 2);
        stage.open(system, Place::Memory)?;
        let address = stage.address(system);
        require(&address, system.name(), OFFSET_COMMIT)?;
        let topic = stage.topic(system, 1, &[])?;
        let groups: Vec<String> = (0..64).map(|number| format!("{topic}-group-{number}")).collect();
        let mut connection = Groups::open(&address)?;
        groups.iter().try_for_each(|group| connection.commit(group, &topic, 1))?;
        let requests = groups.iter().map(|group| commit_request(group, &topic, 0, 7)).collect();
        let load = Repeated { address, requests, check: check_committed };
        let running = load.start()?;
        std::thread::sleep(stage.seconds(1.0));
        running.latencies().clear();
        let duration = stage.seconds(5.0);
        let before = running.answered();
        let metered = stage.metered(system, || {
            std::thread::sleep(duration);
            Ok(())
        })?;
        let answered = (running.answered() - before) as f64;
        let latencies = running.latencies();
        let (p50, p99) = (latencies.quantile_ms(0.5), latencies.quantile_ms(0.99));
        running.stop()?;
        stage.drop_topic(system, &topic)?;
        Ok(vec![
            Measured::new(COMMITS, answered / 1_000.0 / metered.seconds),
            Measured::new(PER_COMMIT, metered.reading.processes[0] * 1e6 / answered),
            Measured::new(P50, p50),
            Measured::new(P99, p99),
        ])
    }
}

impl Row for Rebalance {
    fn name(&self) -> String {
        "group-rebalance".to_owned()
    }

    fn about(&self) -> String {
        "a classic group of 100 members that all join anew at once: from the first JoinGroup to the last assignment".to_owned()
    }

    fn turn(&self, stage: &mut Stage<'_>, system: System) -> anyhow::Result<Vec<Measured>> {
        const TIME: Figure = Figure::new("rebalance", "ms", Better::Lower, 1);
        const SLOWEST: Figure = Figure::new("slowest of 10", "ms", Better::Lower, 1);
        const ROUNDS: u32 = 10;
        stage.open(system, Place::Memory)?;
        let address = stage.address(system);
        require(&address, system.name(), OFFSET_COMMIT)?;
        let topic = stage.topic(system, 1, &[])?;
        Groups::open(&address)?.commit(&topic, &topic, 1)?;
        let name = format!("{topic}-members");
        let group = Group { address: &address, name: &name, members: 100, rounds: ROUNDS };
        let mut times = stage.metered(system, || group.run())?.result;
        stage.drop_topic(system, &topic)?;
        times.sort_unstable();
        let milliseconds = |time: Duration| time.as_secs_f64() * 1_000.0;
        Ok(vec![
            Measured::new(TIME, milliseconds(times[times.len() / 2])),
            Measured::new(SLOWEST, milliseconds(times[times.len() - 1])),
        ])
    }
}

impl Row for Failover {
    fn name(&self) -> String {
        "group-failover".to_owned()
    }

    fn about(&self) -> String {
        "kill -9 of the coordinator of 2,000 groups with committed offsets, then the same directory again: from the new \
         process's start until every group has its offset"
            .to_owned()
    }

    fn warm_up_turns(&self) -> usize {
        0
    }

    fn turn(&self, stage: &mut Stage<'_>, system: System) -> anyhow::Result<Vec<Measured>> {
        const BACK: Figure = Figure::new("every group back", "ms", Better::Lower, 0);
        const FIRST: Figure = Figure::new("first group back", "ms", Better::Lower, 0);
        const LOST: Figure = Figure::new("committed offsets lost", "groups", Better::Lower, 0);
        let store = stage.store(system, Place::Directory)?;
        let setup = Setup::new(stage.scratch.directory(system.name())?, store);
        let broker = stage.launcher.start(system, &setup)?;
        require(&broker.address, system.name(), OFFSET_COMMIT)?;
        let topic = Topic::new("orders", 1);
        Admin::open(&broker.address)?.create(&topic)?;
        let groups: Vec<String> =
            (0..stage.scaled(2_000)).map(|number| format!("group-{number}")).collect();
        let mut connection = Groups::open(&broker.address)?;
        for (group, offset) in groups.iter().zip(1..) {
            connection.commit(group, &topic.name, offset)?;
        }
        broker.kill();
        let began = Instant::now();
        let broker = stage.launcher.start(system, &setup)?;
        let mut connection = Groups::open(&broker.address)?;
        let (mut first, mut lost) = (None, 0);
        for (group, offset) in groups.iter().zip(1..) {
            let found = await_offset(&mut connection, group, &topic.name)?;
            first.get_or_insert_with(|| began.elapsed());
            lost += u32::from(found != offset);
        }
        let back = began.elapsed();
        let first = first.unwrap_or(back);
        Ok(vec![
            Measured::new(BACK, back.as_secs_f64() * 1_000.0),
            Measured::new(FIRST, first.as_secs_f64() * 1_000.0),
            Measured::new(LOST, f64::from(lost)),
        ])
    }
}

fn await_offset(connection: &mut Groups, group: &str, topic: &str) -> anyhow::Result<i64> {
    let began = Instant::now();
    loop {
        if let Some(offset) = connection.committed(group, topic)? {
            return Ok(offset);
        }
        ensure!(began.elapsed() < Duration::from_secs(120), "{group} is not back in 120 s");
        std::thread::sleep(Duration::from_millis(1));
    }
}
