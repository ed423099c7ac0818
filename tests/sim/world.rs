//! One seed: lives of brokers over one faulty store, and clients that outlive them.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use thalweg::base::clock::{Clock, SharedClock, Timestamp, TokioClock, sleep};
use thalweg::base::rng::Rng;
use thalweg::base::task;
use thalweg::config::Config;
use thalweg::manifest::client::Endpoint;
use thalweg::node::{self, Broker, Surroundings};
use thalweg::object::build::{memory, test_disk};
use thalweg::object::faults::{Fault, Faults, Op, Rates, Script};
use thalweg::object::{Locality, Store, TestDisk};
use thalweg::telemetry;

use super::audit::{self, Audit};
use super::client::{Client, PARTITIONS, TOPIC, Topic};
use super::ended;
use super::passing::{self, SharedPassing};
use super::producers::{Actors, Clients, SharedClients, lock, read_all, settle};
use super::steps::{self, Lived};

const LIVES: u64 = 4;
/// How long a life with a single fault lasts.
const ONE_FAULT: Duration = Duration::from_secs(3);
/// A recovery over a store that is well is through after that.
const RECOVERED_WITHIN: Duration = Duration::from_secs(5);
/// Once faults have stopped everything is answered within this time.
pub(crate) const LIVELY: Duration = Duration::from_secs(300);
/// Where wall clocks begin. They differ by less than a day from life to life: the one thing that the metadata's store
/// assumes of clocks.
pub(crate) const WALL: Timestamp = Timestamp(1_700_000_000_000);
const WALL_SPREAD_MS: u64 = 20 * 3_600_000;

/// The log at the end, by partition and offset.
pub(crate) type Log = BTreeMap<(i32, i64), String>;

/// What a run left behind, to compare two of them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// Every call of the store and its answer, with bytes, names and milliseconds, a line each.
    pub(crate) trace: Vec<String>,
    pub(crate) acked: u64,
}

struct World {
    stage: Stage,
    clients: SharedClients,
    /// A topic comes and goes beside the one of these clients.
    passing: Option<SharedPassing>,
    /// Somebody fences chains whose owners are well.
    fenced: bool,
}

/// A store that outlives brokers, and how they live and end over it.
pub(crate) struct Stage {
    pub(crate) rng: Rng,
    pub(crate) faults: Faults,
    store: Store,
    /// The store as it is, for looking at it from outside.
    sound: Store,
    audit: Audit,
    /// Simulated wall time at the start of the next life.
    wall: Timestamp,
    settings: Settings,
}

/// What one life is like.
#[derive(Debug, Clone, Copy)]
struct Weather {
    data: bool,
    metadata: bool,
}

/// Where a life crashes, counted from when its clients come.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Crash {
    /// When its broker has called the store so often: it gets no answer any more.
    AfterCalls(u64),
    /// After so many polls of any task: all that runs is dropped.
    AfterPolls(u64),
}

/// Settings of every broker of a run.
pub(crate) type Settings = &'static [(&'static str, &'static str)];

const SETTINGS: Settings = &[("num.partitions", "2"), ("wal.flush.ms", "20"), WINDOW];
/// [`audit::WINDOW`] as a setting.
pub(crate) const WINDOW: (&str, &str) = ("wal.upload.window", "3");

/// In one seed of so many a topic comes and goes.
const PASSING: u64 = 4;
/// In one seed of so many chains are fenced whose owners are well.
const FENCED: u64 = 5;
/// One seed in so many ends with a life in which records are deleted.
const SWEPT: u64 = 20;
/// Settings of that life's broker: its collector is in a hurry.
const HASTY: Settings = &[
    ("num.partitions", "2"),
    ("wal.flush.ms", "20"),
    WINDOW,
    ("gc.interval.ms", "1000"),
    ("gc.grace.ms", "1000"),
    ("gc.orphan.interval.ms", "1000"),
];

/// Runs one seed to its end; panics when a promise is broken.
pub(crate) fn run(seed: u64) -> Report {
    let _shown = Shown::new(seed);
    let mut world = World::new(seed);
    world.fenced = seed % FENCED == 2;
    for _ in 0..LIVES {
        world.life();
    }
    world.last_life();
    if seed.is_multiple_of(SWEPT) {
        world.swept_life();
    }
    let acked = lock(&world.clients).history.acked_count();
    world.stage.report(acked)
}

