//! Members of the classic protocol in a consumer group: they live on through JoinGroup, SyncGroup, Heartbeat and LeaveGroup.
//!
//! Their generation is their member epoch. A heartbeat tells them to join again when there is something to give back, or
//! to take; a join moves them one step, as a heartbeat moves a member of the consumer protocol; a sync tells what is theirs.
//!
//! Source: `GroupMetadataManager.classicGroup{Join,Sync,Heartbeat,Leave}ToConsumerGroup` in Apache Kafka 4.3.1.

use std::sync::Arc;

use super::assignment::without_epochs;
use super::group::{ConsumerGroup, session_timeout};
use super::leave::millis;
use super::member::{JOIN_EPOCH, Member, MemberState};
use super::migration::{ToClassic, by_id, classic_member, embedded_assignment, to_millis};
use super::outcome::{Now, Outcome, View};
use super::timers::Timer;
use crate::groups::{
    HeartbeatRequest, JoinAnswer, JoinRequest, LeavingMember, Refusal, SyncAnswer, SyncRequest,
};
use crate::protocol::embedded::Subscription;

/// What the classic protocol calls the protocols of Kafka's consumers.
const PROTOCOL_TYPE: &str = "consumer";

impl ConsumerGroup {
    /// A member joins by the classic protocol. `new_member_id` is its id if it brings none.
    ///
    /// # Errors
    /// [`Refusal`]: nothing was changed.
    pub fn classic_join(
        &mut self,
        (now, view): (Now, View<'_>),
        request: &JoinRequest,
        new_member_id: &str,
    ) -> Result<Outcome<JoinAnswer>, Refusal> {
        let is_new = request.member_id.is_empty();
        let id = if is_new { new_member_id } else { &request.member_id };
        if self.refuse_if_full(view, id).is_err() {
            return Err(Refusal::GroupMaxSizeReached);
        }
        if !self.supports(request) {
            return Err(Refusal::InconsistentProtocol);
        }
        if request.takes_member_id && is_new && request.group_instance_id.is_none() {
            let answer = JoinAnswer::refused(Refusal::MemberIdRequired, id);
            return Ok(Outcome::answered(answer));
        }
        let (before, replaces) = self.classic_member_for(request, id)?;
        let offered = request.protocols.first().map(|offered| offered.metadata.as_ref());
        let subscription = Subscription::read(offered.unwrap_or_default());
        let subscription = subscription.map_err(|_| Refusal::InconsistentProtocol)?;
        let owned = by_id(&subscription.owned, view.image);

        // From here on nothing fails.
        let replaced = replaces.as_slice();
        let to_classic = self
            .leaves_classic_once_replaced(view, replaced)
            .then(|| ToClassic { without: Vec::new(), settled: true });
        let mut records = Vec::new();
        if let Some(old) = &replaces {
            self.replace_member(old, &before, &mut records);
        }
        let updated = classic_update(&before, request, subscription);
        let (changed, resolve) = self.update_member(now, view, (&before, &updated), &mut records);
        self.update_target(now, view, &mut records);
        let after = self.reconcile((now, view), (updated, changed), Some(&owned), &mut records);
        self.timers.cancel(Timer::Join, &after.id);
        self.timers.cancel(Timer::Rebalance, &after.id);
        let session = now.elapsed + session_timeout(&after, view.settings);
        self.timers.set(Timer::Session, &after.id, session);
        self.timers.set(Timer::Sync, &after.id, now.elapsed + request.rebalance_timeout);
        let answer = JoinAnswer {
            refusal: None,
            generation_id: after.epoch,
            protocol_type: Some(PROTOCOL_TYPE.to_owned()),
            protocol_name: request.protocols.first().map(|offered| offered.name.clone()),
            leader: String::new(),
            skip_assignment: false,
            member_id: after.id,
            members: Vec::new(),
        };
        Ok(Outcome { records, answer, resolve, to_classic })
    }

    /// Whether every member of the classic protocol offers one of the request's protocols.
    fn supports(&self, request: &JoinRequest) -> bool {
        let everybody = |name: &str| {
            let mut classic = self.members.values().filter_map(|member| member.classic.as_deref());
            classic.all(|member| member.protocols.iter().any(|offered| offered.name == name))
        };
        request.protocol_type == PROTOCOL_TYPE
            && request.protocols.iter().any(|offered| everybody(&offered.name))
    }

    /// The member as it is, and the id of the static member that it replaces.
    fn classic_member_for(
        &self,
        request: &JoinRequest,
        id: &str,
    ) -> Result<(Member, Option<String>), Refusal> {
        let Some(instance) = &request.group_instance_id else {
            return Ok((self.members.get(id).cloned().unwrap_or_else(|| Member::new(id)), None));
        };
        match self.static_member(instance) {
            None if request.member_id.is_empty() => Ok((Member::new(id), None)),
            None => Err(Refusal::UnknownMemberId),
            Some(member) if request.member_id.is_empty() => {
                let (epoch, previous_epoch) = (JOIN_EPOCH, JOIN_EPOCH);
                let anew = Member { id: id.to_owned(), epoch, previous_epoch, ..member.clone() };
                Ok((anew, Some(member.id.clone())))
            }
            Some(member) if member.id != id => Err(Refusal::FencedInstanceId),
            Some(member) => Ok((member.clone(), None)),
        }
    }

    fn leaves_classic_once_replaced(&self, view: View<'_>, replaced: &[String]) -> bool {
        let alone = self.members.len() == replaced.len();
        let downgrades = view.settings.downgrade_max.is_some_and(|max| self.members.len() <= max);
        let was_modern =
            |id: &String| self.members.get(id).is_some_and(|one| one.classic.is_none());
        downgrades
            && replaced.iter().any(was_modern)
            && (alone || self.leaves_classic(view, replaced))
    }

    /// A member of the classic protocol asks what is its own.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn classic_sync(
        &mut self,
        (now, view): (Now, View<'_>),
        request: &SyncRequest,
    ) -> Result<SyncAnswer, Refusal> {
        let instance = request.group_instance_id.as_deref();
        let member = self.classic_member(&request.member_id, instance, request.generation_id)?;
        let name = member.classic.as_deref().and_then(|classic| classic.protocols.first());
        let name = name.map(|protocol| protocol.name.as_str());
        let other_type = request.protocol_type.as_deref().is_some_and(|kind| kind != PROTOCOL_TYPE);
        if other_type || request.protocol_name.as_deref().is_some_and(|said| Some(said) != name) {
            return Err(Refusal::InconsistentProtocol);
        }
        // One that has to give back has joined already; it joins again when it has.
        if self.epoch > member.epoch && member.state != MemberState::UnrevokedPartitions {
            let at = now.elapsed + millis(member.rebalance_timeout_ms);
            self.timers.set_if_absent(Timer::Join, &request.member_id, at);
            return Err(Refusal::RebalanceInProgress);
        }
        let assigned = without_epochs(&member.assigned);
        let assignment = embedded_assignment(member, &assigned, view.image);
        let session = now.elapsed + session_timeout(member, view.settings);
        self.timers.cancel(Timer::Sync, &request.member_id);
        self.timers.set(Timer::Session, &request.member_id, session);
        Ok(SyncAnswer {
            refusal: None,
            protocol_type: request.protocol_type.clone(),
            protocol_name: request.protocol_name.clone(),
            assignment,
        })
    }

    /// A member of the classic protocol is alive.
    ///
    /// # Errors
    /// [`Refusal`]; `RebalanceInProgress`: it is to join again.
    pub fn classic_heartbeat(
        &mut self,
        (now, view): (Now, View<'_>),
        request: &HeartbeatRequest,
    ) -> Result<(), Refusal> {
        let instance = request.group_instance_id.as_deref();
        let member = self.classic_member(&request.member_id, instance, request.generation_id)?;
        let session = now.elapsed + session_timeout(member, view.settings);
        let join_by = now.elapsed + millis(member.rebalance_timeout_ms);
        let joins_again = member.epoch < self.epoch
            || match member.state {
                MemberState::UnrevokedPartitions => true,
                MemberState::UnreleasedPartitions => !self.waits_for_others(member),
                MemberState::Stable | MemberState::Unknown => false,
            };
        self.timers.set(Timer::Session, &request.member_id, session);
        if !joins_again {
            return Ok(());
        }
        self.timers.set_if_absent(Timer::Join, &request.member_id, join_by);
        Err(Refusal::RebalanceInProgress)
    }

    /// Whether somebody still holds a partition that the member shall have.
    fn waits_for_others(&self, member: &Member) -> bool {
        self.target(&member.id).iter().any(|(topic, partitions)| {
            let has = member.assigned.get(topic);
            partitions.iter().any(|partition| {
                !has.is_some_and(|has| has.contains_key(partition))
                    && !self.is_free(*topic, *partition)
            })
        })
    }

    /// Members leave by the classic protocol. One answer each, in order.
    pub fn classic_leave(
        &mut self,
        view: View<'_>,
        leaving: &[LeavingMember],
    ) -> Outcome<Vec<Option<Refusal>>> {
        let each: Vec<Result<String, Refusal>> =
            leaving.iter().map(|leaving| self.who_leaves(leaving)).collect();
        let mut gone: Vec<String> = each.iter().flatten().cloned().collect();
        gone.sort();
        gone.dedup();
        let answer = each.into_iter().map(Result::err).collect();
        self.let_go(view, &gone).map(|()| answer)
    }

    /// Whoever it is: Kafka lets LeaveGroup remove members of either protocol.
    fn who_leaves(&self, leaving: &LeavingMember) -> Result<String, Refusal> {
        let id = leaving.member_id.as_str();
        let member = match &leaving.group_instance_id {
            None => self.members.get(id),
            Some(instance) => self.static_member(instance),
        };
        let member = member.ok_or(Refusal::UnknownMemberId)?;
        // An administrator names the instance alone.
        if leaving.group_instance_id.is_some() && !id.is_empty() && member.id != id {
            return Err(Refusal::FencedInstanceId);
        }
        Ok(member.id.clone())
    }

    /// The member of the classic protocol with that id, which must be behind its instance id, in its generation.
    fn classic_member(
        &self,
        id: &str,
        instance: Option<&str>,
        generation_id: i32,
    ) -> Result<&Member, Refusal> {
        let member = match instance {
            None => self.members.get(id),
            Some(instance) => self.static_member(instance),
        };
        let member = member.ok_or(Refusal::UnknownMemberId)?;
        if member.id != id {
            return Err(Refusal::FencedInstanceId);
        }
        if member.classic.is_none() {
            return Err(Refusal::UnknownMemberId);
        }
        if member.epoch == generation_id { Ok(member) } else { Err(Refusal::IllegalGeneration) }
    }
}

fn classic_update(before: &Member, request: &JoinRequest, subscription: Subscription) -> Member {
    let classic = classic_member(to_millis(request.session_timeout), &request.protocols);
    Member {
        instance_id: request.group_instance_id.clone().or_else(|| before.instance_id.clone()),
        rack_id: subscription.rack_id.or_else(|| before.rack_id.clone()),
        rebalance_timeout_ms: to_millis(request.rebalance_timeout),
        topic_names: Arc::new(subscription.topics.into_iter().collect()),
        client_id: request.client_id.clone(),
        client_host: request.client_host.clone(),
        classic: Some(Arc::new(classic)),
        ..before.clone()
    }
}
