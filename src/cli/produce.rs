//! `thalweg produce`: lines of files or of standard input become records.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use clap::ValueEnum;
use serde_json::json;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Split};

use super::encode::JsonRecord;
use super::output::{self, count};
use super::progress::Progress;
use super::settings::pair;
use super::target::Target;
use super::time::Moment;
use crate::base::clock::{self, Clock as _, SystemClock};
use crate::client::Record;
use crate::client::wire::{Acks, Producer, Written, partition_of};
use crate::record::Compression;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The topic.
    topic: String,
    /// Files to read; none, or -, is standard input.
    files: Vec<PathBuf>,
    /// What the input is.
    #[arg(short, long, value_enum, default_value_t = Format::Lines)]
    format: Format,
    /// The key of every record.
    #[arg(short, long)]
    key: Option<String>,
    /// What stands between key and value in a line, such as : or \t
    #[arg(short = 'K', long, value_name = "TEXT", conflicts_with = "key")]
    key_separator: Option<String>,
    /// A header of every record. May be given many times.
    #[arg(short = 'H', long = "header", value_name = "NAME=VALUE", value_parser = pair)]
    headers: Vec<(String, String)>,
    /// Write an empty value as none: a tombstone.
    #[arg(short = 'Z', long)]
    null: bool,
    /// The partition of every record; otherwise keys say it, as in Kafka's own clients.
    #[arg(short, long)]
    partition: Option<i32>,
    /// The time of every record, such as 2026-11-23T06:00:00Z [default: now]
    #[arg(short, long, value_name = "TIME", allow_hyphen_values = true)]
    timestamp: Option<Moment>,
    /// The codec of batches.
    #[arg(short = 'z', long, value_enum, default_value_t = Codec::None)]
    compression: Codec,
    /// When a write is done: never waited for, when the leader has it, or when it is durable.
    #[arg(long, value_enum, default_value_t = AcksArg::All)]
    acks: AcksArg,
    /// The most bytes of one batch.
    #[arg(long, value_name = "BYTES", default_value_t = 900_000)]
    batch_bytes: usize,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A record a line.
    Lines,
    /// A record a file, whatever is in it.
    Files,
    /// A JSON object a line, as `thalweg consume --json` prints them.
    Json,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Codec {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum AcksArg {
    #[value(name = "0")]
    None,
    #[value(name = "1")]
    Leader,
    All,
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<()> {
        super::block_on(async { self.produce().await })
    }

    async fn produce(self) -> anyhow::Result<()> {
        let client = self.target.connect().await?;
        let topic = client.topic(&self.topic, true).await;
        let topic = topic.with_context(|| format!("cannot write to topic {}", self.topic))?;
        let partitions = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        let how = (self.compression.into(), self.acks.into());
        let producer = Producer::new(&client, &self.topic, how).await;
        let producer = producer.with_context(|| format!("cannot write to topic {}", self.topic))?;
        let mut writer = Writer {
            args: &self,
            producer,
            partitions,
            keyless: 0,
            open: BTreeMap::new(),
            progress: Progress::new(true),
        };
        let stdin = [PathBuf::from("-")];
        for path in if self.files.is_empty() { &stdin[..] } else { &self.files } {
            writer.file(path).await.with_context(|| format!("input {}", path.display()))?;
        }
        writer.flush().await?;
        let Writer { producer, progress, .. } = writer;
        let written = producer.finish().await;
        progress.clear();
        let written = written.with_context(|| self.failure())?;
        self.report(&progress, &written)
    }

    fn failure(&self) -> String {
        format!("cannot write to topic {}", self.topic)
    }

    fn report(&self, progress: &Progress, written: &BTreeMap<i32, Written>) -> anyhow::Result<()> {
        let Progress { records, bytes, .. } = *progress;
        if self.target.json {
            let partitions = written.iter().map(|(partition, (first, last))| {
                json!({"partition": partition, "first_offset": first.0, "last_offset": last.0})
            });
            let partitions: Vec<_> = partitions.collect();
            return output::json(&json!({
                "topic": self.topic, "records": records, "bytes": bytes, "partitions": partitions,
            }));
        }
        let mut line = format!("{} to {}", count(records, "record"), self.topic);
        for (partition, (first, last)) in written.iter().take(8) {
            let range = if first == last { first.to_string() } else { format!("{first}-{last}") };
            line.push_str(&format!("; partition {partition}: {range}"));
        }
        if written.len() > 8 {
            line.push_str(&format!("; and {} more partitions", written.len() - 8));
        }
        eprintln!("{line}");
        Ok(())
    }

    /// The text between key and value, with `\t` and `\n` understood.
    fn separator(&self) -> Option<String> {
        let plain = |text: &String| text.replace("\\t", "\t").replace("\\n", "\n");
        self.key_separator.as_ref().map(plain)
    }

    fn record(&self, key: Option<Bytes>, value: Bytes) -> Record {
        let fixed = || self.key.clone().map(Bytes::from);
        let header = |(name, value): &(String, String)| {
            (Bytes::from(name.clone()), Some(Bytes::from(value.clone())))
        };
        Record {
            timestamp: self.timestamp.map_or_else(|| SystemClock.now(), |moment| moment.0),
            key: key.or_else(fixed),
            value: Some(value).filter(|value| !self.null || !value.is_empty()),
            headers: self.headers.iter().map(header).collect(),
        }
    }
}

/// How long a record waits for company when the input pauses.
const LINGER: Duration = Duration::from_millis(20);

/// Collects records into a batch for each partition, and sends those that are full.
struct Writer<'a> {
    args: &'a Args,
    producer: Producer,
    partitions: i32,
    /// Where records without a key go; the next partition after each batch.
    keyless: i32,
    open: BTreeMap<i32, (Vec<Record>, usize)>,
    progress: Progress,
}

