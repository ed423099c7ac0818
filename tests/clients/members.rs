//! Members of groups in processes of their own, while records are written: a second member comes, one is killed, and the
//! broker is killed (`kill -9`) in the middle of each step: join, sync, commit, rebalance.
//!
//! Every record is read by somebody, all members agree what stands at an offset, and what is committed at the end is the
//! end of each partition.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use kafka_protocol::messages::{ConsumerGroupHeartbeatRequest, RequestHeader};
use kafka_protocol::protocol::{Decodable as _, HeaderVersion as _, Request as _};
use thalweg::base::clock::{Clock as _, SystemClock};
use thalweg::base::rng::Rng;
use thalweg::client::Record;
use thalweg::client::wire::{Acks, At, Client as WireClient, NewTopic, Options};
use thalweg::record::Compression;
use tokio::runtime::Runtime;

use crate::broker::{Broker, Settings};
use crate::catalog::{CLIENTS, Client};
use crate::gate::Gate;
use crate::parts;
use crate::ports::free_port;

const TOPIC: &str = "watched";
/// What members that subscribe by pattern say; it matches that topic alone.
const PATTERN: &str = "^watch[a-e]*d$";
const GROUP: &str = "members";
const PARTITIONS: i32 = 4;

/// How long any one thing may take: a start, a rebalance after a member is missed, a client's own pauses.
const PATIENCE: Duration = Duration::from_secs(40);
const POLL: Duration = Duration::from_millis(10);

/// One way to be a member.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    pub(crate) client: &'static str,
    assignor: &'static str,
    commit: &'static str,
    is_static: bool,
    by_pattern: bool,
    /// The group goes over to this assignor's protocol, and back, member by member.
    changes_to: Option<&'static str>,
}

const fn way(client: &'static str, assignor: &'static str, commit: &'static str) -> Way {
    Way { client, assignor, commit, is_static: false, by_pattern: false, changes_to: None }
}

const fn fixed(way: Way) -> Way {
    Way { is_static: true, ..way }
}

const fn pattern(way: Way) -> Way {
    Way { by_pattern: true, ..way }
}

const fn changing(way: Way, to: &'static str) -> Way {
    Way { changes_to: Some(to), ..way }
}

/// Each assignor, each way to commit, patterns and static members of each client that has them, at least once.
pub(crate) const WAYS: &[Way] = &[
    way("confluent-kafka", "range", "sync"),
    fixed(way("confluent-kafka", "roundrobin", "async")),
    pattern(way("confluent-kafka", "cooperative-sticky", "auto")),
    pattern(way("confluent-kafka", "consumer:uniform", "sync")),
    fixed(way("confluent-kafka", "consumer:range", "auto")),
    pattern(way("kafka-python", "sticky", "sync")),
    fixed(way("kafka-python", "range", "auto")),
    way("kafka-python", "roundrobin", "async"),
    pattern(way("aiokafka", "roundrobin", "sync")),
    fixed(way("aiokafka", "sticky", "auto")),
    way("aiokafka", "range", "sync"),
    pattern(way("java-4.3.1", "CooperativeStickyAssignor", "async")),
    fixed(way("java-4.3.1", "RangeAssignor", "sync")),
    pattern(way("java-4.3.1", "consumer:uniform", "sync")),
    fixed(way("java-4.3.1", "consumer:range", "auto")),
    way("java-3.9.1", "StickyAssignor", "auto"),
    fixed(way("java-3.9.1", "RoundRobinAssignor", "sync")),
    way("franz-go", "range", "auto"),
    fixed(way("franz-go", "roundrobin", "marks")),
    way("franz-go", "sticky", "async"),
    pattern(way("franz-go", "cooperative-sticky", "sync")),
    pattern(way("franz-go", "consumer:uniform", "auto")),
    fixed(way("franz-go", "consumer:range", "sync")),
    way("sarama", "range", "auto"),
    fixed(way("sarama", "roundrobin", "sync")),
    way("sarama", "cooperative-sticky", "auto"),
    way("sarama", "sticky", "sync"),
    pattern(way("kafkajs", "RoundRobinAssigner", "auto")),
    way("kafkajs", "RoundRobinAssigner", "sync"),
    way("kafkajs", "RoundRobinAssigner", "threshold"),
    way("platformatic", "roundrobin", "auto"),
    fixed(way("platformatic", "cooperative-sticky", "sync")),
    way("platformatic", "consumer:uniform", "each"),
    fixed(way("platformatic", "consumer:range", "auto")),
    changing(way("java-4.3.1", "RangeAssignor", "sync"), "consumer:uniform"),
    changing(way("confluent-kafka", "cooperative-sticky", "sync"), "consumer:range"),
];

