//! Transactions of real clients under `kill -9` of the broker and of the client: whole or not at all, read committed.
//!
//! Transfers move amounts between partitions and say of each how it ended; pipelines consume, transform and produce. Each is
//! written with confluent-kafka (`python/`), Kafka's own Java client and franz-go (`../clients`), and run in all three at
//! once. `THALWEG_TEST_TRANSACTIONS=2000` makes it so many for each, with as many more kills.

use std::collections::BTreeMap;
use std::env;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use thalweg::base::clock;
use thalweg::base::rng::Rng;
use thalweg::client::Record;
use thalweg::client::wire::{Acks, NewTopic};
use thalweg::record::Compression;

use crate::kafka_client;
use crate::parts;
use crate::place::{Place, Stand, on_each};
use crate::produce_fetch::record;

const TOPIC: &str = "accounts";
const PARTITIONS: i32 = 4;
/// Processes that one transactional id has, one after another; all but the last are killed.
const ROUNDS: usize = 4;
/// Records of one turn of a pipeline, as its programs have it.
const TURN: usize = 10;

/// About so many transactions for each client.
fn transactions() -> usize {
    let told = env::var("THALWEG_TEST_TRANSACTIONS").ok().and_then(|count| count.parse().ok());
    told.unwrap_or(160)
}

/// Kills of a broker: more where there is more to do, so that they fall all over it.
fn kills() -> usize {
    4 * transactions().div_ceil(160)
}

/// A client's library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Library {
    ConfluentKafka,
    Java,
    FranzGo,
}

impl Library {
    /// Those that are here.
    fn all() -> Vec<Self> {
        let mut all = vec![Self::ConfluentKafka, Self::Java, Self::FranzGo];
        all.retain(|library| {
            let needed = library.needed();
            let is_here = needed.exists() || parts::are_demanded();
            if !is_here {
                println!("skipped: {} is absent; ./test installs it", needed.display());
            }
            is_here
        });
        all
    }

    fn needed(self) -> PathBuf {
        parts::folder().join(match self {
            Self::ConfluentKafka => "python/bin/python",
            Self::Java => "java/programs.jar",
            Self::FranzGo => "go/clients",
        })
    }

    /// The command of `pipeline` or `transfers`.
    fn command(self, program: &str) -> Command {
        match self {
            Self::ConfluentKafka => python(&format!("{program}.py")),
            Self::Java => {
                let mut command = kafka_client::program(kafka_client::NEWEST);
                command.args(["Transactions", program]);
                command
            }
            Self::FranzGo => {
                let mut command = Command::new(self.needed());
                command.arg(program);
                command
            }
        }
    }
}

/// A program of `python/`.
fn python(name: &str) -> Command {
    let mut command = Command::new(Library::ConfluentKafka.needed());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/python");
    // Compiled modules would otherwise be left in the checkout.
    command.arg("-B").arg(folder.join(name));
    command
}

/// How a transfer ended, as far as its client knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Committed,
    Aborted,
    Unknown,
}

/// What the writers said, by transactional id and number.
type Said = BTreeMap<(String, usize), Ended>;

/// One writer: a process that is killed and replaced, under one transactional id.
struct Writer {
    id: String,
    library: Library,
    address: String,
    log: PathBuf,
    rng: Rng,
    /// Transfers of one process.
    each: usize,
}

impl Writer {
    fn start(&self, first: usize) -> anyhow::Result<(Child, BufReader<ChildStdout>)> {
        let mut command = self.library.command("transfers");
        command.args([&self.address, &self.id, &self.rng.below(1 << 30).to_string()]);
        command.args([first.to_string(), self.each.to_string()]);
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn()?;
        let output = child.stdout.take().context("piped above")?;
        Ok((child, BufReader::new(output)))
    }

    /// Runs one process after another, of which all but the last are killed somewhere in the middle.
    fn run(self) -> anyhow::Result<Said> {
        let mut said = Said::new();
        for round in 0..ROUNDS {
            let first = round * self.each;
            let is_last = round + 1 == ROUNDS;
            // The last one also says `end`.
            let until = if is_last { self.each + 1 } else { 1 + self.below(self.each - 1) };
            let (mut child, output) = self.start(first)?;
            // What it was at when it was killed, or had not begun.
            for number in first..first + self.each {
                said.insert((self.id.clone(), number), Ended::Unknown);
            }
            for line in output.lines().take(until) {
                let line = line?;
                if line == "end" {
                    break;
                }
                let (how, number) = line.split_once(' ').context("a line without a number")?;
                said.insert((self.id.clone(), number.parse()?), ended(how)?);
            }
            if is_last {
                ensure!(child.wait()?.success(), "{} failed: {:?}", self.id, self.log);
            } else {
                child.kill()?;
                child.wait()?;
            }
        }
        Ok(said)
    }

