//! How members go: by themselves, or because they were silent or slow for too long.
//!
//! Source: `GroupMetadataManager.consumerGroupLeave`, `consumerGroupFenceMembers` in Apache Kafka 4.3.1.

use std::sync::Arc;
use std::time::Duration;

use super::assignment::Held;
use super::error::Error;
use super::group::ConsumerGroup;
use super::hash::group_hash;
use super::heartbeat::{Heartbeat, HeartbeatAnswer};
use super::member::{LEAVE_STATIC_EPOCH, Member};
use super::migration::ToClassic;
use super::outcome::{Now, Outcome, View};
use super::timers::Timer;
use crate::protocol::records::consumer::{GroupValue, Record};

impl ConsumerGroup {
    pub(super) fn leave(
        &mut self,
        view: View<'_>,
        request: &Heartbeat,
    ) -> Result<Outcome<HeartbeatAnswer>, Error> {
        let id = &request.member_id;
        let member = match &request.instance_id {
            None => self.member(id)?,
            Some(instance) => {
                let member = self.static_member(instance);
                let member = member.ok_or_else(|| Error::UnknownInstance(instance.clone()))?;
                if member.id != *id {
                    return Err(Error::FencedInstance {
                        member: id.clone(),
                        instance: instance.clone(),
                        owner: member.id.clone(),
                    });
                }
                member
            }
        };
        let member = member.clone();
        let answer = HeartbeatAnswer {
            member_id: id.clone(),
            epoch: request.epoch,
            interval: Duration::ZERO,
            assignment: None,
        };
        if request.instance_id.is_some() && request.epoch == LEAVE_STATIC_EPOCH {
            let records = self.leave_for_now(member);
            return Ok(Outcome { records, ..Outcome::answered(answer) });
        }
        Ok(self.let_go(view, &[member.id]).map(|()| answer))
    }

    /// Removes members, who must be there, unless the group becomes a classic one by that.
    pub(super) fn let_go(&mut self, view: View<'_>, members: &[String]) -> Outcome<()> {
        if self.leaves_classic(view, members) {
            let to_classic = ToClassic { without: members.to_vec(), settled: false };
            return Outcome { to_classic: Some(to_classic), ..Outcome::answered(()) };
        }
        Outcome { records: self.fence(view, members), ..Outcome::answered(()) }
    }

    /// A static member keeps what it has until its session ends: it may come back before.
    fn leave_for_now(&mut self, member: Member) -> Vec<Record> {
        self.timers.cancel(Timer::Rebalance, &member.id);
        let away = Member {
            epoch: LEAVE_STATIC_EPOCH,
            revoking: Arc::default(),
            assigned: Arc::new(epochs_zeroed(&member.assigned)),
            ..member
        };
        let mut records = Vec::new();
        let current = Some(away.to_current());
        self.write(&mut records, Record::Current(self.id.clone(), away.id, current));
        records
    }

    /// Removes members, who must be there, and bumps the epoch: their partitions are given to others.
    fn fence(&mut self, view: View<'_>, members: &[String]) -> Vec<Record> {
        let mut records = Vec::new();
        if members.is_empty() {
            return records;
        }
        let mut regexes = Vec::new();
        for id in members {
            regexes
                .extend(self.members.get(id).and_then(|member| member.regex().map(str::to_owned)));
            self.remove_member(id, &mut records);
            self.timers.cancel_all(id);
        }
        regexes.sort();
        regexes.dedup();
        for regex in regexes {
            if self.subscriptions.members_of(&regex) == 0 {
                self.write(&mut records, Record::Regex(self.id.clone(), regex, None));
            }
        }
        let metadata_hash = group_hash(self.subscriptions.names(), view.image);
        let value = GroupValue { epoch: self.epoch + 1, metadata_hash };
        self.write(&mut records, Record::Group(self.id.clone(), Some(value)));
        records
    }

    /// The tombstones of a member. Their order matters to Kafka's replay.
    pub(super) fn remove_member(&mut self, id: &str, records: &mut Vec<Record>) {
        let (group, id) = (self.id.clone(), id.to_owned());
        self.write(records, Record::Current(group.clone(), id.clone(), None));
        self.write(records, Record::TargetMember(group.clone(), id.clone(), None));
        self.write(records, Record::Member(group, id, None));
    }

    /// Removes whoever was silent or slow for too long.
    pub fn expire(&mut self, now: Now, view: View<'_>) -> Outcome<Vec<String>> {
        let mut fenced = Vec::new();
        while let Some((timer, member)) = self.timers.pop(now.elapsed) {
            if self.members.contains_key(&member) && !fenced.contains(&member) {
                tracing::info!(group = self.id, member, ?timer, "member fenced from its group");
                fenced.push(member);
            }
        }
        self.let_go(view, &fenced).map(|()| fenced)
    }
}

/// The same partitions; a commit of any epoch of the next life is good for them.
fn epochs_zeroed(held: &Held) -> Held {
    let zeroed =
        |parts: &std::collections::BTreeMap<i32, i32>| parts.keys().map(|p| (*p, 0)).collect();
    held.iter().map(|(topic, parts)| (*topic, zeroed(parts))).collect()
}

/// A timeout of a request; a negative one is none.
pub(super) fn millis(millis: i32) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or_default())
}
