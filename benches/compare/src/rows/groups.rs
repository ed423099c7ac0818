//! Groups: commits, rebalances, heartbeats.

use std::time::Duration;

use super::{Measured, Row};
use crate::{
    floor::{FIXED_100_MS, PutLatency, S3_STANDARD},
    load::{
        consumer_group::ConsumerGroup, group::Group, heartbeats::Heartbeats, requests::Repeated,
    },
    report::{Better, Figure},
    stage::{Place, Stage},
    system::System,
    wire::{
        CONSUMER_GROUP_HEARTBEAT, Groups, OFFSET_COMMIT, check_committed, check_heartbeat,
        commit_request, heartbeat_request, require,
    },
};

/// Members of each group whose heartbeats are measured.
const MEMBERS: usize = 10;

/// Connections of the rows that count commits, each with one in flight.
const CONNECTIONS: usize = 64;

/// Thalweg's store.
struct Commits(Place);
/// Members.
struct Rebalance(usize);
struct Converge;
struct Heartbeat;

/// The rows.
pub(super) fn rows() -> Vec<Box<dyn Row>> {
    vec![
        Box::new(Commits(Place::Memory)),
        Box::new(Commits(Place::Emulator("fixed:100ms"))),
        Box::new(Commits(Place::Emulator("s3-standard"))),
        Box::new(Rebalance(100)),
        Box::new(Rebalance(1_000)),
        Box::new(Converge),
        Box::new(Heartbeat),
    ]
}

impl Commits {
    /// What a PUT of Thalweg's store takes, if it takes time: a commit waits for one at least.
    fn put(&self) -> Option<PutLatency> {
        match self.0 {
            Place::Emulator("s3-standard") => Some(S3_STANDARD),
            Place::Emulator(_) => Some(FIXED_100_MS),
            _ => None,
        }
    }
}

impl Row for Commits {
    fn name(&self) -> String {
        match self.0 {
            Place::Emulator("s3-standard") => "group-commits-s3-standard".to_owned(),
            Place::Emulator(_) => "group-commits-100ms".to_owned(),
            _ => "group-commits".to_owned(),
        }
    }

    fn about(&self) -> String {
        let store = match self.0 {
            Place::Emulator("s3-standard") => "the emulator's S3 Standard",
            Place::Emulator(_) => "a store that takes 100 ms",
            _ => "its memory store",
        };
        format!(
            "64 connections, each with one OffsetCommit of one partition for a group of its own in flight; Thalweg on {store}"
        )
    }

    fn turn(&self, stage: &mut Stage<'_>, system: System) -> anyhow::Result<Vec<Measured>> {
        const COMMITS: Figure = Figure::new("commits", "k/s", Better::Higher, 1);
        const PER_COMMIT: Figure = Figure::new("broker CPU", "us/commit", Better::Lower, 1);
        const P50: Figure = Figure::new("p50", "ms", Better::Lower, 2);
        const P99: Figure = Figure::new("p99", "ms", Better::Lower, 2);
        stage.open(system, self.0)?;
        let address = stage.address(system);
        require(&address, system.name(), OFFSET_COMMIT)?;
        let topic = stage.topic(system, 1, &[])?;
        let groups: Vec<String> =
            (0..CONNECTIONS).map(|number| format!("{topic}-group-{number}")).collect();
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
        let trip = &stage.limits.trip;
        let rate = answered / 1_000.0 / metered.seconds;
        let cpu = metered.reading.processes[0] * 1e6 / answered;
        let put = self.put();
        let (rate_limit, of_rate) = put.map_or((trip.rate, "bare trips"), |PutLatency(put)| {
            (CONNECTIONS as f64 / put[0], "64 a PUT")
        });
        let ([p50_limit, p99_limit], of_latency) = put
            .map_or((trip.crowd_ms, "bare trip of 64"), |PutLatency([p50, p99, _])| {
                ([p50, p99], "PUT")
            });
        Ok(vec![
            Measured::beside(COMMITS, rate, rate_limit, of_rate),
            Measured::beside(PER_COMMIT, cpu, trip.cpu_us, "bare trip"),
            Measured::beside(P50, p50, p50_limit, of_latency),
            Measured::beside(P99, p99, p99_limit, of_latency),
        ])
    }
}

impl Row for Rebalance {
    fn name(&self) -> String {
        format!("group-rebalance-{}", self.0)
    }

    fn about(&self) -> String {
        let members = self.0;
        format!(
            "a classic group of {members} members with ten partitions each that all join anew at once: from the first \
             JoinGroup to the last assignment"
        )
    }

    fn warm_up_turns(&self) -> usize {
        1
    }

    fn turn(&self, stage: &mut Stage<'_>, system: System) -> anyhow::Result<Vec<Measured>> {
        const TIME: Figure = Figure::new("rebalance", "ms", Better::Lower, 1);
        const SLOWEST: Figure = Figure::new("slowest", "ms", Better::Lower, 1);
        stage.open(system, Place::Memory)?;
        let address = stage.address(system);
        require(&address, system.name(), OFFSET_COMMIT)?;
        let topic = stage.topic(system, 1, &[])?;
        Groups::open(&address)?.commit(&topic, &topic, 1)?;
        let name = format!("{topic}-members");
        let rounds = if self.0 > 100 { 3 } else { 10 };
        let group = Group { address: &address, name: &name, members: self.0, rounds };
        let (mut times, _) = stage.metered(system, || group.run())?.result;
        stage.drop_topic(system, &topic)?;
        times.sort_unstable();
        // Each member sends JoinGroup and SyncGroup.
        let limit = 2.0 * self.0 as f64 / stage.limits.trip.rate;
        let (middle, last) = (times[times.len() / 2], times[times.len() - 1]);
        Ok(vec![
            Measured::beside(TIME, milliseconds(middle), limit, "2 bare trips each"),
            Measured::beside(SLOWEST, milliseconds(last), limit, "2 bare trips each"),
        ])
    }
}