impl Way {
    pub(crate) fn name(&self) -> String {
        let kind = if self.is_static { ", static" } else { "" };
        let by = if self.by_pattern { ", pattern" } else { "" };
        let then = self.changes_to.map(|other| format!(" to {other} and back")).unwrap_or_default();
        let (client, assignor, commit) = (self.client, self.assignor, self.commit);
        format!("{client} among kills: {assignor}{then}, {commit}{kind}{by}")
    }

    /// The client of that name.
    pub(crate) fn client(&self) -> &'static Client {
        CLIENTS.iter().find(|client| client.name == self.client).expect("a client of the catalog")
    }

    fn is_newer(&self) -> bool {
        self.assignor.starts_with("consumer:")
    }

    /// Runs the whole story.
    pub(crate) fn run(&self, stage: &Path) -> Result<(), String> {
        let mut scene = Scene::set(*self, stage).map_err(|error| format!("{error:#}"))?;
        scene.play().map_err(|error| format!("{error:#}\n{}", scene.said()))
    }
}

/// A broker, its gate, records that come, members that read them.
struct Scene {
    way: Way,
    rng: Rng,
    settings: Settings,
    broker: Option<Broker>,
    gate: Gate,
    writer: Option<JoinHandle<()>>,
    news: Arc<News>,
    members: Vec<Member>,
    started: usize,
    runtime: Runtime,
    /// Goes with the stage: a file system that has just removed many files is slow to create new ones.
    folder: PathBuf,
}

/// What threads tell the scene.
#[derive(Debug, Default)]
struct News {
    stop_writing: AtomicBool,
    written: AtomicU64,
    read: Mutex<Vec<Read>>,
}

impl News {
    fn lock_reads(&self) -> MutexGuard<'_, Vec<Read>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A record that a member has read.
#[derive(Debug, Clone)]
struct Read {
    member: usize,
    partition: i32,
    offset: i64,
    value: String,
}

/// A member in a process of its own; dropped, it is killed.
struct Member {
    number: usize,
    child: Child,
    input: ChildStdin,
    /// What it answered to its command.
    answer: Receiver<String>,
}

impl Drop for Member {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Scene {
    fn set(way: Way, stage: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("members-").tempdir_in(stage)?.keep();
        let address = format!("127.0.0.1:{}", free_port()?);
        let gate = Gate::new(&address)?;
        let mut settings = Settings::directory(&folder.join("broker"))
            .set("advertised.listeners", &format!("PLAINTEXT://{}", gate.address));
        settings.listen = address;
        for (key, value) in [
            ("group.initial.rebalance.delay.ms", "200"),
            ("group.min.session.timeout.ms", "1000"),
            ("group.consumer.min.session.timeout.ms", "1000"),
            ("group.consumer.session.timeout.ms", "2000"),
            ("group.consumer.min.heartbeat.interval.ms", "100"),
            ("group.consumer.heartbeat.interval.ms", "300"),
            ("group.consumer.assignment.interval.ms", "0"),
        ] {
            settings = settings.set(key, value);
        }
        let broker = Some(settings.start()?);
        let seed = parts::seed(13);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let mut scene = Self {
            way,
            rng: Rng::from_seed(seed),
            settings,
            broker,
            gate,
            writer: None,
            news: Arc::default(),
            members: Vec::new(),
            started: 0,
            runtime,
            folder,
        };
        let client = scene.runtime.block_on(scene.client())?;
        scene.runtime.block_on(client.create_topic(&NewTopic {
            name: TOPIC.to_owned(),
            partitions: Some(PARTITIONS),
            replication_factor: Some(1),
            configs: Vec::new(),
        }))?;
        let (news, handle) = (Arc::clone(&scene.news), scene.runtime.handle().clone());
        scene.writer = Some(thread::spawn(move || handle.block_on(write_on(&client, &news))));
        Ok(scene)
    }

