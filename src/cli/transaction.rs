//! `thalweg transaction`: list and describe transactions, find those that hang, and abort them.

use std::collections::BTreeMap;

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::{Value, json};

use super::output::{self, Table};
use super::target::Target;
use super::time;
use crate::base::clock::{Clock as _, SystemClock};
use crate::client::Code;
use crate::client::wire::{Client, DescribedTransaction, OpenTransaction};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List transactional ids.
    #[command(visible_alias = "ls")]
    List(List),
    /// Show where a transactional id stands.
    Describe(Describe),
    /// Find transactions that are open in a partition though no coordinator will end them.
    FindHanging(FindHanging),
    /// Abort an open transaction in one partition. Shows what it would do, unless --execute is given.
    Abort(Abort),
}

#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Only those in this state, such as Ongoing or CompleteCommit. May be given many times.
    #[arg(short, long = "state", value_name = "STATE", value_parser = state)]
    states: Vec<String>,
    #[command(flatten)]
    target: Target,
}

/// The states of transactions, by Kafka's names.
const STATES: [&str; 8] = [
    "Empty",
    "Ongoing",
    "PrepareCommit",
    "PrepareAbort",
    "CompleteCommit",
    "CompleteAbort",
    "PrepareEpochFence",
    "Dead",
];

/// A state however its letters are written: a broker lists nothing of a name that is none.
fn state(text: &str) -> Result<String, String> {
    let found = STATES.into_iter().find(|name| name.eq_ignore_ascii_case(text));
    found.map(str::to_owned).ok_or_else(|| format!("it is one of {}", STATES.join(", ")))
}

