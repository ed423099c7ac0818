//! `thalweg manifest`: which object holds which offsets. Reads the store beside a running broker, and never writes to it.

use std::sync::Arc;

use clap::Subcommand;
use serde_json::{Value, json};

use super::output::{self, Table, count, size};
use super::place::Place;
use super::time;
use crate::base::clock::SystemClock;
use crate::base::ids::{ChainId, SlotId, TopicId};
use crate::base::rng::Rng;
use crate::manifest::chain::{Chain, Phase};
use crate::manifest::partition::Partition;
use crate::manifest::state::{State, Topic};
use crate::manifest::store::{Options, read_state};
use crate::object::keys;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show brokers, chains and topics.
    Show {
        #[command(flatten)]
        place: Place,
    },
    /// Show a topic's partitions, and where their records lie.
    Topic {
        /// The topic's name.
        topic: String,
        /// Show every run of batches, with its object.
        #[arg(short, long)]
        runs: bool,
        #[command(flatten)]
        place: Place,
    },
}

/// The cluster's name and its manifest.
async fn read(place: &Place) -> anyhow::Result<(String, State)> {
    let (store, cluster) = place.open().await?;
    let options = Options {
        raw: store.raw(),
        path: keys::meta(&cluster),
        locality: store.locality(),
        if_match: false,
        clock: Arc::new(SystemClock),
        rng: Rng::from_os(),
    };
    match Box::pin(read_state(&options)).await {
        Ok(state) => Ok((cluster, state)),
        // A listing decides nothing here but what is said.
        Err(_) if store.list(&options.path).await.is_ok_and(|found| found.is_empty()) => {
            anyhow::bail!(
                "no cluster {cluster} is here: say where it lies with --data-dir or --store, and its name with --set cluster.id=NAME"
            )
        }
        Err(error) => Err(error.into()),
    }
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<()> {
        super::block_on(async {
            match self {
                Self::Show { place } => {
                    let (cluster, state) = read(&place).await?;
                    if place.json {
                        return output::json(&state_json(&cluster, &state));
                    }
                    output::text(&state_text(&cluster, &state))
                }
                Self::Topic { topic, runs, place } => {
                    let (_, state) = read(&place).await?;
                    let found =
                        state.names.get(&topic).and_then(|id| Some((id, state.topics.get(id)?)));
                    let Some((id, found)) = found else {
                        anyhow::bail!("the manifest has no topic {topic}");
                    };
                    if place.json {
                        return output::json(&topic_json(*id, found, runs));
                    }
                    output::text(&topic_text(*id, found, runs))
                }
            }
        })
    }
}

fn phase(chain: &Chain) -> &'static str {
    match chain.phase {
        Phase::Open => "open",
        Phase::Fencing => "fencing",
        Phase::Sealed(_) => "sealed",
    }
}

fn slot(slot: Option<SlotId>) -> String {
    slot.map_or_else(|| "-".to_owned(), |slot| slot.to_string())
}

fn chain(chain: Option<ChainId>) -> String {
    chain.map_or_else(|| "-".to_owned(), |chain| chain.to_string())
}

fn records(topic: &Topic) -> i64 {
    topic.partitions.iter().map(|partition| partition.end - partition.log_start).sum()
}

fn bytes(topic: &Topic) -> u64 {
    topic.partitions.iter().map(|partition| partition.bytes).sum()
}

fn state_text(cluster: &str, state: &State) -> String {
    let mut out = format!("cluster      {cluster}\n");
    let term = &state.term;
    out.push_str(&format!("coordinator  broker {}, term {}\n", term.broker, term.term));
    for (id, broker) in &state.brokers {
        let listeners = broker.listeners.iter();
        let at: Vec<String> =
            listeners.map(|(name, at)| format!("{name}://{}:{}", at.host, at.port)).collect();
        out.push_str(&format!("broker {id:<5} chain {}, {}\n", broker.chain, at.join(", ")));
    }
    if !state.deletions.is_empty() {
        out.push_str(&format!("to delete    {}\n", count(state.deletions.len(), "range of slots")));
    }
    let mut table =
        Table::new(&["chain", "broker", "phase", "committed", "trimmed", "end", "slots"]);
    for (id, one) in &state.chains {
        table.row(vec![
            id.to_string(),
            one.broker.to_string(),
            phase(one).to_owned(),
            slot(one.committed()),
            slot(one.trimmed()),
            slot(one.sealed_at()),
            one.live.len().to_string(),
        ]);
    }
    out.push_str(&format!("\n{}", table.lines("")));
    let mut table = Table::new(&["topic", "partitions", "offsets", "size", "id"]);
    for (id, topic) in &state.topics {
        table.row(vec![
            topic.name.clone(),
            topic.partitions.len().to_string(),
            records(topic).to_string(),
            size(bytes(topic)),
            id.to_string(),
        ]);
    }
    out.push_str(&format!("\n{}", table.lines("")));
    out
}

