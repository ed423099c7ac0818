//! Transactions of a real client under `kill -9` of the broker and of the client: whole or not at all, read committed.
//!
//! `python/transfers.py` moves amounts between partitions and says of each transfer how it ended; `python/ledger.py` reads
//! what is there. Both use confluent-kafka.

use std::collections::BTreeMap;
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

use crate::parts;
use crate::place::{Place, Stand, on_each};
use crate::produce_fetch::record;

const TOPIC: &str = "accounts";
const PARTITIONS: i32 = 4;
const WRITERS: usize = 2;
/// Transfers of one writer between two kills of it.
const TRANSFERS: usize = 25;

/// Where a client's program is, if its packages are installed.
fn python() -> Option<PathBuf> {
    let python = parts::folder().join("python/bin/python");
    if python.exists() || parts::are_demanded() {
        return Some(python);
    }
    println!("skipped: {} is absent; ./test installs it", python.display());
    None
}

fn program(python: &Path, name: &str) -> Command {
    let mut command = Command::new(python);
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
    python: PathBuf,
    address: String,
    log: PathBuf,
    rng: Rng,
}

impl Writer {
    fn start(&self, first: usize) -> anyhow::Result<(Child, BufReader<ChildStdout>)> {
        let mut command = program(&self.python, "transfers.py");
        command.args([&self.address, &self.id, &self.rng.below(1 << 30).to_string()]);
        command.args([first.to_string(), TRANSFERS.to_string()]);
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn()?;
        let output = child.stdout.take().context("piped above")?;
        Ok((child, BufReader::new(output)))
    }

    /// Runs `rounds` of processes, of which all but the last are killed somewhere in the middle.
    fn run(self, rounds: usize) -> anyhow::Result<Said> {
        let mut said = Said::new();
        for round in 0..rounds {
            let first = round * TRANSFERS;
            let is_last = round + 1 == rounds;
            // The last one also says `end`.
            let until = if is_last { TRANSFERS + 1 } else { 1 + self.below(TRANSFERS - 1) };
            let (mut child, output) = self.start(first)?;
            // What it was at when it was killed, or had not begun.
            for number in first..first + TRANSFERS {
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
    let Some(python) = python() else { return };
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
        for index in 0..WRITERS {
            let writer = Writer {
                id: format!("writer{index}"),
                python: python.clone(),
                address: address.clone(),
                log: stand.settings.folder.join(format!("writer{index}.log")),
                rng: Rng::from_seed(rng.u64()),
            };
            writers.push(std::thread::spawn(move || writer.run(4)));
        }
        kill_while_they_write(stand, &writers, &rng).await?;
        let mut said = Said::new();
        for writer in writers {
            said.extend(writer.join().expect("a writer does not panic")?);
        }
        let ledger = read(&python, &stand.address()?, "read_committed")?;
        check(&said, &ledger)?;
        let all = read(&python, &stand.address()?, "read_uncommitted")?;
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
    for _ in 0..4 {
        clock::sleep(Duration::from_millis(1500 + rng.below(2000))).await;
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
fn lines(python: &Path, (address, topic, isolation): (&str, &str, &str)) -> anyhow::Result<String> {
    let mut command = program(python, "ledger.py");
    let output = command.args([address, topic, isolation]).stdin(Stdio::null()).output()?;
    let text = String::from_utf8(output.stdout)?;
    let whole = output.status.success() && text.ends_with("end\n");
    ensure!(whole, "ledger.py failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(text.trim_end_matches("end\n").to_owned())
}

fn read(python: &Path, address: &str, isolation: &str) -> anyhow::Result<Ledger> {
    let mut ledger = Ledger::new();
    for line in lines(python, (address, TOPIC, isolation))?.lines() {
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

const INPUT_EACH: usize = 300;

/// What goes into the pipeline, or comes out of it: values in order, by partition.
type Values = BTreeMap<i32, Vec<String>>;

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_writes_each_record_once() {
    let Some(python) = python() else { return };
    let seed = parts::seed(6);
    println!("THALWEG_TEST_SEED={seed}");
    on_each(vec![Place::Directory], &[], async |stand| {
        let input = fill(stand).await?;
        let rng = Rng::from_seed(seed);
        let address = stand.address()?;
        let log = stand.settings.folder.join("pipeline.log");
        let runs = std::thread::spawn({
            let (python, rng) = (python.clone(), Rng::from_seed(rng.u64()));
            move || run_pipeline(&python, &address, &log, &rng)
        });
        for _ in 0..3 {
            clock::sleep(Duration::from_millis(2000 + rng.below(3000))).await;
            if runs.is_finished() {
                break;
            }
            stand.stop(false)?;
            stand.start().await?;
        }
        let starts = runs.join().expect("the pipeline's thread does not panic")?;
        let output = values(&lines(&python, (&stand.address()?, "out", "read_committed"))?)?;
        ensure!(output == input, "{} records came out", output.values().flatten().count());
        let all = values(&lines(&python, (&stand.address()?, "out", "read_uncommitted"))?)?;
        let (seen, kept) = (all.values().flatten().count(), output.values().flatten().count());
        println!("{starts} starts, {seen} records written, {kept} committed");
        ensure!(seen > kept, "nothing that was aborted is in the log: the test shows nothing");
        Ok(())
    })
    .await;
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
            (0..INPUT_EACH).map(|number| format!("{partition}/{number}")).collect();
        for some in values.chunks(20) {
            let records: Vec<Record> = some.iter().map(|value| record(value)).collect();
            let how = (Compression::None, Acks::All);
            stand.client.produce("in", partition, &records, how).await?;
        }
        input.insert(partition, values.iter().map(|value| format!("done {value}")).collect());
    }
    Ok(input)
}

/// Starts the pipeline until it ends by itself; every other start is killed on the way. Gives how many it took.
fn run_pipeline(python: &Path, address: &str, log: &Path, rng: &Rng) -> anyhow::Result<usize> {
    let count = (INPUT_EACH * usize::try_from(PARTITIONS)?).to_string();
    for start in 1..=40 {
        let mut command = program(python, "pipeline.py");
        command.args([address, &rng.below(1 << 30).to_string(), &count]);
        let said = File::options().create(true).append(true).open(log)?;
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said).spawn()?;
        let life = if start <= 4 && start % 2 == 1 {
            Duration::from_millis(1000 + rng.below(2500))
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
