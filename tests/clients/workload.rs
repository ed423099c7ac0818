//! What is written: drawn from a seed, handed to client programs as files, and expected back line for line.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use sha2::{Digest as _, Sha256};
use thalweg::base::rng::Rng;

/// Compression of batches, by the names that every client gives them.
pub(crate) const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

/// What a topic of records over the clients' stock limit allows.
const LARGE_MESSAGE_BYTES: u32 = 12 << 20;

/// Ends the names of topics of records over the clients' stock limit.
const LARGE: &str = "-large";

/// Whether a topic is one of those.
pub(crate) fn is_large(topic: &str) -> bool {
    topic.ends_with(LARGE)
}

/// What a producer can express.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expressible {
    /// Header values that are null rather than empty.
    pub(crate) null_headers: bool,
    /// Records that have neither key nor value.
    pub(crate) null_records: bool,
    /// The record's time; otherwise the client stamps its own.
    pub(crate) timestamps: bool,
}

/// One record as it is to be written.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) partition: i32,
    /// Absent where the client stamps its own.
    pub(crate) timestamp: Option<i64>,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
}

/// One topic, and everything that is to be in it.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) codec: &'static str,
    pub(crate) partitions: i32,
    /// `max.message.bytes` of the topic and of its producer; absent where stock limits hold.
    pub(crate) message_bytes_max: Option<u32>,
    pub(crate) records: Vec<Record>,
}

impl Topic {
    /// Writes the records as `path`, and their values one after another as `path.values`.
    pub(crate) fn write_files(&self, folder: &Path) -> io::Result<PathBuf> {
        let path = folder.join(&self.name);
        let (mut lines, mut values) = (String::new(), Vec::new());
        for record in &self.records {
            let value =
                record.value.as_ref().map(|value| format!("{}+{}", values.len(), value.len()));
            values.extend_from_slice(record.value.as_deref().unwrap_or_default());
            let timestamp = record.timestamp.unwrap_or(-1);
            let _ =
                write!(lines, "{} {timestamp} {}", record.partition, text(record.key.as_deref()));
            let _ = write!(lines, " {}", value.as_deref().unwrap_or("-"));
            for (name, content) in &record.headers {
                let _ = write!(lines, " {name}={}", text(content.as_deref()));
            }
            lines.push('\n');
        }
        fs::write(&path, lines)?;
        fs::write(folder.join(format!("{}.values", self.name)), values)?;
        Ok(path)
    }

    /// What every reader must see of it, by partition, in order.
    pub(crate) fn expected(&self) -> BTreeMap<i32, Vec<Expected>> {
        let mut expected: BTreeMap<i32, Vec<Expected>> = BTreeMap::new();
        for record in &self.records {
            let partition = expected.entry(record.partition).or_default();
            partition.push(Expected::new(&self.name, partition.len(), record));
        }
        expected
    }
}

/// A record that a reader must see, in the canonical form around its time.
#[derive(Debug)]
pub(crate) struct Expected {
    before: String,
    pub(crate) timestamp: Option<i64>,
    after: String,
    exact_headers: String,
    kcat_headers: String,
}

