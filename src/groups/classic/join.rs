//! JoinGroup: who may join, and what joining does.

use std::time::Duration;

use bytes::Bytes;

use super::member::Member;
use super::{ClassicGroup, Limits, Outbox, State, Ticket, Timer};
use crate::base::clock::Timestamp;
use crate::groups::{JoinAnswer, JoinRequest, JoinedMember, Refusal, SyncAnswer};

/// How long the JoinGroup of a new member may wait: it cannot send heartbeats, and its client may be gone.
const NEW_MEMBER_JOIN_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// What a step of joining is given.
#[derive(Debug, Clone, Copy)]
pub(in crate::groups) struct Joining<'a> {
    pub(in crate::groups) request: &'a JoinRequest,
    /// A fresh id, if the member needs one.
    pub(in crate::groups) new_member_id: &'a str,
    pub(in crate::groups) ticket: Ticket,
    pub(in crate::groups) limits: Limits,
    pub(in crate::groups) now: Timestamp,
}

impl ClassicGroup {
    /// A member joins. The answer to `ticket` comes now or by a later step.
    pub(in crate::groups) fn join(&mut self, joining: Joining<'_>, out: &mut Outbox) {
        let Joining { request, ticket, .. } = joining;
        let asked = request.member_id.as_str();
        let mut refuse = |refusal, member_id: &str| {
            out.joined.push((ticket, JoinAnswer::refused(refusal, member_id)));
        };
        if !self.has_room_for(asked, joining.limits) {
            refuse(Refusal::GroupMaxSizeReached, "");
            self.remove(asked);
        } else if !self.supports(&request.protocol_type, &request.protocols) {
            refuse(Refusal::InconsistentProtocol, asked);
        } else if asked.is_empty() {
            self.join_new(joining, out);
        } else if self.pending_joins.contains(asked) && request.group_instance_id.is_none() {
            self.add_member(joining, asked, out);
        } else if let Err(refusal) =
            self.validate_member(asked, request.group_instance_id.as_deref())
        {
            refuse(refusal, asked);
        } else {
            self.rejoin(joining, out);
        }
    }

    fn has_room_for(&self, member_id: &str, limits: Limits) -> bool {
        let known = self.members.get(member_id);
        match self.state {
            State::Empty => true,
            // By those who wait, not by members: so that a group above its size sheds those who come last.
            State::PreparingRebalance => {
                known.is_some_and(|member| member.joining.is_some())
                    || self.joining < limits.max_size
            }
            State::CompletingRebalance | State::Stable => {
                known.is_some() || self.members.len() < limits.max_size
            }
        }
    }

    fn join_new(&mut self, joining: Joining<'_>, out: &mut Outbox) {
        let Joining { request, new_member_id, ticket, .. } = joining;
        if let Some(instance) = &request.group_instance_id {
            match self.static_members.get(instance).cloned() {
                Some(old) => self.replace_static_member(joining, &old, out),
                None => self.add_member(joining, new_member_id, out),
            }
        } else if request.takes_member_id {
            // Its id goes to the client first, so that a join whose answer is lost leaves no member behind (KIP-394).
            self.pending_joins.insert(new_member_id.to_owned());
            out.set(Timer::Session(new_member_id.to_owned()), request.session_timeout);
            let answer = JoinAnswer::refused(Refusal::MemberIdRequired, new_member_id);
            out.joined.push((ticket, answer));
        } else {
            self.add_member(joining, new_member_id, out);
        }
    }

    fn add_member(&mut self, joining: Joining<'_>, member_id: &str, out: &mut Outbox) {
        let Joining { request, ticket, limits, now, .. } = joining;
        let member = Member {
            group_instance_id: request.group_instance_id.clone(),
            client_id: request.client_id.clone(),
            client_host: request.client_host.clone(),
            session_timeout: request.session_timeout,
            rebalance_timeout: request.rebalance_timeout,
            protocol_type: request.protocol_type.clone(),
            protocols: request.protocols.clone(),
            assignment: Bytes::new(),
            joining: Some(ticket),
            syncing: None,
            is_new: true,
        };
        if let Some(initial) = &mut self.initial {
            initial.new_member_added = true;
        }
        self.insert(member_id.to_owned(), member);
        out.set(Timer::Session(member_id.to_owned()), NEW_MEMBER_JOIN_TIMEOUT);
        self.rebalance_or_complete_join(limits, now, out);
    }

