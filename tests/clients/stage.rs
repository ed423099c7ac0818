//! One broker, every client's program, and what has been written so far: trials share these.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{env, fs, thread};

use anyhow::{Context as _, ensure};
use tempfile::TempDir;
use thalweg::base::rng::Rng;

use crate::broker::{Broker, Settings};
use crate::catalog::{CLIENTS, Client, Runtime};
use crate::kcat;
use crate::parts;
use crate::program::Program;
use crate::workload::{Draw, Expected, Topic, is_large};

/// JoinGroup, whose presence says that the broker has consumer groups.
const JOIN_GROUP: i16 = 11;

/// How far a record's own stamp may lie outside the time of its writing: clocks are one, roundings are not.
const CLOCK_SLACK_MS: i64 = 1000;

/// How long a named broker may take until each partition of a new topic has its leader.
const LEADERS_WITHIN: Duration = Duration::from_secs(10);

/// How often one is asked.
const POLL: Duration = Duration::from_millis(20);

/// What trials share.
#[derive(Debug)]
pub(crate) struct Stage {
    address: String,
    seed: u64,
    seats: Vec<Seat>,
    /// Killed when the stage is dropped; absent when `THALWEG_TEST_BOOTSTRAP` names a broker.
    broker: Option<Broker>,
    /// The last to go: nobody writes to it any more.
    folder: TempDir,
}

/// One client: its program, and what it has written.
#[derive(Debug)]
struct Seat {
    program: Mutex<Program>,
    /// Programs that have been a group and are free. Groups wait for members: each is one while no other trial needs it.
    groups: Mutex<Vec<Program>>,
    written: OnceLock<Result<Written, String>>,
}

/// What a producer has written: each topic with what a reader must see, and when.
#[derive(Debug)]
struct Written {
    topics: Vec<(String, BTreeMap<i32, Vec<Expected>>)>,
    from: i64,
    to: i64,
}