impl Expected {
    fn new(topic: &str, offset: usize, record: &Record) -> Self {
        let partition = record.partition;
        let key = hexadecimal(record.key.as_deref());
        let value = record.value.as_deref().map_or_else(|| "null".to_owned(), described);
        let headers = record.headers.iter();
        let exact = headers
            .map(|(name, content)| format!("[\"{name}\",{}]", hexadecimal(content.as_deref())));
        Self {
            before: format!(
                r#"{{"topic":"{topic}","partition":{partition},"offset":{offset},"timestamp":"#
            ),
            timestamp: record.timestamp,
            after: format!(r#","key":{key},"value":{value},"headers":"#),
            exact_headers: format!("[{}]", exact.collect::<Vec<_>>().join(",")),
            kcat_headers: hexadecimal(Some(&kcat_headers(record))),
        }
    }

    /// The line, for a record that was written at `timestamp`; kcat prints headers as one text.
    pub(crate) fn line(&self, timestamp: i64, as_kcat: bool) -> String {
        let headers = if as_kcat { &self.kcat_headers } else { &self.exact_headers };
        format!("{}{timestamp}{}{headers}}}", self.before, self.after)
    }
}

/// Headers as kcat's `%h` shows them: values end at their first NUL byte, and null is a word.
fn kcat_headers(record: &Record) -> Vec<u8> {
    let mut shown = Vec::new();
    for (index, (name, content)) in record.headers.iter().enumerate() {
        shown.extend_from_slice(if index == 0 { b"" } else { b"," });
        shown.extend_from_slice(name.as_bytes());
        shown.push(b'=');
        let content = content.as_deref().unwrap_or(b"NULL");
        shown.extend(content.iter().take_while(|byte| **byte != 0));
    }
    shown
}

/// The canonical form of a value.
pub(crate) fn described(value: &[u8]) -> String {
    let sum = Sha256::digest(value);
    format!(r#"{{"bytes":{},"sha256":{}}}"#, value.len(), hexadecimal(Some(&sum)))
}

/// The canonical form of a key or a header's value.
pub(crate) fn hexadecimal(content: Option<&[u8]>) -> String {
    content.map_or_else(|| "null".to_owned(), |content| format!("\"{}\"", digits(content)))
}

/// A key or a header's value in the records file: `-` is null, `x` and hexadecimal digits are bytes.
fn text(content: Option<&[u8]>) -> String {
    content.map_or_else(|| "-".to_owned(), |content| format!("x{}", digits(content)))
}

fn digits(content: &[u8]) -> String {
    content.iter().fold(String::with_capacity(2 * content.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Draws the topics of one producer: for each codec one within stock limits, and one of records up to 10 MiB.
#[derive(Debug)]
pub(crate) struct Draw {
    pub(crate) rng: Rng,
    /// The first record's time; others follow by a millisecond each.
    pub(crate) first_timestamp: i64,
    pub(crate) can: Expressible,
}

impl Draw {
    /// `turn` differs by producer, so that each meets other pairs of codec and partition count.
    pub(crate) fn topics(&self, prefix: &str, turn: usize) -> Vec<Topic> {
        let partitions = [1, 3, 8, 16, 64];
        let mut topics = Vec::new();
        for (index, codec) in CODECS.into_iter().enumerate() {
            let partitions = partitions[(index + turn) % partitions.len()];
            topics.push(Topic {
                name: format!("{prefix}-{codec}"),
                codec,
                partitions,
                message_bytes_max: None,
                records: self.stock_records(partitions),
            });
            topics.push(Topic {
                name: format!("{prefix}-{codec}{LARGE}"),
                codec,
                partitions: 2,
                message_bytes_max: Some(LARGE_MESSAGE_BYTES),
                records: self.large_records(),
            });
        }
        topics
    }

    fn stock_records(&self, partitions: i32) -> Vec<Record> {
        let lengths =
            [1, 2, 15, 16, 17, 100, 1000, 1024, 4095, 4096, 4097, 16384, 65536, 300_000, 900_000];
        let few = (0..185).map(|_| 1 << self.rng.below(13));
        let records = lengths.into_iter().chain(few).enumerate();
        records.map(|(index, length)| self.record(index, partitions, length)).collect()
    }

    fn large_records(&self) -> Vec<Record> {
        let lengths = [1 << 20, 1, 10 << 20];
        let records = lengths.into_iter().enumerate();
        records
            .map(|(index, length)| Record { headers: Vec::new(), ..self.record(index, 2, length) })
            .collect()
    }

    fn record(&self, index: usize, partitions: i32, length: usize) -> Record {
        let drawn = i32::try_from(self.rng.below(64)).expect("below 64");
        let key = match self.rng.below(10) {
            0..2 => None,
            2 => Some(Vec::new()),
            3 => Some(self.bytes(20)),
            _ => Some(format!("key-{}", self.rng.below(50)).into_bytes()),
        };
        // Lengths that matter are kept; of the others some values are null or empty.
        let value = match self.rng.below(10) {
            0 if length < 100 && (key.is_some() || self.can.null_records) => None,
            1 if length < 100 => Some(Vec::new()),
            _ => Some(self.value(length)),
        };
        let time = self.first_timestamp + i64::try_from(index).expect("few records");
        let timestamp = self.can.timestamps.then_some(time);
        Record { partition: drawn % partitions, timestamp, key, value, headers: self.headers() }
    }

    fn headers(&self) -> Vec<(String, Option<Vec<u8>>)> {
        let mut headers = Vec::new();
        let mut push = |name: &str, content| headers.push((name.to_owned(), content));
        match self.rng.below(8) {
            0 => push("trace", Some(self.bytes(16))),
            1 => push("empty", Some(Vec::new())),
            2 if self.can.null_headers => push("null", None),
            3 => {
                push("twice", Some(b"first".to_vec()));
                push("twice", Some(b"second".to_vec()));
                push("größe", Some("übergroß".as_bytes().to_vec()));
            }
            4 => push("long", Some(vec![b'h'; 3000])),
            _ => {}
        }
        headers
    }

    /// Half noise, half text: no codec finds it empty or incompressible.
    fn value(&self, length: usize) -> Vec<u8> {
        let mut value = self.bytes(length / 2);
        let line = format!("order {} of one customer; ", self.rng.below(1000));
        value.extend(line.bytes().cycle().take(length - length / 2));
        value
    }

    fn bytes(&self, length: usize) -> Vec<u8> {
        let words = std::iter::repeat_with(|| self.rng.u64().to_le_bytes());
        words.take(length.div_ceil(8)).flatten().take(length).collect()
    }
}
