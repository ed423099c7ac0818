//! A classic group that becomes one of the consumer protocol, or was one.
//!
//! Source: `GroupMetadataManager.convertToConsumerGroup`, `convertToClassicGroup`, `ClassicGroup.fromConsumerGroup` in Apache
//! Kafka 4.3.1.

use super::member::Member;
use super::{ClassicGroup, Limits, Outbox, State, Timer};
use crate::base::clock::Timestamp;
use crate::groups::{JoinAnswer, Migrant, Refusal, SyncAnswer};

impl ClassicGroup {
    /// The generation that its members know.
    pub(in crate::groups) fn generation_id(&self) -> i32 {
        self.generation_id
    }

    /// How many members it has.
    pub(in crate::groups) fn size(&self) -> usize {
        self.members.len()
    }

    /// Its members as another group takes them over: what each subscribes to stands in the first of its protocols.
    pub(in crate::groups) fn migrants(&self) -> Vec<Migrant> {
        let migrant = |(member_id, member): (&String, &Member)| Migrant {
            member_id: member_id.clone(),
            group_instance_id: member.group_instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            session_timeout: member.session_timeout,
            rebalance_timeout: member.rebalance_timeout,
            protocols: member.protocols.clone(),
            assignment: member.assignment.clone(),
        };
        self.members.iter().map(migrant).collect()
    }

    /// Another group takes its place: whoever waits joins that, and nothing falls due here any more.
    pub(in crate::groups) fn dissolve(&mut self, out: &mut Outbox) {
        let refusal = Refusal::RebalanceInProgress;
        for (member_id, member) in &mut self.members {
            if let Some(ticket) = member.joining.take() {
                out.joined.push((ticket, JoinAnswer::refused(refusal, member_id.clone())));
            }
            if let Some(ticket) = member.syncing.take() {
                out.synced.push((ticket, SyncAnswer::refused(refusal)));
            }
        }
        self.joining = 0;
        for member_id in self.members.keys().chain(&self.pending_joins) {
            out.cancel(Timer::Session(member_id.clone()));
        }
        out.cancel(Timer::Join);
        out.cancel(Timer::Sync);
    }

    /// The stable group of members that were in one of the other protocol. They have what that gave them last.
    pub(in crate::groups) fn of_migrants(
        generation_id: i32,
        migrants: Vec<Migrant>,
        now: Timestamp,
    ) -> Self {
        let mut group = Self::new();
        group.generation_id = generation_id;
        group.transition(State::Stable, now);
        for migrant in migrants {
            let member = Member {
                group_instance_id: migrant.group_instance_id,
                client_id: migrant.client_id,
                client_host: migrant.client_host,
                session_timeout: migrant.session_timeout,
                rebalance_timeout: migrant.rebalance_timeout,
                protocol_type: "consumer".to_owned(),
                protocols: migrant.protocols,
                assignment: migrant.assignment,
                joining: None,
                syncing: None,
                is_new: false,
            };
            group.insert(migrant.member_id, member);
        }
        group.protocol_name = group.select_protocol();
        group.topics = group.subscribed_topics();
        group
    }

    /// Such a group begins: sessions run, and unless `settled` everybody joins again.
    pub(in crate::groups) fn begin(
        &mut self,
        settled: bool,
        limits: Limits,
        now: Timestamp,
        out: &mut Outbox,
    ) {
        for member_id in self.members.keys() {
            self.extend_session(member_id, out);
        }
        if !settled {
            self.prepare_rebalance(limits, now, out);
        }
    }
}
