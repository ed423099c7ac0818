//! `thalweg consume`: records of a topic, from anywhere to anywhere.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::pin::pin;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context as _;

use super::encode::JsonRecord;
use super::progress::Progress;
use super::target::Target;
use super::time::{self, Moment};
use crate::base::offset::Offset;
use crate::client::wire::{At, Client, Limits};
use crate::client::{Code, Received};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The topic.
    topic: String,
    /// Where to begin: start, end, an offset, -N for the last N of each partition, or @TIME.
    #[arg(short, long, value_name = "WHERE", default_value = "start", allow_hyphen_values = true)]
    from: Place,
    /// Where to stop: end (what is there now), an offset that is not read any more, or @TIME. Otherwise it goes on.
    #[arg(short, long, value_name = "WHERE", allow_hyphen_values = true)]
    until: Option<Place>,
    /// Stop after so many records.
    #[arg(short = 'n', long, value_name = "RECORDS")]
    count: Option<u64>,
    /// Only these partitions, with commas between.
    #[arg(short, long, value_name = "N", value_delimiter = ',')]
    partition: Vec<i32>,
    /// Show keys before values.
    #[arg(short, long)]
    keys: bool,
    /// Show headers before values.
    #[arg(short = 'H', long)]
    headers: bool,
    /// Show partition and offset before values.
    #[arg(short, long)]
    offsets: bool,
    /// Show timestamps before values.
    #[arg(short, long)]
    timestamps: bool,
    /// Leave out what transactions aborted or have not committed.
    #[arg(long)]
    committed: bool,
    /// Write to this file rather than to standard output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    target: Target,
}

/// A place in every partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    End,
    Offset(Offset),
    /// So many before the end.
    Last(i64),
    Time(Moment),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "start" | "beginning" | "earliest" => return Ok(Self::Start),
            "end" | "latest" => return Ok(Self::End),
            _ => {}
        }
        if let Some(time) = text.strip_prefix('@') {
            return time.parse().map(Self::Time);
        }
        match text.parse::<i64>() {
            Ok(number) if text.starts_with('-') => Ok(Self::Last(-number)),
            Ok(number) => Ok(Self::Offset(Offset(number))),
            Err(_) => Err(format!("`{text}` is none of start, end, an offset, -N, @TIME")),
        }
    }
}

/// How long a broker may wait for records before it answers with none.
const WAIT: Duration = Duration::from_millis(500);

/// The most bytes of one partition in one answer.
const PARTITION_BYTES: i32 = 4 << 20;

impl Args {
    pub(super) fn run(self) -> anyhow::Result<()> {
        super::block_on(self.consume())
    }

    async fn consume(&self) -> anyhow::Result<()> {
        let mut interrupted = pin!(tokio::signal::ctrl_c());
        let reader = tokio::select! {
            biased;
            _ = &mut interrupted => return Ok(()),
            reader = self.reader() => reader,
        };
        let mut reader = reader?;
        let result = tokio::select! {
            biased;
            _ = &mut interrupted => Ok(()),
            result = reader.read() => result,
        };
        reader.out.flush()?;
        reader.progress.finish();
        result
    }

    async fn reader(&self) -> anyhow::Result<Reader<'_>> {
        let client = self.target.connect().await?;
        let topic = client.topic(&self.topic, false).await;
        let topic = topic.with_context(|| format!("cannot read topic {}", self.topic))?;
        let all = topic.partitions.iter().map(|partition| partition.index);
        let partitions: Vec<i32> =
            if self.partition.is_empty() { all.collect() } else { self.partition.clone() };
        let positions = self.place(&client, &partitions, self.from).await?;
        let stops = match self.until {
            Some(until) => Some(self.place(&client, &partitions, until).await?),
            None => None,
        };
        let out: Box<dyn Write> = match &self.output {
            Some(path) => {
                Box::new(std::fs::File::create(path).with_context(|| path.display().to_string())?)
            }
            None => Box::new(std::io::stdout().lock()),
        };
        Ok(Reader {
            args: self,
            client,
            positions,
            stops,
            left: self.count,
            out: BufWriter::with_capacity(1 << 16, out),
            progress: Progress::new(self.output.is_some()),
        })
    }

    /// The offset of `place` in each partition, between its start and its end.
    async fn place(
        &self,
        client: &Client,
        partitions: &[i32],
        place: Place,
    ) -> anyhow::Result<BTreeMap<i32, Offset>> {
        let at = async |at| client.offsets(&self.topic, partitions, at).await;
        Ok(match place {
            Place::Start => at(At::Start).await?,
            Place::End => at(At::End).await?,
            Place::Time(moment) => at(At::Time(moment.0)).await?,
            Place::Offset(offset) => partitions.iter().map(|index| (*index, offset)).collect(),
            Place::Last(records) => {
                let starts = at(At::Start).await?;
                let back = |(index, end): (i32, Offset)| {
                    (index, (end + -records).max(starts.get(&index).copied().unwrap_or_default()))
                };
                at(At::End).await?.into_iter().map(back).collect()
            }
        })
    }
}

