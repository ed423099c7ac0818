//! Rebalances: how a generation ends and the next begins, and what passing time does to members.

use std::time::Duration;

use bytes::Bytes;

use super::state::InitialDelay;
use super::{ClassicGroup, Limits, Outbox, State, Timer};
use crate::base::clock::Timestamp;
use crate::groups::{JoinAnswer, LeavingMember, Refusal, SyncAnswer};

impl ClassicGroup {
    /// After a change of the members: a rebalance begins, or the one that runs may have everybody.
    pub(super) fn rebalance_or_complete_join(
        &mut self,
        limits: Limits,
        now: Timestamp,
        out: &mut Outbox,
    ) {
        match self.state {
            State::PreparingRebalance => self.complete_join_if_all_are_here(limits, now, out),
            State::Empty | State::CompletingRebalance | State::Stable => {
                self.prepare_rebalance(limits, now, out);
            }
        }
    }

    pub(super) fn prepare_rebalance(&mut self, limits: Limits, now: Timestamp, out: &mut Outbox) {
        if self.state == State::CompletingRebalance {
            self.interrupt_syncs(out);
        }
        self.pending_syncs.clear();
        out.cancel(Timer::Sync);
        let first = self.state == State::Empty;
        self.transition(State::PreparingRebalance, now);
        if first {
            let round = limits.initial_rebalance_delay;
            let remaining = self.rebalance_timeout().saturating_sub(round);
            self.initial = Some(InitialDelay { round, remaining, new_member_added: false });
            out.set(Timer::Join, round);
        } else if self.has_everybody_joined() {
            self.complete_join(now, out);
        } else {
            out.set(Timer::Join, self.rebalance_timeout());
        }
    }

    /// Those who wait for an assignment of a generation that ends join again.
    fn interrupt_syncs(&mut self, out: &mut Outbox) {
        let mut interrupted = Vec::new();
        for (member_id, member) in &mut self.members {
            member.assignment = Bytes::new();
            if let Some(ticket) = member.syncing.take() {
                out.synced.push((ticket, SyncAnswer::refused(Refusal::RebalanceInProgress)));
                interrupted.push(member_id.clone());
            }
        }
        for member_id in interrupted {
            self.extend_session(&member_id, out);
        }
    }

    /// A new group waits for its delay whoever is here; any other goes on as soon as everybody is.
    pub(super) fn complete_join_if_all_are_here(
        &mut self,
        _limits: Limits,
        now: Timestamp,
        out: &mut Outbox,
    ) {
        let waits = self.state == State::PreparingRebalance && self.initial.is_none();
        if waits && self.has_everybody_joined() {
            self.complete_join(now, out);
        }
    }

    /// The phase of joining ends: who did not join is out, and the next generation begins.
    fn complete_join(&mut self, now: Timestamp, out: &mut Outbox) {
        self.initial = None;
        out.cancel(Timer::Join);
        let absent: Vec<String> = self
            .members
            .iter()
            .filter(|(_, member)| member.joining.is_none() && member.group_instance_id.is_none())
            .map(|(member_id, _)| member_id.clone())
            .collect();
        for member_id in absent {
            self.remove(&member_id);
            out.cancel(Timer::Session(member_id));
        }
        if !self.members.is_empty() && !self.elect_leader() {
            // Static members alone, none of which has joined: their sessions decide.
            return out.set(Timer::Join, self.rebalance_timeout());
        }
        self.begin_generation(now, out);
    }

    /// Whoever leads has joined; false: nobody has.
    fn elect_leader(&mut self) -> bool {
        let joined = |group: &Self, id: &str| {
            group.members.get(id).is_some_and(|member| member.joining.is_some())
        };
        if self.leader.as_deref().is_some_and(|leader| joined(self, leader)) {
            return true;
        }
        let next = self.members.iter().find(|(_, member)| member.joining.is_some());
        match next.map(|(member_id, _)| member_id.clone()) {
            Some(member_id) => {
                self.leader = Some(member_id);
                true
            }
            None => false,
        }
    }

    fn begin_generation(&mut self, now: Timestamp, out: &mut Outbox) {
        self.generation_id = self.generation_id.wrapping_add(1).max(0);
        self.pending_syncs.clear();
        if self.members.is_empty() {
            self.protocol_name = None;
            self.leader = None;
            self.topics = self.subscribed_topics();
            self.transition(State::Empty, now);
            out.write = Some(self.record());
            return;
        }
        self.protocol_name = self.select_protocol();
        self.topics = self.subscribed_topics();
        self.transition(State::CompletingRebalance, now);
        let everybody: Vec<String> = self.members.keys().cloned().collect();
        for member_id in everybody {
            let answer = self.current_generation(&member_id, self.is_leader(&member_id));
            self.answer_join(&member_id, answer, out);
            self.extend_session(&member_id, out);
            if let Some(member) = self.members.get_mut(&member_id) {
                member.is_new = false;
            }
            self.pending_syncs.insert(member_id);
        }
        out.set(Timer::Sync, self.rebalance_timeout());
    }

