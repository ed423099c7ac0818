//! A heartbeat: the member's news is taken in, the group's epoch and target follow, and the member moves one step.
//!
//! Source: `GroupMetadataManager.consumerGroupHeartbeat` in Apache Kafka 4.3.1.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::assignment::{Assignment, Held, assignment_to_record, is_within};
use super::error::{Error, Fenced};
use super::group::{ConsumerGroup, session_timeout};
use super::hash::group_hash;
use super::leave::millis;
use super::member::{JOIN_EPOCH, LEAVE_EPOCH, LEAVE_STATIC_EPOCH, Member, MemberState};
use super::outcome::{Now, Outcome, View};
use super::reconcile::{Goal, step};
use super::subscription::{self, Resolved};
use super::timers::Timer;
use crate::base::re2::WholePattern;
use crate::protocol::records::consumer::{GroupValue, Record};

/// Patterns of one group are matched anew at most so often.
const REGEX_BATCH_MS: i64 = 10_000;

/// What a member says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Heartbeat {
    /// `member.id`; the caller has made one up if the client left that to the coordinator.
    pub member_id: String,
    /// The epoch it knows; 0 joins, -1 leaves, -2 leaves to come back.
    pub epoch: i32,
    /// `group.instance.id`.
    pub instance_id: Option<String>,
    /// `client.rack`; none: as before. So with all that follow.
    pub rack_id: Option<String>,
    /// -1: as before.
    pub rebalance_timeout_ms: i32,
    /// Topics by name.
    pub topic_names: Option<Vec<String>>,
    /// Topics by pattern.
    pub topic_regex: Option<String>,
    /// The assignor that it prefers.
    pub assignor: Option<String>,
    /// What it owns; none: it does not say.
    pub owned: Option<Assignment>,
    /// `client.id`.
    pub client_id: String,
    /// The client's address.
    pub client_host: String,
}

/// What a member is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeartbeatAnswer {
    /// `member.id`.
    pub member_id: String,
    /// Its epoch from now on.
    pub epoch: i32,
    /// When to be heard of again; zero when it leaves.
    pub interval: Duration,
    /// What it may own now; none: as before.
    pub assignment: Option<Arc<Held>>,
}

/// How a heartbeat changes what the group knows of patterns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RegexNews {
    None,
    /// The member has another pattern, of which nothing is known yet.
    Updated,
    /// It has another, and what that matches is known.
    Resolved,
}

impl ConsumerGroup {
    /// Takes in a heartbeat of the consumer protocol.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed.
    pub fn heartbeat(
        &mut self,
        now: Now,
        view: View<'_>,
        request: &Heartbeat,
    ) -> Result<Outcome<HeartbeatAnswer>, Error> {
        if matches!(request.epoch, LEAVE_EPOCH | LEAVE_STATIC_EPOCH) {
            return self.leave(view, request);
        }
        self.refuse_if_full(view, &request.member_id)?;
        let (before, replaces) = self.member_for(request)?;
        let updated = updated(&before, request);
        self.check_regex(&before, &updated)?;
        let owns_something = request.owned.as_ref().is_none_or(|owned| !owned.is_empty());
        if updated.state == MemberState::Unknown && owns_something {
            return Err(Error::Fenced(Fenced::UnknownState));
        }

        // From here on nothing fails.
        let mut records = Vec::new();
        if let Some(old) = replaces {
            self.replace_member(&old, &before, &mut records);
        }
        let (changed, resolve) = self.update_member(now, view, (&before, &updated), &mut records);
        self.update_target(now, view, &mut records);
        let after =
            self.reconcile((now, view), (updated, changed), request.owned.as_ref(), &mut records);
        let session = now.elapsed + session_timeout(&after, view.settings);
        self.timers.set(Timer::Session, &after.id, session);

        let tells_all =
            request.epoch == JOIN_EPOCH || request.is_full() || before.assigned != after.assigned;
        let answer = HeartbeatAnswer {
            member_id: after.id,
            epoch: after.epoch,
            interval: view.settings.heartbeat_interval,
            assignment: tells_all.then_some(after.assigned),
        };
        Ok(Outcome { records, answer, resolve, to_classic: None })
    }

    pub(super) fn refuse_if_full(&self, view: View<'_>, member_id: &str) -> Result<(), Error> {
        let max = view.settings.max_size;
        if self.members.len() >= max && !self.members.contains_key(member_id) {
            return Err(Error::Full(max));
        }
        Ok(())
    }