    /// A known member joins again.
    fn rejoin(&mut self, joining: Joining<'_>, out: &mut Outbox) {
        let Joining { request, ticket, limits, now, .. } = joining;
        let member_id = request.member_id.as_str();
        let same = self.members[member_id].protocols == request.protocols;
        match self.state {
            State::PreparingRebalance => {}
            // The first answer may have been lost.
            State::CompletingRebalance if same => {
                let answer = self.current_generation(member_id, self.is_leader(member_id));
                return out.joined.push((ticket, answer));
            }
            State::Stable if same && !self.is_leader(member_id) => {
                let answer = self.current_generation(member_id, false);
                return out.joined.push((ticket, answer));
            }
            State::CompletingRebalance | State::Stable => {}
            State::Empty => {
                let answer = JoinAnswer::refused(Refusal::UnknownMemberId, member_id);
                return out.joined.push((ticket, answer));
            }
        }
        self.update_member(joining, member_id, out);
        self.rebalance_or_complete_join(limits, now, out);
    }

    /// The member's offers and time limits are those of its newest request.
    fn update_member(&mut self, joining: Joining<'_>, member_id: &str, out: &mut Outbox) {
        let Joining { request, ticket, .. } = joining;
        let Some(member) = self.members.get_mut(member_id) else { return };
        let before = std::mem::replace(&mut member.protocols, request.protocols.clone());
        member.session_timeout = request.session_timeout;
        member.rebalance_timeout = request.rebalance_timeout;
        match member.joining.replace(ticket) {
            None => self.joining += 1,
            // A client that tries again on a new connection has given up the old one.
            Some(abandoned) => {
                let answer = JoinAnswer::refused(Refusal::UnknownMemberId, member_id);
                out.joined.push((abandoned, answer));
            }
        }
        self.count_offers(&before, false);
        self.count_offers(&request.protocols, true);
    }

    /// The group's generation as `member_id` is told of it.
    pub(super) fn current_generation(&self, member_id: &str, everybody: bool) -> JoinAnswer {
        let protocol = self.protocol_name.as_deref().unwrap_or_default();
        let members = self.members.iter().filter(|_| everybody).map(|(id, member)| JoinedMember {
            member_id: id.clone(),
            group_instance_id: member.group_instance_id.clone(),
            metadata: member.metadata(protocol),
        });
        JoinAnswer {
            refusal: None,
            generation_id: self.generation_id,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            skip_assignment: false,
            member_id: member_id.to_owned(),
            members: members.collect(),
        }
    }

    /// A new process takes the place of a static member: the old id is fenced.
    fn replace_static_member(&mut self, joining: Joining<'_>, old_id: &str, out: &mut Outbox) {
        let Joining { request, new_member_id, ticket, limits, now } = joining;
        let leader_before = self.leader.clone().unwrap_or_default();
        self.fence(old_id, out);
        self.rename_member(old_id, new_member_id);
        self.update_member(joining, new_member_id, out);
        self.extend_session(new_member_id, out);
        match self.state {
            State::Stable if self.select_protocol() == self.protocol_name => {
                // Nothing that was assigned changes, so nobody else need know (KIP-345).
                out.write = Some(self.record());
                let leads = self.is_leader(new_member_id);
                let answer = if request.skips_assignment {
                    let answer = self.current_generation(new_member_id, leads);
                    JoinAnswer { skip_assignment: leads, ..answer }
                } else {
                    // It would assign anew if it knew that it leads.
                    let answer = self.current_generation(new_member_id, false);
                    JoinAnswer { leader: leader_before, ..answer }
                };
                debug_assert!(self.members[new_member_id].joining == Some(ticket));
                self.answer_join(new_member_id, answer, out);
            }
            State::Stable => self.rebalance_or_complete_join(limits, now, out),
            // The leader may be assigning to the old id right now.
            State::CompletingRebalance => self.prepare_rebalance(limits, now, out),
            State::PreparingRebalance | State::Empty => {
                self.complete_join_if_all_are_here(limits, now, out)
            }
        }
    }

    fn fence(&mut self, old_id: &str, out: &mut Outbox) {
        self.answer_join(old_id, JoinAnswer::refused(Refusal::FencedInstanceId, old_id), out);
        let syncing = self.members.get_mut(old_id).and_then(|member| member.syncing.take());
        if let Some(ticket) = syncing {
            out.synced.push((ticket, SyncAnswer::refused(Refusal::FencedInstanceId)));
        }
        out.cancel(Timer::Session(old_id.to_owned()));
    }

    fn rename_member(&mut self, old_id: &str, new_id: &str) {
        let Some(member) = self.members.remove(old_id) else { return };
        self.pending_syncs.remove(old_id);
        if let Some(instance) = &member.group_instance_id {
            self.static_members.insert(instance.clone(), new_id.to_owned());
        }
        if self.is_leader(old_id) {
            self.leader = Some(new_id.to_owned());
        }
        self.members.insert(new_id.to_owned(), Member { is_new: false, ..member });
    }
}