    fn below(&self, bound: usize) -> usize {
        usize::try_from(self.rng.below(bound as u64)).unwrap_or(0)
    }
}

fn ended(how: &str) -> anyhow::Result<Ended> {
    Ok(match how {
        "committed" => Ended::Committed,
        "aborted" => Ended::Aborted,
        "unknown" => Ended::Unknown,
        other => bail!("the writer said {other}"),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn transfers_are_whole_or_not_at_all() {
    let libraries = Library::all();
    if !libraries.contains(&Library::ConfluentKafka) {
        return;
    }
    let seed = parts::seed(5);
    println!("THALWEG_TEST_SEED={seed}");
    on_each(vec![Place::Directory], &[], async |stand| {
        let topic = NewTopic {
            name: TOPIC.to_owned(),
            partitions: Some(PARTITIONS),
            replication_factor: Some(1),
            configs: Vec::new(),
        };
        stand.client.create_topic(&topic).await?;
        let rng = Rng::from_seed(seed);
        let address = stand.address()?;
        let mut writers = Vec::new();
        for &library in &libraries {
            let writer = Writer {
                id: format!("{library:?}"),
                library,
                address: address.clone(),
                log: stand.settings.folder.join(format!("{library:?}.log")),
                rng: Rng::from_seed(rng.u64()),
                each: (transactions() / ROUNDS).max(2),
            };
            writers.push(std::thread::spawn(move || writer.run()));
        }
        kill_while_they_write(stand, &writers, &rng).await?;
        let mut said = Said::new();
        for writer in writers {
            said.extend(writer.join().expect("a writer does not panic")?);
        }
        let ledger = read(&stand.address()?, "read_committed")?;
        check(&said, &ledger)?;
        let all = read(&stand.address()?, "read_uncommitted")?;
        let (seen, kept) = (all.values().flatten().count(), ledger.values().flatten().count());
        println!("{} transfers, {seen} records written, {kept} committed", said.len());
        ensure!(seen > kept, "nothing that was aborted is in the log: the test shows nothing");
        Ok(())
    })
    .await;
}

async fn kill_while_they_write(
    stand: &mut Stand,
    writers: &[JoinHandle<anyhow::Result<Said>>],
    rng: &Rng,
) -> anyhow::Result<()> {
    for _ in 0..kills() {
        clock::sleep(Duration::from_millis(1000 + rng.below(2000))).await;
        if writers.iter().all(JoinHandle::is_finished) {
            return Ok(());
        }
        stand.stop(false)?;
        stand.start().await?;
    }
    Ok(())
}

/// Amounts by transactional id and number of the transfer.
type Ledger = BTreeMap<(String, usize), Vec<i64>>;

/// The lines of everything in a topic, as `isolation` shows it.
fn lines(address: &str, topic: &str, isolation: &str) -> anyhow::Result<String> {
    let mut command = python("ledger.py");
    let output = command.args([address, topic, isolation]).stdin(Stdio::null()).output()?;
    let text = String::from_utf8(output.stdout)?;
    let whole = output.status.success() && text.ends_with("end\n");
    ensure!(whole, "ledger.py failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(text.trim_end_matches("end\n").to_owned())
}

fn read(address: &str, isolation: &str) -> anyhow::Result<Ledger> {
    let mut ledger = Ledger::new();
    for line in lines(address, TOPIC, isolation)?.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let [_, _, key, number, amount] = fields.as_slice() else { bail!("a line of {fields:?}") };
        let (id, _) = key.rsplit_once('-').context("a key without a number")?;
        let transfer = (id.to_owned(), number.parse()?);
        ledger.entry(transfer).or_default().push(amount.parse()?);
    }
    Ok(ledger)
}

/// Every transfer has both of its records or none; what was said to be committed is there, what was aborted is not.
fn check(said: &Said, ledger: &Ledger) -> anyhow::Result<()> {
    for (transfer, amounts) in ledger {
        let whole = matches!(amounts.as_slice(), [one, other] if one + other == 0);
        ensure!(whole, "{transfer:?} is in the log as {amounts:?}");
        ensure!(said.contains_key(transfer), "{transfer:?} was never made");
    }
    for (transfer, ended) in said {
        let there = ledger.contains_key(transfer);
        match ended {
            Ended::Committed => ensure!(there, "{transfer:?} was committed and is not there"),
            Ended::Aborted => ensure!(!there, "{transfer:?} was aborted and is there"),
            Ended::Unknown => {}
        }
    }
    Ok(())
}

/// Records in each partition of a pipeline's input.
fn input_each() -> usize {
    (transactions() * TURN).div_ceil(PARTITIONS.unsigned_abs() as usize)
}

/// What goes into the pipeline, or comes out of it: values in order, by partition.
type Values = BTreeMap<i32, Vec<String>>;

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_writes_each_record_once() {
    let libraries = Library::all();
    if !libraries.contains(&Library::ConfluentKafka) {
        return;
    }
    let seed = parts::seed(6);
    println!("THALWEG_TEST_SEED={seed}");
    let running = libraries.into_iter().map(|library| {
        // A broker for each: they would wait for each other's kills.
        let rng = Rng::from_seed(seed.wrapping_add(library as u64));
        on_each(vec![Place::Directory], &[], async move |stand| {
            pipe(stand, library, &rng).await.with_context(|| format!("{library:?}"))
        })
    });
    futures::future::join_all(running).await;
}

async fn pipe(stand: &mut Stand, library: Library, rng: &Rng) -> anyhow::Result<()> {
    let input = fill(stand).await?;
    let address = stand.address()?;
    let runs = std::thread::spawn({
        let (address, rng) = (address.clone(), Rng::from_seed(rng.u64()));
        let log = stand.settings.folder.join("pipeline.log");
        move || run_pipeline(library, &address, &log, &rng)
    });
    let mut killed = 0;
    while killed < kills() {
        clock::sleep(Duration::from_millis(1000 + rng.below(1500))).await;
        if runs.is_finished() {
            break;
        }
        stand.stop(false)?;
        stand.start().await?;
        killed += 1;
    }
    // Others run in the same task.
    while !runs.is_finished() {
        clock::sleep(Duration::from_millis(20)).await;
    }
    let starts = runs.join().expect("the pipeline's thread does not panic")?;
    let output = values(&lines(&address, "out", "read_committed")?)?;
    ensure!(output == input, "{} records came out", output.values().flatten().count());
    let all = values(&lines(&address, "out", "read_uncommitted")?)?;
    let (seen, kept) = (all.values().flatten().count(), output.values().flatten().count());
    println!(
        "{library:?}: {starts} starts, {killed} kills, {seen} records written, {kept} committed"
    );
    ensure!(seen > kept, "nothing that was aborted is in the log: the test shows nothing");
    ensure!(killed > 0 && starts > 1, "nothing was killed: the test shows nothing");
    Ok(())
}

async fn fill(stand: &Stand) -> anyhow::Result<Values> {
    let mut input = Values::new();
    for name in ["in", "out"] {
        let topic = NewTopic {
            name: name.to_owned(),
            partitions: Some(PARTITIONS),
            replication_factor: Some(1),
            configs: Vec::new(),
        };
        stand.client.create_topic(&topic).await?;
    }
    for partition in 0..PARTITIONS {
        let values: Vec<String> =
            (0..input_each()).map(|number| format!("{partition}/{number}")).collect();
        for some in values.chunks(20) {
            let records: Vec<Record> = some.iter().map(|value| record(value)).collect();
            let how = (Compression::None, Acks::All);
            stand.client.produce("in", partition, &records, how).await?;
        }
        input.insert(partition, values.iter().map(|value| format!("done {value}")).collect());
    }
    Ok(input)
}

/// Starts the pipeline until it ends by itself; some starts are killed on the way. Gives how many it took.
fn run_pipeline(library: Library, address: &str, log: &Path, rng: &Rng) -> anyhow::Result<usize> {
    let count = (input_each() * usize::try_from(PARTITIONS)?).to_string();
    for start in 1..=10 * kills() {
        let mut command = library.command("pipeline");
        command.args([address, &rng.below(1 << 30).to_string(), &count]);
        let said = File::options().create(true).append(true).open(log)?;
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said).spawn()?;
        let life = if start <= kills() && start % 2 == 1 {
            Duration::from_millis(1000 + rng.below(1500))
        } else {
            // librdkafka has been seen to wait without end, with no request under way, for a coordinator that had gone
            // away: whoever runs a pipeline replaces one that stands still.
            Duration::from_secs(20)
        };
        if lives(&mut child, life)? {
            return Ok(start);
        }
    }
    bail!("the pipeline did not end: {}", std::fs::read_to_string(log)?)
}

/// Lets a process run for `life` at most, then kills it. True: it ended by itself, and well.
fn lives(child: &mut Child, life: Duration) -> anyhow::Result<bool> {
    let pause = Duration::from_millis(50);
    for _ in 0..life.as_millis() / pause.as_millis() {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        std::thread::sleep(pause);
    }
    child.kill()?;
    child.wait()?;
    Ok(false)
}

fn values(lines: &str) -> anyhow::Result<Values> {
    let mut values = Values::new();
    for line in lines.lines() {
        let fields: Vec<&str> = line.splitn(4, ' ').collect();
        let [partition, _, _, value] = fields.as_slice() else { bail!("a line of {fields:?}") };
        values.entry(partition.parse()?).or_default().push((*value).to_owned());
    }
    Ok(values)
}
