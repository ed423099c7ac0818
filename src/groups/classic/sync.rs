//! SyncGroup and Heartbeat.

use std::collections::BTreeMap;

use super::{ClassicGroup, Outbox, State, Ticket, Timer};
use crate::base::clock::Timestamp;
use crate::groups::{HeartbeatRequest, Refusal, SyncAnswer, SyncRequest};

impl ClassicGroup {
    /// A member syncs; the leader brings everybody's assignment. The answer to `ticket` comes now or by a later step.
    pub(in crate::groups) fn sync(
        &mut self,
        request: &SyncRequest,
        ticket: Ticket,
        now: Timestamp,
        out: &mut Outbox,
    ) {
        let member_id = request.member_id.as_str();
        if let Err(refusal) = self.validate_sync(request) {
            return out.synced.push((ticket, SyncAnswer::refused(refusal)));
        }
        self.pending_syncs.remove(member_id);
        if self.pending_syncs.is_empty() {
            out.cancel(Timer::Sync);
        }
        match self.state {
            State::Empty | State::PreparingRebalance => {
                let refusal = match self.state {
                    State::Empty => Refusal::UnknownMemberId,
                    _ => Refusal::RebalanceInProgress,
                };
                out.synced.push((ticket, SyncAnswer::refused(refusal)));
            }
            State::Stable => out.synced.push((ticket, self.assigned(member_id))),
            State::CompletingRebalance => {
                let waiting = self.members.get_mut(member_id).expect("the member was validated");
                if let Some(abandoned) = waiting.syncing.replace(ticket) {
                    // A client that tries again on a new connection has given up the old one.
                    let answer = SyncAnswer::refused(Refusal::RebalanceInProgress);
                    out.synced.push((abandoned, answer));
                }
                if self.is_leader(member_id) {
                    self.assign(request, now, out);
                }
            }
        }
    }

    fn validate_sync(&self, request: &SyncRequest) -> Result<(), Refusal> {
        self.validate_member(&request.member_id, request.group_instance_id.as_deref())?;
        if request.generation_id != self.generation_id {
            return Err(Refusal::IllegalGeneration);
        }
        let differs = |said: &Option<String>, ours: &Option<String>| matches!((said, ours), (Some(said), Some(ours)) if said != ours);
        if differs(&request.protocol_type, &self.protocol_type)
            || differs(&request.protocol_name, &self.protocol_name)
        {
            return Err(Refusal::InconsistentProtocol);
        }
        Ok(())
    }

    fn assigned(&self, member_id: &str) -> SyncAnswer {
        let member = self.members.get(member_id);
        SyncAnswer {
            refusal: None,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            assignment: member.map(|member| member.assignment.clone()).unwrap_or_default(),
        }
    }

    /// The leader's assignment is written, and everybody who waits is told of it.
    fn assign(&mut self, request: &SyncRequest, now: Timestamp, out: &mut Outbox) {
        let assigned: BTreeMap<&str, _> = request
            .assignments
            .iter()
            .map(|assigned| (assigned.member_id.as_str(), &assigned.assignment))
            .collect();
        let mut waiting = Vec::new();
        for (member_id, member) in &mut self.members {
            member.assignment =
                assigned.get(member_id.as_str()).map(|&bytes| bytes.clone()).unwrap_or_default();
            if let Some(ticket) = member.syncing.take() {
                waiting.push((member_id.clone(), ticket));
            }
        }
        // The record carries the time at which the generation was formed, as Kafka writes it before it is stable.
        out.write = Some(self.record());
        self.transition(State::Stable, now);
        for (member_id, ticket) in waiting {
            out.synced.push((ticket, self.assigned(&member_id)));
            self.extend_session(&member_id, out);
        }
    }

    /// A member is alive.
    pub(in crate::groups) fn heartbeat(
        &self,
        request: &HeartbeatRequest,
        out: &mut Outbox,
    ) -> Result<(), Refusal> {
        self.validate_member(&request.member_id, request.group_instance_id.as_deref())?;
        if request.generation_id != self.generation_id {
            return Err(Refusal::IllegalGeneration);
        }
        match self.state {
            State::Empty => Err(Refusal::UnknownMemberId),
            State::PreparingRebalance => {
                self.extend_session(&request.member_id, out);
                Err(Refusal::RebalanceInProgress)
            }
            State::CompletingRebalance | State::Stable => {
                self.extend_session(&request.member_id, out);
                Ok(())
            }
        }
    }
}
