//! What a row works with: brokers that live as long as the row, topics that live as long as a turn, meters.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::{
    limits::Limits,
    perf::{Perf, Sampling},
    process::Scratch,
    system::{Broker, Emulator, Launcher, Minio, Setup, Store, System},
    usage::{Meter, Reading, settle},
    wire::{Admin, Topic},
};

/// The stage of one row.
pub struct Stage<'a> {
    /// Starts brokers.
    pub launcher: &'a Launcher,
    /// Where everything is written.
    pub scratch: &'a Scratch,
    /// The machine's limits.
    pub limits: &'a Limits,
    /// Factor on every volume and duration.
    pub scale: f64,
    /// Samples Thalweg's stacks during metered loads.
    pub perf: Option<&'a Perf>,
    brokers: BTreeMap<System, Broker>,
    emulator: Option<Emulator>,
    minio: Option<Minio>,
    topics: u32,
    disturbance: f64,
}

/// Where a row wants Thalweg's objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In its memory.
    Memory,
    /// In its data directory, synced.
    Directory,
    /// In the emulator, with this latency profile.
    Emulator(&'static str),
    /// In a real MinIO, on the scratch disk.
    Minio,
}

/// A load's result with what it cost.
pub struct Metered<T> {
    /// The result.
    pub result: T,
    /// CPU used: the processes' in the order asked for.
    pub reading: Reading,
    /// Wall time.
    pub seconds: f64,
}

impl<'a> Stage<'a> {
    /// An empty stage.
    pub fn new(
        launcher: &'a Launcher,
        scratch: &'a Scratch,
        limits: &'a Limits,
        scale: f64,
    ) -> Self {
        Self {
            launcher,
            scratch,
            limits,
            scale,
            perf: None,
            brokers: BTreeMap::new(),
            emulator: None,
            minio: None,
            topics: 0,
            disturbance: 0.0,
        }
    }

    /// A number of records or bytes, scaled; at least 1.
    pub fn scaled(&self, count: u64) -> u64 {
        ((count as f64 * self.scale) as u64).max(1)
    }

    /// A duration, scaled; at least a second.
    pub fn seconds(&self, seconds: f64) -> Duration {
        Duration::from_secs_f64((seconds * self.scale).max(1.0))
    }

    /// Starts the row's broker of a system unless it runs already.
    pub fn open(&mut self, system: System, place: Place) -> anyhow::Result<()> {
        if let Some(broker) = self.brokers.get_mut(&system) {
            return broker.check();
        }
        let store = self.store(system, place)?;
        let mut setup = Setup::new(self.scratch.directory(system.name())?, store);
        if matches!(place, Place::Memory | Place::Directory | Place::Emulator("zero")) {
            setup.thalweg_arguments = tidy_arguments();
        }
        let broker = self.launcher.start(system, &setup)?;
        self.brokers.insert(system, broker);
        Ok(())
    }

    /// The store of a place; starts the emulator if Thalweg needs it.
    pub fn store(&mut self, system: System, place: Place) -> anyhow::Result<Store> {
        Ok(match (system, place) {
            (System::Thalweg, Place::Emulator(profile)) => {
                Store::Bucket { url: self.emulator(profile)?.url.clone() }
            }
            (System::Thalweg, Place::Minio) => Store::Bucket { url: self.minio()?.url.clone() },
            (_, Place::Directory) => Store::Directory,
            _ => Store::Memory,
        })
    }

    /// The row's emulator, started on first use.
    pub fn emulator(&mut self, profile: &str) -> anyhow::Result<&Emulator> {
        if self.emulator.is_none() {
            let directory = self.scratch.directory("emulator")?;
            self.emulator = Some(Emulator::start(&self.launcher.emulator, &directory, profile)?);
        }
        Ok(self.emulator.as_ref().expect("just started"))
    }

    /// The row's MinIO, started on first use.
    fn minio(&mut self) -> anyhow::Result<&Minio> {
        if self.minio.is_none() {
            let directory = self.scratch.directory("minio")?;
            self.minio = Some(self.launcher.minio(&directory)?);
        }
        Ok(self.minio.as_ref().expect("just started"))
    }

