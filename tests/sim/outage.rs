//! A store that is away for a while: nothing acknowledged is lost, memory stays bounded, and the broker is back at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thalweg::base::clock::{SharedClock, Timestamp, TokioClock, sleep};
use thalweg::base::rng::Rng;
use thalweg::base::task;
use thalweg::config::Config;
use thalweg::node::{Broker, Surroundings};
use thalweg::object::build::memory;
use thalweg::object::faults::{Faults, Rates};
use thalweg::object::{Locality, Store};
use thalweg::record::Compression;
use thalweg::record::build::BatchBuilder;
use thalweg::telemetry;
use tokio::time::{Instant, timeout};

use super::client::{Answer, Client};
use super::world::ALONE;

/// How long the store is away.
const OUTAGE: Duration = Duration::from_secs(30);
/// `request.timeout.ms` of the clients: shorter, so that they hear of the outage.
const TIMEOUT: Duration = Duration::from_secs(10);
const REQUEST_TIMED_OUT: i16 = 7;

/// What the producers saw.
#[derive(Default)]
struct Seen {
    acked: BTreeMap<i64, String>,
    timed_out: u32,
    /// The longest that a timed-out request was unanswered.
    slowest: Duration,
    /// Bytes sent and not answered.
    unanswered: usize,
    unanswered_max: usize,
    last_ack: Option<Instant>,
}

#[test]
fn an_outage_of_the_store_loses_nothing_and_is_over_when_it_ends() {
    let _among_others = ALONE.read().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(outage());
    task::assert_no_panics();
}

async fn outage() {
    let clock: SharedClock = Arc::new(TokioClock::starting_at(Timestamp(1_700_000_000_000)));
    let faults = Faults::new(Rng::from_seed(1));
    let store = Store::new(faults.wrap(memory(Arc::clone(&clock)).raw()), Locality::Bucket);
    let ms = Duration::from_millis;
    let well = Rates { latency: (ms(5), ms(60)), ..Rates::default() };
    faults.set_rates(well.clone());
    let settings =
        [("num.partitions", "1"), ("wal.flush.ms", "20"), ("wal.memory.bytes", "16777216")];
    let config = Arc::new(Config::with(settings).expect("settings"));
    let surroundings = Surroundings { clock, rng: Rng::from_seed(2), store: Some(store) };
    let metrics = telemetry::Registry::new();
    let starting = Broker::start(config, surroundings, BTreeMap::new(), &metrics);
    let broker = Box::pin(starting).await.expect("an empty store is fine");
    let client = Client::new(&broker);
    assert!(client.create_topic().await, "the store is well");
    let seen = Arc::new(Mutex::new(Seen::default()));
    let mut producers = Vec::new();
    for name in 0..50 {
        let produce = produce(Client::new(&broker), name, Arc::clone(&seen));
        producers.push(task::spawn("sim-producer", produce));
    }
    sleep(Duration::from_secs(5)).await;
    let ready = || broker.readiness().verdict().ready;
    assert!(ready(), "the store is well");
    let acked_before = lock(&seen).acked.len();
    assert!(acked_before > 0, "producers are served");

    faults.set_rates(Rates { unavailable: 1000, ..well });
    sleep(OUTAGE / 2).await;
    assert!(!ready(), "the store is away");
    sleep(OUTAGE / 2).await;
    faults.stop();
    let over = Instant::now();
    let back = async {
        while lock(&seen).last_ack.is_none_or(|at| at <= over) || !ready() {
            sleep(ms(10)).await;
        }
    };
    timeout(Duration::from_secs(5), back).await.expect("it is back within 5 s");
    sleep(Duration::from_secs(5)).await;
    for producer in producers {
        producer.abort();
    }
    let log = read_all(&client).await;
    let seen = lock(&seen);
    assert!(seen.timed_out > 0, "clients were told in time");
    assert!(seen.slowest <= TIMEOUT + ms(50), "a request waited for {:?}", seen.slowest);
    // The bound, a slot that was being filled, and the last request of each producer.
    assert!(seen.unanswered_max < 32 << 20, "{} bytes were held", seen.unanswered_max);
    assert!(seen.acked.len() > acked_before, "producers are served again");
    for (offset, value) in &seen.acked {
        assert_eq!(log.get(offset), Some(value), "AckedDurable at {offset}");
    }
}

/// Sends a batch of 64 KiB every 100 ms or as soon as there is room, as a connection does.
async fn produce(client: Client, name: usize, seen: Arc<Mutex<Seen>>) {
    for number in 0.. {
        let value = format!("{name:05}-{number:05}-{}", "x".repeat(64 << 10));
        let mut builder = BatchBuilder::new(Compression::None);
        builder.push_value(Timestamp(1), None, Some(value.as_bytes()));
        client.admitted().await;
        {
            let mut seen = lock(&seen);
            seen.unanswered += value.len();
            seen.unanswered_max = seen.unanswered_max.max(seen.unanswered);
        }
        let begun = Instant::now();
        let answer = client.produce_within(0, builder.build().bytes, TIMEOUT).await;
        lock(&seen).take_up(answer, value, begun.elapsed());
        sleep(Duration::from_millis(100)).await;
    }
}

impl Seen {
    fn take_up(&mut self, answer: Answer, value: String, took: Duration) {
        self.unanswered -= value.len();
        match answer {
            Answer::At(offset) => {
                self.acked.insert(offset, value);
                self.last_ack = Some(Instant::now());
            }
            Answer::Error(code) => {
                assert_eq!(code, REQUEST_TIMED_OUT, "retriable, and said in time");
                self.timed_out += 1;
                self.slowest = self.slowest.max(took);
            }
            Answer::Gone => unreachable!("acks are asked for"),
        }
    }
}

async fn read_all(client: &Client) -> BTreeMap<i64, String> {
    let mut log = BTreeMap::new();
    loop {
        let next = log.last_key_value().map_or(0, |(last, _)| last + 1);
        let records = client.fetch(0, next, 0).await;
        if records.is_empty() {
            return log;
        }
        log.extend(records);
    }
}

fn lock(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