impl Stage {
    /// Starts the broker, unless one is named.
    pub(crate) fn set() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("thalweg-clients-").tempdir()?;
        let (address, broker) = match env::var("THALWEG_TEST_BOOTSTRAP") {
            Ok(address) => (address, None),
            Err(_) => {
                // That members come together is not what these trials show: most come one after the other.
                let broker = Settings::directory(&folder.path().join("broker"))
                    .set("group.initial.rebalance.delay.ms", "100")
                    .start()?;
                (broker.address.clone(), Some(broker))
            }
        };
        let seats = CLIENTS.iter().map(|client| {
            let command = client.command(&address, folder.path())?;
            let program = Mutex::new(Program::new(client.name, command, folder.path()));
            Ok(Seat { program, groups: Mutex::default(), written: OnceLock::new() })
        });
        let seats = seats.collect::<anyhow::Result<_>>()?;
        Ok(Self { address, seed: parts::seed(3), seats, broker, folder })
    }

    /// Where trials may leave files; removed with the stage.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Whether the broker advertises consumer groups.
    pub(crate) fn has_groups(&self) -> anyhow::Result<bool> {
        // ApiVersions v0: key, version, correlation id, no client id.
        let request = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];
        let answer = self.ask(&request)?;
        // Correlation id, error, count; then key, least and greatest version of each API.
        let apis = answer.get(10..).context("the answer to ApiVersions is cut short")?;
        Ok(apis.chunks_exact(6).any(|api| api[..2] == JOIN_GROUP.to_be_bytes()))
    }

    /// Kafka answers CreateTopics before each partition has its leader. An idempotent producer that writes meanwhile can
    /// lose: its first batch is refused, its second accepted, and then the first is out of order for good.
    fn await_leaders(&self, topic: &Topic) -> anyhow::Result<()> {
        // ListOffsets v1: key, version, correlation id, no client id, no replica; one topic, of each partition the latest.
        let mut body = vec![0, 2, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1];
        body.extend(i16::try_from(topic.name.len())?.to_be_bytes());
        body.extend(topic.name.as_bytes());
        body.extend(topic.partitions.to_be_bytes());
        for partition in 0..topic.partitions {
            body.extend(partition.to_be_bytes());
            body.extend((-1_i64).to_be_bytes());
        }
        let mut request = i32::try_from(body.len())?.to_be_bytes().to_vec();
        request.extend(body);
        let until = Instant::now() + LEADERS_WITHIN;
        loop {
            let answer = self.ask(&request)?;
            // Correlation id, one topic, its name, the count; then partition, error, timestamp and offset of each.
            let partitions = answer.get(14 + topic.name.len()..).context("cut short")?;
            let led = partitions.chunks_exact(22).filter(|of| of[4..6] == [0, 0]).count();
            if led == usize::try_from(topic.partitions)? {
                return Ok(());
            }
            ensure!(Instant::now() < until, "{} has no leaders in {LEADERS_WITHIN:?}", topic.name);
            thread::sleep(POLL);
        }
    }

    /// Sends a whole frame on a connection of its own, and reads the answer without its length.
    fn ask(&self, request: &[u8]) -> anyhow::Result<Vec<u8>> {
        let mut socket = TcpStream::connect(&self.address)?;
        socket.set_read_timeout(Some(Duration::from_secs(10)))?;
        socket.write_all(request)?;
        let mut length = [0; 4];
        socket.read_exact(&mut length)?;
        let mut answer = vec![0; usize::try_from(u32::from_be_bytes(length))?];
        socket.read_exact(&mut answer)?;
        Ok(answer)
    }

    /// Writes everything of one client, once however often it is asked for.
    pub(crate) fn write(&self, producer: usize) -> Result<(), String> {
        self.written(producer).map(|_| ())
    }

    /// Reads with one client everything that another wrote, and compares it line for line.
    pub(crate) fn read(&self, producer: usize, consumer: usize) -> Result<(), String> {
        let written = self.written(producer)?;
        let topics: Vec<String> = written.topics.iter().map(|(topic, _)| topic.clone()).collect();
        let lines = self.consume(consumer, &topics).map_err(|error| format!("{error:#}"))?;
        let as_kcat = matches!(CLIENTS[consumer].runtime, Runtime::Kcat);
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        written.compare(&lines, &names, as_kcat).map_err(|error| format!("{error:#}"))
    }

    /// Reads what a client wrote as a group of its own, and then once more: the second time nothing is left.
    pub(crate) fn read_as_group(
        &self,
        client: usize,
        assignor: &str,
        is_static: bool,
    ) -> Result<(), String> {
        let written = self.written(client)?;
        self.try_read_as_group(client, written, (assignor, is_static))
            .map_err(|error| format!("{error:#}"))
    }

    fn try_read_as_group(
        &self,
        client: usize,
        written: &Written,
        (assignor, is_static): (&str, bool),
    ) -> anyhow::Result<()> {
        let topics: Vec<&str> = written.topics.iter().map(|(topic, _)| topic.as_str()).collect();
        // Large records are read by every pair of clients; here they would only be waited for.
        let topics: Vec<&str> = topics.into_iter().filter(|topic| !is_large(topic)).collect();
        let group = format!("{}-{assignor}-{is_static}-{:x}", CLIENTS[client].name, written.from);
        let instance = if is_static { "instance" } else { "-" };
        let command = format!("group {group} {assignor} {instance} {}", topics.join(","));
        let free = self.seats[client].groups.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut program = free.map_or_else(|| self.another_program(client, &group), Ok)?;
        let mut lines = program.run(&command).context("first reading")?;
        // What was read and not committed before a rebalance is read again.
        let mut seen = BTreeSet::new();
        lines.retain(|line| seen.insert(line.clone()));
        let parsed = lines.iter().map(|line| Seen::parse(line));
        let mut order = parsed.collect::<anyhow::Result<Vec<_>>>()?;
        order.sort_by_key(|one| (one.topic, one.partition, one.offset));
        let sorted: Vec<String> = order.iter().map(|one| one.line.to_owned()).collect();
        written.compare(&sorted, &topics, false)?;
        let again = program.run(&command).context("second reading")?;
        ensure!(again.is_empty(), "{} records were read again: {}", again.len(), again[0]);
        self.seats[client].groups.lock().unwrap_or_else(PoisonError::into_inner).push(program);
        Ok(())
    }

    /// A program beside the client's one, with a folder of its own.
    fn another_program(&self, client: usize, folder: &str) -> anyhow::Result<Program> {
        let own = self.folder.path().join(folder);
        fs::create_dir_all(&own)?;
        let command = CLIENTS[client].command(&self.address, &own)?;
        Ok(Program::new(CLIENTS[client].name, command, &own))
    }

    fn written(&self, producer: usize) -> Result<&Written, String> {
        let written = self.seats[producer]
            .written
            .get_or_init(|| self.write_all(producer).map_err(|error| format!("{error:#}")));
        written.as_ref().map_err(|error| format!("could not be written: {error}"))
    }

    fn write_all(&self, producer: usize) -> anyhow::Result<Written> {
        let client = &CLIENTS[producer];
        let from = now();
        // Well inside any retention, and before now, as records of a real client are.
        let first_timestamp = from - 3_600_000;
        let rng = Rng::from_seed(self.seed.wrapping_add(producer as u64));
        let draw = Draw { rng, first_timestamp, can: client.can };
        // A named broker may hold topics of earlier runs.
        let prefix = format!("{}-{:x}", client.name, from);
        let mut drawn = draw.topics(&prefix, producer);
        for topic in &mut drawn {
            self.create(client, producer, topic)?;
        }
        if self.broker.is_none() {
            for topic in &drawn {
                self.await_leaders(topic)?;
            }
        }
        let mut topics = Vec::new();
        for topic in drawn {
            self.produce(client, producer, &topic)?;
            topics.push((topic.name.clone(), topic.expected()));
        }
        Ok(Written { topics, from, to: now() })
    }

    fn create(&self, client: &Client, producer: usize, topic: &mut Topic) -> anyhow::Result<()> {
        let command = format!("create {} {} {}", topic.name, topic.partitions, size(topic));
        let program = if matches!(client.runtime, Runtime::Kcat) {
            kcat::arrange(topic);
            self.administrator()?
        } else {
            &self.seats[producer].program
        };
        program.lock().unwrap_or_else(PoisonError::into_inner).run(&command).map(|_| ())
    }

    fn produce(&self, client: &Client, producer: usize, topic: &Topic) -> anyhow::Result<()> {
        if matches!(client.runtime, Runtime::Kcat) {
            return kcat::produce(&self.address, topic);
        }
        let path = topic.write_files(self.folder.path())?;
        let path = path.to_str().context("the temporary folder's name is not text")?;
        let command = format!("produce {} {} {} {path}", topic.name, topic.codec, size(topic));
        let program = &self.seats[producer].program;
        program.lock().unwrap_or_else(PoisonError::into_inner).run(&command)?;
        for file in [path.to_owned(), format!("{path}.values")] {
            fs::remove_file(file)?;
        }
        Ok(())
    }

    /// A client that creates topics for kcat, which cannot.
    fn administrator(&self) -> anyhow::Result<&Mutex<Program>> {
        let able = |client: &Client| {
            !matches!(client.runtime, Runtime::Kcat) && client.missing().is_none()
        };
        let found = CLIENTS.iter().position(able);
        Ok(&self.seats[found.context("no client is here that creates topics for kcat")?].program)
    }

    fn consume(&self, consumer: usize, topics: &[String]) -> anyhow::Result<Vec<String>> {
        if matches!(CLIENTS[consumer].runtime, Runtime::Kcat) {
            return kcat::consume(&self.address, topics);
        }
        let mut program =
            self.seats[consumer].program.lock().unwrap_or_else(PoisonError::into_inner);
        program.run(&format!("consume {}", topics.join(",")))
    }
}