    /// The member as it is, and the id of the static member that it replaces.
    fn member_for(&self, request: &Heartbeat) -> Result<(Member, Option<String>), Error> {
        let joins = request.epoch == JOIN_EPOCH;
        let id = &request.member_id;
        let existing = match &request.instance_id {
            Some(instance) => self.static_member(instance),
            None => self.members.get(id),
        };
        match (existing, &request.instance_id) {
            (None, Some(instance)) if !joins => Err(Error::UnknownInstance(instance.clone())),
            (None, None) if !joins => self.member(id).map(|member| (member.clone(), None)),
            (None, _) => {
                Ok((self.members.get(id).cloned().unwrap_or_else(|| Member::new(id)), None))
            }
            (Some(member), Some(instance)) if joins => {
                if member.classic.is_none() && member.epoch != LEAVE_STATIC_EPOCH {
                    return Err(Error::Unreleased {
                        member: id.clone(),
                        instance: instance.clone(),
                        owner: member.id.clone(),
                    });
                }
                let old = member.id.clone();
                let (epoch, previous_epoch) = (JOIN_EPOCH, JOIN_EPOCH);
                let anew = Member { id: id.clone(), epoch, previous_epoch, ..member.clone() };
                Ok((anew, Some(old)))
            }
            (Some(member), instance) => {
                if let Some(instance) = instance
                    && member.id != *id
                {
                    return Err(Error::FencedInstance {
                        member: id.clone(),
                        instance: instance.clone(),
                        owner: member.id.clone(),
                    });
                }
                check_epoch(member, request)?;
                Ok((member.clone(), None))
            }
        }
    }

    /// A pattern that nobody has yet must be one.
    fn check_regex(&self, before: &Member, updated: &Member) -> Result<(), Error> {
        let Some(regex) = updated.regex() else { return Ok(()) };
        if before.topic_regex == updated.topic_regex || self.subscriptions.members_of(regex) > 0 {
            return Ok(());
        }
        WholePattern::new(regex)
            .map(|_| ())
            .map_err(|reason| Error::InvalidRegex { regex: regex.to_owned(), reason })
    }

    /// A static member comes back under a new id: what it had is now the new one's.
    pub(super) fn replace_member(&mut self, old: &str, new: &Member, records: &mut Vec<Record>) {
        let target = assignment_to_record(&self.target(old));
        self.remove_member(old, records);
        self.timers.cancel_all(old);
        let (group, id) = (self.id.clone(), new.id.clone());
        self.write(records, Record::Member(group.clone(), id.clone(), Some(new.to_value())));
        self.write(records, Record::TargetMember(group.clone(), id.clone(), Some(target)));
        self.write(records, Record::Current(group, id, Some(new.to_current())));
    }

    /// Takes in the member's news. Returns whether its subscription has changed, and patterns to be matched.
    pub(super) fn update_member(
        &mut self,
        now: Now,
        view: View<'_>,
        (before, updated): (&Member, &Member),
        records: &mut Vec<Record>,
    ) -> (bool, Option<BTreeSet<String>>) {
        let is_first = updated.regex().is_some_and(|regex| {
            before.regex() != Some(regex) && self.subscriptions.members_of(regex) == 0
        });
        if updated != before {
            let value = updated.to_value();
            self.write(records, Record::Member(self.id.clone(), updated.id.clone(), Some(value)));
        }
        let names_changed = updated.topic_names != before.topic_names;
        let news = self.update_regex(before, updated, records);
        let resolve = self.regexes_to_resolve(now, view, is_first);
        let bump = names_changed || news == RegexNews::Resolved;
        if bump || self.checked != Some(view.image.order()) {
            self.update_epoch(view, bump, records);
        }
        (names_changed || news != RegexNews::None, resolve)
    }

    fn update_regex(
        &mut self,
        before: &Member,
        updated: &Member,
        records: &mut Vec<Record>,
    ) -> RegexNews {
        if before.topic_regex == updated.topic_regex {
            return RegexNews::None;
        }
        if let Some(old) = before.regex()
            && self.subscriptions.members_of(old) == 0
        {
            self.write(records, Record::Regex(self.id.clone(), old.to_owned(), None));
        }
        let resolved = match updated.regex() {
            Some(regex) => self.subscriptions.resolved().contains_key(regex),
            None => before.regex().is_some(),
        };
        if resolved { RegexNews::Resolved } else { RegexNews::Updated }
    }

    /// All patterns of the group are matched at once, so that one rebalance serves them all.
    fn regexes_to_resolve(
        &mut self,
        now: Now,
        view: View<'_>,
        is_first: bool,
    ) -> Option<BTreeSet<String>> {
        let regexes = self.subscriptions.regexes();
        if regexes.is_empty() || self.resolving {
            return None;
        }
        let resolved = self.subscriptions.resolved();
        let last = resolved.values().max_by_key(|resolved| resolved.timestamp);
        let (version, timestamp) =
            last.map_or((0, i64::MIN), |resolved| (resolved.version, resolved.timestamp));
        let since = now.wall.0.saturating_sub(timestamp);
        // A negative time: the clock went back, and says nothing of how old the last match is.
        if (0..=REGEX_BATCH_MS).contains(&since) {
            return None;
        }
        let interval = i64::try_from(view.settings.regex_refresh_interval.as_millis());
        let due = is_first
            || regexes.len() != resolved.len()
            || version < view.topics_version
            || since > interval.unwrap_or(i64::MAX);
        self.resolving = due;
        due.then_some(regexes)
    }

