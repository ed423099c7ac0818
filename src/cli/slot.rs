//! `thalweg slot`: what lies in the write-ahead chains. Reads the store, and never writes to it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;
use bytes::Bytes;
use clap::Subcommand;
use serde_json::{Value, json};

use super::output::{self, Table, count, size};
use super::place::Place;
use super::time;
use crate::base::ids::{ChainId, SlotId};
use crate::object::keys;
use crate::record::ControlType;
use crate::segment::{self, BatchEntry, Kind, Slot, SlotHeader};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List chains, or the slots of one chain.
    #[command(visible_alias = "ls")]
    List {
        /// The chain; otherwise all are summed up.
        chain: Option<u64>,
        #[command(flatten)]
        place: Place,
    },
    /// Show what a slot holds, with every checksum verified.
    Show {
        /// The chain.
        #[arg(required_unless_present = "file")]
        chain: Option<u64>,
        /// The slot.
        #[arg(required_unless_present = "file")]
        slot: Option<u64>,
        /// Read this file instead.
        #[arg(long, value_name = "FILE", conflicts_with_all = ["chain", "slot"])]
        file: Option<PathBuf>,
        /// Show every batch.
        #[arg(short, long)]
        batches: bool,
        #[command(flatten)]
        place: Place,
    },
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<()> {
        super::block_on(async {
            match self {
                Self::List { chain: None, place } => list_chains(&place).await,
                Self::List { chain: Some(chain), place } => {
                    list_slots(ChainId(chain), &place).await
                }
                Self::Show { file: Some(file), batches, place, .. } => {
                    let bytes = std::fs::read(&file).with_context(|| file.display().to_string())?;
                    show(&Bytes::from(bytes), batches, place.json)
                }
                Self::Show { chain, slot, batches, place, .. } => {
                    let (store, cluster) = place.open().await?;
                    let (chain, slot) = (chain.unwrap_or_default(), slot.unwrap_or_default());
                    let key = keys::slot(&cluster, ChainId(chain), SlotId(slot));
                    show(&store.get(&key).await?, batches, place.json)
                }
            }
        })
    }
}

/// Every slot that a listing shows, by chain, with its bytes.
async fn listing(place: &Place) -> anyhow::Result<BTreeMap<ChainId, Vec<(SlotId, u64)>>> {
    let (store, cluster) = place.open().await?;
    let mut chains: BTreeMap<ChainId, Vec<(SlotId, u64)>> = BTreeMap::new();
    for listed in store.list(&keys::slots_prefix(&cluster)).await? {
        if let Some((chain, slot)) = keys::parse_slot(&cluster, &listed.key) {
            chains.entry(chain).or_default().push((slot, listed.bytes));
        }
    }
    Ok(chains)
}

async fn list_chains(place: &Place) -> anyhow::Result<()> {
    let chains = listing(place).await?;
    let bytes = |slots: &[(SlotId, u64)]| slots.iter().map(|(_, bytes)| bytes).sum::<u64>();
    if place.json {
        let all = chains.iter().map(|(chain, slots)| {
            json!({
                "chain": chain.0, "objects": slots.len(), "bytes": bytes(slots),
                "first": slots.first().map(|(slot, _)| slot.0), "last": slots.last().map(|(slot, _)| slot.0),
            })
        });
        return output::json(&all.collect::<Vec<_>>());
    }
    let mut table = Table::new(&["chain", "objects", "first", "last", "size"]);
    for (chain, slots) in &chains {
        let end =
            |slot: Option<&(SlotId, u64)>| slot.map_or_else(String::new, |(s, _)| s.to_string());
        table.row(vec![
            chain.to_string(),
            slots.len().to_string(),
            end(slots.first()),
            end(slots.last()),
            size(bytes(slots)),
        ]);
    }
    output::text(&table.lines(""))
}

async fn list_slots(chain: ChainId, place: &Place) -> anyhow::Result<()> {
    let slots = listing(place).await?.remove(&chain).unwrap_or_default();
    if slots.is_empty() {
        anyhow::bail!("chain {chain} has no objects here");
    }
    // A fence is nothing but a header.
    let is_fence = |bytes: u64| bytes <= segment::format::HEADER_BYTES as u64;
    if place.json {
        let all = slots.iter().map(
            |(slot, bytes)| json!({"slot": slot.0, "bytes": bytes, "fence": is_fence(*bytes)}),
        );
        return output::json(&all.collect::<Vec<_>>());
    }
    let mut table = Table::new(&["slot", "bytes", "kind"]);
    for (slot, bytes) in slots {
        let kind = if is_fence(bytes) { "fence" } else { "data" };
        table.row(vec![slot.to_string(), bytes.to_string(), kind.to_owned()]);
    }
    output::text(&table.lines(""))
}