impl Writer<'_> {
    async fn file(&mut self, path: &PathBuf) -> anyhow::Result<()> {
        let input: Box<dyn AsyncBufRead + Unpin> = if path.as_os_str() == "-" {
            Box::new(BufReader::new(tokio::io::stdin()))
        } else {
            Box::new(BufReader::with_capacity(1 << 18, tokio::fs::File::open(path).await?))
        };
        match self.args.format {
            Format::Lines => self.lines(input).await,
            Format::Json => self.objects(input).await,
            Format::Files => self.whole(input).await,
        }
    }

    async fn lines(&mut self, input: impl AsyncBufRead + Unpin) -> anyhow::Result<()> {
        let separator = self.args.separator();
        let (mut number, mut lines) = (0, input.split(b'\n'));
        while let Some(line) = self.next_line(&mut lines).await? {
            number += 1;
            let record = match &separator {
                None => self.args.record(None, line),
                Some(separator) => {
                    let at = find(&line, separator.as_bytes());
                    let at = at.with_context(|| format!("line {number} has no `{separator}`"))?;
                    let key = line.slice(..at);
                    self.args.record(Some(key), line.slice(at + separator.len()..))
                }
            };
            self.add(record, self.args.partition).await?;
        }
        Ok(())
    }

    async fn objects(&mut self, input: impl AsyncBufRead + Unpin) -> anyhow::Result<()> {
        let (mut number, mut lines) = (0, input.split(b'\n'));
        while let Some(line) = self.next_line(&mut lines).await? {
            number += 1;
            let object: JsonRecord =
                serde_json::from_slice(&line).with_context(|| format!("line {number}"))?;
            let partition = self.args.partition.or(object.partition);
            let record = object.into_record(SystemClock.now());
            self.add(record.with_context(|| format!("line {number}"))?, partition).await?;
        }
        Ok(())
    }

    async fn whole(&mut self, mut input: impl AsyncBufRead + Unpin) -> anyhow::Result<()> {
        let mut value = Vec::new();
        input.read_to_end(&mut value).await?;
        self.add(self.args.record(None, Bytes::from(value)), self.args.partition).await
    }

    async fn add(&mut self, record: Record, partition: Option<i32>) -> anyhow::Result<()> {
        let by_key = || record.key.as_ref().map(|key| partition_of(key, self.partitions));
        let partition = partition.or_else(by_key).unwrap_or(self.keyless);
        let bytes = record.bytes();
        let held = self.open.get(&partition).map_or(0, |(_, held)| *held);
        if held > 0 && held + bytes > self.args.batch_bytes {
            self.send(partition).await?;
        }
        let (records, held) = self.open.entry(partition).or_default();
        *held += bytes;
        records.push(record);
        self.progress.add(bytes);
        self.progress.draw();
        Ok(())
    }

    /// The next line. Meanwhile, what waited for company long enough is sent, so that somebody who types sees it go.
    async fn next_line<R: AsyncBufRead + Unpin>(
        &mut self,
        lines: &mut Split<R>,
    ) -> anyhow::Result<Option<Bytes>> {
        loop {
            tokio::select! {
                biased;
                line = lines.next_segment() => return Ok(line?.map(Bytes::from)),
                () = clock::sleep(LINGER), if !self.open.is_empty() => self.flush().await?,
            }
        }
    }

    async fn flush(&mut self) -> anyhow::Result<()> {
        let open: Vec<i32> = self.open.keys().copied().collect();
        for partition in open {
            self.send(partition).await?;
        }
        Ok(())
    }

    async fn send(&mut self, partition: i32) -> anyhow::Result<()> {
        let Some((records, _)) = self.open.remove(&partition) else { return Ok(()) };
        let sent = self.producer.send(partition, &records).await;
        sent.with_context(|| self.args.failure())?;
        if partition == self.keyless {
            self.keyless = (self.keyless + 1) % self.partitions;
        }
        Ok(())
    }
}

fn find(line: &[u8], separator: &[u8]) -> Option<usize> {
    line.windows(separator.len().max(1)).position(|window| window == separator)
}

impl From<Codec> for Compression {
    fn from(codec: Codec) -> Self {
        match codec {
            Codec::None => Self::None,
            Codec::Gzip => Self::Gzip,
            Codec::Snappy => Self::Snappy,
            Codec::Lz4 => Self::Lz4,
            Codec::Zstd => Self::Zstd,
        }
    }
}

impl From<AcksArg> for Acks {
    fn from(acks: AcksArg) -> Self {
        match acks {
            AcksArg::None => Self::None,
            AcksArg::Leader => Self::Leader,
            AcksArg::All => Self::All,
        }
    }
}
