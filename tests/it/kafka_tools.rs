//! What Apache Kafka's own tools print about groups, offsets and transactions here is what they print about Kafka.
//!
//! `tools/kafka-4.3.1.txt` is a transcript: commands, and what they printed against Apache Kafka 4.3.1 on the same records.
//! Addresses, times and ids differ by nature and are replaced on both sides; lines are compared sorted, as tools list groups
//! and partitions in no order. All run in one process, `tools/Tools.java`.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::{env, fs};

use anyhow::{Context as _, ensure};
use thalweg::client::wire::{Acks, NewTopic};
use thalweg::record::Compression;

use crate::java::java;
use crate::parts;
use crate::place::{Place, Stand, on_each};
use crate::produce_fetch::records;

/// The packages of the tools that the transcript names without theirs.
const PACKAGES: [(&str, &str); 2] = [
    ("ConsumerGroupCommand", "org.apache.kafka.tools.consumer.group."),
    ("GetOffsetShell", "org.apache.kafka.tools."),
];

/// The folder of Kafka's jars, if they are installed.
pub(crate) fn jars() -> Option<PathBuf> {
    let jars = parts::folder().join("kafka/lib");
    let is_there = jars.exists() && parts::folder().join("tools/classes").exists();
    if is_there || parts::are_demanded() {
        return Some(jars);
    }
    println!("skipped: {} is absent; ./test installs it", jars.display());
    None
}

/// The process of all tools; dropped, it is killed.
struct Tools {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    address: String,
}

impl Drop for Tools {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Tools {
    fn start(jars: &Path, address: String) -> anyhow::Result<Self> {
        let classes = parts::folder().join("tools/classes");
        let mut child = java(&format!("{}:{}/*", classes.display(), jars.display()))
            .args(["-Xmx256m", "Tools"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let input = child.stdin.take().context("piped above")?;
        let output = BufReader::new(child.stdout.take().context("piped above")?);
        Ok(Self { child, input, output, address })
    }

    /// Runs one command of the transcript; gives what was printed up to its status.
    fn run(&mut self, command: &str) -> anyhow::Result<String> {
        let (name, rest) = command.split_once(' ').context("a command has arguments")?;
        let address = &self.address;
        let is_tool = name.starts_with(char::is_uppercase);
        let known = PACKAGES.iter().find(|(tool, _)| *tool == name);
        let package = known.map_or("org.apache.kafka.tools.", |(_, package)| package);
        if is_tool {
            writeln!(self.input, "{package}{name} --bootstrap-server {address} {rest}")?;
        } else {
            writeln!(self.input, "{name} {address} {rest}")?;
        }
        let mut said = String::new();
        while !said.lines().next_back().is_some_and(|line| line.starts_with("done ")) {
            let bytes = self.output.read_line(&mut said)?;
            ensure!(bytes > 0, "the tools ended in {command}: {said}");
        }
        Ok(said)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kafkas_tools_print_what_they_print_of_kafka() {
    let Some(jars) = jars() else { return };
    let place =
        if env::var_os("THALWEG_TEST_BOOTSTRAP").is_some() { Place::Named } else { Place::Memory };
    on_each(vec![place], &[("group.initial.rebalance.delay.ms", "100")], async |stand| {
        fill(stand).await?;
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/tools/kafka-4.3.1.txt");
        let transcript = fs::read_to_string(path)?;
        let mut tools = Tools::start(&jars, stand.address()?)?;
        let mut differences = String::new();
        for part in transcript.split("$ ").skip(1) {
            let (command, expected) = part.split_once('\n').context("a command is a line")?;
            let (expected, said) = (normal(expected), normal(&tools.run(command)?));
            if expected != said {
                let _ = writeln!(differences, "$ {command}\n{expected}\n-- but here\n{said}");
            }
        }
        ensure!(differences.is_empty(), "{differences}");
        Ok(())
    })
    .await;
}

/// Seven records and four of `tooled`, and an empty topic for transactions.
async fn fill(stand: &Stand) -> anyhow::Result<()> {
    for (name, partitions) in [("tooled", 2), ("opened", 1)] {
        let topic = NewTopic {
            name: name.to_owned(),
            partitions: Some(partitions),
            replication_factor: Some(1),
            configs: Vec::new(),
        };
        stand.client.create_topic(&topic).await?;
    }
    for (partition, count) in [(0, 7), (1, 4)] {
        let mut records = records(count);
        // The greatest timestamp is the first record's too.
        let first = records[0].timestamp;
        records.iter_mut().for_each(|record| record.timestamp = first);
        let how = (Compression::None, Acks::All);
        stand.client.produce("tooled", partition, &records, how).await?;
    }
    Ok(())
}

/// What a tool printed without what differs by nature.
fn normal(said: &str) -> String {
    let is_said = |line: &&str| {
        // Where an error was thrown in the tool is not the broker's.
        !["\tat ", "Caused by:", "java.util.concurrent.", "SLF4J", "Tools$"]
            .iter()
            .any(|noise| line.starts_with(noise))
    };
    let mut lines: Vec<String> = said.lines().filter(is_said).map(normal_line).collect();
    lines.retain(|line| !line.is_empty());
    lines.sort();
    lines.join("\n")
}

fn normal_line(line: &str) -> String {
    let mut words: Vec<&str> = Vec::new();
    for word in line.split_whitespace() {
        let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
        let is_duration = is_number && words.last() == Some(&"TIME") && words.contains(&"Ongoing");
        words.push(match word {
            _ if word.starts_with("reader-") => "MEMBER",
            // A member of the newer protocol: sixteen bytes in base64.
            _ if word.len() == 22 && !word.contains(':') && words.len() == 1 => "MEMBER",
            _ if word.starts_with("127.0.0.1:") || word.starts_with("localhost:") => "ADDRESS",
            _ if is_number && word.len() == 13 => "TIME",
            _ if is_duration => "DURATION",
            _ => word,
        });
    }
    words.join(" ")
}