#[derive(Debug, clap::Args)]
pub(super) struct Describe {
    /// The transactional id.
    id: String,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
pub(super) struct FindHanging {
    /// Only in these topics [default: all]
    topics: Vec<String>,
    /// Only those whose producer has written nothing for so many minutes.
    #[arg(long, value_name = "MINUTES", default_value_t = 15)]
    older_than: u64,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
pub(super) struct Abort {
    /// The topic.
    topic: String,
    /// The partition.
    #[arg(short, long)]
    partition: i32,
    /// The offset at which the transaction begins, as find-hanging shows it.
    #[arg(short, long, value_name = "OFFSET")]
    start_offset: i64,
    /// Do it.
    #[arg(long)]
    execute: bool,
    #[command(flatten)]
    target: Target,
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<()> {
        super::block_on(async {
            match self {
                Self::List(args) => args.run().await,
                Self::Describe(args) => args.run().await,
                Self::FindHanging(args) => args.run().await,
                Self::Abort(args) => args.run().await,
            }
        })
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let client = self.target.connect().await?;
        let all = client.transactions(&self.states).await.context("cannot list transactions")?;
        if self.target.json {
            let all = all.iter().map(|one| {
                json!({
                    "transactional_id": one.id, "coordinator": one.coordinator,
                    "producer_id": one.producer_id, "state": one.state,
                })
            });
            return output::json(&all.collect::<Vec<_>>());
        }
        if all.is_empty() {
            eprintln!("there are no transactional ids");
            return Ok(());
        }
        let mut table = Table::new(&["transactional id", "coordinator", "producer id", "state"]);
        for one in all {
            let (coordinator, producer) =
                (one.coordinator.to_string(), one.producer_id.to_string());
            table.row(vec![one.id, coordinator, producer, one.state]);
        }
        output::text(&table.lines(""))
    }
}

impl Describe {
    async fn run(self) -> anyhow::Result<()> {
        let client = self.target.connect().await?;
        let one = client.transaction(&self.id).await;
        let one = one.with_context(|| format!("cannot describe transactional id {}", self.id))?;
        if self.target.json {
            return output::json(&json!({
                "transactional_id": one.id, "producer_id": one.producer_id,
                "producer_epoch": one.producer_epoch, "state": one.state,
                "timeout_ms": one.timeout_ms, "start_ms": one.start.map(|start| start.0),
                "partitions": one.partitions,
            }));
        }
        let start = one.start.map_or_else(|| "-".to_owned(), time::show);
        let mut out = format!("transactional id  {}\nstate             {}\n", one.id, one.state);
        out.push_str(&format!(
            "producer          {} in epoch {}\n",
            one.producer_id, one.producer_epoch
        ));
        out.push_str(&format!(
            "timeout           {} ms\nbegan             {start}\n",
            one.timeout_ms
        ));
        if !one.partitions.is_empty() {
            let mut table = Table::new(&["topic", "partitions"]);
            for (topic, partitions) in one.partitions {
                let partitions = partitions.iter().map(ToString::to_string).collect::<Vec<_>>();
                table.row(vec![topic, partitions.join(",")]);
            }
            out.push_str(&format!("\n{}", table.lines("")));
        }
        output::text(&out)
    }
}

/// Why a transaction will not end by itself.
#[derive(Debug, Clone, Copy)]
enum Why {
    /// Nobody coordinates its producer.
    NoCoordinator,
    /// Its coordinator does not know that it is open in the partition.
    NotInTransaction,
}

impl Why {
    fn text(self) -> &'static str {
        match self {
            Self::NoCoordinator => "no transactional id has this producer",
            Self::NotInTransaction => "the transaction does not have this partition",
        }
    }
}

impl FindHanging {
    async fn run(self) -> anyhow::Result<()> {
        let client = self.target.connect().await?;
        let now = SystemClock.now();
        let idle_ms = i64::try_from(self.older_than.saturating_mul(60_000)).unwrap_or(i64::MAX);
        let metadata = client.metadata().await?;
        let mut open = Vec::new();
        for topic in &metadata.topics {
            if self.topics.is_empty() || self.topics.contains(&topic.name) {
                open.extend(client.open_transactions(topic).await?);
            }
        }
        open.retain(|one| one.last_write.0 <= now.0.saturating_sub(idle_ms));
        let hanging = hanging(&client, open).await?;
        if self.target.json {
            return output::json(&hanging.iter().map(as_json).collect::<Vec<_>>());
        }
        if hanging.is_empty() {
            eprintln!("no transaction hangs");
            return Ok(());
        }
        let headings =
            ["topic", "partition", "start offset", "producer id", "epoch", "last write", "why"];
        let mut table = Table::new(&headings);
        for (one, why) in hanging {
            table.row(vec![
                one.topic,
                one.partition.to_string(),
                one.start_offset.to_string(),
                one.producer_id.to_string(),
                one.producer_epoch.to_string(),
                time::show(one.last_write),
                why.text().to_owned(),
            ]);
        }
        output::text(&table.lines(""))
    }
}

fn as_json((one, why): &(OpenTransaction, Why)) -> Value {
    json!({
        "topic": one.topic, "partition": one.partition, "start_offset": one.start_offset.0,
        "producer_id": one.producer_id, "producer_epoch": one.producer_epoch,
        "coordinator_epoch": one.coordinator_epoch, "last_write_ms": one.last_write.0,
        "why": why.text(),
    })
}

/// Those that no coordinator will end.
async fn hanging(
    client: &Client,
    open: Vec<OpenTransaction>,
) -> anyhow::Result<Vec<(OpenTransaction, Why)>> {
    if open.is_empty() {
        return Ok(Vec::new());
    }
    let listed = client.transactions(&[]).await?;
    let ids: BTreeMap<i64, String> =
        listed.into_iter().map(|one| (one.producer_id, one.id)).collect();
    let mut found = Vec::new();
    for one in open {
        let Some(id) = ids.get(&one.producer_id) else {
            found.push((one, Why::NoCoordinator));
            continue;
        };
        match client.transaction(id).await {
            Ok(known) if covers(&known, &one) => {}
            Ok(_) => found.push((one, Why::NotInTransaction)),
            // It went after it was listed.
            Err(error) if error.code() == Some(Code::TRANSACTIONAL_ID_NOT_FOUND) => {
                found.push((one, Why::NoCoordinator));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

fn covers(known: &DescribedTransaction, open: &OpenTransaction) -> bool {
    let partitions = known.partitions.get(&open.topic);
    partitions.is_some_and(|partitions| partitions.contains(&open.partition))
}

impl Abort {
    async fn run(self) -> anyhow::Result<()> {
        let client = self.target.connect().await?;
        let failed = || format!("cannot find topic {}", self.topic);
        let topic = client.topic(&self.topic, false).await.with_context(failed)?;
        let open = client.open_transactions(&topic).await?;
        let begins_there = |one: &OpenTransaction| {
            one.partition == self.partition && one.start_offset.0 == self.start_offset
        };
        let found = open.into_iter().find(begins_there).with_context(|| {
            format!(
                "no open transaction of {}-{} begins at offset {}",
                self.topic, self.partition, self.start_offset
            )
        })?;
        let producer = format!("producer {} in epoch {}", found.producer_id, found.producer_epoch);
        if self.execute {
            client.abort_in_partition(&found).await.context("cannot abort the transaction")?;
        }
        if self.target.json {
            return output::json(&json!({
                "topic": found.topic, "partition": found.partition,
                "producer_id": found.producer_id, "aborted": self.execute,
            }));
        }
        let said = if self.execute { "aborted" } else { "would abort (--execute does it)" };
        output::text(&format!("{said}: the transaction of {producer}\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_known_by_name() {
        assert_eq!(state("ongoing").as_deref(), Ok("Ongoing"));
        assert!(state("open").is_err_and(|why| why.contains("CompleteAbort")));
    }
}
