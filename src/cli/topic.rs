//! `thalweg topic`: create, list, describe, change and delete topics.

use std::collections::BTreeMap;

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::json;

use super::output::{self, Table, count};
use super::settings::pair;
use super::target::Target;
use crate::base::offset::Offset;
use crate::client::Code;
use crate::client::wire::{At, Client, ConfigEntry, ConfigSource, NewTopic, Topic};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create a topic.
    Create(Create),
    /// List topics.
    #[command(visible_alias = "ls")]
    List(List),
    /// Show a topic's partitions, offsets and configs.
    Describe(Describe),
    /// Delete topics and everything in them.
    #[command(visible_alias = "rm")]
    Delete(Delete),
    /// Change a topic's configs, or give it more partitions.
    Alter(Alter),
}

#[derive(Debug, clap::Args)]
pub(super) struct Create {
    /// The topic's name.
    topic: String,
    /// Its partitions [default: the broker's num.partitions]
    #[arg(short, long)]
    partitions: Option<i32>,
    /// Its replication factor [default: the broker's default.replication.factor]
    #[arg(short, long)]
    replication_factor: Option<i16>,
    /// A config, such as retention.ms=3600000. May be given many times.
    #[arg(short, long = "config", value_name = "KEY=VALUE", value_parser = pair)]
    configs: Vec<(String, String)>,
    /// Be content when the topic is there already.
    #[arg(long)]
    if_not_exists: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Show the brokers' own topics too.
    #[arg(short, long)]
    all: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
pub(super) struct Describe {
    /// The topic's name.
    topic: String,
    /// Show all configs, also those that have their defaults.
    #[arg(short, long)]
    all: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
pub(super) struct Delete {
    /// The topics' names.
    #[arg(required = true)]
    topics: Vec<String>,
    /// Be content when a topic is not there.
    #[arg(long)]
    if_exists: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
pub(super) struct Alter {
    /// The topic's name.
    topic: String,
    /// Partitions in all; there can only be more.
    #[arg(short, long)]
    partitions: Option<i32>,
    /// A config to set, such as retention.ms=3600000. May be given many times.
    #[arg(short, long = "config", value_name = "KEY=VALUE", value_parser = pair)]
    configs: Vec<(String, String)>,
    /// A config that gets its default back. May be given many times.
    #[arg(short, long = "unset", value_name = "KEY")]
    unset: Vec<String>,
    #[command(flatten)]
    target: Target,
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<()> {
        super::block_on(async {
            match self {
                Self::Create(args) => args.run().await,
                Self::List(args) => args.run().await,
                Self::Describe(args) => args.run().await,
                Self::Delete(args) => args.run().await,
                Self::Alter(args) => args.run().await,
            }
        })
    }
}

impl Create {
    async fn run(self) -> anyhow::Result<()> {
        let client = self.target.connect().await?;
        let new = NewTopic {
            name: self.topic.clone(),
            partitions: self.partitions,
            replication_factor: self.replication_factor,
            configs: self.configs,
        };
        let created = match client.create_topic(&new).await {
            Err(error)
                if self.if_not_exists && error.code() == Some(Code::TOPIC_ALREADY_EXISTS) =>
            {
                false
            }
            result => {
                result.with_context(|| format!("cannot create topic {}", self.topic))?;
                true
            }
        };
        // A broker need not have heard of a topic that was just created, but says how many partitions it gave it.
        let topic = client.topic(&self.topic, true).await?;
        let partitions = topic.partitions.len();
        if self.target.json {
            return output::json(&json!({
                "topic": topic.name, "id": topic.id.to_string(), "partitions": partitions, "created": created,
            }));
        }
        let verb = if created { "created" } else { "already there:" };
        output::text(&format!("{verb} {} with {}\n", topic.name, count(partitions, "partition")))
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let metadata = self.target.connect().await?.metadata().await?;
        let topics: Vec<&Topic> =
            metadata.topics.iter().filter(|topic| self.all || !topic.is_internal).collect();
        if self.target.json {
            let all = topics.iter().map(|topic| {
                json!({
                    "topic": topic.name, "id": topic.id.to_string(), "internal": topic.is_internal,
                    "partitions": topic.partitions.len(), "replication_factor": replicas(topic),
                })
            });
            return output::json(&all.collect::<Vec<_>>());
        }
        if topics.is_empty() {
            eprintln!("there are no topics");
            return Ok(());
        }
        let mut table = Table::new(&["topic", "partitions", "replicas"]);
        for topic in topics {
            let partitions = topic.partitions.len().to_string();
            table.row(vec![topic.name.clone(), partitions, replicas(topic).to_string()]);
        }
        output::text(&table.lines(""))
    }
}

fn replicas(topic: &Topic) -> usize {
    topic.partitions.first().map_or(0, |partition| partition.replicas.len())
}

impl Describe {
    async fn run(self) -> anyhow::Result<()> {
        let client = self.target.connect().await?;
        let topic = client.topic(&self.topic, false).await;
        let topic = topic.with_context(|| format!("cannot describe topic {}", self.topic))?;
        let (starts, ends) = ends(&client, &topic).await?;
        let configs: Vec<ConfigEntry> = client
            .topic_configs(&topic.name)
            .await?
            .into_iter()
            .filter(|config| self.all || config.source == ConfigSource::Topic)
            .collect();
        if self.target.json {
            return describe_json(&topic, &starts, &ends, &configs);
        }
        let mut out = format!("topic       {}\nid          {}\n", topic.name, topic.id);
        out.push_str(&format!("partitions  {}\n\n", topic.partitions.len()));
        let headings = ["partition", "leader", "epoch", "replicas", "in sync", "start", "end"];
        let mut table = Table::new(&headings);
        let offset = |of: &BTreeMap<i32, Offset>, index| {
            of.get(&index).map_or_else(|| "-".to_owned(), ToString::to_string)
        };
        for one in &topic.partitions {
            table.row(vec![
                one.index.to_string(),
                one.leader.map_or_else(|| "none".to_owned(), |id| id.to_string()),
                one.leader_epoch.to_string(),
                ids(&one.replicas),
                ids(&one.in_sync),
                offset(&starts, one.index),
                offset(&ends, one.index),
            ]);
        }
        out.push_str(&table.lines(""));
        if !configs.is_empty() {
            let mut table = Table::new(&["config", "value", "said by"]);
            for one in configs {
                let value = one.value.unwrap_or_else(|| "(hidden)".to_owned());
                table.row(vec![one.name, value, said_by(one.source).to_owned()]);
            }
            out.push_str(&format!("\n{}", table.lines("")));
        }
        output::text(&out)
    }
}

/// Where the partitions start and end, of those that have a leader.
async fn ends(
    client: &Client,
    topic: &Topic,
) -> anyhow::Result<(BTreeMap<i32, Offset>, BTreeMap<i32, Offset>)> {
    let led = topic.partitions.iter().filter(|partition| partition.leader.is_some());
    let led: Vec<i32> = led.map(|partition| partition.index).collect();
    let starts = client.offsets(&topic.name, &led, At::Start).await?;
    Ok((starts, client.offsets(&topic.name, &led, At::End).await?))
}

fn describe_json(
    topic: &Topic,
    starts: &BTreeMap<i32, Offset>,
    ends: &BTreeMap<i32, Offset>,
    configs: &[ConfigEntry],
) -> anyhow::Result<()> {
    let partitions = topic.partitions.iter().map(|one| {
        json!({
            "partition": one.index, "leader": one.leader, "leader_epoch": one.leader_epoch,
            "replicas": one.replicas, "in_sync": one.in_sync,
            "start_offset": starts.get(&one.index).map(|offset| offset.0),
            "end_offset": ends.get(&one.index).map(|offset| offset.0),
        })
    });
    let configs = configs.iter().map(|one| {
        json!({"name": one.name, "value": one.value, "said_by": said_by(one.source), "doc": one.documentation})
    });
    output::json(&json!({
        "topic": topic.name,
        "id": topic.id.to_string(),
        "internal": topic.is_internal,
        "partitions": partitions.collect::<Vec<_>>(),
        "configs": configs.collect::<Vec<_>>(),
    }))
}

fn ids(ids: &[i32]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn said_by(source: ConfigSource) -> &'static str {
    match source {
        ConfigSource::Topic => "topic",
        ConfigSource::Broker => "broker",
        ConfigSource::Default => "default",
    }
}

impl Delete {
    async fn run(self) -> anyhow::Result<()> {
        let client = self.target.connect().await?;
        let mut deleted = Vec::new();
        for topic in &self.topics {
            match client.delete_topic(topic).await {
                Err(error) if self.if_exists && error.code() == Some(Code::UNKNOWN_TOPIC) => {}
                result => {
                    result.with_context(|| format!("cannot delete topic {topic}"))?;
                    deleted.push(topic);
                }
            }
            if !self.target.json && deleted.last() == Some(&topic) {
                output::text(&format!("deleted {topic}\n"))?;
            }
        }
        if self.target.json { output::json(&json!({ "deleted": deleted })) } else { Ok(()) }
    }
}

impl Alter {
    async fn run(self) -> anyhow::Result<()> {
        let Self { topic, partitions, configs, unset, target } = self;
        if partitions.is_none() && configs.is_empty() && unset.is_empty() {
            anyhow::bail!("say what to change: --config KEY=VALUE, --unset KEY, or --partitions N");
        }
        let client = target.connect().await?;
        let failed = || format!("cannot change topic {topic}");
        if !configs.is_empty() || !unset.is_empty() {
            client.alter_topic_configs(&topic, &configs, &unset).await.with_context(failed)?;
        }
        if let Some(partitions) = partitions {
            client.create_partitions(&topic, partitions).await.with_context(failed)?;
        }
        if target.json {
            return output::json(&json!({ "topic": topic, "changed": true }));
        }
        output::text(&format!("changed {topic}\n"))
    }
}
