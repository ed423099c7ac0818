//! kcat, which is a program of its own: a run of it writes records that share a partition and headers, or reads a topic.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context as _, bail, ensure};

use crate::workload::{Record, Topic, described, hexadecimal};

/// Ends a key and a record on kcat's input, and the headers on its output; drawn bytes do not contain them.
const KEY_END: &str = "<-key|";
const RECORD_END: &str = "<-record|";

/// What the records of one run share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Plain,
    Headers,
    Nulls,
}

/// Rearranges the records so that few runs of kcat write them, in the order in which they will lie.
pub(crate) fn arrange(topic: &mut Topic) {
    let last = topic.partitions - 1;
    let partitions = [0, last / 2, last];
    for (index, record) in topic.records.iter_mut().enumerate() {
        record.partition = partitions[index % partitions.len()];
        record.headers = match kind(record, index) {
            Kind::Headers => vec![
                ("trace".to_owned(), Some(b"0af7651916cd43dd".to_vec())),
                ("größe".to_owned(), Some("übergroß".as_bytes().to_vec())),
            ],
            Kind::Plain | Kind::Nulls => Vec::new(),
        };
        // kcat passes over a record without any byte, and where it makes empty values null, so it does with keys.
        let without_key = record.key.as_ref().is_none_or(Vec::is_empty);
        if without_key && record.value.as_ref().is_none_or(Vec::is_empty) {
            record.key = Some(b"alone".to_vec());
        }
    }
    topic.records.sort_by_key(|record| (record.partition, kind_of(record)));
}

fn kind(record: &Record, index: usize) -> Kind {
    match &record.value {
        None => Kind::Nulls,
        Some(_) if index.is_multiple_of(4) => Kind::Headers,
        Some(_) => Kind::Plain,
    }
}

fn kind_of(record: &Record) -> Kind {
    match &record.value {
        None => Kind::Nulls,
        Some(_) if record.headers.is_empty() => Kind::Plain,
        Some(_) => Kind::Headers,
    }
}

/// Writes a topic that [`arrange`] has seen.
pub(crate) fn produce(address: &str, topic: &Topic) -> anyhow::Result<()> {
    let mut runs: BTreeMap<(i32, Kind), Vec<&Record>> = BTreeMap::new();
    for record in &topic.records {
        runs.entry((record.partition, kind_of(record))).or_default().push(record);
    }
    for ((partition, kind), records) in runs {
        let mut command = Command::new("kcat");
        command.args(["-P", "-q", "-b", address, "-t", &topic.name, "-p", &partition.to_string()]);
        command.args(["-z", topic.codec, "-K", KEY_END, "-D", RECORD_END]);
        command.args(["-X", "enable.idempotence=true"]);
        if let Some(bytes) = topic.message_bytes_max {
            command.args(["-X", &format!("message.max.bytes={bytes}")]);
        }
        if kind == Kind::Nulls {
            command.arg("-Z");
        }
        for (name, content) in &records[0].headers {
            let content = String::from_utf8_lossy(content.as_deref().unwrap_or_default());
            command.args(["-H", &format!("{name}={content}")]);
        }
        feed(command, input(&records))?;
    }
    Ok(())
}

fn input(records: &[&Record]) -> Vec<u8> {
    let mut input = Vec::new();
    for record in records {
        if let Some(key) = &record.key {
            input.extend_from_slice(key);
            input.extend_from_slice(KEY_END.as_bytes());
        }
        input.extend_from_slice(record.value.as_deref().unwrap_or_default());
        input.extend_from_slice(RECORD_END.as_bytes());
    }
    input
}

fn feed(mut command: Command, input: Vec<u8>) -> anyhow::Result<()> {
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().context("could not start kcat")?;
    let mut stdin = child.stdin.take().expect("piped above");
    // Fed from a thread, so that neither side can wait for the other with a full pipe.
    let feeder = thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output()?;
    let fed = feeder.join().expect("the feeder does not panic");
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}: {said}", output.status);
    fed.context("kcat stopped reading")
}

/// Reads topics at once, a kcat each, and gives canonical lines; headers are one text, as kcat prints them.
pub(crate) fn consume(address: &str, topics: &[String]) -> anyhow::Result<Vec<String>> {
    let mut readers = Vec::new();
    for topic in topics {
        let (address, topic) = (address.to_owned(), topic.clone());
        readers.push(thread::spawn(move || consume_one(&address, &topic)));
    }
    let mut lines = Vec::new();
    for reader in readers {
        lines.extend(reader.join().expect("the reader does not panic")?);
    }
    Ok(lines)
}

fn consume_one(address: &str, topic: &str) -> anyhow::Result<Vec<String>> {
    // Lengths come before what they measure; only headers have none, and so end by a mark.
    let format = format!("%p %o %T %K %S %k%s%h{RECORD_END}");
    let mut command = Command::new("kcat");
    command.args(["-C", "-q", "-e", "-b", address, "-t", topic, "-o", "beginning", "-f", &format]);
    let output = command.stdin(Stdio::null()).output().context("could not start kcat")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}: {said}", output.status);
    let mut rest = output.stdout.as_slice();
    let mut lines = Vec::new();
    while !rest.is_empty() {
        lines.push(take_record(topic, &mut rest)?);
    }
    Ok(lines)
}

fn take_record(topic: &str, rest: &mut &[u8]) -> anyhow::Result<String> {
    let partition = take_number(rest)?;
    let offset = take_number(rest)?;
    let timestamp = take_number(rest)?;
    let (key_bytes, value_bytes) = (take_number(rest)?, take_number(rest)?);
    let key = take_bytes(rest, key_bytes)?;
    let value = take_bytes(rest, value_bytes)?;
    let end = rest.windows(RECORD_END.len()).position(|window| window == RECORD_END.as_bytes());
    let headers = &rest[..end.context("a record without its end")?];
    *rest = &rest[headers.len() + RECORD_END.len()..];
    let value = value.map_or_else(|| "null".to_owned(), described);
    let (key, headers) = (hexadecimal(key), hexadecimal(Some(headers)));
    Ok(format!(
        r#"{{"topic":"{topic}","partition":{partition},"offset":{offset},"timestamp":{timestamp},"key":{key},"value":{value},"headers":{headers}}}"#
    ))
}

fn take_number(rest: &mut &[u8]) -> anyhow::Result<i64> {
    let Some(end) = rest.iter().take(24).position(|byte| *byte == b' ') else {
        bail!("no number at {:?}", String::from_utf8_lossy(&rest[..rest.len().min(40)]));
    };
    let number = str::from_utf8(&rest[..end])?.parse()?;
    *rest = &rest[end + 1..];
    Ok(number)
}

/// A length of -1 is null.
fn take_bytes<'a>(rest: &mut &'a [u8], length: i64) -> anyhow::Result<Option<&'a [u8]>> {
    let Ok(length) = usize::try_from(length) else { return Ok(None) };
    ensure!(rest.len() >= length, "a record of {length} bytes ends after {}", rest.len());
    let (taken, after) = rest.split_at(length);
    *rest = after;
    Ok(Some(taken))
}