/// How often clients had a topic deleted in a seed, and how many of its records were acknowledged.
pub(crate) fn passed(seed: u64) -> (usize, usize) {
    let _shown = Shown::new(seed);
    let mut world = World::new(seed);
    for _ in 0..LIVES {
        world.life();
    }
    world.last_life();
    let passing = world.passing.as_deref().expect("a topic comes and goes in this seed");
    (passing::deletions(passing), passing::acked_at(passing).len())
}

/// A run on a local disk whose machine loses power at the end of each life: what was not synced is gone, or is not.
pub(crate) fn run_on_a_disk(seed: u64) -> Report {
    let _shown = Shown::new(seed);
    let mut world = World::new(seed);
    let disk = TestDisk::new(Arc::new(Still(WALL)));
    for _ in 0..=LIVES {
        let connect = world.actors();
        let stage = &mut world.stage;
        stage.sound = test_disk(&disk).expect("a disk that works");
        stage.store = stage.sound.wrapped(|raw| stage.faults.wrap(raw));
        stage.calm();
        let length = Duration::from_millis(100 + stage.rng.below(4_000));
        on_a_runtime(async {
            stage.faults.begin_chapter("life");
            let weather = Weather { data: false, metadata: false };
            let _ = tokio::time::timeout(length, stage.live(weather, (LIVELY, 0), &connect)).await;
        });
        disk.crash(Some(&stage.rng));
        task::assert_no_panics();
    }
    world.stage.sound = test_disk(&disk).expect("a disk that works");
    world.stage.store = world.stage.sound.clone();
    world.last_life();
    let acked = lock(&world.clients).history.acked_count();
    world.stage.report(acked)
}

/// A run over a store that lies about puts of data, from the `nth` of each life on. Some promise must break.
pub(crate) fn run_with_a_lie(seed: u64, lie: Fault, nth: u32) {
    let mut world = World::new(seed);
    world.passing = None;
    for _ in 0..LIVES {
        world.stage.faults.script(Script::next(Op::Put, "/w/", lie).after(nth).times(u32::MAX));
        world.life();
        world.stage.faults.stop();
    }
    world.last_life();
}

/// A life over a store that is well, but for one put of data that fails so. Whether there was such a put.
pub(crate) fn run_with_a_fault(seed: u64, fault: Fault, nth: u32) -> bool {
    let _shown = Shown::new(seed);
    let mut world = World::new(seed);
    let connect = world.actors();
    let stage = &mut world.stage;
    stage.calm();
    stage.faults.script(Script::next(Op::Put, "/w/", fault).after(nth));
    on_a_runtime(async {
        stage.faults.begin_chapter("life");
        let weather = Weather { data: true, metadata: false };
        let _ = tokio::time::timeout(ONE_FAULT, stage.live(weather, (LIVELY, 0), &connect)).await;
    });
    stage.end_of_life();
    let came = stage.faults.count(Op::Put, "/w/") > nth as usize;
    world.last_life();
    came
}

/// A life that ends in a crash, a recovery that crashes, and another that does not: how the first went, and the log that the
/// second finds.
pub(crate) fn recover_twice(seed: u64, crash: Crash) -> (Lived, Log) {
    let _shown = Shown::crashing(seed, &[crash]);
    let mut world = World::new(seed);
    world.rough_life();
    let lived = world.stage.crashing_recovery(crash);
    (lived, world.last_life())
}

/// A broker whose metadata does not answer for a while: what clients had acknowledged before, in and after that time.
pub(crate) fn outlive_an_outage_of_the_metadata(seed: u64) -> [u64; 3] {
    let _shown = Shown::new(seed);
    let world = World::new(seed);
    world.stage.calm();
    let acked = || lock(&world.clients).history.acked_count();
    let counts = on_a_runtime(async {
        let broker = world.stage.start().await.expect("a healthy store");
        let actors = Actors::of(&broker, &world.clients, &world.stage.rng);
        sleep(Duration::from_secs(5)).await;
        let before = acked();
        let away = Rates { only: "/meta/".to_owned(), unavailable: 1000, ..Rates::default() };
        let others = Rates { latency: calm(), ..Rates::default() };
        world.stage.faults.set_rates_of_places(vec![away, others]);
        sleep(Duration::from_secs(60)).await;
        let during = acked() - before;
        world.stage.calm();
        sleep(Duration::from_secs(30)).await;
        let after = acked() - before - during;
        drop(actors);
        committed(&broker).await;
        [before, during, after]
    });
    task::assert_no_panics();
    counts
}