    async fn client(&self) -> anyhow::Result<WireClient> {
        let bootstrap = vec![self.gate.address.parse().map_err(anyhow::Error::msg)?];
        let (client_id, timeout) = ("members".to_owned(), Duration::from_secs(20));
        let options = Options { bootstrap, client_id, timeout, rng: Rng::from_seed(1) };
        Ok(WireClient::connect(options).await?)
    }

    fn play(&mut self) -> anyhow::Result<()> {
        if let Some(other) = self.way.changes_to {
            return self.change_over(other);
        }
        let newer = self.way.is_newer();
        let (is_join, is_sync): (Is, Is) =
            if newer { (is_newer_join, is_newer_assigned) } else { (is_join, is_sync) };
        // A static member of the newer protocol that joined and was not answered, or comes back after it was killed, is
        // refused for a session's length, as by Kafka 4.3.1 (UNRELEASED_INSTANCE_ID). Java and librdkafka end then.
        let is_refused_again = newer && self.way.is_static;
        if is_refused_again {
            self.start_member(0)?;
        } else {
            let gone = self.gate.await_request(is_join, 0);
            self.start_member(0)?;
            self.kill_broker(&gone, "join")?;
        }
        let gone = self.gate.await_request(is_sync, 0);
        self.kill_broker(&gone, "sync")?;
        self.wait_for_reads(&[0])?;
        let gone = self.gate.await_request(is_commit, 0);
        self.kill_broker(&gone, "commit")?;
        self.wait_for_reads(&[0])?;
        // Of the classic protocol the second one to join: the newcomer with its id, or the member that it disturbs.
        let gone = if newer {
            self.gate.await_request(is_newer_assigned, 0)
        } else {
            self.gate.await_request(is_join, 1)
        };
        self.start_member(1)?;
        self.kill_broker(&gone, "rebalance")?;
        self.wait_for_reads(&[0, 1])?;
        // The first is killed: a classic group's leader. A static one comes back under its name.
        drop(self.members.remove(0));
        if is_refused_again {
            self.wait_for_reads(&[1])?;
        }
        if self.way.is_static {
            self.start_member(0)?;
            self.wait_for_reads(&[2, 1])?;
        } else {
            self.wait_for_reads(&[1])?;
        }
        self.finish()
    }

    /// Two members stop, one after the other, and come back with the other protocol, and then with the first one again. The
    /// broker is killed while the first of them comes.
    fn change_over(&mut self, other: &'static str) -> anyhow::Result<()> {
        let first = self.way.assignor;
        self.start_member(0)?;
        self.start_member(1)?;
        self.wait_for_reads(&[0, 1])?;
        for assignor in [other, first] {
            self.way.assignor = assignor;
            let comes: Is = if self.way.is_newer() { is_newer_assigned } else { is_sync };
            for place in 0..2 {
                leave(&mut self.members.remove(0))?;
                if place == 0 {
                    let gone = self.gate.await_request(comes, 0);
                    self.start_member(place)?;
                    self.kill_broker(&gone, "change of the protocol")?;
                } else {
                    self.start_member(place)?;
                }
                self.wait_for_reads(&[self.started - 2, self.started - 1])?;
            }
        }
        self.finish()
    }