    fn store_pids(&self) -> impl Iterator<Item = u32> {
        let emulator = self.emulator.as_ref().map(Emulator::pid);
        emulator.into_iter().chain(self.minio.as_ref().map(Minio::pid))
    }

    /// Where the row's broker of a system listens.
    pub fn address(&self, system: System) -> String {
        self.brokers[&system].address.clone()
    }

    /// Its process id.
    pub fn pid(&self, system: System) -> u32 {
        self.brokers[&system].pid()
    }

    /// The sum of one of Thalweg's counters over its labels.
    pub fn counter(&self, name: &str) -> anyhow::Result<f64> {
        self.brokers[&System::Thalweg].counter(name)
    }

    /// Ends the row's broker of a system, so that the next turn starts with an empty one.
    pub fn close(&mut self, system: System) {
        self.brokers.remove(&system);
    }

    /// Makes a topic of its own for a turn.
    pub fn topic(
        &mut self,
        system: System,
        partitions: i32,
        configs: &[(&str, String)],
    ) -> anyhow::Result<String> {
        self.topics += 1;
        let mut topic = Topic::new(format!("bench-{}", self.topics), partitions);
        // Thalweg's own settings mean nothing to Kafka, which refuses unknown names.
        let known = |name: &str| system == System::Thalweg || !name.starts_with("thalweg.");
        topic.configs = configs
            .iter()
            .filter(|(name, _)| known(name))
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        Admin::open(&self.address(system))?.create(&topic)?;
        Ok(topic.name)
    }

    /// Deletes a turn's topic and waits until the broker is quiet again.
    pub fn drop_topic(&mut self, system: System, topic: &str) -> anyhow::Result<()> {
        Admin::open(&self.address(system))?.delete(topic)?;
        self.settle();
        Ok(())
    }

    /// The same for several.
    pub fn drop_topics(&mut self, system: System, topics: &[String]) -> anyhow::Result<()> {
        let mut admin = Admin::open(&self.address(system))?;
        topics.iter().try_for_each(|topic| admin.delete(topic))?;
        self.settle();
        Ok(())
    }

    /// Waits until every process of the row is quiet, at most 10 s.
    pub fn settle(&self) -> bool {
        let brokers = self.brokers.values().map(Broker::pid);
        let pids: Vec<u32> = brokers.chain(self.store_pids()).collect();
        settle(&pids, Duration::from_secs(10))
    }

    /// Runs a load and reads what it cost the system's broker, and the store's process if one runs.
    pub fn metered<T>(
        &mut self,
        system: System,
        load: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<Metered<T>> {
        let mut pids = vec![self.pid(system)];
        pids.extend(self.store_pids());
        let perf = self.perf.filter(|_| system == System::Thalweg);
        let sampling = perf.map(|perf| perf.start(pids[0])).transpose()?;
        let meter = Meter::start(&pids)?;
        let began = Instant::now();
        let result = load();
        if let Some(broker) = self.brokers.get_mut(&system) {
            broker.check()?;
        }
        let (result, reading, seconds) = (result?, meter.read()?, began.elapsed().as_secs_f64());
        sampling.map(Sampling::end).transpose()?;
        self.disturbance = self.disturbance.max(reading.foreign / seconds);
        Ok(Metered { result, reading, seconds })
    }

    /// The most cores that strangers used during a metered load since the last call.
    pub fn take_disturbance(&mut self) -> f64 {
        std::mem::take(&mut self.disturbance)
    }
}

/// What Kafka is told by its `server.properties`: what a turn wrote is gone before the next one begins. With the defaults
/// the memory store fills up in the fourth turn, and the broker waits for minutes until retention has made room.
fn tidy_arguments() -> Vec<String> {
    const SETTINGS: [&str; 4] = [
        "log.retention.check.interval.ms=1000",
        "gc.interval.ms=1000",
        "gc.grace.ms=1000",
        "group.initial.rebalance.delay.ms=0",
    ];
    SETTINGS.into_iter().flat_map(|setting| ["--set".to_owned(), setting.to_owned()]).collect()
}