/// A second process of the same node takes over from one that is well: the first exits, and never takes back.
pub(crate) fn supersede(seed: u64) {
    let _shown = Shown::new(seed);
    let mut world = World::new(seed);
    world.stage.calm();
    let (stage, connect) = (&world.stage, world.actors());
    on_a_runtime(async {
        let older = stage.start().await.expect("a healthy store");
        let actors = connect(&older, &stage.rng);
        sleep(Duration::from_millis(500 + stage.rng.below(3_000))).await;
        let newer = stage.start().await.expect("a healthy store");
        drop(actors);
        let _actors = connect(&newer, &stage.rng);
        let exits = tokio::time::timeout(Duration::from_secs(30), older.failed()).await;
        assert!(exits.is_ok(), "CoordinatorFence: a superseded node goes on");
        let fails = tokio::time::timeout(Duration::from_secs(30), newer.failed()).await;
        assert!(fails.is_err(), "CoordinatorFence: its successor gave up: {fails:?}");
    });
    world.stage.end_of_life();
    world.last_life();
}

/// The store's own clock, for modification times: it outlives every runtime, so it must not follow one.
#[derive(Debug)]
struct Still(Timestamp);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// Panics of tasks are kept for the whole process: runs that look for them share this, runs in which they are meant are
/// alone.
pub(crate) static ALONE: RwLock<()> = RwLock::new(());

/// A run in which nothing may panic; shows the seed of what does.
pub(crate) struct Shown {
    seed: u64,
    crashes: Vec<Crash>,
    _among_others: RwLockReadGuard<'static, ()>,
}

impl Shown {
    pub(crate) fn new(seed: u64) -> Self {
        let among_others = ALONE.read().unwrap_or_else(PoisonError::into_inner);
        Self { seed, crashes: Vec::new(), _among_others: among_others }
    }

    pub(crate) fn crashing(seed: u64, crashes: &[Crash]) -> Self {
        let mut shown = Self::new(seed);
        shown.crashes = crashes.to_vec();
        shown
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let crashes: Vec<_> =
                self.crashes.iter().map(|crash| format!(", crash {crash:?}")).collect();
            let crashes = crashes.concat();
            eprintln!("simulation failed at seed {}{crashes}: replay with SIM_SEED", self.seed);
        }
    }
}

/// Runs `future` on a runtime of its own, with the clock paused. Dropping the runtime ends every task where it stands.
pub(crate) fn on_a_runtime<T>(future: impl Future<Output = T>) -> T {
    drive(&mut runtime(), pin!(future))
}

/// The same, for a life that is looked at after each poll.
fn step_by_step<T>(future: impl Future<Output = T>) -> T {
    drive(runtime().event_interval(steps::EVENT_INTERVAL), pin!(future))
}

/// Behind a pointer: the runtime's loop would be compiled for each future.
fn drive<T>(runtime: &mut tokio::runtime::Builder, future: Pin<&mut dyn Future<Output = T>>) -> T {
    runtime.build().expect("a runtime").block_on(future)
}

fn runtime() -> tokio::runtime::Builder {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true);
    runtime
}

fn calm() -> (Duration, Duration) {
    (Duration::from_millis(1), Duration::from_millis(40))
}

/// A broker over `store` as it is started everywhere here.
pub(crate) async fn start(store: &Store, wall: Timestamp, rng: Rng) -> Result<Broker, node::Error> {
    start_with(SETTINGS, store, wall, rng).await
}

/// [`start`] with settings of its own.
pub(crate) async fn start_with(
    settings: Settings,
    store: &Store,
    wall: Timestamp,
    rng: Rng,
) -> Result<Broker, node::Error> {
    let clock: SharedClock = Arc::new(TokioClock::starting_at(wall));
    let config = Config::with(settings.iter().copied()).expect("settings");
    let surroundings = Surroundings { clock, rng, store: Some(store.clone()) };
    let endpoint = Endpoint { host: "sim".to_owned(), port: 9092 };
    let endpoints = BTreeMap::from([("PLAINTEXT".to_owned(), endpoint)]);
    let metrics = telemetry::Registry::new();
    Box::pin(Broker::start(Arc::new(config), surroundings, endpoints, &metrics)).await
}