fn state_json(cluster: &str, state: &State) -> Value {
    let brokers = state.brokers.iter().map(|(id, broker)| {
        json!({
            "broker": id.0, "incarnation": broker.incarnation.to_string(), "chain": broker.chain.0,
            "rack": broker.rack,
        })
    });
    let chains = state.chains.iter().map(|(id, one)| {
        json!({
            "chain": id.0, "broker": one.broker.0, "phase": phase(one),
            "committed": one.committed().map(|slot| slot.0),
            "trimmed": one.trimmed().map(|slot| slot.0),
            "end": one.sealed_at().map(|slot| slot.0), "slots": one.live.len(),
        })
    });
    let topics = state.topics.iter().map(|(id, topic)| {
        json!({
            "topic": topic.name, "id": id.to_string(), "partitions": topic.partitions.len(),
            "offsets": records(topic), "bytes": bytes(topic),
        })
    });
    json!({
        "cluster": cluster,
        "term": state.term.term,
        "coordinator": state.term.broker.0,
        "brokers": brokers.collect::<Vec<_>>(),
        "chains": chains.collect::<Vec<_>>(),
        "topics": topics.collect::<Vec<_>>(),
        "deletions": state.deletions.len(),
    })
}

fn topic_text(id: TopicId, topic: &Topic, runs: bool) -> String {
    let mut out = format!("topic    {}\nid       {id}\n", topic.name);
    for (name, value) in &topic.configs {
        out.push_str(&format!("config   {name}={value}\n"));
    }
    let headings = ["partition", "chain", "epoch", "start", "end", "runs", "size", "state"];
    let mut table = Table::new(&headings);
    for (index, one) in topic.partitions.iter().enumerate() {
        table.row(vec![
            index.to_string(),
            chain(one.lease),
            one.leader_epoch.to_string(),
            one.log_start.to_string(),
            one.end.to_string(),
            one.runs.len().to_string(),
            size(one.bytes),
            if one.offline.is_some() { "offline" } else { "fine" }.to_owned(),
        ]);
    }
    out.push_str(&format!("\n{}", table.lines("")));
    if runs {
        out.push_str(&format!("\n{}", run_table(&topic.partitions)));
    }
    out
}

fn run_table(partitions: &[Partition]) -> String {
    let headings = ["partition", "offsets", "chain", "slot", "position", "bytes", "newest"];
    let mut table = Table::new(&headings);
    for (index, partition) in partitions.iter().enumerate() {
        for run in partition.runs.iter() {
            table.row(vec![
                index.to_string(),
                format!("{}..{}", run.base_offset, run.end_offset),
                run.place.chain.to_string(),
                run.place.slot.to_string(),
                run.position.to_string(),
                run.bytes.to_string(),
                time::show(run.max_timestamp),
            ]);
        }
    }
    table.lines("")
}

fn topic_json(id: TopicId, topic: &Topic, runs: bool) -> Value {
    let run = |run: &crate::manifest::partition::Run| {
        json!({
            "base_offset": run.base_offset.0, "end_offset": run.end_offset.0,
            "chain": run.place.chain.0, "slot": run.place.slot.0,
            "position": run.position, "bytes": run.bytes, "max_timestamp": run.max_timestamp.0,
        })
    };
    let partitions = topic.partitions.iter().enumerate().map(|(index, one)| {
        let mut shown = json!({
            "partition": index, "chain": one.lease.map(|chain| chain.0),
            "leader_epoch": one.leader_epoch.0, "log_start_offset": one.log_start.0,
            "end_offset": one.end.0, "bytes": one.bytes, "offline": one.offline.is_some(),
        });
        if runs {
            shown["runs"] = one.runs.iter().map(run).collect();
        }
        shown
    });
    json!({
        "topic": topic.name,
        "id": id.to_string(),
        "configs": topic.configs,
        "partitions": partitions.collect::<Vec<_>>(),
    })
}