    /// Starts a member; `place` ends its instance id.
    fn start_member(&mut self, place: usize) -> anyhow::Result<()> {
        let way = self.way;
        let number = self.started;
        self.started += 1;
        let own = self.folder.join(format!("member-{number}"));
        std::fs::create_dir_all(&own)?;
        let mut command = way.client().command(&self.gate.address, &own)?;
        let log = File::create(self.log(number))?;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("could not start {command:?}"))?;
        let mut input = child.stdin.take().context("piped above")?;
        let mut output = BufReader::new(child.stdout.take().context("piped above")?);
        let instance = if way.is_static { format!("instance-{place}") } else { "-".to_owned() };
        let topic = if way.by_pattern { PATTERN } else { TOPIC };
        writeln!(input, "member {GROUP} {} {instance} {} {topic}", way.assignor, way.commit)?;
        let (news, (sender, answer)) = (Arc::clone(&self.news), mpsc::sync_channel(1));
        thread::spawn(move || {
            let mut line = String::new();
            // The last line of a member that was killed may be half of one.
            while output.read_line(&mut line).is_ok() && line.ends_with('\n') {
                let text = line.trim_end_matches(['\r', '\n']);
                match Read::parse(number, text) {
                    Some(read) => news.lock_reads().push(read),
                    // Nobody may listen any more.
                    None => drop(sender.try_send(text.to_owned())),
                }
                line.clear();
            }
        });
        self.members.push(Member { number, child, input, answer });
        Ok(())
    }

    fn log(&self, number: usize) -> PathBuf {
        self.folder.join(format!("member-{number}.log"))
    }

    /// Kills the broker a little after the request has gone to it, and starts it again.
    fn kill_broker(&mut self, gone: &Receiver<()>, step: &str) -> anyhow::Result<()> {
        gone.recv_timeout(PATIENCE).with_context(|| format!("{step}: no such request came"))?;
        thread::sleep(Duration::from_micros(self.rng.below(20_000)));
        self.broker.take().context("no broker runs")?.kill()?;
        self.gate.open();
        self.broker = Some(self.settings.start().with_context(|| step.to_owned())?);
        Ok(())
    }

    /// Waits until each of these has read something new, and together they have of every partition.
    fn wait_for_reads(&self, members: &[usize]) -> anyhow::Result<()> {
        let from = self.reads().len();
        self.poll_until(&format!("{members:?} read of every partition"), || {
            let reads = self.reads();
            let new = &reads[from..];
            let each = members.iter().all(|member| new.iter().any(|read| read.member == *member));
            let all = (0..PARTITIONS).all(|one| new.iter().any(|read| read.partition == one));
            Ok(each && all)
        })
    }

    fn reads(&self) -> MutexGuard<'_, Vec<Read>> {
        self.news.lock_reads()
    }