/// Goes through partitions and prints their records.
struct Reader<'a> {
    args: &'a Args,
    client: Client,
    positions: BTreeMap<i32, Offset>,
    stops: Option<BTreeMap<i32, Offset>>,
    left: Option<u64>,
    out: BufWriter<Box<dyn Write + 'a>>,
    progress: Progress,
}

impl Reader<'_> {
    async fn read(&mut self) -> anyhow::Result<()> {
        let limits = Limits {
            wait: WAIT,
            partition_bytes: PARTITION_BYTES,
            read_committed: self.args.committed,
        };
        loop {
            self.drop_finished();
            if self.positions.is_empty() || self.left == Some(0) {
                return Ok(());
            }
            let fetched = match self.client.fetch(&self.args.topic, &self.positions, limits).await {
                Err(error) if error.code() == Some(Code::OFFSET_OUT_OF_RANGE) => {
                    self.skip_what_is_gone().await?;
                    continue;
                }
                other => other?,
            };
            for one in fetched {
                one.records.iter().try_for_each(|received| self.print(received))?;
                self.positions.insert(one.partition, one.next);
            }
            self.out.flush()?;
            self.progress.draw();
        }
    }

    /// Takes leave of partitions that were read to where they should be.
    fn drop_finished(&mut self) {
        if let Some(stops) = &self.stops {
            self.positions.retain(|index, next| stops.get(index).is_some_and(|stop| *next < *stop));
        }
    }

    /// Goes on at the start where records were deleted before they were read, and says so.
    async fn skip_what_is_gone(&mut self) -> anyhow::Result<()> {
        let partitions: Vec<i32> = self.positions.keys().copied().collect();
        let starts = self.client.offsets(&self.args.topic, &partitions, At::Start).await?;
        let ends = self.client.offsets(&self.args.topic, &partitions, At::End).await?;
        for (index, next) in &mut self.positions {
            let (start, end) = (starts[index], ends[index]);
            if *next > end {
                anyhow::bail!("offset {next} of partition {index} is past its end, {end}");
            }
            if *next < start {
                eprintln!("partition {index} starts at offset {start} by now; {next} is gone");
                *next = start;
            }
        }
        Ok(())
    }

    fn print(&mut self, received: &Received) -> anyhow::Result<()> {
        let stop = self.stops.as_ref().and_then(|stops| stops.get(&received.partition));
        if self.left == Some(0) || stop.is_some_and(|stop| received.offset >= *stop) {
            return Ok(());
        }
        self.left = self.left.map(|left| left - 1);
        self.progress.add(received.record.bytes());
        if self.args.target.json {
            let record = JsonRecord::of(&self.args.topic, received);
            serde_json::to_writer(&mut self.out, &record)?;
            return Ok(self.out.write_all(b"\n")?);
        }
        let (args, record) = (self.args, &received.record);
        let out = &mut self.out;
        if args.timestamps {
            write!(out, "{}\t", time::show(record.timestamp))?;
        }
        if args.offsets {
            write!(out, "{}:{}\t", received.partition, received.offset)?;
        }
        if args.headers {
            let header = |(name, value): &(bytes::Bytes, Option<bytes::Bytes>)| {
                let value = value.as_deref().map(String::from_utf8_lossy);
                format!("{}={}", String::from_utf8_lossy(name), value.unwrap_or_default())
            };
            let all: Vec<String> = record.headers.iter().map(header).collect();
            write!(out, "{}\t", all.join(","))?;
        }
        if args.keys {
            out.write_all(record.key.as_deref().unwrap_or_default())?;
            out.write_all(b"\t")?;
        }
        out.write_all(record.value.as_deref().unwrap_or_default())?;
        Ok(out.write_all(b"\n")?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;

    #[test]
    fn places_are_read() {
        let check = |text: &str, place| assert_eq!(text.parse(), Ok(place), "{text}");
        check("start", Place::Start);
        check("latest", Place::End);
        check("42", Place::Offset(Offset(42)));
        check("-3", Place::Last(3));
        check("@1000", Place::Time(Moment(Timestamp(1000))));
        assert!("soon".parse::<Place>().is_err());
    }
}