    /// A deadline has passed.
    pub(in crate::groups) fn on_timer(
        &mut self,
        timer: Timer,
        limits: Limits,
        now: Timestamp,
        out: &mut Outbox,
    ) {
        match timer {
            Timer::Join => self.on_join_deadline(limits, now, out),
            Timer::Sync => self.on_sync_deadline(limits, now, out),
            Timer::Session(member_id) => self.on_session_end(&member_id, limits, now, out),
        }
    }

    fn on_join_deadline(&mut self, limits: Limits, now: Timestamp, out: &mut Outbox) {
        if self.state != State::PreparingRebalance {
            return;
        }
        if let Some(initial) = &mut self.initial
            && initial.new_member_added
            && initial.remaining > Duration::ZERO
        {
            // Somebody came during this round: one more, as long as the longest wait allows.
            let round = limits.initial_rebalance_delay.min(initial.remaining);
            let remaining = initial.remaining.saturating_sub(initial.round);
            *initial = InitialDelay { round, remaining, new_member_added: false };
            return out.set(Timer::Join, round);
        }
        self.complete_join(now, out);
    }

    fn on_sync_deadline(&mut self, limits: Limits, now: Timestamp, out: &mut Outbox) {
        let waits = matches!(self.state, State::CompletingRebalance | State::Stable);
        if !waits || self.pending_syncs.is_empty() {
            return;
        }
        for member_id in std::mem::take(&mut self.pending_syncs) {
            self.remove(&member_id);
            out.cancel(Timer::Session(member_id));
        }
        self.prepare_rebalance(limits, now, out);
    }

    fn on_session_end(
        &mut self,
        member_id: &str,
        limits: Limits,
        now: Timestamp,
        out: &mut Outbox,
    ) {
        if self.pending_joins.remove(member_id) {
            if self.state == State::PreparingRebalance && self.has_everybody_joined() {
                self.complete_join(now, out);
            }
            return;
        }
        // Its session begins again when it is answered.
        if self.members.get(member_id).is_some_and(|member| !member.is_owed_an_answer()) {
            self.expel(member_id, out);
            self.after_removal(limits, now, out);
        }
    }

    /// Removes a member. A waiting JoinGroup is answered so that a client that is still there joins anew.
    fn expel(&mut self, member_id: &str, out: &mut Outbox) {
        self.answer_join(member_id, JoinAnswer::refused(Refusal::UnknownMemberId, ""), out);
        let syncing = self.members.get_mut(member_id).and_then(|member| member.syncing.take());
        if let Some(ticket) = syncing {
            out.synced.push((ticket, SyncAnswer::refused(Refusal::UnknownMemberId)));
        }
        self.remove(member_id);
        out.cancel(Timer::Session(member_id.to_owned()));
    }

    fn after_removal(&mut self, limits: Limits, now: Timestamp, out: &mut Outbox) {
        match self.state {
            State::Stable | State::CompletingRebalance => {
                self.rebalance_or_complete_join(limits, now, out);
            }
            State::PreparingRebalance if self.has_everybody_joined() => {
                self.complete_join(now, out)
            }
            State::PreparingRebalance | State::Empty => {}
        }
    }

    /// Members leave. One answer each, in order.
    pub(in crate::groups) fn leave(
        &mut self,
        leaving: &[LeavingMember],
        limits: Limits,
        now: Timestamp,
        out: &mut Outbox,
    ) -> Vec<Option<Refusal>> {
        let answers: Vec<_> =
            leaving.iter().map(|member| self.leave_one(member, out).err()).collect();
        if answers.iter().any(Option::is_none) {
            match self.state {
                State::Stable | State::CompletingRebalance => {
                    self.rebalance_or_complete_join(limits, now, out);
                }
                State::PreparingRebalance => self.complete_join_if_all_are_here(limits, now, out),
                State::Empty => {}
            }
        }
        answers
    }

    fn leave_one(&mut self, leaving: &LeavingMember, out: &mut Outbox) -> Result<(), Refusal> {
        let instance = leaving.group_instance_id.as_deref();
        if leaving.member_id.is_empty() {
            // An administrator removes a static member, whose id he cannot know.
            let current = instance.and_then(|instance| self.static_members.get(instance));
            let member_id = current.cloned().ok_or(Refusal::UnknownMemberId)?;
            self.expel(&member_id, out);
            return Ok(());
        }
        if self.pending_joins.remove(&leaving.member_id) {
            out.cancel(Timer::Session(leaving.member_id.clone()));
            return Ok(());
        }
        self.validate_member(&leaving.member_id, instance)?;
        self.expel(&leaving.member_id, out);
        Ok(())
    }
}