    /// Bumps the epoch if it must be, or if the topics are not what they were.
    pub(super) fn update_epoch(&mut self, view: View<'_>, bump: bool, records: &mut Vec<Record>) {
        let metadata_hash = group_hash(self.subscriptions.names(), view.image);
        if bump || metadata_hash != self.metadata_hash {
            let value = GroupValue { epoch: self.epoch + 1, metadata_hash };
            self.write(records, Record::Group(self.id.clone(), Some(value)));
        }
        self.checked = Some(view.image.order());
        if self.has_partition_metadata {
            self.write(records, Record::PartitionMetadata(self.id.clone(), None));
        }
    }

    /// Moves the member one step toward its target.
    pub(super) fn reconcile(
        &mut self,
        (now, view): (Now, View<'_>),
        (member, subscription_changed): (Member, bool),
        owned: Option<&Assignment>,
        records: &mut Vec<Record>,
    ) -> Member {
        if !subscription_changed && member.is_reconciled_to(self.target_epoch) {
            return member;
        }
        let subscribed = subscription::ids(&self.subscriptions.topics_of(&member), view.image);
        let target = self.target(&member.id);
        let goal = Goal {
            epoch: self.target_epoch,
            target: &target,
            subscribed: &subscribed,
            subscription_changed,
            owned,
        };
        let after = step(self, member.clone(), goal);
        if after == member {
            return after;
        }
        let current = Some(after.to_current());
        self.write(records, Record::Current(self.id.clone(), after.id.clone(), current));
        if after.classic.is_none() {
            if after.state == MemberState::UnrevokedPartitions {
                let at = now.elapsed + millis(after.rebalance_timeout_ms);
                self.timers.set(Timer::Rebalance, &after.id, at);
            } else {
                self.timers.cancel(Timer::Rebalance, &after.id);
            }
        }
        after
    }

    /// Takes in what patterns matched, as `Outcome::resolve` asked for.
    pub fn regexes_resolved(
        &mut self,
        view: View<'_>,
        resolved: BTreeMap<String, Resolved>,
    ) -> Outcome<()> {
        self.resolving = false;
        let mut records = Vec::new();
        let mut bump = false;
        for (regex, new) in resolved {
            // Its last member may have left meanwhile.
            if self.subscriptions.members_of(&regex) == 0 {
                continue;
            }
            let old = self.subscriptions.resolved().get(&regex);
            bump |= old.map_or(!new.topics.is_empty(), |old| old.topics != new.topics);
            self.write(&mut records, Record::Regex(self.id.clone(), regex, Some(new.to_value())));
        }
        if !records.is_empty() {
            self.update_epoch(view, bump, &mut records);
        }
        Outcome { records, ..Outcome::answered(()) }
    }
}

impl Heartbeat {
    /// Whether it says all: a client does so when it is not sure what the coordinator knows.
    fn is_full(&self) -> bool {
        self.rebalance_timeout_ms != -1
            && (self.topic_names.is_some() || self.topic_regex.is_some())
            && self.owned.is_some()
    }
}

fn updated(member: &Member, request: &Heartbeat) -> Member {
    let mut updated = member.clone();
    let keep = |new: &Option<String>, old: &Option<String>| new.clone().or_else(|| old.clone());
    updated.instance_id = keep(&request.instance_id, &member.instance_id);
    updated.rack_id = keep(&request.rack_id, &member.rack_id);
    updated.assignor = keep(&request.assignor, &member.assignor);
    updated.topic_regex = keep(&request.topic_regex, &member.topic_regex);
    if request.rebalance_timeout_ms != -1 {
        updated.rebalance_timeout_ms = request.rebalance_timeout_ms;
    }
    if let Some(names) = &request.topic_names {
        updated.topic_names = Arc::new(names.iter().cloned().collect());
    }
    updated.client_id.clone_from(&request.client_id);
    updated.client_host.clone_from(&request.client_host);
    updated.classic = None;
    updated
}

/// The member must know its epoch; the one before is good too, if what it owns shows that only an answer was lost.
fn check_epoch(member: &Member, request: &Heartbeat) -> Result<(), Error> {
    let (received, known) = (request.epoch, member.epoch);
    if received == JOIN_EPOCH || received == known {
        return Ok(());
    }
    if received > known {
        return Err(Error::Fenced(Fenced::Ahead { received, known }));
    }
    let answer_was_lost =
        received == member.previous_epoch && is_within(request.owned.as_ref(), &member.assigned);
    if answer_was_lost { Ok(()) } else { Err(Error::Fenced(Fenced::Behind { received, known })) }
}