impl Written {
    /// Whether `lines` are everything of `topics`.
    fn compare(&self, lines: &[String], topics: &[&str], as_kcat: bool) -> anyhow::Result<()> {
        let mut seen: BTreeMap<(&str, i32), Vec<Seen>> = BTreeMap::new();
        let parsed =
            lines.iter().map(|line| Seen::parse(line)).collect::<anyhow::Result<Vec<_>>>()?;
        for one in parsed {
            seen.entry((one.topic, one.partition)).or_default().push(one);
        }
        for (topic, partitions) in &self.topics {
            if !topics.contains(&topic.as_str()) {
                continue;
            }
            for (partition, expected) in partitions {
                let seen = seen.remove(&(topic.as_str(), *partition)).unwrap_or_default();
                let compared = self.compare_partition(expected, &seen, as_kcat);
                compared.with_context(|| format!("{topic}/{partition}"))?;
            }
        }
        ensure!(seen.is_empty(), "records in partitions that nobody wrote: {:?}", seen.keys());
        Ok(())
    }

    fn compare_partition(
        &self,
        expected: &[Expected],
        seen: &[Seen<'_>],
        as_kcat: bool,
    ) -> anyhow::Result<()> {
        for (offset, (expected, seen)) in expected.iter().zip(seen).enumerate() {
            let stamped = expected.timestamp.unwrap_or(seen.timestamp);
            let line = expected.line(stamped, as_kcat);
            ensure!(line == seen.line, "offset {offset}\n wrote {line}\n  read {}", seen.line);
            let within = self.from - CLOCK_SLACK_MS..=self.to + CLOCK_SLACK_MS;
            let plausible = expected.timestamp.is_some() || within.contains(&seen.timestamp);
            ensure!(
                plausible,
                "offset {offset} was not stamped when it was written: {}",
                seen.line
            );
        }
        ensure!(
            expected.len() == seen.len(),
            "wrote {} records, read {}",
            expected.len(),
            seen.len()
        );
        Ok(())
    }
}

/// A canonical line, with the fields that sort it.
#[derive(Debug)]
struct Seen<'a> {
    line: &'a str,
    topic: &'a str,
    partition: i32,
    offset: i64,
    timestamp: i64,
}

impl<'a> Seen<'a> {
    fn parse(line: &'a str) -> anyhow::Result<Self> {
        #[derive(serde::Deserialize)]
        struct Fields<'a> {
            topic: &'a str,
            partition: i32,
            offset: i64,
            timestamp: i64,
        }
        let fields: Fields<'a> = serde_json::from_str(line).with_context(|| line.to_owned())?;
        let Fields { topic, partition, offset, timestamp } = fields;
        Ok(Self { line, topic, partition, offset, timestamp })
    }
}

/// The limit of a record as commands name it.
fn size(topic: &Topic) -> String {
    topic.message_bytes_max.map_or_else(|| "-".to_owned(), |size| size.to_string())
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    i64::try_from(since.as_millis()).expect("the clock is before the year 292 million")
}