    fn poll_until(
        &self,
        what: &str,
        mut is_so: impl FnMut() -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if is_so()? {
                return Ok(());
            }
            thread::sleep(POLL);
        }
        let counts = (0..self.started).map(|number| {
            let reads = self.reads();
            reads.iter().filter(|read| read.member == number).count()
        });
        bail!("not in {PATIENCE:?}: {what}; read by each so far: {:?}", counts.collect::<Vec<_>>())
    }

    /// Nothing more is written: all of it is read and committed, and the members leave.
    fn finish(&mut self) -> anyhow::Result<()> {
        self.news.stop_writing.store(true, Ordering::SeqCst);
        self.writer.take().context("it writes")?.join().expect("the writer does not panic");
        let client = self.runtime.block_on(self.client())?;
        let partitions: Vec<i32> = (0..PARTITIONS).collect();
        let ends = self.runtime.block_on(client.offsets(TOPIC, &partitions, At::End))?;
        let total: i64 = ends.values().map(|end| end.0).sum();
        let written = self.news.written.load(Ordering::SeqCst);
        ensure!(total >= i64::try_from(written)?, "{written} written, {total} are there");
        self.poll_until(&format!("all of {ends:?} is read"), || {
            Ok(i64::try_from(agreed(&self.reads())?.len())? == total)
        })?;
        for member in &mut self.members {
            leave(member)?;
        }
        let client = self.runtime.block_on(self.client())?;
        let committed = self.runtime.block_on(client.group_offsets(GROUP))?;
        for (partition, end) in &ends {
            let kept = committed.iter().find(|kept| kept.partition == *partition);
            ensure!(kept.is_some_and(|kept| kept.offset == end.0), "{ends:?}, and {committed:?}");
        }
        Ok(())
    }

    /// What the members and the broker said, for a failure's report.
    fn said(&self) -> String {
        let mut said = String::new();
        for number in 0..self.started {
            said += &format!("-- member {number}\n{}\n", tail(&self.log(number)));
        }
        said + "-- broker\n" + &self.settings.log_tail()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.news.stop_writing.store(true, Ordering::SeqCst);
        // It must not outlive its runtime. Where its broker is gone its call ends by a time-out.
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

/// Whether a frame is a request of some kind.
type Is = fn(&[u8]) -> bool;

fn is_join(frame: &[u8]) -> bool {
    frame.starts_with(&11_i16.to_be_bytes())
}

fn is_sync(frame: &[u8]) -> bool {
    frame.starts_with(&14_i16.to_be_bytes())
}

fn is_commit(frame: &[u8]) -> bool {
    frame.starts_with(&8_i16.to_be_bytes())
}

fn is_newer_join(frame: &[u8]) -> bool {
    heartbeat(frame).is_some_and(|heartbeat| heartbeat.member_epoch == 0)
}

/// A member says which partitions it has now: it has been assigned some, or has given some back.
fn is_newer_assigned(frame: &[u8]) -> bool {
    heartbeat(frame)
        .is_some_and(|heartbeat| heartbeat.member_epoch > 0 && heartbeat.topic_partitions.is_some())
}

/// A heartbeat of the newer protocol.
fn heartbeat(frame: &[u8]) -> Option<ConsumerGroupHeartbeatRequest> {
    let version = i16::from_be_bytes([*frame.get(2)?, *frame.get(3)?]);
    let is_one = frame.starts_with(&ConsumerGroupHeartbeatRequest::KEY.to_be_bytes());
    let mut rest = frame;
    let header = ConsumerGroupHeartbeatRequest::header_version(version);
    is_one.then(|| RequestHeader::decode(&mut rest, header).ok())??;
    ConsumerGroupHeartbeatRequest::decode(&mut rest, version).ok()
}

/// Tells a member to leave, and waits until it has.
fn leave(member: &mut Member) -> anyhow::Result<()> {
    writeln!(member.input, "stop")?;
    let answer = member.answer.recv_timeout(PATIENCE);
    let answer = answer.with_context(|| format!("member {} did not leave", member.number))?;
    ensure!(answer == "done", "member {}: {answer}", member.number);
    Ok(())
}

/// Values by partition and offset; members that read one offset must have read the same.
fn agreed(reads: &[Read]) -> anyhow::Result<BTreeMap<(i32, i64), &str>> {
    let mut values = BTreeMap::new();
    for read in reads {
        let before = values.insert((read.partition, read.offset), read.value.as_str());
        ensure!(
            before.is_none_or(|before| before == read.value),
            "{before:?} and {:?} at {}/{}",
            read.value,
            read.partition,
            read.offset
        );
    }
    Ok(values)
}

/// Writes a record each few milliseconds to a partition after the other. Some may stand twice where the broker was away.
async fn write_on(client: &WireClient, news: &News) {
    let mut number = 0_u64;
    while !news.stop_writing.load(Ordering::SeqCst) {
        let record = Record {
            timestamp: SystemClock.now(),
            key: None,
            value: Some(Bytes::from(format!("value-{number}"))),
            headers: Vec::new(),
        };
        let partition = i32::try_from(number % u64::from(PARTITIONS.unsigned_abs())).unwrap_or(0);
        let how = (Compression::None, Acks::All);
        if client.produce(TOPIC, partition, &[record], how).await.is_ok() {
            news.written.fetch_add(1, Ordering::SeqCst);
        }
        number += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

impl Read {
    /// `read TOPIC PARTITION OFFSET VALUE`.
    fn parse(member: usize, line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split(' ').collect();
        let ["read", TOPIC, partition, offset, value] = fields.as_slice() else { return None };
        let (partition, offset) = (partition.parse().ok()?, offset.parse().ok()?);
        Some(Self { member, partition, offset, value: (*value).to_owned() })
    }
}

/// The last lines of a file.
fn tail(path: &Path) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}