impl Row for Converge {
    fn name(&self) -> String {
        "group-converge".to_owned()
    }

    fn about(&self) -> String {
        "a consumer group (KIP-848) of 1,000 members on ten topics of 1,000 partitions that all join at once: until every \
         partition is owned; then one member more"
            .to_owned()
    }

    fn warm_up_turns(&self) -> usize {
        1
    }

    fn turn(&self, stage: &mut Stage<'_>, system: System) -> anyhow::Result<Vec<Measured>> {
        const FORMED: Figure = Figure::new("formed", "ms", Better::Lower, 0);
        const JOINED: Figure = Figure::new("one more joined", "ms", Better::Lower, 0);
        const MOVED: Figure = Figure::new("moved for it", "partitions", Better::Lower, 0);
        const TOPICS: usize = 10;
        stage.open(system, Place::Memory)?;
        let address = stage.address(system);
        require(&address, system.name(), CONSUMER_GROUP_HEARTBEAT)?;
        // Never scaled, as the groups of heartbeats: the size is what the row is about.
        let members = 1_000;
        let topics = (0..TOPICS)
            .map(|_| stage.topic(system, i32::try_from(members)?, &[]))
            .collect::<anyhow::Result<Vec<_>>>()?;
        Groups::open(&address)?.commit(&topics[0], &topics[0], 1)?;
        let name = format!("{}-members", topics[0]);
        let group = ConsumerGroup {
            address: &address,
            name: &name,
            topics: topics.clone(),
            partitions: TOPICS * members,
        };
        let converged = stage.metered(system, || group.run(members))?.result;
        topics.iter().try_for_each(|topic| stage.drop_topic(system, topic))?;
        // Each member hears of the last epoch by a heartbeat.
        let limit = members as f64 / stage.limits.trip.rate;
        Ok(vec![
            Measured::beside(FORMED, milliseconds(converged.formed), limit, "a bare trip each"),
            Measured::beside(JOINED, milliseconds(converged.joined), limit, "a bare trip each"),
            Measured::new(MOVED, converged.moved as f64),
        ])
    }
}

impl Row for Heartbeat {
    fn name(&self) -> String {
        "group-heartbeats".to_owned()
    }

    fn about(&self) -> String {
        "10,000 members of 1,000 classic groups that do nothing but send a heartbeat every 3 s, over 64 connections"
            .to_owned()
    }

    fn warm_up_turns(&self) -> usize {
        0
    }

    fn turn(&self, stage: &mut Stage<'_>, system: System) -> anyhow::Result<Vec<Measured>> {
        const PER: Figure = Figure::new("broker CPU", "us/heartbeat", Better::Lower, 1);
        const P50: Figure = Figure::new("p50", "ms", Better::Lower, 2);
        const P99: Figure = Figure::new("p99", "ms", Better::Lower, 2);
        stage.close(system);
        stage.open(system, Place::Memory)?;
        let address = stage.address(system);
        require(&address, system.name(), OFFSET_COMMIT)?;
        let topic = stage.topic(system, 1, &[])?;
        Groups::open(&address)?.commit(&topic, &topic, 1)?;
        let requests = members_of(&address, 1_000)?;
        stage.settle();
        let heartbeats = Heartbeats {
            address: &address,
            requests,
            connections: 64,
            interval: Duration::from_secs(3),
            duration: stage.seconds(9.0),
            check: check_heartbeat,
        };
        let metered = stage.metered(system, || heartbeats.run())?;
        let latencies = metered.result;
        let trip = &stage.limits.trip;
        let cpu = metered.reading.processes[0] * 1e6 / latencies.count() as f64;
        Ok(vec![
            Measured::beside(P50, latencies.quantile_ms(0.5), trip.alone_ms[0], "bare trip"),
            Measured::beside(P99, latencies.quantile_ms(0.99), trip.alone_ms[1], "bare trip"),
            Measured::beside(PER, cpu, trip.cpu_us, "bare trip"),
        ])
    }
}

/// Forms so many groups, a few at a time; the heartbeats of all their members.
fn members_of(address: &str, groups: usize) -> anyhow::Result<Vec<Vec<u8>>> {
    const AT_ONCE: usize = 8;
    let share = |first: usize| -> anyhow::Result<Vec<Vec<u8>>> {
        let mut requests = Vec::new();
        for number in (first..groups).step_by(AT_ONCE) {
            let name = format!("heartbeats-{number}");
            let group = Group { address, name: &name, members: MEMBERS, rounds: 0 };
            let (_, members) = group.run()?;
            requests.extend(members.iter().map(|member| heartbeat_request(&name, member)));
        }
        Ok(requests)
    };
    let share = &share;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|first| scope.spawn(move || share(first))).collect();
        let shares = threads.into_iter().map(|thread| thread.join().expect("no panic"));
        Ok(shares.collect::<Result<Vec<_>, _>>()?.concat())
    })
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