/// Waits until the manifest has every slot that is stable.
async fn committed(broker: &Broker) {
    loop {
        if broker.registry().wal().is_some_and(|wal| wal.committed() >= wal.stable()) {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let passing = seed.is_multiple_of(PASSING).then(SharedPassing::default);
        let stage = Stage::new(seed, SETTINGS);
        Self { stage, clients: Clients::new(), passing, fenced: false }
    }

    /// Connects all clients to a broker.
    fn actors(&self) -> impl Fn(&Broker, &Rng) -> Actors + use<> {
        let (clients, passing) = (Arc::clone(&self.clients), self.passing.clone());
        let fenced = self.fenced.then(|| self.stage.sound.clone());
        move |broker, rng| {
            let mut actors = Actors::of(broker, &clients, rng);
            if let Some(passing) = &passing {
                actors.join(passing::actors(broker, passing, rng));
            }
            if let Some(store) = &fenced {
                actors.join([ended::fencer(broker, store, rng)]);
            }
            actors
        }
    }

    fn life(&mut self) {
        let actors = self.actors();
        self.stage.life(actors);
        self.check_acknowledged();
    }

    fn rough_life(&mut self) {
        let actors = self.actors();
        self.stage.rough_life(actors);
        self.check_acknowledged();
    }

    fn check_acknowledged(&self) {
        let ids = self.passing.as_deref().map(passing::ids).unwrap_or_default();
        let passing = self.passing.as_deref().map(passing::acked_at).unwrap_or_default();
        let passing = passing.into_iter().map(|(id, partition, at)| (Some(id), partition, at));
        let clients = lock(&self.clients);
        let stays = clients.history.acked_at().map(|(partition, at)| (None, partition, at));
        self.stage.audit.check_acknowledged(&ids, stays.chain(passing));
    }

    /// The life in which nothing fails: all is acknowledged, committed once, and the log is read from end to end. Gives
    /// the log as the recovery found it.
    fn last_life(&mut self) -> Log {
        self.stage.faults.stop();
        let (found, log) = on_a_runtime(async {
            self.stage.faults.begin_chapter("last life");
            let whole = async {
                let broker = self.stage.start().await.expect("a healthy store");
                let client = Client::new(&broker);
                let found = read_all(&client, Topic::Name(TOPIC)).await;
                settle(&client, &self.clients).await;
                let log = read_all(&client, Topic::Name(TOPIC)).await;
                let other = match &self.passing {
                    Some(passing) => Some(passing::settle(&broker, &client, passing).await),
                    None => None,
                };
                committed(&broker).await;
                audit::check_manifest(&broker, &self.stage.sound, other).await;
                broker.shutdown(Duration::from_secs(60)).await.expect("it stops in order");
                (found, log)
            };
            tokio::time::timeout(LIVELY, whole).await.expect("liveness once faults stop")
        });
        self.stage.end_of_life();
        lock(&self.clients).history.check(&log);
        found
    }

    /// A life without faults after the last: first half of all records is deleted, then the rest. What something
    /// references stays, what nothing references goes.
    fn swept_life(&mut self) {
        self.stage.wall_at_its_latest();
        on_a_runtime(async {
            self.stage.faults.begin_chapter("swept life");
            let (store, sound) = (&self.stage.store, &self.stage.sound);
            let rng = Rng::from_seed(self.stage.rng.u64());
            let broker =
                start_with(HASTY, store, self.stage.wall, rng).await.expect("a sound store");
            assert!(audit::land_late(&broker, sound).await, "some chain has ended with data");
            let client = Client::new(&broker);
            if let Some(passing) = &self.passing {
                passing::go_for_good(&client, passing).await;
            }
            for part in [2, 1] {
                let mut starts = Vec::new();
                for partition in 0..PARTITIONS {
                    let (error, end) = client.list_offset(partition, -1).await;
                    assert_eq!(error, 0, "{partition}");
                    starts.push(end / part);
                    assert!(client.delete_records(partition, end / part).await, "{partition}");
                }
                sleep(COLLECTED_WITHIN).await;
                let left = audit::check_references(&broker, sound, &starts).await;
                assert_eq!(left > 0, part == 2, "{left} runs are left");
            }
            audit::check_leaks(&broker, sound).await;
        });
        task::assert_no_panics();
    }
}

/// The hasty collector has found and deleted by then whatever nothing references.
const COLLECTED_WITHIN: Duration = Duration::from_secs(30);

impl Stage {
    pub(crate) fn new(seed: u64, settings: Settings) -> Self {
        let rng = Rng::from_seed(seed);
        let faults = Faults::new(Rng::from_seed(rng.u64()));
        let clock: SharedClock = Arc::new(Still(WALL));
        let sound = memory(clock);
        let store = Store::new(faults.wrap(sound.raw()), Locality::Bucket);
        let audit = Audit::default();
        Self { rng, faults, store, sound, audit, wall: WALL, settings }
    }

    /// What is left of the run, in which so much was acknowledged.
    pub(crate) fn report(&self, acked: u64) -> Report {
        Report { trace: self.faults.log(), acked }
    }

    /// The next life's wall clock is ahead of all before.
    pub(crate) fn wall_at_its_latest(&mut self) {
        self.wall = Timestamp(WALL.0 + i64::try_from(WALL_SPREAD_MS).expect("less than a day"));
    }

    /// Nothing fails; only latency is left.
    pub(crate) fn calm(&self) {
        self.faults.set_rates(Rates { latency: calm(), ..Rates::default() });
    }

    /// Half of the lives are calm: then only the end of the life is a fault.
    fn weather(&self) -> Weather {
        match self.rng.below(8) {
            0..4 => Weather { data: false, metadata: false },
            4..6 => Weather { data: true, metadata: false },
            6 => Weather { data: false, metadata: true },
            _ => Weather { data: true, metadata: true },
        }
    }

    fn set_weather(&self, weather: Weather) {
        let mut places = Vec::new();
        if weather.data {
            places.push(self.rates("/w/"));
        }
        if weather.metadata {
            // Told 409 or 412 of what nobody wrote, the metadata's store rightly believes in another writer.
            places.push(Rates { conflict: 0, precondition: 0, ..self.rates("/meta/") });
        }
        places.push(Rates { latency: calm(), ..Rates::default() });
        self.faults.set_rates_of_places(places);
    }

    fn rates(&self, only: &str) -> Rates {
        let ms = Duration::from_millis;
        let some = |most: u64| u16::try_from(self.rng.below(most + 1)).expect("small");
        Rates {
            latency: (ms(1), ms(80)),
            only: only.to_owned(),
            fail_before: some(60),
            fail_after: some(60),
            conflict: some(20),
            precondition: some(20),
            throttled: some(40),
            unavailable: some(60),
            internal_after: some(40),
            hang: some(20),
            late: some(40),
            twice: some(40),
            hang_max: ms(5_000),
            late_max: ms(10_000),
            unordered_lists: true,
        }
    }

    /// One life of a broker, or two that overlap.
    pub(crate) fn life(&mut self, actors: impl Fn(&Broker, &Rng) -> Actors) {
        let weather = self.weather();
        self.set_weather(weather);
        let length = Duration::from_millis(100 + self.rng.below(8_000));
        let end = self.rng.below(4);
        on_a_runtime(async {
            self.faults.begin_chapter("life");
            // An error is the crash that was meant.
            let _ = tokio::time::timeout(length, self.live(weather, (length, end), &actors)).await;
        });
        self.end_of_life();
    }

    /// Lives over a store that is well, each until it crashes or `length` is over. How the last one went: those before it
    /// must have crashed.
    pub(crate) fn crashing_lives(
        &mut self,
        crashes: &[Crash],
        length: Duration,
        connect: impl Fn(&Broker, &Rng) -> Actors,
    ) -> Lived {
        let (last, before) = crashes.split_last().expect("a life that crashes");
        for crash in before {
            let lived = self.crashing_life(*crash, length, &connect);
            assert!(!lived.undisturbed, "a life was over before {crash:?}");
        }
        self.crashing_life(*last, length, connect)
    }

    fn crashing_life(
        &mut self,
        crash: Crash,
        length: Duration,
        connect: impl Fn(&Broker, &Rng) -> Actors,
    ) -> Lived {
        let life = async {
            self.faults.begin_chapter("life");
            self.calm();
            let broker = self.start().await.expect("a healthy store");
            let _actors = connect(&broker, &self.rng);
            match crash {
                Crash::AfterCalls(calls) => {
                    let before = self.calls();
                    self.faults.fall_silent_after(Some(calls));
                    sleep(length).await;
                    Lived { undisturbed: self.calls() - before < calls, points: Vec::new() }
                }
                Crash::AfterPolls(polls) => {
                    steps::live(length, polls, || self.faults.digest().1).await
                }
            }
        };
        let lived = match crash {
            Crash::AfterCalls(_) => on_a_runtime(life),
            Crash::AfterPolls(_) => step_by_step(life),
        };
        self.faults.fall_silent_after(None);
        self.end_of_life();
        lived
    }

    /// A start that crashes, or is through before.
    fn crashing_recovery(&self, crash: Crash) -> Lived {
        self.calm();
        let lived = match crash {
            Crash::AfterCalls(calls) => on_a_runtime(async {
                self.faults.begin_chapter("recovery");
                self.faults.fall_silent_after(Some(calls));
                let undisturbed = tokio::time::timeout(LIVELY, self.start()).await.is_ok();
                Lived { undisturbed, points: Vec::new() }
            }),
            Crash::AfterPolls(polls) => step_by_step(async {
                self.faults.begin_chapter("recovery");
                let (settings, store, wall) = (self.settings, self.store.clone(), self.wall);
                let rng = Rng::from_seed(self.rng.u64());
                // A task, as each step of a life is that of one.
                let starting = task::spawn("sim-recovery", async move {
                    start_with(settings, &store, wall, rng).await.expect("a healthy store")
                });
                let calls = || self.faults.digest().1;
                let lived = steps::live(RECOVERED_WITHIN, polls, calls).await;
                assert!(!lived.undisturbed || starting.is_finished(), "no recovery takes so long");
                lived
            }),
        };
        task::assert_no_panics();
        self.faults.fall_silent_after(None);
        lived
    }

    /// How often the store was called.
    fn calls(&self) -> u64 {
        let kinds = [Op::Put, Op::Get, Op::Head, Op::Delete, Op::List];
        kinds.iter().map(|op| self.faults.count(*op, "") as u64).sum()
    }

    async fn live(
        &self,
        weather: Weather,
        (length, end): (Duration, u64),
        connect: &impl Fn(&Broker, &Rng) -> Actors,
    ) {
        let Some(broker) = self.start_in(weather).await else { return };
        let actors = connect(&broker, &self.rng);
        match end {
            2 => {
                sleep(length / 2).await;
                drop(actors);
                // Faults go on: it may be superseded, or lose its disk, meanwhile.
                let _ = broker.shutdown(Duration::from_secs(5)).await;
            }
            3 => {
                sleep(length / 2).await;
                let Some(successor) = self.start_in(weather).await else { return };
                drop(actors);
                let _actors = connect(&successor, &self.rng);
                broker.failed().await;
                std::future::pending().await
            }
            // A crash: the runtime is dropped with everything on it. Nobody took over, so nothing else ends it.
            _ => {
                let error = broker.failed().await;
                assert!(weather.metadata, "CoordinatorFence: a node alone gave up: {error}");
            }
        }
    }

    /// None: the process exits, as it may when its metadata does not answer.
    async fn start_in(&self, weather: Weather) -> Option<Broker> {
        match self.start().await {
            Ok(broker) => Some(broker),
            Err(error) => {
                assert!(
                    weather.metadata,
                    "liveness: a broker starts over any store that recovers: {error}"
                );
                None
            }
        }
    }

    /// A life of three seconds in bad weather that ends in a crash.
    fn rough_life(&mut self, actors: impl Fn(&Broker, &Rng) -> Actors) {
        self.set_weather(Weather { data: true, metadata: false });
        on_a_runtime(async {
            self.faults.begin_chapter("rough life");
            let weather = Weather { data: true, metadata: false };
            let living = self.live(weather, (LIVELY, 0), &actors);
            let _ = tokio::time::timeout(Duration::from_secs(3), living).await;
        });
        self.end_of_life();
        self.faults.stop();
    }

    pub(crate) fn end_of_life(&mut self) {
        task::assert_no_panics();
        let found = on_a_runtime(audit::objects(&self.sound));
        self.audit.compare(found);
        let later = i64::try_from(self.rng.below(WALL_SPREAD_MS)).expect("less than a day");
        self.wall = Timestamp(WALL.0 + later);
    }

    pub(crate) async fn start(&self) -> Result<Broker, node::Error> {
        start_with(self.settings, &self.store, self.wall, Rng::from_seed(self.rng.u64())).await
    }
}
