//! `thalweg group`: list, describe and delete consumer groups and share groups, and reset their offsets.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, bail};
use clap::Subcommand;
use serde_json::{Value, json};

use super::output::{self, Table};
use super::target::Target;
use super::time::Moment;
use crate::base::offset::Offset;
use crate::client::wire::{At, Client, GroupDetails, GroupEpochs, GroupOffset, SHARE};
use crate::client::{Code, Error};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List groups.
    #[command(visible_alias = "ls")]
    List(List),
    /// Show a group's members, their partitions, and how far behind they are.
    Describe(Describe),
    /// Move a group's offsets. Shows what it would do, and does it with --execute.
    ResetOffsets(ResetOffsets),
    /// Delete groups and their offsets. Shows what it would delete, and does it with --execute.
    #[command(visible_alias = "rm")]
    Delete(Delete),
}

#[derive(Debug, clap::Args)]
pub(super) struct List {
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
pub(super) struct Describe {
    /// The group's id.
    group: String,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
pub(super) struct ResetOffsets {
    /// The group's id.
    group: String,
    /// A topic, or one of its partitions as topic:number [default: all that the group has committed, or begun to read].
    /// May be given many times.
    #[arg(short = 't', long = "topic", value_name = "TOPIC[:PARTITION]")]
    topics: Vec<String>,
    #[command(flatten)]
    to: To,
    /// Do it.
    #[arg(long)]
    execute: bool,
    #[command(flatten)]
    target: Target,
}

/// Where a group stands in each place; none: not decided yet.
type Before = BTreeMap<(String, i32), Option<i64>>;

/// Where offsets are moved to.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct To {
    /// To the first record that is there.
    #[arg(long)]
    to_earliest: bool,
    /// Behind the last record.
    #[arg(long)]
    to_latest: bool,
    /// To the first record at or after this time, such as 2026-11-23T06:00:00Z or -15m.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to_time: Option<Moment>,
    /// To this offset, or the nearest that is there.
    #[arg(long, value_name = "OFFSET")]
    to_offset: Option<i64>,
    /// By so many records, forward or back.
    #[arg(long, value_name = "RECORDS", allow_hyphen_values = true)]
    shift_by: Option<i64>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Delete {
    /// The groups' ids.
    #[arg(required = true)]
    groups: Vec<String>,
    /// Do it.
    #[arg(long)]
    execute: bool,
    #[command(flatten)]
    target: Target,
}

/// Why nothing of a group with members is changed by hand.
fn members_first(details: &GroupDetails, group: &str) -> Option<String> {
    let members = details.members.len();
    (members > 0).then(|| format!("group {group} has {members} members: stop them first"))
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<()> {
        super::block_on(async {
            match self {
                Self::List(args) => args.run().await,
                Self::Describe(args) => args.run().await,
                Self::ResetOffsets(args) => args.run().await,
                Self::Delete(args) => args.run().await,
            }
        })
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let groups = self.target.connect().await?.groups().await?;
        if self.target.json {
            let all = groups.iter().map(|group| {
                json!({
                    "group": group.group, "state": group.state, "type": group.kind,
                    "protocol_type": group.protocol_type,
                })
            });
            return output::json(&all.collect::<Vec<_>>());
        }
        if groups.is_empty() {
            eprintln!("there are no groups");
            return Ok(());
        }
        let mut table = Table::new(&["group", "state", "type", "protocol"]);
        for group in groups {
            table.row(vec![group.group, group.state, group.kind, group.protocol_type]);
        }
        output::text(&table.lines(""))
    }
}

/// One partition that a group reads or has read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    topic: String,
    partition: i32,
    committed: Option<i64>,
    end: Option<i64>,
    /// One at most, but of a share group.
    members: Vec<String>,
    is_share: bool,
}

impl Row {
    /// Records that are still to be consumed, as far as is known. Of a share group it is not: what was acknowledged behind
    /// its start is told by later versions of DescribeShareGroupOffsets only (KIP-1226).
    fn lag(&self) -> Option<i64> {
        if self.is_share {
            return None;
        }
        Some((self.end? - self.committed?).max(0))
    }
}

/// What was committed and what is assigned, with the ends of the partitions.
async fn rows(
    client: &Client,
    details: &GroupDetails,
    committed: &[GroupOffset],
) -> anyhow::Result<Vec<Row>> {
    let committed: BTreeMap<(&str, i32), i64> =
        committed.iter().map(|one| ((one.topic.as_str(), one.partition), one.offset)).collect();
    let mut assigned: BTreeMap<(&str, i32), Vec<String>> = BTreeMap::new();
    for member in &details.members {
        for (topic, at) in &member.assigned {
            assigned.entry((topic.as_str(), *at)).or_default().push(member.member_id.clone());
        }
    }
    let places: BTreeSet<(&str, i32)> = committed.keys().chain(assigned.keys()).copied().collect();
    let ends = offsets_at(client, &places, At::End).await?;
    let row = |place: (&str, i32)| Row {
        topic: place.0.to_owned(),
        partition: place.1,
        committed: committed.get(&place).copied().filter(|offset| *offset >= 0),
        end: ends.get(&(place.0.to_owned(), place.1)).map(|end| end.0),
        members: assigned.get(&place).cloned().unwrap_or_default(),
        is_share: details.protocol_type == SHARE,
    };
    Ok(places.into_iter().map(row).collect())
}

/// The offsets of `at` in each of the places whose topics are there.
async fn offsets_at(
    client: &Client,
    places: &BTreeSet<(&str, i32)>,
    at: At,
) -> anyhow::Result<BTreeMap<(String, i32), Offset>> {
    let mut by_topic: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in places {
        by_topic.entry(*topic).or_default().push(*partition);
    }
    let mut all = BTreeMap::new();
    for (topic, mut partitions) in by_topic {
        // A topic may be gone, or have come back with fewer partitions, while its offsets are still kept.
        let there = match client.topic(topic, false).await {
            Err(error) if error.code() == Some(Code::UNKNOWN_TOPIC) => continue,
            there => there?,
        };
        partitions.retain(|at| there.partitions.iter().any(|partition| partition.index == *at));
        for (partition, offset) in client.offsets(topic, &partitions, at).await? {
            all.insert((topic.to_owned(), partition), offset);
        }
    }
    Ok(all)
}

/// What a group has committed, or where a share group begins to read.
async fn offsets_of(
    client: &Client,
    group: &str,
    is_share: bool,
) -> Result<Vec<GroupOffset>, Error> {
    if is_share { client.share_offsets(group).await } else { client.group_offsets(group).await }
}

fn number(number: Option<i64>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

impl Describe {
    async fn run(self) -> anyhow::Result<()> {
        let client = self.target.connect().await?;
        let failed = || format!("cannot describe group {}", self.group);
        let details = client.group(&self.group).await.with_context(failed)?;
        if details.state == "Dead" {
            bail!("there is no group {}", self.group);
        }
        let is_share = details.protocol_type == SHARE;
        let committed = offsets_of(&client, &self.group, is_share).await.with_context(failed)?;
        let rows = rows(&client, &details, &committed).await?;
        let lag = (!is_share).then(|| rows.iter().filter_map(Row::lag).sum());
        if self.target.json {
            return output::json(&self.as_json(&details, &rows, lag));
        }
        let mut out = format!("group     {}\nstate     {}\n", self.group, details.state);
        if !details.protocol.is_empty() {
            out.push_str(&format!("protocol  {}, {}\n", details.protocol_type, details.protocol));
        }
        if let Some(GroupEpochs { group, target }) = details.epochs {
            out.push_str(&format!("epoch     {group}, its assignment {target}\n"));
        }
        out.push_str(&format!("members   {}\n", details.members.len()));
        out.push_str(&format!("lag       {}\n", number(lag)));
        if !rows.is_empty() {
            let at = if is_share { "start" } else { "committed" };
            let headings = ["topic", "partition", at, "end", "lag", "member"];
            let mut table = Table::new(&headings);
            for row in &rows {
                table.row(vec![
                    row.topic.clone(),
                    row.partition.to_string(),
                    number(row.committed),
                    number(row.end),
                    number(row.lag()),
                    if row.members.is_empty() { "none".to_owned() } else { row.members.join(", ") },
                ]);
            }
            out.push_str(&format!("\n{}", table.lines("")));
        }
        if !details.members.is_empty() {
            out.push_str(&format!("\n{}", members(&details).lines("")));
        }
        output::text(&out)
    }

    fn as_json(&self, details: &GroupDetails, rows: &[Row], lag: Option<i64>) -> Value {
        let partitions = rows.iter().map(|row| {
            let mut shown = json!({
                "topic": row.topic, "partition": row.partition, "end_offset": row.end,
                "lag": row.lag(),
            });
            if details.protocol_type == SHARE {
                shown["start_offset"] = json!(row.committed);
                shown["member_ids"] = json!(row.members);
            } else {
                shown["committed_offset"] = json!(row.committed);
                shown["member_id"] = json!(row.members.first());
            }
            shown
        });
        let members = details.members.iter().map(|member| {
            let mut shown = json!({
                "member_id": member.member_id, "instance_id": member.instance_id,
                "client_id": member.client_id, "host": member.host, "assigned": member.assigned.len(),
            });
            if let Some((epoch, target)) = &member.target {
                shown["epoch"] = json!(epoch);
                shown["target"] = json!(target.len());
                shown["assigned_partitions"] = places(&member.assigned);
                shown["target_partitions"] = places(target);
            }
            shown
        });
        let mut shown = json!({
            "group": self.group, "state": details.state, "protocol_type": details.protocol_type,
            "protocol": details.protocol, "lag": lag,
            "partitions": partitions.collect::<Vec<_>>(), "members": members.collect::<Vec<_>>(),
        });
        if let Some(GroupEpochs { group, target }) = details.epochs {
            shown["epoch"] = json!(group);
            shown["assignment_epoch"] = json!(target);
        }
        shown
    }
}

fn places(partitions: &[(String, i32)]) -> Value {
    let all = partitions.iter().map(|(topic, at)| json!({ "topic": topic, "partition": at }));
    Value::Array(all.collect())
}

/// The members: how many partitions each has, and where the coordinator assigns how many it shall have.
fn members(details: &GroupDetails) -> Table {
    let mut headings = vec!["member", "instance", "client", "host", "assigned"];
    if details.epochs.is_some() {
        headings.extend(["target", "epoch"]);
    }
    let mut table = Table::new(&headings);
    for member in &details.members {
        let mut row = vec![
            member.member_id.clone(),
            member.instance_id.clone().unwrap_or_else(|| "none".to_owned()),
            member.client_id.clone(),
            member.host.clone(),
            member.assigned.len().to_string(),
        ];
        if let Some((epoch, target)) = &member.target {
            row.extend([target.len().to_string(), epoch.to_string()]);
        }
        table.row(row);
    }
    table
}

impl ResetOffsets {
    async fn run(self) -> anyhow::Result<()> {
        let client = self.target.connect().await?;
        let details = client.group(&self.group).await?;
        let busy = members_first(&details, &self.group);
        if let Some(busy) = busy.as_ref().filter(|_| self.execute) {
            bail!("{busy}");
        }
        let is_share = details.protocol_type == SHARE;
        let committed = offsets_of(&client, &self.group, is_share).await?;
        let known = |offset: i64| Some(offset).filter(|offset| *offset >= 0);
        let before: Before = committed
            .into_iter()
            .map(|one| ((one.topic, one.partition), known(one.offset)))
            .collect();
        let places = self.places(&client, &before).await?;
        if places.is_empty() {
            bail!("group {} has committed nothing: say which topics (--topic)", self.group);
        }
        let moved = self.moved(&client, &places, &before).await?;
        if self.execute {
            let failed = || format!("cannot move the offsets of group {}", self.group);
            let set = if is_share {
                client.set_share_offsets(&self.group, &moved).await
            } else {
                client.set_group_offsets(&self.group, &moved).await
            };
            set.with_context(failed)?;
        }
        if self.target.json {
            let all = moved.iter().map(|one| {
                let before = before.get(&(one.topic.clone(), one.partition)).copied().flatten();
                json!({
                    "topic": one.topic, "partition": one.partition, "before": before,
                    "after": one.offset, "executed": self.execute,
                })
            });
            return output::json(&all.collect::<Vec<_>>());
        }
        let mut table = Table::new(&["topic", "partition", "before", "after"]);
        for one in &moved {
            let before = before.get(&(one.topic.clone(), one.partition)).copied().flatten();
            table.row(vec![
                one.topic.clone(),
                one.partition.to_string(),
                number(before),
                one.offset.to_string(),
            ]);
        }
        output::text(&table.lines(""))?;
        if !self.execute {
            eprintln!("nothing was changed: {}", busy.as_deref().unwrap_or(EXECUTE));
        }
        Ok(())
    }

    /// The partitions that are named, or all that were committed.
    async fn places(&self, client: &Client, before: &Before) -> anyhow::Result<Vec<(String, i32)>> {
        if self.topics.is_empty() {
            return Ok(before.keys().cloned().collect());
        }
        let mut places = BTreeSet::new();
        for named in &self.topics {
            let one =
                named.rsplit_once(':').and_then(|(topic, at)| Some((topic, at.parse().ok()?)));
            if let Some((topic, partition)) = one {
                places.insert((topic.to_owned(), partition));
                continue;
            }
            let topic = client.topic(named, false).await;
            let topic = topic.with_context(|| format!("cannot find topic {named}"))?;
            places.extend(topic.partitions.iter().map(|at| (topic.name.clone(), at.index)));
        }
        Ok(places.into_iter().collect())
    }

    /// Where each place is moved to: never outside of what is there.
    async fn moved(
        &self,
        client: &Client,
        places: &[(String, i32)],
        before: &Before,
    ) -> anyhow::Result<Vec<GroupOffset>> {
        let asked: BTreeSet<(&str, i32)> =
            places.iter().map(|(topic, partition)| (topic.as_str(), *partition)).collect();
        let starts = offsets_at(client, &asked, At::Start).await?;
        let ends = offsets_at(client, &asked, At::End).await?;
        let times = match self.to.to_time {
            Some(Moment(time)) => offsets_at(client, &asked, At::Time(time)).await?,
            None => BTreeMap::new(),
        };
        let mut moved = Vec::new();
        for place in places {
            let (Some(start), Some(end)) = (starts.get(place), ends.get(place)) else {
                bail!("topic {} has no partition {}", place.0, place.1);
            };
            let bounds = (start.0, end.0);
            let offset =
                self.to.offset(bounds, times.get(place), before.get(place).copied().flatten());
            moved.push(GroupOffset {
                topic: place.0.clone(),
                partition: place.1,
                offset,
                metadata: String::new(),
            });
        }
        Ok(moved)
    }
}

/// How what was shown is done.
const EXECUTE: &str = "say --execute to do it";

impl To {
    /// Where a partition of these bounds is moved to.
    fn offset(&self, (start, end): (i64, i64), time: Option<&Offset>, before: Option<i64>) -> i64 {
        let wanted = if self.to_earliest {
            start
        } else if self.to_latest {
            end
        } else if let Some(offset) = self.to_offset {
            offset
        } else if let Some(by) = self.shift_by {
            before.unwrap_or(start).saturating_add(by)
        } else {
            time.map_or(end, |time| time.0)
        };
        wanted.clamp(start, end)
    }
}

impl Delete {
    async fn run(self) -> anyhow::Result<()> {
        let client = self.target.connect().await?;
        let mut found = Vec::with_capacity(self.groups.len());
        for group in &self.groups {
            let failed = || format!("cannot delete group {group}");
            let details = client.group(group).await.with_context(failed)?;
            if details.state == "Dead" {
                bail!("there is no group {group}");
            }
            if let Some(busy) = members_first(&details, group) {
                bail!("{busy}");
            }
            let is_share = details.protocol_type == SHARE;
            let offsets = offsets_of(&client, group, is_share).await.with_context(failed)?;
            found.push((group, offsets.len()));
        }
        if self.execute {
            for group in &self.groups {
                let failed = || format!("cannot delete group {group}");
                client.delete_group(group).await.with_context(failed)?;
            }
        }
        if self.target.json {
            let all = found.iter().map(|(group, offsets)| {
                json!({ "group": group, "offsets": offsets, "deleted": self.execute })
            });
            return output::json(&all.collect::<Vec<_>>());
        }
        let said = if self.execute { "deleted" } else { "would delete" };
        for (group, offsets) in found {
            output::text(&format!("{said} {group} and its {offsets} offsets\n"))?;
        }
        if !self.execute {
            eprintln!("nothing was changed: {EXECUTE}");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_moved_within_what_is_there() {
        let to = || To {
            to_earliest: false,
            to_latest: false,
            to_time: None,
            to_offset: None,
            shift_by: None,
        };
        let bounds = (10, 20);
        for (to, time, before, expected) in [
            (To { to_earliest: true, ..to() }, None, Some(15), 10),
            (To { to_latest: true, ..to() }, None, None, 20),
            (To { to_offset: Some(3), ..to() }, None, None, 10),
            (To { to_offset: Some(17), ..to() }, None, None, 17),
            (To { shift_by: Some(-3), ..to() }, None, Some(15), 12),
            (To { shift_by: Some(9), ..to() }, None, Some(15), 20),
            (To { shift_by: Some(2), ..to() }, None, None, 12),
            (to(), Some(Offset(13)), None, 13),
        ] {
            assert_eq!(to.offset(bounds, time.as_ref(), before), expected, "{to:?}");
        }
    }

    #[test]
    fn lag_is_what_is_still_to_be_consumed() {
        let row = |committed, end| Row {
            topic: "t".to_owned(),
            partition: 0,
            committed,
            end,
            members: Vec::new(),
            is_share: false,
        };
        assert_eq!(row(Some(3), Some(10)).lag(), Some(7));
        assert_eq!(row(Some(12), Some(10)).lag(), Some(0), "the log was cut");
        assert_eq!(row(None, Some(10)).lag(), None);
        let of_share_group = Row { is_share: true, ..row(Some(3), Some(10)) };
        assert_eq!(of_share_group.lag(), None, "records behind the start may be done");
    }
}