fn show(object: &Bytes, batches: bool, json: bool) -> anyhow::Result<()> {
    let header = segment::read_header(object)?;
    if header.kind == Kind::Fence {
        let header = header_json(&header);
        return if json { output::json(&header) } else { output::text(&head(&header, "fence")) };
    }
    let slot = segment::decode_slot(object)?;
    if json {
        output::json(&slot_json(&slot, batches))
    } else {
        output::text(&slot_text(&slot, batches))
    }
}

fn header_json(header: &SlotHeader) -> Value {
    json!({
        "chain": header.chain.0,
        "slot": header.slot.0,
        "incarnation": header.incarnation.to_string(),
        "created": time::show(header.created),
    })
}

fn head(header: &Value, kind: &str) -> String {
    let field = |name: &str| header[name].to_string().trim_matches('"').to_owned();
    format!(
        "chain        {}\nslot         {}\nkind         {kind}\nwritten by   {}\nat           {}\n",
        field("chain"),
        field("slot"),
        field("incarnation"),
        field("created")
    )
}

fn slot_text(slot: &Slot, batches: bool) -> String {
    let (footer, index) = (&slot.footer, &slot.index);
    let known =
        |slot: Option<SlotId>| slot.map_or_else(|| "none".to_owned(), |slot| slot.to_string());
    let mut out = head(&header_json(&slot.header), "data");
    out.push_str(&format!(
        "size         {} of batches, {} of index; all checksums hold\n",
        size(footer.body_bytes()),
        size(u64::from(footer.index_bytes))
    ));
    out.push_str(&format!("committed    {} as then known\n", known(footer.committed)));
    out.push_str(&format!("trimmed      {} as then known\n", known(footer.trimmed)));
    out.push_str(&format!("releases     {}\n", index.releases.len()));
    out.push_str(&format!("checkpoints  {}\n", count(index.checkpoint.len(), "partition")));
    let headings = ["topic", "partition", "epoch", "offsets", "batches", "bytes", "newest"];
    let mut table = Table::new(&headings);
    for run in &index.runs {
        table.row(vec![
            run.tp.topic.to_string(),
            run.tp.partition.to_string(),
            run.leader_epoch.to_string(),
            format!("{}..{}", run.base_offset, run.end_offset),
            run.batches.to_string(),
            run.bytes.to_string(),
            time::show(run.max_timestamp),
        ]);
    }
    out.push_str(&format!("\n{}", table.lines("")));
    if batches {
        out.push_str(&format!("\n{}", batch_table(slot)));
    }
    out
}

fn batch_table(slot: &Slot) -> String {
    let headings = ["partition", "offsets", "bytes", "producer", "epoch", "sequence", "kind"];
    let mut table = Table::new(&headings);
    for run in &slot.index.runs {
        for batch in slot.index.batches_of(run) {
            table.row(vec![
                run.tp.partition.to_string(),
                format!("{}..{}", batch.base_offset, batch.end_offset()),
                batch.bytes.to_string(),
                batch.producer_id.to_string(),
                batch.producer_epoch.to_string(),
                batch.base_sequence.to_string(),
                kind(batch).to_owned(),
            ]);
        }
    }
    table.lines("")
}

fn kind(batch: &BatchEntry) -> &'static str {
    match batch.control {
        ControlType::None => "data",
        ControlType::Commit => "commit",
        ControlType::Abort => "abort",
        ControlType::Other => "control",
    }
}

fn slot_json(slot: &Slot, batches: bool) -> Value {
    let (footer, index) = (&slot.footer, &slot.index);
    let batch = |batch: &BatchEntry| {
        json!({
            "base_offset": batch.base_offset.0, "end_offset": batch.end_offset().0,
            "position": batch.position, "bytes": batch.bytes,
            "producer_id": batch.producer_id.0, "producer_epoch": batch.producer_epoch,
            "base_sequence": batch.base_sequence, "kind": kind(batch),
        })
    };
    let runs = index.runs.iter().map(|run| {
        let mut shown = json!({
            "topic_id": run.tp.topic.to_string(), "partition": run.tp.partition,
            "leader_epoch": run.leader_epoch.0, "base_offset": run.base_offset.0,
            "end_offset": run.end_offset.0, "position": run.position, "bytes": run.bytes,
            "max_timestamp": run.max_timestamp.0,
        });
        if batches {
            shown["batches"] = index.batches_of(run).iter().map(batch).collect();
        }
        shown
    });
    let mut out = header_json(&slot.header);
    out["body_bytes"] = footer.body_bytes().into();
    out["index_bytes"] = footer.index_bytes.into();
    out["committed"] = footer.committed.map(|slot| slot.0).into();
    out["trimmed"] = footer.trimmed.map(|slot| slot.0).into();
    out["releases"] = index.releases.len().into();
    out["checkpoints"] = index.checkpoint.len().into();
    out["runs"] = runs.collect();
    out
}
